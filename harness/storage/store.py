"""Records in, records out: one file a trial, named by its key, whole or not there."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from harness.data import digest
from harness.storage.files import dump, write_atomic

Record = dict[str, Any]
Work = Callable[[Callable[[Record], Record]], Record]


def pack(array: np.ndarray) -> dict[str, Any]:
    """An array as JSON: its type and shape in words, its content deflated and in base64."""
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "zlib": data}


def unpack(packed: dict[str, Any]) -> np.ndarray:
    """The array that `pack` was given."""
    raw = zlib.decompress(base64.b64decode(packed["zlib"]))
    return np.frombuffer(raw, dtype=np.dtype(packed["dtype"])).reshape(packed["shape"])


@dataclass(frozen=True)
class TestSet:
    """What a study's trials were scored on: ids (n,), true class indices (n,), class names (k,)."""

    __test__ = False

    ids: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Store:
    """One study's folder: `trials/KEY.json`, `trials/KEY.failed.json`, `tests/DIGEST.json`, `study.json`.

    A file's existence means that it is complete: everything is written beside its place and renamed into it.
    """

    folder: Path

    def read(self, key: str) -> Record | None:
        """The finished record of that key, or None."""
        return _load(self._path(key))

    def failure(self, key: str) -> Record | None:
        """The failure record of that key, or None; a finished trial has none."""
        return None if self.read(key) else _load(self._failed(key))

    def fetch(self, key: str, work: Work, retry: bool = False) -> Record:
        """The record of `key`; where there is none, `work` makes it and hands it to the function that it is given.

        When that function returns, the record is safe, whatever `work` does afterwards. Of several processes that
        want one key, one works and the others wait for its file; a process that is killed gives its lock back. A
        failed record stands until `retry`.
        """
        with self._lock(key):
            known = self.read(key) or (None if retry else self.failure(key))
            if known is not None:
                return known
            return work(self._keep)

    def records(self) -> list[Record]:
        """All records, finished and failed, by key."""
        trials = self.folder / "trials"
        keys = sorted({path.name.split(".")[0] for path in trials.glob("*.json")})
        found = [self.read(key) or self.failure(key) for key in keys]
        return [record for record in found if record is not None]

    def keep_test_set(self, test: TestSet) -> str:
        """Keeps what trials are scored on, once, under the digest of its content, which is returned."""
        name = digest(np.concatenate([test.ids.astype(str), test.y.astype(str), np.asarray(test.classes, dtype=str)]))
        path = self.folder / "tests" / f"{name[:40]}.json"
        if _load(path) is None:
            content = {"ids": test.ids.astype(str).tolist(), "y": pack(test.y), "classes": list(test.classes)}
            write_atomic(path, dump(content))
        return name[:40]

    def test_set(self, name: str) -> TestSet:
        """The test set of that digest; FileNotFoundError where it is absent."""
        content = json.loads((self.folder / "tests" / f"{name}.json").read_text())
        return TestSet(np.array(content["ids"], dtype=str), unpack(content["y"]), tuple(content["classes"]))

    def keep_plan(self, plan: dict[str, Any]) -> None:
        """Keeps what the study consists of: every arm, seed, key and control."""
        write_atomic(self.folder / "study.json", dump(plan))

    def plan(self) -> dict[str, Any] | None:
        """The study's plan, or None for trials that were run one by one."""
        return _load(self.folder / "study.json")

    def _path(self, key: str) -> Path:
        return self.folder / "trials" / f"{key}.json"

    def _failed(self, key: str) -> Path:
        return self.folder / "trials" / f"{key}.failed.json"

    def _keep(self, record: Record) -> Record:
        key = record["key"]
        if record["status"] == "failed":
            write_atomic(self._failed(key), dump(record))
        else:
            write_atomic(self._path(key), dump(record))
            self._failed(key).unlink(missing_ok=True)
        return record

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        folder = self.folder / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{key}.lock"):
            yield


def _load(path: Path) -> Any:
    """The file's content; None where there is no file, or one that another hand has torn."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None
