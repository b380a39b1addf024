"""Trains a linear head on the mean word vectors of texts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32

from harness.data import EvalSet, Rows, TrainSet
from harness.errors import BadInput
from harness.learners import Fit, Run
from harness.learners.pretrained import cached_features, linear_head
from harness.learners.text import words
from harness.storage.places import content_of, locate

Vectors = tuple[dict[str, np.ndarray], int]
"""Vectors (d,) by word, and d."""


def word_vectors(train: TrainSet, valid: EvalSet, run: Run, *, path: str) -> Fit:
    """Trains a linear head on the mean of a text's word vectors, such as GloVe's (Pennington et al., 2014).

    `path` is a text file with one word and its vector per line (GloVe's format, or word2vec's with its first line of
    two numbers), or a folder that holds one .npy with the vectors and one .parquet with their words. Words are
    lower-cased and words without a vector left out; a text with no known word gets the vector 0. BadInput if the file
    or folder does not exist.
    """
    place = locate(path)
    if not place.exists():
        raise BadInput(f"no word vectors '{path}': there is no such file or folder")
    what, compute = {"vectors": content_of(path)}, partial(mean_vectors, place)
    return linear_head(train, valid, run, lambda texts: cached_features(texts, run.cache, what, compute))


def mean_vectors(place: Path, texts: Rows) -> Float32[np.ndarray, "n d"]:
    """Returns the mean vector of each text's known words."""
    split = [words(str(text)) for text in np.asarray(texts)]
    wanted = {word for text in split for word in text}
    known, dim = _from_folder(place, wanted) if place.is_dir() else _from_text(place, wanted)
    nothing = np.zeros((1, dim), dtype=np.float32)
    means = [np.mean([known[word] for word in text if word in known] or nothing, axis=0) for text in split]
    return np.array(means, dtype=np.float32).reshape(len(split), dim)


def _from_folder(place: Path, wanted: set[str]) -> Vectors:
    """Reads the wanted words' vectors from an array whose rows are named by the first column of a table."""
    arrays, tables = sorted(place.glob("*.npy")), sorted(place.glob("*.parquet"))
    if len(arrays) != 1 or len(tables) != 1:
        held = f"{len(arrays)} .npy and {len(tables)} .parquet files"
        raise BadInput(f"a folder of word vectors holds one .npy and one .parquet: {place} holds {held}")
    table = np.load(arrays[0], mmap_mode="r", allow_pickle=False)
    names = pd.read_parquet(tables[0]).iloc[:, 0].tolist()
    if table.ndim != 2 or len(names) != len(table):
        raise BadInput(f"{tables[0].name} names {len(names)} words and {arrays[0].name} has shape {table.shape}")
    return {name: np.asarray(table[row]) for row, name in enumerate(names) if name in wanted}, table.shape[1]


def _from_text(place: Path, wanted: set[str]) -> Vectors:
    """Reads the wanted words' vectors from a text file; the first vector sets the numbers per line."""
    lines = _lines(place)
    _, first = next(lines, ("", []))
    dim = len(first)
    if not dim:
        raise BadInput(f"{place} holds no word vectors: a line is a word and its numbers, with spaces between them")
    try:
        known = {word: np.array(last, dtype=np.float32) for word, last in _lines(place, dim) if word in wanted}
    except ValueError as error:
        raise BadInput(f"{place} holds a vector of other things than numbers: {error}") from error
    return known, dim


def _lines(place: Path, dim: int | None = None) -> Iterator[tuple[str, list[str]]]:
    """Yields each line's word and its last `dim` fields; without `dim`, all fields but the first."""
    with place.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file):
            fields = line.rstrip().split(" ")
            if number == 0 and len(fields) == 2:  # word2vec's first line: how many words, how many numbers
                continue
            cut = 1 if dim is None else len(fields) - dim
            yield " ".join(fields[:cut]), fields[cut:]
