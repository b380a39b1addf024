"""Shared intermediates: made once, charged to everybody, whole or absent."""

from __future__ import annotations

import time

import numpy as np
import pytest

from harness.storage.cache import Cache


def busy(seconds: float) -> np.ndarray:
    start = time.process_time()
    while time.process_time() - start < seconds:
        pass
    return np.arange(3.0)


def test_it_is_made_once_and_charged_to_those_who_find_it(tmp_path):
    first, second = Cache(tmp_path), Cache(tmp_path)
    assert first.array("probs", {"a": 1}, lambda: busy(0.2)).tolist() == [0, 1, 2]
    assert first.charged == []  # the maker's own clock ran
    assert second.array("probs", {"a": 1}, lambda: pytest.fail("made twice")).tolist() == [0, 1, 2]
    assert sum(cost.cpu_s for cost in second.charged) == pytest.approx(0.2, abs=0.1)


def test_other_parts_are_another_entry(tmp_path):
    cache = Cache(tmp_path)
    assert cache.array("x", {"a": 1}, lambda: np.zeros(2)).tolist() == [0, 0]
    assert cache.array("x", {"a": 2}, lambda: np.ones(2)).tolist() == [1, 1]
    assert cache.array("y", {"a": 1}, lambda: np.full(2, 5.0)).tolist() == [5, 5]


def test_entries_cannot_be_written(tmp_path):
    for _ in range(2):
        with pytest.raises(ValueError, match="read-only"):
            Cache(tmp_path).array("x", 1, lambda: np.zeros(2))[0] = 1


@pytest.mark.parametrize("suffix", [".npy", ".json"])
def test_a_torn_entry_is_made_again(tmp_path, suffix):
    Cache(tmp_path).array("x", 1, lambda: np.zeros(50))
    path = next((tmp_path / "x").glob(f"*{suffix}"))
    path.write_bytes(path.read_bytes()[:7])
    assert Cache(tmp_path).array("x", 1, lambda: np.ones(50)).tolist() == [1] * 50


def test_what_a_trial_asks_for_again_is_charged_once(tmp_path):
    """A finder and a handler both ask for the probe's probabilities; whoever made them, they are paid for once."""
    first, second = Cache(tmp_path), Cache(tmp_path)
    for cache in (first, first, second, second):
        cache.array("things", ["x"], lambda: sum(range(300_000)) * np.ones(3))
    assert sum(cost.cpu_s > 0 for cost in first.charged) == 0
    assert sum(cost.cpu_s > 0 for cost in second.charged) == 1
