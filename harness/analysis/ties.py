"""Compares every arm of a study with every other one, and groups arms that do not differ significantly.

**Shared variance.** Five seeds give a pair of arms four degrees of freedom, and Holm over all pairs of forty arms then
requires a t beyond 18 for each: nothing would be significant. But all pairs ran on the same seeds, and their variances
inform one another. Each pair's variance over seeds is shrunk towards their common value, as far as they agree (the
moderated t of Smyth 2004, Stat. Appl. Genet. Mol. Biol. 3): with `d` degrees of freedom of its own and a prior of `d0`
around `v0`, found by the moments of the logarithms of all of them,

    v' = (d v + d0 v0) / (d + d0),    t on d + d0 degrees of freedom, and never more than (a - 1) d

If pairs differ in variance, `d0` is small and each keeps its own; if they do not, it is the pooled error of a two-way
analysis of variance. Studies with fewer than `CROWD` arms have too few pairs to estimate this, and do not shrink.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

from harness.analysis import significance
from harness.analysis.discordant import count_discordant
from harness.analysis.effects import Effect, Variances
from harness.analysis.scores import Scores
from harness.analysis.significance import LEVEL, holm, letters, share_letter
from harness.arm import may_win
from harness.errors import BadInput

LEAST, LEAST_BLIND = 3, 5
CROWD = 5
"""Fewest arms whose pairs share variance."""
_SMALL = 1e-9


def least(scores: Scores) -> int:
    """Returns the fewest seeds for tie groups, measured by `tests/analysis/test_ties.py` on arms that do not differ.

    A score is a count, so the deltas of a few seeds are often exactly equal; among all pairs of arms some always are,
    and a t test takes them as certain. Without shared variance that made a false difference among twelve arms in one
    study in three at two seeds, and in one in eight at three seeds without a floor.
    """
    return LEAST_BLIND if scores.examples is None else LEAST


def groups(scores: Scores) -> tuple[Float64[np.ndarray, "a a"], tuple[str, ...]]:
    """Returns p-values of every arm against every other, by Holm over all pairs, and the letters of each arm.

    A pair's p-value inverts the interval of its mean paired difference, with the two levels of `effects`: the moderated
    variance over seeds, with t on its degrees of freedom, and the variance from test examples that seeds share, with
    t(n - 1). If `scores.examples` is known, the floor of `effects` applies: seeds that agree by chance claim no more
    than the test set can support. Two arms that differ on few examples only get the p-value of `discordant` if it is
    larger. The diagonal is 1. BadInput with fewer seeds than `least`.
    """
    r, a = len(scores.seeds), len(scores.arms)
    if r < least(scores):
        raise BadInput(f"{r} seeds are too few to compare all arms with one another: tie groups need {least(scores)}")
    floor = np.zeros((a, a)) if scores.examples is None else scores.examples
    first, second = np.triu_indices(a, 1)
    gains = scores.test[first] - scores.test[second]
    own, freedom = (
        moderate_variances(gains.var(axis=1, ddof=1), r - 1, a)
        if a >= CROWD
        else (gains.var(axis=1, ddof=1), float(r - 1))
    )
    raw = [
        _p_value(float(gain.mean()), Variances(float(v) / r, shared, of_test, r, scores.n_test), freedom)
        for gain, v, shared, of_test in zip(gains, own, _between(scores.spread), _between(floor), strict=True)
    ]
    known = [
        max(p, _p_of_few(scores, i, j)) if p < 1 - LEVEL else p
        for p, i, j in zip(raw, first.tolist(), second.tolist(), strict=True)
    ]
    p = np.eye(a)
    p[first, second] = p[second, first] = holm(np.array(known, dtype=np.float64))
    return p, letters(scores.test.mean(1), p < 1 - LEVEL)


def moderate_variances(variances: Float64[np.ndarray, " p"], d: int, a: int) -> tuple[Float64[np.ndarray, " p"], float]:
    """Returns the variances of pairs of `a` arms, shrunk towards their common value, and their degrees of freedom.

    `d` are those of each pair alone. A variance of 0, from exactly equal deltas, says nothing about the others.
    """
    known = variances[variances > _SMALL]
    if len(known) < a:
        return variances, float(d)
    logs = np.log(known) - digamma(d / 2) + np.log(d / 2)
    spare = float(logs.var(ddof=1) - polygamma(1, d / 2))
    most = float((a - 1) * d)
    d0 = min(2 * _trigamma_inverse(spare), most - d) if spare > 0 else most - d
    v0 = float(np.exp(logs.mean() + digamma(d0 / 2) - np.log(d0 / 2)))
    return (d * variances + d0 * v0) / (d + d0), d + d0


def _trigamma_inverse(value: float) -> float:
    """Returns the number whose trigamma function is `value` (the function falls from infinity at 0 to 0)."""
    return float(brentq(lambda x: polygamma(1, x) - value, 1e-4, 1e6)) if polygamma(1, 1e6) < value else 1e6


def _p_value(effect: float, found: Variances, freedom: float) -> float:
    """Returns `effects.effect_p_value` with separate degrees of freedom for the variance over seeds."""
    parts = [(found.seeds, freedom), (found.shared, found.n - 1)]
    return max(significance.p_value(effect, parts), significance.p_value(effect, found.floor))


def _p_of_few(scores: Scores, first: int, second: int) -> float:
    """Returns the p-value from the few examples on which two arms differ; 0 if they are many, or not known."""
    if scores.right is None:
        return 0.0
    found = count_discordant((scores.right[first] - scores.right[second]).astype(np.float64), scores.step)
    return found.p_value(float((scores.test[first] - scores.test[second]).mean())) if found.few else 0.0


def with_letters(effects: Sequence[Effect], scores: Scores | None) -> list[Effect]:
    """Adds their arms' letters to effects; "" for an arm without scores, and for all arms if seeds are too few."""
    if scores is None or len(scores.seeds) < least(scores):
        return [replace(effect, letters="") for effect in effects]
    mine = dict(zip(scores.arms, groups(scores)[1], strict=True))
    return [replace(effect, letters=mine.get(effect.arm, "")) for effect in effects]


def best_group(effects: Sequence[Effect]) -> list[str]:
    """Returns the best arm of those that may win, by score, and those that do not differ significantly from it.

    Without letters it is the best arm alone; empty if no arm has a score.
    """
    ranked = [one for one in effects if may_win(one.reference)]
    best = max((one for one in ranked if one.score is not None), key=lambda one: one.score or 0.0, default=None)
    if best is None or not best.letters:
        return [best.arm] if best else []
    return [one.arm for one in ranked if share_letter(one.letters, best.letters)]


def _between(covariance: Float64[np.ndarray, "a a"]) -> list[float]:
    """Returns the variance of each pair's difference, in the order of the upper triangle, at least 0."""
    own = covariance.diagonal()
    whole = own[:, None] + own - covariance - covariance.T
    return [float(value) for value in np.maximum(whole[np.triu_indices(len(whole), 1)], 0.0)]
