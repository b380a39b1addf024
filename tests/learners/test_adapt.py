"""A limited learner gets what it can take, in words, or the trial says why not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import train_set
from hypothesis import given
from hypothesis import strategies as st

from harness.data import TrainSet
from harness.errors import TrialFailed
from harness.learners.adapt import adapt_to_limits, check_complete
from harness.streams import stream


def soft_set() -> TrainSet:
    rows = train_set(np.zeros((4, 1), dtype=np.float32), [0, 1, 2, -1], 3)
    y = rows.y.copy()
    y[0] = [0.5, 0.5, 0.0]
    y[1] = [0.2, 0.7, 0.1]
    return replace(rows, y=y)


def test_a_learner_without_limits_gets_the_very_same_set() -> None:
    train = soft_set()
    found, told = adapt_to_limits(train, [], stream(0, "adapt"))
    assert found is train
    assert told == []


def test_soft_labels_become_hard_and_ties_are_drawn() -> None:
    train = soft_set()
    found, told = adapt_to_limits(train, ["soft_labels"], stream(0, "adapt"))
    assert found.y[1].tolist() == [0, 1, 0]
    assert found.y[0].tolist() in ([1, 0, 0], [0, 1, 0])
    assert np.array_equal(found.y[2:], train.y[2:]), "hard labels and rows without one stay"
    assert told == ["2 soft labels became hard ones, which is all that the model takes"]
    drawn = {int(adapt_to_limits(train, ["soft_labels"], stream(seed, "adapt"))[0].classes[0]) for seed in range(20)}
    assert drawn == {0, 1}


@given(st.integers(0, 1000))
def test_equal_weights_are_no_weights_and_others_are_refused(seed: int) -> None:
    train = soft_set()
    assert adapt_to_limits(train, ["weights"], stream(seed, "adapt"))[0] is train
    uneven = replace(train, w=np.array([1, 2, 1, 0], dtype=np.float32))
    with pytest.raises(TrialFailed, match="takes no weights"):
        adapt_to_limits(uneven, ["weights"], stream(seed, "adapt"))


def test_missing_values_are_refused_where_they_cannot_be_taken() -> None:
    holes = np.array([[1.0, np.nan]], dtype=np.float32)
    check_complete(holes, [], "test")
    check_complete(np.array(["a"]), ["missing_values"], "test")
    with pytest.raises(TrialFailed, match="1 values of the test rows are missing"):
        check_complete(holes, ["missing_values"], "test")
