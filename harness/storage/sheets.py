"""Writes and reads CSV files that people open in a spreadsheet, where a cell of text must not become a formula.

A spreadsheet runs a cell that begins with `=`, `+`, `-` or `@`, whoever wrote the class, the label or the file name in
it. Such a text gets an apostrophe before it, the sign by which spreadsheets know text (OWASP, "CSV injection"). Numbers
stay numbers. Reading takes the apostrophe away again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_QUOTED = re.compile(r"'+[=+\-@\t\r\n]")
_SPECIAL = re.compile(r'[",\r\n]')
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def sheet_of_rows(rows: Sequence[Mapping[str, object]]) -> bytes:
    """Returns rows with the same columns as CSV in UTF-8, the names first; None is an empty cell."""
    return _lines([list(rows[0]), *(list(row.values()) for row in rows)])


def sheet_of_table(table: pd.DataFrame) -> bytes:
    """Returns a table as CSV in UTF-8, the names first, numbers to six digits; a missing value is an empty cell."""
    columns = [[_rounded(value) for value in table[name].tolist()] for name in table]
    return _lines([list(table), *map(list, zip(*columns, strict=True))])


def _lines(rows: Sequence[Sequence[object]]) -> bytes:
    return "".join(f"{','.join(map(_written, row))}\n" for row in rows).encode()


def _written(value: object) -> str:
    """Returns a cell as it stands in the file; the csv module leaves a return without quotes, which ends a row."""
    text = "" if value is None else str(as_cell(value))
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def _rounded(value: object) -> object:
    """Returns a float as text of six digits, None for a missing value, and anything else as it is."""
    if isinstance(value, float):
        return f"{value:.6g}" if value == value else None
    return None if value is pd.NA or value is pd.NaT else value


def read_sheet(path: Path) -> pd.DataFrame:
    """Returns the table in such a file, texts as they were before they were written."""
    return pd.read_csv(path).apply(_texts, args=(from_cell,)).rename(columns=from_cell)


def _texts(column: pd.Series, change: Callable[[object], object]) -> pd.Series:
    """Returns a column with its texts changed; numbers stay as they are."""
    return column if pd.api.types.is_numeric_dtype(column) else column.map(change)


def as_cell(value: object) -> object:
    """Returns a text that no spreadsheet takes for a formula; numbers, also those written as text, stay as they are."""
    if not isinstance(value, str) or _NUMBER.fullmatch(value) or not _FORMULA.match(value):
        return value
    return f"'{value}"


def from_cell(value: object) -> object:
    """Returns the text that `as_cell` was given."""
    return value[1:] if isinstance(value, str) and _QUOTED.match(value) else value
