"""Joins a study's plan with its records: what was planned, what ran, and the label of each trial.

A record holds its trial's identity and result. Whatever is relative to a study is in the row of the plan: the arm's
label, the control, the factors. Trials that were run one by one have such a row for each control that they were
compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.arm import ARM_ROOTS, brief_of, canonical, distinct
from harness.errors import BadInput
from harness.storage.content import check_row
from harness.storage.store import Record, Store, TestSet

Row = Mapping[str, Any]
ROW = ("key", "control", "arm", "names", "overrides", "factors", "axis", "reference", "seed")
"""The columns of a plan's row. Records of earlier versions hold them too, and are read if there is no row for them.

Rows may also hold `families` and `reference_for`, by factor (see `references`)."""

_ESSENTIAL = {"key", "control", "arm", "factors", "axis", "seed"}


@dataclass(frozen=True, eq=False)
class Records:
    """Holds a study's rows and records; each record also has the columns of its row, and they are sorted by key.

    `plan` is None for trials that were run one by one. `stale` counts the records without a row. `damaged` holds a line
    for each record that is left out because it cannot be trusted, `unsealed` counts the records without a checksum.
    """

    name: str
    plan: Mapping[str, Any] | None
    rows: Sequence[Row]
    records: list[Record]
    stale: int
    test_set: Callable[[str], TestSet]
    damaged: Sequence[str] = ()
    unsealed: int = 0

    @property
    def missing(self) -> list[Row]:
        """Returns the rows without a record."""
        keys = {record["key"] for record in self.records}
        return [row for row in self.rows if row["key"] not in keys]

    @property
    def arms(self) -> dict[str, list[Row]]:
        """Returns the rows by arm, in the order of the plan."""
        arms: dict[str, list[Row]] = {}
        for row in self.rows:
            arms.setdefault(str(row["arm"]), []).append(row)
        return arms

    @property
    def briefs(self) -> dict[str, str]:
        """Returns the short name of each arm, for figures; no two arms share one."""
        first = {arm: rows[0].get("overrides") for arm, rows in self.arms.items()}
        briefs = {arm: brief_of(overrides) if overrides else arm for arm, overrides in first.items()}
        return distinct(briefs, {arm: arm for arm in briefs})

    def strategies(self, parameter: str) -> dict[str, str]:
        """Returns the short name of each arm's strategy; arms that differ only in `parameter` share one.

        `parameter` belongs to a factor, such as "clean.k". No two strategies have the same name.
        """
        names: dict[str, str] = {}
        found: dict[str, str] = {}
        for record in self.records:
            arm = str(record["arm"])
            found[arm] = _without(record["trial"], parameter)
            names.setdefault(found[arm], _strategy_name(record, parameter))
        called = distinct(names, names)
        return {arm: called[strategy] for arm, strategy in found.items()}


def _without(trial: Mapping[str, Any], parameter: str) -> str:
    """Returns the canonical JSON of what an arm may change, without one parameter of a factor."""
    factor, _, name = parameter.partition(".")
    node = trial.get(factor)
    rest = {key: value for key, value in node.items() if key != name} if isinstance(node, Mapping) else node
    return canonical({part: rest if part == factor else trial.get(part) for part in ARM_ROOTS})


def _strategy_name(record: Record, parameter: str) -> str:
    """Returns an arm's short name without one parameter; the label where a record of an earlier version has no more."""
    if "overrides" not in record:
        return str(record["arm"])
    return brief_of([item for item in record["overrides"] if item.lstrip("+").partition("=")[0] != parameter])


def join(store: Store, rows: Sequence[Row] | None = None) -> Records:
    """Returns the records of a store with the rows of its plan, or with `rows` if the plan is still being made.

    Damaged records are left out and named; BadInput for a damaged plan, and for one whose rows contradict the records.
    """
    plan, there = store.plan() if rows is None else None, store.inventory()
    every = {record["key"]: record for record in there.records}
    name = str(plan["name"]) if plan else store.folder.name
    rows = rows if rows is not None else plan["trials"] if plan else _asked(store, list(every.values()))
    rows = [_with_reference(row) for row in rows]
    _check_seeds(rows, every, store)
    kept = [{**every[row["key"]], **row, "study": name} for row in rows if row["key"] in every]
    kept.sort(key=lambda record: (record["key"], record["control"]))
    stale = len(every.keys() - {row["key"] for row in rows})
    return Records(name, plan, rows, _named(kept), stale, store.test_set, there.damaged, there.unsealed)


def _check_seeds(rows: Sequence[Row], every: Mapping[str, Record], store: Store) -> None:
    """Raises BadInput if a row gives a trial another seed than its record."""
    for row in rows:
        ran = every[row["key"]]["trial"]["seed"] if row["key"] in every else row["seed"]
        if ran != row["seed"]:
            raise BadInput(
                f"{store.folder}: the plan gives trial {row['key']} seed {row['seed']}, its record has seed {ran}: run "
                "the study again, which writes its plan anew"
            )


def _with_reference(row: Row) -> Row:
    """Returns the row with its kind of reference; rows of earlier versions say only that an arm is one (`dull`)."""
    return row if "reference" in row else {**row, "reference": "reference" if row.get("dull") else ""}


def _asked(store: Store, records: Sequence[Record]) -> list[Row]:
    """Returns the rows of trials that were run one by one; a record without a row may hold its own."""
    rows = store.rows()
    keys = {row["key"] for row in rows}
    own = [record for record in records if record["key"] not in keys and set(record) >= _ESSENTIAL]
    for record in own:
        check_row({name: record[name] for name in ROW if name in record}, f"record {record['key']}")
    return [*rows, *({name: record[name] for name in (*ROW, "dull") if name in record} for record in own)]


def _named(records: list[Record]) -> list[Record]:
    """Returns the records with the names of their levels; without them, a level is named after its one-factor arm."""
    known: dict[tuple[str, str], str] = {}
    for record in records:
        if len(record["factors"]) == 1 and not record["trial"].get("salt"):
            factor = record["factors"][0]
            known.setdefault((factor, canonical(record["trial"].get(factor))), record["arm"])
    return [record if "names" in record else {**record, "names": _names(record, known)} for record in records]


def _names(record: Record, known: Mapping[tuple[str, str], str]) -> dict[str, str]:
    places = {factor: (factor, canonical(record["trial"].get(factor))) for factor in record["factors"]}
    return {factor: known[place] for factor, place in places.items() if place in known}
