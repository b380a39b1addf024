"""Decodes a column of images once into uint8 pixels (n, size, size, channels), kept as a memory map."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import datasets
import numpy as np
from numpy.lib.format import open_memmap
from PIL import Image, ImageOps, UnidentifiedImageError

from harness.data import Rows, View
from harness.errors import BadInput
from harness.notices import notice
from harness.storage.files import partial_file
from harness.storage.locks import lock

Color = Literal["grey", "rgb"]
CHANNELS = {"grey": 1, "rgb": 3}
MODES = {"grey": "L", "rgb": "RGB"}
BATCH = 256
IN_MEMORY = 256 * 2**20
"""Bytes up to which pixels are read into memory; larger arrays stay in the file and are read row by row."""
VERSION = 2
"""Raise it if the same image would give other pixels: old cache entries are then no longer used."""
_AS_THEY_ARE = ("1", "L", "P", "RGB", "RGBA")
_SHORT_GREYS = {"L;2": 85, "L;4": 17}
"""By what Pillow multiplies the greys of a PNG of 2 or 4 bits, but not the grey that is transparent."""
_SIXTEEN_BITS, _UNSIGNED = 2.0**16 - 1, 2.0**32 - 1
_BITS, _SAMPLE, _SIGNED = 258, 339, 2
"""Tags of a TIFF: bits of a sample, and its type, of which one value says signed."""


def pixels(image: Image.Image, size: int, color: Color) -> np.ndarray:
    """Returns the image as a viewer shows it, resized with antialiasing: uint8 (size, size, channels).

    It is turned upright, laid on white if transparent, and stretched to a square; of several frames or pages it is the
    first. Greys of 16 bits keep their eight high bits; for other deep greys see `_white`. Embedded colour profiles are
    not applied.
    """
    clear, white = _clear_value(image), _white(image)
    upright = ImageOps.exif_transpose(image)
    if white:
        upright = _shallow(upright, white, clear)
    elif clear is not None:
        upright.info["transparency"] = clear
    if upright.mode == "La":
        upright = upright.convert("LA")
    if upright.has_transparency_data:
        over = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    if upright.mode not in _AS_THEY_ARE:
        upright = upright.convert("RGB")
    flat = upright.convert(MODES[color]).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(flat, dtype=np.uint8).reshape(size, size, CHANNELS[color])


def _clear_value(image: Image.Image) -> Any:
    """Returns the value or values that are transparent, in the units of the loaded pixels; None if there are none.

    Must be called before the image is loaded, which forgets how the file holds its pixels.
    """
    value, tiles = image.info.get("transparency"), getattr(image, "tile", None)
    held = str(tiles[0][3]) if tiles else ""
    if isinstance(value, int):
        return value * _SHORT_GREYS.get(held, 1)
    return tuple(one >> 8 for one in value) if held == "RGB;16B" and value is not None else value


def _white(image: Image.Image) -> float:
    """Returns the value of white of a grey image of more than 8 bits; 0 for all other images.

    That of 16 bits is in the format. Whole numbers of 32 bits and floats have none on which programs agree: it is the
    smallest of 1 (floats only), 255 and 65535 that no pixel exceeds, else the largest of the type or of the image.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PPM", "PNG")):
        return _SIXTEEN_BITS
    if image.mode not in ("I", "F"):
        return 0.0
    if image.mode == "I" and getattr(image, "tag_v2", {}).get(_BITS, (32,))[0] == 16:
        return 2.0**15 - 1
    largest = float(np.nan_to_num(_values(image), posinf=0).max(initial=0))
    usual = [white for white in (*((1.0,) if image.mode == "F" else ()), 255.0, _SIXTEEN_BITS) if largest <= white]
    if usual or image.mode == "F":
        return [*usual, largest][0]
    return _UNSIGNED if _is_unsigned(image) else 2.0**31 - 1


def _is_unsigned(image: Image.Image) -> bool:
    """Returns whether whole numbers of 32 bits are unsigned, which Pillow reads as if they were signed."""
    tags = getattr(image, "tag_v2", None)
    return image.mode == "I" and tags is not None and tags.get(_SAMPLE, (1,))[0] != _SIGNED


def _values(image: Image.Image) -> np.ndarray:
    values = np.asarray(image)
    return (values.astype(np.uint32) if _is_unsigned(image) else values).astype(np.float64)


def _shallow(image: Image.Image, white: float, clear: Any) -> Image.Image:
    """Returns a deep grey image in 8 bits, with an alpha channel if one of its values is transparent."""
    values = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=white)
    if white == _UNSIGNED:
        values = values % 2**32
    eight = np.floor(values / 256) if white == _SIXTEEN_BITS else np.rint(values * (255 / white))
    grey = Image.fromarray(eight.clip(0, 255).astype(np.uint8))
    if clear is not None:
        grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey


