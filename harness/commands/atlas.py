"""Runs `harness atlas`: prints and writes what published tables say about the claim."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from harness.analysis.atlas import (
    readings,
    readings_frame,
)
from harness.analysis.published_tables import Published, merge_tables, passed_over, read_embedded, read_given
from harness.commands.arguments import parse
from harness.commands.terminal import say
from harness.errors import BadInput
from harness.notices import notice
from harness.report import atlas as report
from harness.storage.files import write_atomic


def command(words: list[str]) -> int:
    """Runs `harness atlas [PATH] [out=FOLDER]`: prints the published tables and writes a table, a page and a figure.

    PATH is a CSV of facts, a folder of them, or a folder of the literature's complete files. Without it HARNESS_SHARED
    is read if set, else only the facts that come with the harness.
    """
    plain, options = parse(words, ("out",))
    if len(plain) > 1:
        raise BadInput("name one file or folder of published tables: harness atlas [PATH] [out=FOLDER]")
    out = Path(options.get("out", "atlas")).expanduser()
    with notice("reading and drawing the published tables"):
        rows = readings_frame(readings(tables(plain)))
        files = atlas_files(rows)
    for name, content in files.items():
        write_atomic(out / name, content)
    print(report.atlas_lines(rows))
    print("\n".join(str(out / name) for name in files))
    return 0


def tables(places: Sequence[str]) -> list[Published]:
    """Returns the facts that come with the harness and the tables of those files and folders.

    If there are no places, the literature's tables in the folder that HARNESS_SHARED names are added, if it exists.
    """
    usual = os.environ.get("HARNESS_SHARED", "")
    there = usual and (Path(usual).expanduser() / "literature").is_dir()
    chosen = [Path(place).expanduser() for place in places or [usual] * bool(there)]
    for path in (path for place in chosen for path in passed_over(place)):
        say(f"not read: {path} has no column 'table', so it is not a table of facts")
    theirs = [table for place in chosen for table in read_given(place)]
    return merge_tables(read_embedded(), theirs)


def atlas_files(rows: pd.DataFrame) -> dict[str, bytes]:
    """Returns the atlas as files by name, from the rows of `readings_frame`: a CSV, a page, and the figure."""
    drawn = {f"atlas.{kind}": content for kind, content in report.figure(rows).items()}
    return {"atlas.csv": report.as_csv(rows), "atlas.md": report.page(rows), **drawn}
