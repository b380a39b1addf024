"""Answers over a suite's tasks, from study folders made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from studies import keep, made_test_set, record, shown

from harness.analysis.study import gather
from harness.analysis.suite import SuiteAnswer, TaskResult, gather_suite
from harness.errors import BadInput
from harness.storage.store import Store, TestSet
from harness.storage.suite_plan import SuiteEntry

ARMS = {
    "model=big": ("model", ("model",), ""),
    "clean=good": ("data", ("clean",), ""),
    "clean=chance": ("data", ("clean",), "negative_control"),
}
SCORES = {
    "one": {"baseline": 0.60, "model=big": 0.66, "clean=good": 0.80, "clean=chance": 0.59},
    "two": {"baseline": 0.50, "model=big": 0.58, "clean=good": 0.75, "clean=chance": 0.51},
    "three": {"baseline": 0.70, "model=big": 0.68, "clean=good": 0.85},
}
"""Each task's true scores; the third lacks the negative control."""


def predictions(test: TestSet, accuracy: float, seed: int, arm: str) -> np.ndarray:
    """Predictions of which exactly that share is right, other rows for each seed and arm."""
    order = np.argsort(shown(test, 0.5, arm, str(seed)) + np.arange(len(test.y)) * (7 + seed) % len(test.y))
    wrong = order[: round((1 - accuracy) * len(test.y))]
    found = test.y.copy()
    found[wrong] = (found[wrong] + 1) % len(test.classes)
    return found


def make_task(root: Path, name: str) -> TaskResult:
    """A task whose study has three seeds; on each the arms score a point more or less than the table says."""
    store, test = Store(root / f"s-{name}"), made_test_set(200, 2)
    records = []
    for arm, score in SCORES[name].items():
        axis, factors, kind = ARMS.get(arm, ("none", (), ""))
        for seed, more in enumerate((-0.01, 0.0, 0.01)):
            made = predictions(test, score + (more if arm != "baseline" else 0), seed, arm)
            told = {"families": {"clean": "label errors"}} if "clean" in factors else {}
            told |= {"reference_for": {"clean": ["label errors"]}} if kind else {}
            records.append(record(store, arm, seed, made, test, axis=axis, factors=factors, reference=kind, **told))
    keep(store, records)
    return TaskResult(SuiteEntry(name, f"s-{name}", "table"), gather(store))


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> list[TaskResult]:
    root = tmp_path_factory.mktemp("store")
    missing = TaskResult(SuiteEntry("four", "s-four", "text", "no data at four.csv", {}), None)
    return [*(make_task(root, name) for name in SCORES), missing]


@pytest.fixture(scope="module")
def answer(tasks: list[TaskResult]) -> SuiteAnswer:
    return gather_suite("s", tasks)


def test_an_arms_effect_is_the_mean_of_the_tasks_with_a_t_interval_over_them(answer: SuiteAnswer) -> None:
    good = next(arm for arm in answer.arms if arm.arm == "clean=good")
    effects = [20.0, 25.0, 15.0]
    by_hand = ttest_1samp(effects, 0).confidence_interval(0.95)
    assert [one.value for one in good.effects.values()] == pytest.approx(effects)
    assert good.mean is not None
    assert (good.mean.value, good.mean.low, good.mean.high) == pytest.approx((20.0, by_hand.low, by_hand.high))
    assert good.mean.p == pytest.approx(ttest_1samp(effects, 0).pvalue)
    assert good.deviation == pytest.approx(5.0)
    assert good.median is not None
    assert good.median.value == pytest.approx(20.0)
    assert (good.tally.wins, good.tally.ties, good.tally.losses) == (3, 0, 0)
    assert good.improvement is not None
    assert good.improvement.value == 1.0
    assert {task: one.value for task, one in good.without.items()} == pytest.approx(
        {"one": 20.0, "two": 17.5, "three": 22.5}
    )
    assert good.interquartile is not None
    runs = np.sort([effect + more for effect in effects for more in (-1.0, 0.0, 1.0)])
    assert good.interquartile.value == pytest.approx(runs[2:7].mean())


