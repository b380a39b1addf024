"""Computes detectable effects, seeds needed and fixed looks from the variances of a pilot; pure functions.

**Power.** The test behind an interval of `effects` detects an effect if the mean delta `d` over `r` seeds lies
outside an interval of half-width `h` around 0. With `v` the variance of one seed's delta, `s^2` its estimate from `r`
seeds, and `C` the variance that all seeds share because of their `n` test examples,

    d ~ N(effect, tau^2),   tau^2 = v / r + C,    (r - 1) s^2 / v ~ chi2(r - 1)
    h^2 = t(r - 1)^2 s^2 / r + t(n - 1)^2 C
    power(effect) = E_s [Phi((effect - h) / tau) + Phi((-effect - h) / tau)]

If seeds share no test example (C = 0), that is the noncentral t distribution with noncentrality effect sqrt(r / v)
(Cohen 1988, Statistical Power Analysis, ch. 2 and 12); if training is deterministic (v = 0), it is the normal one. The
minimum detectable effect is the one with the required power. More seeds reduce `v / r` but not `C`: even infinitely
many seeds detect nothing below what `C` allows, and smaller effects need more test examples (`C` falls as 1 / n).

The floor of an interval (`effects.FLOOR`) is not part of `h`: it applies if few seeds agree by chance, which costs a
little power. A pilot of `r` seeds estimates `v` badly, so `variance_ends` returns the range that it may lie in.

**Repeated looks.** A study that stops as soon as an interval excludes 0 has looked several times, and each look can be
wrong: with 95 % intervals, far more than 5 % of such studies end with one that misses the truth. Here the looks are
fixed before the first trial: `looks` returns the numbers of seeds, doubling up to the maximum. Each of the K looks gets
an interval of level 1 - 0.05 / K (Bonferroni). By the union bound all K hold the truth at once in 95 % of studies or
more, under any dependence; so does the interval at which an arm stops, under any stopping rule. A large K makes
intervals wide, so K grows as the logarithm of the maximum. `tests/analysis/test_stopping.py` measures it: of studies
without an effect that look at 3, 6, 12, 24 and 48 seeds and stop as soon as 0 is excluded, 96 % hold 0 at the end, and
85 % if each look has an ordinary interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.optimize import brentq
from scipy.special import stdtrit
from scipy.stats import chi, chi2, norm

from harness.analysis.choice import paired_contrast
from harness.analysis.effects import FLOOR, Interval, deltas, estimate_effects, trials
from harness.analysis.ladder import axes, decide_axes, why_undecidable
from harness.analysis.records import Records
from harness.analysis.scores import collect_scores
from harness.analysis.significance import LEVEL, half_width_at
from harness.errors import BadInput

POWER = 0.8
ALPHA = 1 - LEVEL
MOST_SEEDS, MOST_EXAMPLES = 100_000, 10**9
"""Upper bounds of the searches: more than any study would run or collect."""
_TAIL = 1e-12
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(300)


@dataclass(frozen=True)
class Pilot:
    """Holds an arm's variances in points squared: `v` of one seed's delta, and `shared`, the C of all seeds.

    They are estimated from `r` seeds and `n` distinct test examples.
    """

    v: float
    shared: float
    r: int
    n: int


@dataclass(frozen=True)
class VerdictPilot:
    """Holds the labels of the two arms that validation chooses, their difference in points, and its variances."""

    model: str
    data: str
    difference: float
    pilot: Pilot


@dataclass(frozen=True)
class Need:
    """Holds the least number of seeds that detects an effect; None if no number does, and `reason` then says why.

    `examples` is the number of test examples that it would take then, with very many seeds.
    """

    seeds: int | None
    reason: str = ""
    examples: int | None = None


@dataclass(frozen=True, eq=False)
class PilotArm:
    """Holds an arm's interval and the deltas behind it, in points, one per seed."""

    interval: Interval
    deltas: Float64[np.ndarray, " r"]


