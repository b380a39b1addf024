"""Subsets of weak labels that are worth trusting: the cut statistic by hand, shares, ties, and what is kept as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import train_set

from harness.conformance.small_sets import tools_with, weak_set
from harness.data import TrainSet, one_hot
from harness.errors import BadInput
from harness.strategies import Strategy, Tools, none
from harness.strategies.weak import cut_statistic, dawid_skene, most_confident, random_share
from harness.strategies.weak.row_selection import cuts
from harness.streams import stream


def tools(seed: int = 0) -> Tools:
    return tools_with(stream(seed, "weak"))


def gives(classes: list[int], sure: list[float] | None = None) -> Strategy:
    """A weak strategy that gives every row such a label, as sure as said; -1 leaves a row alone."""

    def strategy(train: TrainSet, tools: Tools) -> TrainSet:
        y, w = train.y.copy(), train.w.copy()
        for row, c in enumerate(classes):
            if c >= 0:
                share = sure[row] if sure else 1.0
                y[row], w[row] = share * one_hot(np.array([c]), 2)[0] + (1 - share) / 2, 1
        return replace(train, y=y, w=w)

    return strategy


@pytest.fixture
def line() -> TrainSet:
    """Seven points on a line in two groups, none labelled but the last, which no strategy labels anew."""
    x = np.array([[0.0], [1.0], [2.1], [10.0], [11.0], [12.1], [5.0]], dtype=np.float32)
    return train_set(x, [-1, -1, -1, -1, -1, -1, 1], 2)


def test_the_cut_statistic_by_hand() -> None:
    """Points 0, 1 and 3 of classes 0, 0, 1, one neighbour each, weights 1/2, 1/2 and 1/3.

    Class 0 is expected to be cut off with 1/3 of a weight, class 1 with 2/3; both deviate by sqrt(2)/3 of it.
    """
    points = np.array([[0], [1], [3]], dtype=np.float32)
    given = train_set(points, [0, 0, 1], 2)
    found = cuts(points, given, 1, stream(0, "cuts"))
    deviation = np.sqrt(2) / 3
    assert found == pytest.approx([-1 / 3 / deviation, -1 / 3 / deviation, 1 / 3 / deviation])


def test_rows_amid_others_of_their_class_are_kept(line: TrainSet) -> None:
    first = gives([0, 0, 1, 1, 1, 1, -1])
    after = cut_statistic(line, tools(), first=first, share=5 / 6, neighbours=2, encoder=None)
    assert list(after.labelled) == [True, True, False, True, True, True, True]
    assert np.allclose(after.y[2], 0.5)
    assert list(after.classes[[0, 1, 3, 4, 5, 6]]) == [0, 0, 1, 1, 1, 1]


def test_the_surest_labels_are_kept(line: TrainSet) -> None:
    first = gives([0, 0, 0, 1, 1, 1, -1], [0.9, 0.2, 0.8, 0.3, 0.7, 0.1])
    after = most_confident(line, tools(), first=first, share=0.5)
    assert list(after.labelled) == [True, False, True, False, True, False, True]


def test_a_row_that_is_not_kept_is_what_it_was() -> None:
    """A labelled row whose new label is not kept has its given label and weight."""
    train = train_set(np.arange(6, dtype=np.float32)[:, None], [1, 1, -1, -1, 0, 0], 2)
    first = gives([0, 1, 1, 1, 0, 1], [0.1, 0.9, 0.9, 0.2, 0.9, 0.3])
    after = most_confident(train, tools(), first=first, share=0.5)
    assert after.rows(np.array([0, 3, 5])).digest() == train.rows(np.array([0, 3, 5])).digest()
    assert after.y[2] == pytest.approx([0.05, 0.95])


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_a_share_of_the_new_labels_is_kept_but_never_none(share: float) -> None:
    train, _ = weak_set("table")
    said = {
        "coins": "many",
        "abstain": "symbol",
        "smoothing": 0.01,
        "tolerance": 1e-5,
        "iterations": 100,
        "rows": "voted",
    }

    def first(train: TrainSet, tools: Tools) -> TrainSet:
        return dawid_skene(train, tools, prior="estimated", labels="soft", ties="soft", **said)

    whole = first(train, tools())
    new = ((whole.y != train.y).any(1) | (whole.w != train.w)).sum()
    for strategy, extra in (
        (cut_statistic, {"neighbours": 5, "encoder": None}),
        (most_confident, {}),
        (random_share, {}),
    ):
        after = strategy(train, tools(), first=first, share=share, **extra)
        kept = ((after.y != train.y).any(1) | (after.w != train.w)).sum()
        assert kept == max(1, round(share * new))


def test_the_cut_statistic_keeps_better_labels_than_chance() -> None:
    train, truth = weak_set("table")
    bare = replace(train, y=one_hot(np.full(90, -1), 3), w=np.zeros(90, np.float32))
    noisy = np.where(stream(1, "noise").random(90) < 0.3, (truth + 1) % 3, truth)

    def first(train: TrainSet, tools: Tools) -> TrainSet:
        return replace(train, y=one_hot(noisy, 3), w=np.ones(90, np.float32))

    clever = cut_statistic(bare, tools(), first=first, share=0.5, neighbours=10, encoder=None)
    right = (noisy == truth)[clever.labelled].mean()
    assert right > (noisy == truth).mean() + 0.1


def test_rows_of_one_content_are_no_nearer_for_standing_first() -> None:
    """Ten equal points of which half are of each class: nobody's place decides who stays."""
    train = train_set(np.zeros((10, 1), np.float32), [-1] * 10, 2)
    first = gives([0, 1] * 5)
    stays = [
        cut_statistic(train, tools(seed), first=first, share=0.3, neighbours=3, encoder=None).labelled
        for seed in range(40)
    ]
    assert np.mean(stays, axis=0).min() > 0.05


@pytest.mark.parametrize(
    ("strategy", "said", "message"),
    [
        (cut_statistic, {"share": 0.5, "neighbours": 6, "encoder": None}, "neighbours=6 is too many: only 6 rows"),
        (cut_statistic, {"share": 0.5, "neighbours": 0, "encoder": None}, "neighbours=0 is out of range"),
        (random_share, {"share": 1.5}, r"share=1\.5 is out of range"),
        (most_confident, {"share": 0.5}, r"set weak\.first\.labels=soft"),
    ],
)
def test_what_cannot_be_chosen_is_told(line: TrainSet, strategy: Any, said: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        strategy(line, tools(), first=gives([0, 0, 0, 1, 1, 1, -1]), **said)


def test_a_first_strategy_must_label_rows_that_are_there(line: TrainSet) -> None:
    with pytest.raises(BadInput, match="labels no row"):
        random_share(line, tools(), first=none, share=0.5)
    with pytest.raises(BadInput, match="adds or drops rows"):
        random_share(line, tools(), first=lambda train, tools: train.rows(np.arange(3)), share=0.5)
