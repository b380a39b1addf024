"""Builds the site from the committed records: every study's page, figures and tables, its claims, and the atlas.

Everything goes into `site/`, with the SHA-256 of each file in `SHA256SUMS`, and into `site.tar.gz`, ready to be attached
to a release. Times, owners and order are fixed, so two builds on one machine give the same archive.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tarfile
from pathlib import Path

from harness.commands.cli import main

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ("trials", "tests")
"""The folders of a study that hold what was measured; all else is made from them."""


def build(results: Path, site: Path) -> None:
    """Copies the records of the studies in `results` to `site` and makes everything else there from them."""
    shutil.rmtree(site, ignore_errors=True)
    for plan in sorted(results.glob("*/study.json")):
        place = site / plan.parent.name
        for part in RECORDS:
            shutil.copytree(plan.parent / part, place / part, ignore=shutil.ignore_patterns("*.tmp"))
        shutil.copy(plan, place)
        run("report", place.name, f"store={site}", "formats=pdf,svg")
    run("claims", "run=no", f"store={site}")
    run("atlas", f"out={site / 'atlas'}")
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(site)}\n" for path in files_of(site)]
    (site / "SHA256SUMS").write_text("".join(sums))


def run(*words: str) -> None:
    """Runs a command; SystemExit with its code if it fails."""
    code = main(list(words))
    if code:
        raise SystemExit(code)


def files_of(folder: Path) -> list[Path]:
    """Returns all files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def pack(site: Path, archive: Path) -> None:
    """Writes the files of a folder as a tar archive whose bytes depend on their content alone."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for path in files_of(site):
            entry = tar.gettarinfo(path, arcname=f"site/{path.relative_to(site)}")
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname, entry.mode = 0, 0, 0, "", "", 0o644
            with path.open("rb") as content:
                tar.addfile(entry, content)


if __name__ == "__main__":
    build(ROOT / "results", ROOT / "site")
    pack(ROOT / "site", ROOT / "site.tar.gz")
    print(ROOT / "site.tar.gz")
