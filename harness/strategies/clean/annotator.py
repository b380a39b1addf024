"""Buys labels: an annotator is asked about some rows, and each answer is counted."""

from __future__ import annotations

from dataclasses import replace

from harness.data import TrainSet, one_hot
from harness.errors import BadInput
from harness.strategies import Tools
from harness.strategies.clean.label_errors import Finder, most_suspect
from harness.strategies.queries import Query, buy_in_batches


def oracle(train: TrainSet, tools: Tools, *, k: int, find: Finder | None) -> TrainSet:
    """Returns the same rows, with the true class of `k` labelled ones.

    The rows with the lowest quality by the finder are asked about, all at once; without a finder, random rows. BadInput
    if the true class of a row is unknown, or `k` exceeds the labelled rows. A sweep over `k` gives a budget curve.
    """
    labelled = int(train.labelled.sum())
    if not 0 <= k <= labelled:
        raise BadInput(f"clean=oracle asks for k={k} labels, but the training set has {labelled} labelled rows")
    rows = most_suspect(train, tools, find, k)
    y = train.y.copy()
    y[rows] = one_hot(tools.ask(train.ids[rows]), train.k)
    return replace(train, y=y)


def active(train: TrainSet, tools: Tools, *, k: int, batches: int, query: Query) -> TrainSet:
    """Returns the same rows with the true class of `k` labelled ones, asked for batch by batch.

    Before each batch the probe is trained anew with the labels bought so far, and `query` chooses among the rows that
    nobody was asked about. Bernhardt et al. 2022, "Active label cleaning for improved dataset quality under resource
    constraints".
    """
    return buy_in_batches(train, tools, train.labelled, k=k, batches=batches, query=query)
