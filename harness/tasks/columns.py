"""Turns data sets read by `datasets`, and the names of their columns, into parts with class indices."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    data: DataParts, columns: Columns, modality: Modality, classes: Sequence[str] | None, pictures: Pictures
) -> tuple[str, tuple[str, ...], dict[str, Part]]:
    """Returns the SHA-256 of all that was read, the class names, and a `Part` for each data set."""
    check_roles(data, columns)
    names = class_names(data, columns, classes)
    inputs, fingerprints = _inputs(data, columns, modality, pictures)
    parts = {what: _part(what, rows, columns, names, inputs[what]) for what, rows in data.items()}
    whole = [list(names)]
    for what, rows in parts.items():
        fields = (rows.ids, rows.given, rows.gold, rows.votes, rows.weight, rows.group)
        whole.append([what, fingerprints[what], *map(digest, fields)])
    return hashlib.sha256(repr(whole).encode()).hexdigest(), names, parts


def texts(data: datasets.Dataset, column: str) -> np.ndarray:
    """Returns a column as text (n,), None for null; class numbers as names, whole floats without a point."""
    return _texts(data.select_columns([column]).with_format("arrow")[:].column(column), data.features[column])


def _texts(values: Any, feature: Any) -> np.ndarray:
    series = pd.Series(values.to_pandas()).convert_dtypes()
    names = getattr(feature, "names", None)
    if names is not None:
        series = series.map(dict(enumerate(names)))
    text = series.astype("string").astype(object)
    return np.asarray(text.where(text.notna(), None), dtype=object)


def class_names(data: DataParts, columns: Columns, classes: Sequence[str] | None) -> tuple[str, ...]:
    """Returns class names in the user's order, else as the files declare them, else all values of labels and gold,
    sorted.
    """
    pairs = [(rows, name) for name in (columns.label, columns.gold) for rows in data.values()]
    there = [(rows, name) for rows, name in pairs if name in rows.column_names]
    declared = [names for rows, name in there if (names := getattr(rows.features[name], "names", None))]
    if classes is not None:
        found = [str(name) for name in classes]
    elif declared:
        found = declared[0]
    else:
        values = {value for rows, name in there for value in texts(rows, str(name)) if value is not None}
        found = sorted(values, key=int) if all(_whole(value) for value in values) else sorted(values)
    checks.check_classes(found)
    return tuple(found)


def _whole(value: str) -> bool:
    return value.lstrip("-").isdecimal()


def indices(
    values: np.ndarray, classes: Sequence[str], column: str, none: Sequence[str] = (), width: int = 1
) -> np.ndarray:
    """Returns class indices (n,) of texts, -1 for None and for the texts in `none`; `width` texts form a row.

    Values that match no class name but are all numbers 0 to k - 1 are indices into the classes already.
    """
    known = {name: index for index, name in enumerate(classes)}
    empty = {None, *none} - set(classes)
    present = {value for value in values if value not in empty}
    if present.isdisjoint(known) and all(_whole(value) for value in present):
        known = {str(index): index for index in range(len(classes))}
    unknown = [(row, value) for row, value in enumerate(values) if value not in empty and value not in known]
    if unknown:
        checks.check_label_values([value for _, value in unknown], unknown[0][0] // width, column, classes)
    return np.array([-1 if value in empty else known[value] for value in values], dtype=np.int64)


def votes(data: datasets.Dataset, names: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Returns votes (n, m) int8: null abstains, and so does -1 unless a class has that name."""
    table = data.select_columns(list(names)).with_format("arrow")[:]
    if len(names) == 1 and hasattr(table.column(names[0]).type, "value_type"):
        flat, m = _lists(table.column(names[0]).combine_chunks(), names[0])
        cells = _texts(flat, getattr(data.features[names[0]], "feature", None))
        found = indices(cells, classes, names[0], none=("-1",), width=m).reshape(len(data), m)
    else:
        found = np.stack([indices(texts(data, name), classes, name, none=("-1",)) for name in names], axis=1)
    checks.check_votes(found, len(classes), ", ".join(names))
    return found.astype(np.int8)


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
    data: DataParts, columns: Columns, modality: Modality, pictures: Pictures
) -> tuple[dict[str, Rows], dict[str, str]]:
    """Returns each part's examples and the SHA-256 of their content (for images, of the encoded files)."""
    if modality == "table":
        chosen = _feature_columns(data["train"], columns)
        x, names = features.encode({what: _table(what, rows, chosen) for what, rows in data.items()})
        return dict(x), {what: f"{names}{digest(rows)}" for what, rows in x.items()}
    column = (as_names(columns.input) or [INPUT[modality]])[0]
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


