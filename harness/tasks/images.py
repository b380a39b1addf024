"""Decodes a column of images once into uint8 pixels (n, size, size, channels), kept as a memory map."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import datasets
import numpy as np
from filelock import FileLock
from numpy.lib.format import open_memmap
from PIL import Image, ImageOps
from rich.progress import track

from harness.data import Rows, View
from harness.errors import BadInput

Color = Literal["grey", "rgb"]
CHANNELS = {"grey": 1, "rgb": 3}
MODES = {"grey": "L", "rgb": "RGB"}
BATCH = 256
IN_MEMORY = 256 * 2**20
"""Bytes up to which pixels are read into memory; larger arrays stay in the file and are read row by row."""
VERSION = 1
"""Raise it if the same image would give other pixels: old cache entries are then no longer used."""


def pixels(image: Image.Image, size: int, color: Color) -> np.ndarray:
    """Returns the image upright, on white if transparent, resized with antialiasing: uint8 (size, size, channels).

    The picture is stretched to a square. 16-bit greys keep their eight high bits.
    """
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
    if upright.has_transparency_data:
        over = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    flat = upright.convert(MODES[color]).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(flat, dtype=np.uint8).reshape(size, size, CHANNELS[color])


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
    for batch in read_encoded(data, column, root):
        for _, raw in batch:
            total.update(hashlib.sha256(raw or b"").digest())
    return total.hexdigest()


def decode_images(
    data: datasets.Dataset, column: str, root: Path, size: int, color: Color, fingerprint: str, folder: Path
) -> Rows:
    """Returns all images of the column as uint8 (n, size, size, channels), from `folder` if decoded before.

    `fingerprint` is the content of the column. Broken images are counted over the whole column, then refused.
    """
    if size < 1:
        raise BadInput(f"task.image_size is {size}: give the side of the square in pixels, such as 32")
    key = hashlib.sha256(f"{VERSION} {fingerprint} {size} {color}".encode()).hexdigest()[:32]
    file = folder / "images" / f"{key}.npy"
    file.parent.mkdir(parents=True, exist_ok=True)
    shape = (len(data), size, size, CHANNELS[color])
    with FileLock(f"{file}.lock"):
        if not _whole(file, shape):
            _written(file, lambda target: _decode(data, column, root, size, color, target, shape))
    return _opened(file)


def _opened(file: Path) -> Rows:
    if file.stat().st_size <= IN_MEMORY:
        return np.load(file, allow_pickle=False)
    base = np.load(file, mmap_mode="r", allow_pickle=False)
    return View(base, np.arange(len(base)))


def _whole(file: Path, shape: tuple[int, ...]) -> bool:
    """Returns whether the file exists, is readable and has that shape; a truncated file does not."""
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False).shape == shape
    except (OSError, ValueError, EOFError):
        return False


def _written(file: Path, write: Callable[[str], None]) -> None:
    """Calls `write` with a temporary name and gives the file its own when it is complete."""
    handle, name = tempfile.mkstemp(dir=file.parent, suffix=".part")
    os.close(handle)
    try:
        write(name)
        os.replace(name, file)
    finally:
        Path(name).unlink(missing_ok=True)


def _decode(
    data: datasets.Dataset, column: str, root: Path, size: int, color: Color, target: str, shape: tuple[int, ...]
) -> None:
    """Fills the file `target` batch by batch, so that memory holds one batch only."""
    out = open_memmap(target, mode="w+", dtype=np.uint8, shape=shape)
    broken: list[str] = []
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")  # Pillow warns of damaged notes of a camera and of large pictures
        batches = read_encoded(data, column, root)
        total = -(-len(data) // BATCH)
        for number, batch in enumerate(
            track(batches, "decoding images", total, transient=True, disable=not sys.stderr.isatty())
        ):
            start = number * BATCH
            found = list(pool.map(lambda item: _pixels_or_none(item[1], size, color), batch))
            bad = [i for i, image in enumerate(found) if image is None]
            broken += [f"'{batch[i][0]}' (row {start + i})" for i in bad]
            for i, image in enumerate(found):
                out[start + i] = 0 if image is None else image
    if broken:
        raise BadInput(
            f"{len(broken)} of {len(data)} images in column '{column}' are missing or broken, "
            f"the first is {broken[0]}: repair them or remove their rows"
        )
    out.flush()


def _pixels_or_none(raw: bytes | None, size: int, color: Color) -> np.ndarray | None:
    """Returns the pixels, or None if the bytes are not an image, whatever error the decoder raises."""
    try:
        with Image.open(io.BytesIO(raw or b"")) as image:
            return pixels(image, size, color)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return None
