"""Searches a learner's hyper-parameters on the validation rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from harness.checks import choices
from harness.data import EvalSet, TrainSet
from harness.errors import BadInput, TrialFailed
from harness.learners import Fit, Learner, Run
from harness.learners.parameters import parameter, with_parameters
from harness.metrics import score
from harness.streams import child_seed

SHARED = ("lr", "lr_pretrained", "weight_decay", "warmup")
"""Parts of the protocol that a search may change for its own fits; the rest is the budget, equal for all arms."""
Spec = Mapping[str, Any]
"""`{low, high, log}` (integers if both ends are; `log` is optional) or `{choices}`."""
Space = Mapping[str, Spec]
"""One spec per dotted name, as in `network.width` or `protocol.lr`."""


@dataclass(frozen=True)
class Tried:
    """Holds one configuration: its values by name, its validation metric (higher is better), its fit (None if it
    failed).
    """

    values: Mapping[str, Any]
    valid: float
    fit: Fit | None


def tuned(train: TrainSet, valid: EvalSet, run: Run, *, learner: Learner, over: Mapping[str, Any]) -> Fit:
    """Returns the best of `protocol.tuning_trials` fits by the validation metric, the earliest at a tie.

    The first trial is the learner as it is; the others are drawn by Optuna's tree-structured Parzen estimator from
    `over` (see `Space`), where `protocol.lr` and its like stand for the protocol's own. All trials share the run's
    streams and each takes its whole budget; the best fit is returned as it is. `examples` counts the trials that did
    not fail, `valid_labels` every validation row; `history` has one row per trial (the metric, and each value; a
    value that is not a number by its place among the choices), then the curve of the best one. A configuration that
    fails is passed over; TrialFailed if all fail. Bergstra et al., Algorithms for hyper-parameter optimization, 2011.
    """
    if not len(valid):
        raise BadInput("there are no validation rows to tune on")
    space, history = read_space(over, learner), list[dict[str, float]]()
    best, examples = Tried({}, -np.inf, None), 0
    for number, tried in enumerate(_search(space, train, valid, run, learner)):
        history.append({"trial": float(number), **_told(tried, space)})
        run.log(history[-1])
        examples += tried.fit.examples if tried.fit else 0
        best = tried if tried.valid > best.valid else best
    if best.fit is None:
        raise TrialFailed(f"all {len(history)} configurations that were tried failed")
    for row in best.fit.history:
        run.log(row)
    return replace(best.fit, examples=examples, valid_labels=len(valid), history=[*history, *best.fit.history])


def read_space(over: Mapping[str, Any], learner: Learner) -> Space:
    """Returns the space by dotted name; BadInput if it is empty, malformed, or names an unknown parameter."""
    space = dict(sorted(_flat(over, "")))
    if not space:
        example = "{protocol.lr: {low: 0.0003, high: 0.03, log: true}}"
        raise BadInput(f"there is nothing to search: the model declares no `space`; write 'model.over={example}'")
    for name, spec in space.items():
        _check_spec(name, spec)
        head, _, rest = name.partition(".")
        if head != "protocol":
            parameter(learner, name)
        elif rest not in SHARED:
            raise BadInput(f"'{name}' cannot be tuned by an arm{choices(rest, SHARED)}")
    return space


def _flat(over: Mapping[str, Any], above: str) -> Iterator[tuple[str, Spec]]:
    """Yields names and specs; a mapping that is not a spec nests further names."""
    for name, spec in over.items():
        if isinstance(spec, Mapping) and not {"low", "high", "choices"} & set(spec):
            yield from _flat(spec, f"{above}{name}.")
        else:
            yield f"{above}{name}", spec


def _check_spec(name: str, spec: Any) -> None:
    """Raises BadInput for a malformed spec."""
    keys = set(spec) if isinstance(spec, Mapping) else set()
    if keys == {"choices"} and spec["choices"]:
        return
    numbers = {"low", "high"} <= keys <= {"low", "high", "log"} and {type(spec["low"]), type(spec["high"])} <= {
        int,
        float,
    }
    if not numbers or not spec["low"] < spec["high"] or (spec.get("log") and spec["low"] <= 0):
        raise BadInput(f"{name} is searched in {spec}: it must be {{low, high, log}} with low < high, or {{choices}}")


def _search(space: Space, train: TrainSet, valid: EvalSet, run: Run, learner: Learner) -> Iterator[Tried]:
    """Yields the configurations as they are tried; each draw knows the results before it."""
    with _optuna() as optuna:
        sampler = optuna.samplers.TPESampler(seed=child_seed(run.stream("tuning")))
        study = optuna.create_study(direction="maximize", sampler=sampler)
        ranges = {name: _distribution(optuna, spec) for name, spec in space.items()}
    default = {name: _current(name, learner, run) for name in space}
    first = _tried(default, train, valid, run, learner)
    yield first
    known = {name: _place(spec, default[name]) for name, spec in space.items()}
    if first.fit and None not in known.values():
        study.add_trial(optuna.trial.create_trial(params=known, distributions=ranges, value=first.valid))
    for _ in range(run.protocol.tuning_trials - 1):
        drawn = study.ask(ranges)
        values = {name: _value(spec, drawn.params[name]) for name, spec in space.items()}
        tried = _tried(values, train, valid, run, learner)
        study.tell(drawn, tried.valid) if tried.fit else study.tell(drawn, state=optuna.trial.TrialState.FAIL)
        yield tried


@contextmanager
def _optuna() -> Iterator[ModuleType]:
    """Creates an Optuna study without its log messages."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield optuna
    finally:
        optuna.logging.set_verbosity(before)


