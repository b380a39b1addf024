"""Makes a task from a table: scikit-learn's breast-cancer table, or any CSV or parquet file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import datasets
from sklearn.datasets import load_breast_cancer

from harness.data import Source
from harness.tasks import columns as reading
from harness.tasks import files
from harness.tasks.folder import source
from harness.tasks.parts import Plan


def table(
    *,
    name: str,
    path: str | None,
    label: str | None,
    gold: str | None,
    votes: reading.Names,
    weight: str | None,
    group: str | None,
    id: str | None,
    features: reading.Names,
    classes: Sequence[str] | None,
    noise: float,
    n_train: int | None,
    valid_fraction: float,
    test_fraction: float,
    split_seed: int | None,
    cache: str | None,
) -> Source:
    """Makes a task of float32 features from the file `path` (None: the breast-cancer table, 569 rows of 30 numbers).

    `features` are the columns to learn from, None for all without another role; numbers stay numbers, all else
    becomes one-hot. `noise` is the share of training labels that is flipped, each wrong class equally likely.
    """
    plan = Plan(n_train, valid_fraction, test_fraction, split_seed, noise)
    if path is None:
        data, label, gold = _breast_cancer(), "diagnosis", "diagnosis"
    else:
        data = files.open_part(files.find(path, dict.fromkeys(files.PARTS))[1]["train"], cache)
    columns = reading.Columns(features, label, gold, votes, weight, group, id)
    pictures = reading.Pictures(1, "grey", Path(), files.cache_folder(cache))
    return source(name, "table", {"train": data}, columns, classes, pictures, plan)


def _breast_cancer() -> datasets.Dataset:
    """Returns the table with its labels, which biopsies confirmed, in the column `diagnosis`."""
    bunch = load_breast_cancer(as_frame=True)
    named = bunch.data.assign(diagnosis=bunch.target_names[bunch.target])
    return datasets.Dataset.from_pandas(named, preserve_index=False)
