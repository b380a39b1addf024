"""Builds our own networks, untrained, from the training rows, each with the encoding of its batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from harness.data import Rows
from harness.errors import BadInput
from harness.learners.batches import modality, moments
from harness.learners.text import PAD, UNKNOWN, encoder, vocabulary
from harness.learners.torch import Network

SMALLEST_SIDE = 8
"""The smallest image side that the convolutional networks take, in pixels.

They ask for bfloat16 from the sides (32 for LeNet, 16 for residual networks, also wide ones) at which
tests/benchmarks/training.py found it faster than float32 on a CPU with AVX-512 BF16;
below, casting costs more than it saves. Transformers ask for it at any size: it is twice as fast for wide ones.
"""


def linear(rows: Rows, k: int) -> Network:
    """Builds one linear layer on standardised columns or pixels."""
    return Network(nn.Sequential(standardise(rows), nn.Flatten(), nn.Linear(math.prod(rows.shape[1:]), k)))


def mlp(rows: Rows, k: int, *, width: int, depth: int, dropout: float) -> Network:
    """Builds `depth` hidden layers of `width` units with ReLU and dropout on standardised columns or pixels."""
    sizes = [math.prod(rows.shape[1:]), *[width] * depth]
    hidden = [
        layer
        for inputs, outputs in pairwise(sizes)
        for layer in (nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout))
    ]
    return Network(nn.Sequential(standardise(rows), nn.Flatten(), *hidden, nn.Linear(sizes[-1], k)))


def lenet(rows: Rows, k: int) -> Network:
    """Builds LeNet-5 with ReLU and max pooling (LeCun et al., 1998), for images of 8 pixels a side or more.

    61,706 parameters for ten classes of 28 x 28 x 1. Below 16 pixels the second convolution is padded like the first.
    """
    height, width, channels = image_shape(rows)
    padding = 2 if min(height, width) < 16 else 0
    area = math.prod((side // 2 + 2 * padding - 4) // 2 for side in (height, width))
    module = nn.Sequential(
        standardise(rows),
        nn.Conv2d(channels, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, padding=padding), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * area, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, k),
    )  # fmt: skip
    return Network(module, channels_last, bf16=min(height, width) >= 32)


def resnet(rows: Rows, k: int, *, depth: int, width: int) -> Network:
    """Builds a residual network in the CIFAR style: 6n + 2 layers, three stages of `width`, 2 and 4 `width` channels.

    Shortcuts have no parameters (option A of the paper). He et al., Deep Residual Learning, 2015, section 4.2.
    """
    height, side, channels = image_shape(rows)
    if depth < 8 or depth % 6 != 2:
        raise BadInput(f"a CIFAR-style residual network has 6n + 2 layers (8, 14, 20, …): depth is {depth}")
    sizes = [width * 2**stage for stage in range(3) for _ in range((depth - 2) // 6)]
    blocks = [Residual(inputs, outputs) for inputs, outputs in pairwise([width, *sizes])]
    stem = nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
    module = nn.Sequential(standardise(rows), *stem, *blocks, MeanOverPixels(), nn.Linear(sizes[-1], k))
    he_normal(module)
    return Network(module, channels_last, bf16=min(height, side) >= 16)


def bag_of_embeddings(rows: Rows, k: int, *, dim: int, max_words: int, min_count: int, max_length: int) -> Network:
    """Builds a linear layer on the mean of a text's word embeddings (Joulin et al., Bag of Tricks, 2016; words)."""
    index = vocabulary(map(str, rows), max_words=max_words, min_count=min_count)
    embedding = _embedding(len(index), dim, 1 / dim)
    return Network(MeanOfWords(embedding, k), encoder(index, max_length=max_length, min_length=1))


def kim_cnn(
    rows: Rows, k: int, *, dim: int, widths: Sequence[int], filters: int, dropout: float,
    max_words: int, min_count: int, max_length: int,
) -> Network:  # fmt: skip
    """Builds convolutions over words, max over time, dropout, a linear layer (Kim, 2014; CNN-rand)."""
    index = vocabulary(map(str, rows), max_words=max_words, min_count=min_count)
    module = KimCNN(_embedding(len(index), dim, 0.25), list(widths), filters, dropout, k)
    encode = encoder(index, max_length=max(max_length, *widths), min_length=max(widths))
    return Network(module, encode, bf16=True)


