"""A study that is a mapping becomes the files that the command reads, and runs through the command."""

from __future__ import annotations

import doctest
import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest

import harness
from harness.api import options, runs, study_files
from harness.api.rows import write_rows
from harness.api.study_files import arm_words, write_study_files
from harness.commands.overrides import load_checked_config, option_loader
from harness.errors import BadInput
from harness.run.config import plain
from harness.run.options import build
from harness.streams import stream

MINE = '''"""The user's own file."""

import numpy as np


def least_sure(train, tools, *, share):
    """Drops the labelled rows of whose label the probe is least sure."""
    sure = tools.pred_probs(train)[np.arange(len(train)), train.classes]
    return train.rows(~train.labelled | (sure >= np.quantile(sure[train.labelled], share)))


def broken(train, tools):
    """Fails."""
    raise ValueError("no rows today")


def tiny(rows, k, *, channels, deep=False):
    """A network."""


def outer():
    def inner(train, tools):
        return train

    return inner
'''


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module `mine` in the working folder, as a user writes it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("mine", None)  # another test's module of that name
    import mine

    yield mine
    del sys.modules["mine"]


@pytest.fixture
def frame() -> pd.DataFrame:
    """A table of 160 rows whose label depends on a number and a word."""
    rng = stream(0, "frame")
    age, sex = rng.integers(20, 90, 160), rng.choice(["f", "m"], 160)
    return pd.DataFrame({"age": age, "sex": sex, "outcome": np.where(age + 9 * (sex == "m") > 55, "ill", "well")})


def composed(said: dict[str, Any], cache: Path, *words: str) -> dict[str, Any]:
    """The config that the command composes of the files of a study."""
    files = write_study_files(said, cache)
    path = f"hydra.searchpath=['file://{files.folder}']"
    return plain(load_checked_config([f"experiments={files.name}", path, *words], option_loader()))


def test_a_mapping_is_the_study_that_its_file_would_be(tmp_path: Path) -> None:
    said = {
        "study": "mine", "task": {"option": "digits", "n_train": 300}, "seeds": [3, 5], "design": "one_factor",
        "baseline": {"model": "mlp", "clean": "oracle", "clean.k": 7},
        "arms": ["model=resnet8", {"clean": "oracle", "clean.k": np.int64(9)}, ["augment=shift", {"model": "lenet"}]],
        "cross": [["model=resnet8"], [{"augment": "shift"}]], "protocol": {"epochs": 3}, "track": "none",
        "probe": "logistic_regression", "store": "elsewhere",
    }  # fmt: skip
    cfg = composed(said, tmp_path)
    assert (cfg["study"], cfg["seeds"], cfg["store"], cfg["protocol"]["epochs"]) == ("mine", [3, 5], "elsewhere", 3)
    assert cfg["task"]["n_train"] == 300
    assert cfg["baseline"]["model"]["network"]["_target_"].endswith("mlp")
    assert cfg["baseline"]["clean"]["k"] == 7
    assert cfg["arms"] == [["model=resnet8"], ["clean=oracle", "clean.k=9"], ["augment=shift", "model=lenet"]]
    assert cfg["cross"] == [[["model=resnet8"]], [["augment=shift"]]]
    assert "nothing" in cfg["track"]["_target_"]
    assert cfg["probe"]["_target_"].startswith("harness.learners.sklearn")


def test_a_function_is_an_option_with_its_parameters(mine: ModuleType, tmp_path: Path) -> None:
    own = harness.Option(mine.least_sure, {"share": 0.2}, needs=["probe"], fits=["table"])
    said = {"study": "s", "arms": [{"clean": own}, {"clean": own, "clean.share": 0.3}], "task": "table",
            "baseline": {"model": partial(mine.tiny, channels=4)}}  # fmt: skip
    assert arm_words(said["arms"][0]) == ["clean=least_sure", "clean.share=0.2"]
    cfg = composed(said, tmp_path, "clean=least_sure", "clean.share=0.4")
    assert cfg["clean"] == {"_target_": "mine.least_sure", "_partial_": True, "share": 0.4, "fits": ["table"],
                            "needs": ["probe"]}  # fmt: skip
    network = {"_target_": "mine.tiny", "_partial_": True, "channels": 4, "deep": False}
    assert cfg["baseline"]["model"]["network"] == network
    assert build(cfg["clean"]).func is mine.least_sure
    with pytest.raises(BadInput, match=r"clean\.share is required"):
        composed(said, tmp_path, "clean=least_sure")


def interactive() -> Any:
    """A function as a notebook defines it."""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("def mine(train, tools):\n    return train", space)
    return space["mine"]


