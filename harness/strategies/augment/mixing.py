"""Mixup: each row of a batch blended with another one, labels and all."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from harness.data import TrainSet
from harness.errors import BadInput
from harness.strategies import Tools, compose

Batch = Float[Tensor, "b ..."]
Labels = Float[Tensor, "b k"]


def mixup(train: TrainSet, tools: Tools, *, alpha: float) -> TrainSet:
    """Images or table rows blended in pairs, their label distributions with the same share (Zhang et al. 2018).

    Each pair has a share of its own from Beta(alpha, alpha), as in the paper's equation; its published code draws
    one a batch. The partner is the row at that place in a random permutation of the batch.
    """
    if not alpha > 0:
        raise BadInput(f"alpha={alpha} is out of range; mixup's Beta distribution needs alpha > 0")
    return replace(train, augment=compose(train.augment, partial(_mixup, alpha=alpha)))


def _mixup(x: Batch, y: Labels, rng: np.random.Generator, *, alpha: float) -> tuple[Batch, Labels]:
    partner = torch.from_numpy(rng.permutation(len(x))).to(x.device)
    share = torch.from_numpy(rng.beta(alpha, alpha, size=len(x))).to(x.device)
    return _blend(x, partner, share), _blend(y, partner, share)


def _blend(values: Batch, partner: Tensor, share: Tensor) -> Batch:
    share = share.to(values.dtype).view(-1, *[1] * (values.ndim - 1))
    return share * values + (1 - share) * values[partner]
