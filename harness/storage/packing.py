"""Packs arrays as JSON, and unpacks what may come from anywhere: plain numbers and texts of a believable size."""

from __future__ import annotations

import base64
import binascii
import math
import re
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.errors import BadInput

LARGEST_ARRAY = 2**31
"""Bytes that a packed array may have."""
_MOST_DIMENSIONS = 8
_RATIO = 1040
"""No zlib stream grows by more than this factor (1032 : 1, and its head)."""
_PLAIN = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|U[1-9]\d{0,5})")
"""Booleans, whole numbers, floats and texts: no objects, no records, no times."""


def pack(array: np.ndarray) -> dict[str, Any]:
    """Returns an array as JSON: its type and shape, and its content compressed (zlib) and in base64."""
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "zlib": data}


def is_packed(value: Mapping[str, Any]) -> bool:
    """Returns whether an object has the fields of a packed array, and no other."""
    return set(value) == {"dtype", "shape", "zlib"}


def unpack(packed: Any) -> np.ndarray:
    """Returns the array that `pack` was given, read-only.

    BadInput, in a few words, for content of any other kind: a type other than booleans, numbers and texts, a shape that
    no such file can hold, or bytes that are not base64, not zlib, or not of that shape. Nothing is run, and no more
    memory is taken than the content can need.
    """
    kind, shape = _kind(packed), _shape(packed)
    size = math.prod(shape) * kind.itemsize
    raw = _content(packed.get("zlib"), size, shape)
    if len(raw) != size:
        raise BadInput(f"a packed array does not hold the {math.prod(shape):,} values of its shape {list(shape)}")
    if kind.kind == "U" and not _is_text(np.frombuffer(raw, dtype=kind.str[0] + "u4")):
        raise BadInput("a packed array of texts holds what is no text")
    return np.frombuffer(raw, dtype=kind).reshape(shape)


def _content(packed: Any, size: int, shape: tuple[int, ...]) -> bytes:
    """Returns the bytes of an array; at most one more than `size` of them are made."""
    try:
        compressed = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise BadInput("the content of a packed array is not base64") from None
    if size > min(LARGEST_ARRAY, _RATIO * (len(compressed) + 1)):
        raise BadInput(f"a packed array has the shape {list(shape)}, more than its content can hold")
    try:
        return zlib.decompressobj().decompress(compressed, size + 1)
    except zlib.error:
        raise BadInput("the content of a packed array is not zlib") from None


def _is_text(letters: np.ndarray) -> bool:
    """Returns whether all code points are letters that a file can hold: none beyond Unicode, no half of a pair."""
    return not ((letters > 0x10FFFF) | ((letters >= 0xD800) & (letters < 0xE000))).any()


def _kind(packed: Any) -> np.dtype:
    said = packed.get("dtype") if isinstance(packed, Mapping) else None
    if not isinstance(said, str) or not _PLAIN.fullmatch(said):
        raise BadInput(f"a packed array is of the type {said!r}: it must be of booleans, numbers or texts")
    return np.dtype(said)


def _shape(packed: Mapping[str, Any]) -> tuple[int, ...]:
    said = packed.get("shape")
    if not isinstance(said, list) or len(said) > _MOST_DIMENSIONS or any(type(n) is not int or n < 0 for n in said):
        raise BadInput(f"a packed array has the shape {str(said)[:80]}: it must be a list of whole numbers")
    return tuple(said)
