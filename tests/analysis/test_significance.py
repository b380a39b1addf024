"""P-values and tie groups by hand, against scipy and statsmodels, and by simulation of arms that do not differ."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm, ttest_1samp
from scipy.stats import t as student
from statsmodels.stats.multitest import multipletests
from test_simulation import CONTROL, SEEDS, Regime, right

from harness.analysis.effects import effect_p_value, half_width, variances
from harness.analysis.significance import (
    LEVEL,
    benjamini_yekutieli,
    half_width_at,
    holm,
    letters,
    share_letter,
)
from harness.analysis.significance import p_value as inverted
from harness.errors import BadInput
from harness.streams import stream

DELTAS = st.one_of(
    st.lists(st.integers(-40, 40), min_size=1, max_size=6),
    st.builds(lambda value, r: [value] * r, st.integers(-12, 12), st.integers(2, 6)),
).map(lambda values: np.array(values) / 4)


# --- from an interval to its p-value ---


@pytest.mark.parametrize("alpha", [0.4, 0.05, 1e-3, 1e-12, 1e-60])
@pytest.mark.parametrize("freedom", [1, 2, 4, 700])
def test_one_part_is_a_t_interval(alpha: float, freedom: int) -> None:
    half = half_width_at(alpha, [(4.0, freedom)])
    assert half == pytest.approx(2 * student.isf(alpha / 2, freedom), rel=1e-9)
    assert inverted(half, [(4.0, freedom)]) == pytest.approx(alpha, rel=1e-8)


def test_one_part_agrees_with_scipys_t_test() -> None:
    deltas = np.array([0.7, -0.1, 1.9, 0.4, 0.8])
    parts = [(float(deltas.var(ddof=1)) / 5, 4)]
    assert inverted(float(deltas.mean()), parts) == pytest.approx(ttest_1samp(deltas, 0).pvalue)
    assert inverted(-float(deltas.mean()), parts) == pytest.approx(ttest_1samp(deltas, 0).pvalue)


@settings(deadline=None)
@given(st.floats(0.01, 50), st.lists(st.tuples(st.floats(1e-3, 1e3), st.integers(1, 900)), min_size=1, max_size=3))
def test_the_interval_at_the_level_of_p_ends_at_0(effect: float, parts: list[tuple[float, int]]) -> None:
    p = inverted(effect, parts)
    assume(p > 1e-250)
    assert half_width_at(p, parts) == pytest.approx(effect, rel=1e-7)


def test_p_where_nothing_varies_or_nothing_is_found() -> None:
    assert inverted(0.0, [(1.0, 3)]) == inverted(0.0, []) == inverted(1e-13, [(0.0, 4)]) == 1
    assert inverted(2.0, [(0.0, 4), (0.0, 99)]) == 0
    assert inverted(1e6, [(1e-6, 500), (1e-9, 500)]) <= 1e-300


@settings(deadline=None)
@given(DELTAS, st.floats(0, 4), st.floats(0, 1), st.integers(2, 500))
def test_p_is_below_5_percent_where_the_interval_leaves_0_out(
    deltas: np.ndarray, variance: float, share: float, n: int
) -> None:
    """Also at one seed, where seeds agree so that the floor rules, and where nothing varies at all."""
    r, mean = len(deltas), float(deltas.mean())
    spread = variance * (share * np.ones((r, r)) + (1 - share) * np.eye(r))
    half, _ = half_width(deltas, spread, n)
    assume(abs(abs(mean) - half) > 1e-9 or mean == 0)
    assert (effect_p_value(mean, variances(deltas, spread, n)) < 1 - LEVEL) == (abs(mean) > half)


def test_the_floor_rules_the_p_value_where_seeds_agree() -> None:
    """Effect 5, V_e = (4 + 4) / 4: 1.5 sqrt(2) is where p = 0.05, and t(19) says how p falls from there."""
    found = variances(np.array([5.0, 5.0]), np.diag([4.0, 4.0]), 20)
    scaled = 5 / (1.5 * np.sqrt(2)) * student.ppf(0.975, 19)
    assert effect_p_value(5.0, found) == pytest.approx(2 * student.sf(scaled, 19))
    assert effect_p_value(1.5 * np.sqrt(2), found) == pytest.approx(0.05)


def test_one_seed_has_the_p_value_of_its_test_examples() -> None:
    found = variances(np.array([5.0]), np.array([[4.0]]), 20)
    assert effect_p_value(5.0, found) == pytest.approx(2 * student.sf(2.5, 19))


# --- many arms ---


def test_adjusted_p_values_by_hand() -> None:
    p = np.array([0.04, np.nan, 0.01, 0.03])
    np.testing.assert_allclose(holm(p), [0.06, np.nan, 0.03, 0.06])
    harmonic = 1 + 1 / 2 + 1 / 3
    np.testing.assert_allclose(
        benjamini_yekutieli(p), [0.04 * harmonic, np.nan, 0.03 * harmonic, 0.04 * harmonic], rtol=1e-12
    )


@settings(max_examples=15, deadline=None)
@given(st.lists(st.one_of(st.just(np.nan), st.floats(0, 1)), max_size=12))
def test_adjusted_p_values_agree_with_statsmodels(values: list[float]) -> None:
    p = np.array(values, dtype=np.float64)
    known = np.isfinite(p)
    for ours, theirs in ((holm, "holm"), (benjamini_yekutieli, "fdr_by")):
        found = ours(p)
        assert np.isnan(found[~known]).all()
        if known.any():
            np.testing.assert_allclose(found[known], multipletests(p[known], method=theirs)[1], rtol=1e-9, atol=1e-15)


# --- letters ---


def differing(a: int, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """The pairs that differ, counted from 1."""
    found = np.zeros((a, a), dtype=bool)
    for i, j in pairs:
        found[i - 1, j - 1] = found[j - 1, i - 1] = True
    return found


@pytest.mark.parametrize(
    ("a", "pairs", "expected"),
    [
        (1, [], ["a"]),
        (3, [], ["a", "a", "a"]),
        (3, [(1, 2), (1, 3), (2, 3)], ["a", "b", "c"]),
        (3, [(1, 3)], ["a", "ab", "b"]),
        (4, [(1, 3), (1, 4), (2, 4)], ["a", "ab", "bc", "c"]),
        (3, [(1, 2)], ["a", "b", "ab"]),
    ],
)
def test_letters_by_hand(a: int, pairs: list[tuple[int, int]], expected: list[str]) -> None:
    assert list(letters(np.arange(a, 0, -1.0), differing(a, pairs))) == expected


def test_letters_where_no_line_could_be_drawn() -> None:
    """Five arms; 1-5, 2-3, 2-5 and 3-5 differ. Of the rest, 1 2 4, 1 3 4 and 4 5 are the groups that cannot grow."""
    found = letters(np.arange(5, 0, -1.0), differing(5, [(1, 5), (2, 3), (2, 5), (3, 5)]))
    assert found == ("ab", "a", "b", "abc", "c")


def test_letters_that_insert_and_absorb_leaves_over_are_swept() -> None:
    """Eight arms; 1-7, 1-8, 2-4, 2-5 and 3-5 differ. Six groups cannot grow: 1236, 1346, 1456, 23678, 34678, 45678.
    Of 1346 every pair stands elsewhere: 13 and 36 in the first, 14 and 16 in the third, 34 and 46 in the fifth.
    """
    found = letters(np.arange(8, 0, -1.0), differing(8, [(1, 7), (1, 8), (2, 4), (2, 5), (3, 5)]))
    assert found == ("ab", "ac", "acd", "bde", "be", "abcde", "cde", "cde")


def test_the_best_mean_has_an_a_whatever_the_order_of_arms() -> None:
    found = letters(np.array([70.0, 90.0, 80.0]), differing(3, [(1, 2), (1, 3)]))
    assert found == ("b", "a", "a")


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    a = draw(st.integers(1, 9))
    upper = np.triu(draw(arrays(np.bool_, (a, a))), 1)
    means = draw(arrays(np.float64, a, elements=st.integers(0, 5).map(float)))
    return means, upper | upper.T


@settings(deadline=None)
@given(comparisons())
def test_two_arms_share_a_letter_if_and_only_if_they_do_not_differ(case: tuple[np.ndarray, np.ndarray]) -> None:
    means, differ = case
    found = letters(means, differ)
    assert [[share_letter(one, other) for other in found] for one in found] == (~differ).tolist()
    assert found[int(means.argmax())][0] == "a"
    used = sorted({letter for one in found for letter in one})
    assert used == list("abcdefghijklmnopqrstuvwxyz"[: len(used)])


def test_more_groups_than_letters() -> None:
    """Thirty arms apart from one another but for neighbours: 29 groups, and the last three have doubled letters."""
    far = np.abs(np.subtract.outer(np.arange(30), np.arange(30))) > 1
    found = letters(np.arange(30, 0, -1.0), far)
    assert (found[0], found[1], found[25], found[26], found[29]) == ("a", "a b", "y z", "z aa", "cc")
    assert not share_letter(found[0], found[26])
    assert [[share_letter(one, other) for other in found] for one in found] == (~far).tolist()


def test_letters_stay_few_where_every_pair_splits_all_groups() -> None:
    """Arms that differ from their partner only: no 2^20 groups arise, and a dozen say the same."""
    pairs = [(2 * i + 1, 2 * i + 2) for i in range(20)]
    differ = differing(40, pairs)
    found = letters(np.arange(40, 0, -1.0), differ)
    assert [[share_letter(one, other) for other in found] for one in found] == (~differ).tolist()
    assert len({name for one in found for name, _ in re.findall(r"(([a-z])\2*)", one)}) <= 80


def test_letters_of_what_cannot_be_ordered_are_refused() -> None:
    with pytest.raises(BadInput, match="without a mean score"):
        letters(np.array([1.0, np.nan]), np.zeros((2, 2), dtype=bool))
    with pytest.raises(BadInput, match="must be symmetric"):
        letters(np.array([1.0, 2.0]), np.array([[False, True], [False, False]]))


# --- arms that do not differ ---


def null_p_values(regime: Regime, r: int, n: int, simulations: int) -> np.ndarray:
    """P-values where arm and control differ in noise alone; accuracy's spread in closed form."""
    rng, found = stream(0, "null p", regime.name), []
    for _ in range(simulations):
        arm, control = right(regime, r, n, (CONTROL, CONTROL), rng)
        gain = 100.0 * (arm.astype(int) - control)
        found.append(effect_p_value(float(gain.mean()), variances(gain.mean(1), np.cov(gain) / n, n)))
    return np.array(found)


