"""The command line from end to end: what is refused and how it is told, what fails and is kept, what a user adds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from invoke import PLAIN, QUIET, SMALL, files_of, harness, lasting, records
from PIL import Image

from harness.commands.cli import COMMANDS, main


class Said(NamedTuple):
    """An exit code, the lines on standard error, and all of standard output."""

    code: int
    lines: list[str]
    out: str


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The user's working directory: empty, and the environment as it was when the test is over."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["harness"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setenv("PYTHONPATH", "")
    return folder


@pytest.fixture
def say(here, capfd) -> Callable[..., Said]:
    """Runs a command in this process, in the user's working directory."""

    def run(*words: str) -> Said:
        capfd.readouterr()
        code = main([*words])
        out, err = capfd.readouterr()
        return Said(code, err.splitlines(), out)

    return run


@pytest.fixture
def refused(here, say) -> Callable[..., str]:
    """Runs a command that must be refused: exit code 2, one line, no trace of it on disk; returns the line."""

    def run(*words: str) -> str:
        before = set(here.rglob("*"))
        said = say(*words, *(QUIET[:1] if words[0] in COMMANDS else QUIET))  # a command of its own knows no config
        new = {path for path in set(here.rglob("*")) - before if here / "cache" not in (path, *path.parents)}
        assert said.code == 2
        assert said.out == ""
        assert len(said.lines) == 1
        assert new == set(), "a refused command leaves no trace"
        return said.lines[0].removeprefix("harness: ")

    return run


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["model=mlpp"], "model has no option 'mlpp'; did you mean 'mlp'?"),
        (["modle=mlp"], "the config has no parameter 'modle'; did you mean 'model'?"),
        (["task.n_trian=3"], "task has no parameter 'n_trian'; did you mean 'n_train'?"),
        (["model=mlp", "model.network.widht=3"], "model has no parameter 'network.widht'; did you mean 'network.width'?"),
        (["clean=oracle", "+clean.fnid=up"], "clean has no parameter 'fnid'; did you mean 'find'?"),
        (["clean.k=3"], "clean.k: choose the option first, as in clean=NAME clean.k=…"),
        (["+clean.k=3"], "clean is not an option: choose one, as in clean=NAME"),
        (["baseline.model=mlp"], "baseline.model is 'mlp', which is not an option: choose one, as in model@baseline.model=NAME"),
        (["hydra/launcher=joblibb"], "hydra/launcher has no option 'joblibb'; did you mean 'joblib'?"),
        (["quickstart"], "unknown command 'quickstart' (choose from: arms, ask, atlas, check, claims, curve, enter, init, merge, plan, publish, report, slices, tasks, verify, verify-entry, votes); options"),
        (["reprot", "quickstart"], "unknown command 'reprot'; did you mean 'report'?"),
        (["-m", "experiments=quickstrt"], "experiments has no option 'quickstrt'; did you mean 'quickstart'?"),
        (["experiments=quickstart"], "'quickstart' is a study: run it as harness -m experiments=quickstart"),
        (["protocol.lr=fast"], "protocol.lr is 'fast': it must be a number"),
        (["protocol.steps=0"], "protocol.steps is 0: it must be 1 or more"),
        (["protocol.batch_size=-1"], "protocol.batch_size is -1: it must be 1 or more"),
        (["protocol.lr=-1.0"], "protocol.lr is -1.0: it must be a finite number, 0 or more"),
        (["protocol.optimiser=adamm"], "protocol.optimiser is 'adamm'; did you mean 'adamw'?"),
        (["task.n_train=lots"], "task.n_train is 'lots': it must be a whole number or null"),
        (["task.n_train=3"], "task.n_train is 3, but there are 10 classes: give at least one row per class"),
        (["seed=a"], "seed is 'a': it must be a whole number, 0 or more"),
        (["threads=0"], "threads is 0: it must be a whole number, 1 or more"),
        (["retry=maybe"], "retry is 'maybe': it must be true or false"),
        (["study=../elsewhere"], "study is '../elsewhere': it names a folder"),
        (["device=gpu"], "device 'gpu' is not here; did you mean 'cpu'?"),
        (["augment=swap"], "augment (swap) is for text; task digits is image"),
        (["task=table", "model@baseline.model=mlp", "weak=majority_vote"], "weak (majority_vote) needs votes, which task table does not have"),
        (["task=youtube"], "task.path is required: set task.path=…"),
        (["task=youtube", "task.path=nowhere"], "task.path: there is no file or folder nowhere"),
        (["-m", "experiments=quickstart", "model=mlp,lenet"], "a study lists its arms: write arms=[…] or seeds=[…] instead of the sweep model=mlp,lenet"),
        (["-m", "experiments=quickstart", "seed=range(3)"], "a study lists its arms: write arms=[…] or seeds=[…] instead of the sweep seed=range(3)"),
        (["-m", "experiments=quickstart", "seed=3"], "a study lists its seeds: write seeds=[…]"),
        (["-m", "experiments=quickstart", "seeds=[a]"], "seeds is ['a']: it must be a list of whole numbers"),
        (["-m", "experiments=quickstart", "arms=5"], "5 is not an arm: an arm is an override or a list of overrides"),
        (["-m", "experiments=quickstart", "arms=[[]]"], "[] is not an arm: an arm is an override or a list of overrides"),
        (["-m", "experiments=quickstart", "design=square"], "design is 'square': it must be one_factor or factorial"),
        (["-m", "experiments=youtube"], "baseline: task.path is required: set task.path=…"),
        (["model=null"], "model=null chooses no option: leave it out, or choose one, as in model=NAME"),
        (["clean=[3]"], "clean=[3] chooses no option: leave it out, or choose one, as in clean=NAME"),
        (["-m", "clean=range(3)"], "clean=range(3) chooses no option"),
        (["experiments=3"], "experiments=3 chooses no option"),
        (["=3"], "'=3' says nothing before its '=': write group=NAME, or group.parameter=VALUE"),
        (["hydra.launcher=x"], "hydra.launcher=x would replace all settings of it: write hydra/launcher=NAME"),
        (["-m", "experiments=quickstart", "arms=['clean=true']"], "clean=true: clean=true chooses no option"),
        (["baseline=null"], "baseline is null: choose one, as in baseline=NAME"),
        (["protocol.warmup=-1.0"], "protocol.warmup is -1.0: it is a share of the steps, from 0 to 1"),
        (["protocol.folds=-1"], "protocol.folds is -1: cross-validation needs at least 2"),
        (["seed=100000000000000000000"], "seed is 100000000000000000000: it must be at most 9223372036854775807"),
        (["-m", "experiments=quickstart", "seeds=[100000000000000000000]"], "seed 100000000000000000000 is too large"),
        (["-m", "experiments=quickstart", 'arms=[["clean=oracle","clean=confident"]]'], "arm 'clean=oracle clean=confident' chooses clean twice"),
        (["report"], "name a study: harness report NAME [-v] [metric=roc_auc] [gold=FILE] [store=FOLDER] [task.path=FOLDER] [formats=pdf,svg] [--paper DIR]"),
        (["report", "nothing"], "no records of a study 'nothing' in results (choose from: nothing)"),
    ],
)  # fmt: skip
def test_wrong_input_is_told_in_one_line_and_leaves_no_trace(refused, words, line):
    assert refused(*words).startswith(line)


