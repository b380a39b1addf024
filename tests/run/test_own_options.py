"""What is wrong with a user's own option is told in one line before anything runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from invoke import QUIET, SMALL, files_of, harness

from harness.commands.cli import main

YAML = """\
# drops nothing
_target_: mine.keep
_partial_: true
fits: [image, text, table]
needs: [probe]
share: 0.1
"""
MINE = "def keep(train, tools, *, share):\n    return train\n\n\nvalue = 3\n"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder of the user's own with `mine.py`; writes an option's YAML and returns what a trial of it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "broken.py").write_text("import numpy\nratio = 1 / 0\n")
    (tmp_path / "torn.py").write_text("import numpy\n\ndef keep(:\n")
    (tmp_path / "conf" / "clean").mkdir(parents=True)
    for name in ("mine", "broken", "torn"):  # another test's module of that name may be there
        sys.modules.pop(name, None)
    yield tmp_path
    for name in ("mine", "broken", "torn"):
        sys.modules.pop(name, None)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    before = files_of(Path.cwd())
    assert main(["clean=mine", *SMALL, *QUIET, *words]) == 2
    assert {path for path in files_of(Path.cwd()) if "__pycache__" not in path} == {
        path for path in before if "__pycache__" not in path
    }
    return [line.removeprefix("harness: ") for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("_partial_: true\n", "", "clean (mine.keep) lacks '_partial_: true': a strategy's function is called with the data later"),
        ("[image, text, table]", "[picture]", "clean.fits has the unknown word 'picture' (choose from: image, table, text)"),
        ("[image, text, table]", "image", "clean.fits is 'image': it must be a list, as in [image]"),
        ("[probe]", "[prob]", "clean.needs has the unknown word 'prob'; did you mean 'probe'? (choose from: "),
        ("needs: [probe]", "asks: [weigths]", "clean.asks has the unknown word 'weigths'; did you mean 'weights'?"),
        ("needs: [probe]", "asks: {drop: [soft]}", "clean.asks has the unknown word 'soft'"),
        ("needs: [probe]", "gives: [row]", "clean.gives has the unknown word 'row'; did you mean 'rows'?"),
        ("needs: [probe]", "lacks: [weight]", "clean.lacks has the unknown word 'weight'; did you mean 'weights'?"),
        ("fits:", "fit:", "clean has no parameter 'fit'; did you mean 'fits'? (choose from: share)"),
        ("mine.keep", "mine.kep", "clean: cannot find mine.kep: module mine (mine.py) has no 'kep'; did you mean 'keep'?"),
        ("mine.keep", "mien.keep", "clean: cannot find mien.keep: there is no module 'mien'; did you mean 'mine'?"),
        ("mine.keep", "keep", "clean: cannot find keep: 'keep' is not a dotted path such as mine.least_sure"),
        ("mine.keep", "broken.keep", "module broken cannot be imported: broken.py, line 2: ZeroDivisionError: division by zero"),
        ("mine.keep", "torn.keep", "module torn cannot be imported: torn.py, line 3: SyntaxError: invalid syntax"),
        ("mine.keep", "mine.value", "clean: mine.value is not a function"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_yaml_is_told_in_one_line(own, capsys, old, new, line):
    assert old in YAML
    (own / "conf" / "clean" / "mine.yaml").write_text(YAML.replace(old, new))
    said = told(capsys)
    assert len(said) == 1
    assert line in said[0]


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("+clena=confident", "unknown key 'clena'; did you mean 'clean'? (choose from: "),
        ("+experiment=quickstart", "unknown key 'experiment': a study is run as -m experiments=quickstart"),
        ("++seeed=3", "unknown key 'seeed'; did you mean 'seed'?"),
        ("+baseline.clena=x", "unknown key 'baseline.clena'; did you mean 'clean'?"),
        ("+protocol.epoch=3", "protocol has no parameter 'epoch'; did you mean 'epochs'?"),
        ("+task._partial_=true", "task (harness.tasks.digits.digits) has '_partial_: true'"),
    ],
)
def test_a_key_that_nothing_reads_is_refused(own, capsys, word, line):
    (own / "conf" / "clean" / "mine.yaml").write_text(YAML)
    assert any(line in one for one in told(capsys, word))


BREAKS = (
    "def keep(train, tools, *, share):\n    return helper(train)\n\n\ndef helper(train):\n    return train.nothing\n"
)


def test_a_trial_that_breaks_keeps_its_traceback_and_shows_the_users_frames(own, capsys):
    (own / "mine.py").write_text(BREAKS)
    (own / "conf" / "clean" / "mine.yaml").write_text(YAML)
    said = harness("clean=mine", *SMALL, *QUIET, folder=own)
    assert said.returncode == 1
    assert "AttributeError: 'TrainSet' object has no attribute 'nothing'" in said.stderr
    assert 'File "mine.py", line 6, in helper' in said.stderr
    assert "run_trial" not in said.stderr
    assert "retry=true" in said.stderr
    kept = next((own / "results" / "single" / "trials").glob("*.failed.json")).read_text()
    assert "harness/run/trial.py" in kept
    assert str(own) not in kept
    assert str(Path(sys.prefix)) not in kept
    log = (own / "results" / "single" / "log.txt").read_text()
    assert log.count("done in") == 1
    assert "failed: AttributeError" in log
    assert "line 6, in helper" in log
    whole = harness("clean=mine", "--debug", *SMALL, *QUIET, folder=own)
    assert "run_trial" in whole.stderr


def test_an_error_of_a_file_fails_its_trial_alone(own, capsys):
    (own / "mine.py").write_text("def keep(train, tools, *, share):\n    open('absent.txt')\n")
    (own / "conf" / "clean" / "mine.yaml").write_text(YAML)
    assert main(["clean=mine", *SMALL, *QUIET]) == 1
    assert "FileNotFoundError" in capsys.readouterr().err
    assert len(list((own / "results" / "single" / "trials").glob("*.json"))) == 2


STUDY = """\
# @package _global_
defaults:
  - override /model@baseline.model: mlp
  - override /hydra/sweeper: study
study: {name}
task: {{n_train: 120}}
protocol: {{steps: 10}}
seeds: [0, 1]
arms: [{arm}]
"""


def test_several_studies_run_in_turn_and_the_worst_exit_code_counts(own):
    (own / "experiments").mkdir()
    for name, arm in (("first", "clean=confident"), ("second", "clean=confidnt")):
        (own / "experiments" / f"{name}.yaml").write_text(STUDY.format(name=name, arm=arm))
    said = harness("-m", "experiments=first,second", *QUIET, folder=own)
    assert said.returncode == 2
    assert "study 1 of 2: first" in said.stderr
    assert "study 2 of 2: second" in said.stderr
    assert (own / "results" / "first" / "leaderboard.md").is_file()
    assert not (own / "results" / "second").exists()
