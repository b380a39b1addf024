"""Writes the matrix of training labels and test labels: given or cleaned, each with each."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.effects import Interval
from harness.analysis.label_policies import PolicyRow
from harness.arm import BASELINE, kind_in_words
from harness.report.leaderboard import NONE, code, effect_in_words, signed_number

HEADS = ("trained on", "given test labels", "gain", "gold test labels", "gain", "test labels alone")


def policy_cells(row: PolicyRow) -> list[str]:
    """Returns a row of the matrix as text: scores and gains over the baseline on given and on gold test labels, and
    what the change of test labels alone adds.
    """

    def gain(one: Interval | None) -> str:
        return NONE if one is None else effect_in_words(one)

    kind = f" ({kind_in_words(row.reference)})" if row.reference else ""
    who = "given labels (baseline)" if row.arm == BASELINE else f"{code(row.arm)}{kind}"
    return [
        who, f"{row.given:.2f}", gain(row.gain_given), f"{row.gold:.2f}", gain(row.gain_gold), signed_number(row.moved),
    ]  # fmt: skip


def policy_table(rows: Sequence[PolicyRow]) -> list[str]:
    """Returns the matrix as the lines of a section in Markdown; none if the test rows have labels of one kind."""
    if not rows:
        return []
    cells = [policy_cells(row) for row in rows]
    rule = [":-", *["-:"] * (len(HEADS) - 1)]
    lines = [f"| {' | '.join(line)} |" for line in (HEADS, rule, *cells)]
    return ["## Cleaned in training, cleaned in test", "", *lines, ""]
