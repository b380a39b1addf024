"""Writes the README's numbers from the committed records; `python tests/readme.py` does it in place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from harness.arms import markdown
from harness.report.leaderboard import signed

ROOT = Path(__file__).resolve().parents[1]
ARMS = """# Every arm

Each row is one YAML file in `conf/`; this page is made from them by `make readme`. `harness arms task=NAME` lists what
fits a task of yours, and says why the rest does not. *Dull twins* are the references that a clever arm must beat.
**needs** names what the harness must lend (votes; gold, of which every asked label is counted; validation labels,
counted too; the probe's predictions or the course of its training), libraries of an extra, and programs.

"""
BLOCK = re.compile(r"(<!-- records: ([\w ]+) -->\n).*?(<!-- end -->)", re.S)


def render(readme: str, results: Path) -> str:
    """The README with its block of records made anew from the leaderboards of the studies that it names."""
    return BLOCK.sub(lambda found: found[1] + summary([results / name for name in found[2].split()]) + found[3], readme)


def summary(folders: list[Path]) -> str:
    """A study a row: its baseline, and the largest effect of an arm that changes the model alone, or the data alone."""
    head = [
        "| study | baseline | largest effect of a model | largest effect on the data | n |",
        "|:--|--:|:--|:--|--:|",
    ]
    return "\n".join([*head, *map(line, folders)]) + "\n"


def line(folder: Path) -> str:
    """One study, with links to its table and figure."""
    board = pd.read_csv(folder / "leaderboard.csv")
    baseline, arms = board[board.axis == "none"].iloc[0], board[board.axis != "none"]
    best = [arms[arms.axis == axis].sort_values("effect", kind="stable").iloc[-1] for axis in ("model", "data")]
    place = f"results/{folder.name}"
    study = f"{folder.name} ([table]({place}/leaderboard.md), [figure]({place}/effects.png))"
    n = f"{int(arms.n_seeds.max())} seeds × {int(arms.n_test.max())}"
    return f"| {study} | {baseline.score:.1f} % | {cell(best[0])} | {cell(best[1])} | {n} |"


def cell(arm: Any) -> str:
    """One arm: its name without the axis, its effect and interval in points."""
    return f"`{arm.arm}` {signed(arm.effect)} [{signed(arm.low)}, {signed(arm.high)}]"


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(render(path.read_text(), ROOT / "results"))
    (ROOT / "docs" / "arms.md").write_text(ARMS + markdown() + "\n")
