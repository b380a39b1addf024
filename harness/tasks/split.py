"""Draws rows stratified by class, keeping groups whole.

scikit-learn's splitters are not used: the stratified one refuses a class with a single row and a rest smaller than
the number of classes, the grouped one takes 15 s for 20,000 groups. Here both are one draw by largest remainders.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from harness.streams import stream


def fixed_stream(seed: int, split_seed: int | None) -> np.random.Generator:
    """Returns the generator that draws the test part: from `split_seed` for all trials, or from the trial's seed if
    None.
    """
    return stream(seed if split_seed is None else split_seed, "task", "test")


def quota(counts: Int64[np.ndarray, " s"], n: int, least: Int64[np.ndarray, " s"]) -> Int64[np.ndarray, " s"]:
    """Returns how many of `n` rows come from each stratum of size `counts`: its proportional share, by largest
    remainders.

    No stratum gives fewer than `least` or more than it has; `least.sum() <= n <= counts.sum()`.
    """
    share = counts * (n / max(1, counts.sum()))
    given = np.clip(np.floor(share).astype(np.int64), least, counts)
    while given.sum() < n:
        given[np.where(given < counts, share - given, -np.inf).argmax()] += 1
    while given.sum() > n:
        given[np.where(given > least, given - share, -np.inf).argmax()] -= 1
    return given


def draw_stratified(
    strata: Int64[np.ndarray, " n"], n: int, rng: np.random.Generator, cover: bool = False
) -> np.ndarray:
    """Returns `n` row numbers, ascending, drawn so that every stratum has its share.

    With `cover` each stratum >= 0 gives at least one row (stratum -1 holds rows without a class). The rows are the
    first of one shuffle per stratum, so with equal generators a larger draw tends to contain the smaller one.
    """
    values, codes = np.unique(strata, return_inverse=True)
    counts = np.bincount(codes, minlength=len(values))
    take = quota(counts, n, ((values >= 0) & cover).astype(np.int64))
    order = rng.permutation(len(strata))
    order = order[np.argsort(codes[order], kind="stable")]
    starts = np.cumsum(counts) - counts
    rank = np.arange(len(order)) - np.repeat(starts, counts)
    return np.sort(order[rank < np.repeat(take, counts)])


def hold_out(
    strata: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"], fraction: float, rng: np.random.Generator
) -> np.ndarray:
    """Returns row numbers of that fraction of the rows, stratified, in whole groups; at least one group, never all.

    Rows of stratum -1 (no known class) are not drawn themselves. A group belongs to the stratum of most of its rows.
    `groups` are codes with arbitrary numbers; rows in groups of one are drawn one by one.
    """
    rows = np.flatnonzero(strata >= 0)
    _, unit = np.unique(groups[rows], return_inverse=True)
    classes = _majority(unit, strata[rows])
    n = min(max(1, round(len(classes) * fraction)), max(0, len(classes) - 1))
    return rows[np.isin(unit, draw_stratified(classes, n, rng))]


def _majority(unit: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Returns the most frequent stratum of each unit 0..u-1, the lowest at a tie."""
    pairs, counts = np.unique(np.stack([unit, strata]), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], -counts, pairs[0]))
    first = np.unique(pairs[0][order], return_index=True)[1]
    return np.asarray(pairs[1][order][first])
