"""Applies the operations that AutoAugment-like policies choose from, each at its image's strength.

kornia provides the operations; which image gets which, and how strongly, is drawn here, because kornia's own policies
draw one operation for a whole batch where the papers draw one per image. Moved images repeat their border pixels, so no
frame appears around images whose background is not black; the papers fill with black or grey.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "b c h w"]
Strength = Float[Tensor, " b"]
Operation = Callable[[Images, Strength], Images]
OperationRanges = Mapping[str, tuple[float, float]]
"""Strength at level 0 and at level 1 by operation, in the operation's unit (see `OPERATIONS`)."""

HALF_A_LEVEL = 0.5 / 255
"""Half of the step between two eight-bit pixel values: smaller differences are rounding and must not be enlarged."""


def apply(x: Images, names: np.ndarray, strength: np.ndarray) -> Images:
    """Applies to each image the operation of its name at its strength; an empty name leaves the image unchanged."""
    new = x.clone()
    for name in sorted(set(names.tolist()) - {""}):
        rows = np.flatnonzero(names == name)
        at = torch.from_numpy(rows).to(x.device)
        new[at] = OPERATIONS[name](x[at], as_tensor(strength[rows], x)).clamp(0, 1)
    return new


def strengths(space: OperationRanges, names: np.ndarray, level: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns the strength (b,) of each image's operation at its level in [0, 1]; signed ones change sign at random."""
    low, high = np.array([space.get(name, NOTHING) for name in names.tolist()]).T
    sign = np.where(rng.random(len(level)) < 0.5, -1, 1)
    return (low + (high - low) * level) * np.where(np.isin(names, SIGNED), sign, 1)


def as_tensor(values: np.ndarray, x: Tensor) -> Tensor:
    """Puts numbers on the batch's device, in its precision."""
    return torch.from_numpy(np.asarray(values)).to(x.device, x.dtype)


def warp(x: Images, linear: Float[Tensor, "b 2 2"], offset: Float[Tensor, "b 2"]) -> Images:
    """Maps each image linearly in (x, y) about its centre, then moves it by `offset` pixels; bilinear."""
    from kornia.geometry.transform import warp_affine

    height, width = x.shape[2:]
    centre = torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=x.dtype, device=x.device)
    matrix = torch.cat([linear, (centre + offset - linear @ centre)[:, :, None]], 2)
    return warp_affine(x, matrix, (height, width), padding_mode="border", align_corners=True)


def linear_map(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Float[Tensor, "b 2 2"]:
    """Stacks the matrices [[a, b], [c, d]]."""
    return torch.stack([a, b, c, d], 1).view(-1, 2, 2)


def rotate(x: Images, degrees: Strength) -> Images:
    """Rotates about the centre."""
    cosine, sine = torch.cos(torch.deg2rad(degrees)), torch.sin(torch.deg2rad(degrees))
    return warp(x, linear_map(cosine, -sine, sine, cosine), torch.zeros_like(degrees)[:, None].expand(-1, 2))


def shear_x(x: Images, slope: Strength) -> Images:
    """Slides rows along themselves by `slope` times their distance from the centre."""
    one, zero = torch.ones_like(slope), torch.zeros_like(slope)
    return warp(x, linear_map(one, slope, zero, one), zero[:, None].expand(-1, 2))


def translate_x(x: Images, share: Strength) -> Images:
    """Moves sideways by a share of the width."""
    one, zero = torch.ones_like(share), torch.zeros_like(share)
    return warp(x, linear_map(one, zero, zero, one), torch.stack([share * x.shape[3], zero], 1))


def shear_y(x: Images, slope: Strength) -> Images:
    """Slides columns along themselves by `slope` times their distance from the centre."""
    return shear_x(x.transpose(2, 3), slope).transpose(2, 3)


def translate_y(x: Images, share: Strength) -> Images:
    """Moves up or down by a share of the height."""
    return translate_x(x.transpose(2, 3), share).transpose(2, 3)


def brightness(x: Images, more: Strength) -> Images:
    """Multiplies by 1 + more."""
    from kornia.enhance import adjust_brightness_accumulative

    return adjust_brightness_accumulative(x, 1 + more)


def contrast(x: Images, more: Strength) -> Images:
    """Scales the distance from the image's mean grey by 1 + more."""
    from kornia.enhance import adjust_contrast_with_mean_subtraction

    return adjust_contrast_with_mean_subtraction(x, 1 + more)


def color(x: Images, more: Strength) -> Images:
    """Scales the distance from each pixel's grey by 1 + more; images of one channel stay unchanged."""
    from kornia.enhance import adjust_saturation_with_gray_subtraction

    return adjust_saturation_with_gray_subtraction(x, 1 + more) if x.shape[1] == 3 else x


def sharpness(x: Images, more: Strength) -> Images:
    """Scales the distance from the smoothed image by 1 + more; the border stays."""
    from kornia.enhance import sharpness as sharpened

    return sharpened(x, 1 + more)


def posterize(x: Images, bits: Strength) -> Images:
    """Keeps the highest of each pixel's eight bits; a fraction counts as a whole bit, as in the published code."""
    from kornia.enhance import posterize as posterized

    return posterized(x, torch.ceil(bits - 1e-3).int())


def solarize(x: Images, threshold: Strength) -> Images:
    """Inverts pixels from the threshold on; above 1, none."""
    return torch.where(x < threshold[:, None, None, None], x, 1 - x)


def invert(x: Images, _: Strength) -> Images:
    """Returns the negative."""
    return 1 - x


def auto_contrast(x: Images, _: Strength) -> Images:
    """Stretches each channel from black to white; a channel with a single value (at eight bits) stays unchanged."""
    low, spread = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True) - x.amin((2, 3), keepdim=True)
    return torch.where(spread > HALF_A_LEVEL, (x - low) / spread.clamp(min=HALF_A_LEVEL), x)


