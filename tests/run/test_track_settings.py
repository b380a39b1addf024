"""What is written has priority over W&B's environment, that over the defaults; a study's patience is limited."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from conftest import composed
from test_track import A, entries, inspect, record, run_id, start, tracker_for
from wandb_server import serving

from harness.errors import BadInput
from harness.run import track
from harness.run.config import plain
from harness.run.faults import find_faults
from harness.run.options import build
from harness.run.track.client import has_key
from harness.run.track.patience import OutOfPatience, Patience
from harness.run.track.sending import WandB

NAMES = ("PROJECT", "ENTITY", "MODE", "DIR", "BASE_URL", "API_KEY", "IDENTITY_TOKEN_FILE", "CONFIG_DIR")


@pytest.fixture(autouse=True)
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No login and no setting of whoever runs the tests."""
    for name in NAMES:
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def tracker_of(folder: Path, *overrides: str) -> Any:
    return build(plain(composed(*overrides).track))(folder)


@pytest.mark.parametrize(
    ("name", "default", "environment", "override"),
    [
        ("project", "gains-harness", "theirs", "mine"),
        ("entity", None, "team", "other"),
        ("mode", "auto", "offline", "online"),
    ],
)
def test_override_then_environment_then_default(
    name: str, default: Any, environment: str, override: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert getattr(tracker_of(tmp_path), name) == default
    monkeypatch.setenv(f"WANDB_{name.upper()}", environment)
    assert getattr(tracker_of(tmp_path), name) == environment
    assert getattr(tracker_of(tmp_path, f"track.{name}={override}"), name) == override


def test_folder_of_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracker_of(tmp_path / "study").runs == tmp_path / "study"
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "theirs"))
    assert tracker_of(tmp_path / "study").runs == tmp_path / "theirs"
    assert tracker_of(tmp_path / "study", f"track.dir={tmp_path}/mine").runs == tmp_path / "mine"
    assert tracker_of(tmp_path / "study").shared == tmp_path / "study", "what workers share is the study's own"


def test_disabled_is_said_and_tracks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    tracker = tracker_of(tmp_path)
    assert isinstance(tracker, track.Nothing)
    tracker.begin()
    assert "nothing is tracked" in caplog.text
    assert isinstance(tracker_of(tmp_path, "track.mode=offline"), WandB)


def test_variables_that_are_set_to_nothing_count_as_unset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENTITY", "MODE", "DIR"):
        monkeypatch.setenv(f"WANDB_{name}", "")
    tracker = tracker_of(tmp_path)
    assert (tracker.entity, tracker.mode, tracker.runs) == (None, "auto", tmp_path)
    monkeypatch.setenv("WANDB_PROJECT", "")
    with pytest.raises(BadInput, match=r"track\.project is empty: unset WANDB_PROJECT"):
        tracker_of(tmp_path)


def test_wrong_settings_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "track" in "\n".join(find_faults(composed("track.mode=sometimes")))
    monkeypatch.setenv("WANDB_MODE", "sometimes")
    assert "sometimes" in "\n".join(find_faults(composed()))
    monkeypatch.delenv("WANDB_MODE")
    for name in ("init_timeout", "finish_timeout", "patience_s"):
        with pytest.raises(BadInput, match=rf"track\.{name} is 0: it must be a number of seconds above 0"):
            tracker_of(tmp_path, f"track.{name}=0.0")


def test_environment_reaches_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PROJECT": "theirs", "ENTITY": "team", "MODE": "offline", "DIR": str(tmp_path / "d")}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    one = record("a")
    with tracker_of(tmp_path / "wandb").trial(one) as log:
        log.finish(one, 1.25)
    [run] = (tmp_path / "d").glob("*/wandb/offline-run-*")
    told, opened = inspect(run), entries(run, "run")[0]
    assert (told["project"], opened["entity"], run_id(run)) == ("theirs", "team", A)
    assert not list((tmp_path / "wandb").glob("*/wandb"))


def test_key_and_server_of_the_environment_are_used(tmp_path: Path) -> None:
    """`start` names server and key by the environment alone; the mode of the environment keeps it from the server."""
    with serving() as server:
        start(tmp_path / "wandb", [[record("a"), 1.0]], server=server.url, options={"mode": "offline"}).ended()
        assert not server.asked
        start(tmp_path / "wandb", [[record("a"), 1.0]], server=server.url).ended()
        assert server.runs[A].exit_code == 0


