"""Trains a linear head on frozen features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Float32

from harness.data import EvalSet, Rows, TrainSet, digest
from harness.learners import Fit, Predict, Run
from harness.learners.growth import grow
from harness.learners.nets import linear
from harness.learners.torch import fit_network
from harness.storage.cache import Cache

Features = Callable[[Rows], np.ndarray]
"""Rows (n, *d) to features (n, d) float32."""


def linear_head(train: TrainSet, valid: EvalSet, run: Run, features: Features) -> Fit:
    """Trains a linear layer on standardised features in the shared training loop.

    Gradients do not reach the features, so augmentation adds rows instead (see growth.py). `parameters` counts only
    the head.
    """

    def on_rows(predict: Predict) -> Predict:
        return lambda x: predict(features(x))

    rows = grow(train, run)
    watched = replace(run, watch=lambda predict: run.watch(on_rows(predict)))
    fit = fit_network(
        replace(rows, x=features(rows.x), augment=None), replace(valid, x=features(valid.x)), watched, network=linear
    )
    return replace(fit, predict=on_rows(fit.predict))


def cached_features(
    x: Rows, cache: Cache, identity: Mapping[str, str | int | None], compute: Features
) -> Float32[np.ndarray, "n d"]:
    """Returns the features of the rows, computed at most once.

    `identity` says in JSON how they are computed: the hash of the weights, and every parameter.
    """
    return cache.array("features", {"rows": digest(x), **identity}, partial(compute, x))
