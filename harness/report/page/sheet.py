"""A template and what it shows in, a whole HTML file out, with the house's style and script inside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.report.page.arm_details import readable_number
from harness.report.page.embedding import fingerprint

HERE = Path(__file__).parent
_BREAKS = re.compile(r">\n+<(?!tr|li|details|section|script|style)")
"""Line breaks between elements, a node each, which add up; some stay so that a change shows as lines."""


def fill_template(template: str, content: Mapping[str, Any]) -> bytes:
    """The template's file, filled; whatever is put into it is escaped unless it is marked as markup.

    Its policy lets in pictures that stand in addresses, one style and one script, by their hashes, and nothing else.
    """
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src {fingerprint(style)}; script-src {fingerprint(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    house = {"style": style, "script": script, "policy": policy}
    made = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["number"] = readable_number
    text = made.get_template(template).render(**content, **house).rstrip()
    return f"{_BREAKS.sub('><', text)}\n".encode()
