"""Studies: what a study file asks for, what is refused before anything runs."""

from __future__ import annotations

import pytest
from conftest import composed
from omegaconf import OmegaConf

from harness.config import baseline_of
from harness.errors import BadInput
from harness.store import Store
from harness.sweeper import arms_of, as_plan, factorial, plain_overrides, plan_study, seeds_of, unfinished
from harness.terminal import time_left

BASE = ["task.n_train=120", "protocol.steps=5", "model@baseline.model=mlp"]


def study(**changes):
    content = {
        "study": "s",
        "arms": ["clean=confident", ["model=mlp", "model.network.width=8"]],
        "seeds": [0, 1],
        "design": "one_factor",
    }
    cfg = composed(*BASE)
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
    assert "model has no parameter 'network.wdth': did you mean 'network.width'?" in lines[2]


def test_every_arm_that_does_not_fit_is_told():
    with pytest.raises(BadInput) as caught:
        plan_study(study(arms=["augment=swap", "augment=word_dropout", "augment=shift"]), BASE, compose)
    assert [line.split(" is for")[0] for line in str(caught.value).splitlines()] == [
        "augment (swap)",
        "augment (word_dropout)",
    ]


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
    with pytest.raises(BadInput, match=r"say model@baseline\.model=mlp"):
        plain_overrides(["experiments=quickstart", "model=mlp"])


def test_the_plan_says_what_the_study_is_and_not_where_it_ran():
    content = as_plan(study(), plan_study(study(), BASE, compose))
    assert content["arms"] == ["baseline", "clean=confident", "model=mlp model.network.width=8"]
    assert content["seeds"] == [0, 1]
    assert len(content["trials"]) == 6
    assert set(content["baseline"]) == set(baseline_of(study()))


def test_finished_trials_are_skipped_and_failed_ones_on_request_tried_again(tmp_path):
    store = Store(tmp_path)
    store.fetch("done", lambda keep: keep({"key": "done", "status": "done"}))
    store.fetch("failed", lambda keep: keep({"key": "failed", "status": "failed"}))
    assert [unfinished(store, key, False) for key in ("done", "failed", "new")] == [False, False, True]
    assert [unfinished(store, key, True) for key in ("done", "failed", "new")] == [False, True, True]


def test_the_estimate_follows_the_pace():
    assert time_left(10.0, 0, 5) == "no estimate yet"
    assert time_left(10.0, 2, 5) == "about 15 s left"
    assert time_left(600.0, 1, 3) == "about 20 min left"
    assert time_left(10.0, 5, 5) == "done"


def test_arms_are_lists_of_overrides_with_the_baseline_first():
    assert arms_of(study()) == [(), ("clean=confident",), ("model=mlp", "model.network.width=8")]
