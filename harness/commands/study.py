"""Runs a study: its trials become Hydra jobs, all of them checked before the first one runs."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import joblib
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from harness import claims
from harness.analysis.power import is_decided, level_of_looks, looks, pilot_arms
from harness.analysis.records import join
from harness.arm import ARM_ROOTS, BASELINE, FACTORS, factor_of
from harness.asking.budget import seconds_of
from harness.checks import choices
from harness.commands.composition import compose_by_factor
from harness.commands.joins import cells_of_task
from harness.commands.overrides import refuse_odd_choices
from harness.commands.pace import Pace, run_within, start_of_process
from harness.commands.terminal import (
    HYDRA_ERRORS,
    announce,
    failure_lines,
    one_line,
    progress,
    say,
    tell_leftovers,
    tell_read,
)
from harness.errors import BadInput, TrialFailed
from harness.notices import notice
from harness.report.verification import is_sheet, no_cells, read_verified, sheet_of
from harness.report.write import closing_lines, read_table, rebuild_if_changed, write_index
from harness.run.config import plain
from harness.run.execute import Job, check_files, check_fit, keep_death, make_job, study_store, tracker
from harness.run.faults import LARGEST, find_faults
from harness.run.fitting import absences
from harness.run.options import build, identity
from harness.run.provenance import rerun_of
from harness.run.rebuilding import targets_in
from harness.run.workers import JobsDied, TerminatedWorkerError, cause_of_death
from harness.storage.cache import Cache
from harness.storage.content import PLAN_VERSION
from harness.storage.keys import trial_key
from harness.storage.places import content_of, expand_home
from harness.storage.store import Store

_NAMED_ARMS = 3
"""How many of the arms that are left out for one reason are named on the terminal; the plan names all."""
MOST_SEEDS, MOST_ARMS = 10_000, 10_000
"""Larger numbers are slips of the pen: a study would be planned for hours before its first trial."""
SOME_FAILED = "trials failed (retry=true runs them again)"
"""What the last line says of a study that has run to its end although some trials failed."""
PlannedArm = tuple[str, ...]
"""The overrides that define an arm; empty for the baseline."""


@dataclass(frozen=True)
class Precision:
    """Defines when a study stops adding seeds to an arm; `looks` are the numbers of seeds at which it decides.

    `half_width` is in points, `level` is that of the interval at each look; see `harness.analysis.power`.
    """

    half_width: float
    looks: tuple[int, ...]

    @property
    def level(self) -> float:
        """Returns the level of the interval at each look."""
        return level_of_looks(len(self.looks))

    def as_plan(self) -> dict[str, Any]:
        """Returns the entry in a study's plan."""
        return {"half_width": self.half_width, "looks": list(self.looks), "level": self.level}


@dataclass(frozen=True)
class PlannedTrial:
    """Holds one trial of a study: its row in the plan, the overrides that run it, and what its records begin with."""

    row: dict[str, Any]
    arm: PlannedArm
    overrides: list[str]
    head: Mapping[str, Any] = field(default_factory=dict)
    control_head: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_control(self) -> bool:
        """Returns whether it is the baseline's trial."""
        return not self.arm


def run_study(
    config: DictConfig, arguments: Sequence[str], loader: ConfigLoader, launcher: Launcher
) -> Sequence[JobReturn]:
    """Runs the missing trials of the study that the composed `config` describes; the results are in its store.

    A study with a precision examines its records when they are complete, and goes on with what `choose_trials` adds.
    BadInput with all faults before anything runs; TrialFailed at the end, after everything is written, if a trial
    failed.
    """
    study = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    pace = pace_of(study)
    gold, base = verified_file(study, plain_overrides(arguments))
    if config.hydra.launcher.get("n_jobs") == 0:
        raise BadInput("hydra.launcher.n_jobs is 0: give the number of workers, or -1 for one a core")
    read: list[str] = []
    possible = plan_study(study, base, lambda said: loader.load_sweep_config(config, said), read.extend)
    store, returns = study_store(study), list[JobReturn]()
    plan, todo = next_look(study, possible, store, set())
    tell_read(read)
    for line in store.damaged([item.row["key"] for item in possible]):
        say(f"damaged record, made anew now: {line}")
    tell_leftovers(store, Cache(expand_home(study.cache, "cache")))
    tracker(study).begin()
    begun: set[str] = set()
    if pace and todo:
        plan = run_in_time(pace, plan, todo, launcher, store, study, returns, workers_of(config))
        todo = []
    while todo:
        returns += run_watched(launcher, todo, store, len(returns), study)
        raise_trouble(returns)
        begun.update(item.row["key"] for item in todo)
        plan, todo = next_look(study, possible, store, begun)
    finish(study, store, [item.row["key"] for item in plan], gold)
    return returns