def test_an_argument_that_nobody_knows_ends_as_any_command_line_tool_does(say):
    with pytest.raises(SystemExit) as ended:
        say("--frobnicate")
    assert ended.value.code == 2


def test_all_faults_of_a_study_come_before_its_first_trial(say, here):
    arms = '["model=mlpp",["clean=oracle","clean.kk=3"],["clean=random_drop","+clean.k=1"],"clean=confident"]'
    said = say("-m", "experiments=quickstart", f"arms={arms}", *QUIET)
    assert said.code == 2
    assert said.lines == [
        "harness: model=mlpp: model has no option 'mlpp'; did you mean 'mlp'? (choose from: " + said.lines[0].split("(choose from: ")[1],
        "harness: clean=oracle clean.kk=3: clean has no parameter 'kk'; did you mean 'k'? (choose from: " + said.lines[1].split("(choose from: ")[1],
        "harness: clean=random_drop +clean.k=1: clean has no parameter 'k' (choose from: like)",
    ]  # fmt: skip
    assert not (here / "results").exists()


def test_all_arms_that_do_not_fit_are_told_before_the_first_trial(say, here):
    said = say("-m", "experiments=quickstart", 'arms=["augment=swap","model=kim_cnn","clean=confident"]', *QUIET)
    assert said.code == 2
    assert said.lines == [
        "harness: augment (swap) is for text; task digits is image",
        "harness: model (kim_cnn) is for text; task digits is image",
    ]
    assert not (here / "results").exists()


def text_rows(n: int = 60) -> pd.DataFrame:
    """Two classes of comments, one vote column of lists."""
    label = np.arange(n) % 2
    text = [f"{'buy now' if spam else 'nice song'} {i}" for i, spam in enumerate(label)]
    return pd.DataFrame({"text": text, "label": np.where(label, "spam", "ham"), "votes": [[int(v), -1] for v in label]})


