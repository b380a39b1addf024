"""Studies: what a study file asks for, what is refused before anything runs."""

from __future__ import annotations

import importlib.util
from functools import cache

import pytest
from conftest import composed
from omegaconf import OmegaConf
from studies import key, made_test_set, record, write

from harness.analysis.power import plan_level
from harness.commands.study import (
    Precision,
    arms_of,
    as_plan,
    cross_arms,
    factorial,
    first_seeds,
    in_blocks,
    is_unfinished,
    plain_overrides,
    plan_study,
    possible_seeds,
    precision_of,
    seeds_of,
)
from harness.commands.terminal import time_left
from harness.errors import BadInput
from harness.run.config import baseline_of
from harness.storage.places import install_command
from harness.storage.store import Store

BASE = ["task.n_train=120", "protocol.steps=5", "model@baseline.model=mlp"]


@cache
def small():
    return composed(*BASE)


def study(**changes):
    content = {
        "study": "s",
        "arms": ["clean=confident", ["model=mlp", "model.network.width=8"]],
        "seeds": [0, 1],
        "design": "one_factor",
    }
    cfg = small().copy()
    OmegaConf.set_struct(cfg, False)
    return OmegaConf.merge(cfg, {**content, **changes})


def compose(said):
    return composed(*said)


def test_one_factor_runs_the_listed_arms_after_the_controls():
    plan = plan_study(study(), BASE, compose)
    assert [(item.row["arm"], item.row["seed"]) for item in plan] == [
        ("baseline", 0), ("baseline", 1), ("clean=confident", 0), ("clean=confident", 1),
        ("model=mlp model.network.width=8", 0), ("model=mlp model.network.width=8", 1),
    ]  # fmt: skip
    controls = {item.row["seed"]: item.row["key"] for item in plan if item.is_control}
    assert all(item.row["control"] == controls[item.row["seed"]] for item in plan)
    assert len({item.row["key"] for item in plan}) == 6
    assert [item.row["axis"] for item in plan][::2] == ["none", "data", "model"]


def test_trials_run_seed_by_seed_with_each_control_before_its_arms():
    plan = plan_study(study(arms=["clean=confident", "augment=shift", "model=lenet"], seeds=[4, 2, 3]), BASE, compose)
    order = [(item.row["arm"].partition("=")[2] or "control", item.row["seed"]) for item in in_blocks(plan)]
    assert order == [
        ("control", 4), ("confident", 4), ("control", 2), ("shift", 4), ("lenet", 4),
        ("shift", 2), ("control", 3), ("lenet", 2), ("confident", 2),
        ("lenet", 3), ("confident", 3), ("shift", 3),
    ]  # fmt: skip
    some = [item for item in plan if item.row["seed"] != 2 and not item.is_control]
    assert sorted(item.row["key"] for item in in_blocks(some)) == sorted(item.row["key"] for item in some)
    assert in_blocks([]) == []


def test_a_factorial_crosses_factors_and_keeps_the_marginal_arms():
    arms = factorial([("model=a",), ("model=b", "model.w=1"), ("clean=c",)])
    assert sorted(arms) == sorted(
        [
            ("model=a",),
            ("model=b", "model.w=1"),
            ("clean=c",),
            ("model=a", "clean=c"),
            ("model=b", "model.w=1", "clean=c"),
        ]
    )


def test_a_factorial_of_arms_that_share_a_factor_is_refused():
    with pytest.raises(BadInput, match="share the factor clean"):
        factorial([("clean=a",), ("clean=b", "model=c")])


GROUPS = [[("model=a",), ("model=b", "model.w=1")], [("weak=c",)], [("augment=d",)]]


def test_crossed_groups_give_every_combination_of_at_most_one_choice_each():
    arms = cross_arms(GROUPS, [()])
    assert [" ".join(arm) for arm in arms] == [
        "augment=d",
        "weak=c",
        "weak=c augment=d",
        "model=a",
        "model=a augment=d",
        "model=a weak=c",
        "model=a weak=c augment=d",
        "model=b model.w=1",
        "model=b model.w=1 augment=d",
        "model=b model.w=1 weak=c",
        "model=b model.w=1 weak=c augment=d",
    ]