def pace_of(study: DictConfig) -> Pace | None:
    """Returns the budget of time that the command must keep, if there is one; BadInput for one that is no time."""
    if study.budget is None:
        return None
    if study.precision is not None:
        raise BadInput(
            "a study has a budget of time or a precision, which adds seeds as long as it takes: leave one out"
        )
    return Pace(seconds_of(str(study.budget)), start_of_process())


def run_watched(
    launcher: Launcher, todo: Sequence[PlannedTrial], store: Store, first: int, study: DictConfig
) -> list[JobReturn]:
    """Runs trials as `run_trials` does, and shows how far they are."""
    with progress(store, {item.row["key"]: item.row["arm"] for item in todo}):
        return run_trials(launcher, todo, store, first, study)


def run_in_time(
    pace: Pace, plan: list[PlannedTrial], todo: Sequence[PlannedTrial], launcher: Launcher, store: Store,
    study: DictConfig, returns: list[JobReturn], workers: int,
) -> list[PlannedTrial]:  # fmt: skip
    """Runs the trials of a plan that fit its budget of time, adds what they return, and returns the plan of these."""
    by_key = {item.row["key"]: item for item in plan}

    def run(keys: Sequence[str]) -> None:
        returns.extend(run_watched(launcher, [by_key[key] for key in keys], store, len(returns), study))
        raise_trouble(returns)

    def read() -> list[dict[str, Any]]:
        return [record for key in by_key if (record := store.read(key)) is not None]

    rows, names = [item.row for item in plan], {item.row["key"] for item in todo}
    gone, lines = run_within(pace, rows, names, workers, run, read)
    for line in lines:
        say(f"budget: {line}")
    left = [item for item in plan if item.row["key"] not in gone]
    if gone:
        store.keep_plan({**as_plan(study, left), "let_go": "; ".join(lines)})
    return left


def workers_of(config: DictConfig) -> int:
    """Returns how many trials run at once; one for a launcher that has no number of workers."""
    asked = config.hydra.launcher.get("n_jobs", 1)
    return joblib.cpu_count() if asked is None or int(asked) < 1 else int(asked)


def verified_file(study: DictConfig, base: list[str]) -> tuple[Path | None, list[str]]:
    """Returns the file of verified test labels that `task.gold` names, if it names one, and the overrides without it.

    Verified labels only score: trials, their keys and what they train on are those of the study without them. BadInput
    if the file is absent, or if it does not fit the records that are there already.
    """
    value = OmegaConf.select(study, "task.gold")
    if not is_sheet(value):
        return None, base
    store = study_store(study)
    path = sheet_of(value, store.folder)
    if any(one["status"] == "done" for one in store.records()):
        read_verified(path, store)
    study.task.gold = None
    say(f"{path} holds verified test labels: trials run without them, and the report is scored by them")
    return path, [*(word for word in base if word.partition("=")[0] != "task.gold"), "task.gold=null"]


