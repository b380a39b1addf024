"""Runs the trial of a composed config and its control, with the store, the tracker and the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from omegaconf import DictConfig

from harness import claims
from harness.arm import BASELINE, arm_overrides, label_of, names_of
from harness.data import Source, Task
from harness.errors import BadInput, TrialFailed
from harness.metrics import class_faults
from harness.run.config import arm_of, baseline_of, plain
from harness.run.faults import find_faults
from harness.run.fitting import misfits
from harness.run.options import build
from harness.run.provenance import describe_provenance, device_faults, device_of, one_thread, own_options, rerun_of
from harness.run.side_files import side_file_faults
from harness.run.specification import Log, Trial
from harness.run.tracebacks import traceback_of
from harness.run.track import Tracker
from harness.storage.cache import Cache
from harness.storage.places import expand_home
from harness.storage.store import Record, Store, TestSet
from harness.streams import salt_faults


@dataclass(frozen=True)
class Job:
    """Holds one trial with its data, its baseline, its config, and the listener of its training curve.

    `overrides` are those that define its arm; the baseline has none.
    """

    trial: Trial
    source: Source
    baseline: Mapping[str, Mapping[str, Any]]
    overrides: tuple[str, ...]
    cfg: DictConfig
    tell: Log = lambda row: None
    rows: int = 0

    @property
    def store(self) -> Store:
        """Returns the store of the study."""
        return study_store(self.cfg)

    def control(self) -> Job:
        """Returns the job of the trial's control."""
        return replace(self, trial=self.trial.control(self.baseline), overrides=())

    @property
    def label(self) -> str:
        """Returns the label of the trial's arm."""
        return label_of(self.overrides)

    def row(self) -> dict[str, Any]:
        """Returns the trial's row in its study: its names, its control, and how it differs from the control."""
        control = self.trial.control(self.baseline).key
        own = () if control == self.trial.key else self.overrides
        return {
            "key": self.trial.key, "control": control, "arm": label_of(own) if own else BASELINE,
            "names": names_of(own), "overrides": list(own), **self.trial.against(self.baseline, self.rows),
            "seed": self.trial.seed,
        }  # fmt: skip

    def head(self) -> dict[str, Any]:
        """Returns what is known of a trial before it runs: its row, its study and its identity."""
        return {**self.row(), "study": str(self.cfg.study), "trial": self.trial.identity()}

    def beside(self, record: Record) -> Record:
        """Returns the record with the names that it has in this study."""
        return {**record, "study": str(self.cfg.study), **self.row()}


def study_store(cfg: DictConfig) -> Store:
    """Returns the store of the study that a config belongs to."""
    return Store(expand_home(cfg.store, "store") / str(cfg.study))


def make_job(cfg: DictConfig, said: list[str], source: Source | None = None) -> Job:
    """Returns the job that a config describes, made by the overrides `said`; BadInput names every fault.

    A `source` that is already loaded saves reading the data twice.
    """
    wrong = [*find_faults(cfg), *device_faults(cfg), *salt_faults(str(cfg.salt))]
    if wrong:
        raise BadInput("\n".join(wrong))
    build(plain(cfg.protocol))  # raises before any data is read, as a cache without a place does
    expand_home(cfg.cache, "cache")
    source = source or build(plain(cfg.task))
    arm, baseline = arm_of(cfg), baseline_of(cfg)
    trial = Trial(
        task=plain(cfg.task), arm=arm, probe=plain(cfg.get("probe") or cfg.baseline.model),
        protocol=plain(cfg.protocol), data=source.fingerprint, seed=cfg.seed, salt=str(cfg.salt),
    )  # fmt: skip
    return Job(trial, source, baseline, arm_overrides(said), cfg)


def check_fit(job: Job, task: Task) -> list[str]:
    """Returns the reasons why the arm, the baseline or the metric does not fit the task, one line each."""
    arms, probe = (job.trial.arm, job.baseline), job.trial.probe
    unscored = class_faults("protocol.metric", str(job.trial.protocol["metric"]), task.test.y, task.classes)
    return list(dict.fromkeys([*unscored, *(line for arm in arms for line in misfits(arm, task, probe))]))


def check_files(jobs: Sequence[Job], task: Task) -> list[str]:
    """Returns what is wrong with the files that the arms and baselines of these jobs read, one line each."""
    arms = [arm for job in jobs for arm in (job.trial.arm, job.baseline)]
    return side_file_faults(arms, task, Cache(expand_home(jobs[0].cfg.cache, "cache")))


def settle(job: Job) -> tuple[Record, Record]:
    """Returns the records of the job and of its control under this study's names, running the trials that have none.

    Failures become failure records; only a user's wrong input and disk errors are raised.
    """
    control = job.control()
    control_record = control.beside(_fetch(control, None))
    if control.trial.key == job.trial.key:
        return control_record, control_record
    return job.beside(_fetch(job, control_record)), control_record


