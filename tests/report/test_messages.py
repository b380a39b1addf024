"""Titles of figures: each says what its numbers say, and no more."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.analysis.attribution import Attribution, Estimate, Verdict
from harness.analysis.effects import Effect, Interval
from harness.report import messages

BRIEFS = {"augment=shift": "shift", "clean=confident": "confident", "weak=label_model": "label_model"}


def effect(arm: str, gain: float, half: float, *, p: float | None = None, reference: str = "") -> Effect:
    factor = arm.partition("=")[0]
    factors = () if factor == "salt" else (factor,)
    axis = "none" if factor == "salt" else "model" if factor == "model" else "data"
    return Effect(
        arm, axis, factors, reference, 5, 0, 0, 75 + gain, Interval(gain, gain - half, gain + half, 5, 450, 2250, 0.5),
        1.0, 1.0, 0.0, 0.0, p, p,
    )  # fmt: skip


def test_effects_name_the_best_certain_gain_of_each_kind_and_the_kinds_without() -> None:
    arms = [effect("augment=shift", 14.2, 3.0), effect("clean=confident", 0.4, 2.0), effect("model=mlp", 3.0, 1.0)]
    said = messages.effects_message(arms, BRIEFS)
    assert said == "shift gains 14 points, model=mlp 3.0; no certain gain from cleaning"


def test_a_larger_gain_that_is_not_certain_hides_no_certain_one() -> None:
    arms = [effect("augment=shift", 4.7, 5.0), effect("augment=mixup", 2.9, 0.9)]
    assert messages.effects_message(arms, BRIEFS) == "augment=mixup gains 2.9 points"


def test_an_interval_that_the_number_of_arms_makes_doubtful_is_no_certain_gain() -> None:
    arms = [effect("augment=shift", 14.2, 3.0, p=0.06), effect("clean=confident", -5.0, 1.0, p=0.01)]
    assert (
        messages.effects_message(arms, BRIEFS) == "cleaning costs 5.0 points or more; no certain gain from augmentation"
    )
    assert messages.effects_message(arms[:1], BRIEFS) == "No certain gain from augmentation"


def test_what_may_never_win_is_no_gain() -> None:
    arms = [effect("weak=gold", 20, 1, reference="upper_bound"), effect("weak=label_model", 1, 2)]
    assert messages.effects_message(arms, BRIEFS) == "No certain gain from weak supervision"


def test_arms_that_change_nothing_are_no_gain_either() -> None:
    arms = [effect("salt=a", 0.1, 1.0), effect("salt=b", -0.3, 1.0)]
    assert messages.effects_message(arms, {}) == "2 arms that should change nothing, and none seems to"
    assert "but 1 of them seems to" in messages.effects_message([*arms, effect("salt=c", 3.0, 1.0)], {})


@pytest.mark.parametrize(
    ("word", "by", "title"),
    [
        ("data", 13.78, "Data gains 14 points more than the model"),
        ("model", -3.2, "The model gains 3.2 points more than data"),
        ("undecided", -1.12, "Undecided: the model is 1.1 points ahead, which may be noise"),
    ],
)
def test_an_attribution_says_who_gains_more(word: str, by: float, title: str) -> None:
    verdict = Verdict(word, Estimate(by, by - 5, by + 5), "A sentence.")  # type: ignore[arg-type]
    assert messages.attribution_message(Attribution(None, {}, {}, {}, verdict, (), "", ())) == title


def test_cells_say_how_many_combinations_do_not_add_up() -> None:
    rows = pd.DataFrame({"model": ["", "a", "", "a", "b"], "data": ["", "", "c", "c", "c"], "score": [70.0, 75, 80, 90, 70],
                         "interaction": [np.nan] * 3 + [5.0, -15.0], "low": [np.nan] * 3 + [1.0, -20.0],
                         "high": [np.nan] * 3 + [9.0, -10.0]})  # fmt: skip
    said = messages.cells_message(rows, "accuracy")
    assert said == "Of 2 combinations, 1 gains more and 1 gains less than model and data do alone, added up"
    wide = rows.assign(low=rows["low"] - 30, high=rows["high"] + 30)
    assert "no interaction can be told in 2 combinations" in messages.cells_message(wide, "accuracy")
    assert messages.cells_message(rows.assign(low=np.nan), "accuracy") == "The highest score, 90.0 %: a with c"


def test_costs_are_those_of_the_largest_certain_gain() -> None:
    arms = [effect("weak=gold", 20, 1, reference="upper_bound"), effect("model=mlp", 19, 20),
            effect("clean=confident", 9, 1), effect("augment=shift", 4, 1)]  # fmt: skip
    frame = pd.DataFrame({"arm": ["baseline", *(one.arm for one in arms)], "reference": [False, True, False, False, False],
                          "effect": [0.0, 20, 19, 9, 4], "cpu_s": [2.0, 2, 2, 8, 1], "labels": [0.0, 900, 0, 50, 0]})  # fmt: skip
    time = "times the baseline's processor time"
    assert (
        messages.cost_message(frame, arms)
        == f"9.0 points cost 4.0 {time} and 50 labels; 4.0 cost 0.5 {time} and no labels"
    )
    assert messages.cost_message(frame, arms[:2]) == "No arm has a certain gain, at any cost"


def test_budgets_say_where_clean_labels_are_near_or_what_the_largest_budget_gains() -> None:
    curve = pd.DataFrame(
        {"strategy": ["oracle", "oracle", "by chance"], "labels": [100.0, 200, 200], "score": [80.0, 90, 78]}
    )
    near = "For 95 % of the gain of clean labels oracle needs 190 labels and by chance does not get there"
    assert messages.budget_message(curve, 70.0, 90.0) == near
    assert (
        messages.budget_message(curve, 70.0, None) == "200 labels gain 20 points by oracle and 8.0 points by by chance"
    )


def test_curves_say_whether_training_has_levelled_off() -> None:
    steps = np.arange(1, 11) * 10.0
    shapes = {"baseline": np.minimum(steps, 60), "up": steps, "down": -steps}
    rows = [(arm, seed, step, value) for arm, curve in shapes.items() for seed in (0, 1)
            for step, value in zip(steps, curve, strict=True)]  # fmt: skip
    history = pd.DataFrame(rows, columns=["arm", "seed", "step", "value"])
    said = messages.curves_message(history)
    assert said == "At the end of training the validation score still rises for 1 and still falls for 1 of 3 arms"
    assert "the baseline too" in messages.curves_message(history.replace({"arm": {"up": "baseline", "baseline": "up"}}))
    assert messages.curves_message(history[history["arm"] == "baseline"]).startswith("Training has levelled off")
    noisy = history.assign(value=history["value"] + np.where((history["seed"] == 1) & (history["step"] == 100), -60, 0))
    assert "rises" not in messages.curves_message(noisy[noisy["arm"] == "up"]).replace("still rises", "")


def test_variance_names_the_largest_source_and_whether_it_is_clear_of_the_next() -> None:
    parts = pd.DataFrame({"name": ["all of training", "order of rows", "dropout"], "value": [3.0, 2.0, 1.0],
                          "low": [2.0, 1.6, 0.5], "high": [4.0, 2.5, 1.5]})  # fmt: skip
    clear = "The score varies most with order of rows, by 2.0 points; next is dropout, 1.0"
    assert messages.variance_message(parts) == clear
    assert messages.variance_message(parts.assign(high=4.0)).endswith("but dropout (1.0) cannot be told from it")


def test_slices_and_sizes_name_certain_numbers_alone() -> None:
    deltas = pd.DataFrame({"slice": ["class 8", "class 1"], "reference": [False, False], "delta": [14.0, -2.0],
                           "low": [9.0, -4.0], "high": [19.0, 1.0]})  # fmt: skip
    assert messages.slices_message(deltas) == "class 8 gains up to 14 points"
    curve = pd.DataFrame({"arm": ["mixup", "mixup"], "n_train": [100, 1000], "effect": [8.0, 1.0], "low": [5.0, -1.0],
                          "high": [11.0, 3.0]})  # fmt: skip
    assert (
        messages.sizes_message(curve) == "With 100 rows mixup gains 8.0 points; with 1,000 rows no arm certainly gains"
    )
