"""Estimates from a study's records how many more seeds its arms and its verdict need, and what they cost.

A table adjusts its p-values for the number of arms (Holm), so an arm is planned at the level that the smallest of them
must meet, 0.05 over the number of arms: a plan at 0.05 itself would promise a power that the table does not have. The
verdict is one comparison, at 0.05.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from harness.analysis.effects import trials
from harness.analysis.power import (
    POWER,
    Need,
    Pilot,
    PilotArm,
    VerdictPilot,
    effect_text,
    mde,
    pilot,
    pilot_arms,
    plan_level,
    seeds_needed,
    variance_ends,
    verdict_pilot,
)
from harness.analysis.records import Records, join
from harness.analysis.significance import LEVEL
from harness.checks import choices
from harness.commands.arguments import parse
from harness.commands.terminal import tell_damaged
from harness.errors import BadInput
from harness.notices import notice
from harness.report.closing import duration_in_words
from harness.storage.store import Store

OPTIONS = ("effect", "power", "level", "cores", "store")
SPREAD = 0.8
"""The level of the range that shows how uncertain a pilot's own variance is."""
HEAD = ("arm", "seeds", "found now", "needed", f"{100 * SPREAD:g} % range", "more trials", "more time")
_USAGE = "harness plan NAME --effect 0.5 [power=0.8] [level=0.05] [cores=N] [store=FOLDER]"


@dataclass(frozen=True)
class Wish:
    """Holds the effect to detect, in points, the power, the two-sided level, and the number of cores.

    `alpha` is the level of an arm's test, `whole` that of the study: they differ if a table adjusts for its arms.
    """

    effect: float
    power: float
    alpha: float
    cores: int
    whole: float = 1 - LEVEL


@dataclass(frozen=True)
class Line:
    """Holds one arm: `seeds` of its `trials` have a delta; `found` is the least effect in points that they detect.

    `need` is what the wish requires, `fewest` and `most` its range. Seconds are means per trial, 0 if none finished.
    `why` says why there are no numbers; the baseline has none and needs none.
    """

    arm: str
    seeds: int
    trials: int
    wall_s: float
    cpu_s: float
    found: float | None = None
    need: Need | None = None
    fewest: Need | None = None
    most: Need | None = None
    why: str = ""

    @property
    def more(self) -> int:
        """Returns the number of seeds to add; 0 if no number of seeds is enough."""
        return max(0, self.need.seeds - self.seeds) if self.need and self.need.seeds else 0


@dataclass(frozen=True)
class PlanCost:
    """Holds the trials to run, of which `controls` are the baseline's; seconds on one core, and of processor time."""

    trials: int
    controls: int
    wall_s: float
    cpu_s: float


def command(words: list[str]) -> int:
    """Runs `harness plan NAME --effect 0.5`: prints the seeds that each arm needs, their cost, and the command to run.

    BadInput if there is no such study, no effect, or no records to estimate variances from.
    """
    names, said = parse(words, OPTIONS)
    if len(names) != 1:
        raise BadInput(f"name a study: {_USAGE}")
    store = _store(names[0], said.get("store", "results"))
    tell_damaged(store)
    print(plan_seeds(store, said)[1])
    return 0


def plan_seeds(store: Store, said: Mapping[str, str]) -> tuple[list[Line], str]:
    """Returns what each arm of a study needs, the baseline first, and the text that says so; `said` as for the command.

    BadInput for an option that is out of range, for trials that were run one by one, and without two seeds.
    """
    joined = join(store)
    plan = joined.plan
    if plan is None:
        raise BadInput(
            f"the trials of '{store.folder.name}' were run one by one: to plan, run a study (-m experiments=NAME)"
        )
    wish = wish_of(said, 1 - plan_level(plan), len(joined.arms) - 1)
    with notice("estimating the variances of the arms"):
        lines = needs(joined, wish)
        verdict = verdict_lines(joined, lines, wish)
    text = plan_text(plan, lines, wish, said.get("store", "results"), verdict)
    return lines, text.replace("test examples", "groups of test examples") if _has_groups(joined) else text


