"""Cleaning: drops, relabels or re-weights labelled rows; unlabelled rows pass untouched."""

from harness.strategies.clean.annotator import active, oracle
from harness.strategies.clean.balance import balanced_weights, under_sample
from harness.strategies.clean.cells import spellings, units
from harness.strategies.clean.duplicate_rows import (
    duplicate_keys,
    duplicates,
    near_duplicate_images,
    near_duplicate_texts,
)
from harness.strategies.clean.imputation import clipped_cells, impute, outlying_cells
from harness.strategies.clean.label_errors import suspects
from harness.strategies.clean.leaked_rows import leaked_keys, leaks, near_leaked_images, near_leaked_texts
from harness.strategies.clean.outliers import forest_outliers, knn_outliers
from harness.strategies.clean.random_rows import random_drop, random_relabel
from harness.strategies.clean.selection import balanced_subset, by_difficulty, embedded_duplicates, k_centre
from harness.strategies.clean.sequence import in_turn
from harness.strategies.clean.versions import edits, from_file

__all__ = [
    "active",
    "balanced_subset",
    "balanced_weights",
    "by_difficulty",
    "clipped_cells",
    "duplicate_keys",
    "duplicates",
    "edits",
    "embedded_duplicates",
    "forest_outliers",
    "from_file",
    "impute",
    "in_turn",
    "k_centre",
    "knn_outliers",
    "leaked_keys",
    "leaks",
    "near_duplicate_images",
    "near_duplicate_texts",
    "near_leaked_images",
    "near_leaked_texts",
    "oracle",
    "outlying_cells",
    "random_drop",
    "random_relabel",
    "spellings",
    "suspects",
    "under_sample",
    "units",
]
