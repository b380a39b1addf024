"""Computes the ladder: the gains of the best model, the best data and both; pure functions.

The difference of data and model, from which the verdict follows, is `choice`'s. The gains are estimated here.

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
bias: if the winner is clear. (Efron 2011, JASA 106, and Andrews, Kitagawa & McCloskey 2024, QJE 139, treat this
winner's curse.) `f` is a winsorised mean, since at 2
seeds the draws have no mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from harness.analysis.choice import Decision, Estimate, Side, best_against_best, best_of, decide
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
class Step:
    """Holds a rung of the ladder: its arm, its gain on test in points, and its cost beyond the baseline's.

    `cpu_s` are extra CPU seconds per trial, `labels` extra labels bought per trial. For the best of one axis,
    `by_validation` and `at_best` answer the two questions of `choice` about its gain, and `chosen_again` is the share
    of redraws that choose the same arm.
    """

    arm: str
    effect: Estimate
    cpu_s: float
    labels: float
    by_validation: Estimate | None = None
    at_best: Estimate | None = None
    chosen_again: float | None = None


@dataclass(frozen=True)
class Ladder:
    """Holds the gains of the best model, the best data and both over the baseline, in points.

    `interaction` is the gain of both beyond the sum of the two, `difference` is data minus model, with the interval of
    the verdict; `by_validation` and `at_best` answer the two questions of `choice`. `both` and `interaction` are None
    if the chosen pair was not run together.
    """

    model: Step
    data: Step
    both: Step | None
    interaction: Estimate | None
    difference: Estimate
    by_validation: Estimate
    at_best: Estimate


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
    of another arm (salts). `informed_model` and `informed_data` have used the validation rows: these flatter them, so
    they cannot be chosen by them.
    """

    baseline: int
    model: tuple[int, ...]
    data: tuple[int, ...]
    crossed: tuple[int, ...]
    cells: Mapping[Levels, int]
    references: tuple[int, ...]
    repeats: tuple[int, ...]
    informed_model: tuple[int, ...] = ()
    informed_data: tuple[int, ...] = ()


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
    informed = scores.informed or (False,) * len(scores.arms)

    def changing(model: bool, data: bool, has_used: bool) -> tuple[int, ...]:
        kinds = {arm: (bool(scores.model(arm)), bool(scores.data(arm)), informed[arm]) for arm in kept}
        return tuple(arm for arm in kept if kinds[arm] == (model, data, has_used))

    return Axes(
        baseline, changing(True, False, False), changing(False, True, False), changing(True, True, False), cells,
        references=tuple(sorted(cells[cell] for cell in references)),
        repeats=tuple(arm for arm in range(len(scores.arms)) if cells[cell_of(scores, arm)] != arm),
        informed_model=changing(True, False, True), informed_data=changing(False, True, True),
    )  # fmt: skip


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


def why_not_comparable(scores: Scores) -> str:
    """Returns why these scores allow no attribution; empty if they do."""
    if BASELINE not in scores.arms:
        return "No attribution: the baseline is not complete, so no gain can be measured."
    if len(scores.arms) == 1:
        return "No attribution: the baseline is the only complete arm."
    if not np.isfinite(scores.test).all():
        return "No attribution: some test scores are not numbers."
    if len(scores.seeds) < 2:
        return "No attribution: one seed does not show how much retraining changes; run at least two, better five."
    if np.ptp(scores.test, axis=0).max() == 0:
        return "No attribution: all arms score the same on every seed, so there is no gain to attribute."
    return ""


def why_no_choice(scores: Scores, where: Axes) -> str:
    """Returns why no best model and best data can be chosen; empty if they can."""
    sides = {"model": where.model, "data": where.data}
    for name, arms in sides.items():
        if not arms and getattr(where, f"informed_{name}"):
            return (
                f"No verdict: all {name} arms have used the validation rows, by which the best is chosen. Add an arm "
                "that has not."
            )
        if not arms:
            return f"No verdict: no complete arm changes the {name} alone (negative controls and upper bounds aside)."
    if not np.isfinite(scores.valid[[where.baseline, *where.model, *where.data, *where.crossed]]).all():
        return (
            "No verdict: arms are chosen on validation, and not all of them have validation scores; "
            "a choice on the test set would bias the gain upwards."
        )
    for name, arms in sides.items():
        if np.ptp(scores.valid[[where.baseline, *arms]], axis=0).max() == 0:
            return f"No verdict: on validation all {name} arms and the baseline tie on every seed: none can be chosen."
    return ""


