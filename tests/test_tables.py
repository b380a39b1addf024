"""Raw cells, and how they become numbers: learnt on training rows, the same for a row whatever rows come with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from conftest import train_set
from hypothesis import given
from hypothesis import strategies as st

from harness.data import TrainSet, digest, row_hashes, take
from harness.tables import cells_table, columns_of, is_raw, mend_columns, missing_cells, numbers, numeric

COLUMNS = {"size": ["1", "2.5", "", " 4 "], "word": ["red", "blue ", "red", ""]}


def raw(columns: dict[str, list[str]], classes: list[int] | None = None) -> TrainSet:
    rows = cells_table({name: np.array(cells) for name, cells in columns.items()})
    return train_set(rows, classes or [0, 1] * (len(rows) // 2), 2)


def test_a_raw_table_gives_its_columns_back() -> None:
    table = raw(COLUMNS).x
    assert is_raw(table)
    assert not is_raw(np.zeros((2, 2)))
    assert {name: cells.tolist() for name, cells in columns_of(table).items()} == COLUMNS
    assert take(table, np.array([2, 0])).tolist() == [("", "red"), ("1", "red")]


def test_numbers_stay_and_words_become_a_feature_a_level() -> None:
    """Sizes are numbers with a gap; the words are, sorted, a missing one, blue and red, spaces around them set aside."""
    table = numeric(raw(COLUMNS))
    expected = [[1, 0, 0, 1], [2.5, 0, 1, 0], [np.nan, 0, 0, 1], [4, 1, 0, 0]]
    assert table.x.dtype == np.float32
    assert np.array_equal(table.x, np.array(expected, dtype=np.float32), equal_nan=True)


def test_rows_to_predict_are_encoded_as_the_training_rows_were() -> None:
    """A word that no training row has is no level; a size that is no number is missing."""
    prepare = numeric(raw(COLUMNS)).prepare
    assert prepare is not None
    new = cells_table({"size": np.array(["7", "big"]), "word": np.array(["green", "blue"])})
    assert np.array_equal(prepare(new), np.array([[7, 0, 0, 0], [np.nan, 0, 1, 0]], dtype=np.float32), equal_nan=True)
    assert np.array_equal(prepare(new[1:]), prepare(new)[1:], equal_nan=True)
    assert prepare(new[:0]).shape == (0, 4)


def test_numbers_that_are_no_finite_ones_are_missing() -> None:
    cells = np.array(["1e3", "-2", "nan", "inf", "1e300", "12 oz", ""])
    assert np.array_equal(numbers(cells), np.array([1000, -2, *[np.nan] * 5], dtype=np.float32), equal_nan=True)


def test_a_set_of_numbers_is_left_alone() -> None:
    train = train_set(np.zeros((4, 2), dtype=np.float32), [0, 1, 0, 1], 2)
    assert numeric(train) is train


def test_the_most_frequent_levels_get_a_feature() -> None:
    words = [f"w{i:04}" for i in range(1500)] + [f"w{i:04}" for i in range(1400, 1500)]
    table = numeric(raw({"word": words}))
    assert table.x.shape == (1600, 1000)
    assert table.x[1400:].sum(1).tolist() == [1.0] * 200, "what is frequent has a feature of its own"


def test_missing_cells_are_those_that_a_model_would_miss() -> None:
    """Only of columns of numbers: a missing word is a level, and what is no number in another part is missing."""
    train = raw(COLUMNS).x
    other = cells_table({"size": np.array(["x", "3"]), "word": np.array(["", ""])})
    assert missing_cells(train, other) == 2
    assert missing_cells(np.array([[1, np.nan]], dtype=np.float32), np.array([[np.nan, 2]])) == 2
    assert missing_cells(np.array(["a text", ""])) == 0


def test_mending_chains_with_the_encoding() -> None:
    """Two steps and the encoding, in their order, for the training rows and for one to predict."""
    loud = mend_columns(raw(COLUMNS), {"word": np.char.upper})
    wide = mend_columns(loud, {"word": lambda cells: np.char.add(cells, "!")})
    table = numeric(wide)
    assert wide.x["word"].tolist() == ["RED!", "BLUE !", "RED!", "!"]
    assert table.prepare is not None
    assert table.prepare(raw(COLUMNS).x[1:2]).tolist() == [[2.5, 0, 1, 0]]


@given(st.lists(st.tuples(st.text("ab ", max_size=3), st.text("12.", max_size=3)), min_size=1, max_size=6))
def test_content_is_the_text_and_not_the_width_of_a_field(rows: list[tuple[str, str]]) -> None:
    narrow = cells_table({"a": np.array([one for one, _ in rows]), "b": np.array([two for _, two in rows])})
    wide = narrow.astype([("a", "U40"), ("b", "U50")])
    assert digest(narrow) == digest(wide)
    assert row_hashes(narrow).tolist() == row_hashes(wide).tolist()
    assert len(set(row_hashes(narrow).tolist())) == len(set(narrow.tolist()))


def test_other_names_or_cells_are_another_content() -> None:
    train = raw(COLUMNS)
    renamed = cells_table({"weight": train.x["size"], "word": train.x["word"]})
    turned = cells_table({**columns_of(train.x), "word": train.x["word"][::-1]})
    assert len({train.digest(), *(replace(train, x=x).digest() for x in (renamed, turned))}) == 3