def test_a_crossed_arm_that_is_listed_in_another_order_is_the_listed_one():
    listed = [("weak=c",), ("weak=c", "model=a"), ("model.w=1", "model=b")]
    arms = cross_arms(GROUPS, [(), *listed])
    assert len(arms) == 11 - 3
    assert not {frozenset(arm) for arm in arms} & {frozenset(arm) for arm in listed}


def test_labels_follow_the_factors_whatever_the_order_of_the_groups():
    assert cross_arms(GROUPS[::-1], [()])[-1] == ("model=b", "model.w=1", "weak=c", "augment=d")
    assert len(cross_arms(GROUPS[::-1], [()])) == 11


def test_a_study_runs_what_it_lists_and_what_it_crosses():
    found = arms_of(study(arms=["clean=confident"], cross=[["model=resnet8"], ["clean=confident", "clean=oracle"]]))
    assert [" ".join(arm) for arm in found] == [
        "",
        "clean=confident",
        "clean=oracle",
        "model=resnet8",
        "model=resnet8 clean=confident",
        "model=resnet8 clean=oracle",
    ]
    plan = plan_study(study(arms=[], cross=[["model=lenet"], [["clean=confident"]]]), BASE, compose)
    assert [item.row["axis"] for item in plan][::2] == ["none", "data", "model", "both"]
    assert as_plan(study(cross=[["model=lenet"], [["clean=confident"]]]), plan)["cross"] == [
        ["model=lenet"],
        ["clean=confident"],
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cross": 5}, "cross is 5: it must be a list of groups"),
        ({"cross": ["model=mlp"]}, "group 1 is 'model=mlp': it must be a list of arms"),
        ({"cross": [["model=lenet"], []]}, "group 2 is empty: it must be a list of arms"),
        ({"cross": [["modle=lenet"]]}, r"modle=lenet chooses 'modle', which is not a factor; did you mean 'model'\?"),
        ({"cross": [["salt=a"]]}, "chooses 'salt', which is not a factor \\(choose from: augment, clean, model, weak"),
        ({"cross": [["model=lenet", 3]]}, "3 is not an arm"),
        ({"cross": [["model=lenet", "model=lenet"]]}, "group 1 lists model=lenet twice"),
        ({"cross": [[["clean=oracle", "+clean.k=3"], ["+clean.k=3", "clean=oracle"]]]}, "group 1 lists .* twice"),
        (
            {"cross": [["model=lenet"], ["weak=a"], [["clean=b", "model=c"]]]},
            "groups 1 and 3 share the factor model",
        ),
        ({"cross": [["model=lenet"]], "design": "factorial"}, "a factorial crosses all of its arms already"),
    ],
)
def test_what_cannot_be_crossed_is_refused(changes, message):
    with pytest.raises(BadInput, match=message):
        arms_of(study(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": []}, "has no arms"),
        ({"arms": ["task=table"]}, "arm 'task=table' changes what all arms share"),
        ({"arms": ["protocol.lr=1"]}, "changes what all arms share"),
        ({"arms": ["clean=confident", "clean=confident"]}, "lists an arm twice: clean=confident"),
        ({"arms": ["model=mlp"]}, "arm 'model=mlp' is the same trial as 'baseline'"),
        ({"design": "latin"}, "must be one_factor or factorial"),
        ({"seeds": []}, "must be a list of whole numbers"),
        ({"seeds": [0, 0]}, "names a seed twice"),
        ({"seeds": ["a"]}, "must be a list of whole numbers"),
    ],
)
def test_what_is_no_study_is_refused(changes, message):
    with pytest.raises(BadInput, match=message):
        plan_study(study(**changes), BASE, compose)


def test_all_faults_of_all_arms_come_at_once():
    arms = [
        "clean=confidnt",
        ["clean=oracle", "+clean.kk=3"],
        ["model=resnet8", "model.network.wdth=3"],
        "augment=swap",
    ]
    with pytest.raises(BadInput) as caught:
        plan_study(study(arms=arms), BASE, compose)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "did you mean 'confident'?" in lines[0]
    assert "clean has no parameter 'kk'" in lines[1]
    assert "model has no parameter 'network.wdth'; did you mean 'network.width'?" in lines[2]


def test_every_arm_that_does_not_fit_is_told():
    with pytest.raises(BadInput) as caught:
        plan_study(study(arms=["augment=swap", "augment=word_dropout", "augment=shift"]), BASE, compose)
    assert [line.split(" is for")[0] for line in str(caught.value).splitlines()] == [
        "augment (swap)",
        "augment (word_dropout)",
    ]


