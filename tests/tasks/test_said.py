"""What is refused, or said, of cells, ids and names that would else be read in silence as what they are not."""

from __future__ import annotations

import os
import re

import pytest

from harness.errors import BadInput

LABELS = ["ash", "oak"] * 20


def written(path, **columns):
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(row) for row in rows)]) + "\n")
    return path


def amounts(odd: dict[int, str] | None = None) -> list[str]:
    return [(odd or {}).get(row, f"{row}.5") for row in range(40)]


def test_an_id_that_occurs_twice_is_refused_whichever_part_a_seed_puts_it_in(source, tmp_path):
    names = [f"t{row}" for row in range(39)] + ["t3"]
    path = written(tmp_path / "a.csv", name=names, a=amounts(), label=LABELS)
    with pytest.raises(BadInput, match=re.escape("1 ids occur more than once in the train part, the first is 't3'")):
        source("table", path=path, label="label", id="name")


def test_a_row_without_an_id_is_refused(source, tmp_path):
    path = written(tmp_path / "a.csv", name=["", *(f"t{row}" for row in range(39))], a=amounts(), label=LABELS)
    with pytest.raises(
        BadInput, match=re.escape("1 rows of the train part have no id in column 'name', the first is row 0")
    ):
        source("table", path=path, label="label", id="name")


def test_a_column_of_numbers_with_an_odd_cell_is_named_as_categories(source, tmp_path):
    path = written(tmp_path / "a.csv", a=amounts({7: "twelve"}), b=amounts(), label=LABELS)
    said = source("table", path=path, label="label").read
    assert "'a' is read as categories, 40 in 40 rows (1 cells are not numbers, the first is 'twelve' in row 7)" in said
    assert not any("'b'" in line for line in said)


@pytest.mark.parametrize("cells", [["1,5", "22,75"], ["1.234,5", "1,5"], ["1,234,567", "12"], ["1,234.5", "7.25"]])
def test_numbers_with_commas_are_refused(source, tmp_path, cells):
    path = written(tmp_path / "a.csv", a=[f'"{cell}"' for cell in cells] * 20, b=amounts(), label=LABELS)
    with pytest.raises(BadInput, match=re.escape(f"column 'a' has numbers with commas, such as '{cells[0]}'")):
        source("table", path=path, label="label")


def test_lists_of_choices_are_categories(source, tmp_path):
    path = written(tmp_path / "a.csv", a=['"1,2,3"', '"2,4"'] * 20, b=amounts(), label=LABELS)
    assert source("table", path=path, label="label").read == ("train: 40 rows, given labels: ash 20, oak 20",)


def test_a_pipe_is_refused_and_not_waited_for(source, tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(BadInput, match=re.escape("a.csv is neither a file nor a folder")):
        source("table", path=tmp_path / "a.csv", label="label")
    with pytest.raises(BadInput, match=re.escape("it is a pipe, a socket, or a link that leads nowhere")):
        source("table", path=tmp_path, label="label")


@pytest.mark.parametrize("line", ["[" * 100_000, '{"a": ' * 100_000, '{"a": ' + "9" * 9000 + "}"])
def test_json_that_no_parser_takes_is_refused_with_its_line(source, tmp_path, line):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1, "label": "x"}\n' + line + "\n")
    with pytest.raises(BadInput, match=re.escape("a.jsonl, line 2, holds")):
        source("table", path=path, label="label")


def test_a_vote_that_is_neither_class_nor_number_is_named_itself(source, tmp_path):
    votes = ["0", "1", "-1", " -1.0 ", "", *["1"] * 34, "1.5"]
    path = written(tmp_path / "a.csv", a=amounts(), v=votes, label=LABELS)
    with pytest.raises(BadInput, match=re.escape("'1.5' in column 'v', row 39, is not a class")):
        source("table", path=path, label="label", votes=["v"])
    with pytest.raises(BadInput, match=re.escape("task.votes names column 'v' twice")):
        source("table", path=path, label="label", votes=["v", "v"])
