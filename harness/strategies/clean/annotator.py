"""Labels bought: an annotator is asked for some rows, and each answer is on the bill."""

from __future__ import annotations

from dataclasses import replace

from harness.data import TrainSet, one_hot
from harness.errors import BadInput
from harness.strategies import Tools
from harness.strategies.clean.label_errors import Finder, most_suspect


def oracle(train: TrainSet, tools: Tools, *, k: int, find: Finder | None) -> TrainSet:
    """The same rows, `k` labelled ones carrying the true class that was asked for.

    The rows of the lowest quality by the finder are asked for, all at once; without a finder any rows, drawn. A row
    whose true class nobody knows cannot be bought: `tools.ask` raises BadInput, and so does a `k` beyond the labelled
    rows. A sweep over `k` is a budget curve.
    """
    labelled = int(train.labelled.sum())
    if not 0 <= k <= labelled:
        raise BadInput(f"clean=oracle asks for k={k} labels, but the training set has {labelled} labelled rows")
    rows = most_suspect(train, tools, find, k)
    y = train.y.copy()
    y[rows] = one_hot(tools.ask(train.ids[rows]), train.k)
    return replace(train, y=y)
