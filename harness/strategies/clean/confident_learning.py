"""Confident learning: rows whose given label the probe's out-of-sample probabilities speak against.

Northcutt, Jiang & Chuang 2021, "Confident learning: estimating uncertainty in dataset labels", through cleanlab. The
given label of a row is its most probable class; rows without a label are never looked at.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from jaxtyping import Bool, Float, Float64

from harness.data import TrainSet, one_hot
from harness.strategies import Tools
from harness.strategies.checks import one_of

FILTERS = (
    "prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given",
    "low_normalized_margin", "low_self_confidence",
)  # fmt: skip


def confident(train: TrainSet, tools: Tools, *, filter_by: str) -> TrainSet:
    """The set without the rows that confident learning flags; `filter_by` is cleanlab's name of the pruning rule."""
    return train.rows(~flagged(train, tools.pred_probs(train), filter_by))


def relabel(train: TrainSet, tools: Tools, *, filter_by: str) -> TrainSet:
    """The same rows, those that confident learning flags carrying the probe's most probable class as a hard label."""
    probs = tools.pred_probs(train)
    rows, y = flagged(train, probs, filter_by), train.y.copy()
    y[rows] = one_hot(probs[rows].argmax(1), train.k)
    return replace(train, y=y)


def flagged(train: TrainSet, probs: Float[np.ndarray, "n k"], filter_by: str) -> Bool[np.ndarray, " n"]:
    """True for each labelled row that cleanlab takes for a label error; at least one row a class is left alone.

    In one process, so that nothing is forked; a class too small to judge is passed over without a warning, because
    what was not flagged is in the receipts anyway.
    """
    one_of("filter_by", filter_by, FILTERS)
    issues, rows = np.zeros(len(train), dtype=bool), np.flatnonzero(train.labelled)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "May not flag all label issues in class", UserWarning)
        issues[rows] = find_label_issues(train.classes[rows], _proper(probs[rows]), filter_by=filter_by, n_jobs=1)
    return issues


def self_confidence(train: TrainSet, probs: Float[np.ndarray, "n k"]) -> Float64[np.ndarray, " n"]:
    """The label quality (cleanlab's, low = suspect): the probability of the given label; inf without a label."""
    quality, rows = np.full(len(train), np.inf), np.flatnonzero(train.labelled)
    quality[rows] = get_label_quality_scores(train.classes[rows], _proper(probs[rows]), method="self_confidence")
    return quality


def _proper(probs: Float[np.ndarray, "n k"]) -> Float64[np.ndarray, "n k"]:
    """Double precision inside [0, 1]: single precision may exceed it by a rounding, which cleanlab refuses."""
    return np.clip(probs.astype(np.float64), 0, 1)
