"""Runs `harness enter`: an arm of one's own in a suite, where baselines and rivals have their records already.

The records of the others are copied from where they lie, so that what is published stays as it is; what lacks a record
is run. One trial a task that was brought along is run again, which shows whether scores of another machine agree.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import OmegaConf

import harness
from harness.arm import FACTORS, factor_of, label_of
from harness.commands import check
from harness.commands.again import how_they_differ, job_of, run_again
from harness.commands.overrides import option_loader
from harness.commands.suite import (
    SuiteWords,
    TaskPlan,
    answers_of,
    chosen_tasks,
    parse_words,
    prepare,
    report_suite,
    run_in_turn,
    store_root,
    trials_at_once,
)
from harness.commands.suite_files import Suite, SuiteTask, file_of_suite, read_suite
from harness.commands.terminal import say
from harness.errors import BadInput
from harness.notices import notice
from harness.report.entry import entry_lines
from harness.run.options import OTHER_FAMILY, family_of
from harness.run.sources import user_sources
from harness.storage.entries import CARD_FILE, RECORDS, Entry, keep_entry
from harness.storage.places import expand_home, is_own, own_conf
from harness.storage.store import Store

_ENTRIES, _RESULTS = "entries", "results"
_RULES = ("seeds", "protocol", "probe", "rerun")
"""What an entry that is submitted takes from the suite alone."""


@dataclass(frozen=True)
class _Asked:
    """Holds the words of the command: the suite's, the arm, where rivals' records lie, and the folder to submit."""

    suite: SuiteWords
    arm: tuple[str, ...]
    rivals: Path
    submit: Path | None


def command(words: list[str]) -> int:
    """Runs `harness enter suite=NAME clean=mine [results=results] [store=entries] [tasks=A,B] [submit=FOLDER]`.

    The arm may set any factor (model=, weak=, clean=, augment=), with parameters. Your own options are checked first.
    Baselines and rivals whose records lie in `results` are not run again, except for one trial a task, which shows
    whether that machine's scores agree with this one's; what lacks a record is run. Prints what the arm is worth over
    the tasks: over the baseline, its reference and the best rival of its family, what it costs, where it helps and
    where it hurts. `submit=FOLDER` writes its records, options and code for others to verify (`harness verify-entry`).
    """
    asked = _parse(words[1:])
    suite = read_suite(asked.suite.suite, asked.suite.data, asked.suite.paths)
    tasks = [_with_arm(task, asked.arm) for task in chosen_tasks(suite, asked.suite.tasks)]
    check_own_options(asked.arm)
    root = _store_of(asked.suite.rest)
    brought = {task.name: _bring(asked.rivals, root, suite.study(task)) for task in tasks}
    plans = prepare(suite, tasks, asked.suite.rest)
    label = label_of(asked.arm)
    if not any(_is_planned(asked.arm, plan) for plan in plans):
        raise BadInput("\n".join(f"{plan.task.name}: {plan.left_out[' '.join(asked.arm)]}" for plan in plans))
    for plan in plans:
        say(f"{plan.task.name}: {_what_is_there(plan, asked, brought[plan.task.name])}")
    for line in _drifts([plan for plan in plans if brought[plan.task.name]]):
        say(line)
    code = run_in_turn(plans, trials_at_once(asked.suite.rest))
    paths = report_suite(store_root(plans), suite.name)
    lines = entry_lines(answers_of(store_root(plans), suite.name), label, _rivals(asked.arm, plans))
    print("\n".join([*lines, "", str(next(path for path in paths if path.suffix == ".html"))]))
    if asked.submit is not None:
        _submit(asked, suite, plans, lines)
        print(asked.submit)
    return code


def _parse(words: Sequence[str]) -> _Asked:
    """Sorts the words of the command; BadInput without an arm, and for a submission under rules of its own."""
    own = {"results": _RESULTS, "submit": ""}
    for word in words:
        name, sign, value = word.partition("=")
        if sign and name in own:
            own[name] = value
    arm = tuple(word for word in words if "=" in word and factor_of(word) in FACTORS)
    rest = [word for word in words if word not in arm and word.partition("=")[0] not in own]
    if not arm:
        raise BadInput("name what you enter, as in: harness enter suite=open clean=mine")
    if not any(word.startswith("store=") for word in rest):
        rest.append(f"store={_ENTRIES}")
    submit = expand_home(own["submit"], "submit") if own["submit"] else None
    changed = [word for word in rest if factor_of(word) in _RULES]
    if submit and changed:
        raise BadInput(f"{changed[0]} changes the rules of the suite: what is submitted ran under them as they are")
    if submit and submit.exists():
        raise BadInput(f"{submit} is there already: name a new folder to submit")
    return _Asked(parse_words(["-m", *rest]), arm, expand_home(own["results"], "results"), submit)


def _with_arm(task: SuiteTask, arm: tuple[str, ...]) -> SuiteTask:
    """Returns a task of the suite with the arm among its own."""
    return replace(task, arms=tuple(dict.fromkeys([*task.arms, arm])))


def check_own_options(arm: Sequence[str]) -> None:
    """Checks the user's own options as `harness check` does; BadInput if one breaks a promise of its kind."""
    chosen = [word.partition("=") for word in arm if "." not in word.partition("=")[0]]
    if any(is_own(group, name) for group, _, name in chosen) and check.command(["check", *arm]):
        raise BadInput(f"{label_of(arm)} fails the checks above: mend it before it is compared with others")


