"""Augments images by policies that draw operations for each image, from the numpy generator only."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from harness.checks import one_of, within
from harness.data import TrainSet
from harness.errors import BadInput
from harness.strategies import Tools, compose
from harness.strategies.augment.operations import (
    AUGMIX,
    SPACES,
    STANDARD,
    Images,
    OperationRanges,
    apply,
    as_tensor,
    strengths,
)

MAGNITUDE_STEPS = 30
"""Highest magnitude of RandAugment and of TrivialAugment."""


def rand_augment(train: TrainSet, tools: Tools, *, num_ops: int, magnitude: float) -> TrainSet:
    """Applies `num_ops` of fourteen operations per image, with replacement, at `magnitude` of 30 (Cubuk et al. 2020).

    These are the paper's N and M. At magnitude 0 only auto_contrast and equalize, which have no strength, act.
    """
    within("num_ops", num_ops, 1, 14)
    within("magnitude", magnitude, 0, MAGNITUDE_STEPS)
    step = partial(_drawn, num_ops=num_ops, space=STANDARD, magnitudes=np.array([magnitude]))
    return replace(train, augment=compose(train.augment, step))


def trivial_augment(train: TrainSet, tools: Tools, *, ranges: str) -> TrainSet:
    """Applies one of fourteen operations per image at one of 31 magnitudes, both uniform (Müller & Hutter 2021).

    `ranges` is `wide`, or `standard` for those of RandAugment.
    """
    one_of("ranges", ranges, sorted(SPACES))
    step = partial(_drawn, num_ops=1, space=SPACES[ranges], magnitudes=np.arange(MAGNITUDE_STEPS + 1))
    return replace(train, augment=compose(train.augment, step))


def auto_augment(train: TrainSet, tools: Tools, *, policy: str) -> TrainSet:
    """Applies one of a published policy's 25 pairs of operations per image (Cubuk et al. 2019).

    Each operation has its probability. `policy` names the data of the search: `cifar10`, `imagenet` or `svhn`; the
    tables are kornia's.
    """
    one_of("policy", policy, POLICIES)
    return replace(train, augment=compose(train.augment, partial(_auto, pairs=_published(policy))))


def augmix(train: TrainSet, tools: Tools, *, severity: float, width: int, depth: int, alpha: float) -> TrainSet:
    """Blends each image with a mixture of `width` chains of operations (Hendrycks et al. 2020, algorithm 1).

    A chain has `depth` operations, or one to three if `depth` is -1; strengths are uniform up to `severity` of 10,
    shares come from Dirichlet(alpha) and Beta(alpha, alpha). The paper's second part, a loss that
    compares predictions for an image and two such mixtures, is not an augmentation and is left out.
    """
    within("severity", severity, 0.1, 10)
    if width < 1 or alpha <= 0 or not (depth == -1 or depth >= 1):
        raise BadInput(
            f"width={width}, depth={depth}, alpha={alpha}: AugMix needs width >= 1, alpha > 0, and depth -1 or >= 1"
        )
    step = partial(_augmix, severity=severity, width=width, depth=depth, alpha=alpha)
    return replace(train, augment=compose(train.augment, step))


def _drawn(
    x: Images, y: Tensor, rng: np.random.Generator, *, num_ops: int, space: OperationRanges, magnitudes: np.ndarray
) -> tuple[Images, Tensor]:
    for _ in range(num_ops):
        level = magnitudes[rng.integers(len(magnitudes), size=len(x))] / MAGNITUDE_STEPS
        x = _changed(x, space, level, np.ones(len(x), dtype=bool), rng)
    return x, y


def _changed(
    x: Images, space: OperationRanges, level: np.ndarray, where: np.ndarray, rng: np.random.Generator
) -> Images:
    """Applies one operation of the space, drawn for each image, at its level, where `where` is true."""
    names = np.array(list(space))[rng.integers(len(space), size=len(x))]
    strength = strengths(space, names, level, rng)
    return apply(x, np.where(where, names, ""), strength)


POLICIES = ("cifar10", "imagenet", "svhn")
Pairs = list[list[tuple[str, float, int | None]]]


def _published(policy: str) -> Pairs:
    from kornia.augmentation.auto.autoaugment import autoaugment

    return getattr(autoaugment, f"{policy}_policy")


def _auto(x: Images, y: Tensor, rng: np.random.Generator, *, pairs: Pairs) -> tuple[Images, Tensor]:
    chosen = rng.integers(len(pairs), size=len(x))
    for place in range(2):
        names, p, bins = (np.array([pair[place][part] or 0 for pair in pairs])[chosen] for part in range(3))
        strength = strengths(STANDARD, names, bins.astype(float) / 9, rng)
        x = apply(x, np.where(rng.random(len(x)) < p, names, ""), strength)
    return x, y


def _augmix(
    x: Images, y: Tensor, rng: np.random.Generator, *, severity: float, width: int, depth: int, alpha: float
) -> tuple[Images, Tensor]:
    shares, kept = rng.dirichlet([alpha] * width, size=len(x)), rng.beta(alpha, alpha, size=len(x))
    mixture = torch.zeros_like(x)
    for chain in range(width):
        new, length = x, rng.integers(1, 4, size=len(x)) if depth == -1 else np.full(len(x), depth)
        for link in range(length.max()):
            level = rng.uniform(0.1, severity, size=len(x)) / 10
            new = _changed(new, AUGMIX, level, link < length, rng)
        mixture = mixture + as_tensor(shares[:, chain], x).view(-1, 1, 1, 1) * new
    return torch.lerp(mixture, x, as_tensor(kept, x).view(-1, 1, 1, 1)).clamp(0, 1), y
