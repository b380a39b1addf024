"""Runs `harness verify-entry`: checks a folder that somebody submits to a suite, and runs a sample of it again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import sklearn

from harness.arm import label_of
from harness.commands.again import how_they_differ, job_of, run_again
from harness.commands.arguments import parse
from harness.commands.enter import check_own_options, suite_digest
from harness.commands.overrides import option_loader
from harness.commands.study import PlannedTrial
from harness.commands.suite import overrides_of, plan_task, why_absent
from harness.commands.suite_files import Suite, SuiteTask, read_suite
from harness.commands.terminal import say
from harness.conformance.blindness import check_blind
from harness.conformance.promises import BrokenPromise
from harness.errors import BadInput, TrialFailed
from harness.notices import notice
from harness.run.execute import Job
from harness.storage.entries import RECORDS, Entry, read_entry
from harness.storage.places import PACKAGE
from harness.storage.store import Record, Store
from harness.streams import stream

SAMPLE = 1
"""Trials of each task that are run again, unless the command says another number."""


def command(words: list[str]) -> int:
    """Runs `harness verify-entry FOLDER [sample=1] [data=FOLDER]`.

    The options are checked as `harness check` does, the suite must be the one that was entered, and every record must
    be the one that this program would plan for it: the same data, seeds, protocol, parameters and code. A sample of the
    trials of each task is run again, and must give the same predictions, receipts and bill of labels, without opening a
    file of the task; one of them is run on changed test labels too, and must not notice. The code of the folder runs on
    your machine: read it first. Exit code 1 if anything speaks against the entry.
    """
    names, said = parse(words, ("sample", "data"))
    if len(names) != 1:
        raise BadInput("name the folder to verify: harness verify-entry FOLDER [sample=1] [data=FOLDER]")
    folder, sample = Path(names[0]).expanduser().resolve(), _count(said.get("sample", str(SAMPLE)))
    entry = read_entry(folder)
    data = None if "data" not in said else str(Path(said["data"]).expanduser().resolve())
    suite = _with_places(read_suite(entry.suite, data))
    faults = list(_changed(entry, folder))
    if suite_digest(entry.suite) != entry.suite_sha256:
        faults.append(f"suite {entry.suite} is another one here: its file differs from the one that was entered")
    if not faults:
        with _within(folder):
            faults = list(_verify(entry, suite, folder, sample))
    for line in faults:
        say(f"refused: {line}")
    if not faults:
        print(f"{label_of(entry.arm)} in suite {entry.suite}: nothing speaks against it")
    return 1 if faults else 0


def _with_places(suite: Suite) -> Suite:
    """Returns the suite with relative paths as seen from here, since the entry's folder will be the working one."""
    tasks = [replace(task, path=_seen_from_here(task.path)) for task in suite.tasks]
    return replace(suite, tasks=tuple(tasks))


def _seen_from_here(path: str | None) -> str | None:
    return path if path is None or path.startswith((PACKAGE, "~")) else str(Path(path).resolve())


