"""Searches a space of hyper-parameters by Optuna; what a configuration is tried on is the caller's function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Generic, TypeVar

import numpy as np

from harness.errors import BadInput
from harness.streams import child_seed

Spec = Mapping[str, Any]
"""`{low, high, log}` (integers if both ends are; `log` is optional) or `{choices}`.

With `when: {other: [values]}` the parameter is null unless the other one, of the same option, has one of those values.
"""
Space = Mapping[str, Spec]
"""One spec per dotted name, as in `network.width` or `protocol.lr`."""
T = TypeVar("T")


@dataclass(frozen=True)
class Tried(Generic[T]):
    """Holds one configuration: its values by name, its validation metric (higher is better), and what was made of it.

    `made` is None, and `valid` minus infinity, for a configuration that failed.
    """

    values: Mapping[str, Any]
    valid: float = -np.inf
    made: T | None = None


def flat_space(over: Mapping[str, Any], example: str) -> Space:
    """Returns the space by dotted name; BadInput if it is empty or malformed. `example` is what to write instead."""
    space = dict(sorted(_flat(over, "")))
    if not space:
        raise BadInput(f"there is nothing to search: {example}")
    for name, spec in space.items():
        _check_spec(name, spec, space)
    return space


def _flat(over: Mapping[str, Any], above: str) -> Iterator[tuple[str, Spec]]:
    """Yields names and specs; a mapping that is not a spec nests further names."""
    for name, spec in over.items():
        if isinstance(spec, Mapping) and not {"low", "high", "choices"} & set(spec):
            yield from _flat(spec, f"{above}{name}.")
        else:
            yield f"{above}{name}", spec


def _check_spec(name: str, spec: Any, space: Mapping[str, Any]) -> None:
    """Raises BadInput for a malformed spec."""
    keys = set(spec) - {"when"} if isinstance(spec, Mapping) else set()
    _check_when(name, spec, space)
    if keys == {"choices"} and spec["choices"]:
        return
    numbers = {"low", "high"} <= keys <= {"low", "high", "log"} and {type(spec["low"]), type(spec["high"])} <= {
        int,
        float,
    }
    if not numbers or not spec["low"] < spec["high"] or (spec.get("log") and spec["low"] <= 0):
        raise BadInput(f"{name} is searched in {spec}: it must be {{low, high, log}} with low < high, or {{choices}}")


def _check_when(name: str, spec: Any, space: Mapping[str, Any]) -> None:
    """Raises BadInput unless the condition names searched choices."""
    when = spec.get("when", {}) if isinstance(spec, Mapping) else {}
    for other, values in when.items() if isinstance(when, Mapping) else [(when, [])]:
        there = space.get(other, {})
        if not isinstance(values, list) or not set(map(str, values)) <= set(map(str, there.get("choices", []))):
            raise BadInput(
                f"{name} is searched when {other} is {values}: name a parameter with those among its choices"
            )


def try_configurations(
    space: Space,
    default: Mapping[str, Any],
    attempt: Callable[[Mapping[str, Any]], Tried[T]],
    trials: int,
    rng: np.random.Generator,
) -> Iterator[Tried[T]]:
    """Yields `trials` configurations as they are tried, the default first; each draw knows the results before it.

    Drawn by Optuna's tree-structured Parzen estimator, whose seed comes from `rng`. A default outside the space is
    tried too, but teaches the estimator nothing. Bergstra et al., Algorithms for hyper-parameter optimization, 2011.
    """
    with _optuna() as optuna:
        sampler = optuna.samplers.TPESampler(seed=child_seed(rng))
        study = optuna.create_study(direction="maximize", sampler=sampler)
        ranges = {name: _distribution(optuna, spec) for name, spec in space.items()}
    first = attempt(default)
    yield first
    known = {name: _known(spec, default[name]) for name, spec in space.items()}
    if first.made is not None and None not in known.values():
        study.add_trial(optuna.trial.create_trial(params=known, distributions=ranges, value=first.valid))
    for _ in range(trials - 1):
        drawn = study.ask(ranges)
        tried = attempt(_values(space, drawn.params))
        if tried.made is None:
            study.tell(drawn, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(drawn, tried.valid)
        yield tried


def attempt_row(number: int, tried: Tried[T], space: Space) -> dict[str, float]:
    """Returns a configuration's row in the curve, numbers only: its metric, and each value.

    A value that is not a number stands by its place among the choices; null is left out.
    """
    said: dict[str, float] = {"valid": tried.valid} if tried.made is not None else {"failed": 1.0}
    for name, value in tried.values.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        number_or_place = value if is_number else _place(space[name], value)
        said |= {} if number_or_place is None else {name: float(number_or_place)}
    return {"trial": float(number), **said}


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


def _distribution(optuna: ModuleType, spec: Spec) -> Any:
    """Returns a spec in Optuna's form; among choices it draws the index, since it takes no lists."""
    if "choices" in spec:
        return optuna.distributions.CategoricalDistribution(range(len(spec["choices"])))
    whole = type(spec["low"]) is int and type(spec["high"]) is int
    make = optuna.distributions.IntDistribution if whole else optuna.distributions.FloatDistribution
    return make(spec["low"], spec["high"], log=bool(spec.get("log")))


def _values(space: Space, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a draw; null for a parameter whose condition does not hold."""
    values = {name: spec["choices"][drawn[name]] if "choices" in spec else drawn[name] for name, spec in space.items()}
    holds = {
        name: all(values[other] in allowed for other, allowed in spec.get("when", {}).items())
        for name, spec in space.items()
    }
    return {name: value if holds[name] else None for name, value in values.items()}


def _known(spec: Spec, value: Any) -> Any:
    """Returns a default in Optuna's form of the spec; null stands for the low end where a condition allows it."""
    return spec["low"] if value is None and "when" in spec and "low" in spec else _place(spec, value)


def _place(spec: Spec, value: Any) -> Any:
    """Returns a value in Optuna's form of the spec; None if it lies outside the spec."""
    if "choices" in spec:
        return next((place for place, choice in enumerate(spec["choices"]) if choice == value), None)
    return value if isinstance(value, int | float) and spec["low"] <= value <= spec["high"] else None
