"""Draws accuracy against the oracle budget, and the number of labels that comes near to the score of clean labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.analysis.effects import Effect
from harness.analysis.measures import unit_of
from harness.report.figures.scales import Scale, from_zero, linear_scale
from harness.report.figures.style import (  # fmt: skip
    FAINT,
    INK,
    MARGIN,
    WIDTH,
    Stroke,
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

COLUMNS = ["strategy", "reference", "labels", "score", "low", "high"]
SHARE = 0.95
"""The share of the gain from baseline to clean labels that a strategy should reach."""
_HEIGHT, _LEFT, _BELOW, _FINE, _BAND = 1.9, 0.4, 0.34, 200, 0.14
_LINES: dict[str, Any] = {
    "clean": {"color": INK, "linewidth": 0.9, "linestyle": "-"},
    "target": {"color": INK, "linewidth": 0.7, "linestyle": (0, (1, 1.5))},
    "baseline": {"color": FAINT, "linewidth": 0.9, "linestyle": (0, (6, 2))},
}


def budget_frame(effects: Sequence[Effect], strategies: Mapping[str, str]) -> pd.DataFrame:
    """Returns the frame for `draw`: one row per arm that used the oracle, by strategy and then by number of labels.

    `strategies` names the strategy of each arm; arms that differ only in their budget share one. `score` is the arm's
    score in points; `low` and `high` are as far from it as the bounds of the effect's interval are from the effect.
    """
    rows: list[tuple[Any, ...]] = []
    for effect in effects:
        if effect.interval and effect.labels and effect.score is not None:
            half, score = effect.half_width or 0.0, effect.score
            who = (strategies[effect.arm], bool(effect.reference))
            rows.append((*who, effect.labels, score, score - half, score + half))
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(["strategy", "labels"], ignore_index=True, kind="stable")


def labels_to_reach(labels: Sequence[float], scores: Sequence[float], target: float) -> float | None:
    """Returns at how many labels a curve first reaches the target, by linear interpolation; None if never."""
    if scores[0] >= target:
        return labels[0]
    for at in range(1, len(labels)):
        if scores[at] >= target:
            share = (target - scores[at - 1]) / (scores[at] - scores[at - 1])
            return labels[at - 1] + share * (labels[at] - labels[at - 1])
    return None


def draw(
    curve: pd.DataFrame, *, title: str, metric: str, note: str, baseline: float | None, clean: float | None,
    about: str = "",
) -> Figure:  # fmt: skip
    """Returns the figure; `curve` is from `budget_frame`, `baseline` and `clean` are scores in points, None if unknown.

    Every curve begins at the baseline with no labels. `clean` is the score with clean labels only.
    """
    there = finite_rows(curve, "labels", "score", "low", "high")
    if there.empty:
        return blank(title, "No arm bought labels, so there is no budget to draw accuracy against.", note)
    names = there["strategy"].drop_duplicates().tolist()
    hollow = there.groupby("strategy")["reference"].any()
    drawn = {
        name: Stroke(one.colour, one.dash, one.marker, bool(hollow[name]))
        for name, one in zip(names, strokes(len(names)), strict=True)
    }
    lines = scores_by_labels(there, names, baseline)
    target = None if baseline is None or clean is None or clean <= baseline else baseline + SHARE * (clean - baseline)
    ends = {name: labels_to_reach(*lines[name], target) if target is not None else None for name in names}
    labels, samples = _key(drawn, ends, baseline, target, clean, metric)
    width = WIDTH - 2 * MARGIN
    page = sheet(title, about, note, width=WIDTH, height=_HEIGHT + _BELOW + key_height(labels, width) + 0.06)
    ax = page.axes(MARGIN + _LEFT, 0.02, width - _LEFT, _HEIGHT)
    across = from_zero([*there["labels"], *(end for end in ends.values() if end is not None)], width - _LEFT, 0.12)
    levels = {name: level for name, level in (("baseline", baseline), ("target", target), ("clean", clean)) if level}
    up = linear_scale([*there["low"], *there["high"], *levels.values()], _HEIGHT, 0.08)
    across.mark(ax.xaxis, counts)
    up.mark(ax.yaxis, counts)
    for name, level in levels.items():
        ax.axhline(up.place(level), zorder=1.6, **_LINES[name])
    for name in names:
        _curve(ax, there[there["strategy"] == name], lines[name], drawn[name], (across, up))
        end = ends[name]
        if end is not None and target is not None:
            _end(ax, across.place(end), up.place(target), drawn[name])
    name_axis(ax.xaxis, "labels bought per trial", width - _LEFT)
    name_axis(ax.yaxis, f"{metric}, {unit_of(metric)}", _HEIGHT)
    key(page, MARGIN, _HEIGHT + _BELOW + 0.02, width, labels, samples)
    return page.figure


def scores_by_labels(
    curve: pd.DataFrame, names: Sequence[str], baseline: float | None
) -> dict[str, tuple[list[float], list[float]]]:
    """Returns each strategy's labels and scores, from no labels on if the baseline is known."""
    found = {}
    for name in names:
        rows = curve[curve["strategy"] == name].sort_values("labels", kind="stable")
        start = [] if baseline is None else [baseline]
        found[name] = ([0.0] * len(start) + rows["labels"].tolist(), start + rows["score"].tolist())
    return found


