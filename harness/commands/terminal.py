"""Prints what a user sees while trials run: counts, progress, and one line per error."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from harness.arm import BASELINE, FACTORS
from harness.checks import choices
from harness.commands.overrides import load_config, option_loader
from harness.notices import notice
from harness.run.config import plain
from harness.run.options import DECLARED
from harness.run.tracebacks import last_frames
from harness.storage.cache import Cache
from harness.storage.store import Record, Store

DEBUG = "HARNESS_DEBUG"
"""The environment variable by which a command asks its workers for complete tracebacks."""
HYDRA_ERRORS = (HydraException, OmegaConfBaseException)
_POLL_S, _LINE_EVERY_S = 0.5, 10.0


def say(line: str) -> None:
    """Prints a line on standard error, so that standard output holds only results."""
    print(line, file=sys.stderr, flush=True)


def is_debugging() -> bool:
    """Returns whether the command asks for complete tracebacks (`--debug`, or Hydra's `hydra.verbose=true`)."""
    return os.environ.get(DEBUG) == "1"


def failure_lines(label: str, record: Record) -> list[str]:
    """Returns why a trial failed: the reason, the last frames of the code that raised, and how to run it again."""
    text = record.get("traceback") or ""
    frames = text.rstrip().splitlines() if is_debugging() else last_frames(text)[:-1]
    more = ", --debug shows the whole traceback, and so does log.txt beside the trials" if text else ""
    lines = [f"{label}, seed {record['trial']['seed']}: {record['reason']}", *frames]
    return [*lines, f"retry=true runs failed trials again{more}"]


def announce(name: str, planned: int, todo: int) -> None:
    """Prints how many trials a study has and how many it will run."""
    kept = f", {planned - todo} are done already" if planned > todo else ""
    say(f"study {name}: {planned} trials{kept}, {todo} to run")


def unreadable(error: Exception) -> str:
    """Returns in one line where a YAML file is wrong, or that a file is not UTF-8."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        said = getattr(error, "problem", None) or "it is not YAML"
        return f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}: {said}"
    return f"a YAML file cannot be read as UTF-8 ({' '.join(str(error).split())[:200]}): save it as UTF-8"


def tell_damaged(store: Store) -> None:
    """Prints which records of a study are damaged, so that no answer uses them."""
    for line in store.damaged():
        say(f"damaged record, left out: {line}")


def tell_leftovers(store: Store, cache: Cache) -> None:
    """Removes what processes that died have left in the store and in the cache, and prints how much it was."""
    count = store.remove_leftovers() + cache.remove_leftovers()
    if count:
        say(f"removed {count} partial files and locks that processes which died have left")


def tell_read(lines: Sequence[str]) -> None:
    """Prints what was read of the data, guessed and left out: half of all mistakes with data are seen here."""
    for line in lines:
        say(f"  {line}")


def one_line(error: BaseException, said: Sequence[str] = ()) -> str:
    """Returns an error of Hydra's in one line, with the nearest known name if the overrides `said` misspell one."""
    while not str(error) and (error.__cause__ or error.__context__):  # Hydra wraps some errors without a word
        error = error.__cause__ or error.__context__ or error
    text = str(error) or f"the config cannot be composed ({type(error).__name__})"
    unknown = re.search(r"Could not (?:find|load) '([^']+)'", text)
    options = re.search(r"Available options in '[^']*':\n(.*?)(?:\n\n|\nConfig search path|\Z)", text, re.S)
    if unknown and options:
        group, _, name = unknown[1].rpartition("/")
        return f"{group} has no option '{name}'{choices(name, options[1].split())}"
    key = re.search(r"Could not override '([^']+)'", text)
    if key:
        return _unknown_key(key[1], said)
    return " ".join(line.strip() for line in text.splitlines() if line.strip())[:300]


def _unknown_key(key: str, said: Sequence[str]) -> str:
    """Returns the line for an override of an unknown parameter."""
    group, _, name = key.partition(".")
    known = _known(group if name else "", [item for item in said if item.lstrip("+").split("=")[0] != key])
    if name and known is None:
        return f"{key}: choose the option first, as in {group}=NAME {key}=…"
    return f"{group if name else 'the config'} has no parameter '{name or key}'{choices(name or key, known or [])}"


def _known(group: str, said: list[str]) -> list[str] | None:
    """Returns the parameters, in dotted form, that exist in a group, or for "" at the top, given the overrides `said`.

    None if the group has no option chosen.
    """
    try:
        cfg = load_config(said, option_loader())
    except HYDRA_ERRORS:  # another override is wrong as well, and is reported next
        return []
    if not group:
        return [*map(str, cfg), *FACTORS]
    node = OmegaConf.select(cfg, group)
    return _parameters(plain(node)) if OmegaConf.is_dict(node) else None


def _parameters(node: Mapping[str, Any], prefix: str = "") -> list[str]:
    own = [name for name in node if not name.startswith("_") and name not in DECLARED]
    inner = [_parameters(node[name], f"{prefix}{name}.") for name in own if isinstance(node[name], dict)]
    return [f"{prefix}{name}" for name in own if not isinstance(node[name], dict)] + [
        item for names in inner for item in names
    ]


@contextmanager
def curve(label: str) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """Shows the latest row of a training curve during the block, on a terminal; elsewhere a line every few seconds."""
    console = Console(stderr=True)
    if not console.is_terminal:
        with notice(label) as tell:
            yield lambda row: tell(_row_text(row))
        return
    with console.status(f"{label}: preparing") as status:
        yield lambda row: status.update(f"{label}: {_row_text(row)}")


def _row_text(row: Mapping[str, float | int]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in row.items())


@contextmanager
def progress(store: Store, arms: Mapping[str, str]) -> Iterator[None]:
    """Shows how many trials got a record in the block and how long the rest will take, until it ends.

    `arms` names the arm of each trial by its key: the time that is left is estimated for each arm.
    """
    stop = threading.Event()
    thread = threading.Thread(target=_watch, args=(store, arms, time.time(), stop), daemon=True)
    if arms:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if arms:
            thread.join()


def _watch(store: Store, arms: Mapping[str, str], begun: float, stop: threading.Event) -> None:
    """Reads progress from the store's file names, since the workers are other processes."""
    console = Console(stderr=True)
    left_column = TextColumn("{task.fields[left]}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), left_column)
    start, told, took = time.monotonic(), time.monotonic(), dict[str, float | None]()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("trials", total=len(arms), left="")
        while True:
            last = stop.wait(_POLL_S)
            for key in store.changed_since([key for key in arms if key not in took], begun):
                took[key] = _wall_s(store, key)
            elapsed = time.monotonic() - start
            failed, running = sum(seconds is None for seconds in took.values()), len(store.noted() & set(arms))
            left = ", ".join([*standing(elapsed, len(took), running, failed), time_left(elapsed, took, arms)])
            bar.update(task, completed=len(took), left=left)
            if not console.is_terminal and (last or time.monotonic() - told > _LINE_EVERY_S):
                told = time.monotonic()
                say(f"  {len(took)} of {len(arms)} trials, {elapsed:.0f} s, {left}")
            if last:
                return


def _wall_s(store: Store, key: str) -> float | None:
    """Returns how long a trial took, None if it failed."""
    record = store.read(key)
    return float(record["cost"].get("wall_s", 0.0)) if record else None


def standing(elapsed: float, done: int, running: int, failed: int) -> list[str]:
    """Returns in words how many trials run and failed, and how many end per minute; nothing of what there is none."""
    parts = [f"{running} running"] if running else []
    parts += [f"{failed} failed"] if failed else []
    return [*parts, f"{60 * done / elapsed:.3g} per minute"] if done and elapsed > 0 else parts


def time_left(elapsed: float, took: Mapping[str, float | None], arms: Mapping[str, str]) -> str:
    """Returns in words how long the rest will take: for each trial as long as those of its arm took on average.

    `took` holds the seconds of finished trials by key, None of failed ones, `arms` the arm of every trial. An arm of
    which none has finished counts as the mean of the arms that are known, without the baseline, which is cheap, if
    another is known. Trials are taken to run side by side as they did so far.
    """
    if len(took) == len(arms):
        return "done"
    if not took:
        return "no estimate yet"
    known: dict[str, list[float]] = {}
    for key, seconds in took.items():
        known.setdefault(arms[key], []).append(seconds or 0.0)
    means = {arm: sum(those) / len(those) for arm, those in known.items()}
    others = [mean for arm, mean in means.items() if arm != BASELINE] or list(means.values())
    rest = sum(means.get(arm, sum(others) / len(others)) for key, arm in arms.items() if key not in took)
    work = sum(seconds or 0.0 for seconds in took.values())
    seconds = rest * elapsed / work if work else elapsed / len(took) * (len(arms) - len(took))
    return f"about {seconds:.0f} s left" if seconds < 120 else f"about {seconds / 60:.0f} min left"
