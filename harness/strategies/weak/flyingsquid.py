"""FlyingSquid's label model: accuracies in closed form from the agreement of any three voters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Float64
from scipy.special import log_expit, logit, softmax

from harness.checks import one_of
from harness.data import ABSTAIN, TrainSet
from harness.errors import BadInput
from harness.strategies import Tools
from harness.strategies.weak.models import Prior, VoteModel, Votes, label_by_model

LEAST = 1e-8
"""Least joint probability of a vote and a side, as in the authors' software: none is impossible."""
LogOdds = Callable[[Votes], Float64[np.ndarray, "n k"]]
"""Votes to the log odds of each class against all others."""


def triplets(
    train: TrainSet,
    tools: Tools,
    *,
    average: str,
    no_overlap: str,
    prior: str | list[float],
    labels: str,
    ties: str,
) -> TrainSet:
    """Labels rows with a vote by the triplet method's posterior; rows without one stay unchanged.

    Fu et al. 2020, "Fast and three-rious", with abstentions (appendix C.1). Each class is separated from all others in
    turn, as in WRENCH. `average`: the `mean` or the `median` over the triplets that contain a voter. `no_overlap`: a
    triplet whose two other voters never vote on one row counts as accuracy 0 (`zero`, as in the authors' software), or
    not at all (`skip`). BadInput with fewer than three voters that vote at all.
    """
    fit = partial(fit_triplets, average=average, no_overlap=no_overlap)
    return label_by_model(train, tools, fit, prior=prior, labels=labels, ties=ties)


def fit_triplets(votes: Votes, prior: Prior, *, average: str, no_overlap: str) -> VoteModel:
    """Fits one two-sided model per class; the probabilities of the k first sides are normalised."""
    odds = fit_log_odds(votes, prior, average=average, no_overlap=no_overlap)
    return lambda new: softmax(log_expit(odds(new)), axis=1)


def fit_log_odds(votes: Votes, prior: Prior, *, average: str, no_overlap: str) -> LogOdds:
    """Fits one two-sided model per class; voters that never vote are ignored, then and later."""
    one_of("average", average, ("mean", "median"))
    one_of("no_overlap", no_overlap, ("zero", "skip"))
    heard = (votes != ABSTAIN).any(0)
    if heard.sum() < 3:
        raise BadInput(f"the triplet method needs three voters that vote; this task has {heard.sum()}")
    parts = [sides(votes[:, heard], c) for c in range(len(prior))]
    rates = [accuracies(part, average, no_overlap) for part in parts]
    weights = [_weights(joint(part, rate, q), q) for part, rate, q in zip(parts, rates, prior.tolist(), strict=True)]

    def odds(new: Votes) -> Float64[np.ndarray, "n k"]:
        sided = [sides(new[:, heard], c) for c in range(len(prior))]
        found = [(one == 1) @ for_it + (one == -1) @ other for one, (for_it, other) in zip(sided, weights, strict=True)]
        return np.stack(found, axis=1) + logit(prior)

    return odds


def sides(votes: Votes, c: int) -> Float64[np.ndarray, "n m"]:
    """Returns 1 for a vote for class c, -1 for a vote for another class, 0 for an abstention."""
    return np.where(votes == ABSTAIN, 0.0, np.where(votes == c, 1.0, -1.0))


def accuracies(sided: Float64[np.ndarray, "n m"], average: str, no_overlap: str) -> Float64[np.ndarray, " m"]:
    """Returns E[vote x side] of each voter over all rows, assumed to be better than chance; sides are +-1.

    With M the mean products of two votes over all rows, where an abstention is 0, a_i^2 = M_ij M_ik / M_jk for any j
    and k. So a voter gains by how often two others overlap with it, also where all votes of a voter name one class and
    votes that meet always agree. What a triplet counts whose M_jk is 0 is said by `no_overlap`.
    """
    products = sided.T @ sided / len(sided)
    return np.array([_of_one(products, i, average, no_overlap) for i in range(len(products))])


def _of_one(products: Float64[np.ndarray, "m m"], i: int, average: str, no_overlap: str) -> float:
    """Returns one voter's accuracy, averaged over the pairs of others; 0 if no pair counts."""
    others = np.delete(np.arange(len(products)), i)
    first, second = (others[place] for place in np.triu_indices(len(others), 1))
    among = products[first, second]
    squares = np.divide(products[i, first] * products[i, second], among, out=np.zeros_like(among), where=among != 0)
    found = np.sqrt(np.abs(squares))[(among != 0) | (no_overlap == "zero")]
    if not len(found):
        return 0.0
    return float(np.median(found) if average == "median" else found.mean())


def joint(
    sided: Float64[np.ndarray, "n m"], accuracy: Float64[np.ndarray, " m"], share: float
) -> Float64[np.ndarray, "2 2 m"]:
    """Returns `[v, y, j]`: how often voter j votes for (0) or against (1) a side that the row is on (0) or not (1).

    Four equations give the four numbers: how often the voter votes, how often for the side, that the side is as
    frequent (`share`) among the rows with a vote as among all (an abstention tells nothing), and the accuracy.
    Functions that vote for one class only break the third, so a number may be negative: its sign is dropped, as in the
    authors' software.
    """
    votes, votes_for = (sided != 0).mean(0), (sided == 1).mean(0)
    right = (votes + accuracy) / 2
    for_it = (right + votes_for + share * votes - votes) / 2
    found = np.array([[for_it, votes_for - for_it], [share * votes - for_it, right - for_it]])
    return np.maximum(np.abs(found), LEAST)


def _weights(
    table: Float64[np.ndarray, "2 2 m"], share: float
) -> tuple[Float64[np.ndarray, " m"], Float64[np.ndarray, " m"]]:
    """Returns what a vote for the side, and one against it, adds to the log odds of the side."""
    for_it, other = np.log(table[:, 0]) - np.log(table[:, 1]) - logit(share)
    return for_it, other
