"""The index of checked records: it spares checks, and never hides a change."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from studies import key, made_test_set, record

from harness.storage import index
from harness.storage.index import INDEX, read_index
from harness.storage.store import Store

TEST, K1 = made_test_set(20, 2), key("baseline", 0)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A study with a record that was checked, and noted although it is only just written."""
    monkeypatch.setattr(index, "FRESH_NS", 0)
    store = Store(tmp_path / "study")
    made = record(store, "baseline", 0, TEST.y, TEST)
    store.fetch(K1, lambda keep: keep(made))
    assert store.records() == [made]
    return store


def path_of(store: Store) -> Path:
    return store.folder / "trials" / f"{K1}.json"


def refused(self: Store, path: Path) -> None:
    raise AssertionError(f"{path} is checked again")


def test_what_was_intact_is_not_checked_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "_record_in", refused)
    assert [one["key"] for one in store.records()] == [K1]
    assert store.damaged() == []
    assert store.unfinished([K1]) == set()


def changed_in_place(store: Store) -> None:
    """Another number of the same length, under the old time of change."""
    path, stat = path_of(store), path_of(store).stat()
    path.write_bytes(path.read_bytes().replace(b'"test": 1.0', b'"test": 0.5'))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)


def other_rows(store: Store) -> None:
    path = next((store.folder / "tests").glob("*.json"))
    path.write_bytes(path.read_bytes().replace(b'"ids"', b'"idz"'))


@pytest.mark.parametrize("change", [changed_in_place, other_rows, lambda store: path_of(store).unlink()])
def test_a_change_of_a_record_or_of_its_rows_is_seen(store: Store, change: Callable[[Store], None]) -> None:
    change(store)
    assert len(store.damaged()) == path_of(store).exists()
    assert store.records() == []
    assert store.unfinished([K1]) == {K1}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"known": {"a": 1}}', b'{"checks": "of another version", "known": {}}']
)
def test_an_index_that_is_damaged_or_of_other_checks_is_made_anew(store: Store, content: bytes) -> None:
    right = (store.folder / INDEX).read_bytes()
    (store.folder / INDEX).write_bytes(content)
    assert read_index(store.folder).known == {}
    assert [one["key"] for one in store.records()] == [K1]
    assert (store.folder / INDEX).read_bytes() == right


def test_a_record_of_this_moment_is_not_noted(tmp_path: Path) -> None:
    store = Store(tmp_path / "study")
    made = record(store, "baseline", 0, TEST.y, TEST)
    store.fetch(K1, lambda keep: keep(made))
    assert store.records() == [made]
    assert not (store.folder / INDEX).exists()
    assert store.unfinished([K1, "0" * 40]) == {"0" * 40}
