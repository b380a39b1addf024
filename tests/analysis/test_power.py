"""Power: against an independent library where it knows the answer, against simulation where it does not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import nct, norm
from scipy.stats import t as student
from statsmodels.stats.power import TTestPower
from studies import keep, large, made_test_set, record, row_of, shown

from harness.analysis.effects import Interval, estimate_effects, half_width
from harness.analysis.power import (
    MOST_SEEDS,
    Pilot,
    PilotArm,
    half_width_of,
    is_decided,
    level_of_looks,
    looks,
    mde,
    pilot,
    pilot_arms,
    plan_level,
    power_of,
    seeds_needed,
    variance_ends,
)
from harness.analysis.records import join
from harness.errors import BadInput
from harness.storage.store import Store
from harness.streams import stream

N = 450
USUAL = {"power": 0.8, "alpha": 0.05}


def seen_of(deltas, spread, n: int = N) -> PilotArm:
    """What `effects` would say of those deltas, whose covariance over test examples is `spread`."""
    deltas = np.asarray(deltas, dtype=np.float64)
    half, share = half_width(deltas, np.asarray(spread, dtype=np.float64), n)
    mean, r = float(deltas.mean()), len(deltas)
    return PilotArm(Interval(mean, mean - half, mean + half, r, n, r * n, share), deltas)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("r", [3, 5, 20, 200])
def test_the_least_effect_is_that_of_a_t_test_where_nothing_is_shared(r, alpha):
    sd = 1.3
    found = mde(Pilot(sd**2, 0.0, 5, N), r, power=0.8, alpha=alpha)
    assert TTestPower().power(effect_size=found / sd, nobs=r, alpha=alpha) == pytest.approx(0.8, abs=1e-5)


@pytest.mark.parametrize(("r", "alpha"), [(2, 0.05), (2, 0.01), (3, 0.01), (10, 0.001)])
def test_the_power_is_that_of_the_noncentral_t_distribution(r, alpha):
    t = student.ppf(1 - alpha / 2, r - 1)
    for effect in (0.0, 0.5, 2.0, 5.0):
        away = effect * np.sqrt(r) / 1.5
        below = np.nan_to_num(nct.cdf(-t, r - 1, away))  # scipy gives nan for some tails of next to nothing
        exact = nct.sf(t, r - 1, away) + below if effect else alpha
        assert power_of(effect, Pilot(1.5**2, 0.0, r, N), r, alpha=alpha) == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("effect", [0.3, 0.5, 1.0, 3.0])
def test_the_seeds_needed_are_those_of_a_t_test_where_nothing_is_shared(effect):
    need = seeds_needed(effect, Pilot(1.7, 0.0, 5, N), **USUAL).seeds
    asked = TTestPower().solve_power(effect_size=effect / np.sqrt(1.7), alpha=0.05, power=0.8)
    assert need == int(np.ceil(asked))


@pytest.mark.parametrize("r", [2, 5, 20])
@pytest.mark.parametrize("shared", [0.1, 1.0])
def test_studies_with_the_least_effect_call_it_as_often_as_said(r, shared):
    """Seeds and a test set drawn 40,000 times, called by the interval's formula written out again."""
    rng, found, times = stream(0, "power", str(r), str(shared)), Pilot(1.5, shared, r, N), 40_000
    effect = mde(found, r, **USUAL)
    deltas = effect + rng.normal(0, np.sqrt(shared), (times, 1)) + rng.normal(0, np.sqrt(1.5), (times, r))
    width = student.ppf(0.975, r - 1) ** 2 * deltas.var(axis=1, ddof=1) / r + student.ppf(0.975, N - 1) ** 2 * shared
    assert np.mean(np.abs(deltas.mean(1)) > np.sqrt(width)) == pytest.approx(0.8, abs=0.008)


def test_where_training_has_no_luck_the_test_set_alone_limits():
    t, shared = student.ppf(0.975, N - 1), 0.49
    expected = 0.7 * (t + norm.ppf(0.8))
    assert mde(Pilot(0.0, shared, 5, N), 5, **USUAL) == pytest.approx(expected, rel=1e-4)
    assert mde(Pilot(0.0, shared, 5, N), 500, **USUAL) == pytest.approx(expected, rel=1e-4)


