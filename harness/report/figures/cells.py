"""Draws the cells of models by data levels as a heat map with numbers.

Colours are cividis (Nuñez, Anderton & Renslow 2018, PLOS ONE 13(7)): perceptually uniform, the same for colour-blind
readers, and of increasing lightness, so that a grey print keeps the order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from harness.analysis.measures import unit_of
from harness.analysis.scores import Redraws, Scores
from harness.arm import SAME, Level, distinct
from harness.report.figures.style import (  # fmt: skip
    LINE,
    MARGIN,
    NOTE,
    SMALL,
    TEXT,
    WIDE,
    WIDTH,
    Sheet,
    blank,
    finite_rows,
    fit_lines,
    inches,
    name_line,
    name_lines,
    sheet,
)
from harness.report.leaderboard import signed_number

_NARROW, _COMFORT, _ROOMY, _ROW, _LOW_ROW, _LABELS, _STRIP = 0.36, 0.4, 0.66, 0.27, 0.2, (0.55, 1.25), 0.09
_LEVELS = 256
_EVEN = 0.179
"""The luminance on which black and white letters have equal contrast: (L + 0.05)² = 1.05 x 0.05."""
CellNumber = Literal["score", "effect"]


def cells_frame(scores: Scores, redraws: Redraws | None) -> pd.DataFrame:
    """Returns the frame for `draw`, one row per cell: model, data, score, effect, interaction with interval, in points.

    The interaction is the cell minus its row's and its column's effect: score(m, d) - score(m, 0) - score(0, d) +
    score(0, 0), where 0 is the baseline's level; nan if one of these was not run. Its interval (95 %) comes from the
    resamples, and is nan without them. If arms share a cell, the first one counts.
    """
    place: dict[tuple[Level, Level], int] = {}
    for arm in range(len(scores.arms)):
        place.setdefault((scores.model(arm), scores.data(arm)), arm)
    means = scores.test.mean(1)
    called = _called([level for cell in place for level in cell])
    rows = []
    for (model, data), arm in place.items():
        corner = [place.get(cell) for cell in ((model, data), (model, SAME), (SAME, data), (SAME, SAME))]
        effect = means[arm] - means[place[SAME, SAME]] if (SAME, SAME) in place else np.nan
        rows.append({
            "model": called[model], "data": called[data], "score": means[arm], "effect": effect,
            **_interaction(corner if model and data else [None], means, redraws),
        })  # fmt: skip
    return pd.DataFrame(rows, columns=["model", "data", "score", "effect", "interaction", "low", "high"])


def _called(levels: Sequence[Level]) -> dict[Level, str]:
    """Returns what each level is called, "" for the baseline's; no two share a name, or they would share a cell."""
    changed = dict.fromkeys(level for level in levels if level)
    names = distinct({one: one.brief for one in changed}, {one: one.name for one in changed})
    return {SAME: "", **names}


def _interaction(
    corner: Sequence[int | None], means: Float64[np.ndarray, " a"], redraws: Redraws | None
) -> dict[str, float]:
    """Returns a cell's interaction and its interval, from the four arms that define it."""
    arms = [arm for arm in corner if arm is not None]
    if len(arms) < 4:
        return {"interaction": np.nan, "low": np.nan, "high": np.nan}
    signs = np.array([1.0, -1.0, -1.0, 1.0])
    low, high = (np.nan, np.nan) if redraws is None else np.quantile(redraws.test[:, arms] @ signs, [0.025, 0.975])
    return {"interaction": float(means[arms] @ signs), "low": float(low), "high": float(high)}


