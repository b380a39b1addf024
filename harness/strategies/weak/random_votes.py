"""Labels the rows that have votes without counting them, or without reading them: the negative controls of votes."""

from __future__ import annotations

import numpy as np

from harness.checks import one_of
from harness.data import TrainSet, one_hot
from harness.strategies import Tools
from harness.strategies.weak.votes import give, tally


def random_vote(train: TrainSet, tools: Tools) -> TrainSet:
    """Labels rows with a vote by one of their votes, each equally likely; the other rows stay unchanged."""
    votes = tally(train)
    voted = votes.sum(1) > 0
    cumulative = votes[voted].cumsum(1)
    drawn = tools.rng.integers(cumulative[:, -1])
    return give(train, voted, one_hot((cumulative > drawn[:, np.newaxis]).argmax(1), train.k))


def uniform_labels(train: TrainSet, tools: Tools, *, labels: str) -> TrainSet:
    """Labels the rows with a vote with no information on their class; the other rows stay unchanged.

    `labels`: `soft`, all classes alike, or `hard`, a class drawn for each row, all equally likely. Either trains on the
    same rows as any use of the votes, with the same weights: what it gains, the rows or the regularisation gain.
    """
    one_of("labels", labels, ("soft", "hard"))
    voted = tally(train).sum(1) > 0
    classes = tools.rng.integers(train.k, size=int(voted.sum())) if labels == "hard" else np.full(voted.sum(), -1)
    return give(train, voted, one_hot(classes, train.k))
