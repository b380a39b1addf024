"""Selections of rows by hand: the hardest, the easiest, those that cover the rest, equal classes, one of near equals."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import train_set

from harness.conformance.small_sets import tools_with
from harness.data import TrainSet
from harness.errors import BadInput
from harness.storage.cache import Cache
from harness.strategies import Tools
from harness.strategies.clean import balanced_subset, by_difficulty, embedded_duplicates, k_centre
from harness.strategies.clean.selection import cover, equal_counts
from harness.streams import stream

LINE = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [30.0]], dtype=np.float32)


def tools(seed: int = 0, cache: Cache | None = None, probs: np.ndarray | None = None) -> Tools:
    return tools_with(stream(seed, "test"), cache, pred_probs=lambda rows: probs)


def names(train: TrainSet) -> list[str]:
    return train.ids.tolist()


@pytest.mark.parametrize(
    ("keep", "share", "left"),
    [("hardest", 0.5, ["r1", "r2", "r5", "r6"]), ("easiest", 0.5, ["r0", "r3", "r4", "r6"]),
     ("hardest", 0.0, ["r1", "r5", "r6"])],
)  # fmt: skip
def test_the_rows_that_the_probe_finds_hardest_or_easiest_stay_by_class(
    keep: str, share: float, left: list[str]
) -> None:
    """Class 0 has four rows of probabilities 0.9, 0.2, 0.3, 0.8, class 1 two of 0.7 and 0.1; r6 has no label."""
    train = train_set(np.zeros((7, 1), np.float32), [0, 0, 0, 0, 1, 1, -1], 2)
    own = np.array([0.9, 0.2, 0.3, 0.8, 0.3, 0.9, 0.5], np.float32)  # of class 0
    probs = np.stack([own, 1 - own], 1)
    assert names(by_difficulty(train, tools(probs=probs), share=share, keep=keep)) == left  # type: ignore[arg-type]


def test_a_cover_takes_the_farthest_row_each_time() -> None:
    assert cover(LINE.astype(np.float64), np.array([0]), 4).tolist() == [0, 5, 4, 2]
    assert cover(LINE.astype(np.float64), np.array([0, 4]), 3).tolist() == [0, 4, 5], "30 is 19 away from 11"
    twins = np.zeros((3, 1))
    assert cover(twins, np.array([1]), 3).tolist() == [1, 0, 2], "each row once, though all are equally far"


def test_a_core_set_covers_both_ends_and_loses_no_class(tmp_path: object) -> None:
    train = train_set(np.repeat(LINE, 2, axis=0), [0] * 10 + [1, -1], 2)
    after = k_centre(train, tools(), share=0.28, encoder=None)
    assert "r10" in names(after), "the only row of its class"
    assert "r11" in names(after), "a row without a label passes"
    kept = after.x[after.labelled].ravel()
    assert len(kept) == 3
    assert kept.max() == 30
    assert {names(k_centre(train, tools(seed), share=0.28, encoder=None))[0] for seed in range(6)} != {names(after)[0]}


@pytest.mark.parametrize(
    ("counts", "total", "kept"),
    [([5, 5], 6, [3, 3]), ([9, 2], 7, [5, 2]), ([9, 2, 0], 6, [4, 2, 0]), ([4, 4, 4], 5, [2, 2, 1]), ([3, 3], 0, [1, 1])],
)  # fmt: skip
def test_classes_are_kept_in_equal_numbers_as_far_as_they_go(counts: list[int], total: int, kept: list[int]) -> None:
    assert equal_counts(np.array(counts), total).tolist() == kept


def test_a_balanced_subset_is_drawn_within_the_classes() -> None:
    train = train_set(np.zeros((12, 1), np.float32), [0] * 9 + [1] * 2 + [-1], 2)
    after = balanced_subset(train, tools(), share=0.5)
    assert np.bincount(after.classes[after.labelled]).tolist() == [4, 2]
    assert "r11" in names(after)
    assert len({tuple(names(balanced_subset(train, tools(seed), share=0.5))) for seed in range(5)}) > 1


def test_one_of_the_rows_that_point_the_same_way_stays() -> None:
    """Columns are standardised already: three rows along each axis, in both directions."""
    angles = np.deg2rad([0, 1, 90, 91, 180, 181, 270, 271])
    train = train_set(np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32), [0, 1] * 4, 2)
    for seed in range(4):
        left = {
            int(name[1:]) // 2 for name in names(embedded_duplicates(train, tools(seed), threshold=0.99, encoder=None))
        }
        assert left == {0, 1, 2, 3}
        assert len(embedded_duplicates(train, tools(seed), threshold=0.99, encoder=None)) == 4
    assert len(embedded_duplicates(train, tools(), threshold=0.99999, encoder=None)) == 8
    assert len(embedded_duplicates(train, tools(), threshold=-1.0, encoder=None)) == 1


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_that_is_none_is_told(share: float) -> None:
    train = train_set(LINE, [0, 1] * 3, 2)
    with pytest.raises(BadInput, match=r"clean\.share"):
        k_centre(train, tools(), share=share, encoder=None)
