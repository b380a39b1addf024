"""Attribution by hand, against other libraries and other ways to compute it, and refused where it would mean nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as models_of
from hypothesis import given, settings
from hypothesis import strategies as st
from known_truth import made
from scipy.stats import t as student
from statsmodels.stats.anova import anova_lm

from harness.analysis.attribution import Attribution, attribute
from harness.analysis.ladder import axes, draw_means
from harness.analysis.scores import Scores
from harness.analysis.shares import crossed_table, divisible_arms, noise_in, part_weights, squares, variance_shares
from harness.errors import BadInput
from harness.streams import stream

MODEL, DATA, BOTH = "model=m", "clean=c", "model=m clean=c"
FOUR = ("baseline", MODEL, DATA, BOTH)
WORSE = np.array([[80.0, 81.0, 82.0], [82.0, 83.5, 84.5], [85.0, 85.0, 88.0], [86.0, 87.0, 88.0]])
"""Means 81, 83 1/3, 86, 87: gains 2 1/3, 5 and 6."""


def answer(scores: Scores, draws: int = 400) -> Attribution:
    return attribute(scores, draws=draws, rng=stream(0, "test", "attribution"))


def noisy(means: Mapping[str, float], *, seeds: int = 5, luck: float = 0.3, valid: Mapping[str, float] | None = None,
          reference: Sequence[str] = ()) -> Scores:  # fmt: skip
    """Scores with those exact means and noise that sums to 0 over seeds; validation means are the same unless given."""
    luck_of = stream(0, "test", "noisy").normal(size=(2, len(means), seeds)) * luck
    luck_of -= luck_of.mean(-1, keepdims=True)
    rows = np.array(list(means.values()))[:, None]
    chosen_by = np.array([(valid or means).get(arm, mean) for arm, mean in means.items()])[:, None]
    return made(list(means), rows + luck_of[0], chosen_by + luck_of[1], reference=reference)


def told(found: Attribution, words: str) -> bool:
    return any(words in note for note in found.notes)


def empty(found: Attribution) -> bool:
    return found.ladder is None and found.verdict is None and not found.shapley and not found.sensitivity


# The ladder


def test_the_ladder_by_hand() -> None:
    scores = made(FOUR, WORSE, WORSE - 1, cpu_s=[1.0, 3.0, 1.0, 5.0], labels=[0.0, 0.0, 50.0, 50.0])
    found = answer(scores)
    assert found.ladder is not None
    assert found.verdict is not None
    rungs = found.ladder
    assert (rungs.model.arm, rungs.data.arm) == (MODEL, DATA)
    assert (rungs.model.effect.value, rungs.data.effect.value) == pytest.approx((7 / 3, 5))
    assert (rungs.model.cpu_s, rungs.model.labels, rungs.data.cpu_s, rungs.data.labels) == (2, 0, 0, 50)
    assert rungs.both is not None
    assert rungs.interaction is not None
    assert (rungs.both.arm, rungs.both.effect.value, rungs.both.cpu_s) == (BOTH, pytest.approx(6), 4)
    assert rungs.interaction.value == pytest.approx(6 - 7 / 3 - 5)
    assert rungs.difference.value == pytest.approx(5 - 7 / 3)
    assert found.verdict.by == rungs.difference


def test_without_a_choice_to_make_the_interval_is_the_t_interval() -> None:
    """One arm an axis that wins by far: nothing is chosen, and seeds alone vary."""
    scores = made(FOUR, WORSE, WORSE + np.array([[0.0], [20], [20], [20]]))
    rungs = attribute(scores, draws=40_000, rng=stream(0, "test")).ladder
    assert rungs is not None
    gains = {"data": WORSE[2] - WORSE[0], "difference": WORSE[2] - WORSE[1], "both": WORSE[3] - WORSE[0],
             "interaction": WORSE[3] - WORSE[2] - WORSE[1] + WORSE[0]}  # fmt: skip
    assert rungs.both is not None
    found = {"data": rungs.data.effect, "difference": rungs.difference, "both": rungs.both.effect,
             "interaction": rungs.interaction}  # fmt: skip
    for name, gain in gains.items():
        half = student.ppf(0.975, 2) * gain.std(ddof=1) / np.sqrt(3)
        one = found[name]
        assert one is not None
        assert (one.low, one.high) == pytest.approx((gain.mean() - half, gain.mean() + half), abs=0.06 * half + 1e-9)


def test_shared_test_examples_widen_the_interval() -> None:
    """Arms that every seed scores alike: the whole variance is that of the examples, 2 x 0.5² for a difference."""
    test = np.array([[80.0], [82.0], [85.0]]) + np.zeros(4)
    scores = made(("baseline", MODEL, DATA), test, test, spread=0.25 * np.eye(3))
    rungs = attribute(scores, draws=40_000, rng=stream(0, "test")).ladder
    assert rungs is not None
    half = 1.96 * np.sqrt(2 * 0.25)
    assert (rungs.difference.low, rungs.difference.high) == pytest.approx((3 - half, 3 + half), abs=0.05)


def test_validation_chooses_and_test_is_reported() -> None:
    means = {"baseline": 80.0, "model=a": 82.0, "model=b": 84.0, "clean=c": 86.0, "clean=d": 83.0}
    found = answer(noisy(means, valid={"model=a": 90.0, "clean=d": 90.0}))
    assert found.ladder is not None
    assert (found.ladder.model.arm, found.ladder.data.arm) == ("model=a", "clean=d")
    assert (found.ladder.model.effect.value, found.ladder.data.effect.value) == pytest.approx((2, 3))


def test_the_interval_holds_every_arm_that_validation_cannot_tell_from_the_best() -> None:
    """Two data arms that differ by 10 on test and not on validation: the choice is noise, and the interval says so."""
    means = {"baseline": 80.0, "model=a": 81.0, "clean=c": 95.0, "clean=d": 85.0}
    found = answer(noisy(means, valid={"clean=c": 90.01, "clean=d": 90.0}))
    assert found.ladder is not None
    assert found.ladder.data.effect.value == pytest.approx(15)
    assert found.ladder.data.effect.low < 10  # what choosing between them at random gives
    assert told(found, "Best data on validation: clean=c, chosen among 2 arms and the baseline; ")


def test_an_axis_whose_arms_all_lose_keeps_the_baseline() -> None:
    means = {"baseline": 80.0, "model=a": 70.0, "model=b": 60.0, "clean=c": 86.0}
    found = answer(noisy(means))
    assert found.ladder is not None
    assert found.verdict is not None
    assert (found.ladder.model.arm, found.ladder.model.effect.value) == ("baseline", 0)
    assert (found.ladder.model.effect.low, found.ladder.model.effect.high) == (0, 0)
    assert found.verdict.word == "data"
    assert "no model arm beats the baseline on validation, so the baseline is kept" in found.verdict.sentence
    assert found.ladder.both is not None
    assert found.ladder.both.arm == "clean=c"  # the best model is the baseline's, so both is the best data
    assert found.ladder.interaction is not None
    assert found.ladder.interaction.value == 0


def test_a_simple_baseline_may_be_chosen() -> None:
    """Beside using no votes, a majority vote is a method like any other, whatever a label model gains."""
    scores = noisy({"baseline": 80.0, "model=a": 82.0, "weak=majority_vote": 90.0, "weak=label_model": 87.0})
    found = answer(dataclasses.replace(scores, reference=("", "", "simple_baseline", "")))
    assert found.ladder is not None
    assert found.ladder.data.arm == "weak=majority_vote"
    assert not told(found, "Negative controls and upper bounds are never chosen")


def test_a_reference_is_never_chosen_and_what_beats_the_pick_is_told() -> None:
    means = {"baseline": 80.0, "model=a": 82.0, "clean=random": 95.0, "clean=c": 83.0, "model=a clean=random": 99.0}
    found = answer(noisy(means, reference=["clean=random"]))
    assert found.ladder is not None
    assert found.ladder.data.arm == "clean=c"
    assert told(
        found, "Negative controls and upper bounds are never chosen as best: clean=random, model=a clean=random."
    )
    assert told(found, "Negative controls and upper bounds better on validation than clean=c: clean=random.")
    assert not found.shapley


def test_a_pair_that_was_not_run_is_named() -> None:
    means = {"baseline": 80.0, "model=a": 82.0, "model=b": 84.0, "clean=c": 86.0, "model=a clean=c": 87.0}
    found = answer(noisy(means))
    assert found.ladder is not None
    assert (found.ladder.both, found.ladder.interaction) == (None, None)
    assert told(found, "were not run together: run model=b clean=c to learn what both gain")


def test_draws_that_choose_what_was_not_run_are_left_out_and_counted() -> None:
    means = {"baseline": 80.0, "model=a": 85.0, "model=b": 85.0, "clean=c": 86.0, "model=a clean=c": 87.0}
    some = answer(noisy(means, valid={"model=a": 85.15}))
    assert some.ladder is not None
    assert some.ladder.interaction is not None
    assert told(some, "% of redraws choose a pair that was not run together, most often model=b clean=c")
    three = {f"model={name}": 85.0 for name in "bdefgh"}
    most = answer(noisy({**means, **three}, valid={"model=a": 85.02}))
    assert most.ladder is not None
    assert (most.ladder.both, most.ladder.interaction) == (None, None)
    assert told(most, "The gain of both together is not reported")


def test_of_arms_that_differ_in_their_salt_one_counts() -> None:
    means = {"baseline": 80.0, "model=a": 82.0, "model=a salt=x": 99.0, "clean=c": 86.0, "salt=x": 98.0}
    found = answer(noisy(means))
    assert found.ladder is not None
    assert found.ladder.model.arm == "model=a"
    assert told(found, "Repeats of other arms are left out: model=a salt=x, salt=x.")


# The verdict


@pytest.mark.parametrize(
    ("model", "data", "word", "words"),
    [
        (82.0, 86.0, "data", "Data wins: the best data strategy gains +4.00 points [+3."),
        (86.0, 82.0, "model", "Model wins: the best model gains +4.00 points [+3."),
        (
            84.0,
            84.1,
            "undecided",
            "Undecided: the best data strategy gains 0.10 points more than the best model, but the 95 % interval of data minus model (−",
        ),
    ],
)
def test_the_verdict_says_who_wins_and_by_how_much(model: float, data: float, word: str, words: str) -> None:
    found = answer(noisy({"baseline": 80.0, MODEL: model, DATA: data})).verdict
    assert found is not None
    assert found.word == word
    assert found.sentence.startswith(words)
    assert MODEL in found.sentence
    assert DATA in found.sentence
    assert (found.word == "data") == (found.by.low > 0)
    assert (found.word == "model") == (found.by.high < 0)


def test_the_verdict_says_what_a_point_costs() -> None:
    scores = made(FOUR, WORSE, WORSE, cpu_s=[2.0, 3.0, 1.5, 5.0], labels=[0.0, 0.0, 50.0, 50.0])
    found = answer(scores).verdict
    assert found is not None
    assert f"{DATA}: no extra CPU time, 0.50 CPU-seconds less, +0.1000 points per label bought." in found.sentence
    assert f"{MODEL}: +2.33 points per extra CPU-second, no labels bought." in found.sentence


def test_the_notes_say_what_intervals_cover() -> None:
    found = answer(made(FOUR, WORSE, WORSE, left_out=("clean=x is left out.",)))
    assert found.notes[0] == "clean=x is left out."
    assert told(found, "account for retraining (3 seeds), for the sampling of the 500")
    assert told(found, "The measured gain of a best arm is biased upwards")
    assert told(found, "Validation examples that seeds share are not redrawn: not all of these records keep")
    redrawn = answer(dataclasses.replace(made(FOUR, WORSE, WORSE), valid_spread=np.eye(4)))
    assert told(redrawn, "for the sampling of the 500 test examples and of the validation examples, and")
    assert not any("not redrawn" in note for note in redrawn.notes)


# Shapley and Owen


def test_shapley_by_hand() -> None:
    found = answer(made(FOUR, WORSE, WORSE - 1)).shapley
    assert set(found) == {"model", "data"}
    assert found["model"].value == pytest.approx((7 / 3 + 6 - 5) / 2)
    assert found["data"].value == pytest.approx((5 + 6 - 7 / 3) / 2)


def factorial_study(values: Sequence[float]) -> Scores:
    """All sixteen combinations of one level a factor; the last one is by far the best on validation."""
    words = ("model=m", "weak=w", "clean=c", "augment=a")
    sets = list(product((0, 1), repeat=4))
    arms = [" ".join(word for word, on in zip(words, some, strict=True) if on) or "baseline" for some in sets]
    means = dict(zip(arms, values, strict=True))
    return noisy(means, valid={arm: 200.0 if arm.count("=") == 4 else 50.0 for arm in arms})


def by_orders(values: Sequence[float], fixed_coalition: bool) -> np.ndarray:
    """The mean of what each factor adds over all orders in which the three factors of data stand together."""
    worth = dict(zip(product((0, 1), repeat=4), values, strict=True))
    parts, n = np.zeros(4), 0
    for order in permutations(range(4)):
        if fixed_coalition and order.index(0) not in (0, 3):
            continue  # the model may not come between the factors of data
        here = [0, 0, 0, 0]
        for factor in order:
            before = worth[tuple(here)]
            here[factor] = 1
            parts[factor] += worth[tuple(here)] - before
        n += 1
    return parts / n


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=16, max_size=16))
def test_owen_parts_are_the_means_over_orders(values: list[float]) -> None:
    found = answer(factorial_study(values), draws=100).shapley
    if not found:  # all sixteen alike
        return
    parts = by_orders(values, fixed_coalition=True)
    assert [found[name].value for name in ("model", "weak", "clean", "augment")] == pytest.approx(parts, abs=1e-9)
    assert found["data"].value == pytest.approx(parts[1:].sum(), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 10**6))
def test_parts_sum_to_the_gain_of_the_chosen_combination(a: int, b: int, seed: int) -> None:
    rng = stream(seed, "test", "sums")
    grid = product(("", *(f"model=m{i}" for i in range(a))), ("", *(f"weak=w{i}" for i in range(b))))
    arms = [" ".join(filter(None, pair)) or "baseline" for pair in grid]
    scores = made(arms, rng.normal(80, 3, size=(len(arms), 4)), rng.normal(80, 3, size=(len(arms), 4)))
    found = answer(scores, draws=100)
    best = int(scores.valid.mean(1).argmax())
    gain = scores.test.mean(1)[best] - scores.test.mean(1)[0]
    assert found.shapley["model"].value + found.shapley["data"].value == pytest.approx(gain, abs=1e-9)
    assert told(found, f"points of {arms[best]}, the best combination on validation")


def test_in_every_draw_the_parts_sum_to_the_gain_of_what_that_draw_chose() -> None:
    scores = noisy({"baseline": 80.0, "model=m": 82.0, "clean=c": 83.0, "model=m clean=c": 83.1, "augment=a": 83.0})
    where, drawn = axes(scores), draw_means(scores, 200, stream(0, "test"))
    for arm in divisible_arms(scores, where):
        gain = drawn.test[:, arm] - drawn.test[:, where.baseline]
        parts = part_weights(scores, where, arm, ("clean", "augment")) @ drawn.test.T
        assert np.allclose(parts[:2].sum(0), gain)
        assert np.allclose(parts[2:].sum(0), parts[1])


def test_what_the_chosen_combination_does_not_change_gets_nothing() -> None:
    means = {"baseline": 80.0, "model=m": 79.0, "clean=c": 90.0, "model=m clean=c": 85.0, "augment=a": 81.0}
    found = answer(noisy(means)).shapley
    assert (found["model"].value, found["data"].value, found["clean"].value) == pytest.approx((0, 10, 10))
    assert found["augment"].value == 0


def test_parts_that_were_not_run_are_named() -> None:
    means = {"baseline": 80.0, "model=m": 82.0, "clean=c": 84.0, "model=m weak=w": 90.0, "model=m clean=c": 85.0}
    found = answer(noisy(means))
    assert told(found, "model=m weak=w cannot be divided between model and data: run weak=w.")
    assert sum(one.value for one in found.shapley.values()) == pytest.approx(5)  # of the pair that can be divided
    means = {"baseline": 80.0, "model=m": 82.0, "weak=w": 81.0, "weak=w clean=c": 84.0, "model=m weak=w clean=c": 90.0,
             "model=m weak=w": 83.0, "model=m clean=c": 83.0}  # fmt: skip
    found = answer(noisy(means))
    assert set(found.shapley) == {"model", "data"}
    assert told(found, "Data's part is not divided among its strategies: run clean=c.")
    means = {"baseline": 80.0, "model=m": 82.0, "clean=c": 84.0}
    assert told(answer(noisy(means)), "No Shapley parts")


# Shares of variance


def test_shares_of_variance_agree_with_statsmodels() -> None:
    """Two-way analysis of variance with seeds as blocks; omega squared by Olejnik and Algina's formula from its table."""
    rng = stream(0, "test", "anova")
    table = np.array([[80.0, 82, 84, 81], [83, 84, 88, 86], [79, 85, 84, 85]])[..., None]
    single = table + rng.normal(size=(3, 4, 6)) + 2 * rng.normal(size=6)
    pairs = list(product(("", "model=m1", "model=m2"), ("", "clean=c1", "clean=c2", "clean=c3")))
    arms = [" ".join(filter(None, pair)) or "baseline" for pair in pairs]
    found = answer(made(arms, single.reshape(12, 6), single.reshape(12, 6)))
    rows = [(m, v, s, single[m, v, s]) for m, v, s in product(range(3), range(4), range(6))]
    frame = pd.DataFrame(rows, columns=["m", "v", "s", "score"])
    lines = anova_lm(models_of.ols("score ~ C(s) + C(m) * C(v)", frame).fit())
    parts = lines.loc[["C(m)", "C(v)", "C(m):C(v)"]]
    error, blocks = lines.loc["Residual", "mean_sq"], lines.loc["C(s)", "mean_sq"]
    eta2 = parts["sum_sq"] / parts["sum_sq"].sum()
    omega2 = (parts["sum_sq"] - parts["df"] * error) / (lines["sum_sq"].sum() + blocks)
    names = ("model", "data", "interaction")
    assert [found.eta2[name].value for name in names] == pytest.approx(eta2.to_list())
    assert [found.omega2[name].value for name in names] == pytest.approx(omega2.to_list())
    assert told(found, "of 3 models (the baseline's model, model=m1, model=m2) x 4 data variants")
    shares = variance_shares(single.mean(-1))
    assert (shares.model, shares.data) == pytest.approx((found.eta2["model"].value, found.eta2["data"].value))


