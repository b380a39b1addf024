"""What a picture shows, read from the picture itself."""

from __future__ import annotations

import io

from PIL import Image


def shown_in(png: bytes) -> str:
    """Returns the digest of the data that a PNG of ours shows (`harness.report.figures.style.digest_of`)."""
    with Image.open(io.BytesIO(png)) as picture:
        described = str(picture.info["Description"])
    assert described.startswith("drawn "), "the picture does not say what it shows"
    return described
