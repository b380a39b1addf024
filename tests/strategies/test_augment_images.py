"""Operations on images by hand, the policies that choose among them, and what is cut, pasted, moved or recoloured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from conftest import train_set

from harness.conformance.small_sets import tools_with
from harness.data import Augment
from harness.errors import BadInput
from harness.strategies.augment import (
    affine,
    augmix,
    auto_augment,
    color_jitter,
    crop,
    cutmix,
    erase,
    noise,
    rand_augment,
    trivial_augment,
)
from harness.strategies.augment.operations import AUGMIX, OPERATIONS, STANDARD, WIDE, apply
from harness.strategies.augment.policies import POLICIES, _auto, _published
from harness.streams import stream

pytest.importorskip("kornia")


def batch_function(strategy: Any, **parameters: Any) -> Augment:
    rows = train_set(np.zeros((2, 8, 8, 1), dtype=np.uint8), [0, 1], 2)
    made = strategy(rows, tools_with(stream(0, "augment")), **parameters).augment
    assert made is not None
    return made


def changed(strategy: Any, x: torch.Tensor, **parameters: Any) -> torch.Tensor:
    new, _ = batch_function(strategy, **parameters)(x, torch.eye(2)[torch.arange(len(x)) % 2], stream(0, "a"))
    return new


def each(x: torch.Tensor, name: str, strength: float) -> torch.Tensor:
    return apply(x, np.full(len(x), name), np.full(len(x), strength))


def ramp(b: int, side: int, channels: int = 1) -> torch.Tensor:
    """From black on the left to white on the right."""
    return torch.linspace(0, 1, side).expand(b, channels, side, side).clone()


@pytest.mark.parametrize(
    ("name", "strength", "by_hand"),
    [
        ("brightness", 0.5, [0.3, 0.6, 1.0]),
        ("brightness", -1.0, [0.0, 0.0, 0.0]),
        ("contrast", 1.0, [0.0, 0.3, 1.0]),  # The mean is 0.5.
        ("contrast", -1.0, [0.5, 0.5, 0.5]),
        ("color", 0.9, [0.2, 0.4, 0.9]),
        ("posterize", 2.0, [0.0, 64 / 255, 192 / 255]),
        ("posterize", 8.0, [0.2, 0.4, 0.9]),
        ("posterize", 1.2, [0.0, 64 / 255, 192 / 255]),
        ("solarize", 0.4, [0.2, 0.6, 0.1]),
        ("solarize", 256 / 255, [0.2, 0.4, 0.9]),
        ("invert", 0.0, [0.8, 0.6, 0.1]),
        ("auto_contrast", 0.0, [0.0, 2 / 7, 1.0]),
        ("identity", 0.0, [0.2, 0.4, 0.9]),
    ],
)
def test_an_operation_on_three_greys(name: str, strength: float, by_hand: list[float]) -> None:
    x = torch.tensor([0.2, 0.4, 0.9]).view(1, 1, 1, 3)
    assert torch.allclose(each(x, name, strength).flatten(), torch.tensor(by_hand), atol=1e-6)


def test_color_draws_an_image_towards_its_grey_or_away() -> None:
    red = torch.tensor([0.5, 0.0, 0.0]).view(1, 3, 1, 1)
    assert torch.allclose(each(red, "color", -1.0), torch.tensor(0.299 * 0.5), atol=1e-6)
    assert torch.allclose(each(red, "color", 1.0).flatten(), torch.tensor([1 - 0.1495, 0.0, 0.0]), atol=1e-6)


def test_auto_contrast_works_by_channel_and_leaves_a_flat_one() -> None:
    x = torch.stack([torch.full((2, 2), 0.3), torch.tensor([[0.25, 0.5], [0.5, 0.75]])])[None]
    new = each(x, "auto_contrast", 0.0)[0]
    assert torch.equal(new[0], x[0, 0])
    assert torch.allclose(new[1], torch.tensor([[0.0, 0.5], [0.5, 1.0]]))


def test_auto_contrast_does_not_enlarge_what_rounding_left() -> None:
    """A flat image turned by bilinear weights is flat but for the last bits."""
    x = torch.full((1, 3, 8, 8), 0.5)
    assert torch.allclose(each(each(x, "rotate", 20.0), "auto_contrast", 0.0), x, atol=1e-5)


def test_equalize_levels_the_histogram_of_an_image_of_enough_pixels() -> None:
    x = ramp(1, 64) ** 4
    assert each(x, "equalize", 0.0).median() == pytest.approx(0.5, abs=0.06)
    assert x.median() < 0.1
    small = ramp(1, 8) ** 4
    assert torch.allclose(each(small, "equalize", 0.0), small)


def test_sharpness_spreads_or_narrows_a_dot() -> None:
    """A bright dot becomes 5/13 of itself with a ring of 1/13 where all of the sharpness is taken."""
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 0.5
    flat = each(x, "sharpness", -1.0)[0, 0]
    assert flat[2, 2] == pytest.approx(2.5 / 13, abs=1e-6)
    assert flat[1, 1] == pytest.approx(0.5 / 13, abs=1e-6)
    assert each(x, "sharpness", 0.5)[0, 0, 2, 2] == pytest.approx(0.5 + 0.5 * (0.5 - 2.5 / 13), abs=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_moves_by_hand(channels: int) -> None:
    x = torch.rand(2, channels, 8, 8, generator=torch.Generator().manual_seed(0))
    right = torch.cat([x[..., :1].expand(-1, -1, -1, 2), x[..., :-2]], 3)
    assert torch.allclose(each(x, "translate_x", 0.25), right, atol=1e-5)
    down = torch.cat([x[..., :1, :].expand(-1, -1, 2, -1), x[..., :-2, :]], 2)
    assert torch.allclose(each(x, "translate_y", 0.25), down, atol=1e-5)
    quarter = each(x, "rotate", 90.0)
    assert min(float((quarter - torch.rot90(x, turns, (2, 3))).abs().max()) for turns in (1, 3)) < 1e-4
    assert torch.allclose(each(quarter, "rotate", -90.0), x, atol=1e-4)
    odd = torch.rand(1, channels, 9, 9, generator=torch.Generator().manual_seed(0))
    slid = each(odd, "shear_x", 1.0)
    assert torch.allclose(slid[..., 4, :], odd[..., 4, :], atol=1e-5), "the middle row stays"
    assert torch.allclose(slid[..., 6, 2:], odd[..., 6, :-2], atol=1e-5), "two rows below, two pixels"
    assert torch.allclose(each(odd, "shear_y", 1.0), each(odd.mT, "shear_x", 1.0).mT, atol=1e-6)


def test_each_image_gets_its_own_operation_and_the_others_stay() -> None:
    x = ramp(3, 8)
    new = apply(x, np.array(["invert", "", "brightness"]), np.array([0.0, 0.0, -0.5]))
    assert torch.allclose(new[0], 1 - x[0])
    assert torch.equal(new[1], x[1])
    assert torch.allclose(new[2], x[2] / 2)


def test_magnitude_0_changes_nothing_that_has_a_strength() -> None:
    """An image of 8 x 8 from black to white is what auto_contrast and equalize make of it."""
    x = ramp(64, 8, 3)
    assert torch.allclose(changed(rand_augment, x, num_ops=3, magnitude=0.0), x, atol=1e-4)


def test_more_magnitude_and_more_operations_change_more() -> None:
    x = ramp(256, 16, 3)
    by_magnitude = [
        float((changed(rand_augment, x, num_ops=1, magnitude=m) - x).abs().mean()) for m in (3.0, 9.0, 30.0)
    ]
    assert by_magnitude == sorted(by_magnitude)
    by_number = [float((changed(rand_augment, x, num_ops=n, magnitude=9.0) - x).abs().mean()) for n in (1, 2, 4)]
    assert by_number == sorted(by_number)


@pytest.mark.parametrize(
    ("strategy", "parameters"),
    [
        (rand_augment, {"num_ops": 1, "magnitude": 15.0}),
        (trivial_augment, {"ranges": "wide"}),
        (auto_augment, {"policy": "svhn"}),
        (augmix, {"severity": 3.0, "width": 3, "depth": -1, "alpha": 1.0}),
    ],
)
def test_a_policy_draws_for_each_image_by_itself(strategy: Any, parameters: dict[str, Any]) -> None:
    """Equal images become different ones: kornia's own policies would do the same to all of a batch."""
    x = ramp(64, 16, 3)
    assert len({tuple(image.flatten().tolist()) for image in changed(strategy, x, **parameters)}) > 12


