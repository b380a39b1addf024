"""Writes the README's numbers from the committed records; `python tests/readme.py` does it in place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from harness.report.leaderboard import signed

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(<!-- records: (\w+) -->\n).*?(<!-- end -->)", re.S)


def render(readme: str, results: Path) -> str:
    """The README with each block of records made anew from `results/NAME/leaderboard.csv`."""
    return BLOCK.sub(lambda found: found[1] + section(results / found[2]) + found[3], readme)


def section(folder: Path) -> str:
    """One study: what it is, and an arm a row, the strongest effect first."""
    board = pd.read_csv(folder / "leaderboard.csv")
    baseline = board[board.axis == "none"].iloc[0]
    arms = board[board.axis != "none"].sort_values("effect", ascending=False, kind="stable")
    head = (
        f"**{folder.name}** (baseline: {baseline.score:.1f} % accuracy; {int(arms.n_seeds.max())} seeds, "
        f"{int(arms.n_test.max())} test examples; [full table](results/{folder.name}/leaderboard.md), "
        f"[figure](results/{folder.name}/effects.png))\n\n"
    )
    lines = ["| arm | axis | effect, points | 95 % interval |", "|:--|:--|--:|--:|"]
    return head + "\n".join([*lines, *(row(arm) for arm in arms.itertuples())]) + "\n"


def row(arm: Any) -> str:
    """One arm; the sign is always there, and a dull twin is named one."""
    name = f"`{arm.arm}`" + (" (dull twin)" if arm.dull else "")
    effect, low, high = (signed(value) for value in (arm.effect, arm.low, arm.high))
    return f"| {name} | {arm.axis} | {effect} | {low} to {high} |"


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(render(path.read_text(), ROOT / "results"))