def _feature_columns(train: datasets.Dataset, columns: Columns) -> list[str]:
    """Returns the user's feature columns, else all without another role; BadInput for one that also has a role."""
    names = as_names(columns.input)
    telling = sorted(set(names) & set(columns.roles))
    if telling:
        raise BadInput(f"column '{telling[0]}' is named as a feature and in another role: take it out of one of them")
    return names or [name for name in train.column_names if name not in columns.roles]


def _table(what: str, rows: datasets.Dataset, names: Sequence[str]) -> pd.DataFrame:
    """Returns the feature columns of one part."""
    for name in names:
        checks.check_column(name, rows.column_names, f"the {what} part")
    return pd.DataFrame(rows.select_columns(list(names)).with_format("arrow")[:].to_pandas())


def _part(what: str, rows: datasets.Dataset, columns: Columns, classes: Sequence[str], x: Rows) -> Part:
    """Returns the part with its class indices; validation and test parts need only a label or gold column."""
    given = _classes(rows, columns.label, classes)
    training = what == "train"
    named = as_names(columns.votes)
    return part(
        ids=_ids(what, rows, columns.id),
        x=x,
        given=np.full(len(rows), -1) if given is None else given,
        gold=_classes(rows, columns.gold, classes),
        votes=votes(rows, named, classes) if training and named else None,
        weight=_weight(rows, columns.weight) if training and columns.weight else None,
        group=_group(rows, columns.group) if training and columns.group else None,
    )


def _classes(rows: datasets.Dataset, column: str | None, classes: Sequence[str]) -> np.ndarray | None:
    """Returns the column's class indices, None if the part has no such column."""
    if column is None or column not in rows.column_names:
        return None
    return indices(texts(rows, column), classes, column)


def check_roles(data: DataParts, columns: Columns) -> None:
    """Requires every named column except gold in the train part, and a label or gold in each other part."""
    if columns.label is None:
        raise BadInput(f"no label column is named: set task.label (columns: {join_names(data['train'].column_names)})")
    known = dict.fromkeys(name for rows in data.values() for name in rows.column_names)
    if columns.gold is not None:
        checks.check_column(columns.gold, list(known), "the data")
    for name in columns.roles:
        if name != columns.gold:
            checks.check_column(name, data["train"].column_names, "the train part")
    for what, rows in data.items():
        if columns.gold not in rows.column_names:
            checks.check_column(columns.label, rows.column_names, f"the {what} part")
        if columns.id is not None:
            checks.check_column(columns.id, rows.column_names, f"the {what} part")


def _ids(what: str, rows: datasets.Dataset, column: str | None) -> np.ndarray:
    if column is None:
        return np.array([f"{what}-{i}" for i in range(len(rows))])
    return texts(rows, column).astype(str)


def _weight(rows: datasets.Dataset, column: str) -> np.ndarray:
    series = rows.select_columns([column]).with_format("arrow")[:].column(column).to_pandas()
    if not pd.api.types.is_numeric_dtype(series):
        raise BadInput(f"the weights in column '{column}' are not numbers: a weight is a number >= 0")
    weight = series.to_numpy(dtype=np.float32, na_value=np.nan)
    checks.check_weights(weight, column)
    return np.asarray(weight)


def _group(rows: datasets.Dataset, column: str) -> np.ndarray:
    """Returns group numbers (n,); a row without a group gets its own number."""
    codes, names = pd.factorize(texts(rows, column))
    return np.where(codes >= 0, codes, len(names) + np.arange(len(codes)))
