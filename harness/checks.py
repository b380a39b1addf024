"""Checks values that a user wrote, and says what is wrong and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from harness.errors import BadInput

MOST_NAMED = 20
"""The largest number of names in an error message."""
LONGEST = 80
"""Signs of a name that an error message shows."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns `; did you mean 'x'?` with the known name closest to `name`, or "" if none is close."""
    close = get_close_matches(str(name), [str(one) for one in known], n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def join_names(names: Iterable[str]) -> str:
    """Joins names with commas, cut short after `MOST_NAMED`, each after `LONGEST` signs."""
    known = [name if len(name) <= LONGEST else f"{name[:LONGEST]}…" for name in map(str, names)]
    return ", ".join(known[:MOST_NAMED]) + (f" and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else "")


def choices(name: str, known: Iterable[str]) -> str:
    """Ends an error about an unknown name: the nearest known name, if one is close, and all known names, sorted."""
    names = sorted(map(str, known))
    return f"{nearest(name, names)} (choose from: {', '.join(names) or 'nothing'})"


def one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raises BadInput, with the nearest right value, unless `value` is one of `allowed`."""
    if value not in allowed:
        raise BadInput(f"{name}={value} is not known{nearest(value, allowed)} (choose from: {join_names(allowed)})")


def within(name: str, value: float | int, low: float | int, high: float | int) -> None:
    """Raises BadInput unless `low <= value <= high`."""
    if not low <= value <= high:
        raise BadInput(f"{name}={value} is out of range; it must lie between {low} and {high}")
