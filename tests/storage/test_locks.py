"""Locks: one holder at a time, whatever is removed meanwhile, and no file that stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.storage.locks import lock, remove_lock_files

TURNS, RACERS = 150, 4
RACER = """
import os, sys
from pathlib import Path
from harness.storage.locks import lock, remove_lock_files
folder, turns = Path(sys.argv[1]), int(sys.argv[2])
for turn in range(turns):
    with lock(folder / "one.lock", "tests locks"):
        inside = os.open(folder / "inside", os.O_CREAT | os.O_EXCL)  # fails if another process is in here
        total = int((folder / "total").read_text())
        (folder / "total").write_text(str(total + 1))
        os.close(inside)
        os.unlink(folder / "inside")
    if turn % 3 == 0:
        remove_lock_files(folder.glob("*.lock"))
"""


def test_no_two_processes_hold_one_lock_while_its_file_comes_and_goes(tmp_path: Path) -> None:
    """Every holder removes the file that others wait for, and a sweep removes it as well."""
    (tmp_path / "total").write_text("0")
    words = [sys.executable, "-c", RACER, str(tmp_path), str(TURNS)]
    racers = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(RACERS)]
    told = [racer.communicate(timeout=600)[1] for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * RACERS, told
    assert (tmp_path / "total").read_text() == str(TURNS * RACERS)
    assert list(tmp_path.glob("*.lock")) == []


def test_threads_of_one_process_wait_for_each_other(tmp_path: Path) -> None:
    inside, most = [], []

    def turn() -> None:
        for _ in range(50):
            with lock(tmp_path / "one.lock", "tests locks"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=turn) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (max(most), len(most)) == (1, 150)


def test_locks_leave_no_file_behind_also_after_an_error(tmp_path: Path) -> None:
    for number in range(20):
        with pytest.raises(ZeroDivisionError), lock(tmp_path / f"{number}.lock", "tests locks"):
            assert 1 / len(list(tmp_path.glob("none"))), "an error within the block"
    assert list(tmp_path.iterdir()) == []


HOLDER = """
import sys, time
from pathlib import Path
from harness.storage.locks import lock
with lock(Path(sys.argv[1]), "tests locks"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_sweep_takes_the_locks_of_the_dead_and_never_a_living_one(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("dead.lock", "living.lock")]
    dead, living = (
        subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True) for path in paths
    )
    for process in (dead, living):
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
    dead.send_signal(signal.SIGKILL)
    dead.communicate(timeout=600)
    assert remove_lock_files(tmp_path.glob("*.lock")) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["living.lock"]
    living.kill()
    living.communicate(timeout=600)
    with lock(paths[1], "tests locks"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_a_forked_process_has_inherited_is_released_all_the_same(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with lock(tmp_path / "one.lock", "tests locks"):
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.read(reader, 1)  # lives until the test is done
            os._exit(0)
    taken = threading.Event()

    def take() -> None:
        with lock(tmp_path / "one.lock", "tests locks"):
            taken.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    thread.join(60)
    os.close(writer)
    os.waitpid(child, 0)
    assert taken.is_set()
