"""Embeds pictures and data into one HTML file, and computes the hashes by which its policy allows style and script.

Input is not trusted: pictures become `img` elements, in which no script runs, and data cannot end the element that
holds them.
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
    """Holds a picture as a data URL, and its size in CSS pixels."""

    address: str
    width: int
    height: int


def picture(content: bytes, what: str) -> Picture:
    """Returns a compact picture from the bytes of a PNG or an SVG; BadInput for other bytes, which `what` names.

    Figures are drawn for paper, with type of 6.5 points: a point becomes two pixels, and a PNG of 300 dots per inch is
    shown at half its size, sharp on high-resolution screens and in print.
    """
    if content.startswith(PNG):
        return _raster(content)
    if b"<svg" not in content[:2000]:
        raise BadInput(f"{what} is neither a PNG nor an SVG: a page shows no other pictures")
    text = re.sub(r"\s+", " ", _SPARED.sub("", content.decode())).replace("> <", "><").strip()
    width, height = _size(text, what)
    return Picture(f"data:image/svg+xml,{quote(text, safe=_PLAIN)}", round(_POINTS * width), round(_POINTS * height))


def _size(svg: str, what: str) -> tuple[float, float]:
    """Returns the size of an SVG in its own units, from its viewBox or its width and height in points."""
    head = svg[: svg.find(">")]
    box = re.search(r'\bviewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"', head)
    sides = box.groups() if box else re.findall(r'\b(?:width|height)="([\d.]+)(?:pt)?"', head)
    if len(sides) != 2:
        raise BadInput(f"{what} does not say how large it is: an SVG needs a viewBox")
    return float(sides[0]), float(sides[1])


def png(content: bytes) -> str:
    """Returns a PNG as a data URL."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def for_script(data: Any) -> str:
    """Returns data as JSON for a script element: nothing in it can end or open one."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # ASCII only, so without U+2028
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def fingerprint(text: str) -> str:
    """Returns the hash by which a content security policy allows a style or a script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _raster(content: bytes) -> Picture:
    """Returns a PNG, with a palette if that makes it smaller."""
    few = io.BytesIO()
    whole: Image.Image = Image.open(io.BytesIO(content))
    width, height = whole.width // _DOTS, whole.height // _DOTS
    if whole.width > _WIDEST:
        whole = whole.resize((_WIDEST, round(_WIDEST * whole.height / whole.width)), Image.Resampling.LANCZOS)
    whole.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(few, "PNG", optimize=True)
    opaque = whole.convert("RGBA").getchannel("A").getextrema() == (255, 255)
    smaller = opaque and len(few.getvalue()) < len(content)
    return Picture(png(few.getvalue() if smaller else content), width, height)
