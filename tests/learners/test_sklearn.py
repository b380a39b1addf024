"""Soft labels and weights in estimators that know neither, by hand; rows grown by augmentation."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from conftest import train_set
from easy_sets import learner, option
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from harness.conformance.easy_sets import easy
from harness.data import TrainSet
from harness.errors import TrialFailed
from harness.learners import Run
from harness.learners.growth import grow
from harness.learners.sklearn import expand, hist_gradient_boosting, logistic_regression, random_forest

TEXT: dict[str, Any] = {"ngram_range": (1, 1), "min_df": 1, "max_words": 100, "sublinear_tf": False}
REGRESSION = partial(logistic_regression, C=1.0, max_iter=1000, **TEXT)
FOREST = partial(random_forest, n_estimators=10, max_depth=None, min_samples_leaf=1, **TEXT)
BOOSTING = partial(
    hist_gradient_boosting, learning_rate=0.1, max_iter=5, max_leaf_nodes=7, min_samples_leaf=2,
    l2_regularization=0.0, **TEXT,
)  # fmt: skip


def test_expansion_by_hand() -> None:
    y = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.0005, 0.4, 0.5995], [0.0001, 0.0002, 0.9997]], dtype=np.float32)
    found = expand(y, np.array([2, 1, 3, 1], dtype=np.float32))
    assert found.row.tolist() == [0, 1, 1, 2, 2, 3]
    assert found.y.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_allclose(found.w, [2, 0.5, 0.5, 1.2, 1.7985, 0.9997], rtol=1e-6)


@given(st.lists(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), min_size=1, max_size=8))
def test_expansion_keeps_every_row_and_its_weight(rows: list[list[float]]) -> None:
    y = np.array(rows, dtype=np.float32)
    y /= y.sum(1, keepdims=True)
    w = np.arange(1, len(y) + 1, dtype=np.float32)
    found = expand(y, w)
    np.testing.assert_allclose(np.bincount(found.row, found.w), w, rtol=0.01)


def test_soft_labels_are_the_hand_made_expansion(run: Run) -> None:
    train, valid = easy("table")
    y = 0.7 * train.y + 0.3 * np.roll(train.y, 1, axis=1)
    fit = REGRESSION(replace(train, y=y), valid, run)
    scale = [part(axis=0) for part in (train.x.astype(float).mean, train.x.astype(float).std)]
    scale[1][4] = 1
    x, hard = (train.x - scale[0]) / scale[1], train.classes
    by_hand = LogisticRegression(C=1.0, max_iter=1000).fit(
        np.concatenate([x, x]), np.concatenate([hard, (hard + 1) % 3]), np.repeat([0.7, 0.3], len(x))
    )
    np.testing.assert_allclose(fit.predict(valid.x), by_hand.predict_proba((valid.x - scale[0]) / scale[1]), atol=1e-3)


def test_a_doubled_weight_is_a_doubled_row(run: Run) -> None:
    train, valid = easy("image")
    w = np.ones(len(train), dtype=np.float32)
    w[:10] = 2
    doubled = train.rows(np.concatenate([np.arange(len(train)), np.arange(10)]))
    weighted = REGRESSION(replace(train, w=w), valid, run).predict(valid.x)
    np.testing.assert_allclose(weighted, REGRESSION(doubled, valid, run).predict(valid.x), atol=2e-4)
    assert np.abs(weighted - REGRESSION(train, valid, run).predict(valid.x)).max() > 2e-3


@pytest.mark.parametrize("fit", [REGRESSION, FOREST, BOOSTING])
def test_a_class_that_is_absent_gets_probability_0(run: Run, fit: Any) -> None:
    train, valid = easy("image")
    two = train.rows(train.classes != 1)
    probabilities = fit(two, valid, run).predict(valid.x)
    assert (probabilities[:, 1] == 0).all()
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    seen = valid.y != 1
    assert (probabilities[seen].argmax(1) == valid.y[seen]).mean() > 0.8


@pytest.mark.parametrize("fit", [REGRESSION, FOREST, BOOSTING])
def test_one_class_fails_the_trial(run: Run, fit: Any) -> None:
    train, valid = easy("table")
    with pytest.raises(TrialFailed, match="needs two classes to train on; the labelled rows have 1"):
        fit(train.rows(train.classes == 1), valid, run)


def test_the_salt_changes_a_forest_and_no_regression(run: Run) -> None:
    train, valid = easy("table")
    salted = replace(run, salt="A/A")
    assert not np.array_equal(*(FOREST(train, valid, each).predict(valid.x) for each in (run, salted)))
    assert np.array_equal(*(REGRESSION(train, valid, each).predict(valid.x) for each in (run, salted)))


def test_the_history_says_whether_it_converged(run: Run) -> None:
    train, valid = easy("table")
    assert REGRESSION(train, valid, run).history[0]["converged"] == 1
    assert REGRESSION(train, valid, run, max_iter=2).history == [{"step": 2.0, "converged": 0.0}]


def test_the_options_iterations_are_enough(run: Run) -> None:
    train, valid = easy("image")
    assert learner(option("logistic_regression"))(train, valid, run).history[0]["converged"] == 1


def numbered() -> TrainSet:
    """Ten rows whose first column is their number, the last without a label."""
    x = np.stack([np.arange(10), np.zeros(10)], 1).astype(np.float32)
    return train_set(x, [0, 1, 2] * 3 + [-1], 3)


def test_grown_rows_are_the_rows_and_their_draws_with_the_weight_shared(run: Run) -> None:
    def shift(x: torch.Tensor, y: torch.Tensor, rng: np.random.Generator) -> Any:
        return x + torch.tensor([0.0, 1.0]), y.roll(1, 1)

    train = replace(numbered(), augment=shift)
    small = replace(run, protocol=replace(run.protocol, batch_size=4))
    found = grow(train, small)
    assert len(found) == 9 * 3
    assert found.augment is None
    assert np.array_equal(found.x[:9], train.x[:9])
    for draw in (found.rows(np.arange(9, 18)), found.rows(np.arange(18, 27))):
        assert sorted(draw.x[:, 0].tolist()) == list(range(9)), "each draw holds each labelled row once"
        assert (draw.x[:, 1] == 1).all()
        assert np.array_equal(draw.classes, (draw.x[:, 0] + 1) % 3), "labels follow their rows"
    np.testing.assert_allclose(found.w.sum(), train.w.sum(), rtol=1e-6)


def test_grown_images_are_bytes_again_and_texts_strings(run: Run) -> None:
    train, _ = easy("image")
    same = grow(replace(train, augment=lambda x, y, rng: (x, y)), run)
    assert same.x.dtype == np.uint8
    assert np.array_equal(np.sort(same.x[48:96].reshape(48, -1), 0), np.sort(train.x.reshape(48, -1), 0))
    texts, _ = easy("text")
    longer = grow(replace(texts, augment=lambda x, y, rng: ([f"{text} indeed" for text in x], y)), run)
    assert all(str(text).endswith(" indeed") for text in longer.x[48:])


def test_without_augmentation_nothing_grows(run: Run) -> None:
    assert len(grow(numbered(), run)) == 9
