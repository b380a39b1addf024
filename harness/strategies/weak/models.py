"""Shared parts of all label models: a class prior, posteriors by Bayes' rule, and labels in a training set.

A model is fitted once, `fit(votes (n, m), prior (k,)) -> VoteModel`, and may then be applied to new votes. Only
`label_by_model`, which writes a model's answers into a training set, and `class_prior` know training sets.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float64, Int8, Int64
from scipy.special import softmax

from harness.checks import one_of
from harness.data import TrainSet
from harness.errors import BadInput
from harness.strategies import Tools
from harness.strategies.weak.votes import check_rule, give, settle_labels, tally

Votes = Int8[np.ndarray, "n m"]
Probs = Float64[np.ndarray, "n k"]
Prior = Float64[np.ndarray, " k"]
VoteModel = Callable[[Votes], Probs]
"""Votes (n, m), -1 for an abstention, to class probabilities (n, k)."""
VoteModelFit = Callable[[Votes, Prior], VoteModel]
PRIORS = ("uniform", "given", "valid")
VOTED, WHOLE_POOL = "voted", "pool"
"""The training rows that a model is fitted on; see `label_by_model`."""


def label_by_model(
    train: TrainSet, tools: Tools, fit: VoteModelFit, *, prior: str | list[float], labels: str, ties: str,
    rows: str = VOTED,
) -> TrainSet:  # fmt: skip
    """Labels rows with a vote by the model; rows without one stay unchanged.

    `rows`, those that the model is fitted on: `voted`, the rows with a vote, or `pool`, also those on which all voters
    abstain, which tell how often each of them does. Of these, labelled rows are left out: labelling functions may never
    have seen them. `prior`: see `class_prior`; `labels` and `ties`: see `weak.votes`. BadInput if no row has a vote.
    """
    check_rule(labels, ties)
    one_of("rows", rows, (VOTED, WHOLE_POOL))
    voted = tally(train).sum(1) > 0
    if not voted.any():
        raise BadInput("no row of the training set has a vote, so a label model has nothing to learn from")
    seen = voted if rows == VOTED else voted | ~train.labelled
    model = fit(np.asarray(train.votes[seen]), class_prior(prior, train, tools))
    probs = model(np.asarray(train.votes[voted]))
    return give(train, voted, settle_labels(probs, tools.rng, labels=labels, ties=ties))


def class_prior(prior: str | list[float], train: TrainSet, tools: Tools) -> Prior:
    """Returns the assumed probability of each class before any vote is read.

    `uniform`; `given`: the labelled rows of the training set, by their labels and weights; `valid`: the validation
    labels, which are then entered in the ledger (the option must declare `needs: [valid]`); or k shares, as a list.
    One is added to the count of each class, so that none is impossible.
    """
    if not isinstance(prior, str):
        return _shares(prior, train.k)
    one_of("prior", prior, PRIORS)
    counts = np.zeros(train.k)
    if prior == "given":
        if not train.labelled.any():
            raise BadInput("prior=given needs labelled rows, but the training set has none; set prior=uniform")
        counts = train.w.astype(np.float64) @ train.y
    elif prior == "valid":
        counts = np.bincount(tools.valid().y, minlength=train.k).astype(np.float64)
    return (counts + 1) / (counts + 1).sum()


def _shares(prior: list[float], k: int) -> Prior:
    """Returns the user's shares; BadInput unless they are k positive numbers that sum to 1."""
    shares = np.asarray(prior, dtype=np.float64)
    if shares.shape != (k,) or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise BadInput(f"prior={list(prior)} must be {k} numbers above 0 that sum to 1, one per class")
    return shares / shares.sum()


def indicators(votes: Votes, symbols: range) -> Float64[np.ndarray, "s n m"]:
    """Returns `[s, i, j]`: 1 if voter j gave row i the symbol at place s."""
    return np.stack([votes == symbol for symbol in symbols]).astype(np.float64)


def shares_of_votes(votes: Votes, k: int) -> Probs:
    """Returns the share of each class among a row's votes; uniform for rows without a vote."""
    counts = indicators(votes, range(k)).sum(2).T
    return normalise(counts)


def normalise(scores: Float[np.ndarray, "n k"]) -> Probs:
    """Turns scores >= 0 into distributions; uniform for a row of zeros."""
    total = scores.sum(1, keepdims=True)
    return np.where(total > 0, scores / np.where(total > 0, total, 1), 1 / scores.shape[1])


def majority(shares: Probs) -> Probs:
    """Returns the most probable class of each row as a hard label; tied classes share it equally."""
    return normalise((shares >= shares.max(1, keepdims=True) - 1e-9).astype(np.float64))


def patterns(votes: Votes) -> tuple[Int8[np.ndarray, "u m"], Int64[np.ndarray, " u"]]:
    """Returns the distinct rows of votes and their counts, which is all that a model of votes can distinguish."""
    return np.unique(votes, axis=0, return_counts=True)


def by_bayes(cast: Float64[np.ndarray, "s n m"], table: Float64[np.ndarray, "s m k"], prior: Prior) -> Probs:
    """Returns class probabilities for voters independent given the class; uniform for rows impossible under all.

    `table[s, j, c]` is the probability that voter j gives symbol s if the class is c.
    """
    found = evidence(cast, table, prior)
    found[np.isneginf(found).all(1)] = 0
    return softmax(found, axis=1)


def evidence(
    cast: Float64[np.ndarray, "s n m"], table: Float64[np.ndarray, "s m k"], prior: Prior
) -> Float64[np.ndarray, "n k"]:
    """Returns the log joint probability of a row's votes and each class, summed in logarithms against underflow."""
    possible = table > 0
    shares = np.log(prior, out=np.full(len(prior), -np.inf), where=prior > 0)  # EM may leave a class without any row
    found = np.matmul(cast, np.log(np.where(possible, table, 1))).sum(0) + shares
    if not possible.all():
        found[np.matmul(cast, (~possible).astype(np.float64)).sum(0) > 0] = -np.inf
    return found
