"""Encodes tables of raw cells as numbers: fitted on the training rows and applied to the rows to predict.

A raw table is a structured array (n,) with one str field per column; an empty cell is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float32

from harness.data import Rows, TrainSet

MOST_LEVELS = 1000
"""How many levels of a column, the most frequent ones, get a feature of their own."""
Block = Callable[[np.ndarray], Float32[np.ndarray, "n _"]]
"""One column's cells (n,) to its features."""
Mend = Callable[[np.ndarray], np.ndarray]
"""One column's cells (n,) to their corrected cells; each result depends on its own cell only."""


def is_raw(x: Rows) -> bool:
    """Returns whether rows are raw cells."""
    return bool(getattr(x.dtype, "names", None))


def cells_table(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns a structured array (n,) of columns of cells (n,), each field as wide as its longest cell."""
    cells = {name: np.asarray(column, dtype=np.str_) for name, column in columns.items()}
    table = np.empty(len(next(iter(cells.values()))), dtype=[(name, column.dtype) for name, column in cells.items()])
    for name, column in cells.items():
        table[name] = column
    return table


def columns_of(x: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the columns of a raw table by name, in their order."""
    return {name: x[name] for name in x.dtype.names or ()}


def mend_columns(train: TrainSet, mends: Mapping[str, Mend]) -> TrainSet:
    """Returns the raw set with the cells of some columns corrected, as they will be for the rows to predict."""

    def step(x: np.ndarray) -> np.ndarray:
        return cells_table({name: mends.get(name, np.asarray)(cells) for name, cells in columns_of(x).items()})

    return train.transformed(step)


def numeric(train: TrainSet) -> TrainSet:
    """Returns the set with raw cells turned into float32 features (n, d); any other set as it is.

    A column whose training cells are all numbers or missing gives one feature, any other column one feature per level
    of the training rows, in sorted order. A missing number is nan, and so is a cell of a predicted row that is not a
    number. A level that no training row has becomes all zeros.
    """
    if not is_raw(train.x):
        return train
    blocks = {name: _block(train.x[name]) for name in sorted(train.x.dtype.names)}
    return train.transformed(lambda x: np.concatenate([block(x[name]) for name, block in blocks.items()], axis=1))


def missing_cells(train: Rows, *others: Rows) -> int:
    """Counts the missing numbers in those parts: nan in a table, or cells that `numeric` would turn into nan."""
    if is_raw(train):
        names = [name for name in train.dtype.names if is_number_column(train[name])]
        return sum(int(np.isnan(numbers(x[name])).sum()) for x in (train, *others) for name in names)
    if getattr(train, "dtype", np.dtype("O")).kind != "f":
        return 0
    return sum(int(np.isnan(np.asarray(x)).sum()) for x in (train, *others))


def numbers(cells: np.ndarray) -> Float32[np.ndarray, " n"]:
    """Returns cells (n,) as numbers, nan where a cell is missing or not a number."""
    return np.array([_number(str(cell)) for cell in cells], dtype=np.float32)


def is_number_column(cells: np.ndarray) -> bool:
    """Returns whether every cell (n,) that is not missing is a number."""
    return not np.isnan(numbers(cells))[np.char.strip(cells) != ""].any()


def _number(cell: str) -> float:
    """Returns the cell as a number; nan if it is not one, or beyond the range of single precision."""
    try:
        value = float(cell)
    except ValueError:
        return np.nan
    return value if abs(value) <= float(np.finfo(np.float32).max) else np.nan


def _block(cells: np.ndarray) -> Block:
    if is_number_column(cells):
        return lambda x: numbers(x)[:, None]
    levels, counts = np.unique(np.char.strip(cells), return_counts=True)
    kept = np.sort(levels[np.lexsort((levels, -counts))][:MOST_LEVELS])
    return lambda x: (np.char.strip(x)[:, None] == kept).astype(np.float32)
