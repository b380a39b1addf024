"""Studies that look and go on: how often the interval at which they stop holds the truth, and that they end alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from invoke import PLAIN, files_of, harness, lasting, records
from studies import key, made_test_set, record, shown, write
from test_power import seen_of
from test_simulation import EXAMPLES, MIXED, SEEDS, Regime, right

from harness.analysis.power import PilotArm, half_width_of, is_decided, level_of_looks, looks
from harness.commands.study import PlannedTrial, Precision, at_look, choose_trials
from harness.storage.store import Store
from harness.streams import stream

N = 300
ARM, CONTROL = 0.85, 0.80
"""Accuracies of the simulated predictions; the true effect is their difference, or 0."""


def stopped(at: list[PilotArm], *, level: float, half_width: float) -> PilotArm:
    """What a study reports: the first look at which the arm is decided, else the last."""
    decided = (one for one in at if is_decided(one, level=level, half_width=half_width))
    return next(decided, at[-1])


def held(studies: list[list[PilotArm]], truth: float, *, level: float, half_width: float) -> float:
    """The share of studies, in percent, whose interval at the stop holds the truth."""
    ends = [stopped(at, level=level, half_width=half_width) for at in studies]
    return 100 * float(np.mean([abs(one.interval.effect - truth) <= half_width_of(one, level) for one in ends]))


def normal_studies(sizes: tuple[int, ...], effect: float, shared: float, times: int) -> list[list[PilotArm]]:
    """Deltas of variance 1 a seed, and `shared` of the test set that all seeds share, at each look."""
    rng = stream(0, "stopping", str(sizes), str(effect), str(shared))
    most, found = sizes[-1], []
    for _ in range(times):
        deltas = effect + rng.normal(0, np.sqrt(shared)) + rng.standard_normal(most)
        spread = np.full((most, most), shared)
        found.append([seen_of(deltas[:r], spread[:r, :r], N) for r in sizes])
    return found


SIZES = looks(3, 48)
"""Looks at 3, 6, 12, 24 and 48 seeds."""


@pytest.fixture(scope="module", params=[0.0, 0.05], ids=["seeds alone", "a shared test set"])
def null(request) -> list[list[PilotArm]]:
    return normal_studies(SIZES, 0.0, request.param, times=1000)


def test_without_a_correction_far_too_many_studies_of_nothing_end_with_an_effect(null):
    """The rule to stop is "it is significant"; the interval is the ordinary one. 1,000 studies."""
    naive = held(null, 0.0, level=0.95, half_width=1e-9)
    print(f"\nfive looks, an interval of 95 % each: {naive:.1f} % hold 0")
    assert naive < 91


def test_with_the_correction_studies_of_nothing_say_so_as_often_as_they_should(null):
    kept = held(null, 0.0, level=level_of_looks(len(SIZES)), half_width=1e-9)
    print(f"\nfive looks, an interval of 99 % each: {kept:.1f} % hold 0")
    assert kept >= 95 - 2.1


@pytest.mark.parametrize("half_width", [1e-9, 1.2])
@pytest.mark.parametrize("effect", [0.3, 0.8, 2.0])
def test_an_effect_is_held_at_the_stop(effect, half_width):
    """1,000 studies: three standard errors of 95 % are 2.1 points."""
    studies = normal_studies(looks(4, 16), effect, 0.03, times=1000)
    assert held(studies, effect, level=level_of_looks(3), half_width=half_width) >= 95 - 2.1


def test_a_study_that_is_decided_soon_is_stopped_soon():
    at = normal_studies(looks(4, 16), 8.0, 0.0, times=20)
    assert {stopped(one, level=level_of_looks(3), half_width=0.1).interval.n_seeds for one in at} == {4}
    at = normal_studies(looks(4, 16), 0.0, 0.0, times=20)
    assert max(stopped(one, level=level_of_looks(3), half_width=0.01).interval.n_seeds for one in at) == 16


def scored_studies(regime: Regime, accuracies: tuple[float, float], times: int) -> list[list[PilotArm]]:
    """Predictions that are right and wrong as the regime says, the covariance over test examples in closed form."""
    rng, found = stream(0, "stopping", regime.name, str(accuracies)), []
    for _ in range(times):
        arm, control = right(regime, 20, N, accuracies, rng)
        gain = 100.0 * (arm.astype(int) - control)
        spread = np.cov(gain) / N
        found.append([seen_of(gain[:r].mean(1), spread[:r, :r], N) for r in looks(5, 20)])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("half_width", [1e-9, 6.0])
@pytest.mark.parametrize("accuracies", [(CONTROL, CONTROL), (ARM, CONTROL)], ids=["null", "effect"])
@pytest.mark.parametrize("regime", [SEEDS, EXAMPLES, MIXED], ids=lambda regime: regime.name)
def test_predictions_scored_on_one_test_set_are_held_at_the_stop(regime, accuracies, half_width):
    """800 studies: three standard errors of 95 % are 2.3 points."""
    studies = scored_studies(regime, accuracies, times=800)
    truth = 100 * (accuracies[0] - accuracies[1])
    found = held(studies, truth, level=level_of_looks(3), half_width=half_width)
    print(f"\nlooks at 5, 10, 20 seeds, {regime.name}, effect {truth:.0f}, stop at ± {half_width:g}: {found:.1f} %")
    assert found >= 95 - 2.3


# What the sweeper makes of it, on records made by hand.

ACCURACY = {"baseline": 0.6, "much": 0.97, "little": 0.61, "same": 0.6, "broken": 0.6}
TEST = made_test_set(300, 3)
PRECISION = Precision(half_width=0.5, looks=(3, 6, 12))


def planned() -> list[PlannedTrial]:
    """Every trial that the study may come to: five arms on 12 seeds."""
    heads = [(arm, seed) for arm in ACCURACY for seed in range(12)]
    rows = [
        {"arm": arm, "seed": seed, "key": key(arm, seed), "control": key("baseline", seed), "axis": "data",
         "factors": ["clean"], "reference": ""}
        for arm, seed in heads
    ]  # fmt: skip
    return [
        PlannedTrial(row, () if arm == "baseline" else (arm,), [arm]) for row, (arm, _) in zip(rows, heads, strict=True)
    ]


def run(store: Store, plan: list[PlannedTrial], least: int = 0) -> int:
    """Writes the records of the plan's trials that have none, all but `least` of them; returns how many."""
    known = {one["key"] for one in store.records()}
    todo = [item.row for item in plan if item.row["key"] not in known]
    for row in todo[: len(todo) - least]:
        arm, seed = row["arm"], row["seed"]
        like = "baseline" if arm == "same" else arm
        found = None if arm == "broken" else shown(TEST, ACCURACY[arm], like, str(seed))
        one = record(store, arm, seed, found, TEST)
        write(store, one)
    return len(todo[: len(todo) - least])


