"""Writes the page that links to the pages of studies, one line per study, from the summary in each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from harness.errors import BadInput
from harness.report.page.sheet import fill_template
from harness.storage.files import parse_object

_COUNTS = ("arms", "trials", "failed")


@dataclass(frozen=True)
class OverviewLine:
    """Holds a study's line in the index: the address of its page, and the page's summary.

    `word` is data, model, undecided, other (another question) or untold, `verdict` is the verdict in a sentence, `best`
    are the arms of rank 1.
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
    """Returns the index of a folder of studies, from the files called `page` in its sub-folders, ordered by name.

    BadInput if one of them is not the page of a study.
    """
    found = sorted(path for path in folder.glob(f"*/{page}") if path.is_file())
    return render_index([overview_line(path.read_bytes(), f"{path.parent.name}/{page}") for path in found])


def render_index(studies: Sequence[OverviewLine]) -> bytes:
    """Returns the page over several studies, in the order given."""
    return fill_template("index.html", {"studies": studies})


def overview_line(page: bytes, href: str) -> OverviewLine:
    """Returns the line of a page that `render` made, with the address `href`; BadInput for any other file."""
    found = re.search(r'<script type="application/json" id="summary">(.*?)</script>', page.decode(errors="replace"))
    with suppress(BadInput):
        said = parse_object(found[1].encode()) if found else {}
        kinds = {one.name: int if one.name in _COUNTS else str for one in fields(OverviewLine) if one.name != "href"}
        if said.keys() == kinds.keys() and all(type(said[name]) is kind for name, kind in kinds.items()):
            return OverviewLine(href=href, **said)
    raise BadInput(f"{href} is not the page of a study: make it anew with harness report")
