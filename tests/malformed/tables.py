"""Malformed tables: CSV, TSV, JSONL and parquet files, and folders of them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from harness.data import Source, Task
from harness.run.options import build
from harness.storage.places import conf_dir

from .cases import ALONE, Case, Ran, chosen

ROWS = 64
CLASSES = ("ash", "fir", "oak")
NUMBERS = ("height", "width")
PLAIN = ("store=results", "cache=cache", "track=none", "hydra.launcher.n_jobs=1")
FORMS = ("csv", "csv", "csv", "csv", "jsonl", "parquet")


@dataclass
class Table:
    """Columns of cells as text by name; "" is a missing cell."""

    columns: dict[str, list[str]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def copy(self) -> Table:
        return Table({name: list(cells) for name, cells in self.columns.items()})


@dataclass
class Draft:
    """A case in the making: the table as it will be written, its well-formed twin, and what should come of it."""

    rng: random.Random
    form: str
    table: Table
    twin: Table
    refused: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """Texts that the output must hold where the command goes well."""
    may: bool = False
    differs: bool = False
    """Whether the twin says only which rows and labels there are."""
    words: dict[str, Any] = field(default_factory=dict)
    sep: str = ","
    end: str = "\n"
    kinds: dict[str, Callable[[str], Any]] = field(default_factory=dict)
    """How cells of a column become values of JSON and parquet; by default numbers or texts."""
    raw: list[Callable[[bytes], bytes]] = field(default_factory=list)
    arrow: list[Callable[[pa.Table], pa.Table]] = field(default_factory=list)
    name: str = ""
    files: dict[str, bytes | None] = field(default_factory=dict)
    """Further files; None is a named pipe."""

    def both(self, change: Callable[[Table], None]) -> None:
        change(self.table)
        change(self.twin)

    @property
    def features(self) -> list[str]:
        return [name for name in self.table.columns if name != "label"]


@dataclass(frozen=True)
class Fault:
    """A change of a draft, for some forms of file; faults of one slot exclude each other."""

    apply: Callable[[Draft], None]
    slot: str
    forms: tuple[str, ...] = ("csv", "jsonl", "parquet")

    @property
    def name(self) -> str:
        return self.apply.__name__


def base(rng: random.Random) -> Table:
    """A table of two columns of numbers, one of names, and labels of three classes."""
    labels = [CLASSES[row % 3] for row in range(ROWS)]
    rng.shuffle(labels)
    place = {name: number for number, name in enumerate(CLASSES)}
    return Table(
        {
            "height": [f"{place[label] + rng.random():.3f}" for label in labels],
            "width": [str(rng.randrange(1000)) for _ in labels],
            "colour": [rng.choice(["red", "green", "blue"]) for _ in labels],
            "label": labels,
        }
    )


def some(draft: Draft, most: int = 6) -> list[int]:
    """Rows, at least one, never the first three."""
    return draft.rng.sample(range(3, len(draft.table)), draft.rng.randint(1, most))


# What tables hold


def missing_cells(draft: Draft) -> None:
    name, rows = draft.rng.choice([*NUMBERS, "colour"]), some(draft)

    def change(table: Table) -> None:
        for row in rows:
            table.columns[name][row] = ""

    draft.both(change)


def missing_labels(draft: Draft) -> None:
    rows = some(draft)

    def change(table: Table) -> None:
        for row in rows:
            table.columns["label"][row] = ""

    draft.both(change)


def blank_labels(draft: Draft) -> None:
    for row in some(draft):
        draft.table.columns["label"][row], draft.twin.columns["label"][row] = "  ", ""


def no_labels(draft: Draft) -> None:
    draft.table.columns["label"] = [""] * len(draft.table)
    draft.refused += ["label", "classes"]


def one_class(draft: Draft) -> None:
    draft.table.columns["label"] = ["oak"] * len(draft.table)
    draft.refused += ["oak"]


def continuous_labels(draft: Draft) -> None:
    draft.table.columns["label"] = [f"{draft.rng.random():.4f}" for _ in range(len(draft.table))]
    draft.kinds["label"] = float
    draft.refused += ["regression", "label"]


def odd_class_name(draft: Draft) -> None:
    name = draft.rng.choice(["None", "NA", "nan", "null", "01", "true", "1e3", "?", "-", "a,b", 'say "oak"', "=1+1", "ß", "🌲", "NULL"])  # fmt: skip
    draft.both(lambda table: _renamed_class(table, "oak", name))


def _renamed_class(table: Table, old: str, new: str) -> None:
    table.columns["label"] = [new if cell == old else cell for cell in table.columns["label"]]


def whole_number_classes(draft: Draft) -> None:
    names = draft.rng.choice([("0", "1", "2"), ("1", "2", "3"), ("-1", "0", "1"), ("10", "9", "100")])
    for old, new in zip(CLASSES, names, strict=True):
        draft.both(lambda table, old=old, new=new: _renamed_class(table, old, new))
    draft.kinds["label"] = int


def class_spelt_with_blanks(draft: Draft) -> None:
    for row in some(draft):
        draft.table.columns["label"][row] = f" {draft.table.columns['label'][row]}\t"


def class_in_two_unicode_forms(draft: Draft) -> None:
    draft.both(lambda table: _renamed_class(table, "oak", "chêne"))
    cells = draft.table.columns["label"]
    draft.table.columns["label"] = [
        unicodedata.normalize("NFD", cell) if row % 2 else cell for row, cell in enumerate(cells)
    ]
    draft.said.append("Unicode form")


def rare_class(draft: Draft) -> None:
    draft.both(lambda table: table.columns["label"].__setitem__(5, "yew"))
    draft.may = True


def index_column(draft: Draft) -> None:
    name, first = draft.rng.choice(["", "Unnamed: 0", "row"]), draft.rng.choice([0, 1])
    if draft.form != "csv" and not name:
        name = "row"
    cells = [str(row + first) for row in range(len(draft.table))]
    draft.table.columns = {name: cells, **draft.table.columns}
    draft.said.append("index of the rows")


def constant_column(draft: Draft) -> None:
    draft.both(lambda table: table.columns.__setitem__("place", ["here"] * len(table)))
    draft.said.append("one value")


def wide_numbers(draft: Draft) -> None:
    start = draft.rng.choice([10**18, 10**30, -(10**25), 2**63])
    cells = [str(start + draft.rng.randrange(1, 10**6) * abs(start) // 10**7) for _ in range(len(draft.table))]
    draft.both(lambda table: table.columns.__setitem__("serial", list(cells)))
    draft.kinds["serial"] = int if draft.form == "jsonl" else float


def infinite_number(draft: Draft) -> None:
    cell = draft.rng.choice(["inf", "-inf", "Infinity", "1e999", "-Infinity", "+inf"])
    draft.table.columns["height"][some(draft)[0]] = cell
    draft.refused += ["height", "infinite"]


def spelt_missing(draft: Draft) -> None:
    for row in some(draft):
        draft.table.columns["height"][row] = draft.rng.choice(["NA", "N/A", "nan", "NaN", "null", "None", "-", "?", ".", "#N/A", " "])  # fmt: skip
        draft.twin.columns["height"][row] = ""
    draft.kinds["height"] = str


def number_spelt_oddly(draft: Draft) -> None:
    """Spellings that every parser takes for the same number."""
    for row in some(draft):
        number = draft.rng.randrange(100, 1000)
        spelt = draft.rng.choice(
            [f" {number} ", f"+{number}", f"{number}.", f"{number}e0", f"{number}.000", f"{number}E+0"]
        )
        draft.table.columns["width"][row], draft.twin.columns["width"][row] = spelt, str(number)
    draft.kinds["width"] = str


def no_number(draft: Draft) -> None:
    cell = draft.rng.choice(
        ["twelve", "12 cm", "$5", "12%", "1 000", "0x1F", "1_000", "３１", "1/2", "O.5", "12-", "~7"]
    )
    draft.table.columns["width"][some(draft)[0]] = cell
    draft.kinds["width"] = str
    draft.said.append("'width'")
    draft.differs = True


def decimal_commas(draft: Draft) -> None:
    draft.table.columns["height"] = [cell.replace(".", ",") for cell in draft.table.columns["height"]]
    draft.sep = ";" if draft.rng.random() < 0.7 else ","
    draft.kinds["height"] = str
    draft.refused += ["height"]


def dates(draft: Draft) -> None:
    first, zone = datetime(2020, 1, 1, tzinfo=UTC), draft.rng.choice(["", "Z", "+00:00"])
    when = [first + timedelta(days=draft.rng.randrange(900)) for _ in range(len(draft.table))]
    stamped = bool(zone) or draft.rng.random() < 0.5
    draft.table.columns["seen"] = [f"{one:%Y-%m-%dT%H:%M:%S}{zone}" if stamped else f"{one:%Y-%m-%d}" for one in when]
    draft.twin.columns["seen"] = [str(int(one.timestamp())) for one in when]
    draft.kinds["seen"] = str


def days_first(draft: Draft) -> None:
    draft.table.columns["seen"] = [
        f"{draft.rng.randint(1, 28):02d}/{draft.rng.randint(1, 12):02d}/2021" for _ in range(len(draft.table))
    ]
    draft.said.append("'seen'")
    draft.differs = True


def truth_values(draft: Draft) -> None:
    truth = [draft.rng.random() < 0.5 for _ in range(len(draft.table))]
    yes, no = draft.rng.choice([("true", "false"), ("True", "False"), ("TRUE", "FALSE")])
    draft.table.columns["alive"] = [yes if one else no for one in truth]
    draft.twin.columns["alive"] = [str(int(one)) for one in truth]
    draft.kinds["alive"] = draft.rng.choice([str, lambda cell: cell.lower() == "true"])


def long_cell(draft: Draft) -> None:
    cell = draft.rng.choice(["x", "é", "a b ", "🌲"]) * draft.rng.choice([10**3, 10**5, 10**6])
    draft.both(lambda table: table.columns["colour"].__setitem__(9, cell))


def control_signs(draft: Draft) -> None:
    cell = draft.rng.choice(["a\nb", 'say "a"', "a,b;c\td|e", "\x0b\x0c", "\u2028", "\x85x", "\x1a", "\x7f\x01", "a\r\nb", "\ufeff", "'", "\\", "\\n"])  # fmt: skip
    draft.both(lambda table: table.columns["colour"].__setitem__(9, cell))


def odd_column_name(draft: Draft) -> None:
    name = draft.rng.choice(["a b", "a\nb", "é", "a=b", "[0]", "x" * 5000, "${x}", "'", 'a"b', "true", "None", "\u200b", "1", " lead"])  # fmt: skip
    cells = [draft.rng.choice(["p", "q"]) for _ in range(len(draft.table))]
    draft.both(lambda table: table.columns.__setitem__(name, list(cells)))


def label_renamed(draft: Draft) -> None:
    new = draft.rng.choice(["Label", " label", "label ", "lable", "target", "label\u200b", "LABEL"])
    draft.table.columns = {new if name == "label" else name: cells for name, cells in draft.table.columns.items()}
    draft.refused += ["'label'"]


def label_named_wrong(draft: Draft) -> None:
    draft.words["label"] = draft.rng.choice(["lable", "Label", "y", "label,height", "0"])
    draft.refused += [draft.words["label"]]


def label_not_named(draft: Draft) -> None:
    draft.words["label"] = None
    draft.refused += ["task.label"]


def few_rows(draft: Draft) -> None:
    count = draft.rng.choice([1, 2, 3, 5])
    draft.both(lambda table: table.columns.update({name: cells[:count] for name, cells in table.columns.items()}))
    draft.may = True


def ids_twice(draft: Draft) -> None:
    cells = [f"tree{row}" for row in range(len(draft.table))]
    cells[draft.rng.randrange(5, 60)] = "tree2"
    draft.table.columns["name"] = cells
    draft.words["id"] = "name"
    draft.refused += ["tree2"]


def id_missing(draft: Draft) -> None:
    cells = [f"tree{row}" for row in range(len(draft.table))]
    cells[draft.rng.randrange(5, 60)] = ""
    draft.table.columns["name"] = cells
    draft.words["id"] = "name"
    draft.refused += ["name"]


def ids_of_text(draft: Draft) -> None:
    cells = draft.rng.choice([[f"{row:03d}" for row in range(ROWS)], [f"tree {row}" for row in range(ROWS)], [f"é{row}" for row in range(ROWS)]])  # fmt: skip
    draft.both(lambda table: table.columns.__setitem__("name", cells[: len(table)]))
    draft.words["id"] = "name"


def weight_wrong(draft: Draft) -> None:
    cells = ["1"] * len(draft.table)
    cells[7] = draft.rng.choice(["-1", "", "nan", "inf", "heavy", "1e999", "-0.5"])
    draft.table.columns["weight"] = cells
    draft.kinds["weight"] = str
    draft.words["weight"] = "weight"
    draft.refused += ["weight"]


def no_weight(draft: Draft) -> None:
    draft.table.columns["weight"] = ["0"] * len(draft.table)
    draft.words["weight"] = "weight"
    draft.refused += ["label", "weight"]


def one_group(draft: Draft) -> None:
    draft.table.columns["site"] = ["a"] * len(draft.table)
    draft.words["group"] = "site"
    draft.refused += ["empty", "site", "group"]


def role_without_column(draft: Draft) -> None:
    role = draft.rng.choice(["gold", "weight", "group", "id", "votes", "features"])
    draft.words[role] = ["nowhere"] if role in ("votes", "features") else "nowhere"
    draft.refused += ["nowhere"]


def label_as_feature(draft: Draft) -> None:
    draft.words["features"] = ["height", "label"]
    draft.refused += ["label"]


def classes_wrong(draft: Draft) -> None:
    draft.words["classes"] = draft.rng.choice([["ash", "fir"], ["ash", "fir", "oak", "yew"], ["ash", "ash", "fir", "oak"], ["ash"]])  # fmt: skip
    draft.refused += ["yew", "oak", "ash", "class"]


def share_wrong(draft: Draft) -> None:
    name = draft.rng.choice(["test_fraction", "valid_fraction", "n_train", "noise"])
    draft.words[name] = draft.rng.choice([1, 5000]) if name == "n_train" else draft.rng.choice([1.0, 1.5, -0.1])
    draft.refused += [f"task.{name}"]


# How tables are written as CSV


def bytes_mark(draft: Draft) -> None:
    draft.raw.append(lambda raw: b"\xef\xbb\xbf" + raw)


def wide_encoding(draft: Draft) -> None:
    codec = draft.rng.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
    draft.raw.append(lambda raw: raw.decode().encode(codec))
    draft.refused += ["UTF-16", "UTF-8", "UTF-32", "zero byte"]


def latin_bytes(draft: Draft) -> None:
    draft.table.columns["colour"][0] = "grün"
    draft.raw.append(lambda raw: raw.decode().encode("latin-1", errors="replace"))
    draft.refused += ["UTF-8"]


def cut_in_a_letter(draft: Draft) -> None:
    draft.raw.append(lambda raw: raw + b"\xc3")
    draft.refused += ["UTF-8"]


def zero_bytes(draft: Draft) -> None:
    def change(raw: bytes) -> bytes:
        place = len(raw) // 2
        return raw[:place] + b"\0" * draft.rng.choice([1, 512]) + raw[place:]

    draft.raw.append(change)
    draft.refused += ["zero byte", "UTF-8"]


def carriage_returns(draft: Draft) -> None:
    draft.end = draft.rng.choice(["\r\n", "\r"])


def mixed_line_ends(draft: Draft) -> None:
    def change(raw: bytes) -> bytes:
        lines = raw.split(b"\n")
        return b"".join(line + draft.rng.choice([b"\n", b"\r\n"]) for line in lines if line)

    draft.raw.append(change)


def no_last_line_end(draft: Draft) -> None:
    draft.raw.append(lambda raw: raw.rstrip(b"\r\n"))


def blank_lines(draft: Draft) -> None:
    draft.raw.append(lambda raw: draft.rng.choice([b"\n", b"\r\n"]) + raw + b"\n\n\n")


def other_separator(draft: Draft) -> None:
    draft.sep = draft.rng.choice([";", "\t", "|"])
    draft.said.append("separated by")


def unknown_separator(draft: Draft) -> None:
    draft.sep = draft.rng.choice([":", " ", "~"])
    draft.refused += ["'label'", "fields"]


def short_row(draft: Draft) -> None:
    draft.raw.append(lambda raw: _at_line(draft, raw, lambda line: line.rpartition(b",")[0]))
    draft.refused += ["line"]


def long_row(draft: Draft) -> None:
    draft.raw.append(lambda raw: _at_line(draft, raw, lambda line: line + b",more"))
    draft.refused += ["line"]


def cut_off(draft: Draft) -> None:
    draft.raw.append(lambda raw: raw[: raw.rindex(b",", 0, len(raw) - 40)])
    draft.refused += ["line"]


def stray_quote(draft: Draft) -> None:
    draft.raw.append(lambda raw: _at_line(draft, raw, lambda line: b'"' + line))
    draft.refused += ["line"]


def quote_in_a_cell(draft: Draft) -> None:
    draft.both(lambda table: table.columns["colour"].__setitem__(8, '5" pipe'))


def comment_lines(draft: Draft) -> None:
    draft.raw.append(lambda raw: b"# made by hand\n" + raw if draft.rng.random() < 0.5 else _at_line(draft, raw, lambda line: line + b"\n# a remark"))  # fmt: skip
    draft.refused += ["line", "'label'"]


def header_again(draft: Draft) -> None:
    def change(raw: bytes) -> bytes:
        head, _, rest = raw.partition(b"\n")
        return raw + head + b"\n" + rest

    draft.raw.append(change)
    draft.may, draft.differs = True, True


def trailing_separators(draft: Draft) -> None:
    draft.raw.append(lambda raw: raw.replace(b"\n", draft.sep.encode() + b"\n"))
    draft.said.append("''")


def header_only(draft: Draft) -> None:
    draft.raw.append(lambda raw: raw.partition(draft.end.encode())[0] + draft.rng.choice([b"", b"\n", b"\r\n\r\n"]))
    draft.refused += ["no rows", "cannot be read", "empty"]


def nothing(draft: Draft) -> None:
    draft.raw.append(lambda raw: draft.rng.choice([b"", b"\n\n", b"   ", b"\xef\xbb\xbf", b"\r\n", b"\xef\xbb\xbf\n"]))
    draft.refused += ["empty", "no rows", "cannot be read"]


def name_twice(draft: Draft) -> None:
    twice = draft.rng.choice([b"height", b"label", b"colour"])

    def change(raw: bytes) -> bytes:
        head, _, rest = raw.partition(b"\n")
        return head.replace(b"width", twice) + b"\n" + rest

    draft.raw.append(change)
    draft.refused += [twice.decode()]


def damaged_bytes(draft: Draft) -> None:
    """Nobody can say what these mean: they may be read or refused, in one line."""

    def change(raw: bytes) -> bytes:
        found = bytearray(raw)
        for _ in range(draft.rng.randint(1, 8)):
            found[draft.rng.randrange(len(found))] = draft.rng.randrange(256)
        return bytes(found)

    draft.raw.append(change)
    draft.may, draft.differs = True, True
    draft.twin = None  # type: ignore[assignment]


def no_table(draft: Draft) -> None:
    junk = draft.rng.choice([os.urandom(3000), b"%PDF-1.4\n", b"PK\x03\x04" + bytes(200), b"<html><body>404</body></html>", gzip.compress(b"height,label\n1,a\n"), b"{}", b"[]", b"null", b"\x89PNG\r\n\x1a\n"])  # fmt: skip
    draft.raw.append(lambda raw: junk)
    draft.refused += ["cannot be read", "'label'", "UTF-8", "JSON", "empty", "zero byte", "named"]


def wrong_ending(draft: Draft) -> None:
    draft.name = draft.rng.choice({"csv": ["data.json", "data.parquet", "data.jsonl", "data.csv.gz", "data.xlsx", "data"],
                                   "jsonl": ["data.csv", "data.parquet", "data.tsv"],
                                   "parquet": ["data.csv", "data.jsonl"]}[draft.form])  # fmt: skip
    draft.refused += ["cannot be read", "task.path", "'label'", "no file", "UTF-8", "JSON", "fields"]


def odd_file_name(draft: Draft) -> None:
    draft.name = (
        draft.rng.choice(["my data", "data[1]", "a*b", "daten-ä", "data.v2", "{x}", "#1", "%20"]) + f".{draft.form}"
    )


def no_file(draft: Draft) -> None:
    draft.words["path"] = draft.rng.choice(["nowhere.csv", "data", "nowhere/data.csv", "data.csv/x", "~nobody/data.csv", "\x00"])  # fmt: skip
    draft.refused += [draft.words["path"].strip("\x00") or "task.path"]


def a_pipe(draft: Draft) -> None:
    draft.files["pipe.csv"] = None
    draft.words["path"] = "pipe.csv"
    draft.refused += ["pipe.csv"]


# How tables are written as JSON lines


def broken_json(draft: Draft) -> None:
    odd = draft.rng.choice([b"{", b'{"height": 1,}', b"{'height': 1}", b"// a remark", b"[1, 2]", b"7", b'"text"', b"null", b'{"a": 1} {"b": 2}', b'{"height": 01}', b'{"height": ' + b"9" * 9000 + b"}", b"{" * 5000, b"[" * 100_000, b'{"a":' * 100_000])  # fmt: skip
    draft.raw.append(lambda raw: _at_line(draft, raw, lambda line: line + b"\n" + odd))
    draft.refused += ["line"]


def json_name_twice(draft: Draft) -> None:
    draft.raw.append(lambda raw: _at_line(draft, raw, lambda line: line.replace(b"{", b'{"width": 3, ', 1)))
    draft.refused += ["width"]


def json_constants(draft: Draft) -> None:
    odd = draft.rng.choice([b"Infinity", b"-Infinity", b"1e999"])
    draft.raw.append(lambda raw: raw.replace(b'"height": ', b'"height": ' + odd + b', "was": ', 1))
    draft.refused += ["height"]


def json_list(draft: Draft) -> None:
    draft.raw.append(lambda raw: b"[" + b",\n".join(raw.splitlines()) + b"]")


def json_lists_in_cells(draft: Draft) -> None:
    inner = draft.rng.choice([[1, 2], {"a": 1}, [], {}, [[1], [2]], [None]])
    draft.table.columns["colour"] = ["x"] * len(draft.table)
    draft.kinds["colour"] = lambda cell: inner
    draft.refused += ["colour"]


def json_nested_label(draft: Draft) -> None:
    draft.kinds["label"] = draft.rng.choice([lambda cell: [cell], lambda cell: {"name": cell}])
    draft.refused += ["label"]


def json_lacks_keys(draft: Draft) -> None:
    rows = some(draft)
    for row in rows:
        draft.both(lambda table, row=row: table.columns["height"].__setitem__(row, ""))
    draft.kinds["height"] = lambda cell: float(cell) if cell else None
    draft.raw.append(lambda raw: raw.replace(b'"height": null, ', b""))


def json_of_mixed_types(draft: Draft) -> None:
    draft.kinds["width"] = lambda cell: draft.rng.choice([int, float, str])(cell)


# How tables are written as parquet


def cut_parquet(draft: Draft) -> None:
    share = draft.rng.random()
    draft.raw.append(lambda raw: raw[: int(len(raw) * share)])
    draft.refused += ["cannot be read"]


def arrow_types(draft: Draft) -> None:
    kind = draft.rng.choice([pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
    draft.arrow.append(
        lambda table: table.set_column(table.column_names.index("colour"), "colour", table["colour"].cast(kind))
    )


def arrow_decimals(draft: Draft) -> None:
    draft.kinds["height"] = lambda cell: Decimal(cell) if cell else None


def arrow_narrow(draft: Draft) -> None:
    kind = draft.rng.choice([pa.int16(), pa.uint16(), pa.uint64(), pa.float64()])
    draft.arrow.append(
        lambda table: table.set_column(
            table.column_names.index("width"), "width", table["width"].cast(pa.float64()).cast(kind)
        )
    )


def arrow_times(draft: Draft) -> None:
    when = [
        datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=draft.rng.randrange(9000)) for _ in range(len(draft.table))
    ]
    kind = draft.rng.choice([pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("us", tz="UTC"), pa.timestamp("ms", tz="Europe/Paris")])  # fmt: skip
    draft.twin.columns["seen"] = [str(int(one.timestamp())) for one in when]
    draft.arrow.append(lambda table: table.append_column("seen", pa.array([one.replace(tzinfo=None) for one in when], pa.timestamp("us")).cast(pa.timestamp(kind.unit)).cast(kind)))  # fmt: skip


def arrow_nulls(draft: Draft) -> None:
    draft.arrow.append(lambda table: table.append_column("empty", pa.nulls(len(table))))
    draft.said.append("'empty'")


def arrow_nested(draft: Draft) -> None:
    inner = draft.rng.choice([[1, 2], {"a": 1}])
    draft.arrow.append(lambda table: table.append_column("inner", pa.array([inner] * len(table))))
    draft.refused += ["inner"]


def arrow_index(draft: Draft) -> None:
    draft.arrow.append(lambda table: table.append_column("__index_level_0__", pa.array(range(7, 7 + len(table)))))
    draft.said.append("index of the rows")


def arrow_name_twice(draft: Draft) -> None:
    draft.arrow.append(lambda table: table.append_column("height", table["height"]))
    draft.refused += ["height"]


def arrow_no_rows(draft: Draft) -> None:
    draft.arrow.append(lambda table: table.slice(0, 0))
    draft.refused += ["no rows", "cannot be read", "empty"]


def arrow_bytes(draft: Draft) -> None:
    draft.arrow.append(lambda table: table.append_column("blob", pa.array([b"\xff\x00"] * len(table), pa.binary())))
    draft.may, draft.differs = True, True


# Folders of tables


def parts(draft: Draft) -> None:
    """A test part in a file of its own; its rows are copies, so that both parts hold the same."""
    draft.name, draft.words["path"] = f"data/train.{draft.form}", "data"
    draft.files[f"data/test.{draft.form}"] = b"copy"


def part_lacks_a_column(draft: Draft) -> None:
    parts(draft)
    draft.files[f"data/test.{draft.form}"] = b"without width"
    draft.refused += ["width"]


def part_in_another_order(draft: Draft) -> None:
    parts(draft)
    draft.files[f"data/test.{draft.form}"] = b"other order"


def part_with_an_unknown_class(draft: Draft) -> None:
    parts(draft)
    draft.files[f"data/test.{draft.form}"] = b"unknown class"
    draft.refused += ["larch"]


def part_of_another_kind(draft: Draft) -> None:
    draft.name, draft.words["path"] = f"data/a.{draft.form}", "data"
    draft.files["data/b." + ("jsonl" if draft.form != "jsonl" else "csv")] = b"copy"
    draft.refused += ["kinds"]


def empty_folder(draft: Draft) -> None:
    draft.files["empty/.hidden"] = b""
    draft.words["path"] = "empty"
    draft.refused += ["empty"]


CSV, JSONL, PARQUET = ("csv",), ("jsonl",), ("parquet",)
TEXTS = ("csv", "jsonl")
FAULTS = (
    Fault(missing_cells, "cells"), Fault(missing_labels, "labels"), Fault(blank_labels, "labels"),
    Fault(no_labels, "labels"), Fault(one_class, "labels"), Fault(continuous_labels, "labels"),
    Fault(odd_class_name, "class"), Fault(whole_number_classes, "labels"), Fault(class_spelt_with_blanks, "labels"),
    Fault(class_in_two_unicode_forms, "labels"), Fault(rare_class, ALONE), Fault(index_column, "index"),
    Fault(constant_column, "constant"), Fault(wide_numbers, "wide", CSV + JSONL), Fault(infinite_number, "height"),
    Fault(spelt_missing, "height", TEXTS), Fault(number_spelt_oddly, "width", TEXTS), Fault(no_number, "width", TEXTS),
    Fault(decimal_commas, "height", CSV), Fault(dates, "seen"), Fault(days_first, "seen"), Fault(truth_values, "alive", TEXTS),
    Fault(long_cell, "cells"), Fault(control_signs, "cells"), Fault(odd_column_name, "name"),
    Fault(label_renamed, "label name"), Fault(label_named_wrong, "label name"), Fault(label_not_named, "label name"),
    Fault(ids_twice, "id"), Fault(id_missing, "id"), Fault(ids_of_text, "id"), Fault(weight_wrong, "weight", TEXTS),
    Fault(no_weight, "weight"), Fault(one_group, "group"), Fault(role_without_column, "role"),
    Fault(label_as_feature, "role"), Fault(classes_wrong, "class"), Fault(share_wrong, "share"),
    Fault(few_rows, ALONE), Fault(wide_encoding, "bytes", TEXTS), Fault(latin_bytes, "bytes", CSV), Fault(cut_in_a_letter, "bytes", TEXTS),
    Fault(zero_bytes, "bytes", TEXTS), Fault(carriage_returns, "lines", CSV), Fault(mixed_line_ends, "lines", TEXTS),
    Fault(no_last_line_end, "lines", TEXTS), Fault(blank_lines, "lines", TEXTS), Fault(other_separator, "sep", CSV),
    Fault(unknown_separator, "sep", CSV), Fault(short_row, "line", CSV), Fault(long_row, "line", CSV),
    Fault(cut_off, ALONE, CSV), Fault(stray_quote, "line", CSV), Fault(quote_in_a_cell, "cells", CSV),
    Fault(comment_lines, "line", CSV), Fault(header_again, ALONE, CSV), Fault(trailing_separators, "lines", CSV),
    Fault(header_only, "line", CSV), Fault(nothing, "bytes", TEXTS), Fault(name_twice, "line", CSV),
    Fault(no_table, "bytes"), Fault(wrong_ending, "file"), Fault(odd_file_name, "file"), Fault(no_file, "file"),
    Fault(a_pipe, "file"), Fault(broken_json, "line", JSONL), Fault(json_name_twice, "line", JSONL),
    Fault(json_constants, "line", JSONL), Fault(json_list, "line", JSONL), Fault(json_lists_in_cells, "cells", JSONL),
    Fault(json_nested_label, "labels", JSONL), Fault(json_lacks_keys, "height", JSONL),
    Fault(json_of_mixed_types, "width", JSONL), Fault(cut_parquet, "bytes", PARQUET), Fault(arrow_types, "cells", PARQUET),
    Fault(arrow_decimals, "height", PARQUET), Fault(arrow_narrow, "width", PARQUET), Fault(arrow_times, "seen", PARQUET),
    Fault(arrow_nulls, "nulls", PARQUET), Fault(arrow_nested, "inner", PARQUET), Fault(arrow_index, "index", PARQUET),
    Fault(arrow_name_twice, "twice", PARQUET), Fault(arrow_no_rows, "bytes", PARQUET), Fault(arrow_bytes, ALONE, PARQUET),
    Fault(part_lacks_a_column, "file"), Fault(part_in_another_order, "file"), Fault(part_with_an_unknown_class, "file"),
    Fault(part_of_another_kind, "file"), Fault(empty_folder, "file"), Fault(parts, "file"),
    Fault(bytes_mark, "mark", TEXTS), Fault(damaged_bytes, ALONE),
)  # fmt: skip
"""In the order in which they apply: what a table holds, then how it is written."""


def case(seed: int) -> Case:
    """Returns the malformed table of a seed."""
    rng = random.Random(f"table {seed}")
    form = rng.choice(FORMS)
    faults = chosen(rng, [fault for fault in FAULTS if form in fault.forms], 3)
    table = base(rng)
    draft = Draft(rng, form, table, table.copy(), words={"label": "label"}, name=f"data.{form}")
    for fault in faults:
        fault.apply(draft)
    twin = draft.twin
    files = _files(draft)
    words = {"path": draft.name, **draft.words}
    said = tuple(draft.said)

    def write(folder: Path) -> None:
        for name, content in files.items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            os.mkfifo(place) if content is None else place.write_bytes(content)

    return Case(
        "table", seed, tuple(fault.name for fault in faults), write, _words(words), tuple(draft.refused),
        lambda ran: _wrong(ran, twin, words, said, draft.differs), draft.may,
        read=lambda: read_option("table", words),
    )  # fmt: skip


def read_option(option: str, words: dict[str, Any]) -> tuple[Task, Source]:
    """Reads the task of a YAML with these parameters, as a command does once it has composed its config."""
    node = yaml.safe_load((conf_dir() / "task" / f"{option}.yaml").read_text())
    source = build(node | ({"cache": "cache"} if "cache" in node else {}) | words)
    return source.split(0), source


def _words(words: dict[str, Any]) -> tuple[str, ...]:
    """Returns the words of the command that reads the task and trains a small model on it."""
    return ("task=table", *(f"task.{name}={quoted(value)}" for name, value in words.items()), *MODEL_WORDS, *PLAIN)


MODEL_WORDS = ("model@baseline.model=random_forest", "baseline.model.n_estimators=5")


def quoted(value: Any) -> str:
    """Returns a value as an override of Hydra's."""
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{','.join(map(quoted, value))}]"
    text = str(value)
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'" if isinstance(value, str) else text


