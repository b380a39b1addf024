"""What does not go together is refused before anything runs, each with its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import composed

from harness.data import Task
from harness.run.config import arm_of, plain
from harness.run.fitting import misfits
from harness.run.options import build


@pytest.fixture(scope="module")
def table() -> Task:
    return build(plain(composed("task=table").task)).split(0)


def arm(*overrides: str, **declared: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = arm_of(composed(*overrides))
    return {name: {**node, **declared.get(name, {})} for name, node in found.items()}


def test_modality_and_what_the_task_would_have_to_have(table: Task) -> None:
    lines = "\n".join(misfits(arm("augment=shift", "weak=label_model", "clean=oracle", "model=mlp"), table))
    assert "augment (shift) is for image; task table is table" in lines
    assert "weak (label_model) needs votes, which task table does not have" in lines
    assert "mlp" not in lines


@pytest.mark.parametrize(
    ("overrides", "declared", "line"),
    [
        (["augment=mixup"], {"model": {"lacks": ["augmentation"]}}, "model (mlp) cannot take augmented batches, which augment (mixup)"),
        (["clean=confident"], {"clean": {"asks": ["weights"]}, "model": {"lacks": ["weights"]}}, "cannot take weights of rows, which clean"),
        ([], {"model": {"extra": {"no_such_module": "automl"}}}, "model (mlp) needs no_such_module, which is not installed: pip install -e '"),
        ([], {"model": {"programs": ["no-such-program"]}}, "needs the program 'no-such-program', which is not on the PATH"),
    ],
)  # fmt: skip
def test_what_the_model_cannot_take_and_what_is_not_installed(
    table: Task, overrides: list[str], declared: dict[str, Any], line: str
) -> None:
    assert line in "\n".join(misfits(arm("model=mlp", *overrides, **declared), table))


def test_a_reference_among_augmentations_asks_nothing_of_the_model(table: Task) -> None:
    assert not misfits(arm("model=mlp", model={"lacks": ["augmentation", "weights"]}), table)


@pytest.mark.parametrize("need", ["probabilities", "dynamics"])
def test_what_the_probe_cannot_do(table: Task, need: str) -> None:
    options = arm("model=mlp", "clean=confident", clean={"needs": ["probe", "dynamics"]})
    probe = {"_target_": "a.forest", "fits": ["table"], "lacks": [need]}
    lines = misfits(options, table, probe)
    assert len(lines) == 1
    assert "forest" in lines[0]
    assert not misfits(options, table, {**probe, "lacks": []})


def test_missing_values_need_somebody_who_fills_them_in_or_takes_them(table: Task) -> None:
    holes = replace(table, facts={**table.facts, "missing": 7})
    refused = misfits(arm("model=mlp", model={"lacks": ["missing_values"]}), holes)
    assert refused == [
        "model (mlp) cannot take missing values, and task table has 7: use clean=impute or another model"
    ]
    filled = arm("model=mlp", model={"lacks": ["missing_values"]}, clean={"gives": ["complete"]})
    assert not misfits(filled, holes)
    assert not misfits(arm("model=mlp", model={"lacks": []}), holes)


def test_a_task_without_validation_rows_cannot_tune_nor_learn_from_them(table: Task) -> None:
    bare = replace(table, valid=replace(table.valid, ids=table.valid.ids[:0]))
    lines = misfits(arm("model=mlp", model={"needs": ["tuning"]}, weak={"needs": ["valid"]}), bare)
    assert [line.partition(" needs ")[2] for line in lines] == 2 * ["validation rows, which task table does not have"]


def test_a_probe_needs_whole_rows_too(table: Task) -> None:
    holes = replace(table, facts={**table.facts, "missing": 7})
    probe = {"_target_": "a.net", "fits": ["table"], "lacks": ["missing_values"]}
    options = arm("model=random_forest", "clean=confident")
    line = "probe (net) cannot take missing values, and task table has 7: choose another probe"
    assert misfits(options, holes, probe) == [line]
    assert not misfits(arm("model=random_forest", "clean=impute"), holes, probe)


def test_raw_cells_are_a_need(table: Task) -> None:
    assert misfits(arm("clean=units", "model=mlp"), table) == [
        "clean (units) needs raw cells, which task table does not have"
    ]
    raw = replace(table, train=replace(table.train, x=np.array([("1",)] * len(table.train), dtype=[("a", "U1")])))
    assert not misfits(arm("clean=units", "model=mlp"), raw)
