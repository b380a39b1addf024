"""Draws a study's figures, by name and by format; a figure for which the study has no data is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from harness.analysis import variance
from harness.analysis.effects import Effect
from harness.analysis.scores import Scores, redraw
from harness.analysis.study import Study, coverage_notes
from harness.arm import SAME, may_win
from harness.checks import one_of
from harness.errors import BadInput
from harness.report import figures
from harness.report.figures.style import Drawing
from harness.streams import stream

FIGURES = ("effects", "attribution", "cells", "cost", "budget", "curves", "variance")
FORMATS = ("pdf", "png", "svg")
_REDRAWS = 4000
_CLEAN = "weak=gold"


def draw_all(study: Study) -> tuple[dict[str, Drawing], list[str]]:
    """Draws the figures, in the order of `FIGURES`, and returns a note for each that failed.

    An error in one figure does not prevent the tables and the other figures.
    """
    files: dict[str, Drawing] = {}
    notes: list[str] = []
    for name in FIGURES:
        try:
            content = _DRAWN[name](study)
        except Exception as error:  # noqa: BLE001 - the edge where a figure's own trouble ends
            notes.append(f"The figure {name} could not be drawn: {type(error).__name__}: {error}.")
            continue
        if content is not None:
            files[name] = content
    return files, notes


def draw_figure(study: Study, name: str) -> Figure:
    """Returns one figure of a study; BadInput for an unknown name, and if the study has no data for that figure."""
    one_of("figure", name, FIGURES)
    drawn = _DRAWN[name](study)
    if drawn is None:
        there = list(draw_all(study)[0])
        raise BadInput(f"'{study.name}' has no data for the figure '{name}' (choose from: {', '.join(there)})")
    return drawn.figure


def _title(study: Study) -> str:
    return f"{study.name}, task {study.task}"


def _attribution(study: Study) -> Drawing | None:
    answer = study.attribution
    if not answer or not answer.ladder:
        return None
    said = answer.verdict.sentence if answer.verdict else ""
    frame = figures.attribution_frame(answer, study.briefs)
    return figures.attribution(frame, title=_title(study), verdict=said.partition(". ")[0], note=_first(answer))


def _cells(study: Study) -> Drawing | None:
    met = _met(study.scores) if study.scores else []
    if not study.scores or not met:
        return None
    inside = study.scores.only(met)
    redraws = redraw(inside, _REDRAWS, stream(0, "cells")) if len(inside.seeds) > 1 else None
    frame = figures.cells_frame(inside, redraws)
    return figures.heatmap(frame, title=_title(study), metric=study.metric, note=_note(study), shown="score")


def _cost(study: Study) -> Drawing | None:
    gains = _brief(figures.gain_frame(study.effects), study)
    if gains.empty:
        return None
    return figures.gain_against_cost(gains, title=_title(study), metric=study.metric, note=_note(study))


def _budget(study: Study) -> Drawing | None:
    curve = _budgets(study)
    if not len(curve):
        return None
    base, clean = (_score(study.effects, arm) for arm in ("baseline", _CLEAN))
    return figures.budget_curve(
        curve, title=_title(study), metric=study.metric, note=_note(study), baseline=base, clean=clean
    )


def _curves(study: Study) -> Drawing | None:
    history = figures.history_frame(study.records, "valid")
    if not len(history) or not history["value"].notna().any():
        return None
    unit = f"validation {study.metric}, %"
    return figures.training_curves(_brief(history, study), title=_title(study), unit=unit, note="")


def _variance(study: Study) -> Drawing | None:
    if not study.components:
        return None
    parts = variance.components_frame(study.components)
    return figures.variance_components(parts, title=_title(study), unit="points", note=study.components_note)


def _note(study: Study) -> str:
    """Returns the note of the figures: what intervals cover, and whether label noise is simulated."""
    simulated = "fact_simulated" in study.table and study.table["fact_simulated"].eq(True).any()
    return (
        coverage_notes(study.effects)[0].partition(". Seeds that draw")[0].rstrip(".")
        + "."
        + (" Label noise is simulated." if simulated else "")
    )


def _forest(study: Study) -> Drawing:
    without = study.table[study.table["why"].fillna("") != ""].drop_duplicates("arm")
    shaded = (
        " Shaded and hollow: negative controls and upper bounds."
        if any(not may_win(effect.reference) for effect in study.effects)
        else ""
    )
    return figures.forest(
        study.effects, title=_title(study), metric=study.metric, note=_note(study) + shaded,
        reasons=dict(zip(without["arm"], without["why"], strict=True)), briefs=study.briefs,
    )  # fmt: skip


def _first(answer: Any) -> str:
    """Returns what the intervals of an attribution cover."""
    return next((note for note in answer.notes if note.startswith("95 % intervals account for")), "")


def _met(scores: Scores) -> list[int]:
    """Returns the arms of the crossed part: both levels occur in a combination or are the baseline's."""
    both = [arm for arm in range(len(scores.arms)) if scores.model(arm) and scores.data(arm)]
    models, variants = {scores.model(arm) for arm in both} | {SAME}, {scores.data(arm) for arm in both} | {SAME}
    inside = [arm for arm in range(len(scores.arms)) if scores.model(arm) in models and scores.data(arm) in variants]
    return inside if both else []


def _brief(frame: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Returns the rows with their arms' short names, which no two arms share."""
    return frame.assign(arm=frame["arm"].map(study.briefs))


def _budgets(study: Study) -> pd.DataFrame:
    """Returns the curves of the data strategies that were run with two or more budgets."""
    curve = figures.budget_frame([effect for effect in study.effects if effect.axis == "data"], study.strategies)
    return curve[curve.groupby("strategy")["labels"].transform("nunique") > 1]


def _score(effects: list[Effect], arm: str) -> float | None:
    return next((effect.score for effect in effects if effect.arm == arm), None)


_DRAWN: Mapping[str, Callable[[Study], Drawing | None]] = {
    "effects": _forest, "attribution": _attribution, "cells": _cells, "cost": _cost, "budget": _budget,
    "curves": _curves, "variance": _variance,
}  # fmt: skip
"""The function that draws each figure; it returns None if the study has no data for it."""
