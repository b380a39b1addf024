"""Writes the test rows whose labels are worth verifying into a CSV file, and reads the labels that people filled in.

The file has a row for each test row: its `id`, what the row shows if the data are at hand, the label `given`, and an
empty cell `gold`. What models predict is left out, since it would lead whoever verifies. Cells that are filled in are
never lost: a file that is written again keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.analysis.label_errors import RowToVerify
from harness.checks import choices
from harness.errors import BadInput
from harness.storage import reader
from harness.storage.files import write_atomic
from harness.storage.sheets import from_cell, sheet_of_rows
from harness.storage.store import Store, TestSet

VERIFY, BY_VERIFIED = "verify_these.csv", "verified"
"""The file of the rows to verify, and the folder, within a study's, of the report that is scored by verified labels."""
ID, GIVEN, GOLD = "id", "given", "gold"
Cells = Mapping[str, Mapping[str, object]]
"""What rows show: the cells of each by the names of their columns, by id."""
ReadCells = Callable[[Collection[str]], Cells]


@dataclass(frozen=True)
class VerifiedLabels:
    """Holds verified classes by the id of the test row, and sentences on what the file held."""

    labels: Mapping[str, int]
    lines: tuple[str, ...]


def is_sheet(value: object) -> bool:
    """Returns whether a value that may name a column of gold labels names a file of verified ones instead."""
    return isinstance(value, str) and value.lower().endswith(".csv")


def sheet_of(value: str, folder: Path) -> Path:
    """Returns the file of verified labels: as named, or of that name in a study's folder; BadInput if there is none."""
    places = [Path(value).expanduser(), folder / value]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise BadInput(f"gold={value}: there is no such file, here or in {folder}")
    return found


def read_verified(path: Path, store: Store) -> VerifiedLabels:
    """Returns the labels that people filled in, for the test rows of the study in the store.

    Rows are joined by id; those that are no test rows are counted. BadInput if no cell is filled in, for a label that
    is no class, for an id with two labels, if no row is one of the study, and if a given label is another there.
    """
    table = reader.read_strings(path).map(from_cell)
    for name in (ID, GOLD):
        if name not in table.columns:
            raise BadInput(f"{path} has no column '{name}'{choices(name, table.columns)}")
    rows = [{str(name): str(cell).strip() for name, cell in row.items()} for row in table.to_dict("records")]
    filled = [row for row in rows if row[GOLD]]
    if not filled:
        raise BadInput(f"{path}: no cell of the column '{GOLD}' is filled in: write the true class of each row there")
    sets = _test_sets(store)
    classes, known = sets[0].classes, _classes_by_id(sets)
    _check_answers(path, filled, classes)
    labels = {row[ID]: classes.index(row[GOLD]) for row in filled if row[ID] in known}
    if not labels:
        raise BadInput(f"{path}: none of its ids is a test row of the study (such as '{filled[0][ID]}')")
    _check_given(path, rows, classes, known)
    return VerifiedLabels(labels, tuple(_told(path, filled, labels, known)))


def _test_sets(store: Store) -> list[TestSet]:
    done = [one for one in store.records() if one["status"] == "done"]
    if not done:
        raise BadInput(f"{store.folder} holds no finished trial that verified labels could score: run the study first")
    return [store.test_set(name) for name in sorted({one["result"]["test_set"] for one in done})]


def _classes_by_id(sets: Sequence[TestSet]) -> dict[str, int]:
    return {name: int(y) for test in sets for name, y in zip(test.ids.tolist(), test.y.tolist(), strict=True)}


def _check_answers(path: Path, filled: Sequence[Mapping[str, str]], classes: Sequence[str]) -> None:
    """Requires classes of the study, and one for each id."""
    answers: dict[str, str] = {}
    for row in filled:
        if row[GOLD] not in classes:
            raise BadInput(
                f"{path}: '{row[GOLD]}', the label of '{row[ID]}', is no class{choices(row[GOLD], classes)}; leave the "
                "cell empty if nobody can tell"
            )
        if answers.setdefault(row[ID], row[GOLD]) != row[GOLD]:
            raise BadInput(f"{path}: '{row[ID]}' has two labels, '{answers[row[ID]]}' and '{row[GOLD]}': leave one")


