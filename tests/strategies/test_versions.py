"""What people cleaned by hand: edits one by one, and whole versions, of labels and of raw cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest
from conftest import train_set

from harness.conformance.small_sets import tools_with
from harness.data import TrainSet
from harness.errors import BadInput
from harness.storage.places import content_of
from harness.strategies import Tools
from harness.strategies.clean import edits, from_file
from harness.streams import stream
from harness.tables import cells_table

VERSION = partial(from_file, id=None, label=None, kept=["kept"], dropped=["removed"], carry="values")
Count = Callable[[str, int], None]


def tools(counted: list[int] | None = None) -> Tools:
    """Tools that note how many edits are counted."""
    return tools_with(stream(0, "file"), count=lambda what, n: [] if counted is None else counted.append(n))


@pytest.fixture
def train() -> TrainSet:
    """Five labelled rows of classes a, a, b, b, c, and r5 without a label; raw cells of two columns."""
    cells = {"size": ["1 oz", "2", "1 oz", "3", "N/A", "1 oz"], "city": ["Rome", "", "Rom", "Oslo", "", "Rom"]}
    rows = cells_table({name: np.array(column) for name, column in cells.items()})
    return train_set(rows, [0, 0, 1, 1, 2, -1], 3)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    def put(text: str) -> str:
        path = tmp_path / "by_hand.csv"
        path.write_text(text)
        return str(path)

    return put


def labels(after: TrainSet) -> dict[str, str]:
    known = after.rows(after.labelled)
    return {name: "abc"[c] for name, c in zip(known.ids.tolist(), known.classes.tolist(), strict=True)}


# Edits


def test_edits_relabel_drop_label_and_mend_cells(train: TrainSet, write: Callable[[str], str]) -> None:
    """r0 becomes b and then c, r2 goes, r5 gets a label, two cells are mended; r9 is in another part."""
    path = write(
        "id,before,after,column\nr0,a,b,\nr0,b,c,\nr2,b,,\nr5,,a,\nr9,a,b,\nr3,3,30,size\nr1,,Oslo,city\nr4,N/A,,size\n"
    )
    counted: list[int] = []
    after = edits(train, tools(counted), path=path, carry="values")
    assert labels(after) == {"r0": "c", "r1": "a", "r3": "b", "r4": "c", "r5": "a"}
    assert after.x["size"].tolist() == ["1 oz", "2", "30", "", "1 oz"]
    assert after.x["city"].tolist() == ["Rome", "Oslo", "Oslo", "", "Rom"]
    assert after.w.tolist() == [1] * 5
    assert counted == [2 + 1 + 3], "labels, the row and the cells that differ in the end"


def test_what_was_edited_in_one_way_is_so_in_rows_to_predict(train: TrainSet, write: Callable[[str], str]) -> None:
    """Every 1 oz became 1 and N/A nothing; one of two empty cities became Oslo, which says nothing of the next one."""
    lines = [f"r{row},1 oz,1,size" for row in (0, 2, 5)]
    path = write("\n".join(["id,before,after,column", *lines, "r4,N/A,,size", "r1,,Oslo,city", ""]))
    new = cells_table({"size": np.array(["1 oz", "N/A", "4 oz"]), "city": np.array(["", "Rom", "x"])})
    after = edits(train, tools(), path=path, carry="values")
    assert after.prepare is not None
    assert after.prepare(new).tolist() == [("1", ""), ("", "Rom"), ("4 oz", "x")]
    alone = edits(train, tools(), path=path, carry="none")
    assert alone.prepare is None
    assert alone.x.tolist() == after.x.tolist()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id,before\nr0,a\n", "has no column 'after'"),
        ("id,before,after\nr0,a,b\nr1,b,c\n", "line 3: before is 'b', but row 'r1' has 'a'"),
        ("id,before,after\nr0,a,bb\n", "line 2: after is 'bb', which is not a class.*classes: a, b, c"),
        ("id,before,after,column\nr0,a,b,sise\n", "line 2: the training set has no column 'sise'; did you mean 'size'"),
        ("id,before,after\nx0,a,b\n", "none of its 1 edits names a training row, such as 'r0'"),
        ("id,before,after\n", "has no rows"),
    ],
)
def test_edits_that_cannot_be_are_told_with_their_line(
    train: TrainSet, write: Callable[[str], str], text: str, told: str
) -> None:
    with pytest.raises(BadInput, match=told):
        edits(train, tools(), path=write(text), carry="values")


def test_rows_without_cells_have_none_to_edit(write: Callable[[str], str]) -> None:
    pictures = train_set(np.zeros((2, 8, 8, 1), dtype=np.uint8), [0, 1], 3)
    assert labels(edits(pictures, tools(), path=write("id,before,after\nr0,a,c\n"), carry="none")) == {
        "r0": "c",
        "r1": "b",
    }
    with pytest.raises(BadInput, match="no column 'size', and its rows have no cells: task=raw_table reads some"):
        edits(pictures, tools(), path=write("id,before,after,column\nr0,a,c,size\n"), carry="none")


def test_a_missing_file_names_its_neighbour(train: TrainSet, write: Callable[[str], str]) -> None:
    path = write("id,before,after\n")
    for strategy in (partial(edits, carry="none"), VERSION):
        with pytest.raises(BadInput, match=r"clean\.path: there is no file.*did you mean 'by_hand.csv'"):
            strategy(train, tools(), path=path.replace("hand", "hands"))


# A second version


def test_a_version_relabels_drops_and_keeps(train: TrainSet, write: Callable[[str], str]) -> None:
    """r0 relabelled; r1 kept as it is; r2 removed; r3 without a verdict; r4 absent; r5 stays without a label."""
    path = write("name,verdict\nr0,c\nr1,kept\nr2,removed\nr3,\nr5,\nr77,a\n")
    counted: list[int] = []
    after = VERSION(train, tools(counted), path=path, label="verdict")
    assert after.ids.tolist() == ["r0", "r1", "r5"]
    assert labels(after) == {"r0": "c", "r1": "a"}
    assert counted == [1 + 3]
    assert VERSION(train, tools(), path=path).ids.tolist() == ["r0", "r1", "r2", "r3", "r5"], "only absent rows go"


def test_labels_that_agree_keep_their_softness(train: TrainSet, write: Callable[[str], str]) -> None:
    soft = replace(train, y=(0.7 * train.y + 0.1).astype(np.float32))
    path = write("name,said\n" + "".join(f"r{i},{c}\n" for i, c in enumerate("aabbb")) + "r5,\n")
    after = VERSION(soft, tools(), path=path, label="said")
    assert np.array_equal(after.y[:4], soft.y[:4])
    assert after.y[4].tolist() == [0, 1, 0]


def test_a_version_of_raw_cells(train: TrainSet, write: Callable[[str], str]) -> None:
    """Columns of the same name are compared; r5's cells, like all, come from the file."""
    path = write(
        "key,size,other\n" + "".join(f"r{i},{size},x\n" for i, size in enumerate(["1", "2", "1", "3", "", "1"]))
    )
    counted: list[int] = []
    after = VERSION(train, tools(counted), path=path, id="key")
    assert after.x["size"].tolist() == ["1", "2", "1", "3", "", "1"]
    assert after.x["city"].tolist() == train.x["city"].tolist()
    assert counted == [4]
    assert after.prepare is not None
    assert after.prepare(train.x[[0]]).tolist() == [("1", "Rome")]


