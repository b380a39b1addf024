"""Writes a study as one HTML file.

It can be read without its script, which adds sorting, filters, rows that open in place and copy buttons. Everything
that comes from data is escaped. Equal studies give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd
from markupsafe import Markup

from harness.analysis.attribution import Attribution
from harness.analysis.effects import Effect, ReferenceGain
from harness.analysis.label_policies import PolicyRow
from harness.analysis.sensitivity import Omitted
from harness.analysis.study import Study
from harness.analysis.variance import Component
from harness.arm import kind_in_words
from harness.errors import BadInput
from harness.report import label_policies, leaderboard
from harness.report.closing import answer_paragraphs
from harness.report.glossary import GLOSSARY
from harness.report.leaderboard import IntervalScale, beside_in_words, glue, signed_number, whisker
from harness.report.page.arm_details import ArmDetails, as_yaml, describe_arm
from harness.report.page.claims import ClaimLine
from harness.report.page.embedding import PNG, Picture, for_script, picture, png
from harness.report.page.overview import OverviewLine
from harness.report.page.sheet import fill_template
from harness.storage.store import Record

LONGEST = 240
"""How many characters of a row's text are shown."""
CAPTIONS: Mapping[str, tuple[str, str]] = {
    "effects": ("Effects", "Forest plot: each arm's effect in points with its 95 % interval"),
    "cells": ("Models and data strategies", "Heat map: the score of each model with each data strategy"),
    "attribution": (
        "Attribution",
        "What best model and best data gain, their shares, and the verdict without each arm",
    ),
    "cost": ("Gain against cost", "Scatter plot: gain against processor time and labels, with the Pareto front"),
    "budget": ("Budget", "Curves: score against the number of labels bought"),
    "curves": ("Training", "Curves: score and loss against training steps"),
    "variance": ("Variance", "Shares of the variance of scores by what it comes from"),
    "atlas": ("Published tables", "What a swap of the model and one of the data buy in published tables"),
}
"""The heading and the alternative text of each figure, by name; an unknown name is used for both."""
NUMBERS: Mapping[str, str] = {
    "effects": "leaderboard.csv", "cells": "table.parquet", "attribution": "answers.json", "cost": "leaderboard.csv",
    "budget": "leaderboard.csv", "curves": "trials/", "variance": "answers.json",
}  # fmt: skip
"""The file that holds the numbers of each figure, beside the page; `trials/` is in the study's folder."""
BEST = 5
"""How many arms the first screen shows."""
_WHAT_IF: Mapping[str, str] = {
    "worst arm of each axis dropped": "the model and the data strategy with the lowest validation score are left out",
    "median arm of each axis": "the middle gain of all data strategies, less that of all models: nobody chooses",
    "matched cost": "the dearer side may only use arms of at most twice the processor time of the cheaper one",
}
TRIAL_COLUMNS = ("seed", "score", "validation", "delta", "cpu s", "wall s", "peak MB", "record")
_MEASURED = ("test", "valid", "delta", "cost_cpu_s", "cost_wall_s", "cost_peak_mb")


@dataclass(frozen=True, eq=False)
class PageData:
    """Holds everything that a study's page shows.

    `trials` has one row per trial: arm, seed, key, status, why (there is no delta), and in points test, valid and
    delta. `arms` holds the details of each arm. `shared` are the configs that all arms share, as YAML; `made_by` is the
    code that made the records. `figures` are PNG or SVG by name, `rows` texts or PNG by the id of a training row.
    `command` runs the study; "" if it is unknown. `answer` is that of the terminal, as pairs of heading and text;
    `components` are the sources of variance that a study of salts asks about; `references` are the arms' gains over
    all of their references. `root` leads from the page to the study's folder. `policies` score
    cleaning arms on given and on gold test labels.
    """

    name: str
    task: str
    metric: str
    effects: Sequence[Effect]
    attribution: Attribution | None
    notes: Sequence[str]
    trials: pd.DataFrame
    arms: Mapping[str, ArmDetails]
    shared: Mapping[str, str]
    made_by: Mapping[str, str]
    figures: Mapping[str, bytes]
    rows: Mapping[str, str | bytes]
    command: str
    answer: Sequence[tuple[str, str]] = ()
    components: Sequence[Component] = ()
    references: Sequence[ReferenceGain] = ()
    claims: Sequence[ClaimLine] = ()
    root: str = ""
    policies: Sequence[PolicyRow] = ()


