"""Confident learning against published masks and counts; its measures by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import BadInput
from harness.verify.confident import ISSUES, RULES, cases, cells, issue_cells, jaccard, precision, pruned_in, recall


def test_the_measures_by_hand() -> None:
    """Two of three wrong rows are found, among four; three rows in both sets of five."""
    wrong, found = (np.array(row, dtype=bool) for row in ([1, 1, 1, 0, 0, 0], [1, 1, 0, 1, 1, 0]))
    assert (recall(found, wrong), precision(found, wrong)) == (2 / 3, 0.5)
    assert jaccard(found, wrong) == 2 / 5
    nothing = np.zeros(6, dtype=bool)
    assert np.isnan([recall(found, nothing), precision(nothing, wrong), jaccard(nothing, nothing)]).all()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"label_errors_testsets\.npz does not exist: name the folder"):
        list(cells(tmp_path))


def test_the_label_issues_of_four_test_sets_are_the_published_ones(shared: Path) -> None:
    found = list(issue_cells(shared / "golden"))
    assert [(cell.what, cell.ours) for cell in found] == list(ISSUES.items())
    assert all(cell.passed for cell in found)


def test_one_level_of_noise_is_pruned_as_published(shared: Path) -> None:
    """At 20 % noise and sparsity the five rules agree in all but a few rows, and cleanlab's own fifth in 99.2 %."""
    found = {
        one.what.split(": ")[1]: jaccard(one.ours, one.theirs) for one in pruned_in(shared / "golden", "n0.2_s0.2")
    }
    assert list(found) == [rule for _, rule, _ in RULES]
    spared = found.pop("confident_learning")
    assert min(found.values()) > 0.999
    assert spared == pytest.approx(0.992, abs=0.001)


@pytest.mark.slow
def test_every_published_mask_comes_out(shared: Path) -> None:
    """13 cases of six rules; recall and precision of five where labels are wrong; four counts."""
    assert len(cases(shared / "golden")) == 13
    found = list(cells(shared / "golden"))
    assert [cell.what for cell in found if not cell.passed] == []
    counts = {name: sum(cell.section == name for cell in found) for name in dict.fromkeys(c.section for c in found)}
    assert list(counts.values()) == [4, 13 * 6, 12 * 5, 12 * 5]
