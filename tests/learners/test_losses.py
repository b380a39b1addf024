"""Losses by hand on two rows, and the limits in which each is the cross-entropy."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.conformance.easy_sets import easy
from harness.errors import BadInput
from harness.learners import Run
from harness.learners.losses import (
    Loss,
    bootstrapping_hard,
    bootstrapping_soft,
    generalised_cross_entropy,
    label_smoothing,
    soft_cross_entropy,
    symmetric_cross_entropy,
)
from harness.learners.nets import mlp
from harness.learners.torch import Builder, fit_network, fit_with_loss

MLP: Builder = partial(mlp, width=16, depth=1, dropout=0.2)
LOG3 = math.log(3)
LOGITS = torch.tensor([[LOG3, 0.0], [0.0, 0.0]])
"""Softmax (3/4, 1/4) and (1/2, 1/2)."""
Y, W = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([1.0, 2.0])
"""The first row's label is the improbable class; the second row weighs twice as much."""
H, Q = math.log(2), math.log(4)
"""Minus the logarithm of 1/2 and of 1/4."""
LIMITS: list[tuple[str, Loss]] = [
    ("eps", partial(label_smoothing, eps=0.0)),
    ("q", partial(generalised_cross_entropy, q=1e-6)),
    ("soft", partial(bootstrapping_soft, beta=1.0)),
    ("hard", partial(bootstrapping_hard, beta=1.0)),
    ("symmetric", partial(symmetric_cross_entropy, alpha=1.0, beta=0.0, A=-4.0)),
]


def of(loss: Loss) -> float:
    return float(loss(LOGITS, Y, W, 0.0))


@pytest.mark.parametrize(
    ("loss", "first", "second"),
    [
        (soft_cross_entropy, Q, H),
        (partial(label_smoothing, eps=0.2), 0.9 * Q + 0.1 * (Q - LOG3), H),
        (partial(generalised_cross_entropy, q=1.0), 3 / 4, 1 / 2),
        (partial(generalised_cross_entropy, q=0.5), 1.0, 2 * (1 - math.sqrt(0.5))),
        (partial(bootstrapping_soft, beta=0.6), 0.6 * Q + 0.4 * (0.75 * (Q - LOG3) + 0.25 * Q), H),
        (partial(bootstrapping_hard, beta=0.6), 0.6 * Q + 0.4 * (Q - LOG3), H),
        (partial(symmetric_cross_entropy, alpha=0.5, beta=2.0, A=-4.0), 0.5 * Q + 2 * 4 * 3 / 4, 0.5 * H + 2 * 4 / 2),
    ],
)
def test_two_rows_by_hand(loss: Loss, first: float, second: float) -> None:
    assert of(loss) == pytest.approx((1 * first + 2 * second) / 2, rel=1e-5)


@given(st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=2, max_size=2))
def test_each_has_the_cross_entropy_as_its_limit_with_soft_labels_and_weights(rows: list[list[float]]) -> None:
    logits, y = torch.tensor(rows), torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    right = soft_cross_entropy(logits, y, W, 0.0)
    for name, loss in LIMITS:
        torch.testing.assert_close(loss(logits, y, W, 0.0), right, rtol=1e-3, atol=1e-4, msg=name)


@given(st.floats(0.05, 1))
def test_a_soft_label_costs_the_mean_of_what_its_classes_would(q: float) -> None:
    hard = [float(generalised_cross_entropy(LOGITS[:1], torch.eye(2)[[c]], W[:1], 0.0, q=q)) for c in (0, 1)]
    soft = generalised_cross_entropy(LOGITS[:1], torch.tensor([[0.3, 0.7]]), W[:1], 0.0, q=q)
    assert float(soft) == pytest.approx(0.3 * hard[0] + 0.7 * hard[1], rel=1e-4)


def test_a_wrong_label_pulls_less_the_larger_q_is() -> None:
    """The gradient of the given class's probability is p**(q - 1): the less it is believed, the less it is heard."""
    pulls = []
    for q in (1e-6, 0.5, 1.0):
        logits = torch.tensor([[4.0, 0.0]], requires_grad=True)
        generalised_cross_entropy(logits, torch.tensor([[0.0, 1.0]]), W[:1], 0.0, q=q).backward()
        pulls.append(float(logits.grad[0, 0]))
    p = 1 / (1 + math.exp(4))
    assert pulls == pytest.approx([p**q * (1 - p) for q in (0, 0.5, 1)], rel=1e-3)


def test_the_predicted_class_is_taken_as_it_is_and_the_belief_trained_through() -> None:
    """d/dz of -sum p log p is -p (log p + entropy); of the hard one it is that of the cross-entropy with the class."""
    gradients = {}
    for name, loss in (("soft", bootstrapping_soft), ("hard", bootstrapping_hard)):
        logits = LOGITS[:1].clone().requires_grad_()
        loss(logits, Y[:1], W[:1], 0.0, beta=0.0).backward()
        gradients[name] = logits.grad[0].tolist()
    entropy = 0.75 * (Q - LOG3) + 0.25 * Q
    assert gradients["soft"] == pytest.approx([-0.75 * (entropy - (Q - LOG3)), -0.25 * (entropy - Q)], rel=1e-4)
    assert gradients["hard"] == pytest.approx([0.75 - 1, 0.25], rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "line"),
    [
        (partial(label_smoothing, eps=1.5), "eps=1.5 is out of range"),
        (partial(generalised_cross_entropy, q=0.0), "q=0.0 is out of range"),
        (partial(bootstrapping_soft, beta=-1.0), "beta=-1.0 is out of range"),
        (partial(bootstrapping_hard, beta=2.0), "beta=2.0 is out of range"),
        (partial(symmetric_cross_entropy, alpha=1.0, beta=1.0, A=4.0), "A=4.0 is out of range"),
    ],
)
def test_a_parameter_out_of_range_is_told(loss: Loss, line: str) -> None:
    with pytest.raises(BadInput, match=line):
        of(loss)


def test_the_loop_with_the_cross_entropy_is_the_network_of_the_spine_bit_for_bit(run: Run) -> None:
    train, valid = easy("table")
    fits = [
        fit_network(train, valid, run, network=MLP),
        fit_with_loss(train, valid, run, network=MLP, loss=soft_cross_entropy),
    ]
    assert np.array_equal(*(fit.predict(valid.x) for fit in fits))
    assert fits[0].history == fits[1].history


def test_the_loop_tells_a_loss_how_many_epochs_have_passed(run: Run) -> None:
    train, valid = easy("table")
    seen: list[float] = []

    def heard(logits: torch.Tensor, y: torch.Tensor, w: torch.Tensor, epoch: float) -> torch.Tensor:
        seen.append(epoch)
        return soft_cross_entropy(logits, y, w, epoch)

    fit_with_loss(train, valid, replace(run, steps=5), network=MLP, loss=heard)
    assert seen == pytest.approx([0, 1 / 3, 2 / 3, 1, 4 / 3]), "48 rows in batches of 16"
