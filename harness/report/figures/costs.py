"""Draws gain against cost: one panel for processor seconds and one for labels bought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke

from harness.analysis.effects import Effect
from harness.arm import may_win
from harness.report.figures.placing import Box, Spot, spots
from harness.report.figures.scales import from_least, linear_scale, logarithmic
from harness.report.figures.style import (
    AXES,
    FAINT,
    INK,
    MARGIN,
    MARKS,
    SHADE,
    SMALL,
    WIDE,
    WIDTH,
    blank,
    counts,
    finite_rows,
    inches,
    key,
    key_height,
    name_axis,
    name_line,
    name_lines,
    sheet,
    signs,
)
from harness.report.leaderboard import is_baseline

COLUMNS = ["arm", "axis", "reference", "effect", "low", "high", "cpu_s", "labels"]
_HEIGHT, _LEFT, _BETWEEN, _BELOW = 2.5, 0.42, 0.1, 0.34
_CROWD, _LETTER, _MARK, _NAME, _LINES = 12, 0.085, 0.032, 1.0, 3
_LANE, _FEWEST, _SHARE = 0.06, 0.4, 0.45
_UNITS: Mapping[str, str] = {"cpu_s": "processor seconds per trial", "labels": "labels bought per trial"}
_FRONT: Any = {"color": INK, "linewidth": 0.8, "linestyle": (0, (1, 1.2)), "zorder": 1.6}


@dataclass(frozen=True)
class Point:
    """Holds an arm's position in a panel, in inches, the ends of its interval, and whether these are cut."""

    x: float
    y: float
    low: float
    high: float
    cut_low: bool
    cut_high: bool


