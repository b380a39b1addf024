"""Suspects and what becomes of them by hand, labels bought, and each reference beside its clever one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import composed, train_set
from invoke import PLAIN, SMALL, harness, records

from harness.conformance.generators import global_state
from harness.conformance.small_sets import tools_of, tools_with, weak_set
from harness.data import TrainSet, one_hot
from harness.errors import BadInput
from harness.learners import Run
from harness.run.config import arm_of, plain
from harness.run.fitting import misfits
from harness.run.options import build
from harness.strategies import Tools
from harness.strategies.clean import oracle, random_drop, random_relabel, suspects
from harness.strategies.clean.confident_learning import (
    FILTERS,
    confident_learning,
    flag_label_errors,
    label_quality,
    scored,
)
from harness.strategies.clean.finders import uncertainty
from harness.streams import stream

RULE = "prune_by_noise_rate"
SELF_CONFIDENCE = partial(scored, method="self_confidence")
confident = partial(
    suspects, find=partial(confident_learning, filter_by=RULE), share=None, handle="drop", strength=None
)
relabel = partial(confident, handle="relabel")
doubt = partial(suspects, find=SELF_CONFIDENCE, share=0.25, handle="drop", strength=None)
"""Two of the eight labelled rows of `nine`: r7 and r3."""


def told(probs: np.ndarray, gold: np.ndarray | None = None, seed: int = 0) -> Tools:
    """Tools whose probe says `probs` and whose oracle knows `gold` by the number in an id."""

    def ask(ids: np.ndarray) -> np.ndarray:
        if gold is None:
            raise AssertionError("this strategy buys no label")
        return gold[[int(name[1:]) for name in ids]]

    return tools_with(stream(seed, "clean"), pred_probs=lambda _: probs, ask=ask)


@pytest.fixture
def nine() -> tuple[TrainSet, np.ndarray]:
    """Two classes; the probe is sure that r3 is of class 1 and r7 of class 0; r8 has no label."""
    train = train_set(np.zeros((9, 1), dtype=np.float32), [0, 0, 0, 0, 1, 1, 1, 1, -1], 2)
    sure = np.array([0.95, 0.9, 0.85, 0.05, 0.1, 0.15, 0.2, 0.97, 0.5])
    return train, np.column_stack([sure, 1 - sure]).astype(np.float32)


def test_confident_learning_by_hand(nine: tuple[TrainSet, np.ndarray]) -> None:
    """Mean self-confidence: 0.6875 in class 0, 0.645 in class 1; r3 and r7 alone pass the other class's threshold."""
    train, probs = nine
    kept = confident(train, told(probs))
    assert kept.ids.tolist() == ["r0", "r1", "r2", "r4", "r5", "r6", "r8"]
    new = relabel(train, told(probs))
    assert new.classes[:8].tolist() == [0, 0, 0, 1, 1, 1, 1, 0]
    assert np.array_equal(new.w, train.w)
    assert np.array_equal(new.y[8], [0.5, 0.5])


def test_the_probe_never_speaks_about_rows_without_a_label(nine: tuple[TrainSet, np.ndarray]) -> None:
    train, probs = nine
    certain = probs.copy()
    certain[8] = [0, 1]
    for filter_by in FILTERS:
        assert np.array_equal(flag_label_errors(train, certain, filter_by), flag_label_errors(train, probs, filter_by))
        assert not flag_label_errors(train, certain, filter_by)[8]
    assert label_quality(train, probs, "self_confidence")[8] == np.inf


def test_a_class_with_one_row_or_none_is_passed_over_without_a_warning() -> None:
    train = train_set(np.zeros((6, 1), dtype=np.float32), [0, 0, 0, 0, 0, 1], 4)
    probs = one_hot(np.array([0, 0, 1, 0, 0, 0]), 4)
    for filter_by in FILTERS:
        flag_label_errors(train, probs, filter_by)
    assert not flag_label_errors(train, probs, RULE)[5]


def test_a_misspelt_rule_is_told_with_the_nearest(nine: tuple[TrainSet, np.ndarray]) -> None:
    with pytest.raises(BadInput, match="did you mean 'prune_by_class'"):
        flag_label_errors(*nine, "prune_by_clas")


def test_suspects_are_a_share_of_the_labelled_rows_and_each_handler_does_its_part(
    nine: tuple[TrainSet, np.ndarray],
) -> None:
    """The given classes of r3 and r7 have a probability of 0.05 and 0.03."""
    train, probs = nine
    assert doubt(train, told(probs)).ids.tolist() == ["r0", "r1", "r2", "r4", "r5", "r6", "r8"]
    assert doubt(train, told(probs), handle="relabel").classes[:8].tolist() == [0, 0, 0, 1, 1, 1, 1, 0]
    soft = doubt(train, told(probs), handle="soften", strength=0.4)
    assert soft.y[[3, 7]] == pytest.approx(np.array([[0.62, 0.38], [0.388, 0.612]]), abs=1e-6)
    light = doubt(train, told(probs), handle="reweight", strength=0.75)
    assert light.w.tolist() == [1, 1, 1, 0.25, 1, 1, 1, 0.25, 0]
    assert np.array_equal(light.y, train.y)
    others = np.delete(np.arange(9), [3, 7])
    assert soft.rows(others).digest() == light.rows(others).digest() == train.rows(others).digest()
    assert len(doubt(train, told(probs), share=0.0)) == 9