@dataclass(frozen=True)
class VerdictText:
    """Holds the answer at the top of the page.

    `word` is data, model or undecided, other for a study that asks another question, untold if there is no answer.
    `head` is the answer in a sentence, `cautions` are what must be known before it, `paragraphs` the rest by heading.
    """

    word: str
    head: str
    cautions: Sequence[str]
    paragraphs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class ChartLine:
    """Holds a line of the small chart: what it is, the arm ("" for none), the value in words, and the drawing."""

    name: str
    axis: str
    arm: str
    place: int | None
    text: str
    drawing: Markup


def page_data(
    study: Study, figures: Mapping[str, bytes], rows: Mapping[str, str | bytes] | None, command: str,
    classes: Sequence[str] = (),
) -> PageData:  # fmt: skip
    """Returns the page's content from a study; `classes` names the classes of its task, in their order."""
    by_arm: dict[str, list[Record]] = {}
    for record in study.records:
        by_arm.setdefault(record["arm"], []).append(record)
    baseline = next(iter(by_arm.get("baseline", [])), None)
    arms = {
        effect.arm: describe_arm(by_arm.get(effect.arm, []), baseline, classes, command) for effect in study.effects
    }
    columns = [name for name in ("arm", "seed", "key", "status", "why", *_MEASURED) if name in study.table]
    return PageData(
        study.name, study.task, study.metric, study.effects, study.attribution, study.notes, study.table[columns], arms,
        _shared(study.records), _made_by(study.records), figures, rows or {}, command, answer_paragraphs(study),
        study.components, study.references, policies=study.policies,
    )  # fmt: skip


def render(data: PageData) -> bytes:
    """Returns the page; BadInput for a figure that is neither PNG nor SVG, or a row that is neither text nor PNG."""
    places = {effect.arm: place for place, effect in enumerate(data.effects)}
    links = {arm: f"#arm-{place}" for arm, place in places.items()}
    sd = leaderboard.deviations(data.trials)
    content = {
        "data": data, "places": places, "counts": _counts(data), "verdict": verdict(data.answer, data.attribution),
        "chart": chart(data, places), "best": best_arms(data, places), "beside": _by_arm(data.references),
        "glossary": GLOSSARY,
        "board": Markup(leaderboard.as_html(data.effects, data.metric, sd, links)),
        "legend": leaderboard.legend(data.effects, data.metric, sd),
        "arms": [effect for _, effect in leaderboard.number_ranks(data.effects)],
        "axes": [axis for axis in ("model", "data", "both", "none") if any(one.axis == axis for one in data.effects)],
        "figures": [_figure(name, content) for name, content in data.figures.items()],
        "embedded": Markup(for_script(_embedded(data, places))),
        "summary": Markup(for_script(_summary(data))),
        "estimate": estimate_text, "share": share, "signed": signed_number, "what_if": what_if,
        "effect_words": leaderboard.effect_in_words,
        "policies": [(*label_policies.trained_on(one), label_policies.policy_numbers(one)) for one in data.policies],
        "policy_title": label_policies.POLICY_TITLE, "policy_heads": label_policies.HEADS,
        "policy_note": label_policies.POLICY_NOTE,
    }  # fmt: skip
    return fill_template("study.html", content)


