"""Compares two sides whose arms are chosen on validation, such as the best model and the best data; pure functions.

**The problem.** Training noise moves an arm's validation and test scores together. So the arm with the highest
validation score also has a test score that is too high, and the more so the more arms there were to choose from. A
paired interval of the two chosen arms ignores this: it names a winner in up to 11 % of studies in which both sides are
equally good. An interval that repeats the choice in redraws of all means (`ladder`) is valid, but it needs two to three
times as much difference, since it also accounts for arms that nobody would choose.

**Three conditions.** A side wins if it is ahead in each of three comparisons:

1. *The chosen pair.* The paired interval of `effects` between the two arms that validation chooses, at 95 %.
2. *Choice on other seeds.* For each seed, both arms are chosen by the validation scores of the other seeds alone, and
   compared on the test rows of this seed. Training noise is independent over seeds, so no choice is flattered
   (cross-fitting; Chernozhukov et al. 2018, Econom. J. 21). The mean must be `ERRORS` standard errors from 0. The price
   is a choice by one seed less.
3. *The strongest rival.* The winner, chosen as in 2, must be `ERRORS` standard errors ahead of the arm of the other
   side that test rows choose: for each seed and each part of the test rows, those of the other seeds and the other
   parts. Otherwise the winner may only have met an opponent that validation chose badly.

The first condition alone fails if one side has many arms, the second alone if all arms are equal and validation is
large (each seed's choice depends on the others', which its variance does not know), and both fail if validation is
small and one of many arms is as good as the winner. The interval that is reported is the hull of all three, so that it
excludes 0 if and only if a side wins. `tests/analysis/test_verdict_simulation.py` simulates it.

**Two questions.** *What does one get by choosing on this validation part?* The mean of comparison 2 answers it, with
the hull of 1 and 2. *What can the best arm of each side gain?* The answer chooses both arms as 3 does, and takes the
mean difference on the rows and seeds that chose nothing. Its interval holds the difference of the truly best arms in
95 % or more of studies, whatever validation is like: it is bounded below by the lowest lower end of the winner of 2
against each arm of the other side, and above likewise (comparisons with the best; Hsu 1984, Ann. Stat. 12; an
intersection-union test in each direction: Berger 1982, Technometrics 24).

Where the scores on parts of the test rows are not known, each arm of the other side is a rival in 3, with `FALLBACK`
standard errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import ndtri

from harness.analysis.discordant import Discordant, count_discordant
from harness.analysis.effects import FLOOR, Variances, effect_p_value, variances
from harness.analysis.scores import Scores
from harness.analysis.significance import LEVEL, half_width_at

ERRORS, FALLBACK = 2.0, 1.645
"""Standard errors by which a winner must be ahead in conditions 2 and 3, and of every rival without parts."""
_DIGITS = 9
"""Validation means, in points, that agree to this many decimal places are tied."""

Arms = Int64[np.ndarray, " r"]
"""An arm for each seed, as row numbers in the scores."""
PartArms = Int64[np.ndarray, "r f"]
"""An arm for each seed and each part of the test rows."""


@dataclass(frozen=True)
class Estimate:
    """Holds a value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Side:
    """Holds what one side of a comparison may choose from, as row numbers in the scores.

    `choose` returns an arm by the arms' mean scores (a,), -1 if the arm that it wants was not run; `arms` are all that
    it can return.
    """

    choose: Callable[[Float64[np.ndarray, " a"]], int]
    arms: tuple[int, ...]


@dataclass(frozen=True)
class Decision:
    """Holds `right` minus `left` in points: for the verdict, and as the answer to the first question (see the module).

    `left` and `right` are the arms chosen, as row numbers. `verdict` has the measured difference of these two arms and
    the hull of the three conditions.
    """

    left: int
    right: int
    verdict: Estimate
    by_validation: Estimate


@dataclass(frozen=True)
class Contrast:
    """Holds the mean of paired differences, in points, with the parts of its variance.

    `few` counts the test examples on which the two differ if there are only few.
    """

    mean: float
    parts: Variances
    few: Discordant | None = None

    def ends(self, level: float) -> tuple[float, float]:
        """Returns the paired interval of `effects`."""
        half = max(half_width_at(1 - level, self.parts.parts), half_width_at(1 - level, self.parts.floor))
        return self._around(half, level)

    def p_value(self) -> float:
        """Returns the p-value of the mean being 0: 1 minus the level at which `ends` reaches 0."""
        few = self.few.p_value(self.mean) if self.few else 0.0
        return max(effect_p_value(self.mean, self.parts), few)

    def errors(self, number: float, level: float) -> tuple[float, float]:
        """Returns an interval of that many standard errors (at 95 %; more at a higher level), with the same floors."""
        at_level, at_usual = (float(ndtri((1 + one) / 2)) for one in (level, LEVEL))
        floor = FLOOR / at_usual * math.sqrt(self.parts.examples)
        error = max(math.sqrt(self.parts.seeds + self.parts.shared), floor)
        return self._around(number * at_level / at_usual * error, level)

    def _around(self, half: float, level: float) -> tuple[float, float]:
        below, above = self.few.distances(level) if self.few else (0.0, 0.0)
        return self.mean - max(half, below), self.mean + max(half, above)


