"""Label models for annotators: who knows and who guesses (MACE), ability of voters and ease of rows (GLAD).

Both work on the distinct rows of votes with their counts: rows with equal votes have equal answers. The tests
compare with a library that keeps one line of a table per vote.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float64, Int64
from scipy.optimize import minimize
from scipy.special import digamma, expit, logsumexp, softmax

from harness.checks import within
from harness.data import TrainSet
from harness.strategies import Tools
from harness.strategies.weak.models import (
    VOTED,
    Blocks,
    Prior,
    Probs,
    VoteModel,
    Votes,
    by_bayes,
    by_code,
    code_blocks,
    expected_counts,
    label_by_model,
    log_evidence,
    patterns,
    row_keys,
    sum_by_label,
)
from harness.vote_triples import VoteTriples, triples

KNOWS, GUESSES = 0.5, 10.0
"""MACE's priors as its authors set them: for knowing (and not knowing), and for each guess."""
ASCENT_STEPS = 25
"""Most steps of L-BFGS in each of GLAD's maximisations."""


def mace(
    train: TrainSet,
    tools: Tools,
    *,
    n_restarts: int,
    n_iter: int,
    prior: str | list[float],
    labels: str,
    ties: str,
) -> TrainSet:
    """Labels rows with a vote by MACE's posterior; rows without one stay unchanged.

    Hovy et al. 2013, "Learning whom to trust with MACE": a voter either knows the class or guesses from a distribution
    of their own. Variational Bayes in `n_iter` steps, the likeliest of `n_restarts` random starts.
    """
    fit = partial(fit_mace, rng=tools.rng, n_restarts=n_restarts, n_iter=n_iter)
    return label_by_model(train, tools, fit, prior=prior, labels=labels, ties=ties, rows=VOTED)


def glad(
    train: TrainSet, tools: Tools, *, n_iter: int, tol: float, prior: str | list[float], labels: str, ties: str
) -> TrainSet:
    """Labels rows with a vote by GLAD's posterior; rows without one stay unchanged.

    Whitehill et al. 2009, "Whose vote should count more": the log odds of a right vote are the voter's ability times
    the row's ease. EM ends after `n_iter` steps, or when its objective grows by less than `tol` per row.
    """
    return label_by_model(
        train, tools, partial(fit_glad, n_iter=n_iter, tol=tol), prior=prior, labels=labels, ties=ties, rows=VOTED
    )


def fit_mace(votes: Votes, prior: Prior, *, rng: np.random.Generator, n_restarts: int, n_iter: int) -> VoteModel:
    """Returns the likeliest of several fits by variational Bayes."""
    within("n_restarts", n_restarts, 1, np.inf)
    within("n_iter", n_iter, 1, np.inf)
    rows, counts = patterns(triples(votes))
    k = len(prior)
    blocks = code_blocks(rows, k)
    fits = [_mace_from(blocks, rows.width, counts, prior, rng, n_iter) for _ in range(n_restarts)]
    table = fits[int(np.argmax([_log_likelihood(blocks, counts, one, prior) for one in fits]))]
    return lambda new: by_code(triples(new), k, by_bayes(table, prior))


def _log_likelihood(
    blocks: Blocks, counts: Int64[np.ndarray, " u"], table: Float64[np.ndarray, "k m k"], prior: Prior
) -> float:
    logs = log_evidence(table, prior)
    return sum(float(counts[rows] @ logsumexp(logs(block), axis=1)) for rows, block in blocks)


def _mace_from(
    blocks: Blocks,
    m: int,
    counts: Int64[np.ndarray, " u"],
    prior: Prior,
    rng: np.random.Generator,
    n_iter: int,
) -> Float64[np.ndarray, "k m k"]:
    """Returns `[v, j, c]`, the probability that voter j votes v if the class is c, fitted from a random start."""
    k = len(prior)
    knows = rng.dirichlet(np.ones(2), size=m)
    knows = 0.5 * knows + 0.25  # no voter starts as certain or as clueless
    guesses = rng.uniform(1, 2.5, size=(k, m))
    guesses /= guesses.sum(0)
    for _ in range(n_iter):
        table = _mace_table(knows[:, 0], knows[:, 1] * guesses)
        given, _ = expected_counts(blocks, counts, by_bayes(table, prior), (k, m))
        known = np.einsum("cjc,cjc->j", given, 1 / table) * knows[:, 0]
        guessed = (given / table).sum(2) * knows[:, 1] * guesses
        knows = _variational(np.stack([known, guessed.sum(0)], axis=1), KNOWS)
        guesses = _variational(guessed.T, GUESSES).T
    return _mace_table(knows[:, 0], knows[:, 1] * guesses)


