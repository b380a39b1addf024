"""Computes p-values and tie groups from numbers; pure functions that do not know records.

**From an interval to its p-value.** An interval `effect ± sqrt(sum_i t(f_i)^2 v_i)`, each part `v_i` of the variance
known with `f_i` degrees of freedom, widens as its level rises. The p-value is 1 minus the level at which the interval
reaches 0. So p < 0.05 if and only if the 95 % interval excludes 0, and a table cannot contradict itself.

**Many arms.** `holm` keeps the family-wise error below the level under any dependence (all arms of a study share their
control, so they are dependent). `benjamini_yekutieli` keeps the false discovery rate below the level, also under any
dependence; it finds more if many arms are good.

**Tie groups.** `letters` turns "these two differ" into the letters of a table: arms that share a letter do not differ
significantly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from string import ascii_lowercase

import numpy as np
from jaxtyping import Bool, Float64
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

from harness.errors import BadInput

LEVEL = 0.95
ZERO = 1e-9
"""Differences below so many points are rounding errors."""
_LEAST = 1e-300
_LETTER = re.compile(r"(([a-z])\2*)")


def half_width_at(alpha: float, parts: Sequence[tuple[float, float | int]]) -> float:
    """Returns sqrt(sum t^2 v) at the two-sided level 1 - `alpha`, over parts (v in points², degrees of freedom)."""
    return math.hypot(*(float(stdtrit(freedom, alpha / 2)) * math.sqrt(v) for v, freedom in parts if v > 0))


def nadeau_bengio(variance: float, r: int, correlation: float) -> float:
    """Returns the variance of a mean of `r` correlated deltas, from their variance divided by `r`.

    Deltas of training sets that share rows are correlated by rho. Their variance s² is then too small, and their mean
    varies by s² (1 / r + rho / (1 - rho)) over new training sets (Nadeau & Bengio 2003, Mach. Learn. 52, section 3).
    BadInput unless rho lies in [0, 1).
    """
    if not 0 <= correlation < 1:
        raise BadInput(f"a correlation of {correlation} between deltas: it must be 0 or more, and less than 1")
    return variance * (1 + r * correlation / (1 - correlation))


def p_value(effect: float, parts: Sequence[tuple[float, float | int]]) -> float:
    """Returns 1 - the level at which `effect ± half_width_at` reaches 0.

    It lies between the p-values of t distributions with the fewest and the most degrees of freedom. 1 for an effect of
    0, even if nothing varies; 0 if nothing varies and the effect is not 0.
    """
    known = [(v, freedom) for v, freedom in parts if v > 0]
    if abs(effect) < ZERO or not known:
        return 1.0 if abs(effect) < ZERO else 0.0
    z = abs(effect) / math.sqrt(sum(v for v, _ in known))
    ends = [2 * float(stdtr(freedom, -z)) for _, freedom in known]
    if len(known) == 1:
        return ends[0]
    low, high = max(min(ends) * (1 - 1e-6), _LEAST), min(max(ends) * (1 + 1e-6), 1.0)
    if high <= low or _beyond(math.log(low), abs(effect), known) <= 0:
        return low
    found = brentq(_beyond, math.log(low), math.log(high), args=(abs(effect), known), xtol=1e-13, rtol=1e-14)
    return math.exp(found)


def _beyond(log: float, effect: float, parts: Sequence[tuple[float, float | int]]) -> float:
    """Returns by how much the half-width at the level 1 - exp(`log`) exceeds the effect."""
    return half_width_at(math.exp(log), parts) - effect


def holm(p: Float64[np.ndarray, " a"]) -> Float64[np.ndarray, " a"]:
    """Adjusts p-values to control the family-wise error (Holm 1979, Scand. J. Stat. 6).

    The i-th smallest of m is multiplied by m - i + 1; none falls below a smaller one. nan stays nan and does not count.
    """
    order = _order(p)
    grown = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1))
    return _placed(grown, order, len(p))


def benjamini_yekutieli(p: Float64[np.ndarray, " a"]) -> Float64[np.ndarray, " a"]:
    """Adjusts p-values to control the false discovery rate under any dependence (Benjamini & Yekutieli 2001, Ann. Stat.
    29).

    The i-th smallest of m is multiplied by (1 + 1/2 + … + 1/m) m / i; none rises above a larger one. nan stays nan
    and does not count.
    """
    order = _order(p)
    rank = np.arange(1, len(order) + 1)
    grown = p[order] * len(order) / rank * (1 / rank).sum()
    return _placed(np.minimum.accumulate(grown[::-1])[::-1], order, len(p))


def letters(means: Float64[np.ndarray, " a"], differ: Bool[np.ndarray, "a a"]) -> tuple[str, ...]:
    """Returns the letters of each arm: two arms share one if and only if they do not differ; the best mean has an "a".

    A letter is a group of arms of which no two differ. Groups are made by insert and absorb (Piepho 2004, J. Comput.
    Graph. Stat. 13): start with one group of all arms; each pair that differs splits the groups that hold both; a group
    inside another is removed, and so is one whose every pair is in another group. After "z" come "aa", "bb", …,
    separated by spaces. BadInput if a mean is not a number or "differs" is not symmetric.
    """
    if not np.isfinite(means).all():
        raise BadInput("an arm without a mean score cannot be ordered: leave it out of the tie groups")
    if (differ != differ.T).any() or differ.diagonal().any():
        raise BadInput("'differs' must be symmetric, and no arm differs from itself")
    order = np.argsort(-means, kind="stable")
    found = sorted(_groups(differ[np.ix_(order, order)]), key=sorted)
    names = [ascii_lowercase[i % 26] * (i // 26 + 1) for i in range(len(found))]
    between = " " if len(found) > 26 else ""
    mine = [
        between.join(n for n, group in zip(names, found, strict=True) if rank in group) for rank in range(len(order))
    ]
    return tuple(mine[place] for place in np.argsort(order))


def share_letter(one: str, other: str) -> bool:
    """Returns whether two arms with these letters share one, so that neither is significantly better."""
    return not {name for name, _ in _LETTER.findall(one)}.isdisjoint(name for name, _ in _LETTER.findall(other))


def _order(p: Float64[np.ndarray, " a"]) -> np.ndarray:
    """Returns the positions of the numbers in `p`, smallest first."""
    order = np.argsort(p, kind="stable")
    return order[np.isfinite(p[order])]


def _placed(values: np.ndarray, order: np.ndarray, size: int) -> Float64[np.ndarray, " a"]:
    """Returns `values` at the positions `order`, capped at 1, nan elsewhere."""
    whole = np.full(size, np.nan)
    whole[order] = np.minimum(values, 1.0)
    return whole


def _groups(differ: Bool[np.ndarray, "a a"]) -> list[frozenset[int]]:
    """Builds the groups of arms by insert and absorb; redundant ones are removed on the way to bound their number."""
    a = len(differ)
    found = [frozenset(range(a))] if a else []
    for i, j in zip(*np.nonzero(np.triu(differ)), strict=True):
        both = [group for group in found if i in group and j in group]
        kept = [group for group in found if not (i in group and j in group)]
        for part in sorted((group - {one} for group in both for one in (i, j)), key=len, reverse=True):
            if not any(part <= group for group in kept):
                kept.append(part)
        found = kept if len(kept) <= 2 * a else _swept(kept, a)
    return _swept(found, a)


def _swept(groups: Sequence[frozenset[int]], a: int) -> list[frozenset[int]]:
    """Removes groups whose every pair of arms is also in another group, small groups first."""
    held = np.zeros((a, a), dtype=np.int64)
    for group in groups:
        held[np.ix_(sorted(group), sorted(group))] += 1
    kept = []
    for group in sorted(groups, key=lambda one: (len(one), sorted(one))):
        block = np.ix_(sorted(group), sorted(group))
        if (held[block] > 1).all():
            held[block] -= 1
        else:
            kept.append(group)
    return kept
