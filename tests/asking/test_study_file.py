"""A design in, a study file out that Hydra reads as it stands; whose file it is, is known again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.asking.budget import Design, Seconds
from harness.asking.proposals import Proposal
from harness.asking.study_file import check_free, file_state, study_text
from harness.errors import BadInput

MODEL = Proposal(("model=mlp",), "model", "a small network")
CLEAN = Proposal(("clean=imputed", "clean@clean.then=confident"), "data", "drops errors", ("clean=random_drop",))
DESIGN = Design((MODEL, CLEAN), 4, (MODEL,), 500, 250, dict.fromkeys([()], Seconds(1, 0)))
COMMAND = "harness ask 'my data.csv' label=y"


def text(settings: dict[str, Any], command: str = COMMAND) -> str:
    return study_text(
        "mine", "folder", {"path": "my data.csv", **settings}, ("model@baseline.model=lenet",), DESIGN,
        {"protocol": {"epochs": 3}}, ["label: 'y'\nand more"], command,
    )  # fmt: skip


def test_what_is_written_is_what_was_designed():
    said = text({"label": "a: b", "votes": ["x, y", "#1"], "input": ["yes", "1"]})
    assert said.startswith("# @package _global_\n")
    study = yaml.safe_load(said)
    assert study["defaults"] == [
        {"override /task": "folder"}, {"override /model@baseline.model": "lenet"}, {"override /hydra/sweeper": "study"},
    ]  # fmt: skip
    assert study["task"] == {
        "path": "my data.csv", "label": "a: b", "votes": ["x, y", "#1"], "input": ["yes", "1"], "n_train": 250,
    }  # fmt: skip
    assert (study["seeds"], study["protocol"]) == ([0, 1, 2, 3], {"epochs": 3})
    assert study["arms"] == ["model=mlp", "clean=random_drop", ["clean=imputed", "clean@clean.then=confident"]]
    assert study["cross"] == [["model=mlp"], [["clean=imputed", "clean@clean.then=confident"]]]


def test_every_arm_says_why_it_is_there_and_the_head_what_was_understood():
    said = text({})
    assert "  - model=mlp # a small network" in said
    assert "  - clean=random_drop # reference" in said
    assert "# label: 'y' and more" in said.splitlines()


def test_a_file_is_known_again(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    assert file_state(path, COMMAND) == "absent"
    path.write_text(text({}))
    assert (file_state(path, COMMAND), file_state(path, "harness ask other.csv")) == ("same", "other")
    path.write_text(text({}).replace("model=mlp", "model=lenet"))
    assert file_state(path, "harness ask other.csv") == "edited"
    assert check_free(path, COMMAND, "mine") == "same", "what the user changed is what the same command runs"


@pytest.mark.parametrize(
    ("content", "why"), [(text({}) + "price: {label: 1}\n", "was edited"), ("study: x\n", "your own")]
)
def test_a_users_work_is_never_replaced(tmp_path: Path, content: str, why: str):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(BadInput, match=f"{why}.*run it as harness -m experiments=mine, or choose another name"):
        check_free(path, "harness ask other.csv", "mine")
