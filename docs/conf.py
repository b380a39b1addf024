"""Configures the documentation site: `make docs` builds it from these pages, offline, with warnings as errors."""

from __future__ import annotations

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]

import harness  # noqa: E402

project = "gains-harness"
author = "The gains-harness authors"
copyright = f"2026, {author}"
release = version = harness.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "directives"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
myst_links_external_new_tab = False
html_theme = "furo"
html_title = "gains-harness"
html_copy_source = False
html_show_sphinx = False
# Pictures of the gallery have twice as many pixels as the page shows: they stay sharp on screens with many pixels.
html_static_path = ["static"]
html_css_files = ["pages.css"]
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True


def as_restructured_text(lines: list[str]) -> list[str]:
    """Returns a docstring's lines as reStructuredText: names in single backticks as code, other signs as themselves."""
    return [line if line.lstrip().startswith((">>>", "...")) else _escaped(line) for line in lines]


def _escaped(line: str) -> str:
    parts = re.split(r"(`[^`]+`)", line)
    return "".join(f"`{part}`" if number % 2 else re.sub(r"([*|])", r"\\\1", part) for number, part in enumerate(parts))


def setup(app):  # noqa: D103
    def convert(app, what, name, found, options, lines):
        lines[:] = as_restructured_text(lines)

    app.connect("autodoc-process-docstring", convert)
