"""Measures what a block of code costs: wall-clock and processor seconds, and peak memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Cost:
    """Holds `wall_s` and `cpu_s` in seconds (all threads of this process), `peak_mb` in MiB of resident memory."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s, max(self.peak_mb, other.peak_mb))


@dataclass
class Bill:
    """Holds the cost of a measured block, once the block has ended."""

    cost: Cost = field(default_factory=Cost)


@contextmanager
def meter() -> Iterator[Bill]:
    """Measures the block, its peak memory counted from here; for the outermost block of a trial."""
    _reset_peak()
    with time_block() as bill:
        yield bill


@contextmanager
def time_block() -> Iterator[Bill]:
    """Measures the block's seconds; peak memory counts from the last reset, since a process has a single peak."""
    bill, wall, cpu = Bill(), time.perf_counter(), time.process_time()
    try:
        yield bill
    finally:
        bill.cost = Cost(time.perf_counter() - wall, time.process_time() - cpu, peak_mb())


def _reset_peak() -> None:
    """Resets the peak memory, which only Linux allows; elsewhere it is the whole process's, an upper bound."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def peak_mb() -> float:
    """Returns the peak resident memory in MiB since the last reset."""
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
