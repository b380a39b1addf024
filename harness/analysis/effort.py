"""Words which arms were tuned, and whether they tried equally much: what one side may try, the other may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.checks import join_names
from harness.storage.store import Record


def attempts(record: Record) -> int:
    """Returns how many configurations a trial tried, failed ones among them; 0 where nothing was tuned."""
    return sum("trial" in row for row in record["history"])


def effort_notes(records: Sequence[Record]) -> list[str]:
    """Returns a sentence on the tuned arms of a study, with their attempts and validation labels; none without one.

    It begins with *Unequal effort* if arms tried different numbers of configurations or saw different numbers of
    validation labels: then a gain may come from the effort alone.
    """
    spent: dict[tuple[int, int], dict[str, None]] = {}
    for record in records:
        tried = attempts(record) if record["status"] == "done" else 0
        if tried:
            spent.setdefault((tried, record["ledger"]["valid"]), {})[str(record["arm"])] = None
    if not spent:
        return []
    if len(spent) == 1:
        return [f"Equal effort: {_said(*next(iter(spent.items())), 'each tried')}."]
    parts = "; ".join(_said(effort, arms, "tried") for effort, arms in sorted(spent.items()))
    return [f"Unequal effort, so a gain may come from trying more: {parts}."]


def _said(effort: tuple[int, int], arms: Mapping[str, None], verb: str) -> str:
    tried, labels = effort
    return f"{join_names(arms)} {verb} {tried} configurations on {labels} validation labels"
