"""Configs of arms: put together from single factors, they are those that Hydra composes of the whole arm."""

from __future__ import annotations

from functools import cache

import pytest
from conftest import composed
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from harness.commands.composition import Arm, compose_by_factor
from harness.run.config import plain

BASE = ("task.n_train=120", "model@baseline.model=mlp", "protocol.steps=5")


@cache
def whole(arm: Arm) -> DictConfig:
    return composed(*BASE, *arm)


@pytest.mark.parametrize(
    "arm",
    [
        ("model=mlp", "clean=oracle", "clean.k=9", "model.network.width=8"),
        ("weak=label_model", "augment=mixup", "model=random_forest"),
    ],
)
def test_an_arm_of_several_factors_is_composed_as_hydra_would(arm: Arm) -> None:
    asked: list[Arm] = []

    def listening(said: Arm) -> DictConfig:
        asked.append(said)
        return whole(said)

    found, right = compose_by_factor(arm, listening), whole(arm)
    assert arm not in asked, "it is put together"
    assert OmegaConf.to_container(found) == OmegaConf.to_container(right)
    for name in ("model", "weak", "clean", "augment", "task", "protocol", "baseline"):
        node = right.get(name)
        assert (found.get(name) is None) == (node is None)
        assert node is None or plain(found[name]) == plain(node), "references resolve alike"


def test_a_fault_of_a_part_is_told_of_the_whole_arm() -> None:
    with pytest.raises(HydraException, match="nonsense"):
        compose_by_factor(("model=nonsense", "clean=oracle"), whole)


def test_an_arm_that_changes_the_salt_is_composed_as_a_whole() -> None:
    arm = ("model=mlp", "salt=other")
    assert compose_by_factor(arm, whole) is whole(arm)
