"""Measures what a block of code costs: wall-clock and processor seconds, peak memory, and the machine's other load."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_TRACKERS = ("wandb", "gpu_stats")
"""How the names of processes begin that a tracker runs beside the trials, and that are no trial's work."""
_NOT_BUSY = ("idle", "iowait", "guest", "guest_nice")
"""The system's counters that are no work, or that are counted in another one already."""
_SHORTEST_S = 0.1
"""The system counts in hundredths of a second: the load of a shorter block would be mostly rounding."""


@dataclass(frozen=True)
class Cost:
    """Holds `wall_s` and `cpu_s` in seconds (all threads and child processes), `peak_mb` in MiB of resident memory."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s, max(self.peak_mb, other.peak_mb))


@dataclass
class Bill:
    """Holds the cost of a measured block, once the block has ended.

    `threads_s` and `children_s` are the processor seconds of its `cpu_s` that further threads and child processes took.
    `load` is the share of all processor cores that other work kept busy meanwhile, from 0 to 1; None if not known.
    """

    cost: Cost = field(default_factory=Cost)
    threads_s: float = 0.0
    children_s: float = 0.0
    load: float | None = None


@dataclass(frozen=True)
class _Clocks:
    """Holds readings of the clocks, in seconds; `others` by thread that the block did not start."""

    wall: float
    process: float
    thread: float
    children: float
    machine: float
    others: dict[int, float]


@contextmanager
def meter() -> Iterator[Bill]:
    """Measures the block, its peak memory counted from here; for the outermost block of a trial."""
    _reset_peak()
    with time_block() as bill:
        yield bill


@contextmanager
def time_block() -> Iterator[Bill]:
    """Measures the block's seconds; peak memory counts from the last reset, since a process has a single peak.

    Processor seconds are those of the work: of this thread, of threads of libraries and of threads that the block
    starts, and of child processes. Threads of Python that ran before (progress, a tracker) and processes of a tracker
    are left out.
    """
    bill, mine = Bill(), threading.get_native_id()
    before = _read_clocks({one.native_id for one in threading.enumerate() if one.native_id} - {mine})
    try:
        yield bill
    finally:
        _fill(bill, before, _read_clocks(before.others))


def _fill(bill: Bill, before: _Clocks, after: _Clocks) -> None:
    """Writes the difference of two readings into the bill."""
    wall, thread = after.wall - before.wall, after.thread - before.thread
    children = max(after.children - before.children, 0.0)
    foreign = sum(after.others.get(one, spent) - spent for one, spent in before.others.items())
    process = max(after.process - before.process - foreign, thread)
    bill.cost = Cost(wall, process + children, peak_mb())
    bill.threads_s, bill.children_s = process - thread, children
    if wall >= _SHORTEST_S:
        busy = after.machine - before.machine - bill.cost.cpu_s
        bill.load = min(max(busy / (wall * (os.cpu_count() or 1)), 0.0), 1.0)


def _read_clocks(others: Collection[int]) -> _Clocks:
    """Reads all clocks; `others` are the native ids of threads that are no part of the work."""
    threads = psutil.Process().threads() if others else []
    times = psutil.cpu_times()
    return _Clocks(
        wall=time.perf_counter(), process=time.process_time(), thread=time.thread_time(), children=_children_s(),
        machine=sum(times) - sum(getattr(times, name, 0.0) for name in _NOT_BUSY),
        others={one.id: one.user_time + one.system_time for one in threads if one.id in others},
    )  # fmt: skip


def _children_s() -> float:
    """Returns the processor seconds of this process's descendants so far, ended or alive, without a tracker's."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime + sum(map(_process_s, psutil.Process().children(recursive=True)))


def _process_s(one: psutil.Process) -> float:
    """Returns the processor seconds of a process and of its ended children; 0 for one that is gone or a tracker's."""
    try:
        return 0.0 if one.name().startswith(_TRACKERS) else sum(one.cpu_times()[:4])
    except psutil.Error:
        return 0.0


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
