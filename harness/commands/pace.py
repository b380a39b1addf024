"""Holds a study to a budget of time: while it runs, it drops arms and seeds that no longer fit, and says which.

A plan is made from short timings, and a machine may be busier later. So the first seed runs in small portions, with
the sides in turns; when the time that is left is not enough for three seeds of what has run and of one portion more,
the arms that are left are let go. Each later seed runs as a whole, and only if the time that is left is enough for it,
as its arms took so far.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from harness.asking.budget import REPORT_S, SLACK
from harness.storage.store import Record

FEWEST, WANTED = 2, 3
"""Seeds that a study keeps, whatever the time: fewer show no spread; and seeds for which arms are let go."""
PlanRow = Mapping[str, Any]
RunTrials = Callable[[Sequence[str]], None]
"""Runs the trials of these keys."""


@dataclass
class Pace:
    """Holds the seconds that a study may take, since `start` on the monotonic clock, and what it took so far."""

    budget_s: float
    start: float
    slowness: float = 1.0
    factor: float = SLACK
    took: dict[str, float] = field(default_factory=dict)

    @property
    def elapsed_s(self) -> float:
        """Returns the seconds since the study began."""
        return time.monotonic() - self.start

    @property
    def left_s(self) -> float:
        """Returns the seconds that are left for trials; the report needs some after them."""
        return self.budget_s - self.elapsed_s - REPORT_S * self.slowness

    def watch(self, records: Sequence[Record], rows: Sequence[PlanRow]) -> None:
        """Learns what trials of each arm take, and how many seconds a second of processor time takes here and now."""
        arm_of = {row["key"]: str(row["arm"]) for row in rows}
        done = [one for one in records if one["status"] == "done" and one["key"] in arm_of]
        spent = sum(one["cost"]["cpu_s"] for one in done)
        self.slowness = max(1.0, sum(one["cost"]["wall_s"] for one in done) / spent) if spent else 1.0
        each: dict[str, list[float]] = {}
        for one in done:
            each.setdefault(arm_of[one["key"]], []).append(one["cost"]["wall_s"])
        self.took = {arm: sum(those) / len(those) for arm, those in each.items()}

    def needs_s(self, block: Sequence[PlanRow], workers: int) -> float:
        """Returns how long trials will take: each as its arm took so far, or as the mean of the known arms."""
        usual = sum(self.took.values()) / max(1, len(self.took))
        return self.factor * sum(self.took.get(str(row["arm"]), usual) for row in block) / workers


def start_of_process() -> float:
    """Returns when this process began, on the monotonic clock: its imports count as well; now, if nothing tells it."""
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (AttributeError, IndexError, OSError, ValueError):  # only Linux tells it so
        age = 0.0
    return time.monotonic() - max(0.0, age)


def run_within(
    pace: Pace,
    rows: Sequence[PlanRow],
    todo: Collection[str],
    workers: int,
    run: RunTrials,
    read: Callable[[], list[Record]],
) -> tuple[set[str], list[str]]:
    """Runs the trials of a plan whose keys are `todo` while the budget lasts.

    `rows` are those of the plan, `read` returns the records that are there. Returns the keys of trials that were let go
    (none of them has a record), and sentences on them.
    """
    seeds = list(dict.fromkeys(row["seed"] for row in rows))
    blocks = {seed: [row for row in rows if row["seed"] == seed and row["key"] in todo] for seed in seeds}
    kept: set[str] | None = None
    lines: list[str] = []
    for place, seed in enumerate(seeds):
        block = [row for row in blocks[seed] if kept is None or row["arm"] in kept]
        needs = pace.needs_s(block, workers)
        if place >= FEWEST and block and pace.left_s < needs:
            gone = [other for other in seeds[place:] if blocks[other]]
            lines.append(_seeds_gone(pace, gone, len(seeds), needs))
            return _dropped(rows, todo, kept, gone), lines
        begun = time.monotonic()
        if place == 0 and len(block) == sum(row["seed"] == seed for row in rows) and len(seeds) > 1:
            kept = _first_seed(pace, block, workers, run, read, min(WANTED, len(seeds)))
            lines += [] if kept is None else [_arms_gone(pace, rows, kept)]
        elif block:
            run([row["key"] for row in block])
        if place and needs:  # the first seed also starts the workers
            pace.factor = max(1.0, pace.factor * (time.monotonic() - begun) / needs)
        pace.watch(read(), rows)
    return _dropped(rows, todo, kept, []), lines


def _dropped(rows: Sequence[PlanRow], todo: Collection[str], kept: set[str] | None, gone: Sequence[int]) -> set[str]:
    return {
        row["key"] for row in rows
        if row["key"] in todo and (row["seed"] in gone or (kept is not None and row["arm"] not in kept))
    }  # fmt: skip


def _first_seed(
    pace: Pace, block: Sequence[PlanRow], workers: int, run: RunTrials, read: Callable[[], list[Record]], seeds: int
) -> set[str] | None:
    """Runs the first seed in portions; returns the arms that ran if the others were let go, else None."""
    order, size = list(in_turns(block)), max(2, 2 * workers)
    for start in range(0, len(order), size):
        ran, portion = order[:start], order[start : start + size]
        later = (seeds - 1) * pace.needs_s(ran, workers) + seeds * pace.needs_s(portion, workers)
        if pace.left_s < later and _both_sides(ran):
            return {str(row["arm"]) for row in ran}
        run([row["key"] for row in portion])
        pace.watch(read(), block)
    return None


def in_turns(block: Sequence[PlanRow]) -> Iterator[PlanRow]:
    """Yields the trials of a seed: the control, then models and data strategies in turns, then what changes both.

    A data strategy comes with the reference before it, so that no portion has a reference alone.
    """
    by_axis: dict[str, list[PlanRow]] = {}
    for row in block:
        by_axis.setdefault(str(row["axis"]), []).append(row)
    yield from by_axis.pop("none", [])
    models, groups = by_axis.pop("model", []), list(_with_references(by_axis.pop("data", [])))
    for model, group in zip_longest(models, groups):
        yield from [model] if model is not None else []
        yield from group or []
    for rest in by_axis.values():
        yield from rest


def _with_references(rows: Sequence[PlanRow]) -> Iterator[list[PlanRow]]:
    group: list[PlanRow] = []
    for row in rows:
        group.append(row)
        if row.get("reference") != "negative_control":
            yield group
            group = []
    if group:
        yield group


def _both_sides(ran: Sequence[PlanRow]) -> bool:
    """Returns whether an arm of each side ran that may win; controls alone compare nothing."""
    return {"model", "data"} <= {str(row["axis"]) for row in ran if row.get("reference") != "negative_control"}


def _seeds_gone(pace: Pace, gone: Sequence[int], seeds: int, needs: float) -> str:
    named = ", ".join(map(str, gone))
    return (
        f"{len(gone)} of {seeds} seeds ({named}) were let go after {pace.elapsed_s:.0f} s of {pace.budget_s:.0f} s, "
        f"since the next one takes about {needs:.0f} s"
    )


def _arms_gone(pace: Pace, rows: Sequence[PlanRow], kept: Collection[str]) -> str:
    gone = [arm for arm in dict.fromkeys(str(row["arm"]) for row in rows) if arm not in kept]
    return (
        f"{len(gone)} arms were let go after {pace.elapsed_s:.0f} s of {pace.budget_s:.0f} s, since three seeds of "
        f"more do not fit: {', '.join(gone)}"
    )
