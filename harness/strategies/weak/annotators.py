"""Label models for annotators: who knows and who guesses (MACE), ability of voters and ease of rows (GLAD).

Both work on the distinct rows of votes with their counts: rows with equal votes have equal answers. Libraries that
keep one line per vote take minutes where this takes a second; the tests compare with one of them.
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
    Prior,
    Probs,
    VoteModel,
    Votes,
    by_bayes,
    evidence,
    indicators,
    label_by_model,
    patterns,
)

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
    return label_by_model(train, tools, fit, prior=prior, labels=labels, ties=ties)


def glad(
    train: TrainSet, tools: Tools, *, n_iter: int, tol: float, prior: str | list[float], labels: str, ties: str
) -> TrainSet:
    """Labels rows with a vote by GLAD's posterior; rows without one stay unchanged.

    Whitehill et al. 2009, "Whose vote should count more": the log odds of a right vote are the voter's ability times
    the row's ease. EM ends after `n_iter` steps, or when its objective grows by less than `tol` per row.
    """
    return label_by_model(
        train, tools, partial(fit_glad, n_iter=n_iter, tol=tol), prior=prior, labels=labels, ties=ties
    )


def fit_mace(votes: Votes, prior: Prior, *, rng: np.random.Generator, n_restarts: int, n_iter: int) -> VoteModel:
    """Returns the likeliest of several fits by variational Bayes."""
    within("n_restarts", n_restarts, 1, np.inf)
    within("n_iter", n_iter, 1, np.inf)
    rows, counts = patterns(votes)
    cast = indicators(rows, range(len(prior)))
    fits = [_mace_from(cast, counts, prior, rng, n_iter) for _ in range(n_restarts)]
    likelihoods = [counts @ logsumexp(evidence(cast, table, prior), axis=1) for table in fits]
    table = fits[int(np.argmax(likelihoods))]
    return lambda new: by_bayes(indicators(new, range(len(prior))), table, prior)


def _mace_from(
    cast: Float64[np.ndarray, "k u m"],
    counts: Int64[np.ndarray, " u"],
    prior: Prior,
    rng: np.random.Generator,
    n_iter: int,
) -> Float64[np.ndarray, "k m k"]:
    """Returns `[v, j, c]`, the probability that voter j votes v if the class is c, fitted from a random start."""
    k, m = len(prior), cast.shape[2]
    knows = rng.dirichlet(np.ones(2), size=m)
    knows = 0.5 * knows + 0.25  # no voter starts as certain or as clueless
    guesses = rng.uniform(1, 2.5, size=(k, m))
    guesses /= guesses.sum(0)
    for _ in range(n_iter):
        table = _mace_table(knows[:, 0], knows[:, 1] * guesses)
        given = np.matmul(cast.transpose(0, 2, 1), by_bayes(cast, table, prior) * counts[:, np.newaxis])
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
    rows, counts = patterns(votes)
    cast = indicators(rows, range(len(prior)))
    ability, ease, before = np.ones(votes.shape[1]), np.ones(len(rows)), -np.inf
    for _ in range(n_iter):
        y = _glad_posterior(cast, ability, ease, prior)
        found = minimize(
            _glad_loss, np.concatenate([ability, ease]), args=(cast, y, counts), jac=True, method="L-BFGS-B",
            options={"maxiter": ASCENT_STEPS},
        )  # fmt: skip
        ability, ease = np.split(found.x, [votes.shape[1]])
        if -found.fun / counts.sum() - before < tol:
            break
        before = -found.fun / counts.sum()
    seen = {row.tobytes(): value for row, value in zip(rows, ease.tolist(), strict=True)}

    def model(new: Votes) -> Probs:
        own = np.array([seen.get(row.tobytes(), 1.0) for row in np.ascontiguousarray(new)], dtype=np.float64)
        return _glad_posterior(indicators(new, range(len(prior))), ability, own, prior)

    return model


def _glad_posterior(
    cast: Float64[np.ndarray, "k n m"],
    ability: Float64[np.ndarray, " m"],
    ease: Float64[np.ndarray, " n"],
    prior: Prior,
) -> Probs:
    """Returns class probabilities if vote j of row i is right with the logistic of `ability[j] exp(ease[i])`."""
    strength = np.outer(np.exp(ease), ability)  # log odds of right to wrong, which each of k - 1 classes shares
    return softmax(np.einsum("knm,nm->nk", cast, strength + np.log(len(prior) - 1)) + np.log(prior), axis=1)


def _glad_loss(
    at: Float64[np.ndarray, " p"], cast: Float64[np.ndarray, "k u m"], y: Probs, counts: Int64[np.ndarray, " u"]
) -> tuple[float, Float64[np.ndarray, " p"]]:
    """Returns minus the expected log likelihood and its gradient (abilities, then eases), under normal priors."""
    ability, ease = np.split(at, [cast.shape[2]])
    scale = np.exp(ease)
    strength = np.outer(scale, ability)
    cast_at_all, right = cast.sum(0), np.einsum("kum,uk->um", cast, y)
    gain = right * strength - cast_at_all * np.logaddexp(0, strength)
    slope = counts[:, np.newaxis] * (right - cast_at_all * expit(strength))
    value = counts @ gain.sum(1) - (counts @ (ease - 1) ** 2 + ((ability - 1) ** 2).sum()) / 2
    of_ability = scale @ slope - (ability - 1)
    of_ease = scale * (slope @ ability) - counts * (ease - 1)
    return -float(value), -np.concatenate([of_ability, of_ease])
