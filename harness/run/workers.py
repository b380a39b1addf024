"""Keeps a study alive when a worker dies, and lets signals end a command as Ctrl-C does."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from joblib.externals.loky.process_executor import TerminatedWorkerError

__all__ = ["JobsDied", "Stopped", "TerminatedWorkerError", "cause_of_death", "stopped_by_signals"]

_SIGNALS = ("SIGTERM", "SIGHUP")


class JobsDied(TerminatedWorkerError):  # type: ignore[misc]
    """Says that jobs, here or on other machines, ended without a result; all others of their launch have ended too."""


class Stopped(KeyboardInterrupt):
    """Says that a signal ended the command, as Ctrl-C does; `code` is the exit code."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raises `Stopped` during the block when the process is asked to end; only the main thread can hear that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: signal.signal(number, _stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise Stopped(number)


def cause_of_death(error: TerminatedWorkerError) -> str:
    """Returns in words how a worker ended, from the exit codes that its pool reports or from what a cluster says."""
    if isinstance(error, JobsDied):
        return str(error)
    found = re.search(r"exit codes? of the workers (?:are|is) \{(.*)\}", str(error))
    codes = sorted(set(re.findall(r"\w+\(-?\d+\)", found[1]))) if found else []
    told = next((code for code in codes if code not in ("SIGTERM(-15)", "EXIT(0)")), "")
    if told.startswith("SIGKILL"):
        return "its process was killed (SIGKILL): out of memory?"
    if told.startswith("EXIT"):
        return f"its process ended by itself, with exit code {told[5:-1]}"
    return f"its process died{f' of {told.partition(chr(40))[0]}' if told else ''}"
