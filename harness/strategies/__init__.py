"""Defines what a strategy gets besides the training set.

A strategy is a pure function `(train: TrainSet, tools: Tools, *, …) -> TrainSet`: it may use its arguments only. It
sees no test row, and no gold or validation label except those that it takes from `tools`, which counts them. An
augmentation differs only in what it returns: the same rows with `augment` set to a batch function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.data import Augment, EvalSet, Rows, TrainSet
from harness.storage.cache import Cache


@dataclass(frozen=True)
class Tools:
    """Lends a strategy what it may use; what requires a `needs` in its YAML is refused to an option without it.

    `rng`: the generator of the strategy's kind for this block, the same for every arm of that kind.
    `pred_probs(train)`: out-of-sample class probabilities (n, k) of all rows, by cross-validation with the probe on
    the labelled ones; cached, its cost charged to every arm that asks. Needs `probe`.
    `dynamics(train)`: the probe's class probabilities (e, n, k) of all rows at e points of its training on all
    labelled rows, in order; cached likewise. Needs `dynamics`; BadInput where the probe does not train in steps.
    `fold_probes(train)`: for each fold of the labelled rows, the positions (h,) of those that its probe did not train
    on, and a function from rows (n, *d) to its class probabilities (n, k); trained at every call. Needs `probe`.
    `ask(ids)`: the true classes (len(ids),) of those rows; metered: each row asked for is a label bought. Needs `gold`.
    `valid()`: the validation rows with their labels, which then count as labels bought. Needs `valid`.
    `in_test(ids, way, parameters)`: True for each of those rows (len(ids),) that stands in the test part too, in one of
    the ways of `fingerprints.WAYS`. The harness compares the rows as the task holds them; no code of a strategy ever
    gets a test row. Needs `test`.
    `count(what, number)`: enters that many `votes`, `rules` or `edits` by people in the ledger.
    `note(name, text)`: enters a fact in the record, such as what was searched and chosen.
    `classes`: the names of the k classes, in the order of the columns of y.
    `cache`, `device`: where costly intermediates are kept, and where a network of the strategy computes.
    """

    rng: np.random.Generator
    pred_probs: Callable[[TrainSet], np.ndarray]
    dynamics: Callable[[TrainSet], np.ndarray]
    fold_probes: Callable[[TrainSet], list[tuple[np.ndarray, Callable[[Rows], np.ndarray]]]]
    ask: Callable[[np.ndarray], np.ndarray]
    valid: Callable[[], EvalSet]
    in_test: Callable[[np.ndarray, str, Mapping[str, Any]], np.ndarray]
    count: Callable[[str, int], None]
    note: Callable[[str, str], None]
    classes: tuple[str, ...]
    cache: Cache
    device: str


Strategy = Callable[[TrainSet, Tools], TrainSet]


def none(train: TrainSet, tools: Tools) -> TrainSet:
    """Returns the training set unchanged: the control of each family."""
    return train


def compose(first: Augment | None, second: Augment) -> Augment:
    """Returns a batch function that applies both, one after the other."""
    if first is None:
        return second
    return lambda x, y, rng: second(*first(x, y, rng), rng)