def run_trials(
    launcher: Launcher, todo: Sequence[PlannedTrial], store: Store, first: int, study: DictConfig
) -> list[JobReturn]:
    """Runs trials, the first of them as job number `first`; a trial whose process dies becomes a failed trial.

    When a worker dies, its pool ends with it, and with all trials that were running. They run again one at a time, so
    that the one that dies by itself is known; the others go on in a new pool.
    """
    left, dead = list(todo), set[str]()
    store.forget(store.interrupted())
    while left:
        try:
            return list(launcher.launch([item.overrides for item in left], initial_job_idx=first))
        except TerminatedWorkerError as error:
            cut_off = _interrupted(store, error)
            suspects = [item for item in left if item.row["key"] in cut_off]
            if not suspects:
                raise TrialFailed(f"a worker died before it ran a trial: {cause_of_death(error)}") from error
            say(f"  a worker died: {len(suspects)} trials run again, one at a time")
            for item in suspects:
                dead |= _run_alone(launcher, item, store, first)
        retry, rerun = bool(study.retry), rerun_of(study)
        unfinished = store.unfinished([item.row["key"] for item in left], retry, rerun) - dead
        left = [item for item in left if item.row["key"] in unfinished]
    return []


def _run_alone(launcher: Launcher, item: PlannedTrial, store: Store, number: int) -> set[str]:
    """Runs a trial in a pool of its own; returns the keys of trials, it or its control, that killed the process."""
    store.forget(store.interrupted())
    try:
        launcher.launch([item.overrides], initial_job_idx=number)
        return set()
    except TerminatedWorkerError as error:
        died = _interrupted(store, error) & {item.row["key"], item.row["control"]}
        for key in died:
            head = item.head if key == item.row["key"] else item.control_head
            keep_death(store, head, cause_of_death(error))
        store.forget(died)
        return died


def _interrupted(store: Store, error: TerminatedWorkerError) -> set[str]:
    """Returns the keys of trials that a dead worker ran; those of other machines are known once all jobs have ended."""
    return store.noted() if isinstance(error, JobsDied) else store.interrupted()


def next_look(
    study: DictConfig, possible: list[PlannedTrial], store: Store, begun: Collection[str]
) -> tuple[list[PlannedTrial], list[PlannedTrial]]:
    """Stores and announces the plan that follows from the records; returns it and its trials that are still to run.

    Trials that this command has `begun` are not started again, however they ended.
    """
    precision, rerun = precision_of(study), rerun_of(study)
    with notice("reading the records of the study"):
        plan = choose_trials(possible, store, precision)
        store.keep_plan(as_plan(study, plan))
    left = store.unfinished([item.row["key"] for item in plan], bool(study.retry), rerun) - set(begun)
    todo = in_blocks([item for item in plan if item.row["key"] in left])
    if todo or not begun:
        announce(str(study.study), len(plan), len(todo))
    if precision and todo:
        say(f"  {at_look(plan, precision)}")
    return plan, todo


def in_blocks(trials: Sequence[PlannedTrial]) -> list[PlannedTrial]:
    """Returns the trials in the order in which they run: seed by seed, each seed's control before its arms.

    So a load of the machine that comes and goes, or grows, hits controls and arms alike, and the ratio of their costs
    stays. Each seed begins with another arm, so that none always runs at the same place. The next seed's control runs
    in the middle of a block: arms that start with the next block need not wait for it.
    """
    controls, arms = dict[int, list[PlannedTrial]](), dict[int, list[PlannedTrial]]()
    for item in trials:
        (controls if item.is_control else arms).setdefault(item.row["seed"], []).append(item)
    order = list[PlannedTrial]()
    seeds = list(dict.fromkeys(item.row["seed"] for item in trials))
    for place, seed in enumerate(seeds):
        block, following = arms.get(seed, []), seeds[place + 1 : place + 2]
        start = place % len(block) if block else 0
        block, half = [*block[start:], *block[:start]], len(block) // 2
        early = [item for one in following for item in controls.pop(one, [])]
        order += [*controls.pop(seed, []), *block[:half], *early, *block[half:]]
    return order


def plain_overrides(arguments: Sequence[str]) -> list[str]:
    """Returns the command line's overrides; BadInput for a sweep, which would multiply the study unnoticed."""
    parsed = OverridesParser.create().parse_overrides(overrides=list(arguments))
    swept = [item.input_line for item in parsed if item.is_sweep_override()]
    if swept:
        raise BadInput(
            f"a study lists its arms: write arms=[…] or seeds=[…] instead of the sweep {' '.join(map(str, swept))}"
        )
    if any(factor_of(item) == "seed" for item in arguments):
        raise BadInput("a study lists its seeds: write seeds=[…] instead of seed")
    touched = [item for item in arguments if factor_of(item) in ARM_ROOTS]
    if touched:
        where = "baseline." if "." in touched[0].split("=")[0] else f"{factor_of(touched[0])}@baseline."
        raise BadInput(f"{touched[0]} would change every arm of the study: write {where}{touched[0]}, or arms=[…]")
    return list(arguments)


