"""Turns data sets read by `datasets`, and the names of their columns, into parts with class indices."""

from __future__ import annotations

import hashlib
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd

from harness.checks import join_names
from harness.data import Modality, Rows, digest
from harness.errors import BadInput
from harness.tasks import checks, features, images
from harness.tasks.parts import Part, part

Names = str | Sequence[str] | None
DataParts = Mapping[str, datasets.Dataset]
INPUT = {"image": "image", "text": "text"}
_FEW = 10
"""Rows below which a column that counts them may do so by chance."""


def as_names(names: Names) -> list[str]:
    """Returns one name, several or none as a list."""
    return [names] if isinstance(names, str) else list(names or [])


@dataclass(frozen=True)
class Columns:
    """Names the role of each column; None (or empty) if there is no such column.

    `input` is one column of images or texts, or any number of columns of a table (empty: all without another
    role). `votes` is one column of lists, or one column per annotator.
    """

    input: Names
    label: str | None
    gold: str | None
    votes: Names
    weight: str | None
    group: str | None
    id: str | None

    @property
    def roles(self) -> list[str]:
        """Returns all columns except the input."""
        one = (self.label, self.gold, *as_names(self.votes), self.weight, self.group, self.id)
        return [name for name in one if name is not None]


@dataclass(frozen=True)
class Pictures:
    """Says how images are read: side in pixels, `grey` or `rgb`, the root of relative paths, the cache of pixels."""

    size: int
    color: images.Color
    root: Path
    folder: Path


def read_parts(
    data: DataParts, columns: Columns, modality: Modality, classes: Sequence[str] | None, pictures: Pictures,
    notes: list[str],
) -> tuple[str, tuple[str, ...], dict[str, Part]]:  # fmt: skip
    """Returns the SHA-256 of all that was read, the class names, and a `Part` for each data set.

    What was guessed, merged or left out is added to `notes`, in sentences.
    """
    check_roles(data, columns)
    labels = _label_texts(data, columns, notes)
    names = class_names(data, columns, classes, labels)
    known = numbering([value for those in labels.values() for value in those], names)
    inputs, fingerprints = _inputs(data, columns, modality, pictures, notes)
    groups = _groups(data, columns.group)
    parts = {}
    for what, rows in data.items():
        given, gold = (
            indices(labels[what, role], names, role, known=known) if (what, role) in labels else None
            for role in (str(columns.label), str(columns.gold))
        )
        made = _part(what, rows, columns, names, inputs[what], given, gold, notes)
        parts[what] = made if groups is None else replace(made, group=groups[what])
    whole = [list(names)]
    for what, rows in parts.items():
        own = rows.group if what == "train" or groups is None else np.arange(len(rows))
        fields = (rows.ids, rows.given, rows.gold, rows.votes, rows.weight, own)
        whole.append([what, fingerprints[what], *map(digest, fields)])
    return hashlib.sha256(repr(whole).encode()).hexdigest(), names, parts


def texts(data: datasets.Dataset, column: str) -> np.ndarray:
    """Returns a column as text (n,), None for null; class numbers as names, whole floats without a point.

    BadInput if its cells hold lists or objects instead of one value a row.
    """
    checks.check_single(data.features[column], column)
    return _texts(data.select_columns([column]).with_format("arrow")[:].column(column), data.features[column])


def _label_texts(data: DataParts, columns: Columns, notes: list[str]) -> dict[tuple[str, str], np.ndarray]:
    """Returns the labels of each part and column, tidied: see `tidy_names`. A cell of blanks is no label."""
    found = {
        (what, name): texts(rows, name)
        for what, rows in data.items()
        for name in dict.fromkeys((columns.label, columns.gold))
        if name is not None and name in rows.column_names
    }
    written = {value for those in found.values() for value in those if value is not None}
    tidied = tidy_names(written)
    merged = len(written) - len(set(tidied.values()))
    if merged:
        pairs = sorted((value, name) for value, name in tidied.items() if value != name and name in written)
        one = next((f": '{value}' is '{name}'" for value, name in pairs), "")
        notes.append(
            f"{merged} spellings of a class that differ in blanks, in their Unicode form or in a whole number's point "
            f"alone were merged{one}"
        )
    blank = {value for value in written if value and not tidied[value]}
    names = {value: None if value in blank else name for value, name in tidied.items()}
    return {place: np.array([names.get(value) for value in those], dtype=object) for place, those in found.items()}


