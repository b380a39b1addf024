"""Runs one arm on one block, from its specification to its record; randomness and device are arguments.

What a trial needs is imported here, so that no trial is charged for it, and a command that runs none need not wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from harness.arm import DATA_FACTORS, FACTORS
from harness.data import EvalSet, Task, TrainSet
from harness.errors import TrialFailed
from harness.learners import Fit, Learner, Protocol, Run
from harness.learners.adapt import adapt_to_limits, check_complete
from harness.metrics import class_faults, score
from harness.receipts import receipt
from harness.run.imports import import_ahead
from harness.run.options import build, identity, lacks_of, needs_of
from harness.run.sources import user_sources
from harness.run.specification import Log, Trial, shared_rules
from harness.run.tools import InTest, Purchases, compare_with_test, lend
from harness.run.tuning import Attempt, Functions, tune
from harness.storage.cache import Cache
from harness.storage.cost import Bill, meter
from harness.storage.packing import pack
from harness.storage.places import content_of
from harness.strategies import Strategy, Tools
from harness.tables import numeric
from harness.vote_triples import triples

_NOTICED_S = 0.05
"""Processor seconds of other threads or processes below which they are the rounding of the system's counters."""


@dataclass(frozen=True)
class Place:
    """Holds a trial's cache, device and log, none of which may change its result."""

    cache: Cache
    device: str
    log: Log = lambda row: None


def run_trial(trial: Trial, task: Task, place: Place) -> dict[str, Any]:
    """Runs the trial and returns the measured part of its record: result, receipts, ledger, cost, facts, history.

    `task` is the trial's source, split by the trial's seed. TrialFailed if there is no result.
    """
    run = _run(trial, task, replace(place, cache=Cache(place.cache.folder)))
    wrong = class_faults("protocol.metric", run.protocol.metric, task.test.y, task.classes)
    if wrong:
        raise TrialFailed(wrong[0])
    arm, probe = {name: build(trial.arm[name]) for name in FACTORS}, build(trial.probe)
    import_ahead([*trial.arm.values(), trial.probe], [*arm.values(), probe])  # outside the measured block
    way = partial(_attempt, trial, task, probe, run, compare_with_test(task))
    with meter() as bill:
        best = tune(arm, run, way)
        outputs = _finite(best.fit.predict(best.test.x))
    result, told = _result(run, best, outputs, "probabilities" not in lacks_of(trial.arm["model"]))
    return {
        "result": result,
        "receipts": best.receipts,
        "ledger": _ledger(trial, task, best),
        "cost": _cost(bill, run.cache, best.fit),
        "facts": {**task.facts, **_budget(run, task), **best.facts, **told},
        "history": list(best.fit.history),
    }


def _budget(run: Run, task: Task) -> dict[str, str | int]:
    """Returns facts on the budget: the optimiser steps of networks, and whether they or epochs are held fixed."""
    return {"budget": run.protocol.describe_budget(len(task.train)), "optimiser_steps": run.steps}


def _attempt(trial: Trial, task: Task, probe: Learner, run: Run, in_test: InTest, arm: Functions, own: Run) -> Attempt:
    """Takes the training set through the strategies to a fit of the model, which is trained under the run `own`."""
    train, receipts, bought = task.train, {}, Purchases(task)
    for kind in DATA_FACTORS:
        tools = _tools(kind, trial, probe, run, bought, in_test)
        before, train = train, _stage(kind, arm[kind], train, tools)
        receipts[kind] = receipt(before, train)
        _check(train, before, f"{kind} ({trial.arm[kind]['_target_'].rpartition('.')[2]})")
    lacks = sorted(lacks_of(trial.arm["model"]))
    train, told = adapt_to_limits(numeric(train), lacks, run.stream("adapt"))
    valid = _prepared(task.valid, train, lacks, "validation")
    fit = arm["model"](train, valid, own)
    test = _prepared(task.test, train, lacks, "test")  # a strategy's transform meets it after the fit, not before
    used = any({"valid", "tuning"} & needs_of(trial.arm[name]) for name in FACTORS)
    facts = {**bought.notes, **({"adapted": "; ".join(told)} if told else {}), **({"valid_used": True} if used else {})}
    return Attempt(fit, valid, test, receipts, bought, facts)


def _run(trial: Trial, task: Task, place: Place) -> Run:
    protocol: Protocol = build(trial.protocol)
    return Run(
        seed=trial.seed, salt=trial.salt, steps=protocol.budget(len(task.train)), protocol=protocol,
        classes=task.classes, cache=place.cache, device=place.device, log=place.log,
        groups=task.group_of,
    )  # fmt: skip


def _tools(kind: str, trial: Trial, probe: Learner, run: Run, bought: Purchases, in_test: InTest) -> Tools:
    """Returns the tools of the strategy of that kind; the probe's results are cached under its identity."""
    rules = shared_rules(trial.protocol, [trial.probe])
    code = user_sources(trial.probe, trial.protocol)
    who = [identity(trial.probe, content_of), rules, trial.seed, trial.salt, run.steps, *([code] if code else [])]
    return lend(kind, sorted(needs_of(trial.arm[kind])), probe, who, run, bought, in_test)


