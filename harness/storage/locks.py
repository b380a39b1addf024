"""Locks what one process at a time may make, by files that do not outlive their use.

The file of a lock is removed by who holds it, before it is released. A process that waited for a removed file has
locked what nobody else can see: it notices that the path names another file, or none, and tries again. So no two hold
the lock of one path, and a folder has no more lock files than are in use, those of killed processes aside, whose locks
the system has released (`remove_lock_files`).
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import SoftFileLock

from harness.notices import notice

_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
"""What file systems without locks answer."""


@contextmanager
def lock(path: Path, what: str, after_s: float | None = None) -> Iterator[None]:
    """Holds the lock of that path during the block; waits while another process or thread holds it.

    If it waits for long (`after_s`, see `harness.notices`), it says that another process does `what`.

    Works on file systems that several machines share if they keep locks. Where there are none, the mere existence of
    the file is the lock. OSError if the file cannot be made.
    """
    try:
        with notice(f"waiting for another process, which {what}", after_s):
            handle = _acquire(path)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        with SoftFileLock(path):
            yield
        return
    try:
        yield
    finally:
        _remove(path, handle)


def remove_lock_files(paths: Iterable[Path]) -> int:
    """Removes those of the lock files that nobody holds, which killed processes have left; counts them."""
    return sum(map(_remove_unheld, paths))


def _remove_unheld(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return False
    unheld = _is_at(path, handle)
    if unheld:
        _remove(path, handle)
    else:
        os.close(handle)
    return unheld


def _acquire(path: Path) -> int:
    """Returns the handle of the locked file that the path names."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_at(path, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_at(path: Path, handle: int) -> bool:
    """Returns whether the path still names the open file."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _remove(path: Path, handle: int) -> None:
    """Removes the file while it is locked, then releases it, also for a child process that has the handle too."""
    try:
        with suppress(OSError):
            path.unlink()
        fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)
