"""Runs a command line; exit codes: 0 for success, 2 for wrong input, 1 for a failed trial, 130 when interrupted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import traceback
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from harness.analysis.degenerate import degenerate_notes, find_degenerate
from harness.analysis.effects import trial_interval
from harness.checks import choices
from harness.commands.help import COMMANDS, module_of
from harness.commands.option_files import check_option_files
from harness.commands.overrides import refuse_odd_choices, swept_studies
from harness.commands.terminal import (
    DEBUG,
    HYDRA_ERRORS,
    curve,
    failure_lines,
    is_debugging,
    one_line,
    say,
    tell_leftovers,
    tell_read,
    unreadable,
)
from harness.errors import BadInput, TrialFailed
from harness.notices import PARENT, is_worker, notice
from harness.orphans import end_with_parent
from harness.run.execute import Job, check_files, check_fit, delta, keep_rows, make_job, settle, tracker
from harness.run.provenance import RERUN
from harness.run.workers import Stopped, stopped_by_signals
from harness.storage.cache import Cache
from harness.storage.places import conf_dir, expand_home, own_conf, shadowed_options
from harness.storage.store import Record, TestSet


class _PastHydra(BaseException):
    """Carries an error of a single job past Hydra, which would print its own message."""


def main(argv: list[str] | None = None) -> int:
    """Runs one command; an error that a user can cause is printed as one line per fault on standard error."""
    words = sys.argv[1:] if argv is None else list(argv)
    os.environ[DEBUG] = "1" if {"--debug", "hydra.verbose=true", "hydra.verbose=True"} & set(words) else "0"
    words = [word for word in words if word != "--debug"]
    command = _elsewhere(words[0]) if words and words[0] in COMMANDS else run_words
    try:
        with stopped_by_signals():
            return command(words)
    except BrokenPipeError:
        raise
    except _PastHydra as carrier:
        return _report_error(carrier.args[0], words)
    except (BadInput, TrialFailed, OSError, *HYDRA_ERRORS) as error:
        return _report_error(error, words)
    except (yaml.YAMLError, UnicodeError) as error:
        return _report_error(BadInput(unreadable(error)), words)
    except RecursionError:
        said = "options refer to each other in a circle, by their `defaults` or by ${…}: cut it in your own files"
        return _report_error(BadInput(said), words)
    except KeyboardInterrupt as stop:
        say("harness: stopped; finished trials are kept, and the same command goes on from there")
        return stop.code if isinstance(stop, Stopped) else 130


def _report_error(error: BaseException, words: list[str]) -> int:
    """Prints an error, one line per fault, with --debug its traceback first, and returns the exit code."""
    if is_debugging():
        say("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, OSError) and not isinstance(error, HYDRA_ERRORS):  # a missing config is of both types
        where = error.filename or "a file"
        say(f"harness: cannot read or write {where}: {error.strerror or error}; finished trials are kept")
        return 1
    text = one_line(error, [word for word in words if "=" in word]) if isinstance(error, HYDRA_ERRORS) else str(error)
    for line in text.splitlines():
        say(f"harness: {line}")
    return 1 if isinstance(error, TrialFailed) else 2


def run_words(words: list[str]) -> int:
    """Runs the trial, the sweep or the study of these words through Hydra; returns the exit code."""
    if words and words[0].isidentifier():
        raise BadInput(f"unknown command '{words[0]}'{choices(words[0], COMMANDS)}; options are written as group=NAME")
    words = [re.sub("^experiment=", "experiments=", word) for word in words]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors arrive as exceptions, and `main` prints them in one line
    os.environ[RERUN] = uuid.uuid4().hex
    os.environ[PARENT] = str(os.getpid())
    _importable_from_here()
    _say_own_options()
    check_option_files(words)
    refuse_odd_choices(words)
    if any(word.startswith("suite=") for word in words):
        return import_module("harness.commands.suite").run_suite(words)
    studies = swept_studies(words)
    if studies is not None:
        return _run_in_turn(words, studies)
    sys.argv = [sys.argv[0], *words]
    run_one()
    return 0


def _run_in_turn(words: list[str], studies: list[str]) -> int:
    """Runs several studies one after another, each as a command of its own; returns the worst exit code.

    BadInput if no study matches. For a study that a signal ended it is, as in a shell, 128 plus the signal's number.
    """
    if not studies:
        raise BadInput(f"no study matches {next(word for word in words if word.startswith('experiments='))}")
    rest = [word for word in words if not word.startswith("experiments=")] + ["--debug"] * is_debugging()
    codes = []
    for number, study in enumerate(studies, 1):
        say(f"study {number} of {len(studies)}: {study}")
        codes.append(
            subprocess.run([sys.executable, "-m", "harness", *rest, f"experiments={study}"], check=False).returncode
        )
        if codes[-1] in (130, -2):
            raise KeyboardInterrupt
    return max(code if code >= 0 else 128 - code for code in codes)


def _say_own_options() -> None:
    """Prints which of the user's own options replace ours, and that a user's config.yaml is not read."""
    folder = own_conf()
    for option in shadowed_options():
        say(f"conf/{option.replace('=', '/')}.yaml: your own {option} is used instead of ours of that name")
    if folder and (folder / "config.yaml").is_file():
        say("conf/config.yaml is not read: options lie in conf/GROUP/NAME.yaml, studies in experiments/NAME.yaml")


def _importable_from_here() -> None:
    """Adds the working directory, where a user's functions are, to the module path of this process and its workers."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    paths = [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))


@hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")
def run_one(cfg: DictConfig) -> float | None:
    """Runs the trial that `cfg` describes and its control; returns the delta in points.

    Within a study the sweeper has checked everything and prints the progress; a single trial does both here.
    """
    end_with_parent()
    hydra_cfg = HydraConfig.get()
    try:
        return _one(cfg, hydra_cfg)
    except (BadInput, TrialFailed, OSError, *HYDRA_ERRORS) as error:
        if hydra_cfg.mode == RunMode.RUN or OmegaConf.is_config(cfg.get("experiments")):
            raise _PastHydra(error) from error
        raise


def _one(cfg: DictConfig, hydra_cfg: Any) -> float | None:
    in_study = hydra_cfg.mode == RunMode.MULTIRUN and hydra_cfg.sweeper._target_.endswith("StudySweeper")
    said = list(hydra_cfg.overrides.task)
    if not in_study and any((cfg.arms, cfg.cross, cfg.precision, cfg.budget)):
        raise _PastHydra(BadInput(_not_in_study(str(cfg.study), hydra_cfg.mode, said)))
    with nullcontext() if in_study else notice(f"reading the data of task {hydra_cfg.runtime.choices.get('task')}"):
        job = make_job(cfg, said)
    if not in_study:
        with notice("checking that the arm fits the data"):
            _refuse_misfits(job)
        if hydra_cfg.job.get("num", 0) == 0:
            tell_read(job.source.read)
            tell_leftovers(job.store, Cache(expand_home(cfg.cache, "cache")))
            tracker(cfg).begin()
        for line in job.store.damaged([job.trial.key, job.control().trial.key]):
            say(f"damaged record, made anew now: {line}")
        keep_rows(job)
    with nullcontext(job.tell) if in_study or is_worker() else curve(job.label) as tell:
        record, control = settle(replace(job, tell=tell))
    if not in_study:
        print(result_line(record, control, job.store.test_set), flush=True)
        for fact in ("adapted", "ignored", "reading"):
            if fact in record["facts"]:
                say(f"{fact}: {record['facts'][fact]}")
        for warning in degenerate_notes(find_degenerate([control], job.store.test_set)):
            say(warning)
    if record["status"] == "failed":
        raise TrialFailed("\n".join(failure_lines(record["arm"], record)))
    return delta(record, control)


def _not_in_study(study: str, mode: RunMode, said: list[str]) -> str:
    """Returns why arms are given and no study is run: a missing -m, or a study's file without its sweeper."""
    if mode == RunMode.MULTIRUN:
        return f"the file of study '{study}' needs, under defaults, the line '- override /hydra/sweeper: study'"
    return f"'{study}' is a study: run it as harness -m {' '.join(said)}"


def _refuse_misfits(job: Job) -> None:
    task = job.source.split(job.trial.seed)
    unfit = [*check_fit(job, task), *check_files([job], task)]
    if unfit:
        raise BadInput("\n".join(unfit))


def result_line(record: Record, control: Record, test_set: Callable[[str], TestSet]) -> str:
    """Returns a line with a trial's score, its control's, and the delta in points with its interval over test rows."""
    who = f"{record['arm']}, seed {record['seed']}"
    if record["status"] == "failed":
        return f"{who}: failed: {record['reason']}"
    score = f"{record['result']['metric']} {100 * record['result']['test']:.2f}"
    change = delta(record, control)
    if record["key"] == control["key"]:
        return f"{who}: {score} (this is the control)"
    if change is None:
        return f"{who}: {score}; no delta: the control failed: {control['reason']}"
    return (
        f"{who}: {score}, control {100 * control['result']['test']:.2f}, {_delta_in_words(record, control, test_set)}"
    )


def _delta_in_words(record: Record, control: Record, test_set: Callable[[str], TestSet]) -> str:
    """Words a trial's delta with the interval that its test rows give, or says that it has none."""
    from harness.report.leaderboard import effect_in_words, signed_number  # a study's own process needs no words

    try:
        found = trial_interval(record, control, test_set)
    except BadInput as error:
        return f"delta {signed_number(delta(record, control) or 0.0)} points (no interval: {error})"
    value, _, inside = effect_in_words(found).partition(" ")
    return (
        f"delta {value} points, 95 % interval {inside} over the {found.n_test:,} test rows (one seed: how much another "
        "training would change is not in it)"
    )


def _elsewhere(name: str) -> Callable[[list[str]], int]:
    """Returns a command, whose module is imported only when the command is called."""
    return lambda words: import_module(f"harness.commands.{module_of(name)}").command(words)
