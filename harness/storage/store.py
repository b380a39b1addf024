"""Stores records: one file per trial, named by its key, complete or absent."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from harness.data import digest
from harness.errors import BadInput
from harness.storage.content import check_plan, check_predictions, check_record, check_row, rows_of_test_set
from harness.storage.files import (
    dump,
    is_dead,
    parse_object,
    read_object,
    read_whole,
    remove_partial_files,
    write_atomic,
)
from harness.storage.index import Index, check_files_once, read_index, state_of
from harness.storage.keys import trial_key
from harness.storage.locks import lock, remove_lock_files
from harness.storage.packing import pack

Record = dict[str, Any]
R = TypeVar("R", Record, Record | None)
_FAILED = ".failed.json"
_RECORD_NAME = re.compile(r"(\w+)(\.failed)?\.json")
_CHECKSUM = re.compile(rb'^ "checksum": "[^"]*",\n', re.M)
Work = Callable[[Callable[[Record], Record]], Record]


@dataclass(frozen=True)
class TestSet:
    """Holds the rows that a study's trials were scored on: ids (n,), true class indices (n,), class names (k,).

    A trial's validation rows are kept in the same way. `groups (n,)` numbers the group of each row, None if the task
    has none. `given (n,)` are the labels that test rows came with (-1 for none) where `y` are gold ones and the two
    differ, else None; the digest of a test set does not depend on them.
    """

    __test__ = False

    ids: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    groups: np.ndarray | None = None
    given: np.ndarray | None = None

    @property
    def units(self) -> np.ndarray:
        """Returns what is sampled as a whole (n,): the name of each row's group, or its id if there are no groups."""
        return self.ids if self.groups is None else np.array([f"group {one}" for one in self.groups.tolist()])


@dataclass(frozen=True)
class Inventory:
    """Holds a study's intact records by key, a line for each damaged one, and how many records hold no checksum.

    An earlier version of this program made those without a checksum; their keys are checked all the same.
    """

    records: list[Record]
    damaged: list[str]
    unsealed: int


