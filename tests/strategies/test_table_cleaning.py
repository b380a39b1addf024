"""Cells and numbers mended by what the training rows show, and rows that are predicted after them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import train_set
from hypothesis import given
from hypothesis import strategies as st
from test_trial import make

from harness.conformance.blindness import check_blind
from harness.conformance.small_sets import tools_with
from harness.data import TrainSet
from harness.errors import BadInput
from harness.run.options import build
from harness.run.trial import Place, run_trial
from harness.storage.cache import Cache
from harness.storage.places import conf_dir
from harness.strategies import Tools
from harness.strategies.clean import clipped_cells, impute, in_turn, outlying_cells, spellings, units
from harness.strategies.clean.cells import Quantity, normalise_spelling, read_quantity
from harness.strategies.clean.imputation import IMPUTATIONS
from harness.streams import stream
from harness.tables import cells_table, numeric

UNITS = partial(units, share=0.9, factors={"%": 0.01, "kg": 1000.0}, missing=["n/a"])
SPELLINGS = partial(spellings, edits=1, shortest=6, times=3.0)
IMPUTE = partial(impute, k=2, max_iter=10, levels="own")
NAN = np.nan


def tools(seed: int = 0) -> Tools:
    return tools_with(stream(seed, "cells"))


def raw(**columns: list[str]) -> TrainSet:
    rows = cells_table({name: np.array(cells) for name, cells in columns.items()})
    return train_set(rows, (np.arange(len(rows)) % 2).tolist(), 2)


def table(rows: list[list[float]]) -> TrainSet:
    return train_set(np.array(rows, dtype=np.float32), (np.arange(len(rows)) % 2).tolist(), 2)


def prepared(train: TrainSet, **columns: list[str]) -> list[tuple[str, ...]]:
    assert train.prepare is not None
    return [tuple(row) for row in train.prepare(raw(**columns).x).tolist()]


# Units


@pytest.mark.parametrize(
    ("cell", "number", "unit"),
    [
        ("12.0 oz.", 12, "oz"), ("5%", 5, "%"), ("-3", -3, ""), ("1,200 $", 1200, "$"), ("$1,200.50", 1200.5, ""),
        ("1e3m", 1000, "m"), (".5", 0.5, ""), (" 16.0 oz. Alumi-Tek ", 16, "oz. alumi-tek"), ("7 °C", 7, "°c"),
    ],
)  # fmt: skip
def test_a_quantity_is_read(cell: str, number: float, unit: str) -> None:
    assert read_quantity(cell) == Quantity(float(number), unit)


@pytest.mark.parametrize("cell", ["", "oz", "1-2", "1,2", "N/A", "12 oz 3", "1.2.3", "2020-01-01", ".", "a1"])
def test_what_is_no_quantity_is_not_read(cell: str) -> None:
    assert read_quantity(cell) is None


@given(st.floats(-1e6, 1e6).map(lambda value: round(value, 3)), st.sampled_from(["", " oz", "kg.", " %"]))
def test_what_was_written_is_read(value: float, unit: str) -> None:
    found = read_quantity(f"{value:.3f}{unit}")
    assert found is not None
    assert found.number == pytest.approx(value)


def test_columns_of_quantities_become_numbers_and_others_stay() -> None:
    """Beside plain shares around 0.05, "5%" is 0.05; names that begin with a number are words."""
    train = raw(
        size=["12.0 oz.", "16 OZ", "12 ounce", "N/A"],
        share=["0.05", "5%", "7 %", "0.06"],
        name=["10 Barrel", "Oskar", "n/a", "21st Street"],
    )
    after = UNITS(train, tools())
    assert after.x["size"].tolist() == ["12", "16", "12", ""]
    assert after.x["share"].tolist() == ["0.05", "0.05", "0.07", "0.06"]
    assert after.x["name"].tolist() == ["10 Barrel", "Oskar", "", "21st Street"]
    assert numeric(after).x.shape == (4, 2 + 4)
    assert prepared(after, size=["20 cl", "big"], share=["9%", "1"], name=["N/A", "x"]) == [
        ("20", "0.09", ""),
        ("", "1", "x"),
    ]


def test_a_sign_that_the_plain_numbers_contradict_means_nothing() -> None:
    """As in the beers: "0.05%" beside "0.06" is a share that somebody marked, not half a thousandth."""
    after = UNITS(raw(share=["0.05%", "0.07%", "0.06", ""]), tools())
    assert after.x["share"].tolist() == ["0.05", "0.07", "0.06", ""]
    assert prepared(after, share=["0.08%"]) == [("0.08",)]


def test_a_factor_of_the_users_own() -> None:
    """Grams and kilograms: 2 kg stand beside 1500, so that they are 2000; without plain numbers a factor counts."""
    assert UNITS(raw(mass=["2kg", "1500", "900", "1 kg"]), tools()).x["mass"].tolist() == [
        "2000",
        "1500",
        "900",
        "1000",
    ]
    assert UNITS(raw(mass=["2kg", "3 kg"]), tools()).x["mass"].tolist() == ["2000", "3000"]


def test_a_column_is_one_of_quantities_by_its_share() -> None:
    mixed = raw(size=["1 cm", "2 cm", "3 cm", "large"])
    assert UNITS(mixed, tools()).x["size"].tolist() == ["1 cm", "2 cm", "3 cm", "large"]
    assert UNITS(mixed, tools(), share=0.7).x["size"].tolist() == ["1", "2", "3", ""]


@pytest.mark.parametrize("strategy", [UNITS, SPELLINGS])
def test_numbers_have_no_units_and_no_spelling(strategy: Any) -> None:
    with pytest.raises(
        BadInput, match="mends raw cells; these are numbers already: read the table with task=raw_table"
    ):
        strategy(table([[1.0], [2.0]]), tools())


# Spellings


def test_case_accents_spaces_and_points_do_not_count() -> None:
    after = SPELLINGS(raw(city=["Köln", "köln", "Koln.", " KÖLN ", "Köln", "Bonn"]), tools())
    assert after.x["city"].tolist() == ["Köln"] * 5 + ["Bonn"]
    assert prepared(after, city=["KOLN", "Berlin", ""]) == [("Köln",), ("Berlin",), ("",)]


@pytest.mark.parametrize(("one", "two"), [("C++", "C#"), ("-5 C", "5 C"), ("5%", "5"), ("<5", ">5"), ("1.2", "12")])
def test_signs_that_mean_something_count(one: str, two: str) -> None:
    assert normalise_spelling(one) != normalise_spelling(two)


def test_a_slip_of_one_letter_is_mended_where_the_right_word_is_frequent() -> None:
    """Less, more, another, changed places: one word. Other first letters, other digits, short or frequent words: not."""
    cities = [*["Portland"] * 4, "Portlnd", "Portlannd", "Portlamd", "Prortland", "Potrland", "Cortland"]
    after = SPELLINGS(raw(city=cities), tools())
    assert after.x["city"].tolist() == [*["Portland"] * 9, "Cortland"]
    assert prepared(after, city=["portlans", "Portlandd", "Sortland"]) == [("Portland",)] * 2 + [("Sortland",)]
    for right, wrong in (("Model 12", "Model 13"), ("Bonn", "Born"), ("Portland", "Porttlannd")):
        words = [*[right] * 3, wrong]
        assert SPELLINGS(raw(word=words), tools()).x["word"].tolist() == words
    rival = ["Portland"] * 5 + ["Portlant"] * 2
    assert SPELLINGS(raw(word=rival), tools()).x["word"].tolist() == rival
    assert SPELLINGS(raw(word=cities), tools(), edits=0).x["word"].tolist() == cities


def test_columns_of_numbers_are_spelt_as_they_are() -> None:
    numbers = ["1", "1.0", "2", ""]
    assert SPELLINGS(raw(size=numbers), tools()).x["size"].tolist() == numbers


# Missing numbers


@pytest.mark.parametrize(
    ("method", "filled"), [("mean", 3.25), ("median", 3), ("mode", 1), ("knn", 3), ("iterative", 4)]
)
def test_a_gap_is_filled_in_by_hand(method: str, filled: float) -> None:
    """The second column is 1, 1, 5, 6 where the first is 1, 1, 5, 6; the row of the gap has a 4 there.

    Its nearest two are 5 and 1 (or 6, which is farther), 3 in the mean; the regression sees that the columns are one.
    """
    train = table([[1, 1], [1, 1], [5, 5], [6, 6], [4, NAN]])
    after = IMPUTE(train, tools(), method=method)
    expected = 5.5 if method == "knn" else filled
    assert after.x[4, 1] == pytest.approx(expected, abs=0.05)
    assert np.array_equal(after.x[:4], train.x[:4])
    assert after.x.dtype == np.float32


@pytest.mark.parametrize("method", IMPUTATIONS)
def test_what_fills_in_is_learnt_on_training_rows_alone(method: str) -> None:
    """A row is filled in alike, alone and among others; a column that is whole in training, or empty there, too."""
    rows = stream(0, "gaps").normal(size=(40, 4)).astype(np.float32)
    rows[::5, 1], rows[1::7, 2], rows[:, 3] = NAN, NAN, NAN
    train = train_set(rows, [0, 1] * 20, 2)
    prepare = IMPUTE(train, tools(), method=method).prepare
    assert prepare is not None
    new = np.array([[NAN, 1, 1, 2], [0.5, NAN, NAN, NAN], [1, 1, 1, 1], [NAN] * 4], dtype=np.float32)
    batch = prepare(new)
    assert np.isfinite(batch).all()
    assert np.allclose(np.concatenate([prepare(row[None]) for row in new]), batch, atol=1e-6)
    assert np.array_equal(batch[~np.isnan(new)], new[~np.isnan(new)])
    assert batch[1, 3] == 0, "nobody has a value there"


@pytest.mark.parametrize("method", IMPUTATIONS)
def test_no_order_of_the_rows_changes_what_fills_in(method: str) -> None:
    """Columns of few values, so that neighbours are equally far and modes equally frequent."""
    rows = stream(1, "gaps").integers(0, 3, size=(60, 5)).astype(np.float32)
    rows[stream(2, "gaps").random(rows.shape) < 0.2] = NAN
    train = train_set(rows, [0, 1] * 30, 2)
    order = stream(3, "gaps").permutation(60)
    first, turned = (IMPUTE(found, tools(), method=method).x for found in (train, train.rows(order)))
    assert np.allclose(first[order], turned, atol=1e-6)


def test_missing_words_are_a_level_or_the_most_frequent_word() -> None:
    train = raw(colour=["red", "red", "blue", ""], size=["1", "", "3", "2"])
    own = IMPUTE(train, tools(), method="median")
    mode = IMPUTE(train, tools(), method="median", levels="mode")
    assert own.x.tolist() == [[0, 0, 1, 1], [0, 0, 1, 2], [0, 1, 0, 3], [1, 0, 0, 2]]
    assert mode.x.tolist() == [[0, 1, 1], [0, 1, 2], [1, 0, 3], [0, 1, 2]]
    assert mode.prepare is not None
    assert mode.prepare(raw(colour=[" ", "green"], size=["", "9"]).x).tolist() == [[0, 1, 2], [0, 0, 9]]


# Outlying numbers

COLUMN = [[1.0], [2.0], [3.0], [4.0], [100.0], [NAN], [2.0], [3.0]]


def test_fences_by_hand() -> None:
    """Sorted 1 2 2 3 3 4 100: quartiles 2 and 3.5, fences -0.25 and 5.75; the usual ones' median is 2.5, mean 2.5."""
    train = table(COLUMN)
    clipped = clipped_cells(train, tools(), detect="iqr", reach=1.5)
    assert clipped.x[4, 0] == 5.75
    assert np.isnan(clipped.x[5, 0])
    mended = outlying_cells(train, tools(), detect="iqr", reach=1.5, repair="median")
    assert mended.x[:, 0].tolist() == [1, 2, 3, 4, 2.5, 2.5, 2, 3]
    assert mended.prepare is not None
    assert mended.prepare(np.array([[-9], [5], [NAN]], dtype=np.float32)).tolist() == [[2.5], [5], [2.5]]


