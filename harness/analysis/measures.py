"""Scores predictions by any metric, under weights of test examples; pure functions.

Every metric here is a function of weighted sums over examples: of the cells of a confusion matrix, of one loss per
example, of the hits and confidences in a bin, or of the examples of either class at each distinct score. So a
resample of examples costs a matrix product, for all resamples at once. Weights in scikit-learn's `sample_weight` give
the same scores.

A score is better if it is higher. Metrics of which less is better (log loss, Brier score, calibration error) enter as
their negative, under scikit-learn's names for it (`neg_log_loss`), so that a gain is an improvement everywhere.
Probabilities come from half precision and are scaled to sum to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
from jaxtyping import Float64, Integer
from scipy.sparse import csr_array

from harness.checks import choices
from harness.errors import BadInput
from harness.metrics import METRICS, Metric, confusion_cells, ratio

BINS = 15
"""Bins of equal width of the calibration error, as in Guo et al. 2017."""
LEAST = 2.0**-24
"""What a probability of 0 counts as in the log loss: the smallest positive number of half precision."""
_MEMORY = 64e6
FULL_DRAWS, RANK_DRAWS = 2000, 200
"""Resamples of test examples for an interval; the latter for metrics that sort the examples, which cost more."""


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """Holds the true and the predicted classes (n,) of scored rows, of `k` classes, and what else is known of them.

    `probabilities (n, k)` are None if the record keeps none, `groups (n,)` are None if the task has none.
    """

    y: Integer[np.ndarray, " n"]
    predicted: Integer[np.ndarray, " n"]
    k: int
    probabilities: np.ndarray | None = None
    groups: np.ndarray | None = None

    @property
    def distributions(self) -> Float64[np.ndarray, "n k"]:
        """Returns the probabilities in double precision, each row scaled to sum to 1; BadInput without them."""
        if self.probabilities is None:
            raise BadInput("this metric needs probabilities, and the record keeps none")
        wide = self.probabilities.astype(np.float64)
        return wide / wide.sum(1, keepdims=True)

    @property
    def of_truth(self) -> Float64[np.ndarray, " n"]:
        """Returns the probability of each row's true class."""
        return self.distributions[np.arange(len(self.y)), self.y]


@dataclass(frozen=True, eq=False)
class Sums:
    """Defines weighted sums over examples, and the score that they give.

    Entry `e` adds `value[e]` times the weight of example `example[e]` to sum `row[e]` of `size` sums. `score` maps sums
    (b, size) to scores (b,), nan where the examples that the metric needs have no weight.
    """

    row: Integer[np.ndarray, " e"]
    example: Integer[np.ndarray, " e"]
    value: Float64[np.ndarray, " e"]
    size: int
    score: Callable[[np.ndarray], np.ndarray]

    def placed(self, place: Integer[np.ndarray, " n"], n: int) -> PlacedSums:
        """Returns the sums over `n` units; `place` numbers the unit (an example, or a group of them) of each row."""
        return PlacedSums(csr_array((self.value, (self.row, place[self.example])), shape=(self.size, n)), self.score)

    def once(self) -> float:
        """Returns the score with a weight of 1 for each example."""
        sums = np.bincount(self.row, self.value, self.size).astype(np.float64)
        return float(self.score(sums[None])[0])


@dataclass(frozen=True, eq=False)
class PlacedSums:
    """Holds the sums of one trial as a matrix (size, n) over units, and the score that they give."""

    matrix: csr_array
    score: Callable[[np.ndarray], np.ndarray]

    def scores(self, weights: Float64[np.ndarray, "b n"]) -> Float64[np.ndarray, " b"]:
        """Returns the score under each row of weights of the units, in portions that fit in memory."""
        step = max(1, int(_MEMORY / (8 * self.matrix.shape[0])))
        portions = [weights[start : start + step] for start in range(0, len(weights), step)]
        return np.concatenate([self.score((self.matrix @ some.T).T) for some in portions])


@dataclass(frozen=True)
class Measure:
    """Holds a metric: its name in tables, the sums that it is made of, and what it needs of a record.

    `needs` names what else than classes it needs: probabilities, groups. `step` is the most, as a share, that one
    example can change a perfect score, by the number of rows of each class. `note` says in a sentence what the score
    is. `percent` is false if 100 times the score is no percentage.
    """

    title: str
    sums: Callable[[ScoredRows], Sums]
    needs: frozenset[str]
    step: Callable[[ScoredRows], float]
    note: str
    percent: bool = True
    draws: int = FULL_DRAWS

    @property
    def by_class(self) -> bool:
        """Returns whether the score depends on predicted classes alone."""
        return "probabilities" not in self.needs


