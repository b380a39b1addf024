"""Fills a template into a complete HTML file that includes style and script."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.report.leaderboard import glue
from harness.report.page.arm_details import readable_number
from harness.report.page.embedding import fingerprint

HERE = Path(__file__).parent
_BREAKS = re.compile(r">\n+<(?!tr|li|details|section|script|style)")
"""Line breaks between elements that are removed, as each is a node; some stay, so that diffs are by line."""


def fill_template(template: str, content: Mapping[str, Any]) -> bytes:
    """Returns the filled template; all content is escaped unless it is marked as markup.

    Its policy allows pictures in data URLs, one style and one script, by their hashes, and nothing else.
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
    made.filters["glue"] = glue
    text = made.get_template(template).render(**content, **house).rstrip()
    return f"{_BREAKS.sub('><', text)}\n".encode()
