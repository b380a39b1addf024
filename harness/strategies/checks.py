"""Hyper-parameters in, one clear line out when a value is none that the strategy knows."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from harness.errors import BadInput


def one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raises BadInput, with the nearest right value, unless `value` is one of `allowed`."""
    if value in allowed:
        return
    near = get_close_matches(str(value), allowed, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise BadInput(f"{name}={value} is not known; choose one of {', '.join(allowed)}{hint}")


def within(name: str, value: float | int, low: float | int, high: float | int) -> None:
    """Raises BadInput unless `low <= value <= high`."""
    if not low <= value <= high:
        raise BadInput(f"{name}={value} is out of range; it must lie between {low} and {high}")