def _store_of(words: Sequence[str]) -> Path:
    said = [word.partition("=")[2] for word in words if word.startswith("store=")]
    return expand_home(said[-1], "store")


def _is_planned(arm: tuple[str, ...], plan: TaskPlan) -> bool:
    """Returns whether the arm fits the task; the plan says why if it does not."""
    return any(item.arm == arm for item in plan.trials)


# The records of the others


def _bring(source: Path, target: Path, study: str) -> int:
    """Copies the finished records of a study that the target lacks, and the test sets; returns how many records."""
    if not (source / study).is_dir() or source.resolve() == target.resolve():
        return 0
    count = 0
    for part in ("tests", "trials"):
        for path in sorted((source / study / part).glob("*.json")):
            place = target / study / part / path.name
            if path.name.endswith(".failed.json") or place.exists():
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            count += part == "trials"
    return count


def _what_is_there(plan: TaskPlan, asked: _Asked, brought: int) -> str:
    """Says which trials of a task are to run: the arm's own, and those of others that have no record."""
    todo = [item for item in plan.trials if item.row["key"] in plan.todo]
    own = sum(item.arm == asked.arm for item in todo)
    others = len(todo) - own
    there = sum(item.arm != asked.arm for item in plan.trials) - others
    why = f", and {others} of others, which have no record with these versions of data and rules" if others else ""
    came = f" ({brought} copied from {asked.rivals})" if brought else ""
    return f"{own} trials of {label_of(asked.arm)} to run{why}; {there} records of others are there{came}"


def _drifts(plans: Sequence[TaskPlan]) -> Iterator[str]:
    """Yields, for each task with copied records, how the cheapest of the baseline's differs if it is run again."""
    for plan in plans:
        known = {item.row["key"]: plan.store.read(item.row["key"]) for item in plan.trials if item.is_control}
        sound = {key: record for key, record in known.items() if record}
        if not sound:
            continue
        key = min(sound, key=lambda one: float(sound[one]["cost"]["cpu_s"]))
        planned = next(item for item in plan.trials if item.row["key"] == key)
        with (
            notice(f"running a trial of {plan.task.name} again"),
            tempfile.TemporaryDirectory(prefix="harness-again-") as folder,
        ):
            gap = how_they_differ(sound[key], run_again(job_of(planned), Path(folder)))
        told = f"{plan.task.name}: the baseline at seed {planned.row['seed']} was run again here"
        where = "records of another machine or of other versions: to compare on this one alone, use rerun=true"
        yield f"{told}: {gap}; {where}" if gap else f"{told}: the same predictions"