def _wrong(ran: Ran, twin: Table | None, words: dict[str, Any], said: tuple[str, ...], differs: bool) -> str:
    """Returns what was read otherwise than the twin says: rows and labels, and all cells unless it `differs`."""
    lacking = [text for text in said if text not in ran.err]
    if lacking:
        return f"not said: {lacking}"
    if twin is None or (differs and not said):
        return ""
    sentence = described(twin.columns["label"])
    if sentence not in ran.err:
        return f"expected '{sentence}'"
    if differs or "data/" in str(words.get("path")):
        return ""
    Path("twin.csv").write_bytes(as_csv(twin, ",", "\n"))
    split = words | {"path": "twin.csv"} if Path(words["path"]).is_file() else None
    expected = read_option("table", split)[1].fingerprint if split else ran.fingerprint
    return "" if ran.fingerprint == expected else "the rows differ from those of the well-formed twin"


def described(labels: list[str]) -> str:
    """Returns the sentence on the training part, from its labels alone."""
    counts = Counter(label for label in labels if label)
    whole = all(name.lstrip("-").isdecimal() for name in counts)
    names = sorted(counts, key=lambda name: (int(name), name)) if whole else sorted(counts)
    unknown = len(labels) - sum(counts.values())
    told = ", ".join(f"{name} {counts[name]}" for name in names)
    return f"train: {len(labels)} rows, given labels: {told}" + (f"; {unknown} without a label" if unknown else "")


