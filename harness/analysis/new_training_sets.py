"""Widens intervals to what a new training set of the same size would give; pure functions.

**Two claims.** Seeds split one pool of rows anew. The interval of `effects` is about this pool: its splits, its noise,
the randomness of training, and the test examples. A new training set of the same size, of other rows, may give another
effect, and more so than the seeds show, since their training sets share rows.

**The correction** of Nadeau & Bengio (2003, Mach. Learn. 52, section 3): if the deltas of two seeds are correlated by
rho over such new sets, the variance between seeds s² is too small by the factor 1 - rho, and the mean of `r` deltas
varies by

    s² (1 / r + rho / (1 - rho))

**Which rho.** Nadeau and Bengio split at random into training and test rows, and take the share of test rows that two
splits have in common, rho = n_test / (n_train + n_test): their correction becomes 1 / r + n_test / n_train. Here test
rows that seeds share have a term of their own (`C` in `effects`, measured), and the overlap of training sets is left.
To first order the error of a model is a mean over its training rows, so rho is the share of rows that two training sets
have in common: n_train / pool if each seed draws them at random. Trials record it as the fact `train_shared`. So

    effect ± sqrt(t(r - 1)² V_s' (1 + r rho / (1 - rho)) + t(n - 1)² C)

`tests/analysis/test_new_training_sets.py` compares it on models whose truth is known: it holds the effect of a new
training set in 95 % or more, whereas n_test / n_train holds it in 64 % at ten seeds that train on four fifths of the
pool and test on the rest.

It does not apply to one seed, to seeds that all train on the same rows, and if seeds share more than `MOST_SHARED` of
their rows: the interval would be more than five times as wide, and depend on the first-order argument alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.analysis.effects import Effect, Variances
from harness.analysis.significance import half_width_at, nadeau_bengio
from harness.storage.store import Record

MOST_SHARED = 0.9
"""Share of common training rows beyond which seeds do not show what another training set would change."""
POOL, NEW_SET = "this pool of rows, its splits and seeds", "a new training set of this size"
"""What the interval of an effect supports, and what the wider one does."""


@dataclass(frozen=True)
class NewSets:
    """Holds which share of its training rows a seed shares with another, on average, and why no interval applies.

    `shared` is None if it is not known, `reason` "" if intervals apply.
    """

    shared: float | None
    reason: str


def find_shared(records: Sequence[Record]) -> NewSets:
    """Returns the share of common training rows of a study's finished trials, and why intervals do not apply."""
    done = [one for one in records if one["status"] == "done"]
    shares = [one["facts"].get("train_shared") for one in done]
    if len({one["seed"] for one in done}) < 2:
        return NewSets(None, "with one seed there is one training set")
    if any(share is None for share in shares):
        return NewSets(
            None, "not all records say how many training rows two seeds share: an earlier version of this program or a "
            "task of your own made them (fact train_shared)",
        )  # fmt: skip
    shared = float(np.mean([float(share) for share in shares if share is not None]))
    if shared > 1 - 1e-9:
        return NewSets(shared, "all seeds train on the same rows")
    if shared > MOST_SHARED:
        return NewSets(
            shared,
            f"seeds share {100 * shared:.0f} % of their training rows, too many to show what another set changes",
        )
    return NewSets(shared, "")


def widened(
    low: float, high: float, value: float, parts: Variances, shared: float, level: float
) -> tuple[float, float]:
    """Returns the interval for a new training set; it includes the interval from `low` to `high`.

    `parts` are those of the variance of `value`, all in points.
    """
    wider = replace(parts, seeds=nadeau_bengio(parts.seeds, parts.r, shared))
    half = half_width_at(1 - level, wider.parts)
    return min(low, value - half), max(high, value + half)


def with_new_sets(effects: Sequence[Effect], found: NewSets) -> list[Effect]:
    """Returns the effects with the interval for a new training set, where it applies."""
    return [replace(one, new_set=_of(one, found)) for one in effects]


def _of(effect: Effect, found: NewSets) -> tuple[float, float] | None:
    one = effect.interval
    if one is None or one.variances is None or one.n_seeds < 2 or found.reason or found.shared is None:
        return None
    return widened(one.low, one.high, one.effect, one.variances, found.shared, one.level)


def new_set_notes(effects: Sequence[Effect], found: NewSets) -> list[str]:
    """Returns a sentence on which claim each interval supports, or on why there is one interval only."""
    if not any(effect.interval for effect in effects):
        return []
    if found.reason or found.shared is None:
        return [f"No interval for {NEW_SET} (Nadeau and Bengio 2003): {found.reason}."]
    return [
        f"Two claims: the intervals of the table are about {POOL}. Those for {NEW_SET} are wider (Nadeau and Bengio "
        f"2003; two seeds share {100 * found.shared:.0f} % of their training rows): columns new_set_low and "
        f"new_set_high of leaderboard.csv.{_still_clear(effects)}"
    ]


def _still_clear(effects: Sequence[Effect]) -> str:
    """Returns which arms differ from their control on a new training set as well, of those that do on this pool."""
    clear = [one for one in effects if one.interval and not one.interval.low <= 0 <= one.interval.high]
    still = [one.arm for one in clear if one.new_set and not one.new_set[0] <= 0 <= one.new_set[1]]
    if not clear:
        return ""
    names = f" ({', '.join(still)})" if still else ""
    return f" They exclude 0 for {len(still)} of the {len(clear)} arms whose interval does{names}."
