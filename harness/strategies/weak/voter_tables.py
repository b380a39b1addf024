"""Label models with a table per voter: the distribution of votes given the class.

Dawid & Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm".
"""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float64

from harness.checks import one_of, within
from harness.data import ABSTAIN, TrainSet
from harness.errors import BadInput
from harness.strategies import Tools
from harness.strategies.weak.models import (
    Prior,
    Probs,
    VoteModel,
    Votes,
    by_bayes,
    indicators,
    label_by_model,
    majority,
    patterns,
    shares_of_votes,
)

ESTIMATED = "estimated"


def dawid_skene(
    train: TrainSet,
    tools: Tools,
    *,
    coins: str,
    abstain: str,
    smoothing: float,
    tolerance: float,
    iterations: int,
    rows: str,
    prior: str | list[float],
    labels: str,
    ties: str,
) -> TrainSet:
    """Labels rows with a vote by the posterior of a model fitted by EM; rows without one stay unchanged.

    `coins`: a voter has a full confusion matrix (`many`), or one accuracy for all classes (`one`). `abstain`: an
    abstention is a `symbol` that carries information about the class, or is left out (`ignore`). `smoothing` is added
    to every count; EM ends when prior and tables together change by less than `tolerance`, or after `iterations`.
    `rows`, those that EM learns from: see `weak.models.label_by_model`. `prior`: `estimated` by EM too, else see
    `weak.models.class_prior`.
    """
    fit = partial(
        fit_dawid_skene, coins=coins, abstain=abstain, smoothing=smoothing, tolerance=tolerance, iterations=iterations,
        estimated=prior == ESTIMATED,
    )  # fmt: skip
    shares = "uniform" if prior == ESTIMATED else prior
    return label_by_model(train, tools, fit, prior=shares, labels=labels, ties=ties, rows=rows)


def naive_bayes(
    train: TrainSet,
    tools: Tools,
    *,
    teacher: str,
    abstain: str,
    smoothing: float,
    prior: str | list[float],
    labels: str,
    ties: str,
) -> TrainSet:
    """Labels rows with a vote by naive Bayes on the votes; rows without one stay unchanged.

    The voters' tables are counted once, against a `teacher`: the `majority` of each row's votes, or the `given`
    labels of labelled rows, with their weights. BadInput if no labelled row has a vote.
    """
    one_of("teacher", teacher, ("majority", "given"))
    taught = train.labelled & (train.votes != ABSTAIN).any(1)
    if teacher == "given" and not taught.any():
        raise BadInput("teacher=given needs labelled rows with votes, but there are none; set teacher=majority")

    def fit(votes: Votes, shares: Prior) -> VoteModel:
        y, shown = majority(shares_of_votes(votes, train.k)), votes
        if teacher == "given":
            y, shown = (train.y * train.w[:, np.newaxis])[taught].astype(np.float64), np.asarray(train.votes[taught])
        return fit_naive_bayes(shown, shares, y=y, abstain=abstain, smoothing=smoothing)

    return label_by_model(train, tools, fit, prior=prior, labels=labels, ties=ties)


def fit_dawid_skene(
    votes: Votes,
    prior: Prior,
    *,
    coins: str,
    abstain: str,
    smoothing: float,
    tolerance: float,
    iterations: int,
    estimated: bool,
) -> VoteModel:
    """Fits the model by EM, starting from the shares of the votes; parameters as in `dawid_skene`.

    If EM estimates the prior, `prior` only gives the number of classes.
    """
    _check(coins, abstain, smoothing, iterations)
    symbols = _symbols(abstain, len(prior))
    rows, counts = patterns(votes)
    cast, y = indicators(rows, symbols), shares_of_votes(rows, len(prior))
    shares, table = prior, np.zeros((len(symbols), votes.shape[1], len(prior)))
    for _ in range(iterations):
        before = shares, table
        shares = counts @ y / counts.sum() if estimated else prior
        table = _tables(cast, y * counts[:, np.newaxis], coins, smoothing)
        y = by_bayes(cast, table, shares)
        if np.abs(shares - before[0]).sum() + np.abs(table - before[1]).sum() < tolerance:
            break
    return lambda new: by_bayes(indicators(new, symbols), table, shares)


def fit_naive_bayes(votes: Votes, prior: Prior, *, y: Probs, abstain: str, smoothing: float) -> VoteModel:
    """Fits the model whose tables are counted on `votes` under the labels `y`, which may be soft and weighted."""
    _check("many", abstain, smoothing, 1)
    symbols = _symbols(abstain, len(prior))
    table = _tables(indicators(votes, symbols), y, "many", smoothing)
    return lambda new: by_bayes(indicators(new, symbols), table, prior)


def _tables(cast: Float64[np.ndarray, "s n m"], y: Probs, coins: str, smoothing: float) -> Float64[np.ndarray, "s m k"]:
    """Returns `[s, j, c]`: how often voter j gives symbol s for class c, smoothed; 0 for a voter never seen."""
    counts = np.matmul(cast.transpose(0, 2, 1), y) + smoothing
    total = counts.sum(0, keepdims=True)
    if coins == "many":
        return np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    k = y.shape[1]
    right, cast_in_all = np.einsum("cjc->j", counts), total.sum((0, 2))
    accuracy = np.divide(right, cast_in_all, out=np.full_like(right, 1 / k), where=cast_in_all > 0)
    same = np.eye(k)[:, np.newaxis, :]
    return same * accuracy[:, np.newaxis] + (1 - same) * (1 - accuracy[:, np.newaxis]) / (k - 1)


def _symbols(abstain: str, k: int) -> range:
    return range(ABSTAIN, k) if abstain == "symbol" else range(k)


def _check(coins: str, abstain: str, smoothing: float, iterations: int) -> None:
    """Raises BadInput unless the parameters define a model."""
    one_of("coins", coins, ("many", "one"))
    one_of("abstain", abstain, ("symbol", "ignore"))
    within("smoothing", smoothing, 0, np.inf)
    within("iterations", iterations, 1, np.inf)
    if coins == "one" and abstain == "symbol":
        raise BadInput("coins=one has no symbol for abstentions; set abstain=ignore")
