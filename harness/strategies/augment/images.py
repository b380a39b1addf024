"""Image augmentations: a batch of images in, another one of the same shape out, each image drawn by itself.

All randomness comes from the numpy generator that is passed in, so that a batch is augmented alike on any device.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from harness.data import TrainSet
from harness.strategies import Tools, compose
from harness.strategies.checks import within

Images = Float[Tensor, "b c h w"]


def shift(train: TrainSet, tools: Tools, *, padding: float) -> TrainSet:
    """Random crops of the padded image (He et al. 2016, section 4.2): each image moves on its own.

    `padding` is a share of the side: 0.125 is the paper's 4 pixels of 32; at least one pixel. The border's own
    pixels fill what is moved in, so that no frame appears around images whose background is not black.
    """
    within("padding", padding, 0.0, 1.0)
    return replace(train, augment=compose(train.augment, partial(_shift, padding=padding)))


def flip(train: TrainSet, tools: Tools, *, p: float) -> TrainSet:
    """Left and right exchanged in each image with probability `p`."""
    within("p", p, 0.0, 1.0)
    return replace(train, augment=compose(train.augment, partial(_flip, p=p)))


def cutout(train: TrainSet, tools: Tools, *, size: float) -> TrainSet:
    """A square of each image hidden (DeVries & Taylor 2017); its side is `size` times the shorter side.

    The square's centre is any pixel, so a part of it may lie outside. It is filled with the batch's mean colour,
    which is what the paper's zero is on images whose mean was subtracted.
    """
    within("size", size, 0.0, 1.0)
    return replace(train, augment=compose(train.augment, partial(_cutout, size=size)))


def _shift(x: Images, y: Tensor, rng: np.random.Generator, *, padding: float) -> tuple[Images, Tensor]:
    rows, columns = (_moved(len(x), side, padding, rng).to(x.device) for side in x.shape[2:])
    taller = x.gather(2, rows[:, None, :, None].expand(x.shape))
    return taller.gather(3, columns[:, None, None, :].expand(x.shape)), y


def _moved(b: int, side: int, padding: float, rng: np.random.Generator) -> Int[Tensor, "b side"]:
    """For each image, which of its pixels along one side shows at each place."""
    reach = max(1, round(padding * side)) if padding else 0
    start = rng.integers(-reach, reach + 1, size=(b, 1))
    return torch.from_numpy(np.clip(start + np.arange(side), 0, side - 1))


def _flip(x: Images, y: Tensor, rng: np.random.Generator, *, p: float) -> tuple[Images, Tensor]:
    chosen = torch.from_numpy(rng.random(len(x)) < p).to(x.device)
    return torch.where(chosen[:, None, None, None], x.flip(3), x), y


def _cutout(x: Images, y: Tensor, rng: np.random.Generator, *, size: float) -> tuple[Images, Tensor]:
    square = round(size * min(x.shape[2:]))
    rows, columns = (_covered(len(x), side, square, rng).to(x.device) for side in x.shape[2:])
    hidden = rows[:, None, :, None] & columns[:, None, None, :]
    return torch.where(hidden, x.mean((0, 2, 3), keepdim=True), x), y


def _covered(b: int, side: int, square: int, rng: np.random.Generator) -> Bool[Tensor, "b side"]:
    """For each image, which places along one side the square covers."""
    start = rng.integers(side, size=(b, 1)) - square // 2
    places = np.arange(side)
    return torch.from_numpy((places >= start) & (places < start + square))
