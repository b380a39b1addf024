"""Metrics under weights: those of scikit-learn, and those of which less is better turned round."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from harness.analysis.effects import TrialPair, measured_interval
from harness.analysis.measures import BINS, MEASURES, ScoredRows, measure, most_of_one, unit_of
from harness.errors import BadInput
from harness.metrics import METRICS, class_faults
from harness.streams import stream

Weights = np.ndarray


def drawn(k: int, n: int = 150, skill: float = 1.2, scope: str = "rows") -> ScoredRows:
    """Rows whose probabilities say something of the class, in half precision, so that some of them are equal."""
    rng = stream(0, "test", scope, str(k))
    y = rng.integers(k, size=n)
    odds = np.exp(rng.normal(size=(n, k)) + skill * np.eye(k)[y])
    chances = (odds / odds.sum(1, keepdims=True)).astype(np.float16)
    return ScoredRows(y, chances.argmax(1), k, chances, rng.integers(6, size=n))


def by_scikit_learn(rows: ScoredRows) -> dict[str, Callable[[Weights], float]]:
    """Scikit-learn's functions of the weights, each with the sign of ours."""
    y, predicted, k, chances = rows.y, rows.predicted, rows.k, rows.distributions
    scores, binary = (chances[:, 1], y) if k == 2 else (chances, np.eye(k)[y])
    more = {} if k == 2 else {"multi_class": "ovr", "average": "macro"}
    only = {
        "roc_auc": lambda w: sklearn_metrics.roc_auc_score(y, scores, sample_weight=w, **more),
        "average_precision": lambda w: sklearn_metrics.average_precision_score(binary, scores, sample_weight=w),
        "log_loss": lambda w: -sklearn_metrics.log_loss(y, chances, sample_weight=w),
        "brier": lambda w: -sklearn_metrics.brier_score_loss(y, scores, sample_weight=w),
        "accuracy": lambda w: sklearn_metrics.accuracy_score(y, predicted, sample_weight=w),
        "balanced_accuracy": lambda w: sklearn_metrics.balanced_accuracy_score(y, predicted, sample_weight=w),
        "macro_f1": lambda w: sklearn_metrics.f1_score(y, predicted, average="macro", sample_weight=w),
        "worst_class": lambda w: sklearn_metrics.recall_score(y, predicted, average=None, sample_weight=w).min(),
    }
    return only | ({"f1": lambda w: sklearn_metrics.f1_score(y, predicted, sample_weight=w)} if k == 2 else {})


@pytest.mark.parametrize("k", [2, 4])
def test_every_metric_is_scikit_learns_under_any_weights(k: int) -> None:
    rows, rng = drawn(k), stream(0, "test", "weights")
    n, weights = len(rows.y), rng.integers(0, 4, size=(3, 150)).astype(float)
    known = by_scikit_learn(rows)
    assert {*known, "calibration_error", "worst_group"} | ({"f1"} if k > 2 else set()) == set(MEASURES)
    for name, wanted in known.items():
        sums = measure(name).sums(rows)
        assert sums.once() == pytest.approx(wanted(np.ones(n)), abs=1e-12), name
        found = sums.placed(np.arange(n), n).scores(weights)
        assert found == pytest.approx([wanted(one) for one in weights], abs=1e-12), name


def test_calibration_error_and_worst_group_as_written_out() -> None:
    rows, weights = drawn(3), stream(0, "test", "weights").integers(1, 4, size=150).astype(float)
    n, confidence, hit = len(rows.y), rows.distributions.max(1), rows.predicted == rows.y
    error = 0.0
    for low in range(BINS):
        inside = (confidence > low / BINS) & (confidence <= (low + 1) / BINS)
        error += abs((weights * (hit - confidence))[inside].sum()) / weights.sum()
    found = measure("calibration_error").sums(rows).placed(np.arange(n), n).scores(weights[None])
    assert found[0] == pytest.approx(-error)
    assert 0.02 < error < 0.5
    shares = [np.average(hit[rows.groups == one], weights=weights[rows.groups == one]) for one in range(6)]
    worst, without = int(np.argmin(shares)), weights * (rows.groups != np.argmin(shares))
    found = measure("worst_group").sums(rows).placed(np.arange(n), n).scores(np.stack([weights, without]))
    assert found == pytest.approx([shares.pop(worst), min(shares)])


