"""Draws the effects of arms over tasks: a tick for each task, and the mean with its interval over tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure

from harness.analysis.suite import ArmSummary
from harness.arm import brief_of, may_win
from harness.report.figures.rows import (
    FEET,
    WIDEST,
    PlotRow,
    draw_rows,
    estimate_in_points,
    height_of,
    place_rows,
)
from harness.report.figures.style import AXES, MARKS, TEXT, WIDTH, blank, inches, name_line, sheet, signs

_LABELS = (0.75, 1.15)


def draw(arms: Sequence[ArmSummary], *, title: str, about: str, note: str) -> Figure:
    """Returns the figure: arms by what they change, as `gather_suite` orders them; `about` goes below the title."""
    there = [one for one in arms if one.effects]
    if not there:
        return blank(title, "No arm has an effect on any task.", note)
    items = list(_rows(there))
    widest = max(inches(item.label, TEXT) for item in items if isinstance(item, PlotRow))
    labels = min(max(widest, _LABELS[0]), _LABELS[1])
    rows = place_rows(items, labels)
    page = sheet(title, about, note, width=WIDTH, height=height_of(rows) + FEET + 0.04)
    draw_rows(page, 0.0, rows, labels=labels, unit="points", words=estimate_in_points, ticks=signs, widest=WIDEST)
    return page.figure


def _rows(arms: Sequence[ArmSummary]) -> Iterator[str | PlotRow]:
    """Yields a heading for each axis that has arms, and its arms; controls and upper bounds are hollow."""
    for axis in ("model", "data", "both", "none"):
        mine = [one for one in arms if one.axis == axis]
        yield from [AXES[axis]] if mine else []
        for one in mine:
            mean = None if one.mean is None else (one.mean.value, one.mean.low, one.mean.high)
            ticks = tuple(effect.value for effect in one.effects.values())
            label = name_line(brief_of(one.arm.split(" ")) if "=" in one.arm else one.arm)
            yield PlotRow(label, mean, MARKS[axis], hollow=not may_win(one.reference), ticks=ticks,
                          said=None if mean else f"{len(ticks)} task alone")  # fmt: skip
