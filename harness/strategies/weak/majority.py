"""Labels rows by the majority of their votes."""

from __future__ import annotations

from harness.data import TrainSet
from harness.strategies import Tools
from harness.strategies.weak.votes import give, settle_labels, tally


def majority_vote(train: TrainSet, tools: Tools, *, labels: str, ties: str) -> TrainSet:
    """Labels rows with a vote by the class that most votes name; rows without one stay unchanged.

    `labels` and `ties` turn the shares of the votes into the label (see `weak.votes`). With `labels=hard`
    and `ties=soft` the labels are those of Snorkel's `MajorityLabelVoter`.
    """
    votes = tally(train)
    voted = votes.sum(1) > 0
    shares = votes[voted] / votes[voted].sum(1, keepdims=True)
    return give(train, voted, settle_labels(shares, tools.rng, labels=labels, ties=ties))
