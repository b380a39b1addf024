"""A pilot's variances in; the least effect it could find, the seeds that a wanted one needs, and looks out. Pure.

**Power.** The test behind an interval of `effects` calls an effect where its mean delta `d` over `r` seeds
leaves an interval of half-width `h` around 0. With `v` the variance of one seed's delta, `s^2` its estimate from `r`
seeds, and `C` what `n` test examples give to all seeds alike,

    d ~ N(effect, tau^2),   tau^2 = v / r + C,    (r - 1) s^2 / v ~ chi2(r - 1)
    h^2 = t(r - 1)^2 s^2 / r + t(n - 1)^2 C
    power(effect) = E_s [Phi((effect - h) / tau) + Phi((-effect - h) / tau)]

Where seeds share no test example (C = 0) that is the noncentral t distribution with noncentrality effect sqrt(r / v)
(Cohen 1988, Statistical Power Analysis, ch. 2 and 12); where training has no luck (v = 0) it is the normal one. The
minimum detectable effect is the one of the wanted power. `v` shrinks with seeds, `C` does not: even infinitely many
seeds find no less than `C` allows, and what is below needs more test examples (`C` goes as 1 / n).

The floor of an interval (`effects.FLOOR`) has no part in `h`: it binds where few seeds agree by chance, which costs a
little power. A pilot of `r` seeds knows `v` badly, so `variance_ends` says what it could as well be.

**Looking again and again.** A study that stops when an interval pleases it has looked several times, and each look can
be wrong: at 95 % an interval each, far more than 5 % of such studies end with one that misses the truth. Here the looks
are fixed before the first trial: `looks` gives the numbers of seeds, doubling up to the most. Each of the K looks gets
an interval of level 1 - 0.05 / K (Bonferroni). All K of them hold the truth at once in 95 % of studies or more, by the
union bound, whatever hangs together with what; so the one at which an arm happens to stop does, whatever the rule to
stop. It costs width where K is large, so K grows as the logarithm of the most. `tests/test_stopping.py` measures it: of
studies of nothing with looks at 3, 6, 12, 24 and 48 seeds that stop when 0 is out, 96 % hold 0 at their end, and 85 %
where each look's interval is an ordinary one.
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

from harness.analysis.effects import FLOOR, Interval, deltas, estimate_effects, trials
from harness.analysis.records import Records
from harness.analysis.significance import LEVEL, half_width_at
from harness.errors import BadInput

POWER = 0.8
ALPHA = 1 - LEVEL
MOST_SEEDS, MOST_EXAMPLES = 100_000, 10**9
"""More than anybody would run or collect: nothing above is looked for."""
_TAIL = 1e-12
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(300)


@dataclass(frozen=True)
class Pilot:
    """What moves an arm's effect: `v` of one seed's delta and `shared`, the C of all seeds, in points squared.

    They come from `r` seeds and `n` distinct test examples.
    """

    v: float
    shared: float
    r: int
    n: int


@dataclass(frozen=True)
class Need:
    """The least number of seeds that finds an effect; None where no number does, and `reason` then says why.

    `examples` is the number of test examples that would have to be there then, with very many seeds.
    """

    seeds: int | None
    reason: str = ""
    examples: int | None = None


@dataclass(frozen=True, eq=False)
class PilotArm:
    """An arm's interval and the deltas behind it, in points, a number a seed."""

    interval: Interval
    deltas: Float64[np.ndarray, " r"]


def pilot_arms(joined: Records) -> dict[str, PilotArm]:
    """What the records say of each planned arm that has a delta.

    The numbers are those of `effects.estimate_effects`, for the seeds that are planned. BadInput as there.
    """
    table = deltas(trials(joined.records)).query("why == ''")
    mine = {str(arm): rows["delta"].to_numpy(np.float64) for arm, rows in table.groupby("arm")}
    found = estimate_effects(joined.records, joined.test_set, joined.rows)
    return {one.arm: PilotArm(one.interval, mine[one.arm]) for one in found if one.interval is not None}


def pilot(seen: PilotArm) -> Pilot:
    """The variances of an arm. BadInput with one seed, which cannot tell what another would give.

    Where the interval stands on its floor, few seeds agree by chance: `v` is then what test examples alone give a seed.
    """
    r, n = seen.interval.n_seeds, seen.interval.n_test
    if r < 2:
        raise BadInput("one seed cannot tell how much training again would change: run two at least, five are better")
    seeds, shared = _parts(seen)
    half = _half(seen.interval)
    if half > half_width_at(ALPHA, [(seeds, r - 1), (shared, n - 1)]) * (1 + 1e-9):
        seeds = max(seeds, (half / FLOOR) ** 2 - shared)
    return Pilot(r * seeds, shared, r, n)