def test_rows_that_are_merely_numbered_are_matched_by_their_place(write: Callable[[str], str]) -> None:
    numbered = replace(
        train_set(np.zeros((3, 1), dtype=np.float32), [0, 1, 2], 3), ids=np.array(["train-4", "train-0", "train-9"])
    )
    place = write("label\nc\na\na\na\nb\na\na\na\na\na\n")
    assert labels(VERSION(numbered, tools(), path=place, label="label")) == {
        "train-4": "b",
        "train-0": "c",
        "train-9": "a",
    }


def test_a_shorter_file_without_ids_is_refused(write: Callable[[str], str]) -> None:
    """Nobody knows which rows were removed: those behind them would get another row's label."""
    numbered = replace(train_set(np.zeros((2, 1), dtype=np.float32), [0, 1], 3), ids=np.array(["train-0", "train-9"]))
    with pytest.raises(BadInput, match="has 5 rows and no column of ids, but training rows are numbered up to 9"):
        VERSION(numbered, tools(), path=write("label\nc\na\na\na\nb\n"), label="label")


@pytest.mark.parametrize("kind", ["numbers", "texts", "labels"])
def test_numbered_rows_of_another_order_are_refused(write: Callable[[str], str], kind: str) -> None:
    """By what they share with the training rows; by their labels where that is all they have."""
    classes = [(5 * row) % 3 for row in range(60)]
    values = np.array([f"text {7 * row}" for row in range(60)], dtype=object) if kind == "texts" else None
    x = np.array([[7.0 * row] for row in range(60)], dtype=np.float32) if values is None else values
    train = replace(train_set(x, classes, 3), ids=np.array([f"train-{row}" for row in range(60)]))
    named = [f"{7 * row}" if kind == "numbers" else f"text {7 * row}" for row in range(60)]
    head = "label\n" if kind == "labels" else "f,label\n"
    lines = [
        "abc"[one] if kind == "labels" else f"{name},{'abc'[one]}" for name, one in zip(named, classes, strict=True)
    ]
    after = VERSION(train, tools(), path=write(head + "\n".join(lines) + "\n"), label="label")
    assert after.classes.tolist() == classes
    moved = lines[1:] + lines[:1]
    with pytest.raises(BadInput, match=r"by their numbers, .*(rows were removed or moved|in another order)"):
        VERSION(train, tools(), path=write(head + "\n".join(moved) + "\n"), label="label")


