"""Logs records to W&B: one run per trial and one leaderboard per study, online if possible, else on disk.

A tracker delays a trial by a bounded wait at most: whatever W&B or its server does, trial and study go on, and the
user is informed once. The harness never reads back from W&B; the records are the source of truth.

**Lineage.** The data are a W&B artifact that holds their fingerprint only. It is an input of each trial's run and of
the leaderboard's, whose output is the records as an artifact. A record's file is named after the trial's key, which is
the id of the trial's run. The same fingerprints are in every run's config and in the metadata of the records, for runs
that are read from disk.
"""

from __future__ import annotations

import hashlib
import logging
import netrc
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable
from urllib.parse import urlsplit

import pandas as pd

_T = TypeVar("_T")
_HOST = "https://api.wandb.ai"
_MARKER = "offline.txt"
_TAG_LENGTH = 64
_OUTCOMES = ("delta", "test", "valid", "cost/cpu_s")
"""What is logged once per trial as well as put in the summary: by default, W&B draws panels only of logged values."""
_RECORDS = ("study.json", "table.parquet", "tests", "trials")
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
    """Discards everything, as a tracker and as a log."""

    def begin(self) -> None:
        """Does nothing."""

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


@dataclass(frozen=True)
class WandB:
    """Tracks into `folder`, and to a server if there is a key and the server answers.

    Each run has a folder of its own, so that two processes that run one trial at the same time do not collide. The
    first error of the server leaves a marker in `folder`, so that no other trial of the study waits for that server
    again.
    """

    folder: Path
    project: str
    entity: str | None
    mode: Literal["auto", "online", "offline"]
    init_timeout: float
    finish_timeout: float

    def begin(self) -> None:
        """Removes the marker of an earlier command's error, so that the server is tried again."""
        _attempt(lambda: (self.folder / _MARKER).unlink(missing_ok=True), self._trouble)

    @contextmanager
    def trial(self, head: Mapping[str, Any]) -> Iterator[TrialLog]:
        """Yields the log of one trial; a block that ends without a finished record leaves a failed run."""
        with self._run(trial_run(head), [head["trial"]["data"]]) as run:
            yield run

    def leaderboard(self, study: str, table: pd.DataFrame, figures: list[Path], folder: Path | None = None) -> None:
        """Logs a run of job type "leaderboard" whose id is the hash of its content, so that a repeat replaces it."""
        origin = _attempt(lambda: lineage(folder), _unlinked) if folder else None
        with self._run(leaderboard_run(study, table, origin or {}), origin["data"] if origin else []) as run:
            run.show(table, figures, folder if origin else None)

    @contextmanager
    def _run(self, what: Mapping[str, Any], data: Sequence[str]) -> Iterator[_Run]:
        """Opens a run on the data of those fingerprints and closes it after the block, whatever happens."""
        folder = self.folder / f"{what['id'][:12]}-{uuid.uuid4().hex[:8]}"
        with _environment(self.folder, folder, self.init_timeout):
            run = _Run(lambda: self._open(what, folder, data), self._trouble)
            try:
                run.open()
                yield run
            finally:
                run.close(1)

    def _open(self, what: Mapping[str, Any], folder: Path, data: Sequence[str]) -> Any:
        """Returns a W&B run, online if possible, else offline; None if it cannot be written to disk either.

        Offline mode is also tried twice: the failure may have been that of W&B's service, which has been restarted by
        then.
        """
        run = _attempt(lambda: self._init(what, folder, self._mode()), self._trouble)
        run = run or _attempt(lambda: self._init(what, folder, "offline"), self._trouble)
        if run:
            _attempt(lambda: _link(run, data), _unlinked)
        return run

    def _mode(self) -> str:
        """Returns the mode of the next run; a user's own WANDB_MODE has priority over `auto`."""
        if (self.folder / _MARKER).exists():
            return "offline"
        if self.mode == "auto":
            return os.environ.get("WANDB_MODE") or ("online" if has_key() else "offline")
        if self.mode == "online" and not has_key():
            self._trouble(PermissionError("there is no API key: set WANDB_API_KEY or run `wandb login`"))
            return "offline"
        return self.mode

    def _init(self, what: Mapping[str, Any], folder: Path, mode: str) -> Any:
        """Returns a W&B run of that mode, replacing any run in `folder`; raises what W&B raises."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        place = {"project": self.project, "entity": self.entity, "dir": str(folder), "mode": mode}
        try:
            return _opened({**place, **what}, self.init_timeout, self.finish_timeout)
        except BaseException:
            _forget()
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _trouble(self, error: Exception) -> None:
        """Keeps the study offline from now on; the first process that gets here logs one line."""
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(self.folder / _MARKER, "x") as marker:
                marker.write(f"{reason}\n")
        except FileExistsError:
            _LOG.debug("W&B: %s", reason)
            return
        except OSError as full:
            reason = f"{reason}; {full}"
        runs = self.folder / "*" / "wandb" / "*run-*"
        _LOG.warning("W&B: %s. Tracked on disk from now on; later: wandb sync --include-online %s", reason, runs)


@dataclass
class _Run:
    """Wraps one W&B run; every call does nothing if no run could be opened or it is closed.

    `rows` counts the rows of the curve so far; `whole` says whether W&B has accepted everything so far.
    """

    opened: Callable[[], Any]
    trouble: Callable[[Exception], None]
    run: Any = None
    rows: int = 0
    whole: bool = True

    def open(self) -> None:
        """Opens the run, or opens it again."""
        self.run, self.rows, self.whole = self.opened(), 0, True

    def __call__(self, row: Mapping[str, float | int]) -> None:
        """Sends one row of the curve; W&B's own step counts rows, so that no row is dropped."""
        self.rows += 1
        self._do(lambda run: run.log({f"curve/{name}": value for name, value in row.items()}))

    def finish(self, record: Mapping[str, Any], delta: float | None) -> None:
        """Sends the parts of the record that were not sent yet, then closes; a failed trial has a failed run."""
        self._tell(lambda: self._finish(record, delta))

    def show(self, table: pd.DataFrame, figures: list[Path], folder: Path | None) -> None:
        """Logs the leaderboard with its figures, and the records if there is a folder, then closes."""
        self._tell(lambda: self._show(table, figures, folder))

    def close(self, exit_code: int) -> None:
        """Ends the run if it is still open; waits for the last upload for at most `finish_timeout`."""
        if self.run is not None:
            self._do(lambda run: self._end(run, exit_code))
            self.run = None

    def _finish(self, record: Mapping[str, Any], delta: float | None) -> None:
        for row in record["history"][self.rows :]:
            self(row)
        told = summary(record, delta)
        outcome = {name: told[name] for name in _OUTCOMES if name in told}
        if outcome:
            self._do(lambda run: run.log(outcome))
        self._do(lambda run: run.summary.update(told))
        self.close(0 if record["status"] == "done" else 1)

    def _show(self, table: pd.DataFrame, figures: list[Path], folder: Path | None) -> None:
        self._do(lambda run: run.log(_media(table, figures)))
        if folder:
            self._do(lambda run: run.log_artifact(records_artifact(str(run.config["study"]), folder)))
        self._do(lambda run: _LOG.info("W&B: leaderboard at %s", run.url) if run.url else None)
        self.close(0 if self.whole else 1)

    def _tell(self, tell: Callable[[], None]) -> None:
        """Calls `tell`, which ends a run; if W&B does not accept all of it, repeats it with a new run on disk."""
        tell()
        if not self.whole:
            self.open()
            tell()

    def _end(self, run: Any, exit_code: int) -> None:
        """Finishes a run; if that takes too long, the run is complete on disk and only its upload is missing."""
        try:
            run.finish(exit_code=exit_code)
        except TimeoutError as late:
            self.trouble(late)

    def _do(self, action: Callable[[Any], object]) -> None:
        """Applies an action to the run; if it fails, the run is no longer whole."""

        def done() -> bool:
            action(self.run)
            return True

        if self.run is None or not _attempt(done, self.trouble):
            self.whole = False


