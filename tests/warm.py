"""Commands in processes that are forked from one that has imported what commands need.

An import of torch, scikit-learn and the harness takes five seconds of processor time, and the tests start a hundred
commands. Each is a process of its own all the same: with its own working directory, environment, output, process group
and exit code, and it runs the module `harness` as `python -m harness` does. What imports themselves do is tested by the
commands that `test_wheel.py`, `test_readme.py` and `test_run_twice.py` start in new interpreters.
"""

from __future__ import annotations

import atexit
import importlib
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import costs

from harness import notices

PRELOADED = [
    "warm", "harness.commands.study", "harness.commands.cli", "harness.commands.trials", "harness.commands.report", "harness.learners.sklearn",
    "harness.learners.torch", "harness.strategies.augment", "harness.strategies.clean", "harness.strategies.weak",
]  # fmt: skip
FILES = ("out", "err", "cpu")
"""What a command leaves: both outputs, and the processor time (s) of it and of its workers."""
_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(PRELOADED)
_TESTS, _ROOT = Path(__file__).parent, Path(__file__).parents[1]


class Command:
    """A running `harness` command, with the part of `subprocess.Popen` that tests use."""

    def __init__(self, words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._words, self._told = words, TemporaryDirectory()
        files = [str(Path(self._told.name) / name) for name in FILES]
        self._process = _CONTEXT.Process(target=_run, args=(list(words), str(folder), dict(environment), *files))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.exitcode

    def communicate(self, timeout: float) -> tuple[str, str]:
        """What it wrote to its output and to its error output, once it has ended."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(["harness", *self._words], timeout)
        with self._told:
            out, err, cpu = (_read(Path(self._told.name) / name) for name in FILES)
        costs.add(float(cpu or 0))
        return out, err


def _read(path: Path) -> str:
    """The text of a file; "" if it is not there, as that of a process that was killed."""
    return path.read_text() if path.exists() else ""


def _run(words: list[str], folder: str, environment: dict[str, str], out: str, err: str, cpu: str) -> None:
    """Becomes the process that `python -m harness` would be, and ends with its exit code."""
    os.setsid()
    for place, number in ((out, 1), (err, 2)):
        os.dup2(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    notices.PATIENCE_S = costs.PATIENT_S
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = [folder, str(_ROOT), *(place for place in sys.path if place not in ("", str(_TESTS), str(_ROOT)))]
    sys.argv = ["harness", *words]
    importlib.invalidate_caches()
    try:
        runpy.run_module("harness", run_name="__main__", alter_sys=True)
    finally:  # as an interpreter ends, which a forked process does not by itself
        threading._shutdown()
        atexit._run_exitfuncs()
        Path(cpu).write_text(str(costs.of_process()))
