"""Joins studies of one task at several numbers of training rows into a learning curve; pure functions.

More rows mean more optimiser steps if epochs are held fixed, and fewer epochs if steps are: a curve mixes data with
training time unless it says which. It concerns networks alone; other models are bound by their own options. A curve is
therefore made of studies that hold the same one fixed, and every row and sentence says which.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import pandas as pd

from harness.analysis.study import Study
from harness.errors import BadInput

Held = Literal["steps", "epochs"]
COLUMNS = [
    "study", "n_train", "held_fixed", "optimiser_steps", "arm", "axis", "n_seeds", "score", "effect", "low", "high",
]  # fmt: skip
_SIZE = "n_train"


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Holds one row per study and arm (`COLUMNS`; scores and effects in points), and what was held fixed.

    `held` is steps or epochs, `note` says so in a sentence; `metric` and `task` are those of all studies.
    """

    rows: pd.DataFrame
    held: Held
    note: str
    metric: str
    task: str


def collect_curve(studies: Sequence[Study]) -> LearningCurve:
    """Returns the curve of the arms that all studies have, by the number of training rows.

    BadInput for fewer than two studies, for studies that differ in more than `task.n_train` (task, data, metric,
    protocol), that train on equally many rows, or on different numbers within one study.
    """
    if len(studies) < 2:
        raise BadInput("a learning curve needs two studies or more, of one task with different task.n_train")
    ordered = sorted(studies, key=_rows_of)
    for one, other in pairwise(ordered):
        _check_pair(one, other)
    shared = [effect.arm for effect in ordered[0].effects if all(_has(study, effect.arm) for study in ordered[1:])]
    rows = pd.DataFrame([row for study in ordered for row in _study_rows(study, shared)], columns=COLUMNS)
    first = ordered[0]
    return LearningCurve(rows, _held(first), _note(ordered, shared), first.metric, first.task)


def _has(study: Study, arm: str) -> bool:
    return any(effect.arm == arm for effect in study.effects)


def _rows_of(study: Study) -> int:
    """Returns the number of training rows of all trials of a study; BadInput if they differ."""
    counts = {int(count) for count in study.table["fact_train"].dropna()} if "fact_train" in study.table else set()
    if len(counts) != 1:
        raise BadInput(
            f"study {study.name} has trials of {', '.join(map(str, sorted(counts))) or 'no known number of'} training "
            "rows: a learning curve needs one number for each study (task.n_train=…)"
        )
    return counts.pop()


def _protocol(study: Study) -> Mapping[str, Any]:
    return study.records[0]["trial"]["protocol"]


def _held(study: Study) -> Held:
    return "epochs" if _protocol(study).get("steps") is None else "steps"


def _check_pair(one: Study, other: Study) -> None:
    """Raises BadInput unless two studies differ in their number of training rows alone."""
    if _rows_of(one) == _rows_of(other):
        raise BadInput(f"studies {one.name} and {other.name} both train on {_rows_of(one)} rows")
    if _held(one) != _held(other):
        raise BadInput(
            f"study {one.name} holds {_held(one)} fixed, study {other.name} {_held(other)}: set protocol.steps in both "
            "or in neither"
        )
    for what, values in (
        ("the task", [_without_size(study) for study in (one, other)]),
        ("the data", [study.records[0]["trial"]["data"] for study in (one, other)]),
        ("the protocol", [_fixed_rules(study) for study in (one, other)]),
        ("the baseline", [_baseline(study) for study in (one, other)]),
    ):
        if values[0] != values[1]:
            raise BadInput(
                f"studies {one.name} and {other.name} differ in {what}: in a learning curve only task.n_train differs"
            )


def _without_size(study: Study) -> str:
    task = study.records[0]["trial"]["task"]
    return json.dumps({name: value for name, value in task.items() if name != _SIZE}, sort_keys=True)


def _fixed_rules(study: Study) -> str:
    """Returns a protocol without the number of tuning trials, which only arms that tune have."""
    rules = {name: value for name, value in _protocol(study).items() if name != "tuning_trials"}
    return json.dumps(rules, sort_keys=True)


def _baseline(study: Study) -> str:
    """Returns the options of the baseline, as its first trial records them."""
    trial: Mapping[str, Any] = next((one["trial"] for one in study.records if one["key"] == one["control"]), {})
    return json.dumps({name: trial.get(name) for name in ("model", "weak", "clean", "augment")}, sort_keys=True)


def _steps(study: Study) -> int | None:
    """Returns the optimiser steps of a study's networks; None for records of earlier versions with epochs fixed."""
    said = _protocol(study).get("steps")
    known = {one["facts"].get("optimiser_steps") for one in study.records if one["status"] == "done"}
    return said if said is not None else known.pop() if len(known) == 1 else None


def _study_rows(study: Study, arms: Sequence[str]) -> list[dict[str, Any]]:
    """Returns a study's rows; the interval is that of the effect against the control of the same size."""
    found = []
    for effect in study.effects:
        if effect.arm in arms and effect.score is not None:
            one = effect.interval
            found.append({
                "study": study.name, "n_train": _rows_of(study), "held_fixed": _held(study),
                "optimiser_steps": _steps(study), "arm": effect.arm, "axis": effect.axis,
                "n_seeds": effect.n_trials - effect.n_failed - effect.n_missing, "score": effect.score,
                "effect": one and one.effect, "low": one and one.low, "high": one and one.high,
            })  # fmt: skip
    return found


def _note(studies: Sequence[Study], arms: Sequence[str]) -> str:
    """Returns what was held fixed for networks, what bounds the others, and which arms are left out."""
    rules, sizes = _protocol(studies[0]), [_rows_of(study) for study in studies]
    if _held(studies[0]) == "steps":
        fixed = (
            f"Optimiser steps are held fixed for networks: {rules['steps']} at each size, so fewer epochs of more rows."
        )
    else:
        steps = [_steps(study) for study in studies]
        counts = "" if None in steps else f" ({steps[0]} at {sizes[0]} rows, {steps[-1]} at {sizes[-1]})"
        held = f"Epochs are held fixed for networks: {rules['epochs']}"
        fixed = f"{held}, so more rows also mean more optimiser steps{counts}."
    lost = [effect.arm for study in studies for effect in study.effects if effect.arm not in arms]
    left = f" Left out, since not all studies have them: {', '.join(dict.fromkeys(lost))}." if lost else ""
    return f"{fixed} Other models (linear, trees, AutoML) are bound by their own options.{left}"
