"""Keeps one of equal or nearly equal rows, which count twice and may carry different labels.

Which one never depends on the order of the rows: it is drawn, by the ids, from those with the group's most frequent
label. Rows without a label are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Int64

from harness.checks import one_of
from harness.data import Rows, TrainSet, row_hashes
from harness.strategies import Tools
from harness.strategies.clean.fingerprints import close_pictures, close_texts, keys, link_groups, salted_numbers
from harness.streams import child_seed

KEEP = ("majority", "agreeing", "undisputed")
Groups = Callable[[Rows], Int64[np.ndarray, " n"]]
"""Rows to one number per row, equal for rows that count as the same."""


def duplicates(train: TrainSet, tools: Tools, *, keep: str) -> TrainSet:
    """Keeps one row of each group with exactly the same content; `keep` as in `keep_one`."""
    return _without_twins(train, tools, row_hashes, keep)


def duplicate_keys(
    train: TrainSet, tools: Tools, *, columns: Sequence[str | int] | None, decimals: int, keep: str
) -> TrainSet:
    """Keeps one row of each group of a table with equal `columns` (None: all), numbers rounded to `decimals`."""
    return _without_twins(train, tools, lambda x: keys(x, columns, decimals), keep)


def near_duplicate_images(train: TrainSet, tools: Tools, *, distance: int, keep: str) -> TrainSet:
    """Keeps one picture of each group joined by perceptual hashes that differ in at most `distance` of 64 bits.

    Groups are joined by chains of such pairs, so a long row of small steps is one group.
    """
    return _without_twins(train, tools, lambda x: link_groups(len(x), close_pictures(x, distance)), keep)


def near_duplicate_texts(train: TrainSet, tools: Tools, *, shingle: int, threshold: float, keep: str) -> TrainSet:
    """Keeps one text of each group joined by Jaccard similarities of at least `threshold`, by MinHash (Broder, 1997).

    The sets compared are the runs of `shingle` characters; case and spaces do not count.
    """
    return _without_twins(train, tools, lambda x: link_groups(len(x), close_texts(x, shingle, threshold)), keep)


def _without_twins(train: TrainSet, tools: Tools, groups: Groups, keep: str) -> TrainSet:
    one_of("clean.keep", keep, KEEP)
    rows, stays = np.flatnonzero(train.labelled), np.ones(len(train), dtype=bool)
    if len(rows):
        stays[rows] = keep_one(train.rows(rows), groups(train.rows(rows).x), keep, child_seed(tools.rng))
    return train.rows(stays)


def keep_one(train: TrainSet, group: Int64[np.ndarray, " n"], keep: str, salt: int) -> Bool[np.ndarray, " n"]:
    """Returns True for at most one row of each group, one whose class has the most weight in it.

    Classes of equal weight, and rows of that class, are drawn from by their ids and `salt`. Where the classes of a
    group differ, `majority` keeps one row, `agreeing` keeps all rows of that class but none of another (repeats that
    agree are left as they are), `undisputed` keeps no row of such a group.
    """
    codes = np.unique(group, return_inverse=True)[1]
    mass = np.zeros((codes.max() + 1, train.k))
    np.add.at(mass, (codes, train.classes), train.w)
    own, draw = mass[codes, train.classes].round(6), salted_numbers(train.ids, salt)  # sums in any order are equal then
    order = np.lexsort((draw, -own, codes))
    first = order[np.unique(codes[order], return_index=True)[1]]  # the row kept, by group
    disputed = ((mass > 0).sum(1) > 1)[codes]
    agrees = train.classes == train.classes[first][codes]
    chosen = np.zeros(len(train), dtype=bool)
    chosen[first] = True
    return {"majority": chosen, "agreeing": agrees, "undisputed": chosen & ~disputed}[keep]
