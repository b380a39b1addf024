"""Lists the checks of a strategy option, on each small set that it fits, with the tools that a trial would lend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import torch
from hydra.utils import get_object

from harness.conformance.augmentations import check_augments, check_augments_by_its_stream, same
from harness.conformance.generators import scatter_global_state
from harness.conformance.promises import require
from harness.conformance.small_sets import MODALITY, held_out, small_run, stepwise, tied_tools, weak_set
from harness.conformance.strategies import (
    check_added,
    check_global_generators_kept,
    check_pure,
    check_reproducible,
    check_sound,
    check_ties,
    check_transformed,
)
from harness.conformance.suite import Check, fault_of
from harness.data import Task, TrainSet
from harness.learners.batches import BlendedBatch
from harness.run.options import build, needs_of
from harness.run.tools import WHAT, Purchases, compare_with_test, lend
from harness.strategies import Strategy, Tools
from harness.streams import stream

LENT = {
    "probe": ("pred_probs", "fold_probes"), "dynamics": ("dynamics",), "gold": ("ask",), "valid": ("valid",),
    "test": ("in_test",),
}  # fmt: skip
"""The tools that each need unlocks."""


@dataclass(frozen=True)
class Case:
    """Holds one strategy and one small set: the option's group and node, the set's kind, and a folder for the cache."""

    group: str
    node: Mapping[str, Any]
    kind: str
    folder: Path

    @property
    def train(self) -> TrainSet:
        """Returns the training set."""
        return weak_set(self.kind)[0]

    @property
    def strategy(self) -> Strategy:
        """Returns the option's function with its parameters."""
        return build(self.node)

    def task(self) -> Task:
        """Returns the set as a task, with the first half of its rows as validation and test rows."""
        train, gold = weak_set(self.kind)
        held = held_out(train, gold)
        return Task("small", MODALITY[self.kind], ("a", "b", "c"), train, held, held, gold)  # type: ignore[arg-type]

    def tools(self, seed: int) -> Tools:
        """Returns the tools that a trial would lend; those that the option does not declare are refused."""
        run = small_run(self.folder, 0)
        needs = sorted(needs_of(self.node))
        task = self.task()
        lent = lend(self.group, needs, stepwise, ["stepwise"], run, Purchases(task), compare_with_test(task))
        return replace(lent, rng=stream(seed, "strategy", self.group))

    def result(self) -> TrainSet:
        """Returns the set after the strategy."""
        return self.strategy(self.train, self.tools(0))

    @property
    def gives(self) -> list[str]:
        """Returns the option's `gives`: rows, features."""
        return list(self.node.get("gives") or [])


def kinds_of(node: Mapping[str, Any]) -> list[str]:
    """Returns the kinds of small sets that an option fits: raw cells where it needs or changes them."""
    if "cells" in needs_of(node):
        return ["raw"]
    raw = "table" in node["fits"] and "features" in (node.get("gives") or [])
    return [kind for kind in MODALITY if MODALITY[kind] in node["fits"] and (kind != "raw" or raw)]


def strategy_checks(group: str, node: Mapping[str, Any], folder: Path) -> Iterator[Check]:
    """Yields the checks of an option of weak, clean or augment; `folder` caches what the probe computes."""
    for kind in kinds_of(node):
        case = Case(group, node, kind, folder)
        named = {"grey": "image (grey)", "colour": "image (colour)", "raw": "table (raw cells)"}.get(kind, kind)
        yield from _shared_checks(case, named)
        specific = {"augment": _augment_checks, "clean": _clean_checks}.get(group, _weak_checks)
        yield from specific(case, named)


def _shared_checks(case: Case, where: str) -> Iterator[Check]:
    """Yields the checks of every strategy."""
    train = case.train

    def made(name: str, expects: str, call: Callable[[], Any], vital: bool = False) -> Check:
        return Check(name, where, expects, call, vital)

    yield made("runs", "a result for this kind of rows", partial(_check_runs, case), vital=True)
    yield made("sound result", "the input's rows and ids, float32 y and w, rows of y that sum to 1",
               partial(_check_result, case))  # fmt: skip
    yield made("input kept", "the same input after the call", lambda: check_pure(case.strategy, train, case.tools))
    yield made("same seed, same result", "the same bits from two calls with one seed",
               lambda: check_reproducible(case.strategy, train, case.tools))  # fmt: skip
    yield made("global generators kept", "no draw from numpy's or torch's global generator",
               lambda: check_global_generators_kept(case.result))  # fmt: skip
    yield made("needs declared", "votes are read only under `needs: [votes]`", partial(_check_votes_declared, case))
    yield made("needs used", "every need that is declared is used", partial(_check_needs_used, case))


def _clean_checks(case: Case, where: str) -> Iterator[Check]:
    yield from _weak_checks(case, where)
    yield Check("rows without a label kept", where, "rows of weight 0 stay as they are",
                partial(_check_unlabelled_kept, case))  # fmt: skip


def _weak_checks(case: Case, where: str) -> Iterator[Check]:
    train, gold = weak_set(case.kind)
    yield Check("no choice by position", where, "the same choice when the rows are in another order",
                lambda: check_ties(case.strategy, train, lambda seed: tied_tools(train, gold, seed=seed)))  # fmt: skip