def counts(plan: list[PlannedTrial]) -> dict[str, int]:
    return {arm: sum(item.row["arm"] == arm for item in plan) for arm in ACCURACY}


FINAL = {"baseline": 12, "much": 3, "little": 12, "same": 3, "broken": 3}


def test_an_arm_that_is_decided_or_broken_gets_no_more_seeds_and_the_others_do(tmp_path):
    """`much` is clear at once, `same` predicts as its control, `broken` fails always; `little` is never decided."""
    store, possible = Store(tmp_path / "made"), planned()
    sizes, ran = [], []
    while True:
        plan = choose_trials(possible, store, PRECISION)
        sizes.append(counts(plan))
        ran.append(run(store, plan))
        if not ran[-1]:
            break
    assert sizes[0] == dict.fromkeys(ACCURACY, 3)
    assert sizes[1] == dict.fromkeys(ACCURACY, 3) | {"baseline": 6, "little": 6}
    assert sizes[2] == sizes[3] == FINAL
    assert ran == [15, 6, 12, 0]
    assert at_look(plan, PRECISION) == "look 3 of 3: 1 of 4 arms have 12 seeds"


def test_a_study_that_was_stopped_goes_on_where_it_was(tmp_path):
    """Every look is cut short once, at its last trial; the plan meanwhile never falls back behind a finished look."""
    store, possible, sizes = Store(tmp_path / "made"), planned(), []
    for least in (1, 0, 1, 0, 1, 0):
        plan = choose_trials(possible, store, PRECISION)
        run(store, plan, least)
        sizes.append(counts(plan)["baseline"])
    assert sizes == [3, 3, 6, 6, 12, 12]
    assert counts(choose_trials(possible, store, PRECISION)) == FINAL