def nothing(folder: Path) -> Nothing:
    """Returns the tracker that keeps nothing and imports nothing."""
    return Nothing()


def wandb(
    folder: Path,
    *,
    project: str,
    entity: str | None,
    mode: Literal["auto", "online", "offline"],
    init_timeout: float,
    finish_timeout: float,
) -> WandB:
    """Returns a tracker that writes below `folder` and, by `mode`, to a W&B server; timeouts are in seconds."""
    return WandB(folder, project, entity, mode, init_timeout, finish_timeout)


def _opened(arguments: Mapping[str, Any], init_timeout: float, finish_timeout: float) -> Any:
    """Returns a W&B run that prints nothing, collects nothing about the machine, and waits for the timeouts at most."""
    import wandb

    settings = wandb.Settings(
        silent=True, console="off", symlink=False, disable_git=True, disable_code=True, x_disable_stats=True,
        x_disable_machine_info=True, x_save_requirements=False, init_timeout=init_timeout,
        finish_timeout=finish_timeout, finish_timeout_raises=True,
    )  # fmt: skip
    run = wandb.init(**arguments, reinit="create_new", settings=settings)
    run.define_metric("curve/*", step_metric="curve/step", summary="none")
    for name in _OUTCOMES:
        run.define_metric(name, summary="last")
    return run


