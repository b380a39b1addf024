"""Fits the model that FLAML's search finds."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.model_selection import PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from harness.data import EvalSet, Rows, TrainSet
from harness.learners import Fit, Run
from harness.learners.automl import flat_rows, folds, restore_python_generator
from harness.learners.growth import grow
from harness.learners.sklearn import expand
from harness.streams import child_seed

Estimator = Literal["lgbm", "rf", "extra_tree", "xgboost", "xgb_limitdepth", "lrl1", "lrl2"]


def flaml(train: TrainSet, valid: EvalSet, run: Run, *, max_iter: int, estimators: Sequence[Estimator]) -> Fit:
    """Fits the best of `max_iter` models by cost-frugal search over each estimator in turn (Wang et al., FLAML, 2021).

    The budget is a number of models: a budget in seconds would give another model on another day, and so would FLAML's
    own choice of the next estimator, which depends on measured seconds. Models are compared by the log loss of a
    cross-validation inside the training rows (`protocol.folds`), so that no validation label is used; the best one is
    trained again on all of them. Soft labels and weights as in sklearn.py; missing values become the column's median,
    which is what FLAML itself makes of them. One thread.
    """
    from flaml import AutoML  # type: ignore[attr-defined]

    rows = grow(train, run)
    cases = expand(rows.y, rows.w)
    held = PredefinedSplit(folds(train, rows, cases, run))
    number = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    number.fit(flat_rows(rows.x)[: int(train.labelled.sum())])
    seed = child_seed(run.stream("init"))
    own = {
        name: {"random_state": {"domain": seed}} for name in estimators
    }  # Otherwise FLAML gives each a seed of its own.
    search: Any = AutoML()  # type: ignore[no-untyped-call]
    with _quiet():
        search.fit(
            number.transform(flat_rows(rows.x))[cases.row], cases.y, sample_weight=cases.w, task="classification",
            metric="log_loss", estimator_list=list(estimators), time_budget=-1, max_iter=max_iter,
            learner_selector="roundrobin", eval_method="cv", split_type=held, sample=False, auto_augment=False,
            seed=seed, custom_hp=own, n_jobs=1, verbose=0, mlflow_logging=False,
        )  # fmt: skip
    curve = _curve(search, max_iter)
    run.log(curve)

    def predict(x: Rows) -> Float32[np.ndarray, "n k"]:
        found = np.zeros((len(x), train.k), dtype=np.float32)
        with _quiet():
            found[:, search.classes_] = search.predict_proba(number.transform(flat_rows(x)))
        return found / found.sum(1, keepdims=True)

    return Fit(predict, parameters=0, examples=len(rows), history=[curve])


def _curve(search: Any, models: int) -> dict[str, float]:
    """Returns the cross-validated log loss of the best model, and of the best model of each estimator tried."""
    tried = {name: float(loss) for name, loss in search.best_loss_per_estimator.items() if np.isfinite(loss)}
    return {"step": float(models), "loss": float(search.best_loss), **tried}


@contextmanager
def _quiet() -> Iterator[None]:
    """Holds a block to one thread, leaves all random generators as they were, and silences solvers that stop early."""
    logger = logging.getLogger("flaml")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with restore_python_generator(), threadpool_limits(limits=1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            yield
    finally:
        logger.setLevel(level)
