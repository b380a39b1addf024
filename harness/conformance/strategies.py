"""Checks what a strategy promises: sound results, an untouched input, and draws from its own stream only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from harness.conformance.generators import global_luck, global_state, scatter_global_state
from harness.conformance.promises import BrokenPromise, require
from harness.data import TrainSet
from harness.strategies import Strategy, Tools

ToolsOf = Callable[[int], Tools]
"""Fresh tools with the generator at its start; another number gives another generator."""


def check_sound(train: TrainSet, after: TrainSet) -> None:
    """The result holds rows of the input, each once and in the same order, with content as it was and sound labels."""
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
    require(np.array_equal(after.votes, train.votes[rows]), "votes changed, or moved to other ids")
    for name, part in (("y", after.y), ("w", after.w)):
        require(part.dtype == np.float32, f"{name} is {part.dtype}: it must be float32")
    require((after.y >= 0).all(), "a label has a negative probability")
    require(np.allclose(after.y.sum(1), 1, atol=1e-6), "a row of y does not sum to 1")
    require(not any(part.flags.writeable for part in columns(after)), "the result can be written to")


def check_added(train: TrainSet, after: TrainSet) -> TrainSet:
    """New rows follow those of the input: hard labels, its type, no votes. Returns the rows before them."""
    kept = int(np.isin(after.ids, train.ids).sum())
    own, new = after.rows(np.arange(kept)), after.rows(np.arange(kept, len(after)))
    require(len(new), "no row was added")
    require(not set(new.ids.tolist()) & set(train.ids.tolist()), "a new row has an old id")
    require(len(set(new.ids.tolist())) == len(new), "two new rows have one id")
    require(new.x.dtype == train.x.dtype, f"the new rows are {new.x.dtype}, the old ones {train.x.dtype}")
    require(((new.y == 0) | (new.y == 1)).all(), "a new row has a soft label")
    require(new.labelled.all(), "a new row has no label")
    require((new.votes == -1).all(), "somebody voted on a new row")
    return own


def check_transformed(train: TrainSet, after: TrainSet, exact: bool) -> TrainSet:
    """What was done to the features is done to a row that is predicted, whatever rows come with it.

    With `exact` the training rows went through the same. Returns the set with its content as it was, for `check_sound`.
    """
    place = {name: row for row, name in enumerate(train.ids.tolist())}
    x = train.x[[place[name] for name in after.ids.tolist()]]
    prepare = after.prepare or (lambda rows: rows)
    batch = prepare(x)
    alone = np.concatenate([prepare(x[[row]]) for row in range(len(x))])
    require(equal_rows(alone, batch), "what becomes of a row hangs on the rows that come with it")
    require(not exact or equal_rows(np.asarray(after.x), batch), "training rows went through something else")
    require(len(prepare(x[:0])) == 0, "no rows became some")
    return replace(after, x=x)


def equal_rows(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two tables hold the same, raw cells by their text, numbers as far as single precision goes."""
    if first.dtype.names:
        return first.tolist() == second.tolist()
    return first.shape == second.shape and bool(np.allclose(first, second, rtol=1e-5, atol=1e-5, equal_nan=True))


def check_pure(strategy: Strategy, train: TrainSet, tools: ToolsOf) -> None:
    """The input is what it was, for whoever else holds it."""
    content, kept = train.digest(), train.augment
    strategy(train, tools(0))
    require(train.digest() == content, "the input changed: copy an array before you write into it")
    require(train.augment is kept, "the input's augment changed: return replace(train, augment=...) instead")


def check_reproducible(strategy: Strategy, train: TrainSet, tools: ToolsOf) -> None:
    """Equal streams give equal bits, on the first call and later, wherever the global generators stand."""
    found = []
    for luck in (0, 1):
        with global_luck(luck):
            found.append(strategy(train, tools(0)).digest())
    require(found[0] == found[1], "two calls with the same seed differ: draw from the generator that is passed in")


def check_global_generators_kept(call: Callable[[], Any]) -> None:
    """Nobody's luck changes because the option ran.

    The generators are first put where no seed in the code would put them: whoever seeds them with a number of his own
    would otherwise go unseen where the same number had been seeded before.
    """
    scatter_global_state()
    before = global_state()
    call()
    moved = [name for name, state in global_state().items() if state != before[name]]
    require(not moved, f"the global generator of {' and '.join(moved)} was moved")


def check_draws(strategy: Strategy, train: TrainSet, tools: ToolsOf) -> None:
    """Other streams give other results: what is random hangs on the stream and not on a seed in the code."""
    found = {strategy(train, tools(luck)).digest() for luck in range(3)}
    require(len(found) == 3, f"three streams gave {len(found)} results: the draws hang on something else")


def check_ties(strategy: Strategy, train: TrainSet, tools: ToolsOf) -> None:
    """Rows that nothing tells apart are not chosen by their place.

    Turning the rows round must change no row's fate, unless fate is drawn: then other streams change it too.
    `tools` gives probabilities that go with the ids. Labels may differ by rounding, as sums run in another order.
    """
    first = strategy(train, tools(0))
    turned = strategy(train.rows(np.arange(len(train))[::-1]), tools(0))
    drawn = any(strategy(train, tools(luck)).digest() != first.digest() for luck in range(1, 6))
    require(
        drawn or alike(first, turned),
        "rows that are equally likely are chosen by position: break ties with tools.rng",
    )


def alike(first: TrainSet, second: TrainSet) -> bool:
    """Whether two sets hold the same rows with the same labels, in whatever order."""
    one, two = (found.rows(np.argsort(found.ids)) for found in (first, second))
    if not np.array_equal(one.ids, two.ids):
        return False
    if one.x.dtype.kind in "fV" and not equal_rows(one.x, two.x):
        return False
    return bool(np.allclose(one.y, two.y, atol=1e-4) and np.allclose(one.w, two.w, atol=1e-6))


def columns(train: TrainSet) -> tuple[np.ndarray, ...]:
    """A set's arrays."""
    return train.ids, train.x, train.y, train.w, train.votes
