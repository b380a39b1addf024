"""A study that is slower than its plan ends within its budget: seeds go first, then arms, and that is said."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from harness.asking.budget import REPORT_S
from harness.commands.pace import Pace, in_turns, run_within

ARMS = (
    ("baseline", "none", ""), ("m1", "model", ""), ("m2", "model", ""), ("drop", "data", "negative_control"),
    ("clean", "data", ""), ("noise", "data", "negative_control"), ("shift", "data", ""), ("m1 clean", "both", ""),
)  # fmt: skip
ROWS = [
    {"key": f"{arm}-{seed}", "arm": arm, "axis": axis, "reference": kind, "seed": seed}
    for arm, axis, kind in ARMS for seed in range(5)
]  # fmt: skip
KEYS = {row["key"] for row in ROWS}


def record(key: str, wall_s: float, cpu_s: float) -> dict[str, Any]:
    return {"key": key, "status": "done", "cost": {"wall_s": wall_s, "cpu_s": cpu_s}}


def run(seconds: float, trial_s: float, todo: set[str]) -> tuple[list[str], set[str], list[str], float]:
    """A study whose trials take so long, in a budget of so many seconds beside the report: what ran and what was let go."""
    ran: list[str] = []

    def work(keys: Sequence[str]) -> None:
        time.sleep(trial_s * len(keys))
        ran.extend(keys)

    pace = Pace(seconds + REPORT_S, time.monotonic())
    gone, lines = run_within(pace, ROWS, todo, 1, work, lambda: [record(key, trial_s, trial_s) for key in ran])
    return ran, gone, lines, pace.elapsed_s


def test_all_of_it_runs_where_the_time_is_enough():
    ran, gone, lines, _ = run(60.0, 0.001, KEYS)
    assert (set(ran), gone, lines) == (KEYS, set(), [])


def test_seeds_that_no_longer_fit_are_let_go_from_the_end_and_the_budget_holds():
    ran, gone, (line,), took = run(1.55, 0.05, KEYS)  # a seed takes 0.4 s
    assert {key for key in KEYS if key[-1] in "34"} == gone == KEYS - set(ran)
    assert line.startswith("2 of 5 seeds (3, 4) were let go after ")
    assert took < 1.2 * 1.55


def test_arms_are_let_go_where_three_seeds_do_not_fit_but_one_of_each_side_stays_with_its_reference():
    ran, gone, lines, took = run(1.2, 0.1, KEYS)  # a seed of all arms takes 0.8 s
    kept = {key.partition("-")[0] for key in ran}
    assert {"baseline", "m1", "drop", "clean"} <= kept
    assert "m1 clean" not in kept
    assert lines[0].startswith(f"{len(ARMS) - len(kept)} arms were let go after ")
    assert {f"{arm}-{seed}" for arm in kept for seed in (0, 1)} <= set(ran)
    assert set(ran) == KEYS - gone
    assert took < 1.2 * 1.2


def test_a_study_that_goes_on_drops_no_arm_of_which_other_seeds_are_there():
    todo = {key for key in KEYS if key[-1] == "4" or key == "shift-0"}
    ran, gone, _, _ = run(0.5, 0.2, todo)
    assert "shift-0" in ran
    assert gone == todo - set(ran)


def test_sides_take_turns_and_no_reference_is_parted_from_its_strategy():
    order = [row["arm"] for row in in_turns([row for row in ROWS if row["seed"] == 0])]
    assert order == ["baseline", "m1", "drop", "clean", "m2", "noise", "shift", "m1 clean"]


@pytest.mark.parametrize(("wall", "slowness"), [(3.0, 3.0), (0.5, 1.0)])
def test_a_busy_machine_is_given_more_time_for_the_report(wall, slowness):
    pace = Pace(100.0, time.monotonic())
    pace.watch([record("m1-0", wall, 1.0)], ROWS)
    assert pace.slowness == slowness
    assert pace.left_s == pytest.approx(100 - REPORT_S * slowness, abs=0.5)
