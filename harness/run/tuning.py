"""Searches what an arm leaves to be tuned in its strategies: each configuration trains the arm's model once.

Strategies see no validation row. So the search is done here, around the whole way from training set to fit: the same
number of configurations, validation rows and ledger as where a model is tuned (`harness.learners.tuned`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from harness.arm import DATA_FACTORS
from harness.data import EvalSet
from harness.errors import BadInput, TrialFailed
from harness.learners import Fit, Run
from harness.learners.parameters import with_parameters
from harness.learners.search import Space, Tried, attempt_row, try_configurations
from harness.learners.tuned import current_values, read_space, tuned, validation_metric, with_values
from harness.run.tools import Purchases
from harness.strategies.tuning import strategy_space, tuned_strategy

Functions = Mapping[str, Any]
"""The function of each factor of an arm, with its parameters."""


@dataclass(frozen=True)
class Attempt:
    """Holds an arm's way from the training set to a fit: the rows to predict, what strategies did, what was bought."""

    fit: Fit
    valid: EvalSet
    test: EvalSet
    receipts: Mapping[str, Mapping[str, Any]]
    bought: Purchases
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TunedPart:
    """Holds what is tuned of one factor: the function before tuning, and the space by the names of its parameters."""

    function: Any
    space: Space


Way = Callable[[Functions, Run], Attempt]
"""Takes an arm's functions, and the run under which its model is trained."""


def tune(arm: Functions, run: Run, way: Way) -> Attempt:
    """Returns the attempt of the arm or, where strategies are tuned, the best of `protocol.tuning_trials` attempts.

    Best by the validation metric, the earliest at a tie; the first has all parameters as they are. All tuned factors
    are searched jointly, a tuned model among them, so that an arm tries no more configurations than another. Every
    attempt counts: in the labels bought, in the examples, and all validation labels as bought. `receipts` and `facts`
    of the best attempt say the values, `history` has one row per attempt and then the curve of the best. A
    configuration that fails is passed over. TrialFailed if all fail; BadInput where the first one does by the user's
    own parameters.
    """
    parts = parts_of(arm)
    if not parts:
        return way(arm, run)
    space = {f"{kind}.{name}": _within(kind, spec) for kind, part in parts.items() for name, spec in part.space.items()}
    tries, best = list[Tried[Attempt]](), Tried[Attempt]({})
    attempt = partial(_tried, arm=arm, parts=parts, run=run, way=way)
    for tried in try_configurations(
        space, _defaults(parts, run), attempt, run.protocol.tuning_trials, run.stream("tuning")
    ):
        run.log(attempt_row(len(tries), tried, space))
        best = tried if tried.valid > best.valid else best
        tries.append(replace(tried, made=tried.made and replace(tried.made, fit=_bare(tried.made.fit))))
    if best.made is None:
        raise TrialFailed(f"all {len(tries)} configurations that were tried failed")
    for row in best.made.fit.history:
        run.log(row)
    return _sum(best.made, best, tries, space)


def parts_of(arm: Functions) -> dict[str, TunedPart]:
    """Returns what is tuned, by factor; empty where no strategy is: a tuned model by itself does its own search."""
    parts = {
        kind: TunedPart(given["strategy"], strategy_space(given["over"], given["strategy"]))
        for kind in DATA_FACTORS
        if getattr(arm[kind], "func", None) is tuned_strategy
        for given in [arm[kind].keywords]
    }
    if parts and getattr(arm["model"], "func", None) is tuned:
        given = arm["model"].keywords
        parts["model"] = TunedPart(given["learner"], read_space(given["over"], given["learner"]))
    return parts


def _within(kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a spec whose condition names parameters as the joint space does."""
    when = {f"{kind}.{other}": values for other, values in spec.get("when", {}).items()}
    return {**spec, **({"when": when} if when else {})}


def _defaults(parts: Mapping[str, TunedPart], run: Run) -> dict[str, Any]:
    """Returns the values before tuning, by factor and name."""
    return {
        f"{kind}.{name}": value
        for kind, part in parts.items()
        for name, value in current_values(part.space, part.function, run).items()
    }


def _tried(
    values: Mapping[str, Any], *, arm: Functions, parts: Mapping[str, TunedPart], run: Run, way: Way
) -> Tried[Attempt]:
    """Goes the whole way with one configuration; a failure counts as worse than anything."""
    try:
        functions, under = _with_values(arm, parts, run, values)
        made = way(functions, under)
        metric = validation_metric(made.fit, made.valid, run)
    except TrialFailed:
        return Tried(values)
    except BadInput:
        if values == _defaults(parts, run):
            raise
        return Tried(values)  # a drawn value that this training set does not allow, such as too many neighbours
    return Tried(values, metric, made) if np.isfinite(metric) else Tried(values)


def _with_values(
    arm: Functions, parts: Mapping[str, TunedPart], run: Run, values: Mapping[str, Any]
) -> tuple[dict[str, Any], Run]:
    """Returns the functions of the arm with those values, and the run under which its model is trained."""
    functions, under = dict(arm), replace(run, log=lambda row: None, watch=lambda predict: None)
    for kind, part in parts.items():
        own = _of(kind, values)
        if kind == "model":
            functions[kind], under = with_values(part.function, run, own)
        else:
            functions[kind] = with_parameters(part.function, own)
    return functions, under


def _of(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of one factor by the names of its parameters."""
    return {name.removeprefix(f"{kind}."): value for name, value in values.items() if name.startswith(f"{kind}.")}


def _bare(fit: Fit) -> Fit:
    """Returns the counts of a fit without its model, so that only the best one is held in memory."""
    return replace(fit, predict=lambda x: np.zeros((len(x), 0), np.float32), history=[])


def _sum(made: Attempt, best: Tried[Attempt], tries: list[Tried[Attempt]], space: Space) -> Attempt:
    """Returns the best attempt with the costs of all of them, and with what was chosen."""
    done = [tried.made for tried in tries if tried.made is not None]
    rows = [attempt_row(number, tried, space) for number, tried in enumerate(tries)]
    fit = replace(
        made.fit,
        examples=sum(one.fit.examples for one in done),
        valid_labels=len(made.valid),
        history=[*rows, *made.fit.history],
    )
    receipts = {kind: {**told, **_chosen(kind, best)} for kind, told in made.receipts.items()}
    values = ", ".join(f"{name}={_said(value)}" for name, value in best.values.items())
    said = f"{values} (best of {len(tries)} configurations on {len(made.valid)} validation rows)"
    bought = made.bought.joined([one.bought for one in done])
    return replace(made, fit=fit, receipts=receipts, bought=bought, facts={**made.facts, "tuned": said})


def _chosen(kind: str, best: Tried[Attempt]) -> dict[str, Any]:
    """Returns the receipt's entry of the values that were chosen; empty for a factor that was not tuned."""
    values = _of(kind, best.values)
    return {"tuned": values} if values else {}


def _said(value: Any) -> str:
    return "null" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
