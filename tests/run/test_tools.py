"""What strategies are lent is refused unless declared, counted when taken, and shows no more than it must."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import ModuleType
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
from harness.run.tools import Purchases, compare_with_test, lend
from harness.strategies import Tools

CLASSES = ("a", "b", "c")


def task_of(n_valid: int = 4) -> Task:
    train, gold = weak_set("table")
    valid = EvalSet(np.array([f"v{i}" for i in range(n_valid)]), train.x[:n_valid], gold[:n_valid])
    test = EvalSet(np.array(["t0", "t1"]), train.x[[5, 8]], gold[[5, 8]])
    return Task("small", "table", CLASSES, train, valid, test, np.where(np.arange(90) < 80, gold, -1))


def lent(needs: list[str], run: Run, task: Task | None = None) -> tuple[Tools, Purchases]:
    task = task or task_of()
    bought = Purchases(task)
    return lend("clean", needs, logistic, ["logistic"], run, bought, compare_with_test(task)), bought


@pytest.mark.parametrize(
    ("need", "call"),
    [
        ("probe", lambda tools, train: tools.pred_probs(train)),
        ("dynamics", lambda tools, train: tools.dynamics(train)),
        ("gold", lambda tools, train: tools.ask(train.ids[:1])),
        ("valid", lambda tools, train: tools.valid()),
        ("test", lambda tools, train: tools.in_test(train.ids, "exact", {})),
    ],
)
def test_what_an_option_does_not_declare_is_refused(need: str, call: Any, run: Run) -> None:
    tools, bought = lent([], run)
    with pytest.raises(BadInput, match=rf"must declare `needs: \[{need}\]`"):
        call(tools, weak_set("table")[0])
    assert not bought.sold
    assert bought.valid_labels == 0


def test_each_asked_row_is_sold_once(run: Run) -> None:
    tools, bought = lent(["gold"], run)
    train, gold = weak_set("table")
    ids = train.ids
    assert np.array_equal(tools.ask(ids[[3, 1]]), gold[[3, 1]])
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


def test_a_label_that_is_given_as_gold_is_not_bought_again(run: Run) -> None:
    """A small gold set beside a pool: all true classes are answered, and only the pool's are counted.

    A gold row whose class the oracle does not know besides is answered by its label.
    """
    task = task_of()
    facts = {"train_labels": "gold"}
    tools, bought = lent(["gold"], run, replace(task, facts=facts, gold=np.where(task.train.labelled, -1, 2)))
    answers = tools.ask(task.train.ids)
    assert np.array_equal(answers, np.where(task.train.labelled, task.train.classes, 2))
    assert bought.sold == set(task.train.ids[~task.train.labelled].tolist())
    assert 0 < len(bought.sold) < len(task.train)
    tools, bought = lent(["gold"], run)
    tools.ask(task.train.ids[:80])
    assert len(bought.sold) == 80, "labels that are given, but not as gold, are bought again"


def test_only_whether_a_row_stands_in_the_test_part_is_shown(run: Run) -> None:
    tools, _ = lent(["test"], run)
    train, _ = weak_set("table")
    found = tools.in_test(train.ids, "exact", {})
    assert found.dtype == bool
    assert np.flatnonzero(found).tolist() == [5, 8]
    assert tools.in_test(train.ids[[8, 0]], "keys", {"columns": [0], "decimals": 3}).tolist() == [True, False]
    assert tools.in_test(np.array(["valid/v0", "valid/v3", "table/5"]), "exact", {}).tolist() == [False, False, True]


def test_no_code_and_no_row_of_a_strategy_meets_the_test_part(run: Run) -> None:
    """A transform, a number that watches what it is multiplied with, a way of one's own, a row of one's own."""
    tools, _ = lent(["test"], run)
    train, _ = weak_set("table")
    seen: list[Any] = []
    spied = train.transformed(lambda x: seen.append(len(x)) or x)
    seen.clear()

    class Spy(float):
        def __rmul__(self, other: Any) -> Any:
            seen.append(other)
            return other

        __mul__ = __rmul__

    assert np.flatnonzero(tools.in_test(spied.ids, "exact", {})).tolist() == [5, 8]
    for way, parameters, told in (
        (
            "keys",
            {"columns": None, "decimals": Spy(2)},
            "decimals is a Spy: rows are compared with the test by numbers",
        ),
        ("keys", {"columns": [seen.append], "decimals": 2}, "columns is a list: rows are compared"),
        ("my_own", {}, "way=my_own is not known"),
    ):
        with pytest.raises(BadInput, match=told):
            tools.in_test(train.ids, way, parameters)
    with pytest.raises(BadInput, match="'a guess' is not a row of task small; only rows of the task"):
        tools.in_test(np.array(["a guess"]), "exact", {})
    assert seen == []


def reachable(thing: Any, depth: int = 8) -> Iterator[Any]:
    """What code can get at from an object: members, attributes, bound selves, closures, arguments of partials."""
    stack, known = [(thing, depth)], set()
    while stack:
        one, left = stack.pop()
        if id(one) in known or left == 0 or isinstance(one, ModuleType | type):
            continue
        known.add(id(one))
        yield one
        inner: list[Any] = []
        if isinstance(one, Mapping):
            inner += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set):
            inner += list(one)
        inner += list(getattr(one, "__dict__", {}).values())
        inner += [cell.cell_contents for cell in getattr(one, "__closure__", None) or ()]
        inner += [getattr(one, name, None) for name in ("__self__", "func", "args", "keywords", "base")]
        stack += [(part, left - 1) for part in inner]


@pytest.mark.parametrize("needs", [[], ["probe", "dynamics", "gold"]])
def test_what_a_strategy_is_lent_leads_to_no_test_row(needs: list[str], run: Run) -> None:
    """Not even through the insides of the tools, unless the option declares that it compares rows with the test."""
    task = task_of()
    train = replace(task.train, x=task.train.x.copy())
    test = EvalSet(task.test.ids, np.full((2, 7), 123.5, dtype=np.float32), task.test.y)
    task = replace(task, train=train, test=test)
    secret = test.x
    for lends in (needs, [*needs, "test"]):
        tools, _ = lent(lends, run, task)
        arrays = [one for one in reachable((tools, train)) if isinstance(one, np.ndarray)]
        assert any(one is train.ids or one.base is train.ids for one in arrays), "the walk sees what is there"
        assert any(np.shares_memory(one, secret) for one in arrays if one.dtype == secret.dtype) == ("test" in lends)


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
