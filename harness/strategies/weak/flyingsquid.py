"""FlyingSquid's label model: accuracies in closed form from the agreement of any three voters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Float64
from scipy.special import log_expit, logit, softmax

from harness.checks import one_of
from harness.data import TrainSet
from harness.errors import BadInput
from harness.strategies import Tools
from harness.strategies.weak.models import VOTED, Prior, VoteModel, Votes, by_code, label_by_model
from harness.vote_triples import VoteTriples, triples

LEAST = 1e-8
"""Least joint probability of a vote and a side, as in the authors' software: none is impossible."""
CELLS_AT_ONCE = 2**22
"""Cells of a block of rows times all voters that are written out at once."""
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
    return label_by_model(train, tools, fit, prior=prior, labels=labels, ties=ties, rows=VOTED)


def fit_triplets(votes: Votes, prior: Prior, *, average: str, no_overlap: str) -> VoteModel:
    """Fits one two-sided model per class; the probabilities of the k first sides are normalised."""
    odds = fit_log_odds(votes, prior, average=average, no_overlap=no_overlap)
    return lambda new: softmax(log_expit(odds(new)), axis=1)


def fit_log_odds(votes: Votes, prior: Prior, *, average: str, no_overlap: str) -> LogOdds:
    """Fits one two-sided model per class; voters that never vote are ignored, then and later."""
    one_of("average", average, ("mean", "median"))
    one_of("no_overlap", no_overlap, ("zero", "skip"))
    shown, k = triples(votes), len(prior)
    heard = np.flatnonzero(np.bincount(shown.voters, minlength=shown.width))
    if len(heard) < 3:
        raise BadInput(f"the triplet method needs three voters that vote; this task has {len(heard)}")
    cast, named = [counts[:, heard] / len(shown) for counts in vote_counts(shown, k)]
    weights = np.zeros((k, shown.width, k))
    for c, share in enumerate(prior.tolist()):
        accuracy = accuracies(mean_products(shown, c)[np.ix_(heard, heard)], average, no_overlap)
        for_it, other = _weights(joint(cast[0], named[c], accuracy, share), share)
        weights[:, heard, c] = other
        weights[c, heard, c] = for_it
    by_vote = weights.reshape(k * shown.width, k)
    return lambda new: by_code(triples(new), k, lambda rows, block: block @ by_vote) + logit(prior)


def vote_counts(votes: VoteTriples, k: int) -> tuple[Float64[np.ndarray, "1 m"], Float64[np.ndarray, "k m"]]:
    """Returns the number of votes of each voter, and of those for each class."""
    codes = votes.labels.astype(np.int64) * votes.width + votes.voters
    named = np.bincount(codes, minlength=k * votes.width).reshape(k, -1).astype(np.float64)
    return named.sum(0, keepdims=True), named


def mean_products(votes: VoteTriples, c: int) -> Float64[np.ndarray, "m m"]:
    """Returns the mean product of two voters' votes over all rows.

    A vote is 1 for class c, -1 for another class, and an abstention is 0.
    """
    found = np.zeros((votes.width, votes.width))
    for _, block in votes.blocks(max(1, CELLS_AT_ONCE // max(votes.width, 1))):
        sided = np.zeros(block.shape)
        sided[block.rows, block.voters] = np.where(block.labels == c, 1.0, -1.0)
        found += sided.T @ sided
    return found / len(votes)


def accuracies(products: Float64[np.ndarray, "m m"], average: str, no_overlap: str) -> Float64[np.ndarray, " m"]:
    """Returns E[vote x side] of each voter over all rows, assumed to be better than chance; sides are +-1.

    With M the `products`, see `mean_products`, a_i^2 = M_ij M_ik / M_jk for any j and k. So a voter gains by how often
    two others overlap with it, also where all votes of a voter name one class and votes that meet always agree.
    `no_overlap` says what a triplet counts whose M_jk is 0.
    """
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
    votes: Float64[np.ndarray, " m"],
    votes_for: Float64[np.ndarray, " m"],
    accuracy: Float64[np.ndarray, " m"],
    share: float,
) -> Float64[np.ndarray, "2 2 m"]:
    """Returns `[v, y, j]`: how often voter j votes for (0) or against (1) a side that the row is on (0) or not (1).

    Four equations give the four numbers: how often the voter votes (`votes`), how often for the side (`votes_for`),
    that the side is as frequent (`share`) among the rows with a vote as among all (an abstention tells nothing), and
    the accuracy. Functions that vote for one class only break the third, so a number may be negative: its sign is
    dropped, as in the authors' software.
    """
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
