"""Writes files atomically: a file is complete or absent."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness.notices import notice


def dump(content: Any) -> bytes:
    """Returns JSON that is readable in a diff: sorted keys, an indent, numbers as Python prints them, no NaN."""
    return (json.dumps(content, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


@contextmanager
def hold_lock(path: Path, what: str, after_s: float | None = None) -> Iterator[None]:
    """Holds the lock file during the block; says, if it must wait for long, that another process does `what`."""
    lock = FileLock(path)
    with notice(f"waiting for another process, which {what}", after_s):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def write_atomic(path: Path, content: bytes) -> None:
    """Writes the whole file or leaves the old one; no partial file stays behind, even on a full disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
