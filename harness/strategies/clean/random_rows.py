"""As many rows changed as a clever strategy changes, but chosen blindly: what the number alone is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from harness.data import TrainSet, one_hot
from harness.strategies import Strategy, Tools


def random_drop(train: TrainSet, tools: Tools, *, like: Strategy) -> TrainSet:
    """The set without as many labelled rows as `like` drops, drawn at random."""
    left = set(like(train, tools).ids.tolist())
    count = sum(name not in left for name in train.ids[train.labelled].tolist())
    keep = np.ones(len(train), dtype=bool)
    keep[draw_labelled_rows(train, tools, count)] = False
    return train.rows(keep)


def random_relabel(train: TrainSet, tools: Tools, *, like: Strategy) -> TrainSet:
    """The same rows, as many labelled ones as `like` gives another class carrying a random other class."""
    other = like(train, tools)
    given = dict(zip(train.ids.tolist(), np.where(train.labelled, train.classes, -1).tolist(), strict=True))
    count = sum(
        given.get(name, -1) not in (-1, c) for name, c in zip(other.ids.tolist(), other.classes.tolist(), strict=True)
    )
    rows, y = draw_labelled_rows(train, tools, count), train.y.copy()
    step = tools.rng.integers(1, max(2, train.k), size=count)
    y[rows] = one_hot((train.classes[rows] + step) % train.k, train.k)
    return replace(train, y=y)


def draw_labelled_rows(train: TrainSet, tools: Tools, count: int) -> Int64[np.ndarray, " count"]:
    """That many labelled rows, each at most once."""
    return tools.rng.choice(np.flatnonzero(train.labelled), size=count, replace=False)