def _has_groups(joined: Records) -> bool:
    """Returns whether the test rows come in groups: what is resampled, and asked for, is then a group."""
    done = next((one for one in joined.records if one["status"] == "done"), None)
    return done is not None and joined.test_set(done["result"]["test_set"]).groups is not None


def verdict_lines(joined: Records, lines: Sequence[Line], wish: Wish) -> list[str]:
    """Returns what the verdict needs: for the wished difference of data and model, and for the measured one."""
    found = verdict_pilot(joined)
    if isinstance(found, str):
        return [f"The verdict cannot be planned: {found}"]
    told = [f"The verdict now: {found.data} minus {found.model} is {found.difference:+.2f} points."]
    wanted = {"as wished": wish.effect, "as measured": abs(found.difference)}
    trial_s = {line.arm: line.wall_s for line in lines}
    for what, effect in wanted.items():
        if effect > 0:
            need = seeds_needed(effect, found.pilot, power=wish.power, alpha=wish.whole)
            told.append(_verdict_need(what, effect, need, found, trial_s, wish))
    return [
        *told,
        "Decided: the better side is named with that power, if the two chosen arms truly differ so much. Where many "
        "arms are about equally good, a verdict has about nine tenths of it.",
    ]


def _verdict_need(
    what: str, effect: float, need: Need, found: VerdictPilot, trial_s: Mapping[str, float], wish: Wish
) -> str:
    """Words the seeds or test examples that decide a difference of that size."""
    size = f"A difference of {effect:.2f} points ({what})"
    if need.seeds is None:
        asked = f"more than {need.examples:,} test examples" if need.examples else "more than this program counts"
        return f"{size}: no number of seeds decides it on these {found.pilot.n:,} test examples; it takes {asked}."
    more = max(0, need.seeds - found.pilot.r)
    if not more:
        return f"{size} is decided by {need.seeds:,} seeds; the study has {found.pilot.r:,}."
    lasts = duration_in_words(more * sum(trial_s.values()) / wish.cores)
    return f"{size} is decided by {need.seeds:,} seeds: {more:,} more of all arms, about {lasts}."


def _store(name: str, where: str) -> Store:
    """Returns the store of that study."""
    root = Path(where).expanduser()
    if not (root / name).is_dir():
        known = [path.parent.name for path in root.glob("*/trials")]
        raise BadInput(f"no records of a study '{name}' in {where}{choices(name, known)}")
    return Store(root / name)


def wish_of(said: Mapping[str, str], alpha: float, arms: int) -> Wish:
    """Returns the options as numbers; BadInput for a value that is out of range.

    The default level is `alpha` over the number of arms, as a table adjusts it; one that is given is an arm's own.
    """
    if "effect" not in said:
        raise BadInput(f"give the effect to detect, in points: {_USAGE}")
    effect, power, level = (
        _number(name, said.get(name, default))
        for name, default in (("effect", ""), ("power", str(POWER)), ("level", str(alpha / max(arms, 1))))
    )
    cores = _number("cores", said.get("cores", str(joblib.cpu_count())))
    if effect <= 0:
        raise BadInput(f"effect is {effect:g}: it must be a number of points above 0")
    if not 0 < level <= 0.5:
        raise BadInput(f"level is {level:g}: the rate of false positives must be above 0 and at most 0.5")
    if not level < power < 1:
        raise BadInput(f"power is {power:g}: it must lie between level ({level:g}) and 1")
    if cores < 1 or cores != int(cores):
        raise BadInput(f"cores is {cores:g}: it must be a whole number, 1 or more")
    return Wish(effect, power, level, int(cores), alpha)


