"""Efforts on a model, from the command line: whose model it is, what is declared for both, what cannot be.

An option with `wraps` borrows the baseline's model, parameters and all, or the one that `of` names.
"""

from __future__ import annotations

from typing import Any

import pytest
from conftest import composed, options
from omegaconf import OmegaConf

from harness.commands.cli import main
from harness.data import Task
from harness.errors import BadInput
from harness.run.config import arm_of, baseline_of, plain
from harness.run.faults import find_faults
from harness.run.fitting import misfits
from harness.run.options import build, identity, lacks_of, layers, needs_of
from harness.run.specification import Trial
from harness.storage.places import conf_dir

EFFORTS = [name for name in options("model") if "wraps" in OmegaConf.load(conf_dir() / "model" / f"{name}.yaml")]
NETWORKED = [name for name in EFFORTS if "network" in OmegaConf.load(conf_dir() / "model" / f"{name}.yaml")]
MLP = "model@baseline.model=mlp"


@pytest.fixture(scope="module")
def table() -> Task:
    return build(plain(composed("task=table").task)).split(0)


def model(*overrides: str) -> dict[str, Any]:
    return arm_of(composed(*overrides))["model"]


def test_the_efforts_are_there() -> None:
    assert {"tuned", "ensemble", "early_stopping", "co_teaching", "gce", "label_smoothing"} <= set(EFFORTS)


@pytest.mark.parametrize("name", EFFORTS)
def test_an_effort_is_on_the_baselines_model_with_the_baselines_parameters(name: str) -> None:
    node = model(f"model={name}", MLP, "baseline.model.network.width=33")
    network = node["network"] if name in NETWORKED else node["learner"]["network"]
    assert network["width"] == 33
    assert not {"wraps", "of", "space"} & set(identity(node))
    assert find_faults(composed(f"model={name}", MLP)) == []


@pytest.mark.parametrize("name", EFFORTS)
def test_of_names_another_model_and_nothing_of_the_baselines_is_left(name: str) -> None:
    node = model(f"model={name}", MLP, "+model@model.of=lenet")
    network = node["network"] if name in NETWORKED else node["learner"]["network"]
    assert network == {"_target_": "harness.learners.nets.lenet", "_partial_": True}
    own = model(f"model={name}", "model@baseline.model=lenet")
    assert identity(node) == identity(own), "it is the same trial, however its model was named"


def test_efforts_on_efforts() -> None:
    node = model("model=tuned", MLP, "+model@model.of=gce")
    assert [layer["_target_"].rpartition(".")[2] for layer in layers(node)] == ["tuned", "fit_with_loss", "fit_network"]
    assert node["learner"]["network"]["width"] == 128
    assert "network.width" in node["over"], "what may be tuned of the network may be tuned of the network with a loss"


@pytest.mark.parametrize("name", EFFORTS)
def test_the_baseline_cannot_be_an_effort_on_itself_but_one_on_another(name: str) -> None:
    lines = find_faults(composed(f"model@baseline.model={name}"))
    assert lines == [
        "baseline.model is an effort that trains the baseline's model, and cannot be that model itself: "
        "choose one with +model@baseline.model.of=NAME"
    ]
    other = composed(f"model@baseline.model={name}", "+model@baseline.model.of=mlp")
    assert find_faults(other) == []
    assert identity(baseline_of(other)["model"]) == identity(model(f"model={name}", MLP))


@pytest.mark.parametrize("name", NETWORKED)
def test_a_baseline_without_a_network_is_told(name: str) -> None:
    line = "model needs a model with a network, which the baseline's model lacks: choose one with +model@model.of=NAME"
    cfg = composed(f"model={name}", "model@baseline.model=random_forest")
    assert find_faults(cfg) == [line]
    with pytest.raises(BadInput, match="needs a model with a network"):
        arm_of(cfg)


def test_what_the_model_of_the_baseline_misses_is_told_once() -> None:
    assert find_faults(composed("model=gce", "model@baseline.model=transformer")) == [
        "baseline.model.network.path is required: set baseline.model.network.path=…"
    ]


def test_what_the_wrapped_model_declares_holds_for_the_effort(table: Task) -> None:
    node = model("model=ensemble", MLP, "+model@model.of=tuned")
    assert needs_of(node) == {"tuning"}
    assert {"missing_values", "dynamics"} <= lacks_of(node)
    lines = misfits({"model": model("model=ensemble", "model@baseline.model=lenet")}, table)
    assert lines == ["model (lenet) is for image; task table is table"]
    missing = {**node, "wraps": {**node["wraps"], "extra": {"no_such_module": "tuning"}}}
    assert "needs no_such_module, which is not installed" in "\n".join(misfits({"model": missing}, table))


def test_early_stopping_needs_a_model_that_trains_in_steps(table: Task) -> None:
    node = model("model=early_stopping", "model@baseline.model=logistic_regression")
    assert misfits({"model": node}, table) == [
        "logistic_regression cannot take a look at its training, which is not in steps, "
        "which model (early_stopping) asks of it"
    ]


@pytest.mark.parametrize(
    ("over", "line"),
    [
        ("{}", "model (tuned) with mlp: there is nothing to search"),
        (
            "{network.widht:{low:1,high:2}}",
            "model (tuned) with mlp: 'network.widht' cannot be set: mlp has no parameter",
        ),
        ("{protocol.steps:{low:1,high:2}}", "model (tuned) with mlp: 'protocol.steps' cannot be tuned by an arm"),
        ("{network.width:{low:9,high:2}}", "model (tuned) with mlp: network.width is searched in"),
    ],
)
def test_a_space_that_is_none_is_refused_before_anything_runs(table: Task, over: str, line: str) -> None:
    lines = misfits({"model": model("model=tuned", MLP, f"model.over={over}")}, table)
    assert len(lines) == 1
    assert lines[0].startswith(line)


def test_a_space_of_ones_own_takes_the_place_of_the_models() -> None:
    assert list(model("model=tuned", MLP, "model.over={network.width:{low:1,high:2}}")["over"]) == ["network.width"]


def test_the_number_of_trials_is_in_the_key_of_what_tunes_alone() -> None:
    def key(*overrides: str) -> str:
        cfg = composed("task=table", MLP, *overrides)
        return Trial(plain(cfg.task), arm_of(cfg), plain(cfg.baseline.model), plain(cfg.protocol), "data", 0).key

    more = "protocol.tuning_trials=7"
    assert key("model=tuned") != key("model=tuned", more)
    assert key("model=ensemble", "+model@model.of=tuned") != key("model=ensemble", "+model@model.of=tuned", more)
    assert key("model=gce") == key("model=gce", more)


@pytest.mark.parametrize(
    "words",
    [
        ["model=gce"],
        ["model=co_teaching", "model.tau=0.4"],
        ["model=ensemble", "model.members=2", "+model@model.of=gce"],
        ["model=early_stopping"],
        ["model=tuned", "protocol.tuning_trials=2", "+model@model.of=logistic_regression"],
    ],
    ids=" ".join,
)
def test_a_trial_from_the_command_line(words: list[str], tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["task=table", MLP, "protocol.steps=10", "track=none", f"store={tmp_path}", f"cache={tmp_path / 'cache'}"]
    assert main([*words, *common]) == 0
    said = capsys.readouterr()
    assert (
        f"{' '.join(word.lstrip('+') for word in words if word.startswith(('model', '+')))}, seed 0: accuracy"
        in said.out
    )
    assert said.err.splitlines() == ["  train: 569 rows, gold labels: benign 357, malignant 212"]