def _check_given(
    path: Path, rows: Sequence[Mapping[str, str]], classes: Sequence[str], known: Mapping[str, int]
) -> None:
    """Requires the study's own given labels, where the file holds them."""
    for row in rows:
        here = known.get(row[ID])
        if here is not None and row.get(GIVEN) and row[GIVEN] != classes[here]:
            raise BadInput(
                f"{path}: '{row[ID]}' has the given label '{row[GIVEN]}', in the study it is '{classes[here]}': it is "
                f"not the file of this study, or '{GIVEN}' was edited (true classes belong into '{GOLD}')"
            )


def _told(
    path: Path, filled: Sequence[Mapping[str, str]], labels: Mapping[str, int], known: Mapping[str, int]
) -> list[str]:
    changed = sum(known[name] != label for name, label in labels.items())
    strangers = len({row[ID] for row in filled} - set(labels))
    return [
        f"gold: {len(labels)} of {len(known)} test labels are verified by {path}, {changed} of them are not as given; "
        "the others count as given; nothing is trained again for it",
        *([f"gold: {strangers} labels of {path} are of no test row of this study: not used"] if strangers else []),
    ]  # fmt: skip


def write_sheet(
    folder: Path, rows: Sequence[RowToVerify], cells: Cells, labels: Mapping[str, str], given: Mapping[str, str]
) -> Path | None:
    """Writes the rows to verify into the folder, and returns the file; None if there is no row.

    `cells` is what rows show. Labels that are verified already (`labels`, by id, and those of the file that lies there)
    stay in it, with the labels `given`. A file that lies there is left as it is if it shows more than `cells`.
    """
    path = folder / VERIFY
    old = _old_rows(path)
    answers = filled_in(path) | dict(labels)
    wanted = list(dict.fromkeys([*answers, *(row.id for row in rows)]))
    if not wanted:
        return None
    if old and not cells and len(next(iter(old.values()))) > 3:
        return path
    known = {**given, **{row.id: row.given for row in rows}}
    columns = list(dict.fromkeys(name for row in cells.values() for name in row))
    sheet = [
        {
            ID: name, **{_own(column): cells.get(name, {}).get(column) for column in columns},
            GIVEN: known.get(name, ""), GOLD: answers.get(name),
        }
        for name in wanted
    ]  # fmt: skip
    write_atomic(path, sheet_of_rows(sheet))
    return path


def _own(column: str) -> str:
    """Returns a name for a column of the data that is none of this file's own."""
    return f"{column} (data)" if column in (ID, GIVEN, GOLD) else column


def _old_rows(path: Path) -> dict[str, dict[str, str]]:
    """Returns the rows of a file that lies there by id; BadInput if it is not such a file, which is never replaced."""
    if not path.is_file():
        return {}
    table = reader.read_strings(path).map(from_cell)
    if not {ID, GOLD} <= set(table.columns):
        raise BadInput(f"{path} has no columns '{ID}' and '{GOLD}': move it away, since rows to verify belong there")
    rows = [{str(name): str(cell).strip() for name, cell in row.items()} for row in table.to_dict("records")]
    return {row[ID]: row for row in rows}


def filled_in(path: Path) -> dict[str, str]:
    """Returns the labels in a file of rows to verify, by id; none if there is no such file."""
    return {name: row[GOLD] for name, row in _old_rows(path).items() if row[GOLD]}


def no_cells(ids: Collection[str]) -> Cells:
    """Returns nothing: what a row shows is not at hand."""
    return {}


def given_labels(store: Store) -> dict[str, str]:
    """Returns the given class of each test row by id."""
    return {
        name: test.classes[y]
        for test in _test_sets(store)
        for name, y in zip(test.ids.tolist(), np.asarray(test.y).tolist(), strict=True)
    }
