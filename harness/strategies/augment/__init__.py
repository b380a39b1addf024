"""Augmentations: they keep the rows and set a batch function for the learner to apply, or add rows."""

from harness.strategies.augment.images import affine, color_jitter, crop, cutout, erase, flip, noise, shift
from harness.strategies.augment.language_models import back_translation, masked_lm
from harness.strategies.augment.lexicons import insert_words, replace_words
from harness.strategies.augment.mixing import cutmix, hidden_mixup, mixup
from harness.strategies.augment.policies import augmix, auto_augment, rand_augment, trivial_augment
from harness.strategies.augment.policy_search import policy, random_policy, search_policy
from harness.strategies.augment.rows import jitter, oversample, repeat
from harness.strategies.augment.texts import aeda, char_noise, swap, word_dropout

__all__ = [
    "aeda", "affine", "augmix", "auto_augment", "back_translation", "char_noise", "color_jitter", "crop", "cutmix",
    "cutout", "erase", "flip", "hidden_mixup", "insert_words", "jitter", "masked_lm", "mixup", "noise",
    "oversample", "policy", "rand_augment", "random_policy", "repeat", "replace_words", "search_policy", "shift",
    "swap", "trivial_augment", "word_dropout",
]  # fmt: skip
