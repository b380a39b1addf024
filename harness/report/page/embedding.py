"""Bytes and texts in, what stands for them inside one HTML file out: pictures, data for the script, its licence to run.

Nothing here trusts what it is given: pictures become `img` elements, in which no script runs, and data cannot end the
element that holds them.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from PIL import Image

from harness.errors import BadInput

PNG = b"\x89PNG\r\n\x1a\n"
COLOURS = 64
_WIDEST = 1200
_DOTS, _POINTS = 2, 2.0
_SPARED = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->|<\?xml.*?\?>|<!DOCTYPE[^>]*>", re.DOTALL)
_PLAIN = " '()*+,-./:;=@_!$?"


@dataclass(frozen=True)
class Picture:
    """A picture as an address that holds it, and its size in pixels of the page."""

    address: str
    width: int
    height: int


def picture(content: bytes, what: str) -> Picture:
    """A figure of a PNG's or an SVG's bytes, made small. BadInput for other bytes; `what` names them.

    Figures are drawn for paper, where 6.5 points are read at half an arm's length: a point becomes two pixels, and a
    PNG of 300 dots an inch is shown at half its size, sharp on dense screens and in print.
    """
    if content.startswith(PNG):
        return _raster(content)
    if b"<svg" not in content[:2000]:
        raise BadInput(f"{what} is neither a PNG nor an SVG: a page shows no other pictures")
    text = re.sub(r"\s+", " ", _SPARED.sub("", content.decode())).replace("> <", "><").strip()
    width, height = _size(text, what)
    return Picture(f"data:image/svg+xml,{quote(text, safe=_PLAIN)}", round(_POINTS * width), round(_POINTS * height))


def _size(svg: str, what: str) -> tuple[float, float]:
    """The size of a drawing in its own units, from its view box or its width and height in points."""
    head = svg[: svg.find(">")]
    box = re.search(r'\bviewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"', head)
    sides = box.groups() if box else re.findall(r'\b(?:width|height)="([\d.]+)(?:pt)?"', head)
    if len(sides) != 2:
        raise BadInput(f"{what} does not say how large it is: an SVG needs a viewBox")
    return float(sides[0]), float(sides[1])


def png(content: bytes) -> str:
    """A PNG as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def for_script(data: Any) -> str:
    """Data as JSON that may stand within a script element: nothing in it can end or open one."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # ASCII alone, so without U+2028 too
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def fingerprint(text: str) -> str:
    """The hash by which a content security policy knows a style or a script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _raster(content: bytes) -> Picture:
    """A PNG in a palette of its own where that makes it smaller."""
    few = io.BytesIO()
    whole: Image.Image = Image.open(io.BytesIO(content))
    width, height = whole.width // _DOTS, whole.height // _DOTS
    if whole.width > _WIDEST:
        whole = whole.resize((_WIDEST, round(_WIDEST * whole.height / whole.width)), Image.Resampling.LANCZOS)
    whole.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(few, "PNG", optimize=True)
    opaque = whole.convert("RGBA").getchannel("A").getextrema() == (255, 255)
    smaller = opaque and len(few.getvalue()) < len(content)
    return Picture(png(few.getvalue() if smaller else content), width, height)