def _tried(values: Mapping[str, Any], train: TrainSet, valid: EvalSet, run: Run, learner: Learner) -> Tried:
    """Trains and scores one configuration; a failure counts as worse than anything."""
    shared = {name.partition(".")[2]: value for name, value in values.items() if name.startswith("protocol.")}
    own = {name: value for name, value in values.items() if not name.startswith("protocol.")}
    quiet = replace(run, log=lambda row: None, watch=lambda predict: None)
    try:
        under = replace(quiet, protocol=replace(run.protocol, **shared))
        fit = with_parameters(learner, own)(train, valid, under)
        predicted = fit.predict(valid.x)
    except TrialFailed:
        return Tried(values, -np.inf, None)
    if not np.isfinite(predicted).all():
        return Tried(values, -np.inf, None)
    return Tried(values, float(score(run.protocol.metric, valid.y, predicted.argmax(1), len(run.classes))), fit)


def _told(tried: Tried, space: Space) -> dict[str, float]:
    """Returns a trial's row in the curve: numbers only."""
    said: dict[str, float] = {"valid": tried.valid} if tried.fit else {"failed": 1.0}
    for name, value in tried.values.items():
        number = value if isinstance(value, int | float) else _place(space[name], value)
        said |= {} if number is None else {name: float(number)}
    return said


def _current(name: str, learner: Learner, run: Run) -> Any:
    """Returns the value of a name before tuning."""
    head, _, rest = name.partition(".")
    return getattr(run.protocol, rest) if head == "protocol" else parameter(learner, name)


def _distribution(optuna: ModuleType, spec: Spec) -> Any:
    """Returns a spec in Optuna's form; among choices it draws the index, since it takes no lists."""
    if "choices" in spec:
        return optuna.distributions.CategoricalDistribution(range(len(spec["choices"])))
    whole = type(spec["low"]) is int and type(spec["high"]) is int
    make = optuna.distributions.IntDistribution if whole else optuna.distributions.FloatDistribution
    return make(spec["low"], spec["high"], log=bool(spec.get("log")))


def _value(spec: Spec, drawn: Any) -> Any:
    return spec["choices"][drawn] if "choices" in spec else drawn


def _place(spec: Spec, value: Any) -> Any:
    """Returns a value in Optuna's form of the spec; None if it lies outside the spec."""
    if "choices" in spec:
        return next((place for place, choice in enumerate(spec["choices"]) if choice == value), None)
    return value if isinstance(value, int | float) and spec["low"] <= value <= spec["high"] else None
