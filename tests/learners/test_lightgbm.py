"""LightGBM: the same trees for the same random streams, soft labels and weights as in scikit-learn's learners."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from harness.conformance.easy_sets import easy
from harness.errors import TrialFailed
from harness.learners import Run
from harness.learners.sklearn import expand

lgb = pytest.importorskip("lightgbm")

from harness.learners.lightgbm import lightgbm  # noqa: E402 - only where the library is installed

TEXT: dict[str, Any] = {"ngram_range": (1, 1), "min_df": 1, "max_words": 100, "sublinear_tf": False}
FIT = partial(
    lightgbm, learning_rate=0.1, n_estimators=5, num_leaves=7, min_child_samples=2, subsample=1.0,
    colsample_bytree=1.0, reg_lambda=0.0, **TEXT,
)  # fmt: skip


def test_soft_labels_and_weights_are_the_hand_made_expansion(run: Run) -> None:
    train, valid = easy("table")
    w = np.linspace(0.5, 1.5, len(train), dtype=np.float32)
    soft = replace(train, y=0.7 * train.y + 0.3 * np.roll(train.y, 1, axis=1), w=w)
    cases = expand(soft.y, soft.w)
    by_hand = lgb.LGBMClassifier(
        n_estimators=5, num_leaves=7, min_child_samples=2, verbose=-1, n_jobs=1, random_state=1
    ).fit(train.x[cases.row].astype(float), cases.y, sample_weight=cases.w)
    expected = by_hand.booster_.predict(valid.x.astype(float))
    np.testing.assert_allclose(FIT(soft, valid, run).predict(valid.x), expected, atol=1e-5)


def test_drawn_rows_follow_the_salt_and_whole_ones_do_not(run: Run) -> None:
    train, valid = easy("table")
    for share, same in ((1.0, True), (0.5, False)):
        fits = [FIT(train, valid, replace(run, salt=salt), subsample=share) for salt in ("", "A/A")]
        assert np.array_equal(*(fit.predict(valid.x) for fit in fits)) == same


def test_a_class_that_is_absent_gets_probability_0_and_one_class_fails_the_trial(run: Run) -> None:
    train, valid = easy("image")
    probabilities = FIT(train.rows(train.classes != 1), valid, run).predict(valid.x)
    assert (probabilities[:, 1] == 0).all()
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    with pytest.raises(TrialFailed, match="needs two classes"):
        FIT(train.rows(train.classes == 1), valid, run)
