"""Names a strategy whose parameters are searched; the search is the harness's, since strategies see no validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.data import TrainSet
from harness.strategies import Strategy, Tools


def tuned_strategy(train: TrainSet, tools: Tools, *, strategy: Strategy, over: Mapping[str, Any]) -> TrainSet:
    """Applies the strategy with the parameters that it has.

    A trial puts those that `over` names in their place, one configuration after another, and keeps the best: see
    `harness.run.tuning`.
    """
    return strategy(train, tools)
