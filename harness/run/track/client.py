"""Opens and asks W&B with the settings that the harness needs: nothing of the machine, bounded waits, no output."""

from __future__ import annotations

import configparser
import logging
import netrc
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from harness.run.track.board import data_artifact
from harness.run.track.content import OUTCOMES

_T = TypeVar("_T")
_HOSTS = ("https://api.wandb.ai", "https://api.forge.coreweave.com")
"""The addresses of W&B's own server, one of which W&B asks if none is named."""
_ENDED = ("finished", "failed")
"""The states of a run of which everything has arrived: it ended with exit code 0, or another."""
_LOG = logging.getLogger(__name__)


def open_run(arguments: Mapping[str, Any], init_timeout: float, finish_timeout: float) -> Any:
    """Returns a W&B run that prints nothing, sends nothing about the machine, and waits for the timeouts at most.

    Host, program and metadata (user, command line, paths, hardware, code) are switched off one by one, because W&B
    takes each of them from another place.
    """
    import wandb

    settings = wandb.Settings(
        silent=True, console="off", symlink=False, disable_git=True, disable_code=True, save_code=False, host="",
        program="", x_disable_meta=True, x_disable_stats=True, x_disable_machine_info=True, x_save_requirements=False,
        init_timeout=init_timeout, finish_timeout=finish_timeout, finish_timeout_raises=True,
    )  # fmt: skip
    run = wandb.init(**arguments, reinit="create_new", settings=settings)
    run.define_metric("curve/*", step_metric="curve/step", summary="none")
    for name in OUTCOMES:
        run.define_metric(name, summary="last")
    _shorten_paths(run)
    return run


def _shorten_paths(run: Any) -> None:
    """Makes the run name files of artifacts relative to the working folder, from which W&B's service reads them.

    W&B puts the path of each file on this machine into the manifest that it uploads with an artifact, and offers no
    setting against that.
    """
    make = run._interface._make_artifact

    def made_relative(artifact: Any) -> Any:
        made = make(artifact)
        for entry in made.manifest.contents:
            if entry.local_path:
                entry.local_path = os.path.relpath(entry.local_path)
        return made

    run._interface._make_artifact = made_relative


def forget() -> None:
    """Stops W&B's service: it keeps the id of a run that could not be opened, and would refuse the same id offline."""
    import wandb

    try:
        wandb.teardown()
    except SystemExit as error:
        _LOG.debug("W&B's service ended with %s", error.code)


def link(run: Any, data: Sequence[str]) -> None:
    """Records that the run uses the data of those fingerprints, without waiting for the server, and offline too.

    `Run.use_artifact` waits without a limit and does not work offline; this is the part of it that does neither.
    """
    for fingerprint in data:
        run._log_artifact(data_artifact(fingerprint), use_after_commit=True)


def unlinked(error: Exception) -> None:
    """Logs that lineage could not be recorded, which is no reason to stay offline."""
    _LOG.debug("W&B: lineage is not tracked: %s", error)


def digests_of(project: str, entity: str | None, group: str, timeout: float) -> dict[str, str]:
    """Returns the digest of each run of a group of which the server has everything, by the run's id.

    Empty if the server has no such project. Raises what W&B raises; a request waits for `timeout` seconds.
    """
    import wandb

    api = wandb.Api(timeout=max(1, round(timeout)))
    runs = api.runs(f"{entity or api.default_entity}/{project}", filters={"group": group}, per_page=200, lazy=False)
    try:
        known = list(runs)
    except ValueError as error:
        if "Could not find project" not in str(error):
            raise
        return {}
    return {str(run.id): str(run.summary_metrics.get("digest", "")) for run in known if run.state in _ENDED}


def has_key() -> bool:
    """Returns whether the user has logged in to W&B: a key in the environment, or a netrc entry for the server."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    files = [Path(os.environ["NETRC"])] if os.environ.get("NETRC") else [Path("~/.netrc"), Path("~/_netrc")]
    address = os.environ.get("WANDB_BASE_URL") or _address_of_login()
    hosts = {urlsplit(one).netloc for one in ([address] if address else _HOSTS)}
    hosts |= {urlsplit(one).netloc for one in _HOSTS} if hosts & {urlsplit(one).netloc for one in _HOSTS} else set()
    return any(_is_in(path.expanduser(), host) for path in files for host in hosts)


def _address_of_login() -> str:
    """Returns the server that `wandb login --host` has written to W&B's settings, or ""."""
    folder = Path(os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb").expanduser()
    settings = configparser.ConfigParser()
    try:
        settings.read(folder / "settings", encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return ""
    return settings.get("default", "base_url", fallback="")


def _is_in(path: Path, host: str) -> bool:
    """Returns whether a netrc file names that host; false if the file cannot be read."""
    try:
        return netrc.netrc(path).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


@contextmanager
def wandb_environment(shared: Path, folder: Path, timeout: float) -> Iterator[None]:
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


@contextmanager
def aside() -> Iterator[Path]:
    """Yields a temporary folder, which W&B's public interface fills with empty folders while it is asked."""
    before = os.environ.get("WANDB_DIR")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WANDB_DIR"] = folder
        try:
            yield Path(folder)
        finally:
            del os.environ["WANDB_DIR"]
            if before is not None:
                os.environ["WANDB_DIR"] = before


def _settings() -> dict[str, str]:
    """Returns W&B's part of the environment."""
    return {name: value for name, value in os.environ.items() if name.startswith("WANDB_")}


def attempt(action: Callable[[], _T], trouble: Callable[[Exception], None]) -> _T | None:
    """Returns the result of `action`, or None after reporting its error: a tracker must never fail a trial."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001 - W&B raises a dozen types, some of them undocumented
        trouble(error)
        return None