def test_a_function_that_no_file_holds_is_refused(mine: ModuleType, tmp_path: Path) -> None:
    def refused(function: Any, message: str, group: str = "clean") -> None:
        with pytest.raises(BadInput, match=message):
            write_study_files({"study": "s", "task": "table", "arms": [{group: function}]}, tmp_path / "cache")
        assert not (tmp_path / "cache").exists()

    refused(
        interactive(), r"mine is defined in a notebook.*put it into a file, such as mine\.py.*from mine import mine"
    )
    refused(mine.outer(), "inner is no function at the top of a module")
    refused(lambda train, tools: train, r"strategy is no function.*from mine import strategy")
    refused(mine.outer, r"clean: outer takes 0 positional parameters; write a strategy \(train, tools")
    refused(mine.least_sure, "'protocol' cannot be a function", "protocol")
    refused(partial(mine.least_sure, 1, 2), "give its parameters by name")
    refused(partial(mine.least_sure, shrae=1), r"least_sure has no parameter 'shrae'; did you mean 'share'")
    refused(harness.Option(mine.least_sure, name="confident"), "clean=confident is an option already")
    old, mine.least_sure = mine.least_sure, mine.tiny
    refused(old, "another function than the one given")


def test_two_functions_of_one_name_are_refused(mine: ModuleType, tmp_path: Path) -> None:
    one = {"clean": mine.least_sure}
    two = {"clean": harness.Option(mine.least_sure, needs=["probe"])}
    with pytest.raises(BadInput, match="two options of clean are called least_sure"):
        write_study_files({"study": "s", "task": "table", "arms": [one, two]}, tmp_path)


