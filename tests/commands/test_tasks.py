"""`harness tasks`: what is listed, and whether a folder holds the data of a task."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from conftest import composed, options

from harness.commands.cli import main
from harness.run.options import identity

KNOWN = [name for name in options("task") if composed(f"task={name}").task.get("provenance")]


def test_every_task_is_listed_with_where_its_data_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks"]) == 0
    said = capsys.readouterr().out
    parts = dict(re.findall(r"^task=(\w+)\n((?:  .*\n)+)", said, re.M))
    assert set(parts) == set(options("task"))
    assert {name for name, text in parts.items() if "  source: " in text and "licence: " in text} == set(KNOWN)
    assert "comes with the program" in parts["digits"]
    assert "yours, at task.path" in parts["folder"]
    assert "github.com/JieyuZ2/wrench" in parts["sms"]


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_known_of_a_tasks_data_is_whole_and_no_part_of_a_trials_identity(name: str) -> None:
    node = composed(f"task={name}").task
    assert set(node.provenance) == {"source", "licence", "get", "fingerprint"}
    assert re.fullmatch("[0-9a-f]{64}", node.provenance.fingerprint)
    assert "provenance" not in identity({"path": "p", "provenance": dict(node.provenance)})


def test_a_check_says_whether_it_is_that_data(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "youtube"
    shutil.copytree(shared / "tasks" / "wrench" / "youtube", folder)
    assert main(["tasks", "check", str(folder), "youtube"]) == 0
    assert "is the data of task=youtube" in capsys.readouterr().out
    text = (folder / "valid.json").read_text()
    (folder / "valid.json").write_text(text.replace("subscribe", "unsubscribe", 1))
    assert main(["tasks", "check", str(folder), "youtube"]) == 1
    assert "can be read as task=youtube, and is other data" in capsys.readouterr().out


def test_a_check_without_a_name_finds_the_task(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "check", str(shared / "tasks" / "sst2")]) == 0
    assert "is the data of task=sst2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["chek"], "tasks has no 'chek': write harness tasks, or harness tasks check PATH [NAME]"),
        (["check"], "name what to check"),
        (["check", "nowhere"], "there is nothing at nowhere"),
        (["check", ".", "yotube"], "'yotube' is no task whose data is known; did you mean 'youtube'?"),
        (["check", ".", "youtube"], "cannot be read as youtube: "),
    ],
)
def test_what_cannot_be_checked_is_refused(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tasks", *words]) == 2
    assert said in capsys.readouterr().err
