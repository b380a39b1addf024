"""Redraws of the arms' means in, the best model, the best data, both and their difference out; pure functions.

**The choice.** An axis' best arm is the one that scores highest on validation among its arms and the baseline: who may
choose may also keep what he has, so an axis whose arms all lose gains 0, by its rung `baseline`. References are there
to be beaten and are never chosen. The gain is the chosen arm's test score less the baseline's. Ties on validation go to
the baseline, then to the arm that the study names first; test scores choose nothing.

**The interval.** What is estimated is a function of the arms' true means: the test gain of the arm that is truly best
on validation. It is computed again from every redraw of the means (`scores`), choice included, so the 2.5 % and
97.5 % points of the draws carry both luck and the doubt about who is best. That alone is too kind to whoever is chosen:
where luck in training moves validation and test scores together, the arm that validation chooses was lucky on test as
well, once in the data and once more in every draw, and the more so the more arms an axis has. With eight arms that
gain nothing against one (validation and test luck correlated by 0.95) the percentile interval of the difference misses
0 in 13 % of studies with 5 seeds. The draws show how much they flatter: a draw's value less the value that was measured
for the very arms that it chose is luck, and its mean `f` would be 0 without a choice. Since the measured value was
flattered about as much, the interval also takes in the draws without both,

    [min(low, low - 2 f), max(high, high - 2 f)]

which holds the truth in about 95 % or more in all regimes that were tried, both for the arm that is truly best and for
the arm that was chosen (`tests/test_attribution_simulation.py`). It is as wide as before where nothing flatters: where
the winner is clear and, for the difference, where both axes choose among equally many. (Efron 2011, JASA 106, and
Andrews, Kitagawa & McCloskey 2024, QJE 139, are about the same curse.) `f` is a winsorised mean, since at 2 seeds the
draws have no mean.
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
from harness.arm import BASELINE, FACTORS, SAME, Level, combine
from harness.errors import BadInput

Levels = tuple[Level, ...]
"""An arm by its levels, in the order of the factors."""
Winner = Literal["data", "model", "undecided"]
ENDS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
_DIGITS = 9
"""Validation means that agree to this many digits (points) are tied, whatever rounding makes of them."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Step:
    """A rung of the ladder: its arm, what it gains on test in points, and what it costs beyond the baseline.

    `cpu_s` are extra processor seconds a trial, `labels` extra labels bought a trial.
    """

    arm: str
    effect: Estimate
    cpu_s: float
    labels: float


@dataclass(frozen=True)
class Ladder:
    """Best model, best data, both, in points against the baseline.

    `interaction` is what both gain beyond the sum of the two, `difference` data less model. Both are None where the
    chosen pair was not run together.
    """

    model: Step
    data: Step
    both: Step | None
    interaction: Estimate | None
    difference: Estimate


@dataclass(frozen=True, eq=False)
class Draws:
    """A study's mean scores in points: row 0 is what was measured, every other row is a redraw; `d` rows, `a` arms."""

    scores: Scores
    test: Float64[np.ndarray, "d a"]
    valid: Float64[np.ndarray, "d a"]


@dataclass(frozen=True)
class Axes:
    """Which arms stand where, by their place in the scores.

    `model` and `data` may be chosen as best of their axis. `crossed` may be chosen with both axes changed. `cells` are
    all arms by their levels, `references` those that are never chosen, `repeats` arms with the levels of another one
    (salts).
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
    """The arms that each row of the draws chooses; `both` is -1 where the chosen pair was not run together."""

    model: Int64[np.ndarray, " d"]
    data: Int64[np.ndarray, " d"]
    both: Int64[np.ndarray, " d"]


def draw_means(scores: Scores, draws: int, rng: np.random.Generator) -> Draws:
    """The measured means with their redraws below; BadInput with one seed."""
    drawn = redraw(scores, draws, rng)
    test = np.concatenate([scores.test.mean(1)[None], drawn.test])
    valid = np.concatenate([scores.valid.mean(1)[None], drawn.valid])
    return Draws(scores, test, np.round(valid, _DIGITS))


def cell_of(scores: Scores, arm: int) -> Levels:
    """The arm's levels, in the order of the factors."""
    return tuple(scores.levels[arm][name] for name in FACTORS)