def equalize(x: Images, _: Strength) -> Images:
    """Equalises each channel's histogram; images of fewer than 255 pixels stay unchanged, as in PIL."""
    from kornia.enhance import equalize as equalized

    return equalized(x)


OPERATIONS: Mapping[str, Operation] = {
    "auto_contrast": auto_contrast, "brightness": brightness, "color": color, "contrast": contrast,
    "equalize": equalize, "identity": lambda x, _: x, "invert": invert, "posterize": posterize, "rotate": rotate,
    "sharpness": sharpness, "shear_x": shear_x, "shear_y": shear_y, "solarize": solarize,
    "translate_x": translate_x, "translate_y": translate_y,
}  # fmt: skip
SIGNED = (
    "brightness", "color", "contrast", "rotate", "sharpness", "shear_x", "shear_y", "translate_x", "translate_y",
)  # fmt: skip
NOTHING = (0.0, 0.0)
"""Strength of an operation without a strength."""
_WITHOUT: OperationRanges = dict.fromkeys(("auto_contrast", "equalize"), NOTHING)
_TONES: OperationRanges = {"solarize": (256 / 255, 0.0), **_WITHOUT}

STANDARD: OperationRanges = {
    "identity": NOTHING, **_TONES, "posterize": (8, 4), "rotate": (0, 30),
    **dict.fromkeys(("shear_x", "shear_y"), (0, 0.3)), **dict.fromkeys(("translate_x", "translate_y"), (0, 150 / 331)),
    **dict.fromkeys(("brightness", "color", "contrast", "sharpness"), (0, 0.9)),
}  # fmt: skip
"""The fourteen operations of RandAugment (Cubuk et al. 2020) in the ranges of AutoAugment's table 6.

Enhancements go from 0 to 0.9 in either direction, as in torchvision, so that more magnitude always means more change;
the first published code ran from 0.1 to 1.9 and so changed least at half of its magnitude.
"""
WIDE: OperationRanges = {
    **STANDARD, "posterize": (8, 2), "rotate": (0, 135), **dict.fromkeys(("shear_x", "shear_y"), (0, 0.99)),
    **dict.fromkeys(("translate_x", "translate_y"), (0, 1.0)),
    **dict.fromkeys(("brightness", "color", "contrast", "sharpness"), (0, 0.99)),
}  # fmt: skip
"""TrivialAugment's wide ranges (Müller & Hutter 2021, table 7), whose 32 pixels are the side of a CIFAR image."""
AUGMIX: OperationRanges = {
    **_TONES, "posterize": (4, 0), "rotate": (0, 30), **dict.fromkeys(("shear_x", "shear_y"), (0, 0.3)),
    **dict.fromkeys(("translate_x", "translate_y"), (0, 1 / 3)),
}  # fmt: skip
"""AugMix's nine operations, without the corruptions on which its paper tests."""
SPACES: Mapping[str, OperationRanges] = {"standard": STANDARD, "wide": WIDE}