def _number(name: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise BadInput(f"{name} is '{word}': it must be a number") from None
    if not math.isfinite(value):
        raise BadInput(f"{name} is '{word}': it must be a finite number")
    return value


def needs(joined: Records, wish: Wish) -> list[Line]:
    """Returns one line per arm of the plan, the baseline first; BadInput if no arm has deltas on two seeds."""
    records, name = joined.records, joined.name
    if not records:
        raise BadInput(f"'{name}' has no record of a trial of its plan: run the study first")
    done = [record for record in records if record["status"] == "done"]
    if not done:
        raise BadInput(f"all {len(records)} trials of '{name}' failed, the first: {records[0]['reason']}")
    known = pilot_arms(joined)
    if all(one.interval.n_seeds < 2 for one in known.values()):
        told = "one seed does not show how much retraining changes" if known else "no trial has a delta to a control"
        raise BadInput(f"'{name}': {told}; run two seeds at least, five are better")
    table = trials(records)
    arms = sorted(joined.arms.items(), key=lambda item: item[1][0]["key"] != item[1][0]["control"])
    return [line_of(arm, rows, table[table["arm"] == arm], known.get(arm), wish) for arm, rows in arms]


def line_of(
    arm: str, planned: Sequence[Mapping[str, Any]], ran: pd.DataFrame, seen: PilotArm | None, wish: Wish
) -> Line:
    """Returns the line of one arm, from its planned and recorded trials and its deltas."""
    done = ran[ran["status"] == "done"]
    wall, cpu = (float(done[name].mean()) if len(done) else 0.0 for name in ("cost_wall_s", "cost_cpu_s"))
    if planned[0]["key"] == planned[0]["control"]:
        return Line(arm, len(done), len(planned), wall, cpu)
    r = seen.interval.n_seeds if seen else 0
    if seen is None or r < 2:
        why = "one seed does not show how much retraining changes" if r else _no_delta(ran)
        return Line(arm, r, len(planned), wall, cpu, why=why)
    found = pilot(seen)
    if found.v + found.shared == 0:
        return Line(arm, r, len(planned), wall, cpu, why="nothing varies: it predicts what its controls predict")
    need, fewest, most = (_need(one, wish) for one in (found, *variance_ends(found, SPREAD)))
    least = mde(found, r, power=wish.power, alpha=wish.alpha)
    return Line(arm, r, len(planned), wall, cpu, least, need, fewest, most)


def _no_delta(ran: pd.DataFrame) -> str:
    """Returns why an arm has no delta."""
    failed = ran[ran["status"] == "failed"]
    if len(failed):
        return f"no trial has a delta; {len(failed)} failed, the first: {failed['reason'].iloc[0]}"
    return "no trial has a delta; " + ("its controls failed" if len(ran) else "none was run yet")


def _need(found: Pilot, wish: Wish) -> Need:
    return seeds_needed(wish.effect, found, power=wish.power, alpha=wish.alpha)


def bill(lines: Sequence[Line], trials: Mapping[str, int]) -> PlanCost:
    """Returns the cost of bringing arms to those numbers of trials, and the baseline (first line) to the largest."""
    wanted = {**trials, lines[0].arm: max(trials.values(), default=0)}
    more = [max(0, wanted.get(line.arm, 0) - line.trials) for line in lines]
    wall, cpu = (
        sum(n * s for n, s in zip(more, each, strict=True))
        for each in ([line.wall_s for line in lines], [line.cpu_s for line in lines])
    )
    return PlanCost(sum(more), more[0], wall, cpu)


def plan_text(
    plan: Mapping[str, Any], lines: Sequence[Line], wish: Wish, where: str, verdict: Sequence[str] = ()
) -> str:
    """Returns the needs as a table, those of the verdict, the total cost, and the command that continues the study."""
    arms = lines[1:]
    going = [line for line in arms if line.more]
    each = bill(lines, {line.arm: line.trials + line.more for line in going})
    title = f"{plan['name']}: to find {effect_text(wish.effect)} with power {wish.power:g} at level {wish.alpha:.3g}"
    if len(arms) > 1 and math.isclose(wish.alpha * len(arms), wish.whole):
        title += f" ({wish.whole:.3g} over {len(arms)} arms, as the table adjusts)"
    return "\n".join(
        [
            title,
            "",
            *_table(arms, wish),
            "",
            *_reasons(arms, wish),
            *([_sum(each, wish), *_going_on(plan, lines, wish, where)] if going else ["No seeds to add."]),
            "",
            *([*verdict, ""] if verdict else []),
            *_notes(wish),
        ]
    )


def _reasons(arms: Sequence[Line], wish: Wish) -> list[str]:
    """Returns why some arms have no number of seeds: one sentence for lack of test examples, one per arm otherwise."""
    short = [line.need.reason for line in arms if line.need and line.need.examples]
    first = [f"Where test examples are asked for, {short[0].partition(': it takes')[0]}."] if short else []
    others = [
        f"{line.arm}: {line.why or line.need.reason}." if line.need else f"{line.arm}: {line.why}."
        for line in arms
        if line.why or (line.need and line.need.seeds is None and not line.need.examples)
    ]
    return [*first, *others]


def _table(arms: Sequence[Line], wish: Wish) -> list[str]:
    """Returns one row per arm, in columns of equal width."""
    rows = [HEAD, *(_row(line, wish) for line in arms)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


def _row(line: Line, wish: Wish) -> tuple[str, ...]:
    """Returns an arm's cells; an unknown value is a dash."""
    if line.found is None or line.need is None:
        return (line.arm, str(line.seeds), *["-"] * 5)
    if line.need.seeds is None:
        asked = f"> {line.need.examples:,} test examples" if line.need.examples else "no number"
        return (line.arm, str(line.seeds), f"{line.found:.2f}", asked, *["-"] * 3)
    spread = " to ".join(_count(one) for one in (line.fewest, line.most))
    cost = (f"{line.more:,}", duration_in_words(line.more * line.wall_s / wish.cores)) if line.more else ("-", "-")
    return (line.arm, str(line.seeds), f"{line.found:.2f}", _count(line.need), spread, *cost)


def _count(need: Need | None) -> str:
    return f"{need.seeds:,}" if need and need.seeds else "no number"


def _sum(cost: PlanCost, wish: Wish) -> str:
    return (
        f"In all: {cost.trials - cost.controls:,} trials and {cost.controls:,} controls, about "
        f"{duration_in_words(cost.wall_s / wish.cores)} on {wish.cores} cores "
        f"({duration_in_words(cost.cpu_s)} of processor time)."
    )


def _going_on(plan: Mapping[str, Any], lines: Sequence[Line], wish: Wish, where: str) -> list[str]:
    """Returns the command that gives all arms the largest number of seeds needed, and what it runs."""
    most = max(line.trials + line.more for line in lines)
    words = [f"experiments={plan['name']}", _seeds(plan, most)]
    words += ["task.path=FOLDER"] if "path" in plan.get("task", {}) else []
    words += [f"store={where}"] if where != "results" else []
    whole = bill(lines, {line.arm: most for line in lines[1:]})
    lasts = duration_in_words(whole.wall_s / wish.cores)
    told = f"That brings every arm to {most:,} seeds: {whole.trials:,} trials, about {lasts}."
    return [
        f"To go on, with whatever else the study was started with:  harness -m {shlex.join(words)}",
        "That adds seeds to the arms that are not decided." if plan.get("precision") else told,
    ]


def _seeds(plan: Mapping[str, Any], most: int) -> str:
    """Returns the override for the number of seeds: a number if they count from 0, else a list."""
    seeds = list(plan.get("seeds") or dict.fromkeys(row["seed"] for row in plan["trials"]))
    if plan.get("precision"):
        return f"precision.max_seeds={most}"
    if seeds == list(range(len(seeds))):
        return f"seeds={most}"
    more = range(max(seeds) + 1, max(seeds) + 1 + most - len(seeds))
    return f"seeds=[{','.join(map(str, [*seeds, *more]))}]"


def _notes(wish: Wish) -> list[str]:
    return [
        "Found now: the least effect, in points, that an arm's seeds call an effect in "
        f"{100 * wish.power:g} % of studies like this one.",
        f"{100 * SPREAD:g} % range: what so few seeds leave open about their own variance. Times: at the pace so far.",
        "Seeds that are added because an effect nearly stood out make false calls more frequent. A study that is to "
        "look and then go on says so beforehand: precision in its file.",
    ]
