"""Effects in, a forest plot as PDF, PNG and SVG out; the same bytes each time, whatever the user's own style says.

All lengths are inches and the figure is one column of a two-column paper wide. Arms stand in groups by axis, dull twins
first in their group, shaded and hollow; the axis has a marker of its own, so nothing hangs on colour.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median, mode
from typing import Any

import matplotlib as mpl
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextToPath
from matplotlib.ticker import AutoMinorLocator

from harness.effects import LEVEL, Effect, Interval
from harness.report.leaderboard import counted, is_baseline, worded

_WIDTH, _MARGIN, _GAP = 3.4, 0.06, 0.08
_LABELS = (0.7, 1.12)
_LINE, _PAD, _HEADER, _TITLE, _HEADS, _AXIS, _NOTE = 0.105, 0.065, 0.17, 0.13, 0.24, 0.36, 0.085
_TEXT, _SMALL, _INK, _FAINT, _SHADE, _WARN = 6.5, 5.5, "#222222", "#767676", "#ececec", "#a02020"
_MARKS = {"model": ("s", "#0072B2"), "data": ("o", "#D55E00"), "both": ("D", "#00795a"), "none": ("^", "#555555")}
_STYLE: Any = {
    "font.family": "DejaVu Sans", "font.size": _TEXT, "text.color": _INK, "text.parse_math": False,
    "axes.linewidth": 0.6, "pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "harness", "text.usetex": False,
}  # fmt: skip
_SAVED: Mapping[str, Mapping[str, Any]] = {
    "pdf": {"metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
    "png": {"metadata": {"Software": None}, "dpi": 300},
    "svg": {"metadata": {"Date": None, "Creator": None}},
}


@dataclass(frozen=True)
class Row:
    """One arm: the lines of its label and of remarks below it, and where it stands, from the top of the plot."""

    effect: Effect
    label: list[str]
    remarks: list[str]
    top: float
    height: float


@dataclass(frozen=True)
class Group:
    """A heading and where it stands, from the top of the plot."""

    title: str
    top: float


def forest(
    effects: Sequence[Effect], *, title: str, metric: str, note: str, reasons: Mapping[str, str]
) -> dict[str, bytes]:
    """The forest plot of a study as bytes by format; `reasons` says of an arm without an effect why it has none."""
    with mpl.style.context(["default", _STYLE], after_reset=True):
        figure = _draw(effects, title, metric, note, reasons)
        return {kind: _saved(figure, kind) for kind in _SAVED}


def _saved(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, **_SAVED[kind])
    return buffer.getvalue()


def _draw(effects: Sequence[Effect], title: str, metric: str, note: str, reasons: Mapping[str, str]) -> Figure:
    arms = [effect for effect in effects if not is_baseline(effect)]
    usual = _usual_count(arms)
    groups = _grouped(arms)
    labels = _label_width(groups)
    placed, height = _placed(groups, labels, usual)
    titles = _wrapped(_drawable(title), 0.88 * _WIDTH, _TEXT + 1)
    notes = _wrapped(_drawable(note), _WIDTH - 2 * _MARGIN, _SMALL)
    head = _MARGIN + _TITLE * len(titles) + _HEADS
    foot = _AXIS + _NOTE * len(notes) + _MARGIN
    figure = Figure(figsize=(_WIDTH, head + height + foot))
    ax = _axes(figure, labels, _number_width(arms), height, foot)
    limit = _limits(ax, [effect.interval for effect in arms if effect.interval])
    for item in placed:
        if isinstance(item, Group):
            _text(ax, _MARGIN, item.top + _HEADER - 0.05, item.title, weight="bold", va="baseline")
        else:
            _row(ax, item, limit, reasons.get(item.effect.arm, "not run yet"))
    _heads(ax, titles, f"{_baseline(effects, metric)}{f'; n = {usual} (seeds × test)' if usual else ''}")
    ax.set_xlabel(f"points of {metric.replace('_', ' ')}", fontsize=_TEXT, labelpad=2)
    for number, line in enumerate(notes):
        _text(ax, _MARGIN, height + _AXIS + _NOTE * (number + 0.5), line, size=_SMALL - 0.5, color=_FAINT)
    return figure


def _usual_count(effects: Sequence[Effect]) -> str:
    """The n of most arms; the others say theirs below their name."""
    counts = [counted(effect.interval) for effect in effects if effect.interval]
    return mode(counts) if counts else ""


def _grouped(effects: Sequence[Effect]) -> dict[str, list[Effect]]:
    """Arms by what they change, in a fixed order of headings; dull twins first in each."""
    order = ["model", "data: weak", "data: clean", "data: augment"]
    groups: dict[str, list[Effect]] = {name: [] for name in order}
    for effect in sorted(effects, key=lambda effect: ("model", "data", "both", "none").index(effect.axis)):
        groups.setdefault(_heading(effect), []).append(effect)
    return {name: sorted(found, key=lambda effect: not effect.dull) for name, found in groups.items() if found}


def _heading(effect: Effect) -> str:
    names = {"model": "model", "data": f"data: {' and '.join(effect.factors)}", "both": "model and data"}
    return names.get(effect.axis, "nothing but luck (A/A)")


def _short(effect: Effect) -> str:
    """The arm's name without what its group's heading says already."""
    factor = effect.factors[0] if len(effect.factors) == 1 else ""
    words = [
        word.removeprefix(f"{factor}=").removeprefix(f"{factor}.") if factor else word for word in effect.arm.split()
    ]
    return _drawable(" ".join(words)) or _drawable(effect.arm)


def _label_width(groups: Mapping[str, list[Effect]]) -> float:
    """Inches for the labels: as the longest needs, within bounds."""
    low, high = _LABELS
    widest = max((_inches(_short(e), _TEXT) for found in groups.values() for e in found), default=low)
    return min(max(widest, low), high)


def _number_width(effects: Sequence[Effect]) -> float:
    """Inches for effects and intervals in numbers."""
    return max((_inches(worded(effect.interval, 1), _SMALL) for effect in effects if effect.interval), default=0.7)


def _placed(groups: Mapping[str, list[Effect]], labels: float, usual: str) -> tuple[list[Group | Row], float]:
    """Everything that stands below one another, from the top, and the height of it all."""
    items: list[Group | Row] = []
    top = 0.0
    for title, found in groups.items():
        items.append(Group(title, top))
        top += _HEADER
        for effect in found:
            label, remarks = _wrapped(_short(effect), labels, _TEXT), _remarks(effect, usual)
            lines = max(len(label) + len(remarks), 1 if effect.interval else 2)
            items.append(Row(effect, label, remarks, top, lines * _LINE + _PAD))
            top += lines * _LINE + _PAD
    return items, top + 0.03


def _remarks(effect: Effect, usual: str) -> list[str]:
    """What is unusual about an arm: failed trials, fewer seeds."""
    failed = [f"failed {effect.n_failed} of {effect.n_trials}"] if effect.n_failed else []
    fewer = [f"n = {counted(effect.interval)}"] if effect.interval and counted(effect.interval) != usual else []
    return [", ".join([*failed, *fewer])] if failed or fewer else []


def _axes(figure: Figure, labels: float, numbers: float, height: float, foot: float) -> Axes:
    """The plot, with y in inches from its top; what stands beside it is placed from its left edge in inches."""
    total = figure.get_figheight()
    left = _MARGIN + labels + _GAP
    width = _WIDTH - left - _GAP - numbers - _MARGIN
    ax = figure.add_axes((left / _WIDTH, foot / total, width / _WIDTH, height / total))
    ax.set_ylim(height, 0)
    ax.set_yticks([])
    for side in ("left", "right", "top"):
        ax.spines[side].set_visible(False)
    ax.tick_params(axis="x", labelsize=_SMALL + 0.5, length=2, width=0.6, pad=2)
    ax.tick_params(axis="x", which="minor", length=1.2, width=0.4)
    ax.grid(axis="x", which="both", linewidth=0.3, color="#d0d0d0")
    ax.set_axisbelow(True)
    ax.axvline(0, linewidth=0.8, color=_INK, zorder=1.5)
    return ax


def _limits(ax: Axes, intervals: Sequence[Interval]) -> float:
    """Sets the range of effects and returns the half-width beyond which an interval is cut and ends in an arrow.

    One arm with few seeds can have an interval so wide that all others would shrink to points.
    """
    halves = [(interval.high - interval.low) / 2 for interval in intervals] or [1.0]
    limit = 4 * median(halves) or max(halves) or 1.0
    reach = [(found.effect, min(half, limit)) for found, half in zip(intervals, halves, strict=False)]
    ends = [middle + side * half for middle, half in reach for side in (-1, 1)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    room = 0.06 * ((high - low) or 2.0)
    ax.set_xlim(low - room, high + room)
    ax.locator_params(axis="x", nbins=5, steps=[1, 2, 5, 10])
    ax.xaxis.set_minor_locator(AutoMinorLocator(2))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:+g}".replace("-", "\N{MINUS SIGN}") if value else "0")
    return limit


def _row(ax: Axes, row: Row, limit: float, reason: str) -> None:
    """One arm: shade, label, and either point, interval and numbers, or why there is none."""
    middle = row.top + row.height / 2
    if row.effect.dull:
        left, right = _left(ax, _MARGIN / 2), _left(ax, _WIDTH - _MARGIN / 2)
        shade = Rectangle((left, row.top), right - left, row.height, color=_SHADE, linewidth=0, clip_on=False, zorder=0)
        shade.set_transform(ax.get_yaxis_transform())
        ax.add_artist(shade)
    for number, line in enumerate([*row.label, *row.remarks]):
        y = middle + (number - (len(row.label) + len(row.remarks) - 1) / 2) * _LINE
        remark = number >= len(row.label)
        _text(ax, _MARGIN, y, line, color=_WARN if remark else _INK, size=_SMALL if remark else _TEXT)
    if row.effect.interval:
        _interval(ax, row.effect, row.effect.interval, middle, limit)
    else:
        _absent(ax, row, reason)


def _interval(ax: Axes, effect: Effect, found: Interval, y: float, limit: float) -> None:
    """Point, interval (an arrow where it is cut) and the same in numbers."""
    marker, colour = _MARKS[effect.axis]
    low, high = max(found.low, found.effect - limit), min(found.high, found.effect + limit)
    ax.plot([low, high], [y, y], color=colour, linewidth=1.1, solid_capstyle="butt", zorder=2)
    for end, cut, arrow in ((low, found.low < low, "<"), (high, found.high > high, ">")):
        shape, size = (arrow, 3) if cut else ("|", 4)
        ax.plot([end], [y], shape, markersize=size, color=colour, markeredgewidth=0.8, zorder=2, clip_on=False)
    face = "white" if effect.dull else colour
    ax.plot([found.effect], [y], marker=marker, markersize=3.8, color=colour, markerfacecolor=face,
            markeredgewidth=0.9, zorder=3)  # fmt: skip
    _text(ax, _WIDTH - _MARGIN, y, worded(found, 1), ha="right", size=_SMALL)


def _absent(ax: Axes, row: Row, reason: str) -> None:
    """Why there is no point, in two lines at most; the whole reason stands below the leaderboard."""
    start = ax.get_position().x0 * _WIDTH
    lines = _wrapped(_drawable(reason), _WIDTH - start - _MARGIN, _SMALL)
    if len(lines) > 2:
        lines = [lines[0], lines[1][:-1] + "…"]
    for number, line in enumerate(lines):
        y = row.top + row.height / 2 + (number - (len(lines) - 1) / 2) * 0.9 * _LINE
        behind = _SHADE if row.effect.dull else "white"
        text = _text(ax, start, y, line, color=_WARN, size=_SMALL, zorder=4, backgroundcolor=behind)
        text.get_bbox_patch().set(linewidth=0, boxstyle="square,pad=0.05")  # the zero line must not run through words


def _heads(ax: Axes, titles: Sequence[str], baseline: str) -> None:
    """Title, baseline and column head, from the plot's top upwards."""
    for number, line in enumerate(reversed(titles)):
        _text(ax, _MARGIN, -_HEADS - _TITLE * (number + 0.5), line, weight="bold", size=_TEXT + 1, va="center")
    _text(ax, _MARGIN, -_HEADS + 0.05, baseline, size=_SMALL, color=_FAINT, va="center")
    head = f"effect [{100 * LEVEL:.0f} % interval]"
    _text(ax, _WIDTH - _MARGIN, -0.05, head, ha="right", size=_SMALL, color=_FAINT)


