"""A table of scores by model and data variant in, the share of each in their variance out; pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from harness.errors import BadInput


@dataclass(frozen=True)
class Shares:
    """Shares of the variance of a table's cells; with one score a cell they sum to 1.

    `interaction` is what neither factor explains alone: with one score a cell it holds the noise as well.
    """

    model: float
    data: float
    interaction: float


def variance_shares(scores: Float[np.ndarray, "a b"]) -> Shares:
    """Eta² of both factors of a full table, `a` models by `b` data variants (two-way analysis of variance).

    The sum of squares of a factor's means, weighted by the cells behind each, over the total sum of squares (Cohen
    1973). BadInput where a cell is missing, a factor has one level, or all cells are equal.
    """
    table = np.asarray(scores, dtype=np.float64)
    if min(table.shape) < 2 or not np.isfinite(table).all():
        raise BadInput(f"shares of variance need a full table of two models and two variants, not {table.shape}")
    grand = table.mean()
    total = float(((table - grand) ** 2).sum())
    if total == 0:
        raise BadInput("all cells of the table are equal: there is no variance to share out")
    model = table.shape[1] * float(((table.mean(1) - grand) ** 2).sum()) / total
    data = table.shape[0] * float(((table.mean(0) - grand) ** 2).sum()) / total
    return Shares(model, data, 1 - model - data)
