"""Turns rows into batches as augmentations see them: float images in [0, 1], float tables, lists of str."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from harness.data import Augment, Modality, Rows
from harness.errors import BadInput

Batch = Any
"""Float tensor (b, c, h, w) in [0, 1] or (b, d) on the device, or a list of b str."""
Read = Callable[[np.ndarray], Batch]

RESIDENT = 2**31
"""Rows of up to so many bytes are copied to the device as one tensor; larger ones are read batch by batch."""
PREDICTION_CHUNK = 4096
"""Rows read at a time when all of them have to be seen."""


@dataclass(frozen=True)
class BlendedBatch:
    """Holds a batch whose rows are blended inside the network: `share` of each row plus the rest from row `partner`."""

    batch: Batch
    partner: Int64[Tensor, " b"]
    share: Float[Tensor, " b"]


def blend(
    values: Float[Tensor, "b ..."], partner: Int64[Tensor, " b"], share: Float[Tensor, " b"]
) -> Float[Tensor, "b ..."]:
    """Returns `share` of each row plus the rest of its partner, in the precision of `values`."""
    share = share.to(values.dtype).view(-1, *[1] * (values.ndim - 1))
    return share * values + (1 - share) * values[partner]


def modality(rows: Rows) -> Modality:
    """Returns the modality of rows by their type and shape; BadInput if no learner can read them."""
    if rows.dtype.kind in "OUTS":
        return "text"
    if rows.dtype.names:
        return "table"
    kind: dict[int, Modality] = {4: "image", 2: "table"}
    if len(rows.shape) not in kind:
        raise BadInput(
            f"rows of shape {tuple(rows.shape)} are neither images (n, h, w, c) nor a table (n, d) nor texts (n,)"
        )
    return kind[len(rows.shape)]


def reader(rows: Rows, device: torch.device) -> Read:
    """Returns a function from row indices (b,) to their batch."""
    return {"image": _images, "table": _table, "text": _texts}[modality(rows)](rows, device)


def _images(rows: Rows, device: torch.device) -> Read:
    """Views uint8 NHWC as NCHW without moving a byte, which torch calls channels_last."""
    fetch = _tensors(rows, device)
    return lambda index: fetch(index).permute(0, 3, 1, 2).float().div(255)


def _table(rows: Rows, device: torch.device) -> Read:
    fetch = _tensors(rows, device)
    return lambda index: fetch(index).float()


def _texts(rows: Rows, device: torch.device) -> Read:
    return lambda index: [str(text) for text in rows[index]]


def _tensors(rows: Rows, device: torch.device) -> Callable[[np.ndarray], Tensor]:
    if math.prod(rows.shape) * rows.dtype.itemsize > RESIDENT:
        return lambda index: torch.from_numpy(np.array(rows[index])).to(device)
    resident = torch.from_numpy(np.array(rows)).to(device)  # A copy, since torch warns about read-only arrays.
    return lambda index: resident[torch.from_numpy(index).to(device)]


def augment_batch(x: Batch, y: Tensor, augment: Augment | None, rng: np.random.Generator) -> tuple[Batch, Tensor]:
    """Returns the batch after its augmentation."""
    return (x, y) if augment is None else augment(x, y, rng)


def shuffle_batches(n: int, size: int, rng: np.random.Generator) -> Iterator[Int64[np.ndarray, " b"]]:
    """Yields endless batches of min(n, size) row indices, cut from one permutation of the rows after another.

    Every batch is full, so that two training sets of different length get steps with equal noise; a batch that spans
    two permutations may hold a row twice.
    """
    size, left = min(n, size), np.empty(0, dtype=np.int64)
    while True:
        if len(left) < size:
            left = np.concatenate([left, rng.permutation(n)])
        yield left[:size]
        left = left[size:]


def chunks(n: int, size: int) -> Iterator[Int64[np.ndarray, " b"]]:
    """Yields all row indices in order, `size` at a time."""
    return (np.arange(start, min(start + size, n)) for start in range(0, n, size))


def moments(rows: Rows) -> tuple[Float64[np.ndarray, " d"], Float64[np.ndarray, " d"]]:
    """Returns mean and standard deviation along the last axis (channels or columns), in the rows' own units.

    A constant column gets the deviation 1, so that one may divide by it. Two passes over the rows, because
    one pass over squares loses columns whose mean is large beside their spread.
    """
    axes, count = tuple(range(len(rows.shape) - 1)), math.prod(rows.shape[:-1])
    mean = sum(part.sum(axes) for part in _parts(rows)) / count
    std = np.sqrt(sum(((part - mean) ** 2).sum(axes) for part in _parts(rows)) / count)
    return mean, np.where(std <= 1e-9 * np.abs(mean), 1.0, std)


def _parts(rows: Rows) -> Iterator[Float64[np.ndarray, "b ..."]]:
    return (np.asarray(rows[index], dtype=np.float64) for index in chunks(len(rows), PREDICTION_CHUNK))
