"""Writes the rows of `readings_frame` as a table for the terminal, a CSV, a page in Markdown and a figure.

Lengths are in inches. The figure has one row per reading of a table: the gain from changing the model and from changing
the data, on an axis that is linear below one point and logarithmic above, since the claim is about tenths and tens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from harness.analysis.atlas import points_text
from harness.report.figures.style import (  # fmt: skip
    FAINT,
    GRID,
    INK,
    LINE,
    MARGIN,
    MARKS,
    NOTE,
    SMALL,
    TEXT,
    WIDE,
    Sheet,
    as_files,
    fit_lines,
    inches,
    sheet,
)
from harness.report.leaderboard import MINUS, NONE, escape_markdown
from harness.storage.sheets import sheet_of_rows

TITLE = "Where the ten-points claim holds: published tables"
_HEAD = (
    "The claim: ten points from the data, a few tenths from the model (shaded). A mark is the best score less the "
    "worst along one axis, its median over the other axis, with a line from the least to the most; where models and "
    "data are not crossed (a → b), it is a step."
)
_NOTE = (
    "Share: of the variance of the crossed cells (eta squared); the rest is interaction and noise. Published scores "
    "have no seeds here: nothing in this figure is a confidence interval. Where a table says recipe or augmentation, "
    "that is its data axis."
)
_SHORT = {
    "holds": "the claim holds", "ten only": "only the data's half holds",
    "tenths only": "only the model's half holds", "neither": "neither half holds",
}  # fmt: skip
_LEGEND = """\
A swap is the best score minus the worst along one axis, in points: the median over the levels of the other axis, with
the range in brackets. If models and data are not crossed (arms `a + b`), it is the step from the table's first cell to
the best other one. Shares are of the variance of the crossed cells (eta squared, two-way analysis of variance); the
remainder to 1 is interaction and noise. The verdict is *data* or *model* if swap and share agree, *undecided* if they
do not; *the answer changes without* names single arms that it depends on. The claim holds if, to a tenth, the data give
ten points or more and the model less than one. There is one score per cell: nothing here is a confidence interval.
Best minus worst grows with the number of arms, so each table below also lists the points between two arms drawn at
random."""
_ROOM, _BOLD = 2.3, 0.88
_PLOT, _BAR, _WORDS = (2.44, 2.2), (4.78, 0.78), 5.68
_TOP, _PAD, _LEAST, _FEET = 0.24, 0.09, 0.22, 0.3
_TICKS = (100.0, 0.5, 2.0, 5.0, 20.0, 50.0)
_ZONES = {"model": "#dcebf5", "data": "#fae6d9"}


@dataclass(frozen=True)
class ReadingRow:
    """Holds a reading and its position: the lines of its name, arms and verdict, its top and its height."""

    reading: dict[str, Any]
    name: list[str]
    arms: list[str]
    verdict: list[str]
    top: float
    height: float


def atlas_lines(rows: pd.DataFrame) -> str:
    """Returns the atlas for a terminal: one line per reading, its verdict below."""
    names = [_name(row, "  with ") for row in _dicts(rows)]
    width = max(map(len, names))
    lines = [f"{'':{width}}  {'arms':>8}  {'model swap':>20}  {'data swap':>20}  share of model, data"]
    for name, row in zip(names, _dicts(rows), strict=True):
        model, data = _shares(row)
        swaps = f"{_ranged(row, 'model'):>20}  {_ranged(row, 'data'):>20}"
        lines += [f"{name:{width}}  {_arms(row):>8}  {swaps}  {model:>14} {data:>5}", f"    {row['verdict']}"]
    return "\n".join([*lines, "", _summary(rows), ""])


def as_csv(rows: pd.DataFrame) -> bytes:
    """Returns every number to six digits, so that rounding errors of sums do not show; a missing one is empty."""
    return sheet_of_rows([{name: _plain(value) for name, value in row.items()} for row in _dicts(rows)])


def page(rows: pd.DataFrame) -> bytes:
    """Returns the atlas to read: the claim, the figure, a table, how the answer depends on the arms, the sources."""
    return ("\n".join([*_opening(rows), *_table(rows), "", *_beside(rows), *_details(rows)]) + "\n").encode()


def draw_atlas(rows: pd.DataFrame) -> Figure:
    """Returns the figure: one row per reading with swaps, shares and the verdict; the claimed ranges shaded."""
    placed = list(_placed(rows))
    height = placed[-1].top + placed[-1].height
    board = sheet(TITLE, _HEAD, _NOTE, width=WIDE, height=_TOP + height + _FEET)
    ax = _axes(board, rows, height)
    _heads(board)
    for row in placed:
        _words(board, row)
        middle = row.top + row.height / 2
        _marks(ax, row.reading, middle)
        _bar(board, row.reading, _TOP + middle)
    return board.figure


figure = as_files(draw_atlas)
"""Returns the figure as bytes by format, the same each time."""


# The figure


def _placed(rows: pd.DataFrame) -> Iterator[ReadingRow]:
    """Yields the readings from top to bottom, each with its lines of text."""
    top = 0.0
    core: dict[str, Any] = {}
    for row in _dicts(rows):
        indent = 0.12 if row["extra"] else 0.0
        name = fit_lines(_name(row, "with "), _ROOM - indent if row["extra"] else _BOLD * _ROOM, TEXT, 2)
        core = row if not row["extra"] else core
        arms = fit_lines(f"{_arms(row)}: {_changed(row, core)}", _ROOM - indent, SMALL, 4)
        turned = [f"turns without {' or '.join(row['turned_by'])}"] if row["turned_by"] else []
        room = WIDE - MARGIN - _WORDS
        verdict = [line for text in (*turned, _SHORT[row["claim"]]) for line in fit_lines(text, room, SMALL, 2)]
        height = max(LINE * len(name) + NOTE * len(arms), LINE + NOTE * len(verdict), _LEAST) + _PAD
        yield ReadingRow(row, name, arms, verdict, top, height)
        top += height


def _axes(board: Sheet, rows: pd.DataFrame, height: float) -> Axes:
    """Returns the plot, y in inches from its top, with both halves of the claim shaded."""
    ax = board.axes(_PLOT[0], _TOP, _PLOT[1], height)
    low = min(0.0, float(rows[["model_low", "data_low"]].min().min()))
    high = max(20.0, float(rows[["model_high", "data_high"]].max().max())) * 1.25
    ax.set_xscale("symlog", linthresh=1, linscale=0.7)
    ax.set_xlim(1.3 * low - 0.12, high)
    ax.set_ylim(height, 0)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ticks = _ticks(ax, low, high)
    ax.set_xticks(ticks, [_tick(tick) for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.grid(axis="x", linewidth=0.3, color=GRID)
    for ends, axis in (((low * 1.3 - 0.12, 1.0), "model"), ((10.0, high), "data")):
        ax.axvspan(*ends, color=_ZONES[axis], linewidth=0, zorder=0)
    ax.set_xlabel("points of the table's metric", fontsize=SMALL + 0.5, labelpad=1)
    return ax


def _ticks(ax: Axes, low: float, high: float) -> list[float]:
    """Returns the round numbers in range whose labels have room; the bounds of the claim have priority."""
    first, last = ax.transScale.transform([(end, 0) for end in ax.get_xlim()])[:, 0]
    kept: dict[float, float] = {}
    for tick in (0.0, 1.0, 10.0, *_TICKS, *(-tick for tick in _TICKS)):
        place = (ax.transScale.transform((tick, 0))[0] - first) / (last - first) * _PLOT[1]
        room = [abs(place - other) - (inches(_tick(tick), TEXT) + inches(_tick(at), TEXT)) / 2
                for at, other in kept.items()]  # fmt: skip
        if low <= tick <= high and min(room, default=1.0) > 0.04:
            kept[tick] = place
    return sorted(kept)


def _tick(value: float) -> str:
    return f"{value:g}".replace("-", MINUS)


def _heads(board: Sheet) -> None:
    """Draws the column heads and the key, with marks above their zones."""
    left, width = _PLOT
    keys = {"model": "model: claimed below 1", "data": "data: claimed from 10"}
    for axis, start in (("model", left + 0.09), ("data", left + width - inches(keys["data"], SMALL))):
        marker, colour = MARKS[axis]
        x, y = (start - 0.06) / board.width, 1 - (board.head + _TOP - 0.09) / board.figure.get_figheight()
        mark = Line2D([x], [y], marker=marker, color=colour, markersize=4, transform=board.figure.transFigure)
        board.figure.add_artist(mark, clip=False)
        board.text(start, _TOP - 0.09, keys[axis], size=SMALL)
    board.text(MARGIN, _TOP - 0.09, "table: models × data variants", size=SMALL, color=FAINT)
    board.text(_BAR[0], _TOP - 0.09, "share of variance", size=SMALL, color=FAINT)
    board.text(_WORDS, _TOP - 0.09, "ahead, by points", size=SMALL, color=FAINT)


def _words(board: Sheet, row: ReadingRow) -> None:
    """Draws a rule above a table's first reading, and name, arms and verdict, vertically centred in the row."""
    middle, indent = _TOP + row.top + row.height / 2, 0.12 if row.reading["extra"] else 0.0
    if not row.reading["extra"]:
        _rule(board, _TOP + row.top)
    start = middle - (LINE * len(row.name) + NOTE * len(row.arms)) / 2
    for number, line in enumerate(row.name):
        weight = "normal" if row.reading["extra"] else "bold"
        board.text(MARGIN + indent, start + LINE * (number + 0.5), line, weight=weight)
    board.lines(MARGIN + indent, start + LINE * len(row.name), row.arms)
    start = middle - (LINE + NOTE * len(row.verdict)) / 2
    head = row.reading["winner"].partition(":")[0]
    board.text(_WORDS, start + LINE / 2, head, weight="bold")
    board.lines(_WORDS, start + LINE, row.verdict, color=INK if row.reading["claim"] == "holds" else FAINT)