def test_p_values_account_for_the_number_of_arms(answer: SuiteAnswer) -> None:
    p = {arm.arm: (arm.mean.p, arm.p_adjusted) for arm in answer.arms if arm.mean}
    assert p["clean=good"][0] is not None
    assert p["clean=good"][1] == pytest.approx(3 * p["clean=good"][0])


def test_an_arm_is_summarised_over_the_tasks_that_it_has(answer: SuiteAnswer) -> None:
    chance = next(arm for arm in answer.arms if arm.arm == "clean=chance")
    assert {task: one.value for task, one in chance.effects.items()} == pytest.approx({"one": -1.0, "two": 1.0})
    assert chance.rank is None
    assert {arm.arm: arm.rank for arm in answer.arms if arm.rank} == pytest.approx(
        {"model=big": (2 + 2 + 3) / 3, "clean=good": 1.0}
    )


def test_tasks_that_differ_are_not_said_to_agree(answer: SuiteAnswer) -> None:
    assert all(arm.mean.high > arm.these.high for arm in answer.arms if arm.mean and arm.these)
    assert not any(note.startswith("The tasks agree more closely") for note in answer.notes)


def test_a_negative_control_has_no_rank_even_where_it_has_run_on_all_tasks(tasks: list[TaskResult]) -> None:
    ranks = {arm.arm: arm.rank for arm in gather_suite("s", tasks[:2]).arms}
    assert ranks == {"model=big": 2.0, "clean=good": 1.0, "clean=chance": None}


def test_an_arm_is_held_against_its_reference_on_the_tasks_that_have_both(answer: SuiteAnswer) -> None:
    (one,) = answer.references
    assert (one.arm, one.reference, one.kind) == ("clean=good", "clean=chance", "negative_control")
    assert one.gaps == pytest.approx({"one": 21.0, "two": 24.0})
    by_hand = ttest_1samp([21, 24], 0).confidence_interval(0.95)
    assert one.mean is not None
    assert (one.mean.value, one.mean.low) == pytest.approx((22.5, by_hand.low))


def test_the_verdict_over_tasks_is_of_each_tasks_best_arms(answer: SuiteAnswer) -> None:
    assert answer.verdict is not None
    gaps = [14.0, 17.0, 15.0]  # three: no model beats the baseline
    by_hand = ttest_1samp(gaps, 0).confidence_interval(0.95)
    assert answer.verdict.by_validation.value == pytest.approx(np.mean(gaps))
    assert (answer.verdict.by_validation.low, answer.verdict.by_validation.high) == pytest.approx(tuple(by_hand))
    assert answer.verdict.word == "data"
    assert answer.sentence.startswith(
        "Data wins over tasks: the best data strategy minus the best model is +15.33 points"
    )
    without = [gaps[1], gaps[2]]
    assert answer.without["one"].by_validation.value == pytest.approx(np.mean(without))
    assert "when one task is left out" in answer.sentence  # two tasks alone decide nothing at 12.7 standard errors


def test_notes_say_what_few_tasks_cannot_say_and_what_is_missing(answer: SuiteAnswer) -> None:
    said = "\n".join(answer.notes)
    assert "With 3 tasks an interval is 4.30 standard errors wide" in said
    assert "Fewer than 6 tasks cannot show" in said
    assert "Training labels are simulated on one, two, three" in said
    assert "Not run on four: no data at four.csv" in said


def test_one_task_has_no_answer_over_tasks(tasks: list[TaskResult]) -> None:
    alone = gather_suite("s", tasks[:1])
    assert alone.verdict is None
    assert alone.sentence == "No verdict over tasks: 1 of them has one, and two or more are needed."
    assert [arm.mean for arm in alone.arms] == [None, None, None]
    with pytest.raises(BadInput, match="suite 's' has no record of a trial"):
        gather_suite("s", tasks[3:])
