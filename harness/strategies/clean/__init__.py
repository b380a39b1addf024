"""Cleaning: labelled rows in, the same rows with some dropped or relabelled out; unlabelled rows pass untouched."""

from harness.strategies.clean.annotator import oracle
from harness.strategies.clean.confident_learning import confident, relabel
from harness.strategies.clean.random_rows import random_drop, random_relabel

__all__ = ["confident", "oracle", "random_drop", "random_relabel", "relabel"]
