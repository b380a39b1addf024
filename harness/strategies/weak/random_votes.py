"""One of a row's own votes, drawn blindly, as its label: what voting gives without any counting."""

from __future__ import annotations

import numpy as np

from harness.data import TrainSet, one_hot
from harness.strategies import Tools
from harness.strategies.weak.votes import give, tally


def random_vote(train: TrainSet, tools: Tools) -> TrainSet:
    """Rows with a vote take one of their votes at random, each with the same chance; the others stay as they are."""
    votes = tally(train)
    voted = votes.sum(1) > 0
    cumulative = votes[voted].cumsum(1)
    drawn = tools.rng.integers(cumulative[:, -1])
    return give(train, voted, one_hot((cumulative > drawn[:, np.newaxis]).argmax(1), train.k))