def _augment_checks(case: Case, where: str) -> Iterator[Check]:
    if "rows" in case.gives:
        return
    yield Check("batch function", where, "the same shapes and types, rows of y that sum to 1, an untouched input",
                lambda: check_augments(_augment_of(case), *batch_of(case.kind)))  # fmt: skip
    yield Check("batch draws from rng", where, "one seed, one batch; another seed, another batch",
                partial(_check_batch_draws, case))  # fmt: skip


def _check_runs(case: Case) -> None:
    scatter_global_state()
    after = case.result()
    require(isinstance(after, TrainSet), f"the result is a {type(after).__name__}: it must be a TrainSet")


def _check_result(case: Case) -> None:
    after = case.result()
    if "rows" in case.gives:
        after = check_added(case.train, after)
    if "features" in case.gives and MODALITY[case.kind] == "table":
        after = check_transformed(case.train, after, exact=True)
    check_sound(case.train, after)


def _check_unlabelled_kept(case: Case) -> None:
    after, train = case.result(), case.train
    if "features" in case.gives and MODALITY[case.kind] == "table":
        after = check_transformed(train, after, exact=True)
    unchanged = after.rows(~after.labelled).digest() == train.rows(~train.labelled).digest()
    require(unchanged, "a row without a label was changed or dropped")


def _check_votes_declared(case: Case) -> None:
    """Compares the results with and without votes: BrokenPromise if they differ and votes are not declared."""
    if "votes" in needs_of(case.node):
        return
    bare = replace(case.train, votes=np.zeros((len(case.train), 0), dtype=np.int8))
    message = "the result depends on train.votes: declare `needs: [votes]` in the YAML"
    fault = fault_of(lambda: case.strategy(bare, case.tools(0)))
    require(fault is None, f"{message} (without votes: {fault})")
    require(_labels(case.strategy(bare, case.tools(0))) == _labels(case.result()), message)


def _labels(train: TrainSet) -> list[Any]:
    return [train.ids.tolist(), train.y.tolist(), train.w.tolist()]


def _check_needs_used(case: Case) -> None:
    """Checks that each declared need is used, trying every word that a parameter may have."""
    needs, used = needs_of(case.node), set[str]()
    for node in variants(case.node):
        if needs & set(LENT) <= used:
            break
        used |= _used_by(replace(case, node=node), needs & set(LENT))
    named = ", ".join(f"{need} ({WHAT[need]})" for need in sorted(needs & set(LENT) - used))
    require(not named, f"needs declares {named}, which the strategy never asks for: leave it out")
    if "votes" in needs:
        other = replace(case.train, votes=np.roll(case.train.votes, 1, axis=0))
        differs = _labels(case.strategy(other, case.tools(0))) != _labels(case.result())
        require(differs, "needs declares votes, and other votes give the same result: leave it out")


def _used_by(case: Case, needs: set[str]) -> set[str]:
    """Returns the needs that a call uses; an error ends the call and is reported by another check."""
    used: set[str] = set()

    def spied(need: str, tool: Callable[..., Any], *given: Any) -> Any:
        used.add(need)
        return tool(*given)

    tools = case.tools(0)
    lent: dict[str, Any] = {name: partial(spied, need, getattr(tools, name)) for need in needs for name in LENT[need]}
    fault_of(lambda: case.strategy(case.train, replace(tools, **lent)))
    return used


def variants(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields the node, then the node with each other word that the annotation of a parameter allows."""
    yield node
    hints = get_type_hints(get_object(node["_target_"]))
    for name in sorted(set(hints) & set(node)):
        yield from ({**node, name: word} for word in get_args(hints[name]) if isinstance(word, str))


def _augment_of(case: Case) -> Any:
    after = case.result()
    require(after.digest() == case.train.digest(), "the rows changed: an augmentation only sets `augment`, or declares "
            "`gives: [rows]`")  # fmt: skip
    require(after.augment is not None or case.node["_target_"] == "harness.strategies.none", "the result has no batch "
            "function: return replace(train, augment=compose(train.augment, function))")  # fmt: skip
    return after.augment or (lambda x, y, rng: (x, y))


def _check_batch_draws(case: Case) -> None:
    """Checks the draws of a batch function, unless it changes nothing (a reference)."""
    augment, (x, y) = _augment_of(case), batch_of(case.kind)
    new, _ = augment(x, y, stream(0, "augment"))
    if isinstance(new, BlendedBatch) or not same(new, x):
        check_augments_by_its_stream(augment, x, y)


def batch_of(kind: str) -> tuple[Any, torch.Tensor]:
    """Returns a batch of 40 as a learner passes it: x a list of str, or floats (images in [0, 1]); y (40, k)."""
    train, _ = weak_set(kind)
    y = torch.from_numpy(train.y[:40].copy())
    if kind == "text":
        return train.x[:40].tolist(), y
    x = torch.from_numpy(train.x[:40].astype(np.float32))
    return (x.permute(0, 3, 1, 2) / 255 if kind in ("grey", "colour") else x), y
