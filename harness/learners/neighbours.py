"""Classifies by the nearest training rows in the space of a frozen encoder: pretrained features without training."""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float32
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from harness.data import EvalSet, Rows, TrainSet
from harness.errors import TrialFailed
from harness.learners import Fit, Run
from harness.learners.growth import grow
from harness.learners.pretrained import Features
from harness.learners.transformers import embeddings


def frozen_neighbours(
    train: TrainSet, valid: EvalSet, run: Run, *, path: str, layers: int | None, pooling: str, max_length: int, k: int
) -> Fit:
    """Predicts the mean label of the `k` labelled texts whose embeddings are nearest by cosine, weighted by w.

    Embeddings as in `frozen_encoder`. Nothing is trained: `parameters` is 0, and no seed changes the fit. Khandelwal et
    al., Generalization through memorization: nearest neighbor language models, 2020, use the same features so.
    TrialFailed if there are fewer than `k` labelled rows.
    """
    encode = partial(embeddings, path=path, layers=layers, pooling=pooling, max_length=max_length)
    return by_neighbours(train, run, lambda texts: encode(texts, run.cache, run.device), k)


def by_neighbours(train: TrainSet, run: Run, features: Features, k: int) -> Fit:
    """Returns the fit by `k` neighbours among the features of the labelled rows, grown by augmentation if any."""
    rows = grow(train, run)
    if not 1 <= k <= len(rows):
        raise TrialFailed(f"model.k={k} neighbours cannot be had of {len(rows)} labelled rows")
    index = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(features(rows.x))

    def predict(x: Rows) -> Float32[np.ndarray, "n k"]:
        if not len(x):
            return np.zeros((0, train.k), dtype=np.float32)
        with threadpool_limits(limits=1):
            near = index.kneighbors(features(x), return_distance=False)
        mass = (rows.w[near][:, :, np.newaxis] * rows.y[near]).sum(1, dtype=np.float64)
        return (mass / mass.sum(1, keepdims=True)).astype(np.float32)

    return Fit(predict, parameters=0, examples=len(rows))
