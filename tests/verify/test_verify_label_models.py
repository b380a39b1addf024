"""Label models as shipped, beside other software: every option is compared or said to be compared with nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from harness.storage.places import conf_dir
from harness.verify.label_models import ALONE, RIVALS, _compared, shipped_labels, top_classes, voted_rows
from harness.verify.wrench import read_wrench

PUBLISHED = {"weighted_vote_prior", "dawid_skene", "triplets"}
"""The options whose published numbers `harness.verify.wrench` recomputes, majority vote aside."""


def test_every_label_model_is_compared_or_said_to_be_alone() -> None:
    nodes = {path.stem: yaml.safe_load(path.read_text()) for path in (conf_dir() / "weak").glob("*.yaml")}
    models = {
        name
        for name, node in nodes.items()
        if node.get("family") in ("votes", "annotator models", "label models")
        and node.get("reference_kind") != "negative_control"
    }
    assert models == {*RIVALS, *ALONE, *PUBLISHED}
    assert not set(RIVALS) & set(ALONE)


@pytest.mark.shared
@pytest.mark.parametrize("option", ["majority_vote", "weighted_vote", "naive_bayes", "naive_bayes_given"])
def test_what_is_in_closed_form_agrees_on_every_row(shared: Path, option: str) -> None:
    k, parts = read_wrench(shared / "golden/wrench/trec")
    rival = RIVALS[option]
    rows = voted_rows(parts, k, rival.given)
    if option.startswith("naive_bayes"):
        assert np.abs(shipped_labels(option, rows) - rival.probs(rows)).max() < 1e-5
    cell = _compared(option, rival, "trec", rows)
    assert (cell.ours, cell.theirs, cell.passed) == (100, 100, True)


@pytest.mark.shared
@pytest.mark.slow
def test_em_agrees_with_crowd_kit_and_another_default_does_not(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    k, parts = read_wrench(shared / "golden/wrench/youtube")
    rows = voted_rows(parts, k, "voted")
    assert _compared("one_coin", RIVALS["one_coin"], "youtube", rows).passed
    shutil.copytree(conf_dir() / "weak", tmp_path / "weak")
    path = tmp_path / "weak" / "one_coin.yaml"
    path.write_text(path.read_text().replace("prior: uniform ", "prior: estimated "))
    monkeypatch.setattr("harness.verify.wrench.conf_dir", lambda: tmp_path)
    assert not _compared("one_coin", RIVALS["one_coin"], "youtube", rows).passed


@pytest.mark.shared
def test_software_that_is_not_installed_compares_nothing(shared: Path) -> None:
    def absent(_: object) -> None:
        raise ModuleNotFoundError("No module named 'crowdkit'", name="crowdkit")

    k, parts = read_wrench(shared / "golden/wrench/youtube")
    rival = replace(RIVALS["glad"], probs=absent)
    cell = _compared("glad", rival, "youtube", voted_rows(parts, k, "voted"))
    assert (cell.theirs, cell.passed, cell.source) == (None, False, "crowd-kit, GLAD: crowdkit is not installed")


def test_the_first_of_tied_classes_counts() -> None:
    assert top_classes(np.array([[0.5, 0.5 + 1e-9], [0.2, 0.8]])).tolist() == [0, 1]