def _forget() -> None:
    """Stops W&B's service: it keeps the id of a run that could not be opened, and would refuse the same id offline."""
    import wandb

    try:
        wandb.teardown()
    except SystemExit as error:
        _LOG.debug("W&B's service ended with %s", error.code)


def has_key() -> bool:
    """Returns whether the user has logged in to W&B: a key in the environment, or a netrc entry for the server."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    named = [Path(os.environ["NETRC"])] if os.environ.get("NETRC") else [Path("~/.netrc"), Path("~/_netrc")]
    host = urlsplit(os.environ.get("WANDB_BASE_URL", _HOST)).netloc
    return any(_logged_in(path.expanduser(), host) for path in named)


def _logged_in(path: Path, host: str) -> bool:
    """Returns whether a netrc file names that host; false if the file cannot be read."""
    try:
        return netrc.netrc(path).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def trial_run(head: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of a trial's run, from its record's head: identity, place in the study, configuration."""
    trial = head["trial"]
    tags = [_task_name(trial["task"]), *head["factors"], *(["reference"] if head["reference"] else [])]
    return {
        "id": head["key"],
        "group": head["study"],
        "job_type": "baseline" if head["axis"] == "none" else head["axis"],
        "name": f"{head['arm']} seed={head['seed']}",
        "tags": [tag[:_TAG_LENGTH] for tag in dict.fromkeys(tags)],
        "config": {**flatten(trial), **_place(head)},
    }


