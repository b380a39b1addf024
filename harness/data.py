"""Defines the training set that strategies and learners exchange, the rows that are scored, and tasks.

Shapes: `n` rows, `k` classes, `m` labelling functions or annotators, `*d` the shape of an example, `b` a batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32, Int, Int64

from harness.errors import BadInput
from harness.vote_triples import ABSTAIN as ABSTAIN
from harness.vote_triples import VoteTriples

CHUNK = 4096

Modality = Literal["image", "text", "table"]
Rows = Any
"""`(n, *d)`: anything with `len` that an integer array indexes: uint8 images NHWC, float32 tables, str, or a `View`.

A table of raw cells, not yet numbers, is a structured array (n,) with one str field per column (see tables.py).
"""
Prepare = Callable[[Rows], Rows]
"""A transform of rows, fitted on training rows only; the result for a row does not depend on the rows given with it."""
Augment = Callable[[Any, Any, np.random.Generator], tuple[Any, Any]]
"""`(x, y, rng) -> (x, y)` on a batch: float tensors (b, c, h, w) in [0, 1] or (b, d), or a list of str; y is (b, k)."""


class View:
    """Selects rows of an array without copying it (a memory map): rows are read when they are indexed."""

    def __init__(self, base: np.ndarray, rows: np.ndarray) -> None:
        self.base, self.rows = base, np.asarray(rows, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        return np.asarray(self.base[self.rows[index]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.base[self.rows], dtype=dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Returns `(n, *d)`, as for an array."""
        return (len(self), *self.base.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """Returns the element type, as for an array."""
        return self.base.dtype

    def select(self, rows: np.ndarray) -> View:
        """Returns a smaller view; nothing is read."""
        return View(self.base, self.rows[rows])


def take(x: Rows, rows: np.ndarray) -> Rows:
    """Returns those rows of `x`; a `View` gives a smaller view and reads nothing."""
    return x.select(rows) if hasattr(x, "select") else x[rows]


def one_hot(classes: np.ndarray, k: int) -> np.ndarray:
    """Turns class indices (n,) into hard labels (n, k) float32; -1 (unknown) becomes the uniform distribution."""
    y = np.full((len(classes), k), 1.0 / k, dtype=np.float32)
    known = np.asarray(classes) >= 0
    y[known] = np.eye(k, dtype=np.float32)[np.asarray(classes)[known]]
    return y


@dataclass(frozen=True, eq=False)
class TrainSet:
    """Holds a training set: a strategy turns one into another, a learner trains on it. Arrays are read-only.

    `w` is 0 for a row that has no label yet (its `y` is then uniform). `votes` holds -1 for an abstention and has no
    column if there are no votes; those of a crowd are triples. `ids` never change, so what a strategy did can be seen
    by comparing sets. `prepare` is the transform of a strategy that changes features: `x` is transformed already, and
    every row to predict is transformed in the same way before the model sees it.
    """

    ids: np.ndarray
    x: Rows
    y: Float32[np.ndarray, "n k"]
    w: Float32[np.ndarray, " n"]
    votes: Int[np.ndarray, "n m"] | VoteTriples
    augment: Augment | None = None
    prepare: Prepare | None = None

    def __post_init__(self) -> None:
        sizes = {len(self.ids), len(self.x), len(self.y), len(self.w), len(self.votes)}
        if len(sizes) != 1:
            raise BadInput(f"a TrainSet's columns differ in length: {sorted(sizes)}; each needs one entry a row")
        if len(self.y) and not np.allclose(self.y.sum(1), 1, atol=1e-3):
            raise BadInput("a TrainSet's labels must be distributions: every row of y sums to 1")
        if (self.w < 0).any() or not np.isfinite(self.w).all():
            raise BadInput("a TrainSet's weights must be finite and not negative")
        for name in ("ids", "x", "y", "w", "votes"):
            object.__setattr__(self, name, _read_only(getattr(self, name)))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def k(self) -> int:
        """Returns the number of classes."""
        return self.y.shape[1]

    @property
    def labelled(self) -> Bool[np.ndarray, " n"]:
        """Returns True for each row that a learner may train on."""
        return self.w > 0

    @property
    def classes(self) -> Int64[np.ndarray, " n"]:
        """Returns each row's most probable class, the lowest index at a tie; meaningless if `labelled` is false."""
        return self.y.argmax(1)

    def rows(self, index: np.ndarray) -> TrainSet:
        """Returns the rows that a mask or an integer array selects."""
        index = np.flatnonzero(index) if index.dtype == bool else index
        return replace(
            self, ids=self.ids[index], x=take(self.x, index), y=self.y[index], w=self.w[index], votes=self.votes[index]
        )

    def transformed(self, step: Prepare) -> TrainSet:
        """Returns the set with its rows changed by `step`, which is added to `prepare` for the rows to predict."""
        before = self.prepare
        chain = step if before is None else lambda x: step(before(x))
        return replace(self, x=step(self.x), prepare=chain)

    def digest(self) -> str:
        """Returns the SHA-256 of the content (not of `augment` or `prepare`): equal for equal data, however made."""
        parts = (self.ids, self.x, self.y, self.w, self.votes)
        return hashlib.sha256("".join(digest(part) for part in parts).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class EvalSet:
    """Holds rows with known classes that are only predicted."""

    ids: np.ndarray
    x: Rows
    y: Int64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class Task:
    """Holds one block's data: a training part, a validation part and the test part that every arm shares.

    `gold (n,)` are the true classes of the training rows, -1 if unknown; only the metered oracle reads them. `facts`
    are counted while the task is made and printed beside every result: noise, overlap, what is simulated. `groups (n,)`
    numbers the group of each training row, None if the task has none: rows of one group are never divided between what
    is fitted and what is predicted. `test_groups` and `valid_groups` number those of the test and of the validation
    rows, alike on all seeds, None where no two rows share one: intervals resample whole groups. `test_given` are the
    labels that test rows came with, -1 if there is none, where they are scored on gold ones and the two differ on some
    row; else None.
    """

    name: str
    modality: Modality
    classes: tuple[str, ...]
    train: TrainSet
    valid: EvalSet
    test: EvalSet
    gold: Int64[np.ndarray, " n"]
    facts: Mapping[str, Any] = field(default_factory=dict)
    groups: Int64[np.ndarray, " n"] | None = None
    test_groups: Int64[np.ndarray, " t"] | None = None
    valid_groups: Int64[np.ndarray, " v"] | None = None
    test_given: Int64[np.ndarray, " t"] | None = None

    @property
    def group_of(self) -> dict[str, int]:
        """Returns the group's number by the id of the row, for training rows that share their group with others."""
        if self.groups is None:
            return {}
        _, place, counts = np.unique(self.groups, return_inverse=True, return_counts=True)
        shared = np.flatnonzero(counts[place] > 1)
        return dict(zip(map(str, self.train.ids[shared].tolist()), place[shared].tolist(), strict=True))


@dataclass(frozen=True)
class Source:
    """Holds what a task's YAML makes: content that is already loaded, and how a seed turns it into a `Task`.

    `fingerprint` is the SHA-256 of the content (never of a path); with the task's parameters and the seed it determines
    every row of `split(seed)`. `read` says in sentences what was read, guessed and left out.
    """

    fingerprint: str
    split: Callable[[int], Task]
    read: tuple[str, ...] = ()


def digest(rows: Rows) -> str:
    """Returns the SHA-256 of an array's type, shape and content; strings by their text, a view by its selected rows.

    A structured array is hashed field by field with the names, so the width of a field does not matter. Triples of
    votes are hashed as such.
    """
    if isinstance(rows, VoteTriples):
        return rows.digest()
    array = np.asarray(rows)
    if array.dtype.names:
        fields = "".join(f"{name!r}{digest(array[name])}" for name in array.dtype.names)
        return hashlib.sha256(f"table{fields}".encode()).hexdigest()
    if array.dtype.kind in "OUS":
        content = "\x1f".join(map(str, array.ravel().tolist())).encode()
        return hashlib.sha256(f"str{array.shape}".encode() + content).hexdigest()
    head = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()


def _read_only(rows: Rows) -> Rows:
    """Returns a read-only array of the same values; a view is read-only already."""
    if not isinstance(rows, np.ndarray) or not rows.flags.writeable:
        return rows
    locked = rows.view()
    locked.flags.writeable = False
    return locked


def row_hashes(x: Rows) -> Int64[np.ndarray, " n"]:
    """Returns a 64-bit hash of each row's content: equal for equal rows, in practice different for different rows."""
    found = []
    for start in range(0, len(x), CHUNK):
        chunk = np.asarray(x[np.arange(start, min(start + CHUNK, len(x)))])
        told = chunk.dtype.kind in "OUV"  # texts, and structured rows of them, whose fields are padded in memory
        rows = (str(row).encode() for row in chunk.tolist()) if told else (row.tobytes() for row in chunk)
        found += [hashlib.blake2b(row, digest_size=8).digest() for row in rows]
    return np.frombuffer(b"".join(found), dtype=np.int64)
