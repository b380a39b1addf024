"""Checks strategies: valid results, an unchanged input, and draws from their own stream only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from harness.conformance.generators import global_luck, global_state, scatter_global_state
from harness.conformance.promises import BrokenPromise, require
from harness.data import TrainSet
from harness.strategies import Strategy, Tools
from harness.vote_triples import triples

ToolsOf = Callable[[int], Tools]
"""Makes new tools with the generator at its start; another number gives another generator."""


def check_sound(train: TrainSet, after: TrainSet) -> None:
    """Checks that the result holds rows of the input, at most once, in order, unchanged, and with valid labels."""
    require(isinstance(after, TrainSet), f"the result is a {type(after).__name__}: it must be a TrainSet")
    require(after.k == train.k, f"y has {after.k} columns: it must have {train.k}, one for each class")
    place = {name: row for row, name in enumerate(train.ids.tolist())}
    alien = [name for name in after.ids.tolist() if name not in place]
    if alien:
        raise BrokenPromise(f"{len(alien)} ids are not in the input, for example '{alien[0]}': keep train.ids")
    rows = [place[name] for name in after.ids.tolist()]
    require(len(after), "no row is left")
    require(len(set(rows)) == len(rows), "an id occurs twice")
    require(rows == sorted(rows), "the rows changed their order")
    require(np.array_equal(after.x, train.x[rows]), "x changed, or its rows moved to other ids")
    require(np.array_equal(after.votes, train.votes[np.array(rows)]), "votes changed, or moved to other ids")
    for name, part in (("y", after.y), ("w", after.w)):
        require(part.dtype == np.float32, f"{name} is {part.dtype}: it must be float32")
    require((after.y >= 0).all(), "a label has a negative probability")
    require(np.allclose(after.y.sum(1), 1, atol=1e-6), "a row of y does not sum to 1")
    require(not any(part.flags.writeable for part in columns(after)), "the result can be written to")


def check_added(train: TrainSet, after: TrainSet) -> TrainSet:
    """Checks that new rows follow the input's: hard labels, its type, no votes. Returns the rows before them."""
    kept = int(np.isin(after.ids, train.ids).sum())
    own, new = after.rows(np.arange(kept)), after.rows(np.arange(kept, len(after)))
    require(len(new), "no row was added")
    require(not set(new.ids.tolist()) & set(train.ids.tolist()), "a new row has an old id")
    require(len(set(new.ids.tolist())) == len(new), "two new rows have one id")
    require(new.x.dtype == train.x.dtype, f"the new rows are {new.x.dtype}, the old ones {train.x.dtype}")
    require(((new.y == 0) | (new.y == 1)).all(), "a new row has a soft label")
    require(new.labelled.all(), "a new row has no label")
    require(not triples(new.votes).sizes.any(), "a new row has votes")
    return own


def check_transformed(train: TrainSet, after: TrainSet, exact: bool) -> TrainSet:
    """Checks that the features of a predicted row are transformed independently of the rows given with it.

    With `exact` the training rows must have had the same transform. Returns the set with its original rows, for
    `check_sound`.
    """
    place = {name: row for row, name in enumerate(train.ids.tolist())}
    x = train.x[[place[name] for name in after.ids.tolist()]]
    prepare = after.prepare or (lambda rows: rows)
    batch = prepare(x)
    alone = np.concatenate([prepare(x[[row]]) for row in range(len(x))])
    require(equal_rows(alone, batch), "the result for a row depends on the rows given with it")
    require(not exact or equal_rows(np.asarray(after.x), batch), "training rows had another transform")
    require(len(prepare(x[:0])) == 0, "an empty set of rows did not stay empty")
    return replace(after, x=x)


def equal_rows(first: np.ndarray, second: np.ndarray) -> bool:
    """Returns whether two tables are equal: raw cells by their text, numbers up to single precision."""
    if first.dtype.names:
        return first.tolist() == second.tolist()
    return first.shape == second.shape and bool(np.allclose(first, second, rtol=1e-5, atol=1e-5, equal_nan=True))


def check_pure(strategy: Strategy, train: TrainSet, tools: ToolsOf) -> None:
    """Checks that the strategy does not change its input."""
    content, kept = train.digest(), train.augment
    strategy(train, tools(0))
    require(train.digest() == content, "the input changed: copy an array before you write into it")
    require(train.augment is kept, "the input's augment changed: return replace(train, augment=...) instead")


def check_reproducible(strategy: Strategy, train: TrainSet, tools: ToolsOf) -> None:
    """Checks that equal streams give equal bits, at every call and in any state of the global generators."""
    found = []
    for luck in (0, 1):
        with global_luck(luck):
            found.append(strategy(train, tools(0)).digest())
    require(found[0] == found[1], "two calls with the same seed differ: draw from the generator that is passed in")


def check_global_generators_kept(call: Callable[[], Any]) -> None:
    """Checks that the option does not change the global generators.

    They are first put into a state that no seed in the code would give: otherwise code that seeds them would not be
    noticed if the same seed had been set before.
    """
    scatter_global_state()
    before = global_state()
    call()
    moved = [name for name, state in global_state().items() if state != before[name]]
    require(not moved, f"the global generator of {' and '.join(moved)} was used")


def check_draws(strategy: Strategy, train: TrainSet, tools: ToolsOf) -> None:
    """Checks that other streams give other results: draws come from the stream, not from a fixed seed."""
    found = {strategy(train, tools(luck)).digest() for luck in range(3)}
    require(len(found) == 3, f"three streams gave {len(found)} results: the draws do not come from the stream")


def check_ties(strategy: Strategy, train: TrainSet, tools: ToolsOf) -> None:
    """Checks that the position of a row does not decide between equally likely rows.

    Reversing the rows must not change the result, unless the choice is random: then other streams change it too.
    `tools` gives probabilities that follow the ids. Labels may differ by rounding, as sums run in another order.
    """
    first = strategy(train, tools(0))
    turned = strategy(train.rows(np.arange(len(train))[::-1]), tools(0))
    drawn = any(strategy(train, tools(luck)).digest() != first.digest() for luck in range(1, 6))
    require(
        drawn or alike(first, turned),
        "rows that are equally likely are chosen by position: break ties with tools.rng",
    )


def alike(first: TrainSet, second: TrainSet) -> bool:
    """Returns whether two sets hold the same rows with the same labels, in any order."""
    one, two = (found.rows(np.argsort(found.ids)) for found in (first, second))
    if not np.array_equal(one.ids, two.ids):
        return False
    if one.x.dtype.kind in "fV" and not equal_rows(one.x, two.x):
        return False
    return bool(np.allclose(one.y, two.y, atol=1e-4) and np.allclose(one.w, two.w, atol=1e-6))


def columns(train: TrainSet) -> tuple[np.ndarray, ...]:
    """Returns a set's arrays."""
    return train.ids, train.x, train.y, train.w, np.asarray(train.votes)