def _place(head: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values by which runs are grouped and compared, under one-word names at the top of the config."""
    words = {name: head[name] for name in ("study", "arm", "axis", "factors", "reference", "seed")}
    return {**words, "task": _task_name(head["trial"]["task"])}


def _task_name(task: Mapping[str, Any]) -> str:
    """Returns a task's short name: its `name`, else the last part of its target."""
    return str(task.get("name") or task.get("_target_", "task").rpartition(".")[2])


def leaderboard_run(study: str, table: pd.DataFrame, origin: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of a leaderboard's run; `origin` is its lineage.

    The id is the hash of the study's name and the table.
    """
    content = hashlib.sha256(f"{study}\n{table.to_csv(index=False)}".encode()).hexdigest()
    return {
        "id": content[:40],
        "group": study,
        "job_type": "leaderboard",
        "name": f"{study} leaderboard",
        "tags": [study[:_TAG_LENGTH]],
        "config": {"study": study, "rows": len(table), **origin},
    }


def lineage(folder: Path) -> dict[str, Any]:
    """Returns what a study's leaderboard was made from: the fingerprints of its data, and the counts of its trials.

    They are read from the table beside the records; OSError if there is none.
    """
    trials = pd.read_parquet(folder / "table.parquet", columns=["data", "status"])
    return {
        "data": sorted(set(trials["data"])),
        "trials": len(trials),
        "failed": int((trials["status"] == "failed").sum()),
    }


def data_artifact(fingerprint: str) -> Any:
    """Returns the data as a W&B artifact that holds their fingerprint only."""
    import wandb

    artifact = wandb.Artifact(f"data-{fingerprint[:16]}", type="data", metadata={"fingerprint": fingerprint})
    with artifact.new_file("fingerprint.txt") as file:
        file.write(f"{fingerprint}\n")
    return artifact


def records_artifact(study: str, folder: Path) -> Any:
    """Returns a study's records as a W&B artifact: its plan, test sets, one file per trial, and the table of all."""
    import wandb

    name = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{study}-records")
    artifact = wandb.Artifact(name, type="records", metadata={"study": study, **lineage(folder)})
    for part in _RECORDS:
        if (folder / part).is_dir():
            artifact.add_dir(str(folder / part), name=part, skip_cache=True, policy="immutable")
        elif (folder / part).exists():
            artifact.add_file(str(folder / part), name=part, skip_cache=True, policy="immutable")
    return artifact


def _link(run: Any, data: Sequence[str]) -> None:
    """Records that the run uses the data of those fingerprints, without waiting for the server, and offline too.

    `Run.use_artifact` waits without a limit and does not work offline; this is the part of it that does neither.
    """
    for fingerprint in data:
        run._log_artifact(data_artifact(fingerprint), use_after_commit=True)


def _unlinked(error: Exception) -> None:
    """Logs that lineage could not be recorded, which is no reason to stay offline."""
    _LOG.debug("W&B: lineage is not tracked: %s", error)


def summary(record: Mapping[str, Any], delta: float | None) -> dict[str, Any]:
    """Returns a record's outcome under flat names: status, metrics, delta in points, cost, ledger, facts, counts.

    Unknown values (the metrics of a failed trial, the reason of a finished one) are left out.
    """
    result = record["result"] or {}
    receipts = {kind: _counts(receipt) for kind, receipt in record["receipts"].items()}
    parts = {name: record.get(name) or {} for name in ("cost", "ledger", "facts")}
    told = {
        "status": record["status"],
        "reason": record["reason"],
        "delta": delta,
        **{name: result.get(name) for name in ("metric", "test", "valid", "test_set")},
        **flatten({**parts, "receipts": receipts}),
    }
    return {name: value for name, value in told.items() if value is not None}


def _counts(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the plain counts of a receipt; the rows that it names stay in the record."""
    return {name: value for name, value in receipt.items() if name.startswith("n_")}


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens a tree of mappings into one whose names are paths: `{"task": {"n": 1}}` becomes `{"task/n": 1}`."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        leaves |= flatten(value, f"{prefix}{name}/") if hasattr(value, "items") else {f"{prefix}{name}": value}
    return leaves


def _media(table: pd.DataFrame, figures: list[Path]) -> dict[str, Any]:
    """Returns the leaderboard and its figures as W&B's own types."""
    import wandb

    images = {f"figure/{figure.stem}": wandb.Image(str(figure)) for figure in figures}
    return {"leaderboard": wandb.Table(dataframe=_typed(table)), **images, **_panels(table)}


def _panels(table: pd.DataFrame) -> dict[str, Any]:
    """Returns a chart of the arms' effects per axis, which a new workspace shows; empty if no arm has an effect."""
    import wandb

    if not {"axis", "arm", "effect"} <= set(table.columns):
        return {}
    arms = table.loc[table["effect"].notna(), ["arm", "axis", "effect"]]
    return {
        f"effects/{axis}": wandb.plot.bar(
            wandb.Table(dataframe=_typed(rows[["arm", "effect"]])), "arm", "effect", title=f"{axis}: effects in points"
        )
        for axis, rows in arms.groupby("axis", sort=True)
    }


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the table with one type per column: values but numbers and booleans become text, missing ones None."""
    plain = set(table.select_dtypes(include=["number", "bool"]).columns)
    return pd.DataFrame({name: _cells(table[name], name in plain) for name in table.columns}, dtype=object)


def _cells(column: pd.Series, plain: bool) -> list[Any]:
    """Returns a column's cells as Python types; as text unless `plain`."""
    pairs = zip(column.tolist(), column.isna(), strict=True)
    return [None if gap else value if plain else str(value) for value, gap in pairs]


@contextmanager
def _environment(shared: Path, folder: Path, timeout: float) -> Iterator[None]:
    """Sets what W&B reads only from the environment, keeping the user's own values, and restores it after the block.

    Without "error reporting" its service also sends no telemetry, which would delay the end of the process by ten
    seconds if the server does not answer.
    """
    before = _settings()
    ours = {
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_CACHE_DIR": str(shared / "cache"),
        "WANDB_HTTP_TIMEOUT": str(max(1, round(timeout))),
    }
    os.environ.update(ours | before | {"WANDB_DATA_DIR": str(folder)})
    try:
        yield
    finally:
        for name in _settings().keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _settings() -> dict[str, str]:
    """Returns W&B's part of the environment."""
    return {name: value for name, value in os.environ.items() if name.startswith("WANDB_")}


def _attempt(action: Callable[[], _T], trouble: Callable[[Exception], None]) -> _T | None:
    """Returns the result of `action`, or None after reporting its error: a tracker must never fail a trial."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001 - W&B raises a dozen types, some of them undocumented
        trouble(error)
        return None