def read_encoded(data: datasets.Dataset, column: str, root: Path) -> Iterator[list[tuple[str, bytes | None]]]:
    """Yields batches of (name, file content); the content is None if there is no such file or cell.

    A relative path in a cell is taken from `root`.
    """
    raw = data.select_columns([column]).cast_column(column, datasets.Image(decode=False))
    for batch in raw.iter(BATCH):
        yield [_content(cell, root) for cell in batch[column]]


def _content(cell: dict[str, Any] | None, root: Path) -> tuple[str, bytes | None]:
    cell = cell or {"path": None, "bytes": None}
    name = cell["path"] or ""
    if cell["bytes"] is not None or not name:
        return name, cell["bytes"]
    file = root / name
    return name, file.read_bytes() if file.is_file() else None


def check_images(data: datasets.Dataset, column: str) -> None:
    """Requires that the column holds encoded images or the names of their files."""
    kind = str(getattr(data.features[column], "dtype", "struct"))
    if kind not in ("PIL.Image.Image", "struct", "string", "large_string", "binary", "large_binary"):
        raise BadInput(f"column '{column}' holds {kind}, not images or names of image files: set task.input")


def content(data: datasets.Dataset, column: str, root: Path) -> str:
    """Returns the SHA-256 of the encoded images in order, whatever container they come in."""
    total = hashlib.sha256()
    with notice(f"reading {len(data)} images"):
        for batch in read_encoded(data, column, root):
            for _, raw in batch:
                total.update(hashlib.sha256(raw or b"").digest())
    return total.hexdigest()


def decode_images(
    data: datasets.Dataset, column: str, root: Path, size: int, color: Color, fingerprint: str, folder: Path
) -> Rows:
    """Returns all images of the column as uint8 (n, size, size, channels), from `folder` if decoded before.

    `fingerprint` is the content of the column. Broken images are counted by reason over the whole column, then refused.
    """
    if size < 1:
        raise BadInput(f"task.image_size is {size}: give the side of the square in pixels, such as 32")
    key = hashlib.sha256(f"{VERSION} {fingerprint} {size} {color}".encode()).hexdigest()[:32]
    file = folder / "images" / f"{key}.npy"
    file.parent.mkdir(parents=True, exist_ok=True)
    shape = (len(data), size, size, CHANNELS[color])
    with lock(Path(f"{file}.lock"), "decodes the same images"):
        if not _whole(file, shape):
            _written(file, lambda target: _decode(data, column, root, size, color, target, shape))
    return _opened(file)


def _opened(file: Path) -> Rows:
    if file.stat().st_size <= IN_MEMORY:
        return np.load(file, allow_pickle=False)
    base = np.load(file, mmap_mode="r", allow_pickle=False)
    return View(base, np.arange(len(base)))


def _whole(file: Path, shape: tuple[int, ...]) -> bool:
    """Returns whether the file exists, is readable and holds pixels of that shape; a truncated file does not."""
    try:
        found = np.load(file, mmap_mode="r", allow_pickle=False)
        return bool(found.shape == shape and found.dtype == np.uint8)
    except (OSError, ValueError, EOFError):
        return False


def _written(file: Path, write: Callable[[str], None]) -> None:
    """Calls `write` with a temporary name and gives the file its own when it is complete."""
    with partial_file(file) as part:
        write(str(part))


def _decode(
    data: datasets.Dataset, column: str, root: Path, size: int, color: Color, target: str, shape: tuple[int, ...]
) -> None:
    """Fills the file `target` batch by batch, so that memory holds one batch only."""
    out = open_memmap(target, mode="w+", dtype=np.uint8, shape=shape)
    broken: list[tuple[str, str]] = []
    with ThreadPoolExecutor() as pool, warnings.catch_warnings(), notice(f"decoding {len(data)} images") as tell:
        warnings.simplefilter("ignore")  # Pillow warns of damaged notes of a camera and of large pictures
        batches = read_encoded(data, column, root)
        for start, batch in zip(range(0, len(data), BATCH), batches, strict=True):
            tell(f"{start} done")
            for i, image in enumerate(pool.map(lambda item: _pixels_or_reason(item[1], size, color), batch)):
                if isinstance(image, str):
                    broken.append((image, f"'{batch[i][0]}' (row {start + i})"))
                else:
                    out[start + i] = image
    if broken:
        reasons = Counter(reason for reason, _ in broken)
        told = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        raise BadInput(
            f"{len(broken)} of {len(data)} images in column '{column}' are missing or broken ({told}), the first is "
            f"{broken[0][1]}: repair them or remove their rows"
        )
    out.flush()


def _pixels_or_reason(raw: bytes | None, size: int, color: Color) -> np.ndarray | str:
    """Returns the pixels, or why there are none."""
    if not raw:
        return "missing" if raw is None else "empty"
    try:
        with Image.open(io.BytesIO(raw)) as image:
            return pixels(image, size, color) if min(image.size) else "without pixels"
    except Image.DecompressionBombError:
        return "too large to be decoded safely"
    except UnidentifiedImageError:
        return "of no known format"
    except Exception:  # noqa: BLE001 - a decoder may raise anything on damaged bytes
        return "cut off or damaged"
