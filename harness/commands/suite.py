"""Runs a suite: plans the study of every task, runs what is missing of each in turn, and reports over all of them.

Each task's study is a command of its own, `harness -m` with the study's sweeper: it runs, stops, goes on and reports as
any study does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig

from harness.analysis.study import Study, gather
from harness.analysis.suite import SuiteAnswer, TaskResult, gather_suite
from harness.arm import factor_of
from harness.checks import choices
from harness.commands.option_files import check_option_files
from harness.commands.overrides import load_config, option_loader
from harness.commands.study import PlannedArm, PlannedTrial, compose_arms, plan_study, seeds_of
from harness.commands.suite_files import Suite, SuiteTask, read_suite
from harness.commands.terminal import HYDRA_ERRORS, is_debugging, one_line, say, tell_damaged
from harness.errors import BadInput
from harness.notices import notice
from harness.report.suite import write_suite
from harness.run.config import plain
from harness.run.execute import check_fit, make_job, study_store
from harness.run.options import build
from harness.storage.places import is_there
from harness.storage.store import Store
from harness.storage.suite_plan import (
    SuiteEntry,
    SuitePlan,
    find_suite_plan,
    keep_suite_plan,
    read_suite_plan,
    suite_folder,
)

_PASSED = ("store", "cache", "track", "device", "threads", "retry", "rerun", "seeds", "protocol", "probe", "hydra")
"""What the words of the command may set for all studies; everything else is in the suite's file."""
_STOPPED = (130, -2)
NOT_ASKED = "no command has asked for it yet"


@dataclass(frozen=True)
class TaskPlan:
    """Holds what is known of a task before anything runs: its overrides, its trials, and the arms that do not fit it.

    `todo` are the keys of the trials that have no record yet.
    """

    task: SuiteTask
    words: tuple[str, ...]
    trials: Sequence[PlannedTrial]
    left_out: Mapping[str, str]
    todo: frozenset[str]
    store: Store


def run_suite(words: Sequence[str]) -> int:
    """Runs what is missing of every task of a suite, and writes its report; returns the worst exit code of a study.

    `words` are those of the command: `suite=NAME`, `tasks=NAME,NAME`, `data=FOLDER`, `tasks.NAME.path=PATH`, and what
    all studies share (`store=`, `seeds=`, `protocol.…`). BadInput with the faults of all tasks before anything runs.
    """
    said = parse_words(words)
    suite = read_suite(said.suite, said.data, said.paths)
    plans = prepare(suite, chosen_tasks(suite, said.tasks), said.rest)
    code = run_in_turn(plans, trials_at_once(said.rest))
    print("\n".join(map(str, report_suite(store_root(plans), suite.name))))
    return code


def prepare(suite: Suite, chosen: Sequence[SuiteTask], rest: Sequence[str]) -> list[TaskPlan]:
    """Returns the plans of the chosen tasks whose data is there, and says what is left out and what is to run.

    Keeps the suite's plan in the store. BadInput with the faults of all tasks, and if no data is there.
    """
    absent = {task.name: why for task in chosen if (why := why_absent(task))}
    for name, why in absent.items():
        say(f"left out: {name}: {why}")
    plans = _plan_all(suite, [task for task in chosen if task.name not in absent], rest)
    if not plans:
        raise BadInput(f"suite '{suite.name}': the data of none of its tasks is there")
    _keep_plan(store_root(plans), suite, chosen, absent, plans)
    for plan in plans:
        for arm, why in plan.left_out.items():
            say(f"left out of {plan.task.name}: {arm}: {why}")
    trials, todo = sum(len(plan.trials) for plan in plans), sum(len(plan.todo) for plan in plans)
    say(f"suite {suite.name}: {len(plans)} of {len(suite.tasks)} tasks, {trials} trials, {todo} to run")
    return plans


def store_root(plans: Sequence[TaskPlan]) -> Path:
    """Returns the folder in which the studies of these plans lie."""
    return plans[0].store.folder.parent


# The words of the command


