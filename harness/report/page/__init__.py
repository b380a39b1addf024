"""Writes a study as one self-contained HTML file, and an index of such files.

A file needs no other: style, script, figures and data are inside, and its policy forbids every request, so that it
opens from a path, offline or from a server in the same way.
"""

from harness.report.page.overview import OverviewLine, index, overview_line, render_index
from harness.report.page.study import PageData, page_data, render

__all__ = ["OverviewLine", "PageData", "index", "overview_line", "page_data", "render", "render_index"]
