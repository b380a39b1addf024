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
from harness.vote_triples import VoteTriples, triples

TIED = 1e-5
"""Probabilities closer than this are tied; Snorkel's `probs_to_preds` uses the same tolerance."""


def votes_of(train: TrainSet) -> VoteTriples:
    """Returns the set's votes as triples; BadInput if there are none, or a vote names no class."""
    votes = triples(train.votes)
    if votes.width == 0:
        raise BadInput("a weak strategy needs votes, but this task has none; choose weak=none or a task with votes")
    if votes.labels.max(initial=0) >= train.k or votes.labels.min(initial=0) < 0:
        outside = votes.labels[(votes.labels >= train.k) | (votes.labels < 0)][0]
        raise BadInput(f"votes must lie in 0..{train.k - 1}, or be -1 to abstain; found {int(outside)}")
    return votes


def tally(train: TrainSet) -> Int64[np.ndarray, "n k"]:
    """Counts the votes of each class in each row; BadInput if there are no votes, or a vote names no class."""
    counts = np.zeros((len(train), train.k), dtype=np.int64)
    for rows, block in votes_of(train).blocks():
        cells = np.bincount(block.rows * train.k + block.labels, minlength=len(block) * train.k)
        counts[rows] = cells.reshape(len(block), train.k)
    return counts


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
