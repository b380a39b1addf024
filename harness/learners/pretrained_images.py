"""Loads ImageNet networks: to train a linear head on their frozen features, or to fine-tune them."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from harness.data import EvalSet, Rows, TrainSet
from harness.errors import BadInput
from harness.learners import Fit, Run
from harness.learners.batches import chunks, modality, reader
from harness.learners.pretrained import cached_features, linear_head
from harness.learners.torch import Network
from harness.storage.places import content_of, locate

Architecture = Literal[
    "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "efficientnet-lite3", "efficientnet-lite4"
]
AT_ONCE = 16
"""Images per forward pass: with 64, each takes twice as long on a CPU, whose cache is too small."""
WIDTH = 1280
"""Number of features of every EfficientNet-lite."""
SMALLEST_IMAGE = 32
"""The smallest side in pixels that survives the network's five halvings."""


def frozen_efficientnet(
    train: TrainSet, valid: EvalSet, run: Run, *, path: str, architecture: Architecture, image_size: int
) -> Fit:
    """Trains a linear head on the pooled features of a frozen EfficientNet-lite (Tan and Le, 2019; the lite variants,
    2020).

    `path` is a file of weights or a folder that holds one. Images are resized to squares of `image_size` pixels by
    bicubic interpolation and scaled to [-1, 1], which is what the lite variants were trained on; a single channel is
    repeated. BadInput if the weights are not there, or the rows are not images of one or three channels.
    """
    file = _checked(train.x, path, image_size)
    compute = partial(_pooled, file, architecture, image_size, torch.device(run.device))
    what = {"weights": content_of(str(file)), "architecture": architecture, "image_size": str(image_size)}
    return linear_head(train, valid, run, lambda images: cached_features(images, run.cache, what, compute))


def efficientnet(rows: Rows, k: int, *, path: str, architecture: Architecture, image_size: int) -> Network:
    """Returns an EfficientNet-lite with its pretrained weights and a new linear head, to be fine-tuned as a whole.

    Parameters, rows and errors as in `frozen_efficientnet`.
    """
    body = _load(_checked(rows, path, image_size), architecture, image_size)
    return Network(FeatureHead(body, nn.Linear(WIDTH, k)), partial(as_imagenet, size=image_size), pretrained=True)


class FeatureHead(nn.Module):
    """Maps images to logits: a linear layer on the mean over pixels of the last feature maps.

    Batch normalisation keeps ImageNet's means and variances, as is usual where training is short: those of a few
    batches would differ between training and prediction.
    """

    def __init__(self, body: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        body._fc = nn.Identity()  # the head for ImageNet's classes has no part in this network
        self.body, self.head = body, head

    def forward(self, x: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b k"]:
        """Returns logits."""
        features: Tensor = self.body.extract_features(x)  # type: ignore[operator]
        return self.head(features.mean((2, 3)))

    def train(self, mode: bool = True) -> FeatureHead:
        """Sets the mode of all layers but batch normalisation, which always predicts."""
        super().train(mode)
        for layer in self.body.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
        return self


def _checked(rows: Rows, path: str, image_size: int) -> Path:
    """Returns the file of weights; BadInput if it is not there, or the rows are not images for this network."""
    if image_size < SMALLEST_IMAGE:
        raise BadInput(f"model.image_size is {image_size}: it must be {SMALLEST_IMAGE} or more")
    if modality(rows) != "image" or rows.shape[3] not in (1, 3):
        raise BadInput(f"this network needs images (n, h, w, c) of one or three channels: {tuple(rows.shape)}")
    return _weights(path)


def as_imagenet(x: Float[Tensor, "b c h w"], size: int) -> Float[Tensor, "b 3 s s"]:
    """Turns images in [0, 1] into squares of three channels in [-1, 1].

    EfficientNet-lite subtracts 127 from each byte and divides by 128; it does not use ImageNet's means.
    """
    three = x.expand(-1, 3, -1, -1)
    sized = F.interpolate(three, size=(size, size), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
    return (sized * 255 - 127) / 128


def _pooled(
    file: Path, architecture: Architecture, size: int, device: torch.device, images: Rows
) -> Float32[np.ndarray, "n d"]:
    """Returns the mean over pixels of the last feature maps."""
    network = _load(file, architecture, size).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    read, found = reader(images, device), np.zeros((len(images), WIDTH), dtype=np.float32)
    with torch.inference_mode():
        for index in chunks(len(images), AT_ONCE):
            batch = as_imagenet(read(index), size).contiguous(memory_format=torch.channels_last)
            found[index] = network.extract_features(batch).mean((2, 3)).cpu().numpy()
    return found


def _load(file: Path, architecture: Architecture, size: int) -> nn.Module:
    """Loads the network in evaluation mode; BadInput if the file holds no weights, or those of another network."""
    from efficientnet_lite_pytorch import EfficientNet

    with torch.random.fork_rng(devices=[]):  # Building draws weights, which the file's weights then replace.
        network = EfficientNet.from_name(architecture, image_size=size)
    try:
        network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, EOFError, LookupError, TypeError, ValueError, pickle.UnpicklingError) as error:
        first = str(error).strip().splitlines()[0]
        raise BadInput(f"cannot load the weights of {architecture} from '{file.name}': {first}") from error
    return network.eval()


def _weights(path: str) -> Path:
    """Returns the file of weights at that path, or the only one in that folder."""
    place = locate(path)
    files = sorted(place.glob("*.pth")) if place.is_dir() else [place]
    if len(files) != 1 or not files[0].is_file():
        there = f"holds {len(files)} .pth files" if place.is_dir() else "is no file"
        raise BadInput(f"no weights '{path}': it {there}; name a file, or a folder that holds one .pth")
    return files[0]
