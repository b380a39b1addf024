"""Draws the training curves of arms beside the baseline's: mean and spread over seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from harness.arm import FACTORS
from harness.report.figures.style import (  # fmt: skip
    AXES,
    FAINT,
    MARGIN,
    WIDE,
    WIDTH,
    Sheet,
    Stroke,
    blank,
    counts,
    finite_rows,
    heading,
    key,
    key_height,
    name_axis,
    name_line,
    sheet,
    strokes,
)
from harness.storage.store import Record

COLUMNS = ["arm", "group", "reference", "seed", "step", "value"]
_LEFT, _BETWEEN, _TITLE, _HEIGHT, _BELOW = 0.4, 0.12, 0.17, 1.25, 0.33
_MOST, _PANELS, _POINTS, _EARLY = 5, 9, 200, 0.1
_BASE = Stroke(FAINT, (0, (6, 2)), "x")


def history_frame(records: Sequence[Record], column: str) -> pd.DataFrame:
    """Returns the frame for `draw`: one row per step of a trial; `value` is `valid` in points or the `loss`.

    A finished trial without such a history (its model does not train in steps) gives one row without step and value.
    """
    factor = 100.0 if column == "valid" else 1.0
    rows: list[tuple[Any, ...]] = []
    for record in records:
        if record["status"] == "done":
            group = heading(record["axis"], record["factors"])
            who = (record["arm"], group, record["reference"], record["seed"])
            found = [
                (row["step"], factor * row[column])
                for row in record["history"]
                if row.get(column) is not None and row.get("step") is not None  # rows of a search have no step
            ]
            rows += [(*who, *point) for point in found or [(np.nan, np.nan)]]
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(["arm", "seed", "step"], ignore_index=True, kind="stable")


def mean_curve(history: pd.DataFrame) -> pd.DataFrame:
    """Returns one arm's `step`, `mean`, `low`, `high` (one standard deviation over seeds each way; nan with one seed).

    Seeds that were measured at other steps are interpolated linearly, over the steps that all of them cover; 200 steps
    at most.
    """
    seeds = [rows.sort_values("step") for _, rows in history.groupby("seed")]
    first, last = max(rows["step"].iloc[0] for rows in seeds), min(rows["step"].iloc[-1] for rows in seeds)
    steps = np.unique(np.concatenate([rows["step"] for rows in seeds]).astype(np.float64))
    steps = steps[(steps >= first) & (steps <= last)]
    if len(steps) > _POINTS:
        steps = steps[np.unique(np.linspace(0, len(steps) - 1, _POINTS).round().astype(np.int64))]
    values = np.array([np.interp(steps, rows["step"], rows["value"]) for rows in seeds])
    mean = values.mean(0)
    spread = values.std(0, ddof=1) if len(seeds) > 1 else np.full(len(steps), np.nan)
    return pd.DataFrame({"step": steps, "mean": mean, "low": mean - spread, "high": mean + spread})


def draw(history: pd.DataFrame, *, title: str, unit: str, note: str, about: str = "") -> Figure:
    """Returns the figure; `history` is from `history_frame`, `unit` names its values.

    A panel holds up to five arms of one kind and the baseline; there are nine panels at most. Arms without a curve
    are named below, those without a panel counted.
    """
    there = finite_rows(history, "step", "value")
    if there.empty:
        return blank(title, "No trial left a history: every model was fitted at once, or none has finished.", note)
    curves = {arm: mean_curve(rows) for arm, rows in there.groupby("arm", sort=False)}
    curves = {arm: curve for arm, curve in curves.items() if len(curve)}
    every = list(_panels(there[there["arm"].isin(curves)]))
    panels = every[:_PANELS]
    folded = sum(len(arms) for _, arms in every[_PANELS:])
    columns = min(len(panels), 3)
    whole = WIDTH if columns == 1 else WIDE
    width = (whole - 2 * MARGIN - columns * _LEFT - (columns - 1) * _BETWEEN) / columns
    keys = [_key(arms, "baseline" in curves) for _, arms in panels]
    rows = [range(start, min(start + columns, len(panels))) for start in range(0, len(panels), columns)]
    heights = [max(key_height(keys[one][0], width + _LEFT - 0.1) for one in row) for row in rows]
    height = sum(heights) + len(rows) * (_TITLE + _HEIGHT + _BELOW + 0.08)
    limits = _limits(curves)
    page = sheet(title, about, _noted(history, curves, limits, note, folded), width=whole, height=height + 0.02)
    top = 0.0
    for row, tall in zip(rows, heights, strict=True):
        for column, one in enumerate(row):
            left = MARGIN + column * (_LEFT + width + _BETWEEN)
            _panel(page, (left, top, width), panels[one], curves, keys[one], unit if column == 0 else "", limits)
        top += _TITLE + _HEIGHT + _BELOW + tall + 0.08
    return page.figure


def _panels(history: pd.DataFrame) -> Iterator[tuple[str, list[tuple[str, bool]]]]:
    """Yields the heading of each panel and its arms, each with whether it is a reference; the baseline may be alone."""
    arms = history.drop_duplicates("arm")
    others = arms[arms["arm"] != "baseline"]
    if others.empty:
        yield "baseline", []
    groups = {str(group): rows for group, rows in others.groupby("group", sort=False)}
    for group in sorted(groups, key=_rank):
        rows = groups[group]
        found = list(zip(rows["arm"], rows["reference"].astype(bool), strict=True))
        for start in range(0, len(found), _MOST):
            yield group + (", continued" if start else ""), found[start : start + _MOST]


def _rank(group: str) -> tuple[int, int]:
    """Returns the order of a heading: models, weak, clean, augment, combinations of those, both, the rest."""
    factors = [place for place, name in enumerate(FACTORS) if name in group.removeprefix("data:").split()] or [9]
    kind = 0 if group == AXES["model"] else 1 if group.startswith("data") else 2 if group == AXES["both"] else 3
    return kind, 10 * len(factors) + sum(factors)


def _key(arms: Sequence[tuple[str, bool]], base: bool) -> tuple[list[str], list[Line2D]]:
    """Returns the key of a panel: its arms and their lines, the baseline last."""
    labels = [name_line(arm) + (" (reference)" if hollow else "") for arm, hollow in arms] + ["baseline"] * base
    return labels, [one.line([0], [0]) for one in [*_drawn(arms), *[_BASE] * base]]


def _drawn(arms: Sequence[tuple[str, bool]]) -> list[Stroke]:
    found = zip(strokes(len(arms)), arms, strict=True)
    return [Stroke(one.colour, one.dash, one.marker, hollow) for one, (_, hollow) in found]


def _limits(curves: dict[Any, pd.DataFrame]) -> tuple[float, float, float, float]:
    """Returns the range of steps and of values that all panels share.

    Values in the first tenth of the steps, which can be extreme, do not count.
    """
    every = pd.concat(list(curves.values()))
    end = float(every["step"].max()) or 1.0
    late = every[every["step"] > _EARLY * end]
    late = late if len(late) else every
    low, high = float(late[["mean", "low"]].min().min()), float(late[["mean", "high"]].max().max())
    room = 0.05 * ((high - low) or 1.0)
    return 0.0, 1.03 * end, low - room, high + room


def _panel(
    page: Sheet, at: tuple[float, float, float], panel: tuple[str, list[tuple[str, bool]]],
    curves: dict[Any, pd.DataFrame], keyed: tuple[list[str], list[Line2D]], unit: str,
    limits: tuple[float, float, float, float],
) -> None:  # fmt: skip
    """Draws one panel with its heading above and its key below."""
    left, top, width = at
    page.text(left, top + _TITLE / 2, panel[0], weight="bold")
    ax = page.axes(left + _LEFT, top + _TITLE, width, _HEIGHT)
    for arm, stroke in [*zip((arm for arm, _ in panel[1]), _drawn(panel[1]), strict=True), ("baseline", _BASE)]:
        if arm in curves:
            _curve(ax, curves[arm], stroke)
    ax.set(xlim=limits[:2], ylim=limits[2:])
    for axis, parts in ((ax.xaxis, 4), (ax.yaxis, 5)):
        axis.set_major_locator(MaxNLocator(parts, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(counts)
    name_axis(ax.xaxis, "optimiser step", width)
    name_axis(ax.yaxis, unit, _HEIGHT)
    key(page, left + 0.02, top + _TITLE + _HEIGHT + _BELOW, width + _LEFT - 0.1, *keyed)


def _curve(ax: Axes, curve: pd.DataFrame, stroke: Stroke) -> None:
    """Draws one arm's mean and, behind it, its spread."""
    ax.fill_between(curve["step"], curve["low"], curve["high"], color=stroke.colour, alpha=0.13, linewidth=0)
    ax.add_line(stroke.line(curve["step"].to_numpy(), curve["mean"].to_numpy()))


def _noted(
    history: pd.DataFrame, curves: dict[Any, pd.DataFrame], limits: tuple[float, ...], note: str, folded: int
) -> str:
    """Returns the note: what a band is, whether values are outside of the panels, and which arms have no curve."""
    without = [name_line(str(arm)) for arm in history["arm"].drop_duplicates() if arm not in curves]
    every = pd.concat(list(curves.values()))
    several = every["low"].notna().any()
    band = "Lines: mean over seeds; bands: one standard deviation on each side." if several else "One seed: no band."
    outside = (every["mean"] < limits[2]) | (every["mean"] > limits[3])
    cut = ["Some of the first tenth lies outside of the panels."] if outside.any() else []
    cut += [f"Not drawn: {folded} more arms."] if folded else []
    return " ".join([band, *cut, *([f"No curve: {', '.join(without)}."] if without else []), note])
