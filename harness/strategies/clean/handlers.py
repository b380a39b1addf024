"""What happens to suspect rows: `(train, rows, tools, strength) -> train`, rows being a mask (n,) of labelled rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from harness.checks import one_of, within
from harness.data import TrainSet, one_hot
from harness.errors import BadInput
from harness.strategies import Tools

RowMask = Bool[np.ndarray, " n"]


def drop(train: TrainSet, rows: RowMask, tools: Tools, strength: float) -> TrainSet:
    """Returns the other rows."""
    return train.rows(~rows)


def relabel(train: TrainSet, rows: RowMask, tools: Tools, strength: float) -> TrainSet:
    """Relabels by the probe's most probable class as a hard label; the lowest class at a tie."""
    y = train.y.copy()
    y[rows] = one_hot(tools.pred_probs(train)[rows].argmax(1), train.k)
    return replace(train, y=y)


def soften(train: TrainSet, rows: RowMask, tools: Tools, strength: float) -> TrainSet:
    """Mixes the given label with the probe's probabilities, whose share is `strength`."""
    y, probs = train.y.astype(np.float64), tools.pred_probs(train)[rows].astype(np.float64)
    y[rows] = (1 - strength) * y[rows] + strength * probs / probs.sum(1, keepdims=True)
    return replace(train, y=y.astype(np.float32))


def reweight(train: TrainSet, rows: RowMask, tools: Tools, strength: float) -> TrainSet:
    """Reduces the weight by the share `strength`."""
    w = train.w.copy()
    w[rows] *= 1 - strength
    return replace(train, w=w)


Handler = Callable[[TrainSet, np.ndarray, Tools, float], TrainSet]
HANDLERS: Mapping[str, Handler] = {"drop": drop, "relabel": relabel, "soften": soften, "reweight": reweight}
MOST_STRENGTH = {"soften": 1.0, "reweight": 0.99}
"""Greatest strength of each handler that has one: a weight of 0 would mean a row without a label, not doubt."""


def check_strength(handle: str, strength: float | None) -> None:
    """Raises BadInput if `strength` is missing for a handler that needs it, or given to one that does not."""
    one_of("handle", handle, tuple(HANDLERS))
    if handle in MOST_STRENGTH:
        if strength is None:
            raise BadInput(f"handle={handle} needs a strength: say strength=0.5, the part that the doubt takes")
        within("strength", strength, 0, MOST_STRENGTH[handle])
    elif strength is not None:
        raise BadInput(f"handle={handle} knows no degree: say strength=null, or handle=soften or reweight")
