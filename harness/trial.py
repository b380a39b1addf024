"""One arm on one block, from its specification to its record; randomness and surroundings are arguments."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.cache import Cache
from harness.config import DATA_FACTORS, FACTORS, axis_of, build, content_of, differing, identity
from harness.cost import Cost, metered
from harness.data import Task, TrainSet
from harness.errors import BadInput, TrialFailed
from harness.learners import Fit, Protocol, Run
from harness.metrics import score
from harness.probe import out_of_sample
from harness.receipts import receipt
from harness.store import pack
from harness.strategies import Tools
from harness.streams import stream

Log = Callable[[Mapping[str, float]], None]


@dataclass(frozen=True)
class Trial:
    """The whole specification of one run.

    `task`, `protocol`, `probe` and the four factors of `arm` are resolved config nodes; `data` is the fingerprint of
    the task's content; `salt` renames the streams of the learner, so that two trials can differ in luck alone.
    """

    task: Mapping[str, Any]
    arm: Mapping[str, Mapping[str, Any]]
    probe: Mapping[str, Any]
    protocol: Mapping[str, Any]
    data: str
    seed: int
    salt: str = ""

    def identity(self) -> dict[str, Any]:
        """What makes this trial this trial: content and parameters, no path, no device, no tracker.

        The probe counts only where a strategy declares that it needs one.
        """
        probed = any("probe" in (self.arm[name].get("needs") or []) for name in DATA_FACTORS)
        return {
            "task": identity(self.task, lambda path: None),
            **{name: identity(self.arm[name], content_of) for name in FACTORS},
            "probe": identity(self.probe, content_of) if probed else None,
            "protocol": identity(self.protocol),
            "data": self.data,
            "seed": self.seed,
            "salt": self.salt,
        }

    @property
    def key(self) -> str:
        """The SHA-256 of the identity, 40 hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()[:40]

    def control(self, baseline: Mapping[str, Mapping[str, Any]]) -> Trial:
        """The same block under the baseline arm."""
        return replace(self, arm=baseline, salt="")

    def against(self, baseline: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """How the arm differs from the baseline: the factors, the axis, and whether it is a dull twin."""
        factors = differing(self.arm, baseline)
        dull = bool(factors) and all(self.arm[name].get("dull", False) for name in factors)
        return {"factors": list(factors), "axis": axis_of(factors), "dull": dull}


@dataclass(frozen=True)
class Place:
    """Where a trial runs and whom it tells; nothing in here may change its result."""

    cache: Cache
    device: str
    log: Log = lambda row: None


def run_trial(trial: Trial, task: Task, place: Place) -> dict[str, Any]:
    """The measured part of a record: result, receipts, ledger, cost, facts, curve; TrialFailed where there is none.

    `task` is the trial's source, split by the trial's seed.
    """
    place = replace(place, cache=Cache(place.cache.folder))
    run, bought = _run(trial, task, place), Purchases(task)
    arm = {name: build(trial.arm[name]) for name in FACTORS}  # imports what it needs: nobody is charged for that
    with metered() as bill:
        train, receipts = task.train, {}
        for kind in DATA_FACTORS:
            before, train = train, arm[kind](train, _tools(kind, trial, run, bought))
            receipts[kind] = receipt(before, train)
            _check(train, before, f"{kind} ({trial.arm[kind]['_target_'].rpartition('.')[2]})")
        fit = arm["model"](train, task.valid, run)
        predicted = _classes(fit.predict(task.test.x))
    return {
        "result": _result(run, task, fit, predicted),
        "receipts": receipts,
        "ledger": _ledger(trial, task, fit, bought),
        "cost": _cost(bill.cost, run.cache.charged, fit),
        "facts": dict(task.facts),
        "history": list(fit.history),
    }


def _run(trial: Trial, task: Task, place: Place) -> Run:
    protocol: Protocol = build(trial.protocol)
    return Run(
        seed=trial.seed, salt=trial.salt, steps=protocol.budget(len(task.train)), protocol=protocol,
        classes=task.classes, cache=place.cache, device=place.device, log=place.log,
    )  # fmt: skip


class Purchases:
    """The metered oracle: it sells the true classes of training rows and remembers which."""

    def __init__(self, task: Task) -> None:
        self._gold = dict(zip(task.train.ids.tolist(), task.gold.tolist(), strict=True))
        self.sold: set[Any] = set()

    def ask(self, ids: np.ndarray) -> np.ndarray:
        """The true classes (len(ids),) of those rows; BadInput where one is unknown or no row of the task."""
        unknown = [name for name in ids.tolist() if self._gold.get(name, -1) < 0]
        if unknown:
            raise BadInput(f"the oracle knows no true class of {len(unknown)} rows, the first is '{unknown[0]}'")
        self.sold.update(ids.tolist())
        return np.array([self._gold[name] for name in ids.tolist()], dtype=np.int64)


def _tools(kind: str, trial: Trial, run: Run, bought: Purchases) -> Tools:
    """What a strategy of that kind may use; the probe only if its option declares that it needs one."""

    def probed(train: TrainSet) -> np.ndarray:
        who = identity(trial.probe, content_of), identity(trial.protocol), trial.seed, trial.salt, run.steps
        quiet = replace(run, log=lambda row: None)
        return out_of_sample(train, learner=build(trial.probe), run=quiet, identity=list(who))

    def refused(train: TrainSet) -> np.ndarray:
        raise BadInput(f"{kind} asks for the probe's probabilities: its option must declare `needs: [probe]`")

    declared = "probe" in (trial.arm[kind].get("needs") or [])
    return Tools(stream(trial.seed, "strategy", kind), probed if declared else refused, bought.ask)


def _check(after: TrainSet, before: TrainSet, who: str) -> None:
    """Refuses a training set on which no learner could be trained fairly."""
    if len(set(after.ids.tolist())) != len(after):
        raise TrialFailed(f"{who} left two rows of one id")
    if not after.labelled.any():
        raise TrialFailed(f"{who} left no labelled row of {len(before)}")
    present = [train.y[train.labelled].sum(0) > 0 for train in (before, after)]
    gone = np.flatnonzero(present[0] & ~present[1])
    if len(gone):
        raise TrialFailed(f"{who} left no row of {len(gone)} of {before.k} classes, the first is class {gone[0]}")


def _classes(probabilities: np.ndarray) -> np.ndarray:
    """The predicted class of each row; TrialFailed where a model predicts no number."""
    if not np.isfinite(probabilities).all():
        raise TrialFailed("the model predicts probabilities that are not finite")
    return probabilities.argmax(1)


def _result(run: Run, task: Task, fit: Fit, predicted: np.ndarray) -> dict[str, Any]:
    """Scores are shares; the predicted classes of the test rows are kept, so that any metric can be had later."""
    metric, k = run.protocol.metric, len(task.classes)
    valid = score(metric, task.valid.y, _classes(fit.predict(task.valid.x)), k) if len(task.valid) else None
    kept = pack(predicted.astype(np.uint8 if k <= 256 else np.uint16))
    return {"metric": metric, "test": score(metric, task.test.y, predicted, k), "valid": valid, "predictions": kept}


def _ledger(trial: Trial, task: Task, fit: Fit, bought: Purchases) -> dict[str, int]:
    """The labels that somebody paid for and this trial used: given, gold, votes, validation, oracle."""
    labelled, gold = int(task.train.labelled.sum()), task.facts.get("train_labels") == "gold"
    voted = "votes" in (trial.arm["weak"].get("needs") or [])
    return {
        "given": 0 if gold else labelled,
        "gold": labelled if gold else 0,
        "votes": int((task.train.votes >= 0).sum()) if voted else 0,
        "valid": fit.valid_labels,
        "oracle": len(bought.sold),
    }


def _cost(own: Cost, charged: list[Cost], fit: Fit) -> dict[str, float]:
    """Seconds and MiB of the trial, and of the shared work that it used wherever that was done."""
    total = sum(charged, own)
    rounded = {"wall_s": round(total.wall_s, 3), "cpu_s": round(total.cpu_s, 3), "peak_mb": round(total.peak_mb, 1)}
    return {**rounded, "parameters": fit.parameters, "examples": fit.examples}