def test_the_seeds_of_later_looks_decide_nothing_about_earlier_ones(tmp_path):
    """All trials are there from the first: the study still consists of what the looks ask for."""
    store, possible = Store(tmp_path / "made"), planned()
    run(store, possible)
    assert counts(choose_trials(possible, store, PRECISION)) == FINAL


def test_a_wide_wish_is_met_at_the_first_look(tmp_path):
    store, possible = Store(tmp_path / "made"), planned()
    run(store, choose_trials(possible, store, PRECISION))
    assert counts(choose_trials(possible, store, Precision(60.0, (3, 6, 12)))) == dict.fromkeys(ACCURACY, 3)


def test_without_a_precision_everything_is_wanted(tmp_path):
    possible = planned()
    assert choose_trials(possible, Store(tmp_path), None) is possible


# A study as a user runs it.

STUDY = (
    "-m", "experiments=quickstart", 'arms=["model=random_forest","clean=random_drop","weak=label_model"]', "seeds=2",
    "cross=[]", "precision={half_width:2.5,max_seeds:4}", "model@baseline.model=logistic_regression", "task.n_train=120",
    "hydra/launcher=basic", *PLAIN,
)  # fmt: skip


def trials_of(study: Path) -> dict[str, int]:
    plan = Store(study).plan()
    assert plan is not None
    return {arm: sum(row["arm"] == arm for row in plan["trials"]) for arm in plan["arms"]}


@pytest.mark.slow
def test_a_study_adds_seeds_by_itself_is_resumed_and_ends(tmp_path):
    study = tmp_path / "results" / "quickstart"
    first = harness(*STUDY, folder=tmp_path)
    assert first.returncode == 0, first.stderr
    plan = Store(study).plan() or {}
    assert plan["precision"] == {"half_width": 2.5, "looks": [2, 4], "level": 0.975}
    found, ran = records(study), trials_of(study)
    assert ran["baseline"] == 4, "two seeds decide hardly anything"
    assert set(ran.values()) <= {2, 4}
    assert len(found) == sum(ran.values()) == len(plan["trials"])
    assert plan["seeds"] == [0, 1, 2, 3]
    assert "  look 1 of 2: 3 of 3 arms have 2 seeds" in first.stderr.splitlines()
    _cut(study)
    again = harness(*STUDY, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "look 1" not in again.stderr
    assert trials_of(study) == ran
    assert lasting(records(study)) == lasting(found)
    kept, total = files_of(study / "trials"), sum(ran.values())
    ended = harness(*STUDY, folder=tmp_path)
    assert ended.stderr.splitlines() == [f"study quickstart: {total} trials, {total} are done already, 0 to run"]
    assert files_of(study / "trials") == kept
    assert ended.stdout == again.stdout


def _cut(study: Path) -> None:
    """What a kill in the second look leaves: the plan, and records without the last seed's."""
    for one in records(study).values():
        if one["seed"] == 3:
            (study / "trials" / f"{one['key']}.json").unlink()
