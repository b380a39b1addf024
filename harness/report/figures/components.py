"""Draws the variance components of a score as points with intervals."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from harness.report.figures.rows import FEET, WIDEST, EstimateEnds, PlotRow, draw_rows, height_of, place_rows
from harness.report.figures.style import INK, TEXT, WIDTH, blank, counts, finite_rows, inches, name_line, sheet

_LABELS = (0.6, 1.15)
_BAR = "#b9cfe0"


def draw(components: pd.DataFrame, *, title: str, unit: str, note: str, about: str = "") -> Figure:
    """Returns the figure; `components` has `name`, `value`, `low`, `high` in `unit` (points, or % of the variance)."""
    there = finite_rows(components, "value", "low", "high")
    if there.empty:
        return blank(title, "No component of the variance is known: no trials vary one stream alone.", note)
    rows = [
        PlotRow(name_line(row["name"]).replace("_", " "), (row["value"], row["low"], row["high"]), ("o", INK))
        for row in there.to_dict("records")
    ]
    widest = max(inches(row.label, TEXT) for row in rows)
    labels = min(max(widest, _LABELS[0]), _LABELS[1])
    items = place_rows(rows, labels)
    page = sheet(title, about, note, width=WIDTH, height=height_of(items) + FEET + 0.04)
    ax = draw_rows(page, 0.02, items, labels=labels, unit=unit, words=_words, ticks=counts, widest=WIDEST)
    middles = [item.top + item.height / 2 for item in items]
    ax.barh(middles, there["value"], height=0.11, color=_BAR, edgecolor=INK, linewidth=0.5, zorder=1.6)
    if (there["low"] >= 0).all():
        ax.set_xlim(left=0.0)
    return page.figure


def _words(estimate: EstimateEnds) -> str:
    value, low, high = (f"{number:.2f}".replace("-", "\N{MINUS SIGN}") for number in estimate)
    return f"{value} [{low}, {high}]"
