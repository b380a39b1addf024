"""Augmentation: the same rows, with a batch function that the learner applies while it trains."""

from harness.strategies.augment.images import cutout, flip, shift
from harness.strategies.augment.mixing import mixup
from harness.strategies.augment.texts import swap, word_dropout

__all__ = ["cutout", "flip", "mixup", "shift", "swap", "word_dropout"]
