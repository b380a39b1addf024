"""README and documentation do what they say: their commands run as they stand, their numbers are those of the records."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pages_site as site
import pandas as pd
import pytest
from conftest import ROOT
from pictures import shown_in
from PIL import Image
from readme import BLOCK, DOCS, PAGES, picture, render

from harness.analysis.study import gather
from harness.analysis.verdicts import judge
from harness.claims import claim_files, read_claim
from harness.commands.cli import COMMANDS
from harness.report.claims import as_json
from harness.report.write import make_files, rebuild, write_index
from harness.storage.store import Store

README = (ROOT / "README.md").read_text()
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in PAGES}
WRITTEN = {
    name: text for name, text in TEXTS.items() if Path(name).stem not in ("arms", "atlas", "statistics", "comparison")
}
"""The pages whose prose holds no number of a result; the others are generated as a whole, or cite versions."""
FILE = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", re.S)
SHELL = re.compile(r"```bash\n(.*?)```", re.S)
SMALL = "protocol.steps=5 track=none cache=cache"
AFTER_ASKING = "gold=verify_these.csv"
"""What scores a study that `ask` has run: here it only plans, `tests/commands/test_ask.py` does both."""

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
    """The lines of the shell blocks of all pages, in the order of the pages."""
    blocks = [block for text in TEXTS.values() for block in SHELL.findall(text)]
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def test_its_numbers_are_those_of_the_records():
    names = "quickstart roman_numerals youtube"
    blocks = {name: [found[1:3] for found in BLOCK.findall(text)] for name, text in TEXTS.items()}
    assert {name: found for name, found in blocks.items() if found} == {
        "README.md": [("records", names)],
        "docs/question.md": [("claims", names)],
        "docs/start.md": [("install", ""), ("answer", "quickstart")],
    }
    for name, text in TEXTS.items():
        assert render(text, ROOT / "results") == text, f"{name}: run `make readme`"


def test_its_picture_shows_the_records_and_is_small():
    committed = (DOCS / "answer.png").read_bytes()
    assert shown_in(committed) == shown_in(picture(ROOT / "results")), "run `make readme`"
    with Image.open(io.BytesIO(committed)) as shown:
        assert max(shown.size) <= 600


def test_the_sizes_of_installations_were_measured():
    with (DOCS / "install.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert rows
    for row in rows:
        assert int(row["packages"]) > 50
        assert float(row["gigabytes"]) > 1


def test_no_number_stands_outside_what_is_generated():
    allowed = r"Python 3\.1\d|Apache-2\.0|`[^`]*`|\]\([^)]*\)|\[[\d.]+\]"
    for name, text in WRITTEN.items():
        prose = re.sub(r"```.*?```", "", BLOCK.sub("", text), flags=re.S)
        assert re.findall(r"\d+\.\d+", re.sub(allowed, "", prose)) == [], name
        assert set(re.findall(r"\d+ %", prose)) <= {"95 %"}, name


def test_its_make_targets_are_there_and_ci_calls_the_second():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    named = [line.split()[1] for block in SHELL.findall(README) for line in block.splitlines() if line[:5] == "make "]
    assert named == ["demo", "test"]
    assert set(named) <= targets
    assert "\nmake test\n" in (ROOT / ".ci" / "run").read_text()


def test_every_link_leads_somewhere():
    """Links between pages are checked when the site is built, those of the README here."""
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


def shortened(line: str) -> str:
    """A command that takes seconds: `ask` plans only, which `tests/commands/test_ask.py` carries on from."""
    name = line.split()[1]
    plans = {"ask": f"{SMALL} --dry-run", "init": SMALL, "enter": "track=none cache=cache"}.get(name, "")
    words = plans or ("" if name in COMMANDS else SMALL)
    return " ".join([line, *(word for word in words.split() if word not in line.split())])


@pytest.mark.slow
def test_its_commands_run_as_they_stand(tmp_path):
    fill(tmp_path)
    for name, content in [file for text in TEXTS.values() for file in FILE.findall(text)]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    said = [line for line in commands() if line.startswith("harness ") and not line.endswith(AFTER_ASKING)]
    assert len(said) >= 10
    small = [shortened(line) for line in said]
    done = subprocess.run(
        [sys.executable, "-c", RUN], input="\n".join(small), cwd=tmp_path, text=True, capture_output=True, timeout=1800
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("delta") >= 8
    for made in ("results/mine/effects.png", "results/mine/index.html", "results/mine/claims/my_claim.json"):
        assert (tmp_path / made).exists(), made
    assert "\\newcommand" in (tmp_path / "paper" / "numbers.tex").read_text()


@pytest.mark.parametrize("name", ["quickstart", "roman_numerals", "variance", "youtube"])
def test_what_is_committed_is_what_the_records_give(name, tmp_path):
    copy_records(name, tmp_path)
    study = gather(Store(tmp_path / name))
    files = make_files(study, None)
    for file in ("leaderboard.md", "answers.json"):
        assert files[file].decode() == (ROOT / "results" / name / file).read_text(), f"run `harness report {name}`"
    pictures = sorted((ROOT / "results" / name).glob("*.png"))
    assert pictures
    for path in pictures:
        assert shown_in(files[path.name]) == shown_in(path.read_bytes()), f"run `harness report {name}`"


def copy_records(name: str, folder: Path) -> None:
    """Copies what a study's report is made from."""
    for path in ("study.json", "trials", "tests"):
        source, target = ROOT / "results" / name / path, folder / name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)


