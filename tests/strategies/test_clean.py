"""Cleaning by hand, against published masks, and each dull twin beside its clever one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import train_set
from small_sets import global_state, tools_of, weak_set

from harness.data import TrainSet, one_hot
from harness.errors import BadInput
from harness.learners import Run
from harness.strategies import Tools
from harness.strategies.clean import confident, oracle, random_drop, random_relabel, relabel
from harness.strategies.clean.confident_learning import FILTERS, flagged, self_confidence
from harness.streams import stream

RULE = "prune_by_noise_rate"


def told(probs: np.ndarray, gold: np.ndarray | None = None, seed: int = 0) -> Tools:
    """Tools whose probe says `probs` and whose oracle knows `gold` by the number in an id."""

    def ask(ids: np.ndarray) -> np.ndarray:
        if gold is None:
            raise AssertionError("this strategy buys no label")
        return gold[[int(name[1:]) for name in ids]]

    return Tools(rng=stream(seed, "clean"), pred_probs=lambda _: probs, ask=ask)


@pytest.fixture
def nine() -> tuple[TrainSet, np.ndarray]:
    """Two classes; the probe is sure that r3 is of class 1 and r7 of class 0; r8 has no label."""
    train = train_set(np.zeros((9, 1), dtype=np.float32), [0, 0, 0, 0, 1, 1, 1, 1, -1], 2)
    sure = np.array([0.95, 0.9, 0.85, 0.05, 0.1, 0.15, 0.2, 0.97, 0.5])
    return train, np.column_stack([sure, 1 - sure]).astype(np.float32)


def test_confident_learning_by_hand(nine: tuple[TrainSet, np.ndarray]) -> None:
    """Mean self-confidence: 0.6875 in class 0, 0.645 in class 1; r3 and r7 alone pass the other class's threshold."""
    train, probs = nine
    kept = confident(train, told(probs), filter_by=RULE)
    assert kept.ids.tolist() == ["r0", "r1", "r2", "r4", "r5", "r6", "r8"]
    new = relabel(train, told(probs), filter_by=RULE)
    assert new.classes[:8].tolist() == [0, 0, 0, 1, 1, 1, 1, 0]
    assert np.array_equal(new.w, train.w)
    assert np.array_equal(new.y[8], [0.5, 0.5])


def test_the_probe_never_speaks_about_rows_without_a_label(nine: tuple[TrainSet, np.ndarray]) -> None:
    train, probs = nine
    certain = probs.copy()
    certain[8] = [0, 1]
    for filter_by in FILTERS:
        assert np.array_equal(flagged(train, certain, filter_by), flagged(train, probs, filter_by))
        assert not flagged(train, certain, filter_by)[8]
    assert self_confidence(train, probs)[8] == np.inf


def test_a_class_with_one_row_or_none_is_passed_over_without_a_warning() -> None:
    train = train_set(np.zeros((6, 1), dtype=np.float32), [0, 0, 0, 0, 0, 1], 4)
    probs = one_hot(np.array([0, 0, 1, 0, 0, 0]), 4)
    for filter_by in FILTERS:
        flagged(train, probs, filter_by)
    assert not flagged(train, probs, RULE)[5]


def test_a_misspelt_rule_is_told_with_the_nearest(nine: tuple[TrainSet, np.ndarray]) -> None:
    with pytest.raises(BadInput, match="did you mean prune_by_class"):
        confident(nine[0], told(nine[1]), filter_by="prune_by_clas")
    with pytest.raises(BadInput, match="did you mean random"):
        oracle(nine[0], told(nine[1]), k=1, order="randon")


def test_the_oracle_asks_for_the_most_suspect_rows(nine: tuple[TrainSet, np.ndarray]) -> None:
    """r7 (0.03), r3 (0.05) and then r6 (0.8) have the lowest self-confidence; r7's given label is right after all."""
    train, probs = nine
    gold, asked = np.array([0, 0, 0, 1, 1, 1, 0, 1, 0]), []
    tools = told(probs, gold)
    heard = replace(tools, ask=lambda ids: (asked.append(ids.tolist()), tools.ask(ids))[1])
    after = oracle(train, heard, k=3, order="suspect")
    assert asked == [["r7", "r3", "r6"]]
    assert after.classes[:8].tolist() == [0, 0, 0, 1, 1, 1, 0, 1]
    assert np.array_equal(after.w, train.w)


