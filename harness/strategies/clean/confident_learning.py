"""Confident learning: finds rows whose given label disagrees with the probe's out-of-sample probabilities.

Northcutt, Jiang & Chuang 2021, "Confident learning: estimating uncertainty in dataset labels", through cleanlab. The
given label of a row is its most probable class; rows without a label are ignored.
"""

from __future__ import annotations

import warnings

import numpy as np
from cleanlab.count import compute_confident_joint
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from jaxtyping import Bool, Float, Float64

from harness.checks import one_of
from harness.data import TrainSet
from harness.strategies import Tools
from harness.strategies.clean.label_errors import Suspects

JOINT = "confident_joint"
FILTERS = (
    "prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given",
    "low_normalized_margin", "low_self_confidence", JOINT,
)  # fmt: skip
"""Cleanlab's names of the pruning rules, and the paper's own use of the confident joint."""


def confident_learning(train: TrainSet, tools: Tools, *, filter_by: str) -> Suspects:
    """Finds the rows that the pruning rule flags; quality is self-confidence, minus 1 for flagged rows.

    So a requested share takes flagged rows first.
    """
    probs = tools.pred_probs(train)
    rows = flag_label_errors(train, probs, filter_by)
    return Suspects(label_quality(train, probs, "self_confidence") - rows, rows)


def scored(train: TrainSet, tools: Tools, *, method: str) -> Suspects:
    """Scores rows by cleanlab: `self_confidence`, `normalized_margin` or `confidence_weighted_entropy`."""
    one_of("method", method, ("self_confidence", "normalized_margin", "confidence_weighted_entropy"))
    return Suspects(label_quality(train, tools.pred_probs(train), method))


def flag_label_errors(train: TrainSet, probs: Float[np.ndarray, "n k"], filter_by: str) -> Bool[np.ndarray, " n"]:
    """Flags each labelled row that the rule suspects; at least one row per class is spared.

    `confident_joint` flags what lies off the diagonal of the confident joint, as the paper does; cleanlab's
    `confident_learning` spares those of them whose most probable class is the given one. It runs in one
    process, so nothing is forked; a class too small to judge is skipped without a warning, because the receipts show
    what was not flagged.
    """
    one_of("filter_by", filter_by, FILTERS)
    issues, rows = np.zeros(len(train), dtype=bool), np.flatnonzero(train.labelled)
    given, proper = train.classes[rows], _proper(probs[rows])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "May not flag all label issues in class", UserWarning)
        if filter_by == JOINT:
            _, off = compute_confident_joint(given, proper, return_indices_of_off_diagonals=True)
            issues[rows[off]] = True
        else:
            issues[rows] = find_label_issues(given, proper, filter_by=filter_by, n_jobs=1)
    return issues


def label_quality(train: TrainSet, probs: Float[np.ndarray, "n k"], method: str) -> Float64[np.ndarray, " n"]:
    """Returns the label quality by cleanlab's name (low = suspect); inf without a label."""
    quality, rows = np.full(len(train), np.inf), np.flatnonzero(train.labelled)
    quality[rows] = get_label_quality_scores(train.classes[rows], _proper(probs[rows]), method=method)
    return quality


def _proper(probs: Float[np.ndarray, "n k"]) -> Float64[np.ndarray, "n k"]:
    """Returns doubles within [0, 1]: single precision may exceed it by rounding, which cleanlab refuses."""
    return np.clip(probs.astype(np.float64), 0, 1)