def arms_of(study: DictConfig) -> list[PlannedArm]:
    """Returns the arms of the study's design, the baseline first; BadInput for an invalid arm."""
    listed, groups = _listed(plain(study)["arms"]), groups_of(study)
    if not listed and not groups:
        raise BadInput(
            f"study '{study.study}' has no arms: list at least one under `arms`, as in arms=['clean=confident']"
        )
    alien = [item for arm in listed for item in arm if factor_of(item) not in ARM_ROOTS]
    if alien:
        raise BadInput(f"arm '{alien[0]}' changes what all arms share: an arm may set {', '.join(ARM_ROOTS)}")
    for arm in listed:
        _check_one_choice(arm)
    designs: dict[str, Callable[[list[PlannedArm]], list[PlannedArm]]] = {"one_factor": list, "factorial": factorial}
    if study.design not in designs:
        raise BadInput(f"design is '{study.design}': it must be one_factor or factorial")
    arms = [(), *designs[study.design](listed)]
    twice = {" ".join(arm) for arm in arms if arms.count(arm) > 1}
    if twice:
        raise BadInput(f"study '{study.study}' lists an arm twice: {sorted(twice)[0] or 'the baseline'}")
    return [*arms, *cross_arms(groups, arms)]


def _check_one_choice(arm: PlannedArm) -> None:
    """Requires that an arm chooses no factor twice: the last choice would count, and the other be lost in silence."""
    chosen = Counter(item.partition("=")[0].lstrip("+") for item in arm if "." not in item.partition("=")[0])
    twice = [name for name, count in chosen.items() if count > 1]
    if twice:
        raise BadInput(f"arm '{' '.join(arm)}' chooses {twice[0]} twice: list the two as arms of their own")


def _listed(arms: Any) -> list[PlannedArm]:
    """Returns the arms as the study lists them; BadInput unless each is an override or a list of overrides."""
    wrapped = [[arm] if isinstance(arm, str) else arm for arm in arms] if isinstance(arms, list) else [arms]
    for arm in wrapped:
        if not isinstance(arm, list) or not arm or not all(isinstance(item, str) for item in arm):
            raise BadInput(
                f"{arm!r} is not an arm: an arm is an override or a list of overrides, as in arms=['clean=confident']"
            )
    return [tuple(arm) for arm in wrapped]


def factorial(listed: list[PlannedArm]) -> list[PlannedArm]:
    """Returns every combination of at most one listed arm per set of factors, without the baseline itself."""
    cells: dict[frozenset[str], list[PlannedArm]] = {}
    for arm in listed:
        cells.setdefault(frozenset(factor_of(item) for item in arm), [()]).append(arm)
    shared = [name for name in FACTORS if sum(name in factors for factors in cells) > 1]
    if shared:
        raise BadInput(f"a factorial cannot cross arms that share the factor {shared[0]}: list one factor per arm")
    _check_number(cells.values())
    return [sum(cell, ()) for cell in itertools.product(*cells.values())][1:]


def _check_number(groups: Iterable[Sequence[PlannedArm]]) -> None:
    """Requires that the combinations of all groups are few enough to be checked one by one."""
    arms = math.prod(map(len, groups))
    if arms > MOST_ARMS:
        raise BadInput(f"the study crosses its arms to {arms}: a study has at most {MOST_ARMS}")


