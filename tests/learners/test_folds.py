"""Folds of training rows: units whole, classes spread, and for single rows those of scikit-learn."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from conftest import train_set
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from harness.data import TrainSet
from harness.learners.folds import are_single, row_units, stratified_folds
from harness.streams import child_seed


def numbered(classes: list[int]) -> TrainSet:
    return train_set(np.arange(len(classes), dtype=np.float32)[:, None], classes, 3)


def together(units: np.ndarray) -> list[list[int]]:
    """The rows of each unit of several rows."""
    rows = [np.flatnonzero(units == unit).tolist() for unit in dict.fromkeys(units.tolist())]
    return [each for each in rows if len(each) > 1]


def test_rows_of_one_group_or_of_equal_content_are_one_unit_and_so_is_what_links_them() -> None:
    train = numbered([0, 1, 2, 0, 1, 2, 0, 1])
    x = train.x.copy()
    x[4] = x[1]
    names = train.ids.astype(str).tolist()
    twins = replace(train, x=x)
    assert together(row_units(twins, {})) == [[1, 4]]
    assert together(row_units(twins, {names[4]: 7, names[5]: 7, names[0]: 2, "elsewhere": 2})) == [[1, 4, 5]]
    assert are_single(row_units(train, {}))
    assert together(row_units(train, {names[2]: 0, names[6]: 0, names[3]: 1, names[7]: 1})) == [[2, 6], [3, 7]]


def test_a_unit_belongs_to_ids_wherever_their_rows_have_moved() -> None:
    train = numbered([0, 1, 2, 0])
    groups = {str(train.ids[0]): 5, str(train.ids[3]): 5}
    moved = train.rows(np.array([3, 1, 0]))
    assert together(row_units(moved, groups)) == [[0, 2]]


def test_texts_and_pictures_are_compared_by_content() -> None:
    texts = train_set(np.array(["a", "b", "a"], dtype=object), [0, 1, 0], 3)
    assert together(row_units(texts, {})) == [[0, 2]]
    pictures = np.zeros((3, 2, 2, 1), dtype=np.uint8)
    pictures[1, 0, 0, 0] = 1
    assert together(row_units(train_set(pictures, [0, 1, 0], 3), {})) == [[0, 2]]


def test_single_rows_get_the_folds_of_scikit_learn() -> None:
    classes = np.random.default_rng(0).integers(0, 3, size=100)
    found = stratified_folds(classes, np.arange(100), 5, np.random.default_rng(4))
    splitter = StratifiedKFold(5, shuffle=True, random_state=child_seed(np.random.default_rng(4)))
    for place, (_, held_out) in enumerate(splitter.split(classes, classes)):
        assert np.flatnonzero(found == place).tolist() == held_out.tolist()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 5), st.integers(12, 60))
def test_units_are_never_divided_and_no_fold_is_empty(seed: int, number: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    units, classes = rng.integers(0, most, size=300), rng.integers(0, 3, size=300)
    found = stratified_folds(classes, units, number, rng)
    assert all(len(set(found[units == unit].tolist())) == 1 for unit in set(units.tolist()))
    assert sorted(set(found.tolist())) == list(range(number))


def spread(found: np.ndarray, classes: np.ndarray) -> float:
    """The deviation over folds of each class's share, as a mean."""
    shares = [np.bincount(found[classes == label], minlength=5) / (classes == label).sum() for label in range(4)]
    return float(np.std(shares, axis=1).mean())


def test_classes_are_spread_as_well_as_by_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    units = np.repeat(np.arange(120), rng.integers(1, 40, size=120))
    leaning = rng.dirichlet(np.full(4, 0.5), size=120)
    classes = np.array([rng.choice(4, p=leaning[unit]) for unit in units])
    theirs = np.zeros(len(units), dtype=np.int64)
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    for place, (_, held_out) in enumerate(splitter.split(units, classes, units)):
        theirs[held_out] = place
    assert spread(stratified_folds(classes, units, 5, rng), classes) < 1.5 * spread(theirs, classes)


def test_many_units_take_a_moment() -> None:
    units = np.concatenate([np.zeros(5, dtype=np.int64), np.arange(20_000)])
    classes, start = np.arange(len(units)) % 10, time.process_time()
    found = stratified_folds(classes, units, 5, np.random.default_rng(0))
    assert time.process_time() - start < 3
    assert np.ptp(np.bincount(found)) < 20
