"""Trains a learner in other ways: several times over, or with the weights of its best look at validation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from harness.checks import within
from harness.data import EvalSet, Rows, TrainSet
from harness.errors import TrialFailed
from harness.learners import Fit, Learner, Run


def ensemble(train: TrainSet, valid: EvalSet, run: Run, *, learner: Learner, members: int) -> Fit:
    """Fits `members` models that differ only in their random streams, and predicts the mean of their probabilities.

    The first member draws from the run's own streams, so it is the model that the learner alone would have given.
    Each takes the run's budget, so parameters and examples are sums. The curve is that of the first member.
    Lakshminarayanan et al., Simple and scalable predictive uncertainty estimation using deep ensembles, 2017 (without
    its adversarial examples).
    """
    within("members", members, 1, 1000)
    fits = [learner(train, valid, each) for each in _lucks(run, members)]

    def predict(x: Rows) -> Float32[np.ndarray, "n k"]:
        return np.stack([fit.predict(x) for fit in fits]).mean(0, dtype=np.float32)

    return Fit(
        predict=predict,
        parameters=sum(fit.parameters for fit in fits),
        examples=sum(fit.examples for fit in fits),
        valid_labels=max(fit.valid_labels for fit in fits),
        history=fits[0].history,
    )


def _lucks(run: Run, members: int) -> Iterator[Run]:
    """Yields the run, then runs with streams of their own that log nothing; no member is watched."""
    run = replace(run, watch=lambda predict: None)
    yield run
    for number in range(1, members):
        yield replace(run, salt=f"{run.salt}/member/{number}", log=lambda row: None)


def early_stopping(train: TrainSet, valid: EvalSet, run: Run, *, learner: Learner) -> Fit:
    """Keeps the weights of the look with the best validation metric (the earliest at a tie) instead of the last.

    There is no patience to tune: the whole budget is spent, as by every arm, with about one look per epoch.
    Validation labels count as bought. TrialFailed if the learner ignores them. Prechelt, Early stopping - but when?,
    1998.
    """
    fit = learner(train, valid, replace(run, protocol=replace(run.protocol, selection="best")))
    if len(valid) and not fit.valid_labels:
        raise TrialFailed("the model does not select on validation rows, so it cannot be stopped early")
    return fit