def test_without_a_finder_the_share_is_drawn(nine: tuple[TrainSet, np.ndarray]) -> None:
    train, probs = nine
    gone = {frozenset(train.ids) - frozenset(doubt(train, told(probs, seed=s), find=None).ids) for s in range(30)}
    assert {len(names) for names in gone} == {2}
    assert len(gone) > 10
    assert not any("r8" in names for names in gone)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"share": None}, "ranks rows and does not say how many are wrong: say share=0.1"),
        ({"find": None, "share": None}, "say share=0.1"),
        ({"share": 1.2}, "share=1.2 is out of range; it must lie between 0 and 1"),
        ({"handle": "soften"}, "handle=soften needs a strength: say strength=0.5"),
        ({"handle": "reweight", "strength": 1.0}, "strength=1.0 is out of range"),
        ({"strength": 0.5}, "handle=drop knows no degree: say strength=null, or handle=soften or reweight"),
    ],
)
def test_what_does_not_go_together_is_told(
    nine: tuple[TrainSet, np.ndarray], changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        doubt(nine[0], told(nine[1]), **changed)


def test_a_model_is_asked_for_what_the_chosen_handler_needs() -> None:
    task = build(plain(composed("task=table").task)).split(0)
    lacking = {"lacks": ["weights", "soft_labels"]}

    def unfit(*words: str) -> list[str]:
        arm = arm_of(composed("model=mlp", "clean=knn", *words))
        return misfits({**arm, "model": {**arm["model"], **lacking}}, task)

    assert unfit() == []
    assert unfit("clean.handle=relabel") == []
    assert "cannot take weights of rows" in unfit("clean.handle=reweight", "clean.strength=0.5")[0]
    assert "cannot take soft labels" in unfit("clean.handle=soften", "clean.strength=0.5")[0]


def test_the_oracle_asks_for_the_most_suspect_rows(nine: tuple[TrainSet, np.ndarray]) -> None:
    """r7 (0.03), r3 (0.05) and then r6 (0.8) have the lowest self-confidence; r7's given label is right after all."""
    train, probs = nine
    gold, asked = np.array([0, 0, 0, 1, 1, 1, 0, 1, 0]), []
    tools = told(probs, gold)
    heard = replace(tools, ask=lambda ids: (asked.append(ids.tolist()), tools.ask(ids))[1])
    after = oracle(train, heard, k=3, find=SELF_CONFIDENCE)
    assert asked == [["r7", "r3", "r6"]]
    assert after.classes[:8].tolist() == [0, 0, 0, 1, 1, 1, 0, 1]
    assert np.array_equal(after.w, train.w)


def test_the_random_oracle_needs_no_probe(nine: tuple[TrainSet, np.ndarray]) -> None:
    gold = np.array([1, 1, 1, 1, 0, 0, 0, 0, 1])

    def never(_: TrainSet) -> np.ndarray:
        raise AssertionError("a draw needs no probe")

    after = oracle(nine[0], replace(told(nine[1], gold), pred_probs=never), k=5, find=None)
    assert (after.classes != nine[0].classes)[:8].sum() == 5


def test_the_oracle_asks_for_the_rows_of_which_the_probe_is_least_sure(nine: tuple[TrainSet, np.ndarray]) -> None:
    """r6 is given 0.2 against 0.8, then r2 and r5 0.85 against 0.15; their labels play no part."""
    train, probs = nine
    after = oracle(train, told(probs, np.array([1, 1, 1, 1, 0, 0, 0, 0, 0])), k=3, find=uncertainty)
    assert np.flatnonzero((after.classes != train.classes)[:8]).tolist() == [2, 5, 6]


def test_more_labels_than_rows_are_refused_before_anything_runs() -> None:
    """Without weak supervision the labelled rows are all that one may ask about."""
    task = build(plain(composed("task=digits", "task.n_train=120").task)).split(0)

    def unfit(*words: str) -> list[str]:
        return misfits(arm_of(composed("model=mlp", *words)), task)

    assert unfit("clean=oracle", "clean.k=120") == []
    assert unfit("clean=oracle_random", "clean.k=121") == [
        "clean (oracle) asks for k=121 labels, but task digits has 120 labelled rows to train on"
    ]
    w = np.zeros(120, dtype=np.float32)
    w[:50] = 1
    task = replace(task, train=replace(task.train, w=w))
    assert "has 50 labelled rows" in unfit("clean=oracle", "clean.k=51")[0]
    assert unfit("clean=oracle", "clean.k=51", "weak=majority_vote") == []
    assert "has 120 rows" in unfit("clean=oracle", "clean.k=121", "weak=majority_vote")[0]


@pytest.mark.slow
def test_a_budget_curve_is_a_sweep_over_k(tmp_path: Path) -> None:
    """On the command line, and as arms of a study: as many labels are bought as each point says."""
    words = (*SMALL, *PLAIN, "hydra/launcher=basic")
    swept = harness("-m", "clean=oracle", "clean.k=5,10,20", *words, folder=tmp_path)
    assert swept.returncode == 0, swept.stderr
    arms = 'arms=[["clean=oracle","clean.k=10"],["clean=oracle_uncertain","clean.k=20"]]'
    study = harness("-m", "study=curve", "hydra/sweeper=study", "seeds=[0]", arms, *words, folder=tmp_path)
    assert study.returncode == 0, study.stderr
    bought = {
        name: {row["arm"]: row["ledger"]["oracle"] for row in records(tmp_path / "results" / name).values()}
        for name in ("single", "curve")
    }
    assert bought["single"] == {"baseline": 0, **{f"clean=oracle clean.k={k}": k for k in (5, 10, 20)}}
    assert bought["curve"] == {"baseline": 0, "clean=oracle clean.k=10": 10, "clean=oracle_uncertain clean.k=20": 20}


@pytest.mark.parametrize("k", [-1, 9])
@pytest.mark.parametrize("find", [SELF_CONFIDENCE, None])
def test_the_oracle_sells_no_more_than_there_is(nine: tuple[TrainSet, np.ndarray], k: int, find: Any) -> None:
    with pytest.raises(BadInput, match=f"k={k} labels, but the training set has 8 labelled rows"):
        oracle(nine[0], told(nine[1]), k=k, find=find)


def test_an_answer_that_nobody_has_ends_the_trial(nine: tuple[TrainSet, np.ndarray]) -> None:
    def unknown(ids: np.ndarray) -> np.ndarray:
        raise BadInput("unknown")

    with pytest.raises(BadInput, match="unknown"):
        oracle(nine[0], replace(told(nine[1]), ask=unknown), k=1, find=SELF_CONFIDENCE)


def test_negative_controls_change_as_many_labelled_rows_and_not_the_same(run: Run) -> None:
    train, gold = weak_set("table")
    clever = confident(train, tools_of(train, gold, run))
    dropped = [random_drop(train, tools_of(train, gold, run, seed=seed), like=confident) for seed in (0, 1)]
    assert 4 < len(train) - len(clever) < 30
    assert [len(out) for out in dropped] == [len(clever)] * 2
    assert all(np.array_equal(out.labelled.sum(), clever.labelled.sum()) for out in dropped)
    assert dropped[0].ids.tolist() != dropped[1].ids.tolist() != clever.ids.tolist()
    changed = (relabel(train, tools_of(train, gold, run)).classes != train.classes).sum()
    blind = random_relabel(train, tools_of(train, gold, run), like=relabel)
    assert changed == ((blind.classes != train.classes) & train.labelled).sum()


def test_random_relabel_reaches_every_other_class() -> None:
    train = train_set(np.zeros((200, 1), dtype=np.float32), [1] * 200, 4)
    all_to_zero = lambda rows, tools: replace(rows, y=one_hot(np.zeros(len(rows), int), 4))  # noqa: E731
    after = random_relabel(train, told(np.zeros((200, 4), dtype=np.float32)), like=all_to_zero)
    counts = np.bincount(after.classes, minlength=4)
    assert counts[1] == 0
    assert counts[[0, 2, 3]].min() > 40


def test_confident_learning_finds_planted_errors(run: Run) -> None:
    train, gold = weak_set("table")
    wrong = train.labelled & (train.classes != gold)
    issues = flag_label_errors(train, tools_of(train, gold, run).pred_probs(train), RULE)
    assert (issues & wrong).sum() >= 0.7 * wrong.sum()
    assert (issues & ~wrong).sum() <= 5


def test_cleanlab_leaves_the_callers_generators_alone(
    nine: tuple[TrainSet, np.ndarray], capfd: pytest.CaptureFixture[str]
) -> None:
    before = global_state()
    for filter_by in FILTERS:
        confident(nine[0], told(nine[1]), find=partial(confident_learning, filter_by=filter_by))
    oracle(nine[0], told(nine[1], np.zeros(9, dtype=int)), k=2, find=SELF_CONFIDENCE)
    assert before == global_state()
    assert capfd.readouterr() == ("", "")
