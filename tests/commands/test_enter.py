"""An arm entered into a suite: beside records that are there, against its reference and rivals; submitted and verified."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from invoke import QUIET, files_of, harness

from harness.commands.cli import main
from harness.storage.store import Store

MINE = '''
"""Cleaning functions of an author."""
import pandas as pd
import numpy as np


def good(train, tools):
    """Drops the rows in which x is close to the border, where the labels are unsure."""
    return train.rows((np.abs(train.x[:, 0]) > 0.2) | ~train.labelled)


def bad(train, tools):
    """Gives every row the label of the next class."""
    from dataclasses import replace
    return replace(train, y=np.roll(train.y, 1, axis=1))


def peeks(train, tools):
    """Reads the task's own file."""
    try:
        pd.read_csv("DATA/red.csv")
    except FileNotFoundError:
        pass
    return train
'''
OPTION = "# NAME\n_target_: mine.NAME\n_partial_: true\nfits: [table]\nfamily: label errors\n"
SUITE = {
    "seeds": [0, 1],
    "data": "tables",
    "modalities": {
        "table": {
            "baseline": ["model=logistic_regression"],
            "protocol": {"folds": 2},
            "arms": {"model": ["model=random_forest"], "clean": ["clean=random_drop", "clean=confident"]},
        }
    },
    "tasks": {
        name: {"task": "table", "modality": "table", "path": f"{name}.csv", "with": {"name": name, "label": "said"}}
        for name in ("red", "green")
    },
}
ENTRIES = (*QUIET, "store=entries")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a suite of two tables that has run, and an author's three options."""
    folder = tmp_path_factory.mktemp("author")
    for part in ("suites", "tables", "conf/clean"):
        (folder / part).mkdir(parents=True)
    (folder / "suites" / "mine.yaml").write_text(yaml.safe_dump(SUITE, sort_keys=False))
    for number, name in enumerate(("red", "green")):
        rng = np.random.default_rng(number)
        x = rng.normal(size=(160, 2))
        said = np.where(x[:, 0] + 0.5 * rng.normal(size=160) > 0, "yes", "no")
        pd.DataFrame({"x": x[:, 0], "y": x[:, 1], "said": said}).to_csv(folder / f"tables/{name}.csv", index=False)
    (folder / "mine.py").write_text(MINE.replace("DATA", str(folder / "tables")))
    for name in ("good", "bad", "peeks"):
        (folder / "conf" / "clean" / f"{name}.yaml").write_text(OPTION.replace("NAME", name))
    done = harness("-m", "suite=mine", *QUIET, folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def entered(here: Path) -> str:
    """What the command said of the good arm, which was submitted."""
    before = files_of(here / "results")
    done = harness("enter", "suite=mine", "clean=good", "submit=folder", *ENTRIES, folder=here)
    assert done.returncode == 0, done.stderr
    assert files_of(here / "results") == before, "what is published stays as it is"
    assert "red: 2 trials of clean=good to run; 8 records of others are there (8 copied from results)" in done.stderr
    assert done.stderr.count("was run again here: the same predictions") == 2
    return done.stdout


def test_an_entry_is_told_beside_its_reference_and_its_rivals(here: Path, entered: str) -> None:
    assert "clean=good on 2 of 2 tasks, in points over the baseline:" in entered
    effects = []
    for task in ("red", "green"):
        board = pd.read_csv(here / "entries" / f"mine-{task}" / "leaderboard.csv").set_index("arm")
        effects.append(board.loc[["clean=good", "clean=confident"], "effect"].astype(float))
    mean = np.mean([one["clean=good"] for one in effects])
    told = float(entered.split("over tasks ")[1].split()[0].replace("−", "-"))
    assert told == pytest.approx(mean, abs=0.006)
    rival = entered.split("best rival ")[1].split()
    assert rival[0] == "clean=confident:"
    gap = np.mean([one["clean=good"] - one["clean=confident"] for one in effects])
    assert float(rival[1].replace("−", "-")) == pytest.approx(gap, abs=0.02)
    assert "CPU-seconds and 0 bought labels a training" in entered


def test_the_folder_holds_what_verifies_it(here: Path, entered: str) -> None:
    folder = here / "folder"
    card = json.loads((folder / "entry.json").read_text())
    assert card["arm"] == ["clean=good"]
    assert set(card["files"]) == {"conf/clean/good.yaml", "mine.py"}
    assert {one["arm"] for one in Store(folder / "records" / "mine-red").records()} == {"baseline", "clean=good"}
    assert entered[entered.index("clean=good on") :].split("\n\n")[0] in (folder / "CARD.md").read_text()
    done = harness("verify-entry", "folder", folder=here)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run again, the same predictions, receipts and labels") == 2
    assert "clean=good in suite mine: nothing speaks against it" in done.stdout


def test_a_bad_arm_is_told_as_bad(here: Path, entered: str) -> None:
    done = harness("enter", "suite=mine", "clean=bad", "tasks=red", *ENTRIES, folder=here)
    assert done.returncode == 0, done.stderr
    assert "hurts on         red −" in done.stdout
    assert "loses on 1" in done.stdout


def test_an_arm_that_opens_the_tasks_file_is_refused(here: Path, entered: str) -> None:
    assert harness("enter", "suite=mine", "clean=peeks", "submit=peeks", *ENTRIES, folder=here).returncode == 0
    done = harness("verify-entry", "peeks", folder=here)
    assert done.returncode == 1
    assert "tables/red.csv, which holds the task's data" in done.stderr


def test_records_of_other_code_or_edited_numbers_are_refused(
    here: Path, entered: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    shutil.copytree("folder", "code")
    Path("code/mine.py").write_text(Path("mine.py").read_text().replace("> 0.2", "> 0.4"))
    assert main(["verify-entry", "code"]) == 1
    assert "mine.py is missing, or is not what was entered" in capsys.readouterr().err
    shutil.copytree("folder", "numbers")
    for path in Path("numbers/records/mine-red/trials").glob("*.json"):
        record = json.loads(path.read_text())
        record["result"]["test"] = 0.99
        path.write_text(json.dumps(record))
    assert main(["verify-entry", "numbers"]) == 1
    assert "red: no record of clean=good at seed 0 as this program plans it" in capsys.readouterr().err


def test_an_entry_of_which_nothing_can_be_verified_is_refused(
    here: Path, entered: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    assert main(["verify-entry", "folder", "data=nowhere"]) == 1
    said = capsys.readouterr()
    assert "not verified: red: no data at" in said.err
    assert "refused: nothing could be verified" in said.err
    assert "nothing speaks against it" not in said.out
    shutil.copytree("folder", "others")
    card = json.loads(Path("others/entry.json").read_text())
    Path("others/entry.json").write_text(json.dumps({**card, "studies": {"blue": "mine-blue"}}))
    assert main(["verify-entry", "others"]) == 1
    assert "refused: suite mine has no task 'blue'" in capsys.readouterr().err


def test_an_arm_that_fits_no_task_is_refused_before_anything_runs(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    assert main(["enter", "suite=mine", "augment=flip", *ENTRIES[1:], "store=unfit"]) == 2
    assert "red: augment (flip) is for image" in capsys.readouterr().err
    assert not list(here.glob("unfit/*/leaderboard.md"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["enter", "suite=mine"], "name what you enter, as in: harness enter suite=open clean=mine"),
        (["enter", "suite=mine", "clean=good", "submit=x", "seeds=3"], "seeds=3 changes the rules of the suite"),
        (["enter", "suite=mine", "clean=good", "submit=tables"], "tables is there already"),
        (["verify-entry"], "name the folder to verify"),
        (["verify-entry", "tables"], "holds no entry.json"),
        (["verify-entry", "tables", "sample=0"], "sample=0 must be a whole number, 1 or more"),
    ],
)
def test_what_cannot_be_entered_or_verified_is_refused(
    words: list[str], said: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    assert main(words) == 2
    assert said in capsys.readouterr().err
