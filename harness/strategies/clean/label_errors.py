"""Suspects: a finder says which labels to doubt, a handler what becomes of their rows; any finder with any handler.

A finder is `(train, tools, *, …) -> Found`. The given label of a row is its most probable class. Rows without a label
are never suspects and pass untouched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from harness.checks import within
from harness.data import TrainSet
from harness.errors import BadInput
from harness.strategies import Tools
from harness.strategies.clean.handlers import HANDLERS, check_strength
from harness.strategies.clean.random_rows import draw_labelled_rows


@dataclass(frozen=True)
class Suspects:
    """What a finder says of every row.

    `quality (n,)`: low = suspect, in the finder's own unit, inf for a row without a label. `flagged (n,)`: the rows
    that the finder itself takes for label errors; None where it only ranks.
    """

    quality: Float64[np.ndarray, " n"]
    flagged: Bool[np.ndarray, " n"] | None = None


Finder = Callable[[TrainSet, Tools], Suspects]


def suspects(
    train: TrainSet,
    tools: Tools,
    *,
    find: Finder | None,
    share: float | None,
    handle: Literal["drop", "relabel", "soften", "reweight"],
    strength: float | None,
) -> TrainSet:
    """The set with its suspect rows dropped, relabelled, softened or re-weighted (see handlers.py).

    `share` of the labelled rows, those of the lowest quality, are suspects; None takes those that the finder itself
    flags, and is refused (BadInput) where it only ranks. Without a finder the share is drawn at random: the negative
    control of every arm that has the same share. `strength` is the handler's, None for those that know no degree.
    """
    check_strength(handle, strength)
    rows = np.zeros(len(train), dtype=bool)
    if share is not None:
        within("share", share, 0, 1)
        rows[most_suspect(train, tools, find, round(share * int(train.labelled.sum())))] = True
    else:
        rows |= _flagged(train, tools, find)
    return HANDLERS[handle](train, rows, tools, strength or 0.0)


def most_suspect(train: TrainSet, tools: Tools, find: Finder | None, count: int) -> Int64[np.ndarray, " count"]:
    """That many labelled rows, the most suspect first; drawn where there is no finder.

    Equals are drawn from as well, since their order may go with their class.
    """
    if find is None:
        return draw_labelled_rows(train, tools, count)
    quality = find(train, tools).quality
    return np.lexsort((tools.rng.random(len(train)), quality))[:count]


def _flagged(train: TrainSet, tools: Tools, find: Finder | None) -> Bool[np.ndarray, " n"]:
    rows = None if find is None else find(train, tools).flagged
    if rows is None:
        raise BadInput("this finder ranks rows and does not say how many are wrong: say share=0.1, or what you expect")
    return rows
