"""Gathers all that a report shows of a study: effects, tie groups, attribution, sentences.

Numbers come from `effects`, `ties` and `attribution`; this module collects and words them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import pandas as pd

import harness
from harness.analysis import variance
from harness.analysis.attribution import Attribution, attribute
from harness.analysis.degenerate import degenerate_notes, find_degenerate
from harness.analysis.effects import (
    EXAMPLE_DRAWS,
    Adjust,
    Effect,
    ReferenceGain,
    covers,
    deltas,
    estimate_effects,
    trials,
)
from harness.analysis.effort import effort_notes
from harness.analysis.label_errors import (
    LabelErrors,
    RowToVerify,
    count_label_errors,
    rows_to_verify,
    score_by_verified,
)
from harness.analysis.label_policies import PolicyRow, compare_policies, policy_notes
from harness.analysis.load import load_notes
from harness.analysis.measures import measure
from harness.analysis.metric_verdicts import (
    BY_METRIC,
    MetricVerdict,
    comparable_scores,
    judge_by_metrics,
    rerun_command,
)
from harness.analysis.new_training_sets import NewSets, find_shared, new_set_notes, with_new_sets
from harness.analysis.power import VerdictPilot, plan_level, verdict_pilot
from harness.analysis.records import Records, join
from harness.analysis.references import comparisons, reference_gains, reference_notes, with_references
from harness.analysis.rescoring import own_metric, rescore
from harness.analysis.scores import Scores
from harness.analysis.significance import benjamini_yekutieli, holm
from harness.analysis.ties import with_letters
from harness.analysis.variance import Component
from harness.arm import BASELINE
from harness.checks import one_of
from harness.errors import BadInput
from harness.storage.store import Record, Store
from harness.streams import stream

REDRAWS = 20_000
"""Redraws of an attribution, as many as for a claim, so that both show the same numbers."""
ADJUSTS: Mapping[str, Adjust] = MappingProxyType({"holm": holm, "benjamini_yekutieli": benjamini_yekutieli})
"""Adjustments of p-values for the number of arms: they control the family-wise error, or the false discovery rate."""

BUDGET = "clean.k"
"""The parameter that holds how many labels a cleaning strategy may ask for."""
_NAMES = {"holm": "Holm", "benjamini_yekutieli": "Benjamini-Yekutieli"}


@dataclass(frozen=True, eq=False)
class Study:
    """Holds what a report shows: a study's effects in the order of its plan, one row per trial, and the notes.

    `scores` and `attribution` are None if the baseline never finished; `plan` is None for trials that were run one by
    one. `briefs` are the arms' short names; `strategies` are those of what an arm does, whatever its budget of labels.
    `metric` is the title of the metric that all of it is scored by, `own_metric` that by which the trials chose inside.
    `components` are the sources of the baseline's variance if the study salts its streams, and `components_note` is the
    note on them. `new_sets` says whether intervals for a new training set apply. `pilot` holds the variances behind the
    verdict, or a sentence on why there are none. `by_metric` holds the verdict under each other metric that it was
    judged by. `policies` score baseline and cleaning arms on given and on gold test labels. If nobody verified the test
    labels, `label_errors` says how many wrong ones would change the verdict (None without one), and `to_verify` are the
    rows that are worth verifying first. `references` holds the gain of each arm over each of its references.
    """

    name: str
    task: str
    metric: str
    own_metric: str
    effects: list[Effect]
    table: pd.DataFrame
    notes: list[str]
    scores: Scores | None
    attribution: Attribution | None
    plan: Mapping[str, Any] | None
    records: list[Record]
    classes: tuple[str, ...]
    briefs: Mapping[str, str]
    strategies: Mapping[str, str]
    components: list[Component]
    components_note: str
    new_sets: NewSets
    pilot: VerdictPilot | str = ""
    by_metric: Mapping[str, MetricVerdict] = field(default_factory=dict)
    policies: Sequence[PolicyRow] = ()
    label_errors: LabelErrors | None = None
    to_verify: Sequence[RowToVerify] = ()
    references: Sequence[ReferenceGain] = ()


def gather(
    store: Store, adjust: str = "holm", metric: str | None = None, verified: Mapping[str, int] | None = None
) -> Study:
    """Returns the study in a store; records outside its plan are left out, and counted in the notes.

    `adjust` is the adjustment of p-values for the number of arms, one of `ADJUSTS`; `metric` is one of `MEASURES`, by
    default the study's own. `verified` are classes by the id of the test row: where there is one, it replaces the given
    label, without training. BadInput if the records do not keep what the metric needs.
    """
    one_of("adjust", adjust, tuple(ADJUSTS))
    labels = verified or {}
    joined, metric, own = _scored(store, metric, labels)
    kept, plan = joined.records, joined.plan
    table = trials(kept)
    compared = deltas(table)
    scores = comparable_scores(joined)
    estimated = estimate_effects(kept, joined.test_set, joined.rows, ADJUSTS[adjust], plan_level(plan))
    found = with_letters(estimated, scores)
    new_sets = find_shared(kept)
    held = reference_gains(comparisons(kept), found, scores, plan_level(plan))
    found = with_references(with_new_sets(found, new_sets), held)
    answer = attribute(scores, draws=REDRAWS, rng=stream(0, "attribution")) if scores else None
    by_metric, told = judge_by_metrics(joined, store.valid_set, metric, answer)
    policies = compare_policies(kept, joined.test_set)
    warnings = list(degenerate_notes(find_degenerate(kept, joined.test_set)))
    notes = [
        *warnings,
        *_scored_by(metric, own),
        *told,
        *policy_notes(policies),
        *_notes(found, table, compared, adjust),
        *effort_notes(kept),
        *load_notes(table),
        *new_set_notes(found, new_sets),
        *_left_out(plan),
        *_let_go(plan),
        *reference_notes(held),
        *_mixed(kept),
        *_stale(joined),
        *_unsound(joined),
    ]
    gains = compared[["key", "control", "delta", "delta_valid", "why"]]
    table = table.merge(gains, how="left", on=["key", "control"], validate="one_to_one")
    said = [*_told_by_metric(told), *_about_baseline(warnings)]
    return Study(
        joined.name, _task(kept[0]), measure(metric).title, own, found, table, notes, scores,
        _with_sentences(answer, said), plan, kept, _classes(joined), joined.briefs, joined.strategies(BUDGET),
        *_components(joined, scores), new_sets, verdict_pilot(joined), by_metric, policies,
        *_unverified(joined, answer, labels), held,
    )  # fmt: skip


def _scored(store: Store, metric: str | None, labels: Mapping[str, int]) -> tuple[Records, str, str]:
    """Returns the records, scored by a metric and by verified labels, the name of the metric, and the study's own."""
    joined = _join(store)
    if labels:
        rescored, find = score_by_verified(joined.records, joined.test_set, labels)
        joined = replace(joined, records=rescored, test_set=find)
    own = own_metric(joined.records[0])
    by, again = metric or own, rerun_command(joined)
    return replace(joined, records=rescore(joined.records, by, joined.test_set, store.valid_set, again)), by, own