def _rule(board: Sheet, y: float) -> None:
    height = 1 - (board.head + y) / board.figure.get_figheight()
    ends = [MARGIN / board.width, 1 - MARGIN / board.width]
    line = Line2D(ends, [height] * 2, color=GRID, linewidth=0.5, transform=board.figure.transFigure)
    board.figure.add_artist(line, clip=False)


def _marks(ax: Axes, reading: dict[str, Any], y: float) -> None:
    """Draws the swap of the model just above the middle and that of the data just below, so that neither is hidden."""
    for axis, at in (("model", y - 0.055), ("data", y + 0.055)):
        marker, colour = MARKS[axis]
        ends = [reading[f"{axis}_low"], reading[f"{axis}_high"]]
        ax.plot(ends, [at, at], color=colour, linewidth=1.0, solid_capstyle="butt", zorder=2)
        ax.plot(ends, [at, at], "|", color=colour, markersize=3.5, markeredgewidth=0.8, zorder=2)
        ax.plot([reading[f"{axis}_swap"]], [at], marker, color=colour, markersize=4, markeredgewidth=0, zorder=3)


def _bar(board: Sheet, reading: dict[str, Any], y: float) -> None:
    """Draws the shares as a bar from model to data, the rest white between them, or writes that there are none."""
    left, width = _BAR
    if not reading["crossed"]:
        board.text(left, y, "not crossed", size=SMALL, color=FAINT)
        return
    model, data = reading["share_model"], reading["share_data"]
    parts = ((0.0, 1.0, "white", ""), (0.0, model, MARKS["model"][1], ""), (1 - data, data, MARKS["data"][1], "/////"))
    for start, share, colour, hatch in parts:
        box = Rectangle(
            ((left + start * width) / board.width, 1 - (board.head + y + 0.02) / board.figure.get_figheight()),
            share * width / board.width, 0.07 / board.figure.get_figheight(), facecolor=colour, edgecolor=INK,
            hatch=hatch, linewidth=0.4, transform=board.figure.transFigure,
        )  # fmt: skip
        board.figure.add_artist(box, clip=False)
    board.text(left, y + 0.085, f"{model:.3f}", size=SMALL)
    board.text(left + width, y + 0.085, f"{data:.3f}", size=SMALL, ha="right")


