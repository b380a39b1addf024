"""Pages of studies in, the page that leads to them out: what each says of itself, a line a study."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BadInput
from harness.report.page.sheet import fill_template


@dataclass(frozen=True)
class OverviewLine:
    """A study's line in the index: where its page lies, and what that says.

    `word` is data, model, undecided or untold, `verdict` says it in sentences, `best` are the arms of rank 1.
    """

    href: str
    name: str
    task: str
    metric: str
    word: str
    verdict: str
    best: str
    arms: int
    trials: int
    failed: int


def index(folder: Path, page: str) -> bytes:
    """The index of a folder of studies, from the files called `page` in its sub-folders, in the order of their names.

    BadInput where one of them is no page of a study.
    """
    found = sorted(folder.glob(f"*/{page}"))
    return render_index([overview_line(path.read_bytes(), f"{path.parent.name}/{page}") for path in found])


def render_index(studies: Sequence[OverviewLine]) -> bytes:
    """The page over several studies, in the order given."""
    return fill_template("index.html", {"studies": studies})


def overview_line(page: bytes, href: str) -> OverviewLine:
    """The line of a page that `render` made, which lies at `href`; BadInput for any other file."""
    found = re.search(r'<script type="application/json" id="summary">(.*?)</script>', page.decode(errors="replace"))
    if not found:
        raise BadInput(f"{href} is not the page of a study: make it anew with harness report")
    return OverviewLine(href=href, **json.loads(found[1]))
