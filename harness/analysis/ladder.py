"""Computes the ladder, the best model, the best data and both, and their difference from redraws; pure functions.

**The choice.** An axis' best arm is the one that scores highest on validation among its arms and the baseline. The
baseline is always among the choices, so an axis whose arms all lose gains 0, with the baseline as its rung. Negative
controls and upper bounds are never chosen; a simple baseline may be. The gain is the chosen arm's test score minus the
baseline's. Ties on validation go to the baseline, then to the arm that the study lists first; test scores choose
nothing.

**The interval.** The estimand is a function of the arms' true means: the test gain of the arm that is truly best on
validation. It is computed again from every redraw of the means (`scores`), choice included, so the 2.5 % and 97.5 %
points of the draws reflect both the noise and the uncertainty about which arm is best. Those points alone are biased
in favour of the chosen arm. If noise in training moves validation and test scores together, the arm with the highest
validation score also has a test score that is too high: once in the data, once more in every draw, and the more so the
more arms an axis has. With eight arms that gain nothing against one (validation and test noise correlated by 0.95) the
percentile interval of the difference misses 0 in 13 % of studies with 5 seeds. The draws show the size of this bias: a
draw's value minus the value that was measured for the arms that it chose is noise, and its mean `f` would be 0 without
a choice. Since the measured value is biased by about as much, the interval also includes the draws without both biases,

    [min(low, low - 2 f), max(high, high - 2 f)]

which holds the truth in about 95 % or more in all regimes that were tried, both for the arm that is truly best and for
the arm that was chosen (`tests/analysis/test_attribution_simulation.py`). It is no wider than before if there is no
bias: if the winner is clear and, for the difference, if both axes choose among equally many arms. (Efron 2011, JASA
106, and Andrews, Kitagawa & McCloskey 2024, QJE 139, treat this winner's curse.) `f` is a winsorised mean, since at 2
seeds the draws have no mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from harness.analysis.scores import Scores, redraw
from harness.analysis.significance import LEVEL
from harness.arm import BASELINE, FACTORS, SAME, Level, combine, may_win
from harness.errors import BadInput

Levels = tuple[Level, ...]
"""An arm by its levels, in the order of the factors."""
Winner = Literal["data", "model", "undecided"]
ENDS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
_DIGITS = 9
"""Validation means, in points, that agree to this many decimal places are tied."""


@dataclass(frozen=True)
class Estimate:
    """Holds a value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Step:
    """Holds a rung of the ladder: its arm, its gain on test in points, and its cost beyond the baseline's.

    `cpu_s` are extra CPU seconds per trial, `labels` extra labels bought per trial.
    """

    arm: str
    effect: Estimate
    cpu_s: float
    labels: float


@dataclass(frozen=True)
class Ladder:
    """Holds the gains of the best model, the best data and both over the baseline, in points.

    `interaction` is the gain of both beyond the sum of the two, `difference` is data minus model. `both` and
    `interaction` are None if the chosen pair was not run together.
    """

    model: Step
    data: Step
    both: Step | None
    interaction: Estimate | None
    difference: Estimate


@dataclass(frozen=True, eq=False)
class Draws:
    """Holds a study's mean scores in points, `d` rows by `a` arms: row 0 as measured, every other row a redraw."""

    scores: Scores
    test: Float64[np.ndarray, "d a"]
    valid: Float64[np.ndarray, "d a"]


@dataclass(frozen=True)
class Axes:
    """Holds the arms by what they change, as row numbers in the scores.

    `model` and `data` are the candidates for best of their axis, `crossed` change both axes. `cells` maps the levels of
    all arms to rows, `references` are the controls and upper bounds, which are never chosen, `repeats` have the levels
    of another arm (salts).
    """

    baseline: int
    model: tuple[int, ...]
    data: tuple[int, ...]
    crossed: tuple[int, ...]
    cells: Mapping[Levels, int]
    references: tuple[int, ...]
    repeats: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Picks:
    """Holds the arms that each row of the draws chooses; `both` is -1 if the chosen pair was not run together."""

    model: Int64[np.ndarray, " d"]
    data: Int64[np.ndarray, " d"]
    both: Int64[np.ndarray, " d"]


def draw_means(scores: Scores, draws: int, rng: np.random.Generator) -> Draws:
    """Returns the measured means with their redraws below; BadInput with one seed."""
    drawn = redraw(scores, draws, rng)
    test = np.concatenate([scores.test.mean(1)[None], drawn.test])
    valid = np.concatenate([scores.valid.mean(1)[None], drawn.valid])
    return Draws(scores, test, np.round(valid, _DIGITS))


def cell_of(scores: Scores, arm: int) -> Levels:
    """Returns the arm's levels, in the order of the factors."""
    return tuple(scores.levels[arm][name] for name in FACTORS)


def axes(scores: Scores) -> Axes:
    """Sorts the arms by what they change; BadInput without a baseline.

    Of arms with equal levels the first without a salt counts. An arm is never chosen if the study says
    so (a negative control, an upper bound), or if it combines a level whose own arm is never chosen.
    """
    if BASELINE not in scores.arms:
        raise BadInput("the baseline has no complete row of scores, so no gain can be measured")
    baseline = scores.arms.index(BASELINE)
    cells: dict[Levels, int] = {cell_of(scores, baseline): baseline}
    for arm in sorted(range(len(scores.arms)), key=lambda arm: bool(scores.levels[arm]["salt"])):
        cells.setdefault(cell_of(scores, arm), arm)
    references = {cell for cell, arm in cells.items() if not may_win(scores.reference[arm]) and arm != baseline}
    references |= {cell for cell in cells if references & {_model_alone(cell), _data_alone(cell)}}
    kept = sorted(arm for cell, arm in cells.items() if cell not in references and arm != baseline)
    changes = {arm: (bool(scores.model(arm)), bool(scores.data(arm))) for arm in kept}
    model, data, crossed = (
        tuple(arm for arm in kept if changes[arm] == kind) for kind in ((True, False), (False, True), (True, True))
    )
    repeats = tuple(arm for arm in range(len(scores.arms)) if cells[cell_of(scores, arm)] != arm)
    return Axes(baseline, model, data, crossed, cells, tuple(sorted(cells[cell] for cell in references)), repeats)


