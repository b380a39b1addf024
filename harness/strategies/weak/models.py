"""Shared parts of all label models: a class prior, posteriors by Bayes' rule, and labels in a training set.

A model is fitted once, `fit(votes (n, m), prior (k,)) -> VoteModel`, and may then be applied to new votes. Only
`label_by_model`, which writes a model's answers into a training set, and `class_prior` know training sets.

Votes are read as triples, and what is computed from them block by block of rows: time grows with the number of votes,
and of what has a number for each row and class only the answer is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float, Float64, Int, Int64, UInt64
from scipy.sparse import csr_matrix

from harness.checks import one_of
from harness.data import TrainSet
from harness.errors import BadInput
from harness.strategies import Tools
from harness.strategies.weak.votes import check_rule, give, settle_labels, votes_of
from harness.vote_triples import VoteTriples, triples

Votes = Int[np.ndarray, "n m"] | VoteTriples
Probs = Float64[np.ndarray, "n k"]
Prior = Float64[np.ndarray, " k"]
VoteModel = Callable[[Votes], Probs]
"""Votes (n, m), -1 for an abstention, to class probabilities (n, k)."""
VoteModelFit = Callable[[Votes, Prior], VoteModel]
RowWeights = Int64[np.ndarray, " n"] | Float64[np.ndarray, " n"]
Blocks = list[tuple[slice, csr_matrix]]
Posterior = Callable[[slice, csr_matrix], Probs]
"""The rows of a block and its votes as codes, see `code_blocks`, to class probabilities."""
CANCELLED = 1e-6
"""A difference below this share of its terms is computed anew, since rounding may have eaten it."""
PRIORS = ("uniform", "given", "valid")
VOTED, WHOLE_POOL = "voted", "pool"
"""The training rows that a model is fitted on; see `label_by_model`."""


def label_by_model(
    train: TrainSet, tools: Tools, fit: VoteModelFit, *, prior: str | list[float], labels: str, ties: str, rows: str
) -> TrainSet:
    """Labels rows with a vote by the model; rows without one stay unchanged.

    `rows`, those that the model is fitted on: `voted`, the rows with a vote, or `pool`, also those on which all voters
    abstain, which tell how often each of them does. Of these, labelled rows are left out: labelling functions may never
    have seen them. `prior`: see `class_prior`; `labels` and `ties`: see `weak.votes`. BadInput if no row has a vote.
    """
    check_rule(labels, ties)
    one_of("rows", rows, (VOTED, WHOLE_POOL))
    votes = votes_of(train)
    voted = votes.sizes > 0
    if not voted.any():
        raise BadInput("no row of the training set has a vote, so a label model has nothing to learn from")
    seen = voted if rows == VOTED else voted | ~train.labelled
    model = fit(votes if seen.all() else votes.on(seen), class_prior(prior, train, tools))
    probs = model(votes if voted.all() else votes.on(voted))
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


def blockwise(votes: VoteTriples, k: int, probs: Callable[[VoteTriples], Probs]) -> Probs:
    """Returns what `probs` returns for each block of rows, as one array (n, k)."""
    found = np.empty((len(votes), k))
    for rows, block in votes.blocks():
        found[rows] = probs(block)
    return found


def sum_by_label(votes: VoteTriples, values: Float64[np.ndarray, " q"], k: int) -> Float64[np.ndarray, "n k"]:
    """Returns the sum of the values of a row's votes for each class; there is one value per vote."""
    return csr_matrix((values, votes.labels, votes.starts), shape=(len(votes), k)).toarray()


def shares_of_votes(votes: Votes, k: int) -> Probs:
    """Returns the share of each class among a row's votes; uniform for rows without a vote."""
    return blockwise(triples(votes), k, lambda block: normalise(sum_by_label(block, np.ones(len(block.labels)), k)))


def normalise(scores: Float[np.ndarray, "n k"]) -> Probs:
    """Turns scores >= 0 into distributions; uniform for a row of zeros."""
    total = scores.sum(1, keepdims=True)
    return np.where(total > 0, scores / np.where(total > 0, total, 1), 1 / scores.shape[1])


def majority(shares: Probs) -> Probs:
    """Returns the most probable class of each row as a hard label; tied classes share it equally."""
    return normalise((shares >= shares.max(1, keepdims=True) - 1e-9).astype(np.float64))


def row_keys(votes: VoteTriples) -> UInt64[np.ndarray, " n"]:
    """Returns a 64-bit hash of each row's votes: equal for equal rows, in practice different for different rows.

    It is the sum of the votes' own hashes, by the mixing function of SplitMix64 (Steele et al. 2014).
    """
    found = np.zeros(len(votes), dtype=np.uint64)
    for rows, block in votes.blocks():
        mixed = (block.voters.astype(np.uint64) << np.uint64(32)) + block.labels.astype(np.uint64) + np.uint64(1)
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
        found[rows] = sums[block.starts[1:]] - sums[block.starts[:-1]]
    return found


def patterns(votes: VoteTriples) -> tuple[VoteTriples, Int64[np.ndarray, " u"]]:
    """Returns the distinct rows of votes and their counts, which is all that a model of votes can distinguish.

    Their order is that of `row_keys`, so that it does not depend on the order of rows.
    """
    _, first, counts = np.unique(row_keys(votes), return_index=True, return_counts=True)
    return votes.on(first), counts