def _join(store: Store) -> Records:
    """Returns the study's rows and records; BadInput without a sound record."""
    joined = join(store)
    if not joined.records:
        lines = [f"damaged and left out: {line}" for line in joined.damaged]
        raise BadInput("\n".join([f"{store.folder} holds no record of a trial: run the study first", *lines]))
    return joined


def _let_go(plan: Mapping[str, Any] | None) -> list[str]:
    """Returns what the budget of time let go while the study ran."""
    return [f"Budget: {plan['let_go']}."] if plan and plan.get("let_go") else []


def _unverified(
    joined: Records, answer: Attribution | None, labels: Mapping[str, int]
) -> tuple[LabelErrors | None, list[RowToVerify]]:
    """Returns what wrong test labels would change, and the rows to verify; nothing where all labels are verified."""
    done = [one for one in joined.records if one["status"] == "done"]
    if not any(one["facts"].get("test_labels") == "given" for one in done):
        return None, []
    rungs = answer.ladder if answer and answer.verdict else None
    errors = count_label_errors(joined, rungs, labels) if rungs else None
    return errors, rows_to_verify(done, joined.test_set, rungs, labels)


def _with_sentences(answer: Attribution | None, more: Sequence[str]) -> Attribution | None:
    """Returns the answer whose verdict also says what depends on the metric, and that the baseline is no control."""
    if answer is None or answer.verdict is None or not more:
        return answer
    sentence = " ".join([answer.verdict.sentence, *more])
    return replace(answer, verdict=replace(answer.verdict, sentence=sentence))


