"""Compares the shares of model and recipe in the variance of published tables with known answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.analysis.published_tables import DEEP, NEWER, POLICY_ROWS, RECIPES, SHALLOW, augmentations, imagenet
from harness.analysis.shares import variance_shares
from harness.verify import Cell

_SECTION = "shares of variance (eta squared)"
_TIMM = "huggingface/pytorch-image-models results-imagenet.csv, 224 px"
_FAST = "kakaobrain/fast-autoaugment README"


def cells(folder: Path) -> Iterator[Cell]:
    """Yields the shares in each table of `folder` (the literature) with answers known to two or three digits."""
    top1 = imagenet(folder / "results-imagenet.csv")
    four = top1.loc[list(DEEP), [*RECIPES, NEWER]]
    yield from _both("ImageNet, 4 networks x 6 recipes", four.to_numpy(), (0.20, 0.78), 0.005, _TIMM)
    six = top1.loc[[*SHALLOW, *DEEP], list(RECIPES)]
    yield from _both("ImageNet, 6 networks x 5 recipes", six.to_numpy(), (0.885, 0.095), 0.0005, _TIMM)
    errors = augmentations(folder / "fastaa_cifar_error.csv")
    for name, known in (("cifar10", (0.68, 0.30)), ("cifar100", (0.87, 0.10))):
        table = errors[name][list(POLICY_ROWS)].to_numpy()
        yield from _both(f"{name}, networks x augmentations", table, known, 0.005, _FAST)


def _both(what: str, table: np.ndarray, known: tuple[float, float], tolerance: float, source: str) -> Iterator[Cell]:
    shares = variance_shares(table)
    yield Cell(_SECTION, f"{what}: model", shares.model, known[0], tolerance, source)
    yield Cell(_SECTION, f"{what}: data", shares.data, known[1], tolerance, source)
