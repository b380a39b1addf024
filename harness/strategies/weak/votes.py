"""Turns distributions from votes into labels; the only place where ties are broken.

A vote model turns the votes of a row into a distribution over the classes; `settle_labels` turns that distribution into
the label, by a rule from the configuration. Two parameters define the rule.

`labels`: `soft` keeps the whole distribution; `hard` keeps its most probable class.
`ties`: what `hard` does if several classes share the top: `soft` gives each of them an equal share (Snorkel's
`MajorityLabelVoter.predict_proba` does this), `random` draws one, `first` takes the lowest class index.
With `labels=soft` nothing is ever tied, so `ties` must then say `soft`; any other value would have no effect.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from harness.checks import one_of
from harness.data import TrainSet, one_hot
from harness.errors import BadInput

TIED = 1e-5
"""Probabilities closer than this are tied; Snorkel's `probs_to_preds` uses the same tolerance."""


def tally(train: TrainSet) -> Int64[np.ndarray, "n k"]:
    """Counts the votes of each class in each row; BadInput if there are no votes, or a vote names no class."""
    if train.votes.shape[1] == 0:
        raise BadInput("a weak strategy needs votes, but this task has none; choose weak=none or a task with votes")
    if train.votes.max(initial=-1) >= train.k or train.votes.min(initial=-1) < -1:
        raise BadInput(f"votes must lie in 0..{train.k - 1}, or be -1 to abstain; found {_outside(train)}")
    return np.stack([(train.votes == c).sum(1) for c in range(train.k)], axis=1).astype(np.int64)


def check_rule(labels: str, ties: str) -> None:
    """Raises BadInput unless the two parameters define a rule."""
    one_of("labels", labels, ("soft", "hard"))
    one_of("ties", ties, ("soft", "random", "first"))
    if labels == "soft" and ties != "soft":
        raise BadInput(f"ties={ties} has no effect with labels=soft, which breaks no tie; set ties=soft or labels=hard")


def settle_labels(
    probs: Float[np.ndarray, "n k"], rng: np.random.Generator, *, labels: str, ties: str
) -> Float32[np.ndarray, "n k"]:
    """Returns the labels (n, k) from a vote model's distributions, by the rule of `labels` and `ties`."""
    check_rule(labels, ties)
    if labels == "soft":
        return probs.astype(np.float32)
    best = probs >= probs.max(1, keepdims=True) - TIED
    if ties == "soft":
        return (best / best.sum(1, keepdims=True)).astype(np.float32)
    turn = rng.random(probs.shape) if ties == "random" else -np.arange(probs.shape[1])
    return one_hot(np.where(best, turn, -np.inf).argmax(1), probs.shape[1])


def give(train: TrainSet, rows: Bool[np.ndarray, " n"], labels: Float32[np.ndarray, "r k"]) -> TrainSet:
    """Returns the set with those rows labelled; a row without weight gets weight 1, others keep theirs."""
    y, w = train.y.copy(), train.w.copy()
    y[rows] = labels
    w[rows & (w == 0)] = 1
    return replace(train, y=y, w=w)


def _outside(train: TrainSet) -> int:
    """Returns the first vote that is neither a class nor an abstention."""
    return int(train.votes[(train.votes >= train.k) | (train.votes < -1)][0])