def draw(cells: pd.DataFrame, *, title: str, metric: str, note: str, shown: CellNumber, about: str = "") -> Figure:
    """Returns the heat map: data levels as rows, models as columns, the interaction in small type in each cell.

    `cells` has one row per cell: `model`, `data` ("" is the baseline's level), the `score` or `effect` that is `shown`,
    in points, and if known `interaction` with its interval `low`, `high`. Levels keep their order, the baseline's
    first. A cell that is absent or nan is hatched. If models and data were crossed, levels that were not are left out
    and counted in the legend.
    """
    there = finite_rows(cells, shown)
    if there.empty:
        return blank(title, "There is no cell to show: no arm has a score on every seed.", note)
    every = cells.astype({"model": str, "data": str})
    levels = _crossed(every)
    there = there[there["model"].isin(levels["model"]) & there["data"].isin(levels["data"])]
    labels = _label_room(levels, WIDTH)
    width = WIDTH if len(levels["model"]) * _COMFORT <= WIDTH - 2 * MARGIN - labels else WIDE
    labels = _label_room(levels, width)
    most = int((width - 2 * MARGIN - labels) / _NARROW)
    bands = [levels["model"][start : start + most] for start in range(0, len(levels["model"]), most)]
    cell = min(_ROOMY, (width - 2 * MARGIN - labels) / len(bands[0]))
    found = {(str(row["model"]), str(row["data"])): row for row in there.to_dict("records")}
    small = any(np.isfinite(row.get("interaction", np.nan)) for row in found.values())
    row = _ROW if small or any(len(_lines(name, labels)) > 1 for name in levels["data"]) else _LOW_ROW
    heads = [max(len(_head(name, cell)) for name in band) * NOTE + 0.16 for band in bands]
    body = sum(heads) + len(bands) * (len(levels["data"]) * row + 0.08)
    holes = len(found) < len(levels["model"]) * len(levels["data"])
    legend = _legend(small, holes, _left_out(every, levels), width)
    page = sheet(title, about, note, width=width, height=body + 0.3 + NOTE * len(legend) + 0.06)
    scale = _scale([item[shown] for item in found.values()])
    top = 0.0
    for band, head in zip(bands, heads, strict=True):
        _names(page, top + head, band, levels["data"], labels, cell, row)
        ax = _board(page, MARGIN + labels, top + head, len(band) * cell, len(levels["data"]) * row)
        ax.set(xlim=(0, len(band)), ylim=(len(levels["data"]), 0))
        for x, model in enumerate(band):
            for y, data in enumerate(levels["data"]):
                _cell(ax, x, y, found.get((model, data)), scale, shown, model == data == "")
        top += head + len(levels["data"]) * row + 0.08
    _strip(
        page,
        top + 0.06,
        scale,
        f"{metric.replace('_', ' ')}, {unit_of(metric) if shown == 'score' else 'points'}",
        labels,
    )
    page.lines(MARGIN, top + 0.32, legend)
    return page.figure


def _crossed(cells: pd.DataFrame) -> dict[str, list[str]]:
    """Returns the levels of both axes, the baseline's first; if any were crossed, only those."""
    both = cells[(cells["model"] != "") & (cells["data"] != "")]
    kept = cells if both.empty else both
    names = {axis: set(kept[axis]) - {""} for axis in ("model", "data")}
    return {axis: ["", *dict.fromkeys(name for name in cells[axis] if name in names[axis])] for axis in names}


def _left_out(cells: pd.DataFrame, levels: Mapping[str, Sequence[str]]) -> str:
    """Returns how many models and data levels are not in the map, in words."""
    words = {"model": "model", "data": "data level"}
    missing = {words[axis]: len(set(cells[axis]) - set(levels[axis])) for axis in levels}
    said = [f"{count} {name}{'s' * (count > 1)}" for name, count in missing.items() if count]
    return f"Not in the map, since they were not crossed: {' and '.join(said)}." if said else ""


def _label_room(levels: Mapping[str, Sequence[str]], width: float) -> float:
    """Returns the inches for names of data levels, such that the words of models' names need not be broken."""
    low, high = _LABELS
    words = [word for name in levels["model"] for word in re.findall(r"[^_ ]+_?", _level(name))]
    cell = min(max(inches(word, SMALL) for word in words) + 0.02, _ROOMY)
    left = width - 2 * MARGIN - cell * len(levels["model"])
    return min(max(max(inches(_level(name), TEXT) for name in levels["data"]) + 0.07, low), high, max(left, 0.9))


def _level(name: str) -> str:
    return name_line(name) if name else "baseline"


def _lines(name: str, labels: float) -> list[str]:
    return name_lines(_level(name), labels - 0.06, TEXT, 2)


def _head(name: str, cell: float) -> list[str]:
    return name_lines(_level(name), cell - 0.01, SMALL, 4)


def _legend(small: bool, holes: bool, left_out: str, width: float) -> list[str]:
    """Returns the meaning of the signs that occur in the cells."""
    words = ["Framed: the baseline."]
    if small:
        words.append(
            "Small: interaction in points, what the cell gains beyond its model's and its data's effects; * where its "
            "95 % interval leaves out 0."
        )
    words += ["Hatched: not run, or failed."] if holes else []
    words += [left_out] if left_out else []
    return fit_lines(" ".join(words), width - 2 * MARGIN, SMALL, 9)


