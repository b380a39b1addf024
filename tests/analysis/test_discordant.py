"""What few discordant examples say: the width where there is none, coverage near 0 and 1, and p-values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multinomial
from statsmodels.stats.proportion import proportion_confint

from harness.analysis.discordant import FEW, Discordant, count_discordant
from harness.analysis.effects import TrialPair, interval
from harness.analysis.measures import most_of_one
from harness.analysis.significance import LEVEL
from harness.metrics import METRICS
from harness.streams import stream


def pairs(right: np.ndarray, other: np.ndarray, seeds: int) -> list[TrialPair]:
    """The same answers on every seed; the true class is 1 everywhere but on the first example."""
    y = np.ones(len(right), dtype=np.int64)
    y[0] = 0
    first, second = (np.where(one, y, 1 - y) for one in (right, other))
    return [TrialPair(np.arange(len(y)), y, first, second)] * seeds


def told(found: list[TrialPair]):
    return interval(found, METRICS["accuracy"], 2, draws=200, rng=stream(0, "test", "few"))


@pytest.mark.parametrize("seeds", [1, 3, 10])
def test_arms_that_agree_on_all_of_50_rows_leave_room_for_some_points(seeds: int) -> None:
    alike = np.ones(50, dtype=bool)
    found = told(pairs(alike, alike, seeds))
    upper = 100 * proportion_confint(0, 50, method="wilson")[1]
    assert (found.effect, found.low, found.high) == pytest.approx((0.0, -upper, upper))
    assert 6 <= found.high <= 8  # the rule of three says 6
    assert found.p == 1.0


def test_the_room_shrinks_with_the_rows() -> None:
    widths = [told(pairs(alike := np.ones(n, dtype=bool), alike, 3)).high for n in (50, 500, 5000)]
    assert widths[1] == pytest.approx(widths[0] / 10, rel=0.08)
    assert widths[2] == pytest.approx(widths[1] / 10, rel=0.01)


def test_newcombe_by_hand() -> None:
    """b = 4 and c = 1 of 100, with the limits that another library gives."""
    (low_b, high_b), (low_c, high_c) = (proportion_confint(count, 100, method="wilson") for count in (4, 1))
    below, above = Discordant(4.0, 1.0, 100, 1.0).distances(0.95)
    assert below == pytest.approx(100 * np.hypot(0.04 - low_b, high_c - 0.01))
    assert above == pytest.approx(100 * np.hypot(high_b - 0.04, 0.01 - low_c))


def test_p_inverts_the_interval() -> None:
    one = Discordant(7.0, 1.0, 200, 0.5)
    for p in (0.2, 0.05, 0.01):
        effect = one.distances(1 - p)[0]
        assert one.p_value(effect) == pytest.approx(p, rel=1e-6)
        assert one.p_value(-one.distances(1 - p)[1]) == pytest.approx(p, rel=1e-6)
    assert one.p_value(0.0) == 1.0


def test_three_examples_that_all_seeds_gain_are_not_significant() -> None:
    """Ten seeds that agree exactly do not make three discordant examples more than three."""
    other = np.ones(200, dtype=bool)
    other[1:4] = False
    found = told(pairs(np.ones(200, dtype=bool), other, 10))
    assert found.effect == pytest.approx(1.5)
    assert found.low < 0
    assert found.p is not None
    assert found.p > 0.05


@pytest.mark.parametrize("n", [50, 450])
@pytest.mark.parametrize("expected", [0.5, 1.0, 2.0, 3.0, 6.0])
def test_coverage_where_few_examples_differ(n: int, expected: float) -> None:
    """Expected numbers of discordant examples, all for the first arm or one in four for the second."""
    for share in (0.0, 0.25):
        up, down = expected * (1 - share) / n, expected * share / n
        drawn = multinomial(n, [up, down, 1 - up - down]).rvs(4000, random_state=7)
        held = [_holds(float(b), float(c), n, 100 * (up - down)) for b, c, _ in drawn]
        assert np.mean(held) >= 0.94


def _holds(b: float, c: float, n: int, true: float) -> bool:
    found = Discordant(b, c, n, 100 / n)
    value = 100 * (b - c) / n
    if not found.few:
        return True
    below, above = found.distances(LEVEL)
    return value - below <= true <= value + above


def test_examples_count_with_their_mean_over_seeds() -> None:
    found = count_discordant(np.array([1.0, 0.5, -0.25, 0.0]), 25.0)
    assert (found.b, found.c, found.n) == (1.5, 0.25, 4)
    assert found.few
    assert not count_discordant(np.ones(int(FEW)), 1.0).few


def test_what_one_example_changes_depends_on_the_metric() -> None:
    y = np.array([0] * 90 + [1] * 10)
    assert most_of_one(y, METRICS["accuracy"], 2) == pytest.approx(1.0)
    assert most_of_one(y, METRICS["balanced_accuracy"], 2) == pytest.approx(5.0)  # a tenth of the small class, halved
