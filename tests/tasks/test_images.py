"""Pictures of every mode that Pillow reads are what a viewer shows, computed here from the formulas of the formats."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from datasets import Image as ImageFeature
from PIL import Image

from harness.errors import BadInput
from harness.tasks import images

SIDE = 4
GREYS = np.linspace(0, 255, SIDE * SIDE).round().astype(np.uint8).reshape(SIDE, SIDE)
COLOURS = np.stack([GREYS, GREYS[::-1], GREYS.T], axis=2)
ALPHA = np.tile(np.array([0, 100, 255, 255], dtype=np.uint8), (SIDE, 1))


def shown(image: Image.Image, color: images.Color = "rgb") -> np.ndarray:
    """The pixels at the picture's own size, so that nothing is resampled."""
    found = images.pixels(image, SIDE, color).astype(int)
    return found if color == "rgb" else found[:, :, 0]


def saved(image: Image.Image, kind: str, **how: Any) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return Image.open(io.BytesIO(buffer.getvalue()))


def as_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(np.asarray(grey, dtype=int)[:, :, None], 3, axis=2)


def luma(rgb: np.ndarray) -> np.ndarray:
    return rgb @ np.array([0.299, 0.587, 0.114])


def over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[:, :, None] / 255
    return rgb * share + 255 * (1 - share)


def image_of(values: np.ndarray, mode: str) -> Image.Image:
    """A picture of any mode from its raw samples."""
    signed = np.array([0, 128, 128], dtype=np.uint8)  # a file holds a and b as signed bytes
    raw = np.ascontiguousarray(values ^ signed if mode == "LAB" else values)
    return Image.frombytes(mode, (raw.shape[1], raw.shape[0]), raw.tobytes())


def hsv_to_rgb(hsv: np.ndarray) -> np.ndarray:
    """By the sectors of the hue (Smith 1978)."""
    h, s, v = (hsv[..., i] / 255 for i in range(3))
    sector, part = np.floor(6 * h).astype(int) % 6, 6 * h - np.floor(6 * h)
    p, q, t = v * (1 - s), v * (1 - s * part), v * (1 - s * (1 - part))
    choices = [(v, t, p), (q, v, p), (p, v, t), (p, q, v), (t, p, v), (v, p, q)]
    return 255 * np.stack([np.choose(sector, [choice[i] for choice in choices]) for i in range(3)], axis=-1)


def ycc_to_rgb(ycc: np.ndarray) -> np.ndarray:
    """JFIF 1.02."""
    y, blue, red = ycc[..., 0].astype(float), ycc[..., 1] - 128.0, ycc[..., 2] - 128.0
    return np.stack([y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], axis=-1)


