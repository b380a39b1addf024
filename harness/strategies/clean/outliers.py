"""Rows that lie far from all others are dropped: broken pictures, foreign texts, cells typed into the wrong column.

Labels play no part, and rows without one are never looked at.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from harness.checks import within
from harness.data import TrainSet
from harness.errors import BadInput
from harness.strategies import Tools
from harness.strategies.clean.fingerprints import salted_numbers
from harness.strategies.features import compute_features
from harness.streams import child_seed

Strangeness = Callable[[np.ndarray], Float[np.ndarray, " n"]]
"""Features (n, p) to a number a row, high where the row is unlike the others."""


def knn_outliers(train: TrainSet, tools: Tools, *, share: float, k: int, encoder: str | None) -> TrainSet:
    """The set without the `share` of its labelled rows whose `k`-th neighbour is farthest (Ramaswamy et al., 2000).

    `encoder` as in `harness.strategies.features.compute_features`. BadInput where there are not more than `k` labelled
    rows.
    """

    def far(x: np.ndarray) -> Float[np.ndarray, " n"]:
        if not 0 < k < len(x):
            raise BadInput(f"clean.k={k} neighbours cannot be had of {len(x)} labelled rows: give 1 to {len(x) - 1}")
        distance, _ = NearestNeighbors(n_neighbors=k).fit(x).kneighbors()
        return distance[:, -1]

    return _without_strangest(train, tools, share, encoder, far)


def forest_outliers(train: TrainSet, tools: Tools, *, share: float, n_estimators: int, encoder: str | None) -> TrainSet:
    """The set without the `share` of its labelled rows that an isolation forest isolates soonest (Liu et al., 2008)."""

    def isolated(x: np.ndarray) -> Float[np.ndarray, " n"]:
        forest = IsolationForest(n_estimators=n_estimators, random_state=child_seed(tools.rng))
        return -forest.fit(x).score_samples(x)

    return _without_strangest(train, tools, share, encoder, isolated)


def _without_strangest(
    train: TrainSet, tools: Tools, share: float, encoder: str | None, strangeness: Strangeness
) -> TrainSet:
    """The set without the strangest rows; equals, as far as six digits tell, are drawn from by their ids."""
    within("clean.share", share, 0, 0.99)
    stays, rows = np.ones(len(train), dtype=bool), np.flatnonzero(train.labelled)
    draw = salted_numbers(train.ids[rows], child_seed(tools.rng))
    with threadpool_limits(limits=1):
        strange = strangeness(compute_features(train.rows(rows).x, tools.cache, encoder=encoder))
    stays[rows[np.lexsort((draw, -strange.round(6)))[: round(share * len(rows))]]] = False
    return train.rows(stays)
