"""Times the arms of a study that is still to be planned, on few rows and few steps, so that its cost can be told."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.asking.budget import Seconds
from harness.data import EvalSet, Task, take
from harness.errors import BadInput, TrialFailed
from harness.run.execute import Job
from harness.run.provenance import device_of, one_thread
from harness.run.trial import Place, run_trial
from harness.storage.cache import Cache
from harness.streams import stream
from harness.tasks.split import draw_stratified

FEW, MORE = 200, 800
"""Training rows of the two sizes that are timed."""
BRIEF_S, LONG_S, MOST_S = 1.0, 10.0, 60.0
"""Seconds of the first run: from the first on it is repeated, since it may have imported something; from the second on
no larger one is made; from the last on no other one at all."""
EPOCHS = (1, 3)


@dataclass(frozen=True)
class Timing:
    """Holds the seconds of an arm's trial, and the share of test rows that it gets wrong on `rows` training rows.

    `fault` says why the arm cannot run; the rest is then 0.
    """

    seconds: Seconds
    error: float = 0.0
    rows: int = 0
    fault: str = ""


def time_arm(job: Job, task: Task, cache: Path) -> Timing:
    """Returns how long a trial of the job takes, from three or four runs on few rows and few epochs.

    A trial takes a fixed time, a time per row, and a time per row and epoch. Where the first run is slow, fewer others
    are made, and the estimate is by proportion: too high rather than too low. What arms share (the probe's cross-
    validation) lies in `cache`, and the first that needs it takes the time, as in a study.
    """
    epochs = job.trial.protocol.get("epochs") if job.trial.protocol.get("steps") is None else None
    short, long = EPOCHS if epochs else (None, None)
    small, large = (_part(task, min(rows, len(task.train))) for rows in (FEW, MORE))
    rows, more = len(small.train), len(large.train) - len(small.train)
    try:
        once, error = _run(job, small, short, cache)
        if once > MOST_S:
            return Timing(Seconds(0.0, once / rows * (epochs or 1)), error, rows)
        if BRIEF_S < once < LONG_S:
            once = min(once, _run(job, small, short, cache / "again")[0])
        longer = _run(job, small, long, cache)[0] if epochs else once
        wider, error = _run(job, large, short, cache) if more and once < LONG_S else (once, error)
    except (TrialFailed, BadInput) as fault:
        return Timing(Seconds(0.0, 0.0), fault=str(fault))
    per_row = max(0.0, wider - once) / more if more and once < LONG_S else once / rows
    per_epoch = max(0.0, longer - once) / (EPOCHS[1] - EPOCHS[0]) / rows
    extra = per_epoch * max(0, (epochs or 1) - EPOCHS[0])
    return Timing(Seconds(max(0.0, once - per_row * rows), per_row + extra), error, rows + more)


def _run(job: Job, task: Task, epochs: int | None, cache: Path) -> tuple[float, float]:
    """Returns the seconds of one trial, and the share of test rows that it gets wrong."""
    protocol = {**job.trial.protocol, **({"epochs": epochs} if epochs else {})}
    trial = replace(job.trial, protocol=protocol)
    with one_thread(int(job.cfg.threads)):
        start = time.monotonic()
        found = run_trial(trial, task, Place(Cache(cache), device_of(job.cfg)))
        return time.monotonic() - start, 1 - float(found["result"]["test"])


def _part(task: Task, rows: int) -> Task:
    """Returns the task with that many training rows, stratified, and as large a share of the other parts."""
    share = rows / len(task.train)
    rng = stream(0, "timing")
    strata = np.where(task.train.labelled, task.train.classes, -1)
    index = draw_stratified(strata, rows, rng, cover=rows >= len(np.unique(strata)))
    groups = None if task.groups is None else task.groups[index]
    return replace(
        task, train=task.train.rows(index), gold=task.gold[index], groups=groups,
        valid=_fewer(task.valid, share, rng), test=_fewer(task.test, share, rng), test_groups=None,
    )  # fmt: skip


def _fewer(part: EvalSet, share: float, rng: np.random.Generator) -> EvalSet:
    count = min(len(part), max(100, round(share * len(part))))
    index = np.sort(rng.permutation(len(part))[:count])
    return EvalSet(part.ids[index], take(part.x, index), part.y[index])
