"""Makes a task from a table: scikit-learn's breast-cancer or wine table, or any CSV or parquet file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
from sklearn.datasets import load_breast_cancer, load_wine

from harness.data import Source
from harness.tasks import files
from harness.tasks.columns import Columns, Names, Pictures
from harness.tasks.folder import source
from harness.tasks.parameters import AnnotatedRows, by_fields
from harness.tasks.parts import Plan


@dataclass(frozen=True, kw_only=True)
class TableRows(AnnotatedRows):
    """Holds rows of the file `path` (None: the breast-cancer table, 569 rows of 30 numbers).

    `features` are the columns to learn from, None for all without another role; numbers stay numbers, everything else
    becomes one-hot. `noise` is the share of training labels that is flipped, each wrong class equally likely.
    """

    path: str | None
    features: Names
    noise: float


@by_fields(TableRows)
def table(rows: TableRows) -> Source:
    """Makes a task of float32 features from a table."""
    plan, columns = rows.plan(rows.noise), rows.columns(rows.features)
    if rows.path is None:
        data = {"train": _packaged(load_breast_cancer(as_frame=True), "diagnosis")}
        columns = replace(columns, label="diagnosis", gold="diagnosis")
        notes: list[str] = []
    else:
        found = files.find(rows.path, dict.fromkeys(files.PARTS))
        data, notes = files.open_parts(found, rows.cache, (rows.label, rows.gold))
    pictures = Pictures(1, "grey", Path(), files.cache_folder(rows.cache))
    return source(rows.name, "table", data, columns, rows.classes, pictures, plan, notes)


@dataclass(frozen=True, kw_only=True)
class WineRows:
    """Holds how a seed divides scikit-learn's wine table, 178 rows of 13 numbers; `noise` as in `TableRows`."""

    name: str
    noise: float
    n_train: int | None
    valid_fraction: float
    test_fraction: float
    split_seed: int | None


@by_fields(WineRows)
def wine(rows: WineRows) -> Source:
    """Makes a task from scikit-learn's wine table, whose classes are three cultivars."""
    plan = Plan(rows.n_train, rows.valid_fraction, rows.test_fraction, rows.split_seed, rows.noise)
    columns = Columns(None, "cultivar", "cultivar", None, None, None, None)
    data = {"train": _packaged(load_wine(as_frame=True), "cultivar")}
    return source(rows.name, "table", data, columns, None, Pictures(1, "grey", Path(), Path()), plan)


def _packaged(bunch: Any, label: str) -> datasets.Dataset:
    """Returns a table of scikit-learn's with its classes, which are certain, in the column `label`."""
    named = bunch.data.assign(**{label: bunch.target_names[bunch.target]})
    return datasets.Dataset.from_pandas(named, preserve_index=False)
