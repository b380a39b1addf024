"""Runs a study from Python, by the command itself in a process of its own.

A new process reads the user's functions as they are on disk now, as workers do: so the source in a trial's key is the
one that ran, also where a notebook has imported an earlier version.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import harness
from harness.api.results import StudyResults, load_study
from harness.api.study_files import StudyFiles, spell, write_files, write_study_files
from harness.commands.option_files import check_study_file
from harness.commands.overrides import load_config, option_loader, swept_studies
from harness.commands.study import SOME_FAILED
from harness.commands.terminal import say
from harness.errors import BadInput, TrialFailed
from harness.notices import PARENT
from harness.run.execute import study_store
from harness.run.provenance import RERUN
from harness.storage.places import expand_home

_WRONG_INPUT, _SAYS = 2, "harness: "
Streams = tuple[int, int]
HIDDEN: Streams = (subprocess.DEVNULL, subprocess.PIPE)
SHOWN: Streams = (subprocess.PIPE, subprocess.STDOUT)
"""Where a command's standard output and standard error go: the former is hidden, or heard together with the latter."""


def run_from_python(study: str | Path | Mapping[str, Any], *overrides: str) -> StudyResults:
    """Runs the missing trials of a study and returns its results; `harness.run` is this function.

    `study` is a name of `experiments/`, the path of a study's file, or a mapping: `study` (its name), `task`,
    `baseline`, `arms`, `seeds` and whatever else a study's file may hold, `probe`, `track`, and `workers`, their number
    (-1: one a core). A task is an option's name, parameters beside `option`, or rows in memory under `data`: a data
    frame, a `datasets.Dataset`, a pair of arrays (X, y), or a mapping of parts to these. An arm is text as on the
    command line, a mapping of keys to values, or a list of these; a value may be a function, a `functools.partial` or a
    `harness.Option`. `overrides` are words as on the command line.

    Progress and what was read are printed on standard error. BadInput with all faults before the first trial;
    TrialFailed if the study could not finish. Single failed trials give a warning and stay visible in the results.

    >>> own = harness.Option(least_sure, {"share": 0.1}, needs=["probe"])
    >>> study = harness.run({
    ...     "study": "mine", "task": {"data": frame, "label": "outcome"}, "baseline": {"model": "logistic_regression"},
    ...     "arms": ["model=random_forest", {"clean": own}], "seeds": 2,
    ... }, "track=none", "cache=cache", "hydra.launcher.n_jobs=1")
    >>> study.trials["status"].value_counts().to_dict()
    {'done': 6}
    """
    words = [str(word) for word in overrides]
    files = _files_of(study, words)
    for line in files.lines:
        say(line)
    path = [f"hydra.searchpath={spell([f'file://{files.folder}'])}"] if files.folder else []
    words = [f"experiments={files.name}", *path, *files.overrides, *words]
    check_ended(*run_command(["-m", *words], files.roots))
    return load_study(study_store(load_config(words, option_loader())).folder)


def check_ended(code: int, said: Sequence[str]) -> None:
    """Raises what a command that ended with this exit code said; single failed trials give a warning."""
    faults = "\n".join(line.removeprefix(_SAYS) for line in said if line.startswith(_SAYS))
    if code == _WRONG_INPUT:
        raise BadInput(faults)
    if code and SOME_FAILED not in faults:
        raise TrialFailed(faults or f"the command ended with exit code {code}: {' '.join(said[-1:])}")
    if code:
        warnings.warn(faults, stacklevel=4)


def _files_of(study: str | Path | Mapping[str, Any], words: Sequence[str]) -> StudyFiles:
    """Returns the files of the study; one that lies outside `experiments/` is copied to where Hydra finds it."""
    if isinstance(study, Mapping):
        return write_study_files(study, cache_of(study, words))
    path = Path(study).expanduser()
    if path.suffix not in (".yaml", ".yml"):
        if swept_studies([f"experiments={study}"]) is not None:
            raise BadInput(f"{study} names several studies: run them one by one")
        return StudyFiles(str(study))
    if not path.is_file():
        raise BadInput(f"there is no file {path}: give the path of a study's file, or the name of one in experiments/")
    if path.resolve().parent == Path("experiments").resolve():
        return StudyFiles(path.stem)
    check_study_file(path)
    content = path.read_text(encoding="utf-8")
    return StudyFiles(path.stem, write_files({f"experiments/{path.stem}.yaml": content}, cache_of({}, words)))


def cache_of(study: Mapping[str, Any], words: Sequence[str]) -> Path:
    """Returns the folder for files that are made from Python, in the study's cache."""
    chosen = [f"cache={study['cache']}"] if "cache" in study else []
    named = [word for word in words if word.startswith("cache=")]
    cache = str(load_config([*chosen, *named], option_loader()).cache)
    return (expand_home(cache, "cache") / "python").resolve()


def run_command(words: Sequence[str], roots: Sequence[Path], streams: Streams = HIDDEN) -> tuple[int, list[str]]:
    """Runs the command and repeats what it says on standard error as it says it; returns its exit code and the lines.

    With `SHOWN` that is also what it prints on standard output: the plan and the answer. It
    leads a process group of its own, so that an interrupt reaches it once, from here.
    """
    here = Path(harness.__file__).resolve().parents[1]
    paths = [*map(str, (*roots, here)), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {name: value for name, value in os.environ.items() if name not in (PARENT, RERUN)}
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    said: list[str] = []
    out, err = streams
    with subprocess.Popen(
        [sys.executable, "-m", "harness", *words], env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
        encoding="utf-8", errors="replace", start_new_session=True,
    ) as process:  # fmt: skip
        heard = process.stderr or process.stdout
        assert heard is not None
        try:
            for line in heard:
                said.append(line.rstrip("\n"))
                say(said[-1])
        except BaseException:
            process.terminate()  # it ends as by Ctrl-C in a terminal: finished trials are kept
            raise
    return process.returncode, said
