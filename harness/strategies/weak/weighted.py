"""Votes that count by a weight: of the class that they name, or of the voter who casts them."""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float64

from harness.checks import one_of
from harness.data import TrainSet
from harness.strategies import Tools
from harness.strategies.weak.models import Model, Prior, Votes, indicators, label, majority, normalised, shares_of_votes


def weighted_vote(
    train: TrainSet, tools: Tools, *, voters: str, prior: str | list[float], labels: str, ties: str
) -> TrainSet:
    """Rows with a vote take the class whose votes weigh most; rows without one stay as they are.

    A vote weighs what its class is worth (`prior`, see `weak.models.class_prior`) times what its voter is worth:
    all the same (`equal`; with `prior=valid` that is WRENCH's weighted majority vote), or the share of his votes that
    agree with the majority of theirs (`agreement`, known as Wawa).
    """
    fit = partial(fit_weighted_vote, voters=voters)
    return label(train, tools, fit, prior=prior, labels=labels, ties=ties)


def fit_weighted_vote(votes: Votes, prior: Prior, *, voters: str) -> Model:
    """The model whose probabilities are the shares of the weighted votes; uniform in a row without a vote."""
    one_of("voters", voters, ("equal", "agreement"))
    weights = np.ones(votes.shape[1]) if voters == "equal" else agreement(votes, len(prior))
    return lambda new: normalised((indicators(new, range(len(prior))) @ weights).T * prior)


def agreement(votes: Votes, k: int) -> Float64[np.ndarray, " m"]:
    """The share of each voter's votes that agree with the row's majority, a tied one in part; 0 for who never votes."""
    y = majority(shares_of_votes(votes, k))
    cast = indicators(votes, range(k))
    agreed, number = np.einsum("snm,ns->m", cast, y), cast.sum((0, 1))
    return agreed / np.maximum(number, 1)
