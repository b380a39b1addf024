"""Augments texts: as many out as in; words are separated by white space, and at least one is left.

Deletion and swap are operations of EDA (Wei & Zou 2019, "Easy data augmentation"), whose other two
operations need a lexicon (lexicons.py). Labels stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from torch import Tensor

from harness.checks import one_of, within
from harness.data import TrainSet
from harness.strategies import Tools, compose

PUNCTUATION = np.array([".", ";", "?", ":", "!", ","])
KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
"""Rows of letters of a keyboard, each shifted by about half a key against the one above."""
KINDS = ("swap", "delete", "insert", "keyboard")


def word_dropout(train: TrainSet, tools: Tools, *, p: float) -> TrainSet:
    """Drops each word with probability `p` (EDA's random deletion); if all would go, one of them stays."""
    within("p", p, 0.0, 1.0)
    return replace(train, augment=compose(train.augment, partial(_word_dropout, p=p)))


def swap(train: TrainSet, tools: Tools, *, alpha: float) -> TrainSet:
    """Swaps two words of a text, `alpha` times its length, at least once (EDA's random swap)."""
    within("alpha", alpha, 0.0, 1.0)
    return replace(train, augment=compose(train.augment, partial(_swap, alpha=alpha)))


def aeda(train: TrainSet, tools: Tools, *, punc_ratio: float) -> TrainSet:
    """Inserts punctuation between the words, which keep their order (AEDA; Karimi et al. 2021).

    It inserts from one mark to `punc_ratio` times the number of words, at least one, each before another word.
    """
    within("punc_ratio", punc_ratio, 0.0, 1.0)
    return replace(train, augment=compose(train.augment, partial(_aeda, punc_ratio=punc_ratio)))


def char_noise(train: TrainSet, tools: Tools, *, p: float, kinds: Sequence[str]) -> TrainSet:
    """Mistypes each letter with probability `p` (Belinkov & Bisk 2018, section 4) by one of `kinds`, drawn uniformly.

    `swap` with the next letter, `delete`, `insert` a letter beside it on the keyboard, or `keyboard`: type
    that one instead. A single letter is not deleted, so no word vanishes.
    """
    within("p", p, 0.0, 1.0)
    for kind in kinds:
        one_of("kinds", kind, KINDS)
    return replace(train, augment=compose(train.augment, partial(_char_noise, p=p, kinds=tuple(kinds))))


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


def _aeda(x: Sequence[str], y: Tensor, rng: np.random.Generator, *, punc_ratio: float) -> tuple[list[str], Tensor]:
    return [_punctuated(str(text), rng, punc_ratio) for text in x], y


def _punctuated(text: str, rng: np.random.Generator, punc_ratio: float) -> str:
    words = text.split()
    if not words:
        return text
    most = min(len(words), int(punc_ratio * len(words) + 1))
    before = set(rng.permutation(len(words))[: rng.integers(1, most + 1)].tolist())
    marks = PUNCTUATION[rng.integers(len(PUNCTUATION), size=len(words))]
    return " ".join(f"{marks[place]} {word}" if place in before else word for place, word in enumerate(words))


def _char_noise(
    x: Sequence[str], y: Tensor, rng: np.random.Generator, *, p: float, kinds: tuple[str, ...]
) -> tuple[list[str], Tensor]:
    return [_mistyped(str(text), rng, p, kinds) for text in x], y


def _mistyped(text: str, rng: np.random.Generator, p: float, kinds: tuple[str, ...]) -> str:
    """Works from the last letter to the first, so that positions to the left stay valid."""
    letters = list(text)
    for place in np.flatnonzero(rng.random(len(letters)) < p)[::-1].tolist():
        letter, after = letters[place], letters[place + 1 : place + 2]
        kind = kinds[rng.integers(len(kinds))]
        if not letter.isalpha():
            continue
        alone = not "".join(letters[max(0, place - 1) : place] + after).strip()
        if kind == "swap" and after and after[0].isalpha():
            letters[place : place + 2] = [after[0], letter]
        elif kind == "delete" and not alone:
            letters[place] = ""
        elif kind in ("insert", "keyboard"):
            letters[place] = (letter if kind == "insert" else "") + _beside(letter, rng)
    return "".join(letters)


def _beside(letter: str, rng: np.random.Generator) -> str:
    """Returns a letter beside this one on a keyboard, in the same case; the letter itself if it has no key."""
    row = next((number for number, keys in enumerate(KEYBOARD) if letter.lower() in keys), None)
    if row is None:
        return letter
    place = KEYBOARD[row].index(letter.lower())
    reach = {row: (place - 1, place + 1), row - 1: (place, place + 1), row + 1: (place - 1, place)}
    near = [KEYBOARD[r][c] for r, columns in reach.items() if 0 <= r < 3 for c in columns if 0 <= c < len(KEYBOARD[r])]
    found = near[rng.integers(len(near))]
    return found.upper() if letter.isupper() else found
