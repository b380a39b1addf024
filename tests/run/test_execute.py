"""The edge: what is said of a trial beside its control."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import composed
from studies import made_test_set
from studies import record as studied

from harness.commands.cli import result_line
from harness.data import take
from harness.run.execute import check_fit, delta, make_job, settle, study_store
from harness.storage.packing import unpack
from harness.storage.store import Store


def record(key: str, test: float | None, valid: float = 0.5) -> dict[str, Any]:
    """A record with that test score, or a failed one."""
    head = {"key": key, "arm": "clean=x", "seed": 3}
    if test is None:
        return {**head, "status": "failed", "reason": "diverged", "result": None}
    return {**head, "status": "done", "reason": None, "result": {"metric": "accuracy", "test": test, "valid": valid}}


def test_the_scored_rows_of_a_trial_lie_beside_its_record(tmp_path: Path) -> None:
    small = ["task.n_train=60", "model@baseline.model=logistic_regression", "seed=3", "track=none"]
    said = [*small, f"store={tmp_path}", f"cache={tmp_path / 'cache'}"]
    job = make_job(composed(*said), said)
    record, control = settle(job)
    assert record["key"] == control["key"]
    store, task, result = study_store(job.cfg), job.source.split(3), record["result"]
    assert store.test_set(result["test_set"]).ids.tolist() == task.test.ids.astype(str).tolist()
    valid = store.valid_set(result["valid_set"])
    assert valid.ids.tolist() == task.valid.ids.astype(str).tolist()
    assert (unpack(result["valid_predictions"]) == valid.y).mean() == pytest.approx(result["valid"])
    assert store.read(record["key"])["result"] == result


@pytest.mark.parametrize("metric", ["balanced_accuracy", "accuracy"])
def test_a_metric_of_every_class_is_refused_where_the_test_part_lacks_one(metric: str, tmp_path: Path) -> None:
    """Before any trial: the mean recall over the other nine classes would be another metric in silence."""
    said = ["task.n_train=60", "model@baseline.model=logistic_regression", f"protocol.metric={metric}"]
    job = make_job(composed(*said, f"store={tmp_path}", f"cache={tmp_path}"), said)
    task = job.source.split(0)
    kept = task.test.y != 7
    less = replace(task.test, ids=task.test.ids[kept], x=take(task.test.x, np.flatnonzero(kept)), y=task.test.y[kept])
    wanted = "protocol.metric=balanced_accuracy needs test rows of every class, and there is none of '7'"
    told = check_fit(job, replace(task, test=less))
    assert [line.partition(":")[0] for line in told] == ([wanted] if metric != "accuracy" else [])
    assert check_fit(job, task) == []


def test_a_delta_is_in_points_of_the_test_score():
    assert delta(record("a", 0.875), record("c", 0.75, valid=0.9)) == pytest.approx(12.5)


@pytest.mark.parametrize("pair", [(None, 0.5), (0.5, None)])
def test_there_is_no_delta_where_one_of_them_failed(pair):
    assert delta(record("a", pair[0]), record("c", pair[1])) is None
    assert delta(record("a", 0.5), None) is None


@pytest.mark.parametrize(
    ("trial", "control", "line"),
    [
        (record("a", 0.75), record("a", 0.75), "clean=x, seed 3: accuracy 75.00 (this is the control)"),
        (record("a", None), record("c", 0.5), "clean=x, seed 3: failed: diverged"),
        (
            record("a", 0.75),
            record("c", None),
            "clean=x, seed 3: accuracy 75.00; no delta: the control failed: diverged",
        ),
    ],
)
def test_a_trial_is_one_line(trial, control, line):
    assert result_line(trial, control, lambda digest: pytest.fail("no test set is needed")) == line


def test_a_single_delta_has_the_interval_of_its_test_rows_or_is_said_to_have_none(tmp_path):
    """Of 200 rows the trial is right on 40 that the control misses, and wrong on 20 that it hits."""
    store, test = Store(tmp_path / "single"), made_test_set(200, 2)
    rows = np.arange(200)
    arm, control = (
        studied(store, name, 3, np.where(wrong, 1 - test.y, test.y), test)
        for name, wrong in (("clean=x", rows < 20), ("baseline", (rows >= 20) & (rows < 60)))
    )
    line = result_line(arm, control, store.test_set)
    half = 1.972 * 100 * np.sqrt((60 / 200 - 0.1**2) / 199)  # the paired t interval
    low, high = (float(end) for end in re.findall(r"interval \[\+(.*), \+(.*)\] over", line)[0])
    assert line.startswith("clean=x, seed 3: accuracy 90.00, control 80.00, delta +10.00 points, 95 % interval [")
    assert (low, high) == pytest.approx((10 - half, 10 + half), abs=0.3)
    assert "over the 200 test rows (one seed: " in line
    tiny = made_test_set(1, 2)
    alone = [studied(store, name, 3, tiny.y, tiny) for name in ("clean=x", "baseline")]
    assert "delta 0.00 points (no interval: an interval needs at least two test examples)" in result_line(
        *alone, store.test_set
    )
