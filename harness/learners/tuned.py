"""Searches a learner's hyper-parameters on the validation rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from harness.checks import choices
from harness.data import EvalSet, TrainSet
from harness.errors import BadInput, TrialFailed
from harness.learners import Fit, Learner, Run
from harness.learners.parameters import parameter, with_parameters
from harness.learners.search import Space, Tried, attempt_row, flat_space, try_configurations
from harness.metrics import score

SHARED = ("lr", "lr_pretrained", "weight_decay", "warmup")
"""Parts of the protocol that a search may change for its own fits; the rest is the budget, equal for all arms."""


def tuned(train: TrainSet, valid: EvalSet, run: Run, *, learner: Learner, over: Mapping[str, Any]) -> Fit:
    """Returns the best of `protocol.tuning_trials` fits by the validation metric, the earliest at a tie.

    The first trial is the learner as it is; the others are drawn from `over` (see `try_configurations`), where
    `protocol.lr` and its like stand for the protocol's own. All trials share the run's streams and each takes its whole
    budget; the best fit is returned as it is. `examples` counts the trials that did not fail, `valid_labels` every
    validation row; `history` has one row per trial, then the curve of the best one. A configuration that fails is
    passed over; TrialFailed if all fail.
    """
    if not len(valid):
        raise BadInput("there are no validation rows to tune on")
    space, history = read_space(over, learner), list[dict[str, float]]()
    best, examples = Tried[Fit]({}), 0
    attempt = partial(_tried, train=train, valid=valid, run=run, learner=learner)
    default = current_values(space, learner, run)
    for number, tried in enumerate(
        try_configurations(space, default, attempt, run.protocol.tuning_trials, run.stream("tuning"))
    ):
        history.append(attempt_row(number, tried, space))
        run.log(history[-1])
        examples += tried.made.examples if tried.made else 0
        best = tried if tried.valid > best.valid else best
    if best.made is None:
        raise TrialFailed(f"all {len(history)} configurations that were tried failed")
    for row in best.made.history:
        run.log(row)
    return replace(best.made, examples=examples, valid_labels=len(valid), history=[*history, *best.made.history])


def read_space(over: Mapping[str, Any], learner: Learner) -> Space:
    """Returns the space by dotted name; BadInput if it is empty, malformed, or names an unknown parameter."""
    example = "{protocol.lr: {low: 0.0003, high: 0.03, log: true}}"
    space = flat_space(over, f"the model declares no `space`; write 'model.over={example}'")
    for name in space:
        head, _, rest = name.partition(".")
        if head != "protocol":
            parameter(learner, name)
        elif rest not in SHARED:
            raise BadInput(f"'{name}' cannot be tuned by an arm{choices(rest, SHARED)}")
    return space


def current_values(space: Space, learner: Learner, run: Run) -> dict[str, Any]:
    """Returns the values before tuning, by name."""
    return {
        name: getattr(run.protocol, name.removeprefix("protocol."))
        if name.startswith("protocol.")
        else parameter(learner, name)
        for name in space
    }


def with_values(learner: Learner, run: Run, values: Mapping[str, Any]) -> tuple[Learner, Run]:
    """Returns the learner and the run with those values, of which `protocol.` ones are the run's; it tells nobody."""
    shared = {name.partition(".")[2]: value for name, value in values.items() if name.startswith("protocol.")}
    own = {name: value for name, value in values.items() if not name.startswith("protocol.")}
    quiet = replace(run, log=lambda row: None, watch=lambda predict: None)
    return with_parameters(learner, own), replace(quiet, protocol=replace(run.protocol, **shared))


def validation_metric(fit: Fit, valid: EvalSet, run: Run) -> float:
    """Returns the protocol's metric of a fit on the validation rows; minus infinity if a probability is not finite."""
    predicted = fit.predict(valid.x)
    if not np.isfinite(predicted).all():
        return -np.inf
    return float(score(run.protocol.metric, valid.y, predicted.argmax(1), len(run.classes)))


def _tried(values: Mapping[str, Any], *, train: TrainSet, valid: EvalSet, run: Run, learner: Learner) -> Tried[Fit]:
    """Trains and scores one configuration; a failure counts as worse than anything."""
    try:
        own, under = with_values(learner, run, values)
        fit = own(train, valid, under)
        metric = validation_metric(fit, valid, run)
    except TrialFailed:
        return Tried(values)
    return Tried(values, metric, fit) if np.isfinite(metric) else Tried(values)
