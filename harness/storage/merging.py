"""Joins the records of one study that two stores hold, such as those of two machines that shared no folder.

Everything is compared before anything is written. Two records of one trial agree if they differ in nothing but their
cost, their provenance and the names that a study gives them; then the first store's stays. Networks round differently
on another type of processor, so equal trials of two machines may differ: such conflicts are named, and the caller says
whose record is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import BadInput
from harness.storage.content import check_plan
from harness.storage.store import Record, Store

_OF_A_RUN = ("cost", "provenance", "checksum", "control", "arm", "names", "overrides", "study")
"""Fields of a record in which two runs of one trial may differ."""
_OF_A_PLAN = ("version", "name", "design", "cross", "precision", "baseline", "task", "protocol", "claims", "price")
"""Fields in which the plans of one study must not differ; its arms, seeds and trials are joined."""


@dataclass
class Merge:
    """Holds what joining the second store to the first would write and what it found.

    `copies` are the files to copy, by their place in the store; `replaced` the records that are in conflict, of which
    `conflicts` says in a line for each what differs. `shared` counts the trials that both hold, `notes` names damaged
    records, `plan` is the joined plan, None if the first store's stays.
    """

    copies: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    plan: dict[str, Any] | None = None
    shared: int = 0


def compare_stores(first: Store, second: Store) -> Merge:
    """Returns what the second store would add to the first; BadInput if they hold plans of different studies."""
    merge = Merge()
    own, other = first.inventory(), second.inventory()
    merge.notes += [f"damaged, left out: {line}" for line in other.damaged]
    merge.notes += [f"damaged, left as it is: {line}" for line in own.damaged]
    known = {record["key"]: record for record in own.records}
    for record in other.records:
        _compare_records(known.get(record["key"]), record, merge)
    for folder in ("tests", "asked"):
        _compare_files(first.folder, second.folder, folder, merge)
    merge.plan = _joined_plan(first, second)
    return merge


def apply_merge(merge: Merge, first: Store, second: Store, keep: str) -> None:
    """Writes what `compare_stores` found into the first store; in conflicts, the record of the store `keep` stays.

    Rows of a test set come before the records that are scored on them, and the plan comes last, so that whoever reads
    the store meanwhile, or after a kill, finds whole records of trials that the plan may not list yet.
    """
    for name in sorted(merge.copies, key=lambda one: (not one.startswith("tests/"), one)):
        first.add_file(name, (second.folder / name).read_bytes())
    for name in merge.replaced if keep == "second" else []:
        first.replace_record(name, (second.folder / name).read_bytes())
    if merge.plan is not None:
        first.keep_plan(merge.plan)


def _compare_records(own: Record | None, other: Record, merge: Merge) -> None:
    """Notes whether the other store's record is new, the same, or in conflict with one's own."""
    name = f"trials/{other['key']}{'.failed' if other['status'] == 'failed' else ''}.json"
    if own is None or (own["status"] == "failed" and other["status"] == "done"):
        merge.copies.append(name)
        return
    merge.shared += 1
    if other["status"] == "failed":
        return
    names = sorted(name for name in {*own, *other} if name not in _OF_A_RUN and own.get(name) != other.get(name))
    if names:
        merge.replaced.append(name)
        arm, seed = other.get("arm", ""), other["trial"].get("seed")
        scores = [(one.get("result") or {}).get("test") for one in (own, other)]
        merge.conflicts.append(
            f"{other['key'][:12]} ({arm}, seed {seed}) differs in {', '.join(names)}: it scores {scores[0]} in the "
            f"first store and {scores[1]} in the second"
        )


def _compare_files(first: Path, second: Path, folder: str, merge: Merge) -> None:
    """Notes the files of a folder that are new; their names are digests or keys, so equal names have one meaning."""
    new = [path.name for path in sorted((second / folder).glob("*.json")) if not (first / folder / path.name).exists()]
    merge.copies += [f"{folder}/{name}" for name in new]


def _joined_plan(first: Store, second: Store) -> dict[str, Any] | None:
    """Returns the plan with the arms, seeds and trials of both, None if that is the first store's own."""
    own, other = first.plan(), second.plan()
    if own is None or other is None or own == other:
        return other if own is None else None
    for name in _OF_A_PLAN:
        if own.get(name) != other.get(name):
            raise BadInput(f"{first.folder} and {second.folder} hold different studies: their {name} differ")
    rows = _joined_rows(own["trials"], other["trials"], first.folder)
    joined = {**own, "trials": rows}
    for name in ("arms", "seeds"):
        joined[name] = list(dict.fromkeys([*own[name], *other[name]]))
    check_plan(joined)
    return joined if joined != own else None


def _joined_rows(
    own: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]], folder: Path
) -> list[Mapping[str, Any]]:
    """Returns the rows of both plans, each trial once; BadInput if a trial has another row in each."""
    known = {row["key"]: row for row in own}
    for row in other:
        if known.setdefault(row["key"], row) != row:
            raise BadInput(f"{folder}: trial {row['key'][:12]} is '{known[row['key']]['arm']}' in one plan and "
                           f"'{row['arm']}' in the other")  # fmt: skip
    return list(known.values())