def test_omega_squared_by_hand() -> None:
    """Cells 0, 2, 4, 6 and seeds that move all of them by -1 and +1: no error, SS 8, 32, 0, blocks 8 on 1 degree."""
    single = np.array([[0.0, 4.0], [2.0, 6.0]]).reshape(4, 1) + 80 + np.array([-1.0, 1.0])
    found = answer(made(("baseline", DATA, MODEL, BOTH), single, single))
    assert found.eta2["data"].value == pytest.approx(0.8)
    assert found.omega2["data"].value == pytest.approx(32 / (48 + 8))
    assert found.omega2["model"].value == pytest.approx(8 / (48 + 8))
    assert found.omega2["interaction"].value == pytest.approx(0, abs=1e-12)
    assert found.eta2["data"].low == pytest.approx(0.8)  # nothing varies but what all cells share
    assert found.omega2["data"].low < 32 / 56 < found.omega2["data"].high


def test_noise_leaves_omega_squared_at_nothing_and_every_share_open() -> None:
    rng = stream(0, "test", "noise")
    single = 80 + rng.normal(size=(9, 5))
    pairs = product(("", "model=a", "model=b"), ("", "clean=a", "clean=b"))
    found = answer(made([" ".join(filter(None, pair)) or "baseline" for pair in pairs], single, single))
    assert sum(one.value for one in found.eta2.values()) == pytest.approx(1)
    assert all(one.low == 0 and one.high > 0.8 for one in found.eta2.values())
    assert all(one.value < 0.15 and one.low == 0 for one in found.omega2.values())


