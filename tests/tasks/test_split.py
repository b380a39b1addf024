from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.streams import stream
from harness.tasks.split import draw_stratified, fixed_stream, hold_out, quota


def test_quota_by_hand() -> None:
    counts = np.array([50, 30, 20])
    none = np.zeros(3, dtype=np.int64)
    assert quota(counts, 10, none).tolist() == [5, 3, 2]
    assert quota(counts, 99, none).tolist() == [49, 30, 20]
    assert quota(np.array([98, 1, 1]), 10, none).tolist() == [10, 0, 0]
    assert quota(np.array([98, 1, 1]), 10, np.ones(3, dtype=np.int64)).tolist() == [8, 1, 1]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.data())
def test_quota_is_within_one_of_the_share(sizes: list[int], data: st.DataObject) -> None:
    counts = np.array(sizes)
    n = data.draw(st.integers(0, int(counts.sum())))
    given = quota(counts, n, np.zeros(len(counts), dtype=np.int64))
    assert given.sum() == n
    assert (given <= counts).all()
    assert (np.abs(given - counts * n / counts.sum()) < 1).all()


@given(st.lists(st.integers(-1, 4), min_size=6, max_size=80), st.data(), st.integers(0, 9))
def test_draw_takes_distinct_rows_and_covers_every_class(strata: list[int], data: st.DataObject, seed: int) -> None:
    codes = np.array(strata)
    classes = {code for code in strata if code >= 0}
    n = data.draw(st.integers(len(classes), len(codes)))
    rows = draw_stratified(codes, n, stream(seed), cover=True)
    assert len(rows) == n == len(set(rows.tolist()))
    assert classes <= set(codes[rows].tolist())
    assert (np.diff(rows) > 0).all()


def test_draws_depend_on_the_generator_alone() -> None:
    strata = np.arange(100) % 4
    first, again, other = (draw_stratified(strata, 40, stream(seed)) for seed in (0, 0, 1))
    assert first.tolist() == again.tolist() != other.tolist()


@given(st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 12)), min_size=4, max_size=60), st.floats(0.05, 0.9))
def test_hold_out_keeps_groups_whole(rows: list[tuple[int, int]], fraction: float) -> None:
    strata, groups = (np.array(column) for column in zip(*rows, strict=True))
    held = hold_out(strata, groups, fraction, stream(0))
    known = strata >= 0
    assert (strata[held] >= 0).all()
    rest = np.setdiff1d(np.flatnonzero(known), held)
    assert not set(groups[held]) & set(groups[rest])
    units = len(set(groups[known]))
    assert len(set(groups[held])) == (0 if units < 2 else min(max(1, round(units * fraction)), units - 1))


def test_hold_out_is_stratified() -> None:
    strata = np.repeat([0, 1], [80, 20])
    held = hold_out(strata, np.arange(100), 0.25, stream(0))
    assert np.bincount(strata[held]).tolist() == [20, 5]
    pairs = hold_out(np.repeat(strata, 2), np.repeat(np.arange(100), 2), 0.25, stream(0))
    assert np.bincount(np.repeat(strata, 2)[pairs]).tolist() == [40, 10]


def test_nothing_to_hold_out() -> None:
    assert hold_out(np.array([-1, -1]), np.array([0, 1]), 0.5, stream(0)).tolist() == []
    assert hold_out(np.array([1]), np.array([0]), 0.5, stream(0)).tolist() == []


@pytest.mark.parametrize("seed", [0, 7])
def test_the_stream_of_the_test_part_follows_split_seed(seed: int) -> None:
    fixed, own = fixed_stream(seed, 3), fixed_stream(seed, None)
    assert fixed.integers(2**60) == fixed_stream(99, 3).integers(2**60)
    assert own.integers(2**60) == fixed_stream(0, seed).integers(2**60)
