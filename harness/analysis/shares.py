"""Divides the gain and the variance of crossed arms between model and data; pure functions.

**Parts of a gain.** `v(S)` is the test score of the arm that has the factors in `S` at the chosen level and all others
at the baseline's. The two axes are two players, and each gets its Shapley value (Shapley 1953), the mean of what it
adds when it comes first and when it comes second:

    phi_model = ((v(m) - v()) + (v(md) - v(d))) / 2,    phi_data = ((v(d) - v()) + (v(md) - v(m))) / 2

Within data, weak, clean and augment divide `phi_data` by the Owen value (Owen 1977): the Shapley value when the three
come together, before or after the model. So the three parts sum to that of data, and the two to the whole gain, by
construction. The chosen combination is the one that scores highest on validation among all arms whose parts were run as
well, the baseline included; it is chosen again in every draw, and a factor that it does not change gets 0.

**Parts of variance.** Of the largest table in which all model levels meet all data levels, with cell means `m`, two-way
analysis of variance gives the sums of squares `Q_f` of model, data and interaction (Fisher; Cohen 1973):

    eta2_f   = Q_f / sum_g Q_g                                    of the variance of the cells, as tables print it
    omega2_f = (SS_f - df_f MS_e) / (SS_total + MS_seeds)         of the variance of a single trial's score

The second is the omega squared of Hays with seeds as blocks: it removes noise from the numerator, and its denominator
includes the effect of seeds on all arms and on single ones (Olejnik & Algina 2003, Psychol. Methods 8: their
generalised omega squared, seeds being measured, not manipulated). It is cut off at 0. `SS_f = r Q_f`, and `MS_e` is the
seeds' interaction with cells on `(cells - 1)(r - 1)` degrees of freedom.

Noise adds `t_f = tr(P_f S)` to `Q_f`, with `S` the covariance of the cell means and `P_f` the projection on the factor.
A redraw adds it once more, times the draw's own factor `k`, its squared distance from the measured means over
`sum_g t_g`. So the intervals are for the shares of the *true* cells: percentiles of draws in which the true sum of
squares is estimated by `Q_f* - (1 + k) t_f` (at least 0). A draw in which nothing is left of any factor allows any
share and counts at both ends. Subtracting `2 t_f` in all draws would hold the truth in 88 to 93 % at 3 to 5 seeds. Eta
squared itself keeps the noise: if that is not small the value may lie outside, and the interval is widened to include
it. Omega squared's denominator draws the seeds' two mean squares from their scaled inverse chi-squared distributions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from math import factorial

import numpy as np
from jaxtyping import Bool, Float, Float64

from harness.analysis.choice import Estimate
from harness.analysis.ladder import (
    ENDS,
    Axes,
    Draws,
    Levels,
    cell_of,
    choose,
    estimate_after_choice,
    label_of_levels,
    outline,
)
from harness.analysis.scores import Scores, root
from harness.arm import FACTORS, SAME
from harness.errors import BadInput

MOST_PATTERNS = 20_000
"""Most sets of columns that the search for the largest full table considers."""
TERMS = ("model", "data", "interaction")
Places = tuple[int, ...]
Turn = tuple[float, Places, Places]
"""A weight, the factors that are already changed, and the factors that are changed next."""
SumsOfSquares = Float64[np.ndarray, "*d 3"]
Tables = Float64[np.ndarray, "*d m v"]


@dataclass(frozen=True)
class Shares:
    """Holds shares of the variance of a table's cells; with one score per cell they sum to 1.

    `interaction` is what neither factor explains alone; with one score per cell it includes the noise.
    """

    model: float
    data: float
    interaction: float


def variance_shares(scores: Float[np.ndarray, "a b"]) -> Shares:
    """Returns eta² of both factors of a full table, `a` models by `b` data variants (two-way analysis of variance).

    Eta² is the sum of squares of a factor's means, weighted by the cells behind each, over the total sum of squares
    (Cohen 1973). BadInput if a cell is missing, a factor has one level, or all cells are equal.
    """
    table = np.asarray(scores, dtype=np.float64)
    if min(table.shape) < 2 or not np.isfinite(table).all():
        raise BadInput(f"shares of variance need a full table of two models and two variants, not {table.shape}")
    parts = squares(table)
    if not _differ(table):
        raise BadInput("all cells of the table are equal: there is no variance to divide")
    return Shares(*(float(part) for part in parts / parts.sum()))


def squares(tables: Tables) -> SumsOfSquares:
    """Returns sums of squares of model, data and interaction: `m` models by `v` data variants, one score per cell."""
    m, v = tables.shape[-2:]
    centred = tables - tables.mean((-2, -1), keepdims=True)
    model = v * (centred.mean(-1) ** 2).sum(-1)
    data = m * (centred.mean(-2) ** 2).sum(-1)
    rest = centred - centred.mean(-1, keepdims=True) - centred.mean(-2, keepdims=True)
    return np.stack([model, data, (rest**2).sum((-2, -1))], axis=-1)


def _differ(table: Tables) -> bool:
    """Returns whether cells differ by more than rounding."""
    return bool(np.ptp(table) > 1e-9 * max(1.0, float(np.abs(table).max())))


def crossed_table(scores: Scores, where: Axes) -> list[list[int]]:
    """Returns the arms of the largest table in which all models (rows) were run with all data variants (columns).

    References are left out. Of equally large tables it takes the one closest to a square, then the one that the study
    lists first. Empty if no two models were both run with the same two variants.
    """
    admitted = [where.baseline, *where.model, *where.data, *where.crossed]
    at = {(scores.model(arm), scores.data(arm)): arm for arm in sorted(admitted)}
    models, variants = (list(dict.fromkeys(names)) for names in zip(*at, strict=True))
    met = np.array([[(model, variant) in at for variant in variants] for model in models])
    rows, columns = largest_full_table(met, "the study")
    return [[at[models[row], variants[column]] for column in columns] for row in rows]


def largest_full_table(there: Bool[np.ndarray, "a b"], owner: str) -> tuple[list[int], list[int]]:
    """Returns the rows and columns of the largest full part with at least two of each; two empty lists if none.

    It considers every set of columns that some rows share, so that no larger part is missed. Of equally large parts it
    takes the one closest to a square, then the one with the earliest rows and columns. BadInput, naming the table
    `owner`, if there are too many such sets.
    """
    families: set[frozenset[int]] = set()
    for row in sorted({tuple(np.flatnonzero(line)) for line in there}):
        columns = frozenset(map(int, row))
        families |= {columns & other for other in families} | {columns}
        if len(families) > MOST_PATTERNS:
            raise BadInput(f"{owner} has too many gaps to find its largest crossed part: leave out some arms")
    full = []
    for family in families:
        rows = [at for at, line in enumerate(there) if line[list(family)].all()]
        if min(len(rows), len(family)) >= 2:
            full.append((-len(rows) * len(family), -min(len(rows), len(family)), rows, sorted(family)))
    return min(full)[2:] if full else ([], [])


def variance(
    draws: Draws, table: Sequence[Sequence[int]], rng: np.random.Generator
) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Returns eta squared and omega squared of model, data and interaction over a crossed table (see the module).

    Both are empty if all cells are equal.
    """
    arms = np.asarray(table, dtype=np.int64)
    single = draws.scores.test[arms]  # (m, v, r)
    r, cells = single.shape[-1], arms.size
    if not _differ(single.mean(-1)):
        return {}, {}
    found = squares(draws.test[:, arms])
    true = _true(draws.test[:, arms], found, noise_in(single, draws.scores.spread[np.ix_(arms.ravel(), arms.ravel())]))
    seeds, error = _mean_squares(single)
    free = np.array([arms.shape[0] - 1, arms.shape[1] - 1, (arms.shape[0] - 1) * (arms.shape[1] - 1)])
    total = float(((single - single.mean()) ** 2).sum())
    omega = np.maximum(r * found[0] - free * error, 0.0) / (total + seeds)
    luck = _inverse_chi(seeds, r - 1, len(true), rng) + (cells - 1) * _inverse_chi(
        error, (cells - 1) * (r - 1), len(true), rng
    )
    return _shared(found[0] / found[0].sum(), true, true.sum(1)), _shared(omega, true, true.sum(1) + luck)


