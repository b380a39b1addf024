"""Runs `harness ask DATA` and `harness init DATA`: from a file or a folder to a study, and to its verdict."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import joblib
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf, open_dict

from harness.asking.budget import FEWEST_SEEDS, ORDER, SEEDS, Design, detectable, fit_budget, let_go, seconds_of
from harness.asking.proposals import Facts, Proposal, baseline_of_modality, propose
from harness.asking.roles import Wishes
from harness.asking.study_file import check_free, study_text
from harness.asking.survey import Survey, describe_balance, look_at, task_name
from harness.checks import choices
from harness.commands.arguments import parse
from harness.commands.overrides import load_config, option_loader
from harness.commands.pace import start_of_process
from harness.commands.terminal import say
from harness.commands.timing import Timing, time_arm
from harness.data import Source, Task
from harness.errors import BadInput
from harness.notices import notice
from harness.report.verification import is_sheet
from harness.run.config import plain
from harness.run.execute import Job, check_fit, make_job
from harness.run.options import build

ROLES = ("label", "id", "group", "gold", "text", "image", "modality")
LISTS = ("votes", "ignore")
PARTS = ("train", "valid", "test")
OPTIONS = (*ROLES, *LISTS, *PARTS, "budget", "seeds", "name")
IN_FILE = ("task", "protocol", "price")
ON_LINE = ("store", "cache", "track", "device", "threads", "retry", "rerun", "hydra", "hydra/launcher")
"""What a study's command takes: what belongs into its file, and what stands on the command line."""
_USAGE = "harness ask DATA [label=COLUMN] [budget=10min] [--dry-run]"
BUDGET = "10min"


@dataclass(frozen=True)
class Request:
    """Holds what the user asked for: the data, what they said of columns and parts, and the settings of the study.

    `verified` is a file of verified test labels, which changes nothing but the scores.
    """

    command: str
    path: str
    name: str
    wishes: Wishes
    parts: Mapping[str, str | None]
    budget_s: float
    seeds: int
    in_file: tuple[str, ...]
    on_line: tuple[str, ...]
    dry: bool
    verified: str | None = None

    @property
    def file(self) -> Path:
        """Returns the path of the study's file."""
        return Path("experiments") / f"{self.name}.yaml"


@dataclass(frozen=True, eq=False)
class Outlook:
    """Holds a study that is ready to be written: what was found, the design, and the lines that say both."""

    survey: Survey
    baseline: tuple[str, ...]
    design: Design
    lines: tuple[str, ...]


def command(words: list[str]) -> int:
    """Runs `harness ask DATA [label=COLUMN] [budget=10min] [--dry-run] …`: a verdict on a file or a folder.

    It says what it understood of the data and how to correct it, plans a study within the budget, runs it, and prints
    the answer. `label`, `text`, `id`, `group`, `gold`, `votes` and `ignore` name columns, `train`, `valid` and `test`
    files; `seeds` and `name` are the study's; `task.…`, `protocol.…` and `price.…` set its parameters. With --dry-run
    it prints the plan, its cost and the smallest difference that it can show, and stops. `gold` may also be a file of
    verified test labels, such as the `verify_these.csv` that the first run wrote: the same study is scored by them.
    """
    request = read_request(words)
    if check_free(request.file, request.command, request.name) != "same" or request.dry:
        plan = make_plan(request)
        if request.dry:
            return 0
        write_study(request, plan)
    else:
        say(f"going on with {request.file}, which this command has made")
    from harness.commands.cli import run_words  # the command line imports its commands, not the other way round

    gold = [f"task.gold={QuotedString(request.verified, Quote.single).with_quotes()}"] if request.verified else []
    return run_words(["-m", f"experiments={request.name}", *gold, f"budget={request.budget_s:g}s", *request.on_line])


def write_only(words: list[str]) -> int:
    """Writes the study that `command` would run, and stops."""
    request = read_request(words)
    check_free(request.file, request.command, request.name)
    write_study(request, make_plan(request))
    print(f"harness -m experiments={request.name}")
    return 0


