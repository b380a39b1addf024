"""Folders of results from anybody: no command that opens one runs a function that it names."""

from __future__ import annotations

import json
import pickle
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import invoke
import numpy as np
import pytest
import yaml
from hydra.errors import InstantiationException
from studies import keep, made_test_set, record

from harness.commands.cli import main
from harness.commands.joins import StudyRows, from_task
from harness.errors import BadInput
from harness.report.page.examples import hidden_rows, rows
from harness.run.options import build
from harness.run.rebuilding import rebuild_task, shipped_tasks, takes_path
from harness.storage.places import conf_dir
from harness.storage.store import Store

TEST = made_test_set(20, 2)
CLAIM = "sentence: Oracles help.\nstudy: made\nleft: clean=oracle\nright: baseline\nrelation: at least\npoints: 1\n"


class Touch:
    """What a pickle runs when it is opened."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def bad_nodes(folder: Path) -> dict[str, dict[str, Any]]:
    """Nodes that make the file `canary` in a folder, or read a file that does, each by its target."""
    canary, trap = str(folder / "canary"), folder / "trap.pkl"
    trap.write_bytes(pickle.dumps(Touch(canary)))
    (folder / "beside.py").write_text("def touch(path):\n    open(path, 'w')\n")
    (folder / "importing.py").write_text(f"open({canary!r}, 'w')\n\n\ndef task():\n    pass\n")
    nodes: list[dict[str, Any]] = [
        {"_target_": "pandas.read_pickle", "filepath_or_buffer": str(trap)},
        {"_target_": "joblib.load", "filename": str(trap)},
        {"_target_": "torch.load", "f": str(trap), "weights_only": False},
        {"_target_": "shutil.copyfile", "src": str(trap), "dst": canary},
        {"_target_": "builtins.open", "file": canary, "mode": "w"},
        {"_target_": "subprocess.run", "args": ["touch", canary]},
        {"_target_": "os.system", "command": f"touch {canary}"},
        {"_target_": "harness.storage.files.os.system", "command": f"touch {canary}"},
        {"_target_": "harness.storage.files.dump.__globals__.get", "_args_": ["os"]},
        {"_target_": "harness.run.options.build", "node": {"_target_": "pathlib.Path.touch", "self": canary}},
        {"_target_": "harness.tasks.files.os.mkdir", "path": canary},
        {"_target_": "beside.touch", "path": canary},
        {"_target_": "importing.task"},
    ]
    return {node["_target_"]: node for node in nodes}


TARGETS = [
    "pandas.read_pickle", "joblib.load", "torch.load", "shutil.copyfile", "builtins.open", "subprocess.run",
    "os.system", "harness.storage.files.os.system", "harness.storage.files.dump.__globals__.get",
    "harness.run.options.build", "harness.tasks.files.os.mkdir", "beside.touch", "importing.task",
]  # fmt: skip
PLACES = {
    "the task itself": lambda bad: bad,
    "a parameter": lambda bad: {"_target_": "harness.tasks.table.table", "name": "t", "path": bad},
    "a list in a parameter": lambda bad: {"_target_": "harness.tasks.digits.digits", "wrong": [{"deep": [bad]}]},
    "a declaration": lambda bad: {"_target_": "harness.tasks.digits.digits", "wraps": bad},
    "an older name": lambda bad: {"_target_": "harness.track.nothing", "x": bad},
}


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that must never be; the folder beside which the functions lie is where commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("beside", "importing"):  # a module is run when it is imported, which happens once a process
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path / "canary"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # they leave their files open
def test_these_nodes_do_what_they_are_made_for(canary: Path) -> None:
    """Else the tests below could not fail: Hydra itself blocks only some of them."""
    ran = []
    for target, node in bad_nodes(canary.parent).items():
        with suppress(InstantiationException):
            build(node)
        if canary.exists():
            ran.append(target)
            canary.rmdir() if canary.is_dir() else canary.unlink()
    assert set(ran) >= {"pandas.read_pickle", "beside.touch", "importing.task"}, ran
    assert set(TARGETS) == set(bad_nodes(canary.parent))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("target", TARGETS)
def test_no_such_task_is_built(target: str, place: str, canary: Path) -> None:
    node = PLACES[place](bad_nodes(canary.parent)[target])
    with pytest.raises(BadInput, match="which is not a task of this package, and a results folder runs no code"):
        rebuild_task(node, {"path": "."})
    plan = {"name": "made", "task": node, "seeds": [0], "trials": []}
    assert rows(plan, ["d"], ["a"], ".") == {}
    assert target in str(hidden_rows(plan))
    assert takes_path(node) == ("path" in node)
    with pytest.raises(BadInput):
        from_task("column", {"path": "."}, StudyRows(node, "d", TEST))
    assert not canary.exists()


def test_text_is_not_looked_up_in_the_environment(canary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "of the user")
    node = {"_target_": "harness.tasks.table.table", "name": "${oc.env:SECRET}", "path": None}
    with pytest.raises(BadInput, match="which a results folder may not look up"):
        rebuild_task(node, {})


def test_a_folder_reads_no_place_that_it_names_itself(tmp_path: Path) -> None:
    """A path comes from the user; what the folder says of it is dropped."""
    (tmp_path / "secret.csv").write_text("a,label\n1,x\n2,y\n")
    node = yaml.safe_load((conf_dir() / "task" / "raw_table.yaml").read_text())
    node |= {"label": "label", "path": str(tmp_path / "secret.csv")}
    with pytest.raises(BadInput, match=r"task\.path is None"):
        rebuild_task(node, {})
    with pytest.raises(BadInput, match="not in a file with columns that can be read here"):
        from_task("a", {}, StudyRows(node, "d", TEST))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strange": 1}, "has no parameter 'strange'"),
        ({"n_test": "many"}, "n_test is 'many'"),
        ({"_partial_": True}, "has '_partial_: true'"),
        ({"_target_": None}, "which is not a task of this package"),
        ({"_args_": [1]}, "task sets _args_"),
    ],
)
def test_a_task_that_does_not_fit_is_said_in_a_line(changes: dict[str, Any], message: str) -> None:
    node = yaml.safe_load((conf_dir() / "task" / "digits.yaml").read_text())
    assert rebuild_task(node, {}).fingerprint
    with pytest.raises(BadInput, match=message):
        rebuild_task(node | changes, {})


def test_the_tasks_that_may_be_built_are_the_shipped_ones() -> None:
    names = ("digits", "folder", "hub", "raw_table", "table", "wrench")
    assert shipped_tasks() == {*(f"harness.tasks.{name}.{name}" for name in names), "harness.tasks.table.wine"}


def foreign(folder: Path) -> Store:
    """A study whose plan and records name every bad function, in every place where one can be named."""
    nodes = list(bad_nodes(folder).values())
    task = {
        "_target_": "harness.tasks.table.table",
        "path": nodes[0],
        "label": {"_target_": "beside.touch"},
        "n": nodes,
    }
    store = Store(folder / "results" / "made")
    found = []
    for arm, wrong in (("baseline", 4), ("clean=oracle", 1)):
        for seed in (0, 1):
            factors = ("clean",) if arm != "baseline" else ()
            one = record(store, arm, seed, np.where(np.arange(20) < wrong, 1 - TEST.y, TEST.y), TEST, factors=factors,
                         axis="data" if factors else "none")  # fmt: skip
            protocol = one["trial"]["protocol"] | {"inner": nodes[1]}
            found.append(
                one
                | {"trial": one["trial"] | {"task": task, "model": nodes[0], "protocol": protocol, "probe": nodes[2]}}
            )
    keep(store, found)
    more = {"task": task, "seeds": [0, 1], "baseline": {"model": nodes[0]}, "protocol": {"x": nodes[3]}}
    store.keep_plan({**(store.plan() or {}), **more})
    return store


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["report", "made"], 0, "the page shows no training rows: the study's task is built by"),
        (["report", "made", "task.path=."], 0, "the page shows no training rows: the study's task is built by"),
        (["slices", "made"], 0, ""),
        (["slices", "made", "by=x", "task.path=."], 2, "is not a task of this package"),
        (["slices", "made", "by=x", "table=rows.csv"], 2, "set id=COLUMN"),
        (["plan", "made", "--effect", "1"], 0, ""),
        (["claims", "mine", "run=no"], 0, ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_no_command_runs_what_a_folder_names(
    words: list[str], code: int, said: str, canary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = foreign(canary.parent)
    (canary.parent / "experiments" / "claims").mkdir(parents=True)
    (canary.parent / "experiments" / "claims" / "mine.yaml").write_text(CLAIM)
    (canary.parent / "rows.csv").write_text("x,y\n1,2\n")
    assert main(words) == code
    told = capsys.readouterr()
    assert said in told.err
    assert "Traceback" not in told.err
    assert not canary.exists()
    assert (store.folder / "index.html").exists() == (words[0] == "report")


OWN = """
import numpy as np
from sklearn.datasets import load_iris
from harness.data import Source
from harness.tasks.table import table

