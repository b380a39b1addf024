"""Stores records: one file per trial, named by its key, complete or absent."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from harness.data import digest
from harness.storage.files import dump, hold_lock, write_atomic

Record = dict[str, Any]
_CHECKSUM = re.compile(rb'^ "checksum": "[^"]*",\n', re.M)
Work = Callable[[Callable[[Record], Record]], Record]


def pack(array: np.ndarray) -> dict[str, Any]:
    """Returns an array as JSON: its type and shape, and its content compressed (zlib) and in base64."""
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "zlib": data}


def unpack(packed: dict[str, Any]) -> np.ndarray:
    """Returns the array that `pack` was given."""
    raw = zlib.decompress(base64.b64decode(packed["zlib"]))
    return np.frombuffer(raw, dtype=np.dtype(packed["dtype"])).reshape(packed["shape"])


@dataclass(frozen=True)
class TestSet:
    """Holds the rows that a study's trials were scored on: ids (n,), true class indices (n,), class names (k,)."""

    __test__ = False

    ids: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Store:
    """Reads and writes one study's folder: `trials/KEY.json`, `trials/KEY.failed.json` and `tests/DIGEST.json`.

    `study.json` is the plan; trials that were run one by one have a row each instead, `asked/KEY-CONTROL.json`.

    A file that exists is complete: it is written under another name and then renamed.
    """

    folder: Path

    def read(self, key: str) -> Record | None:
        """Returns the finished record of that key, or None if there is no intact one (see `damaged`)."""
        return _record_in(self._path(key))[0]

    def failure(self, key: str) -> Record | None:
        """Returns the failure record of that key, or None; a finished trial has none."""
        return None if self.read(key) else _record_in(self._failed(key))[0]

    def fetch(self, key: str, work: Work, retry: bool = False, rerun: str | None = None) -> Record:
        """Returns the record of `key`; if there is none, `work` makes it and passes it to the function that it gets.

        When that function returns, the record is safe, whatever `work` does afterwards. If several processes ask for
        one key, one does the work and the others wait for its file; a process that is killed releases its lock. A
        failed record stays until `retry`. With `rerun`, the name of a rerun, records of any other rerun are made again.
        """
        with self._lock(key):
            known = self.read(key) or (None if retry else self.failure(key))
            if known is not None and is_of(known, rerun):
                return known
            self._remove_damaged(key)
            return work(self._keep)

    def records(self) -> list[Record]:
        """Returns all records, finished and failed, by key."""
        trials = self.folder / "trials"
        keys = sorted({path.name.split(".")[0] for path in trials.glob("*.json")})
        found = [self.read(key) or self.failure(key) for key in keys]
        return [record for record in found if record is not None]

    def damaged(self, keys: Collection[str] | None = None) -> list[str]:
        """Returns one line for each record that is no longer as this program wrote it.

        Only trials in `keys`, if given. A damaged record counts as missing and none of its numbers is used; the run
        that repeats the trial moves it to `trials/damaged`.
        """
        paths = sorted((self.folder / "trials").glob("*.json"))
        chosen = [path for path in paths if keys is None or path.name.split(".")[0] in keys]
        return [f"{path}: {why}" for path in chosen if (why := _record_in(path)[1])]

    def unsealed(self) -> int:
        """Counts the records without a checksum: an earlier version of this program made them."""
        return sum(not _CHECKSUM.search(path.read_bytes()) for path in (self.folder / "trials").glob("*.json"))

    def _remove_damaged(self, key: str) -> None:
        """Moves damaged records of a trial to `trials/damaged`."""
        for path in (self._path(key), self._failed(key)):
            if _record_in(path)[1]:
                aside = self.folder / "trials" / "damaged"
                aside.mkdir(exist_ok=True)
                path.replace(aside / f"{path.stem}.{_free(aside, path.stem)}.json")

    def keep_test_set(self, test: TestSet) -> str:
        """Keeps a test set once, under the digest of its content, and returns the digest."""
        name = digest(np.concatenate([test.ids.astype(str), test.y.astype(str), np.asarray(test.classes, dtype=str)]))
        path = self.folder / "tests" / f"{name[:40]}.json"
        if _load(path) is None:
            content = {"ids": test.ids.astype(str).tolist(), "y": pack(test.y), "classes": list(test.classes)}
            write_atomic(path, dump(content))
        return name[:40]

    def test_set(self, name: str) -> TestSet:
        """Returns the test set of that digest; FileNotFoundError if it is absent."""
        content = json.loads((self.folder / "tests" / f"{name}.json").read_text(encoding="utf-8"))
        return TestSet(np.array(content["ids"], dtype=str), unpack(content["y"]), tuple(content["classes"]))

    def keep_plan(self, plan: dict[str, Any]) -> None:
        """Keeps what the study consists of: every arm, seed, key and control."""
        write_atomic(self.folder / "study.json", dump(plan))

    def log(self, event: str) -> None:
        """Appends an event, with its time, to `log.txt`; one write per event, so that processes do not mix lines."""
        when = datetime.now(UTC).isoformat(timespec="seconds")
        with (self.folder / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{when} {event.rstrip()}\n")

    def plan(self) -> dict[str, Any] | None:
        """Returns the study's plan, or None for trials that were run one by one."""
        return _load(self.folder / "study.json")

    def keep_row(self, row: dict[str, Any]) -> None:
        """Keeps the names of a trial that was run outside a study, and its control."""
        write_atomic(self.folder / "asked" / f"{row['key']}-{row['control']}.json", dump(row))

    def rows(self) -> list[dict[str, Any]]:
        """Returns the rows of trials that were run one by one, by key and control."""
        found = (_load(path) for path in sorted((self.folder / "asked").glob("*.json")))
        return [row for row in found if row is not None]

    def _path(self, key: str) -> Path:
        return self.folder / "trials" / f"{key}.json"

    def _failed(self, key: str) -> Path:
        return self.folder / "trials" / f"{key}.failed.json"

    def _keep(self, record: Record) -> Record:
        key = record["key"]
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

    def forget(self, keys: Collection[str]) -> None:
        """Removes the notes of those trials, whose processes have died."""
        for key in keys:
            (self.folder / ".running" / key).unlink(missing_ok=True)

    def changed_since(self, keys: Collection[str], start: float) -> int:
        """Counts the trials with a record, finished or failed, that was written since `start` (seconds since 1970)."""
        return sum(any(_written_since(path, start) for path in (self._path(key), self._failed(key))) for key in keys)

    def _set_aside(self, path: Path, record: Record) -> None:
        """Copies a record that a rerun is about to replace to `trials/old`, under the first free number."""
        if record.get("provenance", {}).get("rerun") and path.exists():
            old = self.folder / "trials" / "old"
            write_atomic(old / f"{path.stem}.{_free(old, path.stem)}.json", path.read_bytes())

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        folder = self.folder / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        with hold_lock(folder / f"{key}.lock", f"runs or writes trial {key[:12]}"):
            yield


def _is_of_the_dead(note: Path) -> bool:
    """Returns whether the process that wrote a note was of this machine and lives no more."""
    try:
        host, number = note.read_text(encoding="utf-8").rsplit(" ", 1)
        os.kill(int(number), 0)
    except ProcessLookupError:
        return host == socket.gethostname()
    except (OSError, ValueError):
        return False
    return False


def _written_since(path: Path, start: float) -> bool:
    try:
        return path.stat().st_mtime >= start
    except FileNotFoundError:
        return False


def is_of(record: Record, rerun: str | None) -> bool:
    """Returns whether a command can use a record: any one, but in a rerun only one that this rerun made."""
    return rerun is None or (record.get("provenance") or {}).get("rerun") == rerun


def _free(folder: Path, stem: str) -> int:
    """Returns the first number that is free for a file of that stem in a folder."""
    return next(n for n in count(1) if not (folder / f"{stem}.{n}.json").exists())


def sealed(record: Record) -> bytes:
    """Returns a record as its file holds it, with the SHA-256 of everything else in the field `checksum`."""
    plain = _unsealed(record)
    return dump({**plain, "checksum": _digest(dump(plain))})


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _record_in(path: Path) -> tuple[Record | None, str]:
    """Returns the record in a file and "", or None and what is wrong with the file ("" if there is no file).

    Records of earlier versions hold no checksum and are used as they are. The digest is that of the file without the
    checksum's line; if it differs, the parsed content decides, since only the layout may have changed.
    """
    try:
        raw = path.read_bytes()
        record = json.loads(raw)
    except FileNotFoundError:
        return None, ""
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None, "is not a whole JSON file: cut off, or changed by another program"
    if not isinstance(record, dict) or record.get("key") != path.name.split(".")[0]:
        return None, "is not the record of the trial that its name says"
    said = record.get("checksum")
    if said is None or said in (_digest(_CHECKSUM.sub(b"", raw, 1)), _digest(dump(_unsealed(record)))):
        return _unsealed(record), ""
    return None, "was changed after it was written: its checksum does not fit"


def _unsealed(record: Record) -> Record:
    return {name: value for name, value in record.items() if name != "checksum"}


def _load(path: Path) -> Any:
    """Returns the file's content; None if it is absent or not valid JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None
