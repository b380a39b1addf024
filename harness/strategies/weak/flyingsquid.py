"""FlyingSquid's label model: accuracies in closed form from the agreement of any three voters."""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float64
from scipy.special import expit

from harness.checks import one_of
from harness.data import ABSTAIN, TrainSet
from harness.errors import BadInput
from harness.strategies import Tools
from harness.strategies.weak.models import Prior, Probs, VoteModel, Votes, label_by_model, normalise

MOST_ACCURACY = 0.99
"""Highest accuracy (as a correlation with the class) that agreement alone may assign to a voter."""


def triplets(
    train: TrainSet, tools: Tools, *, average: str, prior: str | list[float], labels: str, ties: str
) -> TrainSet:
    """Labels rows with a vote by the triplet method's posterior; rows without one stay unchanged.

    Fu et al. 2020, "Fast and three-rious". Each class is separated from all others in turn. `average`: the `mean`
    or the `median` over the triplets that contain a voter. BadInput with fewer than three voters.
    """
    return label_by_model(train, tools, partial(fit_triplets, average=average), prior=prior, labels=labels, ties=ties)


def fit_triplets(votes: Votes, prior: Prior, *, average: str) -> VoteModel:
    """Fits one two-sided model per class; the probabilities of the k first sides are normalised."""
    one_of("average", average, ("mean", "median"))
    if votes.shape[1] < 3:
        raise BadInput(f"the triplet method needs three voters; this task has {votes.shape[1]}")
    weights = np.stack([_log_odds(accuracies(sides(votes, c), average)) for c in range(len(prior))])
    start = np.log(prior) - np.log1p(-prior)

    def model(new: Votes) -> Probs:
        return normalise(expit(np.stack([sides(new, c) @ own for c, own in enumerate(weights)], axis=1) + start))

    return model


def sides(votes: Votes, c: int) -> Float64[np.ndarray, "n m"]:
    """Returns 1 for a vote for class c, -1 for a vote for another class, 0 for an abstention."""
    return np.where(votes == ABSTAIN, 0.0, np.where(votes == c, 1.0, -1.0))


def accuracies(sided: Float64[np.ndarray, "n m"], average: str) -> Float64[np.ndarray, " m"]:
    """Returns E[vote x side | vote] of each voter, assumed to be better than chance; sides are +-1.

    With M the mean products of two votes where both vote, a_i^2 = M_ij M_ik / M_jk for any j and k. A voter in no
    triplet gets the median of the others.
    """
    both = np.abs(sided).T @ np.abs(sided)
    products = np.divide(sided.T @ sided, both, out=np.full_like(both, np.nan), where=both > 0)
    np.fill_diagonal(products, np.nan)
    products[np.abs(products) < 1e-3] = np.nan  # a product near 0 carries no information, and would divide by 0
    found = np.array([_of_one(products, i, average) for i in range(len(products))])
    rest = np.median(found[~np.isnan(found)]) if not np.isnan(found).all() else 0.0
    return np.clip(np.where(np.isnan(found), rest, found), 0, MOST_ACCURACY)


def _of_one(products: Float64[np.ndarray, "m m"], i: int, average: str) -> float:
    """Returns one voter's accuracy, averaged over the pairs of others; nan without such a pair."""
    squares = np.abs(np.outer(products[i], products[i]) / products)
    known = np.sqrt(squares[np.triu_indices(len(squares), 1)])
    known = known[~np.isnan(known)]
    if not len(known):
        return np.nan
    return float(np.median(known) if average == "median" else np.minimum(known, 1).mean())


def _log_odds(accuracy: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, " m"]:
    """Returns what one vote adds to the log odds of its side."""
    return np.log1p(accuracy) - np.log1p(-accuracy)
