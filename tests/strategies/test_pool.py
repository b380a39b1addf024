"""Labels for rows that have none, by hand: pseudo-labels, labels through a graph, labels bought batch by batch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from conftest import composed, train_set

from harness.conformance.small_sets import tools_with
from harness.data import TrainSet, one_hot
from harness.errors import BadInput, TrialFailed
from harness.run.config import arm_of, plain
from harness.run.fitting import misfits
from harness.run.options import build
from harness.strategies import Tools
from harness.strategies.clean import active
from harness.strategies.queries import diverse, loss_gradients, random_rows, uncertain
from harness.strategies.weak import active_pool, random_pool_labels, self_training, spread_labels
from harness.streams import stream

CHAIN = np.array([[float(i)] for i in range(5)] + [[float(i)] for i in range(20, 25)], dtype=np.float32)
ENDS = [0, -1, -1, -1, -1, -1, -1, -1, -1, 1]
SPREAD = {"neighbours": 3, "alpha": 0.2, "max_iter": 2000, "encoder": None}


def tools(seed: int = 0, **lent: Any) -> Tools:
    return tools_with(stream(seed, "test"), **lent)


def test_what_the_probe_is_sure_of_becomes_a_label_and_is_judged_again_each_round() -> None:
    """The second round takes r2 back and adds r3; r4 is never sure; what was given stays."""
    train = train_set(np.zeros((5, 1), np.float32), [0, 1, -1, -1, -1], 2)
    rounds = [np.array([[0.1, 0.9], [0.5, 0.5], [0.95, 0.05], [0.6, 0.4], [0.5, 0.5]], np.float32),
              np.array([[0.1, 0.9], [0.5, 0.5], [0.6, 0.4], [0.05, 0.95], [0.5, 0.5]], np.float32)]  # fmt: skip
    seen: list[TrainSet] = []

    def probe(rows: TrainSet) -> np.ndarray:
        seen.append(rows)
        return rounds[len(seen) - 1]

    after = self_training(train, tools(pred_probs=probe), threshold=0.9, rounds=2, labels="hard")
    assert after.w.tolist() == [1, 1, 0, 1, 0]
    assert after.classes[[0, 1, 3]].tolist() == [0, 1, 1]
    assert seen[1].w.tolist() == [1, 1, 1, 0, 0], "the second probe trains on the first pseudo-labels"
    assert np.array_equal(after.y[2], train.y[2])
    seen.clear()
    soft = self_training(train, tools(pred_probs=probe), threshold=0.9, rounds=1, labels="soft")
    assert soft.y[2].tolist() == pytest.approx([0.95, 0.05])


@pytest.mark.parametrize("method", ["propagation", "spreading"])
def test_labels_flow_along_a_chain_and_stop_at_its_end(method: str) -> None:
    train = train_set(CHAIN, ENDS, 2)
    after = spread_labels(train, tools(), method=method, labels="soft", **SPREAD)
    assert after.labelled.all()
    assert after.classes.tolist() == [0] * 5 + [1] * 5
    assert np.array_equal(after.y[[0, 9]], train.y[[0, 9]])
    alone = train_set(CHAIN, [0, 0, *[-1] * 8], 2)
    reached = spread_labels(alone, tools(), method=method, labels="hard", **SPREAD)
    assert reached.labelled.tolist() == [True] * 5 + [False] * 5, "no edge leads to the other chain"


def test_a_graph_that_does_not_settle_fails_the_trial() -> None:
    few = {**SPREAD, "max_iter": 1}
    with pytest.raises(TrialFailed, match=r"did not settle within weak\.max_iter=1 rounds"):
        spread_labels(train_set(CHAIN, ENDS, 2), tools(), method="propagation", labels="soft", **few)


def test_the_control_labels_as_many_rows_of_the_pool_at_random() -> None:
    train = train_set(np.zeros((60, 1), np.float32), [0] * 9 + [1] + [-1] * 50, 2)

    def like(rows: TrainSet, tools: Tools) -> TrainSet:
        w = rows.w.copy()
        w[10:40] = 1
        return replace(rows, y=one_hot(np.where(np.arange(60) < 40, 0, -1), 2), w=w)

    after = random_pool_labels(train, tools(), like=like)
    assert after.labelled.sum() == 40
    assert np.array_equal(after.y[:10], train.y[:10])
    new = after.classes[10:][after.labelled[10:]]
    assert 0.7 < (new == 0).mean() < 1, "nine of ten given labels are of class 0"


def test_each_batch_is_chosen_by_a_probe_that_knows_the_last_one() -> None:
    """The probe's doubt is about rows that were not bought: r5 and r4 first, then, trained anew, r3 and r2."""
    train = train_set(np.zeros((6, 1), np.float32), [0, 1, 0, 0, 0, 0], 2)
    probed: list[TrainSet] = []

    def probe(rows: TrainSet) -> np.ndarray:
        probed.append(rows)
        own = np.linspace(1.0, 0.5, 6)
        return np.stack([own, 1 - own], 1).astype(np.float32)

    asked: list[list[str]] = []

    def ask(ids: np.ndarray) -> np.ndarray:
        asked.append(ids.tolist())
        return np.ones(len(ids), dtype=np.int64)

    after = active(train, tools(pred_probs=probe, ask=ask), k=4, batches=2, query=uncertain)
    assert asked == [["r4", "r5"], ["r2", "r3"]]
    assert probed[1].classes.tolist() == [0, 1, 0, 0, 1, 1]
    assert after.classes.tolist() == [0, 1, 1, 1, 1, 1]


