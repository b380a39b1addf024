"""Declares the YAML parameters that all tasks on a user's own files share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from harness.data import Modality, Source
from harness.tasks import files
from harness.tasks.columns import Columns, Names, Pictures
from harness.tasks.images import Color
from harness.tasks.parts import Plan

P = TypeVar("P")


@dataclass(frozen=True, kw_only=True)
class LabelledRows:
    """Holds what every such task needs: the columns of labels and ids, and how a seed divides the rows.

    The parameters are those of `harness.tasks.columns.Columns` and `harness.tasks.parts.Plan`.
    """

    name: str
    label: str | None
    gold: str | None
    id: str | None
    n_train: int | None
    valid_fraction: float
    test_fraction: float
    split_seed: int | None

    def plan(self, noise: float = 0.0) -> Plan:
        """Returns how a seed divides the rows; BadInput for a fraction outside (0, 1)."""
        return Plan(self.n_train, self.valid_fraction, self.test_fraction, self.split_seed, noise)


@dataclass(frozen=True, kw_only=True)
class AnnotatedRows(LabelledRows):
    """Holds rows that may also have votes, weights, groups and a list of classes.

    `cache` is the folder for decoded images and for the Arrow copies that `datasets` makes (None: the user's cache
    folder, and the default of `datasets`).
    """

    votes: Names
    weight: str | None
    group: str | None
    classes: Sequence[str] | None
    cache: str | None

    def columns(self, input: Names) -> Columns:
        """Returns the role of each column, of which `input` are those to learn from."""
        return Columns(input, self.label, self.gold, self.votes, self.weight, self.group, self.id)


@dataclass(frozen=True, kw_only=True)
class RowsInParts(AnnotatedRows):
    """Holds images, texts or table rows under `path`, which may already be divided into train, valid and test."""

    path: str
    train: Names
    valid: Names
    test: Names
    modality: Modality
    input: Names
    image_size: int
    color: Color

    def pictures(self, root: Path) -> Pictures:
        """Returns how to read images whose paths are relative to `root`."""
        return Pictures(self.image_size, self.color, root, files.cache_folder(self.cache))


def by_fields(parameters: type[P]) -> Callable[[Callable[[P], Source]], Callable[..., Source]]:
    """Returns a decorator for a function of one dataclass; a YAML then calls it with the dataclass's fields."""

    def wrap(read: Callable[[P], Source]) -> Callable[..., Source]:
        @functools.wraps(read)
        def call(**given: Any) -> Source:
            return read(parameters(**given))

        call.__signature__ = inspect.signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = get_type_hints(parameters) | {"return": Source}
        return call

    return wrap
