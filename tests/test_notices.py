"""Stages that take long say what they do; quick ones, and workers, say nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from harness import notices
from harness.commands.cli import main
from harness.commands.terminal import curve
from harness.notices import PARENT, notice, notice_each
from harness.storage.cache import Cache
from harness.storage.locks import lock
from harness.storage.store import Store

HOLDER = "import sys; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True); sys.stdin.read()"
LINE = "  reading …"


@contextmanager
def held_by_another_process(lock: Path, seconds: float) -> Iterator[None]:
    """Another process holds the lock when the block begins, and lets go of it some seconds later."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        release = threading.Timer(seconds, holder.stdin.close)
        release.start()
        yield
        release.join()


def test_a_slow_stage_is_named_again_and_again_with_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "AGAIN_S", 0.1)
    with notice("reading", after_s=0.05) as tell:
        time.sleep(0.1)
        tell("3 of 9")
        time.sleep(0.2)
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert first == LINE
    assert second == "  reading: 3 of 9, 0 s so far …"


def test_a_quick_stage_and_a_stage_that_fails_say_nothing_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    before = threading.active_count()
    with notice("reading", after_s=0.2):
        pass
    with pytest.raises(ValueError, match="x"), notice("reading", after_s=0.2):
        raise ValueError("x")
    time.sleep(0.3)
    assert capsys.readouterr().err == ""
    assert threading.active_count() == before


def test_workers_are_silent(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PARENT, "1")
    with notice("reading", after_s=0.01) as tell:
        tell("half")
        time.sleep(0.1)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv(PARENT, str(os.getpid()))
    with notice("reading", after_s=0.01):
        time.sleep(0.1)
    assert capsys.readouterr().err.splitlines()[0] == LINE


def test_only_the_items_that_take_long_are_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "PATIENCE_S", 0.15)

    def items() -> Iterator[int | None]:
        yield 1
        yield None
        time.sleep(0.25)
        yield 3

    assert list(notice_each(items(), "reading")) == [1, None, 3]
    assert capsys.readouterr().err.splitlines() == [LINE]


def test_whoever_waits_for_another_process_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "PATIENCE_S", 0.1)
    with held_by_another_process(tmp_path / "a.lock", 0.4), lock(tmp_path / "a.lock", "writes a"):
        pass
    assert capsys.readouterr().err == "  waiting for another process, which writes a …\n"
    with lock(tmp_path / "a.lock", "writes a"):
        time.sleep(0.2)
    assert capsys.readouterr().err == "", "holding a lock is not waiting for it"


def test_a_wait_for_a_trial_or_for_a_cached_array_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "PATIENCE_S", 0.1)
    store = Store(tmp_path / "s")
    with held_by_another_process(tmp_path / "s" / ".locks" / "abc.lock", 0.4):
        store.fetch("abc", lambda keep: {"key": "abc"})
    assert capsys.readouterr().err == "  waiting for another process, which runs or writes trial abc …\n"
    cache = Cache(tmp_path / "cache")
    cache.array("pred_probs", ["x"], lambda: np.ones(2))
    entry = next((tmp_path / "cache").rglob("*.npy"))
    with held_by_another_process(Path(f"{entry}.lock"), 0.4):
        cache.array("pred_probs", ["x"], lambda: np.ones(2))
    assert capsys.readouterr().err == "  waiting for another process, which computes the same pred probs …\n"


def test_a_trial_away_from_a_terminal_shows_its_latest_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "PATIENCE_S", 0.1)
    with curve("baseline") as tell:
        tell({"step": 3, "loss": 0.25})
        time.sleep(0.2)
    assert capsys.readouterr().err == "  baseline: step 3  loss 0.25 …\n"


def test_a_command_that_takes_long_says_what_it_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "PATIENCE_S", 0.0)
    assert main(["arms", "weak"]) == 0
    told = capsys.readouterr().err
    assert "  reading the data of the task …\n" in told
    assert "  listing the options of weak …\n" in told
