"""Trains a network with early-learning regularisation (ELR), which holds it to what it predicted of each row before."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from harness.checks import within
from harness.data import EvalSet, TrainSet
from harness.learners import Fit, Run
from harness.learners.batches import shuffle_batches
from harness.learners.losses import soft_cross_entropy
from harness.learners.torch import Builder, fit_with_loss

LEAST = 1e-4
"""Probabilities are kept this far from 0 and 1, as in the published code."""


def early_learning(train: TrainSet, valid: EvalSet, run: Run, *, network: Builder, beta: float, lam: float) -> Fit:
    """Trains the network with the cross-entropy plus `lam` times the mean of w * log(1 - <p, t>) over the batch.

    p are a row's probabilities, and t its target: a running mean of its p in earlier epochs, of which `beta` is kept at
    every look. Wrong labels are learned late, when the target already speaks for the right class. Without the second
    network, the averaged weights and the mixup of ELR+. Liu et al., Early-learning regularization prevents memorization
    of noisy labels, 2020, equations 6 and 9.
    """
    within("beta", beta, 0, 1)
    within("lam", lam, 0, math.inf)
    rows = int(train.labelled.sum())
    order = shuffle_batches(rows, run.protocol.batch_size, run.stream("order")) if rows else iter(())
    loss = EarlyLearning(order, torch.zeros(rows, train.k), beta=beta, lam=lam)
    return fit_with_loss(train, valid, run, network=network, loss=loss)


class EarlyLearning:
    """Computes the loss of each batch of a training in turn; `order` yields the positions of its rows.

    The training loop draws its batches from the same stream, so that both see the same rows. `targets` (n, k) are all
    zero before a row was seen.
    """

    def __init__(self, order: Iterator[np.ndarray], targets: Tensor, *, beta: float, lam: float) -> None:
        self.order, self.targets, self.beta, self.lam = order, targets, beta, lam

    def __call__(
        self, logits: Float[Tensor, "b k"], y: Float[Tensor, "b k"], w: Float[Tensor, " b"], epoch: float
    ) -> Float[Tensor, ""]:
        """Returns the loss, and moves the targets of the batch's rows towards their probabilities."""
        self.targets = self.targets.to(logits.device)
        at = torch.from_numpy(next(self.order)).to(logits.device)
        probs = logits.softmax(1).clamp(LEAST, 1 - LEAST)
        seen = probs.detach() / probs.detach().sum(1, keepdim=True)
        self.targets[at] = self.beta * self.targets[at] + (1 - self.beta) * seen
        kept = (1 - (self.targets[at] * probs).sum(1)).log()
        return soft_cross_entropy(logits, y, w, epoch) + self.lam * (w * kept).mean()
