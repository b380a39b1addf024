"""Shares of variance: known by hand, bounded, and refused where they would mean nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.attribution import variance_shares
from harness.errors import BadInput
from harness.streams import stream


def test_by_hand() -> None:
    # Row means 1 and 5, column means 2 and 4, grand mean 3: 16 for the rows, 4 for the columns, 20 + 4 in all.
    shares = variance_shares(np.array([[1.0, 1.0], [3.0, 7.0]]))
    assert (shares.model, shares.data, shares.interaction) == pytest.approx((16 / 24, 4 / 24, 4 / 24))


@pytest.mark.parametrize(("axis", "expected"), [(0, (1, 0, 0)), (1, (0, 1, 0))])
def test_a_factor_that_explains_all_has_all(axis: int, expected: tuple[float, ...]) -> None:
    levels = np.array([1.0, 4.0, 9.0])
    table = np.broadcast_to(np.expand_dims(levels, 1 - axis), (3, 3))
    shares = variance_shares(np.ascontiguousarray(table))
    assert (shares.model, shares.data, shares.interaction) == pytest.approx(expected, abs=1e-12)


@given(st.integers(2, 6), st.integers(2, 6), st.integers(0, 10**6))
def test_shares_sum_to_one_and_hang_neither_on_units_nor_on_order(a: int, b: int, seed: int) -> None:
    table = stream(seed, "test").normal(size=(a, b))
    shares, turned = variance_shares(table), variance_shares(7 - 100 * table[::-1, ::-1])
    values = np.array([shares.model, shares.data, shares.interaction])
    assert values.sum() == pytest.approx(1)
    assert (values >= -1e-12).all()
    assert np.allclose(values, [turned.model, turned.data, turned.interaction])
    assert variance_shares(table.T).data == pytest.approx(shares.model)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (np.ones((1, 3)), "a full table of two models and two variants"),
        (np.array([[1.0, np.nan], [2.0, 3.0]]), "a full table"),
        (np.ones((2, 2)), "all cells of the table are equal"),
    ],
)
def test_what_has_no_shares_is_told(table: np.ndarray, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        variance_shares(table)
