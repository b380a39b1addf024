"""Numbers in, p-values and tie groups out; pure functions that know nothing of records.

**From an interval to its p-value.** An interval `effect ± sqrt(sum_i t(f_i)^2 v_i)`, each part `v_i` of the variance
known with `f_i` degrees of freedom, widens as its level rises. The p-value is 1 less the level at which it reaches 0.
So p < 0.05 says exactly that the 95 % interval leaves 0 out, and a table cannot contradict itself.

**Many arms.** `holm` keeps the chance of one false claim or more below the level, whatever hangs together with what:
all arms of a study share their control, so they do. `benjamini_yekutieli` keeps the expected share of false claims
among all claims below the level, under any dependence too; it finds more where many arms are good.

**Tie groups.** `letters` turns "these two differ" into the letters of a table: arms that share one were not told apart.
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
"""Points below which a difference is the rounding of a computer."""
_LEAST = 1e-300
_LETTER = re.compile(r"(([a-z])\2*)")


def half_width_at(alpha: float, parts: Sequence[tuple[float, float | int]]) -> float:
    """sqrt(sum t^2 v) at the two-sided level 1 - `alpha`, over parts (v, degrees of freedom); v in points squared."""
    return math.hypot(*(float(stdtrit(freedom, alpha / 2)) * math.sqrt(v) for v, freedom in parts if v > 0))


def p_value(effect: float, parts: Sequence[tuple[float, float | int]]) -> float:
    """1 - the level at which `effect ± half_width_at` reaches 0.

    Lies between what t distributions with the least and the most degrees of freedom would say of all variance. 1 for an
    effect of 0, even where nothing varies; 0 where nothing varies and the effect is not 0.
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
    """By how much the half-width at the level 1 - exp(`log`) passes the effect."""
    return half_width_at(math.exp(log), parts) - effect


def holm(p: Float64[np.ndarray, " a"]) -> Float64[np.ndarray, " a"]:
    """P-values that account for their number: the chance of one false claim is held (Holm 1979, Scand. J. Stat. 6).

    The i-th smallest of m is multiplied by m - i + 1; none gets below a smaller one. nan stays nan and does not count.
    """
    order = _order(p)
    grown = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1))
    return _placed(grown, order, len(p))


def benjamini_yekutieli(p: Float64[np.ndarray, " a"]) -> Float64[np.ndarray, " a"]:
    """P-values that account for their number: the share of false claims is held (Benjamini & Yekutieli 2001, Ann. Stat.
    29), whatever hangs together with what.

    The i-th smallest of m is multiplied by (1 + 1/2 + … + 1/m) m / i; none gets above a larger one. nan stays nan and
    does not count.
    """
    order = _order(p)
    rank = np.arange(1, len(order) + 1)
    grown = p[order] * len(order) / rank * (1 / rank).sum()
    return _placed(np.minimum.accumulate(grown[::-1])[::-1], order, len(p))


def letters(means: Float64[np.ndarray, " a"], differ: Bool[np.ndarray, "a a"]) -> tuple[str, ...]:
    """The letters of each arm: two arms share one if and only if they do not differ; the best mean has an "a".

    A letter is a group of arms of which no two differ. Groups are made by insert and absorb (Piepho 2004, J. Comput.
    Graph. Stat. 13): one group of all; each pair that differs splits the groups that hold both; a group within another
    goes. Groups whose every pair stands in another are swept away. After "z" come "aa", "bb", …, and letters then
    stand apart by spaces. BadInput where a mean is not a number or "differs" is not mutual.
    """
    if not np.isfinite(means).all():
        raise BadInput("an arm without a mean score has no place among the others: leave it out of the tie groups")
    if (differ != differ.T).any() or differ.diagonal().any():
        raise BadInput("of two arms that differ each differs from the other, and none from itself")
    order = np.argsort(-means, kind="stable")
    found = sorted(_groups(differ[np.ix_(order, order)]), key=sorted)
    names = [ascii_lowercase[i % 26] * (i // 26 + 1) for i in range(len(found))]
    between = " " if len(found) > 26 else ""
    mine = [
        between.join(n for n, group in zip(names, found, strict=True) if rank in group) for rank in range(len(order))
    ]
    return tuple(mine[place] for place in np.argsort(order))


def tied(one: str, other: str) -> bool:
    """Whether two arms with these letters share one: "first" can be said of an arm that is tied with the best mean."""
    return not {name for name, _ in _LETTER.findall(one)}.isdisjoint(name for name, _ in _LETTER.findall(other))


def _order(p: Float64[np.ndarray, " a"]) -> np.ndarray:
    """The places of the numbers among `p`, smallest first."""
    order = np.argsort(p, kind="stable")
    return order[np.isfinite(p[order])]


def _placed(values: np.ndarray, order: np.ndarray, size: int) -> Float64[np.ndarray, " a"]:
    """`values` at the places `order`, none above 1, nan elsewhere."""
    whole = np.full(size, np.nan)
    whole[order] = np.minimum(values, 1.0)
    return whole


def _groups(differ: Bool[np.ndarray, "a a"]) -> list[frozenset[int]]:
    """The groups of arms by insert and absorb, swept on the way where they would grow without end."""
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
    """The groups without those whose every pair of arms stands together elsewhere too, small groups looked at first."""
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