def groups_of(study: DictConfig) -> list[list[PlannedArm]]:
    """Returns the groups that the study crosses, each a list of arms; BadInput for what cannot be crossed."""
    groups = plain(study)["cross"] or []
    if not isinstance(groups, list):
        raise BadInput(
            f"cross is {groups!r}: it must be a list of groups, as in cross=[['model=mlp'],['clean=oracle']]"
        )
    if groups and study.design == "factorial":
        raise BadInput("a factorial crosses all of its arms already: set design=one_factor, or leave cross out")
    found = [_group(number, group) for number, group in enumerate(groups, 1)]
    for name in FACTORS:
        shared = [number for number, group in enumerate(found, 1) if any(name in map(factor_of, arm) for arm in group)]
        if len(shared) > 1:
            raise BadInput(
                f"cross: groups {shared[0]} and {shared[1]} share the factor {name}: "
                "an arm has one choice per factor, so list all of them in one group"
            )
    return found


def _group(number: int, group: Any) -> list[PlannedArm]:
    """Returns one group of crossed arms; BadInput if it is empty, repeats an arm or sets anything but a factor."""
    if not isinstance(group, list) or not group:
        told = "is empty" if group == [] else f"is {group!r}"
        raise BadInput(f"cross: group {number} {told}: it must be a list of arms, as in ['model=mlp','model=lenet']")
    arms = _listed(group)
    alien = [item for arm in arms for item in arm if factor_of(item) not in FACTORS]
    if alien:
        name = factor_of(alien[0])
        raise BadInput(f"cross: {alien[0]} chooses '{name}', which is not a factor{choices(name, FACTORS)}")
    sets = [frozenset(arm) for arm in arms]
    twice = [" ".join(arm) for arm, said in zip(arms, sets, strict=True) if sets.count(said) > 1]
    if twice:
        raise BadInput(f"cross: group {number} lists {twice[0]} twice")
    return arms


def cross_arms(groups: list[list[PlannedArm]], listed: Sequence[PlannedArm]) -> list[PlannedArm]:
    """Returns every combination of at most one arm per group, in the factors' order, except those in `listed`.

    The same overrides in another order are the same arm.
    """
    known = {frozenset(arm) for arm in listed}
    _check_number([[(), *group] for group in groups])
    cells = [sum(cell, ()) for cell in itertools.product(*([(), *group] for group in groups))]
    arms = [tuple(sorted(cell, key=lambda item: FACTORS.index(factor_of(item)))) for cell in cells]
    return [arm for arm in arms if arm and frozenset(arm) not in known]


def seeds_of(study: DictConfig) -> list[int]:
    """Returns the seeds of the study; a single number n means 0 to n - 1. BadInput unless they are whole numbers."""
    seeds = plain(study)["seeds"]
    many = seeds if type(seeds) is int else len(seeds) if isinstance(seeds, list) else 0
    if many > MOST_SEEDS:
        raise BadInput(f"seeds are {many}: a study has at most {MOST_SEEDS}")
    seeds = list(range(seeds)) if type(seeds) is int else seeds
    if not isinstance(seeds, list) or not seeds or any(type(seed) is not int or seed < 0 for seed in seeds):
        raise BadInput(f"seeds is {seeds}: it must be a list of whole numbers, as in seeds=[0,1,2], or how many")
    if max(seeds) > LARGEST:
        raise BadInput(f"seed {max(seeds)} is too large: a seed is at most {LARGEST}")
    if study.get("seed"):
        raise BadInput(f"a study lists its seeds: write seeds: [{study.seed}] instead of seed: {study.seed}")
    if len(set(seeds)) < len(seeds):
        raise BadInput(f"seeds {seeds} names a seed twice")
    return seeds


def precision_of(study: DictConfig) -> Precision | None:
    """Returns the study's rule for adding seeds, or None if its seeds are fixed; BadInput for an invalid rule."""
    said = plain(study)["precision"]
    if said is None:
        return None
    names, first = ("half_width", "max_seeds"), len(seeds_of(study))
    if not isinstance(said, dict) or set(said) != set(names):
        raise BadInput(f"precision is {said!r}: it must be null or have {' and '.join(names)}, in points and in seeds")
    width, most = said["half_width"], said["max_seeds"]
    if type(width) not in (int, float) or not 0 < width < float("inf"):
        raise BadInput(f"precision.half_width is {width!r}: it must be a number of points above 0")
    if type(most) is not int or most < first:
        raise BadInput(f"precision.max_seeds is {most!r}: it must be a whole number, {first} or more, as seeds has")
    if most > MOST_SEEDS:
        raise BadInput(f"precision.max_seeds is {most}: a study has at most {MOST_SEEDS} seeds")
    if first < 2:
        raise BadInput("precision needs two seeds to begin with: one does not show how much retraining changes")
    return Precision(float(width), looks(first, most))