@dataclass(frozen=True)
class Store:
    """Reads and writes one study's folder: `trials/KEY.json`, `trials/KEY.failed.json` and `tests/DIGEST.json`.

    `study.json` is the plan; trials that were run one by one have a row each instead, `asked/KEY-CONTROL.json`.

    A file that exists is complete: it is written under another name and then renamed.
    """

    folder: Path

    def read(self, key: str) -> Record | None:
        """Returns the finished record of that key, or None if there is no intact one (see `damaged`)."""
        return _unsealed(self._record_in(self._path(key))[0])

    def failure(self, key: str) -> Record | None:
        """Returns the failure record of that key, or None; a finished trial has none."""
        return None if self.read(key) else _unsealed(self._record_in(self._failed(key))[0])

    def fetch(self, key: str, work: Work, retry: bool = False, rerun: str | None = None) -> Record:
        """Returns the record of `key`; if there is none, `work` makes it and passes it to the function that it gets.

        When that function returns, the record is safe, whatever `work` does afterwards. If several processes ask for
        one key, one does the work and the others wait for its file; a process that is killed releases its lock. A
        failed record stays until `retry`. With `rerun`, the name of a rerun, records of any other rerun are made again.
        BadInput for a record that no later command would read (see `damaged`).
        """
        with self._lock(key):
            known = self.read(key) or (None if retry else self.failure(key))
            if known is not None and is_of(known, rerun):
                return known
            self._remove_damaged(key)
            return work(self._keep)

    def records(self) -> list[Record]:
        """Returns all intact records, finished and failed, by key."""
        return self.inventory().records

    def inventory(self) -> Inventory:
        """Reads every file of `trials` once; see `damaged`."""
        paths = sorted((self.folder / "trials").glob("*.json"))
        index = read_index(self.folder)
        found = {path.name: self._checked_once(path, index) for path in paths}
        index.save(found)
        finished = {record["key"] for name, (record, _) in found.items() if record and not name.endswith(_FAILED)}
        records = [
            record for name, (record, _) in found.items()
            if record and not (name.endswith(_FAILED) and record["key"] in finished)
        ]  # fmt: skip
        return Inventory(
            sorted(map(_unsealed, records), key=lambda record: record["key"]),
            [f"{path}: {found[path.name][1]}" for path in paths if found[path.name][1]],
            sum("checksum" not in record for record in records),
        )

    def damaged(self, keys: Collection[str] | None = None) -> list[str]:
        """Returns one line for each record that cannot be trusted: it names the file and says what is wrong with it.

        Intact is a record that is as this program wrote it (its checksum fits), whose key is that of its trial, that
        has every field which a report reads, and whose predictions give its score on its test set, intact as well.
        Only trials in `keys`, if given. A damaged record counts as missing and none of its numbers is used; the run
        that repeats the trial moves it to `trials/damaged`.
        """
        paths = sorted((self.folder / "trials").glob("*.json"))
        named = None if keys is None else set(keys)
        chosen = [path for path in paths if named is None or path.name.split(".")[0] in named]
        index = read_index(self.folder)
        wrong = check_files_once(chosen, index, self._record_in)
        index.save()
        return [f"{path}: {wrong[path.name]}" for path in chosen if wrong.get(path.name)]

    def unfinished(self, keys: Collection[str], retry: bool = False, rerun: str | None = None) -> set[str]:
        """Returns the trials that are still to run: without a record, or with a failed one that is to be repeated.

        With `rerun`, the name of a rerun, records of any other rerun are to be made again.
        """
        index = read_index(self.folder)
        kinds = (self._path,) if retry else (self._path, self._failed)
        check_files_once((path(key) for key in keys for path in kinds), index, self._record_in)
        index.save()
        found = {key: next(filter(None, (index.find(path(key)) for path in kinds)), None) for key in keys}
        return {key for key, entry in found.items() if entry is None or rerun not in (None, entry.rerun)}

    def failures(self, keys: Collection[str]) -> list[Record]:
        """Returns the failure records of those trials that have no finished one, in the order of `keys`."""
        there = {path.name for path in (self.folder / "trials").glob(f"*{_FAILED}")}
        return [found for key in keys if f"{key}{_FAILED}" in there and (found := self.failure(key)) is not None]

    def _checked_once(self, path: Path, index: Index) -> tuple[Record | None, str]:
        """Returns what `_record_in` does; a file that the index knows as intact is read without a further check."""
        if index.find(path) is not None:
            try:
                return parse_object(read_whole(path)), ""
            except (FileNotFoundError, BadInput):
                pass  # changed at this very moment
        before = state_of(path)
        record, wrong = self._record_in(path)
        if record is not None:
            index.note(path, before, record)
        return record, wrong

    def _record_in(self, path: Path) -> tuple[Record | None, str]:
        """Returns the record in a file and "", or None and what is wrong with the file ("" if there is no file)."""
        try:
            raw = read_whole(path)
            record = parse_object(raw)
            _check_seal(path.name, record, raw)
            check_record(record)
            if record["status"] == "done":
                self._check_scores(record["result"])
        except FileNotFoundError:
            return None, ""
        except BadInput as error:
            return None, str(error)
        return record, ""

    def _check_scores(self, result: Mapping[str, Any]) -> None:
        """Raises BadInput unless predictions give the scores on test and validation rows, all of them intact."""
        test = self.test_set(result["test_set"])
        check_predictions(result, test.y, len(test.classes))
        if result.get("valid_set") is not None:
            valid = self.valid_set(result["valid_set"])
            if valid.classes != test.classes:
                raise BadInput("its validation set has other classes than its test set")
            check_predictions(result, valid.y, len(valid.classes), "valid")

    def _remove_damaged(self, key: str) -> None:
        """Moves damaged records of a trial to `trials/damaged`."""
        for path in (self._path(key), self._failed(key)):
            if self._record_in(path)[1]:
                _put_aside(path, self.folder / "trials" / "damaged")

    def keep_test_set(self, test: TestSet) -> str:
        """Keeps test or validation rows once, under the digest of their content, and returns the digest.

        A damaged file of that name is moved to `tests/damaged`; one of an earlier version, which lacks given labels, is
        written anew with them.
        """
        name = test_digest(test)
        path = self.folder / "tests" / f"{name}.json"
        try:
            known = self.test_set(name)
            lacks = test.given is not None and known.given is None
        except BadInput:
            lacks = True
            if path.exists() or path.is_symlink():
                _put_aside(path, self.folder / "tests" / "damaged")
        if lacks:
            write_atomic(path, dump(_test_content(test)))
        return name

    def test_set(self, name: str) -> TestSet:
        """Returns the test set of that digest, read-only; BadInput if it is absent, damaged or not of that digest."""
        return self._scored_rows(name, "test set")

    def valid_set(self, name: str) -> TestSet:
        """Returns the validation rows of that digest; BadInput as for `test_set`."""
        return self._scored_rows(name, "validation set")

    def _scored_rows(self, name: str, what: str) -> TestSet:
        path = self.folder / "tests" / f"{name}.json"
        try:
            stat = path.stat()
            return _test_set_in(path, (stat.st_mtime_ns, stat.st_size, stat.st_ino))
        except FileNotFoundError:
            raise BadInput(f"its {what} is missing: tests/{path.name}") from None
        except OSError as error:
            raise BadInput(f"its {what} cannot be read: tests/{path.name}: {error.strerror or error}") from None
        except BadInput as error:
            raise BadInput(f"its {what} is damaged: tests/{path.name}: {error}") from None

    def keep_plan(self, plan: dict[str, Any]) -> None:
        """Keeps what the study consists of: every arm, seed, key and control."""
        write_atomic(self.folder / "study.json", sealed(plan))

    def log(self, event: str) -> None:
        """Appends an event, with its time, to `log.txt`; one write per event, so that processes do not mix lines."""
        when = datetime.now(UTC).isoformat(timespec="seconds")
        with (self.folder / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{when} {event.rstrip()}\n")

    def plan(self) -> dict[str, Any] | None:
        """Returns the study's plan, or None for trials that were run one by one; BadInput for a damaged plan."""
        path = self.folder / "study.json"
        try:
            raw = read_whole(path)
            plan = parse_object(raw)
            check_plan(plan)
            _check_plan_seal(plan, raw)
        except FileNotFoundError:
            return None
        except BadInput as error:
            raise BadInput(f"{path}: {error}; run the study again, which writes its plan anew") from None
        return _unsealed(plan)

    def keep_row(self, row: dict[str, Any]) -> None:
        """Keeps the names of a trial that was run outside a study, and its control."""
        write_atomic(self.folder / "asked" / f"{row['key']}-{row['control']}.json", dump(row))

    def rows(self) -> list[dict[str, Any]]:
        """Returns the rows of trials that were run one by one, by key and control; BadInput for a damaged one."""
        return [_row_in(path) for path in sorted((self.folder / "asked").glob("*.json"))]

    def _path(self, key: str) -> Path:
        return self.folder / "trials" / f"{key}.json"

    def _failed(self, key: str) -> Path:
        return self.folder / "trials" / f"{key}{_FAILED}"

    def _keep(self, record: Record) -> Record:
        key = record["key"]
        _check_key(record)
        check_record(record)
        for path in (self._path(key), self._failed(key)):
            self._set_aside(path, record)
        if record["status"] == "failed":
            write_atomic(self._failed(key), sealed(record))
            if record.get("provenance", {}).get("rerun"):
                self._path(key).unlink(missing_ok=True)
        else:
            write_atomic(self._path(key), sealed(record))
            self._failed(key).unlink(missing_ok=True)
        return record

    def add_file(self, name: str, content: bytes) -> None:
        """Keeps a file of another store of the same study under the same name.

        A finished record is never overwritten; a new one takes the place of the trial's failure record.
        """
        path, key = self.folder / name, Path(name).name.split(".")[0]
        if path.parent.name != "trials":
            write_atomic(path, content)
            return
        with self._lock(key):
            if self.read(key) is None:
                self._remove_damaged(key)
                write_atomic(path, content)
            if self.read(key) is not None:
                self._failed(key).unlink(missing_ok=True)

    def replace_record(self, name: str, content: bytes) -> None:
        """Keeps a finished record of another store in place of the own one, which is copied to `trials/old`."""
        path = self.folder / name
        with self._lock(path.stem):
            old = self.folder / "trials" / "old"
            if path.exists():
                write_atomic(old / f"{path.stem}.{_free(old, path.stem)}.json", path.read_bytes())
            write_atomic(path, content)

    def keep_failure(self, record: Record) -> None:
        """Keeps a failure record of a trial that has no finished one."""
        with self._lock(record["key"]):
            if self.read(record["key"]) is None:
                self._keep(record)

    @contextmanager
    def running(self, key: str) -> Iterator[None]:
        """Notes during the block that this process runs the trial; the note stays if the process dies."""
        note = self.folder / ".running" / key
        write_atomic(note, f"{socket.gethostname()} {os.getpid()}".encode())
        try:
            yield
        finally:
            note.unlink(missing_ok=True)

    def interrupted(self) -> set[str]:
        """Returns the keys of trials whose process died on this machine while they ran."""
        notes = (self.folder / ".running").glob("[!.]*")
        return {note.name for note in notes if _is_of_the_dead(note)}

    def noted(self) -> set[str]:
        """Returns the keys of trials that a process runs, on whatever machine, or was running when it died."""
        return {note.name for note in (self.folder / ".running").glob("[!.]*")}

    def forget(self, keys: Collection[str]) -> None:
        """Removes the notes of those trials, whose processes have died."""
        for key in keys:
            (self.folder / ".running" / key).unlink(missing_ok=True)

    def changed_since(self, keys: Collection[str], start: float) -> list[str]:
        """Returns the trials with a record, finished or failed, that was written since `start` (seconds since 1970)."""
        return [
            key for key in keys if any(_written_since(path, start) for path in (self._path(key), self._failed(key)))
        ]

    def _set_aside(self, path: Path, record: Record) -> None:
        """Copies a record that a rerun is about to replace to `trials/old`, under the first free number."""
        if record.get("provenance", {}).get("rerun") and path.exists():
            old = self.folder / "trials" / "old"
            write_atomic(old / f"{path.stem}.{_free(old, path.stem)}.json", path.read_bytes())

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        folder = self.folder / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        with lock(folder / f"{key}.lock", f"runs or writes trial {key[:12]}"):
            yield

    def remove_leftovers(self) -> int:
        """Removes partial files and locks that dead processes of this machine have left; counts them."""
        folders = [self.folder, *(self.folder / name for name in _FOLDERS)]
        parts = chain.from_iterable(folder.glob(".*.part") for folder in folders)
        return remove_partial_files(parts) + remove_lock_files((self.folder / ".locks").glob("*.lock"))


_FOLDERS = ("trials", "trials/old", "tests", "asked", "claims", ".running")
"""Where a study's files are written."""


def _is_of_the_dead(note: Path) -> bool:
    """Returns whether the process that wrote a note was of this machine and lives no more."""
    try:
        host, number = note.read_text(encoding="utf-8").rsplit(" ", 1)
        return is_dead(host, int(number))
    except (OSError, ValueError):
        return False


def _written_since(path: Path, start: float) -> bool:
    try:
        return path.stat().st_mtime >= start
    except FileNotFoundError:
        return False


def is_of(record: Record, rerun: str | None) -> bool:
    """Returns whether a command can use a record: any one, but in a rerun only one that this rerun made."""
    return rerun is None or (record.get("provenance") or {}).get("rerun") == rerun


def _put_aside(path: Path, folder: Path) -> None:
    """Moves a damaged file to a folder, under the first free number."""
    folder.mkdir(exist_ok=True)
    path.replace(folder / f"{path.stem}.{_free(folder, path.stem)}.json")


def _free(folder: Path, stem: str) -> int:
    """Returns the first number that is free for a file of that stem in a folder."""
    return next(n for n in count(1) if not (folder / f"{stem}.{n}.json").exists())


def sealed(record: Record) -> bytes:
    """Returns a record as its file holds it, with the SHA-256 of everything else in the field `checksum`."""
    plain = _unsealed(record)
    return dump({**plain, "checksum": _digest(dump(plain))})


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _check_plan_seal(plan: Record, raw: bytes) -> None:
    """Raises BadInput unless a plan is as this program wrote it; the plans of earlier versions hold no checksum."""
    said = plan.get("checksum")
    if said is None and "version" not in plan:
        return
    if said not in (_digest(_CHECKSUM.sub(b"", raw, 1)), _digest(dump(_unsealed(plan)))):
        raise BadInput("was changed after it was written")


def _check_seal(name: str, record: Record, raw: bytes) -> None:
    """Raises BadInput unless a record is what its file's name says and what this program wrote.

    Records of earlier versions hold no checksum; their key must be that of their trial all the same. The digest is that
    of the file without the checksum's line; if it differs, the parsed content decides, since only the layout may have
    changed.
    """
    named = _RECORD_NAME.fullmatch(name)
    if not named:
        raise BadInput("is not called KEY.json or KEY.failed.json: a copy of a record?")
    if record.get("key") != named[1] or (record.get("status") == "failed") != bool(named[2]):
        raise BadInput("is not the record of the trial that its name says")
    said = record.get("checksum")
    if said is not None and said != _digest(_CHECKSUM.sub(b"", raw, 1)) and said != _digest(dump(_unsealed(record))):
        raise BadInput("was changed after it was written: its checksum does not fit")
    _check_key(record)


def _check_key(record: Record) -> None:
    if not isinstance(record.get("trial"), dict) or trial_key(record["trial"]) != record["key"]:
        raise BadInput("does not hold the trial that its key stands for: the hash of its trial is another")


def _test_content(test: TestSet) -> dict[str, Any]:
    """Returns a set of rows as its file holds it."""
    content = {"ids": test.ids.astype(str).tolist(), "y": pack(test.y), "classes": list(test.classes)}
    content |= {} if test.groups is None else {"groups": pack(test.groups)}
    if test.given is not None:
        content |= {"given": pack(test.given), "given_digest": digest(test.given.astype(str))[:40]}
    return content


def test_digest(test: TestSet) -> str:
    """Returns the digest under which a set of rows is kept, 40 hexadecimal digits."""
    content = [test.ids.astype(str), test.y.astype(str), np.asarray(test.classes, dtype=str)]
    content += [] if test.groups is None else [np.char.add("group ", test.groups.astype(str))]
    return digest(np.concatenate(content))[:40]


@lru_cache(maxsize=128)
def _test_set_in(path: Path, seen: tuple[int, int, int]) -> TestSet:
    """Reads the test set in a file; kept while the file stays as it was `seen`, since every trial of a seed asks."""
    content = read_object(path)
    test = TestSet(*rows_of_test_set(content))
    given = "" if test.given is None else digest(test.given.astype(str))[:40]
    if test_digest(test) != path.stem or given != content.get("given_digest", ""):
        raise BadInput("was changed after it was written: its content is not that of its name")
    test.ids.flags.writeable = False
    return test


def _row_in(path: Path) -> dict[str, Any]:
    """Returns the row in a file; BadInput names the file."""
    try:
        row = read_object(path)
        check_row(row)
    except BadInput as error:
        raise BadInput(f"{path}: {error}; remove it, and the next run of its trial writes it anew") from None
    return row


def _unsealed(record: R) -> R:
    """Returns a record, or None, without its checksum."""
    return record and {name: value for name, value in record.items() if name != "checksum"}
