"""Gathers what a report shows of several studies, one per task: arms over tasks, references, the verdict over tasks.

Arms of different tasks are the same arm if their overrides have the same label: the same choice of options, each over
its own task's baseline. Numbers come from `across` and from each study's own report; this module collects and words
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Float64
from scipy.special import stdtrit

from harness.analysis import across
from harness.analysis.across import Summary, Tally, TasksVerdict
from harness.analysis.attribution import signed_points
from harness.analysis.choice import Estimate
from harness.analysis.ladder import Winner
from harness.analysis.references import comparisons
from harness.analysis.significance import LEVEL, holm
from harness.analysis.study import Study
from harness.arm import BASELINE, may_win
from harness.errors import BadInput
from harness.storage.suite_plan import SuiteEntry
from harness.streams import stream

RUN_DRAWS = 2000
ENOUGH_TASKS = 6
"""With fewer tasks, a sign test cannot reach 5 % even if all of them agree."""

V = TypeVar("V")
"""What a task gives."""
S = TypeVar("S")
"""Its summary over tasks."""


@dataclass(frozen=True)
class TaskResult:
    """Holds one task of a suite: its entry in the suite's plan, and its study, None if that has no record."""

    entry: SuiteEntry
    study: Study | None

    @property
    def name(self) -> str:
        """Returns the task's name in the suite."""
        return self.entry.name

    @property
    def labels(self) -> str:
        """Returns where the training labels come from, as the records say it of the first seed; "" if not known."""
        table = None if self.study is None else self.study.table
        if table is None or "fact_noise" not in table or table["fact_noise"].dropna().empty:
            return ""
        return str(table.dropna(subset="fact_noise").sort_values("seed")["fact_noise"].iloc[0])

    @property
    def word(self) -> str:
        """Returns the study's verdict in a word; "not known" if it has none."""
        answer = self.study.attribution if self.study else None
        return answer.verdict.word if answer and answer.verdict else "not known"

    @property
    def difference(self) -> Estimate | None:
        """Returns data minus model of the study's verdict, in points."""
        answer = self.study.attribution if self.study else None
        return answer.verdict.by if answer and answer.verdict else None


@dataclass(frozen=True)
class ArmSummary:
    """Holds one arm over the tasks on which it has an effect; a summary that these cannot give is None.

    `effects` holds each task's effect, `mean` its mean with the tasks as a sample, `these` that of these tasks alone,
    `deviation` the standard deviation of the tasks' effects, `without` the mean without each task. `p_adjusted` is
    `mean`'s p, adjusted by Holm for the number of arms.
    """

    arm: str
    axis: str
    reference: str
    effects: Mapping[str, Estimate]
    tally: Tally
    rank: float | None = None
    mean: Summary | None = None
    these: Summary | None = None
    median: Summary | None = None
    interquartile: Summary | None = None
    improvement: Summary | None = None
    deviation: float | None = None
    p_adjusted: float | None = None
    without: Mapping[str, Summary] = field(default_factory=dict)


@dataclass(frozen=True)
class ReferenceSummary:
    """Holds by how much an arm gains more than a reference of its own, over the tasks on which both ran."""

    arm: str
    reference: str
    kind: str
    gaps: Mapping[str, float]
    mean: Summary | None


@dataclass(frozen=True)
class SuiteAnswer:
    """Holds all answers over a suite's tasks; `verdict` is None if fewer than two tasks have one.

    `without` holds the verdict without each task, in the order of the tasks.
    """

    name: str
    tasks: Sequence[TaskResult]
    arms: Sequence[ArmSummary]
    references: Sequence[ReferenceSummary]
    verdict: TasksVerdict | None
    sentence: str
    without: Mapping[str, TasksVerdict]
    notes: Sequence[str]


def gather_suite(name: str, tasks: Sequence[TaskResult]) -> SuiteAnswer:
    """Returns the answers over tasks; BadInput if no task has a record."""
    there = {task.name: task.study for task in tasks if task.study}
    if not there:
        raise BadInput(f"suite '{name}' has no record of a trial: run it as harness -m suite={name}")
    answers = {task: study.attribution for task, study in there.items()}
    ladders = {task: answer.ladder for task, answer in answers.items() if answer and answer.ladder}
    verdict, without = (
        summarise(across.verdict_over_tasks, ladders),
        without_tasks(across.verdict_over_tasks, ladders),
    )
    arms = _with_ranks(_adjust([_arm(arm, there) for arm in _arms(there)]), there)
    return SuiteAnswer(
        name, tasks, arms, list(_references(there)), verdict, _sentence(verdict, len(ladders), without), without,
        [*_notes(tasks, len(ladders)), *_close(arms), *_gaps_in(tasks)],
    )  # fmt: skip