def read_request(words: Sequence[str]) -> Request:
    """Returns what the words ask for; BadInput for an unknown one, and for no data or more than one path."""
    rest = [word for word in words[1:] if (words[0], word) != ("ask", "--dry-run")]
    mine = [word for word in rest if "=" not in word or _root(word) in OPTIONS or word.startswith("--")]
    others = [word for word in rest if word not in mine]
    unknown = [word for word in others if _root(word).partition(".")[0] not in (*IN_FILE, *ON_LINE)]
    if unknown:
        name = _root(unknown[0])
        raise BadInput(f"{words[0]} has no option '{name}'{choices(name, (*OPTIONS, *IN_FILE, *ON_LINE))}")
    paths, said = parse([words[0], *mine], OPTIONS)
    if len(paths) != 1:
        raise BadInput(f"name one file or folder: {_USAGE.replace('ask', words[0])}")
    in_file = tuple(word for word in others if _root(word).partition(".")[0] in IN_FILE)
    _check_roles(in_file)
    verified = said.pop("gold") if is_sheet(said.get("gold")) else None
    if verified and words[0] == "init":
        raise BadInput(
            f"gold={verified} names a file: harness ask scores by it, and so does harness report NAME gold=…"
        )
    lists = {name: _names(said[name]) for name in LISTS if name in said}
    wishes = Wishes(**{name: said.get(name) for name in ROLES}, **lists)  # type: ignore[arg-type]
    same = shlex.join(
        ["harness", "ask", paths[0], *sorted(f"{key}={value}" for key, value in said.items()), *sorted(in_file)]
    )
    return Request(
        same, paths[0], said.get("name") or task_name(paths[0]), wishes, {part: said.get(part) for part in PARTS},
        seconds_of(said.get("budget", BUDGET)), _seeds(said.get("seeds")), in_file,
        tuple(word for word in others if word not in in_file), "--dry-run" in words, verified,
    )  # fmt: skip


def _check_roles(in_file: Sequence[str]) -> None:
    """Requires that roles are named by this command's own options, from which the others are guessed."""
    for word in in_file:
        name = _root(word).removeprefix("task.")
        if _root(word) == "task" or name in (*OPTIONS, "path", "input", "weight"):
            raise BadInput(f"{word}: say {name}=… without 'task.'" if name in OPTIONS else f"{word} cannot be set here")


def _root(word: str) -> str:
    return word.partition("=")[0].lstrip("+-")