def _tidy(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip())


def tidy_names(names: Collection[str]) -> dict[str, str]:
    """Returns each name as it counts: without blanks around it, in Unicode's form NFC.

    If all are whole numbers and some are written with a point, as a library writes whole numbers beside empty cells,
    they count without it.
    """
    tidied = {name: _tidy(name) for name in names}
    if tidied and all(re.fullmatch(r"-?\d+(\.0+)?", name) for name in tidied.values()):
        return {name: plain.partition(".")[0] for name, plain in tidied.items()}
    return tidied


def _texts(values: Any, feature: Any) -> np.ndarray:
    series = pd.Series(values.to_pandas()).convert_dtypes()
    names = getattr(feature, "names", None)
    if names is not None:
        series = series.map(dict(enumerate(names)))
    text = series.astype("string").astype(object)
    return np.asarray(text.where(text.notna(), None), dtype=object)


def class_names(
    data: DataParts, columns: Columns, classes: Sequence[str] | None, labels: Mapping[tuple[str, str], np.ndarray]
) -> tuple[str, ...]:
    """Returns class names in the user's order, else as the files declare them, else all values of labels and gold.

    These are sorted, as numbers if all are whole. BadInput if they look like amounts instead of classes.
    """
    there = [(data[what], name) for what, name in labels]
    declared = [names for rows, name in there if (names := getattr(rows.features[name], "names", None))]
    if classes is not None:
        found = [str(name) for name in classes]
    elif declared:
        found = declared[0]
    else:
        all_values = [value for those in labels.values() for value in those if value is not None]
        checks.check_not_amounts(all_values, str(columns.label))
        values = set(all_values)
        found = sorted(values, key=lambda name: (int(name), name)) if all(map(_whole, values)) else sorted(values)
    checks.check_classes(found)
    return tuple(found)


def _whole(value: str) -> bool:
    return value.lstrip("-").isdecimal()


def numbering(values: Iterable[str | None], classes: Sequence[str], none: Collection[str] = ()) -> Mapping[str, int]:
    """Returns the class index by the text that names it, decided once over all `values` that belong together.

    They are class names if all of them are, and indices if all are numbers 0 to k - 1, or if some are and none is a
    class: the rest then names no class. So values that could be both are names; see `open_reading`.
    """
    names = {name: index for index, name in enumerate(classes)}
    present = {value for value in values if value is not None} - (set(none) - set(classes))
    tidied = tidy_names(present)
    if set(tidied.values()) <= set(names):
        return {**{value: names[plain] for value, plain in tidied.items()}, **names}
    numbers = {str(index): index for index in range(len(classes))}
    plain = {value: re.sub(r"^(-?\d+)\.0+$", r"\1", name) for value, name in tidied.items()}
    meant = present.isdisjoint(names) and (
        all(map(_whole, plain.values())) or not numbers.keys().isdisjoint(plain.values())
    )
    if present and (set(plain.values()) <= set(numbers) or meant):
        return {**{value: numbers[name] for value, name in plain.items() if name in numbers}, **numbers}
    return {**{value: names[name] for value in present if (name := _plainest(value, names)) in names}, **names}


