"""Words what an arm that somebody enters into a suite is worth, beside its references and its rivals."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from harness.analysis.across import Summary
from harness.analysis.attribution import signed_points
from harness.analysis.choice import Estimate
from harness.analysis.effects import labels_bought
from harness.analysis.study import Study
from harness.analysis.suite import ArmSummary, SuiteAnswer, over_tasks
from harness.arm import may_win


def entry_lines(answer: SuiteAnswer, label: str, rivals: Collection[str]) -> list[str]:
    """Returns the lines that tell of one arm: over tasks, against references and the best rival, costs, where it helps.

    `rivals` are the labels of arms of the same family, of which those that the suite has are looked at.
    """
    entry = next((one for one in answer.arms if one.arm == label), None)
    if entry is None or not entry.effects:
        return [f"{label}: no task has an effect of it"]
    studies = {task.name: task.study for task in answer.tasks if task.study}
    counts = entry.tally
    return [
        f"{label} on {len(entry.effects)} of {len(answer.tasks)} tasks, in points over the baseline:",
        f"  over tasks       {_over(entry.mean, [one.value for one in entry.effects.values()])}; "
        f"gains on {counts.wins}, ties on {counts.ties}, loses on {counts.losses}{_rank(entry)}",
        *_against_references(answer, label),
        *_against_rivals(answer, studies, entry, rivals),
        *_where(entry),
        f"  cost             {'; '.join(_costs(studies, label)) or 'not known'}",
    ]


def _over(mean: Summary | None, values: list[float]) -> str:
    """Words a mean over tasks; without an interval where the tasks are too few for one."""
    if mean is not None:
        return f"{signed_points(mean.value)} [{signed_points(mean.low)}, {signed_points(mean.high)}]"
    told = "one task has no interval over tasks" if len(values) == 1 else "no interval over tasks"
    return f"{signed_points(sum(values) / len(values))} ({told})"


def _rank(entry: ArmSummary) -> str:
    return "" if entry.rank is None else f"; mean rank {entry.rank:.1f}"


def _against_references(answer: SuiteAnswer, label: str) -> Iterator[str]:
    """Yields by how much the arm gains more than each of its references."""
    held = [one for one in answer.references if one.arm == label]
    for one in held:
        yield f"  its reference    {one.reference} ({one.kind}): {_over(one.mean, list(one.gaps.values()))} over it"
    if not held:
        yield "  its reference    none that ran beside it: a gain may come from less than the idea (see reference_for)"


def _against_rivals(
    answer: SuiteAnswer, studies: Mapping[str, Study], entry: ArmSummary, rivals: Collection[str]
) -> Iterator[str]:
    """Yields how the arm compares with the rival that has the largest mean effect on the tasks of both."""
    alike = [one for one in answer.arms if one.arm in rivals and one.arm != entry.arm and may_win(one.reference)]
    others = [one for one in alike if set(one.effects) & set(entry.effects)]
    best = max(others, key=lambda one: _mean_on(one, entry), default=None)
    if best is None:
        yield "  best rival       none of its family is in the suite"
        return
    gaps, mean = over_tasks(studies, entry.arm, best.arm)
    ahead = sum(gap > 0 for gap in gaps.values())
    yield (
        f"  best rival       {best.arm}: {_over(mean, list(gaps.values()))} over it, ahead on {ahead} of {len(gaps)} "
        f"(the best of {len(others)} of its family, chosen by these scores, which flatters it)"
    )


def _mean_on(one: ArmSummary, entry: ArmSummary) -> float:
    """Returns an arm's mean effect on the tasks that the entry has an effect on as well."""
    values = [effect.value for task, effect in one.effects.items() if task in entry.effects]
    return sum(values) / len(values)


def _where(entry: ArmSummary) -> Iterator[str]:
    """Yields on which tasks the arm helps and on which it hurts: those whose interval excludes 0."""
    ranked = sorted(entry.effects.items(), key=lambda pair: -pair[1].value)
    for what, chosen in (
        ("helps on", [pair for pair in ranked if pair[1].low > 0]),
        ("hurts on", [pair for pair in reversed(ranked) if pair[1].high < 0]),
    ):
        told = ", ".join(f"{task} {_in_words(one)}" for task, one in chosen)
        yield f"  {what:16} {told or 'no task, as far as can be told'}"


def _in_words(one: Estimate) -> str:
    return f"{signed_points(one.value)} [{signed_points(one.low)}, {signed_points(one.high)}]"


def _costs(studies: Mapping[str, Study], label: str) -> Iterator[str]:
    """Yields, for each task, what a training costs: processor seconds, and labels that were bought."""
    for task, study in studies.items():
        rows = study.table[(study.table["arm"] == label) & study.table["delta"].notna()]
        if not len(rows):
            continue
        bought = [labels_bought(one["ledger"]) for one in study.records if one["arm"] == label and one["ledger"]]
        yield (
            f"{task} {rows['cost_cpu_s'].mean():.1f} CPU-seconds and {sum(bought) / len(bought):.0f} bought labels a "
            "training"
        )
