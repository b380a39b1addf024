"""Draws simulated coverage and false positives against the number of seeds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import binom

from harness.report.figures.scales import Scale, linear_scale, logarithmic
from harness.report.figures.style import (  # fmt: skip
    INK,
    MARGIN,
    SHADE,
    WIDE,
    WIDTH,
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

_HEIGHT, _LEFT, _BETWEEN, _TITLE, _BELOW = 1.6, 0.42, 0.12, 0.17, 0.34
_NOMINAL: Any = {"color": INK, "linewidth": 0.9, "linestyle": (0, (6, 2))}


def draw(rates: pd.DataFrame, *, title: str, note: str) -> Figure:
    """Returns the figure; `rates` has `kind`, `setting`, `seeds`, `rate`, `nominal` and `simulations`.

    Each row is a simulated setting. `kind` (coverage, false positives) is a panel, `setting` a line. Rates are shares.
    The band holds 95 % of counts of that many simulations if the true rate is the nominal one (binomial quantiles).
    """
    there = finite_rows(rates, "seeds", "rate", "nominal", "simulations")
    if there.empty:
        return blank(title, "Nothing was simulated.", note)
    kinds, settings = (there[name].drop_duplicates().tolist() for name in ("kind", "setting"))
    whole = WIDTH if len(kinds) == 1 else WIDE
    width = (whole - 2 * MARGIN - len(kinds) * _LEFT - (len(kinds) - 1) * _BETWEEN) / len(kinds)
    drawn = dict(zip(settings, strokes(len(settings)), strict=True))
    labels = [*map(name_line, settings), "nominal; shaded: 95 % band of the simulation's own luck"]
    samples = [*(one.line([0], [0]) for one in drawn.values()), Line2D([], [], **_NOMINAL)]
    height = _TITLE + _HEIGHT + _BELOW + key_height(labels, whole - 2 * MARGIN) + 0.06
    page = sheet(title, "", note, width=whole, height=height)
    for number, kind in enumerate(kinds):
        left = MARGIN + number * (_LEFT + width + _BETWEEN)
        page.text(left, _TITLE / 2, name_line(kind), weight="bold")
        ax = page.axes(left + _LEFT, _TITLE, width, _HEIGHT)
        rows = there[there["kind"] == kind]
        across, up = _scales(rows, width)
        _band(ax, rows, across, up)
        for setting, one in drawn.items():
            line = rows[rows["setting"] == setting].sort_values("seeds")
            x = [across.place(value) for value in line["seeds"]]
            ax.add_line(one.line(x, [up.place(100 * value) for value in line["rate"]]))
        name_axis(ax.xaxis, "seeds", width)
        name_axis(ax.yaxis, "% of simulations", _HEIGHT)
    key(page, MARGIN, _TITLE + _HEIGHT + _BELOW + 0.02, whole - 2 * MARGIN, labels, samples)
    return page.figure


def _scales(rates: pd.DataFrame, width: float) -> tuple[Scale, Scale]:
    """Returns the scales: seeds, logarithmic with a tick at each simulated number, and percent."""
    seeds = sorted(set(rates["seeds"].astype(float)))
    across = replace(logarithmic(seeds, width, 0.12), ticks=tuple(seeds))
    low, high = _luck(rates)
    return across, linear_scale(100 * np.concatenate([rates["rate"], rates["nominal"], low, high]), _HEIGHT, 0.1)


def _luck(rates: pd.DataFrame) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Returns for each row the shares between which 95 % of simulated counts lie at the nominal rate."""
    n, p = rates["simulations"].to_numpy(dtype=np.float64), rates["nominal"].to_numpy(dtype=np.float64)
    return binom.ppf(0.025, n, p) / n, binom.ppf(0.975, n, p) / n


def _band(ax: Axes, rates: pd.DataFrame, across: Scale, up: Scale) -> None:
    """Draws the nominal rate and the band around it, over the panel's whole width."""
    low, high = _luck(rates)
    rows = rates.assign(lowest=low, highest=high).drop_duplicates("seeds").sort_values("seeds")
    x = [0.0, *(across.place(value) for value in rows["seeds"]), across.length]
    lowest, highest, level = (
        [up.place(100 * value) for value in rows[name].iloc[[0, *range(len(rows)), -1]]]
        for name in ("lowest", "highest", "nominal")
    )
    ax.fill_between(x, lowest, highest, color=SHADE, linewidth=0, zorder=0.5)
    ax.plot(x, level, **_NOMINAL)
    across.mark(ax.xaxis, counts)
    up.mark(ax.yaxis, counts)
