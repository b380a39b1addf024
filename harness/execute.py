"""A composed config in, its trial's record and delta out: the edge where trials meet store, tracker and terminal."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from threadpoolctl import threadpool_limits

import harness
from harness import claims
from harness.cache import Cache
from harness.config import FACTORS, arm_of, baseline_of, build, faults, nearest, plain
from harness.data import Source, Task
from harness.errors import BadInput, TrialFailed
from harness.fitting import misfits
from harness.learners import salt_faults
from harness.store import Record, Store, TestSet
from harness.track import Tracker
from harness.trial import Log, Place, Trial, run_trial

ARM_ROOTS = (*FACTORS, "salt")
"""What an arm may change; everything else belongs to the block and is shared with the control."""
_VERSIONED = ("torch", "numpy", "scikit-learn", "cleanlab", "snorkel", "transformers", "datasets", "hydra-core")


@dataclass(frozen=True)
class Job:
    """One trial with all that it needs: its data, its baseline, where things go, and who is told of its curve."""

    trial: Trial
    source: Source
    baseline: Mapping[str, Mapping[str, Any]]
    label: str
    cfg: DictConfig
    tell: Log = lambda row: None

    @property
    def store(self) -> Store:
        """The folder of the study."""
        return study_store(self.cfg)

    def control(self) -> Job:
        """The job of the trial's control."""
        return replace(self, trial=self.trial.control(self.baseline), label="baseline")

    def head(self) -> dict[str, Any]:
        """What a record says of itself before it has a result."""
        control = self.trial.control(self.baseline).key
        label = "baseline" if control == self.trial.key else self.label
        return {
            "key": self.trial.key, "control": control, "study": self.cfg.study, "arm": label,
            **self.trial.against(self.baseline), "seed": self.trial.seed, "trial": self.trial.identity(),
        }  # fmt: skip


def study_store(cfg: DictConfig) -> Store:
    """The store of the study that a config belongs to."""
    return Store(Path(cfg.store).expanduser() / str(cfg.study))


def make_job(cfg: DictConfig, said: list[str], source: Source | None = None) -> Job:
    """The job that a config describes, `said` being the overrides that made it; BadInput names every fault.

    A `source` that is at hand already saves reading the data twice.
    """
    wrong = [*faults(cfg), *_device_faults(cfg), *salt_faults(str(cfg.salt))]
    if wrong:
        raise BadInput("\n".join(wrong))
    build(plain(cfg.protocol))  # refuses what no trial could be run with, before anything is read
    source = source or build(plain(cfg.task))
    arm, baseline = arm_of(cfg), baseline_of(cfg)
    trial = Trial(
        task=plain(cfg.task), arm=arm, probe=plain(cfg.get("probe") or cfg.baseline.model),
        protocol=plain(cfg.protocol), data=source.fingerprint, seed=cfg.seed, salt=str(cfg.salt),
    )  # fmt: skip
    return Job(trial, source, baseline, label_of(said), cfg)


def label_of(said: list[str]) -> str:
    """An arm's name: the overrides that make it, as the user wrote them."""
    return " ".join(item.lstrip("+") for item in said if factor_of(item) in ARM_ROOTS) or "baseline"


def factor_of(override: str) -> str:
    """What an override is about: `clean` for `clean=oracle` or `+clean.k=5`, `baseline` for `model@baseline.model`."""
    group, _, place = override.lstrip("+~").split("=")[0].partition("@")
    return (place or group).split(".")[0]


def check_fit(job: Job, task: Task) -> list[str]:
    """The reasons why the arm or the baseline does not fit the task, one line each."""
    arms, probe = (job.trial.arm, job.baseline), job.trial.probe
    return list(dict.fromkeys(line for arm in arms for line in misfits(arm, task, probe)))


def settle(job: Job) -> tuple[Record, Record]:
    """The records of the job and of its control, run now if nobody has yet; tracked and kept.

    Failures become failure records; only a user's wrong input and trouble with the disk are raised.
    """
    control = job.control()
    control_record = _fetch(control, None)
    if control.trial.key == job.trial.key:
        return control_record, control_record
    return _fetch(job, control_record), control_record


