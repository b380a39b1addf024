"""`harness plan`: what it tells of a pilot, what it costs, and what it refuses, on records made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from studies import key, made_test_set, record, row_of, shown, write

from harness.analysis.power import Need, VerdictPilot, mde, pilot, pilot_arms, seeds_needed, verdict_pilot
from harness.analysis.records import join
from harness.commands.plan import Line, PlanCost, Wish, bill, command, needs, plan_text, wish_of
from harness.errors import BadInput
from harness.storage.store import Store

ACCURACY = {"baseline": 0.8, "clean=good": 0.85, "model=same": 0.8, "model=big model.w=2": 0.83}
TEST = made_test_set(300, 3)
WISH = Wish(effect=2.0, power=0.8, alpha=0.05, cores=2)


def study(
    folder: Path, seeds: int = 4, fails: tuple[str, ...] = (), missing: tuple[str, ...] = (), **changes: object
) -> Store:
    """A study with its plan: arms of `fails` fail on every seed, those `missing` have no record."""
    store, rows = Store(folder), []
    for arm, accuracy in ACCURACY.items():
        for seed in range(seeds):
            like = "baseline" if arm == "model=same" else arm
            found = None if arm in fails else shown(TEST, accuracy, like, str(seed))
            one = record(store, arm, seed, found, TEST)
            rows.append(one)
            if arm not in missing:
                write(store, one)
    plan = {"name": folder.name, "seeds": list(range(seeds)), "task": {"_target_": "harness.tasks.made.up"}}
    store.keep_plan({**plan, "trials": [row_of(one) for one in rows], **changes})
    return store


def lines_of(store: Store, wish: Wish = WISH) -> dict[str, Line]:
    return {line.arm: line for line in needs(join(store), wish)}


def said(capsys, *words: str) -> str:
    assert command(["plan", *words]) == 0
    return capsys.readouterr().out


def test_each_arm_is_told_what_its_own_variances_say(tmp_path):
    store = study(tmp_path / "made")
    lines = lines_of(store)
    assert list(lines) == list(ACCURACY)
    for arm in ("clean=good", "model=big model.w=2"):
        found = pilot(pilot_arms(join(store))[arm])
        assert lines[arm].found == mde(found, 4, power=0.8, alpha=0.05)
        assert lines[arm].need == seeds_needed(2.0, found, power=0.8, alpha=0.05)
        assert (lines[arm].fewest or Need(0)).seeds < lines[arm].need.seeds < (lines[arm].most or Need(0)).seeds
        assert lines[arm].more == lines[arm].need.seeds - 4
    assert (lines["clean=good"].wall_s, lines["clean=good"].cpu_s) == (1.5, 2.5)
    assert lines["baseline"] == Line("baseline", 4, 4, 1.5, 1.0)
    assert lines["model=same"].why == "nothing varies: it predicts what its controls predict"


def test_a_smaller_effect_takes_more_seeds_and_more_power_does_too(tmp_path):
    store = study(tmp_path / "made")
    usual = lines_of(store)["clean=good"].need.seeds
    assert lines_of(store, Wish(1.8, 0.8, 0.05, 2))["clean=good"].need.seeds > usual
    assert lines_of(store, Wish(2.0, 0.95, 0.05, 2))["clean=good"].need.seeds > usual
    assert lines_of(store, Wish(2.0, 0.8, 0.01, 2))["clean=good"].need.seeds > usual


LINES = [
    Line("baseline", 5, 5, wall_s=10.0, cpu_s=8.0),
    Line("a", 5, 5, 20.0, 16.0, found=2.0, need=Need(12), fewest=Need(8), most=Need(40)),
    Line("b", 3, 5, 30.0, 24.0, found=2.5, need=Need(6), fewest=Need(4), most=Need(20)),
    Line("c", 5, 5, 40.0, 32.0, found=0.9, need=Need(3), fewest=Need(2), most=Need(9)),
    Line("d", 5, 5, 50.0, 40.0, found=9.0, need=Need(None, "no number of seeds: it takes more", 700), fewest=Need(None), most=Need(None)),
    Line("e", 0, 5, 0.0, 0.0, why="no trial has a delta; 5 failed, the first: boom"),
]  # fmt: skip
PLAN = {"name": "made", "seeds": [0, 1, 2, 3, 4], "task": {}}


def test_the_bill_counts_the_controls_of_new_seeds_once():
    """`a` lacks 7 seeds and `b` 3: controls for 7 new seeds; seconds 7*10 + 7*20 + 3*30 and 7*8 + 7*16 + 3*24."""
    assert [line.more for line in LINES] == [0, 7, 3, 0, 0, 0]
    assert bill(LINES, {"a": 12, "b": 8}) == PlanCost(trials=17, controls=7, wall_s=300.0, cpu_s=240.0)
    assert bill(LINES, {}) == PlanCost(0, 0, 0.0, 0.0)


def test_the_table_says_what_is_needed_and_the_exact_command():
    text = plan_text(PLAN, LINES, WISH, "results")
    rows = {row.split()[0]: row.split()[1:] for row in text.splitlines()[3:8]}
    assert rows["a"] == ["5", "2.00", "12", "8", "to", "40", "7", "70", "s"]
    assert rows["b"] == ["3", "2.50", "6", "4", "to", "20", "3", "45", "s"]
    assert rows["c"] == ["5", "0.90", "3", "2", "to", "9", "-", "-"]
    assert rows["d"] == ["5", "9.00", ">", "700", "test", "examples", "-", "-", "-"]
    assert rows["e"] == ["0", "-", "-", "-", "-", "-"]
    lines = text.splitlines()
    assert lines[0] == "made: to find 2 points with power 0.8 at level 0.05"
    assert "Where test examples are asked for, no number of seeds." in lines
    assert "e: no trial has a delta; 5 failed, the first: boom." in lines
    assert "In all: 10 trials and 7 controls, about 2.5 min on 2 cores (4.0 min of processor time)." in lines
    assert "To go on, with whatever else the study was started with:  harness -m experiments=made seeds=12" in lines
    # All six lines get 7 trials more: 7 * (10 + 20 + 30 + 40 + 50 + 0) = 1050 s on one core.
    assert "That brings every arm to 12 seeds: 42 trials, about 8.8 min." in lines


def test_widths_of_the_table_are_equal():
    table = plan_text(PLAN, LINES, WISH, "results").splitlines()[2:8]
    assert len({len(row) for row in table}) == 1


@pytest.mark.parametrize(
    ("changes", "where", "command"),
    [
        ({"task": {"path": None}}, "results", "experiments=made seeds=12 task.path=FOLDER"),
        ({"seeds": [3, 8]}, "results", "experiments=made 'seeds=[3,8,9,10,11,12,13,14,15,16,17,18]'"),
        ({}, "my results", "experiments=made seeds=12 'store=my results'"),
        ({"precision": {"level": 0.975}}, "results", "experiments=made precision.max_seeds=12"),
    ],
)
def test_the_command_says_what_the_study_must_be_told(changes, where, command):
    assert f"  harness -m {command}\n" in plan_text({**PLAN, **changes}, LINES, WISH, where)


def test_a_study_that_has_all_it_needs_is_told_so(tmp_path, capsys):
    study(tmp_path / "made")
    out = said(capsys, "made", "--effect", "40", f"store={tmp_path}")
    assert "No seeds to add." in out
    assert "harness -m" not in out


def test_the_command_from_end_to_end(tmp_path, capsys):
    study(tmp_path / "made", fails=("model=big model.w=2",))
    out = said(capsys, "made", "--effect", "2", f"--store={tmp_path}", "cores=3")
    assert out.startswith(
        "made: to find 2 points with power 0.8 at level 0.0167 (0.05 over 3 arms, as the table adjusts)\n"
    )
    assert "model=big model.w=2: no trial has a delta; 4 failed, the first: the loss is not finite at step 3." in out
    assert " on 3 cores (" in out
    need = lines_of(Store(tmp_path / "made"), Wish(2.0, 0.8, 0.05 / 3, 2))["clean=good"].need
    assert f"harness -m experiments=made seeds={need.seeds}" in out
    assert out == said(capsys, "made", "effect=2", f"store={tmp_path}", "cores=3")


def test_a_study_of_several_looks_is_planned_at_its_own_level(tmp_path, capsys):
    study(tmp_path / "made", precision={"half_width": 1.0, "looks": [2, 4], "level": 0.975})
    assert "at level 0.00833 (0.025 over 3 arms, as the table adjusts)\n" in said(
        capsys, "made", "effect=2", f"store={tmp_path}"
    )
    assert "at level 0.05\n" in said(capsys, "made", "effect=2", "level=0.05", f"store={tmp_path}")


def test_trials_that_were_not_run_yet_are_counted(tmp_path):
    lines = lines_of(study(tmp_path / "made", missing=("clean=good",)))
    assert lines["clean=good"].why == "no trial has a delta; none was run yet"


def test_records_that_the_plan_does_not_hold_are_left_out(tmp_path):
    store = study(tmp_path / "made")
    before = lines_of(store)
    write(store, record(store, "clean=old", 0, shown(TEST, 0.5, "old"), TEST))
    assert lines_of(store) == before


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["made"], "give the effect to detect, in points: harness plan NAME --effect 0.5"),
        ([], "name a study: harness plan NAME"),
        (["made", "other", "effect=1"], "name a study"),
        (["made", "--effect", "0"], "effect is 0: it must be a number of points above 0"),
        (["made", "--effect=-1"], "effect is -1: it must be a number of points above 0"),
        (["made", "effect=half"], "effect is 'half': it must be a number"),
        (["made", "effect=nan"], "effect is 'nan': it must be a finite number"),
        (["made", "effect=1", "power=1"], "power is 1: it must lie between level"),
        (["made", "effect=1", "power=0.01"], "power is 0.01: it must lie between level"),
        (["made", "effect=1", "level=0.95"], "level is 0.95: the rate of false positives must be above 0"),
        (["made", "effect=1", "cores=0"], "cores is 0: it must be a whole number, 1 or more"),
        (["made", "effct=1"], "plan has no option 'effct'; did you mean 'effect'?"),
        (["maed", "effect=1"], "no records of a study 'maed' in .*; did you mean 'made'?"),
    ],
)
def test_wrong_words_are_told(tmp_path, words, line):
    study(tmp_path / "made", seeds=2)
    with pytest.raises(BadInput, match=line.replace("?", r"\?")):
        command(["plan", *words, f"store={tmp_path}"])


def test_a_pilot_of_one_seed_is_told(tmp_path):
    study(tmp_path / "made", seeds=1)
    with pytest.raises(BadInput, match="'made': one seed does not show how much retraining changes; run two seeds"):
        command(["plan", "made", "effect=1", f"store={tmp_path}"])


def test_an_arm_with_one_seed_among_others_is_told(tmp_path):
    store = study(tmp_path / "made")
    for seed in (1, 2, 3):
        (store.folder / "trials" / f"{key('clean=good', seed)}.json").unlink()
    lines = lines_of(store)
    assert lines["clean=good"].why == "one seed does not show how much retraining changes"
    assert lines["model=big model.w=2"].need is not None


def test_a_study_without_records_is_told(tmp_path):
    study(tmp_path / "made", missing=tuple(ACCURACY))
    with pytest.raises(BadInput, match="'made' has no record of a trial of its plan: run the study first"):
        command(["plan", "made", "effect=1", f"store={tmp_path}"])


def test_a_study_that_failed_throughout_is_told(tmp_path):
    study(tmp_path / "made", fails=tuple(ACCURACY))
    with pytest.raises(BadInput, match="all 16 trials of 'made' failed, the first: the loss is not finite at step 3"):
        command(["plan", "made", "effect=1", f"store={tmp_path}"])


def test_a_study_whose_controls_failed_is_told(tmp_path):
    study(tmp_path / "made", fails=("baseline",))
    with pytest.raises(BadInput, match="no trial has a delta to a control"):
        command(["plan", "made", "effect=1", f"store={tmp_path}"])


def test_trials_that_were_run_one_by_one_are_no_study(tmp_path):
    store = Store(tmp_path / "single")
    write(store, record(store, "baseline", 0, shown(TEST, 0.8, "b"), TEST))
    with pytest.raises(BadInput, match="the trials of 'single' were run one by one"):
        command(["plan", "single", "effect=1", f"store={tmp_path}"])


def test_the_usual_wish():
    wish = wish_of({"effect": "0.5"}, 0.05, 4)
    assert (wish.effect, wish.power, wish.alpha) == (0.5, 0.8, 0.05 / 4)
    assert wish.whole == 0.05
    assert wish.cores >= 1
    assert np.isclose(wish_of({"effect": "1", "level": "0.1", "power": "0.9", "cores": "7"}, 0.05, 4).alpha, 0.1)


def test_the_verdict_is_planned_by_the_pair_that_validation_chooses(tmp_path, capsys):
    store = study(tmp_path / "made", seeds=5)
    found = verdict_pilot(join(store))
    assert isinstance(found, VerdictPilot)
    assert (found.model, found.data) == ("model=big model.w=2", "clean=good")
    out = said(capsys, "made", "effect=3", f"store={tmp_path}")
    need = seeds_needed(3.0, found.pilot, power=0.8, alpha=0.05)
    assert f"The verdict now: clean=good minus model=big model.w=2 is {found.difference:+.2f} points." in out
    asked = f"decided by {need.seeds:,} seeds" if need.seeds else f"takes more than {need.examples:,} test examples"
    assert asked in out


def test_a_study_without_two_sides_has_no_verdict_to_plan(tmp_path, capsys):
    study(tmp_path / "made", missing=("model=big model.w=2", "model=same"))
    assert "The verdict cannot be planned: No verdict: no complete arm changes the model alone" in said(
        capsys, "made", "effect=3", f"store={tmp_path}"
    )


def test_a_study_whose_rows_come_in_groups_is_asked_for_groups(tmp_path, capsys):
    """The number that a plan names is one of groups, not of rows."""
    test, store = replace(TEST, groups=np.arange(300) // 5), Store(tmp_path / "made")
    rows = []
    for arm in ACCURACY:
        for seed in range(3):
            rows.append(record(store, arm, seed, shown(test, ACCURACY[arm], arm, str(seed)), test))
            write(store, rows[-1])
    store.keep_plan({"name": "made", "seeds": [0, 1, 2], "task": {}, "trials": [row_of(one) for one in rows]})
    out = said(capsys, "made", "effect=0.1", f"store={tmp_path}")
    assert "same 60 groups of test examples" in out
    assert "> " in out
    assert out.count("test examples") == out.count("groups of test examples")
