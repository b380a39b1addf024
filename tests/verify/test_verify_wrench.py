"""WRENCH's cells: all nine come out, so do the other tie rules, and the tie rule is Snorkel's."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import BadInput
from harness.verify.wrench import PUBLISHED, cells, hash_ties


@pytest.mark.shared
def test_every_cell_comes_out_to_two_decimals(shared: Path) -> None:
    began = time.process_time()
    found = {cell.what: cell for cell in cells(shared / "golden")}
    took = time.process_time() - began
    assert [what for what, cell in found.items() if not cell.passed] == []
    assert len(found) == 9 + 2
    for name, published in PUBLISHED.items():
        for method, value in published.items():
            assert round(found[f"{name} {method}"].ours, 2) == value
    assert found["youtube MV, ties to the lowest class"].ours == pytest.approx(77.6)
    assert found["youtube MV, ties drawn"].ours == pytest.approx(81.6)
    assert took < 15


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**20))
def test_the_tie_rule_is_snorkels(seed: int) -> None:
    from snorkel.utils import probs_to_preds

    probs = np.random.default_rng(seed).integers(1, 4, size=(50, 4)).astype(float)
    probs /= probs.sum(1, keepdims=True)
    assert np.array_equal(hash_ties(probs), probs_to_preds(probs))


def test_absent_votes_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"youtube has no label\.json"):
        next(cells(tmp_path))
