"""Draws an attribution: ladder, shares, and how much the answer depends on single arms.

Gains are in points on one axis, so that lengths can be compared; shares of variance are below on an axis of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from harness.analysis.attribution import Attribution
from harness.analysis.sensitivity import Omitted
from harness.report.figures.rows import (
    FEET,
    WIDEST,
    EstimateEnds,
    PlotRow,
    draw_rows,
    estimate_in_points,
    height_of,
    place_rows,
)
from harness.report.figures.style import (
    INK,
    MARKS,
    TEXT,
    WIDTH,
    blank,
    counts,
    finite_rows,
    inches,
    name_line,
    sheet,
    signs,
)
from harness.report.leaderboard import signed_number

COLUMNS = ["section", "name", "value", "low", "high", "arm", "changes", "omits"]
_LABELS = (0.75, 1.15)
_MARKS: Mapping[str, tuple[str, str]] = {
    **MARKS, "interaction": ("p", "#a3376f"), "difference": ("v", INK), "by validation": ("v", INK),
    "at best": ("v", INK), "weak": MARKS["data"], "clean": MARKS["data"],
    "augment": MARKS["data"],
}  # fmt: skip
_ANSWERS = {"by validation": "chosen on other seeds", "at best": "best arms of both"}
_DIFFERENCES = {"difference": "data minus model", **_ANSWERS}
_HEADINGS = {
    "ladder": "best arms, chosen on validation", "shapley": "Shapley shares of the whole gain",
    "omitted": "data minus model, with something left out", "variance": "shares of the variance of cells",
}  # fmt: skip
_MOST = 8


def attribution_frame(attribution: Attribution, briefs: Mapping[str, str]) -> pd.DataFrame:
    """Returns the frame for `draw`, one row per number: `section` (ladder, shapley, eta2, omega2, omitted), `name`, ….

    `value`, `low` and `high` are points, for eta2 and omega2 shares of 1. `arm` names the arm of a step of the ladder,
    or what was left out; `changes` says whether leaving it out changes the verdict, `omits` whether it is one arm.
    `briefs` holds the short names of arms.
    """
    ladder, word = attribution.ladder, attribution.verdict.word if attribution.verdict else ""
    rows: list[tuple[Any, ...]] = []
    none = ("", False, False)
    if ladder:
        steps = (("model", ladder.model), ("data", ladder.data), ("both", ladder.both))
        named = [(name, step, briefs.get(step.arm, step.arm)) for name, step in steps if step]
        rows += [("ladder", name, *_numbers(step.effect), arm, False, False) for name, step, arm in named]
        more = (
            ("interaction", ladder.interaction), ("difference", ladder.difference),
            ("by validation", ladder.by_validation), ("at best", ladder.at_best),
        )  # fmt: skip
        rows += [("ladder", name, *_numbers(found), *none) for name, found in more if found]
    for section in ("shapley", "eta2", "omega2"):
        rows += [(section, name, *_numbers(one), *none) for name, one in getattr(attribution, section).items()]
    rows += [
        ("omitted", "difference", *_numbers(one.difference), _left_out(one, briefs), one.word != word, bool(one.omits))
        for one in attribution.sensitivity
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _left_out(one: Omitted, briefs: Mapping[str, str]) -> str:
    return f"without {briefs.get(one.omits, one.omits)}" if one.omits else one.what


def draw(answer: pd.DataFrame, *, title: str, about: str, note: str) -> Figure:
    """Returns the figure; `answer` is from `attribution_frame`, `about` goes below the title ("" for nothing)."""
    there = finite_rows(answer, "value", "low", "high")
    if there.empty:
        return blank(title, "Nothing can be attributed: no model and no data strategy have effects to compare.", note)
    gains = [*_ladder(there), *_shapley(there), *_omitted(there)]
    shares = _variance(there)
    labels = _label_room([*gains, *shares])
    top, bottom = place_rows(gains, labels), place_rows(shares, labels)
    height = sum(height_of(part) + FEET + 0.02 for part in (top, bottom) if part)
    if there["changes"].any():
        note = f"Bold ticks, hollow: the verdict changes without it. {note}"
    page = sheet(title, about, note, width=WIDTH, height=height + 0.04)
    if top:
        draw_rows(page, 0.0, top, labels=labels, unit="points", words=estimate_in_points, ticks=signs, widest=WIDEST)
    if bottom:
        start = height_of(top) + FEET + 0.02 if top else 0.0
        ax = draw_rows(
            page, start, bottom, labels=labels, unit="% of the variance", words=_in_percent, ticks=counts, widest=inf
        )
        ax.set_xlim(min(ax.get_xlim()[0], -4), max(ax.get_xlim()[1], 104))
    return page.figure


def _numbers(estimate: Any) -> EstimateEnds:
    return estimate.value, estimate.low, estimate.high


def _label_room(items: Sequence[str | PlotRow]) -> float:
    low, high = _LABELS
    widest = max((inches(item.label, TEXT) + item.indent for item in items if isinstance(item, PlotRow)), default=low)
    return min(max(widest, low), high)


def _estimate(row: Mapping[Any, Any]) -> EstimateEnds:
    return float(row["value"]), float(row["low"]), float(row["high"])


def _rows_of(answer: pd.DataFrame, section: str) -> list[dict[Any, Any]]:
    return answer[answer["section"] == section].to_dict("records")


def _ladder(answer: pd.DataFrame) -> list[str | PlotRow]:
    """Returns the steps of the ladder, then the interaction and the difference."""
    rows: list[str | PlotRow] = []
    for row in _rows_of(answer, "ladder"):
        name, arm = str(row["name"]), str(row["arm"])
        label = _DIFFERENCES.get(name, f"{name}: {name_line(arm)}" if arm else name)
        marks, hollow = _MARKS.get(name, _MARKS["none"]), name in _ANSWERS
        rows.append(PlotRow(label, _estimate(row), marks, hollow, 0.1 * hollow))
    return [_HEADINGS["ladder"], *rows] if rows else []


def _shapley(answer: pd.DataFrame) -> list[str | PlotRow]:
    """Returns model and data, and below data its parts."""
    found = {str(row["name"]): row for row in _rows_of(answer, "shapley")}
    rows: list[str | PlotRow] = []
    for name in sorted(found, key=["model", "data", "weak", "clean", "augment"].index):
        part = name in ("weak", "clean", "augment")
        rows.append(
            PlotRow(f"of which {name}" if part else name, _estimate(found[name]), _MARKS[name], part, 0.1 * part)
        )
    return [_HEADINGS["shapley"], *rows] if rows else []


def _omitted(answer: pd.DataFrame) -> list[str | PlotRow]:
    """Returns one row with a tick per omitted arm, a row for each that changes the verdict, and the other omissions."""
    found = _rows_of(answer, "omitted")
    if not found:
        return []
    alone = [row for row in found if row["omits"]]
    changing = [row for row in alone if row["changes"]]
    whole = next((_estimate(row) for row in _rows_of(answer, "ladder") if row["name"] == "difference"), None)
    ticks, noted = ([float(row["value"]) for row in alone if bool(row["changes"]) == bold] for bold in (False, True))
    rows = [PlotRow("nothing", whole, _MARKS["difference"])] if whole else []
    if alone:
        rows.append(PlotRow(f"each of {len(alone)} arms", ticks=tuple(ticks), noted=tuple(noted)))
    rows += [PlotRow(str(row["arm"]), _estimate(row), _MARKS["difference"], hollow=True) for row in changing[:_MOST]]
    left = len(changing) - _MOST
    rows += [PlotRow(f"and {left} more that change it")] if left > 0 else []
    others = [row for row in found if row not in alone]
    rows += [
        PlotRow(str(row["arm"]), _estimate(row), _MARKS["difference"], hollow=bool(row["changes"])) for row in others
    ]
    return [_HEADINGS["omitted"], *rows]


def _variance(answer: pd.DataFrame) -> list[str | PlotRow]:
    """Returns rows of eta² (filled) and omega² (hollow), one below the other."""
    rows: list[str | PlotRow] = []
    for name in ("model", "data", "interaction"):
        for section, sign in (("eta2", "η²"), ("omega2", "ω²")):
            for row in _rows_of(answer, section):
                if row["name"] == name:
                    value, low, high = (100 * number for number in _estimate(row))
                    rows.append(PlotRow(f"{name} {sign}", (value, low, high), _MARKS[name], section == "omega2"))
    return [_HEADINGS["variance"], *rows] if rows else []


def _in_percent(estimate: EstimateEnds) -> str:
    value, low, high = (signed_number(number, 0).removeprefix("+") for number in estimate)
    return f"{value} [{low}, {high}] %"
