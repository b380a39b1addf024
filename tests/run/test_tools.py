"""What strategies are lent is refused unless declared, counted when taken, and shows no more than it must."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import composed, train_set

from harness.conformance.small_sets import K, features, logistic, stepwise, weak_set
from harness.data import EvalSet, Task, TrainSet
from harness.errors import BadInput
from harness.learners import Run
from harness.learners.probe import dynamics
from harness.run.config import plain
from harness.run.options import build
from harness.run.tools import Purchases, lend
from harness.strategies import Tools

CLASSES = ("a", "b", "c")


def task_of(n_valid: int = 4) -> Task:
    train, gold = weak_set("table")
    valid = EvalSet(np.array([f"v{i}" for i in range(n_valid)]), train.x[:n_valid], gold[:n_valid])
    test = EvalSet(np.array(["t0", "t1"]), train.x[[5, 8]], gold[[5, 8]])
    return Task("small", "table", CLASSES, train, valid, test, np.where(np.arange(90) < 80, gold, -1))


def lent(needs: list[str], run: Run, task: Task | None = None) -> tuple[Tools, Purchases]:
    bought = Purchases(task or task_of())
    return lend("clean", needs, logistic, ["logistic"], run, bought), bought


@pytest.mark.parametrize(
    ("need", "call"),
    [
        ("probe", lambda tools, train: tools.pred_probs(train)),
        ("dynamics", lambda tools, train: tools.dynamics(train)),
        ("gold", lambda tools, train: tools.ask(train.ids[:1])),
        ("valid", lambda tools, train: tools.valid()),
        ("test", lambda tools, train: tools.in_test(train, lambda x: np.arange(len(x)))),
    ],
)
def test_what_an_option_does_not_declare_is_refused(need: str, call: Any, run: Run) -> None:
    tools, bought = lent([], run)
    with pytest.raises(BadInput, match=rf"must declare `needs: \[{need}\]`"):
        call(tools, bought.task.train)
    assert not bought.sold
    assert bought.valid_labels == 0


def test_each_asked_row_is_sold_once(run: Run) -> None:
    tools, bought = lent(["gold"], run)
    ids = bought.task.train.ids
    assert np.array_equal(tools.ask(ids[[3, 1]]), bought.task.gold[[3, 1]])
    tools.ask(ids[[1]])
    assert bought.sold == {ids[1], ids[3]}
    with pytest.raises(BadInput, match="no true class of 1 rows, the first is 'table/85'"):
        tools.ask(ids[[85]])


def test_validation_labels_are_all_paid_for_when_they_are_looked_at(run: Run) -> None:
    tools, bought = lent(["valid"], run)
    assert bought.valid_labels == 0
    assert len(tools.valid()) == bought.valid_labels == 4
    with pytest.raises(BadInput, match="no validation rows"):
        lent(["valid"], run, task_of(0))[0].valid()


def test_work_of_people_is_counted_by_its_name(run: Run) -> None:
    tools, bought = lent([], run)
    tools.count("rules", 3)
    tools.count("rules", 2)
    assert bought.counted == {"rules": 5}
    with pytest.raises(BadInput, match="no line 'ruels'"):
        tools.count("ruels", 1)


def test_only_whether_a_row_stands_in_the_test_part_is_shown(run: Run) -> None:
    tools, bought = lent(["test"], run)
    train = bought.task.train
    found = tools.in_test(train, lambda x: np.array([row.tobytes().hex() for row in x]))
    assert np.flatnonzero(found).tolist() == [5, 8]
    bands = tools.in_test(train, lambda x: np.stack([np.arange(len(x)), np.round(x[:, 0], 3)], axis=1))
    assert bands[[0, 1, 5, 8]].all(), "one shared signature of several is enough"


def test_test_rows_are_prepared_as_the_training_rows_were(run: Run) -> None:
    tools, bought = lent(["test"], run)
    doubled = bought.task.train.transformed(lambda x: 2 * x)
    assert np.flatnonzero(tools.in_test(doubled, lambda x: x[:, 0].round(4))).tolist() == [5, 8]


def test_the_course_of_the_probe_is_seen_for_every_row_in_order(run: Run) -> None:
    train, _ = weak_set("table")
    seen = dynamics(train, learner=stepwise, run=run, identity="stepwise")
    assert seen.shape == (4, 90, K)
    assert np.allclose(seen.sum(2), 1, atol=1e-5)
    last = logistic(train.rows(train.labelled), EvalSet(train.ids, train.x, train.classes), run).predict(train.x)
    assert np.allclose(seen[-1], last)
    right = (seen.argmax(2) == train.classes)[:, train.labelled].mean(1)
    assert right[-1] >= right[0]
    assert len(list(run.cache.folder.glob("dynamics/*.npy"))) == 1


def test_a_network_shows_its_course_about_once_an_epoch(run: Run) -> None:
    network = build(plain(composed("model=mlp").model))
    train = train_set(np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32), [0, 1, 2, 0] * 10, 3)
    course = dynamics(train, learner=network, run=replace(run, steps=9), identity="mlp")
    assert course.shape == (3, 40, 3), "40 rows in batches of 16: a look every 3 steps"


def test_a_probe_that_does_not_train_in_steps_has_no_course(run: Run) -> None:
    train, _ = weak_set("table")
    with pytest.raises(BadInput, match="does not train in steps"):
        dynamics(train, learner=logistic, run=run, identity="logistic")


def test_features_change_for_the_rows_to_predict_too() -> None:
    train: TrainSet = train_set(np.array([[1.0], [2.0]], dtype=np.float32), [0, 1], 2)
    twice = train.transformed(lambda x: x + 1).transformed(lambda x: 10 * x)
    assert twice.x.tolist() == [[20.0], [30.0]]
    assert twice.prepare is not None
    assert twice.prepare(np.array([[4.0]])).tolist() == [[50.0]]
    assert train.prepare is None
    assert features(train.x).shape == (2, 1)
