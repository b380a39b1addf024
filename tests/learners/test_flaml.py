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


def numbered(n: int) -> np.ndarray:
    return np.arange(2 * n, dtype=np.float32).reshape(n, 2)


def test_folds_hold_out_all_that_comes_of_a_row_together(run: Run) -> None:
    train, _ = easy("table")
    soft = replace(train, y=0.7 * train.y + 0.3 * np.roll(train.y, 1, axis=1), augment=same)
    rows = grow(soft, run)
    cases = expand(rows.y, rows.w)
    found = folds(soft, rows, cases, run)
    assert len(found) == 48 * 3 * 2, "each row and its two draws, twice for its two classes"
    for name in np.unique(rows.ids):
        assert len(set(found[rows.ids[cases.row] == name].tolist())) == 1
    sizes = np.bincount(found) / 6
    assert sizes.tolist() == [16, 16, 16]


def test_folds_are_drawn_by_the_run_and_stratified(run: Run) -> None:
    train, _ = easy("table")
    cases = expand(train.y, train.w)
    found = folds(train, train, cases, run)
    counts = np.array([np.bincount(train.classes[found == fold], minlength=3) for fold in range(3)])
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.array_equal(found, folds(train, train, cases, run))
    assert not np.array_equal(found, folds(train, train, cases, replace(run, salt="other")))


def test_a_class_of_one_row_is_always_trained_on(run: Run) -> None:
    rows = train_set(numbered(13), [0] * 6 + [1] * 6 + [2], 3)
    found = folds(rows, rows, expand(rows.y, rows.w), run)
    assert found[12] == TRAINED_ON
    assert sorted(found[:12].tolist()) == [0] * 4 + [1] * 4 + [2] * 4


def test_folds_keep_groups_and_equal_rows_together_with_all_their_draws(run: Run) -> None:
    x = numbered(24)
    x[1] = x[0]
    train = replace(train_set(x, [0, 1] * 12, 2), augment=same)
    grouped = replace(run, groups={str(name): place % 4 for place, name in enumerate(train.ids[8:20].tolist())})
    rows = grow(train, grouped)
    found = folds(train, rows, expand(rows.y, rows.w), grouped)
    assert np.array_equal(found, found[:24][rows.ids]), "the draws of a row follow it"
    assert found[0] == found[1]
    assert all(len(set(found[8 + place : 20 : 4].tolist())) == 1 for place in range(4))
    assert len(set(found.tolist())) == 3


def test_what_is_always_trained_on_takes_its_group_along(run: Run) -> None:
    """The only row of class 2 is in all training parts, so no model may be scored on the other rows of its group."""
    train = train_set(numbered(13), [0] * 6 + [1] * 6 + [2], 3)
    grouped = replace(run, groups={str(train.ids[place]): 0 for place in (0, 12)})
    found = folds(train, train, expand(train.y, train.w), grouped)
    assert np.flatnonzero(found == TRAINED_ON).tolist() == [0, 12]


@pytest.mark.parametrize(
    ("classes", "message"),
    [([1, 1, 1], "needs two classes to train on; the labelled rows have 1"), ([0, 1, 2], "needs two rows of a class")],
)
def test_what_cannot_be_cross_validated_fails_the_trial(run: Run, classes: list[int], message: str) -> None:
    rows = train_set(numbered(3), classes, 3)
    with pytest.raises(TrialFailed, match=message):
        folds(rows, rows, expand(rows.y, rows.w), run)


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
