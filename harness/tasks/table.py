"""Makes a task from a table: scikit-learn's breast-cancer table, or any CSV or parquet file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import datasets
from sklearn.datasets import load_breast_cancer

from harness.data import Source
from harness.tasks import files
from harness.tasks.columns import Names, Pictures
from harness.tasks.folder import source
from harness.tasks.parameters import AnnotatedRows, by_fields


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
        data, columns = {"train": _breast_cancer()}, replace(columns, label="diagnosis", gold="diagnosis")
        notes: list[str] = []
    else:
        found = files.find(rows.path, dict.fromkeys(files.PARTS))
        data, notes = files.open_parts(found, rows.cache, (rows.label, rows.gold))
    pictures = Pictures(1, "grey", Path(), files.cache_folder(rows.cache))
    return source(rows.name, "table", data, columns, rows.classes, pictures, plan, notes)


def _breast_cancer() -> datasets.Dataset:
    """Returns the table with its labels, which biopsies confirmed, in the column `diagnosis`."""
    bunch = load_breast_cancer(as_frame=True)
    named = bunch.data.assign(diagnosis=bunch.target_names[bunch.target])
    return datasets.Dataset.from_pandas(named, preserve_index=False)
