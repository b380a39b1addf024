"""Turns texts into padded word indices; the vocabulary comes from the training rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from jaxtyping import Int64
from torch import Tensor

_WORD = re.compile(r"\w+|[^\w\s]")
PAD, UNKNOWN = 0, 1
"""Indices of the padding and of words outside the vocabulary."""


def words(text: str) -> list[str]:
    """Returns the lower-cased words and punctuation marks of a text."""
    return _WORD.findall(text.lower())


def vocabulary(texts: Iterable[str], *, max_words: int, min_count: int) -> dict[str, int]:
    """Returns indices from 2 for the most frequent words that occur `min_count` times; ties in alphabetical order."""
    counts = Counter(word for text in texts for word in words(text))
    kept = sorted(
        (word for word, count in counts.items() if count >= min_count), key=lambda word: (-counts[word], word)
    )
    return {word: index for index, word in enumerate(kept[:max_words], start=UNKNOWN + 1)}


def encoder(
    index: Mapping[str, int], *, max_length: int, min_length: int
) -> Callable[[Sequence[str]], Int64[Tensor, "b t"]]:
    """Returns a function from texts to word indices, cut at `max_length` words and padded to the longest text of the
    batch.
    """

    def encode(texts: Sequence[str]) -> Int64[Tensor, "b t"]:
        rows = [[index.get(word, UNKNOWN) for word in words(text)[:max_length]] for text in texts]
        longest = max(min_length, *map(len, rows))
        return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])

    return encode
