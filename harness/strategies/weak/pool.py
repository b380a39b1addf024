"""Labels rows that have no label without any vote: by the probe's own predictions, by neighbours, by an annotator.

Rows that have a label keep it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float64
from sklearn.exceptions import ConvergenceWarning
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

from harness.checks import one_of, within
from harness.data import TrainSet, one_hot
from harness.errors import BadInput, TrialFailed
from harness.strategies import Strategy, Tools
from harness.strategies.features import compute_features
from harness.strategies.queries import Query, buy_in_batches
from harness.strategies.weak.votes import give, settle_labels

METHODS: Mapping[str, Callable[..., Any]] = {"propagation": LabelPropagation, "spreading": LabelSpreading}


def self_training(train: TrainSet, tools: Tools, *, threshold: float, rounds: int, labels: str) -> TrainSet:
    """Labels the rows of the pool to whose class the probe gives a probability of `threshold` or more.

    After each of the `rounds` the probe is trained anew on given labels and pseudo-labels, and all pseudo-labels are
    made again. `labels`: `hard` or `soft` (the probe's probabilities). A row of the pool is predicted by the mean of
    the probes of all folds, or by those that did not train on its pseudo-label. Lee 2013, "Pseudo-label: the simple and
    efficient semi-supervised learning method for deep neural networks". BadInput without a pool.
    """
    within("weak.threshold", threshold, 0, 1)
    within("weak.rounds", rounds, 1, np.inf)
    one_of("weak.labels", labels, ("soft", "hard"))
    pool, now = _pool(train), train
    for _ in range(rounds):
        probs = tools.pred_probs(now).astype(np.float64)
        sure = pool & (probs.max(1) >= threshold)
        probs = probs[sure] / probs[sure].sum(1, keepdims=True)
        now = give(train, sure, settle_labels(probs, tools.rng, labels=labels, ties="soft"))
    return now


def spread_labels(
    train: TrainSet, tools: Tools, *, method: str, neighbours: int, alpha: float, max_iter: int,
    encoder: str | None, labels: str,
) -> TrainSet:  # fmt: skip
    """Labels the rows of the pool through a graph of each row's nearest `neighbours`, by scikit-learn.

    `method`: `propagation` (Zhu and Ghahramani 2002; given labels stay as they are) or `spreading` (Zhou et al. 2004,
    "Learning with local and global consistency"; `alpha` is the part that rows take from neighbours rather than from
    what they were given). Labels that are given count as hard. `encoder`: see `strategies.features`, which gives the
    distances. Rows that no label reaches stay in the pool. TrialFailed if it does not settle within `max_iter` rounds.
    """
    one_of("weak.method", method, sorted(METHODS))
    one_of("weak.labels", labels, ("soft", "hard"))
    pool, turn = _pool(train), tools.rng.permutation(len(train))  # equally near rows are drawn from
    if not 1 <= neighbours < len(train):
        raise BadInput(f"weak.neighbours={neighbours} cannot be had of {len(train)} rows")
    own: dict[str, Any] = {"alpha": alpha} if method == "spreading" else {}
    model = METHODS[method](kernel="knn", n_neighbors=neighbours, max_iter=max_iter, **own)
    x = compute_features(train.x, tools.cache, encoder=encoder)
    probs = np.zeros((len(train), train.k))
    probs[turn] = _distributions(model, x[turn], np.where(pool, -1, train.classes)[turn], train.k)
    reached = pool & (probs.sum(1) > 0)
    return give(train, reached, settle_labels(probs[reached], tools.rng, labels=labels, ties="soft"))


def _distributions(model: Any, x: np.ndarray, classes: np.ndarray, k: int) -> Float64[np.ndarray, "n k"]:
    """Returns each row's distribution over the classes, all zero where no label reaches; -1 marks the pool."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.filterwarnings("ignore", "invalid value encountered in divide", RuntimeWarning)
        try:
            model.fit(x, classes)
        except ConvergenceWarning as error:
            raise TrialFailed(f"labels did not settle within weak.max_iter={model.max_iter} rounds") from error
    probs = np.zeros((len(x), k))
    probs[:, model.classes_] = np.nan_to_num(model.label_distributions_)
    return probs


def random_pool_labels(train: TrainSet, tools: Tools, *, like: Strategy) -> TrainSet:
    """Labels as many random rows of the pool as `like` labels, by random classes in the shares of the given labels."""
    pool, after = _pool(train), like(train, tools)
    count = int((after.labelled & pool).sum())
    rows = np.sort(tools.rng.choice(np.flatnonzero(pool), size=count, replace=False))
    mass = np.bincount(train.classes[train.labelled], minlength=train.k)
    asked = np.zeros(len(train), dtype=bool)
    asked[rows] = True
    return give(train, asked, one_hot(tools.rng.choice(train.k, size=count, p=mass / mass.sum()), train.k))


def active_pool(train: TrainSet, tools: Tools, *, k: int, batches: int, query: Query) -> TrainSet:
    """Buys the true classes of `k` rows of the pool, batch by batch; the probe learns from each before the next.

    Settles, "Active learning literature survey", 2009. BadInput without a pool, or if it is smaller than `k`.
    """
    return buy_in_batches(train, tools, _pool(train), k=k, batches=batches, query=query)


def _pool(train: TrainSet) -> np.ndarray:
    """Returns True for each row (n,) without a label; BadInput if there is none."""
    if train.labelled.all():
        raise BadInput("every row of the training set has a label, so there is no pool to label")
    if not train.labelled.any():
        raise BadInput("no row of the training set has a label, so there is nothing to learn from")
    return ~train.labelled