def test_numbered_rows_whose_ids_a_column_holds_are_matched_by_that_column(write: Callable[[str], str]) -> None:
    """A file that was sorted by another column, or has lost rows, must not be matched by its order."""
    numbered = replace(
        train_set(np.zeros((3, 1), dtype=np.float32), [0, 1, 2], 3), ids=np.array(["train-4", "train-0", "train-9"])
    )
    after = VERSION(numbered, tools(), path=write("row,label\ntrain-9,a\ntrain-4,c\n"), label="label")
    assert labels(after) == {"train-4": "c", "train-9": "a"}


def test_parquet_with_declared_classes(tmp_path: Path, train: TrainSet) -> None:
    features = datasets.Features(
        {"name": datasets.Value("string"), "label": datasets.ClassLabel(names=["c", "b", "a"])}
    )
    rows = {"name": [f"r{i}" for i in range(6)], "label": [2, 1, 1, 1, 0, None]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "clean.parquet")
    after = VERSION(train, tools(), path=str(tmp_path / "clean.parquet"), label="label")
    assert labels(after) == {"r0": "a", "r1": "b", "r2": "b", "r3": "b", "r4": "c"}


@pytest.mark.parametrize(
    ("text", "changed", "told"),
    [
        ("name,said\nr0,d\n", {"label": "said"}, "'d' in column 'said', row 0, is not a class"),
        ("name,said\nr0,a\n", {"label": "sad"}, "has no column 'sad'; did you mean 'said'"),
        ("name,said\nr0,a\nr0,b\n", {"label": "said"}, "ids in column 'name' occur more than once"),
        ("name,said\nx,a\n", {"label": "said"}, "no column holds the training rows' ids, such as 'r0'"),
        ("name,said\nr0,a\n", {"carry": "all"}, "clean.carry=all is not known"),
    ],
)
def test_versions_that_cannot_be_matched_are_told(
    train: TrainSet, write: Callable[[str], str], text: str, changed: dict[str, Any], told: str
) -> None:
    with pytest.raises(BadInput, match=told):
        VERSION(train, tools(), path=write(text), **changed)


def test_another_content_is_another_trial(write: Callable[[str], str]) -> None:
    first = content_of(write("id,before,after\nr0,a,b\n"))
    assert first.startswith("sha256:")
    assert first != content_of(write("id,before,after\nr0,a,c\n"))


@pytest.mark.shared
def test_four_curators_are_four_arms(shared: Path, source: Any) -> None:
    """What is left, and the share that agrees with the consensus: 0.915 as given."""
    folder = shared / "tasks/roman_numerals"
    task = source("roman_numerals", path=folder).split(0)
    named = replace(tools(), classes=task.classes)
    gold = dict(zip(task.train.ids.tolist(), task.gold.tolist(), strict=True))
    for curator, left, right in (("a", 1757, 0.986), ("b", 1589, 0.991), ("c", 1385, 0.993), ("d", 1570, 0.985)):
        after = VERSION(task.train, named, path=str(folder / "train.parquet"), label=f"curator_{curator}")
        agreed = np.mean([gold[name] == c for name, c in zip(after.ids.tolist(), after.classes.tolist(), strict=True)])
        assert len(after) == left
        assert agreed == pytest.approx(right, abs=0.001)


@pytest.mark.shared
def test_the_owners_version_of_the_beers(shared: Path, source: Any) -> None:
    """The training cells are those of the clean file, and cells of other rows that were always edited alike are too."""
    folder = shared / "tasks/beers"
    task = source("beers", path=folder / "dirty.csv").split(0)
    after = VERSION(task.train, replace(tools(), classes=task.classes), path=str(folder / "clean.csv"))
    clean = pd.read_csv(folder / "clean.csv", dtype=str, keep_default_na=False).set_index("id")
    for name in task.train.x.dtype.names:
        assert after.x[name].tolist() == clean.loc[task.train.ids, name].tolist()
    assert after.prepare is not None
    test = after.prepare(task.test.x)
    right = {name: (test[name] == clean.loc[task.test.ids, name]).mean() for name in ("ounces", "abv", "ibu", "state")}
    assert right["ounces"] > 0.99
    assert right["ibu"] == 1
    assert right["abv"] > 0.9
    assert right["state"] < 0.97, "a state that was missing is known from the row alone"


def test_cells_of_a_version_that_cannot_be_used_are_told(write: Callable[[str], str]) -> None:
    """A table of numbers has no cells by name: only the labels of the version count, and the arm says so."""
    notes: dict[str, str] = {}
    train = train_set(np.array([[1.0], [2.0], [3.0]], dtype=np.float32), [0, 1, 2], 3)
    path = write("id,size,label\n" + "".join(f"{name},9,{'abc'[row]}\n" for row, name in enumerate(train.ids)))
    lent = tools_with(stream(0, "file"), note=notes.__setitem__)
    VERSION(train, lent, path=path, id="id", label="label")
    assert notes == {
        "ignored": "columns size of by_hand.csv change nothing: cells are edited in a raw table only (task=raw_table)"
    }
    notes.clear()
    raw = train_set(cells_table({"size": np.array(["1", "2", "3"])}), [0, 1, 2], 3)
    VERSION(raw, lent, path=path, id="id", label="label")
    assert notes == {}