def test_deviations_and_forests_find_what_lies_far_off() -> None:
    """Mean 16.4 and deviation 34.1 of the seven: two deviations reach to 84.7."""
    for detect, reach in (("sd", 2.0), ("isolation_forest", 0.1)):
        after = outlying_cells(table(COLUMN), tools(), detect=detect, reach=reach, repair="mean")
        assert after.x[:, 0].tolist() == pytest.approx([1, 2, 3, 4, 2.5, 2.5, 2, 3])
    clipped = clipped_cells(table(COLUMN), tools(), detect="sd", reach=2.0)
    column = np.array([1, 2, 3, 4, 100, 2, 3])
    assert clipped.x[4, 0] == pytest.approx(column.mean() + 2 * column.std(), rel=1e-5)
    forest = clipped_cells(table(COLUMN), tools(), detect="isolation_forest", reach=0.1)
    assert forest.x[4, 0] == 4


def test_truth_values_and_columns_of_no_spread_have_no_outliers() -> None:
    rows = np.zeros((50, 3), dtype=np.float32)
    rows[0, 0], rows[:2, 1], rows[:, 2] = 1, [5, 7], 3
    train = train_set(rows, [0, 1] * 25, 2)
    for detect, reach in (("sd", 3.0), ("iqr", 1.5), ("isolation_forest", 0.02)):
        after = clipped_cells(train, tools(), detect=detect, reach=reach)
        assert np.array_equal(after.x[:, [0, 2]], rows[:, [0, 2]])
    assert np.array_equal(clipped_cells(train, tools(), detect="iqr", reach=1.5).x, rows), "its quartiles are equal"