def test_what_noise_adds_to_sums_of_squares_by_hand() -> None:
    """Independent cells: the variance of a mean for each degree of freedom; noise that all cells share adds nothing."""
    rng = stream(0, "test", "added")
    single = rng.normal(size=(3, 4, 20_000)) + 5 * rng.normal(size=20_000)
    assert noise_in(single, np.zeros((12, 12))) * 20_000 == pytest.approx([2, 3, 6], rel=0.03)
    same = np.zeros((3, 4, 2))
    assert noise_in(same, 0.25 * np.eye(12) + 7.0) == pytest.approx([0.5, 0.75, 1.5])


def test_the_largest_crossed_table_is_found() -> None:
    arms = ["baseline", "model=a", "model=b", "model=c", "clean=x", "clean=y", "model=a clean=x", "model=b clean=x",
            "model=a clean=y", "model=c clean=z"]  # fmt: skip
    scores = noisy(dict.fromkeys(arms, 80.0))
    table = crossed_table(scores, axes(scores))
    cells = [[arms[arm] for arm in row] for row in table]
    # Three models by two variants and two by three are as large: the first in the study's order of models.
    assert cells in (
        [["baseline", "clean=x"], ["model=a", "model=a clean=x"], ["model=b", "model=b clean=x"]],
        [["baseline", "clean=x", "clean=y"], ["model=a", "model=a clean=x", "model=a clean=y"]],
    )
    more = noisy(dict.fromkeys([*arms, "model=b clean=y"], 80.0))
    assert np.shape(crossed_table(more, axes(more))) == (3, 3)
    none = noisy(dict.fromkeys(arms[:6], 80.0))
    assert crossed_table(none, axes(none)) == []


