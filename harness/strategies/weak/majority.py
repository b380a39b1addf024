"""The majority of a row's votes as its label."""

from __future__ import annotations

from harness.data import TrainSet
from harness.strategies import Tools
from harness.strategies.weak.votes import give, settle, tally


def majority_vote(train: TrainSet, tools: Tools, *, labels: str, ties: str) -> TrainSet:
    """Rows with a vote take the class that most of their votes name; rows without one stay as they are.

    The distribution that `labels` and `ties` settle (see `weak.votes`) is the share of the votes. With `labels=hard`
    and `ties=soft` the labels are those of Snorkel's `MajorityLabelVoter`.
    """
    votes = tally(train)
    voted = votes.sum(1) > 0
    shares = votes[voted] / votes[voted].sum(1, keepdims=True)
    return give(train, voted, settle(shares, tools.rng, labels=labels, ties=ties))
