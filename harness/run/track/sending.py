"""Sends the content of runs to W&B, to a server if possible, else to disk."""

from __future__ import annotations

import json
import logging
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from harness.run.track.board import BoardRun, board_of, media, records_artifact
from harness.run.track.client import (
    aside,
    attempt,
    digests_of,
    forget,
    has_key,
    link,
    open_run,
    unlinked,
    wandb_environment,
)  # fmt: skip
from harness.run.track.content import TrialRun, curve_row, run_of, trial_opening
from harness.run.track.names import group_name
from harness.run.track.patience import Patience

Fate = Literal["sent", "on disk", "lost"]
"""What became of a run: the server has all of it, the disk has, or neither."""
_MARKER, _NOTE = "offline.txt", "digest.json"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class WandB:
    """Tracks into the folder `runs`, and to a server if there is a key and the server answers.

    Each run has a folder of its own, so that two processes that run one trial at the same time do not collide. `shared`
    is the study's: the first error of the server leaves a marker in it, so that no other trial of the study waits for
    that server again; so does the end of the study's `patience`.
    """

    shared: Path
    runs: Path
    project: str
    entity: str | None
    mode: Literal["auto", "online", "offline"]
    init_timeout: float
    finish_timeout: float
    patience: Patience

    def begin(self) -> None:
        """Removes the marker of an earlier command's error, so that the server is tried again, and renews patience."""
        attempt(lambda: (self.shared / _MARKER).unlink(missing_ok=True), self._trouble)
        attempt(self.patience.renew, self._trouble)

    @contextmanager
    def trial(self, head: Mapping[str, Any]) -> Iterator[_Run]:
        """Yields the log of one trial; a block that ends without a finished record leaves a failed run."""
        with self._run(trial_opening(head), [head["trial"]["data"]], head) as run:
            yield run

    def leaderboard(self, study: str, table: pd.DataFrame, figures: list[Path], folder: Path | None = None) -> None:
        """Logs a run of job type "leaderboard" under the study's own id, so that a later one replaces it."""
        board = attempt(lambda: board_of(study, table, figures, folder), unlinked) if folder else None
        board = board or attempt(lambda: board_of(study, table, figures, None), self._trouble)
        if board:
            self.send_board(board)

    def send_trial(self, content: TrialRun) -> Fate:
        """Sends the run of an old record, in place of what the server has under its id; returns what became of it."""
        with self._run(content.opening, [content.data], {}) as run:
            return run.send(content)

    def send_board(self, board: BoardRun) -> Fate:
        """Sends a leaderboard with its figures and records; returns what became of it."""
        with self._run(board.opening, board.origin.get("data", []), {}) as run:
            return run.show(board)

    def is_online(self) -> bool:
        """Returns whether the next run would go to the server."""
        return self._next_mode() == "online"

    def present(self, study: str) -> dict[str, str]:
        """Returns the digests of the study's runs that are where the next run would go, by the runs' ids.

        On a server only of runs that have arrived completely; an error of the server keeps the study offline.
        """
        if self.is_online():
            with wandb_environment(self.runs, self.shared, self.init_timeout), aside():
                known = attempt(
                    lambda: digests_of(self.project, self.entity, group_name(study), self.init_timeout), self._trouble
                )
            if known is not None:
                return known
        notes = [json.loads(note.read_text(encoding="utf-8")) for note in sorted(self.runs.glob(f"*/{_NOTE}"))]
        return {note["id"]: note["digest"] for note in notes if note["place"] == self._place}

    @property
    def _place(self) -> list[str | None]:
        """Returns the account and the project that runs on disk are for."""
        return [self.entity, self.project]

    @property
    def sync(self) -> str:
        """Returns the command that uploads what is on disk, by W&B's own program in this working folder."""
        return f"wandb sync --include-online {self.runs / '*' / 'wandb' / '*run-*'}"

    @contextmanager
    def _run(self, opening: Mapping[str, Any], data: Sequence[str], head: Mapping[str, Any]) -> Iterator[_Run]:
        """Opens a run on the data of those fingerprints and closes it after the block, whatever happens."""
        folder = self.runs / f"{opening['id']}-{uuid.uuid4().hex[:8]}"
        with wandb_environment(self.runs, folder, self.init_timeout):
            run = _Run(
                lambda: self._open(opening, folder, data), self._trouble, self.patience, folder, head, self._place
            )
            try:
                run.open()
                yield run
            finally:
                run.close(1)

    def _open(self, opening: Mapping[str, Any], folder: Path, data: Sequence[str]) -> tuple[Any, float]:
        """Returns a W&B run, online if possible, else offline, and the limit of its end in seconds, 0 offline.

        The run is None if it cannot be written to disk either. Offline mode is also tried twice: the failure may have
        been that of W&B's service, which has been restarted by then.
        """
        mode = self._next_mode()
        online = attempt(lambda: self._init_online(opening, folder), self._trouble) if mode == "online" else None
        run, limit = online or (None, 0.0)
        for _ in range(2):
            run = run or attempt(lambda: self._init(opening, folder, "offline", 0.0, 0.0), self._trouble)
        if run:
            attempt(lambda: link(run, data), unlinked)
        return run, limit

    def _next_mode(self) -> str:
        """Returns the mode of the next run."""
        if (self.shared / _MARKER).exists():
            return "offline"
        if self.mode == "auto":
            return "online" if has_key() else "offline"
        if self.mode == "online" and not has_key():
            self._trouble(PermissionError("there is no API key: set WANDB_API_KEY or run `wandb login`"))
            return "offline"
        return self.mode

    def _init_online(self, opening: Mapping[str, Any], folder: Path) -> tuple[Any, float]:
        """Returns an online run and the limit of its end, within the study's patience; raises what W&B raises."""
        import wandb  # noqa: F401 - an import is no waiting for a server

        init, finish = self.patience.limit(self.init_timeout), self.patience.limit(self.finish_timeout)
        with self.patience.waiting(init):
            return self._init(opening, folder, "online", init, finish), finish

    def _init(self, opening: Mapping[str, Any], folder: Path, mode: str, init: float, finish: float) -> Any:
        """Returns a W&B run of that mode, replacing any run in `folder`; raises what W&B raises."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        place = {"project": self.project, "entity": self.entity, "dir": str(folder), "mode": mode}
        try:
            return open_run({**place, **opening}, init or self.init_timeout, finish or self.finish_timeout)
        except BaseException:
            forget()
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _trouble(self, error: Exception) -> None:
        """Keeps the study offline from now on; the first process that gets here logs one line."""
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        try:
            self.shared.mkdir(parents=True, exist_ok=True)
            with open(self.shared / _MARKER, "x") as marker:
                marker.write(f"{reason}\n")
        except FileExistsError:
            _LOG.debug("W&B: %s", reason)
            return
        except OSError as full:
            reason = f"{reason}; {full}"
        later = f"harness publish {self.shared.parent.name}, or {self.sync}"
        _LOG.warning("W&B: %s. Tracked on disk from now on; later: %s", reason, later)


@dataclass
class _Run:
    """Wraps one W&B run; every call does nothing if no run could be opened or it is closed.

    `head` is that of the trial's record, `place` the account and the project. `rows` counts those of its curve so far;
    `whole` says whether W&B has accepted everything so far, and `arrived` whether the server has confirmed it. `limit`
    is that of its end (s).
    """

    opened: Callable[[], tuple[Any, float]]
    trouble: Callable[[Exception], None]
    patience: Patience
    folder: Path
    head: Mapping[str, Any]
    place: list[str | None]
    run: Any = None
    limit: float = 0.0
    rows: int = 0
    whole: bool = True
    arrived: bool = False

    def open(self) -> None:
        """Opens the run, or opens it again."""
        (self.run, self.limit), self.rows, self.whole = self.opened(), 0, True

    def __call__(self, row: Mapping[str, float | int]) -> None:
        """Sends one row of the curve; W&B's own step counts rows, so that no row is dropped."""
        self._log(curve_row(row))

    def finish(self, record: Mapping[str, Any], delta: float | None) -> None:
        """Sends the parts of the record that were not sent yet, then closes; a failed trial has a failed run."""
        self.send(run_of({**self.head, **record}, delta))

    def send(self, content: TrialRun) -> Fate:
        """Sends what is missing of a trial's run, then closes."""
        return self._tell(lambda: self._send(content), content.digest)

    def show(self, board: BoardRun) -> Fate:
        """Logs a leaderboard with its figures, and the records if there are any, then closes."""
        return self._tell(lambda: self._show(board), board.digest)

    def close(self, exit_code: int) -> None:
        """Ends the run if it is still open; waits for the last upload for at most its limit."""
        if self.run is not None:
            self._do(lambda run: self._end(run, exit_code))
            self.run = None

    def _log(self, row: Mapping[str, Any]) -> None:
        self.rows += 1
        self._do(lambda run: run.log(row))

    def _send(self, content: TrialRun) -> None:
        for row in content.rows[self.rows :]:
            self._log(row)
        self._do(lambda run: run.summary.update(content.summary))
        self.close(content.exit_code)

    def _show(self, board: BoardRun) -> None:
        self._do(lambda run: run.log(media(board.table, board.figures)))
        if board.records:
            study = str(board.opening["config"]["study"])
            self._do(lambda run: run.log_artifact(records_artifact(study, board)))
        self._do(lambda run: run.summary.update({"digest": board.digest}))
        self._do(lambda run: _LOG.info("W&B: leaderboard at %s", run.url) if run.url else None)
        self.close(0 if self.whole else 1)

    def _tell(self, tell: Callable[[], None], digest: str) -> Fate:
        """Calls `tell`, which ends a run; if W&B does not accept all of it, repeats it with a new run on disk."""
        tell()
        if not self.whole:
            self.open()
            tell()
        if self.arrived or not self.whole:
            return "sent" if self.whole else "lost"
        note = json.dumps({"id": self.folder.name.rpartition("-")[0], "digest": digest, "place": self.place})
        kept = attempt(lambda: (self.folder / _NOTE).write_text(note, encoding="utf-8"), unlinked)
        return "on disk" if kept else "lost"

    def _end(self, run: Any, exit_code: int) -> None:
        """Finishes a run; if that takes too long, the run is complete on disk and only its upload is missing."""
        if not self.limit:
            run.finish(exit_code=exit_code)
            return
        try:
            with self.patience.waiting(self.limit):
                run.finish(exit_code=exit_code)
            self.arrived = True
        except TimeoutError as late:
            self.trouble(late)

    def _do(self, action: Callable[[Any], object]) -> None:
        """Applies an action to the run; if it fails, the run is no longer whole."""

        def done() -> bool:
            action(self.run)
            return True

        if self.run is None or not attempt(done, self.trouble):
            self.whole = False