def possible_seeds(study: DictConfig) -> list[int]:
    """Returns the study's seeds and those that its precision may add, which count on from the largest."""
    seeds, precision = seeds_of(study), precision_of(study)
    more = precision.looks[-1] - len(seeds) if precision else 0
    return [*seeds, *range(max(seeds) + 1, max(seeds) + 1 + more)]


def choose_trials(possible: list[PlannedTrial], store: Store, precision: Precision | None) -> list[PlannedTrial]:
    """Returns the trials of `possible` that the study needs, judged by its records; all of them without a precision.

    It decides when every trial so far has a record. A decided arm then keeps its seeds. An undecided arm gets more
    seeds at the next look, together with its controls, unless it has no delta at all. Each look depends only on the
    records of its own seeds, so a study that was stopped, or is run again, arrives at the same trials.
    """
    if precision is None:
        return possible
    counts = dict.fromkeys((item.row["arm"] for item in possible), precision.looks[0])
    for here, following in itertools.pairwise(precision.looks):
        plan = first_seeds(possible, counts)
        if join(store, [item.row for item in plan]).missing:
            break
        rows = [item.row for item in plan if counts[item.row["arm"]] == here]
        found = pilot_arms(join(store, rows))
        level, width = precision.level, precision.half_width
        going = [arm for arm, one in found.items() if not is_decided(one, level=level, half_width=width)]
        if not going:
            break
        counts |= dict.fromkeys([possible[0].row["arm"], *going], following)
    return first_seeds(possible, counts)


def first_seeds(possible: list[PlannedTrial], counts: Mapping[str, int]) -> list[PlannedTrial]:
    """Returns each arm's trials of its first `counts` seeds, in the order of the plan."""
    place = {seed: at for at, seed in enumerate(dict.fromkeys(item.row["seed"] for item in possible))}
    return [item for item in possible if place[item.row["seed"]] < counts[item.row["arm"]]]


def at_look(plan: list[PlannedTrial], precision: Precision) -> str:
    """Returns a sentence on how many arms have the plan's largest number of seeds."""
    counts = Counter(item.row["arm"] for item in plan if not item.is_control)
    most = max(counts.values())
    number, going = precision.looks.index(most) + 1, sum(count == most for count in counts.values())
    return f"look {number} of {len(precision.looks)}: {going} of {len(counts)} arms have {most} seeds"


def plan_study(
    study: DictConfig,
    base: list[str],
    compose: Callable[[list[str]], DictConfig],
    tell: Callable[[Sequence[str]], None] = lambda lines: None,
) -> list[PlannedTrial]:
    """Returns every trial that the study may run, arm by arm, the baseline first.

    BadInput with all faults of all arms, one per line. Each arm is composed, bound to its functions' signatures, and
    checked with the task of the first seed, which is read and checked here once for all arms, as are the files that
    options name. `tell` hears what was read, in sentences.
    """
    seeds, arms = possible_seeds(study), arms_of(study)
    with notice(f"checking the {len(arms)} arms"):
        composed, wrong = compose_arms(arms, base, seeds[0], compose)
    if wrong:
        raise BadInput("\n".join(wrong))
    with notice("reading the data"):
        source = build(plain(composed[()].task))
        task = source.split(seeds[0])
    with notice("checking that the arms fit the data, and reading their files"):
        jobs = {arm: make_job(cfg, list(arm), source) for arm, cfg in composed.items()}
        reasons = {arm: check_fit(job, task) for arm, job in jobs.items()}
        absent = absent_arms(jobs, reasons)
        unfit = dict.fromkeys(line for arm, lines in reasons.items() if arm not in absent for line in lines)
        unfit |= dict.fromkeys(check_files([job for arm, job in jobs.items() if arm not in absent], task))
    if unfit:
        raise BadInput("\n".join(unfit))
    tell(source.read)
    jobs = {arm: replace(job, rows=int(task.train.labelled.sum())) for arm, job in jobs.items()}
    with notice(f"naming the trials of {len(arms)} arms at {len(seeds)} seeds"):
        plan = _distinct([one for arm, job in jobs.items() for one in plan_trials(job, arm, base, seeds)])
    return leave_out(study, plan, absent)


