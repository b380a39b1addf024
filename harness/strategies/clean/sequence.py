"""Two strategies in, one out: what the first leaves is what the second gets."""

from __future__ import annotations

from harness.data import TrainSet
from harness.strategies import Strategy, Tools


def in_turn(train: TrainSet, tools: Tools, *, first: Strategy, then: Strategy) -> TrainSet:
    """The set after `first` and `then`; either may be two in turn again."""
    return then(first(train, tools), tools)
