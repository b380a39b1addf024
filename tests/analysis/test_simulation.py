"""How often the interval holds the true effect, measured by simulating predictions whose true effect is known.

Arm and control are right on an example where a standard normal lies under the quantile of their accuracy, so the true
effect is the difference of the two accuracies, exactly. The normal is a sum of parts; a regime says how much variance
each has: `hard` (how hard the example is for both), `taste` (an arm's own noise on the example, the same at all seeds),
`seed` (an arm's training noise, the same for all examples); what is left is drawn for each example and seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import norm

from harness.analysis.effects import TrialPair, half_width, interval
from harness.metrics import METRICS
from harness.streams import stream

SIMULATIONS = 2000
ARM, CONTROL = 0.85, 0.80


@dataclass(frozen=True)
class Regime:
    """Variance shares of the parts, and whether all seeds are scored on the same test examples."""

    name: str
    hard: float
    taste: float
    seed: float
    shared: bool = True


SEEDS = Regime("seeds", hard=0.3, taste=0.05, seed=0.1)
EXAMPLES = Regime("examples", hard=0.3, taste=0.6, seed=0.0)
MIXED = Regime("mixed", hard=0.3, taste=0.2, seed=0.01)
CHURN = Regime("interaction alone", hard=0.3, taste=0.0, seed=0.0)
APART = Regime("examples, new ones each seed", hard=0.3, taste=0.6, seed=0.0, shared=False)
MIXED_APART = Regime("mixed, new ones each seed", hard=0.3, taste=0.2, seed=0.01, shared=False)
REGIMES = (SEEDS, EXAMPLES, MIXED, CHURN, APART, MIXED_APART)


def right(
    regime: Regime, r: int, n: int, accuracies: tuple[float, float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Where the arm and its control are right, (r, n) each."""
    rows = 1 if regime.shared else r
    hard = np.sqrt(regime.hard) * rng.standard_normal((rows, n))
    rest = np.sqrt(1 - regime.hard - regime.taste - regime.seed)
    sides = []
    for accuracy in accuracies:
        taste = np.sqrt(regime.taste) * rng.standard_normal((rows, n))
        luck = np.sqrt(regime.seed) * rng.standard_normal((r, 1))
        sides.append(hard + taste + luck + rest * rng.standard_normal((r, n)) < norm.ppf(accuracy))
    return sides[0], sides[1]


def predicted(right: np.ndarray, y: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Class predictions that are right there and any other class elsewhere."""
    return np.where(right, y, (y + rng.integers(1, k, size=right.shape)) % k)


def linear_errors(
    regime: Regime, r: int, n: int, accuracies: tuple[float, float], simulations: int
) -> Iterator[tuple[float, float]]:
    """(effect - truth, half-width) in points in the limit of many draws, which accuracy has in closed form."""
    rng = stream(0, "coverage", regime.name, str(r), str(n), str(accuracies))
    truth = 100 * (accuracies[0] - accuracies[1])
    for _ in range(simulations):
        arm, control = right(regime, r, n, accuracies, rng)
        gain = 100.0 * (arm.astype(int) - control)
        spread = np.atleast_2d(np.cov(gain)) / n
        spread = spread if regime.shared else np.diag(np.diag(spread))
        half, _ = half_width(gain.mean(1), spread, n if regime.shared else r * n)
        yield gain.mean() - truth, half


def coverage(regime: Regime, r: int, n: int, accuracies: tuple[float, float] = (ARM, CONTROL)) -> float:
    """The share of simulations, in percent, whose interval holds the truth."""
    errors = np.array(list(linear_errors(regime, r, n, accuracies, SIMULATIONS)))
    return float(100 * np.mean(np.abs(errors[:, 0]) <= errors[:, 1]))


def measured_errors(regime: Regime, r: int, n: int, k: int, metric: str, simulations: int) -> np.ndarray:
    """(effect, half-width) of each simulation, by the code that makes the leaderboard, with few draws."""
    rng, found = stream(0, "predictions", regime.name, metric), []
    ids = np.array([f"t{i}" for i in range(n)])
    for _ in range(simulations):
        y = rng.integers(k, size=n)
        arm, control = (predicted(side, y, k, rng) for side in right(regime, r, n, (ARM, CONTROL), rng))
        pairs = [TrialPair(ids, y, arm[s], control[s]) for s in range(r)]
        result = interval(pairs, METRICS[metric], k, draws=200, rng=rng)
        found.append((result.effect, (result.high - result.low) / 2))
    return np.array(found)


THREE = pytest.mark.parametrize("regime", [SEEDS, EXAMPLES, MIXED], ids=lambda regime: regime.name)


@THREE
def test_coverage_at_five_seeds(regime: Regime) -> None:
    assert 93 <= coverage(regime, r=5, n=300) <= 97


@THREE
def test_null_comparisons_hold_zero_at_the_stated_rate(regime: Regime) -> None:
    """A/A: arm and control differ in noise alone."""
    assert 93 <= coverage(regime, r=5, n=300, accuracies=(CONTROL, CONTROL)) <= 97


def test_training_luck_alone_holds_zero_at_the_stated_rate() -> None:
    """A/A as salted streams make it: the two sides differ in training noise alone, so the floor matters most."""
    assert 93 <= coverage(CHURN, r=5, n=300, accuracies=(CONTROL, CONTROL)) <= 98


def test_seeds_matter_and_one_seed_cannot_tell() -> None:
    """With one seed the interval covers test examples alone: it must not be read as covering training."""
    assert coverage(SEEDS, r=1, n=700) < 50
    assert 93 <= coverage(EXAMPLES, r=1, n=700) <= 97


@pytest.mark.slow
@pytest.mark.parametrize("n", [200, 700])
@pytest.mark.parametrize("r", [2, 3, 5, 10])
@pytest.mark.parametrize("regime", REGIMES, ids=lambda regime: regime.name)
def test_table_of_coverages(regime: Regime, r: int, n: int) -> None:
    """Shown with `pytest -s`. Too wide is allowed at 2 and 3 seeds, and where seeds differ by chance alone; too narrow
    is not.
    """
    measured = coverage(regime, r, n)
    print(f"\ncoverage of the nominal 95 %: {regime.name}, {r} seeds, n = {n}: {measured:.1f} %")
    assert 93 <= measured <= (99 if r < 5 else 97 if regime in (SEEDS, EXAMPLES, MIXED) else 98)


@pytest.mark.slow
@THREE
def test_coverage_of_the_bootstrap_itself(regime: Regime) -> None:
    errors = measured_errors(regime, r=5, n=300, k=3, metric="accuracy", simulations=1000)
    held = 100 * np.mean(np.abs(errors[:, 0] - 100 * (ARM - CONTROL)) <= errors[:, 1])
    print(f"\ncoverage with 200 draws: {regime.name}, 5 seeds, n = 300: {held:.1f} %")
    assert 93 <= held <= 97


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["macro_f1", "balanced_accuracy"])
def test_coverage_of_a_metric_that_is_not_linear(metric: str) -> None:
    """The truth is measured on 40 test sets of 500 and 100 seeds each, so that its error hardly matters."""
    truth = measured_errors(MIXED, r=100, n=500, k=3, metric=metric, simulations=40)[:, 0].mean()
    errors = measured_errors(MIXED, r=5, n=300, k=3, metric=metric, simulations=1000)
    held = 100 * np.mean(np.abs(errors[:, 0] - truth) <= errors[:, 1])
    print(f"\ncoverage with 200 draws: {metric}, 5 seeds, n = 300: {held:.1f} %")
    assert 93 <= held <= 97