@given(st.integers(2, 5), st.integers(2, 5), st.integers(0, 10**6))
def test_squares_sum_to_the_whole(a: int, b: int, seed: int) -> None:
    table = stream(seed, "test").normal(size=(a, b))
    assert squares(table).sum() == pytest.approx(((table - table.mean()) ** 2).sum())


# What cannot be told


@pytest.mark.parametrize(
    ("arms", "reason"),
    [
        (("model=a", "clean=c"), "the baseline is not complete"),
        ((), "the baseline is not complete"),
        (("baseline",), "the baseline is the only complete arm"),
        (("baseline", "clean=c", "augment=a"), "no complete arm changes the model alone"),
        (("baseline", "model=a", "model=b"), "no complete arm changes the data alone"),
        (("baseline", "model=a clean=c", "clean=c"), "no complete arm changes the model alone"),
    ],
)
def test_studies_that_lack_an_arm_are_told_so(arms: tuple[str, ...], reason: str) -> None:
    test = 80 + np.arange(len(arms))[:, None] + stream(0, "test").normal(size=(len(arms), 4))
    found = answer(made(arms, test, test, left_out=("clean=x is left out.",)))
    assert empty(found)
    assert found.notes[0] == "clean=x is left out."
    assert told(found, reason)


def test_one_seed_is_told() -> None:
    found = answer(made(FOUR, WORSE[:, :1], WORSE[:, :1]))
    assert empty(found)
    assert not found.eta2
    assert told(found, "one seed does not show how much retraining changes")