def test_only_the_pool_is_bought_by_the_weak_arm_and_only_labelled_rows_by_cleaning() -> None:
    train = train_set(CHAIN, ENDS, 2)
    gold = dict.fromkeys(train.ids.tolist(), 1)
    lent = {"ask": lambda ids: np.array([gold[name] for name in ids.tolist()], dtype=np.int64)}
    bought = active_pool(train, tools(**lent), k=5, batches=2, query=random_rows)
    assert bought.labelled.sum() == 7
    assert bought.classes[[0, 9]].tolist() == [0, 1]
    cleaned = active(train, tools(**lent), k=2, batches=1, query=random_rows)
    assert cleaned.classes[[0, 9]].tolist() == [1, 1]
    assert cleaned.labelled.sum() == 2
    with pytest.raises(BadInput, match="k=9 labels are asked for, but only 8 rows can be asked about"):
        active_pool(train, tools(**lent), k=9, batches=1, query=random_rows)


def test_gradients_of_the_last_layer_by_hand() -> None:
    found = loss_gradients(np.array([[0.75, 0.25], [0.0, 1.0]]), np.array([[2.0, 1.0], [3.0, 3.0]]))
    assert found.tolist() == [[-0.5, -0.25, 0.5, 0.25], [0, 0, 0, 0]], "a sure row has no gradient"


def test_diverse_rows_are_unsure_and_unlike_each_other() -> None:
    """Two groups of unsure rows and one of sure ones: of two rows bought, one comes from each unsure group."""
    x = np.concatenate([np.zeros((9, 2)), np.full((9, 2), 5.0), np.full((9, 2), -9.0)]).astype(np.float32)
    own = np.repeat([0.55, 0.55, 1.0], 9)
    train = train_set(x, [0, 1, 0] * 9, 2)
    query = partial(diverse, encoder=None)
    for seed in range(4):
        lent = tools(seed, pred_probs=lambda rows: np.stack([own, 1 - own], 1).astype(np.float32))
        found = query(train, lent, np.ones(27, dtype=bool), 2)
        assert 2 not in set((found // 9).tolist())
        assert len(set((found // 9).tolist())) == 2
    equal = query(train_set(np.zeros((4, 1), np.float32), [0, 1, 0, 1], 2),
                  tools(pred_probs=lambda rows: np.full((4, 2), 0.5, np.float32)), np.arange(4) < 3, 3)  # fmt: skip
    assert sorted(equal.tolist()) == [0, 1, 2], "equal gradients are not drawn twice"


def test_a_task_without_a_pool_and_a_budget_beyond_it_are_refused_before_a_trial() -> None:
    cfg = composed("task=digits", "task.n_train=60")
    task = build(plain(cfg.task)).split(0)
    arm = {"weak": arm_of(composed("weak=active_random"))["weak"]}
    assert misfits(arm, task) == ["weak (active_pool) needs rows without a label, which task digits does not have"]
    half = np.where(np.arange(60) < 55, task.train.w, 0).astype(np.float32)
    pooled = replace(task, train=replace(task.train, w=half))
    assert misfits(arm, pooled) == [
        "weak (active_pool) asks for k=20 labels, but task digits has 5 rows without a label"
    ]
