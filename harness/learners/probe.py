"""Computes out-of-sample class probabilities of every training row with a probe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from harness.data import EvalSet, Rows, TrainSet, digest, take
from harness.errors import BadInput, TrialFailed
from harness.learners import Learner, Predict, Run
from harness.learners.folds import are_single, row_units, stratified_folds
from harness.storage.cache import are_distributions
from harness.streams import stream

FoldProbe = tuple[np.ndarray, Predict]
GLANCE = 32
"""Training rows that the probe gets in place of a validation set."""
ALL_PROBES = -1
"""The fold of a row that no probe has trained on, nor on any row of its unit."""


def out_of_sample(train: TrainSet, *, learner: Learner, run: Run, identity: Any) -> Float32[np.ndarray, "n k"]:
    """Returns each row's class probabilities from probes that did not train on it; read-only, computed at most once.

    Rows of one group, and rows of equal content, are one unit (see `folds.row_units`): a row is predicted by the probe
    that trained on no row of its unit, and by the mean of all probes if no row of its unit has a label. `identity`
    describes the learner, its protocol and its seed in JSON; with the digests of the set and of its units it names the
    result in `run.cache`. TrialFailed if the labelled rows of a class are a single unit, or a probe's probabilities are
    not finite.
    """
    units = row_units(train, run.groups)
    if train.augment is not None:  # A function has no content that could name the result.
        return _cross_validated(train, units, learner, run)
    parts = [train.digest(), identity, *([] if are_single(units) else [digest(units)])]
    return run.cache.array("pred_probs", parts, lambda: _cross_validated(train, units, learner, run), are_distributions)


def fold_probes(train: TrainSet, *, learner: Learner, run: Run) -> list[FoldProbe]:
    """Returns, for each fold, the labelled rows (h,) that its probe did not train on, and the probe itself.

    A probe predicts any rows (n, *d) in the form of the training rows, changed ones too. They are the probes of
    `out_of_sample`, trained anew: models are not cached. TrialFailed as there.
    """
    folds = _folds(train, row_units(train, run.groups), run)
    number = int(folds.max()) + 1

    def probe(fold: int) -> Predict:
        others = np.flatnonzero(train.labelled & (folds != fold))
        return _fitted(train, others, learner, _surroundings(run, fold, number))

    return [(np.flatnonzero(train.labelled & (folds == fold)), probe(fold)) for fold in range(number)]


def dynamics(train: TrainSet, *, learner: Learner, run: Run, identity: Any) -> Float32[np.ndarray, "e n k"]:
    """Returns each row's class probabilities at e points of the probe's training, about once per epoch.

    One probe trains on all labelled rows; results are cached and named as in `out_of_sample`. BadInput if the
    learner does not train in steps.
    """
    return run.cache.array(
        "dynamics", [train.digest(), identity], lambda: _watched(train, learner, run), are_distributions
    )


def _watched(train: TrainSet, learner: Learner, run: Run) -> Float32[np.ndarray, "e n k"]:
    seen: list[np.ndarray] = []
    own = replace(train.rows(train.labelled), augment=None)
    run = replace(_surroundings(run, 0, 1), steps=run.steps, watch=lambda predict: seen.append(predict(train.x)))
    learner(own, _glance(own), run)
    if not seen:
        raise BadInput("the probe does not train in steps, so its training shows nothing: choose a network")
    return np.stack(seen).astype(np.float32)


def _cross_validated(
    train: TrainSet, units: Int64[np.ndarray, " n"], learner: Learner, run: Run
) -> Float32[np.ndarray, "n k"]:
    folds = _folds(train, units, run)
    number, seen_by_none = int(folds.max()) + 1, np.flatnonzero(folds == ALL_PROBES)
    probs = np.zeros((len(train), train.k))
    for fold in range(number):
        held_out, fitted = np.flatnonzero(folds == fold), np.flatnonzero(train.labelled & (folds != fold))
        rows = np.concatenate([held_out, seen_by_none])
        found = _predicted(train, fitted, rows, learner, _surroundings(run, fold, number))
        probs[held_out] = found[: len(held_out)]
        probs[seen_by_none] += found[len(held_out) :] / number
    return probs.astype(np.float32)


def _folds(train: TrainSet, units: Int64[np.ndarray, " n"], run: Run) -> Int64[np.ndarray, " n"]:
    """Returns the fold in which each row is held out, stratified by class; fewer folds if a class has fewer units.

    A row without a label has the fold of the labelled rows of its unit, else `ALL_PROBES`.
    """
    labelled = np.flatnonzero(train.labelled)
    if not len(labelled):
        raise TrialFailed("the probe cannot be cross-validated: the training set has no labelled row")
    classes, rng = train.classes[labelled], stream(run.seed, "probe", "folds")
    for number in range(_most_folds(classes, units[labelled], run), 1, -1):
        found = stratified_folds(classes, units[labelled], number, rng)
        if all(len(np.unique(found[classes == label])) > 1 for label in np.unique(classes)):
            fold_of_unit = np.full(int(units.max()) + 1, ALL_PROBES)
            fold_of_unit[units[labelled]] = found
            return np.asarray(fold_of_unit[units])
    raise TrialFailed(
        "the probe cannot be cross-validated: groups hold rows of several classes, so that in every division into "
        "folds a class lies in one fold only; divide the groups further, or use a strategy without a probe"
    )


def _most_folds(classes: Int64[np.ndarray, " l"], units: Int64[np.ndarray, " l"], run: Run) -> int:
    """Returns the number of folds: that of the protocol, or of the units of the class with the fewest."""
    number = run.protocol.folds
    for label in np.unique(classes).tolist():
        here = units[classes == label]
        name, apart = run.classes[label], len(np.unique(here))
        if len(here) == 1:
            raise TrialFailed(f"the probe cannot be cross-validated: class {name!r} has one labelled row and needs two")
        if apart == 1:
            raise TrialFailed(
                f"the probe cannot be cross-validated: the {len(here)} labelled rows of class {name!r} are of one "
                "group, or repeat one row, and rows that belong together are never divided; it needs two groups"
            )
        number = min(number, apart)
    return number


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