def _baseline(effects: Sequence[Effect], metric: str) -> str:
    score = next((effect.score for effect in effects if is_baseline(effect)), None)
    return "baseline failed" if score is None else f"baseline: {score:.1f} % {metric.replace('_', ' ')}"


def _text(ax: Axes, inches: float, y: float, text: str, **style: Any) -> Any:
    """Text at so many inches from the figure's left edge, at the plot's own y."""
    style = {"va": "center_baseline", "fontsize": style.pop("size", _TEXT), **style}
    return ax.text(_left(ax, inches), y, text, transform=ax.get_yaxis_transform(), clip_on=False, **style)


def _left(ax: Axes, inches: float) -> float:
    """A place in inches from the figure's left edge as a fraction of the plot's width."""
    box = ax.get_position()
    return (inches / _WIDTH - box.x0) / box.width


def _wrapped(text: str, inches: float, size: float) -> list[str]:
    """Lines that fit: broken at spaces, and within a word only where the word alone is too wide."""
    lines = [""]
    for word in text.split():
        for piece in [word] if _inches(word, size) <= inches else _parts(word, inches, size):
            line = f"{lines[-1]} {piece}".strip()
            lines = [*lines[:-1], line] if _inches(line, size) <= inches else [*lines, piece]
    return [line for line in lines if line]


def _parts(word: str, inches: float, size: float) -> list[str]:
    """A word in parts that each fit, cut after a sign that joins two words where there is one."""
    parts = [""]
    for piece in re.findall(r"[^=,_/+.-]*[=,_/+.-]?", word):
        letters = [piece] if _inches(piece, size) <= inches else list(piece)
        for letter in letters:
            fits = _inches(parts[-1] + letter, size) <= inches
            parts = [*parts[:-1], parts[-1] + letter] if fits else [*parts, letter]
    return parts


def _inches(text: str, size: float) -> float:
    """The width of a text as it will be drawn."""
    return _measure(text)[0] * size / 10 / 72


@cache
def _measure(text: str) -> tuple[float, float, float]:
    return TextToPath().get_text_width_height_descent(text, _font(), ismath=False)


def _font() -> FontProperties:
    return FontProperties(family="DejaVu Sans", size=10)


def _drawable(text: str) -> str:
    """Text in one line with a replacement sign for each letter that the font lacks."""
    font = get_font(findfont(_font()))
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return "".join(letter if font.get_char_index(ord(letter)) else "\N{REPLACEMENT CHARACTER}" for letter in plain)
