"""The largest full part of a table that has gaps."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.shares import largest_full_table
from harness.errors import BadInput


@given(st.integers(2, 5), st.integers(2, 6), st.data())
def test_no_crossed_part_is_larger(a: int, b: int, data: st.DataObject) -> None:
    there = np.array(data.draw(st.lists(st.lists(st.booleans(), min_size=b, max_size=b), min_size=a, max_size=a)))
    rows, cols = largest_full_table(there, "the table")
    best = max((sum(1 for _ in chosen) * len(sub) for chosen, sub in parts(there)), default=0)
    assert len(rows) * len(cols) == best
    assert there[np.ix_(rows, cols)].all()


def parts(there: np.ndarray) -> list[tuple[list[int], tuple[int, ...]]]:
    """Every full part with two rows and two columns, by trying all sets of columns."""
    sets = chain.from_iterable(combinations(range(there.shape[1]), size) for size in range(2, there.shape[1] + 1))
    found = [([i for i in range(len(there)) if there[i, list(sub)].all()], sub) for sub in sets]
    return [(rows, sub) for rows, sub in found if len(rows) >= 2]


def test_a_table_too_ragged_to_search_is_told() -> None:
    with pytest.raises(BadInput, match=r"^table 'made' has too many gaps"):
        largest_full_table(~np.eye(20, dtype=bool), "table 'made'")
