"""Helps tools that search for a model: validation folds, named columns, and an untouched global generator."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from harness.data import Rows, TrainSet
from harness.errors import TrialFailed
from harness.learners import Run
from harness.learners.batches import modality
from harness.learners.folds import row_units, stratified_folds
from harness.learners.sklearn import Expanded

TRAINED_ON = -1
"""The fold of a case that is in every training part."""


def folds(train: TrainSet, rows: TrainSet, cases: Expanded, run: Run) -> Int64[np.ndarray, " e"]:
    """Returns the fold, of `protocol.folds`, in which each expanded case is held out while a tool chooses its model.

    `rows` are the labelled rows of `train` and what `grow` added to them. All cases of one row and of its augmented
    draws (rows of one id), of one group, and of rows of equal content are held out together, so that no model is
    scored on what it was trained on; folds are stratified by class. A class that would lie in one fold only is trained
    on in all folds, with all that belongs to it. TrialFailed where fewer than two classes are left, or no class has two
    units (rows or groups).
    """
    _, first, row = np.unique(rows.ids, return_index=True, return_inverse=True)
    classes, units = rows.classes[first], row_units(train.rows(train.labelled), run.groups)[first]
    if len(np.unique(cases.y)) < 2:
        raise TrialFailed(
            f"a classifier needs two classes to train on; the labelled rows have {len(np.unique(cases.y))}"
        )
    most = max(len(np.unique(units[classes == label])) for label in np.unique(classes))
    if min(run.protocol.folds, most) < 2:
        raise TrialFailed(
            f"a model is chosen by cross-validation, which needs two rows of a class, of different groups, and two "
            f"folds: there are {most} of the most frequent class, and protocol.folds is {run.protocol.folds}"
        )
    drawn = stratified_folds(classes, units, min(run.protocol.folds, most), run.stream("folds"))
    found, unit = drawn[row][cases.row], units[row][cases.row]
    for label in np.unique(cases.y):
        here = cases.y == label
        if len(np.unique(found[here])) == 1:
            found[np.isin(unit, unit[here])] = TRAINED_ON
    return found


def flat_rows(x: Rows) -> Float[np.ndarray, "n p"]:
    """Returns columns as they are, or the pixels of each image in [0, 1] as one row."""
    scale = 255 if modality(x) == "image" else 1
    return np.asarray(x, dtype=np.float32).reshape(len(x), -1) / np.float32(scale)


def table_of(x: Rows) -> pd.DataFrame:
    """Returns columns or pixels named x0, x1, …; texts are one column, for tools that derive features themselves."""
    if modality(x) == "text":
        return pd.DataFrame({"text": [str(text) for text in np.asarray(x)]})
    columns = flat_rows(x)
    return pd.DataFrame(columns, columns=[f"x{i}" for i in range(columns.shape[1])])


@contextmanager
def restore_python_generator() -> Iterator[None]:
    """Restores Python's own generator after the block: AutoML tools draw the names of their runs from it."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
