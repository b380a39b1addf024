"""Draws a learning curve: the score of each arm against the number of training rows."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from matplotlib.figure import Figure

from harness.report.figures.scales import linear_scale, logarithmic
from harness.report.figures.style import (
    MARGIN,
    WIDTH,
    blank,
    counts,
    finite_rows,
    key,
    key_height,
    name_axis,
    name_line,
    sheet,
    strokes,
)

_HEIGHT, _LEFT, _BELOW = 2.1, 0.4, 0.34


def draw(curve: pd.DataFrame, *, title: str, metric: str, note: str, held: str, about: str = "") -> Figure:
    """Returns the figure; `curve` has the columns arm, n_train, score, low and high, in points.

    `low` and `high` are the bounds of the effect, drawn around the score; nan for the baseline. `held` says what is
    fixed over the sizes, on the axis.
    """
    there = finite_rows(curve, "n_train", "score")
    if there.empty:
        return blank(title, "No arm has a score, so there is no curve to draw.", note)
    arms = there["arm"].drop_duplicates().tolist()
    drawn = dict(zip(arms, strokes(len(arms)), strict=True))
    width = WIDTH - 2 * MARGIN
    labels = [name_line(arm) for arm in arms]
    page = sheet(title, about, note, width=WIDTH, height=_HEIGHT + _BELOW + key_height(labels, width) + 0.06)
    ax = page.axes(MARGIN + _LEFT, 0.02, width - _LEFT, _HEIGHT)
    bars = _with_bars(there)
    across = logarithmic(there["n_train"], width - _LEFT, 0.12)
    across = replace(across, ticks=tuple(sorted(set(there["n_train"]))))
    up = linear_scale([*there["score"], *bars["below"].dropna(), *bars["above"].dropna()], _HEIGHT, 0.08)
    across.mark(ax.xaxis, counts)
    up.mark(ax.yaxis, counts)
    for arm in arms:
        rows = bars[bars["arm"] == arm].sort_values("n_train")
        places = [across.place(n) for n in rows["n_train"]]
        ax.add_line(drawn[arm].line(places, [up.place(score) for score in rows["score"]]))
        for x, below, above in zip(places, rows["below"], rows["above"], strict=True):
            if below == below:
                ends = [up.place(below), up.place(above)]
                ax.plot([x, x], ends, color=drawn[arm].colour, linewidth=0.8, zorder=1.9)
    name_axis(ax.xaxis, f"training rows ({held} held fixed)", width - _LEFT)
    name_axis(ax.yaxis, f"{metric}, %", _HEIGHT)
    key(page, MARGIN, _HEIGHT + _BELOW + 0.02, width, labels, [one.line([0], [0]) for one in drawn.values()])
    return page.figure


def _with_bars(curve: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows with the ends of their bars, cut off at 0 and 100 %, where scores end."""
    below, above = (curve["score"] + curve[end] - curve["effect"] for end in ("low", "high"))
    return curve.assign(below=below.clip(0, 100), above=above.clip(0, 100))
