"""Reports which code, versions and device made a record."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from threadpoolctl import threadpool_limits

import harness
from harness.checks import choices
from harness.storage.places import is_own

RERUN = "HARNESS_RERUN"
"""The environment variable that names the rerun of a command."""
_VERSIONED = ("torch", "numpy", "scikit-learn", "cleanlab", "snorkel", "transformers", "datasets", "hydra-core")


@contextlib.contextmanager
def one_thread(threads: int) -> Iterator[None]:
    """Limits every numeric library to that many threads.

    Results then do not depend on the launcher, and workers do not compete for processors.
    """
    import torch  # here and below: what runs no trial needs no torch, whose import takes seconds

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)


def device_of(cfg: DictConfig) -> str:
    """Returns the device that is asked for, or the best one available."""
    if cfg.device != "auto":
        return str(cfg.device)
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def device_faults(cfg: DictConfig) -> list[str]:
    """Returns why the device that is asked for is not available."""
    if cfg.device in ("auto", "cpu"):
        return []
    import torch

    there = {"auto": True, "cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if there.get(str(cfg.device).partition(":")[0]):
        return []
    return [f"device '{cfg.device}' is not here{choices(str(cfg.device), [name for name in there if there[name]])}"]


def describe_provenance(device: str, threads: int) -> dict[str, Any]:
    """Returns which code, versions and device made the record; nothing that names a person or a machine."""
    commit, dirty = _commit()
    name = _gpu() if device.startswith("cuda") else platform.machine()
    return {
        "harness": harness.__version__, "commit": commit, "dirty": dirty, "versions": _versions(),
        "python": platform.python_version(), "system": platform.system(), "device": f"{device} ({name})",
        "threads": threads, "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def _gpu() -> str:
    import torch

    return str(torch.cuda.get_device_name())


def rerun_of(cfg: DictConfig) -> str | None:
    """Returns the name of the rerun that this command makes, or None if it makes none.

    The command that starts it names it; its workers inherit the name, so each trial is repeated once.
    """
    return os.environ.setdefault(RERUN, "rerun") if cfg.rerun else None


def own_options() -> dict[str, list[str]]:
    """Returns the chosen options that come from the user's own `conf/`, as `group=name`; nothing if there are none."""
    if not HydraConfig.initialized():
        return {}
    chosen = ((str(group).partition("@")[0], name) for group, name in HydraConfig.get().runtime.choices.items())
    own = sorted({f"{group}={name}" for group, name in chosen if is_own(group, str(name))})
    return {"own_options": own} if own else {}


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
    """Returns the commit of the code if it runs from a checkout of this project, and whether files differ from it."""
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
