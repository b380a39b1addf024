"""Budgets in, designs out: what is let go first, what never, and what a study can show."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scipy.stats import norm

from harness.asking.budget import Design, Seconds, detectable, fit_budget, let_go, seconds_of
from harness.asking.proposals import Facts, Proposal, baseline_of_modality, propose
from harness.errors import BadInput

MODELS = tuple(Proposal((f"model={name}",), "model", "") for name in ("strong", "middle", "weak"))
DATA = tuple(Proposal((f"clean={name}",), "data", "", (f"clean=random_{name}",)) for name in ("first", "second"))


def design(seconds: float, rows: int = 8000, fixed: float = 0.0) -> Design:
    proposals = (*MODELS, *DATA)
    arms = [(), *(arm for one in proposals for arm in one.arms)]
    each = Seconds(fixed, (seconds - fixed) / rows)
    return Design(proposals, 5, MODELS, rows, prices=dict.fromkeys(arms, each))


@pytest.mark.parametrize(("word", "seconds"), [("10min", 600), ("90s", 90), ("2h", 7200), ("5", 300), ("1.5 h", 5400)])
def test_a_budget_is_a_time(word, seconds):
    assert seconds_of(word) == seconds


@pytest.mark.parametrize("word", ["soon", "", "10 parsecs", "-5min", "0", "nan", "infmin"])
def test_what_is_no_time_is_refused(word):
    with pytest.raises(BadInput, match=r"write a time|above 0"):
        seconds_of(word)


def test_all_of_it_stays_where_it_fits():
    whole = design(0.1)
    found = fit_budget(whole, 600, 2, 200)
    assert found == whole
    assert (found.trials, let_go(whole, found)) == (5 * (1 + 3 + 4 + 6), [])


def test_what_the_plan_took_is_part_of_the_budget():
    whole = design(30.0)
    budget = whole.seconds(2) + 1
    assert fit_budget(whole, budget, 2, 200, spent_s=0.5) == whole
    found = fit_budget(whole, budget, 2, 200, spent_s=100.0)
    assert found != whole
    assert found.seconds(2) + 100 <= budget


def test_things_are_let_go_in_the_stated_order():
    whole = design(30.0, fixed=5.0)
    seen: list[list[str]] = []
    for budget in range(12_000, 300, -20):
        found = fit_budget(whole, budget, 1, 200)
        assert found.seconds(1) <= budget
        if not seen or let_go(whole, found) != seen[-1]:
            seen.append(let_go(whole, found))
    combined, few = "combinations of weaker models with data", "combinations of models with data"
    assert seen[:5] == [[], [combined], [combined, "1 of 5 seeds"], [combined, "2 of 5 seeds"], [few, "2 of 5 seeds"]]
    assert [line[2:] for line in seen[5:8]] == [
        ["model=weak"], ["model=weak", "clean=second"], ["model=middle", "model=weak", "clean=second"],
    ]  # fmt: skip
    assert seen[-1][-1].endswith("training rows")


def test_one_arm_of_each_side_and_its_reference_and_three_seeds_always_stay():
    found = fit_budget(design(20.0, fixed=1.0), 150, 1, 200)
    assert (found.arms, found.seeds) == ([("model=strong",), ("clean=random_first",), ("clean=first",)], 3)
    assert found.n_train == found.rows < 8000


def test_an_arm_that_alone_takes_half_the_budget_goes_first_unless_it_is_the_last_of_its_side():
    whole = design(0.1)
    dear = Seconds(0.0, 0.01)
    found = fit_budget(replace(whole, prices={**whole.prices, ("model=strong",): dear}), 200, 1, 200)
    assert let_go(whole, found)[-1] == "model=strong"
    assert [one.arm for one in found.of("model")] == [("model=middle",), ("model=weak",)]
    assert found.combined == found.proposals[:2]
    all_dear = {**whole.prices, **{one.arm: Seconds(0.0, 0.01 - 0.001 * place) for place, one in enumerate(MODELS)}}
    assert [one.arm for one in fit_budget(replace(whole, prices=all_dear), 400, 1, 200).of("model")] == [
        ("model=weak",)
    ]


def test_what_fits_no_budget_is_refused_with_one_that_does():
    with pytest.raises(BadInput, match=r"the smallest study \(12 trials of 250 rows\) takes about (\d+) min") as told:
        fit_budget(design(20.0, fixed=19.0), 60, 1, 200)
    minutes = int(str(told.value).partition("budget=")[2].partition("min")[0])
    assert fit_budget(design(20.0, fixed=19.0), 60 * minutes, 1, 200).seeds == 3


def test_a_busy_machine_lengthens_what_was_not_timed():
    quiet = design(1.0)
    busy = replace(quiet, slowness=3.0)
    assert busy.seconds(2) - quiet.seconds(2) > 2 * 30
    assert busy.seconds(2) < 3 * quiet.seconds(2)
    alone, two, start = quiet.seconds(1), quiet.seconds(2), quiet.seconds(10**9)
    assert two - start == pytest.approx((alone - start) / 2)


def test_what_a_study_can_show_follows_from_rows_and_seeds():
    least = detectable(0.2, 1000, 100_000)
    shared = (1e4 * 0.2 / 1000) ** 0.5
    assert least == pytest.approx(shared * (norm.ppf(0.975) + norm.ppf(0.8)), rel=0.01)
    assert detectable(0.2, 4000, 5) == pytest.approx(detectable(0.2, 1000, 5) / 2, rel=0.01)
    assert detectable(0.2, 1000, 3) > detectable(0.2, 1000, 5) > least


FACTS = Facts("table", missing=False, uneven=False, duplicates=0, overlap=0, voters=0, pool=0, gold=False, rows=400)


def arms_for(**changed: object) -> list[str]:
    facts = Facts(**{**FACTS.__dict__, **changed})  # type: ignore[arg-type]
    return [" ".join(arm) for one in propose(facts) for arm in one.arms]


def test_every_data_arm_but_the_simplest_has_its_reference():
    for modality in ("table", "text", "image"):
        facts = Facts(**{**FACTS.__dict__, "modality": modality, "voters": 3, "duplicates": 5})  # type: ignore[arg-type]
        bare = [one.arm[0] for one in propose(facts) if one.side == "data" and one.beside is None]
        assert set(bare) <= {"augment=mixup"}


def test_arms_follow_what_the_data_show():
    assert "weak=dawid_skene" in arms_for(voters=3)
    assert "weak=self_training" in arms_for(pool=50)
    assert "weak=dawid_skene" not in arms_for()
    assert {"clean=duplicates", "clean=random_drop_duplicates"} <= set(arms_for(duplicates=3))
    assert {"clean=oracle clean.k=20", "clean=oracle_random clean.k=20"} <= set(arms_for(gold=True))
    assert "clean=balanced_weights" in arms_for(uneven=True)


def test_where_numbers_are_missing_the_baseline_imputes_and_cleaning_comes_after():
    facts = Facts(**{**FACTS.__dict__, "missing": True})
    assert "clean@baseline.clean=impute" in baseline_of_modality(facts)
    found = arms_for(missing=True)
    assert "clean=imputed clean@clean.then=confident" in found
    assert not any(arm.startswith("clean=confident") for arm in found)
