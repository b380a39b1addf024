"""Computes what a swap of the model and a swap of the data gain in published tables: where the ten-points claim holds.

The claim is "ten points from the data, a few tenths from the model". A swap is the best score minus the worst along one
axis of a table, for each level of the other axis: its median is the typical gain, its ends show how far the gain
depends on the other axis. Shares of variance are those of `attribution`. There is one score per cell and no seed, so
nothing here is a confidence interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from harness.analysis.published_tables import Published
from harness.analysis.shares import Shares, largest_full_table, variance_shares
from harness.errors import BadInput

TEN, TENTHS = 10.0, 1.0
"""The claim in points: at least `TEN` from the data, and fewer than `TENTHS` from the model."""
Lead = Literal["data", "model", "neither", "undecided"]


@dataclass(frozen=True)
class Swap:
    """Holds the points that a swap along one axis gains: the median over the other axis's levels, least and most."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Reading:
    """Holds what a published table says, with some of its arms.

    `extra` names the cells that are included beside the core ("" for none). `shares` and `random` (points between two
    arms drawn at random, model and data) are None unless models and data are crossed. `left_out` says in words which
    arms and cells are excluded. `turned_by` lists the arms that each change `word` when left out.
    """

    table: Published
    extra: str
    models: tuple[str, ...]
    data: tuple[str, ...]
    model_swap: Swap
    data_swap: Swap
    shares: Shares | None
    random: tuple[float, float] | None
    left_out: tuple[str, ...]
    word: Lead
    turned_by: tuple[str, ...]

    @property
    def by(self) -> float:
        """Returns the points by which the data swap is ahead; negative if the model swap is."""
        return self.data_swap.value - self.model_swap.value

    @property
    def claim(self) -> Literal["holds", "ten only", "tenths only", "neither"]:
        """Returns which halves of the claim hold, for swaps rounded to a tenth as they are printed."""
        ten, tenths = round(self.data_swap.value, 1) >= TEN, round(self.model_swap.value, 1) < TENTHS
        if ten and tenths:
            return "holds"
        return "ten only" if ten else "tenths only" if tenths else "neither"

    @property
    def verdict(self) -> str:
        """Returns in words which axis is ahead, by how much, whether one arm decides it, and how the claim fares."""
        carried = f"; the answer changes without {' or without '.join(self.turned_by)}" if self.turned_by else ""
        return f"{winner(self)}{carried}; {CLAIM[self.claim]}"


CLAIM = {
    "holds": "the claim holds",
    "ten only": "ten points from the data, but not mere tenths from the model",
    "tenths only": "tenths from the model, but not ten points from the data",
    "neither": "neither ten points from the data nor tenths from the model",
}
"""The claim's outcome in words."""


def readings(published: Sequence[Published]) -> list[Reading]:
    """Returns each table's core, followed by the core with each extra; tables with the data furthest ahead first."""
    found = [list(readings_of(table)) for table in published]
    return [reading for of_one in sorted(found, key=lambda of_one: -of_one[0].by) for reading in of_one]


def readings_of(table: Published) -> Iterator[Reading]:
    """Yields the readings of a table: its core alone, then with each of its extras."""
    extras = [extra for extra in table.cells["extra"].unique() if extra]
    for extra in ("", *extras):
        yield _reading(table, extra, table.cells[table.cells["extra"].isin(["", extra])])


# One table


def _reading(table: Published, extra: str, cells: pd.DataFrame) -> Reading:
    """Returns the reading of the largest part where models and data are crossed, otherwise of the steps of a ladder."""
    models, data = list(cells["model"].unique()), list(cells["data"].unique())
    for axis, levels in (("model", models), ("data variant", data)):
        if len(levels) < 2:
            raise BadInput(f"table '{table.name}' has one {axis} ({', '.join(levels)}): the atlas compares two or more")
    grid = cells.pivot_table(index="model", columns="data", values="score", aggfunc="first").loc[models, data]
    rows, cols = largest_full_table(grid.notna().to_numpy(), f"table '{table.name}'")
    if not rows:
        return _ladder(table, extra, grid)
    part = grid.iloc[rows, cols]
    scores = part.to_numpy(dtype=float)
    if np.ptp(scores) == 0:
        raise BadInput(f"table '{table.name}': all cells are equal, so there is nothing to share out")
    between = _random(scores), _random(scores.T)
    return Reading(
        table, extra, tuple(part.index), tuple(part.columns), *swaps(scores), variance_shares(scores), between,
        tuple(_left_out(grid, part)), word(scores), tuple(_turning(part)),
    )  # fmt: skip


def swaps(scores: Float[np.ndarray, "a b"]) -> tuple[Swap, Swap]:
    """Returns what a swap of the model (rows) and a swap of the data (columns) gain in a full table."""
    return _swap(np.ptp(scores, axis=0)), _swap(np.ptp(scores, axis=1))


def word(scores: Float[np.ndarray, "a b"]) -> Lead:
    """Returns the axis ahead in a full table by median swap and by share of variance; undecided if the two disagree."""
    model, data = (swap.value for swap in swaps(scores))
    if model == data:
        return "neither"
    shares = variance_shares(scores)
    if (data - model) * round(shares.data - shares.model, 9) <= 0:
        return "undecided"
    return "data" if data > model else "model"