def test_the_random_oracle_needs_no_probe(nine: tuple[TrainSet, np.ndarray]) -> None:
    gold = np.array([1, 1, 1, 1, 0, 0, 0, 0, 1])

    def never(_: TrainSet) -> np.ndarray:
        raise AssertionError("a random order needs no probe")

    after = oracle(nine[0], replace(told(nine[1], gold), pred_probs=never), k=5, order="random")
    assert (after.classes != nine[0].classes)[:8].sum() == 5


@pytest.mark.parametrize("k", [-1, 9])
@pytest.mark.parametrize("order", ["suspect", "random"])
def test_the_oracle_sells_no_more_than_there_is(nine: tuple[TrainSet, np.ndarray], k: int, order: str) -> None:
    with pytest.raises(BadInput, match=f"k={k} labels, but the training set has 8 labelled rows"):
        oracle(nine[0], told(nine[1]), k=k, order=order)


def test_an_answer_that_nobody_has_ends_the_trial(nine: tuple[TrainSet, np.ndarray]) -> None:
    def unknown(ids: np.ndarray) -> np.ndarray:
        raise BadInput("unknown")

    with pytest.raises(BadInput, match="unknown"):
        oracle(nine[0], replace(told(nine[1]), ask=unknown), k=1, order="suspect")


def test_the_twins_change_as_many_labelled_rows_and_not_the_same(run: Run) -> None:
    train, gold = weak_set("table")
    clever = confident(train, tools_of(train, gold, run), filter_by=RULE)
    like = partial(confident, filter_by=RULE)
    dropped = [random_drop(train, tools_of(train, gold, run, seed=seed), like=like) for seed in (0, 1)]
    assert 4 < len(train) - len(clever) < 30
    assert [len(out) for out in dropped] == [len(clever)] * 2
    assert all(np.array_equal(out.labelled.sum(), clever.labelled.sum()) for out in dropped)
    assert dropped[0].ids.tolist() != dropped[1].ids.tolist() != clever.ids.tolist()
    changed = (relabel(train, tools_of(train, gold, run), filter_by=RULE).classes != train.classes).sum()
    blind = random_relabel(train, tools_of(train, gold, run), like=partial(relabel, filter_by=RULE))
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
    issues = flagged(train, tools_of(train, gold, run).pred_probs(train), RULE)
    assert (issues & wrong).sum() >= 0.7 * wrong.sum()
    assert (issues & ~wrong).sum() <= 5


def test_cleanlab_leaves_the_callers_generators_alone(
    nine: tuple[TrainSet, np.ndarray], capfd: pytest.CaptureFixture[str]
) -> None:
    before = global_state()
    for filter_by in FILTERS:
        confident(nine[0], told(nine[1]), filter_by=filter_by)
    oracle(nine[0], told(nine[1], np.zeros(9, dtype=int)), k=2, order="suspect")
    assert before == global_state()
    assert capfd.readouterr() == ("", "")


@pytest.mark.shared
@pytest.mark.parametrize(("mask", "filter_by"), [("cl_pbnr", RULE), ("cl_pbc", "prune_by_class"), ("cl_both", "both")])
def test_the_flagged_rows_are_the_published_ones(shared: Path, mask: str, filter_by: str) -> None:
    """CIFAR-10 with 20 % noise: Jaccard of at least 0.99 between the kept rows and those of the paper's release."""
    case = "n0.2_s0.2"
    with np.load(shared / "golden/confident_learning_cifar10.npz") as golden:
        noisy, probs = golden[f"{case}_noisy"].astype(int), golden[f"{case}_pyx"].astype(np.float32)
        keep = np.unpackbits(golden[f"{case}_keep_train_pruned_{mask}"])[: len(noisy)].astype(bool)
    train = train_set(np.zeros((len(noisy), 1), dtype=np.float32), noisy.tolist(), 10)
    issues = flagged(train, probs, filter_by)
    assert (issues & ~keep).sum() / (issues | ~keep).sum() >= 0.99
