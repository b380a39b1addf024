"""Remembers which files of a study were checked and found intact, so that only new and changed ones are checked again.

The index is one file beside the records, `.index.json`. It holds no number of a record: only, for each file that was
intact, how it lay on disk then, and what a command must know without opening it. Whoever reads records writes it anew,
whole and by renaming; of several writers the last one wins, and what the others had noted is checked once more. So it
may be deleted at any time, copied with a folder (a copy lies otherwise on its disk, and is checked again), and made by
any number of processes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import BadInput
from harness.storage.files import read_object, write_atomic

INDEX = ".index.json"
FRESH_NS = 2_000_000_000
"""A file that changed less than this before it was checked is not noted: a clock's tick might hide a second change."""
FileState = tuple[int, int, int, int]
"""How a file lies on disk: size, time of its content's and of its node's last change (ns), and the node's number."""


@dataclass(frozen=True)
class IndexEntry:
    """Holds what is known of an intact record: its file's state, those of its rows' files, and how it ended.

    `rows` holds the state of each file of `tests` that the check used, by digest; `rerun` names the rerun that made the
    record, None for none; `sealed` says whether it has a checksum.
    """

    state: FileState
    rows: dict[str, FileState]
    status: str
    rerun: str | None
    sealed: bool


@dataclass
class Index:
    """Holds the intact records of a study by the names of their files.

    `changed` says whether the file lacks some, `fresh` are those that it must not hold yet.
    """

    folder: Path
    known: dict[str, IndexEntry]
    changed: bool = False
    fresh: set[str] = field(default_factory=set)
    _rows: dict[str, FileState | None] = field(default_factory=dict)

    def find(self, path: Path) -> IndexEntry | None:
        """Returns what is known of a file of `trials`; None if it, or a file of rows that it needs, has changed."""
        entry = self.known.get(path.name)
        if entry is None or state_of(path) != entry.state:
            return None
        return entry if all(self._state_of_rows(name) == state for name, state in entry.rows.items()) else None

    def note(self, path: Path, before: FileState | None, record: dict[str, Any]) -> None:
        """Notes an intact record, whose file lay as `before` when it was opened."""
        result = record["result"] or {}
        names = [name for name in (result.get("test_set"), result.get("valid_set")) if name is not None]
        rows = {name: state for name in names if (state := self._state_of_rows(name)) is not None}
        if before is None or len(rows) < len(names):
            return
        rerun = (record.get("provenance") or {}).get("rerun")
        self.known[path.name] = IndexEntry(before, rows, record["status"], rerun, "checksum" in record)
        if any(map(_is_fresh, (before, *rows.values()))):
            self.fresh.add(path.name)
        else:
            self.changed = True

    def save(self, names: Collection[str] | None = None) -> None:
        """Writes the index if it has changed, with the files of these names alone; a folder may be read-only."""
        gone = set() if names is None else self.known.keys() - set(names)
        if self.changed or gone:
            kept = sorted(self.known.keys() - gone - self.fresh)
            known = {name: asdict(self.known[name]) for name in kept}
            content = json.dumps({"checks": _checks(), "known": known}, separators=(",", ":"))
            with contextlib.suppress(OSError):
                write_atomic(self.folder / INDEX, content.encode())

    def _state_of_rows(self, name: str) -> FileState | None:
        if name not in self._rows:
            self._rows[name] = state_of(self.folder / "tests" / f"{name}.json")
        return self._rows[name]


def read_index(folder: Path) -> Index:
    """Returns the index of a folder: empty if there is none, if it is damaged, or if the checks have changed."""
    try:
        content = read_object(folder / INDEX)
        known = content["known"] if content.get("checks") == _checks() else {}
        return Index(folder, {str(name): _entry(entry) for name, entry in known.items()})
    except (FileNotFoundError, BadInput, KeyError, TypeError, AttributeError, ValueError):
        return Index(folder, {})


def state_of(path: Path) -> FileState | None:
    """Returns how a file lies on disk, None if there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def check_files_once(
    paths: Iterable[Path], index: Index, check: Callable[[Path], tuple[dict[str, Any] | None, str]]
) -> dict[str, str]:
    """Returns what is wrong with each file that the index does not know as intact, "" for nothing, by its name.

    `check` reads and checks a file; what it finds intact enters the index.
    """
    wrong = {}
    for path in paths:
        if os.path.lexists(path) and index.find(path) is None:  # a link in a circle is there, and has no state
            before = state_of(path)
            record, wrong[path.name] = check(path)
            if record is not None:
                index.note(path, before, record)
    return wrong


def _entry(content: dict[str, Any]) -> IndexEntry:
    size, content_ns, node_ns, node = content["state"]
    rows = {str(name): tuple(state) for name, state in content["rows"].items()}
    return IndexEntry(
        (size, content_ns, node_ns, node), rows, str(content["status"]), content["rerun"], content["sealed"]
    )


def _is_fresh(state: FileState) -> bool:
    return time.time_ns() - state[2] < FRESH_NS


@cache
def _checks() -> str:
    """Returns a digest of the code that checks records: stricter checks than those of an index make it worthless."""
    here = Path(__file__).parent
    files = sorted([*here.glob("*.py"), here.parent / "metrics.py"])
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
