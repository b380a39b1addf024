"""Label models with a table per voter: the distribution of votes given the class.

Dawid & Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import softmax

from harness.checks import one_of, within
from harness.data import TrainSet
from harness.errors import BadInput
from harness.strategies import Tools
from harness.strategies.weak.models import (
    VOTED,
    Blocks,
    Posterior,
    Prior,
    Probs,
    RowWeights,
    VoteModel,
    Votes,
    blockwise,
    by_bayes,
    by_code,
    code_blocks,
    expected_abstentions,
    expected_counts,
    label_by_model,
    majority,
    patterns,
    shares_of_votes,
    sum_by_label,
    vote_shares,
)
from harness.vote_triples import VoteTriples, triples

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
    taught = train.labelled & (triples(train.votes).sizes > 0)
    if teacher == "given" and not taught.any():
        raise BadInput("teacher=given needs labelled rows with votes, but there are none; set teacher=majority")

    def fit(votes: Votes, shares: Prior) -> VoteModel:
        y, shown = majority(shares_of_votes(votes, train.k)), votes
        if teacher == "given":
            y, shown = (train.y * train.w[:, np.newaxis])[taught].astype(np.float64), triples(train.votes).on(taught)
        return fit_naive_bayes(shown, shares, y=y, abstain=abstain, smoothing=smoothing)

    return label_by_model(train, tools, fit, prior=prior, labels=labels, ties=ties, rows=VOTED)


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
    rows, weights = patterns(triples(votes))
    if coins == "one":
        return _fit_one_coin(
            rows, weights, prior,
            smoothing=smoothing, tolerance=tolerance, iterations=iterations, estimated=estimated,
        )  # fmt: skip
    k = len(prior)
    blocks, posterior = code_blocks(rows, k), vote_shares(rows.width, k)
    shares, table = prior, np.zeros((k + (abstain == "symbol"), rows.width, k))
    for _ in range(iterations):
        before = shares, table
        table, totals = _count_tables(blocks, weights, posterior, (k, rows.width), abstain, smoothing)
        shares = totals / weights.sum() if estimated else prior
        posterior = by_bayes(table, shares)
        if np.abs(shares - before[0]).sum() + np.abs(table - before[1]).sum() < tolerance:
            break
    return lambda new: by_code(triples(new), k, posterior)


def fit_naive_bayes(votes: Votes, prior: Prior, *, y: Probs, abstain: str, smoothing: float) -> VoteModel:
    """Fits the model whose tables are counted on `votes` under the labels `y`, which may be soft and weighted."""
    _check("many", abstain, smoothing, 1)
    rows, k = triples(votes), len(prior)
    blocks = code_blocks(rows, k)
    table, _ = _count_tables(blocks, np.ones(len(rows)), lambda part, _: y[part], (k, rows.width), abstain, smoothing)
    posterior = by_bayes(table, prior)
    return lambda new: by_code(triples(new), k, posterior)


def _count_tables(
    blocks: Blocks,
    weights: RowWeights,
    posterior: Posterior,
    shape: tuple[int, int],
    abstain: str,
    smoothing: float,
) -> tuple[Float64[np.ndarray, "s m k"], Float64[np.ndarray, " k"]]:
    """Returns the voters' tables, counted under a posterior and smoothed, and the rows of each class.

    A table is 0 for a voter who is never seen.
    """
    given, totals = expected_counts(blocks, weights, posterior, shape)
    counts = given
    if abstain == "symbol":
        counts = np.concatenate([[expected_abstentions(blocks, weights, posterior, given, totals)], given])
    counts = counts + smoothing
    total = counts.sum(0)
    return np.divide(counts, total, out=np.zeros_like(counts), where=total > 0), totals


def _fit_one_coin(
    rows: VoteTriples,
    weights: Int64[np.ndarray, " n"],
    prior: Prior,
    *,
    smoothing: float,
    tolerance: float,
    iterations: int,
    estimated: bool,
) -> VoteModel:
    """Fits one accuracy per voter by EM; a wrong vote is equally likely for each other class.

    The smoothing is added to each cell of a voter's table, as with a full one.
    """
    k = len(prior)
    cast = np.bincount(rows.voters, weights=np.repeat(weights, rows.sizes), minlength=rows.width) + smoothing * k * k
    shares, accuracy, posterior = prior, np.full(rows.width, np.inf), _shares_in(k)
    for _ in range(iterations):
        before = shares, accuracy
        right, totals = _right_votes(rows, weights, posterior, k)
        shares = totals / weights.sum() if estimated else prior
        accuracy = np.divide(right + smoothing * k, cast, out=np.full(rows.width, 1 / k), where=cast > 0)
        posterior = partial(_coin_posterior, accuracy=accuracy, prior=shares)
        # A table of all symbols and classes changes in k cells by as much as in the k (k - 1) others together.
        if np.abs(shares - before[0]).sum() + 2 * k * np.abs(accuracy - before[1]).sum() < tolerance:
            break
    return lambda new: blockwise(triples(new), k, posterior)


def _shares_in(k: int) -> Callable[[VoteTriples], Probs]:
    return lambda block: shares_of_votes(block, k)


def _right_votes(
    rows: VoteTriples, weights: Int64[np.ndarray, " n"], posterior: Callable[[VoteTriples], Probs], k: int
) -> tuple[Float64[np.ndarray, " m"], Float64[np.ndarray, " k"]]:
    """Returns how many of each voter's votes are expected to be right, and the rows of each class."""
    right, totals = np.zeros(rows.width), np.zeros(k)
    for part, block in rows.blocks():
        y = posterior(block) * weights[part, np.newaxis]
        right += np.bincount(block.voters, weights=y[block.rows, block.labels], minlength=rows.width)
        totals += y.sum(0)
    return right, totals


def _coin_posterior(block: VoteTriples, accuracy: Float64[np.ndarray, " m"], prior: Prior) -> Probs:
    """Returns class probabilities under one accuracy per voter; uniform for rows impossible under all classes."""
    k = len(prior)
    right, wrong = accuracy, (1 - accuracy) / (k - 1)
    shares = np.log(prior, out=np.full(k, -np.inf), where=prior > 0)
    found = _right_or_wrong(block, _log_or_zero(right), _log_or_zero(wrong), k) + shares
    impossible = _right_or_wrong(block, (right <= 0).astype(np.float64), (wrong <= 0).astype(np.float64), k)
    found[impossible > 0.5] = -np.inf
    found[np.isneginf(found).all(1)] = 0
    return softmax(found, axis=1)


def _log_or_zero(chances: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, " m"]:
    return np.log(np.where(chances > 0, chances, 1))


def _right_or_wrong(
    block: VoteTriples, right: Float64[np.ndarray, " m"], wrong: Float64[np.ndarray, " m"], k: int
) -> Float64[np.ndarray, "n k"]:
    """Returns for each class the sum over a row's votes of the one value if the vote names it, else of the other."""
    others = np.bincount(block.rows, weights=wrong[block.voters], minlength=len(block))
    return sum_by_label(block, (right - wrong)[block.voters], k) + others[:, np.newaxis]


def _check(coins: str, abstain: str, smoothing: float, iterations: int) -> None:
    """Raises BadInput unless the parameters define a model."""
    one_of("coins", coins, ("many", "one"))
    one_of("abstain", abstain, ("symbol", "ignore"))
    within("smoothing", smoothing, 0, np.inf)
    within("iterations", iterations, 1, np.inf)
    if coins == "one" and abstain == "symbol":
        raise BadInput("coins=one has no symbol for abstentions; set abstain=ignore")
