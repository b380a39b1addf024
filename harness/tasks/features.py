"""Encodes tables of mixed columns as float32 features: numbers as they are, categories one-hot."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from harness.errors import BadInput
from harness.tables import MOST_LEVELS
from harness.tasks import checks

MISSING = "(missing)"


def encode(frames: Mapping[str, pd.DataFrame]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Returns each part's features (n, d) float32, and the d names.

    Columns are taken in the order of their names. A column of numbers or truth values gives one feature, any other
    one a feature per level, in sorted order over all parts; a missing category is a level of its own, a missing number
    is nan, and an infinite one is refused.
    """
    whole = pd.concat(frames.values(), ignore_index=True)
    blocks, names = [], []
    for column in sorted(whole.columns, key=str):
        values, labels = _block(whole[column], str(column))
        blocks.append(values)
        names += labels
    if not blocks:
        raise BadInput("the table has no feature columns beside the labels: name some with task.features")
    x = np.concatenate(blocks, axis=1)
    ends = np.cumsum([len(frame) for frame in frames.values()])
    parts = dict(zip(frames, np.split(x, ends[:-1]), strict=True))
    for rows in parts.values():
        checks.check_finite(rows, names)
    return parts, names


def _block(column: pd.Series, name: str) -> tuple[np.ndarray, list[str]]:
    """Returns one column's features (n, levels or 1) and their names."""
    if pd.api.types.is_numeric_dtype(column):
        with np.errstate(over="ignore"):
            return column.to_numpy(dtype=np.float64, na_value=np.nan).astype(np.float32)[:, None], [name]
    text = column.astype("string").fillna(MISSING).to_numpy(dtype=object)
    levels, codes = np.unique(text, return_inverse=True)
    if len(levels) > MOST_LEVELS:
        raise BadInput(
            f"column '{name}' is not numeric and has {len(levels)} different values, more than {MOST_LEVELS}: "
            "leave it out (task.features names the columns to use)"
        )
    return np.eye(len(levels), dtype=np.float32)[codes], [f"{name}={level}" for level in levels]
