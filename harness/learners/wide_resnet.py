"""Builds wide residual networks (Zagoruyko and Komodakis, 2016)."""

from __future__ import annotations

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from harness.data import Rows
from harness.errors import BadInput
from harness.learners.nets import MeanOverPixels, channels_last, he_normal, image_shape, standardise
from harness.learners.torch import Network


def wide_resnet(rows: Rows, k: int, *, depth: int, width: int, dropout: float) -> Network:
    """Builds WRN-`depth`-`width`: 6n + 4 layers, three stages of 16, 32 and 64 times `width` channels.

    Blocks are pre-activated, with dropout between their convolutions (Wide Residual Networks, 2016, table 1). For
    CIFAR-10, WRN-16-4 has 2.7 million parameters and WRN-28-10 has 36.5.
    """
    height, side, channels = image_shape(rows)
    if depth < 10 or depth % 6 != 4 or width < 1:
        raise BadInput(
            f"a wide residual network has 6n + 4 layers (10, 16, 22, 28, …) and a width of 1 or more: "
            f"depth is {depth}, width {width}"
        )
    stages = [16 * width * 2**stage for stage in range(3)]
    sizes = [(size, 1 + (block == 0 and stage > 0)) for stage, size in enumerate(stages) for block in range(depth // 6)]
    steps = pairwise([(16, 1), *sizes])
    blocks = [PreActivated(inputs, outputs, stride, dropout) for (inputs, _), (outputs, stride) in steps]
    head = nn.BatchNorm2d(stages[-1]), nn.ReLU(), MeanOverPixels(), nn.Linear(stages[-1], k)
    stem = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
    module = nn.Sequential(standardise(rows), stem, *blocks, *head)
    he_normal(module)
    return Network(module, channels_last, bf16=min(height, side) >= 16)


class PreActivated(nn.Module):
    """Adds batch normalisation, ReLU and a 3 x 3 convolution, twice, to a shortcut.

    A shortcut that changes the number of channels is a 1 x 1 convolution of the activated input.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)])
        self.first = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False) if inputs != outputs else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o i j"]:
        """Returns feature maps, smaller by the block's stride."""
        active = F.relu(self.norms[0](x))
        path = self.dropout(F.relu(self.norms[1](self.first(active))))
        return self.second(path) + (x if self.shortcut is None else self.shortcut(active))
