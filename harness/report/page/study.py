"""Writes a study as one HTML file.

It can be read without its script, which adds sorting, filters, rows that open in place and copy buttons. Everything
that comes from data is escaped. Equal studies give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from harness.analysis.attribution import Attribution
from harness.analysis.effects import Effect
from harness.analysis.label_policies import PolicyRow
from harness.analysis.study import Study
from harness.errors import BadInput
from harness.report import label_policies, leaderboard
from harness.report.leaderboard import signed_number
from harness.report.page.arm_details import ArmDetails, as_yaml, describe_arm
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
TRIAL_COLUMNS = ("seed", "score", "validation", "delta", "cpu s", "wall s", "peak MB", "record")
_MEASURED = ("test", "valid", "delta", "cost_cpu_s", "cost_wall_s", "cost_peak_mb")


@dataclass(frozen=True, eq=False)
class PageData:
    """Holds everything that a study's page shows.

    `trials` has one row per trial: arm, seed, key, status, why (there is no delta), and in points test, valid and
    delta. `arms` holds the details of each arm. `shared` are the configs that all arms share, as YAML; `made_by` is the
    code that made the records. `figures` are PNG or SVG by name, `rows` texts or PNG by the id of a training row.
    `command` runs the study; "" if it is unknown. `policies` score cleaning arms on given and on gold test labels.
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
    policies: Sequence[PolicyRow] = ()


@dataclass(frozen=True)
class VerdictText:
    """Holds a verdict for the page: its word (data, model, undecided, untold), its first sentence, the others."""

    word: str
    head: str
    sentences: Sequence[str]


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
        _shared(study.records), _made_by(study.records), figures, rows or {}, command, study.policies,
    )  # fmt: skip


def render(data: PageData) -> bytes:
    """Returns the page; BadInput for a figure that is neither PNG nor SVG, or a row that is neither text nor PNG."""
    places = {effect.arm: place for place, effect in enumerate(data.effects)}
    links = {arm: f"#arm-{place}" for arm, place in places.items()}
    sd = leaderboard.deviations(data.trials)
    content = {
        "data": data, "places": places, "counts": _counts(data), "verdict": verdict(data.attribution, data.notes),
        "board": Markup(leaderboard.as_html(data.effects, data.metric, sd, links)),
        "legend": leaderboard.legend(data.effects, data.metric, sd),
        "arms": [effect for _, effect in leaderboard.number_ranks(data.effects)],
        "axes": [axis for axis in ("model", "data", "both", "none") if any(one.axis == axis for one in data.effects)],
        "figures": [_figure(name, content) for name, content in data.figures.items()],
        "embedded": Markup(for_script(_embedded(data, places))),
        "summary": Markup(for_script(_summary(data))),
        "policies": [(*label_policies.trained_on(one), label_policies.policy_numbers(one)) for one in data.policies],
        "policy_title": label_policies.POLICY_TITLE, "policy_heads": label_policies.HEADS,
        "policy_note": label_policies.POLICY_NOTE,
        "estimate": estimate_text, "share": share, "signed": signed_number,
    }  # fmt: skip
    return fill_template("study.html", content)


def verdict(attribution: Attribution | None, notes: Sequence[str]) -> VerdictText:
    """Returns the verdict of a study, or why there is none."""
    if attribution and attribution.verdict:
        head, _, rest = attribution.verdict.sentence.partition(". ")
        return VerdictText(attribution.verdict.word, f"{head.rstrip('.')}.", [rest] if rest else [])
    said = [*(attribution.notes if attribution else ()), *notes]
    why = [note.partition(": ")[2] for note in said if note.startswith(("No attribution: ", "No verdict: "))]
    reason = why[0].rstrip(".") if why else "nothing was attributed"
    return VerdictText("untold", "It is not known whether the model or the data gained more.", [f"Because {reason}."])


def estimate_text(value: Any) -> str:
    """Returns an estimate with its interval, in points."""
    return f"{signed_number(value.value)} [{signed_number(value.low)}, {signed_number(value.high)}]"


def share(value: Any) -> str:
    """Returns a share of 1 with its interval, in percent."""
    low, high = (f"{100 * side:.1f}" for side in (value.low, value.high))
    return f"{100 * value.value:.1f} % [{low}, {high}]".replace("-", leaderboard.MINUS)


def _figure(name: str, content: bytes) -> tuple[str, str, Picture]:
    """Returns a figure's heading, its alternative text, and its picture."""
    plain = name.replace("_", " ")
    heading, shows = CAPTIONS.get(name, (plain[:1].upper() + plain[1:], f"Figure: {plain}"))
    return heading, shows, picture(content, f"figure '{name}'")


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
    said, counts = verdict(data.attribution, data.notes), _counts(data)
    sentence = " ".join([said.head, *said.sentences]) if said.word == "untold" else said.head
    made = OverviewLine(
        "", data.name, data.task, data.metric, said.word, sentence, best, counts["arms"], counts["trials"],
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
