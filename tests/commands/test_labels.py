"""A label is a name: a value with spaces makes no other answer, and a trial is printed as it was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from invoke import QUIET, harness

from harness.data import Source
from harness.streams import stream

STUDY = """# @package _global_
# Two cleaned versions whose names have spaces, and a model.
defaults:
  - override /task: table
  - override /model@baseline.model: logistic_regression
  - override /hydra/sweeper: study

study: versions
seeds: [0, 1, 2]
task: {noise: 0.4, split_seed: 0}
arms:
  - [clean=from_file, "clean.path='version a.csv'", clean.label=label]
  - [clean=from_file, "clean.path='version b.csv'", clean.label=label]
  - model=random_forest
"""


@pytest.fixture
def versions(tmp_path: Path, source: Callable[..., Source]) -> Path:
    """A folder with the study, version a whose labels are wrong for nearly half of the rows, and version b, all right."""
    rows = {}
    for task in map(source("table", noise=0.4).split, (0, 1, 2)):
        rows |= {name: task.classes[k] for name, k in zip(task.train.ids, task.gold, strict=True)}
    right = pd.DataFrame(sorted(rows.items()), columns=["id", "label"])
    wrong = right.copy()
    flip = stream(0, "versions").permutation(len(wrong))[: int(0.45 * len(wrong))]
    wrong.loc[flip, "label"] = np.where(wrong.loc[flip, "label"] == "benign", "malignant", "benign")
    wrong.to_csv(tmp_path / "version a.csv", index=False)
    right.to_csv(tmp_path / "version b.csv", index=False)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "versions.yaml").write_text(STUDY)
    return tmp_path


@pytest.mark.slow
def test_versions_with_spaces_in_their_names_are_two_arms_of_an_attribution(versions: Path) -> None:
    done = harness("-m", "experiments=versions", *QUIET, folder=versions)
    assert done.returncode == 0, done.stderr
    answers = json.loads((versions / "results" / "versions" / "answers.json").read_text())
    best = "clean=from_file clean.path='version b.csv' clean.label=label"
    assert answers["attribution"]["ladder"]["data"]["arm"] == best
    assert answers["attribution"]["verdict"]["word"] == "data"
    assert "epeat" not in json.dumps(answers)
    board = pd.read_csv(versions / "results" / "versions" / "leaderboard.csv")
    gains = board.set_index("arm")["effect"]
    assert gains[best] == gains.max() > 10
    assert gains["clean=from_file clean.path='version a.csv' clean.label=label"] < gains[best] / 2


@pytest.mark.slow
def test_a_record_is_printed_under_the_name_that_is_asked_for_now(tmp_path: Path) -> None:
    small = ("task=table", "task.noise=0.2", *QUIET)
    first = harness("model@baseline.model=random_forest", "clean=impute", *small, folder=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "clean=impute, seed 0: accuracy" in first.stdout
    again = harness(
        "model@baseline.model=logistic_regression", "clean@baseline.clean=impute", "model=random_forest", *small,
        folder=tmp_path,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "model=random_forest, seed 0: accuracy" in again.stdout
    assert "clean=impute, seed" not in again.stdout