@pytest.fixture
def without_snorkel(monkeypatch):
    """The core alone: the package of the extra `weak` is absent."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "snorkel" else real(name))


def test_arms_whose_package_is_absent_are_left_out_with_the_line_that_installs_it(without_snorkel, tmp_path, capsys):
    asked = study(
        arms=["clean=confident", "weak=label_model", ["model=lenet", "weak=label_model"]], store=str(tmp_path)
    )
    plan = plan_study(asked, BASE, compose)
    assert {item.row["arm"] for item in plan} == {"baseline", "clean=confident"}
    lines = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert lines == [
        "left out, 2 of the arms: weak (label_model) needs snorkel, which is not installed: "
        f"{install_command('weak')} (weak=label_model, model=lenet weak=label_model)"
    ]
    assert as_plan(asked, plan)["left_out"] == ["weak=label_model", "model=lenet weak=label_model"]
    assert "left_out" not in as_plan(study(), plan_study(study(), BASE, compose))


def test_an_absent_package_hides_no_other_fault_and_no_record(without_snorkel, tmp_path):
    both = ["weak=label_model", "augment=swap"]
    with pytest.raises(BadInput, match=r"augment \(swap\) is for text"):
        plan_study(study(arms=["clean=confident", both], store=str(tmp_path)), BASE, compose)
    with pytest.raises(BadInput, match=r"left out, 1 of the arms: weak \(label_model\) needs snorkel"):
        plan_study(study(arms=["weak=label_model"], store=str(tmp_path)), BASE, compose)
    base = [*BASE, "weak@baseline.weak=label_model"]
    with pytest.raises(BadInput, match=r"^weak \(label_model\) needs snorkel"):
        plan_study(study(arms=["clean=confident"], store=str(tmp_path)), base, compose)


def test_a_record_made_where_the_package_was_stays_in_the_plan(monkeypatch, tmp_path):
    asked = study(arms=["clean=confident", "weak=label_model"], store=str(tmp_path))
    whole = plan_study(asked, BASE, compose)
    [done, _] = [item for item in whole if item.row["arm"] == "weak=label_model"]
    store, test = Store(tmp_path / "s"), made_test_set(4, 2)
    made = {"key": done.row["key"], "trial": dict(done.head["trial"])}
    write(store, record(store, "weak=label_model", 0, test.y, test, **made))
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "snorkel" else real(name))
    left = [(item.row["arm"], item.row["seed"]) for item in plan_study(asked, BASE, compose)]
    assert ("weak=label_model", 0) in left
    assert ("weak=label_model", 1) not in left


def test_files_of_all_arms_are_read_before_anything_runs(tmp_path):
    (tmp_path / "answers.csv").write_text("row,worker,label\nnobody,ann,3\n")
    arms = [
        ["weak=crowd", f"weak.path={tmp_path}/answers.csv"],
        ["clean=edits", f"clean.path={tmp_path}/edits.csv"],
        ["weak=rules", f"weak.path={tmp_path}/rules.txt"],
        "augment=swap",
    ]
    with pytest.raises(BadInput) as caught:
        plan_study(study(arms=arms), BASE, compose)
    lines = str(caught.value).splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["augment", "weak", "clean", "weak"]
    assert "no answer belongs to a row of the training set" in lines[1]


def test_a_fault_that_all_arms_share_is_told_once():
    with pytest.raises(BadInput) as caught:
        plan_study(study(), [*BASE, "+task.pth=x"], compose)
    assert len(str(caught.value).splitlines()) == 1


def test_a_number_of_seeds_counts_from_zero():
    assert seeds_of(study(seeds=3)) == [0, 1, 2]


@pytest.mark.parametrize("argument", ["model=mlp,lenet", "task.n_train=range(3)"])
def test_a_sweep_beside_a_study_is_refused(argument):
    with pytest.raises(BadInput, match="a study lists its arms"):
        plain_overrides(["experiments=quickstart", argument])


def test_an_override_that_would_change_every_arm_is_refused():
    with pytest.raises(BadInput, match=r"write model@baseline\.model=mlp"):
        plain_overrides(["experiments=quickstart", "model=mlp"])


def test_the_plan_says_what_the_study_is_and_not_where_it_ran():
    content = as_plan(study(), plan_study(study(), BASE, compose))
    assert content["arms"] == ["baseline", "clean=confident", "model=mlp model.network.width=8"]
    assert content["seeds"] == [0, 1]
    assert len(content["trials"]) == 6
    assert set(content["baseline"]) == set(baseline_of(study()))


ASKED = {"half_width": 1, "max_seeds": 8}


def test_a_precision_fixes_its_looks_before_the_first_trial():
    asked = study(seeds=[3, 1], precision=ASKED)
    assert precision_of(study()) is None
    assert precision_of(asked) == Precision(1.0, (2, 4, 8))
    assert possible_seeds(asked) == [3, 1, 4, 5, 6, 7, 8, 9]
    assert possible_seeds(study()) == [0, 1]


def test_a_plan_keeps_its_precision_and_the_seeds_that_it_came_to():
    asked = study(arms=["clean=confident"], seeds=2, precision=ASKED)
    possible = plan_study(asked, BASE, compose)
    assert len(possible) == 16
    plan = as_plan(asked, first_seeds(possible, {"baseline": 4, "clean=confident": 2}))
    assert plan["precision"] == {"half_width": 1.0, "looks": [2, 4, 8], "level": pytest.approx(1 - 0.05 / 3)}
    assert plan_level(plan) == pytest.approx(0.98333, abs=1e-5)
    assert plan["seeds"] == [0, 1, 2, 3]
    assert [(row["arm"], row["seed"]) for row in plan["trials"]] == [
        ("baseline", 0), ("baseline", 1), ("baseline", 2), ("baseline", 3), ("clean=confident", 0), ("clean=confident", 1),
    ]  # fmt: skip
    assert (as_plan(study(), possible)["precision"], plan_level(as_plan(study(), possible))) == (None, 0.95)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": 1.0}, "precision is 1.0: it must be null or have half_width and max_seeds"),
        ({"precision": {"half_width": 1.0}}, "must be null or have half_width and max_seeds"),
        ({"precision": ASKED | {"halfwidth": 1}}, "must be null or have half_width and max_seeds"),
        ({"precision": ASKED | {"half_width": 0}}, "half_width is 0: it must be a number of points above 0"),
        ({"precision": ASKED | {"half_width": "1"}}, "half_width is '1': it must be a number of points above 0"),
        ({"precision": ASKED | {"half_width": True}}, "half_width is True: it must be a number"),
        ({"precision": ASKED | {"half_width": float("inf")}}, "half_width is inf: it must be a number"),
        ({"precision": ASKED | {"max_seeds": 1}}, "max_seeds is 1: it must be a whole number, 2 or more, as seeds has"),
        ({"precision": ASKED | {"max_seeds": 8.5}}, "max_seeds is 8.5: it must be a whole number"),
        ({"precision": ASKED, "seeds": [0]}, "precision needs two seeds to begin with"),
    ],
)
def test_what_is_no_precision_is_refused(changes, message):
    with pytest.raises(BadInput, match=message):
        plan_study(study(**changes), BASE, compose)


def test_finished_trials_are_skipped_and_failed_ones_on_request_tried_again(tmp_path):
    store, test = Store(tmp_path), made_test_set(4, 2)
    for one in (record(store, "baseline", 0, test.y, test), record(store, "clean=x", 0, None, test)):
        write(store, one)
    keys = (key("baseline", 0), key("clean=x", 0), key("clean=new", 0))
    assert [is_unfinished(store, one, False) for one in keys] == [False, False, True]
    assert [is_unfinished(store, one, True) for one in keys] == [False, True, True]


def test_the_estimate_follows_the_pace():
    arms = {"a0": "baseline", "a1": "baseline", "b0": "model=mlp", "b1": "model=mlp", "c0": "clean=confident"}
    assert time_left(10.0, {}, arms) == "no estimate yet"
    assert time_left(10.0, {"a0": 2.0, "b0": 18.0}, arms) == "about 19 s left"  # 2 + 18 + 18 s of work, two at a time
    assert time_left(600.0, {"a0": 600.0}, {"a0": "baseline", "a1": "baseline", "b0": "x"}) == "about 20 min left"
    assert time_left(10.0, dict.fromkeys(arms, 1.0), arms) == "done"


def test_arms_are_lists_of_overrides_with_the_baseline_first():
    assert arms_of(study()) == [(), ("clean=confident",), ("model=mlp", "model.network.width=8")]
