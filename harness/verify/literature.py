"""Published tables of results in, the shares of model and recipe in their variance out, beside the known answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from harness.attribution import variance_shares
from harness.verify import Cell

_SECTION = "shares of variance (eta squared)"
_DEEP = ("resnet50", "resnet101", "resnet152", "resnext50_32x4d")
_RECIPES = ("tv_in1k", "gluon_in1k", "a3_in1k", "a2_in1k", "a1_in1k")
_POLICIES = ("baseline", "cutout", "autoaugment", "fast_aa_direct")
_TIMM = "huggingface/pytorch-image-models results-imagenet.csv, 224 px"
_FAST = "kakaobrain/fast-autoaugment README"


def cells(folder: Path) -> Iterator[Cell]:
    """The shares in each table of `folder` (the literature), against answers that are known to two or three digits."""
    top1 = _imagenet(folder / "results-imagenet.csv")
    four = top1.loc[list(_DEEP), [*_RECIPES, "tv2_in1k"]]
    yield from _both("ImageNet, 4 networks x 6 recipes", four.to_numpy(), (0.20, 0.78), 0.005, _TIMM)
    six = top1.loc[["resnet18", "resnet34", *_DEEP], list(_RECIPES)]
    yield from _both("ImageNet, 6 networks x 5 recipes", six.to_numpy(), (0.885, 0.095), 0.0005, _TIMM)
    errors = pd.read_csv(folder / "fastaa_cifar_error.csv").set_index(["dataset", "model"])[list(_POLICIES)]
    for name, known in (("cifar10", (0.68, 0.30)), ("cifar100", (0.87, 0.10))):
        yield from _both(f"{name}, networks x augmentations", errors.loc[name].to_numpy(), known, 0.005, _FAST)


def _both(what: str, table: np.ndarray, known: tuple[float, float], tolerance: float, source: str) -> Iterator[Cell]:
    shares = variance_shares(table)
    yield Cell(_SECTION, f"{what}: model", shares.model, known[0], tolerance, source)
    yield Cell(_SECTION, f"{what}: data", shares.data, known[1], tolerance, source)


def _imagenet(path: Path) -> pd.DataFrame:
    """Top-1 accuracy by architecture and training recipe."""
    rows = pd.read_csv(path)
    named = rows.model.str.split(".", n=1, expand=True)
    rows = rows.assign(network=named[0], recipe=named[1])[rows.img_size == 224]
    return rows.pivot_table(index="network", columns="recipe", values="top1")
