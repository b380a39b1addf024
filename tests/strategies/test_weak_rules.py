"""Rules and answers that people wrote, as files: what they say on rows, what they cost, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import composed, train_set
from test_weak import published

from harness.conformance.small_sets import tools_with
from harness.data import Source, TrainSet
from harness.errors import BadInput
from harness.run.config import plain
from harness.run.fitting import misfits
from harness.run.options import build
from harness.run.trial import Place, Trial, run_trial
from harness.storage.cache import Cache
from harness.strategies import Strategy, Tools
from harness.strategies.weak import crowd, majority_vote, rules
from harness.strategies.weak import user_rules as of_user
from harness.strategies.weak.answers import crowd_votes as answered
from harness.streams import stream

CLASSES = ("ham", "spam")
HEAD = "lf\tlabel\tregex"


def majority(train: TrainSet, tools: Tools) -> TrainSet:
    return majority_vote(train, tools, labels="hard", ties="soft")


THEN: Strategy = majority


@pytest.fixture
def four() -> TrainSet:
    """Two texts without a label, two with one; the task's own votes are of a single voter."""
    x = np.array(["Buy NOW", "see you at home", "buy a home", "hello"])
    return train_set(x, [-1, -1, 0, 1], 2, np.array([[1], [-1], [-1], [0]]))


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    counted: dict[str, int] = {}
    lent = tools_with(
        stream(0, "weak"), Cache(tmp_path / "cache"), classes=CLASSES,
        count=lambda what, number: counted.update({what: counted.get(what, 0) + number}),
    )  # fmt: skip
    return replace(lent, valid=lambda: counted)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, str], str]:
    def write(name: str, text: str) -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_a_table_of_rules_votes_by_its_regexes_whatever_their_case(four: TrainSet, tools: Tools, file: Any) -> None:
    path = file("rules.tsv", f"{HEAD}\nbuy\tspam\t^buy\nhome\tham\thome\nbuy\tham\thello\n")
    names, votes = of_user.rule_votes(four, path, CLASSES, tools.cache)
    assert names == ["buy", "home"]
    assert votes.tolist() == [[1, -1], [-1, 0], [1, 0], [0, -1]]
    after = rules(four, tools, path=path, rows="unlabelled", then=THEN)
    assert np.allclose(after.y, [[0, 1], [1, 0], [1, 0], [0, 1]])
    assert list(after.w) == [1, 1, 1, 1]
    assert after.votes.tolist() == four.votes.tolist()
    assert tools.valid() == {"rules": 3}


def test_rules_may_replace_given_labels_where_that_is_said(four: TrainSet, tools: Tools, file: Any) -> None:
    path = file("rules.tsv", f"{HEAD}\n1\t1\thome\n")
    assert list(rules(four, tools, path=path, rows="all", then=THEN).classes) == [0, 1, 1, 1]
    given = four.rows(four.labelled)
    with pytest.raises(BadInput, match=r"set weak\.rows=all"):
        rules(given, tools, path=path, rows="unlabelled", then=THEN)


def test_a_table_of_rules_is_read_as_any_other_table(four: TrainSet, tools: Tools, tmp_path: Path) -> None:
    """A byte order mark, quoted cells with tabs and doubled marks, and empty lines, as spreadsheets write them."""
    text = '\ufefflf\tlabel\tregex\n\none\tspam\t"buy\t?now|say ""no"""\n'
    (tmp_path / "rules.tsv").write_text(text, encoding="utf-8")
    said = replace(four, x=np.array(['SAY "no"', "buynow", "say no", "hello"]))
    names, votes = of_user.rule_votes(said, str(tmp_path / "rules.tsv"), CLASSES, tools.cache)
    assert names == ["one"]
    assert votes[:, 0].tolist() == [1, 1, -1, -1]
    (tmp_path / "rules.tsv").write_bytes(f"{HEAD}\none\tspam\tcaf".encode() + b"\xe9\n")
    with pytest.raises(BadInput, match=r"rules\.tsv, line 2, is not UTF-8"):
        of_user.rule_votes(said, str(tmp_path / "rules.tsv"), CLASSES, tools.cache)