def test_the_spaces_are_those_of_the_papers() -> None:
    assert len(STANDARD) == len(WIDE) == 14
    assert len(AUGMIX) == 9
    assert not set(AUGMIX) & {"brightness", "contrast", "color", "sharpness"}
    assert set(STANDARD) | {"invert"} == set(OPERATIONS)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_published_policy_is_25_pairs_of_known_operations(policy: str) -> None:
    pairs = _published(policy)
    assert [len(pair) for pair in pairs] == [2] * 25
    assert {name for pair in pairs for name, _, _ in pair} <= set(OPERATIONS)
    assert all(0 <= p <= 1 and 0 <= (level or 0) <= 9 for pair in pairs for _, p, level in pair)
    first = {
        "cifar10": [("invert", 0.1, None), ("contrast", 0.2, 6)],
        "imagenet": [("posterize", 0.4, 8), ("rotate", 0.6, 9)],
        "svhn": [("shear_x", 0.9, 4), ("invert", 0.2, None)],
    }
    assert pairs[0] == first[policy], "as in the paper's appendix"


def test_a_pair_by_hand() -> None:
    """Inverted, then, at level 9 of 9, 0.9 brighter or darker."""
    x, y = torch.full((200, 1, 2, 2), 0.6), torch.zeros(200, 2)
    new, labels = _auto(x, y, stream(0, "a"), pairs=[[("invert", 1.0, None), ("brightness", 0.5, 9)]])
    found, counts = np.unique(new[:, 0, 0, 0].numpy().round(3), return_counts=True)
    assert found.tolist() == pytest.approx([0.04, 0.4, 0.76])
    assert counts[1] == pytest.approx(100, abs=30)
    assert counts[0] == pytest.approx(50, abs=25)
    assert labels is y


