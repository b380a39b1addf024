"""Test labels that nobody verified: how many wrong ones would turn the verdict, which to verify, and what answers change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from studies import keep, made_test_set, record

from harness.analysis.study import gather
from harness.errors import BadInput
from harness.report.closing import answer_paragraphs
from harness.report.verification import VERIFY, filled_in, read_verified
from harness.report.write import ANSWER, rebuild
from harness.storage.store import Store

N, SEEDS = 120, range(3)
TEST = made_test_set(N, 3)


def right_on(count: int, seed: int) -> np.ndarray:
    """Predictions that are right on the first `count` rows, one row less or more by seed, and name the next class else."""
    return np.where(np.arange(N) < count + seed - 1, TEST.y, (TEST.y + 1) % 3)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """A study in which data gain 10 rows more than the model on labels as they were given: the rows 80 to 89."""
    made = Store(tmp_path_factory.mktemp("unverified") / "study")
    arms = {
        "baseline": ("none", (), 70),
        "model=mlp": ("model", ("model",), 80),
        "clean=confident": ("data", ("clean",), 90),
    }
    records = [
        record(made, arm, seed, right_on(count, seed), TEST, axis=axis, factors=factors)
        for arm, (axis, factors, count) in arms.items() for seed in SEEDS
    ]  # fmt: skip
    keep(made, [one | {"facts": {**one["facts"], "test_labels": "given"}} for one in records])
    return made


@pytest.fixture(autouse=True)
def few_redraws(monkeypatch):
    monkeypatch.setattr("harness.analysis.study.REDRAWS", 200)


@pytest.fixture(scope="module")
def found(store):
    return gather(store)


def test_as_few_wrong_labels_as_it_says_take_the_lead_away_and_no_fewer_do(store, found):
    count = found.label_errors.sign
    # A label in the class that the model names moves a row from +1 to -1: 10 rows ahead need 5 of them.
    assert (count, found.label_errors.differ) == (5, 12)
    for wrong, ahead in ((count - 1, True), (count, False)):
        labels = {f"t{row}": (row + 1) % 3 for row in range(81, 81 + wrong)}
        assert (gather(store, verified=labels).attribution.ladder.difference.value > 1e-9) == ahead


def test_the_verdict_is_undecided_by_as_many_wrong_labels_as_it_says(store, found):
    count = found.label_errors.turn
    assert 0 < count <= found.label_errors.sign
    assert found.attribution.verdict.word == "data"
    labels = {f"t{row}": (row + 1) % 3 for row in range(81, 81 + count)}
    assert gather(store, verified=labels).attribution.verdict.word == "undecided"


def test_the_answer_says_first_how_many_wrong_labels_would_turn_it_and_what_to_verify(found):
    (head, caution), (_, verdict), *_, (_, after) = answer_paragraphs(found)
    errors = found.label_errors
    assert head == "Caution"
    assert (
        f"{errors.turn} wrong ones of the 120 test labels, all in one direction, would leave the verdict undecided."
        in caution
    )
    assert "5 wrong ones of the 120 test labels, all in one direction, would reverse it." in caution
    assert (
        "Only the 12 rows count on which the two chosen arms differ, none of them verified (verify_these.csv)."
        in caution
    )
    assert verdict.startswith("Held back until test labels are verified: ") == (errors.turn <= 0.033 * N)
    assert after.startswith("Verify test labels: fill in the column gold of verify_these.csv (20 rows")


def test_rows_on_which_the_two_arms_differ_come_first_and_those_that_no_answer_moves_last(found):
    rows = found.to_verify
    assert [row.differ for row in rows] == [True] * 12 + [False] * 8
    assert {row.id for row in rows[:12]} == {f"t{row}" for row in range(79, 91)}
    assert {row.id for row in rows[:8]} <= {f"t{row}" for row in range(80, 90)}
    assert {"t79", "t90"} <= {row.id for row in rows[8:12]}
    assert all(row.given == f"class {int(row.id[1:]) % 3}" for row in rows)


def test_answers_are_kept_and_used_and_the_records_are_not_touched(store):
    before = {path: path.read_bytes() for path in (store.folder / "trials").iterdir()}
    cells = {"t85": {"text": "=late", "gold": "7"}}
    rebuild(store.folder, read_cells=lambda ids: {name: cells[name] for name in ids if name in cells})
    sheet = store.folder / VERIFY
    lines = sheet.read_text().splitlines()
    assert (lines[0], len(lines)) == ("id,text,gold (data),given,gold", 21)
    assert "t85,'=late,7,class 1," in lines
    wrong = [f"t{row}" for row in range(79, 91)]
    answered = [
        f"{line}class {(int(line.split(',')[0][1:]) + 1) % 3}" if line.split(",")[0] in wrong else line
        for line in lines
    ]
    sheet.write_text("\n".join([*answered, "other,,,,class 0"]) + "\n")
    said: list[str] = []
    rebuild(store.folder, tell=said.append)
    assert any("has 13 verified labels: harness report study gold=verify_these.csv" in line for line in said)
    assert len(filled_in(sheet)) == 13
    said.clear()
    made = rebuild(store.folder, tell=said.append, gold=sheet)
    assert made[0].parent == store.folder / "verified"
    assert said[0].startswith(f"gold: 12 of 120 test labels are verified by {sheet}, 12 of them are not as given; ")
    assert "1 labels of" in said[1]
    answer = " ".join((store.folder / "verified" / ANSWER).read_text().split())
    assert "12 of the 120 test labels are verified" in answer
    assert "All 12 rows on which the two chosen arms differ are verified" in answer
    assert "better model is worth 8.33 points of accuracy more than better data" in answer
    assert {path: path.read_bytes() for path in (store.folder / "trials").iterdir()} == before
    assert "12 of the 120" not in (store.folder / ANSWER).read_text()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("id,given\nt1,class 1\n", "has no column 'gold'"),
        ("id,given,gold\nt1,class 1,\n", "no cell of the column 'gold' is filled in"),
        ("id,given,gold\nt1,class 1,clas 2\n", "'clas 2', the label of 't1', is no class; did you mean 'class 2'?"),
        ("id,given,gold\nt1,class 1,class 2\nt1,class 1,class 0\n", "'t1' has two labels, 'class 2' and 'class 0'"),
        ("id,given,gold\nx1,class 1,class 2\n", "none of its ids is a test row of the study"),
        ("id,given,gold\nt1,class 2,class 2\n", "'t1' has the given label 'class 2', in the study it is 'class 1'"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused_with_the_row(store, tmp_path: Path, text, line):
    path = tmp_path / "answers.csv"
    path.write_text(text)
    with pytest.raises(BadInput) as refused:
        read_verified(path, store)
    assert line in str(refused.value)
