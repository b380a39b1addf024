"""Trains two networks that choose each other's training rows (co-teaching).

The training loop sees both as one module: one loop, one budget of steps, one order of batches.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harness.checks import within
from harness.data import EvalSet, Rows, TrainSet
from harness.learners import Fit, Run
from harness.learners.torch import Builder, Network, fit_with_loss


def co_teaching(train: TrainSet, valid: EvalSet, run: Run, *, network: Builder, tau: float, T_k: float) -> Fit:
    """Trains two networks for `run.steps` steps, each on the rows of every batch that the other one finds easiest.

    The share of rows left out grows linearly from 0 to `tau` over the first `T_k` epochs; the paper sets `tau` to the
    share of wrong labels. The prediction is the mean of their probabilities (the paper reports each network by
    itself). `parameters` and `examples` count both networks. Han et al., Co-teaching, 2018, algorithm 1.
    """
    within("tau", tau, 0, 1)
    within("T_k", T_k, 1e-6, math.inf)
    exchange = partial(exchanged_cross_entropy, tau=tau, T_k=T_k)
    fit = fit_with_loss(train, valid, run, network=partial(pair, network=network), loss=exchange)
    return replace(fit, examples=2 * fit.examples)


def pair(rows: Rows, k: int, *, network: Builder) -> Network:
    """Returns one module that runs two networks from the same builder, with weights drawn one after the other."""
    first, second = network(rows, k), network(rows, k)
    return replace(first, module=NetworkPair(first.module, second.module))


class NetworkPair(nn.Module):
    """Runs two networks on the same input: both sets of logits in training, their mean probabilities afterwards."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.both = nn.ModuleList([first, second])

    def forward(self, x: Tensor) -> Float[Tensor, "b *p k"]:
        """Returns logits (b, 2, k) in training; in evaluation (b, k), the logarithm of the mean of both softmaxes."""
        logits = torch.stack([module(x).float() for module in self.both], 1)
        return logits if self.training else logits.log_softmax(2).logsumexp(1) - math.log(2)


def exchanged_cross_entropy(
    logits: Float[Tensor, "b 2 k"], y: Float[Tensor, "b k"], w: Float[Tensor, " b"], epoch: float,
    *, tau: float, T_k: float,
) -> Float[Tensor, ""]:  # fmt: skip
    """Returns the sum of both losses, each the mean of w * cross-entropy over the rows that the other finds easiest.

    Rows are ordered by the divergence of the prediction from the soft label, which is the cross-entropy for a hard
    label; weights play no part in the choice.
    """
    each = -(y[:, None] * logits.log_softmax(2)).sum(2)
    hard = (each - torch.special.entr(y).sum(1)[:, None]).detach()
    kept = max(1, round(len(y) * (1 - tau * min(1.0, epoch / T_k))))
    easiest = hard.argsort(dim=0, stable=True)[:kept]
    return (w[:, None] * each).gather(0, easiest.flip(1)).mean(0).sum()
