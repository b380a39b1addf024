"""Trials whose process dies, and workers whose command dies: the study goes on, and nothing lives on."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from invoke import PATIENCE_S, PLAIN, SMALL, TWO_WORKERS, harness, records, started
from test_interrupted import gone, wait_for_records

pytestmark = pytest.mark.slow

MINE = '''
"""Cleaning functions that end their process, in the ways that processes end."""
import os
import signal
import sys
import time


def killed(train, tools):
    """Is killed, as by a system that has no memory left."""
    os.kill(os.getpid(), signal.SIGKILL)


def leaves(train, tools):
    """Ends the process without a word."""
    os._exit(7)


def exits(train, tools):
    """Calls sys.exit, as a script does."""
    sys.exit(3)


def lacks(train, tools):
    """Opens a file that is not there."""
    open("nowhere.txt")


def sleeps(train, tools):
    """Takes long."""
    time.sleep(600)
'''


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A user's folder with those functions as options of clean."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "conf" / "clean").mkdir(parents=True)
    for name in ("killed", "leaves", "exits", "lacks", "sleeps"):
        text = f"# {name}\n_target_: mine.{name}\n_partial_: true\nfits: [image]\n"
        (tmp_path / "conf" / "clean" / f"{name}.yaml").write_text(text)
    return tmp_path


def study(*arms: str) -> tuple[str, ...]:
    listed = ",".join(f'"{arm}"' for arm in arms)
    return ("-m", "experiments=quickstart", f"arms=[{listed}]", "cross=[]", "seeds=[0]", *SMALL, *PLAIN, TWO_WORKERS)


def test_a_trial_whose_process_dies_has_failed_and_the_study_goes_on(here: Path) -> None:
    words = study("clean=killed", "clean=leaves", "clean=exits", "clean=lacks", "augment=shift", "clean=random_drop")
    said = harness(*words, folder=here)
    assert said.returncode == 1
    assert "Traceback" not in said.stderr
    found = {(one["arm"], one["seed"]): one for one in records(here / "results" / "quickstart").values()}
    assert len(found) == 7
    reasons = {arm: one["reason"] for (arm, _), one in found.items() if one["status"] == "failed"}
    assert reasons == {
        "clean=killed": "its process was killed (SIGKILL): out of memory?",
        "clean=leaves": "its process ended by itself, with exit code 7",
        "clean=exits": "SystemExit: 3",
        "clean=lacks": "FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.txt'",
    }
    assert {status for (arm, _), one in found.items() if arm not in reasons for status in [one["status"]]} == {"done"}
    assert (here / "results" / "quickstart" / "answer.txt").read_text() in said.stdout
    assert all(reason in said.stderr for reason in reasons.values())
    assert not list((here / "results" / "quickstart" / ".running").glob("*"))
    again = harness(*words, folder=here)
    assert again.stderr.splitlines()[0] == "study quickstart: 7 trials, 7 are done already, 0 to run"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_a_study_as_ctrl_c_does(here: Path, number: int) -> None:
    process = started(*study("clean=sleeps", "augment=shift"), folder=here)
    wait_for_records(here / "results" / "quickstart", 2, process)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + number
    assert err.splitlines()[-1] == "harness: stopped; finished trials are kept, and the same command goes on from there"
    wait_until_gone(process.pid)


def test_workers_end_with_a_command_that_is_killed(here: Path) -> None:
    idle = "hydra.launcher.n_jobs=4"  # more workers than trials: some never get a job
    process = started(*study("clean=sleeps", "augment=shift"), idle, folder=here)
    wait_for_records(here / "results" / "quickstart", 2, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)
    wait_until_gone(process.pid)


def wait_until_gone(group: int) -> None:
    """Returns when no process of the group lives; the trial that they run would take ten minutes."""
    deadline = time.monotonic() + 30
    while not gone(group):
        assert time.monotonic() < deadline, "a worker outlives its study"
        time.sleep(0.1)


def test_a_cache_that_cannot_be_written_costs_time_and_no_trial(here: Path) -> None:
    (here / "cache").write_text("a file where a folder would be")
    said = harness("clean=confident", *SMALL, *PLAIN, folder=here)
    assert said.returncode == 0, said.stderr
    assert "the cache cannot be used" in said.stderr