WRONG = {
    r"a study has no 'arm'; did you mean 'arms'": {"study": "s", "arm": []},
    r"study is '': name the study": {"arms": []},
    r"arms is 'model=mlp': it must be a list": {"study": "s", "arms": "model=mlp"},
    r"7 is not an arm": {"study": "s", "arms": [7]},
    r"the baseline has no 'modle'; did you mean 'model'": {"study": "s", "baseline": {"modle": "mlp"}},
    r"clean.k is a object: write text": {"study": "s", "arms": [{"clean": "oracle", "clean.k": object()}]},
    r"track is 3": {"study": "s", "track": 3},
    r"task is missing": {"study": "s", "task": None},
    r"task needs an option": {"study": "s", "task": {"path": "photos"}},
    r"task.label is missing": {"study": "s", "task": pd.DataFrame({"a": [1, 2]})},
    r"train has X of shape \(3, 2\) and y of shape \(2,\)": {"study": "s", "task": (np.ones((3, 2)), np.ones(2))},
    r"X of shape \(3, 2, 2\) and type float64: images": {"study": "s", "task": (np.ones((3, 2, 2)), np.ones(3))},
    r"the parts train, tset": {"study": "s", "task": {"data": {"train": pd.DataFrame({"a": [1]}), "tset": 1}}},
    r"names the columns a twice": {"study": "s", "task": pd.DataFrame([[1, 2]], columns=["a", "a"])},
    r"give each column one type": {"study": "s", "task": pd.DataFrame({"a": [1, "b", b"c"]})},
    r"train is a int: give a frame": {"study": "s", "task": {"data": 3}},
    r"task.option=tabel is not known; did you mean 'table'": {
        "study": "s", "task": {"data": pd.DataFrame({"label": [1]}), "option": "tabel"},
    },
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_bad_input_is_told_and_nothing_is_written(message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        write_study_files({"task": "digits", **WRONG[message]}, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("studies/*"))


def read(said: dict[str, Any], cache: Path) -> Any:
    """The task that a study of those rows reads."""
    node = composed({"study": "s", "task": said, "cache": str(cache / "c")}, cache)["task"]
    return build(node).split(0)


def whole(task: Any) -> tuple[np.ndarray, np.ndarray]:
    """The inputs of all rows that are not in a given test part, and their labels, by id."""
    parts = [(task.train.ids, task.train.x, task.train.classes), (task.valid.ids, task.valid.x, task.valid.y)]
    ids, x, y = (np.concatenate([np.asarray(part[at]) for part in parts]) for at in range(3))
    order = np.argsort([int(name.rpartition("-")[2]) for name in ids])
    return x[order], y[order]


def test_rows_in_memory_are_read_as_they_were(tmp_path: Path) -> None:
    rng = stream(0, "rows")
    y = np.arange(60) % 3
    numbers = rng.normal(size=(60, 2)).astype(np.float32)
    images = rng.integers(0, 256, (60, 8, 8, 3)).astype(np.uint8)
    texts = np.array([f"word{i} of {c}" for i, c in enumerate(y)])
    for x, want in ((numbers, numbers), (images, images), (images[..., 0], images[..., :1]), (texts, texts)):
        task = read({"data": {"train": (x, y), "test": (x[:9], y[:9])}, "valid_fraction": 0.2}, tmp_path)
        found, labels = whole(task)
        np.testing.assert_array_equal(found, want)
        np.testing.assert_array_equal(labels, y)
        assert len(task.test) == 9
        assert task.classes == ("0", "1", "2")


def test_frames_and_data_sets_keep_their_columns(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame = frame.assign(sex=frame["sex"].astype("category"))
    task = read({"data": frame, "label": "outcome"}, tmp_path)
    assert task.classes == ("ill", "well")
    assert task.train.x.shape[1] == 3, "age, and sex one-hot"
    same = read({"data": datasets.Dataset.from_pandas(frame, preserve_index=False), "label": "outcome"}, tmp_path)
    np.testing.assert_array_equal(np.asarray(task.train.x), np.asarray(same.train.x))
    cells = read({"data": frame, "option": "raw_table", "label": "outcome"}, tmp_path)
    assert cells.train.x.dtype.names == ("age", "sex")


def test_rows_are_named_by_their_content_and_what_is_left_out_is_said(frame: pd.DataFrame, tmp_path: Path) -> None:
    first, again = (write_rows(frame.copy(), None, tmp_path) for _ in range(2))
    other = write_rows(frame.assign(age=frame["age"] + 1), None, tmp_path)
    assert first == again
    assert other.path != first.path
    assert "train: 160 rows" in first.line
    assert str(first.path) in first.line
    assert "left out" not in first.line
    assert "left out: the index" in write_rows(frame.set_index("age"), None, tmp_path).line


def test_the_examples_of_the_parts_are_true(mine: ModuleType) -> None:
    for module in (options, study_files):
        found = doctest.testmod(module, extraglobs={"harness": harness, "least_sure": mine.least_sure})
        assert found.attempted
        assert not found.failed


@pytest.mark.slow
def test_a_run_is_that_of_the_command(
    mine: ModuleType, frame: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example of `harness.run`, in a folder with the user's file."""
    finder = doctest.DocTestFinder(recurse=False)
    extra = {"harness": harness, "frame": frame, "least_sure": mine.least_sure}
    [example] = finder.find(runs.run_from_python, "run", extraglobs=extra)
    assert len(example.examples) == 3
    assert doctest.DocTestRunner().run(example).failed == 0, capsys.readouterr().out
    said = capsys.readouterr().err
    assert "are read as task=table" in said
    assert "study mine: 6 trials, 6 to run" in said
    study = harness.load("mine")
    assert set(study.trials["status"]) == {"done"}
    trials = [json.loads(path.read_text())["trial"] for path in (tmp_path / "results/mine/trials").glob("*.json")]
    assert [list(trial["sources"]) for trial in trials if "sources" in trial] == [["mine.py"]] * 2
    assert str(tmp_path) not in "".join(path.read_text() for path in (tmp_path / "results/mine").rglob("*.json"))

    first = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "results/mine/trials").glob("*.json")}
    said = {"study": "mine", "task": {"data": frame, "label": "outcome"}, "baseline": {"model": "logistic_regression"},
            "arms": ["model=random_forest", {"clean": mine.broken}], "seeds": 2, "track": "none",
            "cache": "cache", "workers": 1}  # fmt: skip
    with pytest.warns(UserWarning, match="2 trials failed"):
        study = harness.run(said)
    assert study.trials.query("status == 'failed'")["arm"].tolist() == ["clean=broken"] * 2
    assert "no rows today" in " ".join(study.notes)
    now = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "results/mine/trials").glob("*.json")}
    assert first.items() <= now.items(), "finished trials are not run again"


@pytest.mark.slow
def test_faults_are_raised_as_the_command_tells_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "far.yaml").write_text("study: far\n")
    with pytest.raises(BadInput, match="must begin with the line '# @package _global_'"):
        harness.run(tmp_path / "far.yaml")
    with pytest.raises(BadInput, match=r"there is no file nowhere\.yaml"):
        harness.run("nowhere.yaml")
    with pytest.raises(BadInput, match="names several studies"):
        harness.run("quickstart,youtube")
    with pytest.raises(BadInput, match="clean has no option 'confidnt'; did you mean 'confident'"):
        harness.run({"study": "s", "task": "digits", "arms": ["clean=confidnt"]}, "cache=cache")
    assert not (tmp_path / "results").exists()