def test_equal_scores_are_told() -> None:
    found = answer(made(FOUR, np.tile(WORSE[:1], (4, 1)), WORSE))
    assert empty(found)
    assert told(found, "all arms score the same on every seed")
    shuffled = np.array([np.roll(WORSE[0], shift) for shift in (0, 1, 2, 0)])
    found = answer(made(FOUR, shuffled, WORSE))  # equal means, unequal seeds
    assert not found.eta2
    assert told(found, "all cells of the crossed table have the same mean")


def test_no_validation_scores_means_no_choice() -> None:
    valid = WORSE.copy()
    valid[1, 2] = np.nan
    found = answer(made(FOUR, WORSE, valid))
    assert empty(found)
    assert found.eta2  # needs no choice
    assert told(found, "a choice on the test set would bias the gain upwards")


def test_ties_everywhere_on_validation_choose_nothing() -> None:
    found = answer(made(FOUR, WORSE, np.tile(WORSE[:1], (4, 1))))
    assert empty(found)
    assert told(found, "on validation all model arms and the baseline tie on every seed")


def test_a_tie_at_the_top_goes_to_the_baseline_and_is_told() -> None:
    valid = np.array([[80.0, 81, 82], [82, 81, 80 + 1e-10], [85, 85, 88]])
    found = answer(made(("baseline", MODEL, DATA), WORSE[:3], valid))
    assert found.ladder is not None
    assert found.ladder.model.arm == "baseline"
    assert told(found, f"baseline tied on validation with {MODEL}: the baseline is preferred, then the arm that the ")


