"""FLAML: folds that hold a row's copies together, a search that can be repeated, a quiet one."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import pytest
from conftest import composed, train_set

from harness.conformance.easy_sets import easy
from harness.errors import TrialFailed
from harness.learners import Run
from harness.learners.automl import TRAINED_ON, flat_rows, folds, restore_python_generator
from harness.learners.flaml import flaml
from harness.learners.growth import grow
from harness.learners.sklearn import expand
from harness.run.faults import find_faults

SEARCH = partial(flaml, max_iter=4, estimators=["rf", "lrl1"])


def same(x: Any, y: Any, rng: np.random.Generator) -> Any:
    return x, y


def test_folds_hold_out_all_that_comes_of_a_row_together(run: Run) -> None:
    train, _ = easy("table")
    soft = replace(train, y=0.7 * train.y + 0.3 * np.roll(train.y, 1, axis=1), augment=same)
    rows = grow(soft, run)
    cases = expand(rows.y, rows.w)
    found = folds(rows, cases, run)
    assert len(found) == 48 * 3 * 2, "each row and its two draws, twice for its two classes"
    for name in np.unique(rows.ids):
        assert len(set(found[rows.ids[cases.row] == name].tolist())) == 1
    sizes = np.bincount(found) / 6
    assert sizes.tolist() == [16, 16, 16]


def test_folds_are_drawn_by_the_run_and_stratified(run: Run) -> None:
    train, _ = easy("table")
    cases = expand(train.y, train.w)
    found = folds(train, cases, run)
    counts = np.array([np.bincount(train.classes[found == fold], minlength=3) for fold in range(3)])
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.array_equal(found, folds(train, cases, run))
    assert not np.array_equal(found, folds(train, cases, replace(run, salt="other")))


def test_a_class_of_one_row_is_always_trained_on(run: Run) -> None:
    rows = train_set(np.zeros((13, 2), dtype=np.float32), [0] * 6 + [1] * 6 + [2], 3)
    found = folds(rows, expand(rows.y, rows.w), run)
    assert found[12] == TRAINED_ON
    assert sorted(found[:12].tolist()) == [0] * 4 + [1] * 4 + [2] * 4


@pytest.mark.parametrize(
    ("classes", "message"),
    [([1, 1, 1], "needs two classes to train on; the labelled rows have 1"), ([0, 1, 2], "needs two rows of a class")],
)
def test_what_cannot_be_cross_validated_fails_the_trial(run: Run, classes: list[int], message: str) -> None:
    rows = train_set(np.zeros((3, 2), dtype=np.float32), classes, 3)
    with pytest.raises(TrialFailed, match=message):
        folds(rows, expand(rows.y, rows.w), run)


def test_images_lie_flat_in_0_to_1_and_columns_as_they_are() -> None:
    images = np.array([[[[0, 255]], [[51, 102]]]], dtype=np.uint8)
    np.testing.assert_allclose(flat_rows(images), [[0, 1, 0.2, 0.4]])
    assert flat_rows(np.array([[1e4, -2]], dtype=np.float32)).tolist() == [[1e4, -2]]


def test_pythons_own_generator_is_restored() -> None:
    state = random.getstate()
    with restore_python_generator():
        random.seed(3)
    assert random.getstate() == state


def test_an_estimator_that_flaml_does_not_have_is_told() -> None:
    assert any("model.estimators" in line for line in find_faults(composed("model=flaml", "model.estimators=[lgbmm]")))


@pytest.fixture
def _flaml() -> None:
    for module in ("flaml", "lightgbm", "xgboost"):
        pytest.importorskip(module, reason=f"{module} is not installed: pip install 'gains-harness[automl]'")


@pytest.mark.usefixtures("_flaml")
def test_the_search_compares_as_many_models_as_it_is_given_and_says_nothing(
    run: Run, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    train, valid = easy("table")
    from flaml.automl.task.generic_task import GenericTask

    tried: list[str] = []
    scored = GenericTask.evaluate_model_CV
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            GenericTask, "evaluate_model_CV", lambda *a, **k: (tried.append(type(a[2]).__name__), scored(*a, **k))[1]
        )
        fit = SEARCH(train, valid, run, max_iter=7)
    assert len(tried) == 7
    assert fit.history[0]["loss"] == min(fit.history[0]["rf"], fit.history[0]["lrl1"])
    assert fit.valid_labels == 0
    said = capfd.readouterr()
    assert (said.out, said.err, caplog.text) == ("", "", "")


@pytest.mark.usefixtures("_flaml")
def test_a_class_that_is_absent_gets_probability_0(run: Run) -> None:
    train, valid = easy("table")
    found = SEARCH(train.rows(train.classes != 1), valid, run).predict(valid.x)
    assert (found[:, 1] == 0).all()
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    assert (found[valid.y != 1].argmax(1) == valid.y[valid.y != 1]).mean() > 0.9


@pytest.mark.usefixtures("_flaml")
def test_a_column_without_any_value_and_holes_at_prediction_are_taken(run: Run) -> None:
    train, valid = easy("table")
    x = np.array(train.x)
    x[:, 3] = np.nan
    found = SEARCH(replace(train, x=x), valid, run).predict(np.full_like(valid.x, np.nan))
    assert np.isfinite(found).all()


@pytest.mark.usefixtures("_flaml")
def test_a_slow_machine_finds_the_same_model(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    train, valid = easy("image")
    found = [SEARCH(train, valid, run, max_iter=12).predict(valid.x)]
    ticks = count(time.time(), 10)
    monkeypatch.setattr(time, "time", lambda: next(ticks))
    found.append(SEARCH(train, valid, run, max_iter=12).predict(valid.x))
    assert np.array_equal(*found)
