"""Makes a task of raw cells from a CSV file; errors in the cells are left for a cleaning strategy to find."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from jaxtyping import Int64

from harness.checks import join_names, one_of
from harness.data import Source, Task, digest
from harness.errors import BadInput
from harness.storage import reader
from harness.tables import cells_table as table_of
from harness.tasks import checks
from harness.tasks import columns as reading
from harness.tasks.files import require_path
from harness.tasks.folder import label_facts
from harness.tasks.parameters import LabelledRows, by_fields
from harness.tasks.parts import Part, Plan, damage, describe, divide, part, shared_share, subsample, task

LabelPart = Literal["whole", "last_word"]


@dataclass(frozen=True)
class LabelRule:
    """Says how a cell becomes a class: the `part` of it that is read; all but the `most` frequent become `other`."""

    part: LabelPart
    most: int | None
    other: str


@dataclass(frozen=True, kw_only=True)
class RawRows(LabelledRows):
    """Holds rows of the CSV file `path`: all columns except `label`, `gold`, `id` and those in `ignore` are cells.

    The label is the whole cell or its last word (text in brackets excluded); classes beyond the `most_frequent` become
    one, called `other`; an empty cell is a row without a label. `noise` is the share of training labels that is
    flipped.
    """

    path: str
    label: str
    ignore: Sequence[str]
    label_part: LabelPart
    most_frequent: int | None
    other: str
    noise: float


@by_fields(RawRows)
def raw_table(given: RawRows) -> Source:
    """Makes a task from a CSV file; every cell is a str as written, empty if it is missing."""
    plan = given.plan(given.noise)
    one_of("task.label_part", given.label_part, get_args(LabelPart))
    columns = reading.Columns(list(given.ignore), given.label, given.gold, None, None, None, given.id)
    frame = read_cells(given.path)
    for column in (*columns.roles, *given.ignore):
        checks.check_column(column, list(frame.columns), Path(given.path).name)
    rows, classes = _rows(frame, columns, LabelRule(given.label_part, given.most_frequent, given.other))
    content = (*classes, *rows.x.dtype.names, *map(digest, (rows.x, rows.ids, rows.given, rows.gold)))
    return Source(
        fingerprint=hashlib.sha256(repr(content).encode()).hexdigest(),
        split=lambda seed: _split(given.name, rows, classes, columns, plan, seed),
        read=(*describe({"train": rows}, classes), f"cells of {', '.join(rows.x.dtype.names)}"),
    )


def _split(name: str, rows: Part, classes: tuple[str, ...], columns: reading.Columns, plan: Plan, seed: int) -> Task:
    done, facts = divide({"train": rows}, plan, seed)
    train = subsample(done["train"], plan.n_train, len(classes), seed)
    facts |= shared_share(facts, done["train"], train)
    done["train"] = damage(train, plan.noise, len(classes), seed) if plan.noise else train
    return task(name, "table", classes, done, facts | label_facts(done["train"], columns, plan.noise))


def read_cells(path: str, what: str = "task.path") -> pd.DataFrame:
    """Returns the file's cells as str, nothing read as missing; BadInput if it is absent, not a CSV, or has no rows."""
    place = require_path(path, what)
    try:
        frame = reader.read_strings(place)
    except (OSError, BadInput) as fault:
        raise BadInput(f"{what}: {path} cannot be read as CSV: {fault}") from fault
    if not len(frame):
        raise BadInput(f"{what}: {path} has no rows beneath its column names")
    return frame


def _rows(frame: pd.DataFrame, columns: reading.Columns, labels: LabelRule) -> tuple[Part, tuple[str, ...]]:
    """Returns the rows with their class indices, and the class names; classes come from the label's column."""
    features = [name for name in frame.columns if name not in (*columns.roles, *reading.as_names(columns.input))]
    if not features:
        raise BadInput(f"the table has no cells beside its labels: it has {join_names(frame.columns)}")
    given = _words(frame[str(columns.label)], labels.part)
    names = _kept(given, labels)
    truth = None if columns.gold is None else _classes(_words(frame[columns.gold], labels.part), names, labels)
    return part(
        ids=np.array([f"train-{i}" for i in range(len(frame))]) if columns.id is None else _text(frame[columns.id]),
        x=table_of({name: _text(frame[name]) for name in features}),
        given=_classes(given, names, labels),
        gold=truth,
    ), names


def _text(column: pd.Series) -> np.ndarray:
    return column.fillna("").to_numpy(dtype=object).astype(np.str_)  # a short line lacks its last cells


def _words(column: pd.Series, which: LabelPart) -> np.ndarray:
    """Returns the part of each cell (n,) that names its class, empty if there is none."""
    cells = [cell.strip() for cell in _text(column).tolist()]
    if which == "last_word":
        cells = [(re.sub(r"\([^)]*\)", " ", cell).split() or [""])[-1] for cell in cells]
    return np.array(cells)


def _kept(words: np.ndarray, labels: LabelRule) -> tuple[str, ...]:
    """Returns the class names, sorted, with the name for all others last, if there are any."""
    found, counts = np.unique(words[words != ""], return_counts=True)
    frequent = found[np.lexsort((found, -counts))]
    kept = sorted(frequent[: labels.most].tolist())
    if len(kept) < len(frequent):
        if labels.other in kept:
            raise BadInput(f"'{labels.other}' is already a class: set task.other=… to another name for the rare ones")
        kept = [*kept, labels.other]
    checks.check_classes(kept)
    return tuple(kept)


def _classes(words: np.ndarray, names: Sequence[str], labels: LabelRule) -> Int64[np.ndarray, " n"]:
    """Returns class indices (n,), -1 for an empty word; unknown words become `other`, or raise BadInput without it."""
    index: dict[Any, int] = {name: place for place, name in enumerate(names)}
    unknown = [row for row, word in enumerate(words.tolist()) if word and word not in index]
    if unknown and labels.other not in index:
        checks.check_label_values(words[unknown].tolist(), unknown[0], "gold", names)
    rest = index.get(labels.other, -1)
    return np.array([index.get(word, rest) if word else -1 for word in words.tolist()], dtype=np.int64)
