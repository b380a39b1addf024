"""Draws effects as a forest plot.

The figure is one column wide. Arms are grouped by axis, negative controls and upper bounds first in their group,
shaded and hollow; each axis has a marker of its own, so that nothing depends on colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mode
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from harness.analysis.effects import Effect
from harness.analysis.measures import unit_of
from harness.analysis.significance import LEVEL
from harness.arm import kind_in_words, may_win
from harness.report.figures.rows import limits, span
from harness.report.figures.style import (  # fmt: skip
    AXIS,
    FAINT,
    GAP,
    INK,
    LINE,
    MARGIN,
    MARKS,
    NOTE,
    SHADE,
    SMALL,
    TEXT,
    TITLE,
    WARN,
    WIDTH,
    drawable,
    heading,
    inches,
    name_lines,
    wrap_lines,
)
from harness.report.leaderboard import effect_in_words, is_baseline, seeds_by_examples

_LABELS, _LONGEST = (0.7, 1.12), 4
_PAD, _HEADER, _HEADS, _NOTE = 0.065, 0.17, 0.24, 0.085


@dataclass(frozen=True)
class ForestRow:
    """Holds one arm: the lines of its label and of the remarks below it, and its position from the top of the plot."""

    effect: Effect
    label: list[str]
    remarks: list[str]
    top: float
    height: float


@dataclass(frozen=True)
class Group:
    """Holds a heading and its position from the top of the plot."""

    title: str
    top: float


def draw(
    effects: Sequence[Effect], title: str, metric: str, note: str, reasons: Mapping[str, str],
    briefs: Mapping[str, str], about: str = "",
) -> Figure:  # fmt: skip
    """Returns the forest plot of a study; `reasons` says why an arm has no effect, `briefs` holds short names.

    `about` goes below the title.
    """
    arms = [effect for effect in effects if not is_baseline(effect)]
    usual = _usual_count(arms)
    groups = _grouped(arms)
    labels = _label_width(groups, briefs)
    placed, height = _placed(groups, labels, usual, briefs)
    titles = wrap_lines(drawable(title), 0.86 * (WIDTH - 2 * MARGIN), TEXT + 1)
    notes = wrap_lines(drawable(note), WIDTH - 2 * MARGIN, SMALL)
    abouts = wrap_lines(drawable(about), WIDTH - 2 * MARGIN, SMALL)
    head = MARGIN + TITLE * len(titles) + NOTE * len(abouts) + _HEADS
    foot = AXIS + _NOTE * len(notes) + MARGIN
    figure = Figure(figsize=(WIDTH, head + height + foot))
    ax = _axes(figure, labels, _number_width(arms), height, foot)
    found = [effect.interval for effect in arms if effect.interval]
    limit = limits(ax, [(one.effect, one.low, one.high) for one in found])
    for item in placed:
        if isinstance(item, Group):
            _text(ax, MARGIN, item.top + _HEADER - 0.05, item.title, weight="bold", va="baseline")
            ax.axhspan(item.top, item.top + _HEADER, color="white", linewidth=0, zorder=1.6)  # no line through text
        else:
            _row(ax, item, limit, reasons.get(item.effect.arm, "not run yet"))
    _heads(ax, titles, abouts, f"{_baseline(effects, metric)}{f'; n = {usual} (seeds × test)' if usual else ''}")
    ax.set_xlabel(f"points of {metric.replace('_', ' ')}", fontsize=TEXT, labelpad=2)
    for number, line in enumerate(notes):
        _text(ax, MARGIN, height + AXIS + _NOTE * (number + 0.5), line, size=SMALL - 0.5, color=FAINT)
    return figure


def _usual_count(effects: Sequence[Effect]) -> str:
    """Returns the n of most arms; the others have theirs below their name."""
    counts = [seeds_by_examples(effect.interval) for effect in effects if effect.interval]
    return mode(counts) if counts else ""


def _grouped(effects: Sequence[Effect]) -> dict[str, list[Effect]]:
    """Returns arms by what they change, in a fixed order of headings, negative controls and upper bounds first."""
    order = ["model", "data: weak", "data: clean", "data: augment"]
    groups: dict[str, list[Effect]] = {name: [] for name in order}
    for effect in sorted(effects, key=lambda effect: ("model", "data", "both", "none").index(effect.axis)):
        groups.setdefault(heading(effect.axis, effect.factors), []).append(effect)
    return {
        name: sorted(found, key=lambda effect: may_win(effect.reference)) for name, found in groups.items() if found
    }


def _short(effect: Effect, briefs: Mapping[str, str]) -> str:
    return drawable(briefs.get(effect.arm, effect.arm))


def _label_width(groups: Mapping[str, list[Effect]], briefs: Mapping[str, str]) -> float:
    """Returns the inches for labels: as the longest needs, within bounds."""
    low, high = _LABELS
    widest = max((inches(_short(e, briefs), TEXT) for found in groups.values() for e in found), default=low)
    return min(max(widest, low), high)


def _number_width(effects: Sequence[Effect]) -> float:
    """Returns the inches for effects and intervals in numbers."""
    return max(
        (inches(effect_in_words(effect.interval, 1), SMALL) for effect in effects if effect.interval), default=0.7
    )


def _placed(
    groups: Mapping[str, list[Effect]], labels: float, usual: str, briefs: Mapping[str, str]
) -> tuple[list[Group | ForestRow], float]:
    """Returns headings and rows with their positions from the top, and the total height."""
    items: list[Group | ForestRow] = []
    top = 0.0
    for title, found in groups.items():
        items.append(Group(title, top))
        top += _HEADER
        for effect in found:
            label, remarks = name_lines(_short(effect, briefs), labels, TEXT, _LONGEST), _remarks(effect, usual)
            lines = max(len(label) + len(remarks), 1 if effect.interval else 2)
            items.append(ForestRow(effect, label, remarks, top, lines * LINE + _PAD))
            top += lines * LINE + _PAD
    return items, top + 0.03


def _remarks(effect: Effect, usual: str) -> list[str]:
    """Returns what is unusual about an arm: that it is a reference and of which kind, failed trials, fewer seeds."""
    kind = [kind_in_words(effect.reference)] if effect.reference else []
    failed = [f"failed {effect.n_failed} of {effect.n_trials}"] if effect.n_failed else []
    fewer = (
        [f"n = {seeds_by_examples(effect.interval)}"]
        if effect.interval and seeds_by_examples(effect.interval) != usual
        else []
    )
    return [", ".join(found)] if (found := [*kind, *failed, *fewer]) else []


def _axes(figure: Figure, labels: float, numbers: float, height: float, foot: float) -> Axes:
    """Returns the plot, y in inches from its top; text beside it is placed in inches from the figure's left edge."""
    total = figure.get_figheight()
    left = MARGIN + labels + GAP
    width = WIDTH - left - GAP - numbers - MARGIN
    ax = figure.add_axes((left / WIDTH, foot / total, width / WIDTH, height / total))
    ax.set_ylim(height, 0)
    ax.set_yticks([])
    for side in ("left", "right", "top"):
        ax.spines[side].set_visible(False)
    ax.tick_params(axis="x", labelsize=SMALL + 0.5, length=2, width=0.6, pad=2)
    ax.tick_params(axis="x", which="minor", length=1.2, width=0.4)
    ax.grid(axis="x", which="both", linewidth=0.3, color="#d0d0d0")
    ax.set_axisbelow(True)
    ax.axvline(0, linewidth=0.8, color=INK, zorder=1.5)
    return ax