def best_of(arms: Sequence[int]) -> Side:
    """Returns the side that chooses the arm with the highest mean; ties go to the first of them."""
    among = np.asarray(arms, dtype=np.int64)
    return Side(lambda means: int(among[int(np.argmax(np.round(means[among], _DIGITS)))]), tuple(arms))


def decide(
    scores: Scores, left: Side, right: Side, level: float = LEVEL, *, rivals: tuple[Side, Side] | None = None
) -> Decision | None:
    """Returns which of two sides is better; None if a side chooses an arm that was not run.

    `rivals` are the two sides with the arms that validation cannot choose, because they have used its rows: a winner
    must be ahead of these too. Needs two seeds or more, and validation scores of all arms of a side that has several.
    """
    strong = rivals or (left, right)
    everywhere = [np.full(len(scores.seeds), side.choose(scores.valid.mean(1))) for side in (left, right)]
    elsewhere = [choose_for_each_seed(scores, side) for side in (left, right)]
    if min(one.min() for one in (*everywhere, *elsewhere)) < 0:
        return None
    chosen, crossed = (paired_contrast(scores, pair[1], pair[0]) for pair in (everywhere, elsewhere))
    fair = _hull(chosen.ends(level), crossed.errors(ERRORS, level))
    near = _against_strongest(scores, *strong, elsewhere, level)
    if near is None:
        near = _ends(_against_all(scores, *strong, elsewhere), lambda one: one.errors(FALLBACK, level))
    return Decision(
        int(everywhere[0][0]), int(everywhere[1][0]), _estimate(chosen.mean, _guarded(fair, near)),
        _estimate(crossed.mean, fair),
    )  # fmt: skip


def best_against_best(
    scores: Scores, left: Side, right: Side, *, rivals: tuple[Side, Side] | None = None
) -> Estimate | None:
    """Returns the best arm of `right` minus that of `left` in points, the answer to the second question.

    `rivals` as for `decide`: test rows can choose them too. None if a side chooses an arm that was not run.
    """
    strong = rivals or (left, right)
    elsewhere, strongest = [choose_for_each_seed(scores, side) for side in (left, right)], _strongest(scores, *strong)
    if min(one.min() for one in elsewhere) < 0:
        return None
    top = (
        paired_contrast(scores, elsewhere[1], elsewhere[0])
        if strongest is None
        else _by_parts(scores, *strongest[::-1])
    )
    return _estimate(top.mean, _ends(_against_all(scores, *strong, elsewhere), lambda one: one.ends(LEVEL)))


def paired_contrast(scores: Scores, first: Arms, second: Arms) -> Contrast:
    """Returns `first` minus `second` on test over seeds; each may use another arm on each seed."""
    at = np.arange(len(scores.seeds))
    deltas = scores.test[first, at] - scores.test[second, at]
    found = variances(deltas, _covariance(scores, first, second), scores.n_test)
    return Contrast(float(deltas.mean()), found, _few(scores, first, second))


def _few(scores: Scores, first: Arms, second: Arms) -> Discordant | None:
    """Counts the test examples on which two choices of arms differ; None if they are not known, or many."""
    if scores.right is None:
        return None
    ahead = (scores.right[first] - scores.right[second]).mean(0, dtype=np.float64)
    found = count_discordant(ahead, scores.step)
    return found if found.few else None


def _covariance(scores: Scores, first: Arms, second: Arms) -> Float64[np.ndarray, "r r"]:
    """Returns the covariance of each two seeds' deltas over test examples."""
    at = np.arange(len(scores.seeds))
    spread = _differences(scores.spread, first, second)
    spread[at, at] = np.diagonal(_differences(_within_seed(scores), first, second))
    return spread


def _within_seed(scores: Scores) -> Float64[np.ndarray, "a a"]:
    """Returns the mean covariance of the arms' scores on one seed over its test examples."""
    r = len(scores.seeds)
    return scores.spread if scores.examples is None else r * scores.examples - (r - 1) * scores.spread


