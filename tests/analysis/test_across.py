"""Summaries over tasks: by hand, against scipy, and what they say where there is nothing to summarise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_truth import NULL, Truth, study
from scipy.stats import binomtest, bootstrap, mannwhitneyu, trim_mean, ttest_1samp

from harness.analysis.across import (
    Summary,
    Tally,
    count_tasks,
    improvement,
    interquartile_mean,
    mean,
    mean_of_these,
    mean_ranks,
    median,
    of_arm,
    profile,
    verdict_over_tasks,
)
from harness.analysis.choice import Estimate, best_against_best, best_of, decide
from harness.analysis.ladder import Ladder, Step
from harness.errors import BadInput
from harness.streams import stream

RUNS = st.lists(st.integers(0, 6).map(float), min_size=2, max_size=6).map(np.array)
TASKS = st.lists(RUNS, min_size=2, max_size=4)


def tasks(*runs: list[float]) -> dict[str, np.ndarray]:
    return {f"task {i}": np.array(values, dtype=np.float64) for i, values in enumerate(runs)}


def drawn(t: int, r: int) -> dict[str, np.ndarray]:
    """Runs around a mean of their task's own."""
    rng = stream(0, "across", str(t), str(r))
    return {f"task {i}": rng.normal(rng.normal(1.0, 2.0), 1.0, r) for i in range(t)}


def middle(runs: dict[str, np.ndarray], draws: int = 500) -> Summary:
    return interquartile_mean(runs, draws=draws, rng=stream(0, "x"))


def better(arm: dict[str, np.ndarray], control: dict[str, np.ndarray], draws: int = 500) -> Summary:
    return improvement(arm, control, draws=draws, rng=stream(0, "x"))


def test_mean_over_tasks_is_a_t_interval_over_their_means() -> None:
    """Tasks with other numbers of seeds weigh the same: means 1, 4 and 4."""
    found = mean(tasks([0, 2], [4], [3, 4, 5]))
    test = ttest_1samp([1.0, 4.0, 4.0], 0)
    assert (found.value, found.n_tasks, found.n_runs) == (3, 3, 6)
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval()))
    assert found.p == pytest.approx(test.pvalue)
    assert "covers other tasks, as far as these 3" in found.covers


def test_mean_over_tasks_holds_the_truth_at_the_stated_rate() -> None:
    """Four tasks whose effects are normal around 1, three seeds each; the standard error of the share is 0.7 %."""
    rng, held = stream(0, "coverage of tasks"), 0
    for _ in range(1000):
        found = mean({str(i): rng.normal(rng.normal(1.0, 2.0), 1.0, 3) for i in range(4)})
        held += found.low <= 1 <= found.high
    assert 0.93 <= held / 1000 <= 0.97


def test_interquartile_mean_by_hand() -> None:
    """0 1 2 3 | 10 11 12 90: two go at either end, 2 3 10 11 stay; the run at 90 moves nothing."""
    found = middle(tasks([0, 1, 2, 3], [10, 11, 12, 90]))
    assert found.value == 6.5
    assert middle(tasks([0, 1, 2, 3], [10, 11, 12, 12])).value == 6.5
    assert (found.n_tasks, found.n_runs, found.p) == (2, 8, None)
    assert "these 2 tasks" in found.covers
    assert "not for other tasks" in found.covers


@settings(deadline=None)
@given(st.integers(2, 5), st.integers(2, 6), st.integers(0, 1000))
def test_interquartile_mean_agrees_with_scipys_trimmed_mean(t: int, r: int, seed: int) -> None:
    whole = stream(seed, "runs").normal(size=(t, r))
    found = middle(dict(zip("abcde", whole, strict=False)), draws=20)
    assert found.value == pytest.approx(trim_mean(whole, 0.25, axis=None))


def test_the_interquartile_means_interval_is_a_bootstrap_within_tasks() -> None:
    """Scipy draws each sample for itself, which are the tasks here."""
    runs = drawn(3, 8)
    theirs = bootstrap(
        tuple(runs.values()), lambda *parts, axis: trim_mean(np.concatenate(parts, axis=-1), 0.25, axis=axis),
        n_resamples=20000, method="percentile", vectorized=True, rng=stream(0, "theirs"),
    ).confidence_interval  # fmt: skip
    found = middle(runs, draws=20000)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_improvement_by_hand() -> None:
    """First task: 3 beats both, 1 beats one and ties with one: 3.5 of 4. Second: 0 of 1 x 2, all lost."""
    found = better(tasks([3, 1], [5, 5]), tasks([1, 0], [6, 7]))
    assert found.value == pytest.approx((3.5 / 4 + 0) / 2)
    assert (found.n_tasks, found.n_runs) == (2, 8)