def test_test_scores_that_are_no_numbers_are_told() -> None:
    test = WORSE.copy()
    test[0, 0] = np.nan
    assert told(answer(made(FOUR, test, WORSE)), "some test scores are not numbers")


def test_too_few_draws_are_refused() -> None:
    with pytest.raises(BadInput, match="99 draws give no 95 % interval"):
        answer(made(FOUR, WORSE, WORSE), draws=99)


def test_equal_draws_give_equal_numbers() -> None:
    scores = noisy({"baseline": 80.0, MODEL: 82.0, DATA: 83.0, BOTH: 84.0})
    assert answer(scores) == answer(scores)


# A table of scores without seeds, as papers print it


def test_by_hand() -> None:
    # Row means 1 and 5, column means 2 and 4, grand mean 3: 16 for the rows, 4 for the columns, 20 + 4 in all.
    shares = variance_shares(np.array([[1.0, 1.0], [3.0, 7.0]]))
    assert (shares.model, shares.data, shares.interaction) == pytest.approx((16 / 24, 4 / 24, 4 / 24))


@pytest.mark.parametrize(("axis", "expected"), [(0, (1, 0, 0)), (1, (0, 1, 0))])
def test_a_factor_that_explains_all_has_all(axis: int, expected: tuple[float, ...]) -> None:
    levels = np.array([1.0, 4.0, 9.0])
    table = np.broadcast_to(np.expand_dims(levels, 1 - axis), (3, 3))
    shares = variance_shares(np.ascontiguousarray(table))
    assert (shares.model, shares.data, shares.interaction) == pytest.approx(expected, abs=1e-12)


