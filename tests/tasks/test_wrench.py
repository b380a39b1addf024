from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pinned import check_pinned, of_task

from harness.data import Source
from harness.errors import BadInput

Make = Callable[..., Source]
Rows = dict[str, dict[str, Any]]


def _rows(n: int, what: str) -> Rows:
    return {
        str(i): {"data": {"text": f"{what} {i}"}, "label": i % 2, "weak_labels": [i % 2, -1 if i % 3 else 1]}
        for i in range(n)
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    where = tmp_path / "data"
    where.mkdir()
    for what, n in (("train", 30), ("valid", 12), ("test", 10)):
        (where / f"{what}.json").write_text(json.dumps(_rows(n, what)))
    (where / "label.json").write_text('{"0": "ham", "1": "spam"}')
    return where


def test_a_small_gold_set_then_the_pool(source: Make, folder: Path) -> None:
    task = source("wrench", path=folder, n_gold=4).split(0)
    assert task.classes == ("ham", "spam")
    assert task.modality == "text"
    assert [len(part) for part in (task.train, task.valid, task.test)] == [34, 8, 10]
    assert task.train.w.tolist() == [1] * 4 + [0] * 30
    assert (task.train.votes[:4] == -1).all()
    assert task.train.votes[4:10].tolist() == [[0, 1], [1, -1], [0, -1], [1, 1], [0, -1], [1, -1]]
    assert sorted(task.train.classes[:4]) == [0, 0, 1, 1]
    assert (task.train.y[4:] == 0.5).all()
    assert task.gold[4:].tolist() == [i % 2 for i in range(30)]
    assert task.train.ids[4] == "train-0"
    assert all(name.startswith("valid-") for name in task.train.ids[:4])
    assert not set(task.train.ids[:4]) & set(task.valid.ids)
    assert (task.facts["labelled"], task.facts["train_labels"], task.facts["given_wrong"]) == (4, "gold", 0.0)


@pytest.mark.parametrize("n_train", [None, 20])
def test_the_share_of_common_training_rows_counts_gold_rows_and_pool(
    source: Make, folder: Path, n_train: int | None
) -> None:
    made = source("wrench", path=folder, n_gold=4, n_train=n_train)
    rows = [set(made.split(seed).train.ids) for seed in range(20)]
    common = [len(one & other) / len(one) for i, one in enumerate(rows) for other in rows[:i]]
    assert made.split(0).facts["train_shared"] == pytest.approx(np.mean(common), abs=0.03)


def test_gold_rows_follow_the_seed_and_the_test_part_does_not(source: Make, folder: Path) -> None:
    wrench = source("wrench", path=folder, n_gold=4)
    one, two = wrench.split(0), wrench.split(1)
    assert one.train.ids[:4].tolist() != two.train.ids[:4].tolist()
    assert one.test.ids.tolist() == two.test.ids.tolist()
    assert one.train.digest() == source("wrench", path=folder, n_gold=4).split(0).train.digest()


def test_n_train_counts_gold_rows_and_pool(source: Make, folder: Path) -> None:
    task = source("wrench", path=folder, n_gold=4, n_train=14).split(0)
    assert len(task.train) == 14
    assert task.train.labelled.sum() == 4


@pytest.mark.parametrize(
    ("n_gold", "n_train", "said"),
    [
        (12, None, "task.n_gold is 12, which is every row of valid.json"),
        (13, None, "task.n_gold is 13, but there are only 12 rows"),
        (1, None, "task.n_gold is 1, but there are 2 classes"),
        (4, 4, "task.n_train is 4: 4 gold rows and the pool allow 5 to 34"),
        (4, 35, "task.n_train is 35"),
    ],
)
def test_sizes_that_cannot_be(source: Make, folder: Path, n_gold: int, n_train: int | None, said: str) -> None:
    with pytest.raises(BadInput) as told:
        source("wrench", path=folder, n_gold=n_gold, n_train=n_train)
    assert said in str(told.value)


def _spoil(row: str, **entries: Any) -> Callable[[Rows], Rows]:
    return lambda rows: rows | {row: rows[row] | entries}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_spoil("3", label=2), "train.json, row '3' has label 2: a label is 0 to 1"),
        (_spoil("3", label="spam"), "train.json, row '3' has label 'spam'"),
        (_spoil("3", weak_labels=[1]), "votes have the wrong shape, row '3' has 1, row '0' has 2"),
        (_spoil("3", weak_labels=[1, 5]), "vote 5 in weak_labels of train.json, row 3, names no class"),
        (_spoil("3", weak_labels=[1, 0.5]), "weak_labels must be whole numbers"),
        (_spoil("3", data={}), "train.json, row '3' needs data.text, label and weak_labels"),
        (lambda rows: {}, "the train part is empty"),
        (lambda rows: [1], "is not a JSON object"),
    ],
)
def test_spoilt_rows(source: Make, folder: Path, spoil: Callable[[Rows], Any], said: str) -> None:
    file = folder / "train.json"
    file.write_text(json.dumps(spoil(json.loads(file.read_text()))))
    with pytest.raises(BadInput) as told:
        source("wrench", path=folder)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_missing_files(source: Make, folder: Path) -> None:
    (folder / "valid.json").rename(folder / "vaild.json")
    with pytest.raises(BadInput, match=r"no file valid\.json; did you mean 'vaild\.json'\?"):
        source("wrench", path=folder)
    with pytest.raises(BadInput, match="no file or folder"):
        source("wrench", path=folder / "absent")
    (folder / "label.json").write_text('{"0": "ham", "2": "spam"}')
    with pytest.raises(BadInput, match="must map 0 to 1 to class names"):
        source("wrench", path=folder)
    (folder / "label.json").write_text("{")
    with pytest.raises(BadInput, match=r"label\.json, line 1, is not JSON"):
        source("wrench", path=folder)
    (folder / "label.json").write_text('{"0": "ham",\n "0": "spam"}')
    with pytest.raises(BadInput, match=r"label\.json, line 1, names '0' more than once"):
        source("wrench", path=folder)
    (folder / "label.json").write_text("[]")
    with pytest.raises(BadInput, match="is not a JSON object"):
        source("wrench", path=folder)