def _about_baseline(warnings: Sequence[str]) -> list[str]:
    return [warning for warning in warnings if warning.startswith("Warning: the baseline ")]


def _told_by_metric(told: Sequence[str]) -> list[str]:
    """Returns the sentence on verdicts under other metrics, if there is one."""
    return [sentence for sentence in told if sentence.startswith(BY_METRIC)]


def _scored_by(metric: str, own: str) -> list[str]:
    """Returns what a metric is, and what its choice does not change; nothing for accuracy as the study's own."""
    if metric == own:
        return [f"Metric: {measure(metric).note}"] if metric != "accuracy" else []
    return [
        f"Metric: {measure(metric).note} Computed from the records, without training: what trials chose inside (early "
        f"stopping, tuning) was chosen by {own}."
    ]


def _components(joined: Records, scores: Scores | None) -> tuple[list[Component], str]:
    """Returns the sources of the baseline's variance, and the note on them; empty if no stream was salted."""
    if scores is None or len(scores.seeds) < 2 or not variance.rows_by_stream(scores, BASELINE):
        return [], ""
    found = [*variance.components(scores, BASELINE), variance.examples(joined.records, joined.test_set)]
    return found, variance.describe_components(scores, BASELINE)


def _classes(joined: Records) -> tuple[str, ...]:
    """Returns the names of the task's classes; none if no trial finished."""
    done = next((record for record in joined.records if record["status"] == "done"), None)
    return joined.test_set(done["result"]["test_set"]).classes if done else ()


def _notes(found: Sequence[Effect], table: pd.DataFrame, compared: pd.DataFrame, adjust: str) -> list[str]:
    """Returns the sentences below the table: what intervals cover, what is simulated, what is missing and why."""
    return [
        *coverage_notes(found),
        "Each interval is for its arm alone and not adjusted for the number of arms; adjusted p-values are, by "
        f"{_NAMES[adjust]}. {_method(found)}",
        *_facts(table),
        *_failures(table, compared),
        *_missing(found),
    ]


def _left_out(plan: Mapping[str, Any] | None) -> list[str]:
    """Returns a note on the arms that the study lists and the machine that ran it could not run."""
    names = (plan or {}).get("left_out") or []
    return [f"Left out, because a package or a program was missing: {', '.join(names)}."] if names else []


def _method(found: Sequence[Effect]) -> str:
    """Returns a sentence on how intervals were computed: those of one seed know test examples alone."""
    seeds = {effect.interval.n_seeds for effect in found if effect.interval}
    examples, paired = f"test examples ({EXAMPLE_DRAWS} draws)", "paired with the control of the same seed"
    if seeds == {1}:
        return f"Intervals come from a bootstrap over {examples}, {paired}; one seed has no level of seeds."
    if 1 in seeds:
        return (
            f"Intervals come from a two-level bootstrap over seeds (in closed form) and {examples}, {paired}; those of "
            "arms with one seed are over test examples alone."
        )
    return f"Intervals come from a two-level bootstrap over seeds (in closed form) and {examples}, {paired}."


def coverage_notes(found: Sequence[Effect]) -> list[str]:
    """Returns sentences on what the intervals cover: that of most arms, then those of arms with another n."""
    said: dict[str, list[str]] = {}
    for effect in found:
        if effect.interval:
            said.setdefault(effect.covers, []).append(effect.arm)
    first, *others = sorted(said, key=lambda sentence: -len(said[sentence])) or [covers(None)]
    return [first, *(f"For {', '.join(said[sentence])}: {sentence}" for sentence in others)]