def _parts(seen: PilotArm) -> tuple[float, float]:
    """The variance of the mean delta that more seeds would shrink, and the rest; both 0 where nothing varies."""
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
    """The pilot with the least and the most that `v` could be: its two-sided chi-square interval of level `share`."""
    freedom = found.r - 1
    low, high = (float(found.v * freedom / chi2.ppf(tail, freedom)) for tail in ((1 + share) / 2, (1 - share) / 2))
    return replace(found, v=low), replace(found, v=high)


def power_of(effect: float, found: Pilot, r: int, *, alpha: float) -> float:
    """The chance that `r` seeds call an effect of that many points at the two-sided level `alpha`; `r` at least 2.

    The mean over `s` is an integral over the chi distribution, by Gauss and Legendre's rule between its far tails.
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
    """The least effect, in points, that `r` seeds call with that power; 0 where nothing varies."""
    top = float(np.sqrt(found.v / r + found.shared))
    if top == 0:
        return 0.0
    while power_of(top, found, r, alpha=alpha) < power:
        top *= 2
    return float(brentq(lambda effect: power_of(effect, found, r, alpha=alpha) - power, 0.0, top, xtol=1e-9 * top))


def seeds_needed(effect: float, found: Pilot, *, power: float, alpha: float) -> Need:
    """The least number of seeds, 2 or more, whose minimum detectable effect is at most `effect` points."""
    if _limit(effect, found, found.n, alpha) > power:
        enough = _least(lambda r: power_of(effect, found, r, alpha=alpha) >= power, 2, MOST_SEEDS)
        return Need(enough, "" if enough else f"finding {effect_text(effect)} takes more than {MOST_SEEDS:,} seeds")
    examples = _least(lambda n: _limit(effect, found, n, alpha) > power, found.n, MOST_EXAMPLES)
    reason = (
        f"no number of seeds finds {effect_text(effect)}, since all of them are scored on the same {found.n:,} test "
        f"examples: it takes more than {examples or MOST_EXAMPLES:,} of those"
    )
    return Need(None, reason, examples)


def effect_text(effect: float) -> str:
    """An effect with its unit."""
    return f"{effect:g} point{'' if effect == 1 else 's'}"


def _limit(effect: float, found: Pilot, n: int, alpha: float) -> float:
    """The power of infinitely many seeds on `n` test examples."""
    if found.shared == 0:
        return float(effect != 0)
    z = effect / np.sqrt(found.shared * found.n / n)
    t = -stdtrit(n - 1, alpha / 2)
    return float(norm.cdf(z - t) + norm.cdf(-z - t))


def _least(holds: Callable[[int], bool], low: int, most: int) -> int | None:
    """The least whole number from `low` on that `holds`, as all above it do; None where it is above `most`."""
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
    """The numbers of seeds at which a study looks: `first`, its double and so on, the last one `most`.

    The last step is half of what is there or more: a look at hardly anything new would cost level for nothing.
    """
    sizes = [first]
    while sizes[-1] < most:
        sizes.append(2 * sizes[-1] if 3 * sizes[-1] <= most else most)
    return tuple(sizes)


def level_of_looks(number: int) -> float:
    """The level of each of so many looks' intervals, so that all hold the truth at once in `LEVEL` of studies."""
    return 1 - ALPHA / number


def plan_level(plan: Mapping[str, Any] | None) -> float:
    """The level of the intervals that a study's report may show: `LEVEL`, and more where the study looks repeatedly."""
    precision = (plan or {}).get("precision")
    return float(precision["level"]) if precision else LEVEL


def half_width_of(seen: PilotArm, level: float) -> float:
    """Half the width, in points, of the same interval at another `level`, which is `LEVEL` or more.

    The parts of the variance and the floor of `effects`, each at that level: where the floor does not bind at `LEVEL`
    it binds at none above. Infinite with one seed, which says nothing of training.
    """
    r, n, alpha = seen.interval.n_seeds, seen.interval.n_test, 1 - level
    if r < 2:
        return float("inf")
    seeds, shared = _parts(seen)
    here, there = (half_width_at(a, [(1.0, n - 1)]) for a in (ALPHA, alpha))
    return max(half_width_at(alpha, [(seeds, r - 1), (shared, n - 1)]), _half(seen.interval) * there / here)


def is_decided(seen: PilotArm, *, level: float, half_width: float) -> bool:
    """Whether an arm needs no more seeds: its interval leaves 0 out, or is no wider than `half_width` on each side."""
    half = half_width_of(seen, level)
    return abs(seen.interval.effect) > half or half <= half_width