@pytest.mark.parametrize(
    ("name", "sizes", "m", "pool_duplicates", "pool_overlap"),
    [("youtube", (1586, 120, 250), 10, 146, 8),
     ("sms", (4571, 500, 500), 73, 303, 62),
     ("trec", (5033, 500, 500), 68, 130, 0)],
)  # fmt: skip
def test_real_data(
    source: Make, shared: Path, name: str, sizes: tuple[int, ...], m: int, pool_duplicates: int, pool_overlap: int
) -> None:
    option = "youtube" if name == "youtube" else "wrench"
    task = source(option, path=shared / "tasks" / "wrench" / name, n_gold=40).split(0)
    assert (len(task.train), len(task.valid), len(task.test)) == (sizes[0] + 40, sizes[1] - 40, sizes[2])
    assert task.train.votes.shape[1] == m
    check_pinned(f"task/{name}", of_task(task))
    pool = set(task.train.x[40:])
    assert sizes[0] - len(pool) == pool_duplicates
    assert sum(text in pool for text in task.test.x) == pool_overlap
    whole = set(task.train.x)
    assert task.facts["overlap"] == sum(text in whole for text in task.test.x) >= pool_overlap
    assert task.facts["duplicates"] == len(task.train) - len(whole) >= pool_duplicates
    assert np.unique(task.train.classes[:40]).size == len(task.classes)


def test_whole_labels_and_votes_with_a_point_are_whole(source: Make, folder: Path) -> None:
    before = source("wrench", path=folder, n_gold=4).split(0)
    file = folder / "train.json"
    rows = json.loads(file.read_text())
    for row in rows.values():
        row["label"], row["weak_labels"] = float(row["label"]), [float(vote) for vote in row["weak_labels"]]
    file.write_text(json.dumps(rows))
    after = source("wrench", path=folder, n_gold=4).split(0)
    assert np.array_equal(after.gold, before.gold)
    assert np.array_equal(after.train.votes, before.train.votes)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("label", [0, 1], "train.json, row '3' has label [0, 1]: a label is 0 to 1"),
        ("label", 0.5, "row '3' has label 0.5"),
        ("data", {"text": None}, "row '3' has the text None: a text is a string"),
        ("weak_labels", 1, "row '3': weak_labels must be a list"),
        ("weak_labels", [0.5, 1], "weak_labels must be whole numbers"),
    ],
)
def test_odd_cells_are_refused(source: Make, folder: Path, name: str, value: Any, said: str) -> None:
    file = folder / "train.json"
    rows = json.loads(file.read_text())
    rows["3"][name] = value
    file.write_text(json.dumps(rows))
    with pytest.raises(BadInput) as told:
        source("wrench", path=folder)
    assert said in str(told.value)
