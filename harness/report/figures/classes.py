"""Draws deltas by slice as a dot plot: one row per slice, one panel per arm."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.figures.rows import limits, span
from harness.report.figures.style import (  # fmt: skip
    GRID,
    INK,
    MARGIN,
    MARKS,
    NOTE,
    SMALL,
    WIDE,
    WIDTH,
    Sheet,
    blank,
    finite_rows,
    fit_lines,
    inches,
    name_axis,
    name_line,
    sheet,
    shorten,
)

_ARMS, _SLICES, _BAND, _TALL = 12, 30, 4, 8.4
_ROW, _HEAD, _BELOW, _LABELS, _GAP, _END = 0.125, 2, 0.34, (0.5, 1.1), 0.2, 0.1


def draw(slices: pd.DataFrame, *, title: str, metric: str, note: str, about: str = "") -> Figure:
    """Returns the figure; `slices` has one row per arm and slice.

    Its columns are `slice`, `arm`, `axis`, `reference`, `delta`, `low`, `high` (points against the baseline) and `n`
    (test examples). Slices and arms keep their order. At most 12 arms and 30 slices are drawn, those with the largest
    deltas, and fewer slices if they would not fit a page; the note counts the rest.
    """
    there = finite_rows(slices, "delta", "low", "high")
    if there.empty:
        return blank(title, "There is no slice with a delta: no arm has finished beside its control.", note)
    arms = _kept(there, "arm", _ARMS)
    rows = -(-len(arms) // _BAND)
    names = _kept(there, "slice", min(_SLICES, int((_TALL / rows - 0.75) / _ROW)))
    left_out = _left_out(there, arms, names)
    there = there[there["arm"].isin(arms) & there["slice"].isin(names)]
    whole = WIDTH if len(arms) <= 2 else WIDE
    counted = there.groupby("slice")["n"].max()
    labels = [shorten(f"{name_line(name)} ({counted[name]:.0f})", _LABELS[1], SMALL) for name in names]
    room = max(_LABELS[0], *(inches(label, SMALL) for label in labels)) + 0.06
    across = -(-len(arms) // rows)
    width = (whole - 2 * MARGIN - room - _END - (across - 1) * _GAP) / across
    bands = [arms[start : start + across] for start in range(0, len(arms), across)]
    heads = [max(len(_head(arm, width)) for arm in band) * NOTE + 0.05 for band in bands]
    tall = len(names) * _ROW + 0.04
    page = sheet(
        title, about, f"{left_out}{note}", width=whole, height=sum(heads) + len(bands) * (tall + _BELOW + 0.06)
    )
    top = 0.0
    for band, head in zip(bands, heads, strict=True):
        for number, label in enumerate(labels):
            page.text(MARGIN, top + head + 0.02 + _ROW * (number + 0.5), label, size=SMALL)
        for column, arm in enumerate(band):
            left = MARGIN + room + column * (width + _GAP)
            _panel(page, (left, top + head, width, tall), arm, there, names, metric if column == 0 else "")
        top += head + tall + _BELOW + 0.06
    return page.figure


def _kept(slices: pd.DataFrame, column: str, most: int) -> list[str]:
    """Returns at most `most` arms or slices, those with the largest mean absolute delta, in their order."""
    mean = slices["delta"].abs().groupby(slices[column]).mean().sort_values(ascending=False, kind="stable")
    kept = set(mean.index[:most])
    return [name for name in slices[column].drop_duplicates() if name in kept]


def _left_out(slices: pd.DataFrame, arms: Sequence[str], names: Sequence[str]) -> str:
    """Returns how many arms and slices are not drawn, in words."""
    more = ((slices["arm"].nunique() - len(arms), "arms"), (slices["slice"].nunique() - len(names), "slices"))
    said = " and ".join(f"{count} {what}" for count, what in more if count)
    return f"Not drawn: {said} that move less. " if said else ""


def _head(arm: str, width: float) -> list[str]:
    return fit_lines(name_line(arm), width - 0.02, SMALL, _HEAD)


def _panel(
    page: Sheet, place: tuple[float, float, float, float], arm: str, slices: pd.DataFrame, names: Sequence[str],
    metric: str,
) -> None:  # fmt: skip
    """Draws one arm's deltas; all panels share the range."""
    left, top, width, tall = place
    ax = page.axes(left, top, width, tall)
    _undress(ax, tall)
    limit = limits(ax, list(zip(slices["delta"], slices["low"], slices["high"], strict=True)))
    for row in slices[slices["arm"] == arm].to_dict("records"):
        y = 0.02 + _ROW * (names.index(row["slice"]) + 0.5)
        span(ax, y, (row["delta"], row["low"], row["high"]), MARKS[row["axis"]], bool(row["reference"]), limit, 3.0)
    for number, line in enumerate(reversed(_head(arm, width))):
        page.text(left, top - 0.03 - NOTE * (number + 0.5), line, size=SMALL, weight="normal")
    if metric:
        name_axis(ax.xaxis, f"delta, points of {metric}", width)


def _undress(ax: Axes, tall: float) -> None:
    """Sets the plot's y to inches from its top, and draws rows as faint lines."""
    ax.set_ylim(tall, 0)
    ax.set_yticks([0.02 + _ROW * (row + 0.5) for row in range(round((tall - 0.04) / _ROW))], [])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="both", linewidth=0.3, color=GRID)
    ax.axvline(0, linewidth=0.8, color=INK, zorder=1.5)