def flowers(*, size):
    print("the user's own function ran")
    return table(name="flowers", path=None, label=None, gold=None, votes=None, weight=None, group=None, id=None,
                 features=None, classes=None, noise=0.0, n_train=size, valid_fraction=0.2, test_fraction=0.25,
                 split_seed=0, cache=None)
"""
STUDY = """# @package _global_
defaults:
  - override /task: flowers
  - override /model@baseline.model: logistic_regression
  - override /hydra/sweeper: study

study: own
seeds: [0]
arms: [clean=random_drop]
"""


def test_a_users_own_task_runs_in_his_study_and_in_a_report_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "conf" / "task").mkdir(parents=True)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "mine.py").write_text(OWN)
    (tmp_path / "conf" / "task" / "flowers.yaml").write_text("# flowers\n_target_: mine.flowers\nsize: 120\n")
    (tmp_path / "experiments" / "own.yaml").write_text(STUDY)
    ran = invoke.harness("-m", "experiments=own", *invoke.QUIET, folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    page = tmp_path / "results" / "own" / "index.html"
    names = json.loads(page.read_text().split('id="trials">')[1].split("</script>")[0])["rows"]
    assert names, "the command that ran the task shows its rows"
    closed = invoke.harness("report", "own", folder=tmp_path)
    assert closed.returncode == 0
    assert "the study's task is built by 'mine.flowers'" in closed.stderr
    assert "trust=mine.flowers allows it" in closed.stderr
    assert "own function ran" not in closed.stdout
    opened = invoke.harness("report", "own", "trust=mine.flowers", folder=tmp_path)
    assert "own function ran" in opened.stdout
    assert "no training rows" not in opened.stderr