def with_cell(rows: pd.DataFrame, column: str, row: int, value) -> pd.DataFrame:
    cells = rows[column].tolist()
    cells[row] = value
    return rows.assign(**{column: cells})


@pytest.mark.parametrize(
    ("rows", "words", "line"),
    [
        (text_rows(), ["task.label=lable"], "the train part has no column 'lable'; did you mean 'label'?"),
        (text_rows(), ["task.input=txt"], "the train part has no column 'txt'; did you mean 'text'?"),
        (text_rows(), ["task.classes=[ham,spam,other]"], "no labelled row of the train part is of class other"),
        (with_cell(text_rows(), "label", 4, "spm"), ["task.classes=[ham,spam]"], "'spm' in column 'label', row 4, is not a class; did you mean 'spam'?"),
        (text_rows().assign(label="spam"), [], "a task needs at least two classes, the labels name only: spam"),
        (text_rows().assign(label="spam"), ["task.classes=[ham,spam]"], "the train part has a single class, 'spam'"),
        (with_cell(text_rows(), "votes", 7, [1]), ["task.votes=votes"], "votes in column 'votes' have the wrong shape: row 7 has 1 votes, row 0 has 2"),
        (with_cell(text_rows(), "votes", 7, [1, 9]), ["task.votes=votes"], "'9' in column 'votes', row 7, is not a class"),
        (text_rows(), ["task.test=test*"], "task.test: nothing to read matches 'test*'"),
        (with_cell(text_rows(), "text", 3, None), [], "1 rows of the train part have no text in column 'text', the first is 3"),
        (text_rows(), ["task.test_fraction=0.0"], "task.test_fraction is 0.0"),
    ],
)  # fmt: skip
def test_wrong_data_is_told_in_one_line_and_leaves_no_trace(refused, here, rows, words, line):
    (here / "data").mkdir()
    rows.to_parquet(here / "data" / "train.parquet")
    told = refused(
        "task=folder", "task.path=data", "task.modality=text", "task.cache=cache",
        "model@baseline.model=logistic_regression", *words,
    )  # fmt: skip
    assert told.startswith(line)


def test_a_missing_folder_is_told(refused):
    told = refused("task=folder", "task.path=no/such/folder", "task.cache=cache", *SMALL[1:])
    assert told == "task.path: there is no file or folder no/such/folder"


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_empty_part_is_told(refused, here, part):
    (here / "data").mkdir()
    for name in ("train", "test"):
        rows = text_rows() if name != part else text_rows().iloc[:0]
        rows.to_csv(here / "data" / f"{name}.csv", index=False)
    told = refused(
        "task=folder", "task.path=data", "task.test=test.csv", "task.modality=text", "task.cache=cache",
        "model@baseline.model=logistic_regression",
    )  # fmt: skip
    assert f"{part}.csv" in told or f"the {part} part is empty" in told


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.inf, "2 features are infinite, the first in column 'b', row 3"),
        (np.nan, "model (mlp) cannot take missing values, and task table has 2: use clean=impute"),
    ],
)
def test_features_that_are_no_numbers_are_counted(refused, here, value, said):
    rows = pd.DataFrame({"a": np.arange(40.0), "b": np.arange(40.0) % 7, "label": np.arange(40) % 2})
    rows.loc[[3, 5], "b"] = value
    rows.to_parquet(here / "table.parquet")
    told = refused("task=table", "task.path=table.parquet", "task.label=label", "task.cache=cache", *SMALL[2:])
    assert said in told


def test_broken_images_are_counted_and_the_first_is_named(refused, here):
    for kind in ("a", "b"):
        (here / "data" / kind).mkdir(parents=True)
        for i in range(8):
            Image.new("L", (8, 8), 30 * i).save(here / "data" / kind / f"{i}.png")
    for name in ("a/3.png", "b/5.png"):
        (here / "data" / name).write_bytes(b"\x89PNG and then nothing")
    told = refused("task=folder", "task.path=data", "task.image_size=8", "task.cache=cache", *SMALL[1:])
    assert told.startswith(
        "2 of 16 images in column 'image' are missing or broken (2 of no known format), the first is '"
    )
    assert "a/3.png'" in told


def test_a_store_that_is_a_file_is_told_in_one_line(say, here):
    (here / "results").write_text("mine")
    said = say("model=lenet", *SMALL, *QUIET)
    assert said.code == 1
    assert len(said.lines) == 1
    assert "cannot read or write" in said.lines[0]
    assert (here / "results").read_text() == "mine"