# Models with a table per voter: `table[s, j, c]` is the probability that voter j gives symbol s if the class is c. The
# symbols are the k classes; where an abstention counts too, it is the first of k + 1 symbols.


def code_blocks(votes: VoteTriples, k: int) -> Blocks:
    """Returns the votes in blocks of rows as matrices (rows, k m): 1 at `label * m + voter` for each vote."""
    return list(_code_blocks(votes, k))


def _code_blocks(votes: VoteTriples, k: int) -> Iterator[tuple[slice, csr_matrix]]:
    kind = np.int32 if k * votes.width <= np.iinfo(np.int32).max else np.int64
    ones = np.ones(max((len(block.labels) for _, block in votes.blocks()), default=0))  # shared by all blocks
    for rows, block in votes.blocks():
        codes = block.labels.astype(kind) * votes.width + block.voters
        parts = (ones[: len(codes)], codes, block.starts.astype(kind))
        yield rows, csr_matrix(parts, shape=(len(block), k * votes.width))


def by_code(votes: VoteTriples, k: int, posterior: Posterior) -> Probs:
    """Returns a posterior of all rows (n, k), block by block."""
    found = np.empty((len(votes), k))
    for rows, block in _code_blocks(votes, k):
        found[rows] = posterior(rows, block)
    return found


def vote_shares(m: int, k: int) -> Posterior:
    """Returns the posterior that is the share of each class among a row's votes, from which EM starts."""
    labels = np.repeat(np.eye(k), m, axis=0)
    return lambda rows, block: normalise(block @ labels)


def by_bayes(table: Float64[np.ndarray, "s m k"], prior: Prior) -> Posterior:
    """Returns the posterior for voters independent given the class; uniform for rows impossible under all classes."""
    logs = log_evidence(table, prior)

    def posterior(rows: slice, block: csr_matrix) -> Probs:
        scores = np.ascontiguousarray(logs(block).T)
        best = scores.max(0)
        scores -= np.where(np.isneginf(best), 0, best)
        scores[:, np.isneginf(best)] = 0
        np.exp(scores, out=scores)
        scores /= scores.sum(0)
        return np.ascontiguousarray(scores.T)

    return posterior


def log_evidence(
    table: Float64[np.ndarray, "s m k"], prior: Prior
) -> Callable[[csr_matrix], Float64[np.ndarray, "n k"]]:
    """Returns the log joint probability of a row's votes and each class, summed in logarithms against underflow.

    If an abstention counts, every row begins with all voters abstaining, and a vote replaces its voter's abstention.
    """
    shares = np.log(prior, out=np.full(len(prior), -np.inf), where=prior > 0)  # EM may leave a class without any row
    possible = table > 0
    logs, silence = _votes_and_silence(np.log(np.where(possible, table, 1)))
    if possible.all():
        return lambda block: block @ logs + (silence + shares)
    bars, barred = _votes_and_silence((~possible).astype(np.float64))

    def evidence(block: csr_matrix) -> Float64[np.ndarray, "n k"]:
        found = block @ logs + (silence + shares)
        found[block @ bars + barred > 0.5] = -np.inf
        return found

    return evidence


def _votes_and_silence(
    values: Float64[np.ndarray, "s m k"],
) -> tuple[Float64[np.ndarray, "codes k"], Float64[np.ndarray, " k"]]:
    """Returns what each vote adds to a row, by its code, and what a row without a vote has."""
    s, m, k = values.shape
    if s == k:
        return values.reshape(k * m, k), np.zeros(k)
    return (values[1:] - values[0]).reshape(k * m, k), values[0].sum(0)


def expected_counts(
    blocks: Blocks, weights: RowWeights, posterior: Posterior, shape: tuple[int, int]
) -> tuple[Float64[np.ndarray, "k m k"], Float64[np.ndarray, " k"]]:
    """Returns how often each voter is expected to give each label to each class, and the rows of each class.

    `shape` is (k, m). The first is `[v, j, c]`; rows count with their weights.
    """
    k, m = shape
    given, totals = np.zeros((k * m, k)), np.zeros(k)
    for rows, block in blocks:
        y = posterior(rows, block) * weights[rows, np.newaxis]
        given += block.T @ y
        totals += y.sum(0)
    return given.reshape(k, m, k), totals


def expected_abstentions(
    blocks: Blocks,
    weights: RowWeights,
    posterior: Posterior,
    given: Float64[np.ndarray, "k m k"],
    totals: Float64[np.ndarray, " k"],
) -> Float64[np.ndarray, "m k"]:
    """Returns how often each voter is expected to abstain for each class: what is left of the class's rows.

    Where next to nothing is left, rounding would decide whether an abstention is impossible or only rare, which is not
    the same to EM. There the abstentions themselves are summed.
    """
    found = totals - given.sum(0)
    close = np.flatnonzero((np.abs(found) < CANCELLED * totals).any(1))
    if not len(close):
        return found
    k, m, _ = given.shape
    of_voter = csr_matrix(np.tile(np.eye(m)[:, close], (k, 1)))
    exact = np.zeros((len(close), k))
    for rows, block in blocks:
        y = posterior(rows, block) * weights[rows, np.newaxis]
        exact += (1 - (block @ of_voter).toarray()).T @ y
    found[close] = exact
    return found
