"""Text augmentations: a list of texts in, as many out; words are what white space separates, at least one is left.

Both are operations of EDA (Wei & Zou 2019, "Easy data augmentation"); the labels stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from torch import Tensor

from harness.data import TrainSet
from harness.strategies import Tools, compose
from harness.strategies.checks import within


def word_dropout(train: TrainSet, tools: Tools, *, p: float) -> TrainSet:
    """Each word left out with probability `p` (EDA's random deletion); where all would go, one of them stays."""
    within("p", p, 0.0, 1.0)
    return replace(train, augment=compose(train.augment, partial(_word_dropout, p=p)))


def swap(train: TrainSet, tools: Tools, *, alpha: float) -> TrainSet:
    """Two words of a text exchanged, `alpha` times its length, at least once (EDA's random swap)."""
    within("alpha", alpha, 0.0, 1.0)
    return replace(train, augment=compose(train.augment, partial(_swap, alpha=alpha)))


def _word_dropout(x: Sequence[str], y: Tensor, rng: np.random.Generator, *, p: float) -> tuple[list[str], Tensor]:
    return [_thinned(str(text), rng, p) for text in x], y


def _thinned(text: str, rng: np.random.Generator, p: float) -> str:
    words = text.split()
    draws = rng.random(len(words))
    if not words or (draws >= p).all():
        return text
    kept = [word for word, draw in zip(words, draws, strict=True) if draw >= p]
    return " ".join(kept or [words[draws.argmax()]])


def _swap(x: Sequence[str], y: Tensor, rng: np.random.Generator, *, alpha: float) -> tuple[list[str], Tensor]:
    return [_shuffled(str(text), rng, alpha) for text in x], y


def _shuffled(text: str, rng: np.random.Generator, alpha: float) -> str:
    words = text.split()
    if len(words) < 2 or alpha == 0:
        return text
    for _ in range(max(1, int(alpha * len(words)))):
        first, second = rng.choice(len(words), size=2, replace=False)
        words[first], words[second] = words[second], words[first]
    return " ".join(words)