def axes(scores: Scores) -> Axes:
    """Sorts the arms by what they change; BadInput without a baseline.

    Of arms with equal levels one without a salt counts, of several the first. An arm is a reference when the study says
    so, or when it crosses a level whose own arm is one.
    """
    if BASELINE not in scores.arms:
        raise BadInput("the baseline has no complete row of scores: there is nothing to attribute a gain against")
    baseline = scores.arms.index(BASELINE)
    cells: dict[Levels, int] = {cell_of(scores, baseline): baseline}
    for arm in sorted(range(len(scores.arms)), key=lambda arm: bool(scores.levels[arm]["salt"])):
        cells.setdefault(cell_of(scores, arm), arm)
    references = {cell for cell, arm in cells.items() if scores.reference[arm] and arm != baseline}
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
    """The model of one with the data of the other."""
    return (model[0], *data[1:])


def label_of_levels(cell: Levels) -> str:
    """The label of an arm with those levels."""
    return combine(cell).name or BASELINE


def choose(valid: Float64[np.ndarray, "d a"], arms: Sequence[int]) -> Int64[np.ndarray, " d"]:
    """The arm with the highest validation mean in every row; the first of those that are tied."""
    among = np.asarray(arms, dtype=np.int64)
    return among[np.argmax(valid[:, among], axis=1)]


def picks(draws: Draws, where: Axes, model: Sequence[int], data: Sequence[int]) -> Picks:
    """What every row chooses among those arms of each axis and the baseline."""
    chosen = [choose(draws.valid, [where.baseline, *arms]) for arms in (model, data)]
    together = np.full((draws.test.shape[1],) * 2, -1, dtype=np.int64)
    rows, columns = ({arm: cell_of(draws.scores, arm) for arm in (where.baseline, *arms)} for arms in (model, data))
    for (one, mine), (other, theirs) in product(rows.items(), columns.items()):
        together[one, other] = where.cells.get(combine_levels(mine, theirs), -1)
    return Picks(chosen[0], chosen[1], together[chosen[0], chosen[1]])


def build_ladder(draws: Draws, where: Axes, chosen: Picks) -> Ladder:
    """The rungs that the measured validation scores choose, with intervals in which every draw chooses again."""
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
    """What the chosen data gains beyond the chosen model, in points."""
    seen, own = (_at(table, chosen.data) - _at(table, chosen.model) for table in (draws.test, draws.test[:1]))
    return estimate_after_choice(seen, own)


def _at(table: Float64[np.ndarray, "rows a"], arms: Int64[np.ndarray, " d"]) -> Float64[np.ndarray, " d"]:
    """The score of each row's arm, in that row or in the only one; what was not run has any score."""
    return table[np.arange(len(arms)) if len(table) > 1 else 0, arms]


def step_of(scores: Scores, arm: int, baseline: int, effect: Estimate) -> Step:
    """A rung with what its arm costs beyond the baseline."""
    cpu_s, labels = (float(what[arm] - what[baseline]) for what in (scores.cpu_s, scores.labels))
    return Step(scores.arms[arm], effect, cpu_s, labels)


def estimate_after_choice(seen: Float64[np.ndarray, " d"], own: Float64[np.ndarray, " d"]) -> Estimate:
    """Returns a value with its 95 % interval; `seen` and `own` are those of `interval_after_choice`."""
    return Estimate(float(seen[0]), *interval_after_choice(seen, own, LEVEL))


def interval_after_choice(
    seen: Float64[np.ndarray, " d"], own: Float64[np.ndarray, " d"], level: float
) -> tuple[float, float]:
    """Returns the ends of the interval of a value whose arms were chosen; see the module's docstring.

    Row 0 of `seen` is the value as measured, the other rows are its redraws. `own` is, for each row, what was measured
    for the arms that the row chose. The interval reaches to the measured value.
    """
    luck = seen[1:] - own[1:]
    low, high = (float(end) for end in np.quantile(seen[1:], ((1 - level) / 2, (1 + level) / 2)))
    flattery = 2 * float(np.clip(luck, *np.quantile(luck, ENDS)).mean())
    return min(low, low - flattery, float(seen[0])), max(high, high - flattery, float(seen[0]))


def outline(value: float, low: float, high: float) -> Estimate:
    """An estimate whose interval reaches to its own value, so that it can be drawn."""
    return Estimate(value, min(low, value), max(high, value))


def winner_of(difference: Estimate) -> Winner:
    """Which axis the interval of data less model decides for."""
    return "data" if difference.low > 0 else "model" if difference.high < 0 else "undecided"
