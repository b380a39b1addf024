"""From a user's file to a verdict by one command, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from invoke import PLAIN, files_of, harness, records

FAST = ("protocol.steps=5", "protocol.folds=2", "task.n_train=100", *PLAIN)


def churn(folder: Path, name: str = "churn.csv", n: int = 240) -> Path:
    """A table with strings and gaps, whose label follows one column, and a quarter of the labels wrong."""
    rng = np.random.default_rng(5)
    calls = rng.integers(0, 10, n)
    label = np.where((calls > 5) ^ (rng.random(n) < 1 / 4), "yes", "no")
    spend = rng.normal(50, 9, n).round(2).astype(object)
    spend[rng.random(n) < 0.1] = ""
    table = {"customer": [f"C{i}" for i in range(n)], "calls": calls, "spend": spend,
             "plan": rng.choice(["a", "b"], n), "churned": label}  # fmt: skip
    pd.DataFrame(table).to_csv(folder / name, index=False)
    return folder / name


WORDS = ("churn.csv", "seeds=3", "budget=60min", "price.cpu_hour=36", *FAST)
IMPUTED = [["clean=imputed", f"clean@clean.then={one}"] for one in ("random_drop", "confident", "relabel")]
FEW = ["model=random_forest", "augment=jitter", *IMPUTED]


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A folder in which `init` has written a study, of which a user has kept a few arms, and `ask` has run it: both said this."""
    folder = tmp_path_factory.mktemp("asked")
    churn(folder)
    made = harness("init", *WORDS, folder=folder)
    assert made.returncode == 0, made.stderr
    path = folder / "experiments" / "churn.yaml"
    study = yaml.safe_load(path.read_text())
    assert all(arm in study["arms"] for arm in FEW)
    head = path.read_text().partition("defaults:")[0]
    path.write_text(head + yaml.safe_dump({**study, "arms": FEW, "cross": []}))
    said = harness("ask", *WORDS, "hydra.launcher.n_jobs=1", folder=folder)
    assert said.returncode == 0, said.stderr
    return folder, made, said


def test_it_says_what_it_understood_and_what_it_will_do_before_the_first_trial(asked):
    out = asked[1].stdout
    assert out.startswith("churn.csv, as understood")
    for line in (
        "Caution: nobody has verified the test labels", "label: 'churned', by its name: 2 classes (no, yes) [label=]",
        "identifier: column 'customer' [id=]", "the baseline fills them with the training rows' median",
        "all of it fits the budget", "test rows and 3 seeds can show: a difference of",
    ):  # fmt: skip
        assert line in out
    assert out.splitlines()[-1] == "harness -m experiments=churn"


def test_it_ends_with_the_verdict_a_short_table_and_the_page(asked):
    folder, _, said = asked
    tail = said.stdout.splitlines()
    assert [line.split()[0] for line in tail if line[:1].isupper()] == [
        "Caution",
        "Caution",
        "Verdict",
        "Why",
        "Choice",
        "Cost",
        "Next",
    ]
    board = tail[tail.index("") + 1 : -2]
    assert len(board) == 2 + len(FEW)
    assert max(map(len, tail)) <= 100
    assert tail[-1] == "results/churn/index.html"
    assert (folder / tail[-1]).is_file()
    assert (folder / "results" / "churn" / "leaderboard.md").read_text().startswith("**Caution.** Nobody has verified")
    assert "wrong ones of the" in " ".join(tail) or "No number of wrong labels" in " ".join(tail)
    assert json.loads((folder / "results" / "churn" / "study.json").read_text())["price"] == {"cpu_hour": 36}


def test_every_arm_ran_though_numbers_are_missing(asked):
    found = records(asked[0] / "results" / "churn")
    assert len(found) == 3 * (1 + len(FEW))
    assert {one["status"] for one in found.values()} == {"done"}
    assert {len(one["result"]["predictions"]) > 0 for one in found.values()} == {True}


def test_a_cleaner_is_held_against_its_reference_after_the_imputation_too(asked):
    text = (asked[0] / "results" / "churn" / "leaderboard.md").read_text()
    assert "Beside the negative control clean=imputed clean@clean.then=random_drop: " in text