def _mace_table(knows: Float64[np.ndarray, " m"], guesses: Float64[np.ndarray, "k m"]) -> Float64[np.ndarray, "k m k"]:
    """Returns the distribution of a vote for a voter who knows (the class itself) or guesses."""
    return guesses[:, :, np.newaxis] + np.eye(len(guesses))[:, np.newaxis, :] * knows[:, np.newaxis]


def _variational(counts: Float64[np.ndarray, "m q"], prior: float) -> Float64[np.ndarray, "m q"]:
    """Returns the mean-field estimate of distributions from expected counts under a symmetric Dirichlet prior."""
    return np.exp(digamma(counts + prior) - digamma((counts + prior).sum(1, keepdims=True)))


def fit_glad(votes: Votes, prior: Prior, *, n_iter: int, tol: float) -> VoteModel:
    """Fits by EM; a row of votes that the fit has not seen gets the prior's ease."""
    within("n_iter", n_iter, 1, np.inf)
    rows, counts = patterns(triples(votes))
    m, of_vote = rows.width, rows.rows
    ability, ease, before = np.ones(m), np.ones(len(rows)), -np.inf
    for _ in range(n_iter):
        y = _glad_posterior(rows, ability, ease, prior)
        right = y[of_vote, rows.labels]
        found = minimize(
            _glad_loss, np.concatenate([ability, ease]), args=(rows, of_vote, right, counts), jac=True,
            method="L-BFGS-B", options={"maxiter": ASCENT_STEPS},
        )  # fmt: skip
        ability, ease = np.split(found.x, [m])
        if -found.fun / counts.sum() - before < tol:
            break
        before = -found.fun / counts.sum()
    keys = row_keys(rows)  # in order, as `patterns` returns them

    def model(new: Votes) -> Probs:
        shown = triples(new)
        sought = row_keys(shown)
        place = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
        return _glad_posterior(shown, ability, np.where(keys[place] == sought, ease[place], 1.0), prior)

    return model


def _glad_posterior(
    votes: VoteTriples, ability: Float64[np.ndarray, " m"], ease: Float64[np.ndarray, " n"], prior: Prior
) -> Probs:
    """Returns class probabilities if vote j of row i is right with the logistic of `ability[j] exp(ease[i])`."""
    k = len(prior)
    strength = np.repeat(np.exp(ease), votes.sizes) * ability[votes.voters]
    # The log odds of right to wrong, which each of k - 1 classes shares.
    return softmax(sum_by_label(votes, strength + np.log(k - 1), k) + np.log(prior), axis=1)


def _glad_loss(
    at: Float64[np.ndarray, " p"],
    votes: VoteTriples,
    of_vote: Int64[np.ndarray, " q"],
    right: Float64[np.ndarray, " q"],
    counts: Int64[np.ndarray, " u"],
) -> tuple[float, Float64[np.ndarray, " p"]]:
    """Returns minus the expected log likelihood and its gradient (abilities, then eases), under normal priors.

    `of_vote` is the row of each vote, `right` the probability that the vote is right.
    """
    m, n = votes.width, len(votes)
    ability, ease = np.split(at, [m])
    scale, able, weight = np.exp(ease)[of_vote], ability[votes.voters], counts[of_vote]
    strength = scale * able
    gain = weight @ (right * strength - np.logaddexp(0, strength))
    slope = weight * (right - expit(strength))
    value = gain - (counts @ (ease - 1) ** 2 + ((ability - 1) ** 2).sum()) / 2
    of_ability = np.bincount(votes.voters, weights=scale * slope, minlength=m) - (ability - 1)
    of_ease = np.bincount(of_vote, weights=scale * slope * able, minlength=n) - counts * (ease - 1)
    return -float(value), -np.concatenate([of_ability, of_ease])