# The page


def _opening(rows: pd.DataFrame) -> Iterator[str]:
    yield "# Where the ten-points claim holds"
    yield ""
    yield "The claim: *ten points from the data, a few tenths from the model*. This page tests it on published tables,"
    yield "with the functions that analyse our own records. `harness atlas` generates it from the facts in"
    yield "`experiments/literature/`, with a source per row; `harness atlas PATH` adds your own tables."
    yield ""
    yield "![Gains from a swap of the model and from a swap of the data in each published table](atlas.png)"
    yield ""
    yield f"**{escape_markdown(_summary(rows))}**"
    yield ""


def _summary(rows: pd.DataFrame) -> str:
    """Returns in how many tables' cores the claim holds and each axis leads, and which answers change with the arms."""
    core = rows[rows["extra"] == ""]
    holds = [str(name) for name in core.loc[core["claim"] == "holds", "table"]]
    where = f" ({', '.join(holds)})" if holds else ""
    ahead = {word: int((core["word"] == word).sum()) for word in ("data", "model")}
    rest = len(core) - sum(ahead.values())
    turned = sorted({str(row["table"]) for row in _dicts(rows) if _turns(row, rows)})
    turns = f" The answer depends on the included arms: {', '.join(turned)}." if turned else ""
    return (
        f"Of {len(core)} tables the claim holds in {len(holds)}{where}. The data are ahead in {ahead['data']}, the "
        f"model in {ahead['model']}{f', neither in {rest}' if rest else ''}.{turns}"
    )


