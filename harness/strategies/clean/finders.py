"""Finders of wrong labels: they give each row a quality (see label_errors.py); low = suspect.

Those that watch a training look at the probe's probabilities (e, n, k) at e points of it; those that ask neighbours
look at the rows' features (see features.py). Finders that need out-of-sample probabilities are in
confident_learning.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from sklearn.metrics import pairwise_distances_chunked

from harness.checks import one_of
from harness.data import TrainSet
from harness.errors import BadInput
from harness.strategies import Tools
from harness.strategies.clean.label_errors import Suspects
from harness.strategies.features import compute_features, features_like

MEMORY = 64
"""MiB of distances that are held at once."""
LEAST_PROBABILITY = np.finfo(np.float32).tiny
"""Replaces a probability of 0, whose logarithm would be infinite."""
QUALITY_DIGITS = 6
"""Decimals to which squared distances count: rows that differ only by rounding are equally near."""


def uncertainty(train: TrainSet, tools: Tools) -> Suspects:
    """Returns the probe's negative entropy in nats: low for uncertain rows, whatever their label (uncertainty
    sampling).

    Lewis and Gale 1994.
    """
    probs = np.maximum(tools.pred_probs(train).astype(np.float64), LEAST_PROBABILITY)
    return _labelled_only(train, (probs * np.log(probs)).sum(1))


def area_under_margin(train: TrainSet, tools: Tools) -> Suspects:
    """Returns the mean over training of the given class's logit minus the largest other one.

    Pleiss et al. 2020, "Identifying mislabeled data using the area under the margin ranking", eq. 1. Differences of
    log-probabilities are differences of logits.
    """
    return _labelled_only(train, _margins(train, tools).mean(0))


def small_loss(train: TrainSet, tools: Tools, *, until: float) -> Suspects:
    """Returns the negative mean cross-entropy with the given class over the first `until` of training, in nats.

    Networks fit right labels first, so that a wrong one keeps a large loss (Han et al. 2018, co-teaching; Arpit et al.
    2017); `until` is a share in (0, 1], of which at least one point is looked at.
    """
    if not 0 < until <= 1:
        raise BadInput(f"until={until} is out of range; it must lie above 0 and not above 1")
    given = _log_probs(train, tools)[:, np.arange(len(train)), train.classes]
    return _labelled_only(train, given[: max(1, round(until * len(given)))].mean(0))


def forgetting(train: TrainSet, tools: Tools) -> Suspects:
    """Returns minus how often a row was right and then wrong in training; -e if it was never right in e looks.

    Toneva et al. 2019, "An empirical study of example forgetting". Right is a probability above all others.
    """
    right = _margins(train, tools) > 0
    events = (right[:-1] & ~right[1:]).sum(0)
    return _labelled_only(train, -np.where(right.any(0), events, len(right)).astype(np.float64))


def neighbours(train: TrainSet, tools: Tools, *, k: int, encoder: str | None) -> Suspects:
    """Returns the share of a row's `k` nearest labelled rows with its label (edited nearest neighbours, Wilson 1972).

    All rows as near as the k-th count, those of the row's own group included. BadInput if there are fewer others.
    """
    rows, x, given = _labelled(train, tools, k, encoder)
    shares = []
    for own, far in _squared_distances(x, x):
        far[np.arange(len(own)), own] = np.inf
        near = far <= np.partition(far, k - 1, axis=1)[:, k - 1 : k]
        shares.append((near & (given == given[own, None])).sum(1) / near.sum(1))
    return _spread(train, rows, np.concatenate(shares))


def shapley(train: TrainSet, tools: Tools, *, k: int, reference: str, encoder: str | None) -> Suspects:
    """Returns the exact Shapley value of each row for a classifier by `k` nearest neighbours.

    Jia et al. 2019, "Efficient task-specific data valuation for nearest neighbor algorithms", theorem 1. `reference`
    says which rows are classified: `valid`, the validation rows (whose labels are then counted), or `train`, every
    labelled row by all others, those of its group included. Ties between equally near rows are drawn at random.
    """
    one_of("reference", reference, ("train", "valid"))
    rows, x, given = _labelled(train, tools, k, encoder)
    left_out = reference == "train"
    served, wanted = (x, given) if left_out else _validation(train, tools, encoder)
    luck, value = tools.rng.random(len(rows)), np.zeros(len(rows))
    for own, far in _squared_distances(served, x):
        if left_out:
            far[np.arange(len(own)), own] = np.inf
        order = np.lexsort((np.broadcast_to(luck, far.shape), far))[:, : len(rows) - left_out]
        value += _shapley_values(order, given == wanted[own, None], k)
    return _spread(train, rows, value / len(served))


def _shapley_values(
    order: Int64[np.ndarray, "b o"], right: Bool[np.ndarray, "b r"], k: int
) -> Float64[np.ndarray, " r"]:
    """Returns the values of r rows, summed over the b rows that are classified.

    `order` lists the rows from the nearest to the farthest, `right` says which bear the label that is wanted.
    """
    last = order.shape[1]
    rank = np.arange(1, last)
    ranked = np.take_along_axis(right, order, axis=1).astype(np.float64)
    steps = (ranked[:, :-1] - ranked[:, 1:]) * np.minimum(k, rank) / (k * rank)
    farthest = ranked[:, -1:] * min(k, last) / (k * last)
    value = np.concatenate([steps, farthest], axis=1)[:, ::-1].cumsum(1)[:, ::-1]
    return np.bincount(order.ravel(), weights=value.ravel(), minlength=right.shape[1])


def _labelled(
    train: TrainSet, tools: Tools, k: int, encoder: str | None
) -> tuple[Int64[np.ndarray, " r"], Float32[np.ndarray, "r p"], Int64[np.ndarray, " r"]]:
    """Returns the positions, features and classes of the labelled rows; BadInput if `k` exceeds their number."""
    rows = np.flatnonzero(train.labelled)
    if not 1 <= k < len(rows):
        raise BadInput(f"k={k} neighbours are asked for: with {len(rows)} labelled rows, say 1 to {len(rows) - 1}")
    return rows, compute_features(train.x, tools.cache, encoder=encoder)[rows], train.classes[rows]


def _validation(
    train: TrainSet, tools: Tools, encoder: str | None
) -> tuple[Float32[np.ndarray, "v p"], Int64[np.ndarray, " v"]]:
    """Returns features and true classes of the validation rows, which are then counted."""
    valid = tools.valid()
    x = valid.x if train.prepare is None else train.prepare(valid.x)
    return features_like(train.x, x, tools.cache, encoder=encoder), valid.y


def _squared_distances(
    rows: Float32[np.ndarray, "v p"], others: Float32[np.ndarray, "r p"]
) -> Iterator[tuple[Int64[np.ndarray, " b"], Float32[np.ndarray, "b r"]]]:
    """Yields some rows at a time with their squared distances to all others, exact up to single precision."""
    start = 0
    parts = pairwise_distances_chunked(rows, others, metric="euclidean", working_memory=MEMORY, squared=True)
    for part in parts:
        yield np.arange(start, start + len(part)), np.round(part, QUALITY_DIGITS)
        start += len(part)


def _log_probs(train: TrainSet, tools: Tools) -> Float64[np.ndarray, "e n k"]:
    return np.log(np.maximum(tools.dynamics(train).astype(np.float64), LEAST_PROBABILITY))


def _margins(train: TrainSet, tools: Tools) -> Float64[np.ndarray, "e n"]:
    """Returns the log-probability of the given class minus the largest other one, at every point of training."""
    log_probs, each = _log_probs(train, tools), np.arange(len(train))
    given = log_probs[:, each, train.classes]
    log_probs[:, each, train.classes] = -np.inf
    return given - log_probs.max(2)


def _labelled_only(train: TrainSet, quality: Float64[np.ndarray, " n"]) -> Suspects:
    return Suspects(np.where(train.labelled, quality, np.inf))


def _spread(train: TrainSet, rows: Int64[np.ndarray, " r"], quality: Float64[np.ndarray, " r"]) -> Suspects:
    """Returns the quality of the labelled rows at their positions, inf elsewhere."""
    whole = np.full(len(train), np.inf)
    whole[rows] = quality
    return Suspects(whole)
