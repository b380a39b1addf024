"""Ends the workers of a command that has ended, however it ended."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from functools import cache
from multiprocessing.context import ForkServerProcess

from harness.notices import is_worker

_POLL_S = 1.0


@cache
def end_with_parent() -> None:
    """Ends this process soon after the command's process, if it is one of its workers; called once a process."""
    if not is_worker():
        return
    # The process that made this one, which may have died since: then another is the parent already.
    maker = multiprocessing.parent_process()
    made = maker is not None and not isinstance(multiprocessing.current_process(), ForkServerProcess)
    threading.Thread(target=_watch, args=(maker.pid if maker and made else os.getppid(),), daemon=True).start()


def end_with(parent: int) -> None:
    """Ends this process soon after that of `parent` has ended; what a pool calls in each new worker.

    A worker that never gets a job never imports what starts the watch of `end_with_parent`, and waits for five minutes.
    The number is given, since a parent that died early has been replaced by another when the worker can ask.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    """Polls, since no system has a portable way of being told; a worker that became a command itself is left alone."""
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    if is_worker():
        os._exit(1)