def test_p_values_of_nothing_are_uniform_enough() -> None:
    """Standard errors of the shares over 2000 simulations: 0.5 % at 5 %, 1.1 % at 50 %."""
    p = null_p_values(SEEDS, r=5, n=300, simulations=2000)
    assert 0.03 <= (p < 0.05).mean() <= 0.07
    assert 0.46 <= (p < 0.5).mean() <= 0.54
    assert 0.17 <= (p < 0.2).mean() <= 0.23


def test_holm_holds_the_chance_of_one_false_claim_among_ten_arms() -> None:
    """Ten arms against one control, noise alone; unadjusted, more than one study in six would claim something."""
    regime, r, n, rng = SEEDS, 5, 100, stream(0, "ten arms")
    rest, raw, kept = np.sqrt(1 - regime.hard - regime.taste - regime.seed), 0, 0
    for _ in range(500):
        score = np.sqrt(regime.hard) * rng.standard_normal((1, 1, n)) + rest * rng.standard_normal((11, r, n))
        score += np.sqrt(regime.taste) * rng.standard_normal((11, 1, n))
        score += np.sqrt(regime.seed) * rng.standard_normal((11, r, 1))
        hit = 100.0 * (score < norm.ppf(CONTROL))
        gains = hit[1:] - hit[0]
        p = np.array([effect_p_value(float(g.mean()), variances(g.mean(1), np.cov(g) / n, n)) for g in gains])
        raw += (p < 0.05).any()
        kept += (holm(p) < 0.05).any()
    assert raw / 500 > 1 / 6
    assert kept / 500 <= 0.06
