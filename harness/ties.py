"""A study's scores in, which arms were told apart out: every arm against every other, and their tie groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from harness.effects import Effect, Variances, p_value
from harness.errors import BadInput
from harness.grid import Scores
from harness.significance import LEVEL, holm, letters

LEAST, LEAST_BLIND = 3, 5


def least(scores: Scores) -> int:
    """The fewest seeds that tie groups are made of, measured by `tests/test_ties.py` on arms that do not differ.

    A score is a count, so that the deltas of a few seeds are often equal to the last digit; among all pairs of arms
    some always are, and a t test takes them for certain. Among twelve arms that made a difference out of nothing in
    one study in three at two seeds, and in one of eight at three seeds where no floor held it back.
    """
    return LEAST_BLIND if scores.examples is None else LEAST


def groups(scores: Scores) -> tuple[Float64[np.ndarray, "a a"], tuple[str, ...]]:
    """P-values of every arm against every other, by Holm over all pairs, and the letters of each arm.

    A pair's p-value inverts the interval of its mean paired difference, with the two levels of `effects`: the variance
    over seeds with t(r - 1), and what test examples that seeds share add with t(n - 1). Where `scores.examples` is
    known, seeds that agree by chance claim no more than the test set can know, as in `effects`. The diagonal is 1.
    BadInput at fewer seeds than `least`.
    """
    r, a = len(scores.seeds), len(scores.arms)
    if r < least(scores):
        raise BadInput(f"{r} seeds are too few to tell all arms from one another: tie groups need {least(scores)}")
    floor = np.zeros((a, a)) if scores.examples is None else scores.examples
    first, second = np.triu_indices(a, 1)
    raw = [
        p_value(float(d.mean()), Variances(float(d.var(ddof=1)) / r, shared, of_test, r, scores.n_test))
        for d, shared, of_test in zip(
            scores.test[first] - scores.test[second], _between(scores.spread), _between(floor), strict=True
        )
    ]
    p = np.eye(a)
    p[first, second] = p[second, first] = holm(np.array(raw, dtype=np.float64))
    return p, letters(scores.test.mean(1), p < 1 - LEVEL)


def with_letters(effects: Sequence[Effect], scores: Scores | None) -> list[Effect]:
    """The effects with their arms' letters; "" for an arm that is not among the scores, for all where seeds are few."""
    if scores is None or len(scores.seeds) < least(scores):
        return [replace(effect, letters="") for effect in effects]
    mine = dict(zip(scores.arms, groups(scores)[1], strict=True))
    return [replace(effect, letters=mine.get(effect.arm, "")) for effect in effects]


def _between(covariance: Float64[np.ndarray, "a a"]) -> list[float]:
    """The variance of the difference of each pair of arms, in the order of the upper triangle, cut off at 0."""
    own = covariance.diagonal()
    whole = own[:, None] + own - covariance - covariance.T
    return [float(value) for value in np.maximum(whole[np.triu_indices(len(whole), 1)], 0.0)]
