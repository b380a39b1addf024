"""Costs: processor seconds of the work alone, whichever thread or process does it, and the load beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import psutil
import pytest

from harness.storage.cost import Bill, Cost, _Clocks, _fill, meter, peak_mb

SPIN = "import time\nwhile time.process_time() < {}: pass\n"


def spin(seconds: float) -> None:
    """Keeps this thread busy."""
    start = time.thread_time()
    while time.thread_time() - start < seconds:
        pass


def in_a_thread(seconds: float) -> None:
    one = threading.Thread(target=spin, args=(seconds,))
    one.start()
    one.join()


def in_a_process(seconds: float) -> None:
    subprocess.run([sys.executable, "-c", SPIN.format(seconds)], check=True)


@pytest.mark.parametrize(
    ("work", "threads", "children"), [(spin, 0, 0), (in_a_thread, 0.3, 0), (in_a_process, 0, 0.3), (time.sleep, 0, 0)]
)
def test_processor_seconds_are_those_of_all_that_works(work: Callable[[float], None], threads, children):
    with meter() as bill:
        work(0.3)
    assert bill.cost.cpu_s == pytest.approx(0 if work is time.sleep else 0.3, abs=0.06)
    assert bill.threads_s == pytest.approx(threads, abs=0.06)
    assert bill.children_s == pytest.approx(children, abs=0.06)
    assert bill.cost.wall_s >= 0.29


def seconds_of(pid: int) -> float:
    return sum(psutil.Process(pid).cpu_times()[:2])


def test_a_process_that_goes_on_is_charged_for_what_it_did_in_the_block():
    """As a server that several trials use: what it did before a block is not charged again."""
    other = subprocess.Popen([sys.executable, "-c", SPIN.format(60)])
    try:
        for _ in range(2):
            first = seconds_of(other.pid)
            with meter() as bill:
                start = seconds_of(other.pid)
                while seconds_of(other.pid) < start + 0.2:
                    time.sleep(0.01)
                spent = seconds_of(other.pid) - start
            assert spent - 0.02 <= bill.children_s <= seconds_of(other.pid) - first + 0.02
    finally:
        other.kill()
        other.wait()


def test_a_thread_that_ran_before_is_no_part_of_the_work():
    """As the one that shows a study's progress, or a tracker's."""
    stop = threading.Event()
    other = threading.Thread(target=lambda: [spin(0.01) for _ in iter(stop.is_set, True)])
    other.start()
    try:
        with meter() as bill:
            spin(0.3)
    finally:
        stop.set()
        other.join()
    assert bill.cost.cpu_s == pytest.approx(0.3, abs=0.06)


def test_the_load_is_the_share_of_all_cores_that_other_work_keeps_busy(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    before = _Clocks(wall=10, process=5, thread=3, children=1, machine=100, others={7: 1.0, 8: 0.5})
    after = _Clocks(wall=12, process=8, thread=4, children=1.5, machine=109, others={7: 2.0})
    bill = Bill()
    _fill(bill, before, after)
    # Three seconds of the process, one of them of the thread that is no work; half a second of a child.
    assert (bill.cost.wall_s, bill.cost.cpu_s, bill.threads_s, bill.children_s) == (2, 2.5, 1, 0.5)
    assert bill.load == pytest.approx((9 - 2.5) / (2 * 4))


def test_a_busy_machine_shows_in_the_load_and_hardly_in_the_seconds():
    """The other process is nobody's child any more, as another user's would be."""
    made = subprocess.run(
        ["sh", "-c", f"{sys.executable} -c '{SPIN.format(20)}' >/dev/null 2>&1 & echo $!"],
        capture_output=True,
        check=True,
    )
    other = psutil.Process(int(made.stdout))
    try:
        while other.cpu_times().user < 0.05:
            time.sleep(0.01)
        with meter() as bill:
            start = other.cpu_times().user
            spin(0.4)
            while other.cpu_times().user < start + 0.2:
                time.sleep(0.01)
            spent = other.cpu_times().user - start
    finally:
        other.send_signal(signal.SIGKILL)
    assert bill.cost.cpu_s == pytest.approx(0.4, abs=0.08)
    assert bill.load is not None
    assert 1 >= bill.load >= (spent - 0.05) / bill.cost.wall_s / (os.cpu_count() or 1)


def test_costs_add_up_but_for_the_peak_which_is_the_higher_one():
    assert Cost(1.0, 2.0, 30.0) + Cost(4.0, 1.0, 20.0) == Cost(5.0, 3.0, 30.0)


def test_the_peak_is_in_mebibytes(monkeypatch, tmp_path):
    status = tmp_path / "status"
    status.write_text("Name: python\nVmHWM:\t  204800 kB\nVmRSS:\t  1024 kB\n")
    monkeypatch.setattr("harness.storage.cost._STATUS", status)
    assert peak_mb() == 200


def test_too_short_a_block_has_no_load():
    with meter() as bill:
        pass
    assert bill.load is None
