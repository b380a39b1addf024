"""Metrics by hand, against scikit-learn, and on stacks of matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from harness.errors import BadInput
from harness.metrics import METRICS, accuracy, balanced_accuracy, confusion, f1, macro_f1, score

THREE = np.array([[6, 2, 0], [1, 3, 0], [2, 0, 1]])


def test_by_hand() -> None:
    assert accuracy(THREE) == pytest.approx(10 / 15)
    assert balanced_accuracy(THREE) == pytest.approx((6 / 8 + 3 / 4 + 1 / 3) / 3)
    assert macro_f1(THREE) == pytest.approx((12 / 17 + 6 / 9 + 2 / 4) / 3)
    assert f1(np.array([[5, 1], [2, 4]])) == pytest.approx(2 * 4 / (2 * 4 + 1 + 2))


def test_rows_are_true_and_columns_predicted() -> None:
    found = confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3)
    assert found.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


@given(st.integers(2, 5), st.data())
def test_agrees_with_scikit_learn(k: int, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=30))
    y, predicted = np.array(rows).T
    assert score("accuracy", y, predicted, k) == pytest.approx(accuracy_score(y, predicted))
    assert score("macro_f1", y, predicted, k) == pytest.approx(f1_score(y, predicted, average="macro", zero_division=0))
    recalls = [(predicted[y == c] == c).mean() for c in np.unique(y)]
    assert score("balanced_accuracy", y, predicted, k) == pytest.approx(np.mean(recalls))
    if k == 2:
        assert score("f1", y, predicted, k) == pytest.approx(f1_score(y, predicted, zero_division=0))


@pytest.mark.parametrize("name", METRICS)
def test_a_stack_is_scored_matrix_by_matrix_and_weights_scale_out(name: str) -> None:
    stack = np.arange(24.0).reshape(2, 3, 2, 2)
    whole = METRICS[name](stack)
    assert whole.shape == (2, 3)
    assert whole[1, 2] == pytest.approx(METRICS[name](stack[1, 2]))
    np.testing.assert_allclose(METRICS[name](2.5 * stack), whole)


@pytest.mark.parametrize("name", METRICS)
def test_an_empty_matrix_has_no_score(name: str) -> None:
    assert np.isnan(METRICS[name](np.zeros((2, 2))))


def test_a_class_without_examples_is_left_out() -> None:
    assert balanced_accuracy(np.array([[3, 1], [0, 0]])) == 0.75
    assert macro_f1(np.array([[4, 0, 0], [0, 4, 0], [0, 0, 0]])) == 1


def test_f1_without_positives_is_zero() -> None:
    assert f1(np.array([[4, 0], [0, 0]])) == 0


def test_unknown_names_are_told_the_nearest() -> None:
    with pytest.raises(BadInput, match="unknown metric 'acuracy'; did you mean 'accuracy'"):
        score("acuracy", np.array([0]), np.array([0]), 2)


def test_bad_input_is_told_in_words() -> None:
    with pytest.raises(BadInput, match="f1 is for 2 classes, this task has 3"):
        score("f1", np.array([0, 2]), np.array([0, 2]), 3)
    with pytest.raises(BadInput, match="predicted classes run from 0 to 3; with 3 classes they must lie in 0 to 2"):
        score("accuracy", np.array([0, 2]), np.array([0, 3]), 3)
    with pytest.raises(BadInput, match="true classes run from -1 to 0"):
        score("accuracy", np.array([0, -1]), np.array([0, 0]), 2)
    with pytest.raises(BadInput, match="accuracy of no example"):
        score("accuracy", np.array([], dtype=int), np.array([], dtype=int), 2)
