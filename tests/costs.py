"""What each test costs, in seconds of processor time: measured in a full run, read to choose the fast ones.

`make costs` runs everything and writes `tests/costs.json`. A test function counts with all its parameters, and with the
fixtures that were made for it.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections import defaultdict
from functools import cache
from pathlib import Path

COSTS = Path(__file__).with_name("costs.json")
WRITE = "HARNESS_WRITE_COSTS"
PATIENT_S = 600.0
"""Seconds that a stage may take in a test before it says what it does."""
SLOW = 0.25
"""A function that takes longer (s) is left out of the fast run."""
_FILE = 1.0
"""A file is left out as a whole where a fixture that its tests share takes longer (s)."""

_known: dict[str, float] = json.loads(COSTS.read_text()) if COSTS.is_file() else {}
_measured: defaultdict[str, float] = defaultdict(float)
_last = [0.0]
_elsewhere = [0.0]


def is_slow(nodeid: str) -> bool:
    """Whether a test, by its id, is known to take long."""
    return max(_known.get(nodeid.partition("::")[0], 0.0), _known.get(_function(nodeid), 0.0)) > SLOW


@cache
def of_file(file: str) -> float:
    """Returns what the tests of a file take together, in seconds; 0 if that is not known."""
    return sum(seconds for name, seconds in _known.items() if name.startswith(f"{file}::"))


def _function(nodeid: str) -> str:
    """Returns a test's id without its parameters."""
    return nodeid.partition("[")[0]


def add(seconds: float) -> None:
    """Counts processor time of a process that is no child of this one."""
    _elsewhere[0] += seconds


def of_process() -> float:
    """Returns the processor time (s) of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def since_last() -> float:
    """Returns the processor time (s) of this process, of its children, and of what was added, since the last call."""
    now = of_process() + _elsewhere[0]
    spent, _last[0] = now - _last[0], now
    return spent


def note(nodeid: str, when: str, seconds: float) -> None:
    """Counts what one phase of a test took."""
    _measured[_function(nodeid)] += seconds
    if when == "setup" and seconds > _FILE:
        _measured[nodeid.partition("::")[0]] += seconds


def write() -> None:
    """Writes what took longer than a tenth of a second, where that was asked for; in the process that hears of all."""
    if os.environ.get(WRITE) and "PYTEST_XDIST_WORKER" not in os.environ:
        found = {name: round(seconds, 1) for name, seconds in sorted(_measured.items()) if seconds > 0.1}
        COSTS.write_text(json.dumps(found, indent=1) + "\n")
