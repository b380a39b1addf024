"""Files and folders as people have them: what is understood is what the task then reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from harness.asking.roles import Wishes
from harness.asking.survey import Survey, describe_balance, look_at, task_name
from harness.data import Task
from harness.errors import BadInput
from harness.run.options import build
from harness.storage.places import conf_dir

N = 120


def look(path: Path, **said: Any) -> Survey:
    parts = {part: said.pop(part, None) for part in ("train", "valid", "test")}
    return look_at(str(path), Wishes(**said), parts, "mine", f"harness ask {path.name}")


def task_of(found: Survey, tmp_path: Path) -> Task:
    """The task that a study with those settings reads."""
    node = yaml.safe_load((conf_dir() / "task" / f"{found.task}.yaml").read_text())
    return build(node | {"cache": str(tmp_path / "cache")} | dict(found.settings)).split(0)


def churn(n: int = N, shift: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(n + shift)
    return pd.DataFrame({
        "customer": [f"C{i + shift:04d}" for i in range(n)], "spend": rng.normal(50, 9, n).round(2),
        "plan": rng.choice(["basic", "plus", "pro"], n), "churned": rng.choice(["yes", "no"], n),
    })  # fmt: skip


def test_a_table_with_strings_and_gaps_is_read_as_understood(tmp_path):
    table = churn().assign(note="same")
    table.loc[:9, "spend"] = np.nan
    table.loc[:4, "plan"] = None
    table.to_csv(tmp_path / "churn.csv", index=False)
    found = look(tmp_path / "churn.csv")
    assert (found.task, found.settings["modality"], found.missing) == ("folder", "table", 10)
    assert (found.settings["label"], found.settings["id"]) == ("churned", "customer")
    task = task_of(found, tmp_path)
    assert task.train.x.shape[1] == 1 + 4  # the spending, three plans and none
    assert set(task.train.ids) <= set(table["customer"])


def test_a_test_file_beside_the_training_file_is_used(tmp_path):
    churn().to_csv(tmp_path / "train.csv", index=False)
    churn(40, 500).to_csv(tmp_path / "test.csv", index=False)
    found = look(tmp_path / "train.csv")
    assert (found.settings["train"], found.settings["test"]) == ("train.csv", "test.csv")
    assert any(note == "test: test.csv, which lies beside train.csv [test=]" for note in found.notes)
    assert sorted(task_of(found, tmp_path).test.ids) == [f"C{i:04d}" for i in range(500, 540)]
    assert found.roles is not None
    assert found.roles.id is not None
    repeated = churn(40, 500)
    repeated[found.roles.id] = "C0500"
    repeated.to_csv(tmp_path / "test.csv", index=False)
    assert look(tmp_path / "train.csv").roles.id is None  # type: ignore[union-attr]


@pytest.mark.parametrize("whole", [True, False])
def test_a_test_file_without_labels_is_not_used_and_that_is_said(tmp_path, whole):
    churn().to_csv(tmp_path / "train.csv", index=False)
    churn(40, 500).drop(columns="churned").to_csv(tmp_path / "test.csv", index=False)
    found = look(tmp_path if whole else tmp_path / "train.csv")
    assert "test" not in found.settings
    assert any("has no column 'churned': it is not used" in note for note in found.notes)
    assert len(task_of(found, tmp_path).test) == N // 5


def test_other_files_are_parts_only_where_the_user_says_so(tmp_path):
    churn().to_csv(tmp_path / "data.csv", index=False)
    churn(40, 500).to_csv(tmp_path / "holdout.csv", index=False)
    assert "test" not in look(tmp_path / "data.csv").settings
    assert len(task_of(look(tmp_path / "data.csv", test="holdout.csv"), tmp_path).test) == 40


def test_two_files_that_could_be_the_test_part_are_refused(tmp_path):
    for name in ("train.csv", "test.csv", "test_undisputed.csv"):
        churn().to_csv(tmp_path / name, index=False)
    with pytest.raises(
        BadInput, match=r"several files could be the test part: test.csv, test_undisputed.csv; say test=FILE"
    ):
        look(tmp_path / "train.csv")


def test_columns_left_out_are_not_among_the_features(tmp_path):
    churn().assign(code=lambda rows: rows["churned"].map({"yes": 1, "no": 0})).to_csv(tmp_path / "a.csv", index=False)
    found = look(tmp_path / "a.csv")
    assert found.settings["input"] == ["spend", "plan"]
    assert task_of(found, tmp_path).train.x.shape[1] == 4


def test_texts_are_read_from_their_column(tmp_path):
    texts = [f"a film number {i} that nobody should see twice" for i in range(N)]
    pd.DataFrame({"review": texts, "stars": ["1", "5"] * (N // 2)}).to_csv(tmp_path / "reviews.csv", index=False)
    found = look(tmp_path / "reviews.csv")
    assert (found.settings["modality"], found.settings["input"], found.settings["label"]) == ("text", "review", "stars")
    assert set(task_of(found, tmp_path).train.x) <= set(texts)


@pytest.mark.parametrize(("mode", "color"), [("RGB", "rgb"), ("L", "grey")])
def test_a_folder_of_images_a_class(tmp_path, mode, color):
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(0, 255, (40, 36, 3) if mode == "RGB" else (40, 36)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    found = look(tmp_path / "photos")
    assert (found.settings["modality"], found.settings["color"], found.settings["image_size"]) == ("image", color, 32)
    task = task_of(found, tmp_path)
    assert (task.classes, task.train.x.shape[1:]) == (("cats", "dogs"), (32, 32, 3 if mode == "RGB" else 1))


def test_votes_and_true_labels_are_read(tmp_path):
    table = churn()
    for i in range(3):
        table[f"annotator_{i}"] = table["churned"].where(np.arange(N) % 7 != i)
    table.assign(gold=table["churned"]).to_csv(tmp_path / "v.csv", index=False)
    found = look(tmp_path / "v.csv")
    assert found.settings["votes"] == ["annotator_0", "annotator_1", "annotator_2"]
    task = task_of(found, tmp_path)
    assert (task.train.votes.shape[1], task.facts["test_labels"]) == (3, "gold")


def test_whole_numbers_written_with_a_point_are_one_class_with_those_without(tmp_path):
    table = churn().assign(label=[0.0, 1.0] * (N // 2), gold=["0", "1"] * (N // 2)).drop(columns="churned")
    table.to_csv(tmp_path / "a.csv", index=False)
    assert look(tmp_path / "a.csv").settings["gold"] == "gold"


def test_a_class_of_few_rows_is_refused_before_anything_runs(tmp_path):
    table = churn()
    table.loc[0, "churned"] = "maybe"
    table.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(BadInput, match="classes with fewer than 5 rows cannot be split into parts: 'maybe' 1"):
        look(tmp_path / "a.csv")


def test_a_folder_in_wrench_format_is_known(tmp_path):
    for name in ("label.json", "train.json"):
        (tmp_path / name).write_text("{}")
    assert look(tmp_path).task == "wrench"
    with pytest.raises(BadInput, match=r"label=y: .* is in WRENCH format"):
        look(tmp_path, label="y")


def test_uneven_classes_are_said():
    assert describe_balance({"a": 60, "b": 40}) == []
    assert describe_balance({"a": 90, "b": 10})[0].startswith("uneven classes: 'a' 90 rows (90 %), 'b' 10; accuracy")


@pytest.mark.parametrize(
    ("path", "name"),
    [("reviews.csv", "reviews"), ("data/My Photos/", "my_photos"), ("churn/train.csv", "churn"), ("x-1.b.csv", "x_1_b"), ("データ.csv", "data")],
)  # fmt: skip
def test_a_study_is_named_after_its_data(path, name):
    assert task_name(path) == name