def _scale(values: Sequence[float]) -> tuple[float, float]:
    """Returns the range of the colours; never empty."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _names(
    page: Sheet, top: float, models: Sequence[str], datas: Sequence[str], labels: float, cell: float, row: float
) -> None:
    """Draws the names of rows and columns, and their headings."""
    tall = max(len(_head(name, cell)) for name in models) * NOTE
    page.text(MARGIN + labels, top - tall - 0.1, "model", weight="bold")
    page.text(MARGIN, top - 0.05, "data", weight="bold")
    for x, name in enumerate(models):
        lines = _head(name, cell)
        for number, line in enumerate(lines):
            y = top - 0.02 - NOTE * (len(lines) - number - 0.5)
            page.text(MARGIN + labels + (x + 0.5) * cell, y, line, size=SMALL, ha="center")
    for y, name in enumerate(datas):
        lines = _lines(name, labels)
        for number, line in enumerate(lines):
            middle = (y + 0.5) * row + (number - (len(lines) - 1) / 2) * LINE
            page.text(MARGIN, top + middle, line)


def _board(page: Sheet, left: float, top: float, width: float, height: float) -> Axes:
    """Returns a plot without axes."""
    ax = page.axes(left, top, width, height)
    ax.set_axis_off()
    return ax


def _cell(
    ax: Axes, x: int, y: int, found: Mapping[Any, Any] | None, scale: tuple[float, float], shown: CellNumber, base: bool
) -> None:
    """Draws one cell: its colour, its number and below it the interaction."""
    if found is None:
        ax.add_patch(Rectangle((x, y), 1, 1, facecolor="white", edgecolor="#a0a0a0", hatch="/////", linewidth=0))
        ax.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor="white", linewidth=0.8))
        return
    colour = _colour((found[shown] - scale[0]) / (scale[1] - scale[0]))
    ax.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, edgecolor="white", linewidth=0.8))
    if base:
        for edge, wide in (("white", 3.2), ("black", 1.4)):
            frame = Rectangle((x, y), 1, 1, fill=False, edgecolor=edge, linewidth=wide, zorder=3, clip_on=False)
            ax.add_patch(frame)
    ink = "black" if _luminance(colour) > _EVEN else "white"
    small = _small(found)
    number = signed_number(found[shown], 1) if shown == "effect" else f"{found[shown]:.1f}"
    place: dict[str, Any] = {"ha": "center", "va": "center_baseline", "color": ink}
    ax.text(x + 0.5, y + (0.32 if small else 0.5), number, fontsize=TEXT, **place)
    if small:
        ax.text(x + 0.5, y + 0.74, small, fontsize=SMALL, **place)


def _small(found: Mapping[Any, Any]) -> str:
    """Returns the interaction, with a star if its interval excludes 0; empty if there is none."""
    value, low, high = (float(found.get(name, np.nan)) for name in ("interaction", "low", "high"))
    if not np.isfinite(value):
        return ""
    return signed_number(value, 1) + ("*" if low > 0 or high < 0 else "")


def _colour(share: float) -> tuple[float, float, float]:
    red, green, blue, _ = mpl.colormaps["cividis"](round(share * (_LEVELS - 1)))
    return red, green, blue


def _luminance(colour: tuple[float, float, float]) -> float:
    """Returns the relative luminance, 0 to 1 (WCAG 2.2, from sRGB)."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def _strip(page: Sheet, top: float, scale: tuple[float, float], unit: str, labels: float) -> None:
    """Draws the colour scale with the lowest and the highest value."""
    low, high = (f"{value:.1f}".replace("-", "\N{MINUS SIGN}") for value in scale)
    wide, said = 1.0, f"{high}   {unit}"
    room = page.width - MARGIN - inches(said, SMALL) - 0.06 - wide
    left = max(min(MARGIN + labels, room), MARGIN + inches(low, SMALL) + 0.04)
    ax = page.axes(left, top, wide, _STRIP)
    ax.set_axis_off()
    ax.imshow(np.linspace(0, 1, _LEVELS)[None], cmap="cividis", aspect="auto", interpolation="nearest")
    page.text(left - 0.04, top + _STRIP / 2, low, size=SMALL, ha="right")
    page.text(left + wide + 0.04, top + _STRIP / 2, said, size=SMALL)
