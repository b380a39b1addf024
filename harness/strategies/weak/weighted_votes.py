"""Weighs votes by their class or by their voter."""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float64

from harness.checks import one_of
from harness.data import TrainSet
from harness.strategies import Tools
from harness.strategies.weak.models import (
    VOTED,
    Prior,
    Probs,
    VoteModel,
    Votes,
    blockwise,
    label_by_model,
    majority,
    normalise,
    shares_of_votes,
    sum_by_label,
)
from harness.vote_triples import VoteTriples, triples


def weighted_vote(
    train: TrainSet, tools: Tools, *, voters: str, prior: str | list[float], labels: str, ties: str
) -> TrainSet:
    """Labels rows with a vote by the class with the largest weight of votes; rows without one stay unchanged.

    The weight of a vote is that of its class (`prior`, see `weak.models.class_prior`) times that of its voter: equal
    for all (`equal`; with `prior=valid` this is WRENCH's weighted majority vote), or the share of the voter's votes
    that agree with the majority (`agreement`, known as Wawa).
    """
    fit = partial(fit_weighted_vote, voters=voters)
    return label_by_model(train, tools, fit, prior=prior, labels=labels, ties=ties, rows=VOTED)


def fit_weighted_vote(votes: Votes, prior: Prior, *, voters: str) -> VoteModel:
    """Fits the model whose probabilities are shares of weighted votes; uniform for a row without a vote."""
    one_of("voters", voters, ("equal", "agreement"))
    weights = np.ones(votes.shape[1]) if voters == "equal" else agreement(votes, len(prior))
    k = len(prior)

    def probs(block: VoteTriples) -> Probs:
        return normalise(sum_by_label(block, weights[block.voters], k) * prior)

    return lambda new: blockwise(triples(new), k, probs)


def agreement(votes: Votes, k: int) -> Float64[np.ndarray, " m"]:
    """Returns the share of each voter's votes that agree with the row's majority, ties in part; 0 without votes."""
    agreed, number = np.zeros(votes.shape[1]), np.zeros(votes.shape[1])
    for _, block in triples(votes).blocks():
        y = majority(shares_of_votes(block, k))
        agreed += np.bincount(block.voters, weights=y[block.rows, block.labels], minlength=len(agreed))
        number += np.bincount(block.voters, minlength=len(number))
    return agreed / np.maximum(number, 1)
