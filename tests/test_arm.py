"""What an arm is: levels by the identity of a trial, names by its overrides, and no way back from a name."""

from __future__ import annotations

import json

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from harness.arm import (
    FACTORS,
    SAME,
    Level,
    axis_of,
    brief_of,
    combine,
    distinct,
    factors_of,
    label_of,
    levels_of,
    may_win,
    names_of,
    reference_of,
)

BASE = {**dict.fromkeys(FACTORS), "salt": ""}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def level(parameters: object) -> Level:
    """The level of a strategy with those parameters, under a name that says nothing."""
    return levels_of({**BASE, "clean": {"_target_": "a.b", "x": parameters}}, BASE, {"clean": "clean=b"})["clean"]


@pytest.mark.parametrize(
    ("kinds", "kind", "wins"),
    [
        ([], "", True),
        ([None], "", True),
        (["simple_baseline"], "simple_baseline", True),
        (["simple_baseline", None], "", True),
        (["simple_baseline", "negative_control"], "negative_control", False),
        ([None, "negative_control"], "negative_control", False),
        (["upper_bound", None], "upper_bound", False),
        (["upper_bound", "negative_control"], "negative_control", False),
    ],
)
def test_one_random_part_makes_a_control_and_only_a_simple_baseline_may_win(
    kinds: list[str | None], kind: str, wins: bool
) -> None:
    assert reference_of(kinds) == kind
    assert may_win(kind) is wins


@given(VALUES, VALUES)
def test_arms_that_differ_in_a_parameter_are_two_levels_and_others_are_one(one: object, other: object) -> None:
    assert (level(one) == level(other)) == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 2], [1, 3]), ("version a.csv", "version b.csv"), ("a,b", "a, b"), ("x=1", "x=2"), ("it's", "its"),
        ('say "a"', 'say "b"'), ("größe", "grösse"), ("1", 1),
    ],
)  # fmt: skip
def test_values_that_a_label_could_not_tell_apart_are_two_levels(one: object, other: object) -> None:
    assert level(one) != level(other)
    assert len({level(one), level(other), level(one)}) == 2


def test_a_level_is_its_value_whatever_it_is_called() -> None:
    trial = {**BASE, "model": {"_target_": "a.mlp"}}
    one, other = (levels_of(trial, BASE, {"model": name})["model"] for name in ("model=mlp", "model=mine"))
    assert one == other
    assert (str(one), str(other)) == ("model=mlp", "model=mine")
    assert str(levels_of(trial, BASE, {})["model"]) == "model=mlp", "its function names it where nothing else does"


def test_what_equals_the_baseline_changes_nothing() -> None:
    trial = {**BASE, "salt": "init:a"}
    levels = levels_of(trial, BASE, {"model": "model=mlp", "salt": "salt=init:a"})
    assert all(levels[name] == SAME for name in FACTORS)
    assert (str(levels["salt"]), json.loads(levels["salt"].value)) == ("salt=init:a", "init:a")
    assert axis_of(factors_of(trial, BASE)) == "none"


def test_the_same_node_in_another_factor_is_another_strategy() -> None:
    node = level(3)
    assert combine([node, SAME]) != combine([SAME, node])
    assert combine([SAME, SAME]) == SAME


@pytest.mark.parametrize(
    ("overrides", "label"),
    [
        ([], "baseline"),
        (["clean=oracle", "+clean.k=150"], "clean=oracle clean.k=150"),
        (["clean.path='version a.csv'"], "clean.path='version a.csv'"),
        (["clean.path=version a.csv"], "clean.path='version a.csv'"),
        (['clean.path="it\'s, a=b.csv"'], 'clean.path="it\'s, a=b.csv"'),
        (["clean.path='größe 1.csv'"], "clean.path='größe 1.csv'"),
        (["clean.ks=[1, 2]"], "clean.ks=[1, 2]"),
    ],
)
def test_a_label_is_the_overrides_and_each_of_them_can_be_pasted(overrides: list[str], label: str) -> None:
    assert label_of(overrides) == label
    names = names_of(overrides)
    parsed = OverridesParser.create().parse_overrides([*names.values()][:1] if len(overrides) == 1 else overrides)
    written = OverridesParser.create().parse_overrides(overrides)
    assert [one.value() for one in parsed] == [one.value() for one in written]


def test_names_are_by_factor() -> None:
    assert names_of(["model=mlp", "clean=oracle", "model.network.width=8", "salt=a"]) == {
        "model": "model=mlp model.network.width=8", "clean": "clean=oracle", "salt": "salt=a",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "brief"),
    [
        (["model=resnet8", "weak=label_model"], "resnet8 + label_model"),
        (["clean=oracle", "clean.k=50"], "oracle k=50"),
        (["model=resnet8", "clean=none", "model.width=64"], "resnet8 width=64 + clean=none"),
        (["clean=from_file", "clean.path=version a.csv"], "from_file path='version a.csv'"),
        (["clean.k=50"], "clean.k=50"),
        (["salt=a"], "salt=a"),
        ([], "baseline"),
    ],
)
def test_an_arm_has_a_short_name(overrides: list[str], brief: str) -> None:
    assert brief_of(overrides) == brief


def test_no_two_things_share_a_short_name() -> None:
    briefs = {1: "oracle", 2: "mixup", 3: "mixup", 4: "mlp", 5: "mlp", 6: "mlp"}
    names = {1: "clean=oracle", 2: "augment=mixup", 3: "clean=mixup", 4: "model=mlp", 5: "model=mlp", 6: "model=mlp"}
    called = ["oracle", "augment=mixup", "clean=mixup", "model=mlp", "model=mlp (2)", "model=mlp (3)"]
    assert list(distinct(briefs, names).values()) == called
