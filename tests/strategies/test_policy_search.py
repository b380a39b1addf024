"""Policies: how one acts on a batch, how held-out rows choose it, and how a record gives it back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import composed, train_set

from harness.conformance.small_sets import logistic, tools_with, weak_set
from harness.data import EvalSet, Task
from harness.errors import BadInput
from harness.learners import Run
from harness.run.config import arm_of
from harness.run.options import build
from harness.run.tools import Purchases, compare_with_test, lend
from harness.strategies import Tools
from harness.strategies.augment import policy, random_policy, search_policy
from harness.strategies.augment.policy_search import augmented_rows, batch_function, likelihood, read_policy
from harness.streams import stream

GREY = train_set(np.full((4, 6, 6, 1), 51, np.uint8), [0, 1, 0, 1], 2)


def tools(seed: int = 0, **lent: Any) -> Tools:
    return tools_with(stream(seed, "test"), **lent)


def test_a_row_draws_one_sub_policy_and_its_operations_act_in_turn() -> None:
    """A pixel of 0.2: solarize at level 1 inverts all (0.8), and brightness at level 0 changes nothing."""
    x, y = torch.full((400, 1, 2, 2), 0.2), torch.eye(2)[torch.zeros(400, dtype=torch.long)]
    sure = batch_function(GREY, tools(), [[("solarize", 1.0, 1.0), ("brightness", 1.0, 0.0)]])
    assert torch.allclose(sure(x, y, stream(0, "b"))[0], torch.full_like(x, 0.8))
    twice = batch_function(GREY, tools(), [[("solarize", 1.0, 1.0), ("solarize", 1.0, 1.0)]])
    assert torch.allclose(twice(x, y, stream(0, "b"))[0], x)
    half = batch_function(GREY, tools(), [[("solarize", 0.5, 1.0)], [("brightness", 1.0, 0.0)]])
    share = float((half(x, y, stream(0, "b"))[0][:, 0, 0, 0] > 0.5).float().mean())
    assert 0.17 < share < 0.33, "half of the rows draw it, and it acts on half of those"


def test_rows_come_back_in_the_form_in_which_they_are_predicted() -> None:
    inverted = augmented_rows(GREY, batch_function(GREY, tools(), [[("solarize", 1.0, 1.0)]]), stream(0, "b"))
    assert inverted.dtype == np.uint8
    assert (inverted == 204).all()
    texts = train_set(np.array(["one two three"] * 3), [0, 1, 0], 2)
    swapped = augmented_rows(texts, batch_function(texts, tools(), [[("swap", 1.0, 1.0)]]), stream(0, "b"))
    assert all(sorted(text.split()) == ["one", "three", "two"] for text in swapped.tolist())
    assert (swapped != texts.x).any()
    table = train_set(np.array([[0.0], [2.0]], np.float32), [0, 1], 2)
    moved = augmented_rows(table, batch_function(table, tools(), [[("jitter", 1.0, 0.5)]]), stream(0, "b"))
    assert moved.dtype == np.float32
    assert (moved != table.x).all()


def test_the_likelihood_is_the_mean_log_probability_of_the_labels() -> None:
    table = train_set(np.array([[1.0], [2.0]], np.float32), [0, 1], 2)
    found = likelihood(table, lambda x: np.array([[0.5, 0.5], [0.75, 0.25]]), lambda x, y, rng: (x, y), stream(0, "b"))
    assert found == pytest.approx((np.log(0.5) + np.log(0.25)) / 2)


def test_sub_policies_that_keep_held_out_rows_likely_are_kept(run: Run) -> None:
    """The class is how bright an image is: what turns bright into dark loses, what moves pixels about does not."""
    train, gold = weak_set("grey")
    task = Task("small", "image", ("a", "b", "c"), train, EvalSet(train.ids, train.x, gold), EvalSet(train.ids, train.x, gold), gold)  # fmt: skip
    bought = Purchases(task)
    search_policy(
        train,
        lend("augment", ["probe"], logistic, ["logistic"], run, bought, compare_with_test(task)),
        candidates=30,
        best=2,
        length=1,
    )
    found = json.loads(bought.notes["policy"])
    assert len(found) == 2 * run.protocol.folds
    tones = {"solarize", "brightness", "auto_contrast"}
    assert not tones & {name for one in found for name, p, level in one if p * level > 0.3}
    assert bought.valid_labels == 0
    assert not bought.sold


def test_the_searched_policy_is_replayed_from_the_record(tmp_path: Path, run: Run) -> None:
    train, _ = weak_set("text")
    notes: dict[str, str] = {}
    first = random_policy(train, tools(note=notes.__setitem__), subpolicies=4, length=2)
    (tmp_path / "key.json").write_text(json.dumps({"facts": notes}))
    again = policy(train, tools(1), path=str(tmp_path / "key.json"))
    batches = [
        rows.augment(train.x[:20].tolist(), torch.eye(3)[[0] * 20], stream(3, "b"))[0] for rows in (first, again)
    ]  # type: ignore[misc]
    assert batches[0] == batches[1]
    assert batches[0] != train.x[:20].tolist()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("{", "not readable as JSON"),
        ('{"facts": {}}', "holds no policy"),
        ("[]", "holds no policy"),
        ('[[["rotate", 0.5, 0.5]]]', "'rotate' is not an operation on text rows"),
        ('[[["swop", 0.5, 0.5]]]', "did you mean 'swap'"),
        ('[[["swap", 1.5, 0.5]]]', "the probability of swap=1.5 is out of range"),
        ('[[["swap", 0.5]]]', "is not \\[operation, probability, level\\]"),
    ],
)
def test_a_file_that_holds_no_policy_is_told(content: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text(content)
    with pytest.raises(BadInput, match=line):
        read_policy(str(tmp_path / "policy.json"), "text")


def test_the_probe_is_refused_to_a_search_that_does_not_declare_it(run: Run) -> None:
    train, gold = weak_set("text")
    held = EvalSet(train.ids, train.x, gold)
    task = Task("small", "text", ("a", "b", "c"), train, held, held, gold)
    lent = lend("augment", [], logistic, ["logistic"], run, Purchases(task), compare_with_test(task))
    with pytest.raises(BadInput, match=r"must declare `needs: \[probe\]`"):
        build(arm_of(composed("augment=learned_text"))["augment"])(train, lent)
