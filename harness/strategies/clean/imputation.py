"""Fills in missing or implausible numbers; everything is learnt from training rows."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from harness.checks import one_of, within
from harness.data import Prepare, TrainSet
from harness.strategies import Tools
from harness.streams import child_seed
from harness.tables import Mend, columns_of, is_number_column, is_raw, mend_columns, numeric

Table = Float32[np.ndarray, "n d"]
Fence = Float32[np.ndarray, " d"]
"""The lowest or the highest usual number of each column."""
SIMPLE = {"mean": "mean", "median": "median", "mode": "most_frequent"}
IMPUTATIONS = (*SIMPLE, "knn", "iterative")
GRID = 2.0**18
"""Sums of squares of multiples of 1 / GRID are exact up to 2**17, in whatever order: where neighbours are equally far,
no rounding decides, which would hang on the rows that come with a row."""
DETECTORS = ("sd", "iqr", "isolation_forest")


def impute(train: TrainSet, tools: Tools, *, method: str, k: int, max_iter: int, levels: str) -> TrainSet:
    """Fills in missing values by scikit-learn's imputers; raw cells become numbers first.

    `mean`, `median` and `mode` are the column's; `knn` is the mean of the `k` nearest rows that have the value;
    `iterative` regresses every column with gaps on all the others, at most `max_iter` rounds (van Buuren &
    Groothuis-Oudshoorn, 2011). Distances are between standardised columns. A column without values becomes 0.
    `levels` says what an empty cell of a column of words is: `own`, a level of its own, or the column's `mode`.
    """
    one_of("clean.levels", levels, ("own", "mode"))
    words = mend_columns(train, _words(train.x)) if is_raw(train.x) and levels == "mode" else train
    table = numeric(words)
    imputer = _imputer(method, k, max_iter, child_seed(tools.rng))
    return table.transformed(_filler(table.x, imputer, GRID if method == "knn" else None))


def outlying_cells(train: TrainSet, tools: Tools, *, detect: str, reach: float, repair: str) -> TrainSet:
    """Replaces unusual numbers by their column's `mean`, `median` or `mode` of usual ones (CleanML, 2021).

    `_ranges` defines what is usual. Missing numbers are filled in the same way; raw cells become numbers first.
    """
    one_of("clean.repair", repair, tuple(SIMPLE))
    table, low, high = _fenced(train, tools, detect, reach)

    def blank(x: Table) -> Table:
        return np.where((x < low) | (x > high), np.nan, x).astype(np.float32)

    blanked = table.transformed(blank)
    return blanked.transformed(_filler(blanked.x, _imputer(repair, 1, 1, 0), None))


def clipped_cells(train: TrainSet, tools: Tools, *, detect: str, reach: float) -> TrainSet:
    """Moves unusual numbers to the nearest usual one of their column; missing ones stay missing."""
    table, low, high = _fenced(train, tools, detect, reach)
    return table.transformed(lambda x: np.clip(x, low, high))


def _fenced(train: TrainSet, tools: Tools, detect: str, reach: float) -> tuple[TrainSet, Fence, Fence]:
    """Returns the set in numbers, and the lowest and the highest usual number of each column."""
    one_of("clean.detect", detect, DETECTORS)
    table = numeric(train)
    return table, *_ranges(_ordered(table.x), detect, reach, child_seed(tools.rng))


def _words(x: np.ndarray) -> dict[str, Mend]:
    """Returns, for each column of words, how an empty cell becomes the most frequent word."""
    return {name: _most_frequent(cells) for name, cells in columns_of(x).items() if not is_number_column(cells)}


def _most_frequent(cells: np.ndarray) -> Mend:
    found, counts = np.unique(np.char.strip(cells[np.char.strip(cells) != ""]), return_counts=True)
    mode = found[counts.argmax()]  # the first in the alphabet among equals
    return lambda x: np.where(np.char.strip(x) == "", mode, x)


def _filler(x: Table, imputer: Any, grid: float | None) -> Prepare:
    """Returns how rows are filled in, learnt from `x`: in double precision, on standardised columns, back to float32.

    On a `grid` the standardised numbers are rounded to multiples of 1 / grid.
    """
    rows = _ordered(x)
    rows[:, np.isnan(rows).all(0)] = 0
    scaler = StandardScaler().fit(rows)

    def scaled(given: np.ndarray) -> np.ndarray:
        exact = scaler.transform(given.astype(np.float64))
        return np.round(exact * grid) / grid if grid else exact

    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # max_iter is a parameter: who sets it knows
        imputer.fit(scaled(rows))

    def fill(given: Table) -> Table:
        if not np.isnan(given).any():  # scikit-learn refuses a table without rows, too
            return given
        # A first row without a gap: of a batch that is one gap scikit-learn's iterative imputer gives the means.
        batch = np.vstack([np.zeros(given.shape[1]), scaled(given)])
        with threadpool_limits(limits=1):
            whole = scaler.inverse_transform(imputer.transform(batch)[1:])
        return np.where(np.isnan(given), whole, given).astype(np.float32)

    return fill


def _ordered(x: Table) -> Float64[np.ndarray, "n d"]:
    """Returns a copy of the rows ordered by content, so that neither a sum nor a tie depends on their order."""
    rows = np.asarray(x, dtype=np.float64)
    return rows[np.lexsort(rows.T)] if rows.shape[1] else rows.copy()


def _imputer(method: str, k: int, max_iter: int, seed: int) -> Any:
    """Returns scikit-learn's imputer of that name. Columns without a gap in training take their mean in other rows."""
    one_of("clean.method", method, IMPUTATIONS)
    within("clean.k", k, 1, np.inf)
    within("clean.max_iter", max_iter, 1, np.inf)
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - lets the next line import it
    from sklearn.impute import IterativeImputer

    if method == "knn":
        return KNNImputer(n_neighbors=k)
    if method == "iterative":
        return IterativeImputer(max_iter=max_iter, skip_complete=True, random_state=seed)
    return SimpleImputer(strategy=SIMPLE[method])


