"""A worker that has not yet been given a job ends with its command; a process that is no worker is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

COMMAND = """
import os, subprocess, sys
env = {**os.environ, "HARNESS_PARENT": sys.argv[1] or str(os.getpid())}
child = subprocess.Popen([sys.executable, "-c", sys.argv[2]], env=env, stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print(child.pid, flush=True)
os._exit(9)
"""
WORKER = "import harness; print('imported', flush=True); import time; time.sleep(30)"
COMMAND_ITSELF = f"import os; os.environ['HARNESS_PARENT'] = str(os.getpid()); {WORKER}"


def started_by_a_command_that_dies(code: str, parent: str = "") -> int:
    """Returns the number of a process whose maker died as soon as it had imported the harness."""
    ran = subprocess.run([sys.executable, "-c", COMMAND, parent, code], stdout=subprocess.PIPE, text=True, check=False)
    assert ran.returncode == 9
    return int(ran.stdout)


def lives(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_worker_without_a_job_ends_with_its_command() -> None:
    number = started_by_a_command_that_dies(WORKER)
    deadline = time.monotonic() + 30
    while lives(number) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not lives(number)


@pytest.mark.parametrize("code", [COMMAND_ITSELF])
def test_a_command_outlives_its_maker(code: str) -> None:
    number = started_by_a_command_that_dies(code)
    time.sleep(3)
    assert lives(number)
    os.kill(number, 9)
