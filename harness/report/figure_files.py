"""A study in, its figures out, by name and by format; a figure for which the study has nothing is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from harness.analysis import variance
from harness.analysis.effects import Effect
from harness.analysis.scores import Scores, redraw
from harness.analysis.study import Study, coverage_notes
from harness.arm import SAME
from harness.report import figures
from harness.streams import stream

FIGURES = ("effects", "attribution", "cells", "cost", "budget", "curves", "variance")
ENDINGS = ("pdf", "png", "svg")
_REDRAWS = 4000
_BUDGET = "clean.k"
_CLEAN = "weak=gold"

FigureFiles = Mapping[str, bytes]


def draw_all(study: Study) -> dict[str, FigureFiles]:
    """The figures, each as bytes by format, in the order of `FIGURES`."""
    return dict(_all(study))


def _all(study: Study) -> Iterator[tuple[str, FigureFiles]]:
    title, note, metric = f"{study.name}, task {study.task}", _note(study), study.metric
    yield "effects", _forest(study, title, note)
    answer = study.attribution
    if answer and answer.ladder:
        said = answer.verdict.sentence if answer.verdict else ""
        frame = figures.attribution_frame(answer)
        yield (
            "attribution",
            figures.attribution(frame, title=title, verdict=said.partition(". ")[0], note=_first(answer)),
        )
    met = _met(study.scores) if study.scores else []
    if study.scores and met:
        inside = study.scores.only(met)
        redraws = redraw(inside, _REDRAWS, stream(0, "cells")) if len(inside.seeds) > 1 else None
        frame = figures.cells_frame(inside, redraws)
        yield "cells", figures.heatmap(frame, title=title, metric=metric, note=note, shown="score")
    gains = figures.gain_frame(study.effects)
    if not gains.empty:
        yield "cost", figures.gain_against_cost(gains, title=title, metric=metric, note=note)
    curve = _budgets(study.effects)
    if len(curve):
        base, clean = (_score(study.effects, arm) for arm in ("baseline", _CLEAN))
        yield "budget", figures.budget_curve(curve, title=title, metric=metric, note=note, baseline=base, clean=clean)
    history = figures.history_frame(study.records, "valid")
    if len(history) and history["value"].notna().any():
        yield "curves", figures.training_curves(history, title=title, unit=f"validation {metric}, %", note="")
    if study.components:
        parts = variance.components_frame(study.components)
        yield "variance", figures.variance_components(parts, title=title, unit="points", note=study.components_note)


def _note(study: Study) -> str:
    """What intervals cover, in the first sentence, and whether labels are simulated."""
    simulated = "fact_simulated" in study.table and study.table["fact_simulated"].eq(True).any()
    return (
        coverage_notes(study.effects)[0].partition(". Seeds count")[0].rstrip(".")
        + "."
        + (" Label noise is simulated." if simulated else "")
    )


def _forest(study: Study, title: str, note: str) -> FigureFiles:
    without = study.table[study.table["why"].fillna("") != ""].drop_duplicates("arm")
    shaded = " Shaded and hollow: references." if any(effect.reference for effect in study.effects) else ""
    return figures.forest(
        study.effects, title=title, metric=study.metric, note=note + shaded,
        reasons=dict(zip(without["arm"], without["why"], strict=True)),
    )  # fmt: skip


def _first(answer: Any) -> str:
    """What the intervals of an attribution cover."""
    return next((note for note in answer.notes if note.startswith("95 % intervals cover")), "")


def _met(scores: Scores) -> list[int]:
    """The arms whose model and whose data met another level than the baseline's somewhere: the crossed part."""
    both = [arm for arm in range(len(scores.arms)) if scores.model(arm) and scores.data(arm)]
    models, variants = {scores.model(arm) for arm in both} | {SAME}, {scores.data(arm) for arm in both} | {SAME}
    inside = [arm for arm in range(len(scores.arms)) if scores.model(arm) in models and scores.data(arm) in variants]
    return inside if both else []


def _budgets(effects: list[Effect]) -> pd.DataFrame:
    """What strategies of the data alone reach that were given two budgets or more."""
    curve = figures.budget_frame([effect for effect in effects if effect.axis == "data"], _BUDGET)
    return curve[curve.groupby("strategy")["labels"].transform("nunique") > 1]


def _score(effects: list[Effect], arm: str) -> float | None:
    return next((effect.score for effect in effects if effect.arm == arm), None)