def standardise(rows: Rows) -> nn.Module:
    """Returns a layer that standardises by the training rows' mean and deviation, per channel or column."""
    mean, std = (torch.from_numpy(part.astype(np.float32)) for part in moments(rows))
    if modality(rows) == "image":
        mean, std = mean[:, None, None] / 255, std[:, None, None] / 255
    return Standardise(mean, std)


class Standardise(nn.Module):
    """Computes (x - mean) / std; both are saved with the weights and not trained."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """Returns the standardised batch."""
        return (x - self.mean) / self.std


class Residual(nn.Module):
    """Adds two 3 x 3 convolutions to a shortcut; a wider output halves the image and pads the shortcut's channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.extra = outputs - inputs
        self.first = nn.Conv2d(inputs, outputs, 3, stride=2 if self.extra else 1, padding=1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)])

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o i j"]:
        """Returns feature maps, of half the size if the block is wider than its input."""
        path = self.norms[1](self.second(F.relu(self.norms[0](self.first(x)))))
        if not self.extra:
            return F.relu(path + x)
        every_other = F.avg_pool2d(x, 1, stride=2)  # A slice would do, but its gradient would undo channels_last.
        return F.relu(path + F.pad(every_other, (0, 0, 0, 0, 0, self.extra)))


class MeanOverPixels(nn.Module):
    """Averages each channel over the image (global average pooling)."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
        """Returns one number per channel."""
        return x.mean((2, 3))


class MeanOfWords(nn.Module):
    """Applies a linear layer to the mean embedding of a text's words, unknown ones included."""

    def __init__(self, embedding: nn.Embedding, k: int) -> None:
        super().__init__()
        self.embedding, self.head = embedding, nn.Linear(embedding.embedding_dim, k)

    def forward(self, words: Int64[Tensor, "b t"]) -> Float[Tensor, "b k"]:
        """Returns logits for padded word indices."""
        count = (words != PAD).sum(1, keepdim=True).clamp(min=1)
        return self.head(self.embedding(words).sum(1) / count)


class KimCNN(nn.Module):
    """Applies windows of several widths to the words; the output does not depend on how far the batch is padded."""

    def __init__(self, embedding: nn.Embedding, widths: list[int], filters: int, dropout: float, k: int) -> None:
        super().__init__()
        self.embedding, self.dropout = embedding, nn.Dropout(dropout)
        self.windows = nn.ModuleList(nn.Conv1d(embedding.embedding_dim, filters, width) for width in widths)
        self.head = nn.Linear(filters * len(widths), k)

    def forward(self, words: Int64[Tensor, "b t"]) -> Float[Tensor, "b k"]:
        """Returns logits for padded word indices."""
        embedded, length = self.embedding(words).transpose(1, 2), (words != PAD).sum(1, keepdim=True)
        found = [F.relu(window(embedded)) for window in self.windows]
        strongest = [part.masked_fill(_beyond(part, words, length), 0).max(2).values for part in found]
        return self.head(self.dropout(torch.cat(strongest, 1)))


def _beyond(
    part: Float[Tensor, "b f s"], words: Int64[Tensor, "b t"], length: Int64[Tensor, "b 1"]
) -> Bool[Tensor, "b 1 s"]:
    """Marks windows that reach past a text's last word; the first one always counts, for very short texts."""
    width = words.shape[1] - part.shape[2] + 1
    start = torch.arange(part.shape[2], device=words.device)
    return ((start > 0) & (start + width > length))[:, None, :]


def _embedding(size: int, dim: int, spread: float) -> nn.Embedding:
    """Returns embeddings uniform in [-spread, spread]; padding and the untrained unknown word are 0."""
    embedding = nn.Embedding(size + 2, dim, padding_idx=PAD)
    with torch.no_grad():
        embedding.weight.uniform_(-spread, spread)
        embedding.weight[[PAD, UNKNOWN]] = 0
    return embedding


def he_normal(module: nn.Module) -> None:
    """Draws the weights of all convolutions by He's rule (He et al., Delving Deep, 2015)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def image_shape(rows: Rows) -> tuple[int, int, int]:
    """Returns height, width and channels; BadInput if the rows are not images or too small."""
    if modality(rows) != "image" or min(rows.shape[1:3]) < SMALLEST_SIDE:
        wanted = f"(n, h, w, c) of {SMALLEST_SIDE} pixels a side or more"
        raise BadInput(f"this network needs images {wanted}: these rows are {tuple(rows.shape)}")
    return rows.shape[1], rows.shape[2], rows.shape[3]


def channels_last(batch: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Returns the batch in the memory layout in which convolutions are fastest on CPUs."""
    return batch.contiguous(memory_format=torch.channels_last)
