"""How fast the image augmentations are on one thread, in images a second and as ratios to `flip` in the same run.

    OMP_NUM_THREADS=1 python tests/benchmarks/augmentation.py

A batch is 128 x 3 x 32 x 32. What stands beside it in a trial: LeNet trains on some 9,000 such images a second.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
import yaml

from harness.data import Augment, TrainSet, one_hot
from harness.run.options import build
from harness.storage.cache import Cache
from harness.storage.places import conf_dir
from harness.strategies import Tools
from harness.streams import stream

BATCH, SECONDS, REPEATS = (128, 3, 32, 32), 0.3, 5


def refused(*_: object) -> None:
    raise AssertionError("no image augmentation needs that")


def image_options() -> dict[str, Augment]:
    """The batch function of every option that augments images, as its YAML makes it."""
    x = np.zeros((2, *BATCH[2:], BATCH[1]), dtype=np.uint8)
    ones, votes = np.ones(2, dtype=np.float32), np.zeros((2, 0), dtype=np.int8)
    train = TrainSet(np.arange(2), x, one_hot(np.arange(2), 2), ones, votes)
    tools = Tools(
        rng=stream(0, "benchmark"), pred_probs=refused, dynamics=refused, ask=refused, valid=refused, in_test=refused,
        fold_probes=refused, count=refused, note=lambda name, text: None, classes=("a", "b"), cache=Cache(conf_dir()), device="cpu",
    )  # fmt: skip
    nodes = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((conf_dir() / "augment").glob("*.yaml"))}
    made = {name: build(node)(train, tools).augment for name, node in nodes.items() if _stands_alone(node)}
    return {name: augment for name, augment in made.items() if augment is not None}


def _stands_alone(node: dict[str, Any]) -> bool:
    """Whether an option augments images without a search and without a file of the user's."""
    return "image" in node["fits"] and not node.get("needs") and node.get("path") != "???"


def per_second(augment: Augment, x: torch.Tensor, y: torch.Tensor) -> float:
    """Images a second over `SECONDS`."""
    rng, batches, start = stream(0, "augment"), 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < SECONDS:
        augment(x, y, rng)
        batches += 1
    return BATCH[0] * batches / spent


def main() -> None:
    """One line an option; they take turns, so that a busy moment hits all alike, and the first turn warms up."""
    x = torch.from_numpy(stream(0, "x").random(BATCH, dtype=np.float32))
    y, found = torch.eye(10)[torch.arange(BATCH[0]) % 10], image_options()
    turns = [{name: per_second(augment, x, y) for name, augment in found.items()} for _ in range(REPEATS + 1)]
    rates = {name: float(np.median([turn[name] for turn in turns[1:]])) for name in found}
    print(f"{torch.get_num_threads()} thread(s), batches of {'x'.join(map(str, BATCH))}")
    print(f"{'option':16} {'images/s':>10} {'to flip':>8}")
    for name in sorted(rates, key=lambda name: -rates[name]):
        print(f"{name:16} {rates[name]:10.0f} {rates[name] / rates['flip']:8.2f}")


if __name__ == "__main__":
    main()
