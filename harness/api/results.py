"""Reads a study's folder and returns its answers as data frames, figures and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from harness.analysis.attribution import Attribution, Verdict
from harness.analysis.study import Study, gather
from harness.checks import choices
from harness.commands.plan import Line, plan_seeds
from harness.commands.slices import count_flips, slice_study
from harness.commands.terminal import say, tell_damaged
from harness.errors import BadInput
from harness.report import leaderboard
from harness.report.figure_files import draw_figure
from harness.report.figures.style import house, save_figure
from harness.report.verification import read_verified, sheet_of
from harness.storage.store import Store


@dataclass(frozen=True, eq=False)
class SeedPlan:
    """Holds what `harness plan` says: `table` has one row per arm, `text` is what the command prints.

    Columns of `table`: `arm`, `seeds` with a delta, `detects` (the least effect in points that these seeds detect),
    `needed` seeds for the effect asked for and the ends of its 80 % range (`fewest`, `most`; missing if no number of
    seeds is enough), `more` trials and their seconds on one core (`more_s`), and `why` there are no numbers.
    """

    table: pd.DataFrame
    text: str

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"{self.table.to_html(index=False, border=0)}<pre>{escape(self.text)}</pre>"


@dataclass(frozen=True, eq=False)
class StudyResults:
    """Holds a study's results; `harness.Study` is this class, and `harness.load` and `harness.run` return it.

    `folder` holds the records, from which everything is computed as for `harness report`. A notebook shows the verdict,
    the leaderboard and the notes.

    >>> study = harness.load("results/youtube")
    >>> study
    <harness.Study youtube: task youtube, 15 arms, 75 trials, verdict undecided>
    """

    folder: Path
    gathered: Study

    @property
    def name(self) -> str:
        """Returns the study's name."""
        return self.gathered.name

    @property
    def task(self) -> str:
        """Returns the task's name."""
        return self.gathered.task

    @property
    def metric(self) -> str:
        """Returns the name of the metric; scores and effects are in points, 100 x the metric."""
        return self.gathered.metric

    @property
    def notes(self) -> list[str]:
        """Returns the sentences below the leaderboard: what intervals cover, what failed, what is simulated."""
        return list(self.gathered.notes)

    @property
    def attribution(self) -> Attribution:
        """Returns all answers about model and data: ladder, Shapley parts, shares of variance, sensitivity, verdict.

        BadInput if the baseline never finished.

        >>> study.attribution.ladder.model.arm
        'model=logistic_regression'
        """
        if self.gathered.attribution is None:
            raise BadInput(f"'{self.name}' has no attribution: its baseline never finished")
        return self.gathered.attribution

    @property
    def verdict(self) -> Verdict:
        """Returns the verdict: `word` (data, model or undecided), `sentence`, and `by` with its interval.

        `by` is what the best data strategy gains more than the best model, in points. BadInput, with the reasons, if
        the study's arms allow no verdict.

        >>> study.verdict.word
        'undecided'
        >>> round(study.verdict.by.value, 2), round(study.verdict.by.low, 2), round(study.verdict.by.high, 2)
        (-1.12, -5.12, 2.88)
        """
        verdict = self.attribution.verdict
        if verdict is None:
            raise BadInput(f"'{self.name}' has no verdict: {' '.join(self.attribution.notes)}")
        return verdict

    @property
    def effects(self) -> pd.DataFrame:
        """Returns the leaderboard, one row per arm, with the columns of `leaderboard.csv`; effects are in points.

        >>> study.effects.query("rank == 1")[["arm", "effect", "low", "high"]].round(1).values.tolist()
        [['model=logistic_regression weak=label_model', 8.6, 4.9, 12.3]]
        """
        return leaderboard.as_frame(self.gathered.effects, leaderboard.deviations(self.gathered.table))

    @property
    def trials(self) -> pd.DataFrame:
        """Returns one row per trial, failed ones included, with the columns of `table.parquet`; scores are in points.

        >>> study.trials["status"].value_counts().to_dict()
        {'done': 75}
        """
        return self.gathered.table.copy()

    def plan(self, effect: float, power: float = 0.8, level: float | None = None, cores: int | None = None) -> SeedPlan:
        """Returns how many seeds each arm needs to detect an effect of so many points; see `harness plan`.

        `level` is the rate of false positives of one arm, by default that of the leaderboard, which adjusts for the
        number of arms. BadInput if a number is out of range or the study has one seed.

        >>> plan = study.plan(effect=2)
        >>> plan.table.columns.tolist()
        ['arm', 'seeds', 'detects', 'needed', 'fewest', 'most', 'more', 'more_s', 'why']
        """
        asked = {"effect": effect, "power": power, "level": level, "cores": cores}
        said = {name: repr(value) for name, value in asked.items() if value is not None}
        lines, text = plan_seeds(Store(self.folder), {**said, "store": str(self.folder.parent)})
        return SeedPlan(pd.DataFrame([_needs(line) for line in lines[1:]]).astype(_COUNTS), text)

    def slices(
        self, arm: str | None = None, by: str | None = None, table: str | Path | None = None, id: str | None = None,
        path: str | Path | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Returns the deltas by class or by a column, one row per arm and slice, in points; see `harness slices`.

        `arm` chooses one arm. `by` names a column, from the file `table` (rows matched by its column `id`) or from the
        task's own data, which lie at `path`. BadInput for an unknown arm or column.

        >>> study.slices("model=logistic_regression")[["slice", "n"]].values.tolist()
        [['HAM', 132], ['SPAM', 118]]
        """
        asked = {"arm": arm, "by": by, "table": table, "id": id, "task.path": path}
        return slice_study(Store(self.folder), _given(asked))[1]

    def flips(self, arm: str) -> pd.DataFrame:
        """Returns the test rows that an arm and its control do not both get right or wrong, one row per id.

        `seeds` counts the seeds that scored the row, `gained` those on which only the arm is right, `lost` those on
        which only the control is. BadInput for an unknown arm.

        >>> study.flips("model=logistic_regression").columns.tolist()
        ['id', 'class', 'seeds', 'gained', 'lost']
        """
        return count_flips(Store(self.folder), arm)[1]

    def figure(self, name: str = "effects") -> Figure:
        """Returns a figure of the report: effects, attribution, cells, cost, budget, curves or variance.

        BadInput for an unknown name, and if the study has no data for that figure.

        >>> study.figure("attribution").get_size_inches()[0].item()
        3.4
        """
        figure = draw_figure(self.gathered, name)
        # A notebook shows a figure of pyplot's by itself; any other needs this method.
        setattr(figure, "_repr_png_", partial(_as_png, figure))  # noqa: B010
        return figure

    def __repr__(self) -> str:
        found, answer = self.gathered, self.gathered.attribution
        verdict = answer.verdict.word if answer and answer.verdict else "none"
        return (
            f"<harness.Study {found.name}: task {found.task}, {len(found.effects)} arms, {len(found.table)} trials, "
            f"verdict {verdict}>"
        )

    def _repr_html_(self) -> str:
        """Returns the verdict, or why there is none, the leaderboard and the notes; all text is escaped."""
        found = self.gathered
        sd = leaderboard.deviations(found.table)
        table = leaderboard.as_words(found.effects, found.metric, sd).to_html(index=False, border=0)
        notes = "".join(
            f"<li>{escape(note)}</li>" for note in (*found.notes, *leaderboard.legend(found.effects, found.metric, sd))
        )
        return (
            f"<p><b>{escape(found.name)}, task {escape(found.task)}.</b> {escape(self._answer())}</p>{table}"
            f"<details><summary>notes</summary><ul>{notes}</ul></details>"
        )

    def _answer(self) -> str:
        try:
            return self.verdict.sentence
        except BadInput as error:
            return str(error)


_COUNTS = dict.fromkeys(("needed", "fewest", "most"), "Int64")


def load_study(
    study: str | Path, store: str | Path = "results", adjust: str = "holm", metric: str | None = None,
    gold: str | Path | None = None,
) -> StudyResults:  # fmt: skip
    """Returns the study in a folder, or that of a name in the folder `store`; `harness.load` is this function.

    `adjust` is the adjustment of p-values for the number of arms, holm or benjamini_yekutieli. `metric` is another one
    than the study's own, such as balanced_accuracy or roc_auc, and `gold` a file of verified test labels, such as
    `verify_these.csv`: the records are scored by them, and nothing is trained. Damaged records are left out, and
    printed on standard error. BadInput if there is no such study, no record in it, or if it cannot be scored so.

    >>> harness.load("youtube", store="results").verdict.word
    'undecided'
    >>> harness.load("youtube", store="results", metric="balanced_accuracy").metric
    'balanced_accuracy'
    """
    places = [Path(study).expanduser(), Path(store).expanduser() / study]
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        known = [path.parent.name for path in places[1].parent.glob("*/trials")]
        raise BadInput(f"no study '{study}': neither a folder nor a study in {store}{choices(str(study), known)}")
    files = Store(folder)
    tell_damaged(files)
    verified = None if gold is None else read_verified(sheet_of(str(gold), folder), files)
    for line in verified.lines if verified else ():
        say(line)
    return StudyResults(folder, gather(files, adjust, metric, verified.labels if verified else None))


def _needs(line: Line) -> dict[str, Any]:
    """Returns what one arm needs as a row of `SeedPlan.table`."""
    seeds = {name: need.seeds if need else None for name, need in _range(line).items()}
    return {
        "arm": line.arm, "seeds": line.seeds, "detects": line.found, **seeds, "more": line.more,
        "more_s": line.more * line.wall_s, "why": line.why or (line.need.reason if line.need else ""),
    }  # fmt: skip


def _range(line: Line) -> Mapping[str, Any]:
    return {"needed": line.need, "fewest": line.fewest, "most": line.most}


def _given(asked: Mapping[str, str | Path | None]) -> dict[str, str]:
    return {name: str(value) for name, value in asked.items() if value is not None}


def _as_png(figure: Figure) -> bytes:
    with house():
        return save_figure(figure, "png")
