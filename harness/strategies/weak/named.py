"""Classes as a person writes them in, their indices out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int8

from harness.checks import listed, nearest
from harness.errors import BadInput

MOST = np.iinfo(np.int8).max
"""The most classes that votes can tell apart."""


def indices(said: Sequence[str], classes: Sequence[str], places: Sequence[str]) -> Int8[np.ndarray, " n"]:
    """The class indices of labels that are all class names or, where none of them is one, all numbers 0 to k - 1.

    BadInput where a label is neither, with its place, as `places` tells it.
    """
    check_number(classes)
    known = {name: index for index, name in enumerate(classes)}
    if known.keys().isdisjoint(said):
        known = {str(index): index for index in range(len(classes))}
    for label, place in zip(said, places, strict=True):
        if label not in known:
            raise BadInput(f"{place}: {no_class(label, classes)}")
    return np.array([known[label] for label in said], dtype=np.int8)


def no_class(label: object, classes: Sequence[str]) -> str:
    """That a label is no class, the nearest that is one, and what would be right."""
    right = f"a class is {listed(classes)}, or its number, 0 to {len(classes) - 1}"
    return f"{label!r} is no class of this task{nearest(str(label), classes)} ({right})"


def check_number(classes: Sequence[str]) -> None:
    """Raises BadInput where the task has more classes than votes can tell apart."""
    if len(classes) > MOST:
        raise BadInput(f"votes can name at most {MOST} classes, and this task has {len(classes)}")