@settings(max_examples=30, deadline=None)
@given(TASKS, st.data())
def test_improvement_agrees_with_scipys_mann_whitney(runs: list[np.ndarray], data: st.DataObject) -> None:
    arm = dict(zip("abcd", runs, strict=False))
    control = {task: data.draw(RUNS) for task in arm}
    if all(len(set(np.concatenate([arm[task], control[task]]))) == 1 for task in arm):
        return
    shares = [
        mannwhitneyu(arm[task], control[task], method="asymptotic").statistic / (len(arm[task]) * len(control[task]))
        for task in arm
        if len(set(np.concatenate([arm[task], control[task]]))) > 1
    ]
    even = len(arm) - len(shares)
    found, back = better(arm, control, draws=20), better(control, arm, draws=20)
    assert found.value == pytest.approx((sum(shares) + 0.5 * even) / len(arm))
    assert found.value + back.value == pytest.approx(1)
    assert 0 <= found.low <= found.high <= 1


def test_improvements_interval_is_a_bootstrap_of_both_sides() -> None:
    """One by one: seeds of the arm and of the control resampled in each task."""
    arm, control, rng = drawn(2, 6), {k: v - 0.7 for k, v in drawn(2, 7).items()}, stream(0, "brute")
    shares = []
    for _ in range(4000):
        won = 0.0
        for task, mine in arm.items():
            theirs = rng.choice(control[task], len(control[task]))
            won += float((rng.choice(mine, len(mine))[:, None] > theirs).mean()) / 2
        shares.append(won)
    found = better(arm, control, draws=8000)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(shares, [0.025, 0.975])), abs=0.025)


def test_profile_by_hand() -> None:
    """Above 1: a third of the first task, all of the second; a run at the threshold is not above it."""
    found = profile(
        tasks([0, 1, 2], [4, 5]), np.array([-1.0, 1.0, 4.0, 9.0]), draws=200, rng=stream(0, "x")
    )  # fmt: skip
    np.testing.assert_allclose(found.share, [1, (1 / 3 + 1) / 2, 1 / 4, 0])
    assert (found.low[0], found.high[0], found.low[3], found.high[3]) == (1, 1, 0, 0)
    assert (found.n_tasks, found.n_runs) == (2, 5)


def test_the_profiles_band_is_that_of_binomial_counts() -> None:
    """Four runs a task, half above: the share over two tasks is a count of 8 at 0.5, whose percentiles are 1 and 7."""
    found = profile(
        tasks([0, 0, 1, 1], [0, 0, 1, 1]), np.array([0.5]), draws=20000, rng=stream(0, "x")
    )  # fmt: skip
    assert (found.low[0], found.share[0], found.high[0]) == (1 / 8, 0.5, 7 / 8)


@settings(deadline=None)
@given(TASKS, st.lists(st.floats(-1, 7), min_size=2, max_size=5))
def test_profiles_fall_and_lie_within_their_bands(runs: list[np.ndarray], taus: list[float]) -> None:
    found = profile(
        dict(zip("abcd", runs, strict=False)), np.array(sorted(taus)), draws=200, rng=stream(0, "x")
    )  # fmt: skip
    assert (np.diff(found.share) <= 1e-12).all()
    assert (found.low <= found.share + 1e-12).all()
    assert (found.high >= found.share - 1e-12).all()


def test_an_arms_deltas_by_study() -> None:
    frame = pd.DataFrame(
        {"arm": ["a", "a", "b", "a"], "seed": [1, 0, 0, 2], "delta": [2.0, 1.0, 9.0, np.nan], "why": ["", "", "", "x"]}
    )
    found = of_arm({"s": frame, "t": frame.assign(delta=5.0)}, "a")
    assert {study: deltas.tolist() for study, deltas in found.items()} == {"s": [1, 2], "t": [5, 5, 5]}
    with pytest.raises(BadInput, match="arm 'c' has no delta in study 's'"):
        of_arm({"s": frame}, "c")