@given(st.integers(2, 6), st.integers(2, 6), st.integers(0, 10**6))
def test_shares_sum_to_one_and_hang_neither_on_units_nor_on_order(a: int, b: int, seed: int) -> None:
    table = stream(seed, "test").normal(size=(a, b))
    shares, turned = variance_shares(table), variance_shares(7 - 100 * table[::-1, ::-1])
    values = np.array([shares.model, shares.data, shares.interaction])
    assert values.sum() == pytest.approx(1)
    assert (values >= -1e-12).all()
    assert np.allclose(values, [turned.model, turned.data, turned.interaction])
    assert variance_shares(table.T).data == pytest.approx(shares.model)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (np.ones((1, 3)), "a full table of two models and two variants"),
        (np.array([[1.0, np.nan], [2.0, 3.0]]), "a full table"),
        (np.ones((2, 2)), "all cells of the table are equal"),
    ],
)
def test_what_has_no_shares_is_told(table: np.ndarray, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        variance_shares(table)


def test_arms_that_have_used_the_validation_rows_are_not_chosen_by_them() -> None:
    """A flattered arm is passed over; a winner must still be ahead of it, and it may be the best."""
    means = {"baseline": 80.0, "model=a": 84.0, "clean=c": 86.0, "weak=valid": 84.5}
    scores = noisy(means, valid={"weak=valid": 100.0})
    informed = dataclasses.replace(scores, informed=tuple(arm == "weak=valid" for arm in scores.arms))
    assert answer(scores).ladder.data.arm == "weak=valid"
    found = answer(informed)
    assert found.ladder.data.arm == "clean=c"
    assert told(found, "Not chosen on validation, whose rows they have used: weak=valid.")
    strong = {**means, "weak=valid": 86.0}
    model = {"baseline": 80.0, "model=a": 88.0, "clean=c": 84.0, "weak=valid": 88.0}
    rival = noisy(model)
    rival = dataclasses.replace(rival, informed=tuple(arm == "weak=valid" for arm in rival.arms))
    assert answer(rival).verdict.word == "undecided"
    assert answer(rival.only([0, 1, 2])).verdict.word == "model"
    alone = noisy({name: value for name, value in strong.items() if name != "clean=c"})
    alone = dataclasses.replace(alone, informed=(False, False, True))
    assert told(answer(alone), "No verdict: all data arms have used the validation rows")
