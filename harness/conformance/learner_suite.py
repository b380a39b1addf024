"""Lists the checks of a model option, on an easy set of each modality that it fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness.conformance.declarations import check_no_private_budget
from harness.conformance.easy_sets import easy
from harness.conformance.learners import check_budget, check_equal_fits, check_probabilities, check_weights_count
from harness.conformance.promises import require
from harness.conformance.small_sets import small_run
from harness.conformance.suite import Check
from harness.data import EvalSet, TrainSet, take
from harness.learners import Fit, Learner, Run
from harness.learners.adapt import LIMITS
from harness.run.options import build, lacks_of, needs_of

STEPS = 8
"""Steps of each fit; few, since accuracy is not checked."""


def learner_checks(node: Mapping[str, Any], fits: Sequence[str], folder: Path) -> Iterator[Check]:
    """Yields the checks of a model option on the modalities `fits`; `folder` holds the caches of the fits."""
    yield Check("no budget of its own", "YAML", "epochs, lr, batch_size, … come from the protocol",
                lambda: check_no_private_budget(node))  # fmt: skip
    for modality in fits:
        yield from _checks_on(node, modality, folder)


def _checks_on(node: Mapping[str, Any], modality: str, folder: Path) -> Iterator[Check]:
    learner, (train, valid) = build(node), easy(modality)
    lacks, once = lacks_of(node), "dynamics" in lacks_of(node)

    def run() -> Run:
        return replace(small_run(folder / f"{modality}{len(list(folder.iterdir()))}", 0), steps=STEPS)

    def made(name: str, expects: str, call: Callable[[], Any], vital: bool = False) -> Check:
        return Check(name, modality, expects, call, vital)

    yield made("runs", "a Fit on this kind of rows", lambda: _check_runs(learner, train, valid, run()), vital=True)
    yield made("same seed, same bits", "equal runs, an untouched input, global generators kept, float32 probabilities",
               lambda: check_equal_fits(learner, train, valid, run))  # fmt: skip
    yield made("rows of weight 0", "no part in the fit", lambda: check_weights_count(learner, train, valid, run()))
    yield made("one row", "probabilities (1, k) for one row, also without validation rows",
               partial(_check_one_row, learner, train, valid, run, needs_of(node)))  # fmt: skip
    for lack in sorted({"weights", "soft_labels"} - lacks):
        yield made(f"{lack} used", f"other predictions with other {LIMITS[lack]}, or `lacks: [{lack}]`",
                   partial(_check_limit, learner, train, valid, run, lack))  # fmt: skip
    if not once and "wraps" not in node and not needs_of(node):
        yield made("steps of the run", "as many batches as the protocol allows", lambda: check_budget(
            learner, train, valid, run()))  # fmt: skip


def _check_runs(learner: Learner, train: TrainSet, valid: EvalSet, run: Run) -> None:
    fit = learner(train, valid, run)
    require(isinstance(fit, Fit), f"the result is a {type(fit).__name__}: it must be a Fit")
    found = fit.predict(valid.x)
    require(isinstance(found, np.ndarray), f"predict gives a {type(found).__name__}: it must give a numpy array")
    check_probabilities(found, len(valid), train.k)


def _check_one_row(learner: Learner, train: TrainSet, valid: EvalSet, run: Callable[[], Run], needs: set[str]) -> None:
    """Checks predictions for one row, without validation rows unless the learner needs them."""
    nothing = replace(valid, ids=valid.ids[:0], x=take(valid.x, np.arange(0)), y=valid.y[:0])
    fit = learner(train, valid if needs & {"valid", "tuning"} else nothing, run())
    check_probabilities(fit.predict(valid.x[:1]), 1, train.k)


def _check_limit(learner: Learner, train: TrainSet, valid: EvalSet, run: Callable[[], Run], what: str) -> None:
    """Checks that other weights or softer labels change the fit, unless the option lists them under `lacks`."""
    odd = np.arange(len(train)) % 2 == 1
    contrary = np.roll(train.y, 1, axis=1)
    mixed = replace(train, y=np.where(odd[:, np.newaxis], train.y, contrary))
    changed = {
        "weights": replace(mixed, w=np.where(odd, 1.5, 0.5).astype(np.float32)),
        "soft_labels": replace(mixed, y=(0.7 * mixed.y + 0.3 * contrary).astype(np.float32)),
    }[what]
    first, second = (learner(rows, valid, run()).predict(valid.x) for rows in (mixed, changed))
    require(not np.array_equal(first, second), f"other {LIMITS[what]} change nothing: add `lacks: [{what}]`")