def _swap(ranges: Float[np.ndarray, " n"]) -> Swap:
    """Returns a swap rounded far below what tables print, so that rounding errors do not hide a tie."""
    return Swap(*(round(float(value), 9) for value in (np.median(ranges), ranges.min(), ranges.max())))


def _random(scores: Float[np.ndarray, "a b"]) -> float:
    """Returns the mean points between two different rows, over columns and pairs (Gini's mean difference).

    Unlike best less worst, it does not grow with the number of rows.
    """
    first, second = np.triu_indices(len(scores), 1)
    return float(np.abs(scores[first] - scores[second]).mean())


def _turning(part: pd.DataFrame) -> Iterator[str]:
    """Yields each arm that changes the answer of the full table when left out."""
    scores = part.to_numpy(dtype=float)
    whole = word(scores)
    for axis, names in enumerate((part.index, part.columns)):
        for at, name in enumerate(names):
            rest = np.delete(scores, at, axis=axis)
            if rest.shape[axis] >= 2 and word(rest) != whole:
                yield str(name)


def _left_out(grid: pd.DataFrame, part: pd.DataFrame) -> Iterator[str]:
    """Yields the arms outside the crossed part, grouped by the cells that they lack."""
    absent: dict[tuple[str, ...], list[str]] = {}
    for whole, kept in ((grid, part), (grid.T, part.T)):
        for name in whole.index.difference(kept.index, sort=False):
            lacks = tuple(str(other) for other in kept.columns if pd.isna(whole.loc[name, other]))
            absent.setdefault(lacks, []).append(str(name))
    for lacks, names in absent.items():
        yield f"{_few(names)} for want of cells with {_few(lacks)}" if lacks else _few(names)


def _ladder(table: Published, extra: str, grid: pd.DataFrame) -> Reading:
    """Returns the steps from the table's first cell: the best other level of each axis minus the first one."""
    model = _step(table, grid, "model")
    data = _step(table, grid.T, "data variant")
    ahead: Lead = "neither" if model == data else "data" if data > model else "model"
    lacking = [f"{m} × {d}" for m in grid.index for d in grid.columns if pd.isna(grid.loc[m, d])]
    return Reading(
        table, extra, tuple(grid.index), tuple(grid.columns), Swap(model, model, model), Swap(data, data, data), None,
        None, (f"{_few(lacking)} (not published)",), ahead, (),
    )  # fmt: skip


def _step(table: Published, grid: pd.DataFrame, axis: str) -> float:
    """Returns the points from the first row of a grid to its best other row.

    They are measured in the first column that has both rows: at the start of the ladder if possible, otherwise on top
    of another step. BadInput if no column has both.
    """
    better = -grid if table.lower else grid
    gains = better.iloc[1:] - better.iloc[0]
    there = gains.loc[:, gains.notna().any()]
    if there.empty:
        raise BadInput(f"table '{table.name}' has no cell that differs from its first one in the {axis} alone")
    return float(round(there.iloc[:, 0].max(), 9))


# In words


def winner(reading: Reading) -> str:
    """Returns in words which axis is ahead and by how many points."""
    by = points_text(abs(reading.by))
    if reading.word == "undecided":
        return f"undecided: the swaps differ by {by}, and the shares of variance say the opposite"
    return "neither is ahead" if reading.word == "neither" else f"{reading.word} by {by}"


def readings_frame(found: Sequence[Reading]) -> pd.DataFrame:
    """Returns one row per reading for `harness.report.atlas`; missing numbers are nan, missing words empty."""
    return pd.DataFrame([_row(reading) for reading in found])


def _row(reading: Reading) -> dict[str, Any]:
    table, shares, between = reading.table, reading.shares, reading.random or (np.nan, np.nan)
    return {
        "table": table.name, "extra": reading.extra, "crossed": shares is not None, "metric": table.metric,
        "n_models": len(reading.models), "n_data": len(reading.data),
        "model_swap": reading.model_swap.value, "model_low": reading.model_swap.low,
        "model_high": reading.model_swap.high, "data_swap": reading.data_swap.value,
        "data_low": reading.data_swap.low, "data_high": reading.data_swap.high, "data_ahead_by": reading.by,
        "share_model": shares.model if shares else np.nan, "share_data": shares.data if shares else np.nan,
        "share_rest": shares.interaction if shares else np.nan, "model_random": between[0], "data_random": between[1],
        "word": reading.word, "claim": reading.claim, "winner": winner(reading), "verdict": reading.verdict,
        "turned_by": reading.turned_by, "models": reading.models,
        "data": reading.data, "left_out": reading.left_out, "source": table.source,
        "note": table.note,
    }  # fmt: skip


def _few(names: Sequence[str]) -> str:
    """Returns a list of names; of more than five, the first four and the number of others."""
    return ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:4])} and {len(names) - 4} more"


def points_text(value: float) -> str:
    """Formats points to a tenth, or to a hundredth if a tenth would show 0."""
    return f"{value:.{2 if 0 < abs(value) < 0.05 else 1}f}".replace("-", "\N{MINUS SIGN}")
