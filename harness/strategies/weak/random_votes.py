"""Labels rows by one of their votes, drawn at random: votes without counting."""

from __future__ import annotations

import numpy as np

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
