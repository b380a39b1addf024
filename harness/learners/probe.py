"""Computes out-of-sample class probabilities of every training row with a probe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from sklearn.model_selection import StratifiedKFold

from harness.data import EvalSet, Rows, TrainSet, take
from harness.errors import BadInput, TrialFailed
from harness.learners import Learner, Predict, Run
from harness.streams import child_seed, stream

FoldProbe = tuple[np.ndarray, Predict]
GLANCE = 32
"""Training rows that the probe gets in place of a validation set."""


def out_of_sample(train: TrainSet, *, learner: Learner, run: Run, identity: Any) -> Float32[np.ndarray, "n k"]:
    """Returns each row's class probabilities from probes that did not train on it; read-only, computed at most once.

    The probe of its fold predicts a labelled row; the mean of all probes predicts a row without a label. `identity`
    describes the learner, its protocol and its seed in JSON; with the set's digest it names the result in
    `run.cache`. TrialFailed if a class has a single labelled row, or a probe's probabilities are not finite.
    """
    if train.augment is not None:  # A function has no content that could name the result.
        return _cross_validated(train, learner, run)
    return run.cache.array("pred_probs", [train.digest(), identity], lambda: _cross_validated(train, learner, run))


def fold_probes(train: TrainSet, *, learner: Learner, run: Run) -> list[FoldProbe]:
    """Returns, for each fold, the labelled rows (h,) that its probe did not train on, and the probe itself.

    A probe predicts any rows (n, *d) in the form of the training rows, changed ones too. They are the probes of
    `out_of_sample`, trained anew: models are not cached. TrialFailed as there.
    """
    folds = list(_folds(train, run))
    return [
        (held_out, _fitted(train, fitted, learner, _surroundings(run, number, len(folds))))
        for number, (fitted, held_out) in enumerate(folds)
    ]


def dynamics(train: TrainSet, *, learner: Learner, run: Run, identity: Any) -> Float32[np.ndarray, "e n k"]:
    """Returns each row's class probabilities at e points of the probe's training, about once per epoch.

    One probe trains on all labelled rows; results are cached and named as in `out_of_sample`. BadInput if the
    learner does not train in steps.
    """
    return run.cache.array("dynamics", [train.digest(), identity], lambda: _watched(train, learner, run))


def _watched(train: TrainSet, learner: Learner, run: Run) -> Float32[np.ndarray, "e n k"]:
    seen: list[np.ndarray] = []
    own = replace(train.rows(train.labelled), augment=None)
    run = replace(_surroundings(run, 0, 1), steps=run.steps, watch=lambda predict: seen.append(predict(train.x)))
    learner(own, _glance(own), run)
    if not seen:
        raise BadInput("the probe does not train in steps, so its training shows nothing: choose a network")
    return np.stack(seen).astype(np.float32)


def _cross_validated(train: TrainSet, learner: Learner, run: Run) -> Float32[np.ndarray, "n k"]:
    folds = list(_folds(train, run))
    unlabelled = np.flatnonzero(~train.labelled)
    probs = np.zeros((len(train), train.k))
    for number, (fitted, held_out) in enumerate(folds):
        rows = np.concatenate([held_out, unlabelled])
        found = _predicted(train, fitted, rows, learner, _surroundings(run, number, len(folds)))
        probs[held_out] = found[: len(held_out)]
        probs[unlabelled] += found[len(held_out) :] / len(folds)
    return probs.astype(np.float32)


def _folds(train: TrainSet, run: Run) -> Iterator[tuple[Int64[np.ndarray, " f"], Int64[np.ndarray, " h"]]]:
    """Yields the rows to fit on and the rows held out, stratified by class; fewer folds if a class has fewer rows."""
    labelled = np.flatnonzero(train.labelled)
    counts = np.bincount(train.classes[labelled], minlength=train.k)
    if (counts == 1).any():
        name = run.classes[int(np.flatnonzero(counts == 1)[0])]
        raise TrialFailed(f"the probe cannot be cross-validated: class {name!r} has one labelled row and needs two")
    if not len(labelled):
        raise TrialFailed("the probe cannot be cross-validated: the training set has no labelled row")
    seed = child_seed(stream(run.seed, "probe", "folds"))
    splitter = StratifiedKFold(min(run.protocol.folds, counts[counts > 0].min()), shuffle=True, random_state=seed)
    for fitted, held_out in splitter.split(labelled, train.classes[labelled]):
        yield labelled[fitted], labelled[held_out]


def _surroundings(run: Run, number: int, folds: int) -> Run:
    """Returns the run of one fold: its own streams, its share of the steps, no selection, no curve."""
    return replace(
        run,
        salt=f"{run.salt}/probe/{number}",
        steps=max(1, round(run.steps * (folds - 1) / folds)),
        protocol=replace(run.protocol, selection="last"),
        log=lambda _: None,
    )


def _glance(own: TrainSet) -> EvalSet:
    """Returns the probe's validation rows: some of its own training rows."""
    glance = own.rows(np.arange(min(GLANCE, len(own))))
    return EvalSet(ids=glance.ids, x=glance.x, y=glance.classes)


def _predicted(
    train: TrainSet, fitted: Int64[np.ndarray, " f"], rows: Int64[np.ndarray, " r"], learner: Learner, run: Run
) -> Float32[np.ndarray, "r k"]:
    """Returns the probabilities of `rows` from a probe trained on `fitted`; it sees no other label."""
    return _fitted(train, fitted, learner, run)(take(train.x, rows))


def _fitted(train: TrainSet, fitted: Int64[np.ndarray, " f"], learner: Learner, run: Run) -> Predict:
    """Returns the predictions of a probe trained on `fitted`; TrialFailed where one is not finite."""
    own = train.rows(fitted)
    fit = learner(own, _glance(own), run)

    def predict(rows: Rows) -> Float32[np.ndarray, "r k"]:
        probs = np.asarray(fit.predict(rows), dtype=np.float32)
        if not np.isfinite(probs).all():
            raise TrialFailed("the probe gave probabilities that are not finite; lower the lr or change the probe")
        return probs

    return predict