def _rivals(arm: Sequence[str], plans: Sequence[TaskPlan]) -> set[str]:
    """Returns the labels of the suite's arms that set the same factor with an option of the same family."""
    chosen = [item for item in arm if "." not in item.partition("=")[0]]
    if len(chosen) != 1:
        return set()
    group, family = factor_of(chosen[0]), _family(chosen[0])
    arms = {item.arm for plan in plans for item in plan.trials if item.arm and item.arm != tuple(arm)}
    alike = [one for one in arms if {factor_of(item) for item in one} == {group}]
    return {label_of(one) for one in alike if family in (OTHER_FAMILY, _family(one[0]))}


def _family(override: str) -> str:
    group, _, name = override.partition("=")
    found = option_loader().repository.load_config(f"{group}/{name}")
    return family_of(group, dict(found.config)) if found else OTHER_FAMILY


# The folder to submit


def _submit(asked: _Asked, suite: Suite, plans: Sequence[TaskPlan], lines: Sequence[str]) -> None:
    """Writes the folder: the records of the arm and of the baseline, the author's options and code, and the card."""
    folder = asked.submit
    assert folder is not None
    entered = [plan for plan in plans if _is_planned(asked.arm, plan)]
    studies = {plan.task.name: suite.study(plan.task) for plan in entered}
    for plan in entered:
        keys = [item.row["key"] for item in plan.trials if item.is_control or item.arm == asked.arm]
        _copy_records(plan.store, folder / RECORDS / studies[plan.task.name], keys)
    files = _own_files(asked.arm)
    for name, path in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    keep_entry(folder, Entry(suite.name, suite_digest(suite.name), asked.arm, harness.__version__, studies, digests))
    (folder / CARD_FILE).write_text("\n".join([*_card(asked, suite, files), "```text", *lines, "```", ""]), "utf-8")


def _copy_records(store: Store, target: Path, keys: Sequence[str]) -> None:
    """Copies records of a store, and all of its test sets."""
    for part in ("trials", "tests"):
        (target / part).mkdir(parents=True, exist_ok=True)
    for key in dict.fromkeys(keys):
        if store.read(key) is not None:
            shutil.copyfile(store.folder / "trials" / f"{key}.json", target / "trials" / f"{key}.json")
    for path in sorted((store.folder / "tests").glob("*.json")):
        shutil.copyfile(path, target / "tests" / path.name)


def _own_files(arm: Sequence[str]) -> dict[str, Path]:
    """Returns the author's options and the Python files behind them, by their names in the folder."""
    folder, loader, files = own_conf(), option_loader(), dict[str, Path]()
    for group, _, name in (word.partition("=") for word in arm):
        if folder is not None and is_own(group, name):
            files[f"conf/{group}/{name}.yaml"] = folder / group / f"{name}.yaml"
            found = loader.repository.load_config(f"{group}/{name}")
            assert found is not None
            files |= {file: Path(file) for file in user_sources(OmegaConf.to_container(found.config))}
    for file, path in files.items():
        if not path.is_file():
            raise BadInput(f"{file} lies outside this folder: an entry's code must lie beside conf/, as it is imported")
    return files


def suite_digest(suite: str) -> str:
    """Returns the SHA-256 of a suite's file."""
    return hashlib.sha256(file_of_suite(suite).read_bytes()).hexdigest()


def _card(asked: _Asked, suite: Suite, files: Mapping[str, Path]) -> list[str]:
    """Returns the head of the card that people read."""
    return [
        f"# {label_of(asked.arm)} in the suite {suite.name}", "",
        "What it is: (write here what the method does, in two sentences, with its paper)", "",
        "What it needs: (labels, votes, weights, packages, a GPU)", "",
        f"Options and code: {', '.join(f'`{name}`' for name in files) or 'those of the program'}.", "",
        f"Verify it with `harness verify-entry FOLDER`; made with version {harness.__version__}.", "",
    ]  # fmt: skip