def test_the_same_command_again_trains_nothing_and_keeps_what_the_user_changed(asked):
    folder = asked[0]
    before, study = (
        files_of(folder / "results" / "churn" / "trials"),
        (folder / "experiments" / "churn.yaml").read_text(),
    )
    said = harness("ask", *WORDS, "hydra.launcher.n_jobs=1", folder=folder)
    assert said.returncode == 0, said.stderr
    assert said.stderr.splitlines()[0] == "going on with experiments/churn.yaml, which this command has made"
    assert "0 to run" in said.stderr
    assert files_of(folder / "results" / "churn" / "trials") == before
    assert (folder / "experiments" / "churn.yaml").read_text() == study


def test_rows_to_verify_show_the_data_and_their_answers_score_without_training(asked):
    folder = asked[0]
    sheet = folder / "results" / "churn" / "verify_these.csv"
    rows = pd.read_csv(sheet, dtype=str)
    assert rows.columns.tolist() == ["id", "calls", "spend", "plan", "given", "gold"]
    source = pd.read_csv(folder / "churn.csv", dtype=str).set_index("customer").loc[rows["id"]]
    assert (source[["calls", "plan", "churned"]].to_numpy() == rows[["calls", "plan", "given"]].to_numpy()).all()
    assert rows["gold"].isna().all()
    rows["gold"] = np.where(rows["calls"].astype(int) > 5, "yes", "no")
    rows.to_csv(sheet, index=False)
    before = files_of(folder / "results" / "churn" / "trials")
    said = harness("ask", *WORDS, "hydra.launcher.n_jobs=1", "gold=verify_these.csv", folder=folder)
    assert said.returncode == 0, said.stderr
    assert f"{len(rows)} of the 48 test labels are verified" in " ".join(said.stdout.split())
    assert said.stdout.splitlines()[-1] == "results/churn/verified/index.html"
    assert files_of(folder / "results" / "churn" / "trials") == before


def test_a_dry_run_leaves_no_trace(tmp_path):
    churn(tmp_path)
    dry = harness("ask", *WORDS, "--dry-run", folder=tmp_path)
    assert dry.returncode == 0, dry.stderr
    assert "trials, about" in dry.stdout
    assert {path.name for path in tmp_path.iterdir()} <= {"churn.csv", "cache"}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["ask"], "name one file or folder: harness ask DATA [label=COLUMN] [budget=10min] [--dry-run]"),
        (["ask", "churn.csv", "other.csv"], "name one file or folder"),
        (["ask", "chrn.csv"], "DATA: there is no file or folder chrn.csv; did you mean 'churn.csv'?"),
        (["ask", "churn.csv", "lable=churned"], "ask has no option 'lable'; did you mean 'label'?"),
        (["ask", "churn.csv", "label=churn"], "label=churn: there is no such column; did you mean 'churned'?"),
        (["ask", "churn.csv", "task.label=plan"], "task.label=plan: say label=… without 'task.'"),
        (["init", "churn.csv", "--dry-run=yes"], "init has no option 'dry-run'"),
        (["ask", "churn.csv", "budget=soon"], "budget is 'soon': write a time"),
        (["ask", "churn.csv", "seeds=1"], "seeds is '1': it must be a whole number, 2 or more"),
        (["ask", "churn.csv", "modality=image"], "modality=image, but these data are read as table"),
        (["ask", "churn.csv", "task.n_trian=50"], "task has no parameter 'n_trian'; did you mean 'n_train'?"),
        (["ask", "churn.csv", "name=mine"], "experiments/mine.yaml is a study of your own: run it as harness -m experiments=mine"),
        (["ask", "twice.csv"], "several columns could be the label: plan (a, b), answer (no, yes); say which: harness ask twice.csv label=plan"),
        (["init", "amounts.csv"], "column 'target' is called a label, but it has 240 different numbers in 240 rows, which are amounts"),
    ],
)  # fmt: skip
def test_wrong_words_and_data_are_told_in_a_line_and_leave_no_trace(tmp_path, words, line):
    path = churn(tmp_path)
    table = pd.read_csv(path)
    table.rename(columns={"churned": "answer"}).drop(columns="calls").to_csv(tmp_path / "twice.csv", index=False)
    table.assign(target=np.arange(240) * 1.5).to_csv(tmp_path / "amounts.csv", index=False)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_text("# @package _global_\nstudy: mine\n")
    before = files_of(tmp_path)
    said = harness(*words, *PLAIN, folder=tmp_path)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.splitlines()[0].removeprefix("harness: ").startswith(line), said.stderr
    assert {name for name in files_of(tmp_path) if not name.startswith("cache")} == set(before)