def pilot_arms(joined: Records) -> dict[str, PilotArm]:
    """Returns the interval and the deltas of each planned arm that has a delta.

    The numbers are those of `effects.estimate_effects`, for the planned seeds. BadInput as there.
    """
    table = deltas(trials(joined.records)).query("why == ''")
    mine = {str(arm): rows["delta"].to_numpy(np.float64) for arm, rows in table.groupby("arm")}
    found = estimate_effects(joined.records, joined.test_set, joined.rows)
    return {one.arm: PilotArm(one.interval, mine[one.arm]) for one in found if one.interval is not None}


def pilot(seen: PilotArm) -> Pilot:
    """Returns the variances of an arm; BadInput with one seed, which does not show how much retraining changes.

    If the interval is at its floor, few seeds agree by chance: `v` is then the variance from test examples alone.
    """
    r, n = seen.interval.n_seeds, seen.interval.n_test
    if r < 2:
        raise BadInput("one seed does not show how much retraining changes: run at least two, better five")
    seeds, shared = _parts(seen)
    half = _half(seen.interval)
    if (
        seen.interval.seed_share is None and not seen.deltas.any()
    ):  # No example ever differed: the width is due to their number alone.
        return Pilot(0.0, 0.0, r, n)
    if half > half_width_at(ALPHA, [(seeds, r - 1), (shared, n - 1)]) * (1 + 1e-9):
        seeds = max(seeds, (half / FLOOR) ** 2 - shared)
    return Pilot(r * seeds, shared, r, n)


def verdict_pilot(joined: Records) -> VerdictPilot | str:
    """Returns the variances of the difference that a study's verdict is about, or a sentence on why there is none."""
    try:
        scores = collect_scores(joined.records, joined.test_set, joined.rows)
        reason = why_undecidable(scores)
    except BadInput as lack:
        return str(lack)
    if reason:
        return reason
    where = axes(scores)
    found = decide_axes(scores, where, where.model, where.data)
    r = len(scores.seeds)
    if found.left == found.right:
        return "no arm beats the baseline on validation, so there are no two arms to compare."
    parts = paired_contrast(scores, np.full(r, found.right), np.full(r, found.left)).parts
    pilot = Pilot(r * parts.seeds, parts.shared, r, scores.n_test)
    return VerdictPilot(scores.arms[found.left], scores.arms[found.right], found.verdict.value, pilot)


def _parts(seen: PilotArm) -> tuple[float, float]:
    """Returns the variance of the mean delta that more seeds would reduce, and the rest; both 0 if nothing varies."""
    r, n, share = seen.interval.n_seeds, seen.interval.n_test, seen.interval.seed_share
    seeds = float(seen.deltas.var(ddof=1)) / r
    if share is None:
        return 0.0, 0.0
    if share > 0:
        return seeds, seeds * (1 / share - 1)
    return 0.0, (_half(seen.interval) / half_width_at(ALPHA, [(1.0, n - 1)])) ** 2


def _half(interval: Interval) -> float:
    return (interval.high - interval.low) / 2


def variance_ends(found: Pilot, share: float) -> tuple[Pilot, Pilot]:
    """Returns the pilot with the ends of the two-sided chi-square interval of `v`, of level `share`."""
    freedom = found.r - 1
    low, high = (float(found.v * freedom / chi2.ppf(tail, freedom)) for tail in ((1 + share) / 2, (1 - share) / 2))
    return replace(found, v=low), replace(found, v=high)


def power_of(effect: float, found: Pilot, r: int, *, alpha: float) -> float:
    """Returns the power of `r` seeds (at least 2) to detect an effect of that many points at two-sided level `alpha`.

    The mean over `s` is an integral over the chi distribution, by Gauss-Legendre quadrature between its far tails.
    """
    tau = np.sqrt(found.v / r + found.shared)
    if tau == 0:
        return float(effect != 0)
    low, high = chi.ppf([_TAIL, 1 - _TAIL], r - 1)
    u = low + (high - low) * (_NODES + 1) / 2
    weights = _WEIGHTS * chi.pdf(u, r - 1)
    seeds = stdtrit(r - 1, alpha / 2) ** 2 * found.v / r * u**2 / (r - 1)
    h = np.sqrt(seeds + stdtrit(found.n - 1, alpha / 2) ** 2 * found.shared)
    called = norm.cdf((effect - h) / tau) + norm.cdf((-effect - h) / tau)
    return float(called @ weights / weights.sum())