def test_an_equal_score_counts_half_and_belongs_to_one_threshold() -> None:
    y, chance = np.array([0, 1, 0, 1, 1, 0]), np.array([0.25, 0.25, 0.5, 0.5, 0.75, 0.5])
    rows = ScoredRows(y, (chance > 0.5).astype(int), 2, np.column_stack([1 - chance, chance]))
    assert measure("roc_auc").sums(rows).once() == pytest.approx((0.5 + 2 + 3) / 9)
    known = sklearn_metrics.average_precision_score(y, chance)
    assert measure("average_precision").sums(rows).once() == pytest.approx(known)


def test_the_most_that_one_row_changes_is_that_of_the_smallest_class() -> None:
    y = np.repeat([0, 1], [90, 10])
    assert most_of_one(y, METRICS["balanced_accuracy"], 2) == pytest.approx(100 / 10 / 2)
    rows = ScoredRows(y, y, 2)
    assert measure("balanced_accuracy").step(rows) == measure("roc_auc").step(rows) == pytest.approx(0.05)
    assert measure("brier").step(rows) == pytest.approx(2 / 100)


def test_a_better_model_scores_higher_by_every_metric() -> None:
    good, bad = (drawn(2, 2000, skill) for skill in (2.5, 0.6))
    for name, one in MEASURES.items():
        if name != "calibration_error":
            assert one.sums(good).once() > one.sums(bad).once(), name
    right = np.arange(100) % 2
    sure, unsure = (ScoredRows(right, right, 2, np.eye(2)[right] * p + (1 - p) / 2) for p in (1.0, 0.2))
    assert measure("calibration_error").sums(sure).once() == 0
    assert measure("calibration_error").sums(unsure).once() == pytest.approx(-0.4)
    assert [unit_of(measure(name).title) for name in ("log_loss", "roc_auc", "accuracy")] == ["points", "%", "%"]


def pairs(r: int, n: int, rng: np.random.Generator, gain: float) -> list[TrialPair]:
    """Seeds with test rows of their own, on which the arm's scores are shifted towards the truth by `gain`."""
    found = []
    for seed in range(r):
        y = rng.integers(2, size=n)
        common = rng.normal(size=n)
        chances = []
        for shift in (1 + gain, 1.0):
            z = common + 0.5 * rng.normal(size=n) + shift * (2 * y - 1)
            p = 1 / (1 + np.exp(-z))
            chances.append(np.column_stack([1 - p, p]))
        classes = [one.argmax(1) for one in chances]
        ids = np.array([f"{seed}-{i}" for i in range(n)])
        found.append(TrialPair(ids, y, classes[0], classes[1], None, (chances[0], chances[1])))
    return found


@pytest.mark.parametrize("name", ["roc_auc", "log_loss", "average_precision"])
def test_intervals_of_metrics_on_probabilities_hold_the_truth(name: str) -> None:
    rng, held, studies = stream(0, "test", "coverage", name), 0, 80
    one = measure(name)
    big = pairs(1, 60_000, rng, 0.3)[0]
    arm, control = big.rows(2)
    truth = 100 * (one.sums(arm).once() - one.sums(control).once())
    assert truth > 0
    for _ in range(studies):
        found = measured_interval(pairs(4, 80, rng, 0.3), one, 2, draws=60, rng=rng)
        held += found.low <= truth <= found.high
    assert 0.9 < held / studies <= 1


def test_groups_weigh_together() -> None:
    """Two rows in one unit are one unit of twice the weight."""
    rows = drawn(2)
    half = np.arange(150) // 2
    sums = measure("roc_auc").sums(rows)
    weights = stream(0, "test", "weights").integers(0, 3, size=(2, 75)).astype(float)
    assert sums.placed(half, 75).scores(weights) == pytest.approx(
        sums.placed(np.arange(150), 150).scores(weights[:, half])
    )


def test_a_class_without_a_test_row_is_refused_by_metrics_of_every_class() -> None:
    y = np.array([0, 0, 2])
    for name in MEASURES:
        wrong = class_faults("metric", name, y, ("a", "b", "c"))
        assert bool(wrong) == (name in {*METRICS, "roc_auc", "average_precision"} - {"accuracy"}), name
    assert "metric=macro_f1 needs test rows of every class, and there is none of 'b'" in class_faults(
        "metric", "macro_f1", y, ("a", "b", "c")
    )[0]  # fmt: skip
    assert "is for 2 classes, this task has 3" in class_faults("metric", "f1", np.arange(3), ("a", "b", "c"))[0]


def test_an_unknown_metric_is_told_with_the_nearest() -> None:
    with pytest.raises(BadInput, match="unknown metric 'roc_acu'; did you mean 'roc_auc'"):
        measure("roc_acu")
