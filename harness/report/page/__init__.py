"""A study in, one self-contained HTML file out; and an index over such files.

A file asks nothing of any other: style, script, figures and data are inside, and its policy forbids every request, so
that it opens from a path, offline, and anywhere else just the same.
"""

from harness.report.page.overview import OverviewLine, index, overview_line, render_index
from harness.report.page.study import PageData, page_data, render

__all__ = ["OverviewLine", "PageData", "index", "overview_line", "page_data", "render", "render_index"]
