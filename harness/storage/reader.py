"""Reads CSV, TSV, JSON and JSONL files into tables: cells of text as written, one type a column over all files.

pyarrow parses; the rules are ours. A file whose rows do not have the number of fields of its header is refused with the
line, and so is one with a stray quotation mark, with two columns of one name, or that is not UTF-8. Only an empty cell
without quotation marks is missing: `NA`, `None` and `01` are what the user wrote, and whether a column holds numbers is
decided where it is used, over all of its cells.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from harness.checks import join_names
from harness.errors import BadInput

TEXT = (".csv", ".tsv")
JSON = (".json", ".jsonl", ".ndjson")
TABLES = (*TEXT, *JSON, ".parquet")
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_LARGEST = 2**31 - 1
"""Bytes that pyarrow can parse as one block; a quoted cell must lie within a block."""


def read_tables(paths: Sequence[Path]) -> pa.Table:
    """Returns the rows of files of one kind, CSV and TSV or JSON, one below the other; BadInput as in `read_text`.

    All CSV files must have the same columns. Of JSON files a row may lack a column, and has nothing there.
    """
    if paths[0].suffix.lower() in JSON:
        return _typed([row for path in paths for row in _json_rows(path)], join_names(path.name for path in paths))
    tables = [read_text(path) for path in paths]
    for path, table in zip(paths, tables, strict=True):
        if set(table.column_names) != set(tables[0].column_names):
            odd = sorted(set(table.column_names) ^ set(tables[0].column_names))
            raise BadInput(
                f"{path.name} and {paths[0].name} have different columns ({join_names(odd)}): files of one part have "
                "the same; name those that belong together with task.train"
            )
    return pa.concat_tables([table.select(tables[0].column_names) for table in tables])


def read_strings(path: Path) -> pd.DataFrame:
    """Returns the table of a CSV or TSV file with every cell as str, "" where nothing stands."""
    return pd.DataFrame(read_text(path).to_pandas().fillna("").astype(object))


def read_frame(path: Path) -> pd.DataFrame:
    """Returns the table of a file of any kind in `TABLES`; of CSV and TSV as `read_strings` does."""
    if path.suffix.lower() in TEXT:
        return read_strings(path)
    if path.suffix.lower() in JSON:
        return pd.DataFrame(read_tables([path]).to_pandas())
    check_names(path, pq.read_schema(path).names)
    return pd.DataFrame(pd.read_parquet(path))


def row_places(path: Path, rows: int) -> list[str]:
    """Returns where each row of a file stands, in words: the line on which it begins, or its number."""
    if path.suffix.lower() not in TEXT:
        return [f"row {row}" for row in range(1, rows + 1)]
    raw, starts, start = _utf8(path), list[str](), 1
    reader = _records(raw, separator(path, raw))
    for row in reader:
        starts += [f"line {start}"] if row else []
        start = reader.line_num + 1
    return starts[1:]


def column_names(path: Path) -> list[str]:
    """Returns the names of the columns of a CSV or TSV file; BadInput if it is empty, or not UTF-8, with the line."""
    raw = _utf8(path)
    return _header(path, raw, separator(path, raw))


def read_lines(path: Path) -> list[str]:
    """Returns the lines of a text file; BadInput if it is empty, or not UTF-8, with the line."""
    return _utf8(path).decode().splitlines()


def read_json(path: Path) -> Any:
    """Returns what a JSON file holds; BadInput, with the line, if it is not JSON or UTF-8, or names a key twice."""
    return _json(path, 1, _utf8(path).decode())


def as_text(values: pd.Series) -> pd.Series:
    """Returns the values of a column as tasks write ids: whole numbers without a point, missing ones as ""."""
    return values.convert_dtypes().astype("string").fillna("").astype(object)


def read_text(path: Path) -> pa.Table:
    """Returns the table of a CSV or TSV file, every cell text, null where a cell is empty and not quoted.

    BadInput, with the line, for a row of another length than the header, a stray quotation mark, or bytes that are not
    UTF-8; and for two columns of one name.
    """
    raw = _utf8(path)
    sep = separator(path, raw)
    check_names(path, _header(path, raw, sep))
    fault = _first_fault(path, raw, sep) if b'"' in raw else ""
    if fault:
        raise BadInput(fault)
    try:
        return _parse(raw, sep)
    except pa.ArrowInvalid as error:
        told = (
            _first_fault(path, raw, sep) or f"{path.name} cannot be read as CSV: {' '.join(str(error).split())[:300]}"
        )
        raise BadInput(told) from error


def separator(path: Path, raw: bytes) -> str:
    """Returns what separates the cells of a file: tabs in a TSV, else commas, or what its first line has instead."""
    first = raw.partition(b"\n")[0].decode("utf-8-sig", errors="replace")
    if path.suffix.lower() == ".tsv":
        return "\t"
    return "," if "," in first else next((sign for sign in ";\t|" if sign in first), ",")


def separator_note(path: Path) -> str:
    """Returns a sentence on a CSV file that is not separated by commas; "" for all others."""
    with path.open("rb") as file:
        sign = separator(path, file.readline())
    return f"{path.name} is separated by {_SEPARATORS[sign]}" if sign != "," and path.suffix.lower() == ".csv" else ""


def check_names(path: Path, names: Sequence[str]) -> None:
    """Requires that no two columns have one name."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise BadInput(f"{path.name} has {names.count(twice[0])} columns named '{twice[0]}': rename all but one")


