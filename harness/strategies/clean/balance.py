"""Balances classes of different sizes, by weights or by dropping rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.checks import within
from harness.data import TrainSet
from harness.strategies import Tools


def balanced_weights(train: TrainSet, tools: Tools, *, power: float) -> TrainSet:
    """Weights rows by the inverse of their class's weight in the set, to that `power`; the sum is kept.

    1 gives every class the same weight, 0 changes nothing, 0.5 goes half-way. A soft label counts as a mixture. Cui et
    al. 2019, "Class-balanced loss", section 2, reviews such weights.
    """
    within("clean.power", power, 0, 1)
    mass = (train.w[:, None].astype(np.float64) * train.y).sum(0)
    share = mass / max(mass.sum(), np.finfo(float).tiny)
    factor = np.where(share > 0, np.maximum(share, np.finfo(float).tiny) ** -power, 0)
    w = train.w * (train.y @ factor)
    total = w.sum()
    return replace(train, w=(w * (train.w.sum() / total if total else 1)).astype(np.float32))


def under_sample(train: TrainSet, tools: Tools, *, ratio: float) -> TrainSet:
    """Drops random rows of larger classes, down to at most `ratio` times the rows of the smallest one."""
    within("clean.ratio", ratio, 1, np.inf)
    stays = np.ones(len(train), dtype=bool)
    counts = np.bincount(train.classes[train.labelled], minlength=train.k)
    most = int(ratio * counts[counts > 0].min(initial=len(train)))
    for c in np.flatnonzero(counts > most):
        rows = np.flatnonzero(train.labelled & (train.classes == c))
        stays[tools.rng.choice(rows, size=counts[c] - most, replace=False)] = False
    return train.rows(stays)