def _names(value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _seeds(value: str | None) -> int:
    if value is None:
        return SEEDS
    if not value.isdecimal() or not 2 <= int(value) <= 1000:
        raise BadInput(f"seeds is '{value}': it must be a whole number, 2 or more")
    return int(value)


# The plan


def make_plan(request: Request) -> Outlook:
    """Returns the study for the data and prints what was understood, what it costs and what it can show."""
    start = start_of_process()
    with notice(f"looking at {request.path}"):
        found = look_at(request.path, request.wishes, request.parts, request.name, request.command)
    _check_modality(request, found)
    loader = option_loader()
    settings = {**found.settings, **_nested(request.in_file).get("task", {})}
    compose = _composer(found.task, settings, request, loader)
    cfg = compose(())
    _print(f"{request.path}, as understood (each line names the option that corrects it):", _understood(found))
    with notice("reading the data"):
        source: Source = build(plain(cfg.task))
        task = source.split(0)
    facts = _facts(task, found)
    baseline = baseline_of_modality(facts)
    compose = _composer(found.task, settings, request, loader, baseline)
    fitting, left_out = _fitting(propose(facts), compose, source, task)
    begun = time.monotonic(), time.process_time()
    workers = _workers(compose(()), request)
    times, faults = _timed(fitting, compose, source, task, request.budget_s / 4, workers)
    kept = tuple(one for one in fitting if all(arm in times for arm in one.arms))
    whole = Design(
        kept, request.seeds, tuple(one for one in kept if one.side == "model"), len(task.train),
        held_out=len(task.valid) + len(task.test), whole=len(task.train),
        prices={arm: timing.seconds for arm, timing in times.items()},
        slowness=max(1.0, (time.monotonic() - begun[0]) / max(1e-3, time.process_time() - begun[1])),
    )  # fmt: skip
    _check_sides(whole, [*left_out, *faults])
    design = fit_budget(whole, request.budget_s, workers, max(200, 20 * len(task.classes)), time.monotonic() - start)
    lines = _planned(design, whole, task, times[()], workers, request, [*left_out, *faults])
    _print("the study:", lines)
    return Outlook(found, baseline, design, (*_understood(found), *lines))


def _check_modality(request: Request, found: Survey) -> None:
    asked = request.wishes.modality
    if asked is not None and found.roles is not None and found.roles.modality != asked:
        raise BadInput(
            f"modality={asked}, but these data are read as {found.roles.modality}: say text=COLUMN or image=COLUMN for "
            "the column to learn from, or modality=table"
        )


def _understood(found: Survey) -> list[str]:
    gold = found.task == "wrench" or (found.roles is not None and found.roles.gold is not None)
    first = [] if gold else ["Caution: nobody has verified the test labels (gold= names a column of true labels)"]
    missing = f"missing numbers: {found.missing} cells; the baseline fills them with the training rows' median"
    return [*first, *found.notes, *describe_balance(found.counts), *([missing] if found.missing else [])]


def _print(head: str, lines: Iterable[str]) -> None:
    print("\n".join([head, *(f"  {line}" for line in lines)]), flush=True)


Compose = Callable[[Sequence[str]], DictConfig]


def _composer(
    task: str, settings: Mapping[str, Any], request: Request, loader: ConfigLoaderImpl, baseline: Sequence[str] = (),
) -> Compose:  # fmt: skip
    """Returns the function that composes the config of an arm of the study."""
    line = [word for word in request.on_line if not _root(word).startswith("hydra")]
    rest = [word for word in request.in_file if not _root(word).startswith("task.")]

    def compose(arm: Sequence[str]) -> DictConfig:
        cfg = load_config([f"task={task}", *baseline, *rest, *line, *arm, "seed=0"], loader)
        unknown = [key for key in settings if key not in list(cfg.task)]
        if unknown:
            raise BadInput(f"task has no parameter '{unknown[0]}'{choices(unknown[0], [str(key) for key in cfg.task])}")
        with open_dict(cfg):
            cfg.task = OmegaConf.merge(cfg.task, OmegaConf.create(dict(settings), flags={"allow_objects": False}))
            cfg.study = request.name
        return cfg

    return compose


def _nested(overrides: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Returns overrides such as `task.n_train=100` as nested settings."""
    found: dict[str, dict[str, Any]] = {}
    for one in OverridesParser.create().parse_overrides(list(overrides)):
        root, _, key = str(one.key_or_group).partition(".")
        if not key or one.is_sweep_override():
            raise BadInput(f"{one.input_line}: write one value of one parameter, as in task.n_train=500")
        found.setdefault(root, {})[key] = one.value()
    return found


def _facts(task: Task, found: Survey) -> Facts:
    balance = describe_balance(found.counts)
    pool = int((~task.train.labelled).sum())
    return Facts(
        modality=task.modality, missing=bool(task.facts.get("missing")), uneven=bool(balance),
        duplicates=int(task.facts.get("duplicates", 0)), overlap=int(task.facts.get("overlap", 0)),
        voters=task.train.votes.shape[1], pool=pool, gold=bool((task.gold >= 0).any()), rows=len(task.train),
    )  # fmt: skip


def _fitting(
    proposals: Sequence[Proposal], compose: Compose, source: Source, task: Task
) -> tuple[list[Proposal], list[str]]:
    """Returns the proposals whose arms fit the task and this machine, and a line on each of the others."""
    kept, lines = list[Proposal](), list[str]()
    for one in proposals:
        faults = [line for arm in one.arms for line in check_fit(_job(arm, compose, source), task)]
        if faults:
            lines.append(f"not tried: {' '.join(one.arm)}: {faults[0]}")
        else:
            kept.append(one)
    return kept, lines


def _job(arm: Sequence[str], compose: Compose, source: Source) -> Job:
    return make_job(compose(arm), list(arm), source)


def _timed(
    proposals: Sequence[Proposal], compose: Compose, source: Source, task: Task, limit_s: float, workers: int
) -> tuple[dict[tuple[str, ...], Timing], list[str]]:
    """Returns the timings of the baseline and of the arms that ran, and a line on each other one.

    Sides take turns. After `limit_s` seconds, a quarter of the budget, no other arm is timed, once each side has one
    that takes no more than half of it: with a dear one alone, no study would fit.
    """
    times, lines, start = dict[tuple[str, ...], Timing](), list[str](), time.monotonic()
    rows = len(task.train)
    ordered = _in_turns(proposals)
    with tempfile.TemporaryDirectory() as folder, notice("timing the arms on few rows") as tell:
        cache = Path(folder)
        time_arm(_job((), compose, source), task, cache / "first")  # imports, which no arm shall be charged for
        times[()] = time_arm(_job((), compose, source), task, cache)
        if times[()].fault:
            raise BadInput(f"the baseline cannot run: {times[()].fault}")
        sides = set[str]()
        for number, one in enumerate(ordered, 1):
            tell(f"{number} of {len(ordered)}, {' '.join(one.arm)}")
            if time.monotonic() - start > limit_s and {"model", "data"} <= sides:
                lines.append(f"not timed within a quarter of the budget, and not tried: {' '.join(one.arm)}")
                continue
            new = {arm: time_arm(_job(arm, compose, source), task, cache) for arm in one.arms if arm not in times}
            faults = [f"not tried: {' '.join(arm)}: {timing.fault}" for arm, timing in new.items() if timing.fault]
            lines += faults
            times |= {arm: timing for arm, timing in new.items() if not timing.fault}
            spends = FEWEST_SEEDS * sum(timing.seconds.at(rows, rows) for timing in new.values()) / workers
            sides |= set() if faults or spends > 2 * limit_s else {one.side}
    return times, lines


def _in_turns(proposals: Sequence[Proposal]) -> list[Proposal]:
    """Returns the proposals with the two sides in turns, each in its order."""
    sides = [[one for one in proposals if one.side == side] for side in ("data", "model")]
    return [one for pair in zip_longest(*sides) for one in pair if one is not None]


def _check_sides(whole: Design, lines: Sequence[str]) -> None:
    """Requires an arm of each side: without both there is nothing to compare."""
    for side, arms in (("model", whole.of("model")), ("data", whole.of("data"))):
        if not arms:
            raise BadInput("\n".join([*lines, f"no {side} arm fits these data, so there is nothing to compare"]))


def _workers(cfg: DictConfig, request: Request) -> int:
    said = [word.partition("=")[2] for word in request.on_line if _root(word) == "hydra.launcher.n_jobs"]
    number = int(said[-1]) if said and said[-1].lstrip("-").isdecimal() else -1
    return joblib.cpu_count() if number < 1 else number


def _planned(
    design: Design, whole: Design, task: Task, baseline: Timing, workers: int, request: Request, left_out: Sequence[str]
) -> list[str]:
    """Returns the lines that say what will run, what was let go, what it costs, and what it can show."""
    minutes = design.seconds(workers) / 60
    models, data = (", ".join(" ".join(one.arm) for one in side) for side in (design.of("model"), design.of("data")))
    combined = f", {len(design.combinations)} combinations of both" if design.combinations else ""
    arms, lacks = len(design.arms) + len(design.combinations), let_go(whole, design)
    lines = [
        f"models: {models}",
        f"data: {data}; each beside its reference{combined}",
        f"{design.seeds} seeds x {1 + arms} arms = {design.trials} trials, about {minutes:.1f} min on {workers} "
        f"workers (budget {request.budget_s / 60:g} min)",
        f"let go for the budget: {'; '.join(lacks)}" if lacks else "all of it fits the budget",
        f"order of what is let go: {ORDER}",
        *left_out,
    ]
    least = detectable(baseline.error, len(task.test), design.seeds)
    return [
        *lines,
        f"what {len(task.test):,} test rows and {design.seeds} seeds can show: a difference of {least:.1f} points "
        f"(80 % power), if two arms disagree on {100 * baseline.error:.0f} % of the rows, as many as the baseline gets "
        f"wrong after {baseline.rows} training rows",
    ]


def write_study(request: Request, plan: Outlook) -> None:
    """Writes the study's file, and says so."""
    nested = _nested(request.in_file)
    settings = {**plan.survey.settings, **nested.pop("task", {})}
    text = study_text(
        request.name, plan.survey.task, settings, plan.baseline, plan.design, nested, plan.lines, request.command
    )
    request.file.parent.mkdir(exist_ok=True)
    request.file.write_text(text, encoding="utf-8")
    say(f"written: {request.file}")
