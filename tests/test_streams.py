"""Named streams: equal names share their draws, new names shift nobody's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.streams import child_seed, stream

NAMES = st.lists(st.text(max_size=8), min_size=1, max_size=3)


def test_draws_are_pinned():
    # A change here changes every trial of every study: bump the protocol's version instead of this number.
    assert stream(0, "task", "split").integers(10**9, size=3).tolist() == [384687437, 594368644, 981129799]


@given(st.integers(0, 2**40), NAMES)
def test_equal_names_share_their_draws(seed, scope):
    assert stream(seed, *scope).integers(2**60) == stream(seed, *scope).integers(2**60)


@given(NAMES, NAMES)
def test_other_names_draw_something_else(one, other):
    draws = [stream(0, *scope).integers(2**60, size=2).tolist() for scope in (one, other)]
    assert (draws[0] == draws[1]) == (one == other)


def test_names_do_not_run_into_each_other():
    assert stream(0, "ab", "c").integers(2**60) != stream(0, "a", "bc").integers(2**60)


def test_child_seed_suits_every_library():
    assert all(0 <= child_seed(stream(seed, "x")) < 2**31 for seed in range(50))


def test_streams_are_uncorrelated():
    draws = np.stack([stream(0, "order", str(i)).standard_normal(2000) for i in range(8)])
    off = np.corrcoef(draws)[~np.eye(8, dtype=bool)]
    assert np.abs(off).max() < 0.1
