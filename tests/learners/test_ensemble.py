"""Ensembles by hand and early stopping: what is averaged, what is summed, what is paid for."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from easy_sets import learner, option
from test_torch import jumping

from harness.conformance.easy_sets import easy
from harness.data import EvalSet, TrainSet
from harness.errors import BadInput, TrialFailed
from harness.learners import Fit, Learner, Run
from harness.learners.ensemble import early_stopping, ensemble
from harness.learners.nets import mlp
from harness.learners.torch import fit_network

MLP: Learner = partial(fit_network, network=partial(mlp, width=16, depth=1, dropout=0.2))


def constant(train: TrainSet, valid: EvalSet, run: Run) -> Fit:
    """A learner that predicts what its salt says."""
    sure = {"": 0.9, "/member/1": 0.3, "/member/2": 0.6}[run.salt]
    run.log({"step": 1.0})

    def predict(x: Any) -> np.ndarray:
        return np.tile(np.array([[sure, 1 - sure]], dtype=np.float32), (len(x), 1))

    return Fit(predict, parameters=10, examples=100, history=[{"step": 1.0}])


def test_three_members_by_hand(run: Run) -> None:
    train, valid = easy("table")
    seen: list[Any] = []
    fit = ensemble(train, valid, replace(run, log=seen.append), learner=constant, members=3)
    np.testing.assert_allclose(fit.predict(valid.x[:2]), [[0.6, 0.4]] * 2, atol=1e-6)
    assert fit.predict(valid.x).dtype == np.float32
    assert (fit.parameters, fit.examples, fit.valid_labels) == (30, 300, 0)
    assert fit.history == seen == [{"step": 1.0}]


def test_one_member_is_the_learner_alone_and_others_are_the_learner_with_other_streams(run: Run) -> None:
    train, valid = easy("table")
    alone = [MLP(train, valid, replace(run, salt=salt)).predict(valid.x) for salt in ("", "/member/1")]
    assert np.array_equal(ensemble(train, valid, run, learner=MLP, members=1).predict(valid.x), alone[0])
    two = ensemble(train, valid, run, learner=MLP, members=2).predict(valid.x)
    np.testing.assert_allclose(two, (alone[0] + alone[1]) / 2, atol=1e-6)


def test_validation_labels_are_paid_for_once(run: Run) -> None:
    train, valid = easy("table")
    selecting = replace(run, protocol=replace(run.protocol, selection="best"))
    assert ensemble(train, valid, selecting, learner=MLP, members=2).valid_labels == len(valid)


def test_an_ensemble_of_nobody_is_refused(run: Run) -> None:
    with pytest.raises(BadInput, match="members=0 is out of range"):
        ensemble(*easy("table"), run, learner=MLP, members=0)


def test_early_stopping_is_the_learner_under_the_other_rule_of_selection(run: Run) -> None:
    train, valid = easy("table")
    turncoat: Learner = partial(fit_network, network=jumping)
    stopped = early_stopping(train, valid, run, learner=turncoat)
    best = turncoat(train, valid, replace(run, protocol=replace(run.protocol, selection="best")))
    assert np.array_equal(stopped.predict(valid.x), best.predict(valid.x))
    right = [(fit.predict(valid.x).argmax(1) == valid.y).mean() for fit in (stopped, turncoat(train, valid, run))]
    assert right[0] > 0.8 > 0.2 > right[1]
    assert stopped.valid_labels == len(valid)
    assert stopped.examples == run.steps * 16, "the budget is spent to its end"


def test_a_learner_that_selects_nothing_cannot_be_stopped_early(run: Run) -> None:
    with pytest.raises(TrialFailed, match="does not select on validation rows"):
        early_stopping(*easy("table"), run, learner=constant)


def test_efforts_can_be_piled_up(run: Run) -> None:
    train, valid = easy("table")
    node = {**option("ensemble"), "members": 2, "learner": option("early_stopping")}
    fit = learner(node)(train, valid, run)
    assert fit.valid_labels == len(valid)
    assert fit.examples == 2 * run.steps * 16