def _row(ax: Axes, row: ForestRow, limit: float, reason: str) -> None:
    """Draws one arm: shade, label, and either point, interval and numbers, or why there are none."""
    middle = row.top + row.height / 2
    if not may_win(row.effect.reference):
        left, right = _left(ax, MARGIN / 2), _left(ax, WIDTH - MARGIN / 2)
        shade = Rectangle((left, row.top), right - left, row.height, color=SHADE, linewidth=0, clip_on=False, zorder=0)
        shade.set_transform(ax.get_yaxis_transform())
        ax.add_artist(shade)
    for number, line in enumerate([*row.label, *row.remarks]):
        y = middle + (number - (len(row.label) + len(row.remarks) - 1) / 2) * LINE
        remark = number >= len(row.label)
        color = INK if not remark else FAINT if line == kind_in_words(row.effect.reference) else WARN
        _text(ax, MARGIN, y, line, color=color, size=SMALL if remark else TEXT)
    if row.effect.interval:
        found = row.effect.interval
        span(
            ax,
            middle,
            (found.effect, found.low, found.high),
            MARKS[row.effect.axis],
            not may_win(row.effect.reference),
            limit,
        )
        _text(ax, WIDTH - MARGIN, middle, effect_in_words(found, 1), ha="right", size=SMALL)
    else:
        _absent(ax, row, reason)


def _absent(ax: Axes, row: ForestRow, reason: str) -> None:
    """Writes why there is no point, in two lines at most; the full reason is below the leaderboard."""
    start = ax.get_position().x0 * WIDTH
    lines = wrap_lines(drawable(reason), WIDTH - start - MARGIN, SMALL)
    if len(lines) > 2:
        lines = [lines[0], lines[1][:-1] + "…"]
    for number, line in enumerate(lines):
        y = row.top + row.height / 2 + (number - (len(lines) - 1) / 2) * 0.9 * LINE
        behind = "white" if may_win(row.effect.reference) else SHADE
        text = _text(ax, start, y, line, color=WARN, size=SMALL, zorder=4, backgroundcolor=behind)
        text.get_bbox_patch().set(linewidth=0, boxstyle="square,pad=0.05")  # the zero line must not cross text


def _heads(ax: Axes, titles: Sequence[str], abouts: Sequence[str], baseline: str) -> None:
    """Draws the title, what the figure is about, the baseline and the column head above the plot."""
    for number, line in enumerate(reversed(abouts)):
        _text(ax, MARGIN, 0.005 - _HEADS - NOTE * (number + 0.5), line, size=SMALL, color=FAINT, va="center")
    for number, line in enumerate(reversed(titles)):
        _text(
            ax,
            MARGIN,
            -_HEADS - NOTE * len(abouts) - TITLE * (number + 0.5),
            line,
            weight="bold",
            size=TEXT + 1,
            va="center",
        )
    _text(ax, MARGIN, -_HEADS + 0.05, baseline, size=SMALL, color=FAINT, va="center")
    head = f"effect [{100 * LEVEL:.0f} % interval]"
    _text(ax, WIDTH - MARGIN, -0.05, head, ha="right", size=SMALL, color=FAINT)


def _baseline(effects: Sequence[Effect], metric: str) -> str:
    score = next((effect.score for effect in effects if is_baseline(effect)), None)
    return "baseline failed" if score is None else f"baseline: {score:.1f} {unit_of(metric)} {metric.replace('_', ' ')}"


def _text(ax: Axes, inches: float, y: float, text: str, **style: Any) -> Any:
    """Draws text at a number of inches from the figure's left edge, at the plot's y."""
    style = {"va": "center_baseline", "fontsize": style.pop("size", TEXT), **style}
    return ax.text(_left(ax, inches), y, text, transform=ax.get_yaxis_transform(), clip_on=False, **style)


def _left(ax: Axes, inches: float) -> float:
    """Converts inches from the figure's left edge into a fraction of the plot's width."""
    box = ax.get_position()
    return (inches / WIDTH - box.x0) / box.width
