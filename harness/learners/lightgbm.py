"""Fits LightGBM; soft labels, weights and augmentation are handled as in sklearn.py."""

from __future__ import annotations

from collections.abc import Sequence

from harness.data import EvalSet, TrainSet
from harness.learners import Fit, Run
from harness.learners.sklearn import features_of, fit_once, table_columns, tfidf
from harness.streams import child_seed


def lightgbm(
    train: TrainSet, valid: EvalSet, run: Run, *, learning_rate: float, n_estimators: int, num_leaves: int,
    min_child_samples: int, subsample: float, colsample_bytree: float, reg_lambda: float,
    ngram_range: Sequence[int], min_df: int, max_words: int, sublinear_tf: bool,
) -> Fit:  # fmt: skip
    """Fits boosted trees by LightGBM (Ke et al., 2017) on columns, pixels or sparse TF-IDF; missing values get a
    branch.

    Rows are drawn anew for each tree if `subsample` is below 1. One thread, so that equal runs give equal trees.
    """
    from lightgbm import LGBMClassifier

    estimator = LGBMClassifier(
        learning_rate=learning_rate, n_estimators=n_estimators, num_leaves=num_leaves,
        min_child_samples=min_child_samples, subsample=subsample, subsample_freq=1, colsample_bytree=colsample_bytree,
        reg_lambda=reg_lambda, n_jobs=1, deterministic=True, force_row_wise=True, verbose=-1,
        random_state=child_seed(run.stream("init")),
    )  # fmt: skip
    return fit_once(
        train, run, estimator, features_of(train, tfidf(ngram_range, min_df, max_words, sublinear_tf), table_columns)
    )
