"""Tables augmented by noise or by rows of their own, and the negative control that repeats every row unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from sklearn.metrics import pairwise_distances_argmin
from torch import Tensor

from harness.checks import one_of, within
from harness.data import TrainSet, one_hot
from harness.errors import TrialFailed
from harness.strategies import Tools, compose
from harness.streams import child_seed

OVERSAMPLERS = ("smote", "borderline", "adasyn", "random")


def repeat(train: TrainSet, tools: Tools) -> TrainSet:
    """Repeats every row unchanged: the effect of more rows alone on a learner that fits once; none on others."""
    return replace(train, augment=compose(train.augment, lambda x, y, rng: (x, y)))


def jitter(train: TrainSet, tools: Tools, *, sigma: float) -> TrainSet:
    """Adds Gaussian noise to every column, `sigma` times the column's deviation over the labelled rows.

    Constant columns, columns of 0 and 1 (categories, truth values) and missing values stay unchanged.
    """
    within("sigma", sigma, 0.0, 10.0)
    x = np.asarray(train.rows(train.labelled).x, dtype=np.float64)
    spread = np.where(_is_binary(x), 0.0, sigma * _deviation(x))
    return replace(train, augment=compose(train.augment, partial(_jitter, spread=spread)))


def _is_binary(x: Float64[np.ndarray, "n d"]) -> Bool[np.ndarray, " d"]:
    """Returns which columns hold nothing but 0 and 1: levels of categories, or truth values."""
    return np.asarray(((x == 0) | (x == 1) | np.isnan(x)).all(0))


def _deviation(x: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, " d"]:
    """Returns the deviation of each column's known values; 0 if none is known."""
    missing = np.isnan(x)
    known = np.maximum((~missing).sum(0), 1)
    centred = np.where(missing, 0, x - np.where(missing, 0, x).sum(0) / known)
    return np.sqrt((centred**2).sum(0) / known)


def _jitter(
    x: Float[Tensor, "b d"], y: Tensor, rng: np.random.Generator, *, spread: np.ndarray
) -> tuple[Float[Tensor, "b d"], Tensor]:
    noise = torch.from_numpy(rng.standard_normal(tuple(x.shape)) * spread)
    return x + noise.to(x.device, x.dtype), y


def oversample(train: TrainSet, tools: Tools, *, method: str, k_neighbors: int) -> TrainSet:
    """Adds rows to smaller classes until each has as many labelled rows as the largest (imbalanced-learn).

    `smote` puts them between a row and one of its `k_neighbors` nearest of its class (Chawla et al. 2002),
    `borderline` only at rows with many neighbours of other classes (Han et al. 2005), `adasyn` more of them for
    rows with more such neighbours (He et al. 2008); `random` repeats rows and ignores `k_neighbors`. A row's class is
    its most probable one. Neighbours are found on standardised columns. Columns of 0 and 1, levels of categories as a
    rule, are taken whole from the nearest row. New rows have a hard label, the mean weight of the labelled rows and no
    votes. TrialFailed if a class is too small, or values are missing.
    """
    one_of("method", method, OVERSAMPLERS)
    rows = train.rows(train.labelled)
    x = np.asarray(rows.x, dtype=np.float64)
    _check_neighbours(rows, x, method, k_neighbors)
    deviation, mean = _deviation(x), np.nan_to_num(x).mean(0)
    scale = np.where(deviation > 1e-9 * np.abs(mean), deviation, 1)
    grown, classes = _resampled((x - mean) / scale, rows.classes, method, k_neighbors, child_seed(tools.rng))
    added, new = len(classes) - len(rows), slice(len(rows), None)
    if not added:
        return train
    placed = _whole_levels(grown[new] * scale + mean, grown[new], (x - mean) / scale, x)
    return replace(
        train,
        ids=np.concatenate([train.ids.astype(np.str_), [f"{method}/{number}" for number in range(added)]]),
        x=np.concatenate([train.x, placed.astype(train.x.dtype)]),
        y=np.concatenate([train.y, one_hot(classes[new], train.k)]),
        w=np.concatenate([train.w, np.full(added, rows.w.mean(), dtype=np.float32)]),
        votes=np.concatenate([train.votes, np.full((added, train.votes.shape[1]), -1, dtype=np.int8)]),
    )


def _whole_levels(
    placed: Float64[np.ndarray, "g d"], at: Float64[np.ndarray, "g d"], seen: Float64[np.ndarray, "n d"],
    x: Float64[np.ndarray, "n d"],
) -> Float64[np.ndarray, "g d"]:  # fmt: skip
    """Returns the new rows with the columns of 0 and 1 of the row of `x` that is nearest, by standardised columns."""
    binary = _is_binary(x)
    if not binary.any():
        return placed
    nearest = pairwise_distances_argmin(at, seen)
    return np.where(binary, x[nearest], placed)


def _check_neighbours(rows: TrainSet, x: Float64[np.ndarray, "n d"], method: str, k_neighbors: int) -> None:
    """Refuses, in our words, what imbalanced-learn would refuse."""
    if method == "random":
        return
    if np.isnan(x).any():
        raise TrialFailed(f"{method} cannot place rows beside missing values: fill them in first (clean=impute)")
    counts = np.bincount(rows.classes, minlength=rows.k)
    small = [c for c in range(rows.k) if 0 < counts[c] <= k_neighbors and counts[c] < counts.max()]
    if small:
        raise TrialFailed(
            f"{method} needs more than k_neighbors={k_neighbors} labelled rows per class; class {small[0]} has "
            f"{counts[small[0]]}: lower k_neighbors, or set method=random"
        )


def _resampled(
    x: Float64[np.ndarray, "n d"], classes: np.ndarray, method: str, k_neighbors: int, seed: int
) -> tuple[Float64[np.ndarray, "g d"], np.ndarray]:
    """Returns the rows, then the new ones, with their classes."""
    from imblearn.over_sampling import ADASYN, SMOTE, BorderlineSMOTE, RandomOverSampler

    makers: Mapping[str, Callable[[], Any]] = {
        "smote": lambda: SMOTE(random_state=seed, k_neighbors=k_neighbors),
        "borderline": lambda: BorderlineSMOTE(random_state=seed, k_neighbors=k_neighbors),
        "adasyn": lambda: ADASYN(random_state=seed, n_neighbors=k_neighbors),
        "random": lambda: RandomOverSampler(random_state=seed),
    }
    try:
        grown, labels = makers[method]().fit_resample(x, classes)
    except (ValueError, RuntimeError) as error:
        raise TrialFailed(f"{method} cannot add rows: {str(error).strip().splitlines()[0]}") from error
    return np.asarray(grown), np.asarray(labels)
