"""Runs malformed cases and prints a table of kinds and outcomes, then every case that went badly.

python -m tests.malformed --number 1000 [--kinds table,picture] [--first 0] [--commands] [--only table:17]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from . import kinds
from .cases import BAD, OUTCOMES, Verdict
from .runner import run


def main() -> int:
    """Runs what the command line asks for; 1 if a case went badly."""
    said = arguments()
    found: list[Verdict] = []
    for kind in said.kinds.split(","):
        start = time.perf_counter()
        seeds = range(said.first, said.first + said.number)
        cases = [kinds.KINDS[kind](seed) for seed in seeds]
        here = []
        for verdict in run(cases, said.commands):
            here.append(verdict)
            if verdict.outcome in BAD or said.number == 1 or said.all:
                print(f"{verdict.outcome.upper()} {verdict.name}\n    {verdict.why}", flush=True)
        found += here
        print(f"{kind}: {len(here)} cases, {time.perf_counter() - start:.0f} s", flush=True)
    print(as_table(found))
    return int(any(verdict.outcome in BAD for verdict in found))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=100, help="cases of each kind")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--kinds", default=",".join(kinds.KINDS))
    parser.add_argument("--commands", action="store_true", help="the real command for every case, not a direct reading")
    parser.add_argument("--all", action="store_true", help="print the good cases as well")
    return parser.parse_args()


def as_table(found: list[Verdict]) -> str:
    """Returns how many cases of each kind had each outcome, as text."""
    counts = Counter((verdict.kind, verdict.outcome) for verdict in found)
    names = list(dict.fromkeys(verdict.kind for verdict in found))
    rows = [["kind", *OUTCOMES], *([name, *(str(counts[name, outcome]) for outcome in OUTCOMES)] for name in names)]
    rows.append(["all", *(str(sum(counts[name, outcome] for name in names)) for outcome in OUTCOMES)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


if __name__ == "__main__":
    sys.exit(main())
