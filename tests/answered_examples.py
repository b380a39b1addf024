"""Studies of known truth down to the single test example, and how often their verdicts are right.

An arm answers an example rightly if its true accuracy on that seed exceeds the example's difficulty for it: a part that
all arms share, a part that an arm keeps over seeds, and a part of its own each time. Training noise moves an arm's test
and validation accuracy together (`alike` is their correlation). Validation rows are drawn anew for each seed, or are
the same for all. Scores are accuracies; covariances over examples are exact, since accuracy is linear in examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import norm
from studies import levels_in

from harness.analysis.choice import (
    Decision,
    Estimate,
    best_against_best,
    best_of,
    choose_for_each_seed,
    decide,
    paired_contrast,
)
from harness.analysis.ladder import axes, draw_means, estimate_after_choice, picks
from harness.analysis.scores import PARTS, Scores
from harness.analysis.significance import LEVEL
from harness.streams import stream

SHARED, KEPT = 0.55, 0.15
"""Shares of the variance of difficulty that all arms share, and that an arm keeps over seeds."""
COMMON = 2.0
"""Standard deviation, in points, of what a seed adds to all arms."""
BASE = 80.0


@dataclass(frozen=True)
class Setting:
    """True gains in points, sizes of the test and validation part, and the noise of training."""

    name: str
    models: tuple[float, ...]
    strategies: tuple[float, ...]
    n_test: int = 450
    n_valid: int = 150
    training: float = 1.0
    alike: float = 1.0
    tails: int | None = None
    same_valid: bool = False

    @property
    def gains(self) -> np.ndarray:
        """True gains of all arms, the baseline's first."""
        return np.array([0.0, *self.models, *self.strategies])

    @property
    def difference(self) -> float:
        """The gain of the truly best data arm minus that of the truly best model."""
        return max(0.0, *self.strategies) - max(0.0, *self.models)


_MANY = {"n_test": 2000, "n_valid": 2000}
DIFFERENT = (
    Setting("data +6, model +2, 450 test rows", (0.5, 1.0, 2.0), (0.0, 1.0, 6.0)),
    Setting("data +6, model +2, 2,000 test rows", (0.5, 1.0, 2.0), (0.0, 1.0, 6.0), n_test=2000),
    Setting("data +6, eight models +2, 450 test rows", (2.0,) * 8, (0.0, 1.0, 6.0)),
    Setting("model +10, data +4, 450 test rows", (1.0, 10.0), (0.0, 2.0, 4.0)),
)
EQUAL = (
    Setting("no arm gains, validation moves with test", (0.0,) * 4, (0.0,) * 4, **_MANY),
    Setting("both bests +4", (0.0, 1.0, 4.0), (0.0, 1.0, 4.0)),
    Setting("one model +3, eight strategies +3, validation moves with test", (3.0,), (3.0,) * 8, **_MANY),
    Setting("one model +1, eight strategies +1, heavy tails", (1.0,), (1.0,) * 8, tails=3, **_MANY),
    Setting("one model +4, one of eight strategies +4, others +2, 100 validation rows", (4.0,), (4.0, *(2.0,) * 7),
            n_test=2000, n_valid=100),
    Setting("the same, validation rows the same on all seeds", (4.0,), (4.0, *(2.0,) * 7), n_test=2000, n_valid=100,
            same_valid=True),
)  # fmt: skip


def studies(setting: Setting, seeds: int, number: int) -> Iterator[Scores]:
    """Scores of that many studies."""
    rng = stream(0, "answered examples", setting.name, str(seeds))
    for _ in range(number):
        yield _study(setting, seeds, rng)


def _study(setting: Setting, seeds: int, rng: np.random.Generator) -> Scores:
    gains, a = setting.gains, len(setting.gains)
    common, training, other = (
        _noise(setting, rng, seeds),
        _noise(setting, rng, a, seeds),
        _noise(setting, rng, a, seeds),
    )
    means = BASE + gains[:, None] + COMMON * common
    moved = setting.alike * training + np.sqrt(1 - setting.alike**2) * other
    test = _answers(means + setting.training * training, setting.n_test, True, rng)
    valid = _answers(means + setting.training * moved, setting.n_valid, setting.same_valid, rng)
    return _scores(setting, test, valid)


