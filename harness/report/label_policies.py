"""Writes the matrix of training labels and test labels: given or cleaned, each with each."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.effects import Interval
from harness.analysis.label_policies import PolicyRow
from harness.arm import BASELINE, kind_in_words
from harness.report.leaderboard import NONE, code, effect_in_words, signed_number

POLICY_TITLE = "Cleaned in training, cleaned in test"
POLICY_NOTE = (
    "Within a column both sides are scored on the same test labels, so its gain comes from training. The last column "
    "is what cleaning the test labels alone adds to the score: it is not a gain from training."
)
HEADS = ("trained on", "given test labels", "gain", "gold test labels", "gain", "test labels alone")


def policy_numbers(row: PolicyRow) -> list[str]:
    """Returns the numbers of a row of the matrix as text: scores and gains over the baseline on given and on gold test
    labels, and what the change of test labels alone adds.
    """

    def gain(one: Interval | None) -> str:
        return NONE if one is None else effect_in_words(one)

    scores = f"{row.given:.2f}", gain(row.gain_given), f"{row.gold:.2f}", gain(row.gain_gold)
    return [*scores, signed_number(row.moved)]


def trained_on(row: PolicyRow) -> tuple[str, str]:
    """Returns the arm of a row ("" for the baseline), and words that follow it: its kind of reference."""
    if row.arm == BASELINE:
        return "", "given labels (baseline)"
    return row.arm, f" ({kind_in_words(row.reference)})" if row.reference else ""


def policy_table(rows: Sequence[PolicyRow]) -> list[str]:
    """Returns the matrix as the lines of a section in Markdown; none if the test rows have labels of one kind."""
    if not rows:
        return []
    who = [(code(arm) if arm else "") + words for arm, words in map(trained_on, rows)]
    cells = [[name, *policy_numbers(row)] for name, row in zip(who, rows, strict=True)]
    rule = [":-", *["-:"] * (len(HEADS) - 1)]
    lines = [f"| {' | '.join(line)} |" for line in (HEADS, rule, *cells)]
    return [f"## {POLICY_TITLE}", "", *lines, "", POLICY_NOTE, ""]