@dataclass(frozen=True)
class SuiteWords:
    """Holds what a command says of a suite: its name, its tasks and their paths, and what all studies share."""

    suite: str
    tasks: tuple[str, ...]
    data: str | None
    paths: Mapping[str, str]
    rest: tuple[str, ...]


def parse_words(words: Sequence[str]) -> SuiteWords:
    """Sorts the words of the command; BadInput for one that would change what the suite's file says."""
    single = [word for word in words if word.startswith("suite=")]
    if not {"-m", "--multirun"} & set(words):
        raise BadInput(f"a suite consists of studies: run it as harness -m {' '.join(words)}")
    if len(single) != 1 or single[0] == "suite=":
        raise BadInput("name one suite: harness -m suite=NAME")
    pairs = [word.partition("=")[::2] for word in words if "=" in word]
    rest = tuple(word for word in words if "=" in word and factor_of(word) not in ("suite", "tasks", "data"))
    for word in rest:
        if factor_of(word) not in _PASSED:
            raise BadInput(
                f"{word} cannot be set for a whole suite: write it into suites/NAME.yaml; the command takes suite, "
                f"tasks, data, tasks.NAME.path, {', '.join(_PASSED)}"
            )
    flags = [word for word in words if "=" not in word and word not in ("-m", "--multirun")]
    if flags:
        raise BadInput(f"'{flags[0]}' means nothing to a suite")
    paths = {name.removeprefix("tasks.").removesuffix(".path"): value for name, value in pairs if _is_path(name)}
    odd = [name for name, _ in pairs if name.startswith("tasks.") and not _is_path(name)]
    if odd:
        raise BadInput(f"{odd[0]} cannot be set: of a task the command takes its path alone, as tasks.NAME.path=PATH")
    last = dict(pairs)
    named = tuple(filter(None, last.get("tasks", "").strip("[]").split(",")))
    return SuiteWords(single[0].partition("=")[2], named, last.get("data"), paths, rest)


def _is_path(name: str) -> bool:
    return name.startswith("tasks.") and name.endswith(".path") and len(name) > len("tasks..path")


def chosen_tasks(suite: Suite, names: Sequence[str]) -> list[SuiteTask]:
    """Returns the tasks of those names, all without a name; BadInput for an unknown one."""
    known = [task.name for task in suite.tasks]
    for name in names:
        if name not in known:
            raise BadInput(f"suite '{suite.name}' has no task '{name}'{choices(name, known)}")
    return [task for task in suite.tasks if not names or task.name in names]


def why_absent(task: SuiteTask) -> str:
    """Returns why a task cannot run, with the line that says where to get its data; "" if its data is there."""
    if task.path is None or is_there(task.path):
        return ""
    source = f"; get it from: {task.where}" if task.where else ""
    return f"no data at {task.path}: say where it lies with data=FOLDER or tasks.{task.name}.path=PATH{source}"


# The plan


def overrides_of(suite: Suite, task: SuiteTask) -> list[str]:
    """Returns the overrides that make the study of a task, without its arms."""
    chosen = [item for item in task.baseline if "." not in item.partition("=")[0]]
    inner = [item for item in task.baseline if item not in chosen]
    parameters = {**task.parameters, **({"path": task.path} if task.path is not None else {})}
    return [
        f"task={task.option}",
        *(f"task.{name}={in_hydra(value)}" for name, value in parameters.items()),
        *(f"{factor_of(item)}@baseline.{item}" for item in chosen),
        *(f"baseline.{item}" for item in inner),
        *(f"protocol.{name}={in_hydra(value)}" for name, value in task.protocol.items()),
        f"study={suite.study(task)}",
        f"seeds={in_hydra(suite.seeds)}",
    ]


