"""Turns classes as a person writes them into class indices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from harness.checks import join_names, nearest
from harness.errors import BadInput
from harness.tasks.columns import numbering
from harness.vote_triples import vote_type


def class_indices(said: Sequence[str], classes: Sequence[str], places: Sequence[str]) -> Int[np.ndarray, " n"]:
    """Returns the class indices of labels that are all class names or else all numbers 0 to k - 1; see `numbering`.

    BadInput if a label is neither; the message names its place, from `places`.
    """
    known = numbering(said, classes)
    for label, place in zip(said, places, strict=True):
        if label not in known:
            raise BadInput(f"{place}: {no_class(label, classes)}")
    return np.array([known[label] for label in said], dtype=vote_type(len(classes)))


def no_class(label: object, classes: Sequence[str]) -> str:
    """Words that a label is not a class, the nearest class, and what would be right."""
    right = f"a class is {join_names(classes)}, or its number, 0 to {len(classes) - 1}"
    return f"{label!r} is not a class of this task{nearest(str(label), classes)} ({right})"