@pytest.mark.parametrize("summary", [mean, middle, lambda runs: better(runs, tasks([0, 1], [0, 1])),
                                     lambda runs: profile(runs, np.zeros(1), draws=9, rng=stream(0, "x"))])  # fmt: skip
@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ({}, "no task to summarise"),
        (tasks([1, 2]), "'task 0' is the only task"),
        (tasks([1, 2], []), "task 'task 1' has 0 runs"),
        (tasks([1, np.nan], [1, 2]), "task 'task 0' has a run without a number"),
    ],
)
def test_summaries_of_nothing_are_refused(
    summary: Callable[[dict[str, np.ndarray]], object], runs: dict[str, np.ndarray], words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        summary(runs)


def test_ties_everywhere_and_unequal_tasks_are_told_in_words() -> None:
    with pytest.raises(BadInput, match=r"all 2 tasks have the effect 1\.00"):
        mean(tasks([0, 2], [1, 1]))
    with pytest.raises(BadInput, match=r"all 4 runs are 3\.00: ties everywhere"):
        middle(tasks([3, 3], [3, 3]))
    with pytest.raises(BadInput, match="as many seeds on each task: task 0 2, task 1 3"):
        middle(tasks([1, 2], [1, 2, 3]))
    with pytest.raises(BadInput, match="task 'task 0' has 1 runs, and this summary needs 2"):
        middle(tasks([1], [2]))
    with pytest.raises(BadInput, match="ties everywhere"):
        better(tasks([3, 3], [4, 4]), tasks([3, 3], [4, 4]))
    with pytest.raises(BadInput, match=r"have different tasks: \['task 2'\]"):
        better(tasks([1, 2], [1, 2], [1, 2]), tasks([1, 2], [1, 2]))
    with pytest.raises(BadInput, match="thresholds that are numbers"):
        profile(tasks([1, 2], [1, 2]), np.array([np.nan]), draws=9, rng=stream(0, "x"))


def ends(one: Summary | Estimate) -> tuple[float, float]:
    return one.low, one.high


@pytest.mark.parametrize(("t", "place"), [(6, 1), (8, 1), (9, 2), (11, 2), (12, 3)])
def test_the_median_lies_between_the_effects_that_the_binomial_table_names(t: int, place: int) -> None:
    effects = {f"task {i}": value for i, value in enumerate(np.random.default_rng(t).permutation(t) - 2.0)}
    found = median(effects)
    assert ends(found) == (place - 1 - 2.0, t - place - 2.0)
    assert found.value == np.median(list(effects.values()))
    below, above = sum(v < 0 for v in effects.values()), sum(v > 0 for v in effects.values())
    assert found.p == pytest.approx(binomtest(below, below + above).pvalue)


def test_the_median_of_five_tasks_has_no_interval() -> None:
    found = median(dict(zip("abcde", (1.0, 2.0, 3.0, 4.0, 5.0), strict=True)))
    assert (found.value, *ends(found)) == (3.0, -np.inf, np.inf)
    assert found.covers == "No 95 % interval: the median over 5 tasks has none, six or more are needed."
    assert found.p == pytest.approx(2 / 2**5)


def test_on_these_tasks_distances_to_the_ends_add_in_squares() -> None:
    found = mean_of_these({"a": Estimate(1.0, -2.0, 2.0), "b": Estimate(5.0, 1.0, 8.0)})
    assert (found.value, *ends(found)) == pytest.approx((3.0, 3.0 - 5.0 / 2, 3.0 + np.sqrt(10) / 2))


def test_a_task_is_won_only_if_its_interval_leaves_out_0() -> None:
    effects = {
        "won": Estimate(2, 1, 3),
        "tied": Estimate(2, 0, 4),
        "lost": Estimate(-2, -3, -1),
        "even": Estimate(0, 0, 0),
    }
    assert count_tasks(effects) == Tally(1, 2, 1)


def test_ranks_are_means_over_tasks_of_the_arms_that_all_have() -> None:
    ranks = mean_ranks({"a": {"base": 0.0, "x": 3.0, "y": 3.0, "only a": 9.0}, "b": {"y": 1.0, "base": 2.0, "x": -1.0}})
    assert ranks == {"base": (3 + 1) / 2, "x": (1.5 + 3) / 2, "y": (1.5 + 2) / 2}
    assert mean_ranks({}) == {}


def ladder(pair: float, by_validation: float, at_best: float) -> Ladder:
    """A study's ladder, of which the verdict over tasks reads three differences."""
    step = Step("baseline", Estimate(0, 0, 0), 0.0, 0.0)
    return Ladder(step, step, None, None, *(Estimate(one, one, one) for one in (pair, by_validation, at_best)))


def test_a_side_wins_over_tasks_if_all_three_intervals_leave_out_0() -> None:
    pairs, crossed, best = [4.0, 5.0, 6.0], [3.0, 3.5, 4.5], [5.0, 5.5, 6.5]
    found = verdict_over_tasks({str(i): ladder(*one) for i, one in enumerate(zip(pairs, crossed, best, strict=True))})
    by_hand = [ttest_1samp(one, 0).confidence_interval(0.95) for one in (pairs, crossed, best)]
    assert found.difference.value == pytest.approx(np.mean(crossed))
    assert ends(found.difference) == pytest.approx((min(o.low for o in by_hand), max(o.high for o in by_hand)))
    assert ends(found.by_validation) == pytest.approx(tuple(by_hand[1]))
    assert found.word == "data"
    less = verdict_over_tasks({str(i): ladder(-4.0 - i, -3 - i / 2, -5 - i / 2) for i in range(3)})
    assert less.word == "model"
    mixed = verdict_over_tasks({str(i): ladder(4.0 + i, 3 + i / 2, i - 1.0) for i in range(3)})
    assert mixed.word == "undecided"
    assert mixed.difference.low == pytest.approx(ttest_1samp([-1, 0, 1], 0).confidence_interval(0.95).low)


def suite_of(truths: list[Truth], seeds: int, rng: np.random.Generator) -> dict[str, Ladder]:
    """A ladder for each of the truths, from a study of its own, by the rule of a study's verdict."""
    found = {}
    for number, truth in enumerate(truths):
        scores = study(truth, seeds, rng, alike=0.5, crossed=False)
        data = [place for place, arm in enumerate(scores.arms) if arm.startswith("clean")]
        left, right = best_of([place for place in range(len(scores.arms)) if place not in data]), best_of([0, *data])
        decision, best = decide(scores, left, right), best_against_best(scores, left, right)
        assert decision is not None
        assert best is not None
        found[str(number)] = ladder(decision.verdict.value, decision.by_validation.value, best.value)
    return found


def simulate(t: int, gap: float, suites: int) -> tuple[float, float, float]:
    """Coverage of the mean gap by choice on validation and of the verdict's interval, and the share of winners.

    A task's best model and best strategy gain 6 points and a random amount, the latter `gap` points more.
    """
    rng, inside, within, named = stream(0, "suites", str(t), str(gap)), [], [], []
    for _ in range(suites):
        own = rng.normal(0, 1.5, (t, 2))
        truths = [Truth("task", (0.0, 6 + a), (0.0, 6 + gap + b)) for a, b in own.tolist()]
        found = verdict_over_tasks(suite_of(truths, 3, rng))
        inside.append(found.by_validation.low <= gap <= found.by_validation.high)
        within.append(found.difference.low <= gap <= found.difference.high)
        named.append(found.word != "undecided")
    return float(np.mean(inside)), float(np.mean(within)), float(np.mean(named))


@pytest.mark.slow
def test_the_interval_over_tasks_holds_a_known_gap_in_95_of_100_suites() -> None:
    """Of 400 suites: three standard errors of a share of 5 % are 3.3 points."""
    inside, within, wrong = simulate(4, 0.0, 400)
    assert abs(inside - 0.95) <= 0.033
    assert within >= inside
    assert wrong <= 0.05 + 0.033


def test_a_gap_that_is_large_beside_what_differs_between_tasks_is_named() -> None:
    inside, _, right = simulate(6, 6.0, 25)
    assert inside >= 0.9
    assert right >= 0.95


@pytest.mark.slow
def test_where_no_arm_gains_anything_the_verdict_over_tasks_names_a_winner_in_1_of_20_suites_at_most() -> None:
    rng = stream(0, "suites", "null")
    words = [verdict_over_tasks(suite_of([NULL] * 4, 3, rng)).word for _ in range(100)]
    assert np.mean([word != "undecided" for word in words]) <= 0.05
