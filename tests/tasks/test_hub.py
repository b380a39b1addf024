from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from datasets import Image as ImageFeature
from PIL import Image

from harness.data import Source
from harness.errors import BadInput

Make = Callable[..., Source]


def _rows(n: int, part: str) -> Dataset:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    rows = {"text": [f"{part} {i}" for i in range(n)], "label": [i % 2 for i in range(n)]}
    return Dataset.from_dict(rows, features=features)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder as a hub repository looks."""
    for part, n in (("train", 40), ("validation", 10), ("test", 12)):
        (tmp_path / "repository" / "data").mkdir(parents=True, exist_ok=True)
        _rows(n, part).to_parquet(str(tmp_path / "repository" / "data" / f"{part}-00000-of-00001.parquet"))
    return tmp_path / "repository"


def test_a_data_set_with_its_own_parts(source: Make, repository: Path) -> None:
    task = source("hub", path=repository, valid="validation", test="test").split(0)
    assert task.classes == ("neg", "pos")
    assert [len(part) for part in (task.train, task.valid, task.test)] == [40, 10, 12]
    assert task.test.x[0] == "test 0"
    assert task.facts["noise"] == "as given in column 'label'"


def test_missing_parts_are_split_off(source: Make, repository: Path) -> None:
    task = source("hub", path=repository).split(0)
    assert [len(part) for part in (task.train, task.valid, task.test)] == [27, 5, 8]


def test_saved_to_disk(source: Make, tmp_path: Path) -> None:
    whole = DatasetDict(train=_rows(40, "train"), test=_rows(12, "test"))
    whole.save_to_disk(str(tmp_path / "dict"))
    whole["train"].save_to_disk(str(tmp_path / "single"))
    assert len(source("hub", path=tmp_path / "dict", test="test").split(0).test) == 12
    assert len(source("hub", path=tmp_path / "single").split(0).test) == 8


def test_images(source: Make, tmp_path: Path) -> None:
    pictures = [Image.fromarray(np.full((6, 6), i, dtype=np.uint8)) for i in range(20)]
    features = Features({"picture": ImageFeature(), "label": Value("string")})
    rows = Dataset.from_dict({"picture": pictures, "label": ["a", "b"] * 10}, features=features)
    rows.save_to_disk(str(tmp_path / "pictures"))
    given = {"modality": "image", "input": "picture", "image_size": 4, "color": "grey"}
    task = source("hub", path=tmp_path / "pictures", **given).split(0)
    for name, pixels in zip(task.train.ids, task.train.x, strict=True):
        assert (pixels == int(name.split("-")[1])).all()


def test_equal_content_has_one_fingerprint(source: Make, repository: Path, tmp_path: Path) -> None:
    _rows(40, "train").save_to_disk(str(tmp_path / "single"))
    assert source("hub", path=repository).fingerprint == source("hub", path=tmp_path / "single").fingerprint


def test_an_unknown_part(source: Make, repository: Path) -> None:
    with pytest.raises(
        BadInput, match=r"has no split 'valid'; did you mean 'validation'\? \(it has: train, validation, test\)"
    ):
        source("hub", path=repository, valid="valid")


def test_an_empty_folder(source: Make, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"cannot be loaded: .*download it once and give the folder as task\.path"):
        source("hub", path=tmp_path / "empty")


@pytest.mark.slow
def test_offline_it_fails_with_one_line(tmp_path: Path) -> None:
    """In a process of its own: the libraries read the switch when they are imported."""
    program = """
import sys, yaml
from harness.errors import BadInput
from harness.tasks.hub import hub
node = yaml.safe_load(open(sys.argv[1]).read())
del node["_target_"]
try:
    hub(**(node | {"path": "somebody/no_such_data_set"}))
except BadInput as told:
    print(told)
"""
    yaml = Path(__file__).parents[2] / "conf" / "task" / "hub.yaml"
    places = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program, str(yaml)], env=os.environ | places, capture_output=True, text=True, check=True
    )
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("data set 'somebody/no_such_data_set' cannot be loaded: ")
    assert lines[0].endswith("or download it once and give the folder as task.path")