def verdict(answer: Sequence[tuple[str, str]], attribution: Attribution | None) -> VerdictText:
    """Returns what stands at the top of the page: the study's answer, or why there is none."""
    cautions = [text for heading, text in answer if heading == "Caution"]
    (heading, head), *rest = [pair for pair in answer if pair[0] != "Caution"] or [("Verdict", "None: nothing ran.")]
    if attribution and attribution.verdict:
        return VerdictText(attribution.verdict.word, head, cautions, rest)
    if heading == "Answer":
        return VerdictText("other", head, cautions, rest)
    return VerdictText("untold", head.replace("None: ", "No verdict: ", 1), cautions, rest)


def chart(data: PageData, places: Mapping[str, int]) -> list[ChartLine]:
    """Returns the small chart of the first screen: the ladder, or the sources of variance; empty without either."""
    rungs = data.attribution.ladder if data.attribution else None
    if rungs:
        steps = (("best model", "model", rungs.model), ("best data", "data", rungs.data), ("both", "both", rungs.both))
        found = [(name, axis, step.arm, step.effect) for name, axis, step in steps if step]
        scale = _scale([(one.value, one.low, one.high) for *_, one in found])
        return [
            ChartLine(
                name, axis, arm, places.get(arm), estimate_text(one),
                Markup(whisker(one.value, (one.low, one.high), scale)),
            )
            for name, axis, arm, one in found
        ]  # fmt: skip
    sds = [(part.name, part.sd) for part in data.components]
    scale = _scale([sd for _, sd in sds])
    return [
        ChartLine(
            name, "none", "", None, f"{value:.2f} [{low:.2f}, {high:.2f}]", Markup(whisker(value, (low, high), scale))
        )
        for name, (value, low, high) in sds
    ]


def _scale(values: Sequence[tuple[float, float, float]]) -> IntervalScale:
    """Returns the scale that shows all of these values with their intervals, and 0."""
    ends = [0.0, *(end for one in values for end in one)]
    room = 0.04 * (max(ends) - min(ends)) or 1.0
    return IntervalScale(min(ends) - room, max(ends) + room)


def best_arms(data: PageData, places: Mapping[str, int]) -> list[tuple[int, Effect, int, str, Markup]]:
    """Returns the `BEST` arms of the first ranks: rank, effect, place, gain over the reference in words, drawing.

    Empty for a study of salts, whose arms are one arm.
    """
    ranked = [(rank, one) for rank, one in leaderboard.number_ranks(data.effects) if rank is not None]
    shown = [] if data.components else ranked[:BEST]
    scale = _scale([(one.interval.effect, one.interval.low, one.interval.high) for _, one in shown if one.interval])
    return [
        (
            rank, one, places[one.arm], beside_in_words(replace(one.beside, words="")) if one.beside else "",
            Markup(whisker(one.interval.effect, (one.interval.low, one.interval.high), scale)),
        )
        for rank, one in shown
        if one.interval
    ]  # fmt: skip


def _by_arm(gains: Sequence[ReferenceGain]) -> dict[str, list[tuple[str, str]]]:
    """Returns for each arm its gains over all of its references: kind, gain in words."""
    found: dict[str, list[tuple[str, str]]] = {}
    for gain in gains:
        found.setdefault(gain.arm, []).append((kind_in_words(gain.kind), beside_in_words(gain)))
    return found


def what_if(one: Omitted) -> str:
    """Explains in a line what a row of the sensitivity does."""
    return "the arm is left out" if one.omits else _WHAT_IF.get(one.what, "")


def estimate_text(value: Any) -> str:
    """Returns an estimate with its interval, in points."""
    return glue(f"{signed_number(value.value)} [{signed_number(value.low)}, {signed_number(value.high)}]")


def share(value: Any) -> str:
    """Returns a share of 1 with its interval, in percent."""
    low, high = (f"{100 * side:.1f}" for side in (value.low, value.high))
    return glue(f"{100 * value.value:.1f} % [{low}, {high}]".replace("-", leaderboard.MINUS))


