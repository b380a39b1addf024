"""Writes a learning curve as a CSV, a table in Markdown, and a figure."""

from __future__ import annotations

import pandas as pd

from harness.analysis.learning_curve import LearningCurve
from harness.report.figures import sizes
from harness.report.figures.style import as_files
from harness.report.leaderboard import code, escape_markdown, signed_number
from harness.report.messages import sizes_message
from harness.storage.sheets import sheet_of_table

_BARS = (
    "Bars: 95 % interval of the effect against the baseline of the same size, around the score, cut off at 0 and 100 %."
)


def curve_files(curve: LearningCurve) -> dict[str, bytes]:
    """Returns the files of a learning curve by name."""
    held = {"steps": "optimiser steps", "epochs": "epochs"}[curve.held]
    title = f"Learning curve, task {curve.task}: {held} held fixed"
    numbers = curve.rows.astype(dict.fromkeys(("score", "effect", "low", "high"), float))
    drawn = as_files(sizes.draw)(
        numbers, title=sizes_message(numbers), about=title, metric=curve.metric, note=f"{curve.note} {_BARS}", held=held
    )
    return {
        "learning_curve.csv": sheet_of_table(curve.rows),
        "learning_curve.md": _markdown(curve, title),
        "learning_curve.png": drawn["png"],
    }


def _markdown(curve: LearningCurve, title: str) -> bytes:
    """Returns one row per arm, one column per size: score, and the effect against the baseline of that size."""
    sizes_ = sorted(curve.rows["n_train"].unique())
    lines = [f"# {escape_markdown(title)}", "", _row("arm", *(f"{size} rows" for size in sizes_))]
    lines.append(_row(":--", *["--:"] * len(sizes_)))
    for arm, rows in curve.rows.groupby("arm", sort=False):
        by = {row.n_train: row for row in rows.itertuples()}
        lines.append(_row(code(str(arm)), *(_cell(by.get(size)) for size in sizes_)))
    return "\n".join([*lines, "", f"- {escape_markdown(curve.note)}", ""]).encode()


def _cell(row: object) -> str:
    """Returns a score with its effect and interval, "" for a size without a score."""
    if row is None:
        return ""
    score, effect, low, high = (getattr(row, name) for name in ("score", "effect", "low", "high"))
    if pd.isna(effect):
        return f"{score:.2f}"
    return f"{score:.2f} ({signed_number(effect)} [{signed_number(low)}, {signed_number(high)}])"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