PYTHON = """
import re
from math import floor
LIMIT = 8
def _short(row):
    return len(row) < LIMIT
def short(row):
    return "spam" if _short(row) else None
def number(row):
    return 0 if "home" in row else -1
"""


def test_a_python_file_votes_by_its_public_functions(four: TrainSet, tools: Tools, file: Any) -> None:
    names, votes = of_user.rule_votes(four, file("rules.py", PYTHON), CLASSES, tools.cache)
    assert names == ["short", "number"]
    assert votes.tolist() == [[1, -1], [-1, 0], [-1, 0], [1, -1]]


def test_a_rule_sees_a_row_of_any_kind(tools: Tools, file: Any) -> None:
    table = train_set(np.array([[1.0, 5.0], [7.0, 2.0]], dtype=np.float32), [-1, -1], 2)
    path = file("rules.py", "def larger(row):\n    return row.argmax()\n")
    assert list(rules(table, tools, path=path, rows="all", then=THEN).classes) == [1, 0]


def test_votes_are_kept_by_the_content_of_rows_and_file(four: TrainSet, tools: Tools, file: Any) -> None:
    path = file("rules.tsv", f"{HEAD}\n1\t1\thome\n")
    first = of_user.rule_votes(four, path, CLASSES, tools.cache)[1]
    assert not tools.cache.charged
    again = of_user.rule_votes(four, file("copy.tsv", f"{HEAD}\n1\t1\thome\n"), CLASSES, tools.cache)[1]
    assert np.array_equal(first, again)
    assert tools.cache.charged
    other = of_user.rule_votes(four, file("rules.tsv", f"{HEAD}\n1\t1\thello\n"), CLASSES, tools.cache)[1]
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "rules.tsv",
            f"{HEAD}\n1\tspam\t(buy\n",
            r"rules\.tsv, line 2: '\(buy' is not a regular expression: missing \)",
        ),
        (
            "rules.tsv",
            f"{HEAD}\n1\tspam\tbuy\n\n2\tspan\tbuy\n",
            r"line 4: 'span' is not a class.*did you mean 'spam'\?",
        ),
        ("rules.tsv", f"{HEAD}\n1\t2\tbuy\n", r"line 2: '2' is not a class of this task .*its number, 0 to 1"),
        ("rules.tsv", "lf\tregex\n1\tbuy\n", "must name the columns lf, label, regex; label is missing"),
        ("rules.tsv", f"{HEAD}\n1\tspam\n", "line 2, has 2 fields, and the first line names 3"),
        ("rules.tsv", f"{HEAD}\n", "holds no rule"),
        ("rules.tsv", "", "rules.tsv is empty"),
        ("rules.tsv", f"{HEAD}\n1\tspam\t\n", r"rules\.tsv, line 2: the cell 'regex' is empty"),
        ("rules.tsv", f'{HEAD}\n1\tspam\t"free" now\n', r"rules\.tsv, line 2.*quotation mark"),
        ("rules.tsv", f"{HEAD}\n1\tspam\tnothing like it\n", "none of the 1 rules votes on any of the 2 rows"),
        ("rules.txt", HEAD, r"a table of regexes \(\.tsv\) or a Python file \(\.py\)"),
        ("rules.py", "def _hidden(row):\n    return 1\n", "defines no public function"),
        (
            "rules.py",
            "def two(row, more):\n    return 1\n",
            r"'two' does not take one row; a helper's name begins with",
        ),
        ("rules.py", "def odd(row):\n    return 7\n", "rule 'odd' said 7 is not a class of this task"),
        (
            "rules.py",
            "def odd(row):\n    return 'span'\n",
            "rule 'odd' said 'span' is not a class.*did you mean 'spam'",
        ),
        ("rules.py", "def odd(row):\n    return True\n", "rule 'odd' said True is not a class of this task"),
        ("rules.py", "def odd(row):\n    return 0.5\n", r"rule 'odd' said 0\.5 is not a class of this task"),
        ("rules.py", "def odd(row):\n    return 1 / 0\n", "rule 'odd' failed on row 'r0': ZeroDivisionError"),
        ("rules.py", "def odd(row)\n", r"rules\.py does not run: SyntaxError"),
    ],
)
def test_a_wrong_file_of_rules_is_told(
    four: TrainSet, tools: Tools, file: Any, name: str, text: str, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        rules(four, tools, path=file(name, text), rows="unlabelled", then=THEN)


def test_rules_that_are_not_there_or_not_for_these_rows_are_told(four: TrainSet, tools: Tools, file: Any) -> None:
    with pytest.raises(BadInput, match=r"there is no file nowhere\.tsv"):
        rules(four, tools, path="nowhere.tsv", rows="all", then=THEN)
    table = train_set(np.zeros((1, 2), np.float32), [-1], 2)
    with pytest.raises(BadInput, match="regexes are for texts"):
        rules(table, tools, path=file("rules.tsv", f"{HEAD}\n1\t1\thome\n"), rows="all", then=THEN)


# Answers of a crowd


def test_answers_become_votes_and_are_counted(four: TrainSet, tools: Tools, file: Any) -> None:
    path = file(
        "answers.csv", "worker,row,label,note\nann,r0,spam,x\nbob,r0,spam,\nann,r2,spam,\nbob,r1,,\nann,v9,ham,\n"
    )
    names, votes = answered(four, path, CLASSES, tools.cache)
    assert names == ["ann", "bob"]
    assert votes.tolist() == [[1, 1], [-1, -1], [1, -1], [-1, -1]]
    after = crowd(four, tools, path=path, then=THEN)
    assert list(after.classes) == [1, 0, 1, 1]
    assert list(after.w) == [1, 0, 1, 1]
    assert after.votes.tolist() == four.votes.tolist()
    assert tools.valid() == {"votes": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row,label\nr0,spam\n", "has no column 'worker': answers need the columns row, worker, label"),
        (
            "row,worker,label\nx1,ann,spam\n",
            r"no answer belongs to a row of the training set; it names 'x1' …, the set's",
        ),
        ("row,worker,label\nr0,ann,spam\n\nr0,bob,span\n", r"line 4: 'span' is not a class.*did you mean 'spam'"),
        ("row,worker,label\nr0,ann,spam\nr0,ann,spam\n", None),
        ("row,worker,label\nr0,ann,spam\nr0,ann,ham\n", r"worker 'ann' gave row 'r0' two different labels"),
        ("", "answers.csv is empty"),
    ],
)
def test_wrong_answers_are_told(four: TrainSet, tools: Tools, file: Any, text: str, message: str | None) -> None:
    path = file("answers.csv", text)
    if message is None:  # the same answer twice is one answer
        assert crowd(four, tools, path=path, then=THEN).classes[0] == 1
        assert tools.valid() == {"votes": 1}
        return
    with pytest.raises(BadInput, match=message):
        crowd(four, tools, path=path, then=THEN)