def lab_to_rgb(lab: np.ndarray) -> np.ndarray:
    """CIE 1976 under D50, to linear sRGB by Bradford's adaptation, to sRGB (IEC 61966-2-1)."""
    light, a, b = lab[..., 0] / 2.55, lab[..., 1] - 128.0, lab[..., 2] - 128.0
    fy = (light + 16) / 116
    f = np.stack([fy + a / 500, fy, fy - b / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * np.array([0.9642, 1.0, 0.8249])
    matrix = [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
    linear = np.clip(xyz @ np.array(matrix).T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def png(width: int, depth: int, colour: int, lines: list[bytes], **chunks: bytes) -> Image.Image:
    """A PNG made by hand, since Pillow writes no greys of 2 bits and no colours of 16."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, len(lines), depth, colour, 0, 0, 0)
    before = b"".join(chunk(name.encode(), content) for name, content in chunks.items())
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + line for line in lines)))
    whole = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + body + chunk(b"IEND", b"")
    return Image.open(io.BytesIO(whole))


def test_greys_and_black_and_white() -> None:
    assert np.array_equal(shown(image_of(GREYS, "L"), "grey"), GREYS)
    assert np.array_equal(shown(image_of(GREYS, "L")), as_rgb(GREYS))
    bits = Image.fromarray(GREYS > 100)
    assert bits.mode == "1"
    assert np.array_equal(shown(saved(bits, "PNG"), "grey"), 255 * (GREYS > 100))


def test_colours() -> None:
    assert np.array_equal(shown(image_of(COLOURS, "RGB")), COLOURS)
    assert np.abs(shown(image_of(COLOURS, "RGB"), "grey") - luma(COLOURS)).max() <= 1
    spare = np.concatenate([COLOURS, ALPHA[:, :, None]], axis=2)
    assert np.array_equal(shown(image_of(spare, "RGBX")), COLOURS), "the fourth byte means nothing"


@pytest.mark.parametrize("color", ["rgb", "grey"])
def test_what_is_transparent_lies_on_white(color: images.Color) -> None:
    def right(rgb: np.ndarray) -> np.ndarray:
        flat = over_white(rgb, ALPHA)
        return flat if color == "rgb" else luma(flat)

    cases = {
        "LA": (np.dstack([GREYS, ALPHA]), as_rgb(GREYS)),
        "RGBA": (np.dstack([COLOURS, ALPHA]), COLOURS),
        "La": (np.dstack([(GREYS * (ALPHA / 255)).round().astype(np.uint8), ALPHA]), as_rgb(GREYS)),
        "RGBa": (np.dstack([(COLOURS * (ALPHA[:, :, None] / 255)).round().astype(np.uint8), ALPHA]), COLOURS),
    }
    for mode, (values, rgb) in cases.items():
        assert np.abs(shown(image_of(values, mode), color) - right(rgb)).max() <= 3, mode
    file = saved(image_of(np.dstack([GREYS, ALPHA]), "LA"), "PNG")
    assert np.abs(shown(file, color) - right(as_rgb(GREYS))).max() <= 1


def test_palettes_with_and_without_transparency() -> None:
    numbers = np.arange(16, dtype=np.uint8).reshape(SIDE, SIDE)
    picture = image_of(numbers, "P")
    palette = np.random.default_rng(0).integers(0, 256, size=(16, 3))
    picture.putpalette(palette.astype(np.uint8).tobytes())
    assert np.array_equal(shown(saved(picture, "PNG")), palette[numbers])
    one = saved(picture, "PNG", transparency=3)
    assert np.array_equal(shown(one), np.where(numbers[:, :, None] == 3, 255, palette[numbers]))
    several = bytes(range(0, 240, 15))
    many = saved(picture, "PNG", transparency=several)
    right = over_white(palette[numbers], np.array(list(several))[numbers])
    assert np.abs(shown(many) - right).max() <= 1
    with_alpha = Image.merge("PA", [image_of(numbers, "L"), Image.fromarray(ALPHA)])
    with_alpha.putpalette(palette.astype(np.uint8).tobytes())
    assert np.abs(shown(with_alpha) - over_white(palette[numbers], ALPHA)).max() <= 1
    framed = saved(picture, "GIF", background=5)
    assert np.array_equal(shown(framed), palette[numbers]), "a background colour is not part of the picture"


@pytest.mark.parametrize(("depth", "scale"), [(1, 255), (2, 85), (4, 17)])
def test_short_greys_with_a_transparent_one(depth: int, scale: int) -> None:
    values = (np.arange(16).reshape(SIDE, SIDE) * 3) % 2**depth
    bits = [b"".join(f"{value:0{depth}b}".encode() for value in row) for row in values]
    lines = [int(row.ljust(-(-len(row) // 8) * 8, b"0"), 2).to_bytes(-(-len(row) // 8), "big") for row in bits]
    assert np.array_equal(shown(png(SIDE, depth, 0, lines), "grey"), values * scale)
    clear = png(SIDE, depth, 0, lines, tRNS=struct.pack(">H", 1))
    assert np.array_equal(shown(clear, "grey"), np.where(values == 1, 255, values * scale))


def test_sixteen_bits_keep_the_eight_high_ones() -> None:
    deep = (np.arange(16) * 4369).astype(np.uint16).reshape(SIDE, SIDE)
    for kind in ("PNG", "TIFF", "PPM"):
        assert np.array_equal(shown(saved(Image.fromarray(deep), kind), "grey"), deep >> 8), kind
    assert np.array_equal(shown(image_of(deep.astype(">u2"), "I;16B"), "grey"), deep >> 8)
    assert np.array_equal(shown(image_of(deep.astype("<u2"), "I;16L"), "grey"), deep >> 8)
    clear = saved(Image.fromarray(deep), "PNG", transparency=4369)
    assert np.array_equal(shown(clear, "grey"), np.where(deep == 4369, 255, deep >> 8))
    dark = (deep >> 8).astype(np.uint16)
    assert (shown(saved(Image.fromarray(dark), "PNG"), "grey") == 0).all(), "white is 65535, however dark the picture"
    assert (shown(saved(Image.fromarray(dark), "PPM"), "grey") == 0).all()


def test_sixteen_bits_a_colour() -> None:
    deep = np.random.default_rng(1).integers(0, 2**16, size=(SIDE, SIDE, 3))
    lines = [row.astype(">u2").tobytes() for row in deep]
    assert np.array_equal(shown(png(SIDE, 16, 2, lines)), deep >> 8)
    clear = png(SIDE, 16, 2, lines, tRNS=deep[1, 2].astype(">u2").tobytes())
    right = deep >> 8
    right[1, 2] = 255
    assert np.array_equal(shown(clear), right)


def test_whole_numbers_and_floats_of_32_bits_have_the_smallest_usual_white() -> None:
    for white in (255, 65535):
        values = (GREYS / 255 * white).round().astype(np.int32)
        assert np.abs(shown(saved(Image.fromarray(values), "TIFF"), "grey") - values * 255 / white).max() <= 1
    wide = (GREYS / 255 * (2**31 - 1)).astype(np.int32)
    assert np.abs(shown(saved(Image.fromarray(wide), "TIFF"), "grey") - GREYS.astype(int)).max() <= 1
    for white in (1.0, 255.0, 65535.0, 1e9):
        floats = (GREYS / 255 * white).astype(np.float32)
        assert np.abs(shown(saved(Image.fromarray(floats), "TIFF"), "grey") - GREYS.astype(int)).max() <= 1, white
    odd = np.where(GREYS == 0, np.nan, np.where(GREYS == 255, np.inf, -1)).astype(np.float32)
    assert set(shown(Image.fromarray(odd), "grey").ravel().tolist()) == {0, 255}


def test_unsigned_whole_numbers_of_a_tiff() -> None:
    values = (GREYS / 255 * (2**32 - 1)).astype(np.uint32)
    raw = values.astype("<u4").tobytes()
    tags = [(256, 3, SIDE), (257, 3, SIDE), (258, 3, 32), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1),
            (278, 3, SIDE), (279, 4, len(raw)), (339, 3, 1)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    file = b"II*\0" + struct.pack("<I", 8 + len(raw)) + raw + struct.pack("<H", len(tags)) + entries + b"\0" * 4
    assert np.abs(shown(Image.open(io.BytesIO(file)), "grey") - GREYS.astype(int)).max() <= 1


def test_inks() -> None:
    inks = np.dstack([COLOURS, GREYS.T[::-1]])
    share = inks / 255
    right = 255 * (1 - share[:, :, :3]) * (1 - share[:, :, 3:])
    assert np.abs(shown(image_of(inks, "CMYK")) - right).max() <= 1
    flat = np.broadcast_to(np.array([10, 200, 30, 40], dtype=np.uint8), (SIDE, SIDE, 4))
    photo = saved(image_of(flat, "CMYK"), "JPEG", quality=100, subsampling=0)
    assert "adobe" in photo.info, "whose inks are stored inverted"
    paper = 255 * (1 - flat[0, 0, :3] / 255) * (1 - 40 / 255)
    assert np.abs(shown(photo) - paper).max() <= 2
    assert np.abs(shown(image_of(inks, "CMYK"), "grey") - luma(right)).max() <= 2


@pytest.mark.parametrize(
    ("mode", "formula", "off"), [("HSV", hsv_to_rgb, 2), ("YCbCr", ycc_to_rgb, 2), ("LAB", lab_to_rgb, 4)]
)
@pytest.mark.parametrize("color", ["rgb", "grey"])
def test_other_colour_spaces(mode: str, formula: Any, off: int, color: images.Color) -> None:
    values = 112 + COLOURS // 8 if mode == "LAB" else COLOURS
    right = np.clip(formula(values), 0, 255)
    right = right if color == "rgb" else luma(right)
    assert np.abs(shown(image_of(values.astype(np.uint8), mode), color) - right).max() <= off


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(2, np.fliplr), (3, lambda x: np.rot90(x, 2)), (4, np.flipud), (5, np.transpose), (6, lambda x: np.rot90(x, -1)),
     (7, lambda x: np.rot90(x, 2).T), (8, np.rot90)],
)  # fmt: skip
def test_pictures_are_turned_upright_once(kind: str, orientation: int, upright: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    large = np.kron(GREYS, np.ones((8, 8), dtype=np.uint8))
    how: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
    file = saved(Image.fromarray(large).convert("RGB"), kind, exif=exif, **how)
    found = images.pixels(file, 32, "grey")[4::8, 4::8, 0].astype(int)
    assert np.abs(found - upright(GREYS).astype(int)).max() <= 3


@pytest.mark.parametrize(
    ("kind", "how"), [("GIF", {}), ("PNG", {"default_image": False}), ("TIFF", {}), ("WEBP", {"lossless": True})]
)
def test_the_first_frame_or_page_counts(kind: str, how: dict[str, Any]) -> None:
    first, second = image_of(GREYS, "L"), image_of(255 - GREYS, "L")
    file = saved(first, kind, save_all=True, append_images=[second], **how)
    assert getattr(file, "n_frames", 1) == 2
    assert np.abs(shown(file, "grey") - GREYS.astype(int)).max() <= 1


def test_pictures_that_cannot_be_read_are_counted_by_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(whole, "PNG")
    large = io.BytesIO()
    Image.new("1", (300, 300)).save(large, "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    cells = [whole.getvalue(), whole.getvalue()[:500], b"", b"no picture", large.getvalue(), b"P6\n0 0\n255\n", None]
    rows = [{"path": f"{place}.png", "bytes": raw} for place, raw in enumerate(cells)]
    data = Dataset.from_dict({"image": rows}).cast_column("image", ImageFeature(decode=False))
    with pytest.raises(BadInput) as told:
        images.decode_images(data, "image", tmp_path, 8, "rgb", "x", tmp_path)
    assert str(told.value) == (
        "6 of 7 images in column 'image' are missing or broken (2 of no known format, 1 cut off or damaged, 1 empty, "
        "1 too large to be decoded safely, 1 missing), the first is '1.png' (row 1): repair them or remove their rows"
    )


def test_a_large_picture_that_can_be_read_is_read_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = io.BytesIO()
    Image.new("1", (120, 120), 1).save(large, "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    data = Dataset.from_dict({"image": [{"path": "a.png", "bytes": large.getvalue()}]})
    data = data.cast_column("image", ImageFeature(decode=False))
    found = images.decode_images(data, "image", tmp_path, 8, "grey", "x", tmp_path)
    assert (np.asarray(found) == 255).all()