def gain_frame(effects: Sequence[Effect]) -> pd.DataFrame:
    """Returns the frame for `draw`: the baseline and each arm with an effect; effects in points, costs per trial."""
    rows: list[tuple[Any, ...]] = []
    for effect in effects:
        found = effect.interval
        numbers = (found.effect, found.low, found.high) if found else (0.0, 0.0, 0.0)
        if (found or is_baseline(effect)) and effect.cpu_s is not None:
            rows.append(
                (effect.arm, effect.axis, not may_win(effect.reference), *numbers, effect.cpu_s, effect.labels or 0.0)
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def front(cost: Sequence[float], gain: Sequence[float]) -> list[int]:
    """Returns the indices of the Pareto front, cheapest first; of equal points the first.

    No other point gains more at no higher cost, or as much at a lower cost.
    """
    kept: list[int] = []
    for point in sorted(range(len(cost)), key=lambda one: (cost[one], -gain[one])):
        if not kept or gain[point] > gain[kept[-1]]:
            kept.append(point)
    return kept


def draw(arms: pd.DataFrame, *, title: str, metric: str, note: str, about: str = "") -> Figure:
    """Returns the figure of two panels; `arms` is from `gain_frame`, with 0 as the baseline's effect.

    A stepped line is the Pareto front of the point estimates, without negative controls and upper bounds. Names are
    drawn where there is room, the front's first; if there are many arms, the others are small marks.
    """
    there = finite_rows(arms, "effect", "low", "high", "cpu_s", "labels")
    if there.empty or (there["arm"] == "baseline").all():
        return blank(title, "There is no arm with an effect whose cost could be shown.", note, width=WIDE)
    bought = bool((there["labels"] > 0).any())
    whole = WIDE if bought else WIDTH
    width = (whole - 2 * MARGIN - _LEFT - (_LEFT + _BETWEEN) * bought) / (1 + bought)
    labels, samples = _key(there)
    said = "Shaded: arms that bought no labels, in the order of their effect." if bought else "No arm bought labels."
    tall = key_height(labels, whole - 2 * MARGIN)
    page = sheet(title, about, f"{said} {note}", width=whole, height=_HEIGHT + _BELOW + tall + 0.06)
    for number, cost in enumerate(_UNITS if bought else ["cpu_s"]):
        ax = page.axes(MARGIN + _LEFT + number * (width + _LEFT + _BETWEEN), 0.02, width, _HEIGHT)
        _panel(ax, there, cost, width)
        name_axis(ax.xaxis, _UNITS[cost], width)
        name_axis(ax.yaxis, f"effect, points of {metric}", _HEIGHT)
    key(page, MARGIN, _HEIGHT + _BELOW + 0.02, whole - 2 * MARGIN, labels, samples)
    return page.figure


def _key(arms: pd.DataFrame) -> tuple[list[str], list[Line2D]]:
    """Returns the key of the markers that occur, and of the front."""
    names = [axis for axis in AXES if (arms.loc[arms["arm"] != "baseline", "axis"] == axis).any()]
    samples = [
        Line2D([], [], color=MARKS[name][1], marker=MARKS[name][0], markersize=3.8, linewidth=1) for name in names
    ]
    labels = [AXES[name] for name in names]
    if arms["reference"].any():
        labels.append("hollow: negative control or upper bound")
        samples.append(Line2D([], [], color=FAINT, marker="o", markerfacecolor="white", markersize=3.8, linewidth=1))
    base = Line2D([], [], color=INK, marker="x", markersize=4, linewidth=0)
    step = Line2D([], [], **_FRONT)
    return [*labels, "baseline", "Pareto front (point estimates)"], [*samples, base, step]


def _front(arms: pd.DataFrame, cost: str) -> list[int]:
    """Returns the rows on the Pareto front; without what may never win: an upper bound would hide what can be had."""
    ranked = np.flatnonzero(~arms["reference"].astype(bool))
    among = arms.iloc[ranked]
    return [int(ranked[one]) for one in front(among[cost].tolist(), among["effect"].tolist())]


def _panel(ax: Axes, arms: pd.DataFrame, cost: str, width: float) -> None:
    """Draws one panel in coordinates of inches: scales, front, points and names."""
    limit = 4 * float(((arms["high"] - arms["low"]) / 2)[arms["arm"] != "baseline"].median()) or np.inf
    ends = (arms["low"].clip(lower=arms["effect"] - limit), arms["high"].clip(upper=arms["effect"] + limit))
    x = _across(ax, arms, cost, width)
    up = linear_scale([0.0, *ends[0], *ends[1]], _HEIGHT, 0.12)
    up.mark(ax.yaxis, signs)
    ax.axhline(up.place(0.0), linewidth=0.8, color=INK, zorder=1.5)
    order = _front(arms, cost)
    steps = [(x[one], up.place(arms["effect"].iloc[one])) for one in order]
    ax.step([*(x for x, _ in steps), width], [*(y for _, y in steps), steps[-1][1]], where="post", **_FRONT)
    low, high = ([up.place(end) for end in side] for side in ends)
    y = [up.place(value) for value in arms["effect"]]
    cut = [(side != arms[name]).tolist() for name, side in zip(("low", "high"), ends, strict=True)]
    points = [Point(*numbers) for numbers in zip(x, y, low, high, *cut, strict=True)]
    lines = [*_bars(steps, width), (0.0, up.place(0.0) - 0.01, width, up.place(0.0) + 0.01)]
    names = _names(arms, order, points, lines, width, cost)
    for row, point, spot in zip(arms.to_dict("records"), points, names, strict=True):
        _point(ax, row, point, spot is None and len(arms) > _CROWD)
        if spot:
            _name(ax, row["arm"], point, spot)


def _across(ax: Axes, arms: pd.DataFrame, cost: str, width: float) -> list[float]:
    """Marks the axis of costs and returns each arm's position on it, in inches.

    Arms that bought no labels have a shaded band of their own beside the axis, side by side in the order of their
    effect, since their position on it would be the same for all.
    """
    if cost == "cpu_s":
        scale = logarithmic(arms[cost], width, 0.22)
        scale.mark(ax.xaxis, counts)
        return [scale.place(value) for value in arms[cost]]
    free = np.flatnonzero(arms[cost] == 0)
    order = free[np.argsort(arms["effect"].to_numpy()[free], kind="stable")]
    band = min(max(_LANE * (len(order) + 1), _FEWEST), _SHARE * width) if len(order) else 0.0
    scale = from_least(arms.loc[arms[cost] > 0, cost], width - band, 0.16)
    scale.mark(ax.xaxis, counts)
    labels = [label.get_text() for label in ax.get_xticklabels()]
    ax.set_xticks([*[band / 2] * bool(band), *(ax.get_xticks() + band)], [*["none"] * bool(band), *labels])
    ax.set_xlim(0.0, width)
    ax.axvspan(0.0, band, color=SHADE, linewidth=0, zorder=0)
    x = [band + scale.place(value) for value in arms[cost]]
    for lane, one in enumerate(order):
        x[one] = band * (lane + 1) / (len(order) + 1)
    return x


def _bars(steps: Sequence[tuple[float, float]], width: float) -> list[Box]:
    """Returns the stepped line as thin boxes that no name may overlap."""
    found: list[Box] = []
    for (x, y), (next_x, next_y) in zip(steps, [*steps[1:], (width, steps[-1][1])], strict=True):
        found += [(x, y - 0.01, next_x, y + 0.01), (next_x - 0.01, y, next_x + 0.01, next_y)]
    return found


def _names(
    arms: pd.DataFrame, order: Sequence[int], points: Sequence[Point], bars: Sequence[Box], width: float, cost: str
) -> list[Spot | None]:
    """Returns a place for each arm's name, or None: the front's first, then arms with a cost, then by effect."""
    rank = list(zip(arms["labels"] * (cost == "labels") == 0, -arms["effect"], strict=True))
    others = sorted(set(range(len(arms))) - set(order), key=lambda one: rank[one])
    wanted = [one for one in [*reversed(order), *others] if arms["arm"].iloc[one] != "baseline"][:_CROWD]
    marks = [(p.x - _MARK, p.y - _MARK, p.x + _MARK, p.y + _MARK) for p in points]
    lines = [(p.x - 0.012, p.low, p.x + 0.012, p.high) for p in points]
    sizes = [_size(_called(arms["arm"].iloc[one])) for one in wanted]
    places = [(points[one].x, points[one].y) for one in wanted]
    found = spots(places, sizes, (0.02, 0.02, width, _HEIGHT), marks, [*lines, *bars], len(order))
    given = dict(zip(wanted, found, strict=True))
    return [given.get(one) for one in range(len(arms))]


def _called(arm: str) -> list[str]:
    """Returns an arm's name in few short lines."""
    return name_lines(name_line(arm), _NAME, SMALL, _LINES)


def _size(lines: Sequence[str]) -> tuple[float, float]:
    return max(inches(line, SMALL) for line in lines) + 0.02, _LETTER * len(lines)


def _point(ax: Axes, row: Mapping[Any, Any], point: Point, small: bool) -> None:
    """Draws one arm's mark and interval, with arrows where it is cut; the baseline is a cross."""
    if row["arm"] == "baseline":
        ax.plot([point.x], [point.y], "x", color=INK, markersize=4, zorder=4)
        return
    marker, colour = MARKS[row["axis"]]
    ax.plot([point.x] * 2, [point.low, point.high], color=colour, linewidth=0.4 if small else 0.9, zorder=2)
    for end, cut, arrow in ((point.low, point.cut_low, "v"), (point.high, point.cut_high, "^")):
        ax.plot([point.x] * cut, [end] * cut, arrow, color=colour, markersize=2.5, zorder=2)
    ax.plot([point.x], [point.y], marker, color=colour, markerfacecolor="white" if row["reference"] else colour,
            markersize=2.4 if small else 3.8, markeredgewidth=0.9, zorder=3)  # fmt: skip


def _name(ax: Axes, arm: str, point: Point, spot: Spot) -> None:
    """Draws an arm's name, with a line to its point if it is far away."""
    if spot.lead:
        ax.plot([point.x, spot.lead[0]], [point.y, spot.lead[1]], color=FAINT, linewidth=0.4, zorder=1.7)
    name = ax.text(spot.x, spot.y, "\n".join(_called(arm)), fontsize=SMALL, va="center", zorder=5, linespacing=1.05)
    name.set_path_effects([Stroke(linewidth=1.4, foreground="white"), Normal()])  # readable over a line
