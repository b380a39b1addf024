"""Draws a study's figures, by name and by format; one for which the study has no data is left out, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from harness.analysis import variance
from harness.analysis.attribution import Attribution
from harness.analysis.effects import Effect
from harness.analysis.measures import measure
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


@dataclass(frozen=True)
class DrawnFigures:
    """Holds a study's figures by name, a line for each that failed, and the reasons for those left out, by name."""

    drawn: Mapping[str, Drawing]
    failed: Sequence[str]
    left_out: Mapping[str, str]

    @property
    def notes(self) -> list[str]:
        """Returns the notes on all figures that are missing."""
        reasons = "; ".join(f"{name} ({reason})" for name, reason in self.left_out.items())
        return [*self.failed, *([f"Figures left out: {reasons}."] if reasons else [])]


def draw_all(study: Study) -> DrawnFigures:
    """Draws the figures, in the order of `FIGURES`.

    An error in one figure does not prevent the tables and the other figures.
    """
    files: dict[str, Drawing] = {}
    failed: list[str] = []
    left_out: dict[str, str] = {}
    for name in FIGURES:
        try:
            content = _DRAWN[name](study)
        except Exception as error:  # noqa: BLE001 - the edge where a figure's own trouble ends
            failed.append(f"The figure {name} could not be drawn: {type(error).__name__}: {error}.")
            continue
        if isinstance(content, str):
            left_out[name] = content
        else:
            files[name] = content
    return DrawnFigures(files, failed, left_out)


def draw_figure(study: Study, name: str) -> Figure:
    """Returns one figure of a study; BadInput for an unknown name, and if the study has no data for that figure."""
    one_of("figure", name, FIGURES)
    drawn = _DRAWN[name](study)
    if isinstance(drawn, str):
        raise BadInput(f"'{study.name}' has no figure '{name}': {drawn}")
    return drawn.figure


def _title(study: Study) -> str:
    return f"{study.name}, task {study.task}"


def _attribution(study: Study) -> Drawing | str:
    answer = study.attribution
    if not answer or not answer.ladder:
        return _no_attribution(answer)
    said = answer.verdict.sentence if answer.verdict else ""
    frame = figures.attribution_frame(answer, study.briefs)
    return figures.attribution(frame, title=_title(study), verdict=said.partition(". ")[0], note=_first(answer))


def _no_attribution(answer: Attribution | None) -> str:
    """Returns why a study has no ladder, as its notes say it."""
    said = ("No attribution: ", "No verdict: ")
    notes = answer.notes if answer else ()
    return next(
        (note.removeprefix(start).rstrip(".") for note in notes for start in said if note.startswith(start)),
        "the baseline has no finished trial",
    )


def _cells(study: Study) -> Drawing | str:
    met = _met(study.scores) if study.scores else []
    if not study.scores or not met:
        return "no model was run together with a data strategy on every seed"
    inside = study.scores.only(met)
    redraws = redraw(inside, _REDRAWS, stream(0, "cells")) if len(inside.seeds) > 1 else None
    frame = figures.cells_frame(inside, redraws)
    return figures.heatmap(frame, title=_title(study), metric=study.metric, note=_note(study), shown="score")


def _cost(study: Study) -> Drawing | str:
    gains = _brief(figures.gain_frame(study.effects), study)
    if gains.empty:
        return "no arm has an effect and a cost"
    return figures.gain_against_cost(gains, title=_title(study), metric=study.metric, note=_note(study))


def _budget(study: Study) -> Drawing | str:
    curve = _budgets(study)
    if not len(curve):
        return "no data strategy was run with two or more budgets of labels"
    base, clean = (_score(study.effects, arm) for arm in ("baseline", _CLEAN))
    return figures.budget_curve(
        curve, title=_title(study), metric=study.metric, note=_note(study), baseline=base, clean=clean
    )


def _curves(study: Study) -> Drawing | str:
    history = figures.history_frame(study.records, "valid")
    if not len(history) or not history["value"].notna().any():
        return "no trial has a training curve with validation scores"
    unit = f"validation {study.own_metric}, %"
    return figures.training_curves(_brief(history, study), title=_title(study), unit=unit, note=_of_training(study))


def _of_training(study: Study) -> str:
    """Returns why the curves of a report by another metric than the study's own are not by that metric."""
    if measure(study.own_metric).title == study.metric:
        return ""
    return (
        f"These curves are by {study.own_metric}, as training recorded them: no predictions were kept of the steps, so "
        f"they cannot be scored by {study.metric}."
    )


def _variance(study: Study) -> Drawing | str:
    if not study.components:
        return "no random stream of the baseline was salted on two seeds or more"
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


_DRAWN: Mapping[str, Callable[[Study], Drawing | str]] = {
    "effects": _forest, "attribution": _attribution, "cells": _cells, "cost": _cost, "budget": _budget,
    "curves": _curves, "variance": _variance,
}  # fmt: skip
"""The function that draws each figure; it returns the reason, a few words, if the study has no data for it."""