def _facts(table: pd.DataFrame) -> list[str]:
    """Returns facts on the task's data that are needed to read the table."""
    notes = []
    if "fact_read" in table:
        notes += [f"Data: {read}." for read in table["fact_read"].dropna().drop_duplicates()]
    if "fact_noise" in table:
        noise = table.loc[table["fact_noise"].notna(), ["seed", "fact_noise"]].sort_values("seed")
        texts = noise["fact_noise"].drop_duplicates().tolist()
        more = f" (seed {noise['seed'].iloc[0]}; it differs a little by seed)" if len(texts) > 1 else ""
        notes += [f"Labels: {texts[0]}{more}."] if texts else []
    if "fact_budget" in table:
        told = table["fact_budget"].dropna().drop_duplicates().tolist()
        notes += [f"Budget: {told[0]}{' (the first of several sizes)' if len(told) > 1 else ''}."] if told else []
    if "fact_overlap" in table and table["fact_overlap"].notna().any():
        low, high = int(table["fact_overlap"].min()), int(table["fact_overlap"].max())
        notes.append(f"Test rows that are also among the training rows: {low if low == high else f'{low} to {high}'}.")
    return [*notes, *_of_arms(table, "adapted"), *_of_arms(table, "ignored"), *_of_arms(table, "reading")]


def _of_arms(table: pd.DataFrame, fact: str) -> list[str]:
    """Returns a fact of each arm that has it, as the first of its seeds tells it.

    *Adapted* says what was changed for a model that cannot take a strategy's output, *ignored* what a strategy did not
    use of a file, *reading* how it read what could mean two things.
    """
    column = f"fact_{fact}"
    if column not in table:
        return []
    first = table[table[column].notna()].sort_values("seed").drop_duplicates("arm")
    return [
        f"{fact.capitalize()}: {arm}, seed {seed}: {told}."
        for arm, seed, told in zip(first["arm"], first["seed"], first[column], strict=True)
    ]


def _failures(table: pd.DataFrame, compared: pd.DataFrame) -> list[str]:
    """Returns each arm's failed trials by reason, and each delta that is missing because of its control."""
    failed = table[table["status"] == "failed"]
    lost = compared[compared["why"].str.startswith("control")]
    return [
        *(f"Failed: {arm}, {_seeds(rows)}: {why}" for (arm, why), rows in failed.groupby(["arm", "reason"])["seed"]),
        *(f"No delta: {arm}, {_seeds(rows)}: {why}" for (arm, why), rows in lost.groupby(["arm", "why"])["seed"]),
    ]


def _seeds(seeds: pd.Series) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, sorted(seeds)))}"


def _missing(found: Sequence[Effect]) -> list[str]:
    return [f"Not run yet: {e.n_missing} of {e.n_trials} trials of {e.arm}." for e in found if e.n_missing]


def _mixed(records: Sequence[Record]) -> list[str]:
    """Returns a note if the trials were made by several commits of one version; BadInput for several versions.

    Another commit may differ in a comment only; another version could cause a difference by itself.
    """
    made = [record["provenance"] for record in records if record["provenance"]]
    versions, commits = ({one[name] for one in made if one.get(name)} for name in ("harness", "commit"))
    if len(versions) > 1:
        raise BadInput(
            f"the records were made by versions {', '.join(sorted(versions))} of this program, which may themselves "
            "cause differences: run the study again in another store (store=FOLDER)"
        )
    if len(commits) > 1:
        return [f"Mixed: the trials were made by {len(commits)} commits of this program."]
    return []


def _unsound(joined: Records) -> list[str]:
    """Returns notes on records that are damaged, have no checksum, or were made by another version of this program."""
    bare, records = joined.unsealed, joined.records
    versions = {str(record["provenance"].get("harness")) for record in records if record["provenance"]}
    others = sorted(versions - {harness.__version__, "None"})
    return [
        *(f"Damaged and left out: {line}." for line in joined.damaged),
        *([f"{bare} records have no checksum: an earlier version of this program made them."] if bare else []),
        *([f"Made by version {others[0]} of this program; this is {harness.__version__}."] if others else []),
    ]


def _stale(joined: Records) -> list[str]:
    what = "the study's plan does not hold" if joined.plan else "no command has named"
    return [f"Left out: {joined.stale} records of trials that {what}."] if joined.stale else []


def _task(record: Record) -> str:
    """Returns the task's name, or else its function's."""
    task = record["trial"]["task"]
    return str(task.get("name") or task.get("_target_", "").rpartition(".")[2])
