"""`harness votes`: the table by hand, beside Snorkel's, and as it is printed."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.commands.cli import main
from harness.commands.votes import analysis, totals

VOTES = np.array([[-1, 0, 0], [-1, -1, -1], [1, 0, -1], [-1, 0, -1], [0, 0, 0]], dtype=np.int8)
GOLD = np.array([0, 1, 1, -1, 1])


def test_the_table_by_hand() -> None:
    table = analysis(VOTES, GOLD)
    assert table["polarity"].tolist() == [[0, 1], [0], [0]]
    assert table["coverage"].tolist() == [0.4, 0.8, 0.4]
    assert table["overlaps"].tolist() == [0.4, 0.6, 0.4]
    assert table["conflicts"].tolist() == [0.2, 0.2, 0.0]
    assert table["correct"].tolist() == [1, 1, 1]
    assert table["incorrect"].tolist() == [1, 2, 1]
    assert table["accuracy"].to_numpy() == pytest.approx([1 / 2, 1 / 3, 1 / 2])


def test_accuracy_is_not_known_where_gold_is_not() -> None:
    table = analysis(VOTES, np.full(5, -1))
    assert table["accuracy"].isna().all()
    assert (table[["correct", "incorrect"]] == 0).all(axis=None)
    assert totals(VOTES, np.full(5, -1))["votes"] == "8"


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**20))
def test_the_table_is_snorkels(seed: int) -> None:
    from snorkel.labeling import LFAnalysis

    rng = np.random.default_rng(seed)
    votes, gold = rng.integers(-1, 3, size=(20, 4)), rng.integers(0, 3, size=20)
    votes[0] = [0, 1, 2, 0]  # everybody votes once: Snorkel calls the accuracy of one who never does 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        whole = LFAnalysis(votes)
        theirs, conflict = whole.lf_summary(gold), whole.label_conflict()
    ours = analysis(votes.astype(np.int8), gold)
    assert ours["polarity"].tolist() == [list(map(int, found)) for found in theirs["Polarity"]]
    for name, column in (
        ("coverage", "Coverage"), ("overlaps", "Overlaps"), ("conflicts", "Conflicts"), ("correct", "Correct"),
        ("incorrect", "Incorrect"), ("accuracy", "Emp. Acc."),
    ):  # fmt: skip
        assert ours[name].to_numpy() == pytest.approx(theirs[column].to_numpy(dtype=float)), name
    said = totals(votes.astype(np.int8), gold)
    shares = {"coverage": whole.label_coverage(), "overlap": whole.label_overlap(), "conflict": conflict}
    assert all(said[what].startswith(f"{100 * share:.1f} %") for what, share in shares.items())


def test_the_command_prints_a_line_a_voter(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["votes", "task=digits"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == [
        "polarity", "coverage", "overlaps", "conflicts", "correct", "incorrect", "accuracy"
    ]  # fmt: skip
    assert any(line.startswith("functions: 5") for line in out)
    assert any("have votes for different classes" in line for line in out)


def test_rules_are_named_in_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text("def bright(row):\n    return 1 if row.mean() > 80 else None\n")
    said = ["votes", "task=digits", "weak=rules", f"weak.path={tmp_path / 'mine.py'}", f"cache={tmp_path / 'cache'}"]
    assert main(said) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("bright"))
    assert line.split()[1] == "1"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (["youtube"], "'youtube' is not an override: write harness votes task=NAME"),
        (["task=roman_numerals", "task.path=nowhere"], "nowhere"),
        (["task=digits", "weak=rules"], "weak.path is required: set weak.path=…"),
        (["task=digits", "seed=-1"], "seed is -1"),
    ],
)
def test_wrong_words_are_told(said: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["votes", *said]) in (1, 2)
    assert message in capsys.readouterr().err


@pytest.mark.shared
def test_the_pool_alone_is_looked_at_and_columns_are_named(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["votes", "task=youtube", f"task.path={shared / 'tasks/wrench/youtube'}"]) == 0
    out = capsys.readouterr().out
    assert "rows: 1586" in out
    assert "coverage: 87.7 %" in out
    folder = shared / "tasks/medical_treat"
    said = ["task=folder", f"task.path={folder}", "task.modality=text", "task.label=distant"]
    assert main(["votes", *said, "task.votes=[distant,crowd,expert]", "task.gold=gold"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["distant", "crowd", "expert"]
