"""Runs a trial that has a record once more, outside any store, and says how the two results differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from harness.commands.overrides import load_config, option_loader
from harness.commands.study import PlannedTrial
from harness.run.execute import Job, make_job
from harness.run.provenance import device_of, one_thread
from harness.run.trial import Place, run_trial
from harness.storage.cache import Cache
from harness.storage.packing import unpack
from harness.storage.store import Record

Watch = Callable[[Callable[[], dict[str, Any]]], dict[str, Any]]
"""Runs a function, and looks at what it does."""


def job_of(planned: PlannedTrial) -> Job:
    """Returns the job of a planned trial, with its data read."""
    return make_job(load_config(planned.overrides, option_loader()), list(planned.arm))


def run_again(job: Job, folder: Path, watch: Watch = lambda work: work()) -> dict[str, Any]:
    """Returns the measured part of the trial's record, made anew with an empty cache in `folder`."""
    task = job.source.split(job.trial.seed)
    with one_thread(int(job.cfg.threads)):
        return watch(lambda: run_trial(job.trial, task, Place(Cache(folder), device_of(job.cfg))))


def how_they_differ(record: Record, made: dict[str, Any]) -> str:
    """Says in which predictions, and by how many points, a record differs from the same trial run again; "" if in none.

    It also says if the receipts differ, or the number of labels that were paid for.
    """
    before, now = unpack(record["result"]["predictions"]), unpack(made["result"]["predictions"])
    if len(before) != len(now):
        return f"{len(now)} predictions instead of {len(before)}"
    told = []
    if (changed := int(np.sum(before != now))) > 0:
        gap = 100 * (float(made["result"]["test"]) - float(record["result"]["test"]))
        told.append(f"{changed} of {len(now)} predictions differ, {gap:+.2f} points".replace("-", "−"))
    words = {"ledger": "another number of labels was paid for", "receipts": "the receipts differ"}
    told += [said for name, said in words.items() if made[name] != record[name]]
    return "; ".join(told)
