"""Draws data frames as figures in PDF, PNG and SVG: one module per figure, one style, the same bytes each time.

Every figure but the first is the `draw` of its module, which documents the columns that it reads, wrapped so that it
returns bytes by format. Functions named `..._frame` make those columns from records, effects, scores or an attribution.
If there is nothing to draw, the figure says so in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.analysis.effects import Effect
from harness.report.figures import answer, budget, cells, classes, components, costs, forests, tasks, training
from harness.report.figures.answer import attribution_frame
from harness.report.figures.budget import budget_frame
from harness.report.figures.cells import cells_frame
from harness.report.figures.costs import gain_frame
from harness.report.figures.forests import draw as _draw
from harness.report.figures.style import STYLE as _STYLE
from harness.report.figures.style import Drawing, as_files
from harness.report.figures.training import history_frame

__all__ = [
    "_STYLE", "_draw", "attribution", "attribution_frame", "budget_curve", "budget_frame", "cells_frame",
    "forest", "gain_against_cost", "gain_frame", "heatmap", "history_frame", "slices", "tasks_forest",
    "training_curves", "variance_components",
]  # fmt: skip

attribution = as_files(answer.draw)
budget_curve = as_files(budget.draw)
gain_against_cost = as_files(costs.draw)
heatmap = as_files(cells.draw)
slices = as_files(classes.draw)
tasks_forest = as_files(tasks.draw)
training_curves = as_files(training.draw)
variance_components = as_files(components.draw)


def forest(
    effects: Sequence[Effect],
    *,
    title: str,
    metric: str,
    note: str,
    reasons: Mapping[str, str],
    briefs: Mapping[str, str],
    about: str = "",
) -> Drawing:
    """Draws the forest plot of a study; see `forests.draw`."""
    return as_files(forests.draw)(effects, title, metric, note, reasons, briefs, about)
