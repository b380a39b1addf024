"""Turns a trial's record into the content of its run: the same for a trial that has just ended and for an old one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.run.track.names import LONGEST, group_name, tags_of, trial_id, without_places

OUTCOMES = ("delta", "test", "valid", "cost/cpu_s")
"""What is logged once per trial as well as put in the summary: by default, W&B draws panels only of logged values."""


@dataclass(frozen=True)
class TrialRun:
    """Holds all that W&B gets of one trial: what opens the run, the rows of its history, its summary, its exit code.

    `data` is the fingerprint of its data. The summary holds the digest of all the rest.
    """

    opening: Mapping[str, Any]
    rows: list[dict[str, Any]]
    summary: Mapping[str, Any]
    exit_code: int
    data: str

    @property
    def digest(self) -> str:
        """Returns the digest by which an equal run is recognised."""
        return str(self.summary["digest"])


def run_of(record: Mapping[str, Any], delta: float | None) -> TrialRun:
    """Returns the run of a record that also has its study's names; `delta` is in points, None if there is none.

    Curves, outcome and cost come from the record; nothing in it names a place of the machine.
    """
    opening = trial_opening(record)
    outcome = without_places(outcome_of(record, delta))
    logged = {name: outcome[name] for name in OUTCOMES if name in outcome}
    rows = [*(curve_row(row) for row in record["history"]), *([logged] if logged else [])]
    code = 0 if record["status"] == "done" else 1
    digest = content_digest([opening, rows, outcome, code])
    return TrialRun(opening, rows, {**outcome, "digest": digest}, code, str(record["trial"]["data"]))


def content_digest(content: Any) -> str:
    """Returns the SHA-256 of a content of JSON types, 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def curve_row(row: Mapping[str, float | int]) -> dict[str, float | int]:
    """Returns a row of the training curve under the names that it has in a run's history."""
    return {f"curve/{name}": value for name, value in row.items()}


def trial_opening(head: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of a trial's run, from its record's head: identity, place in the study, configuration."""
    trial = head["trial"]
    opening = {
        "group": group_name(head["study"]),
        "job_type": "baseline" if head["axis"] == "none" else head["axis"],
        "name": f"{head['arm']} seed={head['seed']}",
        "tags": [_task_name(trial["task"]), *head["factors"], *(["reference"] if head["reference"] else [])],
        "config": {**flatten(trial), **_place(head)},
    }
    clean = without_places(opening)
    return {**clean, "id": trial_id(head), "name": clean["name"][:LONGEST], "tags": tags_of(clean["tags"])}


def _place(head: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values by which runs are grouped and compared, under one-word names at the top of the config."""
    names = ("study", "arm", "axis", "factors", "reference", "seed", "key", "control")
    return {**{name: head[name] for name in names}, "task": _task_name(head["trial"]["task"])}


def _task_name(task: Mapping[str, Any]) -> str:
    """Returns a task's short name: its `name`, else the last part of its target."""
    return str(task.get("name") or task.get("_target_", "task").rpartition(".")[2])


def outcome_of(record: Mapping[str, Any], delta: float | None) -> dict[str, Any]:
    """Returns a record's outcome under flat names: status, metrics, delta in points, cost, ledger, facts, counts.

    Unknown values (the metrics of a failed trial, the reason of a finished one) are left out.
    """
    result = record["result"] or {}
    receipts = {kind: _counts(receipt) for kind, receipt in record["receipts"].items()}
    parts = {name: record.get(name) or {} for name in ("cost", "ledger", "facts")}
    outcome = {
        "status": record["status"],
        "reason": record["reason"],
        "delta": delta,
        **{name: result.get(name) for name in ("metric", "test", "valid", "test_set")},
        **flatten({**parts, "receipts": receipts}),
    }
    return {name: value for name, value in outcome.items() if value is not None}


def _counts(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the plain counts of a receipt; the rows that it names stay in the record."""
    return {name: value for name, value in receipt.items() if name.startswith("n_")}


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens a tree of mappings into one whose names are paths: `{"task": {"n": 1}}` becomes `{"task/n": 1}`."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        leaves |= flatten(value, f"{prefix}{name}/") if hasattr(value, "items") else {f"{prefix}{name}": value}
    return leaves