def _true(
    means: Float64[np.ndarray, "d m v"], found: Float64[np.ndarray, "d 3"], noise: Float64[np.ndarray, " 3"]
) -> Float64[np.ndarray, "rows 3"]:
    """Returns draws of the true cells' sums of squares: those found minus the noise of the data and of the draw."""
    added = squares(means[1:] - means[0]).sum(1) / max(float(noise.sum()), np.finfo(np.float64).tiny)
    return np.maximum(found[1:] - (1 + added[:, None]) * noise, 0.0)


def noise_in(single: Float64[np.ndarray, "m v r"], spread: Float64[np.ndarray, "c c"]) -> Float64[np.ndarray, " 3"]:
    """Returns what noise of the cell means adds to each sum of squares: from seeds, and from shared test examples."""
    r = single.shape[-1]
    residuals = np.moveaxis(single - single.mean(-1, keepdims=True), -1, 0)
    shared = root(spread).T.reshape(-1, *single.shape[:2])
    return squares(residuals).sum(0) / (r * (r - 1)) + squares(shared).sum(0)


def _mean_squares(single: Float64[np.ndarray, "m v r"]) -> tuple[float, float]:
    """Returns the mean squares of seeds (on r - 1 degrees of freedom) and of their interaction with cells."""
    cells = single.reshape(-1, single.shape[-1])
    residuals = cells - cells.mean(1, keepdims=True)
    common = residuals.mean(0)
    r = cells.shape[1]
    error = float(((residuals - common) ** 2).sum()) / ((len(cells) - 1) * (r - 1))
    return len(cells) * float((common**2).sum()) / (r - 1), error