def test_the_number_of_seeds_is_the_least_that_does_it():
    found = Pilot(1.7, 0.01, 5, N)
    need = seeds_needed(0.5, found, **USUAL).seeds
    assert mde(found, need, **USUAL) <= 0.5 < mde(found, need - 1, **USUAL)
    assert seeds_needed(50.0, found, **USUAL).seeds == 2


def test_what_no_number_of_seeds_finds_takes_test_examples():
    need = seeds_needed(0.5, Pilot(1.7, 0.05, 5, N), **USUAL)
    assert need.seeds is None
    assert need.reason == (
        f"no number of seeds detects 0.5 points, since all of them are scored on the same 450 test examples: "
        f"it takes more than {need.examples} of those"
    )

    def least(n: int) -> float:
        return np.sqrt(0.05 * N / n) * (student.ppf(0.975, n - 1) + norm.ppf(0.8))

    assert least(need.examples) <= 0.5 < least(need.examples - 1)
    assert need.examples == pytest.approx(0.05 * N * ((1.96 + 0.8416) / 0.5) ** 2, rel=0.01)


def test_the_answer_does_not_grow_without_end():
    need = seeds_needed(0.001, Pilot(1.7, 0.0, 5, N), **USUAL)
    assert (need.seeds, need.examples) == (None, None)
    assert need.reason == f"detecting 0.001 points takes more than {MOST_SEEDS:,} seeds"
    assert "1,000,000,000" in seeds_needed(0.0001, Pilot(1.0, 30.0, 5, N), **USUAL).reason


def test_where_nothing_varies_everything_is_found():
    assert mde(Pilot(0.0, 0.0, 5, N), 5, **USUAL) == 0
    assert seeds_needed(0.1, Pilot(0.0, 0.0, 5, N), **USUAL).seeds == 2


def test_a_pilot_takes_the_interval_apart():
    """Deltas 1, 2, 3: variance 1. Seeds share 0.2 of their variance over test examples: the mean off the diagonal."""
    spread = np.full((3, 3), 0.2) + np.diag([0.3, 0.3, 0.3])
    found = pilot(seen_of([1, 2, 3], spread))
    assert (found.v, found.shared, found.r, found.n) == (pytest.approx(1.0), pytest.approx(0.2), 3, N)


def test_a_pilot_of_seeds_that_agree_by_chance_knows_what_test_examples_give_each():
    """Equal deltas, nothing shared, 0.9 a seed over test examples: its mean over 3 has 0.3, and 0.9 is one seed's."""
    found = pilot(seen_of([2, 2, 2], np.diag([0.9, 0.9, 0.9])))
    assert (found.v, found.shared) == (pytest.approx(0.9), 0.0)


def test_a_pilot_whose_seeds_are_one_and_the_same_is_all_shared():
    found = pilot(seen_of([2, 2, 2], np.full((3, 3), 0.9)))
    assert (found.v, found.shared) == (0.0, pytest.approx(0.9))


def test_a_pilot_of_nothing_is_nothing():
    assert pilot(seen_of([0, 0], np.zeros((2, 2)))) == Pilot(0.0, 0.0, 2, N)


def test_one_seed_is_no_pilot():
    with pytest.raises(BadInput, match="one seed does not show"):
        pilot(seen_of([1.0], [[0.3]]))


def test_a_pilot_of_five_seeds_knows_its_variance_to_a_factor():
    """Quantiles of chi-square with 4 degrees of freedom, from a printed table: 7.779 at 90 %, 1.064 at 10 %."""
    low, high = variance_ends(Pilot(2.0, 0.1, 5, N), 0.8)
    assert (low.v, high.v) == (pytest.approx(2 * 4 / 7.779, rel=1e-3), pytest.approx(2 * 4 / 1.064, rel=1e-3))
    assert (low.shared, high.shared) == (0.1, 0.1)


