"""Fits scikit-learn's estimators: learners that fit once.

All of them read soft labels and weights in the same way. A scikit-learn estimator takes one class per row, so each row
becomes one row for every class to which its label gives a probability, with the weight w * y; a probability below a
thousandth of the row's largest is left out. For logistic regression that *is* the weighted cross-entropy with the soft
label. An estimator that counts rows (a forest's bootstrap, `min_samples_leaf`) counts the expanded ones.
Augmentation adds rows (see growth.py).

These estimators do not use the protocol's steps, rate and selection rule: each runs until it is done, and its budget
is in its YAML. `Fit.examples` counts the labelled rows that it was given, with augmented draws, before expansion.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int64
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from harness.data import EvalSet, Rows, TrainSet
from harness.errors import TrialFailed
from harness.learners import Fit, Run
from harness.learners.batches import modality, moments
from harness.learners.growth import grow
from harness.streams import child_seed

SMALLEST_SCALE = 1e-3
"""A class of a soft label is left out below this share of the row's largest probability."""
RowTransform = Callable[[Rows], Any]
"""Rows (n, *d) to a matrix (n, p), sparse for text unless the estimator needs dense input."""


@dataclass(frozen=True)
class Expanded:
    """Holds expanded rows: the index of the row that each comes from, one class and a weight."""

    row: Int64[np.ndarray, " e"]
    y: Int64[np.ndarray, " e"]
    w: Float[np.ndarray, " e"]


def expand(y: Float32[np.ndarray, "n k"], w: Float32[np.ndarray, " n"]) -> Expanded:
    """Returns one row for every class to which a label gives a probability, weighted w * y."""
    row, label = np.nonzero(y >= SMALLEST_SCALE * y.max(1, keepdims=True))
    return Expanded(row, label, w[row].astype(np.float64) * y[row, label])


def logistic_regression(
    train: TrainSet, valid: EvalSet, run: Run, *, C: float, max_iter: int,
    ngram_range: Sequence[int], min_df: int, max_words: int, sublinear_tf: bool,
) -> Fit:  # fmt: skip
    """Fits multinomial logistic regression with an L2 penalty on standardised columns, pixels in [0, 1] or TF-IDF.

    `history` says whether it converged within `max_iter` iterations of L-BFGS. Deterministic: no seed changes it.
    """
    text = tfidf(ngram_range, min_df, max_words, sublinear_tf)
    seed = child_seed(run.stream("init"))
    estimator = LogisticRegression(C=C, max_iter=max_iter, random_state=seed)
    fit = fit_once(train, run, estimator, features_of(train, text, _standardised))
    steps = int(estimator.n_iter_.max())
    curve = {"step": float(steps), "converged": float(steps < max_iter)}
    run.log(curve)
    return Fit(fit.predict, estimator.coef_.size + estimator.intercept_.size, fit.examples, history=[curve])


def random_forest(
    train: TrainSet, valid: EvalSet, run: Run, *, n_estimators: int, max_depth: int | None, min_samples_leaf: int,
    ngram_range: Sequence[int], min_df: int, max_words: int, sublinear_tf: bool,
) -> Fit:  # fmt: skip
    """Fits a random forest (Breiman, 2001) on columns, pixels or TF-IDF."""
    estimator = RandomForestClassifier(
        n_estimators, max_depth=max_depth, min_samples_leaf=min_samples_leaf, n_jobs=1,
        random_state=child_seed(run.stream("init")),
    )  # fmt: skip
    return fit_once(
        train, run, estimator, features_of(train, tfidf(ngram_range, min_df, max_words, sublinear_tf), table_columns)
    )


def hist_gradient_boosting(
    train: TrainSet, valid: EvalSet, run: Run, *, learning_rate: float, max_iter: int, max_leaf_nodes: int,
    min_samples_leaf: int, l2_regularization: float,
    ngram_range: Sequence[int], min_df: int, max_words: int, sublinear_tf: bool,
) -> Fit:  # fmt: skip
    """Fits boosted trees on binned columns, pixels, or the dense TF-IDF of the `max_words` most frequent terms.

    No early stopping, since scikit-learn's would hold back training rows. Deterministic up to 200,000 rows; beyond,
    scikit-learn samples rows for its bins with the seed.
    """
    estimator = HistGradientBoostingClassifier(
        learning_rate=learning_rate, max_iter=max_iter, max_leaf_nodes=max_leaf_nodes,
        min_samples_leaf=min_samples_leaf, l2_regularization=l2_regularization,
        early_stopping=False, random_state=child_seed(run.stream("init")),
    )  # fmt: skip
    sparse = features_of(train, tfidf(ngram_range, min_df, max_words, sublinear_tf), table_columns)
    dense = (lambda x: sparse(x).toarray()) if modality(train.x) == "text" else sparse
    return fit_once(train, run, estimator, dense)


def fit_once(train: TrainSet, run: Run, estimator: Any, features: RowTransform) -> Fit:
    """Fits the estimator on the grown, expanded rows; TrialFailed if fewer than two classes are left."""
    rows = grow(train, run)
    cases = expand(rows.y, rows.w)
    if len(np.unique(cases.y)) < 2:
        raise TrialFailed(
            f"a classifier needs two classes to train on; the labelled rows have {len(np.unique(cases.y))}"
        )
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # The history reports it instead.
        estimator.fit(features(rows.x)[cases.row], cases.y, sample_weight=cases.w)

    def predict(x: Rows) -> Float32[np.ndarray, "n k"]:
        found = np.zeros((len(x), train.k), dtype=np.float32)
        with threadpool_limits(limits=1):
            found[:, estimator.classes_] = estimator.predict_proba(features(x))
        return found / found.sum(1, keepdims=True)

    return Fit(predict, parameters=0, examples=len(rows))


def features_of(train: TrainSet, text: TfidfVectorizer, table: Callable[[Rows], RowTransform]) -> RowTransform:
    """Returns the function from rows to features, fitted on the labelled rows before augmentation."""
    rows = train.x if train.labelled.all() else train.rows(train.labelled).x
    makers: dict[str, Callable[[Rows], RowTransform]] = {
        "text": lambda texts: text.fit(_strings(texts)) and (lambda x: text.transform(_strings(x))),
        "image": lambda _: _flat_pixels,
        "table": table,
    }
    return makers[modality(rows)](rows)


def tfidf(ngram_range: Sequence[int], min_df: int, max_words: int, sublinear_tf: bool) -> TfidfVectorizer:
    """Computes TF-IDF of words; one-letter words count too, so that a text of short words is not empty."""
    shortest, longest = ngram_range
    return TfidfVectorizer(
        ngram_range=(shortest, longest), min_df=min_df, max_features=max_words, sublinear_tf=sublinear_tf,
        token_pattern=r"(?u)\w+|[^\w\s]", dtype=np.float64,
    )  # fmt: skip


def _standardised(rows: Rows) -> RowTransform:
    mean, std = moments(rows)
    return lambda x: (np.asarray(x, dtype=np.float64) - mean) / std


def table_columns(rows: Rows) -> RowTransform:
    """Returns a table's columns as they are, for trees, which do not depend on scales."""
    return lambda x: np.asarray(x, dtype=np.float64)


def _flat_pixels(x: Rows) -> Float[np.ndarray, "n p"]:
    return np.asarray(x, dtype=np.float64).reshape(len(x), -1) / 255


def _strings(texts: Rows) -> list[str]:
    return [str(text) for text in np.asarray(texts)]
