"""Mixes each row of a batch and its label with another row: in the input, by a patch, or inside the network."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from harness.data import TrainSet
from harness.errors import BadInput
from harness.learners.batches import BlendedBatch, blend
from harness.strategies import Tools, compose
from harness.strategies.augment.images import mark_between
from harness.strategies.augment.operations import Images

ImageBatch = Float[Tensor, "b ..."]
SoftLabels = Float[Tensor, "b k"]


def mixup(train: TrainSet, tools: Tools, *, alpha: float) -> TrainSet:
    """Blends images or table rows in pairs, and their label distributions by the same share (Zhang et al. 2018).

    Each pair draws its own share from Beta(alpha, alpha), as in the paper's equation; the published code draws one
    per batch. Partners come from a random permutation of the batch.
    """
    _positive(alpha)
    return replace(train, augment=compose(train.augment, partial(_mixup, alpha=alpha)))


def cutmix(train: TrainSet, tools: Tools, *, alpha: float) -> TrainSet:
    """Replaces a rectangle of each image by its partner's and mixes labels by the pasted area (Yun et al. 2019).

    The rectangle has the image's shape and an area share of 1 - Beta(alpha, alpha); its centre may be any
    pixel, so part of it may lie outside; labels count the part inside. Each pair has its own draw; the published code
    draws one per batch.
    """
    _positive(alpha)
    return replace(train, augment=compose(train.augment, partial(_cutmix, alpha=alpha)))


def hidden_mixup(train: TrainSet, tools: Tools, *, alpha: float) -> TrainSet:
    """Blends the hidden representations of rows before the network's last layer (senMixup, Guo et al. 2019).

    For images it is manifold mixup (Verma et al. 2019) at the last hidden layer. Shares and partners are mixup's; the
    batch function leaves them in a `Mixed` batch, so no augmentation may follow this one.
    """
    _positive(alpha)
    return replace(train, augment=compose(train.augment, partial(_hidden_mixup, alpha=alpha)))


def _positive(alpha: float) -> None:
    if not alpha > 0:
        raise BadInput(f"alpha={alpha} is out of range; the Beta distribution of the shares needs alpha > 0")


def _mixup(x: ImageBatch, y: SoftLabels, rng: np.random.Generator, *, alpha: float) -> tuple[ImageBatch, SoftLabels]:
    partner = torch.from_numpy(rng.permutation(len(x))).to(x.device)
    share = torch.from_numpy(rng.beta(alpha, alpha, size=len(x))).to(x.device)
    return blend(x, partner, share), blend(y, partner, share)


def _cutmix(x: Images, y: SoftLabels, rng: np.random.Generator, *, alpha: float) -> tuple[Images, SoftLabels]:
    partner = torch.from_numpy(rng.permutation(len(x))).to(x.device)
    length = np.sqrt(1 - rng.beta(alpha, alpha, size=(len(x), 1)))
    rows, columns = (_pasted(side, length, rng) for side in x.shape[2:])
    share = 1 - rows.double().mean(1) * columns.double().mean(1)
    inside = (rows[:, None, :, None] & columns[:, None, None, :]).to(x.device)
    return torch.where(inside, x[partner], x), blend(y, partner, share.to(y.device))


def _pasted(side: int, length: np.ndarray, rng: np.random.Generator) -> Bool[Tensor, "b side"]:
    """Marks the places along a side that its rectangle covers; `length` (b, 1) is a share of the side."""
    pixels = np.round(length * side).astype(np.int64)
    return mark_between(side, rng.integers(side, size=(len(length), 1)) - pixels // 2, pixels)


def _hidden_mixup(x: Any, y: SoftLabels, rng: np.random.Generator, *, alpha: float) -> tuple[BlendedBatch, SoftLabels]:
    partner = torch.from_numpy(rng.permutation(len(y))).to(y.device)
    share = torch.from_numpy(rng.beta(alpha, alpha, size=len(y))).to(y.device)
    return BlendedBatch(x, partner, share), blend(y, partner, share)
