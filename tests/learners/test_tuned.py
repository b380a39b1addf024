"""Tuning: what is searched, what is chosen, what it costs, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import optuna
import pytest
from easy_sets import learner, option

from harness.conformance.easy_sets import easy
from harness.conformance.strategies import check_global_generators_kept
from harness.data import EvalSet, TrainSet
from harness.errors import BadInput, TrialFailed
from harness.learners import Fit, Learner, Run
from harness.learners.nets import mlp
from harness.learners.parameters import parameter, with_parameters
from harness.learners.torch import fit_network
from harness.learners.tuned import read_space, tuned

MLP: Learner = partial(fit_network, network=partial(mlp, width=16, depth=1, dropout=0.2))
LR = {"protocol.lr": {"low": 1e-4, "high": 1.0, "log": True}}


def after(run: Run, trials: int) -> Run:
    return replace(run, protocol=replace(run.protocol, tuning_trials=trials))


def peak(train: TrainSet, valid: EvalSet, run: Run, *, at: float, kind: str) -> Fit:
    """A learner of no network: the nearer `at` is to 3, and `kind` to `good`, the more rows it gets right."""
    if at > 9:
        raise TrialFailed("diverged")
    share = max(0.0, 1 - abs(at - 3) / 10) * (1 if kind == "good" else 0.5)
    right = np.arange(len(valid)) < share * len(valid)
    predicted = np.where(right, valid.y, (valid.y + 1) % 3)

    def predict(x: Any) -> np.ndarray:
        return np.eye(3, dtype=np.float32)[predicted[: len(x)]]

    return Fit(predict, parameters=round(100 * at), examples=100, history=[{"step": 1.0, "at": at}])


SPACE = {"at": {"low": 0.0, "high": 10.0}, "kind": {"choices": ["bad", "good"]}}
PEAK: Learner = partial(peak, at=0.0, kind="bad")


def test_the_best_of_its_trials_by_validation_is_what_it_gives(run: Run) -> None:
    train, valid = easy("table")
    seen: list[Any] = []
    fit = tuned(train, valid, replace(after(run, 30), log=seen.append), learner=PEAK, over=SPACE)
    trials = [row for row in fit.history if "trial" in row]
    done = [row for row in trials if "valid" in row]
    assert [row["trial"] for row in trials] == list(range(30))
    best = max(done, key=lambda row: row["valid"])
    assert fit.parameters == round(100 * best["at"]), "the best trial's fit is the one that is given"
    assert best["kind"] == 1, "the place of 'good' among the choices"
    assert abs(best["at"] - 3) < 1
    assert (fit.predict(valid.x).argmax(1) == valid.y).mean() == pytest.approx(best["valid"])
    failed = [row for row in trials if row.get("failed")]
    assert failed
    assert all(row["at"] > 9 for row in failed)
    assert fit.examples == 100 * len(done)
    assert fit.valid_labels == len(valid)
    assert fit.history[30:] == [{"step": 1.0, "at": best["at"]}]
    assert seen == fit.history


def test_the_first_trial_is_the_learner_as_it_is_and_wins_ties(run: Run) -> None:
    train, valid = easy("table")
    alone = MLP(train, valid, run)
    fit = tuned(train, valid, after(run, 1), learner=MLP, over=LR)
    assert np.array_equal(fit.predict(valid.x), alone.predict(valid.x))
    assert fit.history == [{"trial": 0.0, "valid": alone.history[-1]["valid"], "protocol.lr": 0.01}, *alone.history]
    level = {"at": {"low": 0.0, "high": 1e-9}}  # whatever is drawn does as well
    assert tuned(train, valid, after(run, 4), learner=PEAK, over=level).history[4:] == [{"step": 1.0, "at": 0.0}]


def test_the_searched_rate_is_what_is_trained_with(run: Run) -> None:
    train, valid = easy("table")
    fit = tuned(train, valid, after(run, 4), learner=MLP, over=LR)
    best = max((row for row in fit.history if "trial" in row), key=lambda row: row["valid"])
    shared = replace(run, protocol=replace(run.protocol, lr=best["protocol.lr"]))
    assert np.array_equal(fit.predict(valid.x), MLP(train, valid, shared).predict(valid.x))


def test_the_same_run_draws_the_same_and_another_salt_others(run: Run) -> None:
    train, valid = easy("table")

    def drawn(run: Run) -> list[dict[str, float]]:
        return tuned(train, valid, after(run, 12), learner=PEAK, over=SPACE).history

    assert drawn(run) == drawn(run)
    assert drawn(run) != drawn(replace(run, salt="other"))


def test_arms_of_a_block_share_the_first_draws(run: Run) -> None:
    """Two learners of one space try the same configurations until what they found leads them apart."""
    train, valid = easy("table")
    fits = [tuned(train, valid, after(run, 9), learner=each, over=SPACE) for each in (PEAK, partial(PEAK, kind="good"))]
    values = [[(row["at"], row["kind"]) for row in fit.history if "trial" in row] for fit in fits]
    assert values[0][1:] == values[1][1:]


def test_a_default_outside_the_space_is_tried_all_the_same(run: Run) -> None:
    train, valid = easy("table")
    fit = tuned(train, valid, after(run, 2), learner=PEAK, over={"at": {"low": 1, "high": 8, "log": True}})
    assert fit.history[0]["at"] == 0
    assert fit.history[1]["at"] in range(1, 9), "whole numbers where both ends are"


def test_all_failed_fails_the_trial(run: Run) -> None:
    with pytest.raises(TrialFailed, match="all 3 configurations that were tried failed"):
        tuned(*easy("table"), after(run, 3), learner=partial(PEAK, at=9.5), over={"at": {"low": 9.2, "high": 9.9}})


def test_optuna_is_silent_and_moves_no_global_luck(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    train, valid = easy("table")
    before = optuna.logging.get_verbosity()
    check_global_generators_kept(lambda: tuned(train, valid, after(run, 12), learner=PEAK, over=SPACE))
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before


@pytest.mark.parametrize(
    ("over", "line"),
    [
        ({}, "there is nothing to search: the model declares no `space`"),
        (
            {"network.widht": {"low": 1, "high": 2}},
            "'network.widht' cannot be set: mlp has no parameter 'widht'; did you mean 'width'",
        ),
        ({"network.width.x": {"low": 1, "high": 2}}, "a plain value has no parameter 'x'"),
        (
            {"protocol.epochs": {"low": 1, "high": 2}},
            "'protocol.epochs' cannot be tuned by an arm \\(choose from: lr, lr_pre",
        ),
        ({"network.width": {"low": 2, "high": 1}}, "network.width is searched in"),
        ({"network.width": {"low": 0, "high": 1, "log": True}}, "network.width is searched in"),
        ({"network.width": {"low": 0}}, "network.width is searched in"),
        ({"network.width": {"low": "a", "high": "b"}}, "network.width is searched in"),
        ({"network.width": {"choices": []}}, "network.width is searched in"),
        ({"network.width": 3}, "network.width is searched in 3"),
    ],
)
def test_a_space_that_is_none_is_refused(run: Run, over: dict[str, Any], line: str) -> None:
    with pytest.raises(BadInput, match=line):
        tuned(*easy("table"), run, learner=MLP, over=over)


def test_no_validation_rows_is_told(run: Run) -> None:
    train, valid = easy("table")
    nobody = replace(valid, ids=valid.ids[:0], x=valid.x[:0], y=valid.y[:0])
    with pytest.raises(BadInput, match="no validation rows"):
        tuned(train, nobody, run, learner=MLP, over=LR)


def test_a_space_may_be_nested_as_the_command_line_nests_it() -> None:
    spec = {"low": 8, "high": 16}
    assert read_space({"network": {"width": spec}}, MLP) == read_space({"network.width": spec}, MLP)


def test_parameters_within_what_hydra_makes(run: Run) -> None:
    made = learner(option("mlp"))
    changed = with_parameters(made, {"network.width": 7, "network.dropout": 0.5})
    assert [parameter(each, "network.width") for each in (made, changed)] == [128, 7]
    assert parameter(changed, "network.depth") == 2
    assert changed(*easy("table"), run).parameters == (5 + 1) * 7 + (7 + 1) * 7 + (7 + 1) * 3
