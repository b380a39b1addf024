"""Augments images: a batch in, a batch of the same shape out, with separate draws for each image.

All randomness comes from the numpy generator that is passed in, so a batch is augmented equally on any device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from harness.checks import within
from harness.data import TrainSet
from harness.errors import BadInput
from harness.strategies import Tools, compose
from harness.strategies.augment.operations import Images, as_tensor, brightness, color, contrast, linear_map, warp

Range = Sequence[float]
"""The smallest and the largest value of a uniform draw."""


def shift(train: TrainSet, tools: Tools, *, padding: float) -> TrainSet:
    """Crops each padded image at random (He et al. 2016, section 4.2).

    `padding` is a share of the side: 0.125 is the paper's 4 pixels of 32; at least one pixel. Border pixels
    are repeated where the image moved away, so no frame appears around images whose background is not black.
    """
    within("padding", padding, 0.0, 1.0)
    return replace(train, augment=compose(train.augment, partial(_shift, padding=padding)))


def flip(train: TrainSet, tools: Tools, *, p: float) -> TrainSet:
    """Mirrors each image left to right with probability `p`."""
    within("p", p, 0.0, 1.0)
    return replace(train, augment=compose(train.augment, partial(_flip, p=p)))


def cutout(train: TrainSet, tools: Tools, *, size: float) -> TrainSet:
    """Hides a square of each image (DeVries & Taylor 2017); its side is `size` times the shorter side.

    The square's centre may be any pixel, so part of it may lie outside. It is filled with the batch's mean colour,
    which equals the paper's zero on images with the mean subtracted.
    """
    within("size", size, 0.0, 1.0)
    return replace(train, augment=compose(train.augment, partial(_cutout, size=size)))


def crop(train: TrainSet, tools: Tools, *, scale: Range, ratio: Range) -> TrainSet:
    """Stretches a part of each image to full size (random resized crop; Szegedy et al. 2015, section 6).

    `scale` is the part's share of the area, `ratio` its width over its height, drawn uniformly and log-uniformly;
    sides are cut at the image's border.
    """
    _ordered("scale", scale, 0.0, 1.0)
    _ordered("ratio", ratio, 1e-3, 1e3)
    return replace(train, augment=compose(train.augment, partial(_crop, scale=scale, ratio=ratio)))


def affine(train: TrainSet, tools: Tools, *, degrees: float, translate: float, scale: Range, shear: float) -> TrainSet:
    """Rotates, moves, scales and shears each image about its centre; border pixels are repeated outside.

    `degrees` and `shear` (degrees too) are the largest angles in either direction, `translate` the largest move in
    either direction as a share of the side, `scale` the range of the factor.
    """
    within("degrees", degrees, 0, 180)
    within("translate", translate, 0, 1)
    within("shear", shear, 0, 80)
    _ordered("scale", scale, 0.01, 100.0)
    step = partial(_affine, degrees=degrees, translate=translate, scale=scale, shear=shear)
    return replace(train, augment=compose(train.augment, step))


def color_jitter(
    train: TrainSet, tools: Tools, *, brightness: float, contrast: float, saturation: float, hue: float
) -> TrainSet:
    """Changes brightness, contrast, saturation and hue of each image, in that order (as in Krizhevsky et al. 2012 on).

    The first three are factors drawn from 1 - value to 1 + value, `hue` rotates the colour circle by at
    most that share of it in either direction. For images of one channel only the first two have an effect.
    """
    for name, value in (("brightness", brightness), ("contrast", contrast), ("saturation", saturation)):
        within(name, value, 0, 1)
    within("hue", hue, 0, 0.5)
    most = np.array([brightness, contrast, saturation, hue])
    return replace(train, augment=compose(train.augment, partial(_color_jitter, most=most)))


def erase(train: TrainSet, tools: Tools, *, p: float, scale: Range, ratio: Range) -> TrainSet:
    """Fills a rectangle of an image with noise with probability `p` (random erasing, RE-R; Zhong et al. 2020).

    `scale` is the rectangle's share of the area, `ratio` its width over its height; it lies inside the image.
    """
    within("p", p, 0.0, 1.0)
    _ordered("scale", scale, 0.0, 1.0)
    _ordered("ratio", ratio, 1e-3, 1e3)
    return replace(train, augment=compose(train.augment, partial(_erase, p=p, scale=scale, ratio=ratio)))


def noise(train: TrainSet, tools: Tools, *, sigma: float) -> TrainSet:
    """Adds Gaussian noise of deviation `sigma` to every pixel (white is 1); it assumes nothing about image content."""
    within("sigma", sigma, 0.0, 1.0)
    return replace(train, augment=compose(train.augment, partial(_noise, sigma=sigma)))


def _shift(x: Images, y: Tensor, rng: np.random.Generator, *, padding: float) -> tuple[Images, Tensor]:
    rows, columns = (_moved(len(x), side, padding, rng).to(x.device) for side in x.shape[2:])
    taller = x.gather(2, rows[:, None, :, None].expand(x.shape))
    return taller.gather(3, columns[:, None, None, :].expand(x.shape)), y


def _moved(b: int, side: int, padding: float, rng: np.random.Generator) -> Int[Tensor, "b side"]:
    """Returns, for each image, the index of the source pixel at each place along one side."""
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
    """Marks, for each image, the places along one side that the square covers."""
    return mark_between(side, rng.integers(side, size=(b, 1)) - square // 2, square)


def mark_between(side: int, start: np.ndarray, length: np.ndarray | int) -> Bool[Tensor, "b side"]:
    """Marks, for each image, the places along a side from its start (b, 1) over its length (b, 1)."""
    places = np.arange(side)
    return torch.from_numpy((places >= start) & (places < start + length))


def _crop(x: Images, y: Tensor, rng: np.random.Generator, *, scale: Range, ratio: Range) -> tuple[Images, Tensor]:
    height, width = x.shape[2:]
    tall, wide = _rectangles(len(x), height, width, rng, scale, ratio)
    middle = (rng.random((len(x), 2)) - 0.5) * np.stack([width - wide, height - tall], 1)
    stretch = np.stack([width / wide, height / tall], 1)
    zero = as_tensor(np.zeros(len(x)), x)
    linear = linear_map(as_tensor(stretch[:, 0], x), zero, zero, as_tensor(stretch[:, 1], x))
    return warp(x, linear, as_tensor(-middle * stretch, x)).clamp(0, 1), y


def _rectangles(
    b: int, height: int, width: int, rng: np.random.Generator, scale: Range, ratio: Range
) -> tuple[np.ndarray, np.ndarray]:
    """Returns heights and widths (b,) in pixels, from 1 to the side, by share of the area and shape."""
    area = rng.uniform(scale[0], scale[1], size=b) * height * width
    shape = np.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1]), size=b))
    return np.sqrt(area / shape).clip(1, height), np.sqrt(area * shape).clip(1, width)


def _affine(
    x: Images, y: Tensor, rng: np.random.Generator, *, degrees: float, translate: float, scale: Range, shear: float
) -> tuple[Images, Tensor]:
    angle, slide = np.deg2rad(rng.uniform(-1, 1, size=(2, len(x))) * [[degrees], [shear]])
    factor = rng.uniform(scale[0], scale[1], size=len(x))
    moves = rng.uniform(-translate, translate, size=(len(x), 2)) * [x.shape[3], x.shape[2]]
    cosine, sine, slope = np.cos(angle) * factor, np.sin(angle) * factor, np.tan(slide)
    entries = (cosine, cosine * slope - sine, sine, sine * slope + cosine)
    return warp(x, linear_map(*(as_tensor(entry, x) for entry in entries)), as_tensor(moves, x)).clamp(0, 1), y


def _color_jitter(x: Images, y: Tensor, rng: np.random.Generator, *, most: np.ndarray) -> tuple[Images, Tensor]:
    from kornia.enhance import adjust_hue

    more = rng.uniform(-1, 1, size=(len(x), 4)) * most
    for place, change in enumerate((brightness, contrast, color)):
        x = change(x, as_tensor(more[:, place], x))
    turned = adjust_hue(x, as_tensor(2 * math.pi * more[:, 3], x)) if x.shape[1] == 3 else x
    return turned.clamp(0, 1), y


def _erase(
    x: Images, y: Tensor, rng: np.random.Generator, *, p: float, scale: Range, ratio: Range
) -> tuple[Images, Tensor]:
    b, sides = len(x), x.shape[2:]
    lengths = np.round(_rectangles(b, sides[0], sides[1], rng, scale, ratio)) * (rng.random(b) < p)
    starts = np.floor(rng.random((2, b)) * (np.array(sides)[:, None] - lengths + 1))
    rows, columns = (
        mark_between(side, start[:, None], length[:, None]).to(x.device)
        for side, start, length in zip(sides, starts, lengths, strict=True)
    )
    filling = as_tensor(rng.random(tuple(x.shape), dtype=np.float32), x)
    return torch.where(rows[:, None, :, None] & columns[:, None, None, :], filling, x), y


def _noise(x: Images, y: Tensor, rng: np.random.Generator, *, sigma: float) -> tuple[Images, Tensor]:
    drawn = rng.standard_normal(tuple(x.shape), dtype=np.float32)
    return (x + sigma * as_tensor(drawn, x)).clamp(0, 1), y


def _ordered(name: str, pair: Range, low: float, high: float) -> None:
    """Raises BadInput unless the pair is [smallest, largest] and lies within the bounds."""
    if len(pair) != 2 or not low <= pair[0] <= pair[1] <= high:
        raise BadInput(f"{name}={list(pair)} is out of range; it must be [smallest, largest] between {low} and {high}")
