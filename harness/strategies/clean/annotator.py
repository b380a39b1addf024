"""Labels bought: an annotator is asked for some rows, and each answer is on the bill."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from harness.data import TrainSet, one_hot
from harness.errors import BadInput
from harness.strategies import Tools
from harness.strategies.checks import one_of
from harness.strategies.clean.confident_learning import self_confidence
from harness.strategies.clean.random_rows import drawn


def oracle(train: TrainSet, tools: Tools, *, k: int, order: str) -> TrainSet:
    """The same rows, `k` labelled ones carrying the true class that was asked for.

    `order` says which: `suspect` asks for those with the lowest self-confidence under the probe (cleanlab's label
    quality; among equals it draws), `random` for any, and then needs no probe. All are asked at once. A row whose
    true class nobody knows cannot be bought: `tools.ask` raises BadInput, and so does a `k` beyond the labelled rows.
    """
    one_of("order", order, ("suspect", "random"))
    labelled = int(train.labelled.sum())
    if not 0 <= k <= labelled:
        raise BadInput(f"clean=oracle asks for k={k} labels, but the training set has {labelled} labelled rows")
    rows = _suspects(train, tools, k) if order == "suspect" else drawn(train, tools, k)
    y = train.y.copy()
    y[rows] = one_hot(tools.ask(train.ids[rows]), train.k)
    return replace(train, y=y)


def _suspects(train: TrainSet, tools: Tools, k: int) -> Int64[np.ndarray, " k"]:
    """The rows of the lowest quality; equals are drawn from, since their order may go with their class."""
    quality = self_confidence(train, tools.pred_probs(train))
    return np.lexsort((tools.rng.random(len(train)), quality))[:k]
