"""Co-teaching by hand: whose rows, how many of them, and what two networks are when nothing is left out."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from harness.conformance.easy_sets import easy
from harness.data import one_hot
from harness.errors import BadInput
from harness.learners import Run
from harness.learners.coteaching import NetworkPair, co_teaching, exchanged_cross_entropy, pair
from harness.learners.losses import soft_cross_entropy
from harness.learners.nets import mlp
from harness.learners.torch import Builder, fit_network

MLP: Builder = partial(mlp, width=16, depth=1, dropout=0.0)


def given(*odds: tuple[float, float]) -> torch.Tensor:
    """Logits (b, 2, 2) where row b's first class has those odds in the first and in the second network."""
    return torch.tensor([[[math.log(odd), 0.0] for odd in pair] for pair in odds])


def cost(odd: float) -> float:
    return math.log(1 + 1 / odd)


def test_each_network_learns_from_the_rows_that_the_other_finds_easiest() -> None:
    """The first network finds rows 0 and 1 easy, the second rows 2 and 3: each is taught what the other picked."""
    logits = given((9, 2), (8, 3), (2, 9), (3, 8))
    y, w = torch.eye(2)[[0, 0, 0, 0]], torch.tensor([1.0, 1.0, 4.0, 1.0])
    found = exchanged_cross_entropy(logits, y, w, 5.0, tau=0.5, T_k=5.0)
    first = (4 * cost(2) + cost(3)) / 2  # of the first network on rows 2 and 3
    second = (cost(2) + cost(3)) / 2  # of the second one on rows 0 and 1
    assert float(found) == pytest.approx(first + second, rel=1e-5)


@pytest.mark.parametrize(("epoch", "kept"), [(0.0, 10), (2.5, 8), (5.0, 6), (50.0, 6)])
def test_the_share_that_is_left_out_grows_to_tau_and_stays(epoch: float, kept: int) -> None:
    logits = given(*[(float(10 - row), float(10 - row)) for row in range(10)]).requires_grad_()
    y = torch.eye(2)[[0] * 10]
    exchanged_cross_entropy(logits, y, torch.ones(10), epoch, tau=0.4, T_k=5.0).backward()
    assert (logits.grad.abs().sum((1, 2)) > 0).tolist() == [True] * kept + [False] * (10 - kept)


def test_a_soft_label_is_as_easy_as_what_it_leaves_to_be_learned() -> None:
    """A uniform label on a uniform prediction costs log 2 but leaves nothing; the hard one leaves log 4/3."""
    logits = given((1, 1), (3, 3))
    y = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    found = exchanged_cross_entropy(logits, y, torch.ones(2), 1.0, tau=0.5, T_k=1.0)
    assert float(found) == pytest.approx(2 * math.log(2))


def test_one_row_is_always_left() -> None:
    found = exchanged_cross_entropy(given((3, 1)), torch.eye(2)[[0]], torch.ones(1), 1.0, tau=1.0, T_k=1.0)
    assert float(found) == pytest.approx(cost(3) + cost(1))


def test_with_nothing_left_out_each_trains_as_if_alone() -> None:
    logits, y, w = given((9, 2), (0.5, 3)), torch.eye(2)[[0, 1]], torch.tensor([1.0, 3.0])
    alone = sum(float(soft_cross_entropy(logits[:, i], y, w, 0.0)) for i in (0, 1))
    assert float(exchanged_cross_entropy(logits, y, w, 9.0, tau=0.0, T_k=1.0)) == pytest.approx(alone, rel=1e-5)


def test_the_pair_predicts_the_mean_of_two_beliefs() -> None:
    layers = [nn.Linear(1, 2), nn.Linear(1, 2)]
    for layer, odd in zip(layers, (3.0, 1.0), strict=True):
        nn.init.zeros_(layer.weight)
        layer.bias.data = torch.tensor([math.log(odd), 0.0])
    both = NetworkPair(*layers)
    assert both.train()(torch.zeros(5, 1)).shape == (5, 2, 2)
    predicted = both.eval()(torch.zeros(5, 1)).softmax(1)
    torch.testing.assert_close(predicted[0], torch.tensor([(0.75 + 0.5) / 2, (0.25 + 0.5) / 2]))


def test_the_first_of_the_pair_is_the_network_alone_where_nothing_is_left_out(run: Run) -> None:
    train, valid = easy("table")
    both = co_teaching(train, valid, run, network=MLP, tau=0.0, T_k=1.0)
    alone = fit_network(train, valid, run, network=MLP)
    trained = both.predict.args[0].network.module.both[0].state_dict()  # type: ignore[attr-defined]
    for name, weight in alone.predict.args[0].network.module.state_dict().items():  # type: ignore[attr-defined]
        torch.testing.assert_close(trained[name], weight, rtol=1e-4, atol=1e-5)


def test_the_pair_starts_from_two_draws_and_both_are_counted(run: Run) -> None:
    train, valid = easy("table")
    built = pair(train.x, 3, network=MLP)
    assert not torch.equal(*(part[2].weight for part in built.module.both))  # type: ignore[union-attr, index]
    alone = fit_network(train, valid, run, network=MLP)
    both = co_teaching(train, valid, run, network=MLP, tau=0.2, T_k=1.0)
    assert (both.parameters, both.examples) == (2 * alone.parameters, 2 * alone.examples)
    assert [row["step"] for row in both.history] == [row["step"] for row in alone.history]


@pytest.mark.slow
def test_it_withstands_wrong_labels_that_the_network_alone_learns(run: Run) -> None:
    train, valid = easy("table", n=240)
    wrong = np.arange(len(train)) % 5 < 2
    noisy = replace(train, y=one_hot(np.where(wrong, (train.classes + 1) % 3, train.classes), 3))
    long = replace(run, steps=600, protocol=replace(run.protocol, weight_decay=0.0))
    wide: Builder = partial(mlp, width=128, depth=2, dropout=0.0)
    found = {
        "alone": fit_network(noisy, valid, long, network=wide),
        "taught": co_teaching(noisy, valid, long, network=wide, tau=0.4, T_k=3.0),
    }
    right = {name: (fit.predict(valid.x).argmax(1) == valid.y).mean() for name, fit in found.items()}
    assert right["taught"] > right["alone"] + 0.1


@pytest.mark.parametrize(("tau", "T_k", "line"), [(1.5, 1.0, "tau=1.5 is out"), (0.2, 0.0, "T_k=0.0 is out")])
def test_a_parameter_out_of_range_is_told(run: Run, tau: float, T_k: float, line: str) -> None:
    with pytest.raises(BadInput, match=line):
        co_teaching(*easy("table"), run, network=MLP, tau=tau, T_k=T_k)