def test_a_lone_number_that_is_also_a_class_is_the_class_and_that_is_noted(
    four: TrainSet, file: Any, tmp_path: Path
) -> None:
    notes: dict[str, str] = {}
    lent = tools_with(stream(0, "weak"), Cache(tmp_path / "c"), classes=("1", "2"), note=notes.__setitem__)
    after = crowd(four, lent, path=file("answers.csv", "row,worker,label\nr0,ann,1\nr2,bob,1\n"), then=THEN)
    assert after.classes[[0, 2]].tolist() == [0, 0]
    assert notes["reading"].startswith("answers of answers.csv: 1 is a class and the number of another one")
    notes.clear()
    after = crowd(four, lent, path=file("answers.csv", "row,worker,label\nr0,ann,1\nr2,bob,0\n"), then=THEN)
    assert after.classes[[0, 2]].tolist() == [1, 0]
    assert not notes


# The options, as they are composed and run


def test_another_vote_model_takes_the_place_of_the_default(file: Any) -> None:
    said = ["weak=rules", f"weak.path={file('rules.tsv', HEAD)}"]
    default = plain(composed(*said).weak)
    other = plain(composed(*said, "weak@weak.then=dawid_skene", "weak.then.tolerance=0.5").weak)
    assert default["then"]["_target_"].endswith("majority_vote")
    assert build(default).keywords["then"].keywords == {"labels": "hard", "ties": "soft"}
    assert build(other).keywords["then"].keywords["tolerance"] == 0.5


