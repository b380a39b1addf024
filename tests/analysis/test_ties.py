"""Every arm against every other: by hand, against the effects' own p-values, and where no arm differs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm, ttest_rel
from statsmodels.stats.multitest import multipletests
from studies import large, levels_in
from test_simulation import CONTROL, SEEDS, Regime

import harness.analysis.ties as module
from harness.analysis.effects import Effect, effect_p_value, estimate_effects, variances
from harness.analysis.records import join
from harness.analysis.scores import Scores, collect_scores
from harness.analysis.significance import share_letter
from harness.analysis.ties import LEAST_BLIND, groups, moderate_variances, with_letters
from harness.errors import BadInput
from harness.streams import stream

CHURN = Regime("luck by example", hard=0.3, taste=0.0, seed=0.0)


def by_hand(
    test: np.ndarray, spread: np.ndarray | None = None, examples: np.ndarray | None = None, n: int = 100
) -> Scores:
    """Scores of arms that are told apart by number."""
    a, r = test.shape
    arms = ("baseline", *(f"clean=c{i}" for i in range(1, a)))
    return Scores(
        arms=arms, levels=tuple(levels_in(arm) for arm in arms), reference=("",) * a, seeds=tuple(range(r)), test=test,
        valid=test - 1, cpu_s=np.ones(a), labels=np.zeros(a), spread=np.zeros((a, a)) if spread is None else spread,
        n_test=n, examples=examples,
    )  # fmt: skip


def test_pairs_are_t_tests_where_examples_add_nothing() -> None:
    test = 80 + np.array([0.0, 0.3, 6.0, 6.2])[:, None] + stream(0, "x").normal(size=(4, 5))
    p, found = groups(by_hand(test))
    first, second = np.triu_indices(4, 1)
    raw = [ttest_rel(test[i], test[j]).pvalue for i, j in zip(first, second, strict=True)]
    np.testing.assert_allclose(p[first, second], multipletests(raw, method="holm")[1])
    np.testing.assert_array_equal(p, p.T)
    assert p.diagonal().tolist() == [1, 1, 1, 1]
    assert found == ("b", "b", "a", "a")


def test_test_examples_that_seeds_share_hold_a_difference_back() -> None:
    """The same scores, and a difference whose standard error from sampling test examples is 4 points."""
    test = 80 + np.array([0.0, 5.0])[:, None] + stream(0, "x").normal(scale=0.3, size=(2, 5))
    assert groups(by_hand(test))[1] == ("b", "a")
    assert groups(by_hand(test, np.array([[8.0, 0.0], [0.0, 8.0]])))[1] == ("a", "a")
    assert groups(by_hand(test, np.array([[8.0, 8.0], [8.0, 8.0]])))[1] == ("b", "a")


def test_pairs_invert_the_interval_of_effects() -> None:
    """One pair, so that Holm changes nothing: from the same predictions the two roads give one number."""
    rng = stream(0, "predictions")
    hit = 100.0 * (rng.random((2, 5, 400)) < np.array([0.75, 0.8])[:, None, None])
    gain = hit[1] - hit[0]
    inside = np.cov(hit.reshape(10, 400)).reshape(2, 5, 2, 5) / 400
    total, within = inside.sum((1, 3)), np.einsum("isjs->ij", inside)
    p, _ = groups(by_hand(hit.mean(2), (total - within) / 20, total / 25, 400))
    assert p[0, 1] == pytest.approx(effect_p_value(gain.mean(), variances(gain.mean(1), np.cov(gain) / 400, 400)))


def test_seeds_that_agree_claim_no_more_than_the_test_set_can_know() -> None:
    test = np.array([[80.0] * 5, [81.0] * 5])
    assert groups(by_hand(test))[0][0, 1] == 0
    assert groups(by_hand(test, examples=np.diag([1.0, 1.0])))[0][0, 1] > 0.3


def test_few_seeds_make_no_groups() -> None:
    one, four = (80 + stream(0, "x").normal(size=(3, r)) for r in (1, 4))
    with pytest.raises(BadInput, match=r"1 seeds are too few .* need 3"):
        groups(by_hand(one, examples=np.eye(3)))
    with pytest.raises(BadInput, match=r"4 seeds are too few .* need 5"):
        groups(by_hand(four))
    assert len(groups(by_hand(four, examples=np.eye(3)))[1]) == 3


def test_one_arm_and_equal_arms_are_one_group() -> None:
    assert groups(by_hand(np.array([[80.0, 81, 82, 83, 84]])))[1] == ("a",)
    p, found = groups(by_hand(np.array([[80.0, 81, 82, 83, 84]] * 3)))
    assert (p == 1).all()
    assert found == ("a", "a", "a")


def test_letters_stand_at_the_effects_of_whole_arms(tmp_path: Path) -> None:
    store = large(tmp_path / "study", n=200)
    records = join(store).records
    found = estimate_effects(records, store.test_set, records, draws=50)
    assert {effect.letters for effect in found} == {""}
    known = collect_scores(records, store.test_set, records)
    mine = {effect.arm: effect for effect in with_letters(found, known)}
    assert list(mine) == [effect.arm for effect in found]
    assert mine["augment=cutout"].letters == mine["clean=relabel"].letters == ""
    best: Effect = max((one for one in mine.values() if one.letters), key=lambda one: one.score or 0)
    assert best.letters[0] == "a"
    assert not share_letter(best.letters, mine["weak=random_vote"].letters)
    assert with_letters(found, None) == found


def families(regime: Regime, a: int, r: int, n: int, simulations: int) -> tuple[float, float]:
    """The share of studies of equal arms in which any two are told apart, with and without the floor."""
    rng, held, blind = stream(0, "families", regime.name, str(r)), 0, 0
    rest = np.sqrt(1 - regime.hard - regime.taste - regime.seed)
    for _ in range(simulations):
        score = np.sqrt(regime.hard) * rng.standard_normal((1, 1, n)) + rest * rng.standard_normal((a, r, n))
        score += np.sqrt(regime.taste) * rng.standard_normal((a, 1, n))
        hit = 100.0 * (score + np.sqrt(regime.seed) * rng.standard_normal((a, r, 1)) < norm.ppf(CONTROL))
        inside = np.cov(hit.reshape(a * r, n)).reshape(a, r, a, r) / n
        total, within = inside.sum((1, 3)), np.einsum("isjs->ij", inside)
        found = by_hand(hit.mean(2), (total - within) / (r * (r - 1)), total / r**2, n)
        held += len(set(groups(found)[1])) > 1
        blind += len(set(groups(replace(found, examples=None))[1])) > 1
    return 100 * held / simulations, 100 * blind / simulations


@pytest.fixture
def any_number_of_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST", 2)
    monkeypatch.setattr(module, "LEAST_BLIND", 2)


@pytest.mark.slow
@pytest.mark.usefixtures("any_number_of_seeds")
@pytest.mark.parametrize("r", [3, 5])
@pytest.mark.parametrize("regime", [SEEDS, CHURN], ids=lambda regime: regime.name)
def test_equal_arms_are_seldom_told_apart(regime: Regime, r: int) -> None:
    """Twelve arms, 66 pairs; the standard error of a share of 5 % is 1.5 %."""
    held, blind = families(regime, a=12, r=r, n=100, simulations=200)
    print(
        f"\nstudies of 12 equal arms with a difference: {regime.name}, {r} seeds: {held:.1f} %, no floor {blind:.1f} %"
    )
    assert held <= 6
    assert blind <= 6 or r < LEAST_BLIND


@pytest.mark.slow
@pytest.mark.usefixtures("any_number_of_seeds")
def test_fewer_seeds_would_make_differences_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why `least` is what it is for few arms: two seeds with the floor, three without it, no pair lent strength."""

    def told_apart() -> tuple[float, float]:
        two, _ = families(SEEDS, a=12, r=2, n=100, simulations=150)
        _, three = families(CHURN, a=12, r=3, n=100, simulations=150)
        print(f"\nstudies of 12 equal arms with a difference: 2 seeds {two:.1f} %, 3 seeds, no floor {three:.1f} %")
        return two, three

    assert max(told_apart()) <= 6
    monkeypatch.setattr(module, "CROWD", 99)
    assert min(told_apart()) > 10


