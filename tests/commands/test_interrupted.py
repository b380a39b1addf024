"""A study under what happens to studies: Ctrl-C, a kill, a second process, a full disk; the same command goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from invoke import PATIENCE_S, QUIET, SMALL, TWO_WORKERS, environment, files_of, harness, lasting, records, started
from warm import Command

ARMS = 'arms=["model=lenet","model=random_forest","clean=confident","clean=random_drop","weak=majority_vote","augment=shift"]'
STUDY = ("-m", "experiments=quickstart", ARMS, "cross=[]", "seeds=[0,1]", *SMALL, *QUIET)
TRIALS = 14

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """The study's folder after a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert harness(*STUDY, folder=folder).returncode == 0
    return folder / "results" / "quickstart"


def wait_for_records(study: Path, n: int, process: Command) -> None:
    """Returns when the study has `n` records and is still running."""
    deadline = time.monotonic() + PATIENCE_S
    while len(list((study / "trials").glob("*.json"))) < n:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.poll() is None, "the study was over before it could be disturbed"


def gone(group: int) -> bool:
    """Whether no process of that group lives."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until_gone(group: int) -> None:
    deadline = time.monotonic() + 600
    while not gone(group):
        assert time.monotonic() < deadline, "a worker outlives its study"
        time.sleep(0.1)


def assert_resumes(folder: Path, undisturbed: Path) -> None:
    """The same command ends with the records of an undisturbed study, and computes none of them twice."""
    study = folder / "results" / "quickstart"
    before = files_of(study / "trials")
    said = harness(*STUDY, folder=folder)
    assert said.returncode == 0, said.stderr
    done = f", {len(before)} are done already" if before else ""
    assert said.stderr.splitlines()[0] == f"study quickstart: {TRIALS} trials{done}, {TRIALS - len(before)} to run"
    after = files_of(study / "trials")
    assert {name: after[name] for name in before} == before
    assert_same(study, undisturbed)


def assert_same(study: Path, undisturbed: Path) -> None:
    found = records(study)
    assert len(found) == TRIALS
    assert lasting(found) == lasting(records(undisturbed))
    assert not [name for name in files_of(study) if name.endswith(".part")]


def test_ctrl_c_says_one_line_and_the_same_command_goes_on(undisturbed, tmp_path):
    process = started(*STUDY, TWO_WORKERS, folder=tmp_path)
    wait_for_records(tmp_path / "results" / "quickstart", 4, process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "harness: stopped; finished trials are kept, and the same command goes on from there"
    assert len([line for line in err.splitlines() if not line.startswith(("study ", "  "))]) == 1
    wait_until_gone(process.pid)
    assert 4 <= len(records(tmp_path / "results" / "quickstart")) < TRIALS
    assert_resumes(tmp_path, undisturbed)


def test_a_study_that_was_killed_goes_on(undisturbed, tmp_path):
    process = started(*STUDY, TWO_WORKERS, folder=tmp_path)
    wait_for_records(tmp_path / "results" / "quickstart", 4, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)
    wait_until_gone(process.pid)
    assert 4 <= len(records(tmp_path / "results" / "quickstart")) < TRIALS
    assert_resumes(tmp_path, undisturbed)


def test_two_processes_share_a_study(undisturbed, tmp_path):
    pair = [started(*STUDY, folder=tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=PATIENCE_S) for process in pair]
    assert [process.returncode for process in pair] == [0, 0], said
    study = tmp_path / "results" / "quickstart"
    assert_same(study, undisturbed)
    answers = [out for out, _ in said]
    assert answers[0] == answers[1] == (study / "answer.txt").read_text() + "\nresults/quickstart/index.html\n"
    done = files_of(study / "trials")
    assert harness("report", "quickstart", "store=results", folder=tmp_path).returncode == 0
    assert (study / "answer.txt").read_text() + "\nresults/quickstart/index.html\n" == answers[0]
    assert files_of(study / "trials") == done


def test_two_processes_compute_each_trial_once(tmp_path):
    """A user's own learner counts its fits in a file, as no record could."""
    (tmp_path / "counting.py").write_text(COUNTING)
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "counting.yaml").write_text(
        "# counts its fits\n_target_: counting.fit\n_partial_: true\nfits: [image]\n"
    )
    words = (
        "-m", "experiments=quickstart", "model@baseline.model=counting", "seeds=[0,1]", "task.n_train=120", "cross=[]",
        'arms=["augment=shift","weak=majority_vote","weak=random_vote"]', *QUIET,
    )  # fmt: skip
    pair = [started(*words, folder=tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=PATIENCE_S) for process in pair]
    assert [process.returncode for process in pair] == [0, 0], said
    assert len(records(tmp_path / "results" / "quickstart")) == 8
    assert len((tmp_path / "fits.txt").read_text().splitlines()) == 8