@pytest.mark.shared
@pytest.mark.parametrize("name", ["sms", "trec"])
def test_published_rules_reproduce_the_published_votes(
    shared: Path, name: str, source: Callable[..., Source], tmp_path: Path
) -> None:
    folder = shared / "tasks/wrench" / name
    task = source("wrench", path=folder, name=name).split(0)
    _, votes = of_user.rule_votes(task.train, str(folder / "rules.tsv"), task.classes, Cache(tmp_path / "rules"))
    pool = ~task.train.labelled
    assert np.array_equal(votes[pool], task.train.votes[pool])
    assert (votes[~pool] >= 0).any(), "rules vote on gold rows too, on which the published functions did not"
    _, gold = published(shared / "golden/wrench" / name, "train")
    assert pool.sum() == len(gold)


@pytest.mark.shared
@pytest.mark.slow
def test_a_crowd_in_a_file_is_the_same_crowd_in_columns(
    shared: Path, source: Callable[..., Source], tmp_path: Path
) -> None:
    """Distant supervision and the crowd of medical sentences, as columns and as a line an answer."""
    whole = {
        "path": shared / "tasks/medical_treat",
        "modality": "text",
        "label": "distant",
        "votes": ["distant", "crowd"],
    }
    task = source("folder", **whole).split(0)
    rows, workers = np.nonzero(task.train.votes >= 0)
    lines = {"row": task.train.ids[rows], "worker": workers, "label": task.train.votes[rows, workers]}
    pd.DataFrame(lines).to_csv(tmp_path / "answers.csv", index=False)
    counted: list[int] = []
    lent = tools_with(
        stream(0, "weak"), Cache(tmp_path / "c"), classes=task.classes, count=lambda _, number: counted.append(number)
    )
    by_file = crowd(task.train, lent, path=str(tmp_path / "answers.csv"), then=THEN)
    assert by_file.digest() == majority(task.train, lent).digest()
    assert counted == [len(rows)]


@pytest.mark.slow
def test_an_option_that_brings_votes_needs_none_of_the_task(tmp_path: Path) -> None:
    """Digits as a task whose own voters are taken away: rules run, and the ledger counts them and no votes."""
    (tmp_path / "rules.py").write_text("def bright(row):\n    return 1 if row.mean() > 80 else 0\n")
    cfg = composed("weak=rules", f"weak.path={tmp_path / 'rules.py'}", "weak.rows=all", "protocol.steps=2")
    source = build(plain(cfg.task))
    task = source.split(0)
    task = replace(task, train=replace(task.train, votes=task.train.votes[:, :0]))
    arm = {name: plain(cfg.get(name) or cfg.baseline[name]) for name in ("model", "weak", "clean", "augment")}
    assert misfits(arm, task) == []
    trial = Trial(
        task=plain(cfg.task), arm=arm, probe=plain(cfg.baseline.model), protocol=plain(cfg.protocol),
        data=source.fingerprint, seed=0,
    )  # fmt: skip
    with pytest.raises(Exception, match="left no row of 8 of 10 classes"):
        run_trial(trial, task, Place(Cache(tmp_path / "cache"), "cpu"))
    (tmp_path / "rules.py").write_text("def bright(row):\n    return int(row.sum()) % 10\n")
    record = run_trial(trial, task, Place(Cache(tmp_path / "cache"), "cpu"))
    assert record["ledger"]["rules"] == 1
    assert record["ledger"]["votes"] == 0


def test_minus_one_is_an_answer_where_a_class_is_called_so(file: Any, four: TrainSet, tools: Tools) -> None:
    path = file("answers.csv", "row,worker,label\nr0,ann,-1\nr1,ann,1.0\n")
    assert answered(four, path, ("-1", "1"), tools.cache)[1][:2].ravel().tolist() == [0, 1]
    assert answered(four, path, ("0", "1"), tools.cache)[1][:2].ravel().tolist() == [-1, 1]
