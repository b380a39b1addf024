"""Uses clean labels in place of votes: the upper bound of votes, and what the same labels could buy otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.checks import one_of
from harness.data import ABSTAIN, TrainSet, one_hot
from harness.strategies import Tools
from harness.strategies.weak.votes import give


def gold(train: TrainSet, tools: Tools) -> TrainSet:
    """Labels every row with its true class from the metered oracle: the upper bound of weak supervision.

    Rows whose label the task gives as gold keep it, and nothing is paid for them again. BadInput if the true class of
    another row is unknown.
    """
    every = np.ones(len(train), dtype=bool)
    return give(train, every, one_hot(tools.ask(train.ids), train.k))


def validation_labels(train: TrainSet, tools: Tools, *, own: str) -> TrainSet:
    """Adds the labelled validation rows to training, named `valid/` plus their id, with weight 1.

    `own`: the training rows are dropped (`drop`: train on the validation labels instead), or come first (`keep`: both
    kinds of labels together).
    """
    one_of("own", own, ("keep", "drop"))
    valid = tools.valid()
    x = valid.x if train.prepare is None else train.prepare(valid.x)
    new = replace(
        train,
        ids=np.array([f"valid/{name}" for name in valid.ids.tolist()]),
        x=x,
        y=one_hot(valid.y, train.k),
        w=np.ones(len(valid), dtype=np.float32),
        votes=np.full((len(valid), train.votes.shape[1]), ABSTAIN, dtype=np.int8),
    )
    return _joined(train, new) if own == "keep" else new


def _joined(first: TrainSet, second: TrainSet) -> TrainSet:
    """Returns the rows of both sets, one after the other; ids as text."""
    return replace(
        first,
        ids=np.concatenate([first.ids.astype(np.str_), second.ids.astype(np.str_)]),
        x=np.concatenate([first.x, second.x]),
        y=np.concatenate([first.y, second.y]),
        w=np.concatenate([first.w, second.w]),
        votes=np.concatenate([first.votes, second.votes]),
    )