def summarise(function: Callable[[Mapping[str, V]], S], values: Mapping[str, V]) -> S | None:
    """Returns a summary over tasks, or None where tasks or runs are too few, or all alike."""
    try:
        return function(values)
    except BadInput:
        return None


def without_tasks(function: Callable[[Mapping[str, V]], S], values: Mapping[str, V]) -> dict[str, S]:
    """Returns the summary without each task in turn, where the others are enough for one."""
    rest = {left: {task: one for task, one in values.items() if task != left} for left in values}
    found = {left: summarise(function, others) for left, others in rest.items()}
    return {left: one for left, one in found.items() if one is not None}


def _arms(studies: Mapping[str, Study]) -> list[str]:
    """Returns the arms that any task has, in the order in which the tasks list them, without the baseline."""
    return list(dict.fromkeys(e.arm for study in studies.values() for e in study.effects if e.arm != BASELINE))


def _arm(arm: str, studies: Mapping[str, Study]) -> ArmSummary:
    """Returns an arm over the tasks on which it has an effect."""
    found = {task: effect for task, study in studies.items() for effect in study.effects if effect.arm == arm}
    known = {task: effect.interval for task, effect in found.items() if effect.interval}
    effects = {task: Estimate(one.effect, one.low, one.high) for task, one in known.items()}
    values, means = ({task: one.value for task, one in effects.items()}, _as_runs(effects))
    runs = {task: _runs(studies[task], arm) for task in effects}
    first = next(iter(found.values()))
    return ArmSummary(
        arm, first.axis, first.reference, effects, across.count_tasks(effects),
        mean=summarise(across.mean, means), these=summarise(across.mean_of_these, effects),
        median=summarise(across.median, values), interquartile=summarise(partial(_interquartile, arm), runs),
        improvement=summarise(partial(_improvement, arm), runs),
        deviation=float(np.std(list(values.values()), ddof=1)) if len(values) > 1 else None,
        without=without_tasks(across.mean, means),
    )  # fmt: skip


def _as_runs(effects: Mapping[str, Estimate]) -> dict[str, Float64[np.ndarray, " _"]]:
    return {task: np.array([one.value]) for task, one in effects.items()}


def _runs(study: Study, arm: str) -> pd.DataFrame:
    """Returns the seeds on which an arm has a delta: its score, its control's and the delta, in points."""
    rows = study.table[(study.table["arm"] == arm) & study.table["delta"].notna()].sort_values("seed")
    return rows.assign(control_test=rows["test"] - rows["delta"])[["seed", "test", "control_test", "delta"]]


def _interquartile(arm: str, runs: Mapping[str, pd.DataFrame]) -> Summary:
    drawn = stream(0, "suite", "interquartile", arm)
    return across.interquartile_mean(_column(runs, "delta"), draws=RUN_DRAWS, rng=drawn)


def _improvement(arm: str, runs: Mapping[str, pd.DataFrame]) -> Summary:
    both, drawn = (_column(runs, "test"), _column(runs, "control_test")), stream(0, "suite", "improvement", arm)
    return across.improvement(*both, draws=RUN_DRAWS, rng=drawn)


def _column(runs: Mapping[str, pd.DataFrame], name: str) -> dict[str, Float64[np.ndarray, " _"]]:
    return {task: frame[name].to_numpy(dtype=np.float64) for task, frame in runs.items()}


def _adjust(arms: Sequence[ArmSummary]) -> list[ArmSummary]:
    """Returns the arms with p-values that account for their number."""
    p = holm(np.array([np.nan if one.mean is None or one.mean.p is None else one.mean.p for one in arms]))
    return [
        replace(one, p_adjusted=None if np.isnan(value) else value) for one, value in zip(arms, p.tolist(), strict=True)
    ]


def _with_ranks(arms: Sequence[ArmSummary], studies: Mapping[str, Study]) -> list[ArmSummary]:
    """Returns the arms with their mean ranks among the baseline and the arms that may win and ran on all tasks."""
    ranked = [one for one in arms if may_win(one.reference)]
    by_task = {
        task: {BASELINE: 0.0, **{one.arm: one.effects[task].value for one in ranked if task in one.effects}}
        for task in studies
    }
    ranks = across.mean_ranks(by_task) if len(studies) > 1 else {}
    return [replace(one, rank=ranks.get(one.arm)) for one in arms]


