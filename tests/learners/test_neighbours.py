"""Neighbours of frozen features, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import train_set

from harness.errors import TrialFailed
from harness.learners import Run
from harness.learners.neighbours import by_neighbours

ANGLES = np.deg2rad([0, 10, 80, 90])
TRAIN = train_set(np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1).astype(np.float32), [0, 1, 1, 0], 2)
ASKED = np.array([[2.0, 0.5], [0.0, 9.0]], dtype=np.float32)  # at 14 and 90 degrees, of any length


def test_the_mean_label_of_the_nearest_by_cosine_is_weighted(run: Run) -> None:
    two = by_neighbours(TRAIN, run, np.asarray, 2)
    assert two.predict(ASKED).tolist() == [[0.5, 0.5], [0.5, 0.5]]
    one = by_neighbours(TRAIN, run, np.asarray, 1)
    assert one.predict(ASKED).tolist() == [[0, 1], [1, 0]]
    heavy = by_neighbours(replace(TRAIN, w=np.array([3, 1, 1, 1], np.float32)), run, np.asarray, 2)
    assert heavy.predict(ASKED).tolist() == [[0.75, 0.25], [0.5, 0.5]]
    assert (one.parameters, one.examples) == (0, 4)


def test_rows_without_a_label_are_no_neighbours_and_too_few_are_told(run: Run) -> None:
    bare = replace(TRAIN, w=np.array([1, 0, 1, 1], np.float32))
    assert by_neighbours(bare, run, np.asarray, 1).predict(ASKED).tolist() == [[1, 0], [1, 0]]
    with pytest.raises(TrialFailed, match=r"model\.k=4 neighbours cannot be had of 3 labelled rows"):
        by_neighbours(bare, run, np.asarray, 4)