@pytest.mark.slow
def test_two_builds_of_a_report_give_the_same_bytes(tmp_path):
    for folder in ("first", "second"):
        copy_records("variance", tmp_path / folder)
    one, other = (
        {path.name: path.read_bytes() for path in rebuild(tmp_path / folder / "variance", formats={"pdf", "svg"})}
        for folder in ("first", "second")
    )
    assert one == other
    assert {Path(name).suffix for name in one} == {
        ".json",
        ".csv",
        ".md",
        ".tex",
        ".txt",
        ".parquet",
        ".pdf",
        ".png",
        ".svg",
        ".html",
    }
    index = write_index(tmp_path / "first").read_text()
    assert "variance/index.html" in index


@pytest.mark.slow
def test_the_site_is_built_from_the_records_and_packs_to_the_same_bytes(tmp_path):
    copy_records("variance", tmp_path / "results")
    site.build(tmp_path / "results", tmp_path / "site")
    named = [line.split("  ")[1] for line in (tmp_path / "site" / "SHA256SUMS").read_text().splitlines()]
    assert {"index.html", "variance/index.html", "variance/variance.pdf", "atlas/atlas.md"} <= set(named)
    for archive in ("one.tar.gz", "other.tar.gz"):
        site.pack(tmp_path / "site", tmp_path / archive)
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "other.tar.gz").read_bytes()


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*/claims/*.json")), ids=lambda path: path.stem)
def test_a_committed_verdict_is_what_the_records_give(path):
    claim = read_claim(claim_files()[path.stem])
    assert as_json(judge(claim, Store(path.parents[1]))) == path.read_bytes()


def test_what_is_committed_holds_records_and_none_of_the_data():
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "results"], capture_output=True, text=True, check=False
    )
    if listed.returncode or not listed.stdout:
        pytest.skip("this is not a checkout: nothing says which files are committed")
    files = [ROOT / name for name in listed.stdout.splitlines()]
    assert {path.suffix for path in files} == {".json", ".md", ".png"}
    linked = {target for target in re.findall(r"\]\(([^)]+)\)", README) if re.match(r"results/.*png$", target)}
    assert linked <= {str(path.relative_to(ROOT)) for path in files if path.suffix == ".png"}
    for path in files:
        if path.parent.name == "tests":
            assert set(json.loads(path.read_text())) == {"ids", "y", "classes"}