def _utf8(path: Path) -> bytes:
    """Returns the file's bytes without a byte order mark; BadInput if they are not UTF-8, or if there are none."""
    raw = path.read_bytes()
    mark = next((name for start, name in _MARKS.items() if raw.startswith(start)), None)
    if mark:
        raise BadInput(f"{path.name} is {mark}: save it as UTF-8")
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"{path.name}, line {line}, is not UTF-8 (byte {raw[error.start]:#04x}): save it as UTF-8"
        ) from None
    if b"\0" in raw:
        line = raw.count(b"\n", 0, raw.index(b"\0")) + 1
        raise BadInput(f"{path.name}, line {line}, holds a zero byte: it is not a text file, or is damaged")
    if not raw.strip():
        raise BadInput(f"{path.name} is empty")
    return raw


def _header(path: Path, raw: bytes, sep: str) -> list[str]:
    try:
        return next(row for row in _records(raw, sep) if row)
    except csv.Error as error:
        raise BadInput(f"{path.name}, line 1: {error}: a quotation mark is missing or stands alone") from None


def _records(raw: bytes, sep: str) -> Any:
    """Returns a reader of the file's rows that knows their lines; cells may be as long as pyarrow can read."""
    csv.field_size_limit(_LARGEST)
    return csv.reader(io.StringIO(raw.decode(), newline=""), delimiter=sep, strict=True)


def _first_fault(path: Path, raw: bytes, sep: str) -> str:
    """Returns what is wrong with the first row that is not as long as the header, or badly quoted; "" if none is."""
    reader = _records(raw, sep)
    width, start = 0, 1
    try:
        for row in reader:
            width = width or len(row)
            if row and len(row) != width:
                return (
                    f"{path.name}, line {start}, has {len(row)} fields, and the first line names {width}: correct the "
                    f"line, or put cells that contain {_SEPARATORS[sep]} in quotation marks"
                )
            start = reader.line_num + 1
    except csv.Error as error:
        return f"{path.name}, line {start}: {error}: a quotation mark is missing or stands alone"
    return ""


def _parse(raw: bytes, sep: str) -> pa.Table:
    raw = raw if raw.endswith((b"\n", b"\r")) else raw + b"\n"  # without rows pyarrow wants the header's line to end
    block = min(max(1 << 20, len(raw) + 1), _LARGEST)
    reading = pc.ReadOptions(use_threads=False, block_size=block)
    parsing = pc.ParseOptions(delimiter=sep, newlines_in_values=True)
    names = pc.open_csv(io.BytesIO(raw), reading, parsing).schema.names
    converting = pc.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )  # fmt: skip
    return pc.read_csv(io.BytesIO(raw), reading, parsing, converting)


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the objects of a JSON list, or of a file of one object a line; BadInput with the line of a fault."""
    text = _utf8(path).decode()
    if text.lstrip().startswith("["):
        rows = _json(path, 1, text)
        yield from (_object(path, f"row {place}", row) for place, row in enumerate(rows, 1))
        return
    for line, said in enumerate(text.split("\n"), 1):
        if said.strip():
            row = _object(path, f"line {line}", _json(path, line, said))
            _refuse_rows_by_name(path, row)
            yield row


def _refuse_rows_by_name(path: Path, row: Mapping[str, Any]) -> None:
    """Requires that an object is a row, and does not hold all rows by their names, each an object of its own."""
    if len(row) > 1 and all(isinstance(value, dict) for value in row.values()):
        raise BadInput(
            f"{path.name} holds one object whose {len(row)} entries are objects themselves, as in the WRENCH format: "
            "read such a folder with task=wrench, or write one object a line, or a list of objects"
        )


def _json(path: Path, line: int, text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            raise BadInput(f"{path.name}, line {line}, names '{Counter(names).most_common(1)[0][0]}' more than once")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise BadInput(f"{path.name}, line {line + error.lineno - 1}, is not JSON: {error.msg}") from None
    except BadInput:
        raise
    except RecursionError:
        raise BadInput(f"{path.name}, line {line}, holds lists or objects too deep within each other") from None
    except ValueError:  # of thousands of digits
        raise BadInput(f"{path.name}, line {line}, holds a number that is too long: write it as a text") from None


def _object(path: Path, place: str, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise BadInput(f'{path.name}, {place}, is not a JSON object: write a row as {{"column": value, …}}')
    return row


def _typed(rows: Sequence[dict[str, Any]], where: str) -> pa.Table:
    """Returns rows as a table; a column of texts and other single values together becomes one of texts."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: _array([row.get(name) for row in rows], name, where) for name in names})


def _array(values: list[Any], name: str, where: str) -> pa.Array:
    try:
        return pa.array(_of_one_type(values))
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise BadInput(f"{where}, column '{name}', cannot be read: {' '.join(str(error).split())[:300]}") from error


def _of_one_type(values: list[Any]) -> list[Any]:
    """Returns the values of a column as one type: whole numbers that 64 bits hold, numbers, or texts of mixed kinds."""
    kinds = {type(value) for value in values if value is not None}
    wide = any(isinstance(value, int) and abs(value) >= 2**63 for value in values)
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in values]
    if wide or (len(kinds) > 1 and kinds <= {str, int, float, bool}):
        return [None if value is None else str(value) for value in values]
    return values
