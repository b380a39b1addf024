"""Options: every YAML binds, every misspelling is told with the nearest right name, axes are derived."""

from __future__ import annotations

import json
from typing import get_args, get_type_hints

import pytest
from conftest import composed, options
from omegaconf import OmegaConf, open_dict

from harness.analysis.measures import MEASURES, measure
from harness.arm import FACTORS, REFERENCES, axis_of, factors_of
from harness.conformance.declarations import NEEDS
from harness.learners import Protocol
from harness.metrics import METRICS, OF_REPORTS
from harness.run.config import arm_of, baseline_of
from harness.run.faults import find_faults
from harness.run.options import FAMILIES, identity
from harness.storage.places import conf_dir, content_of

ALL = [(group, name) for group in ("task", *FACTORS, "track") for name in options(group)]
MODALITIES = {"image", "text", "table"}


@pytest.mark.parametrize(("group", "name"), ALL)
def test_every_option_binds_to_its_function(group, name):
    cfg = composed(f"{group}={name}")
    required = [f"{key} is required" for key in OmegaConf.missing_keys(cfg[group])]
    assert [line for line in find_faults(cfg) if not line.startswith(tuple(required) or "\0")] == []


@pytest.mark.parametrize(("group", "name"), [pair for pair in ALL if pair[0] in FACTORS])
def test_every_option_says_what_it_is_and_what_it_fits(group, name):
    path = conf_dir() / group / f"{name}.yaml"
    assert path.read_text().startswith("# "), "the first line says what the option does"
    node = composed(f"{group}={name}")[group]  # an effort takes some of its declarations from the option within
    assert set(node.fits) <= MODALITIES
    assert node.fits
    assert node._partial_ is True
    assert set(node.get("needs", [])) <= set(NEEDS)
    assert node.get("reference_kind") in (None, *REFERENCES)
    assert node.get("family") in FAMILIES[group], "name the family among which the option is listed"


def test_a_misspelt_parameter_is_told_with_the_nearest_right_one():
    cfg = composed("clean=oracle", "+clean.fnd=random", "model=mlp")
    lines = find_faults(cfg)
    assert any(line.startswith("clean has no parameter 'fnd'; did you mean 'find'?") for line in lines)


def test_all_faults_come_at_once():
    cfg = composed("task=wrench", "model=mlp", "+model.netwrk=1", "+protocol.epoch=3", "protocol.selection=best_one")
    lines = "\n".join(find_faults(cfg))
    for part in (
        "task.path is required",
        "model has no parameter 'netwrk'",
        "protocol has no parameter 'epoch'",
        "did you mean 'best'",
    ):
        assert part in lines


def test_a_target_that_is_not_there_is_told():
    cfg = composed("clean=confident", "clean._target_=harness.strategies.clean.confidnt")
    assert any("clean: cannot find harness.strategies.clean.confidnt" in line for line in find_faults(cfg))


def test_nested_functions_are_bound_too():
    cfg = composed("clean=random_drop")
    with open_dict(cfg):
        cfg.clean.like.filter = "both"
    assert any(line.startswith("clean.like has no parameter 'filter'") for line in find_faults(cfg))


def test_a_factor_that_is_not_chosen_is_the_baselines_with_its_parameters():
    cfg = composed("augment@baseline.augment=shift", "baseline.augment.padding=0.25", "clean=confident")
    arm = arm_of(cfg)
    assert arm["augment"]["padding"] == 0.25
    assert factors_of(arm, baseline_of(cfg)) == ("clean",)


@pytest.mark.parametrize(
    ("factors", "axis"),
    [
        ((), "none"),
        (("model",), "model"),
        (("weak",), "data"),
        (("clean", "augment"), "data"),
        (("model", "augment"), "both"),
    ],
)
def test_the_axis_is_derived(factors, axis):
    assert axis_of(factors) == axis


def test_declarations_are_no_part_of_an_identity():
    node = {
        "_target_": "a.b",
        "fits": ["image"],
        "reference_kind": "negative_control",
        "needs": [],
        "k": 3,
        "like": {"fits": [], "z": 1},
    }
    assert identity(node) == {"_target_": "a.b", "k": 3, "like": {"z": 1}}


def test_a_number_is_the_same_number_however_it_is_written():
    one, other = identity({"lr": 1.0, "on": True, "p": [0.5]}), identity({"lr": 1, "on": True, "p": [0.5]})
    assert json.dumps(one) == json.dumps(other) == '{"lr": 1, "on": true, "p": [0.5]}'


def test_places_are_replaced_by_what_lies_there(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "w.bin").write_bytes(b"weights")
    one, two = (identity({"path": str(tmp_path / name)}, content_of) for name in ("one", "two"))
    assert one == two
    (tmp_path / "two" / "w.bin").write_bytes(b"other")
    assert identity({"path": str(tmp_path / "two")}, content_of) != one
    assert identity({"path": "org/name-on-a-hub"}, content_of) == {"path": "org/name-on-a-hub"}


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("protocol.metric=acuracy", "protocol.metric is 'acuracy'; did you mean 'accuracy'?"),
        ("protocol.lr=fast", "protocol.lr is 'fast': it must be a number"),
        ("task.n_train=all", "task.n_train is 'all': it must be a whole number or null"),
        ("seed=x", "seed is 'x': it must be a whole number"),
        ("seed=-1", "seed is -1: it must be a whole number"),
    ],
)
def test_a_value_of_the_wrong_type_is_told(override, line):
    assert [fault for fault in find_faults(composed(override)) if fault.startswith(line)]


@pytest.mark.parametrize("name", [*OF_REPORTS, "neg_brier_score", "neg_log_loss"])
def test_a_metric_that_only_reports_know_is_refused_with_what_to_do(name):
    """Training chooses by predicted classes; every other metric of a report answers after any run."""
    (line,) = find_faults(composed(f"protocol.metric={name}"))
    asked = {"neg_brier_score": "brier", "neg_log_loss": "log_loss"}.get(name, name)
    assert f"; {asked} is a metric of reports: run the study by one of these, then harness report NAME " in line
    assert f"metric={asked} gives" in line
    assert measure(asked)


def test_the_protocols_metrics_are_those_there_are():
    assert set(get_args(get_type_hints(Protocol)["metric"])) == set(METRICS)
    assert {*METRICS, *OF_REPORTS} == set(MEASURES)