def _ranges(x: Float64[np.ndarray, "n d"], detect: str, reach: float, seed: int) -> tuple[Fence, Fence]:
    """The lowest and the highest usual number of each column, infinite for a column that is left alone.

    `sd`: within `reach` standard deviations of the mean. `iqr`: within `reach` times the interquartile range of the
    quartiles (Tukey's fences). `isolation_forest`: between the extremes of what is left without the `reach` share of
    the column's numbers that a forest isolates soonest. Columns of fewer than three different numbers (truth values,
    levels of a word) are left alone.
    """
    within("clean.reach", reach, 0, 0.5 if detect == "isolation_forest" else np.inf)
    low, high = np.full(x.shape[1], -np.inf, dtype=np.float32), np.full(x.shape[1], np.inf, dtype=np.float32)
    for place in range(x.shape[1]):
        column = x[~np.isnan(x[:, place]), place]
        if len(np.unique(column)) > 2:
            low[place], high[place] = _range(column, detect, reach, seed)
    return low, high


def _range(column: Float64[np.ndarray, " m"], detect: str, reach: float, seed: int) -> tuple[float, float]:
    """The lowest and the highest usual number of a column; a column of no spread has no outlier."""
    if detect == "sd":
        middle, spread = float(column.mean()), float(column.std())
        return (middle - reach * spread, middle + reach * spread) if spread else (-np.inf, np.inf)
    if detect == "iqr":
        first, third = np.quantile(column, [0.25, 0.75])
        spread = float(third - first)
        return (first - reach * spread, third + reach * spread) if spread else (-np.inf, np.inf)
    if not reach:
        return -np.inf, np.inf
    with threadpool_limits(limits=1):
        usual = IsolationForest(contamination=reach, random_state=seed).fit_predict(column[:, None]) == 1
    return float(column[usual].min()), float(column[usual].max())
