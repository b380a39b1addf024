"""Makes small sets of three classes that any learner should separate, of images, texts and tables."""

from __future__ import annotations

import numpy as np

from harness.data import EvalSet, TrainSet, one_hot
from harness.streams import stream

COLOURS = (("red", "crimson", "scarlet"), ("green", "olive", "lime"), ("blue", "navy", "azure"))


def easy(modality: str, n: int = 48) -> tuple[TrainSet, EvalSet]:
    """Returns a training and a validation set of three classes that are easy to separate."""
    rng = stream(1, "easy", modality)
    classes = rng.permutation(np.arange(2 * n) % 3)
    x = {"image": _images, "text": _texts, "table": _table}[modality](classes, rng)
    y, ids = one_hot(classes[:n], 3), np.array([f"r{i}" for i in range(n)])
    train = TrainSet(ids, x[:n], y, np.ones(n, np.float32), np.zeros((n, 0), np.int8))
    return train, EvalSet(np.array([f"v{i}" for i in range(n)]), x[n:], classes[n:])


def _images(classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns images 8 x 8 x 1: noise with a bright band whose position gives the class."""
    x = rng.integers(0, 60, (len(classes), 8, 8, 1))
    for band in range(3):
        x[classes == band, 1 + 2 * band : 3 + 2 * band] += 150
    return x.astype(np.uint8)


def _texts(classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns texts with two words of the class's colour among words without information."""
    pairs = [rng.choice(COLOURS[label], 2) for label in classes]
    return np.array([f"the {first} and {second} thing no. {rng.integers(9)}" for first, second in pairs])


def _table(classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns tables of five columns: three with the class, one on a very different scale, one constant."""
    told = 3 * np.eye(3)[classes] + rng.normal(size=(len(classes), 3))
    other = np.stack([1e4 * rng.normal(size=len(classes)), np.full(len(classes), 0.1)], 1)
    return np.concatenate([told, other], 1).astype(np.float32)
