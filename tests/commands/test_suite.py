"""A suite as a user runs it: several tasks, one of them absent, stopped and gone on with; and files that are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT, options
from hydra.core.override_parser.overrides_parser import OverridesParser
from invoke import QUIET, files_of, harness, records

from harness.commands.cli import main
from harness.commands.overrides import option_loader
from harness.commands.suite import in_hydra, overrides_of, plan_task
from harness.commands.suite_files import read_suite
from harness.errors import BadInput
from harness.storage.suite_plan import read_suite_plan

CONTENT = {
    "seeds": [0, 1],
    "data": "tables",
    "modalities": {
        "table": {
            "baseline": ["model=logistic_regression"],
            "protocol": {"folds": 2},
            "arms": {"model": ["model=mlp"], "weak": ["weak=majority_vote"], "clean": [["clean=random_drop"]]},
        }
    },
    "tasks": {
        "red": {"task": "table", "modality": "table", "path": "red.csv", "with": {"name": "red", "label": "said"}},
        "green": {
            "task": "table",
            "modality": "table",
            "path": "green.csv",
            "with": {"name": "green", "label": "said"},
        },
        "blue": {"task": "table", "modality": "table", "path": "blue.csv", "where": "the blue shop"},
    },
}
SMALL = ("protocol.steps=5", *QUIET)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with a suite of three tasks, two of which have their data."""
    monkeypatch.chdir(tmp_path)
    write(CONTENT)
    (tmp_path / "tables").mkdir()
    for number, name in enumerate(("red", "green")):
        rng = np.random.default_rng(number)
        x = rng.normal(size=(120, 2))
        said = np.where(x[:, 0] + 0.7 * rng.normal(size=120) > 0, "yes", "no")
        pd.DataFrame({"x": x[:, 0], "y": x[:, 1], "said": said}).to_csv(tmp_path / f"tables/{name}.csv", index=False)
    return tmp_path


def write(content) -> None:
    Path("suites").mkdir(exist_ok=True)
    Path("suites/mine.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


@pytest.mark.slow
def test_a_suite_runs_what_is_missing_and_reports_over_its_tasks(here):
    first = harness("-m", "suite=mine", "tasks=green", *SMALL, folder=here)
    assert first.returncode == 0, first.stderr
    assert "suite mine: 1 of 3 tasks, 6 trials, 6 to run" in first.stderr
    plan = read_suite_plan(here / "results", "mine")
    assert [(task.name, task.why) for task in plan.tasks] == [
        ("red", "no command has asked for it yet"), ("green", ""), ("blue", "no command has asked for it yet"),
    ]  # fmt: skip

    green = records(here / "results" / "mine-green")
    second = harness("-m", "suite=mine", *SMALL, folder=here)
    assert second.returncode == 0, second.stderr
    absent = "no data at tables/blue.csv: say where it lies with data=FOLDER or tasks.blue.path=PATH"
    assert f"left out: blue: {absent}; get it from: the blue shop" in second.stderr
    assert "left out of red: weak=majority_vote: weak (majority_vote) needs votes" in second.stderr
    assert "suite mine: 2 of 3 tasks, 12 trials, 6 to run" in second.stderr
    assert "task 1 of 2: red: 6 trials, 6 to run, about" in second.stderr
    assert "task 2 of 2: green: 6 trials, nothing to run" in second.stderr
    assert records(here / "results" / "mine-green") == green

    folder = here / "results" / "suites" / "mine"
    answers = json.loads((folder / "answers.json").read_text())
    arms = {arm["arm"]: arm for arm in answers["arms"]}
    assert list(arms) == ["model=mlp", "clean=random_drop"]
    boards = [pd.read_csv(here / "results" / f"mine-{task}" / "leaderboard.csv") for task in ("red", "green")]
    effects = [float(board.set_index("arm").loc["model=mlp", "effect"]) for board in boards]
    assert arms["model=mlp"]["mean"]["value"] == pytest.approx(np.mean(effects), abs=0.006)
    page = (folder / "index.html").read_text()
    assert 'href="../../mine-red/index.html"' in page
    assert "the blue shop" in page

    before = {name: (folder / name).read_bytes() for name in files_of(folder)}
    again = harness("report", "suite=mine", folder=here)
    assert again.returncode == 0, again.stderr
    assert {name: (folder / name).read_bytes() for name in files_of(folder)} == before
    assert harness("report", "mine-red", folder=here).returncode == 0  # a task's study is a study as any other


def refusal(*words: str, capsys) -> str:
    assert main(list(words)) == 2
    return capsys.readouterr().err


def test_faults_of_all_tasks_are_said_before_anything_runs(here, capsys):
    content = json.loads(json.dumps(CONTENT))
    content["modalities"]["table"]["arms"]["clean"].append("clean=confidnt")
    content["tasks"]["green"]["with"]["label"] = "sad"
    write(content)
    said = refusal("-m", "suite=mine", *SMALL, capsys=capsys)
    assert "red: clean=confidnt: clean has no option 'confidnt'; did you mean 'confident'?" in said
    assert "green: clean=confidnt: clean has no option 'confidnt'" in said
    assert not (here / "results").exists()


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("seds",), 1, "the suite has no key 'seds'; did you mean 'seeds'?"),
        (("tasks", "red", "modality"), "tabel", "task 'red': unknown modality 'tabel'; did you mean 'table'?"),
        (("tasks", "red", "wth"), {}, "task 'red' has no key 'wth'; did you mean 'with'?"),
        (("tasks", "red", "task"), None, "task 'red' has no task"),
        (("tasks", "red-ish"), {"task": "table", "modality": "table"}, "task 'red-ish': a task's name consists of letters"),
        (("tasks", "red", "with"), {"path": "x.csv"}, "write path beside with"),
        (("modalities", "table", "baseline"), "model=mlp", "baseline must be a list of overrides"),
        (("modalities", "table", "arms"), {"modle": []}, "unknown family of arms 'modle'; did you mean 'model'?"),
        (("modalities", "table", "arms"), {"clean": ["model=mlp"]}, "the arm model=mlp changes model, and stands under clean"),
        (("modalities", "table", "arms"), {"both": ["model=mlp"]}, "the arm model=mlp changes model, and stands under both"),
        (("modalities", "table", "arms"), {"clean": [3]}, "clean must be a list of arms"),
        (("tasks",), {}, "tasks is missing or empty"),
        (("tasks",), ["red"], "tasks must be names with what belongs to each"),
    ],
)  # fmt: skip
def test_a_fault_in_the_file_is_named_with_its_place(here, place, value, said):
    content = json.loads(json.dumps(CONTENT))
    node = content
    for name in place[:-1]:
        node = node[name]
    node[place[-1]] = value
    write(content)
    with pytest.raises(BadInput) as caught:
        read_suite("mine")
    assert f"suites/mine.yaml: {said}" in str(caught.value) or said in str(caught.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("suite=mine",), "a suite consists of studies: run it as harness -m suite=mine"),
        (("-m", "suite=mien"), "there is no suite 'mien'; did you mean 'mine'?"),
        (("-m", "suite=mine", "tasks=rad"), "suite 'mine' has no task 'rad'; did you mean 'red'?"),
        (("-m", "suite=mine", "tasks.rad.path=x"), "there is no task 'rad'; did you mean 'red'?"),
        (("-m", "suite=mine", "tasks.red.label=x"), "tasks.red.label cannot be set"),
        (("-m", "suite=mine", "arms=[model=mlp]"), "arms=[model=mlp] cannot be set for a whole suite"),
        (("-m", "suite=mine", "data=elsewhere"), "the data of none of its tasks is there"),
        (("-m", "suite=mine", "suite=open"), "name one suite"),
        (("report", "suite=mine"), "no suite 'mine' has run in results"),
        (("report", "suite=../x"), "no suite '../x' has run in results"),
        (("report", "suite=mine", "adjust=holm"), "'adjust' concerns a single study"),
    ],
)
def test_words_that_a_suite_does_not_take_are_refused(here, capsys, words, said):
    assert said in refusal(*words, capsys=capsys)
    assert not (here / "results").exists()


