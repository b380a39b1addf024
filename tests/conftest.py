"""What many tests share: where the real data lies, and small sets made by hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import costs
import hypothesis
import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from harness import notices
from harness.conformance.small_sets import small_run
from harness.data import Source, TrainSet, one_hot
from harness.learners import Protocol, Run
from harness.run.options import build
from harness.storage.places import conf_dir
from harness.streams import stream

# A test that was slow once is no failure: other work on the machine makes any test slow.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")

# Nor does a slow machine make a stage talk, where a test compares all that a command says (see test_notices.py).
notices.PATIENCE_S = costs.PATIENT_S

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests that are known to be slow; the files that take longest run first, so that no process waits for one at the end."""
    for item in items:
        if costs.is_slow(item.nodeid):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: -costs.of_file(item.nodeid.partition("::")[0]))


def pytest_collection_finish() -> None:
    costs.since_last()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Adds to each report the processor time since the last one, that of programs which the test ran included."""
    outcome = yield
    outcome.get_result().cpu_s = costs.since_last()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    costs.note(report.nodeid, report.when or "", getattr(report, "cpu_s", 0.0))


def pytest_sessionfinish() -> None:
    costs.write()


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
def protocol(run: Run) -> Protocol:
    """A budget small enough for a test."""
    return run.protocol


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return small_run(tmp_path / "cache", 0)


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
