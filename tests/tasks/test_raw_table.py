from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pinned import check_pinned, of_task

from harness.data import Source, Task
from harness.errors import BadInput

Make = Callable[..., Source]


@pytest.fixture
def frame() -> pd.DataFrame:
    """60 beers of five styles; sizes with units, strengths with gaps of two spellings."""
    n = 60
    styles = ["Pale Ale (APA)", "Double IPA", "Brown Ale", "Lager", "Gose"]
    return pd.DataFrame({
        "number": [str(i) for i in range(n)],
        "beer": [f"b{i}" for i in range(n)],
        "ounces": ["12.0 oz.", "16 OZ"] * (n // 2),
        "strength": ["0.05", "N/A", ""] * (n // 3),
        "style": [styles[i % 4] if i < 56 else styles[4] for i in range(n)],
    })  # fmt: skip


@pytest.fixture
def made(frame: pd.DataFrame, tmp_path: Path, source: Make) -> Callable[..., Source]:
    def make(**changed: object) -> Source:
        frame.to_csv(tmp_path / "rows.csv", index=False)
        return source("raw_table", **{"path": tmp_path / "rows.csv", "label": "style", **changed})

    return make


def rows_of(task: Task) -> dict[str, tuple[str, ...]]:
    parts = (task.train, task.valid, task.test)
    return {name: row for part in parts for name, row in zip(part.ids.tolist(), part.x.tolist(), strict=True)}


def test_every_cell_is_what_stands_in_the_file(made: Make, frame: pd.DataFrame) -> None:
    task = made(id="beer", ignore=["number"]).split(0)
    assert task.modality == "table"
    assert task.train.x.dtype.names == ("ounces", "strength")
    rows = rows_of(task)
    assert len(rows) == 60
    told = zip(frame["beer"], frame["ounces"], frame["strength"], strict=True)
    assert all(rows[name] == (ounces, strength) for name, ounces, strength in told)
    assert "missing" not in task.facts, "N/A is a word until a cleaner finds it"


def test_the_last_word_of_the_label_and_the_rare_ones_together(made: Make, frame: pd.DataFrame) -> None:
    """Both ales are one class, brackets set aside; Gose is rare."""
    task = made(label_part="last_word", most_frequent=3, id="beer").split(0)
    assert task.classes == ("Ale", "IPA", "Lager", "other")
    of = dict(zip(frame["beer"], frame["style"], strict=True))
    word = {"Pale Ale (APA)": "Ale", "Brown Ale": "Ale", "Double IPA": "IPA", "Lager": "Lager", "Gose": "other"}
    for name, c in zip(task.test.ids.tolist(), task.test.y.tolist(), strict=True):
        assert task.classes[c] == word[of[name]]


def test_whole_labels_and_all_of_them(made: Make) -> None:
    assert made().split(0).classes == ("Brown Ale", "Double IPA", "Gose", "Lager", "Pale Ale (APA)")


def test_a_row_without_a_label_is_not_tested_on(made: Make, frame: pd.DataFrame) -> None:
    frame.loc[:4, "style"] = " "
    task = made(id="beer").split(0)
    unlabelled = set(task.train.ids[~task.train.labelled].tolist())
    assert {f"b{i}" for i in range(5)} == unlabelled


def test_gaps_in_columns_of_numbers_are_a_fact(made: Make, frame: pd.DataFrame) -> None:
    frame["strength"] = frame["strength"].replace("N/A", "")
    assert made().split(0).facts["missing"] == 40


def test_splits_noise_and_the_fingerprint(made: Make, frame: pd.DataFrame) -> None:
    first, other = made(id="beer"), made(id="beer", noise=0.5)
    assert first.split(0).test.ids.tolist() == first.split(1).test.ids.tolist()
    assert first.split(0).train.ids.tolist() != first.split(1).train.ids.tolist()
    assert first.fingerprint == other.fingerprint, "the noise is a parameter of the task, the content is the same"
    noisy = other.split(0)
    assert (noisy.gold != noisy.train.classes).mean() == pytest.approx(0.5, abs=0.02)
    frame.loc[3, "ounces"] = "13 oz"
    assert made(id="beer").fingerprint != first.fingerprint


def test_gold_labels_are_what_is_tested_on(made: Make, frame: pd.DataFrame) -> None:
    frame["truth"] = np.roll(frame["style"], 1)
    task = made(gold="truth", id="beer").split(0)
    of = dict(zip(frame["beer"], frame["truth"], strict=True))
    assert [task.classes[c] for c in task.test.y.tolist()] == [of[name] for name in task.test.ids.tolist()]
    assert "truth" not in task.train.x.dtype.names


def test_bad_input_is_told(made: Make, frame: pd.DataFrame, tmp_path: Path, source: Make) -> None:
    for changed, told in (
        ({"label": "stile"}, "rows.csv has no column 'stile'; did you mean 'style'?"),
        ({"ignore": ["nr"]}, "rows.csv has no column 'nr'"),
        ({"path": tmp_path / "row.csv"}, "did you mean 'rows.csv'?"),
        ({"most_frequent": 2, "other": "Brown Ale"}, "'Brown Ale' is already a class"),
        ({"ignore": ["number", "beer", "ounces", "strength"]}, "no cells beside its labels"),
        ({"id": "ounces"}, "ids occur more than once"),
    ):
        with pytest.raises(BadInput, match=told.replace("?", r"\?")):
            made(**changed).split(0)
    for text, told in (("a,b\n", "has no rows"), ('a,b\n"1,2\n3', "cannot be read as CSV"), ("", "cannot be read")):
        (tmp_path / "bad.csv").write_text(text)
        with pytest.raises(BadInput, match=told):
            source("raw_table", path=tmp_path / "bad.csv", label="a")


@pytest.mark.shared
def test_beers(shared: Path, source: Make) -> None:
    task = source("beers", path=shared / "tasks/beers/dirty.csv").split(0)
    check_pinned("task/beers", of_task(task))
    assert task.classes == ("Ale", "Beer", "IPA", "Lager", "Porter", "Stout", "other")
    assert len(rows_of(task)) == 2410
    assert (~task.train.labelled).sum() == 5
    assert "style" not in task.train.x.dtype.names
    assert (task.train.x["ibu"] == "N/A").mean() == pytest.approx(1005 / 2410, abs=0.03)