def _files(draft: Draft) -> dict[str, bytes | None]:
    content = _written(draft, draft.table)
    for change in draft.raw:
        content = change(content)
    files: dict[str, bytes | None] = {draft.name: content}
    for name, what in draft.files.items():
        files[name] = _other(draft, what) if what in OTHERS else what
    return files


OTHERS = {
    b"copy": lambda table: table,
    b"without width": lambda table: Table({name: cells for name, cells in table.columns.items() if name != "width"}),
    b"other order": lambda table: Table(dict(reversed(table.columns.items()))),
    b"unknown class": lambda table: Table(
        {name: ["larch", *cells[1:]] if name == "label" else cells for name, cells in table.columns.items()}
    ),
}


def _other(draft: Draft, what: bytes | None) -> bytes:
    """Returns the file of another part: the training table, changed in the way that its content names."""
    assert what is not None
    return _written(replace(draft, arrow=draft.arrow), OTHERS[what](draft.table))


def _written(draft: Draft, table: Table) -> bytes:
    if draft.form == "csv":
        return as_csv(table, draft.sep, draft.end)
    if draft.form == "jsonl":
        rows = [
            {name: _value(draft, name, cells[row]) for name, cells in table.columns.items()}
            for row in range(len(table))
        ]
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    made = pa.table(
        {name: pa.array([_value(draft, name, cell) for cell in cells]) for name, cells in table.columns.items()}
    )
    for change in draft.arrow:
        made = change(made)
    buffer = io.BytesIO()
    pq.write_table(made, buffer)
    return buffer.getvalue()


def _value(draft: Draft, name: str, cell: str) -> Any:
    """Returns a cell as a value of JSON or parquet."""
    if cell == "":
        return None
    if name in draft.kinds:
        return cell if cell == "larch" else draft.kinds[name](cell)
    return float(cell) if name in (*NUMBERS, "weight") else cell


def as_csv(table: Table, sep: str, end: str) -> bytes:
    """Returns a table as CSV, with quotation marks where a cell needs them."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=sep, lineterminator=end)
    writer.writerow(table.columns)
    writer.writerows(zip(*table.columns.values(), strict=True))
    return buffer.getvalue().encode()


def _at_line(draft: Draft, raw: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Changes one line in the middle of a file."""
    lines = raw.split(b"\n")
    place = draft.rng.randrange(2, max(3, len(lines) - 2)) if len(lines) > 4 else len(lines) - 1
    lines[place] = change(lines[place])
    return b"\n".join(lines)


def feature_values(task: Task) -> np.ndarray:
    """Returns the features of all parts, one below the other."""
    return np.concatenate([task.train.x, task.valid.x, task.test.x])