def of_confusion(metric: Metric, title: str = "", note: str = "") -> Measure:
    """Returns the measure of a metric that is a function of the confusion matrix."""
    return Measure(
        title, partial(_cells, metric), frozenset(), lambda rows: most_of_one(rows.y, metric, rows.k) / 100, note
    )


def unit_of(title: str) -> str:
    """Returns the unit of 100 times a score, by the metric's name in tables."""
    return "points" if any(one.title == title and not one.percent for one in MEASURES.values()) else "%"


def most_of_one(y: Integer[np.ndarray, " n"], metric: Metric, k: int) -> float:
    """Returns the most, in points, by which a wrong answer to one test example changes a perfect score."""
    counts = np.bincount(y, minlength=k)
    perfect = np.diag(counts).astype(np.float64)
    whole, losses = metric(perfect), []
    for true in np.flatnonzero(counts):
        other = perfect.copy()
        other[true, true] -= 1
        other[true, (true + 1) % k] += 1
        losses.append(float(whole - metric(other)))
    return 100 * max(losses)


def measure(name: str) -> Measure:
    """Returns the measure of that name; raises BadInput with the nearest name if there is none."""
    if name not in MEASURES:
        raise BadInput(f"unknown metric {name!r}{choices(name, MEASURES)}")
    return MEASURES[name]


def _cells(metric: Metric, rows: ScoredRows) -> Sums:
    """Returns the counts of the confusion matrix, (k * k,)."""
    k, n = rows.k, len(rows.y)
    cells = confusion_cells(rows.y, rows.predicted, k)
    return Sums(cells, np.arange(n), np.ones(n), k * k, lambda sums: metric(sums.reshape(-1, k, k)))


def _mean(values: Float64[np.ndarray, " n"]) -> Sums:
    """Returns the sums whose ratio is the weighted mean of one value per example."""
    n = len(values)
    row, example = np.repeat([0, 1], n), np.tile(np.arange(n), 2)
    return Sums(row, example, np.concatenate([values, np.ones(n)]), 2, lambda sums: ratio(sums[:, 0], sums[:, 1]))


def _log_likelihood(rows: ScoredRows) -> Sums:
    """Returns the mean log-probability of the true class, in nats: the negative of the log loss."""
    return _mean(np.log(np.maximum(rows.of_truth, LEAST)))


def _brier(rows: ScoredRows) -> Sums:
    """Returns the negative of the Brier score (Brier 1950), of one class of two, or the sum over more classes."""
    squares = (rows.distributions - np.eye(rows.k)[rows.y]) ** 2
    return _mean(-squares.sum(1) / (2 if rows.k == 2 else 1))


def _calibration(rows: ScoredRows) -> Sums:
    """Returns, per bin of the largest probability, the sum of hits minus probabilities; and the sum of weights.

    The score is the negative of the expected calibration error (Naeini et al. 2015; Guo et al. 2017).
    """
    confidence, n = rows.distributions.max(1), len(rows.y)
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = (rows.predicted == rows.y) - confidence
    return Sums(
        np.concatenate([bins, np.full(n, BINS)]), np.tile(np.arange(n), 2), np.concatenate([gaps, np.ones(n)]),
        BINS + 1, lambda sums: -ratio(abs(sums[:, :BINS]).sum(1), sums[:, BINS]),
    )  # fmt: skip


def _ranks(score: Callable[[np.ndarray, np.ndarray], np.ndarray], rows: ScoredRows) -> Sums:
    """Returns, for each class against the rest, the weights of its own and of other examples at each distinct score.

    `score` maps both (t, b), by ascending score, to (b,). Two classes give the score of class 1, more give the mean
    over the classes that have an example and are not alone.
    """
    chances, n = rows.distributions, len(rows.y)
    row, start, spans = [], 0, []
    for c in [1] if rows.k == 2 else range(rows.k):
        _, tie = np.unique(chances[:, c], return_inverse=True)
        t = int(tie.max()) + 1
        row.append(start + tie + np.where(rows.y == c, 0, t))
        spans.append((start, t))
        start += 2 * t

    def mean(sums: np.ndarray) -> np.ndarray:
        by_row = sums.T  # laid out in this way by the matrix product
        each = np.stack([score(by_row[at : at + t], by_row[at + t : at + 2 * t]) for at, t in spans])
        known = np.isfinite(each)
        return ratio(np.where(known, each, 0).sum(0), known.sum(0))

    entries = np.concatenate(row)
    return Sums(entries, np.tile(np.arange(n), len(spans)), np.ones(len(entries)), start, mean)