def in_hydra(value: Any) -> str:
    """Returns a value as an override writes it: texts in quotes, so that each sign of them means itself."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return "'" + value.replace("\\'", "\\\\'").replace("'", "\\'") + "'"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{in_hydra(one)}" for name, one in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(in_hydra, value)) + "]"
    return str(value)


def _plan_all(suite: Suite, tasks: Sequence[SuiteTask], rest: Sequence[str]) -> list[TaskPlan]:
    """Returns the plan of each task; BadInput lists the faults of all tasks, one per line."""
    loader, plans, faults = option_loader(), list[TaskPlan](), list[str]()
    for task in tasks:
        base = [*overrides_of(suite, task), *rest]
        try:
            with notice(f"checking the study of {task.name}"):
                plans.append(plan_task(task, base, loader))
        except BadInput as error:
            faults += [f"{task.name}: {line}" for line in str(error).splitlines()]
        except HYDRA_ERRORS as error:
            faults.append(f"{task.name}: {one_line(error, base)}")
    if faults:
        raise BadInput("\n".join(faults))
    return plans


def plan_task(task: SuiteTask, base: Sequence[str], loader: ConfigLoaderImpl) -> TaskPlan:
    """Returns the plan of a task's study: the arms that fit it, and the reasons of those that do not.

    BadInput for a fault in an option, for a baseline that does not fit the task, and for a task of another modality.
    """
    composed: dict[tuple[str, ...], DictConfig] = {}

    def compose(said: list[str]) -> DictConfig:  # once for the fit and for the plan: it takes a third of a second
        if tuple(said) not in composed:
            composed[tuple(said)] = load_config(said, loader)
        return composed[tuple(said)]

    check_option_files([*base, *(item for arm in task.arms for item in arm)])
    fitting, left_out = _sort_arms(task, list(base), compose)
    if not fitting:
        raise BadInput(f"none of its arms fits the task; the first: {next(iter(left_out.values()), 'it has no arm')}")
    words = [*base, f"arms={in_hydra(list(map(list, fitting)))}"]
    study = compose(words)
    trials, store = plan_study(study, list(base), compose), study_store(study)
    keys = [item.row["key"] for item in trials]
    every = bool(study.rerun)
    todo = frozenset(keys if every else store.unfinished(keys, bool(study.retry)))
    return TaskPlan(task, tuple(words), trials, left_out, todo, store)


def _sort_arms(
    task: SuiteTask, base: list[str], compose: Callable[[list[str]], DictConfig]
) -> tuple[list[PlannedArm], dict[str, str]]:
    """Returns the arms that fit the task, and why each of the others does not."""
    seed = seeds_of(compose(base))[0]
    composed, faults = compose_arms([(), *task.arms], base, seed, compose)
    if faults:
        raise BadInput("\n".join(faults))
    source = build(plain(composed[()].task))
    data = source.split(seed)
    if data.modality != task.modality:
        raise BadInput(f"its data is of modality {data.modality}, and the suite says {task.modality}")
    reasons = {arm: check_fit(make_job(cfg, list(arm), source), data) for arm, cfg in composed.items()}
    if reasons[()]:
        raise BadInput("\n".join(reasons[()]))
    return [arm for arm in task.arms if not reasons[arm]], {
        " ".join(arm): "; ".join(lines) for arm, lines in reasons.items() if lines
    }


def _keep_plan(
    root: Path, suite: Suite, chosen: Sequence[SuiteTask], absent: Mapping[str, str], plans: Sequence[TaskPlan]
) -> None:
    """Writes which tasks the suite has, and which tasks and arms were left out; tasks not chosen keep their entry."""
    earlier = find_suite_plan(root, suite.name)
    entries = {entry.name: entry for entry in earlier.tasks} if earlier else {}
    names, left_out = {task.name for task in chosen}, {plan.task.name: plan.left_out for plan in plans}
    for task in suite.tasks:
        before = entries.get(task.name, SuiteEntry(task.name, suite.study(task), task.modality, NOT_ASKED))
        now = replace(before, why=absent.get(task.name, ""), left_out=left_out.get(task.name, before.left_out))
        entries[task.name] = replace(now if task.name in names else before, modality=task.modality)
    keep_suite_plan(root, SuitePlan(suite.name, tuple(entries[task.name] for task in suite.tasks)))


# The run


def run_in_turn(plans: Sequence[TaskPlan], workers: int) -> int:
    """Runs the studies one after another; returns the worst exit code, as a shell would give it."""
    codes = [0]
    for number, plan in enumerate(plans, 1):
        head = f"task {number} of {len(plans)}: {plan.task.name}: {len(plan.trials)} trials"
        if not plan.todo and _is_reported(plan):
            failed = sum(plan.store.failure(item.row["key"]) is not None for item in plan.trials)
            say(f"{head}, nothing to run{f', {failed} failed (retry=true runs them again)' if failed else ''}")
            codes.append(1 if failed else 0)
            continue
        say(f"{head}, {len(plan.todo)} to run, {_estimate(plans, number - 1, workers)}")
        codes.append(_run_study(plan))
        if codes[-1] in _STOPPED:
            raise KeyboardInterrupt
    return max(code if code >= 0 else 128 - code for code in codes)


def _is_reported(plan: TaskPlan) -> bool:
    """Returns whether the study's own plan holds the same trials, and its page is there."""
    kept = plan.store.plan() or {"trials": []}
    same = [row["key"] for row in kept["trials"]] == [item.row["key"] for item in plan.trials]
    return same and (plan.store.folder / "index.html").is_file()


