"""Limits how long a study waits for a server, over all its calls and all its workers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_LEAST = 3.0
"""Seconds: with less left no call begins, and no call gets less, since a good server may need as much."""


class OutOfPatience(TimeoutError):
    """Says that a server has taken all the time that a study gives it."""


@dataclass(frozen=True)
class Patience:
    """Holds a study's budget of seconds for waiting, shared through a file to which each worker appends.

    A call appends a line when it begins (its name, when, its limit) and one when it ends (its name, the seconds that it
    took); one write per line, so workers mix no lines. A call of a process that was killed counts with its limit.

    A run waits twice, when it opens and when it ends, and W&B fixes both limits when it opens: each is at most half of
    what no other call can still use up, and three seconds at least. W&B takes a second or two longer than its limits,
    so the sum over all workers can exceed the budget by a few seconds a worker.
    """

    file: Path
    seconds: float

    def renew(self) -> None:
        """Forgets what was spent."""
        self.file.unlink(missing_ok=True)

    def limit(self, seconds: float) -> float:
        """Returns how long a call may take that would be given `seconds`; OutOfPatience if too little is left."""
        spent, reserved = self.spent()
        least = min(_LEAST, self.seconds / 2)
        if self.seconds - spent < least:
            raise OutOfPatience(
                f"the server has cost this study {spent:.0f} s of waiting, of the {self.seconds:g} s that "
                "track.patience_s allows"
            )
        return min(seconds, max(least, (self.seconds - spent - reserved) / 2))

    def spent(self) -> tuple[float, float]:
        """Returns the seconds that calls have taken, and those that calls under way can still take."""
        ended, begun = self._calls()
        spent, reserved = float(sum(ended.values())), 0.0
        for name, (start, limit) in begun.items():
            if name not in ended and time.time() - start > limit:
                spent += limit
            elif name not in ended:
                reserved += limit
        return spent, reserved

    @contextmanager
    def waiting(self, limit: float) -> Iterator[None]:
        """Counts the time of the block, which is expected to take at most `limit` seconds."""
        name, begun = uuid.uuid4().hex[:12], time.monotonic()
        self._append(f"begin {name} {time.time():.3f} {limit:.3f}")
        try:
            yield
        finally:
            self._append(f"end {name} {time.monotonic() - begun:.3f}")

    def _append(self, line: str) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def _calls(self) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
        """Returns the seconds of each call that has ended, and when each began with its limit, by name."""
        try:
            lines = [line.split() for line in self.file.read_text(encoding="utf-8").splitlines()]
        except FileNotFoundError:
            lines = []
        ended = {name: float(took) for word, name, took, *_ in lines if word == "end"}
        begun = {line[1]: (float(line[2]), float(line[3])) for line in lines if line[0] == "begin"}
        return ended, begun
