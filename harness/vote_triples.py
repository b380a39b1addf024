"""Holds votes as triples of row, voter and label: what was voted, and nothing for those who abstain.

A crowd of 10,000 workers who give 15 answers to each of a million rows is 15 million triples, and 10 billion cells.
Shapes: `n` rows, `m` voters, `q` votes, `k` classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int, Int64
from numpy.lib.mixins import NDArrayOperatorsMixin

ABSTAIN = -1
BLOCK_ROWS = 8192
"""Rows that are worked on at once, so that what is computed from them stays in the processor's cache."""


@dataclass(frozen=True, eq=False)
class VoteTriples(NDArrayOperatorsMixin):
    """Holds the votes of `width` voters on n rows, sorted by row and then by voter.

    Row i has the votes `starts[i]` to `starts[i + 1]`: the voters in `voters (q,)`, the classes in `labels (q,)`. As an
    array it is (n, m) with -1 for an abstention. It compares as that array does, which is then made anew each time.
    """

    starts: Int64[np.ndarray, " n_and_one"]
    voters: Int[np.ndarray, " q"]
    labels: Int[np.ndarray, " q"]
    width: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """Returns `(n, m)`, as for an array."""
        return len(self), self.width

    @property
    def sizes(self) -> Int64[np.ndarray, " n"]:
        """Returns the number of votes on each row."""
        return np.diff(self.starts)

    @property
    def rows(self) -> Int64[np.ndarray, " q"]:
        """Returns the row of each vote."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def __getitem__(self, index: Any) -> Any:
        """Returns the votes on the rows that a mask or an integer array selects; any other index is an array's."""
        if not isinstance(index, np.ndarray) or index.ndim != 1:
            return np.asarray(self)[index]
        return self.on(index)

    def on(self, index: np.ndarray) -> VoteTriples:
        """Returns the votes on the rows that a mask or an integer array selects."""
        chosen = np.flatnonzero(index) if index.dtype == bool else index
        parts = [self._picked(chosen[at : at + BLOCK_ROWS]) for at in range(0, len(chosen), BLOCK_ROWS)]
        starts = np.concatenate([[0], np.cumsum(self.sizes[chosen])]).astype(np.int64)
        voters = np.concatenate([self.voters[:0], *(self.voters[part] for part in parts)])
        labels = np.concatenate([self.labels[:0], *(self.labels[part] for part in parts)])
        return VoteTriples(starts, voters, labels, self.width)

    def _picked(self, chosen: Int64[np.ndarray, " c"]) -> Int[np.ndarray, " p"]:
        """Returns the places of the votes on those rows, row by row."""
        sizes = self.sizes[chosen]
        ends = np.cumsum(sizes)
        kind = np.int32 if len(self.voters) <= np.iinfo(np.int32).max else np.int64
        return (np.arange(ends[-1]) + np.repeat(self.starts[chosen] - ends + sizes, sizes)).astype(kind)

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[tuple[slice, VoteTriples]]:
        """Yields the votes in blocks of that many rows, each with its place; nothing is copied but the starts."""
        for first in range(0, len(self), rows):
            starts = self.starts[first : first + rows + 1]
            part = slice(int(starts[0]), int(starts[-1]))
            block = VoteTriples(starts - starts[0], self.voters[part], self.labels[part], self.width)
            yield slice(first, first + len(block)), block

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        found = np.full(self.shape, ABSTAIN, dtype=dtype or vote_type(int(self.labels.max(initial=0)) + 1))
        found[self.rows, self.voters] = self.labels
        return found

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None) -> Any:
        arrays = [np.asarray(one) if isinstance(one, VoteTriples) else one for one in inputs]
        return getattr(ufunc, method)(*arrays, out=out)

    def digest(self) -> str:
        """Returns the SHA-256 of the content."""
        parts = (self.starts, self.voters.astype(np.int64), self.labels.astype(np.int64))
        return hashlib.sha256(b"".join([str(self.shape).encode(), *(part.tobytes() for part in parts)])).hexdigest()


def vote_type(k: int) -> type[np.signedinteger]:
    """Returns the type of votes for k classes: one byte for 127 classes or fewer, else four."""
    return np.int8 if k <= np.iinfo(np.int8).max else np.int32


def triples(votes: Int[np.ndarray, "n m"] | VoteTriples) -> VoteTriples:
    """Returns votes (n, m), with -1 for an abstention, as triples; triples as they are."""
    if isinstance(votes, VoteTriples):
        return votes
    n, m = votes.shape
    kind = np.int16 if m <= np.iinfo(np.int16).max else np.int32
    sizes, voters, labels = [np.zeros(1, np.int64)], [np.zeros(0, kind)], [np.zeros(0, votes.dtype)]
    columns, rows = np.arange(m, dtype=kind), max(1, BLOCK_ROWS * 64 // max(m, 1))
    for first in range(0, n, rows):
        part = np.asarray(votes[first : first + rows])
        cast = part != ABSTAIN
        sizes.append(np.count_nonzero(cast, axis=1))
        voters.append(np.broadcast_to(columns, part.shape)[cast])
        labels.append(part[cast])
    return VoteTriples(np.cumsum(np.concatenate(sizes)), np.concatenate(voters), np.concatenate(labels), m)


def sort_triples(
    rows: Int64[np.ndarray, " q"],
    voters: Int64[np.ndarray, " q"],
    labels: Int[np.ndarray, " q"],
    shape: tuple[int, int],
) -> VoteTriples:
    """Returns triples in any order as `VoteTriples` of that shape (n, m); no two may share row and voter."""
    order = np.lexsort([voters, rows])
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0]))]).astype(np.int64)
    kind = np.int16 if shape[1] <= np.iinfo(np.int16).max else np.int32
    return VoteTriples(starts, voters[order].astype(kind), labels[order], shape[1])
