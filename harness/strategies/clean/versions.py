"""What people cleaned by hand, applied: a list of edits, or a second version of the data, row by row by its id.

Both are one thing in the end: the label that each row should have, or none, and the cells that should stand in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64

from harness.checks import nearest, one_of
from harness.data import TrainSet, one_hot
from harness.errors import BadInput
from harness.storage import reader
from harness.strategies import Tools
from harness.tables import Mend, cells_table, columns_of, is_raw, mend_columns
from harness.tasks import checks
from harness.tasks.columns import indices, texts
from harness.tasks.features import as_numbers
from harness.tasks.files import open_part as opened_by_kind
from harness.tasks.files import require_path
from harness.tasks.raw_table import read_cells

CARRY = ("values", "none")
NO_LABEL = ""
"""The name under which the label stands among the cells: no column of a file is called so."""


@dataclass(frozen=True, eq=False)
class Version:
    """What should become of each training row: its class (-1: none), whether it stays, its cells by column."""

    classes: Int64[np.ndarray, " n"]
    stays: Bool[np.ndarray, " n"]
    cells: Mapping[str, np.ndarray]


def from_file(
    train: TrainSet, tools: Tools, *, path: str, id: str | None, label: str | None,
    kept: Sequence[str], dropped: Sequence[str], carry: str,
) -> TrainSet:  # fmt: skip
    """The set as the file `path` (parquet, CSV, JSONL) has it: the user's own cleaned version.

    Rows are matched by the column `id` (None: the one that holds most of the training rows' ids; where rows are
    numbered and no column holds their ids, by the file's own order). Rows that the file lacks go. `label` names the
    column of labels (None: they stay as they are): a class relabels, one of `kept` leaves the row as it is, one of
    `dropped` or nothing at all drops it. Of a raw table, cells that differ in a column of the same name are edited;
    `carry` as in `edits`.
    """
    file = _columns(path, tools, [name for name in (id, label) if name is not None])
    rows = _matched(file, train, id, label, tools.classes, path)
    stays, classes = rows >= 0, np.where(train.labelled, train.classes, -1)
    if label is not None:
        said = file[label]
        leave = np.isin(said.astype(str), [word for word in kept if word not in tools.classes])
        found = indices(said, tools.classes, label, none=("", *kept, *dropped))[rows]
        classes = np.where(leave[rows] | ~stays, classes, found)
        stays &= ~(train.labelled & (classes < 0))
    own = columns_of(train.x) if is_raw(train.x) else {}
    cells = {name: _cells(file[name], rows, column) for name, column in own.items() if name in file}
    others = [name for name in file if name not in {*own, id, label}]
    if others and not own:
        tools.note(
            "ignored",
            f"columns {', '.join(others)} of {Path(path).name} change nothing: cells are edited in a raw table only "
            "(task=raw_table)",
        )
    return _cleaned(train, tools, Version(classes, stays, cells), carry)


def edits(train: TrainSet, tools: Tools, *, path: str, carry: str) -> TrainSet:
    """The set after the edits of the CSV file `path`: columns id, before, after, and perhaps column, one edit a line.

    Without a column an edit is one of the label: `after` is a class, or empty to drop the row. Else it is one of a
    raw table's cell, and an empty `after` leaves it missing. `before` must be what stands there, or BadInput names the
    line; rows that are not in the training set (but in another part) are passed over. `carry` says what becomes of
    cells that are predicted: `values` edits those that hold what in training was edited in one way wherever it stood,
    `none` leaves them as they are.
    """
    table, stays = _edited(train, tools, _edit_lines(train, tools, path))
    index = {name: number for number, name in enumerate(tools.classes)}
    classes = np.array([index.get(name, -1) for name in table.pop(NO_LABEL)], dtype=np.int64)
    return _cleaned(train, tools, Version(classes, stays, table), carry)


def check_edits(train: TrainSet, tools: Tools, *, path: str, exact: bool) -> None:
    """Raises BadInput if `edits` could not apply the file; what stands in a row is compared if the set is `exact`."""
    lines = _edit_lines(train, tools, path)
    if exact:
        _edited(train, tools, lines)


def check_version(
    train: TrainSet, tools: Tools, *, path: str, id: str | None, label: str | None, kept: Sequence[str],
    dropped: Sequence[str], exact: bool,
) -> None:  # fmt: skip
    """Raises BadInput if `from_file` could not use the file; labels tell of another order if the set is `exact`."""
    file = _columns(path, tools, [name for name in (id, label) if name is not None])
    _matched(file, train, id, label if exact else None, tools.classes, path)
    if label is not None:
        indices(file[label], tools.classes, label, none=("", *kept, *dropped))


Edit = tuple[str, int, str, Mapping[Any, str]]
"""The place of an edit in words, the training row, the column (`NO_LABEL` for the label), and the line's cells."""


def _edit_lines(train: TrainSet, tools: Tools, path: str) -> list[Edit]:
    """Returns the edits of training rows; BadInput if there is none, or if one of any row cannot be."""
    frame = read_cells(path, "clean.path")
    for name in ("id", "before", "after"):
        checks.check_column(name, list(frame.columns), Path(path).name)
    place = {str(name): row for row, name in enumerate(train.ids.tolist())}
    known, found = [NO_LABEL, *(columns_of(train.x) if is_raw(train.x) else {})], list[Edit]()
    places = reader.row_places(Path(path).expanduser(), len(frame))
    for said, edit in zip(places, frame.fillna("").to_dict("records"), strict=True):
        line, where = f"{path}, {said}", str(edit.get("column", NO_LABEL))
        _check(edit, where, known, tools.classes, line)
        if edit["id"] in place:
            found.append((line, place[edit["id"]], where, edit))
    if not found:
        raise BadInput(f"{path}: none of its {len(frame)} edits names a training row, such as '{train.ids[0]}'")
    return found


def _edited(
    train: TrainSet, tools: Tools, lines: Sequence[Edit]
) -> tuple[dict[str, np.ndarray], Bool[np.ndarray, " n"]]:
    """Returns labels and cells by column after the edits, and which rows stay; BadInput if `before` is not so."""
    given = np.where(train.labelled, np.array([*tools.classes])[train.classes], "")
    own = columns_of(train.x) if is_raw(train.x) else {}
    table = {NO_LABEL: given.astype(object)} | {name: column.astype(object) for name, column in own.items()}
    stays = np.ones(len(train), dtype=bool)
    for line, row, where, edit in lines:
        if edit["before"] != table[where][row]:
            raise BadInput(f"{line}: before is '{edit['before']}', but row '{edit['id']}' has '{table[where][row]}'")
        table[where][row] = edit["after"]
        stays[row] &= bool(where) or bool(edit["after"])
    return table, stays


def _check(edit: Mapping[Any, str], where: str, known: Sequence[str], classes: Sequence[str], line: str) -> None:
    """Raises BadInput where the edit names no column, or edits a label into no class."""
    if where not in known:
        there = [name for name in known if name]
        reason = nearest(where, there) if there else ", and its rows have no cells: task=raw_table reads some"
        raise BadInput(f"{line}: the training set has no column '{where}'{reason}")
    if where == NO_LABEL and edit["after"] and edit["after"] not in classes:
        near = nearest(edit["after"], classes)
        raise BadInput(
            f"{line}: after is '{edit['after']}', which is not a class{near} (classes: {', '.join(classes)})"
        )


def _cleaned(train: TrainSet, tools: Tools, version: Version, carry: str) -> TrainSet:
    """The set as that version has it; every label, row and cell that differs is an edit on the ledger."""
    one_of("clean.carry", carry, CARRY)
    changed = version.stays & (version.classes >= 0) & (version.classes != np.where(train.labelled, train.classes, -1))
    y, w = train.y.copy(), train.w.copy()
    y[changed] = one_hot(version.classes[changed], train.k)
    w[changed & ~train.labelled] = 1
    differing = [int((column != train.x[name])[version.stays].sum()) for name, column in version.cells.items()]
    tools.count("edits", int(changed.sum()) + int((~version.stays).sum()) + sum(differing))
    after = replace(train, y=y, w=w)
    return (_with_cells(after, version, carry) if sum(differing) else after).rows(version.stays)


def _with_cells(train: TrainSet, version: Version, carry: str) -> TrainSet:
    """The raw set with the version's cells; what it did to values is left for the rows to predict."""
    cells = cells_table({**columns_of(train.x), **version.cells})
    if carry == "none":
        return replace(train, x=cells)
    mends = {
        name: _carried(train.x[name][version.stays], column[version.stays]) for name, column in version.cells.items()
    }
    return replace(mend_columns(train, mends), x=cells)


def _carried(before: np.ndarray, after: np.ndarray) -> Mend:
    """The cells that were edited in one way wherever they stood, edited in that way."""
    pairs = set(zip(before.tolist(), after.tolist(), strict=True))
    olds, counts = np.unique([old for old, _ in pairs], return_counts=True)
    once = set(olds[counts == 1].tolist())
    known = {old: new for old, new in pairs if old in once}
    return lambda x: np.array([known.get(cell, cell) for cell in x.tolist()], dtype=np.str_)


def _columns(path: str, tools: Tools, named: Sequence[str]) -> dict[str, np.ndarray]:
    """The file's columns of text or numbers as texts (n,), None where there is nothing; the `named` ones are there."""
    place = require_path(path, "clean.path")
    if place.suffix.lower() in reader.TEXT:
        file = {str(name): cells.to_numpy(dtype=object) for name, cells in read_cells(path, "clean.path").items()}
    else:
        data = opened_by_kind([place], str(tools.cache.folder))
        file = {name: texts(data, name) for name in data.column_names if _is_plain(data.features[name])}
    for name in named:
        checks.check_column(name, list(file), place.name)
    return file


def _is_plain(feature: object) -> bool:
    return isinstance(feature, datasets.Value | datasets.ClassLabel)


def _matched(
    file: Mapping[str, np.ndarray],
    train: TrainSet,
    id: str | None,
    label: str | None,
    classes: Sequence[str],
    path: str,
) -> Int64[np.ndarray, " n"]:
    """The row of the file (n,) for each training row, -1 where it has none."""
    ids = train.ids.astype(str)
    numbered = all(name.startswith("train-") and name[6:].isdecimal() for name in ids.tolist())
    held = {name: int(np.isin(ids, column.astype(str)).sum()) for name, column in file.items()}
    column = id or max(held, key=lambda name: held[name])
    if id is None and numbered and not held[column]:
        rows = _in_order(np.array([int(name[6:]) for name in ids.tolist()], dtype=np.int64), len(file[column]), path)
        _check_order(file, rows, train, label, classes, path)
        return rows
    names = file[column].astype(str)
    if len(set(names.tolist())) < len(names):
        raise BadInput(f"{path}: ids in column '{column}' occur more than once, so that rows cannot be matched")
    place = {name: row for row, name in enumerate(names.tolist())}
    found = np.array([place.get(name, -1) for name in ids.tolist()], dtype=np.int64)
    if (found < 0).all():
        raise BadInput(f"{path}: no column holds the training rows' ids, such as '{ids[0]}': name it with clean.id")
    return found


def _in_order(rows: Int64[np.ndarray, " n"], length: int, path: str) -> Int64[np.ndarray, " n"]:
    """Returns the rows by their numbers; BadInput if the file is shorter: what was removed would shift all others."""
    if rows.max(initial=-1) >= length:
        raise BadInput(
            f"{path} has {length} rows and no column of ids, but training rows are numbered up to {rows.max()}: "
            "if rows were removed, the others can only be matched by a column of ids, such as train-0"
        )
    return rows


def _check_order(
    file: Mapping[str, np.ndarray], rows: Int64[np.ndarray, " n"], train: TrainSet, label: str | None,
    classes: Sequence[str], path: str,
) -> None:  # fmt: skip
    """Raises BadInput if the file's rows, taken by their numbers, are other rows than the training rows.

    They are the same if a column that the training rows have says so: of a row that was corrected, most columns stay.
    Where they share none (images), labels have to agree more often than by chance.
    """
    where = {name: column[rows] for name, column in file.items() if name != label}
    agrees = _agreement(where, train)
    if agrees is not None:
        foreign = int((~agrees).sum())
        if foreign > max(1, _FOREIGN * len(train)):
            raise BadInput(
                f"{path}: by their numbers, {foreign} of {len(train)} rows are not the training rows (the first is "
                f"row {int(rows[np.flatnonzero(~agrees)[0]])}): rows were removed or moved, so they can only be "
                "matched by a column of ids; name it with clean.id"
            )
    elif label is not None:
        _check_labels_agree(indices(file[label], classes, label, none=("",))[rows], train, path)


def _check_labels_agree(found: Int64[np.ndarray, " n"], train: TrainSet, path: str) -> None:
    """Raises BadInput if labels agree with those of the training rows no more than by chance."""
    both = train.labelled & (found >= 0)
    given, said = train.classes[both], found[both]
    shares = [np.bincount(one, minlength=train.k) / max(1, len(one)) for one in (given, said)]
    chance, agree = float(shares[0] @ shares[1]), float((given == said).mean()) if both.any() else 1.0
    if both.sum() > _TELLING and agree - chance < _BETTER * (1 - chance):
        raise BadInput(
            f"{path}: by their numbers, rows have the training rows' labels in {100 * agree:.0f} % of the cases, and "
            f"{100 * chance:.0f} % would agree by chance: they seem to be in another order; name a column of ids with "
            "clean.id"
        )


_FOREIGN, _BETTER = 0.02, 0.2
"""Rows of which no column agrees, as a share, and how much of what chance leaves must agree: else rows have moved."""


def _agreement(file: Mapping[str, np.ndarray], train: TrainSet) -> Bool[np.ndarray, " n"] | None:
    """Whether at least half of the columns that the file and the training rows share agree (n,); None if none does."""
    pairs = [same for name, column in file.items() if (same := _same(name, column, train.x)) is not None]
    return np.mean(pairs, axis=0) >= 0.5 if pairs else None


def _same(name: str, column: np.ndarray, x: Any) -> Bool[np.ndarray, " n"] | None:
    """Where a column of the file has what the training rows have; None unless its values are those of a column."""
    if is_raw(x):
        return column.astype(str) == columns_of(x)[name] if name in columns_of(x) else None
    kind, cells = getattr(x, "dtype", np.dtype("V")).kind, pd.Series(column, dtype=object)
    if kind in "OU":
        written = cells.fillna("").to_numpy()
        return written == x if _shares(written, x) else None
    numbers = as_numbers(cells) if kind == "f" else None
    if numbers is None:
        return None
    single = numbers.astype(np.float32)
    own = next((values for values in x.T if _shares(single, values)), None)
    return None if own is None else (single == own) | np.isnan(single) | np.isnan(own)


def _shares(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two columns have the same values, wherever they stand, and enough of them to tell rows apart."""
    return len(set(one.tolist())) > _TELLING and float(np.isin(one, other).mean()) > 0.5


_TELLING = 10
"""A column of fewer different values agrees too often by chance."""


def _cells(column: np.ndarray, rows: Int64[np.ndarray, " n"], own: np.ndarray) -> np.ndarray:
    """The file's cells for the training rows, empty where there is nothing; their own where the file has no row."""
    return np.where(rows >= 0, pd.Series(column).fillna("").to_numpy(dtype=object)[rows], own).astype(np.str_)
