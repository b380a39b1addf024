"""What a strategy is given besides the training set.

A strategy is `(train: TrainSet, tools: Tools, *, …) -> TrainSet`, pure: all that it may use stands in its arguments.
It sees no validation row, no test row, and no gold label but those that it buys from `tools.ask`.
An augmentation is different only in what it returns: the same rows with `augment` set to a batch function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.data import Augment, TrainSet


@dataclass(frozen=True)
class Tools:
    """What the harness lends a strategy.

    `rng`: the generator of the strategy's kind for this block, the same for every arm of that kind.
    `pred_probs(train)`: out-of-sample class probabilities (n, k) of all rows, by cross-validation with the probe on
    the labelled ones; cached, its cost charged to every arm that asks.
    `ask(ids)`: the true classes (len(ids),) of those rows; metered, each asked row is a label bought.
    """

    rng: np.random.Generator
    pred_probs: Callable[[TrainSet], np.ndarray]
    ask: Callable[[np.ndarray], np.ndarray]


Strategy = Callable[[TrainSet, Tools], TrainSet]


def none(train: TrainSet, tools: Tools) -> TrainSet:
    """The training set as it is: the reference of each family."""
    return train


def compose(first: Augment | None, second: Augment) -> Augment:
    """Both batch functions, one after the other."""
    if first is None:
        return second
    return lambda x, y, rng: second(*first(x, y, rng), rng)