def test_paths_begin_in_the_folder_of_data_or_are_given_alone(here):
    paths = {task.name: task.path for task in read_suite("mine", "there", {"red": "~/red.csv"}).tasks}
    assert paths == {"red": "~/red.csv", "green": "there/green.csv", "blue": "there/blue.csv"}


def test_a_task_of_another_modality_than_the_suite_says_is_refused(here):
    content = json.loads(json.dumps(CONTENT))
    content["tasks"] = {"digits": {"task": "digits", "modality": "table"}}
    write(content)
    (task,) = (suite := read_suite("mine")).tasks
    with pytest.raises(BadInput, match="its data is of modality image, and the suite says table"):
        plan_task(task, [*overrides_of(suite, task), *SMALL], option_loader())


@pytest.mark.parametrize("value", ["a", "it's", r"C:\x", "\\'", "a,b=[c]{d}", "true", "1", "", "${x}"])
def test_a_text_means_itself_in_an_override(value):
    parsed = OverridesParser.create().parse_override(f"study={in_hydra(value)}")
    assert str(parsed.value()) == value


def test_lists_and_numbers_are_written_as_overrides_are():
    assert in_hydra({"a": [1, None, True, ["b"]]}) == "{a:[1,null,true,['b']]}"


@pytest.mark.parametrize("path", sorted((ROOT / "suites").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_suites_name_options_that_exist_and_say_where_data_comes_from(path):
    suite = read_suite(path.stem)
    for task in suite.tasks:
        assert task.option in options("task")
        assert task.path is None or task.where
        for arm in (*task.arms, task.baseline):
            for group, _, name in (item.partition("=") for item in arm if "." not in item.partition("=")[0]):
                assert name in options(group)


@pytest.mark.slow
def test_the_open_suite_needs_no_file_and_fits_its_tasks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    suite = read_suite("open")
    for task in suite.tasks:
        plan = plan_task(task, [*overrides_of(suite, task), "track=none", "cache=cache"], option_loader())
        assert plan.left_out == {}
        assert len(plan.trials) == 5 * (1 + len(task.arms))
