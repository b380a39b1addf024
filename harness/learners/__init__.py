"""Defines what a learner gets besides the data, and what it returns.

A learner is a function `(train: TrainSet, valid: EvalSet, run: Run, *, …) -> Fit`; its YAML lies in `conf/model`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from harness.data import EvalSet, Rows, TrainSet
from harness.errors import BadInput
from harness.storage.cache import Cache
from harness.streams import salt_of, stream

Predict = Callable[[Rows], np.ndarray]
"""Rows (n, *d) to class probabilities (n, k) float32."""


@dataclass(frozen=True)
class Protocol:
    """Holds what every arm shares; nothing in here may depend on the arm.

    The budget of networks is counted in optimiser steps: `steps` or, if that is None, `epochs` passes over the task's
    training rows as they were before any strategy. An arm that drops rows therefore trains as long as its control.
    Steps bound nothing else. Linear models run to convergence or their `max_iter`, trees and boosting grow the trees
    or rounds of their YAML, AutoML tries the number of models of its YAML, label models in closed form or by EM run to
    their own end; all of these depend on no arm either, but are not equal to each other or to a network's steps.
    `selection` keeps the last weights, or those with the best validation metric (validation labels then count as
    bought).
    `augment_draws` is how often a learner that fits once draws an augmentation to grow its rows.
    `tuning_trials` is how many configurations an arm that tunes may try, the same for every arm.
    `lr_pretrained` is for networks that start from pretrained weights, `lr` for all the others.
    """

    version: int
    metric: Literal["accuracy", "balanced_accuracy", "macro_f1", "f1", "worst_class"]
    epochs: int
    steps: int | None
    batch_size: int
    optimiser: Literal["adamw", "sgd"]
    lr: float
    lr_pretrained: float
    weight_decay: float
    warmup: float
    selection: Literal["last", "best"]
    precision: Literal["auto", "fp32", "bf16"]
    augment_draws: int
    folds: int
    tuning_trials: int

    def __post_init__(self) -> None:
        counts = {"epochs": self.epochs, "batch_size": self.batch_size, "augment_draws": self.augment_draws}
        counts |= {"tuning_trials": self.tuning_trials}
        for name, count in {**counts, "steps": 1 if self.steps is None else self.steps}.items():
            if count < 1:
                raise BadInput(f"protocol.{name} is {count}: it must be 1 or more")
        rates = {"lr": self.lr, "lr_pretrained": self.lr_pretrained, "weight_decay": self.weight_decay}
        for name, rate in rates.items():
            if not 0 <= rate < np.inf:
                raise BadInput(f"protocol.{name} is {rate}: it must be a finite number, 0 or more")
        if not 0 <= self.warmup <= 1:
            raise BadInput(f"protocol.warmup is {self.warmup}: it is a share of the steps, from 0 to 1")
        if self.folds < 2:
            raise BadInput(f"protocol.folds is {self.folds}: cross-validation needs at least 2")

    def budget(self, rows: int) -> int:
        """Returns the optimiser steps for a task with that many training rows."""
        return self.steps if self.steps is not None else self.epochs * max(1, -(-rows // self.batch_size))

    def describe_budget(self, rows: int) -> str:
        """Returns what stays fixed if the number of training rows changes, and what it amounts to for that many."""
        count = f"{self.budget(rows)} optimiser steps of {self.batch_size} rows"
        held = (
            f"{self.epochs} epochs held fixed: {count} for {rows} rows" if self.steps is None else f"{count} held fixed"
        )
        return f"networks: {held}; other models are bound by their own options"


@dataclass(frozen=True)
class Run:
    """Holds the surroundings of one fit: its budget, its named random streams, its device, and where it reports.

    `salt` renames the streams that a learner draws from (`STREAMS`), and nothing else: two runs that differ only in the
    salt are an A/A pair. A salt such as `init:a` renames that stream only, see `salt_of`. `log` takes one row of the
    training curve: `{"step", "loss", …}`; `watch` is shown the model as it is then, by a learner that trains in steps.
    `groups` numbers the group of a training row by its id, for rows that have one: a learner that divides its rows
    keeps groups whole (see `folds.row_units`).
    """

    seed: int
    salt: str
    steps: int
    protocol: Protocol
    classes: tuple[str, ...]
    cache: Cache
    device: str = "cpu"
    log: Callable[[Mapping[str, float]], None] = lambda row: None
    watch: Callable[[Predict], None] = lambda predict: None
    groups: Mapping[str, int] = field(default_factory=dict)

    def stream(self, name: str) -> np.random.Generator:
        """Returns the generator of that name for this run."""
        return stream(self.seed, "learner", name, salt_of(self.salt, name))


@dataclass(frozen=True)
class Fit:
    """Holds a trained model: `predict` maps rows (n, *d) to class probabilities (n, k) float32, rows sum to 1.

    `parameters` counts trained scalars (0 where the notion is empty), `examples` the training examples presented,
    `valid_labels` the validation labels that the fit looked at (selection), `history` is the training curve.
    """

    predict: Predict
    parameters: int
    examples: int
    valid_labels: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


Learner = Callable[[TrainSet, EvalSet, Run], Fit]
