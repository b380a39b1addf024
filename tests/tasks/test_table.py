from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pinned import check_pinned, of_task

from harness.data import Source
from harness.errors import BadInput
from harness.tasks.features import encode

Make = Callable[..., Source]


@pytest.fixture
def frame() -> pd.DataFrame:
    n = 60
    return pd.DataFrame({
        "size": np.arange(n, dtype=float),
        "colour": (["red", "green", "blue"] * n)[:n],
        "patient": np.repeat(np.arange(n // 3), 3),
        "said": (["no", "yes"] * n)[:n],
        "truth": (["no", "yes", "no", "yes", "no", "no"] * n)[:n],
        "trust": np.linspace(0.5, 1, n),
    })  # fmt: skip


@pytest.fixture
def write(tmp_path: Path) -> Callable[[pd.DataFrame], Path]:
    def put(frame: pd.DataFrame) -> Path:
        path = tmp_path / "rows.csv"
        frame.to_csv(path, index=False)
        return path

    return put


def test_wine(source: Make) -> None:
    task = source("wine", noise=0.2).split(0)
    assert (task.modality, len(task.classes)) == ("table", 3)
    assert [len(part) for part in (task.train, task.valid, task.test)] == [100, 25, 53]
    assert task.train.x.shape == (100, 13)
    flipped = task.train.classes != task.gold
    assert flipped.sum() == 20
    assert task.facts["simulated"]
    assert task.facts["noise"].startswith("simulated: 20 % of the labels in column 'cultivar' flipped")
    check_pinned("task/wine", of_task(task))
    clean = source("wine").split(0)
    assert (clean.train.classes == clean.gold).all()
    assert (clean.test.ids == source("wine", noise=0.2).split(1).test.ids).all()


def test_breast_cancer(source: Make) -> None:
    table = source("table")
    task, other = table.split(0), table.split(1)
    check_pinned("task/table", of_task(task))
    assert task.classes == ("benign", "malignant")
    assert task.train.x.dtype == np.float32
    assert task.train.x.shape[1] == 30
    assert len(task.train) + len(task.valid) + len(task.test) == 569
    assert task.test.ids.tolist() == other.test.ids.tolist()
    assert task.valid.ids.tolist() != other.valid.ids.tolist()
    assert abs(np.mean(task.test.y) - np.mean(task.train.classes)) < 0.02, "stratified"
    assert (task.facts["simulated"], task.facts["train_labels"], task.facts["given_wrong"]) == (False, "gold", 0.0)


@pytest.mark.parametrize("noise", [0.1, 0.4])
def test_noise_flips_exactly_its_share_of_the_training_labels(source: Make, noise: float) -> None:
    clean, noisy = source("table").split(2), source("table", noise=noise).split(2)
    assert noisy.train.ids.tolist() == clean.train.ids.tolist()
    assert (noisy.gold == clean.train.classes).all()
    assert (noisy.train.classes != noisy.gold).sum() == round(noise * len(noisy.train))
    assert (noisy.valid.y == clean.valid.y).all()
    assert noisy.facts["simulated"] is True
    assert noisy.facts["noise"].startswith("simulated: ")
    assert noisy.facts["train_labels"] == "given"
    assert noisy.facts["given_wrong"] == pytest.approx(noise, abs=0.002)


def test_a_csv_with_every_role(source: Make, write: Callable[[pd.DataFrame], Path], frame: pd.DataFrame) -> None:
    path = write(frame.assign(vote_a=frame["said"], vote_b=["yes", None] * 30))
    given = {"label": "said", "gold": "truth", "group": "patient", "weight": "trust", "votes": ["vote_a", "vote_b"]}
    task = source("table", path=path, **given).split(0)
    assert task.classes == ("no", "yes")
    assert task.train.x.shape[1] == 4, "colour has three levels, size is a number; the roles are no features"
    assert task.train.votes.shape == (len(task.train), 2)
    assert set(task.train.votes[:, 1]) == {-1, 1}
    rows = {part: frame.loc[[int(name.split("-")[1]) for name in ids]] for part, ids in _ids(task).items()}
    assert (task.valid.y == (rows["valid"]["truth"] == "yes")).all(), "validated on gold"
    assert (task.train.classes == (rows["train"]["said"] == "yes")).all(), "trained on the given labels"
    np.testing.assert_allclose(task.train.w, rows["train"]["trust"], rtol=1e-6)
    groups = [set(part["patient"]) for part in rows.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 20
    patients = dict(zip(task.train.ids.tolist(), rows["train"]["patient"], strict=True))
    for name, number in task.group_of.items():
        assert {patients[other] for other, same in task.group_of.items() if same == number} == {patients[name]}
    assert len(set(task.group_of.values())) == len(groups[0]), "every patient has several visits"
    assert source("table", path=path, **given | {"group": None}).split(0).group_of == {}
    assert task.facts["given_wrong"] == pytest.approx((rows["train"]["said"] != rows["train"]["truth"]).mean())


def _ids(task: object) -> dict[str, np.ndarray]:
    return {part: getattr(task, part).ids for part in ("train", "valid", "test")}


def test_columns_and_levels_are_taken_in_sorted_order() -> None:
    one = pd.DataFrame({"b": ["y", None], "a": [1, 2], "c": [True, False]})
    two = pd.DataFrame({"b": ["x"], "a": [3], "c": [True]})
    parts, names = encode({"train": one, "test": two}, [])
    assert names == ["a", "b=(missing)", "b=x", "b=y", "c"]
    assert parts["train"].tolist() == [[1, 0, 0, 1, 1], [2, 1, 0, 0, 0]]
    assert parts["test"].tolist() == [[3, 0, 1, 0, 1]]
    assert parts["train"].dtype == np.float32


def test_the_fingerprint_is_content_not_place(
    source: Make, tmp_path: Path, write: Callable[[pd.DataFrame], Path], frame: pd.DataFrame
) -> None:
    first = source("table", path=write(frame), label="said").fingerprint
    elsewhere = tmp_path / "elsewhere.csv"
    frame.to_csv(elsewhere, index=False)
    assert source("table", path=elsewhere, label="said").fingerprint == first
    frame.loc[7, "size"] = -1
    assert source("table", path=write(frame), label="said").fingerprint != first


def test_paths_start_where_the_command_runs(
    source: Make, write: Callable[[pd.DataFrame], Path], frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(frame).parent
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    prints = {source("table", path=path, label="said").fingerprint for path in ("rows.csv", "~/rows.csv")}
    assert len(prints) == 1


@pytest.mark.parametrize(
    ("changed", "given", "said"),
    [
        ({}, {}, "no label column is named: set task.label"),
        ({}, {"label": "sad"}, "the train part has no column 'sad'; did you mean 'said'?"),
        ({}, {"label": "said", "gold": "thruth"}, "the data has no column 'thruth'; did you mean 'truth'?"),
        ({}, {"label": "said", "features": ["sise"]}, "no column 'sise'; did you mean 'size'?"),
        ({}, {"label": "said", "features": ["size", "said"]}, "'said' is named as a feature and in another role"),
        ({}, {"label": "said", "classes": ["no", "yess"]}, "row 1, is not a class; did you mean 'yess'"),
        ({}, {"label": "said", "classes": ["no", "yes", "maybe"]}, "row of the train part is of class maybe"),
        ({}, {"label": "said", "classes": ["no", "no"]}, "class 'no' is listed twice"),
        ({"said": "yes"}, {"label": "said"}, "needs at least two classes, the labels name only: yes"),
        ({"size": [1.0, 1e300] * 30}, {"label": "said"}, "30 features are infinite, the first in column 'size', row"),
        ({"trust": -1.0}, {"label": "said", "weight": "trust"}, "60 weights in column 'trust' are missing"),
        ({}, {"label": "said", "weight": "colour"}, "the weights in column 'colour' are not numbers"),
        ({}, {"label": "said", "votes": ["colour"]}, "'red' in column 'colour', row 0, is not a class"),
        ({}, {"label": "said", "id": "patient"}, "occur more than once"),
        ({}, {"label": "said", "n_train": 55}, "task.n_train is 55, but there are only"),
        ({}, {"label": "said", "n_train": 1}, "task.n_train is 1, but there are 2 classes"),
        ({}, {"label": "said", "noise": 1.5}, "task.noise is 1.5"),
        ({}, {"label": "said", "test_fraction": 0.0}, "task.test_fraction is 0.0"),
        ({"said": None}, {"label": "said", "classes": ["no", "yes"]}, "part is empty"),
    ],
)  # fmt: skip
def test_bad_input(
    source: Make, write: Callable[[pd.DataFrame], Path], frame: pd.DataFrame, changed: dict, given: dict, said: str
) -> None:
    with pytest.raises(BadInput) as told:
        source("table", path=write(frame.assign(**changed)), **given).split(0)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_a_missing_file_names_its_neighbour(
    source: Make, write: Callable[[pd.DataFrame], Path], frame: pd.DataFrame
) -> None:
    path = write(frame)
    with pytest.raises(BadInput, match=r"no file or folder .*row\.csv; did you mean 'rows\.csv'\?"):
        source("table", path=path.with_name("row.csv"), label="said")


def test_too_many_levels_are_refused() -> None:
    with pytest.raises(BadInput, match="column 'name' is not numeric and has 1001 different values"):
        encode({"train": pd.DataFrame({"name": [f"n{i}" for i in range(1001)]})}, [])


def test_no_feature_columns() -> None:
    with pytest.raises(BadInput, match="no feature columns"):
        encode({"train": pd.DataFrame(index=range(3))}, [])
    with pytest.raises(BadInput, match="since all rows have one value, or none, in 'one': name some"):
        encode({"train": pd.DataFrame({"one": [1] * 3})}, [])


def test_a_table_of_an_index_alone_names_the_column(source: Make, write: Callable[[pd.DataFrame], Path]) -> None:
    path = write(pd.DataFrame({"number": range(1, 41), "said": ["a", "b"] * 20}))
    with pytest.raises(BadInput, match="beside the labels, since 'number' only counts the rows"):
        source("table", path=path, label="said")
