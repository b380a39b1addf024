"""The README does what it says: its commands run as they stand, its numbers are those of the records."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from PIL import Image
from readme import BLOCK, render

from harness.analysis.verdicts import judge
from harness.claims import claim_files, read_claim
from harness.commands.cli import COMMANDS
from harness.report.claims import as_json
from harness.report.write import rebuild, write_index
from harness.storage.store import Store

README = (ROOT / "README.md").read_text()
FILE = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", re.S)
SHELL = re.compile(r"```bash\n(.*?)```", re.S)
SMALL = "protocol.steps=5 track=none cache=cache"

RUN = """
import shlex, sys
from harness.commands.cli import main
for line in sys.stdin.read().splitlines():
    print("$", line, flush=True)
    code = main(shlex.split(line)[1:])
    if code:
        sys.exit(f"{line}: exit code {code}")
"""


def commands() -> list[str]:
    lines = [line.split("#")[0].strip() for block in SHELL.findall(README) for line in block.splitlines()]
    return [line for line in lines if line]


def test_its_numbers_are_those_of_the_records():
    names = "quickstart roman_numerals youtube"
    assert [found[1:3] for found in BLOCK.findall(README)] == [("records", names), ("claims", names)]
    assert render(README, ROOT / "results") == README, "run `make readme`"


def test_no_number_stands_outside_what_is_generated():
    prose = re.sub(r"```.*?```", "", BLOCK.sub("", README), flags=re.S)
    assert re.findall(r"\d+\.\d+", re.sub(r"Python 3\.11|Apache-2\.0|`[^`]*`", "", prose)) == []
    assert set(re.findall(r"\d+ %", prose)) <= {"95 %"}


def test_its_make_targets_are_there_and_ci_calls_the_second():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    named = [line.split()[1] for line in commands() if line.startswith("make ")]
    assert named == ["demo", "test"]
    assert set(named) <= targets
    assert "\nmake test\n" in (ROOT / ".ci" / "run").read_text()


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def fill(folder: Path) -> None:
    """The files of which the README speaks as the user's own."""
    rng = np.random.default_rng(0)
    for name, level in (("cats", 60), ("dogs", 180)):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(40):
            pixels = rng.integers(level - 50, level + 50, (40, 30, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{i}.png")
    age = rng.integers(20, 90, 120)
    patients = {"age": age, "sex": rng.choice(["f", "m"], 120), "outcome": np.where(age > 55, "ill", "well")}
    pd.DataFrame(patients).to_csv(folder / "patients.csv", index=False)
    stars = rng.choice(["good", "bad"], 120)
    words = [f"a {star} film with {noun}" for star, noun in zip(stars, rng.choice(["songs", "dogs"], 120), strict=True)]
    texts = [f"{text} number {i}" for i, text in enumerate(words)]
    pd.DataFrame({"review": texts, "stars": stars}).to_csv(folder / "reviews.csv", index=False)


@pytest.mark.slow
def test_its_commands_run_as_they_stand(tmp_path):
    fill(tmp_path)
    for name, content in FILE.findall(README):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    said = [line for line in commands() if line.startswith("harness ")]
    assert len(said) >= 10
    small = [line if line.split()[1] in COMMANDS else f"{line} {SMALL}" for line in said]
    done = subprocess.run(
        [sys.executable, "-c", RUN], input="\n".join(small), cwd=tmp_path, text=True, capture_output=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("delta") >= 8
    for made in ("results/mine/effects.png", "results/mine/index.html", "results/mine/claims/my_claim.json"):
        assert (tmp_path / made).exists(), made
    assert "\\newcommand" in (tmp_path / "paper" / "numbers.tex").read_text()


@pytest.mark.parametrize("name", ["quickstart", "roman_numerals", "variance", "youtube"])
def test_what_is_committed_is_what_the_records_give(name, tmp_path):
    shutil.copytree(ROOT / "results" / name, tmp_path / name, ignore=shutil.ignore_patterns("wandb", ".locks"))
    for path in rebuild(tmp_path / name):
        assert path.read_bytes() == (ROOT / "results" / name / path.name).read_bytes(), path.name


def test_the_index_leads_to_the_studies_that_are_committed(tmp_path):
    for page in (ROOT / "results").glob("*/index.html"):
        (tmp_path / page.parent.name).mkdir()
        shutil.copy(page, tmp_path / page.parent.name)
    assert write_index(tmp_path).read_bytes() == (ROOT / "results" / "index.html").read_bytes()


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*/claims/*.json")), ids=lambda path: path.stem)
def test_a_committed_verdict_is_what_the_records_give(path):
    claim = read_claim(claim_files()[path.stem])
    assert as_json(judge(claim, Store(path.parents[1]))) == path.read_bytes()


def test_what_is_committed_holds_records_and_none_of_the_data():
    names = {path.suffix for path in tracked(ROOT / "results")}
    assert names == {".json", ".csv", ".md", ".tex", ".parquet", ".pdf", ".png", ".svg", ".html"}
    for path in tracked(ROOT / "results"):
        if path.parent.name == "tests":
            assert set(json.loads(path.read_text())) == {"ids", "y", "classes"}


def tracked(folder: Path) -> list[Path]:
    return [
        path for path in folder.rglob("*") if path.is_file() and not {"wandb", ".locks", ".hydra"} & set(path.parts)
    ]
