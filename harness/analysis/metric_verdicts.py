"""Judges a study's verdict again under other metrics, from its records alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.analysis.attribution import Attribution
from harness.analysis.choice import Estimate
from harness.analysis.ladder import Winner, axes, decide_axes, why_undecidable, winner_of
from harness.analysis.measures import measure
from harness.analysis.records import Records
from harness.analysis.rescoring import Find, rescore, rescoring_faults
from harness.analysis.scores import Scores, collect_scores
from harness.errors import BadInput

OTHERS = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "roc_auc")
"""The metrics by which every verdict is judged again: the common ones that cost little."""
BY_METRIC = "The verdict by other metrics: "


@dataclass(frozen=True)
class MetricVerdict:
    """Holds the axis that wins under a metric, and data minus model in points of that metric."""

    word: Winner
    by: Estimate


def judge_by_metrics(
    joined: Records, valid_set: Find, metric: str, answer: Attribution | None
) -> tuple[dict[str, MetricVerdict], list[str]]:
    """Returns the verdict under each of `OTHERS` but `metric`, and sentences that say whether it is the same.

    Nothing if the study has no verdict. Each is that of the report by that metric. `valid_set` finds validation rows.
    """
    if answer is None or answer.verdict is None:
        return {}, []
    found: dict[str, MetricVerdict] = {}
    missing: dict[str, str] = {}
    for name in OTHERS:
        if name == metric or (name == "macro_f1" and metric == "f1"):
            continue
        wrong = rescoring_faults(joined.records, name, joined.test_set, rerun_command(joined))
        judged = None if wrong else _judge(joined, valid_set, name)
        if judged:
            found[name] = judged
        else:
            missing[name] = wrong[0] if wrong else f"{name} gives no verdict"
    return found, [*_same_or_not(answer.verdict.word, found), *_not_judged(missing)]


def _judge(joined: Records, valid_set: Find, name: str) -> MetricVerdict | None:
    """Returns the verdict under a metric, None if its scores allow none."""
    records = rescore(joined.records, name, joined.test_set, valid_set, "")
    scores = comparable_scores(replace(joined, records=records))
    if scores is None or why_undecidable(scores):
        return None
    where = axes(scores)
    difference = decide_axes(scores, where, where.model, where.data).verdict
    return MetricVerdict(winner_of(difference), difference)


def _same_or_not(word: Winner, found: Mapping[str, MetricVerdict]) -> Iterator[str]:
    """Yields one sentence: the metrics that give the same verdict, and the others with theirs."""
    same = [measure(name).title for name, one in found.items() if one.word == word]
    others = [
        f"under {measure(name).title}: {one.word} (data minus model {one.by.value:+.2f} [{one.by.low:+.2f}, "
        f"{one.by.high:+.2f}])".replace("-", "−")
        for name, one in found.items()
        if one.word != word
    ]
    parts = [*([f"the same ({word}) under {_listed(same)}"] if same else []), *others]
    if parts:
        yield f"{BY_METRIC}{'; '.join(parts)}."


def _not_judged(missing: Mapping[str, str]) -> Iterator[str]:
    """Yields a sentence on the metrics by which the verdict could not be judged, with the first reason."""
    if missing:
        yield f"Not judged by {_listed(list(missing))}: {next(iter(missing.values()))}."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def rerun_command(joined: Records) -> str:
    """Returns what makes a study's records anew."""
    return f"harness -m experiments={joined.name} rerun=true" if joined.plan else "rerun=true in their commands"


def comparable_scores(joined: Records) -> Scores | None:
    """Returns the scores by arm and seed; None if the baseline never finished.

    If a study adds seeds to undecided arms only, all arms are compared on the seeds of its first look.
    """
    plan, rows = joined.plan or {}, joined.rows
    precision = plan.get("precision")
    first = set(plan["seeds"][: precision["looks"][0]]) if precision else {row["seed"] for row in rows}
    try:
        return collect_scores(joined.records, joined.test_set, [row for row in rows if row["seed"] in first])
    except BadInput:
        return None
