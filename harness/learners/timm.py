"""Builds any timm network by its name, for the shared training loop.

Written against timm's documented calls; it has not been run with timm itself, which needs a torchvision that was built
for the torch at hand.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from harness.data import Rows
from harness.errors import BadInput
from harness.learners.batches import modality
from harness.learners.nets import Standardise
from harness.learners.torch import Network
from harness.storage.places import install_command


def timm_network(rows: Rows, k: int, *, name: str, pretrained: bool) -> Network:
    """Builds the network with a head for k classes; images are resized and standardised as it expects.

    A pretrained network gets the protocol's `lr_pretrained`. Images without exactly three channels are standardised
    by the mean over the network's own channels. BadInput if timm cannot be imported, does not know the model, or
    cannot load its weights.
    """
    if modality(rows) != "image":
        raise BadInput(f"timm's networks are for images: these rows are {tuple(rows.shape)}")
    timm, channels = _timm(), rows.shape[3]
    try:
        model = timm.create_model(name, pretrained=pretrained, num_classes=k, in_chans=channels)
    except (RuntimeError, OSError, ValueError) as error:  # An unknown name, or weights that cannot be loaded.
        raise BadInput(
            f"timm cannot make '{name}': {(str(error).strip() or 'it does not say why').splitlines()[0]}"
        ) from error
    made_for = timm.data.resolve_model_data_config(model)
    mean, std = (_for_channels(made_for[part], channels) for part in ("mean", "std"))
    before = ResizedNetwork(made_for["input_size"][1:], made_for["interpolation"]), Standardise(mean, std)
    return Network(nn.Sequential(*before, model), pretrained=pretrained)


class ResizedNetwork(nn.Module):
    """Resizes images with the interpolation that the network was trained with."""

    def __init__(self, size: tuple[int, int], interpolation: str) -> None:
        super().__init__()
        self.size, self.interpolation = tuple(size), interpolation if interpolation == "bilinear" else "bicubic"

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c i j"]:
        """Returns the batch at that size, unchanged if it has it already."""
        if tuple(x.shape[2:]) == self.size:
            return x
        return F.interpolate(x, self.size, mode=self.interpolation, antialias=True).clamp(0, 1)


def _for_channels(values: tuple[float, ...], channels: int) -> Float[Tensor, "c 1 1"]:
    found = values if len(values) == channels else [sum(values) / len(values)] * channels
    return torch.tensor(found)[:, None, None]


def _timm() -> Any:
    """Returns the package; BadInput if it is absent, or if its torchvision was built for another torch."""
    try:
        import timm
        import timm.data
    except (ImportError, RuntimeError) as error:
        raise BadInput(
            f"model=timm cannot import timm ({str(error).splitlines()[0]}): {install_command('timm')}, with the "
            "torchvision that was built for this torch"
        ) from error
    return timm