def absent_arms(
    jobs: Mapping[PlannedArm, Job], reasons: Mapping[PlannedArm, Sequence[str]]
) -> dict[PlannedArm, Sequence[str]]:
    """Returns the arms that fit the task but for packages or programs that this machine lacks, with these reasons."""
    lacking = {arm: absences(job.trial.arm) for arm, job in jobs.items() if arm}
    return {arm: reasons[arm] for arm, lines in lacking.items() if reasons[arm] and set(reasons[arm]) <= set(lines)}


def leave_out(
    study: DictConfig, plan: list[PlannedTrial], absent: Mapping[PlannedArm, Sequence[str]]
) -> list[PlannedTrial]:
    """Returns the plan without the trials that this machine cannot run, and says which arms these are, and why.

    Trials that have a record already, made where the package was, stay. BadInput if no arm is left.
    """
    away = {item.row["key"]: item for item in plan if item.arm in absent}
    unfinished = study_store(study).unfinished([*away], bool(study.retry), rerun_of(study))
    lost = {key: item for key, item in away.items() if key in unfinished}
    rest = [item for item in plan if item.row["key"] not in lost]
    lines = _absent_lines({item.row["arm"]: absent[item.arm] for item in lost.values()})
    if all(item.is_control for item in rest):
        raise BadInput("\n".join(lines))
    for line in lines:
        say(line)
    return rest


def _absent_lines(absent: Mapping[str, Sequence[str]]) -> list[str]:
    """Words which arms are left out, a line for each reason."""
    arms: dict[str, list[str]] = {}
    for label, reasons in absent.items():
        arms.setdefault("; ".join(reasons), []).append(label)
    return [
        f"left out, {len(labels)} of the arms: {why} ({', '.join(labels[:_NAMED_ARMS])}"
        f"{', …' if len(labels) > _NAMED_ARMS else ''})"
        for why, labels in arms.items()
    ]


def compose_arms(
    arms: list[PlannedArm], base: list[str], seed: int, compose: Callable[[list[str]], DictConfig]
) -> tuple[dict[PlannedArm, DictConfig], list[str]]:
    """Returns each arm's config, and the faults of all arms, one line each; a shared fault is listed once."""
    composed: dict[PlannedArm, DictConfig] = {}
    wrong: dict[str, str] = {}
    whole = cache(lambda arm: compose([*base, *arm, f"seed={seed}"]))
    for arm in arms:
        try:
            refuse_odd_choices(arm)
            composed[arm] = compose_by_factor(arm, whole)
            lines = find_faults(composed[arm])
        except BadInput as error:
            lines = str(error).splitlines()
        except HYDRA_ERRORS as error:
            lines = [one_line(error, [*base, *arm])]
        wrong |= {line: f"{' '.join(arm) or BASELINE}: {line}" for line in lines if line not in wrong}
    return composed, list(wrong.values())


def plan_trials(job: Job, arm: PlannedArm, base: list[str], seeds: Sequence[int]) -> list[PlannedTrial]:
    """Returns an arm's planned trials; their keys are known already, since the data's fingerprint is.

    Trials of an arm differ in nothing but the seed, so the rest of their identity is computed once.
    """
    head, control = job.head(), job.control().head()
    own, shared = head["trial"], control["trial"]
    plan = []
    for seed in seeds:
        there, beside = {**own, "seed": seed}, {**shared, "seed": seed}
        names = {"key": trial_key(there), "control": trial_key(beside), "seed": seed}
        row = {name: names.get(name, value) for name, value in head.items() if name not in ("study", "trial")}
        heads = {**head, **names, "trial": there}, {**control, **names, "key": names["control"], "trial": beside}
        plan.append(PlannedTrial(row, arm, [*base, *arm, f"seed={seed}"], *heads))
    return plan