def test_variances_that_agree_are_pooled_and_those_that_do_not_stand_for_themselves() -> None:
    """Chi-square draws around one variance become that variance; a spread of orders of magnitude stays."""
    rng = stream(0, "variances")
    alike = 4.0 * rng.chisquare(4, size=780) / 4
    pooled, freedom = moderate_variances(alike, 4, 40)
    assert freedom > 60
    assert pooled == pytest.approx(np.full(780, 4.0), rel=0.2)
    apart = alike * np.exp(rng.normal(0, 3, size=780))
    own, few = moderate_variances(apart, 4, 40)
    assert few < 6
    assert np.corrcoef(np.log(own), np.log(apart))[0, 1] > 0.98


def test_moderation_by_hand_of_a_prior_that_is_known() -> None:
    """Variances whose logarithms vary by the trigamma of 2 and of 5: a prior of 10 degrees of freedom."""
    rng = stream(0, "prior")
    truth = 10 / rng.chisquare(10, size=20000)
    _, freedom = moderate_variances(truth * rng.chisquare(4, size=20000) / 4, 4, 10000)
    assert freedom == pytest.approx(14, rel=0.1)


def test_forty_arms_on_five_seeds_are_told_apart_where_they_differ_and_not_where_they_do_not() -> None:
    """Half of the arms 6 points above the others, noise of one point: each half is one group."""
    rng = stream(0, "forty")
    test = 80 + np.repeat([0.0, 6.0], 20)[:, None] + rng.normal(size=(40, 5))
    found = groups(by_hand(test, examples=np.eye(40) * 0.01))[1]
    assert set(found[20:]) == {"a"}
    assert set(found[:20]) == {"b"}
