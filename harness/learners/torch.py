"""Trains a network: the only training loop, for images, texts and tables."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch._dynamo  # Otherwise the first optimiser imports it, and the first fit is charged a second for that.
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from harness.data import EvalSet, Rows, TrainSet
from harness.errors import TrialFailed
from harness.learners import Fit, Protocol, Run
from harness.learners.batches import Batch, BlendedBatch, augment_batch, blend, chunks, reader, shuffle_batches
from harness.learners.losses import Loss, soft_cross_entropy
from harness.metrics import score
from harness.streams import child_seed

LOOKS = 50
"""Most times that a run is scored on the validation rows."""
PREDICTED = 256
"""Rows predicted at a time."""


def as_it_is(batch: Batch) -> Batch:
    """Returns the batch unchanged: the encoding of a network that reads batches as they come."""
    return batch


@dataclass(frozen=True)
class Network:
    """Holds what a builder makes from the training rows.

    `module` maps an encoded batch to logits (b, k); `encode` turns an augmented batch into the one tensor
    that `module` reads. `pretrained` networks get the protocol's `lr_pretrained`. `bf16` says that bfloat16
    makes this network faster at this size where the hardware has it; that is measured (tests/benchmarks).
    """

    module: nn.Module
    encode: Callable[[Batch], Tensor] = as_it_is
    pretrained: bool = False
    bf16: bool = False


Builder = Callable[[Rows, int], Network]
"""`(rows, k) -> Network`: rows are the labelled training rows; initial weights come from torch's seeded generator."""


@dataclass(frozen=True)
class TrainedNetwork:
    """Holds a network on its device, and whether it computes in bfloat16."""

    network: Network
    device: torch.device
    bf16: bool

    def logits(self, batch: Batch) -> Float[Tensor, "b *p k"]:
        """Returns unnormalised log-probabilities in float32; for peers in training, those of each of p peers.

        Those of a `Mixed` batch are blended: for a network that ends in a linear layer this equals its output for the
        blended input of that layer, the hidden representation.
        """
        if isinstance(batch, BlendedBatch):
            return blend(self.logits(batch.batch), batch.partner, batch.share)
        encoded = self.network.encode(batch).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return self.network.module(encoded).float()


def fit_network(train: TrainSet, valid: EvalSet, run: Run, *, network: Builder) -> Fit:
    """Trains the network with the cross-entropy (see `fit_with_loss`)."""
    return fit_with_loss(train, valid, run, network=network, loss=soft_cross_entropy)


def fit_with_loss(train: TrainSet, valid: EvalSet, run: Run, *, network: Builder, loss: Loss) -> Fit:
    """Trains the network for exactly `run.steps` optimiser steps on the labelled rows.

    The loss gets the soft labels and `w` scaled to mean 1; weight decay applies to every parameter; the rate warms up
    linearly and falls to 0 as a cosine. TrialFailed if the loss is not finite. Equal arguments give equal bits on the
    same machine, and torch's generators are restored.
    """
    rows = train if train.labelled.all() else train.rows(train.labelled)
    if not len(rows):
        raise TrialFailed("there is no labelled row to train on")
    device = torch.device(run.device)
    with reproducible(device, run.stream("init")):
        built = network(rows.x, rows.k)
    built.module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model = TrainedNetwork(built, device, computes_in_bf16(built, device, run.protocol.precision))
    with reproducible(device, run.stream("dropout")):
        history = _train(model, rows, valid, run, loss)
    return Fit(
        predict=partial(probabilities, model),
        parameters=sum(p.numel() for p in built.module.parameters() if p.requires_grad),
        examples=run.steps * min(len(rows), run.protocol.batch_size),
        valid_labels=len(valid) if run.protocol.selection == "best" else 0,
        history=history,
    )


def _train(model: TrainedNetwork, rows: TrainSet, valid: EvalSet, run: Run, loss: Loss) -> list[dict[str, float]]:
    """Trains the model in place and returns its curve, about one row per epoch."""
    module, size = model.network.module.train(), run.protocol.batch_size
    optimiser, schedule = _optimiser(model.network, run)
    read, losses = reader(rows.x, model.device), torch.zeros(run.steps, device=model.device)
    y, w = (torch.from_numpy(np.array(part)).to(model.device) for part in (rows.y, rows.w / rows.w.mean()))
    every = max(math.ceil(len(rows) / size), math.ceil(run.steps / LOOKS))
    order, luck = shuffle_batches(len(rows), size, run.stream("order")), run.stream("augment")
    history: list[dict[str, float]] = []
    best = Best(run.protocol.selection == "best" and len(valid) > 0)
    for step, index in zip(range(1, run.steps + 1), order, strict=False):
        at = torch.from_numpy(index).to(model.device)
        inputs, targets = augment_batch(read(index), y[at], rows.augment, luck)
        found = loss(model.logits(inputs), targets, w[at], (step - 1) * len(index) / len(rows))
        found.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        losses[step - 1] = found.detach()
        if step % every == 0 or step == run.steps:
            since = int(history[-1]["step"]) if history else 0
            history.append(_look(model, valid, run, losses[:step], since))
            run.log(history[-1])
            run.watch(partial(probabilities, model))
            best.see(history[-1], module)
    best.restore(module)
    return history