def test_misspelt_methods_are_told() -> None:
    for call, told in (
        (partial(IMPUTE, method="meann"), "clean.method=meann is not known.*did you mean 'mean'"),
        (partial(IMPUTE, method="mean", levels="modes"), "clean.levels=modes is not known"),
        (partial(IMPUTE, method="knn", k=0), "clean.k=0 is out of range"),
        (partial(clipped_cells, detect="tukey", reach=1.0), "clean.detect=tukey is not known"),
        (partial(clipped_cells, detect="isolation_forest", reach=0.6), "clean.reach=0.6 is out of range"),
        (partial(outlying_cells, detect="sd", reach=1.0, repair="clip"), "clean.repair=clip is not known"),
        (partial(UNITS, share=2.0), "clean.share=2.0 is out of range"),
    ):
        train = raw(size=["1", ""]) if call.func is units else table(COLUMN)
        with pytest.raises(BadInput, match=told):
            call(train, tools())


# In a trial


@pytest.mark.parametrize("option", ["mended_table", "outlying_cells", "duplicate_keys", "leaked_keys"])
def test_a_trial_on_raw_cells_sees_no_more_than_it_may(option: str, tmp_path: Path) -> None:
    """Cells of which the training rows say a class; what is predicted goes through what they went through."""
    rows = [f"{12 + i % 3}.0 oz,{'ABC'[i % 3]}{'' if i % 5 else 'x'},{i if i % 7 else ''},{i % 3}" for i in range(240)]
    (tmp_path / "rows.csv").write_text("\n".join(["size,word,noise,class", *rows]))
    chosen = (f"task.path={tmp_path / 'rows.csv'}", "task.label=class", "model@baseline.model=random_forest")
    trial, task = make("task=raw_table", *chosen, f"clean={option}")
    check_blind(trial, task, tmp_path / "cache")
    record = run_trial(trial, task, Place(Cache(tmp_path / "again"), "cpu"))
    assert record["result"]["test"] > 0.9
    if option == "mended_table":
        assert record["receipts"]["clean"]["n_edited"] == len(task.train)


