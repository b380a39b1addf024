"""Checks what a learner promises: equal runs, probabilities, the run's budget, and respect for weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from harness.conformance.generators import global_luck
from harness.conformance.promises import require
from harness.conformance.strategies import check_global_generators_kept
from harness.data import EvalSet, TrainSet
from harness.learners import Fit, Learner, Run


def check_equal_fits(learner: Learner, train: TrainSet, valid: EvalSet, runs: Callable[[], Run]) -> Fit:
    """Equal runs give equal bits, and leave input and global generators as they were; `runs` gives a fresh run.

    Returns the first fit.
    """
    content, fits = train.digest(), []
    for luck in (0, 1):
        with global_luck(luck):
            check_global_generators_kept(lambda: fits.append(learner(train, valid, runs())))
    first, second = fits
    require(train.digest() == content, "the learner changed its input")
    require(equal_fits(first, second, valid.x), "two runs with the same seed differ: draw from run.stream(NAME)")
    check_probabilities(first.predict(valid.x), len(valid), train.k)
    return first


def check_probabilities(found: np.ndarray, n: int, k: int) -> None:
    """A distribution a row, in single precision."""
    require(found.dtype == np.float32, f"probabilities are {found.dtype}, not float32")
    require(found.shape == (n, k), f"probabilities of shape {found.shape}, not {(n, k)}")
    require(np.allclose(found.sum(1), 1, atol=1e-5), "a row of probabilities does not sum to 1")


def check_budget(learner: Learner, train: TrainSet, valid: EvalSet, run: Run, fits: int = 1, networks: int = 1) -> None:
    """A learner that trains in steps takes exactly those of the run, counted by the batches that it augments.

    An effort that takes the budget in each of several `fits`, or shows a batch to several `networks`, owns up to it.
    """
    seen: list[int] = []

    def count(x: Any, y: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        seen.append(len(y))
        return x, y

    fit = learner(replace(train, augment=count), valid, run)
    batch = min(len(train), run.protocol.batch_size)
    require(len(seen) == fits * run.steps, f"{len(seen)} steps were taken, the run has {run.steps}")
    require(sum(seen) == fits * run.steps * batch, f"{sum(seen)} examples seen, {fit.examples} reported")
    require(fit.examples == networks * sum(seen), f"{networks * sum(seen)} examples seen, {fit.examples} reported")


def check_weights_count(learner: Learner, train: TrainSet, valid: EvalSet, run: Run) -> None:
    """A row of weight 0 has no part in anything."""
    w = train.w.copy()
    w[::5] = 0
    muted = replace(train, w=w)
    first, second = (learner(rows, valid, run) for rows in (muted, muted.rows(muted.labelled)))
    require(equal_fits(first, second, valid.x), "rows of weight 0 were trained on")


def check_luck(learner: Learner, train: TrainSet, valid: EvalSet, run: Run) -> None:
    """Another salt gives another model: what is random hangs on the run's streams and not on a seed in the code."""
    first, second = (learner(train, valid, replace(run, salt=salt)) for salt in ("", "other"))
    alike = np.array_equal(first.predict(valid.x), second.predict(valid.x))
    require(not alike, "another salt gave the same model: the draws hang on something else")


def equal_fits(first: Fit, second: Fit, x: Any) -> bool:
    """Whether two fits predict the same bits by way of the same curve."""
    return np.array_equal(first.predict(x), second.predict(x)) and first.history == second.history