def _run_study(plan: TaskPlan) -> int:
    """Runs one study as a command of its own; what it prints of its table stands in its folder."""
    words = ["-m", "harness", "-m", "hydra/sweeper=study", *plan.words, *["--debug"] * is_debugging()]
    return subprocess.run([sys.executable, *words], check=False, stdout=subprocess.DEVNULL).returncode


def _estimate(plans: Sequence[TaskPlan], number: int, workers: int) -> str:
    """Returns in words how long the tasks from place `number` on will take, from the times of trials that are done."""
    rates = {plan.task.name: _seconds(plan) for plan in plans}
    known = [rate for rate in rates.values() if rate is not None]
    if not known:
        return "no estimate yet"
    usual = sum(known) / len(known)
    left = [(len(plan.todo), rates[plan.task.name]) for plan in plans[number:]]
    seconds = sum(count * (usual if rate is None else rate) for count, rate in left) / workers
    told = f"about {seconds:.0f} s" if seconds < 120 else f"about {seconds / 60:.0f} min"
    return f"{told} for it and the tasks after it"


def _seconds(plan: TaskPlan) -> float | None:
    """Returns the mean time of a task's trials that have a record, in seconds; None without one."""
    records = [plan.store.read(item.row["key"]) for item in plan.trials]
    known = [float(record["cost"]["wall_s"]) for record in records if record and "wall_s" in record["cost"]]
    return sum(known) / len(known) if known else None


def trials_at_once(words: Sequence[str]) -> int:
    """Returns how many trials run side by side, as the words say it; one a core unless they name a number."""
    said = [word.partition("=")[2] for word in words if word.startswith("hydra.launcher.n_jobs=")]
    return int(said[-1]) if said and said[-1].isdigit() and int(said[-1]) > 0 else os.cpu_count() or 1


# The report


def report_suite(store: Path, name: str) -> list[Path]:
    """Writes the report of a suite from the records in the store; returns the paths. BadInput without a record."""
    answers = answers_of(store, name)
    with notice(f"computing and drawing the report of suite {name}"):
        return write_suite(suite_folder(store, name), answers)


def answers_of(store: Path, name: str) -> SuiteAnswer:
    """Returns the answers over the tasks of a suite from the records in the store; BadInput without a record."""
    plan = read_suite_plan(store, name)
    return gather_suite(name, [TaskResult(one, study_in(store / one.folder, one.name)) for one in plan.tasks])


def study_in(folder: Path, task: str) -> Study | None:
    """Returns the study in a folder; None if it has no sound record."""
    if not any((folder / "trials").glob("*.json")):
        return None
    tell_damaged(Store(folder))
    with notice(f"computing the answers of {task}"):
        return gather(Store(folder)) if Store(folder).records() else None
