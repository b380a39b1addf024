"""CSV for spreadsheets: no text is a formula, numbers are numbers, and our own readers get the texts back."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.storage.sheets import as_cell, from_cell, read_sheet, sheet_of_rows, sheet_of_table

FORMULAS = ["=1+1", "+x", "-cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=", "-inf", "'=1", "''@x", "-"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_gets_an_apostrophe_and_loses_it_again(text: str) -> None:
    assert as_cell(text) == f"'{text}"
    assert from_cell(as_cell(text)) == text


@pytest.mark.parametrize(
    "value", ["-2.17", "+3", "-1e-05", "-.5", "3", "a=b", "it's", "'quoted'", "", " =x", -2.17, None]
)
def test_numbers_and_other_texts_stay_as_they_are(value: object) -> None:
    assert as_cell(value) == value
    assert from_cell(value) == value


@given(st.text(alphabet="'=+-@\t\rab1.", max_size=6))
def test_every_text_comes_back(text: str) -> None:
    assert from_cell(as_cell(text)) == text


def test_files_hold_no_formula_and_their_numbers(tmp_path: Path) -> None:
    rows = [{"arm": text, "=head": text, "effect": -2.17, "n": None} for text in FORMULAS]
    table = pd.DataFrame({"arm": FORMULAS, "@head": FORMULAS, "effect": [-1 / 3] * len(FORMULAS)})
    for name, content in {"rows.csv": sheet_of_rows(rows), "table.csv": sheet_of_table(table)}.items():
        (tmp_path / name).write_bytes(content)
        with (tmp_path / name).open(newline="") as file:
            head, *lines = csv.reader(file)
        assert not [cell for cell in [*head, *(cell for line in lines for cell in line[:2])] if cell[0] in "=+-@\t\r\n"]
        assert {line[2] for line in lines} <= {"-2.17", "-0.333333"}
        back = read_sheet(tmp_path / name)
        assert back["arm"].tolist() == FORMULAS
        assert back["effect"].dtype.kind == "f"
    assert "=head" in read_sheet(tmp_path / "rows.csv")