def _stage(kind: str, strategy: Strategy, train: TrainSet, tools: Tools) -> TrainSet:
    """Applies a strategy to the set; augmentations work on numbers, so raw cells are encoded before them."""
    return strategy(numeric(train) if kind == "augment" else train, tools)


def _prepared(part: EvalSet, train: TrainSet, lacks: Sequence[str], name: str) -> EvalSet:
    """Transforms rows as the training rows were; strategies have no access to ids and labels."""
    part = part if train.prepare is None else replace(part, x=train.prepare(part.x))
    check_complete(part.x, lacks, name)
    return part


def _check(after: TrainSet, before: TrainSet, who: str) -> None:
    """Raises TrialFailed for a training set with a repeated id, no labelled row, or a class lost."""
    if len(set(after.ids.tolist())) != len(after):
        raise TrialFailed(f"{who} left two rows with one id")
    if not after.labelled.any():
        raise TrialFailed(f"{who} left no labelled row of {len(before)}")
    present = [train.y[train.labelled].sum(0) > 0 for train in (before, after)]
    gone = np.flatnonzero(present[0] & ~present[1])
    if len(gone):
        raise TrialFailed(f"{who} left no row of {len(gone)} of {before.k} classes, the first is class {gone[0]}")


def _finite(outputs: np.ndarray) -> np.ndarray:
    """Returns a model's outputs (n, k); TrialFailed if one of them is not finite."""
    if not np.isfinite(outputs).all():
        raise TrialFailed("the model predicts probabilities that are not finite")
    return outputs


def _result(run: Run, best: Attempt, outputs: np.ndarray, soft: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the scores, as shares, with the classes and probabilities of the scored rows; and facts on these.

    Classes and probabilities of test and validation rows allow any other metric. `outputs (n, k)` are the model's for
    the test rows; they are no probabilities if the model's option says so (not `soft`).
    """
    metric, k, valid, test = run.protocol.metric, len(run.classes), best.valid, best.test
    seen = _finite(best.fit.predict(valid.x)) if len(valid) else None
    kept = soft and all(map(_are_probabilities, [outputs, *([] if seen is None else [seen])]))
    classes = outputs.argmax(1)
    result = {
        "metric": metric, "test": score(metric, test.y, classes, k), "predictions": _packed_classes(classes, k),
        "probabilities": _packed_probabilities(outputs) if kept else None,
        "valid": None, "valid_predictions": None, "valid_probabilities": None,
    }  # fmt: skip
    if seen is not None:
        classes = seen.argmax(1)
        result |= {"valid": score(metric, valid.y, classes, k), "valid_predictions": _packed_classes(classes, k)}
        result |= {"valid_probabilities": _packed_probabilities(seen) if kept else None}
    return result, {} if kept else {"probabilities": _NO_PROBABILITIES}


_NO_PROBABILITIES = "none kept: what the model returns are not probabilities"


def _are_probabilities(outputs: np.ndarray) -> bool:
    """Returns whether every row (k,) is a distribution."""
    return bool((outputs >= -1e-6).all() and np.allclose(outputs.sum(1), 1, atol=1e-3))


def _packed_classes(classes: np.ndarray, k: int) -> dict[str, Any]:
    return pack(classes.astype(np.uint8 if k <= 256 else np.uint16))


def _packed_probabilities(outputs: np.ndarray) -> dict[str, Any]:
    """Returns probabilities (n, k) in half precision: 3 digits, at a quarter of the size of double precision."""
    return pack(outputs.clip(0, 1).astype(np.float16))


def _ledger(trial: Trial, task: Task, best: Attempt) -> dict[str, int]:
    """Counts the labels that this trial used: given, gold, votes, validation, oracle.

    Rules and edits are included if a strategy used what people had written or corrected before.
    """
    labelled, gold = int(task.train.labelled.sum()), task.facts.get("train_labels") == "gold"
    voted, bought = "votes" in needs_of(trial.arm["weak"]), best.bought
    spent = {
        "given": 0 if gold else labelled,
        "gold": labelled if gold else 0,
        "votes": len(triples(task.train.votes).voters) if voted else 0,
        "valid": max(best.fit.valid_labels, bought.valid_labels),
        "oracle": len(bought.sold),
    }
    return {**spent, **{what: spent.get(what, 0) + number for what, number in bought.counted.items()}}


def _cost(bill: Bill, cache: Cache, fit: Fit) -> dict[str, float]:
    """Returns seconds and MiB of the trial, including cached work that another trial did, and the load beside it.

    Of `cpu_s`, `threads_s` and `children_s` were spent in further threads and in child processes, if that is more than
    rounding.
    """
    total = sum(cache.charged, bill.cost)
    beside = {"threads_s": bill.threads_s, "children_s": bill.children_s}
    said = {name: round(spent, 3) for name, spent in beside.items() if spent > max(_NOTICED_S, total.cpu_s / 100)}
    load = {} if bill.load is None else {"load": round(bill.load, 3)}
    rounded = {"wall_s": round(total.wall_s, 3), "cpu_s": round(total.cpu_s, 3), "peak_mb": round(total.peak_mb, 1)}
    return {**rounded, **said, **load, "parameters": fit.parameters, "examples": fit.examples}