def _model_alone(cell: Levels) -> Levels:
    return (cell[0], *(SAME for _ in cell[1:]))


def _data_alone(cell: Levels) -> Levels:
    return (SAME, *cell[1:])


def combine_levels(model: Levels, data: Levels) -> Levels:
    """Returns the model of one arm with the data of the other."""
    return (model[0], *data[1:])


def label_of_levels(cell: Levels) -> str:
    """Returns the label of an arm with those levels."""
    return combine(cell).name or BASELINE


def choose(valid: Float64[np.ndarray, "d a"], arms: Sequence[int]) -> Int64[np.ndarray, " d"]:
    """Returns the arm with the highest validation mean in each row; the first of several at a tie."""
    among = np.asarray(arms, dtype=np.int64)
    return among[np.argmax(valid[:, among], axis=1)]


def picks(draws: Draws, where: Axes, model: Sequence[int], data: Sequence[int]) -> Picks:
    """Returns what each row chooses on each axis, among the given arms and the baseline."""
    chosen = [choose(draws.valid, [where.baseline, *arms]) for arms in (model, data)]
    together = np.full((draws.test.shape[1],) * 2, -1, dtype=np.int64)
    rows, columns = ({arm: cell_of(draws.scores, arm) for arm in (where.baseline, *arms)} for arms in (model, data))
    for (one, mine), (other, theirs) in product(rows.items(), columns.items()):
        together[one, other] = where.cells.get(combine_levels(mine, theirs), -1)
    return Picks(chosen[0], chosen[1], together[chosen[0], chosen[1]])


def build_ladder(draws: Draws, where: Axes, chosen: Picks) -> Ladder:
    """Returns the rungs that the measured validation scores choose, with intervals in which every draw chooses anew."""
    rungs = {"model": chosen.model, "data": chosen.data, "both": chosen.both}
    own, seen = ({name: _at(table, at) for name, at in rungs.items()} for table in (draws.test[:1], draws.test))
    base, bases = draws.test[0, where.baseline], draws.test[:, where.baseline]
    known = np.ones(len(bases), dtype=bool)

    def step(name: str, rows: Bool[np.ndarray, " d"]) -> Step:
        effect = estimate_after_choice((seen[name] - bases)[rows], (own[name] - base)[rows])
        return step_of(draws.scores, int(rungs[name][0]), where.baseline, effect)

    both = interaction = None
    if chosen.both[0] >= 0:
        run = chosen.both >= 0
        both = step("both", run)
        gained, measured = (
            (at["both"] - at["model"] - at["data"] + zero)[run] for at, zero in ((seen, bases), (own, base))
        )
        interaction = estimate_after_choice(gained, measured)
    return Ladder(step("model", known), step("data", known), both, interaction, gap(draws, chosen))


def gap(draws: Draws, chosen: Picks) -> Estimate:
    """Returns the gain of the chosen data minus that of the chosen model, in points."""
    seen, own = (_at(table, chosen.data) - _at(table, chosen.model) for table in (draws.test, draws.test[:1]))
    return estimate_after_choice(seen, own)


def _at(table: Float64[np.ndarray, "rows a"], arms: Int64[np.ndarray, " d"]) -> Float64[np.ndarray, " d"]:
    """Returns the score of each row's arm, in that row or in the only one; arbitrary for a pair that was not run."""
    return table[np.arange(len(arms)) if len(table) > 1 else 0, arms]


def step_of(scores: Scores, arm: int, baseline: int, effect: Estimate) -> Step:
    """Returns a rung with the cost of its arm beyond the baseline's."""
    cpu_s, labels = (float(what[arm] - what[baseline]) for what in (scores.cpu_s, scores.labels))
    return Step(scores.arms[arm], effect, cpu_s, labels)


def estimate_after_choice(seen: Float64[np.ndarray, " d"], own: Float64[np.ndarray, " d"]) -> Estimate:
    """Returns a value with its 95 % interval; `seen` and `own` are those of `interval_after_choice`."""
    return Estimate(float(seen[0]), *interval_after_choice(seen, own, LEVEL))


def interval_after_choice(
    seen: Float64[np.ndarray, " d"], own: Float64[np.ndarray, " d"], level: float
) -> tuple[float, float]:
    """Returns the ends of the interval of a value whose arms were chosen; see the module's docstring.

    Row 0 of `seen` is the value as measured, the other rows are its redraws. `own` holds, for each row, the measured
    value of the arms that the row chose. The interval always includes the measured value.
    """
    luck = seen[1:] - own[1:]
    low, high = (float(end) for end in np.quantile(seen[1:], ((1 - level) / 2, (1 + level) / 2)))
    flattery = 2 * float(np.clip(luck, *np.quantile(luck, ENDS)).mean())
    return min(low, low - flattery, float(seen[0])), max(high, high - flattery, float(seen[0]))


def outline(value: float, low: float, high: float) -> Estimate:
    """Returns an estimate whose interval is widened to include its value, so that it can be drawn."""
    return Estimate(value, min(low, value), max(high, value))


def winner_of(difference: Estimate) -> Winner:
    """Returns the axis that the interval of data minus model decides for."""
    return "data" if difference.low > 0 else "model" if difference.high < 0 else "undecided"
