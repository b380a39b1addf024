"""Turns a training set into one that a limited learner can take, and says what was changed for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.data import TrainSet, one_hot
from harness.errors import TrialFailed

LIMITS = {
    "weights": "weights of rows",
    "soft_labels": "soft labels",
    "augmentation": "augmented batches",
    "missing_values": "missing values",
    "probabilities": "a use as the probe, for want of probabilities",
    "dynamics": "a look at its training, which is not in steps",
    "hidden_mixup": "mixing of hidden representations",
}
"""What an option in `conf/model` may list under `lacks`, in words."""


def adapt_to_limits(train: TrainSet, lacks: Sequence[str], rng: np.random.Generator) -> tuple[TrainSet, list[str]]:
    """Returns the set in a form that a learner with these limits can take, and one sentence for each change.

    For a learner without soft labels a row gets its most probable class; ties are drawn at random. TrialFailed where
    the learner takes no weights and those of the labelled rows differ, because to ignore them would be another
    strategy.
    """
    told: list[str] = []
    if "weights" in lacks and len(np.unique(train.w[train.labelled])) > 1:
        raise TrialFailed("the model takes no weights of rows, and the strategies gave rows different weights")
    soft = train.labelled & (train.y.max(1) < 1)
    if "soft_labels" in lacks and soft.any():
        best = train.y == train.y.max(1, keepdims=True)
        classes = np.where(best, rng.random(train.y.shape), -1).argmax(1)
        y = train.y.copy()
        y[soft] = one_hot(classes[soft], train.k)
        train = replace(train, y=y)
        told.append(f"{int(soft.sum())} soft labels became hard ones, which is all that the model takes")
    return train, told


def check_complete(x: np.ndarray, lacks: Sequence[str], part: str) -> None:
    """Raises TrialFailed where a model that cannot take missing values would be given some."""
    if "missing_values" not in lacks or getattr(x, "dtype", np.dtype("U1")).kind != "f":
        return
    missing = int(np.isnan(np.asarray(x)).sum())
    if missing:
        raise TrialFailed(
            f"{missing} values of the {part} rows are missing, and the model takes none: fill them in (clean=impute)"
        )