def _key(
    drawn: dict[str, Stroke], ends: dict[str, float | None], baseline: float | None, target: float | None,
    clean: float | None, metric: str,
) -> tuple[list[str], list[Line2D]]:  # fmt: skip
    """Returns the key of all lines, with the labels that each strategy needs to come near to clean labels."""
    way = f"{100 * SHARE:.0f} % of the way"
    said = {
        name: "" if target is None else f": {way} at {end:.0f} labels" if end is not None else f": {way} not reached"
        for name, end in ends.items()
    }
    labels = [f"{name_line(name)}{' (reference)' if one.hollow else ''}{said[name]}" for name, one in drawn.items()]
    samples = [one.line([0], [0]) for one in drawn.values()]
    more = [
        ("clean", clean, "clean labels: {:.1f}"), ("target", target, way + " from baseline to clean: {:.1f}"),
        ("baseline", baseline, "baseline: {:.1f}"),
    ]  # fmt: skip
    for name, level, words in more:
        if level is not None:
            labels.append(words.format(level))
            samples.append(Line2D([], [], **_LINES[name]))
    if target is None:
        why = "the baseline has no score" if baseline is None else "no arm has clean labels alone"
        labels.append(
            f"{way}: not known, " + (why if clean is None or baseline is None else "clean labels gain nothing")
        )
        samples.append(Line2D([], [], linewidth=0))
    return labels, samples


def _curve(
    ax: Axes, rows: pd.DataFrame, line: tuple[Sequence[float], Sequence[float]], stroke: Stroke,
    scales: tuple[Scale, Scale],
) -> None:  # fmt: skip
    """Draws one strategy: its line, which is linear in labels on any scale, its points, and its intervals as a band.

    Every point is at its own number of labels, so strategies of equal budgets share a place: bands can be told apart
    there, and lines of intervals cannot.
    """
    across, up = scales
    fine = np.unique(np.concatenate([line[0], np.linspace(line[0][0], line[0][-1], _FINE)]))
    heights = np.interp(fine, *line)
    drawn = stroke.line([across.place(x) for x in fine], [up.place(y) for y in heights])
    drawn.set_markevery([int(place) for place in np.searchsorted(fine, line[0])])
    ax.add_line(drawn)
    rows = rows.sort_values("labels", kind="stable")
    first = line[0][0] < rows["labels"].iloc[0]  # no labels: the baseline itself, which has no interval here
    at = [*[line[0][0]] * int(first), *rows["labels"]]
    low, high = ([*[line[1][0]] * int(first), *rows[end]] for end in ("low", "high"))
    within = [across.place(x) for x in fine]
    ends = [[up.place(y) for y in np.interp(fine, at, side)] for side in (low, high)]
    ax.fill_between(within, *ends, color=stroke.colour, alpha=_BAND, linewidth=0, zorder=1.4)
    for x, *edges in zip(rows["labels"], rows["low"], rows["high"], strict=True):
        for edge in edges:
            ax.plot([across.place(x)], [up.place(edge)], "_", color=stroke.colour, markersize=4, markeredgewidth=0.8)


def _end(ax: Axes, x: float, y: float, stroke: Stroke) -> None:
    """Draws a star where a curve has come near to clean labels, and a line down to the number of labels."""
    ax.plot([x, x], [0, y], color=stroke.colour, linewidth=0.7, linestyle=(0, (1, 1.5)), zorder=1.7)
    ax.plot([x], [y], "*", color=stroke.colour, markersize=6, markeredgewidth=0.4, markeredgecolor="white", zorder=4)
