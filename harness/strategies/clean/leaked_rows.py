"""Training rows that also stand in the test part go: what was learnt by heart there would count as known.

The strategy never sees a test row: it names a way to compare rows, and learns which training rows have a like there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.data import TrainSet
from harness.strategies import Tools


def leaks(train: TrainSet, tools: Tools) -> TrainSet:
    """The set without the labelled rows whose exact content a test row has."""
    return _without_leaks(train, tools, "exact", {})


def leaked_keys(train: TrainSet, tools: Tools, *, columns: Sequence[str | int] | None, decimals: int) -> TrainSet:
    """The set without the rows of a table whose `columns` (None: all), rounded to `decimals`, a test row has."""
    plain = None if columns is None else list(columns)
    return _without_leaks(train, tools, "keys", {"columns": plain, "decimals": decimals})


def near_leaked_images(train: TrainSet, tools: Tools, *, distance: int) -> TrainSet:
    """The set without pictures whose perceptual hash differs from a test picture's in at most `distance` bits."""
    return _without_leaks(train, tools, "pictures", {"distance": distance})


def near_leaked_texts(train: TrainSet, tools: Tools, *, shingle: int, threshold: float) -> TrainSet:
    """The set without texts that share a band of their MinHash with a test text's (Broder, 1997).

    Runs of `shingle` characters are compared; a Jaccard similarity of `threshold` or more is found nearly always.
    """
    return _without_leaks(train, tools, "texts", {"shingle": shingle, "threshold": threshold})


def _without_leaks(train: TrainSet, tools: Tools, way: str, parameters: Mapping[str, Any]) -> TrainSet:
    return train.rows(~(tools.in_test(train.ids, way, parameters) & train.labelled))