def test_login_of_another_server_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine wandb.example.org\n  login user\n  password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert not has_key()
    (tmp_path / ".config" / "wandb").mkdir(parents=True)
    (tmp_path / ".config" / "wandb" / "settings").write_text("[default]\nbase_url = https://wandb.example.org\n")
    assert has_key()
    monkeypatch.setenv("WANDB_BASE_URL", "https://elsewhere.example.org")
    assert not has_key()


# Patience


def test_a_call_gets_half_of_what_is_left(tmp_path: Path) -> None:
    one, other = Patience(tmp_path / "p", 60.0), Patience(tmp_path / "p", 60.0)
    assert one.limit(20.0) == 20
    assert one.limit(50.0) == 30
    with one.waiting(20.0):
        assert other.limit(30.0) == 20, "the other call may still take 20 s of the 60"
        assert other.limit(5.0) == 5
    assert other.limit(50.0) == pytest.approx(30, abs=0.5), "it took no time after all"


def test_spent_time_is_summed_over_processes_and_ends(tmp_path: Path) -> None:
    file = tmp_path / "p"
    file.write_text("".join(f"begin {name} 0.0 20.0\nend {name} 19.5\n" for name in "abc"))
    with pytest.raises(
        OutOfPatience, match=r"the server has cost this study 58 s of waiting, of the 60 s that track.pat"
    ):
        Patience(file, 60.0).limit(20.0)
    assert Patience(file, 120.0).limit(50.0) == pytest.approx((120 - 58.5) / 2)
    Patience(file, 60.0).renew()
    assert Patience(file, 60.0).limit(20.0) == 20


def test_a_killed_call_counts_with_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "p"
    file.write_text(f"begin a {time.time() - 1000} 20.0\nbegin b {time.time()} 10.0\n")
    assert Patience(file, 60.0).spent() == (20.0, 10.0)


def test_many_workers_at_once_stay_within_the_budget(tmp_path: Path) -> None:
    """Each would wait as long as it may: the sum exceeds the budget by three seconds a worker at most."""
    patience, limits = Patience(tmp_path / "p", 60.0), list[float]()
    with ExitStack() as stack:
        for _ in range(16):
            limits.append(patience.limit(20.0))
            stack.enter_context(patience.waiting(limits[-1]))
    assert sum(limits) <= 60 + 3 * 16
    assert min(limits) == 3


def test_threads_mix_no_lines(tmp_path: Path) -> None:
    patience = Patience(tmp_path / "p", 60.0)

    def wait() -> None:
        for _ in range(50):
            with patience.waiting(1.0):
                pass

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len((tmp_path / "p").read_text().splitlines()) == 400
    assert patience.spent()[1] == 0


@pytest.mark.slow
def test_a_slow_server_costs_a_study_its_patience_and_no_more(tmp_path: Path) -> None:
    """Every answer comes, but late: two workers of one study go on offline together, and one of them says so."""
    records = [[record(key), 1.0] for key in "abcdef"]
    options = {"init_timeout": 20.0, "finish_timeout": 20.0, "patience_s": 6.0}
    with serving() as server:
        server.delay = 0.7
        jobs = [
            start(tmp_path / "wandb", part, server=server.url, begin=False, options=options)
            for part in (records[:3], records[3:])
        ]
        told = "".join(job.ended()[1] for job in jobs)
    assert told.count("Tracked on disk from now on; later: harness publish") == 1
    lines = [line.split() for line in (tmp_path / "wandb" / "waits.txt").read_text().splitlines()]
    limits = [float(line[3]) for line in lines if line[0] == "begin"]
    assert set(limits) == {3.0}, "half of the budget, whatever the single timeouts allow"
    assert len(limits) <= 6, "of the twelve calls that six runs make"
    assert len(jobs[0].runs()) == 6, "no trial lost its run"
    assert len(jobs[0].runs("offline-")) >= 2


def test_tracker_of_this_module_is_whole(tmp_path: Path) -> None:
    assert tracker_for(tmp_path).patience.seconds == 60
