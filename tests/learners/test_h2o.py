"""H2O: what the suite of options promises, checked on few fits, and servers that never meet, stay or leave files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from easy_sets import option

from harness.conformance.easy_sets import easy
from harness.conformance.learners import check_probabilities
from harness.conformance.strategies import check_global_generators_kept
from harness.data import TrainSet
from harness.errors import BadInput, TrialFailed
from harness.learners import Fit, Run
from harness.learners.h2o import _java, _server, h2o
from harness.run.fitting import missing_packages

MISSING = list(missing_packages("H2O", option("h2o")))
needs_h2o = pytest.mark.skipif(bool(MISSING), reason="; ".join(MISSING))


def search(train: TrainSet, run: Run) -> Fit:
    return h2o(train, easy("table")[1], run, max_models=2, exclude_algos=["DeepLearning", "XGBoost"], memory_mb=512)


def hard() -> TrainSet:
    """Two of three classes, soft labels, unequal weights, a row without a label, a missing value."""
    train, _ = easy("table")
    train = train.rows(train.classes != 2)
    x, w = np.array(train.x), np.where(np.arange(len(train)) % 2, 1.0, 0.5).astype(np.float32)
    x[0, 0], w[1] = np.nan, 0
    return replace(train, x=x, w=w, y=0.9 * train.y + 0.1 * train.y[:, [1, 0, 2]])


def predicted(run: Run) -> np.ndarray:
    """What one search predicts; the other processes compute the same."""
    return search(hard(), run).predict(easy("table")[1].x)


def servers() -> list[str]:
    """The command lines of the servers that run on this machine and were started by these tests."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if "h2o.jar" in line and tempfile.gettempdir() in line:
            lines.append(line)
    return lines


def gone(said: Callable[[], list[str]], seconds: float = 300) -> bool:
    """Whether nothing is left within that time."""
    end = time.monotonic() + seconds
    while said() and time.monotonic() < end:
        time.sleep(0.1)
    return not said()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own for all temporary files, of child processes too."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def script(run: Run, place: Path) -> Callable[[str], list[str]]:
    """A Python program that knows what these tests know."""
    head = (
        f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'tests'), str(ROOT / 'tests' / 'learners')]!r}\n"
        "import numpy as np, time\nfrom pathlib import Path\nfrom dataclasses import replace\n"
        "from harness.storage.cache import Cache\nfrom harness.learners import Run, Protocol\nimport test_h2o as here\n"
        f"run = Run(seed=0, salt='', steps=20, protocol={run.protocol!r}, classes=('a', 'b', 'c'), cache=Cache(Path('.')))\n"
    )
    return lambda body: [sys.executable, "-c", head + body]


@needs_h2o
@pytest.mark.slow
def test_two_searches_at_once_agree_and_leave_nothing(
    run: Run, place: Path, script: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """Another process searches at the same time: two servers, two ports, the same bits."""
    import h2o as client

    other = subprocess.Popen(script(f"np.save({str(place / 'other')!r}, here.predicted(run))"), cwd=place)
    seen: list[Any] = []
    run = replace(run, log=seen.append)
    fits: list[Fit] = []
    check_global_generators_kept(lambda: fits.append(search(hard(), run)))
    fit, valid = fits[0], easy("table")[1]
    check_global_generators_kept(lambda: seen.append(fit.predict(valid.x)))
    row, found = seen
    assert other.wait(120) == 0
    assert np.array_equal(found, np.load(place / "other.npy"))
    check_probabilities(found, len(valid), 3)
    assert (found[:, 2] == 0).all(), "a class that no row has"
    assert (found.argmax(1) == valid.y)[valid.y != 2].mean() > 0.9
    assert fit.history == [row]
    assert (fit.examples, fit.valid_labels) == (len(hard()) - 1, 0)
    assert client.h2o.h2oconn is None, "the client knows a server that is gone"
    assert not servers()
    assert [path.name for path in place.iterdir() if "h2o" in path.name.lower()] == []
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


@needs_h2o
@pytest.mark.slow
def test_whatever_ends_the_block_ends_the_server(place: Path) -> None:
    seen: list[Any] = []

    def interrupted() -> None:
        with _server(512) as (client, folder):
            seen.extend([client.cluster().cloud_size, client.cluster().cloud_name, len(servers()), folder])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    size, name, running, folder = seen
    assert (size, running) == (1, 1)
    assert name.startswith("harness-")
    assert not servers()
    assert not folder.exists()


@needs_h2o
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="the system does not offer to tie a process to another")
def test_a_killed_harness_leaves_no_server(place: Path, script: Any) -> None:
    body = f"with here._java(Path({str(place)!r}), 512) as url:\n    print(url, flush=True)\n    time.sleep(60)"
    process = subprocess.Popen(script(body), cwd=place, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    assert servers()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert gone(servers)


@needs_h2o
def test_a_server_that_cannot_start_fails_the_trial_with_its_own_words(place: Path) -> None:
    with pytest.raises(TrialFailed, match="Java server ended with code 1: Invalid maximum heap size"), _java(place, 0):
        pass
    assert not servers()


def test_without_java_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(BadInput, match="no program 'java' is on the PATH: install a Java runtime"),
        _java(tmp_path, 512),
    ):
        pass
    assert "model (h2o) needs the program 'java', which is not on the PATH: install it first" in list(
        missing_packages("model (h2o)", option("h2o"))
    )
