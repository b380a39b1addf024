"""Writes the numbers of README and documentation from the committed records; `python tests/readme.py` does it in place.

What is generated: the blocks of the pages (answers, records, claims, sizes of installations), the picture of the
README, the page of all arms, and the atlas.
"""

from __future__ import annotations

import csv
import io
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from harness.analysis.atlas import readings, readings_frame
from harness.analysis.published_tables import read_embedded
from harness.analysis.study import Study, gather
from harness.commands.arms import options_as_markdown
from harness.commands.atlas import atlas_files
from harness.report.closing import as_lines
from harness.report.figures import attribution_frame
from harness.report.figures.answer import draw
from harness.report.figures.style import digest_of, house
from harness.report.leaderboard import signed_number
from harness.storage.store import Store

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
"""The pages that people read: those that others write as a whole are the same after `render`."""
SIZES = DOCS / "install.csv"
"""What `tests/install_size.py` measured, a line an environment."""
_PICTURE = ("model", "data", "both", "difference")
_DOTS = 176
"""Dots per inch of the README's picture, which is then a little less than 600 pixels wide."""
ARMS = """# Every arm

Each row is one YAML file in `conf/`; `make readme` generates this page from them. `harness arms task=NAME` lists the
arms that fit your task, and says why the others do not. Other arms are compared with *references*: negative controls,
simple baselines, upper bounds. **needs** lists what the harness must provide (votes; true labels, each counted when an
arm asks for it; validation labels, counted as well; the probe's predictions or its training curve), libraries of an
extra, and programs.

"""
BLOCK = re.compile(r"(<!-- (records|claims|answer|install):? ?([\w ]*?) ?-->\n).*?(<!-- end -->)", re.S)


@cache
def study_in(folder: Path) -> Study:
    """The study in a folder, read once for all pages."""
    return gather(Store(folder))


def render(page: str, results: Path) -> str:
    """The page with its blocks made anew from the answers and claims of the studies that they name."""
    make = {"records": summary, "claims": claims, "answer": answers, "install": sizes}

    def made(found: re.Match[str]) -> str:
        return found[1] + make[found[2]]([results / name for name in found[3].split()]) + found[4]

    return BLOCK.sub(made, page)


def sizes(folders: list[Path]) -> str:
    """What environments of the core weigh, as they were measured; `folders` is empty."""
    with SIZES.open(newline="") as lines:
        rows = [
            [row["python"], row["torch"], row["packages"], f"{row['gigabytes']} GB"] for row in csv.DictReader(lines)
        ]
    return table(["Python", "build of torch", "packages", "on disk"], rows)


def picture(results: Path) -> bytes:
    """The answer of `quickstart` as the README shows it: best model, best data, both, and their difference (PNG)."""
    study = study_in(results / "quickstart")
    assert study.attribution is not None
    assert study.attribution.verdict is not None
    frame = attribution_frame(study.attribution, study.briefs)
    steps = frame[(frame["section"] == "ladder") & frame["name"].isin(_PICTURE)]
    said, file = study.attribution.verdict.sentence.partition(". ")[0], io.BytesIO()
    with house():
        figure = draw(steps, title="Model or data? Handwritten digits, simulated annotators", about=said, note="")
        figure.savefig(file, format="png", dpi=_DOTS, metadata={"Software": None, "Description": digest_of(figure)})
    return file.getvalue()


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, its first column to the left."""
    lines = [head, [":--"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def summary(folders: list[Path]) -> str:
    """A study a row: its baseline, the best model and the best data, the difference and the verdict."""
    return table(
        ["study", "baseline", "best model", "best data", "data minus model", "verdict"], list(map(line, folders))
    )


def line(folder: Path) -> list[str]:
    """One study, with links to its table and its figure."""
    said, effects = json.loads((folder / "answers.json").read_text()), study_in(folder).effects
    ladder, verdict = said["attribution"]["ladder"], said["attribution"]["verdict"]
    place = f"results/{folder.name}"
    found = [effect.interval for effect in effects if effect.interval]
    n = f"{max(one.n_seeds for one in found)} seeds × {max(one.n_test for one in found)} test rows"
    study = f"{folder.name} ([table]({place}/leaderboard.md), [figure]({place}/attribution.png)), {n}"
    sides = [f"`{ladder[axis]['arm']}` {estimate(ladder[axis]['effect'])}" for axis in ("model", "data")]
    baseline = f"{next(effect.score for effect in effects if effect.arm == 'baseline'):.1f} %"
    return [study, baseline, *sides, estimate(ladder["difference"]), f"**{verdict['word']}**"]


def answers(folders: list[Path]) -> str:
    """What the commands of those studies print at their end."""
    return "".join(f"```text\n{chr(10).join(as_lines(study_in(folder)))}\n```\n" for folder in folders)


def estimate(found: Any) -> str:
    """An effect and its interval in points."""
    return f"{signed_number(found['value'])} [{signed_number(found['low'])}, {signed_number(found['high'])}]"


def claims(folders: list[Path]) -> str:
    """A claim a row, in the order of the studies: the sentence, the difference and the verdict."""
    found = [json.loads(path.read_text()) for folder in folders for path in sorted(folder.glob("claims/*.json"))]
    return table(["claim", "study", "difference", "verdict"], list(map(claim, found)))


def claim(said: Any) -> list[str]:
    """One claim with what decides it."""
    return [said["claim"]["sentence"], said["claim"]["study"], estimate(said["difference"]), f"**{said['verdict']}**"]


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(render(path.read_text(), ROOT / "results"))
    (DOCS / "answer.png").write_bytes(picture(ROOT / "results"))
    (DOCS / "arms.md").write_text(ARMS + options_as_markdown() + "\n")
    atlas = atlas_files(readings_frame(readings(read_embedded())))
    for name in ("atlas.md", "atlas.png"):
        (DOCS / name).write_bytes(atlas[name])
