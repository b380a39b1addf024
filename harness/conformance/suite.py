"""Runs every check that applies to one option on the small sets of each modality that it fits."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.conformance.promises import BrokenPromise

HERE = Path(__file__).parents[1]
FRAMES = 3
"""The largest number of lines of an option's own code that a failed check shows."""


@dataclass(frozen=True)
class Check:
    """Holds one check of one option: its name, the set it runs on, what it expects, and the call that raises otherwise.

    If a `vital` check fails, the other checks on the same set are skipped, since they would show nothing more.
    """

    name: str
    where: str
    expects: str
    call: Callable[[], None]
    vital: bool = False


@dataclass(frozen=True)
class Outcome:
    """Holds the result of a check: the seconds that it took and, if it failed, what happened instead."""

    check: Check
    seconds: float
    fault: str | None


def run_checks(checks: Iterable[Check]) -> Iterator[Outcome]:
    """Yields the outcome of each check in turn; after a vital check fails, the rest of the same set is skipped."""
    closed: set[str] = set()
    for check in checks:
        if check.where in closed:
            continue
        start = time.perf_counter()
        fault = fault_of(check.call)
        yield Outcome(check, time.perf_counter() - start, fault)
        if fault is not None and check.vital:
            closed.add(check.where)


def fault_of(call: Callable[[], object]) -> str | None:
    """Returns in words what went wrong in a call, or None.

    An error of the option's own code is reported with the last lines of that code.
    """
    try:
        call()
    except BrokenPromise as broken:
        return str(broken)
    except Exception as error:  # noqa: BLE001 - whatever a user's function raises is a finding
        return f"{type(error).__name__}: {_first_line(error)}{_hint(error)}{own_frames(error)}"
    return None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")


def _hint(error: Exception) -> str:
    """Says what to do about the error that numpy raises for a write into the input."""
    return " (the input is read-only: copy an array before you write into it)" if "read-only" in str(error) else ""


def own_frames(error: Exception) -> str:
    """Returns the last frames of a traceback that lie outside this package, as ` [mine.py:5 in clean: y[0] = 1]`."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if HERE not in Path(frame.filename).parents]
    shown = [f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}: {frame.line}" for frame in own[-FRAMES:]]
    return f" [{'; '.join(shown)}]" if shown else ""


def modalities(node: Mapping[str, Any], layers: Iterable[Mapping[str, Any]]) -> list[str]:
    """Returns the modalities that an option and every model within it declare, in the option's order."""
    inner = [set(layer.get("fits") or []) for layer in layers]
    return [name for name in node.get("fits") or [] if all(name in fits for fits in inner)]
