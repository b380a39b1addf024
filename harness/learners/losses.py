"""Computes the loss of a batch from its logits, labels and weights.

Every loss is the mean over the batch of w times an expectation under the soft label: for a hard label it is
what the paper defines for the given class. `epoch` counts passes over the training rows so far, as a real number.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harness.checks import within

Loss = Callable[[Tensor, Tensor, Tensor, float], Tensor]
"""`(logits (b, k), y (b, k), w (b,), epoch) -> ()`."""


def soft_cross_entropy(
    logits: Float[Tensor, "b k"], y: Float[Tensor, "b k"], w: Float[Tensor, " b"], epoch: float
) -> Float[Tensor, ""]:
    """Returns the mean over the batch of w times the cross-entropy of the softmax with y, in nats."""
    return (w * nn.functional.cross_entropy(logits, y, reduction="none")).mean()


def label_smoothing(
    logits: Float[Tensor, "b k"], y: Float[Tensor, "b k"], w: Float[Tensor, " b"], epoch: float, *, eps: float
) -> Float[Tensor, ""]:
    """Returns the cross-entropy with a label that has a share `eps` spread over all k classes.

    Szegedy et al., Rethinking the Inception architecture, 2016, section 7.
    """
    within("eps", eps, 0, 1)
    return soft_cross_entropy(logits, (1 - eps) * y + eps / y.shape[1], w, epoch)


def generalised_cross_entropy(
    logits: Float[Tensor, "b k"], y: Float[Tensor, "b k"], w: Float[Tensor, " b"], epoch: float, *, q: float
) -> Float[Tensor, ""]:
    """Returns (1 - p**q) / q for the label's probability p: cross-entropy as q -> 0, mean absolute error at q = 1.

    Without the paper's truncation. Zhang and Sabuncu, Generalized cross entropy loss, 2018, equation 6.
    """
    within("q", q, 1e-6, 1)
    return _expected(-torch.expm1(q * logits.log_softmax(1)) / q, y, w)


def bootstrapping_soft(
    logits: Float[Tensor, "b k"], y: Float[Tensor, "b k"], w: Float[Tensor, " b"], epoch: float, *, beta: float
) -> Float[Tensor, ""]:
    """Returns the cross-entropy with `beta` of the label plus the rest of the network's own probabilities.

    Gradients pass through these probabilities, which makes it a penalty on entropy. Reed et al., Training deep neural
    networks on noisy labels with bootstrapping, 2015, equation 6.
    """
    within("beta", beta, 0, 1)
    log_p = logits.log_softmax(1)
    return _expected(-log_p, beta * y + (1 - beta) * log_p.exp(), w)


def bootstrapping_hard(
    logits: Float[Tensor, "b k"], y: Float[Tensor, "b k"], w: Float[Tensor, " b"], epoch: float, *, beta: float
) -> Float[Tensor, ""]:
    """Returns the cross-entropy with `beta` of the label plus the rest of the class that the network predicts.

    Reed et al., 2015, equation 7.
    """
    within("beta", beta, 0, 1)
    predicted = nn.functional.one_hot(logits.argmax(1), y.shape[1])
    return soft_cross_entropy(logits, beta * y + (1 - beta) * predicted, w, epoch)


def symmetric_cross_entropy(
    logits: Float[Tensor, "b k"], y: Float[Tensor, "b k"], w: Float[Tensor, " b"], epoch: float,
    *, alpha: float, beta: float, A: float,
) -> Float[Tensor, ""]:  # fmt: skip
    """Returns `alpha` times the cross-entropy plus `beta` times the reverse one, where the logarithm of 0 is `A` (< 0).

    Wang et al., Symmetric cross entropy for robust learning with noisy labels, 2019, equations 6 and 7.
    """
    within("A", A, -100, 0)
    reverse = -y.clamp(min=math.exp(A)).log()
    return alpha * soft_cross_entropy(logits, y, w, epoch) + beta * _expected(reverse, logits.softmax(1), w)


def _expected(each: Float[Tensor, "b k"], y: Float[Tensor, "b k"], w: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    """Returns the mean over the batch of w times the expected cost under y."""
    return (w * (y * each).sum(1)).mean()
