"""Defines Hydra's plugins: the sweeper of studies, launchers, and the search path of options and studies.

Hydra looks for plugins only in this namespace package; the code that they call is in `harness`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher
from omegaconf import DictConfig

from harness.commands.study import run_study
from harness.commands.terminal import say
from harness.orphans import end_with
from harness.run.batches import JobBatch, cut_batches, run_by_ray, run_by_submitit
from harness.run.config import plain
from harness.storage.places import conf_dir, own_conf

__all__ = ["Options", "OwnOptions", "RayLauncher", "Studies", "StudySweeper", "SubmititLauncher", "Workers"]

_GROUP = "experiments"


class StudySweeper(Sweeper):
    """Runs a study from Hydra, by `harness.commands.study`."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keeps what Hydra hands over and makes the launcher."""
        self.config, self.loader = config, hydra_context.config_loader
        make = Plugins.instance().instantiate_launcher
        self.launcher = make(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Runs the study."""
        assert self.config is not None
        assert self.launcher is not None
        return run_study(self.config, arguments, self.loader, self.launcher)


class _Batches(Launcher):
    """Keeps what Hydra hands over to a launcher of batches."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keeps the context, the function that runs a job, and the config."""
        self.context, self.task, self.config = hydra_context, task_function, config

    def cut(self, job_overrides: Sequence[Sequence[str]], first: int, size: int) -> list[JobBatch]:
        """Returns the jobs in batches."""
        assert self.config is not None
        return cut_batches(job_overrides, first, size, self.context, self.config, self.task)


class SubmititLauncher(_Batches):
    """Runs jobs in batches through submitit, see `harness.run.batches.run_by_submitit`."""

    def __init__(self, cluster: str, folder: str, n_jobs: int, trials_per_job: int, parameters: DictConfig) -> None:
        self.cluster, self.folder, self.n_jobs, self.size = cluster, folder, n_jobs, trials_per_job
        self.parameters = plain(parameters)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs the jobs and returns what each returned, in order."""
        batches = self.cut(job_overrides, initial_job_idx, self.size)
        place = self.folder.rpartition("/")[0]
        say(f"  {len(batches)} jobs of submitit ({self.cluster}); what they print is written to {place}")
        return run_by_submitit(
            batches, cluster=self.cluster, folder=self.folder, n_jobs=self.n_jobs, parameters=self.parameters
        )


class RayLauncher(_Batches):
    """Runs jobs in batches as tasks of Ray, see `harness.run.batches.run_by_ray`."""

    def __init__(self, address: str | None, n_jobs: int, trials_per_job: int, resources: DictConfig) -> None:
        self.address, self.n_jobs, self.size, self.resources = address, n_jobs, trials_per_job, plain(resources)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs the jobs and returns what each returned, in order."""
        batches = self.cut(job_overrides, initial_job_idx, self.size)
        say(f"  {len(batches)} tasks of Ray; what they print is in the logs of Ray")
        return run_by_ray(batches, address=self.address, n_jobs=self.n_jobs, resources=self.resources)


class Workers(JoblibLauncher):  # type: ignore[misc]
    """Launches trials as joblib does, in workers that end with the command even before they get a job."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, initializer=end_with, initargs=(os.getpid(),))


class Studies(FileConfigSource):
    """Shows Hydra only `experiments/` of a folder.

    As an ordinary source, every folder in it would become a config group, and an override such as `cache=…` would then
    be read as the choice of an option from a folder called cache.
    """

    @staticmethod
    def scheme() -> str:
        """Returns the prefix of this source's entries on the search path."""
        return "studies"

    def available(self) -> bool:
        """Returns whether the folder holds studies."""
        return super().is_group(_GROUP)

    def is_group(self, config_path: str) -> bool:
        """Returns whether it is `experiments` or a folder in it."""
        return _inside(config_path) and super().is_group(config_path)

    def is_config(self, config_path: str) -> bool:
        """Returns whether it is a study's file."""
        return _inside(config_path) and super().is_config(config_path)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Returns the studies in the folder, or the only group."""
        if not config_path.strip("/"):
            return [_GROUP] if results_filter in (None, ObjectType.GROUP) else []
        return super().list(config_path, results_filter) if _inside(config_path) else []


class OwnOptions(FileConfigSource):
    """Shows Hydra the groups of the user's own `conf/` and not the files at its top.

    A `config.yaml` of the user's would otherwise replace the harness's own.
    """

    @staticmethod
    def scheme() -> str:
        """Returns the prefix of this source's entries on the search path."""
        return "options"

    def is_config(self, config_path: str) -> bool:
        """Returns whether it is an option within a group."""
        return "/" in config_path.strip("/") and super().is_config(config_path)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Returns the options of a group, or all groups."""
        return super().list(config_path, results_filter if config_path.strip("/") else ObjectType.GROUP)


class Options(SearchPathPlugin):
    """Adds the user's own `conf/` before ours, and the user's `experiments/` before the harness's studies."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Adds the folders that exist; the user's own always have priority over the harness's."""
        here, own = Path.cwd(), conf_dir().parent
        _prefer_own_launchers()
        options = own_conf()
        if options:
            search_path.prepend("harness", f"options://{options}")
        for folder in dict.fromkeys((here, own)):
            if (folder / _GROUP).is_dir():
                search_path.append("harness", f"studies://{folder}")


def _prefer_own_launchers() -> None:
    """Forgets other plugins' launchers that have a name of ours: Hydra would take them as the schema of our files."""
    stored = ConfigStore.instance().repo.get("hydra", {}).get("launcher", {})
    for file in (conf_dir() / "hydra" / "launcher").glob("*.yaml"):
        stored.pop(file.name, None)


def _inside(config_path: str) -> bool:
    return config_path.strip("/").split("/")[0] == _GROUP
