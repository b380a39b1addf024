"""Trains a Flax network: the training loop of torch.py, written for JAX."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from harness.data import EvalSet, Rows, TrainSet
from harness.errors import BadInput, TrialFailed
from harness.learners import Fit, Run
from harness.learners.batches import (
    Batch,
    BlendedBatch,
    augment_batch,
    chunks,
    modality,
    moments,
    reader,
    shuffle_batches,
)
from harness.learners.torch import LOOKS, PREDICTED, rate
from harness.metrics import score
from harness.streams import child_seed

THREADS = "NPROC"
"""The environment variable from which XLA takes its number of threads at its first start."""
Weights = Any
"""A tree of arrays."""
Forward = Callable[[Weights, Any], Any]
"""Weights and a standardised batch to probabilities (b, k)."""


@dataclass(frozen=True)
class FlaxNetwork:
    """Holds what a builder makes from the training rows.

    `module` is a `flax.linen` module, called as `module(x, train)` on a standardised batch (b, h, w, c) or (b, d);
    `mean` and `std` are those of the training rows, per channel or column, in the units of a batch.
    """

    module: Any
    mean: Float32[np.ndarray, " c"]
    std: Float32[np.ndarray, " c"]

    def inputs(self, batch: torch.Tensor) -> Float32[np.ndarray, "b ..."]:
        """Returns an augmented batch, standardised and with channels last."""
        x = batch.permute(0, 2, 3, 1) if batch.ndim == 4 else batch
        return (x.numpy() - self.mean) / self.std


FlaxBuilder = Callable[[Rows, int], FlaxNetwork]
"""`(rows, k) -> FlaxNetwork`: rows are the labelled training rows; weights are drawn by the loop."""


def flax_mlp(rows: Rows, k: int, *, width: int, depth: int, dropout: float) -> FlaxNetwork:
    """Builds `depth` hidden layers of `width` units with ReLU and dropout on standardised columns or pixels."""
    from flax import linen as nn

    class Mlp(nn.Module):
        @nn.compact
        def __call__(self, x: Any, train: bool) -> Any:
            x = x.reshape(len(x), -1)
            for _ in range(depth):
                x = nn.Dropout(dropout, deterministic=not train)(nn.relu(nn.Dense(width)(x)))
            return nn.Dense(k)(x)

    return _standardised(Mlp(), rows)


def flax_cnn(rows: Rows, k: int, *, width: int, stages: int, dropout: float) -> FlaxNetwork:
    """Builds stages of a 3 x 3 convolution, ReLU and 2 x 2 max pooling, doubling in width; mean, dropout, linear."""
    from flax import linen as nn

    if modality(rows) != "image" or min(rows.shape[1:3]) < 2**stages:
        raise BadInput(f"{stages} stages halve an image to nothing below {2**stages} pixels a side: {rows.shape}")

    class Cnn(nn.Module):
        @nn.compact
        def __call__(self, x: Any, train: bool) -> Any:
            for stage in range(stages):
                x = nn.relu(nn.Conv(width * 2**stage, (3, 3))(x))
                x = nn.max_pool(x, (2, 2), (2, 2))  # type: ignore[no-untyped-call]
            return nn.Dense(k)(nn.Dropout(dropout, deterministic=not train)(x.mean((1, 2))))

    return _standardised(Cnn(), rows)


def _standardised(module: Any, rows: Rows) -> FlaxNetwork:
    scale = 255 if modality(rows) == "image" else 1
    mean, std = ((part / scale).astype(np.float32) for part in moments(rows))
    return FlaxNetwork(module, mean, std)


def fit_flax(train: TrainSet, valid: EvalSet, run: Run, *, network: FlaxBuilder) -> Fit:
    """Trains the network for exactly `run.steps` optimiser steps on the labelled rows, on the processor, one thread.

    Loss, optimiser, schedule, order of rows and selection are those of `fit_network` in torch.py; with equal initial
    weights both agree. Precision is always fp32. TrialFailed if the loss is not finite.
    """
    rows = train if train.labelled.all() else train.rows(train.labelled)
    if not len(rows):
        raise TrialFailed("there is no labelled row to train on")
    import jax

    with _on_one_thread():
        built = network(rows.x, rows.k)
        read = reader(rows.x, torch.device("cpu"))
        first = built.inputs(read(np.arange(1)))
        weights = built.module.init(jax.random.key(child_seed(run.stream("init"))), first, train=False)
        forward = _forward(built)
        weights, history = _train(built, forward, weights, rows, valid, run)
    return Fit(
        predict=partial(_probabilities, built, forward, weights),
        parameters=sum(leaf.size for leaf in jax.tree.leaves(weights)),
        examples=run.steps * min(len(rows), run.protocol.batch_size),
        valid_labels=len(valid) if run.protocol.selection == "best" else 0,
        history=history,
    )


def _train(
    network: FlaxNetwork, forward: Forward, weights: Weights, rows: TrainSet, valid: EvalSet, run: Run
) -> tuple[Weights, list[dict[str, float]]]:
    """Returns the trained weights and their curve, about one row per epoch."""
    import jax

    optimiser = _optimiser(run)
    step_on = _step(network, optimiser)
    state, key = optimiser.init(weights), jax.random.key(child_seed(run.stream("dropout")))
    read, y, w = reader(rows.x, torch.device("cpu")), torch.from_numpy(np.array(rows.y)), rows.w / rows.w.mean()
    order, luck = shuffle_batches(len(rows), run.protocol.batch_size, run.stream("order")), run.stream("augment")
    every = max(math.ceil(len(rows) / run.protocol.batch_size), math.ceil(run.steps / LOOKS))
    history: list[dict[str, float]] = []
    losses: list[Any] = []
    best, kept = -math.inf, weights
    for step, index in zip(range(1, run.steps + 1), order, strict=False):
        x, labels = augment_batch(read(index), y[torch.from_numpy(index)], rows.augment, luck)
        weights, state, loss = step_on(weights, state, *_mixed(network, x), labels.numpy(), w[index], key, step)
        losses.append(loss)
        if step % every == 0 or step == run.steps:
            predict = partial(_probabilities, network, forward, weights)
            history.append(_look(predict, valid, run, step, [float(loss) for loss in losses]))
            losses.clear()
            run.log(history[-1])
            run.watch(predict)
            if run.protocol.selection == "best" and history[-1].get("valid", -math.inf) > best:
                best, kept = history[-1]["valid"], weights
    return (weights if best == -math.inf else kept), history


def _step(network: FlaxNetwork, optimiser: Any) -> Callable[..., tuple[Weights, Any, Any]]:
    """Returns one compiled optimiser step: it gives new weights, new state and the loss before the step."""
    import jax
    import optax

    def loss(weights: Weights, x: Any, partner: Any, share: Any, y: Any, w: Any, key: Any) -> Any:
        logits = network.module.apply(weights, x, train=True, rngs={"dropout": key})
        logits = share[:, None] * logits + (1 - share)[:, None] * logits[partner]
        return (w * optax.softmax_cross_entropy(logits, y)).mean()

    def step(weights: Weights, state: Any, x: Any, partner: Any, share: Any, y: Any, w: Any, key: Any, n: Any) -> Any:
        found, slope = jax.value_and_grad(loss)(weights, x, partner, share, y, w, jax.random.fold_in(key, n))
        change, state = optimiser.update(slope, state, weights)
        return optax.apply_updates(weights, change), state, found

    return jax.jit(step)


def _mixed(network: FlaxNetwork, x: Batch | BlendedBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns a batch's inputs, each row's partner and its own share; the share is 1 for a plain batch."""
    if isinstance(x, BlendedBatch):
        return network.inputs(x.batch), x.partner.numpy(), x.share.numpy().astype(np.float32)
    return network.inputs(x), np.arange(len(x)), np.ones(len(x), dtype=np.float32)


