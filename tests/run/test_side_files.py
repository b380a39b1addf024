"""Files that options name: every fault of every arm is told before the first trial, in one line each."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import composed, train_set

from harness.data import EvalSet, Task
from harness.run.config import arm_of
from harness.run.declarations import declaration_faults
from harness.run.side_files import side_file_faults
from harness.storage.cache import Cache

TEXTS = ["buy now", "see you", "buy a home", "hello"]


@pytest.fixture
def task() -> Task:
    train = train_set(np.array(TEXTS), [0, 1, 0, 1], 2, np.array([[1], [1], [-1], [0]]))
    rest = EvalSet(ids=np.array(["t0"]), x=np.array(["you"]), y=np.array([0]))
    return Task("texts", "text", ("ham", "spam"), train, rest, replace(rest, ids=np.array(["t1"])), np.full(4, -1))


@pytest.fixture
def faults(task: Task, tmp_path: Path) -> Any:
    def read(*arms: str, of: Task = task) -> list[str]:
        said = [arm_of(composed("model=bag_of_embeddings", *arm.split())) for arm in arms]
        return side_file_faults(said, of, Cache(tmp_path / "cache"))

    return read


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(name: str, text: str) -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return write


READERS = {
    "weak=crowd weak.path": ("answers.csv", "row,worker,label\n{id},ann,ham\nt1,ann,{label}\n"),
    "weak=rules weak.path": ("rules.tsv", "lf\tlabel\tregex\none\t{label}\tbuy\n"),
    "clean=edits clean.path": ("edits.csv", "id,before,after\n{id},ham,spam\nt1,ham,{label}\n"),
    "clean=from_file clean.label=y clean.path": ("mine.csv", "id,y\n{id},ham\nt1,{label}\n"),
}


@pytest.mark.parametrize("option", READERS)
def test_a_file_is_read_whole_and_compared_with_the_task(option: str, faults: Any, write: Any) -> None:
    name, text = READERS[option]
    where = option.partition("=")[0]

    def told(**words: str) -> list[str]:
        return faults(f"{option}={write(name, text.format(**{'id': 'r0', 'label': 'spam'} | words))}")

    assert told() == []
    assert len(told(label="span")) == 1, "also in a row of another part, or of another seed's training rows"
    assert "'span'" in told(label="span")[0]
    if "{id}" in text:
        assert len(told(id="other")) == 1
        assert told(id="other")[0].startswith(f"{where} ({option.split('=')[1].split()[0]})")
    missing = faults(f"{option}={Path(write(name, '')).with_name('absent' + Path(name).suffix)}")
    assert len(missing) == 1
    assert "no file" in missing[0]
    assert "empty" in faults(f"{option}={write(name, '')}")[0]


def test_the_faults_of_all_arms_come_at_once_and_shared_ones_once(faults: Any, write: Any) -> None:
    rules = write("rules.tsv", "lf\tlabel\tregex\none\tspam\t(\n")
    words = write("words.txt", "zebra\tquagga\n")
    lines = faults(
        f"weak=rules weak.path={rules}",
        f"weak=rules weak.path={rules} weak@weak.then=dawid_skene",
        "weak=crowd weak.path=/nowhere.csv",
        f"augment=synonyms_from_file augment.path={words}",
        "clean=from_file clean.path=/nowhere.parquet",
    )
    assert [line.partition(":")[0] for line in lines] == [
        "weak (rules)", "weak (crowd)", "augment (replace_words)", "clean (from_file)",
    ]  # fmt: skip
    assert "is not a regular expression" in lines[0]
    assert "has a synonym for none of the 3 words" in lines[2]


def test_what_stands_in_a_row_is_compared_unless_a_strategy_before_may_change_it(faults: Any, write: Any) -> None:
    edits = write("edits.csv", "id,before,after\nr1,ham,spam\n")
    alone, after = f"clean=edits clean.path={edits}", f"weak=majority_vote clean=edits clean.path={edits}"
    assert "before is 'ham', but row 'r1' has 'spam'" in faults(alone)[0]
    assert faults(after) == []
    assert (
        "'span'"
        in faults(
            f"weak=majority_vote clean=edits clean.path={write('e.csv', 'id,before,after,column' + chr(10) + 'r1,ham,span,')}"
        )[0]
    )


def test_files_of_nested_options_are_read_too(faults: Any, write: Any) -> None:
    rules = write("rules.tsv", "lf\tlabel\n")
    lines = faults(f"weak=cut_statistic weak@weak.first=rules weak.first.path={rules}")
    assert lines == [f"weak (rules): {rules}: the first line must name the columns lf, label, regex; regex is missing"]


def test_a_receipt_that_cannot_be_applied_is_told(faults: Any, write: Any) -> None:
    assert "is not a readable trial record" in faults("clean=replay clean.path=/nowhere.json")[0]
    record = write("a.json", json.dumps({"receipts": {"clean": {"n_before": 9, "n_added": 3}}}))
    assert "added 3 rows, which a receipt cannot bring back" in faults(f"clean=replay clean.path={record}")[0]
    assert "keeps no receipt of stage 'weak'" in faults(f"weak=replay weak.path={record}")[0]


def test_each_file_is_read_once(faults: Any, write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = write("answers.csv", "row,worker,label\nr0,ann,ham\n")
    times: list[Path] = []
    import harness.storage.reader as reader

    read = reader.read_text
    monkeypatch.setattr(reader, "read_text", lambda path: (times.append(path), read(path))[1])
    arm = f"weak=crowd weak.path={answers}"
    assert faults(arm, f"{arm} weak@weak.then=glad", f"{arm} clean=random_drop", f"{arm} augment=swap") == []
    assert len(times) == 1


def test_a_declared_reader_must_exist_and_ask_for_parameters_that_there_are() -> None:
    node = {"_target_": "harness.strategies.weak.crowd", "_partial_": True, "path": "x"}
    good = "harness.strategies.weak.answers.check_answers"
    assert list(declaration_faults("weak", node | {"reads": good})) == []
    assert "has no 'check_answer'; did you mean" in next(declaration_faults("weak", node | {"reads": good[:-1]}))
    lacking = {name: value for name, value in node.items() if name != "path"} | {"reads": good}
    assert "asks for 'path'" in next(declaration_faults("weak", lacking))


def test_a_rule_that_raises_is_told_before_the_first_trial(faults: Any, write: Any) -> None:
    path = write("rules.py", "def good(row):\n    return 'spam'\n\n\ndef odd(row):\n    return 1 / 0\n")
    (line,) = faults(f"weak=rules weak.path={path}")
    assert "rule 'odd' failed on row" in line
    assert "ZeroDivisionError: division by zero" in line
    path = write("other.py", "def odd(row):\n    return 'span'\n")
    (line,) = faults(f"weak=rules weak.path={path}")
    assert "rule 'odd' said 'span' is not a class" in line
    assert faults(f"weak=rules weak.path={write('fine.py', 'def good(row): return None')}") == []
