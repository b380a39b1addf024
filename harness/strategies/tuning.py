"""Names a strategy whose parameters are searched; the search is the harness's, since strategies see no validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.data import TrainSet
from harness.learners.parameters import parameter
from harness.learners.search import Space, flat_space
from harness.strategies import Strategy, Tools

NO_SPACE = (
    "the strategy declares no `space`: choose another with `of`, or write one as `over`, as in "
    "{share: {low: 0.1, high: 0.5}}"
)


def tuned_strategy(train: TrainSet, tools: Tools, *, strategy: Strategy, over: Mapping[str, Any]) -> TrainSet:
    """Applies the strategy with the parameters that it has; BadInput if `over` is no space of them.

    A trial puts the values that `over` allows in their place, one configuration after another, and keeps the best: see
    `harness.run.tuning`.
    """
    strategy_space(over, strategy)
    return strategy(train, tools)


def strategy_space(over: Mapping[str, Any], strategy: Strategy) -> Space:
    """Returns the space of a strategy; BadInput if it is empty, malformed, or names an unknown parameter."""
    space = flat_space(over, NO_SPACE)
    for name in space:
        parameter(strategy, name)
    return space