def test_a_trial_is_printed_beside_its_control_and_found_the_second_time(say, here):
    first = say("model=lenet", *SMALL, *QUIET)
    assert first.code == 0
    assert first.lines == []
    assert first.out.startswith("model=lenet, seed 0: accuracy ")
    kept = files_of(here / "results" / "single" / "trials")
    assert len(kept) == 2
    assert say("model=lenet", *SMALL, *QUIET) == first
    assert files_of(here / "results" / "single" / "trials") == kept


def test_the_report_of_single_trials_comes_from_the_records_alone(say, here):
    say("model=lenet", *SMALL, *QUIET)
    kept = files_of(here / "results" / "single" / "trials")
    said = say("report", "single", "store=results")
    assert said.code == 0
    assert said.lines == []
    assert said.out == f"{(here / 'results' / 'single' / 'answer.txt').read_text()}\nresults/single/index.html\n"
    told = say("report", "single", "-v", "store=results").out
    board, _, paths = told.partition("\n\nresults/")
    assert board.strip() == (here / "results" / "single" / "leaderboard.md").read_text().strip()
    assert all((here / path).is_file() for path in f"results/{paths}".split())
    assert "`model=lenet`" in (here / "results" / "single" / "leaderboard.md").read_text()
    assert files_of(here / "results" / "single" / "trials") == kept
    misspelt = say("report", "singel", "store=results")
    assert misspelt.lines == [
        "harness: no records of a study 'singel' in results; did you mean 'single'? (choose from: single)"
    ]


def test_a_diverged_loss_is_a_failed_trial_that_is_run_again_on_request(say, here):
    words = ("model=lenet", *SMALL, *QUIET, "protocol.lr=1e30", "protocol.optimiser=sgd", "protocol.precision=fp32")
    said = say(*words)
    assert said.code == 1
    assert len(said.lines) == 2
    assert "diverged" in said.lines[0]
    trials = here / "results" / "single" / "trials"
    kept = files_of(trials)
    assert len(kept) == 2
    assert all(name.endswith(".failed.json") for name in kept)
    assert all(
        "diverged" in record["reason"] and record["result"] is None for record in records(trials.parent).values()
    )
    assert say(*words) == said
    assert files_of(trials) == kept, "a failed trial stands until it is asked for again"
    assert say(*words, "retry=true") == said
    again = files_of(trials)
    assert again.keys() == kept.keys()
    assert all(again[name] > kept[name] for name in kept)


MINE = '''
"""A user's own strategies."""
import numpy as np


def drop(train, tools, *, what):
    """Drops a class, or everything."""
    keep = train.classes != 4 if what == "class" else np.zeros(len(train), dtype=bool)
    return train.rows(keep)
'''
OPTION = """# drops too much
_target_: mine_{name}.drop
_partial_: true
fits: [image]
what: {what}
"""


@pytest.mark.slow
def test_a_users_own_strategy_that_drops_too_much_fails_alone(here):
    """One function and one YAML in the working directory are an option, which workers import as well."""
    (here / "conf" / "clean").mkdir(parents=True)
    (here / "mine_here.py").write_text(MINE)
    for what in ("class", "all"):
        (here / "conf" / "clean" / f"mine_{what}.yaml").write_text(OPTION.format(name="here", what=what))
    study = (
        "-m",
        "experiments=quickstart",
        'arms=["clean=mine_class","clean=mine_all","clean=confident"]',
        "cross=[]",
        "seeds=[0,1]",
    )
    said = harness(*study, *SMALL, *QUIET, folder=here)
    assert said.returncode == 1
    assert "Traceback" not in said.stderr
    assert said.stderr.splitlines()[-1].startswith("harness: 4 trials failed (retry=true runs them again)")
    found = records(here / "results" / "quickstart")
    assert len(found) == 8
    reasons = {record["arm"]: record["reason"] for record in found.values()}
    assert reasons["clean=mine_class"] == "clean (drop) left no row of 1 of 10 classes, the first is class 4"
    assert reasons["clean=mine_all"] == "clean (drop) left no labelled row of 120"
    assert {reasons["baseline"], reasons["clean=confident"]} == {None}
    board = (here / "results" / "quickstart" / "leaderboard.md").read_text()
    for arm in ("clean=mine_class", "clean=mine_all"):
        row = next(line for line in board.splitlines() if line.startswith("|") and f"`{arm}`" in line)
        assert "2/2" in row
        assert f"Failed: {arm}, seeds 0, 1: {reasons[arm]}" in board


