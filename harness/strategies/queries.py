"""Buys labels batch by batch: each batch is chosen by a query that sees the labels bought before it.

A query is `(train, tools, eligible, count) -> rows`: `eligible` (n,) marks the rows that may be asked about, and
`count` of their positions come back. Those that look at the probe see it trained on the labels as they are by then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.special import entr
from sklearn.cluster import kmeans_plusplus

from harness.checks import within
from harness.data import TrainSet, one_hot
from harness.errors import BadInput
from harness.strategies import Tools
from harness.strategies.features import compute_features
from harness.streams import child_seed

Query = Callable[[TrainSet, Tools, np.ndarray, int], np.ndarray]
EligibleRows = Bool[np.ndarray, " n"]
Positions = Int64[np.ndarray, " q"]


def buy_in_batches(
    train: TrainSet, tools: Tools, eligible: EligibleRows, *, k: int, batches: int, query: Query
) -> TrainSet:
    """Returns the set with the true classes of `k` eligible rows, asked for in `batches` of nearly equal size.

    A row without a label gets weight 1, others keep theirs. BadInput if there are fewer eligible rows, or fewer labels
    than batches.
    """
    if not 0 <= k <= eligible.sum():
        raise BadInput(f"k={k} labels are asked for, but only {int(eligible.sum())} rows can be asked about")
    within("batches", batches, 1, max(1, k))
    left = eligible.copy()
    for size in np.diff(np.linspace(0, k, batches + 1).round().astype(np.int64)).tolist():
        asked = np.zeros(len(train), dtype=bool)
        asked[query(train, tools, left, size)] = True
        left &= ~asked
        y, w = train.y.copy(), train.w.copy()
        y[asked] = one_hot(tools.ask(train.ids[asked]), train.k)
        w[asked & (w == 0)] = 1
        train = replace(train, y=y, w=w)
    return train


def uncertain(train: TrainSet, tools: Tools, eligible: EligibleRows, count: int) -> Positions:
    """Returns the rows with the largest entropy of the probe (uncertainty sampling, Lewis and Gale 1994)."""
    entropy = entr(tools.pred_probs(train).astype(np.float64)).sum(1).round(9)
    order = np.lexsort((tools.rng.random(len(train)), -entropy))
    return order[eligible[order]][:count]


def diverse(train: TrainSet, tools: Tools, eligible: EligibleRows, count: int, *, encoder: str | None) -> Positions:
    """Returns rows that are uncertain and unlike each other: BADGE (Ash et al. 2020), algorithm 1.

    k-means++ draws them by the gradient of the probe's loss with respect to a linear last layer, if its own prediction
    were the label. The layer's input is not the probe's but the rows' features (`encoder`: see `strategies.features`).
    """
    rows = tools.rng.permutation(np.flatnonzero(eligible))
    x = compute_features(train.x, tools.cache, encoder=encoder)[rows]
    gradients = loss_gradients(tools.pred_probs(train)[rows].astype(np.float64), x.astype(np.float64))
    _, found = kmeans_plusplus(gradients, count, random_state=child_seed(tools.rng))
    chosen = list(dict.fromkeys(found.tolist()))  # rows of equal gradients may be drawn twice
    rest = [row for row in range(len(rows)) if row not in set(chosen)]
    return rows[[*chosen, *rest][:count]]


def loss_gradients(probs: Float64[np.ndarray, "r k"], x: Float64[np.ndarray, "r p"]) -> Float64[np.ndarray, "r kp"]:
    """Returns the gradient of the cross-entropy with the most probable class, by a linear layer's weights."""
    step = probs - one_hot(probs.argmax(1), probs.shape[1])
    return (step[:, :, np.newaxis] * x[:, np.newaxis, :]).reshape(len(x), -1)


def random_rows(train: TrainSet, tools: Tools, eligible: EligibleRows, count: int) -> Positions:
    """Returns random rows."""
    return tools.rng.choice(np.flatnonzero(eligible), size=count, replace=False)
