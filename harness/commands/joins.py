"""Joins a column of a user's file, or of the task's own data, to a study's test rows.

The ids of test rows are the text of an id column if the task names one (`task.id`). Otherwise rows are numbered as they
were read, `train-17` or `test-17` by the part of their file, `digit-17` in the digits, so a file's rows can be matched
by number. A join is checked wherever possible: data that are read again must have the study's fingerprint, rows that
are joined by number must have its labels.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
import pandas as pd

from harness.checks import choices
from harness.errors import BadInput
from harness.run.rebuilding import rebuild_task
from harness.storage import reader
from harness.storage.store import TestSet
from harness.tasks import columns as reading
from harness.tasks import files, raw_table

READABLE = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")
_NUMBERED = re.compile(r"(.*)-(\d+)")
TablesByPart = Mapping[str, pd.DataFrame]


@dataclass(frozen=True, eq=False)
class StudyRows:
    """Holds a study's task parameters, the fingerprint of its data, and all of its test examples."""

    task: Mapping[str, Any]
    data: str
    test: TestSet


@dataclass(frozen=True, eq=False)
class JoinResult:
    """Holds a column's values by test id, as they were read, and how they were found, in a sentence."""

    values: pd.Series
    how: str


def column_of_file(place: str, column: str, key: str | None, sought: StudyRows) -> JoinResult:
    """Returns the column of a CSV, TSV, parquet or JSONL file, whose rows are matched by the column `key`.

    Without a `key` they are matched by the task's own id column if the file has it, else by row number. BadInput if ids
    do not match, a name is unknown, or labels are not the study's.
    """
    table = open_table(place)
    name = key if key is not None else _own_column(sought.task, "id", table)
    for wanted in filter(None, (column, name)):
        _known(wanted, table, place)
    if name is None:
        values, told = _by_number(table, column, place, sought)
        return JoinResult(values, f"'{column}' of {place}, joined by row number{told}")
    return JoinResult(_by_key(table, column, name, place, sought), f"'{column}' of {place}, joined by '{name}'")


def from_task(column: str, changed: Mapping[str, Any], sought: StudyRows) -> JoinResult:
    """Returns a column of the task's own files, a feature or not; `changed` (path, cache) says where they are.

    BadInput if the data there are not those of the study, or the task's rows are not in a file with columns.
    """
    node, kind = {**sought.task, "path": None, **changed}, str(sought.task.get("_target_"))
    if kind not in _OF_FILES or node["path"] is None:
        raise BadInput(
            f"the task's rows are not in a file with columns that can be read here ({kind}): set table=FILE, with "
            "id=COLUMN if its rows are not in the order of the data; or task.path=PLACE for a task of files"
        )
    check_same_data(sought.task, changed, sought.data)
    table = _rows_by_id(node)
    _known(column, table, str(node["path"]))
    return JoinResult(
        _found(table[column], sought, str(node["path"])), f"'{column}' of {node['path']}, the task's own data"
    )


def check_same_data(task: Mapping[str, Any], changed: Mapping[str, Any], data: str) -> None:
    """Requires that the data at the places `changed` (path, cache) have the fingerprint of those of the study."""
    if rebuild_task(task, changed).fingerprint != data:
        raise BadInput(f"task.path={changed['path']} does not hold the data that the study was run on: give their path")


def cells_of_task(node: Mapping[str, Any], ids: Collection[str]) -> dict[str, dict[str, object]]:
    """Returns what the rows of these ids hold in the task's own files, by id and column, without labels and votes.

    `node` are the task's parameters with its path. Nothing if its rows are not in files, or the id is not in them.
    """
    if node.get("_target_") not in _OF_FILES or node.get("path") is None:
        return {}
    table = _rows_by_id(node)
    known = [str(name) for name in ids if str(name) in table.index]
    roles = {name for role in _ROLES for name in reading.as_names(node.get(role))}
    shown = table.loc[known, [name for name in table.columns if name not in roles]]
    cells = shown.astype(object).where(shown.notna(), None).to_dict("records")
    return dict(zip(known, ({str(name): value for name, value in row.items()} for row in cells), strict=True))


_ROLES = ("id", "label", "gold", "votes", "weight")
"""Columns that are not shown to whoever verifies a label: what names the row, and what was said of its class."""


def _rows_by_id(node: Mapping[str, Any]) -> pd.DataFrame:
    """Returns the rows of all parts of the task's own files under the ids that the task gives them."""
    parts = _OF_FILES[str(node["_target_"])](node)
    return pd.concat([_named(part, rows, node.get("id")) for part, rows in parts.items()])


def open_table(place: str) -> pd.DataFrame:
    """Reads a file's table; cells of CSV and TSV stay text."""
    path = files.require_path(place, "table")
    if path.suffix.lower() not in READABLE:
        raise BadInput(f"table={place}: a table is a file of {', '.join(READABLE)}")
    try:
        return reader.read_frame(path)
    except (OSError, ValueError) as fault:
        raise BadInput(f"table={place} cannot be read: {' '.join(str(fault).split())[:300]}") from fault


def _own_column(task: Mapping[str, Any], role: str, table: pd.DataFrame) -> str | None:
    """Returns the column that the study's task gives that role, if the table has it."""
    name = task.get(role)
    return name if isinstance(name, str) and name in table.columns else None


def _known(column: str, table: pd.DataFrame, place: str) -> None:
    if column not in table.columns:
        raise BadInput(f"{place} has no column '{column}'{choices(column, table.columns)}")