def test_augmix_of_flat_grey_by_hand() -> None:
    """Of nine operations only posterize changes a small flat grey, to 3 or 4 bits: chains hold one of two values."""
    x = torch.full((200, 1, 8, 8), 0.5)
    new = changed(augmix, x, severity=3.0, width=2, depth=2, alpha=1.0)
    values = new.flatten(1)
    assert torch.allclose(values, values[:, :1].expand_as(values), atol=1e-5), "a flat image stays flat"
    darkest = 96 / 255 if (values < 112 / 255 - 1e-6).any() else 112 / 255
    assert values.min() >= darkest - 1e-6
    assert values.max() <= 0.5 + 1e-6
    assert 0.2 < (values[:, 0] < 0.5 - 1e-4).float().mean() < 0.6, "1 - (8/9)^4 = 0.38 of the images have one"


def test_a_crop_is_a_part_at_full_size() -> None:
    """A quarter of the area is half of the ramp: it rises half as fast, from any place."""
    x = ramp(100, 17)
    assert torch.allclose(changed(crop, x, scale=[1.0, 1.0], ratio=[1.0, 1.0]), x, atol=1e-5)
    new = changed(crop, x, scale=[0.25, 0.25], ratio=[1.0, 1.0])
    rise = new[:, 0, 8, 9] - new[:, 0, 8, 8]
    assert torch.allclose(rise, torch.full((100,), 1 / 32), atol=1e-5)
    assert new[:, 0, 8, 8].min() < 0.3
    assert new[:, 0, 8, 8].max() > 0.7


