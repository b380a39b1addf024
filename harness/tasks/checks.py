"""Checks data that was read; each check passes or raises BadInput with one line on the error and the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.checks import join_names, nearest
from harness.errors import BadInput

_MOST_AMOUNTS = 50
"""Different numbers that may still be classes, however few rows each has."""


def check_column(name: str, known: Sequence[str], where: str) -> None:
    """Requires that the column exists."""
    if name not in known:
        raise BadInput(f"{where} has no column '{name}'{nearest(name, known)} (it has: {join_names(known)})")


def check_label_values(unknown: Sequence[str], row: int, column: str, classes: Sequence[str]) -> None:
    """Requires that every label is a class; `unknown` holds the values that are not, the first of them in `row`."""
    if unknown:
        first, more = unknown[0], f" ({len(set(unknown))} unknown values in all)" if len(set(unknown)) > 1 else ""
        raise BadInput(
            f"'{first}' in column '{column}', row {row}, is not a class{more}{nearest(first, classes)} "
            f"(classes: {join_names(classes)})"
        )


def check_single(feature: Any, column: str) -> None:
    """Requires that a column holds one value a row, by its feature in `datasets`."""
    if not hasattr(feature, "dtype") or hasattr(feature, "feature") or feature.dtype in ("list", "dict", "struct"):
        kind = "objects" if isinstance(feature, dict) else "lists"
        raise BadInput(
            f"column '{column}' holds {kind}: it needs one value a row; spread them over columns of their own"
        )
    if "binary" in feature.dtype:
        raise BadInput(f"column '{column}' holds bytes: it needs numbers or texts; name the columns to use")


def check_not_amounts(labels: Sequence[str], column: str) -> None:
    """Requires that labels are not amounts: many different numbers, few rows each, most of them not whole."""
    values = set(labels)
    if len(values) <= _MOST_AMOUNTS or len(values) < 0.1 * len(labels) or not all(map(_is_number, values)):
        return
    raise BadInput(
        f"column '{column}' has {len(values)} different numbers in {len(labels)} rows, which looks like regression: "
        "a task has classes; cut the amounts into classes, or list them in task.classes"
    )


def _is_number(value: str) -> bool:
    try:
        return bool(np.isfinite(float(value)))
    except ValueError:
        return False


def check_finite(x: np.ndarray, features: Sequence[str]) -> None:
    """Requires that a table (n, d) holds finite numbers, or nan for a missing one."""
    bad = np.isinf(x)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise BadInput(
            f"{int(bad.sum())} features are infinite, the first in column '{features[column]}', row {row}: "
            "correct them, drop their rows, or leave the column out"
        )


def check_votes(votes: np.ndarray, k: int, column: str) -> None:
    """Requires that votes are -1 (abstain) or the index of a class."""
    bad = (votes < -1) | (votes >= k)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise BadInput(
            f"vote {votes[bad][0]} in {column}, row {row}, names no class: a vote is -1 (abstains) or 0 to {k - 1}"
        )


def check_unique(ids: np.ndarray, part: str) -> None:
    """Requires that no two rows of a part have the same id."""
    names, counts = np.unique(ids.astype(str), return_counts=True)
    if (counts > 1).any():
        raise BadInput(
            f"{int((counts > 1).sum())} ids occur more than once in the {part} part, the first is "
            f"'{names[counts > 1][0]}': ids must name rows uniquely (without an id column rows are numbered)"
        )


def check_weights(weight: np.ndarray, column: str) -> None:
    """Requires that weights are finite and not negative."""
    bad = ~(np.isfinite(weight) & (weight >= 0))
    if bad.any():
        raise BadInput(
            f"{int(bad.sum())} weights in column '{column}' are missing, infinite or negative, the first in row "
            f"{int(np.flatnonzero(bad)[0])}: a weight is a number >= 0"
        )


def check_classes(classes: Sequence[str]) -> None:
    """Requires at least two classes, each named once."""
    if len(set(classes)) != len(classes):
        twice = next(name for name in classes if list(classes).count(name) > 1)
        raise BadInput(f"class '{twice}' is listed twice: classes must have different names")
    if len(classes) < 2:
        raise BadInput(f"a task needs at least two classes, the labels name only: {join_names(classes) or 'none'}")


def check_groups(group: np.ndarray, parts: int) -> None:
    """Raises BadInput if labelled rows come in fewer groups than the parts that they are divided into."""
    groups = len(np.unique(group))
    if groups < parts and groups < len(group):
        raise BadInput(
            f"the {len(group)} rows with a label come in {groups} group{'s' if groups > 1 else ''}, which "
            f"{parts} parts cannot share: a group belongs to one part; choose another column as task.group"
        )


def check_part(rows: int, part: str, of: int = 0) -> None:
    """Requires that the part has rows."""
    if rows == 0 and of:
        raise BadInput(f"none of the {of} rows of the {part} part has a label: label some, or leave the part out")
    if rows == 0:
        raise BadInput(f"the {part} part is empty: give it more rows (its file, or its fraction of the rows)")


def check_training_labels(labels: np.ndarray, classes: Sequence[str]) -> None:
    """Requires that the labelled training rows cover every class; `labels` are their class indices."""
    found = np.bincount(labels, minlength=len(classes)) > 0
    if not found.any():
        raise BadInput("no row of the train part has a label: at least one labelled row of each class is needed")
    if found.sum() == 1:
        raise BadInput(f"the train part has a single class, '{classes[int(found.argmax())]}': nothing can be learnt")
    if not found.all():
        missing = [name for name, there in zip(classes, found, strict=True) if not there]
        raise BadInput(
            f"no labelled row of the train part is of class {join_names(missing)}: add rows, or leave the class out of "
            "task.classes and its rows out of the data"
        )


def check_limit(n: int, rows: int, k: int, name: str) -> None:
    """Requires that the number of rows to draw lies between the number of classes and the number of rows."""
    if n > rows:
        raise BadInput(f"{name} is {n}, but there are only {rows} rows to draw from: give at most {rows}")
    if n < k:
        raise BadInput(f"{name} is {n}, but there are {k} classes: give at least one row per class")


def check_fraction(fraction: float, name: str, low: float = 0.0) -> None:
    """Requires a fraction of the rows between `low` and 1, both excluded."""
    if not low < fraction < 1:
        raise BadInput(f"{name} is {fraction}: give a share between 0 and 1, such as 0.2")