@pytest.mark.parametrize(
    ("deltas", "spread"),
    [
        ([1.0, 2.0, 4.0, 2.5], np.full((4, 4), 0.2) + 0.3 * np.eye(4)),
        ([2.0, 2.01, 2.0, 2.02], np.full((4, 4), 0.1) + 0.9 * np.eye(4)),
        ([2.0, 2.0, 2.0, 2.0], np.full((4, 4), 0.4)),
    ],
    ids=["usual", "on the floor", "all shared"],
)
def test_the_half_width_at_another_level_is_the_same_formula_there(deltas, spread):
    """The formula of `effects`' docstring, the floor grown with the level as the t quantile over test examples does."""
    found = seen_of(deltas, spread)
    assert half_width_of(found, 0.95) == pytest.approx((found.interval.high - found.interval.low) / 2)
    seeds, shared = np.var(deltas, ddof=1) / 4, (spread.sum() - spread.trace()) / 12
    for level in (0.975, 0.99):
        t, t_n, t_95 = (student.ppf((1 + p) / 2, f) for p, f in ((level, 3), (level, N - 1), (0.95, N - 1)))
        floor = 1.5 * t_n / t_95 * np.sqrt(spread.sum() / 16)
        assert half_width_of(found, level) == pytest.approx(max(np.sqrt(t**2 * seeds + t_n**2 * shared), floor))


def test_an_arm_is_decided_when_it_is_clear_or_sharp():
    clear, sharp, neither = ([4.0, 5, 6, 5], [0.1, 0, 0.1, 0], [-3.0, 4, 0, 2])
    found = [seen_of(deltas, 0.001 * np.eye(4)) for deltas in (clear, sharp, neither)]
    assert [is_decided(one, level=0.95, half_width=0.5) for one in found] == [True, True, False]
    assert not is_decided(seen_of([9.0], [[0.01]]), level=0.95, half_width=5.0), "one seed decides nothing"


def test_a_higher_level_decides_later():
    near = seen_of([2.0, 2.4, 3.0], 0.001 * np.eye(3))
    assert is_decided(near, level=0.95, half_width=0.1)
    assert not is_decided(near, level=0.99, half_width=0.1)


@pytest.mark.parametrize(
    ("first", "most", "sizes"),
    [
        (5, 20, (5, 10, 20)), (5, 12, (5, 12)), (5, 21, (5, 10, 21)), (5, 15, (5, 10, 15)), (5, 5, (5,)),
        (5, 6, (5, 6)), (3, 100, (3, 6, 12, 24, 48, 100)),
    ],
)  # fmt: skip
def test_looks_double_and_the_last_step_is_worth_it(first, most, sizes):
    assert looks(first, most) == sizes


def test_the_level_of_a_study_stands_in_its_plan():
    assert level_of_looks(1) == 0.95
    assert level_of_looks(5) == pytest.approx(0.99)
    assert [plan_level(plan) for plan in (None, {}, {"precision": None})] == [0.95] * 3
    assert plan_level({"precision": {"level": 0.99, "looks": [5, 10]}}) == 0.99


def test_what_is_seen_is_what_effects_says(tmp_path):
    store = large(tmp_path / "large", n=90, seeds=3)
    joined = join(store)
    found = pilot_arms(joined)
    whole = {
        one.arm: one.interval for one in estimate_effects(joined.records, store.test_set, joined.rows) if one.interval
    }
    assert {arm: one.interval for arm, one in found.items()} == whole
    assert "augment=cutout" not in found, "all of its trials failed"
    for one in found.values():
        assert one.deltas.mean() == pytest.approx(one.interval.effect)
        assert len(one.deltas) == one.interval.n_seeds


def test_only_what_is_planned_is_seen(tmp_path):
    store, test = Store(tmp_path), made_test_set(60, 3)
    records = keep(
        store,
        [record(store, arm, s, shown(test, 0.8, arm, str(s)), test) for arm in ("baseline", "a") for s in range(4)],
    )
    planned = [row_of(one) for one in records if one["seed"] < 2]
    assert pilot_arms(join(store, planned))["a"].interval.n_seeds == 2