def _references(studies: Mapping[str, Study]) -> Iterator[ReferenceSummary]:
    """Yields by how much each arm gains more than each of its references, over the tasks that have both."""
    kinds = {
        (arm, one.reference): one.kind
        for study in studies.values()
        for one in comparisons(study.records)
        for arm in one.arms
    }
    for (arm, reference), kind in kinds.items():
        gaps, mean = over_tasks(studies, arm, reference)
        if gaps:
            yield ReferenceSummary(arm, reference, kind, gaps, mean)


def over_tasks(studies: Mapping[str, Study], arm: str, other: str) -> tuple[dict[str, float], Summary | None]:
    """Returns by how many points an arm gains more than another on each task that has both, and the mean over tasks."""
    gaps = {task: gap for task, study in studies.items() if (gap := _gap(study, arm, other)) is not None}
    return gaps, summarise(across.mean, {task: np.array([gap]) for task, gap in gaps.items()})


def _gap(study: Study, arm: str, reference: str) -> float | None:
    """Returns an arm's mean score minus its reference's on the seeds that both have, in points; None without one."""
    both = _runs(study, arm).merge(_runs(study, reference), on="seed", suffixes=("", "_reference"))
    return float((both["test"] - both["test_reference"]).mean()) if len(both) else None


# Sentences


def _sentence(verdict: TasksVerdict | None, t: int, without: Mapping[str, TasksVerdict]) -> str:
    """Words the verdict over tasks, and on which single tasks it depends."""
    if verdict is None:
        return f"No verdict over tasks: {t} of them {'has' if t == 1 else 'have'} one, and two or more are needed."
    by, turning = verdict.difference, [task for task, one in without.items() if one.word != verdict.word]
    inside = f"{signed_points(by.value)} points [{signed_points(by.low)}, {signed_points(by.high)}]"
    heads: Mapping[Winner, str] = {
        "data": "Data wins over tasks", "model": "Model wins over tasks", "undecided": "Undecided over tasks",
    }  # fmt: skip
    told = f"{heads[verdict.word]}: the best data strategy minus the best model is {inside}, mean of {t} tasks."
    words = {"data": "data wins", "model": "the model wins", "undecided": "it is undecided"}
    turns = "; ".join(f"without {task}, {words[without[task].word]}" for task in turning)
    return f"{told} The verdict changes when one task is left out: {turns}." if turning else told


def _notes(tasks: Sequence[TaskResult], t: int) -> Iterator[str]:
    """Yields what the answers cover, what few tasks cannot say, and what is missing."""
    yield (
        "An effect over tasks is the mean of the tasks' effects, each task with equal weight. Its 95 % interval is a t "
        "interval over tasks: it accounts for retraining, for test examples and for the choice of tasks, as far as "
        "these tasks are a random sample of those that you care about. A suite is seldom one."
    )
    if t > 1:
        wide = float(stdtrit(t - 1, (1 + LEVEL) / 2))
        yield f"With {t} tasks an interval is {wide:.2f} standard errors wide to each side, where many tasks need 1.96."
    if t < ENOUGH_TASKS:
        yield (
            f"Fewer than {ENOUGH_TASKS} tasks cannot show whether effects are normally distributed over tasks, which "
            "the t interval assumes, and if all of them agree in sign, a sign test still gives p > 0.05."
        )
    simulated = [task.name for task in tasks if task.labels.startswith("simulated")]
    if simulated:
        yield f"Training labels are simulated on {', '.join(simulated)}: this says nothing about real label errors."


def _close(arms: Sequence[ArmSummary]) -> Iterator[str]:
    """Yields which arms' tasks agree so closely that the interval over tasks is narrower than that of these tasks."""
    narrow = [one.arm for one in arms if one.mean and one.these and one.mean.high < one.these.high]
    if narrow:
        yield (
            "The tasks agree more closely than the noise within them explains, by chance: for "
            f"{', '.join(narrow)} read the interval on these tasks, which is wider."
        )


def _gaps_in(tasks: Sequence[TaskResult]) -> Iterator[str]:
    """Yields which tasks, arms and trials the answers lack, and why."""
    for task in tasks:
        if task.entry.why:
            yield f"{'Not run on' if task.study is None else 'Left out of the last run:'} {task.name}: {task.entry.why}"
        for arm, why in task.entry.left_out.items():
            yield f"Left out of {task.name}: {arm}: {why}."
        lost = [(e.arm, e.n_failed, e.n_missing) for e in task.study.effects] if task.study else []
        for arm, failed, missing in lost:
            if failed or missing:
                yield f"{task.name}: {arm}: {failed} trials failed, {missing} have not run yet."
