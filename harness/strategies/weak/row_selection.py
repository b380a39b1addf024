"""Keeps the most trustworthy labels of a weak strategy; the other rows return to what they were before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from scipy.special import entr
from sklearn.neighbors import NearestNeighbors

from harness.checks import within
from harness.data import TrainSet
from harness.errors import BadInput
from harness.strategies import Strategy, Tools
from harness.strategies.features import compute_features

Doubt = Callable[[TrainSet], Float64[np.ndarray, " r"]]
"""Newly labelled rows to the doubt about each."""


def cut_statistic(
    train: TrainSet, tools: Tools, *, first: Strategy, share: float, neighbours: int, encoder: str | None
) -> TrainSet:
    """Keeps the `share` of new labels of `first` that agree best with the labels of their neighbours.

    Lang, Vijayaraghavan & Sontag 2022, "Training subset selection for weak supervision": in the graph of each row's
    `neighbours` among the newly labelled rows, weighted by closeness, the statistic says how many standard deviations
    the cut edges (to rows of another class) lie below their expectation if labels were independent of features.
    `encoder`: see `harness.strategies.features`, which gives the distances.
    """
    within("neighbours", neighbours, 1, np.inf)

    def doubt(given: TrainSet) -> Float64[np.ndarray, " r"]:
        return cuts(compute_features(given.x, tools.cache, encoder=encoder), given, neighbours, tools.rng)

    return _trusted(train, tools, first, share, doubt)


def most_confident(train: TrainSet, tools: Tools, *, first: Strategy, share: float) -> TrainSet:
    """Keeps the `share` of new labels of `first` with the lowest entropy.

    BadInput if all labels are equally certain, because `first` gives hard ones.
    """

    def doubt(given: TrainSet) -> Float64[np.ndarray, " r"]:
        entropy = entr(given.y.astype(np.float64)).sum(1).round(6)
        if np.ptp(entropy) == 0:
            raise BadInput("all new labels are equally sure, so none can be preferred: set weak.first.labels=soft")
        return entropy

    return _trusted(train, tools, first, share, doubt)


def random_share(train: TrainSet, tools: Tools, *, first: Strategy, share: float) -> TrainSet:
    """Keeps a random `share` of the new labels of `first`: as many as the other filters keep."""
    return _trusted(train, tools, first, share, lambda given: np.zeros(len(given)))


def cuts(
    points: Float32[np.ndarray, "r d"], given: TrainSet, neighbours: int, rng: np.random.Generator
) -> Float64[np.ndarray, " r"]:
    """Returns the cut statistic of each row, low if its neighbours agree with it; BadInput for too few rows.

    Ties between equally near rows are drawn at random, so that they do not depend on the order of rows.
    """
    if neighbours >= len(given):
        raise BadInput(f"neighbours={neighbours} is too many: only {len(given)} rows were labelled; choose fewer")
    turn = rng.permutation(len(given))
    near, distance = _neighbours(points[turn].astype(np.float64), neighbours)
    classes = given.classes[turn]
    weights = 1 / (1 + distance)
    commonness = (np.bincount(classes, minlength=given.k) / len(classes))[classes]
    cut = (weights * (classes[near] != classes[:, np.newaxis])).sum(1)
    expected = (1 - commonness) * weights.sum(1)
    deviation = np.sqrt(commonness * (1 - commonness) * (weights**2).sum(1))
    statistic = np.divide(cut - expected, deviation, out=np.zeros_like(cut), where=deviation > 0)
    return statistic[np.argsort(turn)]


def _neighbours(
    points: Float64[np.ndarray, "r d"], number: int
) -> tuple[Int64[np.ndarray, "r q"], Float64[np.ndarray, "r q"]]:
    """Returns each row's nearest other rows and their distances."""
    distance, near = NearestNeighbors(n_neighbors=number).fit(points).kneighbors()
    return near.astype(np.int64), distance


def _trusted(train: TrainSet, tools: Tools, first: Strategy, share: float, doubt: Doubt) -> TrainSet:
    """Applies `first`, then undoes its most doubtful changes of labels or weights.

    Ties are drawn at random. BadInput if `first` adds, drops or moves rows.
    """
    within("share", share, 0, 1)
    after = first(train, tools)
    if not np.array_equal(after.ids, train.ids):
        raise BadInput("weak.first adds or drops rows, but this filter can only choose among labels of existing rows")
    new = np.flatnonzero((after.y != train.y).any(1) | (after.w != train.w))
    if not len(new):
        raise BadInput("weak.first labels no row, so there is nothing to choose from")
    order = np.lexsort([tools.rng.random(len(new)), doubt(after.rows(new)).round(9)])
    kept = new[order[: max(1, round(share * len(new)))]]
    return _with_labels_of(train, after, kept)


def _with_labels_of(train: TrainSet, after: TrainSet, rows: Int64[np.ndarray, " r"]) -> TrainSet:
    """Returns the first set with labels and weights of the second in those rows."""
    chosen: Bool[np.ndarray, " n"] = np.zeros(len(train), dtype=bool)
    chosen[rows] = True
    return replace(
        after,
        y=np.where(chosen[:, np.newaxis], after.y, train.y),
        w=np.where(chosen, after.w, train.w),
    )
