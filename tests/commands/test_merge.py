"""Two folders of results are joined: nothing is lost, doubled or decided in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from studies import key, made_test_set, record, row_of, shown, write

from harness.commands.cli import main
from harness.storage.store import Store

TEST = made_test_set(60, 3)


def filled(folder: Path, arms: dict[str, list[int]], failed: tuple[tuple[str, int], ...] = ()) -> Store:
    """A study's folder with a record of each arm on each of its seeds."""
    store = Store(folder)
    store.keep_test_set(TEST)
    for arm, seeds in arms.items():
        for seed in seeds:
            predicted = None if (arm, seed) in failed else shown(TEST, 0.7, arm, str(seed))
            one = record(store, arm, seed, predicted, TEST)
            write(store, one)
            store.keep_row(row_of(one))
    return store


@pytest.fixture
def two(tmp_path: Path) -> tuple[Store, Store]:
    """Both have seed 0; only the second has seed 1; what failed in the first was finished in the second."""
    arms = {"baseline": [0], "clean=a": [0]}
    first = filled(tmp_path / "a" / "s", {**arms, "clean=b": [0]}, failed=(("clean=b", 0),))
    return first, filled(tmp_path / "b" / "s", {"baseline": [0, 1], "clean=a": [0, 1], "clean=b": [0]})


def test_what_one_lacks_is_added_and_what_failed_is_finished(two, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = two
    before = {path: path.read_bytes() for path in second.folder.rglob("*.json")}
    assert main(["merge", str(first.folder), str(second.folder)]) == 0
    assert "s: 3 records added, 2 trials are in both" in capsys.readouterr().out
    assert [one["key"] for one in first.records()] == [one["key"] for one in second.records()]
    assert not first.damaged()
    assert first.failure(key("clean=b", 0)) is None
    assert not list(first.folder.rglob("*.failed.json"))
    assert len(first.rows()) == 5
    assert {path: path.read_bytes() for path in second.folder.rglob("*.json")} == before, "the other stays as it is"
    assert main(["merge", str(first.folder.parent), str(second.folder.parent)]) == 0
    assert "s: 0 records added, 5 trials are in both" in capsys.readouterr().out


def test_a_conflict_is_named_and_nothing_is_written_until_somebody_decides(two, capsys) -> None:
    first, second = two
    write(second, record(second, "clean=a", 0, np.zeros(60, dtype=np.int64), TEST))
    before = {path: path.read_bytes() for path in first.folder.rglob("*.json")}
    assert main(["merge", str(first.folder), str(second.folder)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert f"s: {key('clean=a', 0)[:12]}" in lines[0]
    assert "differs in result" in lines[0]
    assert lines[1] == "harness: nothing was written; set keep=first or keep=second"
    assert {path: path.read_bytes() for path in first.folder.rglob("*.json")} == before
    own = first.read(key("clean=a", 0))
    assert main(["merge", str(first.folder), str(second.folder), "keep=second"]) == 0
    assert first.read(key("clean=a", 0)) == second.read(key("clean=a", 0)) != own
    assert len(list((first.folder / "trials" / "old").glob("*.json"))) == 1, "the record that gave way is kept"
    assert not first.damaged()


def test_a_torn_record_is_named_and_left_out(two, capsys) -> None:
    first, second = two
    torn = second.folder / "trials" / f"{key('clean=a', 1)}.json"
    torn.write_bytes(torn.read_bytes()[:200])
    assert main(["merge", str(first.folder), str(second.folder)]) == 0
    said = capsys.readouterr()
    assert f"damaged, left out: {torn}" in said.err
    assert "2 records added" in said.out
    assert first.read(key("clean=a", 1)) is None


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (("a",), "name two folders of results"),
        (("a", "nowhere"), "there is no folder nowhere"),
        (("a", "a"), "are the same folder"),
        (("a", "b/s"), "is the folder of one study and a a folder of results"),
    ],
)
def test_what_cannot_be_joined_is_refused(two, names, line, monkeypatch, capsys) -> None:
    monkeypatch.chdir(two[0].folder.parents[1])
    assert main(["merge", *names]) == 2
    assert line in capsys.readouterr().err
