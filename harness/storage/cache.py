"""Caches costly intermediate arrays by content, with the cost of computing them."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from harness.notices import notice
from harness.storage.cost import Cost, time_block
from harness.storage.files import write_atomic


@dataclass(frozen=True)
class Cache:
    """Holds a folder of arrays shared by trials and processes.

    An arm that finds an array made by another arm is charged its cost: `charged` collects those costs, so that the cost
    of an arm does not depend on the order in which arms run. Time spent computing in this process is measured by the
    trial itself and is not added again, nor is the cost of an array that this trial has asked for before (`known`).
    """

    folder: Path
    charged: list[Cost] = field(default_factory=list)
    known: set[Path] = field(default_factory=set)

    def array(self, what: str, parts: Any, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """Returns the array that `parts` (anything JSON can hold) identifies, computed at most once; read-only.

        `what` names the kind of array (it becomes a folder). A damaged or unreadable entry is computed again.
        """
        key = hashlib.sha256(json.dumps([what, parts], sort_keys=True).encode()).hexdigest()[:32]
        path = self.folder / what / f"{key}.npy"
        asked, first = time.perf_counter(), path not in self.known
        self.known.add(path)
        with _locked(path, what) as usable:
            found = _read(path) if usable else None
            if found is None:
                return _made(path, compute, usable)
        # Waiting for another process is not work: the trial measured that time, so it is subtracted.
        self.charged.extend([*([_cost(path)] if first else []), Cost(wall_s=asked - time.perf_counter())])
        return found


@contextmanager
def _locked(path: Path, what: str) -> Iterator[bool]:
    """Locks an entry during the block; gives False where the folder cannot be written, which costs time alone."""
    lock = FileLock(f"{path}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with notice(f"waiting for another process, which computes the same {what.replace('_', ' ')}"):
            lock.acquire()
    except OSError as error:
        _say(f"the cache cannot be used ({error.strerror or error}): {path.parent}")
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@functools.cache
def _say(line: str) -> None:
    """Prints a line on standard error, once a process."""
    print(line, file=sys.stderr, flush=True)


def _made(path: Path, compute: Callable[[], np.ndarray], keep: bool) -> np.ndarray:
    """Computes the array and keeps it if it can; its cost is written first, so that no array is without one."""
    with time_block() as bill:
        value = np.asarray(compute())
    content = io.BytesIO()
    np.save(content, value, allow_pickle=False)
    value.flags.writeable = False
    if keep:
        try:
            write_atomic(_bill(path), json.dumps({**asdict(bill.cost), "sha256": _digest(content.getvalue())}).encode())
            write_atomic(path, content.getvalue())
        except OSError as error:
            _say(f"the cache cannot be written ({error.strerror or error}): {path.parent}")
    return value


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _bill(path: Path) -> Path:
    return path.with_suffix(".json")


def _cost(path: Path) -> Cost:
    said = json.loads(_bill(path).read_text(encoding="utf-8"))
    return Cost(**{name: value for name, value in said.items() if name != "sha256"})


def _read(path: Path) -> np.ndarray | None:
    """Returns the stored array, read-only; None if it is absent, and if its content is not what was written."""
    if not path.exists():
        return None
    try:
        _cost(path)
        said = json.loads(_bill(path).read_text(encoding="utf-8")).get("sha256")
        if said is None or said == _digest(path.read_bytes()):
            return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, TypeError):
        pass
    _say(f"a damaged entry of the cache is made anew: {path}")
    return None
