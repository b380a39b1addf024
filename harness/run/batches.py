"""Runs a study's Hydra jobs in batches, in processes that submitit or Ray start here or on machines of a cluster.

A batch is a number of trials that one process runs one after the other, so that its start is paid once. Every process
writes its records into the study's store, which must be a folder that all machines share. Submitted batches that meet
their time limit, or make room for others, are queued again: trials that have a record are not run twice.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from harness.checks import within
from harness.errors import BadInput
from harness.run.workers import JobsDied
from harness.storage.places import install_command

POLL_S = 0.5
"""How often submitted jobs are asked whether they have ended."""
LEAST_SHARE = 4
"""A new array is submitted when this part of the places is free: arrays of one job each would flood a queue."""


@dataclass(frozen=True)
class JobBatch:
    """Holds the overrides of jobs that one process runs, and what Hydra needs to run them there.

    `first` is the number of the first job, `folder` and `path` are the working directory and the import path.
    """

    first: int
    overrides: tuple[tuple[str, ...], ...]
    context: HydraContext | None
    config: DictConfig | None
    task: TaskFunction | None
    state: Mapping[Any, Any]
    folder: str
    path: tuple[str, ...]

    def __call__(self) -> list[JobReturn]:
        """Runs the jobs one after the other; a job that fails says so in its return and does not end the others."""
        from hydra_plugins.hydra_joblib_launcher._core import execute_job

        os.chdir(self.folder)
        sys.path += [place for place in self.path if place not in sys.path]
        parts = self.context, self.config, self.task, dict(self.state)
        return [execute_job(self.first + at, list(words), *parts) for at, words in enumerate(self.overrides)]

    def checkpoint(self) -> Any:
        """Returns the batch as submitit queues it again when its time is over or the machine is taken away."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def cut_batches(
    jobs: Sequence[Sequence[str]],
    first: int,
    size: int,
    context: HydraContext | None,
    config: DictConfig | None,
    task: TaskFunction | None,
) -> list[JobBatch]:
    """Returns the jobs in batches of `size`, in order; BadInput unless the size is at least 1."""
    within("hydra.launcher.trials_per_job", size, 1, 10_000)
    state, here, path = Singleton.get_state(), os.getcwd(), tuple(filter(None, sys.path))
    said = [tuple(words) for words in jobs]
    return [
        JobBatch(first + at, tuple(said[at : at + size]), context, config, task, state, here, path)
        for at in range(0, len(said), size)
    ]


def run_by_submitit(
    batches: Sequence[JobBatch], *, cluster: str, folder: str, n_jobs: int, parameters: Mapping[str, Any]
) -> list[JobReturn]:
    """Runs batches as jobs of submitit on the `cluster` (local or slurm), at most `n_jobs` at once.

    `parameters` are submitit's own, `folder` keeps its scripts and logs. JobsDied if a job ended without a result;
    the others have ended by then. What stops this function cancels all jobs.
    """
    within("hydra.launcher.n_jobs", n_jobs, 1, 100_000)
    executor = _executor(cluster, folder, parameters)
    left, running, returns, dead = list(batches), dict[int, Any](), dict[int, list[JobReturn]](), list[str]()
    try:
        while left or running:
            free = left[: n_jobs - len(running)]
            if free and (len(free) == len(left) or len(free) >= n_jobs // LEAST_SHARE):
                submitted = executor.map_array(_run, free)
                running |= {batch.first: job for batch, job in zip(free, submitted, strict=True)}
                left = left[len(free) :]
            for first in [first for first, job in running.items() if job.done()]:
                _collect(first, running.pop(first), returns, dead)
            time.sleep(POLL_S if running else 0)
    except BaseException:
        for job in running.values():
            job.cancel()
        raise
    return _all(returns, dead)


def _run(batch: JobBatch) -> list[JobReturn]:
    return batch()


def _collect(first: int, job: Any, returns: dict[int, list[JobReturn]], dead: list[str]) -> None:
    """Keeps the returns of a job that has ended, or how it died."""
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        returns[first] = job.result()
    except (FailedJobError, UncompletedJobError):
        dead.append(f"job {job.job_id} ended without a result (state {job.state}); its log is {job.paths.stderr}")


def _executor(cluster: str, folder: str, parameters: Mapping[str, Any]) -> Any:
    """Returns submitit's executor; BadInput if it is not installed, knows no such cluster, or refuses a parameter."""
    try:
        import submitit
    except ImportError as error:
        raise BadInput(f"this launcher needs submitit: {install_command('slurm')}") from error
    place = Path(folder).expanduser().absolute()
    try:
        executor = submitit.AutoExecutor(folder=place, cluster=cluster)
        executor.update_parameters(**{name: value for name, value in parameters.items() if value is not None})
    except (RuntimeError, NameError, ValueError, TypeError) as error:
        raise BadInput(f"hydra/launcher: submitit cannot use cluster {cluster} here: {error}") from error
    return executor


def run_by_ray(
    batches: Sequence[JobBatch], *, address: str | None, n_jobs: int | None, resources: Mapping[str, Any]
) -> list[JobReturn]:
    """Runs batches as tasks of Ray: of the cluster at `address`, or of one that is started here for `n_jobs` at once.

    `resources` are what Ray reserves for a batch (`num_cpus`, `num_gpus`, `memory`). JobsDied if a task died.
    """
    try:
        import ray
    except ImportError as error:
        raise BadInput(f"hydra/launcher=ray needs Ray: {install_command('ray')}") from error
    said = {name: value for name, value in resources.items() if value}
    deaths = ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError, ray.exceptions.NodeDiedError
    returns, dead = dict[int, list[JobReturn]](), list[str]()
    with _ray_cluster(ray, address, n_jobs):
        remote = ray.remote(max_retries=0, **said)(_run)
        tasks = {batch.first: remote.remote(batch) for batch in batches}
        for first, task in tasks.items():
            try:
                returns[first] = ray.get(task)
            except deaths as error:
                dead.append(f"a task of Ray died: {type(error).__name__}")
    return _all(returns, dead)


@contextmanager
def _ray_cluster(ray: Any, address: str | None, n_jobs: int | None) -> Iterator[None]:
    """Joins a cluster, or starts one on this machine, during the block."""
    own = {} if address else {"num_cpus": n_jobs, "include_dashboard": False}
    ray.init(address=address, log_to_driver=False, configure_logging=False, **own)
    try:
        yield
    finally:
        ray.shutdown()


def _all(returns: Mapping[int, list[JobReturn]], dead: Sequence[str]) -> list[JobReturn]:
    """Returns the returns of all batches in order; JobsDied if one has none."""
    if dead:
        raise JobsDied("; ".join(dead))
    return [item for first in sorted(returns) for item in returns[first]]
