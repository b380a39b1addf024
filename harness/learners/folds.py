"""Divides training rows into folds that keep together the rows of one group and rows of equal content."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
from jaxtyping import Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedKFold

from harness.data import TrainSet, row_hashes
from harness.streams import child_seed


def row_units(train: TrainSet, groups: Mapping[str, int]) -> Int64[np.ndarray, " n"]:
    """Returns the number of each row's unit; rows of one unit are never divided between fitting and predicting.

    Two rows share a unit if they are of one group, if their content is equal, or if further rows link them in these
    ways. `groups` holds the group's number by the row's id; a row that is not in it, such as one that a strategy
    added, has no group.
    """
    n = len(train)
    _, content = np.unique(row_hashes(train.x), return_inverse=True)
    rows, nodes = [np.arange(n)], [n + content]
    if groups:
        group = np.array([groups.get(str(name), -1) for name in train.ids.tolist()], dtype=np.int64)
        rows.append(np.flatnonzero(group >= 0))
        nodes.append(2 * n + group[group >= 0])
    ends = np.concatenate(rows), np.concatenate(nodes)
    size = int(ends[1].max(initial=n)) + 1
    links = coo_array((np.ones(len(ends[0]), dtype=np.int8), ends), shape=(size, size))
    return np.asarray(connected_components(links, directed=False)[1][:n], dtype=np.int64)


def are_single(units: Int64[np.ndarray, " n"]) -> bool:
    """Returns whether every row is a unit of its own."""
    return len(np.unique(units)) == len(units)


def stratified_folds(
    classes: Int64[np.ndarray, " n"], units: Int64[np.ndarray, " n"], number: int, rng: np.random.Generator
) -> Int64[np.ndarray, " n"]:
    """Returns the fold of each row, 0 to `number` - 1, stratified by class, units whole.

    Single rows are divided by scikit-learn's `StratifiedKFold`.
    """
    if not are_single(units):
        return _whole_units(classes, units, number, rng)
    splitter = StratifiedKFold(number, shuffle=True, random_state=child_seed(rng))
    fold = np.zeros(len(classes), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")
        for place, (_, held_out) in enumerate(splitter.split(classes, classes)):
            fold[held_out] = place
    return fold


def _whole_units(
    classes: Int64[np.ndarray, " n"], units: Int64[np.ndarray, " n"], number: int, rng: np.random.Generator
) -> Int64[np.ndarray, " n"]:
    """Puts each unit, the largest first, into the fold that has the smallest share of the unit's classes so far.

    This lowers the variance over folds of each class's share, as scikit-learn's `StratifiedGroupKFold` does, which
    takes 15 s for 60,000 units where this takes one. Equal units come in random order.
    """
    share = 1 / np.bincount(classes)[classes]
    order = np.argsort(units, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(units[order])) + 1)
    weight = np.array([share[rows].sum() for rows in members])
    turn = rng.permutation(len(members))
    fold, filled = np.zeros(len(classes), dtype=np.int64), np.zeros((number, int(classes.max()) + 1))
    for rows in (members[place] for place in turn[np.argsort(-weight[turn], kind="stable")]):
        likeness = filled[:, classes[rows]] @ share[rows]
        chosen = int(np.lexsort((filled.sum(1), likeness))[0])
        fold[rows] = chosen
        np.add.at(filled[chosen], classes[rows], share[rows])
    return fold
