"""Runs `harness verify`: recomputes published numbers and prints both."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from itertools import groupby
from pathlib import Path

from harness.errors import BadInput, TrialFailed
from harness.notices import notice_each
from harness.verify import Cell

CHECKS: Mapping[str, str] = {
    "wrench": "golden",
    "label_models": "golden",
    "confident": "golden",
    "literature": "literature",
}
"""The modules that recompute cells, and the folder that each reads."""


def command(words: list[str]) -> int:
    """Runs `harness verify [FOLDER]`: recomputes every published number; TrialFailed if one is not reproduced.

    FOLDER holds `golden` and `literature`; the default is HARNESS_SHARED, or `../shared`.
    """
    if len(words) > 2 or any(word.startswith("-") or "=" in word for word in words[1:]):
        raise BadInput("give the folder of the published inputs: harness verify [FOLDER]")
    root = Path(words[1] if len(words) > 1 else os.environ.get("HARNESS_SHARED", "../shared")).expanduser()
    began, seen = time.perf_counter(), []
    for section, cells in groupby(_all_cells(root), key=lambda cell: cell.section):
        seen += print_section(section, cells)
    compared = [cell for cell in seen if cell.theirs is not None]
    wrong, alone = [cell for cell in compared if not cell.passed], len(seen) - len(compared)
    more = f"; {alone} compared with nothing, since there is no published number" if alone else ""
    took = time.perf_counter() - began
    print(f"\n{len(compared) - len(wrong)} of {len(compared)} cells agree{more} ({took:.0f} s)")
    if wrong:
        names = "; ".join(f"{cell.section}, {cell.what}" for cell in wrong)
        raise TrialFailed(f"{len(wrong)} published numbers are not reproduced: {names}")
    return 0


def print_section(section: str, cells: Iterable[Cell]) -> list[Cell]:
    """Prints a section, one line per cell as soon as it is computed, and returns the cells."""
    print(f"\n{section}\n  {'':54} {'ours':>9} {'theirs':>9} {'within':>8}  result", flush=True)
    seen = []
    for cell in cells:
        print(_line(cell), flush=True)
        seen.append(cell)
    return seen


def _line(cell: Cell) -> str:
    """Returns a cell's line: ours, theirs, and whether they agree."""
    if cell.theirs is None:
        return f"  {cell.what:54} {'–':>9} {'–':>9} {'':>8}  none  {cell.source}"
    theirs, within = f"{cell.theirs:.6g}", f"{cell.tolerance:g}"
    if cell.bound:
        theirs, within = f">= {theirs}", ""
    verdict = "pass" if cell.passed else "FAIL"
    return f"  {cell.what:54} {cell.ours:9.6g} {theirs:>9} {within:>8}  {verdict}  {cell.source}"


def _all_cells(root: Path) -> Iterator[Cell]:
    """Yields every cell that the existing folders allow; BadInput if none exists."""
    there = [name for name, folder in CHECKS.items() if (root / folder).is_dir()]
    if not there:
        raise BadInput(f"{root} has neither a folder golden nor a folder literature: write harness verify FOLDER")
    for name in there:
        find: Callable[[Path], Iterator[Cell]] = import_module(f"harness.verify.{name}").cells
        yield from notice_each(find(root / CHECKS[name]), "computing the next published number")