@dataclass(frozen=True)
class PageFigure:
    """Holds a figure of the page: its heading, what it shows, its picture, its file and the file of its numbers."""

    heading: str
    shows: str
    picture: Picture
    file: str
    numbers: str


def _figure(name: str, content: bytes) -> PageFigure:
    """Returns a figure as the page shows it."""
    plain = name.replace("_", " ")
    heading, shows = CAPTIONS.get(name, (plain[:1].upper() + plain[1:], f"Figure: {plain}"))
    return PageFigure(
        heading, shows, picture(content, f"figure '{name}'"), f"{name}.png", NUMBERS.get(name, "table.parquet")
    )


def _counts(data: PageData) -> dict[str, int]:
    """Returns the numbers of arms, trials, seeds, failed and missing trials."""
    return {
        "arms": len(data.effects), "trials": len(data.trials), "seeds": int(data.trials["seed"].nunique()),
        "failed": sum(effect.n_failed for effect in data.effects),
        "missing": sum(effect.n_missing for effect in data.effects),
    }  # fmt: skip


def _summary(data: PageData) -> dict[str, Any]:
    """Returns the study's summary for the index."""
    first = [effect for rank, effect in leaderboard.number_ranks(data.effects) if rank == 1]
    best = "; ".join(f"{one.arm} {leaderboard.effect_in_words(one.interval)}" for one in first if one.interval)
    said, counts = verdict(data.answer, data.attribution), _counts(data)
    made = OverviewLine(
        "", data.name, data.task, data.metric, said.word, said.head, best, counts["arms"], counts["trials"],
        counts["failed"],
    )  # fmt: skip
    return {name: value for name, value in asdict(made).items() if name != "href"}


def _embedded(data: PageData, places: Mapping[str, int]) -> dict[str, Any]:
    """Returns the data that the script shows when a row is opened: the arm's trials, and the rows named in receipts."""
    trials: dict[str, list[list[Any]]] = {}
    for row in data.trials.to_dict("records"):
        trials.setdefault(str(places.get(row["arm"], -1)), []).append(_trial(row))
    named = {
        one.id for arm in data.arms.values() for stage in arm.stages for rows in stage.rows.values() for one in rows
    }
    return {
        "columns": TRIAL_COLUMNS,
        "trials": trials,
        "rows": {name: _example(name, data.rows[name]) for name in sorted(named & set(data.rows))},
    }


def _trial(row: Mapping[Any, Any]) -> list[Any]:
    """Returns seed, key, whether the trial failed, its measurements (None if missing), and why there is no delta."""
    measured = [round(float(row[name]), 3) if pd.notna(row.get(name)) else None for name in _MEASURED]
    why = row.get("why")
    return [int(row["seed"]), row["key"], int(row["status"] == "failed"), measured, why if isinstance(why, str) else ""]


def _example(name: str, content: str | bytes) -> str:
    """Returns a training row as its text, or as a data URL, which the script recognises by its prefix."""
    if isinstance(content, bytes):
        if not content.startswith(PNG):
            raise BadInput(f"row '{name}' is neither text nor a PNG")
        return f"i{png(content)}"
    return f"t{content[:LONGEST]}{'…' if len(content) > LONGEST else ''}"


def _shared(records: Sequence[Record]) -> dict[str, str]:
    """Returns the configs that a study's trials share."""
    trial = records[0]["trial"] if records else {}
    return {name: as_yaml(trial[name]) for name in ("task", "protocol", "probe") if trial.get(name)}


def _made_by(records: Sequence[Record]) -> dict[str, str]:
    """Returns the code, versions and devices that made the records; several if they differ."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        made = record["provenance"]
        for name, value in _flat({name: value for name, value in made.items() if name not in ("finished", "claims")}):
            found.setdefault(name, {})[str(value)] = None
    return {name: ", ".join(sorted(values)) for name, values in found.items()}


def _flat(made: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in made.items():
        if isinstance(value, Mapping):
            yield from value.items()
        elif value is not None:
            yield name, value