def _fetch(job: Job, control: Record | None) -> Record:
    return job.store.fetch(job.trial.key, lambda keep: _compute(job, control, keep), retry=bool(job.cfg.retry))


def _compute(job: Job, control: Record | None, keep: Callable[[Record], Record]) -> Record:
    """Runs the trial under its tracker; the record is on disk before the tracker hears of the result.

    The claims about the study are read before the trial has a result: a record vouches for no claim that came later.
    """
    head, written = job.head(), _claims(str(job.cfg.study))
    with tracker(job.cfg).trial(head) as log:
        record = keep({**head, **_outcome(job, log), "provenance": {**_provenance(job), "claims": dict(written)}})
        log.finish(record, delta(record, control))
    return record


def tracker(cfg: DictConfig) -> Tracker:
    """The tracker that the config asks for; it writes beside the study's records."""
    return build(plain(cfg.track))(study_store(cfg).folder / "wandb")


def delta(record: Record, control: Record | None) -> float | None:
    """The trial's metric minus its control's, in points; None where one of them failed."""
    if control is None or "failed" in (record["status"], control["status"]):
        return None
    return 100 * (record["result"]["test"] - control["result"]["test"])


def _outcome(job: Job, log: Log) -> dict[str, Any]:
    """The measured part of the record, or the reason why there is none."""

    def both(row: Mapping[str, float]) -> None:
        log(row)
        job.tell(row)

    place = Place(Cache(Path(job.cfg.cache).expanduser()), device_of(job.cfg), both)
    try:
        with one_thread(int(job.cfg.threads)):
            task = job.source.split(job.trial.seed)
            measured = run_trial(job.trial, task, place)
        scored_on = TestSet(task.test.ids, task.test.y, task.classes)
        measured["result"]["test_set"] = job.store.keep_test_set(scored_on)
        return {"status": "done", "reason": None, **measured}
    except (TrialFailed, BadInput) as error:
        return _failed(str(error))
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - a trial may break in any library's own way, and the study goes on
        return _failed(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}")


def _failed(reason: str) -> dict[str, Any]:
    nothing: dict[str, Any] = {"result": None, "receipts": {}, "ledger": {}, "cost": {}, "facts": {}, "history": []}
    return {"status": "failed", "reason": reason, **nothing}


@contextlib.contextmanager
def one_thread(threads: int) -> Iterator[None]:
    """Gives every numeric library that many threads.

    Results then do not hang on the launcher, and workers do not wait for each other's threads.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)


def device_of(cfg: DictConfig) -> str:
    """The device that is asked for, or the best one at hand."""
    if cfg.device != "auto":
        return str(cfg.device)
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _device_faults(cfg: DictConfig) -> list[str]:
    """Why the device that is asked for cannot be had."""
    there = {"auto": True, "cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if there.get(str(cfg.device).partition(":")[0]):
        return []
    return [f"device '{cfg.device}' is not here: {nearest(str(cfg.device), [name for name in there if there[name]])}"]


def _provenance(job: Job) -> dict[str, Any]:
    """Which code, versions and device made the record; nothing that names a person or a machine."""
    commit, dirty = _commit()
    device = device_of(job.cfg)
    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.machine()
    return {
        "harness": harness.__version__, "commit": commit, "dirty": dirty, "versions": _versions(),
        "python": platform.python_version(), "system": platform.system(), "device": f"{device} ({name})",
        "threads": int(job.cfg.threads), "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


@cache
def _claims(study: str) -> Mapping[str, str]:
    """The claims about the study when this process ran its first trial, by name, each as the hash of its content."""
    return claims.hashes(study)


@cache
def _versions() -> dict[str, str | None]:
    def known(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    return {name: known(name) for name in _VERSIONED}


@cache
def _commit() -> tuple[str | None, bool | None]:
    """The commit of the code if it runs from a checkout of this project, and whether files differ from it."""
    folder = Path(harness.__file__).parents[1]
    if not (folder / ".git").exists():
        return None, None
    git: Callable[..., str] = lambda *words: subprocess.run(  # noqa: E731
        ["git", "-C", str(folder), *words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    ).stdout.strip()
    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--", "harness", "conf"))
    except (OSError, subprocess.CalledProcessError):
        return None, None
