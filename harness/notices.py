"""Says on standard error what a stage is doing when it takes longer than a few seconds."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

PARENT = "HARNESS_PARENT"
"""The environment variable that names the process of the command, whose workers are others."""
PATIENCE_S, AGAIN_S = 5.0, 10.0
"""Seconds after which a stage is named, and after which it is named again."""


@contextmanager
def notice(what: str, after_s: float | None = None) -> Iterator[Callable[[str], None]]:
    """Prints `what …` if the block takes longer than `after_s` (`PATIENCE_S`), and again, with the time, until it ends.

    The block gets a function that takes how far it is, such as "300 of 20000"; later lines say so too. Workers of a
    study are silent, since the command that runs them tells how many trials are done.
    """
    if is_worker():
        yield lambda detail: None
        return
    state, over = {"detail": ""}, threading.Event()
    patience = PATIENCE_S if after_s is None else after_s
    thread = threading.Thread(target=_speak, args=(what, patience, state, over), daemon=True)
    thread.start()
    try:
        yield lambda detail: state.update(detail=f": {detail}")
    finally:
        over.set()
        thread.join()


def notice_each(items: Iterable[T], what: str) -> Iterator[T]:
    """Yields the items, with a notice for each that takes long to come."""
    coming, end = iter(items), object()
    while True:
        with notice(what):
            item: Any = next(coming, end)
        if item is end:
            return
        yield item


def is_worker() -> bool:
    """Returns whether this process is a worker of a command that runs in another process."""
    return os.environ.get(PARENT) not in (None, str(os.getpid()))


def _speak(what: str, patience: float, state: dict[str, str], over: threading.Event) -> None:
    start, pause = time.monotonic(), patience
    while not over.wait(pause):
        waited = "" if pause == patience else f", {time.monotonic() - start:.0f} s so far"
        print(f"  {what}{state['detail']}{waited} …", file=sys.stderr, flush=True)
        pause = AGAIN_S