def _differences(spread: Float64[np.ndarray, "a a"], first: Arms, second: Arms) -> Float64[np.ndarray, "r r"]:
    """Returns the covariance of `first` minus `second` between each two seeds."""
    ends = np.concatenate([first, second])
    whole, r = spread[np.ix_(ends, ends)], len(first)
    return whole[:r, :r] - whole[:r, r:] - whole[r:, :r] + whole[r:, r:]


def choose_for_each_seed(scores: Scores, side: Side) -> Arms:
    """Returns the arm that a side chooses for each seed by the validation scores of the other seeds."""
    r = len(scores.seeds)
    rest = (scores.valid.sum(1, keepdims=True) - scores.valid) / (r - 1)
    return np.array([side.choose(rest[:, seed]) for seed in range(r)], dtype=np.int64)


def _against_strongest(
    scores: Scores, left: Side, right: Side, chosen: Sequence[Arms], level: float
) -> tuple[float, float] | None:
    """Returns the lower end of the chosen right against the strongest left, and the upper end the other way round."""
    strongest = _strongest(scores, left, right)
    if strongest is None:
        return None
    below, above = (_by_parts(scores, *pair) for pair in ((chosen[1], strongest[0]), (strongest[1], chosen[0])))
    return below.errors(ERRORS, level)[0], above.errors(ERRORS, level)[1]


def _against_all(
    scores: Scores, left: Side, right: Side, chosen: Sequence[Arms]
) -> tuple[list[Contrast], list[Contrast]]:
    """Returns right minus left: the chosen right against each arm of the left, each of the right against the left."""
    r = len(scores.seeds)
    return (
        [paired_contrast(scores, chosen[1], np.full(r, arm)) for arm in left.arms],
        [paired_contrast(scores, np.full(r, arm), chosen[0]) for arm in right.arms],
    )


def _ends(
    against: tuple[list[Contrast], list[Contrast]], ends: Callable[[Contrast], tuple[float, float]]
) -> tuple[float, float]:
    """Returns the lowest lower end of the first list and the highest upper end of the second."""
    below, above = against
    return min(ends(one)[0] for one in below), max(ends(one)[1] for one in above)


def _guarded(fair: tuple[float, float], near: tuple[float, float]) -> tuple[float, float]:
    """Returns the fair interval, widened on the side of a winner who is not ahead of every rival."""
    low, high = fair
    return min(low, near[0]) if low > 0 else low, max(high, near[1]) if high < 0 else high


def _strongest(scores: Scores, left: Side, right: Side) -> tuple[PartArms, PartArms] | None:
    """Returns the arm of each side, for each seed and part, that the other seeds' other parts of the test rows choose.

    None if the scores are not known by parts, or if a side chooses an arm that was not run.
    """
    whole = scores.parts
    if whole is None:
        return None
    _, r, f = whole.shape
    rest = whole.sum((1, 2), keepdims=True) - whole.sum(1, keepdims=True) - whole.sum(2, keepdims=True) + whole
    rest = rest / ((r - 1) * (f - 1))
    found = [
        np.array([[side.choose(rest[:, seed, part]) for part in range(f)] for seed in range(r)])
        for side in (left, right)
    ]
    return None if min(one.min() for one in found) < 0 else (found[0], found[1])


def _by_parts(scores: Scores, first: Arms | PartArms, second: Arms | PartArms) -> Contrast:
    """Returns `first` minus `second` on test; each may use another arm on each seed and each part of the test rows."""
    assert scores.parts is not None
    _, r, f = scores.parts.shape
    one, other = (np.broadcast_to(arms.reshape(r, -1), (r, f)) for arms in (first, second))
    seeds, parts = np.arange(r)[:, None], np.arange(f)
    deltas = (scores.parts[one, seeds, parts] - scores.parts[other, seeds, parts]).mean(1)
    # A part's mean has f times the variance of the whole, and the mean of f independent parts a share of f of that.
    spread = np.mean([_covariance(scores, one[:, part], other[:, part]) for part in range(f)], axis=0)
    return Contrast(float(deltas.mean()), variances(deltas, spread, scores.n_test))


def _hull(*intervals: tuple[float, float]) -> tuple[float, float]:
    return min(low for low, _ in intervals), max(high for _, high in intervals)


def _estimate(value: float, ends: tuple[float, float]) -> Estimate:
    """Returns an estimate whose interval includes its value."""
    return Estimate(value, min(ends[0], value), max(ends[1], value))