def keep_rows(job: Job) -> None:
    """Keeps the names of a trial outside a study and of its control, for a report on such trials."""
    for one in (job.control(), job):
        job.store.keep_row(one.row())


def _fetch(job: Job, control: Record | None) -> Record:
    def work(keep: Callable[[Record], Record]) -> Record:
        return _compute(job, control, keep)

    return job.store.fetch(job.trial.key, work, retry=bool(job.cfg.retry), rerun=rerun_of(job.cfg))


def _compute(job: Job, control: Record | None, keep: Callable[[Record], Record]) -> Record:
    """Runs the trial under its tracker; the record is on disk before the tracker gets the result.

    The claims about the study are read before the trial runs, so a record never lists a claim that was written later.
    Its label and control are for people who open the file: `beside` gives it those of the study at hand.
    """
    head, written = job.head(), _claims(str(job.cfg.study))
    with job.store.running(job.trial.key), tracker(job.cfg).trial(head) as log:
        record = keep(
            {
                **{name: head[name] for name in ("key", "control", "arm", "seed", "trial")},
                **_outcome(job, log),
                "provenance": {
                    **describe_provenance(device_of(job.cfg), int(job.cfg.threads)),
                    "claims": dict(written),
                    **own_options(),
                    **({"rerun": rerun_of(job.cfg)} if job.cfg.rerun else {}),
                },
            }
        )
        log.finish(record, delta(record, control))
    job.store.log(_event(record))
    return record


def _event(record: Record) -> str:
    """Returns a trial's entry in the log: how it ended, after how long, and why if it failed."""
    seed, took = record["trial"]["seed"], record["cost"].get("wall_s")
    ended = f"done in {took} s" if record["status"] == "done" else f"failed: {record['reason']}"
    return "\n".join(filter(None, [f"{record['key'][:12]} seed {seed}: {ended}", record.get("traceback", "")]))


def tracker(cfg: DictConfig) -> Tracker:
    """Returns the tracker that the config asks for; it writes beside the study's records."""
    return build(plain(cfg.track))(study_store(cfg).folder / "wandb")


def delta(record: Record, control: Record | None) -> float | None:
    """Returns the trial's metric minus its control's, in points; None if one of them failed."""
    if control is None or "failed" in (record["status"], control["status"]):
        return None
    return 100 * (record["result"]["test"] - control["result"]["test"])


def _outcome(job: Job, log: Log) -> dict[str, Any]:
    """Returns the measured part of the record, or the reason why there is none."""

    def both(row: Mapping[str, float]) -> None:
        log(row)
        job.tell(row)

    from harness.run.trial import Place, run_trial  # a finished study needs no learner

    place = Place(Cache(expand_home(job.cfg.cache, "cache")), device_of(job.cfg), both)
    try:
        with one_thread(int(job.cfg.threads)):
            task = _with_read(job.source.split(job.trial.seed), job.source)
            measured = run_trial(job.trial, task, place)
    except (TrialFailed, BadInput) as error:
        return _failure(str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a user's function raises ends its trial alone
        what = str(error).splitlines()[0] if str(error) else "no message"
        return {**_failure(f"{type(error).__name__}: {what}"), "traceback": traceback_of(error)}
    measured["result"] |= _kept_rows(job.store, task)
    return {"status": "done", "reason": None, **measured}


def _kept_rows(store: Store, task: Task) -> dict[str, str | None]:
    """Keeps the rows that a trial is scored on, and returns their digests; None for validation rows if none exist."""
    test = TestSet(task.test.ids, task.test.y, task.classes, task.test_groups, task.test_given)
    valid = TestSet(task.valid.ids, task.valid.y, task.classes, task.valid_groups)
    return {
        "test_set": store.keep_test_set(test),
        "valid_set": store.keep_test_set(valid) if len(task.valid) else None,
    }


def _with_read(task: Task, source: Source) -> Task:
    """Returns the task with what was read among its facts, so that record and page say it."""
    return replace(task, facts={**task.facts, "read": ". ".join(source.read)}) if source.read else task


def keep_death(store: Store, head: Mapping[str, Any], reason: str) -> None:
    """Keeps the failure of a trial whose process died, which could not do so itself."""
    told = {name: head[name] for name in ("key", "control", "arm", "seed", "trial")}
    store.keep_failure({**told, **_failure(reason), "provenance": {}})
    store.log(f"{head['key'][:12]} seed {head['seed']}: failed: {reason}")


def _failure(reason: str) -> dict[str, Any]:
    nothing: dict[str, Any] = {"result": None, "receipts": {}, "ledger": {}, "cost": {}, "facts": {}, "history": []}
    return {"status": "failed", "reason": reason, **nothing}


@cache
def _claims(study: str) -> Mapping[str, str]:
    """Returns the hash of each claim about the study, by name, as they were when this process ran its first trial."""
    return claims.hashes(study)