def _area(own: Float64[np.ndarray, "t b"], others: Float64[np.ndarray, "t b"]) -> Float64[np.ndarray, " b"]:
    """Returns the area under the ROC curve: the chance that one of the class scores above another, a tie half."""
    below = 2 * np.cumsum(others, axis=0)
    below -= others
    below *= own
    return ratio(below.sum(0) / 2, own.sum(0) * others.sum(0))


def _precision(own: Float64[np.ndarray, "t b"], others: Float64[np.ndarray, "t b"]) -> Float64[np.ndarray, " b"]:
    """Returns the average precision: the precision at each threshold, weighted by what it adds to recall."""
    hits, misses = (np.cumsum(side[::-1], axis=0)[::-1] for side in (own, others))
    precision = np.nan_to_num(ratio(hits, hits + misses), nan=0.0)
    return ratio((own * precision).sum(0), own.sum(0))


def _worst_group(rows: ScoredRows) -> Sums:
    """Returns the hits and the rows of each group; the score is the lowest accuracy of a group that has a row."""
    if rows.groups is None:
        raise BadInput("worst_group needs groups of test rows, and this task has none")
    _, group = np.unique(rows.groups, return_inverse=True)
    g, n = int(group.max()) + 1, len(group)

    def worst(sums: np.ndarray) -> np.ndarray:
        shares = ratio(sums[:, :g], sums[:, g:])
        least = np.where(np.isfinite(shares), shares, np.inf).min(1)
        return np.where(np.isfinite(least), least, np.nan)

    value = np.concatenate([(rows.predicted == rows.y).astype(np.float64), np.ones(n)])
    return Sums(np.concatenate([group, g + group]), np.tile(np.arange(n), 2), value, 2 * g, worst)


def _balanced_step(rows: ScoredRows) -> float:
    return most_of_one(rows.y, METRICS["balanced_accuracy"], rows.k) / 100


def _one_row(most: float, rows: ScoredRows) -> float:
    return most / len(rows.y)


_NOTES = {
    "accuracy": "accuracy: the share of right answers.",
    "balanced_accuracy": "balanced_accuracy: the mean recall of the classes.",
    "macro_f1": "macro_f1: the mean F1 of the classes.",
    "f1": "f1: the F1 of the second class.",
    "worst_class": "worst_class: the lowest recall of a class.",
}
_SOFT = frozenset({"probabilities"})
MEASURES: Mapping[str, Measure] = MappingProxyType({
    **{
        name: of_confusion(found, name, _NOTES[name]) for name, found in METRICS.items()
    },
    "roc_auc": Measure(
        "roc_auc", partial(_ranks, _area), _SOFT, _balanced_step, draws=RANK_DRAWS,
        note="roc_auc: the area under the ROC curve; of more than two classes, the mean over each against the rest.",
    ),
    "average_precision": Measure(
        "average_precision", partial(_ranks, _precision), _SOFT, _balanced_step, draws=RANK_DRAWS,
        note="average_precision: the mean precision over recall; of more than two classes, the mean over each "
        "against the rest.",
    ),
    "log_loss": Measure(
        "neg_log_loss", _log_likelihood, _SOFT, partial(_one_row, -np.log(LEAST)), percent=False,
        note="neg_log_loss: minus 100 times the log loss, so a positive effect is an improvement. One point is 0.01 "
        "nats, not a percentage point; a probability of 0 counts as 6e-8.",
    ),
    "brier": Measure(
        "neg_brier_score", _brier, _SOFT, partial(_one_row, 2.0), percent=False,
        note="neg_brier_score: minus 100 times the Brier score, so a positive effect is an improvement.",
    ),
    "calibration_error": Measure(
        "neg_calibration_error", _calibration, _SOFT, partial(_one_row, 1.0), percent=False,
        note="neg_calibration_error: minus 100 times the expected calibration error of the largest probability, in "
        f"{BINS} bins of equal width, so a positive effect is an improvement.",
    ),
    "worst_group": Measure(
        "worst_group", _worst_group, frozenset({"groups"}), partial(_one_row, 1.0),
        note="worst_group: the lowest accuracy of a group of test rows.",
    ),
})  # fmt: skip
"""The metrics of a report, by the name that a user gives."""