def _inverse_chi(square: float, freedom: int, draws: int, rng: np.random.Generator) -> Float64[np.ndarray, " d"]:
    """Returns draws of the true value of a mean square."""
    return square * freedom / rng.chisquare(freedom, size=draws)


def _shared(
    values: Float64[np.ndarray, " 3"], parts: Float64[np.ndarray, "d 3"], total: Float64[np.ndarray, " d"]
) -> dict[str, Estimate]:
    """Returns shares with percentiles of their draws; a draw without a total counts as 0 below and as 1 above."""
    found = {}
    for place, name in enumerate(TERMS):
        ends = []
        for end, unknown in zip(ENDS, (0.0, 1.0), strict=True):
            share = np.divide(parts[:, place], total, out=np.full(len(total), unknown), where=total > 0)
            ends.append(float(np.quantile(share, end)))
        found[name] = outline(float(values[place]), *ends)
    return found


def divisible_arms(scores: Scores, where: Axes) -> tuple[int, ...]:
    """Returns the arms whose gain can be divided between model and data.

    These are the baseline, arms that change one axis, and pairs whose two parts were run. The parts of a pair may be
    references, since they are steps and not candidates.
    """
    whole = [arm for arm in where.crossed if not lacking(scores, where, arm, axes_of(cell_of(scores, arm)))]
    return (where.baseline, *where.model, *where.data, *whole)


def axes_of(cell: Levels) -> tuple[tuple[int, ...], ...]:
    """Returns, for each changed axis, the places of the levels that it changes."""
    changed = tuple(place for place in range(1, len(cell)) if cell[place])
    return tuple(part for part in ((0,) if cell[0] else (), changed) if part)


def places_of(cell: Levels) -> tuple[tuple[int, ...], ...]:
    """Returns the places of the changed levels, one by one."""
    return tuple((place,) for place in range(len(cell)) if cell[place])


def lacking(scores: Scores, where: Axes, arm: int, parts: Sequence[tuple[int, ...]]) -> list[str]:
    """Returns labels of the arms that must still be run before an arm's gain can be divided among its parts."""
    cell = cell_of(scores, arm)
    some = chain.from_iterable(combinations(parts, size) for size in range(len(parts) + 1))
    needed = [_only(cell, tuple(chain.from_iterable(one))) for one in some]
    return [label_of_levels(one) for one in needed if one not in where.cells]


def _only(cell: Levels, places: Sequence[int]) -> Levels:
    """Returns the cell with its levels at those places and the baseline's elsewhere."""
    return tuple(level if place in places else SAME for place, level in enumerate(cell))


def part_weights(scores: Scores, where: Axes, arm: int, fine: Sequence[str]) -> Float64[np.ndarray, "p a"]:
    """Returns the weight of each arm's score in the part of model, of data, and of each factor of data in `fine`.

    The weights are those of the Shapley value of the two axes and of the Owen value of the factors within data.
    """
    cell = cell_of(scores, arm)
    data = tuple(place for place in range(1, len(cell)) if cell[place])
    turns = [_turns((0,), ((), data)), _turns(data, ((), (0,)))]
    turns += [_owen(FACTORS.index(name), data) for name in fine]
    parts = np.zeros((len(turns), len(scores.arms)))
    for row, orders in enumerate(turns):
        for share, before, comes in orders:
            parts[row, where.cells[_only(cell, (*before, *comes))]] += share
            parts[row, where.cells[_only(cell, before)]] -= share
    return parts


def _turns(comes: Places, befores: Sequence[Places]) -> list[Turn]:
    """Returns one turn after each of `befores`, all with equal weight."""
    return [(1 / len(befores), before, comes) for before in befores]


def _owen(mine: int, data: Places) -> list[Turn]:
    """Returns the turns of a factor of data: before and after the model, after any subset of the other data factors."""
    if mine not in data:
        return []
    others = [place for place in data if place != mine]
    some = chain.from_iterable(combinations(others, size) for size in range(len(others) + 1))
    return [
        (factorial(len(before)) * factorial(len(others) - len(before)) / factorial(len(data)) / 2,
         (*model, *before), (mine,))
        for before in some for model in ((), (0,))
    ]  # fmt: skip


def shapley_parts(draws: Draws, where: Axes, chosen: Sequence[int], fine: Sequence[str]) -> dict[str, Estimate]:
    """Returns the parts, in points, of the gain of the best combination on validation, chosen again in every draw.

    `chosen` are the candidates. `fine` names the factors of data that get their own part; all their arms must have
    been run.
    """
    pick = choose(draws.valid, chosen)
    weights = np.zeros((draws.test.shape[1], 2 + len(fine), draws.test.shape[1]))
    for arm in np.unique(pick):
        weights[arm] = part_weights(draws.scores, where, int(arm), fine)
    seen, own = np.einsum("dpa,da->pd", weights[pick], draws.test), weights[pick] @ draws.test[0]
    names = ("model", "data", *fine)
    return {name: estimate_after_choice(seen[row], own[:, row]) for row, name in enumerate(names)}