def _noise(setting: Setting, rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Noise of unit variance, normal or with Student's tails."""
    if setting.tails is None:
        return rng.standard_normal(shape)
    return rng.standard_t(setting.tails, shape) / np.sqrt(setting.tails / (setting.tails - 2))


def _answers(accuracy: np.ndarray, n: int, same: bool, rng: np.random.Generator) -> np.ndarray:
    """Whether each arm answers each example rightly, (a, r, n); the same examples on all seeds, or other ones."""
    a, r = accuracy.shape
    shape = 1 if same else r
    hard = np.sqrt(SHARED) * rng.standard_normal((1, shape, n)) + np.sqrt(KEPT) * rng.standard_normal((a, shape, n))
    hard = hard + np.sqrt(1 - SHARED - KEPT) * rng.standard_normal((a, r, n))
    return norm.ppf(np.clip(accuracy / 100, 0.01, 0.99))[:, :, None] > hard


def _scores(setting: Setting, test: np.ndarray, valid: np.ndarray) -> Scores:
    a, r, n = test.shape
    arms = ["baseline", *(f"model=m{i}" for i in range(len(setting.models)))]
    arms += [f"clean=c{i}" for i in range(len(setting.strategies))]
    points = 100.0 * test
    spread, total = _spread(points)
    shared = _spread(100.0 * valid)[0] if setting.same_valid else None
    parts = np.stack([points[..., part::PARTS].mean(-1) for part in range(PARTS)], axis=-1)
    return Scores(
        tuple(arms), tuple(levels_in(arm) for arm in arms), ("",) * a, tuple(range(r)), points.mean(-1),
        100.0 * valid.mean(-1), np.ones(a), np.zeros(a), spread, n, (), total / r**2, parts, valid_spread=shared,
    )  # fmt: skip


def _spread(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The covariance of the arms' mean scores over examples that two seeds share, and that of their sums over seeds."""
    _, r, n = points.shape
    total, within = np.cov(points.sum(1)) / n, sum(np.cov(points[:, s]) for s in range(r)) / n
    return (total - within) / (r * (r - 1)), total


@dataclass
class Outcomes:
    """Counts over studies: verdicts by three intervals, and how often the two answers hold their truths."""

    truth: float
    words: dict[str, list[int]] = field(default_factory=dict)
    held: dict[str, list[bool]] = field(default_factory=dict)

    def add(self, scores: Scores, gains: np.ndarray, rng: np.random.Generator) -> None:
        """Judges one more study."""
        where = axes(scores)
        left, right = (best_of([where.baseline, *arms]) for arms in (where.model, where.data))
        found, best = decide(scores, left, right), best_against_best(scores, left, right)
        assert found is not None
        assert best is not None
        for name, one in (
            ("verdict", found.verdict),
            ("pair", _pair(scores, found)),
            ("redraws", _redraws(scores, rng)),
        ):
            self.words.setdefault(name, []).append(int(one.low > 0) - int(one.high < 0))
        own = [choose_for_each_seed(scores, side) for side in (left, right)]
        chosen = float(np.mean(gains[own[1]] - gains[own[0]]))
        for name, one, true in (("by validation", found.by_validation, chosen), ("at best", best, self.truth)):
            self.held.setdefault(name, []).append(one.low - 1e-9 <= true <= one.high + 1e-9)

    def right(self, name: str) -> float:
        """Percent of studies that name the side that is truly better."""
        return 100 * float(np.mean(np.array(self.words[name]) == np.sign(self.truth)))

    def named(self, name: str) -> float:
        """Percent of studies that name a winner."""
        return 100 * float(np.mean(np.array(self.words[name]) != 0))

    def coverage(self, name: str) -> float:
        """Percent of studies whose interval holds the truth."""
        return 100 * float(np.mean(self.held[name]))


def _pair(scores: Scores, found: Decision) -> Estimate:
    """The paired interval of the two chosen arms, which ignores that they were chosen."""
    r = len(scores.seeds)
    one = paired_contrast(scores, np.full(r, found.right), np.full(r, found.left))
    return Estimate(one.mean, *one.ends(LEVEL))


def _redraws(scores: Scores, rng: np.random.Generator) -> Estimate:
    """The interval in which every redraw of all means chooses anew, widened by the bias of the choice."""
    where, drawn = axes(scores), draw_means(scores, 200, rng)
    chosen, rows = picks(drawn, where, where.model, where.data), np.arange(len(drawn.test))
    seen = drawn.test[rows, chosen.data] - drawn.test[rows, chosen.model]
    return estimate_after_choice(seen, drawn.test[0, chosen.data] - drawn.test[0, chosen.model])


def outcomes(setting: Setting, seeds: int, number: int) -> Outcomes:
    """Judges that many studies of a setting."""
    found = Outcomes(setting.difference)
    rng = stream(0, "redraws", setting.name, str(seeds))
    for scores in studies(setting, seeds, number):
        found.add(scores, setting.gains, rng)
    return found


def verdict_rates(settings: Sequence[Setting], seeds: Sequence[int], number: int) -> pd.DataFrame:
    """One row a setting and number of seeds: percent of right verdicts or of false winners, and of truths held."""
    rows: list[Mapping[str, object]] = []
    for setting in settings:
        for r in seeds:
            found = outcomes(setting, r, number)
            rate = found.right if setting.difference else found.named
            rows.append({
                "setting": setting.name, "seeds": r, "truth": setting.difference,
                **{name: rate(name) for name in ("verdict", "pair", "redraws")},
                **{name: found.coverage(name) for name in ("by validation", "at best")},
            })  # fmt: skip
    return pd.DataFrame(rows)
