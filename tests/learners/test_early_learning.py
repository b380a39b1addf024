"""Early-learning regularisation: the loss by hand, and that it sees the rows that the training loop sees."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from harness.conformance.easy_sets import easy
from harness.learners import Run
from harness.learners.early_learning import EarlyLearning, early_learning
from harness.learners.losses import soft_cross_entropy
from harness.learners.nets import mlp
from harness.learners.torch import fit_network

MLP = partial(mlp, width=16, depth=1, dropout=0.0)


def test_the_loss_and_the_targets_by_hand() -> None:
    """Two looks at one row of probabilities 3/4 and 1/4: targets are 0.3 p, then 0.7 * 0.3 p + 0.3 p."""
    logits, y, w = torch.log(torch.tensor([[3.0, 1.0]])), torch.tensor([[0.0, 1.0]]), torch.tensor([2.0])
    loss = EarlyLearning(iter([np.array([1]), np.array([1])]), torch.zeros(2, 2), beta=0.7, lam=3.0)
    p = np.array([0.75, 0.25])
    for kept in (0.3, 0.7 * 0.3 + 0.3):
        expected = 2 * -np.log(0.25) + 3 * 2 * np.log(1 - kept * (p @ p))
        assert float(loss(logits, y, w, 0.0)) == pytest.approx(expected, rel=1e-5)
        assert loss.targets.numpy() == pytest.approx(np.array([[0, 0], kept * p]), rel=1e-5)


def test_it_pulls_towards_what_was_predicted_before() -> None:
    """The regulariser's gradient raises the class that the target names, against a given label of the other."""
    logits = torch.zeros(1, 2, requires_grad=True)
    loss = EarlyLearning(iter([np.array([0])]), torch.tensor([[0.9, 0.05]]), beta=1.0, lam=3.0)
    y, w = torch.tensor([[0.0, 1.0]]), torch.ones(1)
    (loss(logits, y, w, 0.0) - soft_cross_entropy(logits, y, w, 0.0)).backward()
    assert logits.grad is not None
    assert logits.grad[0, 0] < 0 < logits.grad[0, 1]


def test_without_weight_it_is_the_network_itself(run: Run) -> None:
    train, valid = easy("table")
    alone = fit_network(train, valid, run, network=MLP)
    same = early_learning(train, valid, run, network=MLP, beta=0.7, lam=0.0)
    other = early_learning(train, valid, run, network=MLP, beta=0.7, lam=3.0)
    assert np.array_equal(alone.predict(valid.x), same.predict(valid.x))
    assert not np.array_equal(alone.predict(valid.x), other.predict(valid.x))


def test_it_resists_wrong_labels_that_the_network_learns_by_heart(run: Run) -> None:
    train, valid = easy("table")
    wrong = np.arange(len(train)) % 4 == 0
    noisy = replace(train, y=np.where(wrong[:, None], np.roll(train.y, 1, axis=1), train.y))
    long = replace(run, steps=300)
    wide = partial(mlp, width=256, depth=2, dropout=0.0)
    fits = [
        fit_network(noisy, valid, long, network=wide),
        early_learning(noisy, valid, long, network=wide, beta=0.7, lam=3.0),
    ]
    fitted = [(fit.predict(noisy.x)[wrong].argmax(1) == noisy.classes[wrong]).mean() for fit in fits]
    assert fitted[0] > 0.9, "the plain loss learns the wrong labels by heart"
    assert fitted[1] < fitted[0] - 0.25