def mde(found: Pilot, r: int, *, power: float, alpha: float) -> float:
    """Returns the least effect, in points, that `r` seeds detect with that power; 0 if nothing varies."""
    top = float(np.sqrt(found.v / r + found.shared))
    if top == 0:
        return 0.0
    while power_of(top, found, r, alpha=alpha) < power:
        top *= 2
    return float(brentq(lambda effect: power_of(effect, found, r, alpha=alpha) - power, 0.0, top, xtol=1e-9 * top))


def seeds_needed(effect: float, found: Pilot, *, power: float, alpha: float) -> Need:
    """Returns the least number of seeds, 2 or more, whose minimum detectable effect is at most `effect` points."""
    if _limit(effect, found, found.n, alpha) > power:
        enough = _least(lambda r: power_of(effect, found, r, alpha=alpha) >= power, 2, MOST_SEEDS)
        return Need(enough, "" if enough else f"detecting {effect_text(effect)} takes more than {MOST_SEEDS:,} seeds")
    examples = _least(lambda n: _limit(effect, found, n, alpha) > power, found.n, MOST_EXAMPLES)
    reason = (
        f"no number of seeds detects {effect_text(effect)}, since all of them are scored on the same {found.n:,} test "
        f"examples: it takes more than {examples or MOST_EXAMPLES:,} of those"
    )
    return Need(None, reason, examples)


def effect_text(effect: float) -> str:
    """Returns an effect with its unit, in words."""
    return f"{effect:g} point{'' if effect == 1 else 's'}"


def _limit(effect: float, found: Pilot, n: int, alpha: float) -> float:
    """Returns the power of infinitely many seeds on `n` test examples."""
    if found.shared == 0:
        return float(effect != 0)
    z = effect / np.sqrt(found.shared * found.n / n)
    t = -stdtrit(n - 1, alpha / 2)
    return float(norm.cdf(z - t) + norm.cdf(-z - t))


def _least(holds: Callable[[int], bool], low: int, most: int) -> int | None:
    """Returns the least whole number from `low` on for which `holds`, as for all above it; None if above `most`."""
    high = low
    while not holds(high):
        low, high = high + 1, 2 * high
        if low > most:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low if low <= most else None


def looks(first: int, most: int) -> tuple[int, ...]:
    """Returns the numbers of seeds at which a study looks: `first`, its double and so on, the last one `most`.

    The last step adds at least half of the seeds before it: a look at hardly any new seeds would waste level.
    """
    sizes = [first]
    while sizes[-1] < most:
        sizes.append(2 * sizes[-1] if 3 * sizes[-1] <= most else most)
    return tuple(sizes)


def level_of_looks(number: int) -> float:
    """Returns the level of each look's interval, so that all of them hold the truth at once in `LEVEL` of studies."""
    return 1 - ALPHA / number


def plan_level(plan: Mapping[str, Any] | None) -> float:
    """Returns the level of the intervals in a study's report: `LEVEL`, or more if the study looks repeatedly."""
    precision = (plan or {}).get("precision")
    return float(precision["level"]) if precision else LEVEL


def half_width_of(seen: PilotArm, level: float) -> float:
    """Returns half the width, in points, of the same interval at another `level`, which is `LEVEL` or more.

    The variances and the floor of `effects` are each taken at that level: a floor that does not apply at `LEVEL`
    applies at no higher one. Infinite with one seed, which says nothing about retraining.
    """
    r, n, alpha = seen.interval.n_seeds, seen.interval.n_test, 1 - level
    if r < 2:
        return float("inf")
    seeds, shared = _parts(seen)
    here, there = (half_width_at(a, [(1.0, n - 1)]) for a in (ALPHA, alpha))
    return max(half_width_at(alpha, [(seeds, r - 1), (shared, n - 1)]), _half(seen.interval) * there / here)


def is_decided(seen: PilotArm, *, level: float, half_width: float) -> bool:
    """Returns whether an arm needs no more seeds: its interval excludes 0, or is at most `half_width` on each side."""
    half = half_width_of(seen, level)
    varies = seen.interval.n_seeds < 2 or bool(seen.deltas.any())  # else no seed would change anything
    return abs(seen.interval.effect) > half or half <= half_width or not varies
