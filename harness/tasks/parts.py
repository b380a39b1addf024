"""Makes a task from rows as they were read: held-out parts, flipped labels, and facts worth reporting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Int, Int64

from harness.data import EvalSet, Modality, Rows, Task, TrainSet, one_hot, row_hashes, take
from harness.streams import stream
from harness.tables import missing_cells
from harness.tasks import checks
from harness.tasks.split import draw_stratified, fixed_stream, hold_out

_MOST_SHOWN = 20
"""Classes of which a sentence on a part gives the count."""


@dataclass(frozen=True, eq=False)
class Part:
    """Holds rows as they were read.

    `given` and `gold` are class indices, -1 for no label or an unknown one; `weight` is the user's;
    `group` numbers rows that belong together (a single row has its own number); `content` is a hash of each
    row's x, by which repeated rows are found.
    """

    ids: np.ndarray
    x: Rows
    given: Int64[np.ndarray, " n"]
    gold: Int64[np.ndarray, " n"]
    votes: Int[np.ndarray, "n m"]
    weight: Float32[np.ndarray, " n"]
    group: Int64[np.ndarray, " n"]
    content: Int64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, index: np.ndarray) -> Part:
        """Returns the rows that a mask or an integer array names."""
        index = np.flatnonzero(index) if index.dtype == bool else index
        columns = {name: getattr(self, name)[index] for name in self.__dataclass_fields__ if name != "x"}
        return replace(self, x=take(self.x, index), **columns)

    @property
    def labels(self) -> str:
        """Returns what the rows are scored on: `gold` if it is known for any of them, else `given`."""
        return "gold" if (self.gold >= 0).any() else "given"

    @property
    def truth(self) -> Int64[np.ndarray, " n"]:
        """Returns the classes that the rows are scored on, -1 if unknown."""
        return self.gold if self.labels == "gold" else self.given


def part(
    ids: np.ndarray,
    x: Rows,
    given: np.ndarray,
    gold: np.ndarray | None = None,
    votes: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    group: np.ndarray | None = None,
) -> Part:
    """Returns a `Part` of those columns; by default gold is unknown, there are no votes, weights are 1, and each row is
    its own group.
    """
    n = len(ids)
    return Part(
        ids=np.asarray(ids),
        x=x,
        given=np.asarray(given, dtype=np.int64),
        gold=np.full(n, -1) if gold is None else np.asarray(gold, dtype=np.int64),
        votes=np.zeros((n, 0), dtype=np.int8) if votes is None else np.asarray(votes),
        weight=np.ones(n, dtype=np.float32) if weight is None else np.asarray(weight, dtype=np.float32),
        group=np.arange(n) if group is None else np.asarray(group, dtype=np.int64),
        content=row_hashes(x),
    )


@dataclass(frozen=True)
class Plan:
    """Says how a seed turns parts into a task.

    A fraction refers to the rows that the part is split off from. `split_seed` draws one test part for all seeds; None
    draws a new one with each trial's seed. `noise` is the share of training labels to flip.
    """

    n_train: int | None
    valid_fraction: float
    test_fraction: float
    split_seed: int | None
    noise: float = 0.0

    def __post_init__(self) -> None:
        checks.check_fraction(self.valid_fraction, "task.valid_fraction")
        checks.check_fraction(self.test_fraction, "task.test_fraction")
        checks.check_fraction(self.noise, "task.noise", low=-1e-9)


def describe(parts: Mapping[str, Part], classes: Sequence[str]) -> list[str]:
    """Returns a sentence for each part as it was read: its rows, those of each class, and those without a label."""
    return [_described(what, rows, classes) for what, rows in parts.items()]


def _described(what: str, rows: Part, classes: Sequence[str]) -> str:
    counts = np.bincount(rows.truth[rows.truth >= 0], minlength=len(classes))
    named = [f"{name or repr(name)} {count}" for name, count in zip(classes, counts, strict=True)]
    shown = named if len(named) <= _MOST_SHOWN else [*named[:_MOST_SHOWN], f"{len(named) - _MOST_SHOWN} classes more"]
    unknown, voted = int((rows.truth < 0).sum()), int((rows.votes >= 0).any(axis=1).sum())
    return (
        f"{what}: {len(rows)} rows, {rows.labels} labels: {', '.join(shown)}"
        + (f"; {unknown} without a label" if unknown else "")
        + (f"; {voted} with votes of {rows.votes.shape[1]} voters" if voted else "")
    )


def divide(parts: Mapping[str, Part], plan: Plan, seed: int) -> tuple[dict[str, Part], dict[str, Any]]:
    """Returns the parts `train`, `valid` and `test` for that seed, and facts on how they were made.

    A part that comes with the data is used as it is, without its rows of unknown truth; one that is missing is split
    off from `train`, stratified by the truth, groups whole. The fact `train_shared` is the share of a seed's training
    rows that another seed trains on as well, on average: 1 if seeds split nothing.
    """
    done, pool, left_out = {}, parts["train"], 0
    drawn_from = len(pool)
    checks.check_groups(pool.group[pool.truth >= 0], 1 + sum(name not in parts for name in ("test", "valid")))
    for name, fraction, rng in (
        ("test", plan.test_fraction, fixed_stream(seed, plan.split_seed)),
        ("valid", plan.valid_fraction, stream(seed, "task", "split")),
    ):
        if name in parts:
            held, rest = parts[name], pool
            checks.check_part(int((held.truth >= 0).sum()), name, len(held))
        else:
            rows = hold_out(pool.truth, pool.group, fraction, rng)
            held, rest = pool.rows(rows), pool.rows(~np.isin(pool.group, pool.group[rows]))
            left_out += len(pool) - len(held) - len(rest)
            drawn_from -= len(pool) - len(rest) if name == "test" and plan.split_seed is not None else 0
        known = held.truth >= 0
        left_out += int((~known).sum())
        done[name], pool = held.rows(known), rest
    facts = {"valid_labels": done["valid"].labels, "test_labels": done["test"].labels, "left_out": left_out}
    return {"train": pool, **done}, facts | {"train_shared": len(pool) / drawn_from}


def subsample(train: Part, n_train: int | None, k: int, seed: int) -> Part:
    """Returns `n_train` of the rows, stratified by the given label (rows without one form a stratum); all for None."""
    if n_train is None:
        return train
    checks.check_limit(n_train, len(train), k, "task.n_train")
    return train.rows(draw_stratified(_labels(train), n_train, stream(seed, "task", "subsample"), cover=True))


def shared_share(facts: Mapping[str, Any], whole: Part, drawn: Part) -> dict[str, float]:
    """Returns the fact `train_shared` of rows that each seed draws anew from what `divide` left it for training."""
    return {"train_shared": facts["train_shared"] * len(drawn) / len(whole)}


def damage(train: Part, share: float, k: int, seed: int) -> Part:
    """Flips the labels of that share of the labelled rows, each wrong class equally likely.

    The original label becomes gold if gold was unknown.
    """
    rng, labelled = stream(seed, "task", "noise"), np.flatnonzero(_labels(train) >= 0)
    rows = rng.choice(labelled, size=round(share * len(labelled)), replace=False)
    given = train.given.copy()
    given[rows] = (given[rows] + rng.integers(1, k, size=len(rows))) % k
    return replace(train, given=given, gold=np.where(train.gold >= 0, train.gold, train.given))


def task(
    name: str, modality: Modality, classes: Sequence[str], parts: Mapping[str, Part], facts: Mapping[str, Any]
) -> Task:
    """Returns the task of those three parts; counts are added to `facts`, which come from the source."""
    train, valid, test = parts["train"], parts["valid"], parts["test"]
    for what, rows in parts.items():
        checks.check_part(len(rows), what)
        checks.check_unique(rows.ids, what)
    labels = _labels(train)
    checks.check_training_labels(labels[labels >= 0], classes)
    w = np.where(labels >= 0, train.weight, 0).astype(np.float32)
    return Task(
        name=name,
        modality=modality,
        classes=tuple(classes),
        train=TrainSet(ids=train.ids, x=train.x, y=one_hot(labels, len(classes)), w=w, votes=train.votes),
        valid=EvalSet(ids=valid.ids, x=valid.x, y=valid.truth),
        test=EvalSet(ids=test.ids, x=test.x, y=test.truth),
        gold=train.gold,
        facts=_counts(train, valid, test) | dict(facts),
        groups=train.group,
        test_groups=_shared_groups(test),
        valid_groups=_shared_groups(valid),
        test_given=_other_labels(test),
    )


def _other_labels(rows: Part) -> Int64[np.ndarray, " n"] | None:
    """Returns the given classes of rows that are scored on gold ones; None if they differ on no row."""
    differ = (rows.given >= 0) & (rows.given != rows.truth)
    return rows.given if rows.labels == "gold" and differ.any() else None


def _shared_groups(rows: Part) -> Int64[np.ndarray, " n"] | None:
    """Returns the group of each row, None if every row is a group of its own."""
    return rows.group if len(np.unique(rows.group)) < len(rows) else None


def _labels(train: Part) -> np.ndarray:
    """Returns the given class of each row, -1 if there is none or its weight is 0."""
    return np.where(train.weight > 0, train.given, -1)


def _counts(train: Part, valid: Part, test: Part) -> dict[str, Any]:
    """Returns the counts that exist for any three parts."""
    empty = missing_cells(train.x, valid.x, test.x)
    return {
        "train": len(train),
        "valid": len(valid),
        "test": len(test),
        "labelled": int((_labels(train) >= 0).sum()),
        "given_wrong": given_wrong(train),
        "overlap": int(np.isin(test.content, train.content).sum()),
        "duplicates": len(train) - len(np.unique(train.content)),
        **({"missing": empty} if empty else {}),
    }


def given_wrong(train: Part) -> float | None:
    """Returns the share of wrong labels among labelled rows of known truth; None if no truth is known."""
    known = (_labels(train) >= 0) & (train.gold >= 0)
    return float((train.given != train.gold)[known].mean()) if known.any() else None