def _by_key(table: pd.DataFrame, column: str, key: str, place: str, sought: StudyRows) -> pd.Series:
    """Returns values by id; if a file's ids do not match as written, `007` and `7.0` count as 7."""
    written = reader.as_text(table[key])
    numbers = pd.to_numeric(written, errors="coerce")
    plainer = reader.as_text(numbers).where(numbers.notna(), written)
    wanted = set(sought.test.ids.tolist())
    ids = written if wanted <= set(written) else plainer if wanted <= set(plainer) else written
    repeated = ids[ids.duplicated() & ids.isin(wanted)]
    if len(repeated):
        raise BadInput(
            f"'{repeated.iloc[0]}' occurs more than once in column '{key}' of {place}: ids name one row each"
        )
    return _found(table[column].set_axis(pd.Index(ids)), sought, f"column '{key}' of {place}")


def _by_number(table: pd.DataFrame, column: str, place: str, sought: StudyRows) -> tuple[pd.Series, str]:
    """Returns values by id if ids are row numbers, and in words whether labels confirm the match."""
    matched = [_NUMBERED.fullmatch(name) for name in sought.test.ids.tolist()]
    parts = sorted({one[1] if one else "" for one in matched})
    if parts == [""] or len(parts) > 1:
        first = sought.test.ids[0]
        raise BadInput(f"the study's test ids, such as '{first}', are not row numbers: set id=COLUMN, which holds them")
    rows = np.array([int(one[2]) for one in matched if one])
    if rows.max() >= len(table):
        raise BadInput(
            f"{place} has {len(table):,} rows, but the study's test ids go up to '{parts[0]}-{rows.max()}': it is not "
            "the file that the task was made from; say id=COLUMN for one that holds the ids"
        )
    told = _vouched(table.iloc[rows], place, sought)
    return table[column].iloc[rows].set_axis(pd.Index(sought.test.ids)), told


def _vouched(rows: pd.DataFrame, place: str, sought: StudyRows) -> str:
    """Returns in words whether labels confirm the rows and their order; BadInput if they contradict it."""
    name = _own_column(sought.task, "gold", rows) or _own_column(sought.task, "label", rows)
    texts = reader.as_text(rows[name]).to_numpy() if name is not None else np.array([])
    try:
        found = reading.indices(texts, sought.test.classes, str(name))
    except BadInput:
        found = np.array([])
    if not len(found):
        return "; it has no label by which that could be checked"
    differ = np.flatnonzero((found >= 0) & (found != sought.test.y))
    if len(differ):
        first = int(differ[0])
        raise BadInput(
            f"{place} is not in the order of the study's data: '{sought.test.ids[first]}' is "
            f"'{sought.test.classes[sought.test.y[first]]}' there and '{texts[first]}' here ({len(differ)} of "
            f"{len(found)} rows differ): set id=COLUMN for a file that holds the ids"
        )
    return f", and its '{name}' agrees with the study's classes"


def _found(values: pd.Series, sought: StudyRows, where: str) -> pd.Series:
    """Returns the values of the test ids, in their order; BadInput if one is missing."""
    missing = ~np.isin(sought.test.ids, np.asarray(values.index, dtype=str))
    if missing.any():
        first, such = sought.test.ids[missing][0], ", ".join(f"'{one}'" for one in values.index[:3])
        raise BadInput(
            f"{int(missing.sum())} of {len(missing)} test ids are not in {where}, the first is '{first}' (there are "
            f"{such})"
        )
    return values.loc[list(sought.test.ids)]


def _raw(node: Mapping[str, Any]) -> TablesByPart:
    return {"train": raw_table.read_cells(str(node["path"]))}


def _read(node: Mapping[str, Any]) -> TablesByPart:
    """Reads the task's files, one table per part."""
    patterns = {part: node.get(part) for part in files.PARTS}
    return {
        part: pd.DataFrame(dict(_columns(rows)))
        for part, rows in files.open_parts(files.find(str(node["path"]), patterns), node.get("cache"))[0].items()
    }


_OF_FILES = {
    "harness.tasks.table.table": _read, "harness.tasks.folder.folder": _read,
    "harness.tasks.raw_table.raw_table": _raw,
}  # fmt: skip
"""How the rows of a task are read from its files, by its function."""


def _columns(rows: datasets.Dataset) -> Iterator[tuple[str, Any]]:
    """Yields the columns that hold one plain value per row; class numbers become class names."""
    for name, feature in rows.features.items():
        if hasattr(feature, "names"):
            yield name, reading.texts(rows, name)
        elif isinstance(feature, datasets.Value):
            yield name, _typed(rows.select_columns([name]).with_format("arrow")[:].column(name).to_pandas())


def _typed(values: pd.Series) -> pd.Series:
    """Returns the cells of a text file as numbers if all of them are, for slices by their size."""
    if not pd.api.types.is_string_dtype(values) and values.dtype != object:
        return values
    numbers = pd.to_numeric(values, errors="coerce")
    return numbers if bool((numbers.notna() | values.isna()).all()) else values


def _named(part: str, rows: pd.DataFrame, key: str | None) -> pd.DataFrame:
    """Returns the rows under the ids that the task gives them."""
    ids: Sequence[str] = (
        [f"{part}-{row}" for row in range(len(rows))] if key is None else list(reader.as_text(rows[key]))
    )
    return rows.set_axis(pd.Index(ids), axis=0)