def _count(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise BadInput(f"sample={word} must be a whole number, 1 or more")
    return int(word)


def _changed(entry: Entry, folder: Path) -> Iterator[str]:
    """Yields the files of the folder that are not those that were entered."""
    for name, digest in entry.files.items():
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            yield f"{name} is missing, or is not what was entered"


@contextlib.contextmanager
def _within(folder: Path) -> Iterator[None]:
    """Makes the folder the working directory during the block, so that its options and code are found."""
    with contextlib.chdir(folder):
        sys.path.insert(0, str(folder))
        try:
            yield
        finally:
            sys.path.remove(str(folder))


def _verify(entry: Entry, suite: Suite, folder: Path, sample: int) -> Iterator[str]:
    """Yields what speaks against an entry; an entry of which nothing could be verified is one."""
    try:
        check_own_options(entry.arm)
    except BadInput as error:
        yield str(error)
        return
    tasks = {task.name: replace(task, arms=(entry.arm,)) for task in suite.tasks}
    yield from (f"suite {suite.name} has no task '{name}'" for name in entry.studies if name not in tasks)
    entered = [task for name, task in tasks.items() if name in entry.studies]
    absent = {task.name: why for task in entered if (why := why_absent(task))}
    for name, why in absent.items():
        say(f"not verified: {name}: {why}")
    for name in [name for name in tasks if name not in entry.studies]:
        say(f"not entered: {name}")
    there = [task for task in entered if task.name not in absent]
    if not there:
        yield "nothing could be verified: the data of none of its tasks is there, or it was entered on none"
    for place, task in enumerate(there):
        yield from _verify_task(suite, task, Store(folder / RECORDS / entry.studies[task.name]), sample, place == 0)


def _verify_task(suite: Suite, task: SuiteTask, store: Store, sample: int, blind: bool) -> Iterator[str]:
    """Yields what speaks against an entry on one task; `blind` runs a trial on changed test labels too."""
    try:
        with notice(f"checking the records of {task.name}"):
            planned = _planned(suite, task)
    except BadInput as error:
        yield f"{task.name}: {error}"
        return
    wrong = list(_other_trials(planned, store, task.name))
    yield from wrong
    if wrong:
        return
    yield from _sampled(planned, store, task, sample)
    if blind:
        yield from _unblind(planned[0], task.name)


def _planned(suite: Suite, task: SuiteTask) -> list[PlannedTrial]:
    """Returns the trials of the arm on a task, as this program plans them."""
    with tempfile.TemporaryDirectory(prefix="harness-verify-") as folder:
        words = [*overrides_of(suite, task), f"store={folder}", "track=none"]
        return [item for item in plan_task(task, words, option_loader()).trials if not item.is_control]


def _other_trials(planned: Sequence[PlannedTrial], store: Store, task: str) -> Iterator[str]:
    """Yields which planned trials have no sound record, and what else the records that are there were made with."""
    yield from (f"{task}: {line}" for line in store.damaged())
    records = {record["key"]: record for record in store.records()}
    for item in planned:
        if item.row["key"] in records:
            continue
        arm, seed = item.row["arm"], item.row["seed"]
        alike = [one for one in records.values() if one["arm"] == arm and one["seed"] == seed]
        why = f"; the one that is there was made with another {_differ(alike[0], item)}" if alike else ""
        yield f"{task}: no record of {arm} at seed {seed} as this program plans it{why}"


def _differ(record: Record, planned: PlannedTrial) -> str:
    """Names the parts of a trial's identity in which a record differs from the planned trial."""
    mine: Mapping[str, Any] = planned.head["trial"]
    parts = [name for name in sorted({*mine, *record["trial"]}) if mine.get(name) != record["trial"].get(name)]
    return ", ".join(parts) or "version of the rules"


# The sample


def _sampled(planned: Sequence[PlannedTrial], store: Store, task: SuiteTask, sample: int) -> Iterator[str]:
    """Yields in which of the sampled trials another run gives another result, or opens files of the task."""
    rng = stream(0, "verify-entry", task.name)
    chosen = sorted(rng.choice(len(planned), min(sample, len(planned)), replace=False).tolist())
    for item in (planned[place] for place in chosen):
        head = f"{task.name}: {item.row['arm']} at seed {item.row['seed']}"
        record = store.read(item.row["key"])
        assert record is not None
        job, opened = job_of(item), set[str]()
        with notice(f"running {head} again"), tempfile.TemporaryDirectory(prefix="harness-verify-") as folder:
            try:
                made = run_again(job, Path(folder), _listening(opened))
            except TrialFailed as error:
                yield f"{head}: run again, it fails: {error}"
                continue
        if gap := how_they_differ(record, made):
            yield f"{head}: run again, {gap}"
        yield from (f"{head}: opened {path}, which holds the task's data" for path in _of_the_task(opened, job))
        if not gap:
            print(f"{head}: run again, the same predictions, receipts and labels", flush=True)


def _listening(opened: set[str]) -> Callable[[Callable[[], dict[str, Any]]], dict[str, Any]]:
    """Returns what runs a function and notes the files that Python opens meanwhile; native readers are not heard."""

    def run(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        listens = [True]

        def hear(event: str, arguments: tuple[Any, ...]) -> None:
            if listens[0] and event == "open" and isinstance(arguments[0], str | bytes):
                opened.add(os.path.realpath(os.fsdecode(arguments[0])))

        sys.addaudithook(hear)  # cannot be removed: it falls silent
        try:
            return work()
        finally:
            listens[0] = False

    return run


def _of_the_task(opened: set[str], job: Job) -> list[str]:
    """Returns which of the opened files hold the data of the task, its own or those of a package."""
    path = job.trial.task.get("path")
    places = [os.path.realpath(Path(str(path)).expanduser())] if path else []
    places.append(os.path.realpath(Path(sklearn.__file__).parent / "datasets" / "data"))
    return sorted(one for one in opened if any(one == place or one.startswith(place + os.sep) for place in places))


def _unblind(planned: PlannedTrial, task: str) -> Iterator[str]:
    """Yields what a trial sees that it must not: test labels, rows that it did not ask for, true classes."""
    job = job_of(planned)
    with notice(f"running a trial of {task} on changed test labels"), tempfile.TemporaryDirectory() as folder:
        try:
            check_blind(job.trial, job.source.split(job.trial.seed), Path(folder))
        except BrokenPromise as broken:
            yield f"{task}: {broken}"