def _forward(network: FlaxNetwork) -> Forward:
    """Returns the compiled function from weights and a standardised batch to probabilities."""
    import jax

    return jax.jit(lambda weights, x: jax.nn.softmax(network.module.apply(weights, x, train=False)))


def _optimiser(run: Run) -> Any:
    """Returns the protocol's optimiser: weight decay on every parameter, the rate's schedule as in torch.py."""
    import jax.numpy as jnp
    import optax

    protocol = run.protocol
    rates = jnp.array([protocol.lr * rate(step, run.steps, protocol.warmup) for step in range(run.steps)])
    makers: Mapping[str, Callable[[], Any]] = {
        "adamw": lambda: optax.adamw(lambda step: rates[step], weight_decay=protocol.weight_decay),
        "sgd": lambda: optax.chain(
            optax.add_decayed_weights(protocol.weight_decay),
            optax.sgd(lambda step: rates[step], momentum=0.9, nesterov=True),
        ),
    }
    return makers[protocol.optimiser]()


def _look(
    predict: Callable[[Rows], np.ndarray], valid: EvalSet, run: Run, step: int, losses: list[float]
) -> dict[str, float]:
    """Returns one row of the curve: the mean loss since the last look, and the validation metric if there are rows."""
    wrong = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), None)
    if wrong is not None:
        where = f"at step {step - len(losses) + wrong + 1} of {run.steps} (lr {run.protocol.lr:g})"
        raise TrialFailed(f"diverged: the loss became {losses[wrong]} {where}")
    row = {"step": float(step), "loss": sum(losses) / len(losses)}
    if len(valid):
        row["valid"] = float(score(run.protocol.metric, valid.y, predict(valid.x).argmax(1), len(run.classes)))
    return row


def _probabilities(network: FlaxNetwork, forward: Forward, weights: Weights, x: Rows) -> Float32[np.ndarray, "n k"]:
    """Returns class probabilities of the rows; the last chunk is padded, so that no other shape has to be compiled."""
    read, size = reader(x, torch.device("cpu")), min(PREDICTED, max(1, len(x)))
    parts = []
    with _on_one_thread():
        for index in chunks(len(x), size):
            full = np.resize(index, size)
            parts.append(np.asarray(forward(weights, network.inputs(read(full))))[: len(index)])
    return np.concatenate(parts)


@contextmanager
def _on_one_thread() -> Iterator[None]:
    """Computes a block on the CPU; if XLA starts within it, it starts with one thread. Restores the environment."""
    import jax

    before = os.environ.get(THREADS)
    os.environ[THREADS] = "1"
    try:
        processor = jax.devices("cpu")[0]
    finally:
        del os.environ[THREADS]
        if before is not None:
            os.environ[THREADS] = before
    with jax.default_device(processor):
        yield