def why_undecidable(scores: Scores) -> str:
    """Returns why a study can have no verdict; empty if it can."""
    return why_not_comparable(scores) or why_no_choice(scores, axes(scores))


def build_ladder(draws: Draws, where: Axes, chosen: Picks) -> Ladder:
    """Returns the rungs that the measured validation scores choose, with their gains and how they compare."""
    scores = draws.scores
    model = _side_gain(scores, where, where.model, where.informed_model, chosen.model)
    data = _side_gain(scores, where, where.data, where.informed_data, chosen.data)
    both = interaction = None
    if chosen.both[0] >= 0:
        together = _gain(scores, where, best_together(scores, where))
        both = together or step_of(scores, int(chosen.both[0]), where.baseline, _both_gain(draws, where, chosen))
        interaction = _interaction(draws, where, chosen)
    beside = decide_axes(scores, where, where.model, where.data)
    left, right, rivals = _sides(where, where.model, where.data)
    best = best_against_best(scores, left, right, rivals=rivals)
    assert best is not None  # every arm of `Axes` was run
    return Ladder(model, data, both, interaction, beside.verdict, beside.by_validation, best)


def _gain(scores: Scores, where: Axes, side: Side) -> Step | None:
    """Returns what a side gains over the baseline; None if one of the seeds' choices was not run."""
    found = decide(scores, best_of([where.baseline]), side)
    return None if found is None else step_of(scores, found.right, where.baseline, found.verdict)


def _side_gain(
    scores: Scores, where: Axes, arms: Sequence[int], informed: Sequence[int], pick: Int64[np.ndarray, " d"]
) -> Step:
    """Returns the rung of the best of these arms, with the answers to both questions about its gain.

    `informed` are arms that validation cannot choose and test rows can, `pick` is what each row of the draws chooses.
    """
    control, side, strong = (
        best_of(found) for found in ([where.baseline], [where.baseline, *arms], [where.baseline, *arms, *informed])
    )
    found = decide(scores, control, side)
    best = best_against_best(scores, control, side, rivals=(control, strong))
    assert found is not None  # every arm of `Axes` was run
    step = step_of(scores, found.right, where.baseline, found.verdict)
    again = float(np.mean(pick[1:] == pick[0]))
    return replace(step, by_validation=found.by_validation, at_best=best, chosen_again=again)


def _both_gain(draws: Draws, where: Axes, chosen: Picks) -> Estimate:
    """Returns the gain of the best pair from the redraws whose pair was run."""
    run = chosen.both >= 0
    seen, own = (_at(table, chosen.both)[run] for table in (draws.test, draws.test[:1]))
    base = draws.test[:, where.baseline][run]
    return estimate_after_choice(seen - base, own - base[0])


def _interaction(draws: Draws, where: Axes, chosen: Picks) -> Estimate:
    """Returns the gain of the best pair beyond its parts', from the redraws whose pair was run."""
    run = chosen.both >= 0

    def beyond(table: Float64[np.ndarray, "rows a"]) -> Float64[np.ndarray, " d"]:
        both, model, data = (_at(table, arms) for arms in (chosen.both, chosen.model, chosen.data))
        return (both - model - data + table[:, where.baseline])[run]

    return estimate_after_choice(beyond(draws.test), beyond(draws.test[:1]))


def decide_axes(scores: Scores, where: Axes, model: Sequence[int], data: Sequence[int]) -> Decision:
    """Returns the best of these data arms minus the best of these model arms; both may choose the baseline."""
    left, right, rivals = _sides(where, model, data)
    found = decide(scores, left, right, rivals=rivals)
    assert found is not None  # every arm of `Axes` was run
    return found


def _sides(where: Axes, model: Sequence[int], data: Sequence[int]) -> tuple[Side, Side, tuple[Side, Side]]:
    """Returns what either side may choose from, and the same with the arms that have used the validation rows."""
    with_informed = ((*model, *where.informed_model), (*data, *where.informed_data))
    chosen, rivals = ([best_of([where.baseline, *arms]) for arms in pair] for pair in ((model, data), with_informed))
    return chosen[0], chosen[1], (rivals[0], rivals[1])


def best_together(scores: Scores, where: Axes) -> Side:
    """Returns the side that runs the best model with the best data."""
    one, other = (best_of([where.baseline, *arms]) for arms in (where.model, where.data))

    def cell(model: int, data: int) -> int:
        return where.cells.get(combine_levels(cell_of(scores, model), cell_of(scores, data)), -1)

    known = {at for at in (cell(*pair) for pair in product(one.arms, other.arms)) if at >= 0}
    return Side(lambda means: cell(one.choose(means), other.choose(means)), tuple(sorted(known)))


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
