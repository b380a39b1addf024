"""What many tests share: where the real data lies, and small sets made by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from harness.data import Source, TrainSet, one_hot
from harness.learners import Protocol, Run
from harness.run.options import build
from harness.storage.cache import Cache
from harness.storage.places import conf_dir
from harness.streams import stream

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data sets; the test is skipped, with the reason, where it is absent."""
    folder = Path(os.environ.get("HARNESS_SHARED", ROOT.parent / "shared"))
    if not (folder / "tasks").is_dir():
        pytest.skip(f"real data sets are absent: no folder {folder} (HARNESS_SHARED names another)")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return stream(0, "test")


@pytest.fixture
def protocol() -> Protocol:
    """A budget small enough for a test; every field explicit."""
    return Protocol(
        version=1, metric="accuracy", epochs=2, steps=None, batch_size=16, optimiser="adamw", lr=1e-2,
        lr_pretrained=1e-4, weight_decay=1e-4, warmup=0.1, selection="last", precision="fp32", augment_draws=2, folds=3,
        tuning_trials=2,
    )  # fmt: skip


@pytest.fixture
def run(protocol: Protocol, tmp_path: Path) -> Run:
    return Run(seed=0, salt="", steps=20, protocol=protocol, classes=("a", "b", "c"), cache=Cache(tmp_path / "cache"))


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Source]:
    """Makes the source of a task's YAML with some parameters changed; caches lie in the test's folder."""

    def make(option: str, **changed: Any) -> Source:
        node = yaml.safe_load((conf_dir() / "task" / f"{option}.yaml").read_text())
        unknown = set(changed) - set(node)
        assert not unknown, f"{option}.yaml has no {unknown}"
        place = {"cache": str(tmp_path / "cache")} if "cache" in node else {}
        return build(node | place | {name: str(v) if isinstance(v, Path) else v for name, v in changed.items()})

    return make


def train_set(x: np.ndarray, classes: list[int], k: int, votes: np.ndarray | None = None) -> TrainSet:
    """A hand-made training set; a class of -1 is a row without a label."""
    y = np.asarray(classes)
    given = np.asarray(votes if votes is not None else np.zeros((len(y), 0)), dtype=np.int8)
    ids = np.array([f"r{i}" for i in range(len(y))])
    return TrainSet(ids=ids, x=x, y=one_hot(y, k), w=(y >= 0).astype(np.float32), votes=given)


def composed(*overrides: str) -> DictConfig:
    """The config that the command line would compose from those overrides."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("config", overrides=list(overrides))


def options(group: str) -> list[str]:
    """The names of every option of a group, as its YAML files give them."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
