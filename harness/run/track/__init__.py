"""Logs records to W&B: one run per trial and one leaderboard per study, online if possible, else on disk.

A tracker delays a study by a bounded wait at most (`patience`): whatever W&B or its server does, trial and study go on,
and the user is informed once. The harness never takes a number from W&B; the records are the source of truth, and
`harness publish` sends what W&B lacks from them alone.

**One function turns a record into a run** (`content.run_of`), for a running study and for `harness publish`, so both
send the same bytes under the same id (`names`): a repeat replaces, and changes nothing.

**Lineage.** The data are a W&B artifact that holds their fingerprint only. It is an input of each trial's run and of
the leaderboard's, whose output is the records as an artifact. A record's file is named after the trial's key, which is
in the config of the trial's run. The same fingerprints are in every run's config and in the metadata of the records,
for runs that are read from disk.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import pandas as pd

from harness.errors import BadInput
from harness.run.track.patience import Patience
from harness.run.track.sending import WandB

_LOG = logging.getLogger(__name__)


@runtime_checkable
class TrialLog(Protocol):
    """Receives the rows of one trial's training curve, then its record."""

    def __call__(self, row: Mapping[str, float | int]) -> None:
        """Takes one row of the training curve: `{"step", "loss", …}`."""

    def finish(self, record: Mapping[str, Any], delta: float | None) -> None:
        """Ends the run with a record; `delta` is in points of the metric, None if there is no control."""


@runtime_checkable
class Tracker(Protocol):
    """Defines what every option of the group `track` returns, given the folder in which it may write."""

    def begin(self) -> None:
        """Prepares the tracker; called once by the process that a user started, before the first trial."""

    def trial(self, head: Mapping[str, Any]) -> AbstractContextManager[TrialLog]:
        """Returns the log of one trial; `head` is the part of its record that is known before it runs."""

    def leaderboard(self, study: str, table: pd.DataFrame, figures: list[Path], folder: Path | None = None) -> None:
        """Publishes a study's leaderboard, its figures (PNG), and the records in the study's `folder` if given."""


@dataclass(frozen=True)
class Nothing:
    """Discards everything, as a tracker and as a log; `note` says why, if the user should know."""

    note: str = ""

    def begin(self) -> None:
        """Logs the note."""
        if self.note:
            _LOG.warning("W&B: %s", self.note)

    @contextmanager
    def trial(self, head: Mapping[str, Any]) -> Iterator[TrialLog]:
        """Yields a log that discards everything."""
        yield self

    def leaderboard(self, study: str, table: pd.DataFrame, figures: list[Path], folder: Path | None = None) -> None:
        """Does nothing."""

    def __call__(self, row: Mapping[str, float | int]) -> None:
        """Discards the row."""

    def finish(self, record: Mapping[str, Any], delta: float | None) -> None:
        """Discards the record."""


def nothing(folder: Path) -> Nothing:
    """Returns the tracker that keeps nothing and does not import W&B."""
    return Nothing()


def wandb(
    folder: Path,
    *,
    project: str,
    entity: str | None,
    mode: Literal["auto", "online", "offline", "disabled", ""],
    dir: str | None,
    init_timeout: float,
    finish_timeout: float,
    patience_s: float,
) -> WandB | Nothing:
    """Returns a tracker that writes below `dir` and, by `mode`, to a W&B server; times are in seconds.

    `folder` holds what the workers of a study share, and the runs if there is no `dir`. An entity, mode or folder that
    is "" counts as not given: that is an environment variable that is set to nothing. BadInput for a project without a
    name, and for a time that is not positive.
    """
    if not project:
        raise BadInput("track.project is empty: unset WANDB_PROJECT, or write track.project=NAME")
    times = {"init_timeout": init_timeout, "finish_timeout": finish_timeout, "patience_s": patience_s}
    for name, seconds in times.items():
        if not seconds > 0:
            raise BadInput(f"track.{name} is {seconds:g}: it must be a number of seconds above 0")
    if mode == "disabled":
        return Nothing("switched off by track.mode or WANDB_MODE (disabled): nothing is tracked")
    runs = Path(dir).expanduser().absolute() if dir else folder
    patience = Patience(folder / "waits.txt", patience_s)
    return WandB(folder, runs, project, entity or None, mode or "auto", init_timeout, finish_timeout, patience)
