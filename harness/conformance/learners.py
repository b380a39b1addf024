"""Checks learners: reproducible runs, probabilities, the run's budget, and sample weights."""

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
    """Checks that equal runs give equal bits and do not depend on the global generators or change the input.

    `runs` makes a new run at each call. Returns the first fit.
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
    """Checks that each row is a distribution in single precision."""
    require(found.dtype == np.float32, f"probabilities are {found.dtype}, not float32")
    require(found.shape == (n, k), f"probabilities of shape {found.shape}, not {(n, k)}")
    require(np.allclose(found.sum(1), 1, atol=1e-5), "a row of probabilities does not sum to 1")


def check_budget(learner: Learner, train: TrainSet, valid: EvalSet, run: Run, fits: int = 1, networks: int = 1) -> None:
    """Checks that a learner takes exactly the steps of the run, counted by the batches that it augments.

    An effort that uses the budget in each of several `fits`, or passes a batch to several `networks`, must report so.
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
    """Checks that rows of weight 0 do not affect the fit."""
    w = train.w.copy()
    w[::5] = 0
    muted = replace(train, w=w)
    first, second = (learner(rows, valid, run) for rows in (muted, muted.rows(muted.labelled)))
    require(equal_fits(first, second, valid.x), "rows of weight 0 were trained on")


def check_luck(learner: Learner, train: TrainSet, valid: EvalSet, run: Run) -> None:
    """Checks that another salt gives another model: draws come from the run's streams, not from a fixed seed."""
    first, second = (learner(train, valid, replace(run, salt=salt)) for salt in ("", "other"))
    alike = np.array_equal(first.predict(valid.x), second.predict(valid.x))
    require(not alike, "another salt gave the same model: the draws do not come from the run's streams")


def equal_fits(first: Fit, second: Fit, x: Any) -> bool:
    """Returns whether two fits have the same training curve and predict the same bits."""
    return np.array_equal(first.predict(x), second.predict(x)) and first.history == second.history
