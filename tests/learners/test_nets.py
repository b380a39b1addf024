"""Wide residual networks and vision transformers: their sizes in the papers, and images of any size."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from harness.errors import BadInput
from harness.learners.batches import reader
from harness.learners.torch import Builder, Network
from harness.learners.vit import vit
from harness.learners.wide_resnet import PreActivated, wide_resnet

CPU = torch.device("cpu")
WRN: Builder = partial(wide_resnet, depth=10, width=1, dropout=0.3)
VIT: Builder = partial(vit, patch=4, dim=32, depth=2, heads=4, mlp_ratio=2.0, dropout=0.1)
CIFAR = np.zeros((1, 32, 32, 3), dtype=np.uint8)


def size(network: Network) -> int:
    return sum(p.numel() for p in network.module.parameters())


@pytest.mark.parametrize("sides", [(8, 8), (9, 13), (28, 28), (33, 47)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("build", [WRN, VIT])
def test_any_size_from_8_pixels(build: Builder, sides: tuple[int, int], channels: int) -> None:
    rows = np.zeros((4, *sides, channels), dtype=np.uint8)
    network = build(rows, 5)
    assert network.module(network.encode(reader(rows, CPU)(np.arange(4)))).shape == (4, 5)


@pytest.mark.parametrize(
    ("depth", "width", "millions"),
    [(40, 1, 0.6), (16, 4, 2.7), (40, 4, 8.9), (16, 8, 11.0), (22, 8, 17.2), (28, 10, 36.5)],
)
def test_wide_residual_networks_have_the_sizes_of_the_paper(depth: int, width: int, millions: float) -> None:
    """Table 4 of Zagoruyko and Komodakis, 2016; they cut 2.75 down to 2.7."""
    with torch.device("meta"):  # Shapes alone: nothing is drawn, and nothing held.
        found = size(wide_resnet(CIFAR, 10, depth=depth, width=width, dropout=0.0)) / 1e6
    assert found == pytest.approx(millions, abs=0.06)


def test_vision_transformers_have_the_sizes_of_the_papers() -> None:
    large = np.zeros((1, 224, 224, 3), dtype=np.uint8)
    lite = partial(vit, CIFAR, 10, patch=4, dim=256, heads=4, mlp_ratio=2.0, dropout=0.0)
    with torch.device("meta"):
        base = vit(large, 1000, patch=16, dim=768, depth=12, heads=12, mlp_ratio=4.0, dropout=0.0)
        sizes = size(base), size(lite(depth=7)), size(lite(depth=6))
    assert sizes[0] == 86_567_656, "ViT-B/16: 86 million in Dosovitskiy et al., 2021, table 1"
    assert sizes[1] == 3_722_250, "ViT-Lite-7/4: 3.72 million in Hassani et al., 2021"
    assert sizes[2] == 3_195_146, "ViT-Lite-6/4: 3.19 million in Hassani et al., 2021"


def test_an_identity_shortcut_and_a_projected_one_by_hand() -> None:
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(len("x")))
    for block, expected in ((PreActivated(3, 3, 1, 0.0), x), (PreActivated(3, 6, 2, 0.0), None)):
        torch.nn.init.zeros_(block.second.weight)
        found = block.eval()(x)
        active = torch.relu(x / (1 + 1e-5) ** 0.5)
        assert torch.allclose(found, block.shortcut(active) if expected is None else expected, atol=1e-6)


def test_layers_of_a_transformer_begin_apart_and_the_place_of_a_patch_matters() -> None:
    network = VIT(np.zeros((1, 8, 8, 1), dtype=np.uint8), 3).module.eval()
    first, second = (layer.linear1.weight for layer in network if isinstance(layer, torch.nn.TransformerEncoderLayer))
    assert not torch.equal(first, second)
    x = torch.zeros(1, 1, 8, 8)
    x[0, 0, :4, :4] = 1
    with torch.no_grad():
        assert not torch.allclose(network(x), network(x.flip(3)), atol=1e-6)


def test_bfloat16_is_asked_for_where_it_was_measured_to_help() -> None:
    small = np.zeros((1, 8, 8, 1), dtype=np.uint8)
    assert [WRN(rows, 2).bf16 for rows in (small, CIFAR)] == [False, True]
    assert [VIT(rows, 2).bf16 for rows in (small, CIFAR)] == [True, True]


@pytest.mark.parametrize("change", [{"depth": 8}, {"depth": 4}, {"width": 0}])
def test_a_wide_residual_network_of_another_depth_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(BadInput, match=r"6n \+ 4 layers"):
        wide_resnet(CIFAR, 2, **{"depth": 10, "width": 1, "dropout": 0.0, **change})


@pytest.mark.parametrize("change", [{"heads": 5}, {"patch": 33}, {"patch": 0}, {"depth": 0}, {"heads": 0}])
def test_a_transformer_that_cannot_be_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(BadInput, match="a vision transformer divides dim among its heads"):
        vit(CIFAR, 2, **{"patch": 4, "dim": 32, "depth": 2, "heads": 4, "mlp_ratio": 2.0, "dropout": 0.0, **change})


@pytest.mark.parametrize("build", [WRN, VIT])
def test_rows_that_are_no_images_are_refused(build: Builder) -> None:
    with pytest.raises(BadInput, match="8 pixels a side"):
        build(np.zeros((1, 64), dtype=np.float32), 2)
