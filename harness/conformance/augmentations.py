"""Checks batch functions: shapes, labels, an unchanged input batch, and draws from the given generator."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from harness.conformance.generators import global_luck
from harness.conformance.promises import require
from harness.conformance.strategies import check_global_generators_kept
from harness.data import Augment
from harness.learners.batches import BlendedBatch
from harness.streams import stream


def check_augments(augment: Augment, x: Any, y: torch.Tensor) -> None:
    """Checks that shapes and types stay the same, labels are distributions, and the input batch is unchanged."""
    kept = copy_of(x), y.clone()
    new, labels = augment(x, y, stream(0, "augment"))
    require(same(x, kept[0]), "the augmentation changed the batch that it was given")
    require(torch.equal(y, kept[1]), "the augmentation changed the labels that it was given")
    require(labels.shape == y.shape, f"labels of shape {tuple(y.shape)} became {tuple(labels.shape)}")
    require(torch.allclose(labels.sum(1), torch.ones(len(y))), "a row of y does not sum to 1")
    if isinstance(new, BlendedBatch):
        require(sorted(set(new.partner.tolist()) | set(range(len(y)))) == list(range(len(y))), "a partner is not a row")
        require(((new.share >= 0) & (new.share <= 1)).all(), "a share is none")
        new = new.batch
    require(len(new) == len(x), f"{len(x)} rows became {len(new)}")
    if torch.is_tensor(x):
        require((new.shape, new.dtype) == (x.shape, x.dtype), f"{tuple(x.shape)} became {tuple(new.shape)}")


def check_augments_by_its_stream(augment: Augment, x: Any, y: torch.Tensor) -> None:
    """Checks that equal streams give equal batches, another stream another batch, whatever the global generators."""
    found: list[Any] = []
    for seed, luck in ((0, 0), (0, 1), (1, 0)):
        with global_luck(luck):
            check_global_generators_kept(partial(_keep_draw, found, augment, x, y, seed))
    first, again, other = found
    require(same(first[0], again[0]), "two calls with the same seed differ: draw from the generator that is passed in")
    require(torch.equal(first[1], again[1]), "two calls with the same seed give different labels")
    require(not same(first[0], other[0]), "another seed gave the same batch: draw from rng")


def _keep_draw(kept: list[Any], augment: Augment, x: Any, y: torch.Tensor, seed: int) -> None:
    kept.append(augment(x, y, stream(seed, "augment")))


def copy_of(x: Any) -> Any:
    """Returns a batch of the same content."""
    return x.clone() if torch.is_tensor(x) else list(x)


def same(first: Any, second: Any) -> bool:
    """Returns whether two batches are equal."""
    if isinstance(first, BlendedBatch):
        parts = ((first.partner, second.partner), (first.share, second.share), (first.batch, second.batch))
        return all(same(one, other) for one, other in parts)
    return torch.equal(first, second) if torch.is_tensor(first) else list(first) == list(second)