# In turn


def test_three_cleanings_in_turn() -> None:
    """Units first make the column one of numbers, whose gap the last one fills in: 12, 16 and 16, the median 16."""
    strategy = build(yaml.safe_load((conf_dir() / "clean" / "mended_table.yaml").read_text()))
    train = raw(size=["12 oz", "16.0 oz.", "N/A", "16 OZ"], city=["Köln", "köln", "Köln", "Bonn"])
    after = strategy(train, tools())
    assert after.x.tolist() == [[0, 1, 12], [0, 1, 16], [0, 1, 16], [1, 0, 16]]
    assert after.prepare is not None
    assert after.prepare(raw(size=["?"], city=["KOLN"]).x).tolist() == [[0, 1, 16]]


def test_what_the_first_leaves_is_what_the_second_gets() -> None:
    first: Callable[..., TrainSet] = lambda train, tools: train.rows(np.arange(3))  # noqa: E731
    then: Callable[..., TrainSet] = lambda train, tools: train.rows(np.arange(len(train))[1:])  # noqa: E731
    assert in_turn(table(COLUMN), tools(), first=first, then=then).ids.tolist() == ["r1", "r2"]


@pytest.mark.shared
def test_the_beers_cells_are_mended_as_their_owners_did(shared: Path, source: Any) -> None:
    """Every cell of ounces, abv and ibu that `units` leaves is the number of the clean file."""
    import pandas as pd

    folder = shared / "tasks/beers"
    train = source("beers", path=folder / "dirty.csv").split(0).train
    clean = pd.read_csv(folder / "clean.csv", dtype=str, keep_default_na=False).set_index("id").loc[train.ids]
    after = build(yaml.safe_load((conf_dir() / "clean" / "units.yaml").read_text()))(train, tools())
    for name in ("ounces", "abv", "ibu"):
        ours, theirs = (np.array([float(cell or "nan") for cell in cells]) for cells in (after.x[name], clean[name]))
        assert np.allclose(ours, theirs, rtol=1e-9, equal_nan=True)
        assert (train.x[name] != after.x[name]).mean() > 0.25
    assert np.array_equal(after.x["city"], train.x["city"])
