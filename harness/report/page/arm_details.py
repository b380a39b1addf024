"""Describes an arm from its records: config, receipts, ledger, costs, facts and failures, as text."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from harness.arm import FACTORS
from harness.storage.packing import unpack
from harness.storage.store import Record

FIRST = 8
"""How many rows of a receipt are shown."""
RECEIPT_COUNTS = ("dropped", "relabelled", "reweighted", "edited", "added")


@dataclass(frozen=True)
class ReceiptRow:
    """Holds a training row that a receipt names, and its label before and after ("" if it was dropped or added)."""

    id: str
    became: str


@dataclass(frozen=True)
class Stage:
    """Holds what a strategy did to the training rows: counts over all seeds, and the first rows for one seed."""

    name: str
    counts: Mapping[str, str]
    seed: int
    rows: Mapping[str, Sequence[ReceiptRow]]


@dataclass(frozen=True)
class Factor:
    """Holds one of the four factors of an arm, as YAML; `own` unless it is known to be the baseline's."""

    name: str
    text: str
    own: bool


@dataclass(frozen=True)
class ArmDetails:
    """Holds what is shown below an arm's row. Values are ranges over seeds, as text."""

    factors: Sequence[Factor]
    stages: Sequence[Stage]
    idle: Sequence[str]
    ledger: Mapping[str, str]
    costs: Mapping[str, str]
    facts: Mapping[str, str]
    failures: Sequence[tuple[int, str]]
    command: str


def describe_arm(
    records: Sequence[Record], baseline: Record | None, classes: Sequence[str], command: str
) -> ArmDetails:
    """Returns the details of the records' arm; `baseline` is a record of the control, `command` runs the study."""
    mine = sorted(records, key=lambda record: record["seed"])
    done = [record for record in mine if record["status"] == "done"]
    stages = [name for name in FACTORS if any(name in record["receipts"] for record in done)]
    told = [stage(name, done, classes) for name in stages]
    return ArmDetails(
        factors=_factors(mine[0], baseline) if mine else (),
        stages=[one for one in told if one.counts], idle=[one.name for one in told if not one.counts],
        ledger=_ranges(done, "ledger"), costs=_ranges(done, "cost"), facts=_facts(done),
        failures=[(record["seed"], str(record["reason"])) for record in mine if record["status"] == "failed"],
        command=_arm_command(command, mine) if command else "",
    )  # fmt: skip


def _arm_command(command: str, records: Sequence[Record]) -> str:
    """Returns the command that runs an arm again; "" if nothing ran or the plan lacks the arm's overrides."""
    if not records or "overrides" not in records[0]:
        return ""
    return arm_command(command, records[0]["overrides"], [record["seed"] for record in records])


def arm_command(command: str, words: Sequence[str], seeds: Sequence[int]) -> str:
    """Returns the command that runs the trials of those overrides and their controls again, in a store of its own.

    With POSIX quoting; without overrides it runs the baseline.
    """
    listed = ",".join('"' + word.replace("\\", "\\\\").replace('"', r"\"") + '"' for word in words)
    # A study needs an arm, so the baseline is run beside one that differs only in its salt.
    said = [f"arms=[[{listed}]]" if words else 'arms=["salt=again"]', "cross=[]", "design=one_factor", "precision=null"]
    said += [f"seeds=[{','.join(map(str, dict.fromkeys(seeds)))}]", "store=again"]
    return " ".join([command, *map(shlex.quote, said)])


def stage(name: str, done: Sequence[Record], classes: Sequence[str]) -> Stage:
    """Returns what that stage did on each seed; without counts if it changed nothing."""
    kept = [(record["seed"], record["receipts"][name]) for record in done if name in record["receipts"]]
    totals = {kind: [receipt.get(f"n_{kind}", 0) for _, receipt in kept] for kind in RECEIPT_COUNTS}
    counts = {kind: range_text(values) for kind, values in totals.items() if any(values)}
    busy = [(seed, receipt) for seed, receipt in kept if any(receipt.get(f"n_{kind}", 0) for kind in RECEIPT_COUNTS)]
    if not busy:
        return Stage(name, {}, 0, {})
    seed, receipt = busy[0]
    found = {kind: [ReceiptRow(row, "") for row in _ids(receipt.get(kind))] for kind in ("dropped", "added")}
    found["relabelled"] = list(_relabelled(receipt, classes))[:FIRST]
    before = range_text([receipt["n_before"] for _, receipt in kept])
    return Stage(name, {"rows before": before, **counts}, seed, {kind: rows for kind, rows in found.items() if rows})


def _ids(packed: Mapping[str, Any] | None) -> list[str]:
    """Returns the first ids of a packed list."""
    return [] if packed is None else [str(name) for name in unpack(dict(packed))[:FIRST].tolist()]


def _relabelled(receipt: Mapping[str, Any], classes: Sequence[str]) -> Iterator[ReceiptRow]:
    """Yields the rows whose class changed or became a distribution, with the most probable class before and after."""
    changed = receipt.get("changed")
    if not changed or not receipt.get("n_relabelled"):
        return
    ids, before, after = (unpack(changed[part]) for part in ("ids", "class_before", "label_after"))
    likeliest = after if after.ndim == 1 else after.argmax(1)
    share = np.ones(len(after)) if after.ndim == 1 else after.max(1)
    for row in np.flatnonzero((likeliest != before) | (share < 1)):
        sure = f" ({100 * share[row]:.0f} %)" if share[row] < 1 else ""
        old, new = (_class(int(one[row]), classes) for one in (before, likeliest))
        yield ReceiptRow(str(ids[row]), f"{old} → {new}{sure}")


def _class(index: int, classes: Sequence[str]) -> str:
    if index < 0:
        return "no label"
    return str(classes[index]) if index < len(classes) else f"class {index}"


def range_text(values: Sequence[Any]) -> str:
    """Returns the value if all are equal, else the least and the largest."""
    low, high = min(values), max(values)
    return readable_number(low) if low == high else f"{readable_number(low)}–{readable_number(high)}"


def readable_number(value: Any) -> str:
    """Returns a value for a reader: with thousands separators and without insignificant digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    if float(value).is_integer():
        return f"{int(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{value:.3g}" if abs(value) < 1000 else readable_number(round(value))


def _ranges(done: Sequence[Record], part: str) -> dict[str, str]:
    """Returns the range over seeds of each number in that part of the records."""
    names = dict.fromkeys(name for record in done for name in record[part])
    found = {name: [record[part][name] for record in done if record[part].get(name) is not None] for name in names}
    return {name: range_text(values) for name, values in found.items() if values}


def _facts(done: Sequence[Record]) -> dict[str, str]:
    """Returns the facts of the data of the first seed."""
    facts: Mapping[str, Any] = done[0]["facts"] if done else {}
    return {
        name: readable_number(value) if isinstance(value, str | int | float) else json.dumps(value, sort_keys=True)
        for name, value in facts.items()
    }


def _factors(record: Record, baseline: Record | None) -> list[Factor]:
    """Returns the factors of a trial as YAML; none if the record does not hold them."""
    trial, other = record["trial"], baseline["trial"] if baseline else {}
    return [
        Factor(name, as_yaml(trial[name]), not other or trial[name] != other.get(name))
        for name in FACTORS
        if name in trial
    ]


def as_yaml(node: Any) -> str:
    """Returns a config as YAML, keys in order."""
    return yaml.safe_dump(node, sort_keys=True, allow_unicode=True, width=100).rstrip("\n")