def rate(step: int, steps: int, warmup: float) -> float:
    """Returns the share of the peak learning rate at a step, counted from 0 (linear warm-up, then SGDR's cosine to 0).

    Loshchilov and Hutter, 2017.
    """
    warm = round(warmup * steps)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _optimiser(network: Network, run: Run) -> tuple[torch.optim.Optimizer, LambdaLR]:
    protocol = run.protocol
    makers: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
        "adamw": torch.optim.AdamW,
        "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
    }
    parameters = [p for p in network.module.parameters() if p.requires_grad]
    make = makers[protocol.optimiser]
    optimiser = make(parameters, lr=_peak(network, protocol), weight_decay=protocol.weight_decay, fused=True)
    return optimiser, LambdaLR(optimiser, lambda step: rate(step, run.steps, protocol.warmup))


def _peak(network: Network, protocol: Protocol) -> float:
    return protocol.lr_pretrained if network.pretrained else protocol.lr


def _look(model: TrainedNetwork, valid: EvalSet, run: Run, losses: Float[Tensor, " s"], since: int) -> dict[str, float]:
    """Returns one row of the curve: the mean loss of the steps after `since`, and the validation metric if there are
    rows.
    """
    recent = losses[since:].tolist()  # The only place that waits for an accelerator.
    wrong = next((i for i, loss in enumerate(recent) if not math.isfinite(loss)), None)
    if wrong is not None:
        where = f"at step {since + wrong + 1} of {run.steps} (lr {_peak(model.network, run.protocol):g})"
        raise TrialFailed(f"diverged: the loss became {recent[wrong]} {where}")
    row = {"step": float(len(losses)), "loss": sum(recent) / len(recent)}
    if len(valid):
        predicted = probabilities(model, valid.x).argmax(1)
        row["valid"] = float(score(run.protocol.metric, valid.y, predicted, len(run.classes)))
    return row


class Best:
    """Keeps the weights with the best validation metric so far (the earliest at a tie), if asked to."""

    def __init__(self, wanted: bool) -> None:
        self.wanted, self.metric = wanted, -math.inf
        self.weights: dict[str, Tensor] | None = None

    def see(self, row: Mapping[str, float], module: nn.Module) -> None:
        """Keeps a copy of the weights if they are the best so far."""
        if self.wanted and row["valid"] > self.metric:
            self.metric, self.weights = row["valid"], copy.deepcopy(module.state_dict())

    def restore(self, module: nn.Module) -> None:
        """Restores the kept weights, if there are any."""
        if self.weights is not None:
            module.load_state_dict(self.weights)


def probabilities(model: TrainedNetwork, x: Rows) -> Float32[np.ndarray, "n k"]:
    """Returns class probabilities of the rows, computed in evaluation mode; restores the module's mode."""
    module, read = model.network.module, reader(x, model.device)
    training = module.training
    module.eval()
    with torch.inference_mode():
        parts = [model.logits(read(index)).softmax(1).cpu() for index in chunks(len(x), PREDICTED)]
    module.train(training)
    return torch.cat(parts).numpy()


def computes_in_bf16(network: Network, device: torch.device, precision: str) -> bool:
    """Returns whether the protocol's precision means bfloat16 for this network on this device."""
    return precision == "bf16" or (precision == "auto" and network.bf16 and _has_bf16(device))


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    processor = Path("/proc/cpuinfo")
    flags = processor.read_text() if device.type == "cpu" and processor.exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


@contextmanager
def reproducible(device: torch.device, rng: np.random.Generator) -> Iterator[None]:
    """Seeds torch's generators and makes cuDNN deterministic within a block; restores both afterwards."""
    accelerator = None if device.type == "cpu" else torch.get_device_module(device)
    states = torch.get_rng_state(), accelerator and accelerator.get_rng_state()
    deterministic, seed = torch.backends.cudnn.deterministic, child_seed(rng)
    torch.default_generator.manual_seed(seed)
    if accelerator:
        accelerator.manual_seed(seed)
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = deterministic
        torch.set_rng_state(states[0])
        if accelerator:
            accelerator.set_rng_state(states[1])
