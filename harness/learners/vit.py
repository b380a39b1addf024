"""Builds vision transformers for small images (Dosovitskiy et al., 2021)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from harness.data import Rows
from harness.errors import BadInput
from harness.learners.nets import image_shape, standardise
from harness.learners.torch import Network


def vit(
    rows: Rows, k: int, *, patch: int, dim: int, depth: int, heads: int, mlp_ratio: float, dropout: float
) -> Network:
    """Builds a vision transformer on patches of `patch` pixels a side (Dosovitskiy et al., 2021).

    `depth` pre-normalised layers of `dim` channels, `heads` attention heads and a hidden layer of `mlp_ratio` times
    `dim`; learned positions and a class token. For images of 32 pixels, the sizes of ViT-Lite (Hassani et al.,
    Escaping the Big Data Paradigm with Compact Transformers, 2021): ViT-Lite-7/4 has 3.7 million parameters.
    An image whose sides are not multiples of `patch` is padded with the training rows' mean, at the right and below.
    """
    height, width, channels = image_shape(rows)
    if heads < 1 or dim % heads or not 1 <= patch <= min(height, width) or depth < 1:
        raise BadInput(
            f"a vision transformer divides dim among its heads and needs 1 <= patch <= {min(height, width)}, the "
            f"image's side, and a layer: dim is {dim}, heads {heads}, patch {patch}, depth {depth}"
        )
    patches = math.ceil(height / patch) * math.ceil(width / patch)
    layers = [
        nn.TransformerEncoderLayer(
            dim, heads, int(mlp_ratio * dim), dropout, activation="gelu", batch_first=True, norm_first=True
        )
        for _ in range(depth)
    ]
    tokens = Patches(channels, patches, patch, dim, dropout)
    module = nn.Sequential(standardise(rows), tokens, *layers, ClassToken(), nn.LayerNorm(dim), nn.Linear(dim, k))
    _initialise(module)
    return Network(module, bf16=True)


class Patches(nn.Module):
    """Turns an image into tokens: the class token, then its patches, each with its position added."""

    def __init__(self, channels: int, patches: int, patch: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.patch, self.dropout = patch, nn.Dropout(dropout)
        self.project = nn.Conv2d(channels, dim, patch, stride=patch)
        self.first = nn.Parameter(torch.zeros(1, 1, dim))
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1 + patches, dim), std=0.02))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b t d"]:
        """Returns tokens, the class token first."""
        below, right = (-side % self.patch for side in x.shape[2:])
        tokens = self.project(F.pad(x, (0, right, 0, below))).flatten(2).transpose(1, 2)
        whole = torch.cat([self.first.to(tokens.dtype).expand(len(x), -1, -1), tokens], 1)
        return self.dropout(whole + self.positions)


class ClassToken(nn.Module):
    """Returns the class token after the layers, which represents the image."""

    def forward(self, tokens: Float[Tensor, "b t d"]) -> Float[Tensor, "b d"]:
        """Returns the first token of each image."""
        return tokens[:, 0]


def _initialise(module: nn.Module) -> None:
    """Draws weights as the paper's code does (Glorot and Bengio, 2010) and sets biases to 0."""
    for name, weight in module.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(weight)
        elif weight.ndim == 2:
            nn.init.xavier_uniform_(weight)
