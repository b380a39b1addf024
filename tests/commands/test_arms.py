"""`harness arms`: what fits a task, what does not and why; and the table of arms in the docs."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT, options

from harness.arm import FACTORS
from harness.commands.arms import options_as_markdown
from harness.commands.cli import main


@pytest.fixture(scope="module")
def table() -> str:
    return options_as_markdown()


def test_each_option_of_a_task_is_listed_with_the_reason_where_it_does_not_fit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["arms", "task=table", "model@baseline.model=logistic_regression", "track=none"]) == 0
    said = capsys.readouterr().out
    for group in FACTORS:
        for name in options(group):
            assert f"{group}={name} " in said
    line = {words[0]: words[1] for words in (row.split(maxsplit=1) for row in said.splitlines() if "=" in row)}
    assert line["augment=flip"] == "does not fit: is for image; task table is table"
    assert line["weak=majority_vote"] == "does not fit: needs votes, which task table does not have"
    assert not line["model=mlp"].startswith("does not fit")
    assert not line["clean=confident"].startswith("does not fit")


def test_a_baseline_that_does_not_fit_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["arms", "clean", "task=table", "track=none"]) == 0
    said = capsys.readouterr().out
    assert said.count("model (lenet) is for image") == 1
    assert "model=mlp" not in said
    confident = next(line for line in said.splitlines() if "clean=confident " in line)
    assert "does not fit" not in confident


def test_an_option_of_the_users_own_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "conf" / "clean"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# drops what I dislike\n_target_: harness.strategies.none\n_partial_: true\n")
    monkeypatch.chdir(tmp_path)
    assert main(["arms", "clean", "track=none"]) == 0
    assert "clean=mine " in (said := capsys.readouterr().out)
    assert "drops what I dislike" in said


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["cleen"], "unknown group 'cleen'; did you mean 'clean'?"),
        (["task=youtube"], "task.path is required"),
        (["task=yutube"], "did you mean 'youtube'?"),
    ],
)
def test_wrong_words_are_told(words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["arms", *words]) == 2
    assert reason in capsys.readouterr().err


def test_the_table_in_the_docs_is_the_options_own(table: str) -> None:
    assert (ROOT / "docs" / "arms.md").read_text().endswith(table + "\n"), "run `make readme`"


def test_every_option_stands_in_the_table_with_what_it_does(table: str) -> None:
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
    named = {row[0].removeprefix("| ").split("`")[1] for row in rows}
    assert named == {f"{group}={name}" for group in FACTORS for name in options(group)}
    assert all(len(row[1]) > 10 for row in rows)


def test_options_stand_below_their_family(capsys: pytest.CaptureFixture[str], table: str) -> None:
    assert main(["arms", "clean", "task=table", "model@baseline.model=mlp", "track=none"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines.index("duplicates") < next(i for i, line in enumerate(lines) if line.startswith("clean=duplicates "))
    assert lines.index("label errors") < lines.index("duplicates") < lines.index("leaks")
    assert table.index("### Cleaning: leaks") < table.index("`clean=leaks`") < table.index("### Cleaning: outliers")


@pytest.mark.parametrize(
    ("family", "line"),
    [("", "  other\n"), ("family: leeks\n", "clean.family=leeks is not known; did you mean 'leaks'?")],
)
def test_an_option_without_a_family_is_listed_last_and_a_wrong_one_is_told(
    family: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "conf" / "clean"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text(
        f"# drops what I dislike\n_target_: harness.strategies.none\n{family}_partial_: true\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["arms", "clean", "track=none"]) == 0
    assert line in capsys.readouterr().out
    told = main(["clean=mine", "task=table", "model@baseline.model=mlp", "track=none", f"store={tmp_path}/store"])
    assert (told == 2) == (family != "")
    assert family == "" or line in capsys.readouterr().err