def test_a_users_own_study_and_option_are_found_from_any_folder(say, here):
    (here / "conf" / "clean").mkdir(parents=True)
    (here / "experiments").mkdir()
    (here / "mine_inside.py").write_text(MINE)
    (here / "conf" / "clean" / "mine.yaml").write_text(OPTION.format(name="inside", what="class"))
    (here / "experiments" / "own.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /hydra/sweeper: study\nstudy: own\nseeds: [0]\narms: [clean=mine]\n"
    )
    said = say("clean=mine", *SMALL, *QUIET)
    assert said.code == 1
    assert said.lines == [
        "harness: clean=mine, seed 0: clean (drop) left no row of 1 of 10 classes, the first is class 4",
        "harness: retry=true runs failed trials again",
    ]
    assert "did you mean 'mine'?" in say("clean=mien", *SMALL, *QUIET).lines[0]
    assert "did you mean 'own'?" in say("-m", "experiments=onw", *QUIET).lines[0]


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    """One plain sweep on each launcher, and one of its trials by itself, each in a store of its own."""
    folder = tmp_path_factory.mktemp("swept")
    sweep = ("-m", "model=mlp,lenet", "seed=0,1", *SMALL, "cache=cache", "track=none")
    for name, words in {
        "basic": (*sweep, "hydra/launcher=basic"),
        "joblib": (*sweep, "hydra/launcher=workers"),
        "single": ("model=lenet", "seed=1", *SMALL, "cache=other", "track=none"),
    }.items():
        said = harness(*words, f"store={name}", folder=folder)
        assert (said.returncode, said.stderr) == (0, "")
    return folder


@pytest.mark.slow
def test_a_trial_is_the_same_on_every_launcher_and_by_itself(swept):
    basic, joblib, single = (lasting(records(swept / name / "single")) for name in ("basic", "joblib", "single"))
    assert len(basic) == 4
    assert basic == joblib
    assert len(single) == 2
    assert single == {key: basic[key] for key in single}


@pytest.mark.slow
def test_a_sweep_that_does_not_fit_or_fails_says_so(here):
    said = harness("-m", "augment=cutout,swap", *SMALL, *QUIET, folder=here)
    assert said.returncode == 2
    assert "Traceback" not in said.stderr
    assert said.stderr.splitlines()[-1] == "harness: augment (swap) is for text; task digits is image"


HEADED = "# @package _global_\n# Asks nothing.\ndefaults:\n  - override /hydra/sweeper: study\nstudy: mine\n"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (HEADED + "protocl: {steps: 5}\narms: [model=mlp]\n", "unknown key 'protocl'; did you mean 'protocol'?"),
        (HEADED + "seeds: {a: 1}\narms: [model=mlp]\n", "mine.yaml, line 6: seeds is a mapping: it must be a list"),
        (HEADED + "seed: 3\narms: [model=mlp]\n", "a study lists its seeds: write seeds: [3] instead of seed: 3"),
        ("study: mine\narms: [model=mlp]\n", "the study's file must begin with the line '# @package _global_'"),
        (
            "# @package _global_\nstudy: mine\narms: [model=mlp]\n",
            "the file of study 'mine' needs, under defaults, the",
        ),
        (
            HEADED.replace("defaults:\n", "defaults:\n  - override /clean@baseline.clean: 3\n") + "arms: [model=mlp]\n",
            "mine.yaml, line 4: defaults: override /clean@baseline.clean is no name: write GROUP: NAME",
        ),
        (HEADED + "arms: [model=mlp\nx: {\n", "mine.yaml, line 7, column 2: expected ',' or ']', but got ':'"),
        ((HEADED + "arms: [model=mlp]\n").encode("utf-16"), "a YAML file cannot be read as UTF-8"),
    ],
)
def test_mistakes_in_the_file_of_a_study_are_told_in_one_line(say, here, content, line):
    """Without the sweeper's line Hydra keeps its own note of a sweep under the store, and nothing else."""
    (here / "experiments").mkdir()
    (here / "experiments" / "mine.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    said = say("-m", "experiments=mine", *QUIET)
    assert (said.code, len(said.lines)) == (2, 1)
    assert line in said.lines[0]
    assert not list(here.rglob("trials"))


def test_no_place_and_no_workers_are_refused(say):
    assert say("store=null").lines == ["harness: store is None: it names a folder, as in store=FOLDER"]
    said = say("-m", "experiments=quickstart", "hydra.launcher.n_jobs=0", *PLAIN)
    assert said.lines == ["harness: hydra.launcher.n_jobs is 0: give the number of workers, or -1 for one a core"]
