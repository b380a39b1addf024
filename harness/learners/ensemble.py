"""A learner in, learners out that train it otherwise: several times over, or only as long as validation gains."""

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
    """`members` fits that differ in luck alone; predicts the mean of their probabilities.

    The first member draws from the run's own streams: it is the model that the learner alone would have given. Each
    takes the run's budget, so parameters and examples are sums. The curve is the first one's.
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
    """The run, and others that draw from streams of their own and log nothing; no member is the model to be watched."""
    run = replace(run, watch=lambda predict: None)
    yield run
    for number in range(1, members):
        yield replace(run, salt=f"{run.salt}/member/{number}", log=lambda row: None)


def early_stopping(train: TrainSet, valid: EvalSet, run: Run, *, learner: Learner) -> Fit:
    """The learner's weights at the look with the best validation metric, the earliest at a tie, instead of the last.

    It has no patience to tune: the budget is spent to its end, as by every arm, about an epoch a look. Validation
    labels count as bought. TrialFailed where the learner pays no heed to them. Prechelt, Early stopping - but when?,
    1998.
    """
    fit = learner(train, valid, replace(run, protocol=replace(run.protocol, selection="best")))
    if len(valid) and not fit.valid_labels:
        raise TrialFailed("the model selects nothing on validation rows, so that it cannot be stopped early")
    return fit