def test_a_crop_of_another_shape_stretches() -> None:
    x = ramp(50, 17)
    wide = changed(crop, x, scale=[0.25, 0.25], ratio=[2.0, 2.0])
    assert torch.allclose(wide[:, 0, 8, 9] - wide[:, 0, 8, 8], torch.tensor(0.5 * 2**0.5 / 16), atol=1e-5)


def test_affine_by_hand() -> None:
    x = torch.rand(32, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    still = {"degrees": 0.0, "translate": 0.0, "scale": [1.0, 1.0], "shear": 0.0}
    assert torch.allclose(changed(affine, x, **still), x, atol=1e-5)
    twice = changed(affine, ramp(8, 9), **(still | {"scale": [2.0, 2.0]}))
    assert torch.allclose(twice[:, 0, 4, 5] - twice[:, 0, 4, 4], torch.tensor(1 / 16), atol=1e-5)
    moved = changed(affine, ramp(100, 9), **(still | {"translate": 1 / 9}))[:, 0, 4, 4]
    assert torch.allclose(moved, torch.tensor(0.5), atol=1 / 8 + 1e-5)
    assert moved.std() > 0.05
    turned = changed(affine, x, **(still | {"degrees": 90.0}))
    assert torch.allclose(turned[:, 0, 4, 4], x[:, 0, 4, 4], atol=1e-5), "the centre stays"


def test_color_jitter_on_colour_and_on_grey() -> None:
    still = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    x = torch.rand(64, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(changed(color_jitter, x, **still), x, atol=1e-4)
    grey = x[:, :1]
    assert torch.allclose(changed(color_jitter, grey, **(still | {"saturation": 1.0, "hue": 0.5})), grey)
    turned = changed(color_jitter, x, **(still | {"hue": 0.5}))
    assert torch.allclose(turned.amax(1), x.amax(1), atol=1e-4), "another hue of the same value"
    assert (turned - x).abs().max() > 0.1
    flat = torch.full((200, 1, 2, 2), 0.4)
    bright = changed(color_jitter, flat, **(still | {"brightness": 0.5}))[:, 0, 0, 0]
    assert bright.min() == pytest.approx(0.2, abs=0.02)
    assert bright.max() == pytest.approx(0.6, abs=0.02)


def test_random_erasing_fills_one_rectangle_of_the_area_that_was_asked() -> None:
    x = torch.full((200, 3, 20, 20), 2.0)
    new = changed(erase, x, p=0.5, scale=[0.25, 0.25], ratio=[0.25, 4.0])
    gone = (new != 2).all(1)
    assert torch.equal(gone, (new != 2).any(1))
    hit = gone.flatten(1).any(1)
    assert 0.4 < hit.float().mean() < 0.6
    tall, wide = gone.any(2).sum(1)[hit], gone.any(1).sum(1)[hit]
    assert torch.equal(gone.flatten(1).sum(1)[hit], tall * wide)
    assert torch.allclose((tall * wide) / 400, torch.tensor(0.25), atol=0.05)
    assert tall.max() > 2 * tall.min()
    assert new[:, 0][gone].std() == pytest.approx(12**-0.5, abs=0.02)


def test_noise_has_its_deviation() -> None:
    x = torch.full((8, 3, 32, 32), 0.5)
    assert (changed(noise, x, sigma=0.05) - x).std() == pytest.approx(0.05, rel=0.02)


def test_cutmix_labels_count_the_pasted_area() -> None:
    """Image i shows i everywhere, so the mean of a new image is what its label says of the two."""
    x, y = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 3, 10, 14), torch.eye(8)
    augment, rng = batch_function(cutmix, alpha=1.0), stream(0, "a")
    for _ in range(20):
        new, mixed = augment(x, y, rng)
        assert torch.allclose(new.mean((1, 2, 3)), mixed @ torch.arange(8.0), atol=1e-4)
        pasted = new[:, 0] != x[:, 0]
        tall, wide = pasted.any(2).sum(1), pasted.any(1).sum(1)
        assert torch.equal(pasted.flatten(1).sum(1), tall * wide), "a rectangle"
        assert torch.allclose(mixed.sum(1), torch.ones(8))


@pytest.mark.parametrize(
    ("strategy", "parameters", "message"),
    [
        (rand_augment, {"num_ops": 0, "magnitude": 9.0}, "num_ops=0 is out of range"),
        (rand_augment, {"num_ops": 2, "magnitude": 31.0}, "magnitude=31.0 is out of range"),
        (trivial_augment, {"ranges": "wild"}, "ranges=wild is not known.*did you mean 'wide'"),
        (auto_augment, {"policy": "cifar"}, "policy=cifar is not known.*did you mean 'cifar10'"),
        (augmix, {"severity": 11.0, "width": 3, "depth": -1, "alpha": 1.0}, "severity=11.0 is out of range"),
        (augmix, {"severity": 3.0, "width": 0, "depth": -1, "alpha": 1.0}, "width=0.*needs width >= 1"),
        (augmix, {"severity": 3.0, "width": 3, "depth": 0, "alpha": 1.0}, "depth=0.*depth -1 or >= 1"),
        (crop, {"scale": [0.9, 0.1], "ratio": [1.0, 1.0]}, r"scale=\[0.9, 0.1\] is out of range"),
        (crop, {"scale": [0.9], "ratio": [1.0, 1.0]}, r"scale=\[0.9\] is out of range.*smallest, largest"),
        (affine, {"degrees": 190.0, "translate": 0.0, "scale": [1.0, 1.0], "shear": 0.0}, "degrees=190.0"),
        (color_jitter, {"brightness": 2.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}, "brightness=2.0"),
        (erase, {"p": 2.0, "scale": [0.1, 0.2], "ratio": [1.0, 1.0]}, "p=2.0 is out of range"),
        (noise, {"sigma": -1.0}, "sigma=-1.0 is out of range"),
        (cutmix, {"alpha": 0.0}, "alpha=0.0 is out of range"),
    ],
)
def test_a_parameter_out_of_range_is_told(strategy: Any, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        batch_function(strategy, **parameters)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("strategy", "parameters"),
    [
        (rand_augment, {"num_ops": 2, "magnitude": 9.0}),
        (trivial_augment, {"ranges": "wide"}),
        (auto_augment, {"policy": "imagenet"}),
        (augmix, {"severity": 3.0, "width": 3, "depth": -1, "alpha": 1.0}),
        (crop, {"scale": [0.3, 1.0], "ratio": [0.75, 1.33]}),
        (affine, {"degrees": 30.0, "translate": 0.2, "scale": [0.8, 1.2], "shear": 10.0}),
        (color_jitter, {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}),
        (erase, {"p": 0.5, "scale": [0.02, 0.4], "ratio": [0.3, 3.3]}),
        (noise, {"sigma": 0.1}),
        (cutmix, {"alpha": 1.0}),
    ],
)
def test_a_batch_is_augmented_alike_on_any_device(strategy: Any, parameters: dict[str, Any], channels: int) -> None:
    """Pixels of eight bits, of which a threshold or a level of a histogram may tip one in a thousand."""
    augment, y = batch_function(strategy, **parameters), torch.eye(2)[torch.arange(64) % 2]
    x = torch.from_numpy(stream(0, "x").integers(0, 256, (64, channels, 32, 32))).float() / 255
    here, there = augment(x, y, stream(0, "a")), augment(x.cuda(), y.cuda(), stream(0, "a"))
    assert ((here[0] - there[0].cpu()).abs() > 1e-4).float().mean() < 1e-3
    assert torch.allclose(here[1], there[1].cpu(), atol=1e-6)