def _table(rows: pd.DataFrame) -> Iterator[str]:
    """Yields one row per reading."""
    yield "| table | arms | model swap | data swap | share of model | share of data | verdict |"
    yield "|:--|--:|--:|--:|--:|--:|:--|"
    for row in _dicts(rows):
        cells = (
            _arms(row),
            _ranged(row, "model"),
            _ranged(row, "data"),
            *_shares(row),
            escape_markdown(row["verdict"]),
        )
        yield f"| {escape_markdown(_name(row, 'with '))} | {' | '.join(cells)} |"
    yield ""
    yield from _LEGEND.splitlines()


def _beside(rows: pd.DataFrame) -> Iterator[str]:
    """Yields the tables with extras, their readings side by side."""
    several = [name for name, part in rows.groupby("table", sort=False) if len(part) > 1]
    if not several:
        return
    yield "## With other arms included"
    yield ""
    yield "| table | arms | share of model | share of data | ahead | answer changes |"
    yield "|:--|:--|--:|--:|:--|:--|"
    for row in _dicts(rows[rows["table"].isin(several)]):
        turned = ("**yes**" if _turns(row, rows) else "no") if row["extra"] else ""
        arms = f"core and {row['extra']}" if row["extra"] else "core"
        cells = (
            escape_markdown(row["table"]),
            escape_markdown(arms),
            *_shares(row),
            escape_markdown(row["winner"]),
            turned,
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def _details(rows: pd.DataFrame) -> Iterator[str]:
    """Yields each table's arms, the cells left out, and its source."""
    yield "## Arms and sources"
    for name, part in rows.groupby("table", sort=False):
        first = part.iloc[0]
        yield f"\n### {escape_markdown(str(name))}\n"
        yield f"- metric: {escape_markdown(first['metric'])}"
        yield f"- source: {escape_markdown(first['source'])}"
        yield from [f"- {escape_markdown(first['note'])}"] if first["note"] else []
        for row in _dicts(part):
            name = _name(row, "with ") if row["extra"] else "arms"
            yield f"- {escape_markdown(name)}: {escape_markdown(_listed(row))}"
            yield from [f"  - left out: {escape_markdown('; '.join(row['left_out']))}"] if row["left_out"] else []
            if row["crossed"]:
                drawn = f"models {points_text(row['model_random'])}, data {points_text(row['data_random'])}"
                yield f"  - points between two arms drawn at random: {drawn}"


def _turns(row: dict[str, Any], rows: pd.DataFrame) -> bool:
    """Returns whether a reading has another answer than its table's core."""
    return bool(row["word"] != rows.loc[rows["table"] == row["table"], "word"].iloc[0])


def _name(row: dict[str, Any], within: str) -> str:
    return f"{within}{row['extra']}" if row["extra"] else str(row["table"])


def _listed(row: dict[str, Any]) -> str:
    """Returns the names of the admitted arms: crossed, or each axis's first level and the levels of its steps."""
    models, data = row["models"], row["data"]
    if row["crossed"]:
        return f"{_some(models)} × {_some(data)}"
    return f"{models[0]} → {_some(models[1:])}; {data[0]} → {_some(data[1:])}"


def _changed(row: dict[str, Any], core: dict[str, Any]) -> str:
    """Returns the admitted arms, or the difference from the core for a reading with an extra."""
    mine, theirs = ([*one["models"], *one["data"]] for one in (row, core))
    more, fewer = [arm for arm in mine if arm not in theirs], [arm for arm in theirs if arm not in mine]
    if mine == theirs:
        return _listed(row)
    return "; ".join([f"with {_some(more)}"] * bool(more) + [f"without {_some(fewer)}"] * bool(fewer))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names if len(names) <= 8 else [*names[:3], f"and {len(names) - 3} more"])


def _arms(row: dict[str, Any]) -> str:
    return f"{row['n_models']} {'×' if row['crossed'] else '+'} {row['n_data']}"


def _ranged(row: dict[str, Any], axis: str) -> str:
    """Returns a swap and its range, to a tenth; a step as published, to a hundredth."""
    if not row["crossed"]:
        return f"{row[f'{axis}_swap']:.2f}".replace("-", MINUS)
    low, high = points_text(row[f"{axis}_low"]), points_text(row[f"{axis}_high"])
    return f"{points_text(row[f'{axis}_swap'])} ({low} to {high})"


def _shares(row: dict[str, Any]) -> tuple[str, str]:
    """Returns the shares of model and data; a dash if models and data are not crossed."""
    return (f"{row['share_model']:.3f}", f"{row['share_data']:.3f}") if row["crossed"] else (NONE, NONE)


def _dicts(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def _plain(value: Any) -> Any:
    """Returns a value as written to the CSV."""
    if isinstance(value, tuple):
        return "; ".join(value)
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if np.isnan(value) else round(value, 6) + 0.0
    return value
