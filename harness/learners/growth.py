"""Adds augmented draws to the labelled rows, for learners that fit once."""

from __future__ import annotations

import numpy as np
import torch

from harness.data import TrainSet
from harness.learners import Run
from harness.learners.batches import Batch, augment_batch, modality, reader


def grow(train: TrainSet, run: Run) -> TrainSet:
    """Returns the labelled rows, then `protocol.augment_draws` augmented draws of each, if there is an augmentation.

    Batches of `protocol.batch_size` are cut from a fresh permutation for each draw, so that an augmentation that mixes
    rows meets other rows, as in the training loop. The copies of a row share its weight, so the sum of weights stays,
    and with it the strength of a penalty added to the loss. Images come back as uint8, tables as float32. If rows were
    drawn, the ids give the number of the labelled row that each comes from.
    """
    rows = train if train.labelled.all() else train.rows(train.labelled)
    if train.augment is None or not len(rows):
        return rows
    rng, read = run.stream("augment"), reader(rows.x, torch.device("cpu"))
    y = torch.from_numpy(np.array(rows.y))
    order = np.concatenate([rng.permutation(len(rows)) for _ in range(run.protocol.augment_draws)])
    draws = [
        augment_batch(read(index), y[torch.from_numpy(index)], rows.augment, rng)
        for index in _cuts(order, len(rows), run.protocol.batch_size)
    ]
    back = {"image": _pixels, "table": _columns, "text": _strings}[modality(rows.x)]
    every = np.concatenate([np.arange(len(rows)), order])
    return TrainSet(
        ids=every,
        x=np.concatenate([np.asarray(rows.x), *(back(x) for x, _ in draws)]),
        y=np.concatenate([rows.y, *(labels.numpy().astype(np.float32) for _, labels in draws)]),
        w=rows.w[every] / (1 + run.protocol.augment_draws),
        votes=np.zeros((len(every), 0), dtype=np.int8),
    )


def _cuts(order: np.ndarray, n: int, size: int) -> list[np.ndarray]:
    """Yields batches that do not span two draws."""
    draws = np.split(order, range(n, len(order), n)) if len(order) else []
    return [draw[start : start + size] for draw in draws for start in range(0, n, size)]


def _pixels(x: torch.Tensor) -> np.ndarray:
    return x.mul(255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _columns(x: torch.Tensor) -> np.ndarray:
    return x.float().numpy()


def _strings(x: Batch) -> np.ndarray:
    return np.array(x)