def _distinct(plan: list[PlannedTrial]) -> list[PlannedTrial]:
    """Returns the same plan; BadInput if two arms are the same trial, or two trials would have the same label."""
    first: dict[str, PlannedTrial] = {}
    for item in plan:
        known = first.setdefault(item.row["key"], item)
        if known.arm != item.arm:
            raise BadInput(
                f"arm '{' '.join(item.arm)}' is the same trial as '{known.row['arm']}': leave one of them out"
            )
    alike = Counter((item.row["arm"], item.row["seed"]) for item in plan).most_common(1)
    if alike and alike[0][1] > 1:
        raise BadInput(f"two arms would both be printed as '{alike[0][0][0]}': put their values in quotes")
    return plan


def as_plan(study: DictConfig, plan: list[PlannedTrial]) -> dict[str, Any]:
    """Returns the plan that the store keeps: the study's design and every trial, without the machine."""
    precision = precision_of(study)
    return {
        "version": PLAN_VERSION,
        "name": str(study.study),
        "design": str(study.design),
        "cross": [[" ".join(arm) for arm in group] for group in groups_of(study)],
        "precision": precision.as_plan() if precision else None,
        "seeds": list(dict.fromkeys(item.row["seed"] for item in plan)),
        "arms": list(dict.fromkeys(item.row["arm"] for item in plan)),
        "baseline": {name: identity(plain(study.baseline[name]), content_of) for name in FACTORS},
        "task": identity(plain(study.task), lambda path: None),
        "protocol": identity(plain(study.protocol)),
        "claims": claims.check_claims(str(study.study)),
        **_price_entry(study),
        **_left_out_entry(study, plan),
        "trials": [item.row for item in plan],
    }


def _price_entry(study: DictConfig) -> dict[str, Any]:
    """Returns the prices that the user gave, for the plan; nothing without any."""
    given = {name: value for name, value in plain(study).get("price", {}).items() if value is not None}
    return {"price": given} if given else {}


def _left_out_entry(study: DictConfig, plan: Sequence[PlannedTrial]) -> dict[str, Any]:
    """Returns the arms of the design that the plan lacks, since this machine cannot run them; nothing if it has all."""
    there = {item.arm for item in plan}
    missing = [" ".join(arm) for arm in arms_of(study) if arm not in there]
    return {"left_out": missing} if missing else {}


def raise_trouble(returns: Sequence[JobReturn]) -> None:
    """Raises the error that stopped a job, except for failed trials, which are in the records."""
    for item in returns:
        trouble = item._return_value
        if item.status is JobStatus.FAILED and not isinstance(trouble, TrialFailed):
            raise trouble


def finish(study: DictConfig, store: Store, keys: Sequence[str], gold: Path | None = None) -> None:
    """Rebuilds the study's tables and figures, prints and tracks the leaderboard; TrialFailed if a trial failed.

    With a file of verified test labels (`gold`) the report by them is written too, and it is the one that is printed.
    """
    own = tuple(targets_in(plain(study.task)))  # this command has run the user's own task already
    task = plain(study.task)
    cells = no_cells if task.get("path") is None else partial(cells_of_task, task)
    with notice("computing and drawing the report"):
        paths = [
            *rebuild_if_changed(store.folder, trust=own, tell=say, read_cells=cells),
            write_index(store.folder.parent),
        ]
        best = rebuild_if_changed(store.folder, trust=own, tell=say, gold=gold, read_cells=cells) if gold else paths
    print("\n".join(closing_lines(best[0].parent)))
    table, figures = read_table(store.folder), [path for path in paths if path.suffix == ".png"]
    with notice("handing the leaderboard to the tracker"):
        tracker(study).leaderboard(str(study.study), table, figures, store.folder)
    failures = store.failures(keys)
    failed = len(failures)
    labels = {row["key"]: row["arm"] for row in (store.plan() or {"trials": []})["trials"]}
    for record in {record["reason"]: record for record in reversed(failures)}.values():
        for line in failure_lines(labels[record["key"]], record)[:-1]:
            say(line)
    if failed:
        raise TrialFailed(f"{failed} {SOME_FAILED}; the reasons stand under the table")