def open_reading(values: Iterable[str | None], classes: Sequence[str]) -> str:
    """Says how `numbering` reads values that name classes and are the numbers of other ones; "" where that is settled.

    A value that is a class but no number, or a number but no class, settles it for all.
    """
    present = sorted(set(tidy_names({value for value in values if value}).values()))
    numbers = {str(index): name for index, name in enumerate(classes)}
    other = next((value for value in present if value in numbers and numbers[value] != value), None)
    if other is None or not set(present) <= set(classes) & set(numbers):
        return ""
    return (
        f"{join_names(present)} {'is a class and the number' if len(present) == 1 else 'are classes and the numbers'} "
        f"of another one, and no other value settles it: read as the class of that name, not as class number {other} "
        f"('{numbers[other]}')"
    )


def _plainest(value: str, names: Mapping[str, int]) -> str:
    """Returns a label tidied and, if only that is a class, without the point of a whole number."""
    plain = _tidy(value)
    whole = re.fullmatch(r"(-?\d+)\.0+", plain)
    return whole[1] if whole and plain not in names else plain


def indices(
    values: np.ndarray, classes: Sequence[str], column: str, none: Sequence[str] = (), width: int = 1,
    known: Mapping[str, int] | None = None,
) -> np.ndarray:  # fmt: skip
    """Returns class indices (n,) of texts, -1 for None and for the texts in `none`; `width` texts form a row.

    `known` is the numbering that they share with other columns, by default their own.
    """
    numbers = numbering(values, classes, none) if known is None else known
    empty = {None, *none} - set(classes)
    unknown = [(row, value) for row, value in enumerate(values) if value not in empty and value not in numbers]
    if unknown:
        checks.check_label_values([value for _, value in unknown], unknown[0][0] // width, column, classes)
    return np.array([-1 if value in empty else numbers[value] for value in values], dtype=np.int64)


def votes(data: datasets.Dataset, names: Sequence[str], classes: Sequence[str], notes: list[str]) -> np.ndarray:
    """Returns votes (n, m) int8: null abstains, and so does -1 unless a class has that name.

    Whether they are names or indices of classes is decided over all columns together; where no value settles it,
    `notes` say so.
    """
    table = data.select_columns(list(names)).with_format("arrow")[:]
    if len(names) == 1 and hasattr(table.column(names[0]).type, "value_type"):
        flat, m = _lists(table.column(names[0]).combine_chunks(), names[0])
        cells = _abstaining(_texts(flat, getattr(data.features[names[0]], "feature", None)), classes)
        every = cells.tolist()
        found = indices(cells, classes, names[0], none=("-1",), width=m).reshape(len(data), m)
    else:
        columns = [_abstaining(texts(data, name), classes) for name in names]
        every = [value for column in columns for value in column]
        known = numbering(every, classes, ("-1",))
        found = np.stack(
            [indices(own, classes, name, ("-1",), known=known) for name, own in zip(names, columns, strict=True)],
            axis=1,
        )
    notes += [f"votes: {said}" for said in [open_reading(every, classes)] if said]
    checks.check_votes(found, len(classes), ", ".join(names))
    return found.astype(np.int8)


def _abstaining(values: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Returns votes with None where nothing but blanks stands, or -1, which libraries also write as -1.0."""
    none = re.compile(r"" if "-1" in classes else r"(-1(\.0+)?)?")
    return np.array(
        [None if value is None or none.fullmatch(value.strip()) else value for value in values], dtype=object
    )


def _lists(column: Any, name: str) -> tuple[Any, int]:
    """Returns all cells of a column of lists in order, and their number per row, which must be the same in all."""
    lengths = pd.Series(column.value_lengths().to_pandas()).fillna(0).astype(int)
    m = int(lengths.iloc[0])
    odd = np.flatnonzero(lengths != m)
    if len(odd) or m == 0:
        row = int(odd[0]) if len(odd) else 0
        raise BadInput(
            f"votes in column '{name}' have the wrong shape: row {row} has {lengths.iloc[row]} votes, row 0 has {m}; "
            "every row needs one vote per annotator, -1 to abstain"
        )
    return column.flatten(), m


def _inputs(
    data: DataParts, columns: Columns, modality: Modality, pictures: Pictures, notes: list[str]
) -> tuple[dict[str, Rows], dict[str, str]]:
    """Returns each part's examples and the SHA-256 of their content (for images, of the encoded files)."""
    if modality == "table":
        chosen = _feature_columns(data["train"], columns, notes)
        x, names = features.encode({what: _table(what, rows, chosen) for what, rows in data.items()}, notes)
        return dict(x), {what: f"{names}{digest(rows)}" for what, rows in x.items()}
    column = (as_names(columns.input) or [INPUT[modality]])[0]
    if column in columns.roles:
        raise BadInput(f"column '{column}' is named as the input and in another role: set task.input to another column")
    for what, rows in data.items():
        checks.check_column(column, rows.column_names, f"the {what} part")
    if modality == "text":
        written = {what: _written(rows, column, what) for what, rows in data.items()}
        return dict(written), {what: digest(rows) for what, rows in written.items()}
    for rows in data.values():
        images.check_images(rows, column)
    prints = {what: images.content(rows, column, pictures.root) for what, rows in data.items()}
    return {
        what: images.decode_images(
            rows, column, pictures.root, pictures.size, pictures.color, prints[what], pictures.folder
        )
        for what, rows in data.items()
    }, prints


def _written(rows: datasets.Dataset, column: str, what: str) -> np.ndarray:
    found = texts(rows, column)
    empty = np.flatnonzero([text is None for text in found])
    if len(empty):
        raise BadInput(
            f"{len(empty)} rows of the {what} part have no text in column '{column}', the first is {empty[0]}"
        )
    return found


def _feature_columns(train: datasets.Dataset, columns: Columns, notes: list[str]) -> list[str]:
    """Returns the feature columns that the user names, else all other columns that have no role and are no row index.

    BadInput for one that also has a role.
    """
    names = as_names(columns.input)
    telling = sorted(set(names) & set(columns.roles))
    if telling:
        raise BadInput(f"column '{telling[0]}' is named as a feature and in another role: take it out of one of them")
    if names:
        return names
    others = [name for name in train.column_names if name not in columns.roles]
    index = [
        name for name in others if re.fullmatch(r"|Unnamed: \d+|__index_level_\d+__", name) or _counts(train, name)
    ]
    if index:
        notes.append(f"left out as an index of the rows: {join_names(repr(name) for name in index)}")
    features_left = [name for name in others if name not in index]
    if index and not features_left:
        raise BadInput(
            "the table has no feature columns beside the labels, since "
            f"{join_names(repr(name) for name in index)} only counts the rows: name it with task.features if it is one"
        )
    return features_left


def _counts(rows: datasets.Dataset, name: str) -> bool:
    """Returns whether a column counts the rows of the file, from 0 or from 1; a few rows prove nothing."""
    if len(rows) < _FEW or isinstance(rows.features[name], datasets.ClassLabel):
        return False
    if getattr(rows.features[name], "dtype", "") not in (
        "string",
        "large_string",
        "int64",
        "int32",
        "uint32",
        "uint64",
    ):
        return False
    first = [str(value) for value in rows[:3][name]]
    if first not in (["0", "1", "2"], ["1", "2", "3"]):
        return False
    return texts(rows, name).tolist() == [str(int(first[0]) + row) for row in range(len(rows))]


def _table(what: str, rows: datasets.Dataset, names: Sequence[str]) -> pd.DataFrame:
    """Returns the feature columns of one part."""
    for name in names:
        checks.check_column(name, rows.column_names, f"the {what} part")
        checks.check_single(rows.features[name], name)
    return pd.DataFrame(rows.select_columns(list(names)).with_format("arrow")[:].to_pandas())


def _part(
    what: str, rows: datasets.Dataset, columns: Columns, classes: Sequence[str], x: Rows, given: np.ndarray | None,
    gold: np.ndarray | None, notes: list[str],
) -> Part:  # fmt: skip
    """Returns the part with its class indices; validation and test parts need only a label or gold column."""
    training = what == "train"
    named = as_names(columns.votes)
    return part(
        ids=_ids(what, rows, columns.id),
        x=x,
        given=np.full(len(rows), -1) if given is None else given,
        gold=gold,
        votes=votes(rows, named, classes, notes) if training and named else None,
        weight=_weight(rows, columns.weight) if training and columns.weight else None,
    )


def check_roles(data: DataParts, columns: Columns) -> None:
    """Requires every named column except gold in the train part, and a label or gold in each other part."""
    twice = [name for name, count in Counter(as_names(columns.votes)).items() if count > 1]
    if twice:
        raise BadInput(f"task.votes names column '{twice[0]}' twice: each voter votes once")
    if columns.label is None:
        raise BadInput(f"no label column is named: set task.label (columns: {join_names(data['train'].column_names)})")
    known = dict.fromkeys(name for rows in data.values() for name in rows.column_names)
    if columns.gold is not None and columns.gold.lower().endswith(".csv") and columns.gold not in known:
        raise BadInput(
            f"task.gold={columns.gold} names a file: verified test labels score a study (harness -m experiments=NAME "
            f"task.gold={columns.gold}, or harness report NAME gold={columns.gold}); for a single trial name a column"
        )
    if columns.gold is not None:
        checks.check_column(columns.gold, list(known), "the data")
    for name in columns.roles:
        if name != columns.gold:
            checks.check_column(name, data["train"].column_names, "the train part")
    for what, rows in data.items():
        if columns.gold not in rows.column_names:
            checks.check_column(columns.label, rows.column_names, f"the {what} part")
        for own in filter(None, (columns.id, columns.group)):
            checks.check_column(own, rows.column_names, f"the {what} part")


def _ids(what: str, rows: datasets.Dataset, column: str | None) -> np.ndarray:
    if column is None:
        return np.array([f"{what}-{i}" for i in range(len(rows))])
    found = texts(rows, column)
    empty = np.flatnonzero([name is None for name in found])
    if len(empty):
        raise BadInput(
            f"{len(empty)} rows of the {what} part have no id in column '{column}', the first is row {empty[0]}: give "
            "each row an id of its own, or leave task.id out"
        )
    checks.check_unique(found, what)
    return found.astype(str)


def _weight(rows: datasets.Dataset, column: str) -> np.ndarray:
    checks.check_single(rows.features[column], column)
    series = rows.select_columns([column]).with_format("arrow")[:].column(column).to_pandas()
    found = features.as_numbers(series)
    if found is None:
        raise BadInput(f"the weights in column '{column}' are not numbers: a weight is a number >= 0")
    weight = found.astype(np.float32)
    checks.check_weights(weight, column)
    return np.asarray(weight)


def _groups(data: DataParts, column: str | None) -> dict[str, np.ndarray] | None:
    """Returns group numbers (n,) of each part, the same over all parts; a row without a group gets its own number.

    BadInput if a group has rows in two parts.
    """
    if column is None:
        return None
    values = {what: texts(rows, column) for what, rows in data.items()}
    codes, names = pd.factorize(np.concatenate(list(values.values())))
    codes = np.where(codes >= 0, codes, len(names) + np.arange(len(codes)))
    parts = dict(zip(values, np.split(codes, np.cumsum([len(one) for one in values.values()])[:-1]), strict=True))
    for one, other in itertools.combinations(parts, 2):
        shared = np.intersect1d(parts[one], parts[other])
        if len(shared):
            raise BadInput(
                f"{len(shared)} groups of column '{column}' have rows in both the {one} and the {other} part, the "
                f"first is '{names[shared[0]]}': a group belongs to one part"
            )
    return parts
