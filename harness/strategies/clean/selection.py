"""Trains on a part of the labelled rows: the hardest, the easiest, those that cover the rest, one of near equals.

How many stay is a share of the labelled rows; rows without a label pass untouched. Equals are drawn from.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int64
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from harness.checks import one_of, within
from harness.data import TrainSet
from harness.strategies import Tools
from harness.strategies.clean.fingerprints import salted_numbers
from harness.strategies.features import compute_features
from harness.streams import child_seed

DIGITS = 6
"""Decimals to which distances count: rows that differ only by rounding are equally far."""


def by_difficulty(train: TrainSet, tools: Tools, *, share: float, keep: Literal["hardest", "easiest"]) -> TrainSet:
    """Keeps the `share` of each class's rows that the probe finds hardest or easiest, at least one per class.

    Hard is a low out-of-sample probability of the row's label. Sorscher et al. 2022, "Beyond neural scaling laws",
    keep hard rows where there are many, and easy ones where there are few.
    """
    within("clean.share", share, 0, 1)
    one_of("clean.keep", keep, ("hardest", "easiest"))
    ease = (tools.pred_probs(train).astype(np.float64) * train.y).sum(1)
    order = np.lexsort((tools.rng.random(len(train)), (ease if keep == "hardest" else -ease).round(DIGITS)))
    stays = ~train.labelled
    for rows in (order[train.labelled[order] & (train.classes[order] == c)] for c in range(train.k)):
        stays[rows[: max(1, round(share * len(rows)))]] = True
    return train.rows(stays)


def k_centre(train: TrainSet, tools: Tools, *, share: float, encoder: str | None) -> TrainSet:
    """Keeps the `share` of rows that covers the others best: each next row is the farthest from those chosen so far.

    It begins with a random row of each class, so that none is lost. `encoder` as in `strategies.features`, which gives
    the distances. Sener and Savarese 2018, "Active learning for convolutional neural networks: a core-set approach",
    algorithm 1.
    """
    within("clean.share", share, 0, 1)
    rows, draw = np.flatnonzero(train.labelled), salted_numbers(train.ids, child_seed(tools.rng))
    x = compute_features(train.rows(rows).x, tools.cache, encoder=encoder).astype(np.float64)
    turn = np.argsort(draw[rows], kind="stable")
    first = np.unique(train.classes[rows][turn], return_index=True)[1]
    chosen = cover(x[turn], np.sort(first), max(len(first), round(share * len(rows))))
    stays = ~train.labelled
    stays[rows[turn[chosen]]] = True
    return train.rows(stays)


def cover(x: Float[np.ndarray, "r p"], first: Int64[np.ndarray, " f"], count: int) -> Int64[np.ndarray, " count"]:
    """Returns `count` rows: those of `first`, then each time the farthest from all so far, the earliest at a tie."""
    chosen = list(first)
    far = np.min([_squared(x, x[row]) for row in chosen], axis=0)
    while len(chosen) < count:
        far[chosen] = -1
        chosen.append(int(far.argmax()))
        far = np.minimum(far, _squared(x, x[chosen[-1]]))
    return np.array(chosen, dtype=np.int64)


def _squared(x: Float[np.ndarray, "r p"], row: Float[np.ndarray, " p"]) -> Float[np.ndarray, " r"]:
    return ((x - row) ** 2).sum(1).round(DIGITS)


def balanced_subset(train: TrainSet, tools: Tools, *, share: float) -> TrainSet:
    """Keeps a random `share` of the rows, as many of each class as of any other, as far as a class has them."""
    within("clean.share", share, 0, 1)
    counts = np.bincount(train.classes[train.labelled], minlength=train.k)
    stays = ~train.labelled
    for c, count in enumerate(equal_counts(counts, round(share * counts.sum()))):
        rows = np.flatnonzero(train.labelled & (train.classes == c))
        stays[tools.rng.choice(rows, size=count, replace=False)] = True
    return train.rows(stays)


def equal_counts(counts: Int64[np.ndarray, " k"], total: int) -> Int64[np.ndarray, " k"]:
    """Returns how many of each class to keep: equally many, but no more than there are, at least 1, `total` together.

    What is left over after an equal division goes to the first classes that have more.
    """
    level = max(
        (c for c in range(1, int(counts.max(initial=0)) + 1) if np.minimum(counts, c).sum() <= total), default=1
    )
    kept = np.minimum(counts, level)
    more = np.flatnonzero(counts > kept)[: max(0, total - int(kept.sum()))]
    kept[more] += 1
    return kept


def embedded_duplicates(train: TrainSet, tools: Tools, *, threshold: float, encoder: str | None) -> TrainSet:
    """Keeps one of the rows whose features point in nearly the same direction: a cosine of `threshold` or more.

    Rows are visited in random order, and each stays unless one that stays is that near: so no two rows that stay are.
    Labels play no part. Abbas et al. 2023, "SemDeDup: data-efficient learning at web-scale through semantic
    deduplication", without its clusters, which only save comparisons.
    """
    within("clean.threshold", threshold, -1, 1)
    rows, draw = np.flatnonzero(train.labelled), salted_numbers(train.ids, child_seed(tools.rng))
    x = normalize(compute_features(train.rows(rows).x, tools.cache, encoder=encoder).astype(np.float64))
    stays = ~train.labelled
    stays[rows[_apart(x, threshold, np.argsort(draw[rows], kind="stable"))]] = True
    return train.rows(stays)


def _apart(x: Float[np.ndarray, "r p"], threshold: float, order: Int64[np.ndarray, " r"]) -> Bool[np.ndarray, " r"]:
    """Returns which rows of length 1 stay, visited in that order."""
    reach = np.sqrt(max(0.0, 2 - 2 * threshold)) + 10.0**-DIGITS
    near = NearestNeighbors(radius=reach).fit(x).radius_neighbors(x, return_distance=False)
    stays, covered = np.zeros(len(x), dtype=bool), np.zeros(len(x), dtype=bool)
    for row in order.tolist():
        if not covered[row]:
            stays[row] = True
            covered[near[row]] = True
    return stays
