"""Training rows that also stand in the test part go: what was learnt by heart there would count as known.

The strategy never sees a test row: it hands in a signature, and is told which training rows share theirs with one.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.data import TrainSet, row_hashes
from harness.strategies import Signature, Tools
from harness.strategies.clean.fingerprints import ball, bands, keys


def leaks(train: TrainSet, tools: Tools) -> TrainSet:
    """The set without the labelled rows whose exact content a test row has."""
    return _without_leaks(train, tools, row_hashes)


def leaked_keys(train: TrainSet, tools: Tools, *, columns: Sequence[str | int] | None, decimals: int) -> TrainSet:
    """The set without the rows of a table whose `columns` (None: all), rounded to `decimals`, a test row has."""
    return _without_leaks(train, tools, lambda x: keys(x, columns, decimals))


def near_leaked_images(train: TrainSet, tools: Tools, *, distance: int) -> TrainSet:
    """The set without pictures whose perceptual hash differs from a test picture's in at most `distance` bits."""
    return _without_leaks(train, tools, lambda x: ball(x, distance))


def near_leaked_texts(train: TrainSet, tools: Tools, *, shingle: int, threshold: float) -> TrainSet:
    """The set without texts that share a band of their MinHash with a test text's (Broder, 1997).

    Runs of `shingle` characters are compared; a Jaccard similarity of `threshold` or more is found nearly always.
    """
    return _without_leaks(train, tools, lambda x: bands(x, shingle, threshold))


def _without_leaks(train: TrainSet, tools: Tools, signature: Signature) -> TrainSet:
    return train.rows(~(tools.in_test(train, signature) & train.labelled))
