"""Draws rows of numbers with intervals, for the forest plot and similar figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from matplotlib.axes import Axes
from matplotlib.ticker import AutoMinorLocator

from harness.report.figures.style import (  # fmt: skip
    FAINT,
    GAP,
    GRID,
    INK,
    LINE,
    MARGIN,
    SMALL,
    TEXT,
    WARN,
    Sheet,
    inches,
    name_axis,
    name_lines,
    signs,
)
from harness.report.leaderboard import signed_number

EstimateEnds = tuple[float, float, float]
"""A value and the bounds of its interval."""
HEADER, PAD, FEET, WIDEST = 0.17, 0.065, 0.38, 4.0


@dataclass(frozen=True)
class PlotRow:
    """Holds a row of a plot: its label, its numbers with marker and colour, and separate ticks, some of them bold."""

    label: str
    estimate: EstimateEnds | None = None
    mark: tuple[str, str] = ("o", INK)
    hollow: bool = False
    indent: float = 0.0
    ticks: tuple[float, ...] = ()
    noted: tuple[float, ...] = ()
    said: str | None = None


@dataclass(frozen=True)
class PlacedRow:
    """Holds a heading (a string) or a row, the lines of its label, its top and its height."""

    item: str | PlotRow
    lines: list[str]
    top: float
    height: float


def place_rows(items: Sequence[str | PlotRow], labels: float) -> list[PlacedRow]:
    """Places headings and rows from top to bottom, with labels in three lines at most."""
    found: list[PlacedRow] = []
    top = 0.0
    for item in items:
        if isinstance(item, str):
            found.append(PlacedRow(item, [item], top, HEADER))
        else:
            lines = name_lines(item.label, labels - item.indent, TEXT, 3)
            found.append(PlacedRow(item, lines, top, len(lines) * LINE + PAD))
        top += found[-1].height
    return found


def height_of(items: Sequence[PlacedRow]) -> float:
    """Returns the height of the plot without the labels of its axis."""
    return items[-1].top + items[-1].height + 0.03 if items else 0.0


def draw_rows(
    page: Sheet,
    top: float,
    items: Sequence[PlacedRow],
    *,
    labels: float,
    unit: str,
    words: Callable[[EstimateEnds], str],
    ticks: Callable[[float, object], str],
    widest: float,
) -> Axes:
    """Draws the rows: label, plot with a line at zero, numbers; the axis with its unit below needs another `FEET`.

    An interval is cut if it is more than `widest` times as wide as the median one.
    """
    numbers = max(
        (inches(_said(item.item, words), SMALL) for item in items if isinstance(item.item, PlotRow)), default=0.5
    )
    left, height = MARGIN + labels + GAP, height_of(items)
    width = page.width - left - GAP - numbers - MARGIN
    ax = page.axes(left, top, width, height)
    _undress(ax, height)
    found = [item.item.estimate for item in items if isinstance(item.item, PlotRow) and item.item.estimate]
    limit = limits(ax, found, widest)
    _hold(ax, [tick for item in items if isinstance(item.item, PlotRow) for tick in item.item.ticks + item.item.noted])
    for one in items:
        if isinstance(one.item, str):
            page.text(MARGIN, top + one.top + HEADER - 0.05, one.item, weight="bold", va="baseline")
            ax.axhspan(one.top, one.top + HEADER, color="white", linewidth=0, zorder=1.8)  # no line through text
        else:
            _row(ax, page, top, one, one.item, limit, _said(one.item, words))
    name_axis(ax.xaxis, unit, 2 * (page.width - MARGIN - left) - width)
    ax.xaxis.set_major_formatter(ticks)
    return ax


def _row(ax: Axes, page: Sheet, top: float, at: PlacedRow, row: PlotRow, limit: float, said: str) -> None:
    """Draws one row: its label, its ticks or its point and interval, its numbers."""
    middle = at.top + at.height / 2
    for number, line in enumerate(at.lines):
        page.text(MARGIN + row.indent, top + middle + (number - (len(at.lines) - 1) / 2) * LINE, line)
    for ticks, size, colour in ((row.ticks, 5, FAINT), (row.noted, 8, WARN)):
        if ticks:
            ax.plot(ticks, [middle] * len(ticks), "|", markersize=size, color=colour, markeredgewidth=size / 6)
    if row.estimate:
        span(ax, middle, row.estimate, row.mark, row.hollow, limit)
    page.text(page.width - MARGIN, top + middle, said, ha="right", size=SMALL)


def estimate_in_points(estimate: EstimateEnds) -> str:
    """Returns an estimate in points and its interval."""
    value, low, high = (signed_number(number, 1) for number in estimate)
    return f"{value} [{low}, {high}]"


def limits(ax: Axes, estimates: Sequence[EstimateEnds], widest: float = WIDEST) -> float:
    """Sets the range of effects and returns the distance from the value at which an interval is cut.

    One arm with few seeds can have an interval so wide that all others would shrink to points, so an interval may be at
    most `widest` times as wide as the median one.
    """
    halves = [max(high - value, value - low) for value, low, high in estimates] or [1.0]
    limit = widest * median(halves) if median(halves) else max(halves) or 1.0
    ends = [end for value, low, high in estimates for end in (max(low, value - limit), min(high, value + limit))]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    room = 0.06 * ((high - low) or 2.0)
    ax.set_xlim(low - room, high + room)
    ax.locator_params(axis="x", nbins=5, steps=[1, 2, 5, 10])
    ax.xaxis.set_minor_locator(AutoMinorLocator(2))
    ax.xaxis.set_major_formatter(signs)
    return limit


def span(
    ax: Axes, y: float, estimate: EstimateEnds, mark: tuple[str, str], hollow: bool, limit: float, size: float = 3.8
) -> None:
    """Draws a point and its interval at height `y`; an arrow where the interval is cut at the distance `limit`."""
    (value, whole_low, whole_high), (marker, colour) = estimate, mark
    low, high = max(whole_low, value - limit), min(whole_high, value + limit)
    ax.plot([low, high], [y, y], color=colour, linewidth=1.1, solid_capstyle="butt", zorder=2)
    for end, cut, arrow in ((low, whole_low < low, "<"), (high, whole_high > high, ">")):
        shape, width = (arrow, 3) if cut else ("|", 4)
        ax.plot([end], [y], shape, markersize=width, color=colour, markeredgewidth=0.8, zorder=2, clip_on=False)
    face = "white" if hollow else colour
    ax.plot([value], [y], marker=marker, markersize=size, color=colour, markerfacecolor=face,
            markeredgewidth=0.9, zorder=3)  # fmt: skip


def _undress(ax: Axes, height: float) -> None:
    """Sets the plot's y to inches from its top, and leaves only the x axis and a line at zero."""
    ax.set_ylim(height, 0)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", which="both", linewidth=0.3, color=GRID)
    ax.axvline(0, linewidth=0.8, color=INK, zorder=1.5)


def _hold(ax: Axes, ticks: Sequence[float]) -> None:
    """Widens the range to include the ticks."""
    low, high = ax.get_xlim()
    room = 0.03 * (high - low)
    ax.set_xlim(min([low, *(tick - room for tick in ticks)]), max([high, *(tick + room for tick in ticks)]))


def _said(row: PlotRow, words: Callable[[EstimateEnds], str]) -> str:
    """Returns the numbers of a row as text."""
    if row.said is not None:
        return row.said
    return words(row.estimate) if row.estimate else ""
