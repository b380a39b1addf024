"""Computes scores from confusion matrices: a function of weighted counts, so a bootstrap costs a matrix product.

Shapes: a confusion matrix is `(k, k)`, rows the true class, columns the predicted one, entries weighted counts. Every
metric maps `(*batch, k, k)` to `(*batch,)`, in [0, 1]; it is nan for an empty matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from jaxtyping import Float64, Int64, Integer, Num

from harness.checks import choices, join_names
from harness.errors import BadInput

Metric = Callable[[np.ndarray], np.ndarray]


def accuracy(confusion: Num[np.ndarray, "*batch k k"]) -> Float64[np.ndarray, "*batch"]:
    """Returns the share of the weight that lies on the diagonal."""
    return ratio(_hits(confusion).sum(-1), confusion.sum((-2, -1)))


def balanced_accuracy(confusion: Num[np.ndarray, "*batch k k"]) -> Float64[np.ndarray, "*batch"]:
    """Returns the mean recall of the classes that have an example (Brodersen et al. 2010)."""
    support = confusion.sum(-1)
    recall = ratio(_hits(confusion), support)
    return _mean_where(recall, support > 0)


def macro_f1(confusion: Num[np.ndarray, "*batch k k"]) -> Float64[np.ndarray, "*batch"]:
    """Returns the mean F1 over the classes that occur as true or predicted, as scikit-learn's `average="macro"`."""
    mass = confusion.sum(-1) + confusion.sum(-2)
    return _mean_where(ratio(2 * _hits(confusion), mass), mass > 0)


def f1(confusion: Num[np.ndarray, "*batch k k"]) -> Float64[np.ndarray, "*batch"]:
    """Returns the F1 of class 1 of two; 0 if class 1 is neither true nor predicted, as in scikit-learn.

    Raises BadInput unless there are two classes.
    """
    if confusion.shape[-1] != 2:
        raise BadInput(f"f1 is for 2 classes, this task has {confusion.shape[-1]}: macro_f1 fits any number")
    mass = confusion[..., 1, :].sum(-1) + confusion[..., :, 1].sum(-1)
    score = np.nan_to_num(ratio(2 * confusion[..., 1, 1], mass), nan=0.0)
    return np.where(confusion.sum((-2, -1)) > 0, score, np.nan)


def worst_class(confusion: Num[np.ndarray, "*batch k k"]) -> Float64[np.ndarray, "*batch"]:
    """Returns the lowest recall of the classes that have an example."""
    recall = ratio(_hits(confusion), confusion.sum(-1))
    least = np.where(np.isfinite(recall), recall, np.inf).min(-1)
    return np.where(np.isfinite(least), least, np.nan)


METRICS: Mapping[str, Metric] = MappingProxyType({
    "accuracy": accuracy, "balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1, "f1": f1,
    "worst_class": worst_class,
})  # fmt: skip
"""The metrics of which a study may choose: functions of the confusion matrix, in [0, 1], higher is better."""
OF_REPORTS = ("roc_auc", "average_precision", "log_loss", "brier", "calibration_error", "worst_group")
"""The metrics by which only a finished study can be scored: training chooses by predicted classes alone."""
OF_ALL_CLASSES = frozenset({*METRICS, "roc_auc", "average_precision"}) - {"accuracy"}
"""Metrics that speak of every class, so that each needs a test row."""


def class_faults(said: str, name: str, y: Integer[np.ndarray, " n"], classes: Sequence[str]) -> list[str]:
    """Returns why a metric cannot score test rows of the classes `y`, one line each; `said` is how the user named it.

    A metric that speaks of every class would leave out one that no row has, and nobody would see it.
    """
    if name == "f1" and len(classes) != 2:
        return [f"{said}=f1 is for 2 classes, this task has {len(classes)}: macro_f1 fits any number"]
    absent = np.flatnonzero(np.bincount(y, minlength=len(classes)) == 0)
    if name not in OF_ALL_CLASSES or not len(absent):
        return []
    some = join_names(f"'{classes[one]}'" for one in absent.tolist())
    return [
        f"{said}={name} needs test rows of every class, and there is none of {some}: take more test rows, or a metric "
        "that needs not every class, such as accuracy"
    ]


def report_hint(name: str) -> str:
    """Returns how to get results by a metric that only reports know; "" for any other word.

    `name` may also be that of the report's column, such as neg_log_loss.
    """
    plain = {"neg_brier_score": "brier"}.get(name, name.removeprefix("neg_"))
    if plain not in OF_REPORTS:
        return ""
    return (
        f"; {plain} is a metric of reports: run the study by one of these, then harness report NAME metric={plain} "
        "gives scores, effects and the verdict by it, without training"
    )


def metric(name: str) -> Metric:
    """Returns the metric of that name; raises BadInput with the nearest name if there is none."""
    if name not in METRICS:
        raise BadInput(f"unknown metric {name!r}{choices(name, METRICS)}{report_hint(name)}")
    return METRICS[name]


def confusion_cells(
    y: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"], k: int
) -> Int64[np.ndarray, " n"]:
    """Returns each example's cell in a flattened (k, k) matrix; raises BadInput for an index outside the classes."""
    for name, classes in (("true", y), ("predicted", predicted)):
        if len(classes) and (classes.min() < 0 or classes.max() >= k):
            found = f"{classes.min()} to {classes.max()}"
            raise BadInput(f"{name} classes run from {found}; with {k} classes they must lie in 0 to {k - 1}")
    return y.astype(np.int64) * k + predicted.astype(np.int64)


def confusion(
    y: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"], k: int
) -> Float64[np.ndarray, "{k} {k}"]:
    """Returns the confusion matrix (k, k) of class indices; raises BadInput for an index outside the classes."""
    return np.bincount(confusion_cells(y, predicted, k), minlength=k * k).reshape(k, k).astype(np.float64)


def score(name: str, y: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"], k: int) -> float:
    """Returns the metric `name` of predicted and true class indices, in [0, 1]; raises BadInput if there are none."""
    if not len(y):
        raise BadInput(f"{name} of no example: the part to score is empty")
    return float(metric(name)(confusion(y, predicted, k)))


def _hits(confusion: np.ndarray) -> np.ndarray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def ratio(part: np.ndarray | np.generic, whole: np.ndarray | np.generic) -> np.ndarray:
    """Returns `part / whole`, nan where the whole is 0."""
    whole = np.asarray(whole, dtype=np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _mean_where(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Returns the mean over the last axis of the values with `kept`; nan where there are none."""
    return ratio(np.where(kept, values, 0).sum(-1), kept.sum(-1))