COUNTING = '''
"""A learner that predicts the most frequent class, slowly, and counts its fits."""
import time

import numpy as np

from harness.learners import Fit


def fit(train, valid, run):
    """Predicts the most frequent class for every row."""
    with open("fits.txt", "a") as file:
        file.write("fit\\n")
    time.sleep(0.5)
    most = np.eye(train.k, dtype=np.float32)[train.y.sum(0).argmax()]
    return Fit(predict=lambda x: np.tile(most, (len(x), 1)), parameters=0, examples=len(train))
'''


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few hundred kilobytes; skipped where this user may not mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    if not shutil.which("mount") or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_told_in_one_line_and_nothing_is_lost(undisturbed, tmp_path, small_disk):
    words = (*STUDY, f"store={small_disk}")
    said = harness(*words, folder=tmp_path)
    assert_full(said, "No space left on device")
    kept = records(small_disk / "quickstart")
    assert kept, "the disk was to fill up in the middle"
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    again = harness(*words, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert f"{len(kept)} are done already" in again.stderr
    assert_same(small_disk / "quickstart", undisturbed)


LIMITED = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes}, {bytes})); from harness.__main__ import start; sys.exit(start())"


FEW = 'arms=["model=random_forest","clean=confident","clean=random_drop"]'
FEW_TRIALS = 8


def test_a_file_that_cannot_be_written_whole_is_told_in_one_line(undisturbed, tmp_path):
    """The limit is one file's: the plan and half of the records fit. A trial that was there already stays.

    Fewer arms than elsewhere, so that the plan is smaller than half of the records.
    """
    few = [FEW if word == ARMS else word for word in STUDY]
    assert harness(*few, 'arms=["clean=random_drop"]', "seeds=[0]", folder=tmp_path).returncode == 0
    kept = files_of(tmp_path / "results" / "quickstart" / "trials")
    planned = tmp_path / "planned"
    planned.mkdir()
    assert harness(*few, folder=planned).returncode == 0
    sizes = sorted(path.stat().st_size for path in (planned / "results" / "quickstart" / "trials").glob("*.json"))
    limit = sizes[len(sizes) // 2]
    assert len(sizes) == FEW_TRIALS
    assert (planned / "results" / "quickstart" / "study.json").stat().st_size < limit
    said = subprocess.run(
        [sys.executable, "-c", LIMITED.format(bytes=limit), *few, TWO_WORKERS], cwd=tmp_path, env=environment(), text=True,
        capture_output=True, timeout=PATIENCE_S,
    )  # fmt: skip
    assert_full(said, "File too large")
    found = files_of(tmp_path / "results" / "quickstart" / "trials")
    assert {name: found[name] for name in kept} == kept
    assert len(kept) < len(found) < FEW_TRIALS
    again = harness(*few, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert f"{len(found)} are done already, {FEW_TRIALS - len(found)} to run" in again.stderr
    after = files_of(tmp_path / "results" / "quickstart" / "trials")
    assert {name: after[name] for name in found} == found
    whole, mine = (lasting(records(folder)) for folder in (undisturbed, tmp_path / "results" / "quickstart"))
    assert len(mine) == FEW_TRIALS
    assert {key: whole[key] for key in mine} == mine


def assert_full(said: subprocess.CompletedProcess[str], why: str) -> None:
    assert said.returncode == 1
    assert "Traceback" not in said.stderr
    told = [line for line in said.stderr.splitlines() if line.startswith("harness: ")]
    assert len(told) == 1, said.stderr
    assert told[0].startswith("harness: cannot read or write ")
    assert why in told[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_that_may_not_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "results").mkdir(mode=0o555)
    said = harness(*STUDY, folder=tmp_path)
    assert_full(said, "Permission denied")
