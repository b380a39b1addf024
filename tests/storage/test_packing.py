"""Packed arrays from anywhere: what is no array of plain values is refused, and costs no memory."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import pytest

from harness.errors import BadInput
from harness.storage.packing import pack, unpack

GOOD = pack(np.array([1, 2, 3], dtype=np.uint8))


def packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "|O"}, "is of the type '|O'"),
        ({"dtype": "O"}, "is of the type 'O'"),
        ({"dtype": "|V3"}, "is of the type"),
        ({"dtype": "O,u1"}, "is of the type"),
        ({"dtype": "<M8[s]"}, "is of the type"),
        ({"dtype": "|S3"}, "is of the type"),
        ({"dtype": "<U0"}, "is of the type"),
        ({"dtype": ["u1"]}, "is of the type"),
        ({"dtype": None}, "is of the type None"),
        ({"shape": [10**12]}, "more than its content can hold"),
        ({"shape": [2**62, 2**62]}, "more than its content can hold"),
        ({"shape": [-3]}, "must be a list of whole numbers"),
        ({"shape": [3.0]}, "must be a list of whole numbers"),
        ({"shape": [True]}, "must be a list of whole numbers"),
        ({"shape": 3}, "must be a list of whole numbers"),
        ({"shape": [1] * 70}, "must be a list of whole numbers"),
        ({"shape": [4]}, "does not hold the 4 values"),
        ({"shape": [2]}, "does not hold the 2 values"),
        ({"zlib": "%%%"}, "is not base64"),
        ({"zlib": "é"}, "is not base64"),
        ({"zlib": None}, "is not base64"),
        ({"zlib": base64.b64encode(b"no zlib").decode()}, "is not zlib"),
        ({"zlib": GOOD["zlib"][:4]}, "does not hold the 3 values|is not zlib|is not base64"),
        ({"dtype": "<U1", "shape": [1], "zlib": packed(b"\xff\xff\xff\x7f")}, "holds what is no text"),
        ({"dtype": "<U1", "shape": [1], "zlib": packed(b"\x00\xd8\x00\x00")}, "holds what is no text"),
    ],
)
def test_what_no_such_array_is_packed_as_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message.replace("|O'", r"\|O'") if "|O" in message else message):
        unpack(GOOD | changes)
    assert unpack(GOOD).tolist() == [1, 2, 3]


@pytest.mark.parametrize("content", [None, [], "text", 3])
def test_what_is_no_object_is_refused(content: Any) -> None:
    with pytest.raises(BadInput, match="is of the type None"):
        unpack(content)


def test_a_bomb_is_not_blown_up() -> None:
    """A gigabyte of zeros in a megabyte of text, in an array of three numbers."""
    bomb = zlib.compressobj()
    content = b"".join(bomb.compress(bytes(2**24)) for _ in range(64)) + bomb.flush()
    with pytest.raises(BadInput, match="does not hold the 3 values"):
        unpack(GOOD | {"zlib": base64.b64encode(content).decode()})


@pytest.mark.parametrize("array", [np.array(["é", "漢字", ""]), np.array([True, False]), np.zeros((0, 3), np.float32)])
def test_plain_arrays_come_back_read_only(array: np.ndarray) -> None:
    back = unpack(pack(array))
    assert back.dtype == array.dtype
    assert back.tolist() == array.tolist()
    assert not back.flags.writeable
