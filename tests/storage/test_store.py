"""The store under what happens to stores: crashes, races, full disks, torn files."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.storage.files import dump, write_atomic
from harness.storage.store import Store, TestSet, pack, unpack

DONE = {"key": "k1", "status": "done", "reason": None}
FAILED = {"key": "k1", "status": "failed", "reason": "diverged"}


@given(hnp.arrays(st.sampled_from([np.uint8, np.int64, np.float32, np.float16]), hnp.array_shapes(min_side=0)))
def test_pack_and_unpack_are_inverse(array):
    back = unpack(json.loads(json.dumps(pack(array))))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_fetch_computes_once(tmp_path):
    store, calls = Store(tmp_path), []
    for _ in range(2):
        assert store.fetch("k1", lambda keep: calls.append(1) or keep(DONE)) == DONE
    assert calls == [1]
    assert store.records() == [DONE]


def test_a_failure_stands_until_it_is_retried(tmp_path):
    store = Store(tmp_path)
    assert store.fetch("k1", lambda keep: keep(FAILED)) == FAILED
    assert store.fetch("k1", lambda keep: keep(DONE)) == FAILED
    assert store.records() == [FAILED]
    assert store.fetch("k1", lambda keep: keep(DONE), retry=True) == DONE
    assert store.failure("k1") is None
    assert store.records() == [DONE]
    assert [path.name for path in (tmp_path / "trials").iterdir()] == ["k1.json"]


def test_a_torn_record_is_computed_again(tmp_path):
    store = Store(tmp_path)
    store.fetch("k1", lambda keep: keep(DONE))
    path = tmp_path / "trials" / "k1.json"
    path.write_bytes(path.read_bytes()[:10])
    assert store.read("k1") is None
    assert store.fetch("k1", lambda keep: keep(DONE)) == DONE


def test_a_test_set_is_kept_once_and_read_back(tmp_path):
    store, test = Store(tmp_path), TestSet(np.array(["a", "b"]), np.array([0, 1]), ("no", "yes"))
    name = store.keep_test_set(test)
    assert store.keep_test_set(test) == name
    back = store.test_set(name)
    assert (back.ids.tolist(), back.y.tolist(), back.classes) == (["a", "b"], [0, 1], ("no", "yes"))
    assert len(list((tmp_path / "tests").iterdir())) == 1


def test_records_are_json_without_nan(tmp_path):
    with pytest.raises(ValueError, match="Out of range float"):
        Store(tmp_path).fetch("k1", lambda keep: keep({**DONE, "loss": float("nan")}))
    assert Store(tmp_path).records() == []


SLOW_WRITER = """
import sys, time
from pathlib import Path
from harness.storage.store import Store
def work(keep):
    print("working", flush=True)
    time.sleep(float(sys.argv[2]))
    return keep({"key": "k1", "status": "done", "reason": None, "by": sys.argv[3]})
print(Store(Path(sys.argv[1])).fetch("k1", work)["by"], flush=True)
"""


def start(folder: Path, seconds: float, name: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", SLOW_WRITER, str(folder), str(seconds), name]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def test_a_record_is_safe_once_it_is_kept(tmp_path):
    def stopped_later(keep):
        keep(DONE)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path).fetch("k1", stopped_later)
    assert Store(tmp_path).records() == [DONE]


def test_two_processes_compute_one_trial_once(tmp_path):
    both = [start(tmp_path, 0.5, name) for name in ("one", "other")]
    outputs = [process.communicate(timeout=600)[0].split() for process in both]
    assert sum("working" in words for words in outputs) == 1
    assert len({words[-1] for words in outputs}) == 1
    assert len(Store(tmp_path).records()) == 1


def test_a_killed_process_leaves_no_record_and_no_lock(tmp_path):
    process = start(tmp_path, 60, "killed")
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=600)
    assert Store(tmp_path).records() == []
    assert Store(tmp_path).fetch("k1", lambda keep: keep(DONE)) == DONE


KILLED_IN_WRITE = """
import os, signal, sys
from pathlib import Path
from harness.storage import files
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)  # dies when the content is written, not yet renamed
files.write_atomic(Path(sys.argv[1]), b"new" * 1000)
"""


def test_a_process_killed_in_the_middle_of_a_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "trials" / "k1.json"
    write_atomic(path, dump(DONE))
    process = subprocess.run([sys.executable, "-c", KILLED_IN_WRITE, str(path)], check=False)
    assert process.returncode == -signal.SIGKILL
    assert Store(tmp_path).records() == [DONE]


FULL_DISK = """
import resource, sys
from pathlib import Path
from harness.storage.store import Store
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
Store(Path(sys.argv[1])).fetch("k2", lambda keep: keep({"key": "k2", "status": "done", "reason": "x" * 10**5}))
"""


def test_a_full_disk_keeps_what_is_there_and_leaves_nothing_half_written(tmp_path):
    Store(tmp_path).fetch("k1", lambda keep: keep(DONE))
    process = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], check=False, capture_output=True, text=True
    )
    assert process.returncode != 0
    assert "OSError" in process.stderr
    assert [path.name for path in (tmp_path / "trials").iterdir()] == ["k1.json"]
    assert Store(tmp_path).records() == [DONE]


def test_a_reader_never_sees_half_a_file(tmp_path):
    path, big = tmp_path / "file.json", {str(i): "x" * 100 for i in range(2000)}
    writer = os.fork()
    if writer == 0:
        for turn in range(30):
            write_atomic(path, dump({**big, "turn": turn}))
        os._exit(0)
    seen, deadline = 0, time.monotonic() + 600
    while os.waitpid(writer, os.WNOHANG)[0] == 0 and time.monotonic() < deadline:
        if path.exists():
            assert len(json.loads(path.read_text())) == 2001
            seen += 1
    assert seen
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime > 0


def kept_record(store: Store, key: str = "a" * 40) -> Path:
    made = {"key": key, "status": "done", "result": {"test": 0.5}, "provenance": {"harness": "1"}}
    store.fetch(key, lambda keep: keep(made))
    return store.folder / "trials" / f"{key}.json"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda raw: raw.replace(b"0.5", b"0.9"), "its checksum does not fit"),
        (lambda raw: raw[: len(raw) // 2], "is not a whole JSON file"),
        (lambda raw: raw.replace(b"a" * 40, b"b" * 40), "is not the record of the trial that its name says"),
        (lambda raw: b"[]", "is not the record of the trial that its name says"),
    ],
)
def test_a_changed_record_is_named_never_used_and_kept_aside(tmp_path, change, why):
    store = Store(tmp_path / "study")
    path = kept_record(store)
    assert store.damaged() == []
    path.write_bytes(change(path.read_bytes()))
    assert store.read("a" * 40) is None
    assert store.records() == []
    assert [line.startswith(str(path)) and why in line for line in store.damaged()] == [True]
    torn = path.read_bytes()
    kept_record(store)
    assert store.damaged() == []
    assert [one["result"]["test"] for one in store.records()] == [0.5]
    assert [one.read_bytes() for one in (path.parent / "damaged").iterdir()] == [torn]


def test_another_layout_of_the_same_content_is_no_damage(tmp_path):
    store = Store(tmp_path / "study")
    path = kept_record(store)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert store.read("a" * 40) is not None
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert store.damaged() == []


def test_a_record_of_an_earlier_version_has_no_checksum_and_is_read(tmp_path):
    store = Store(tmp_path / "study")
    path = kept_record(store)
    content = json.loads(path.read_text())
    del content["checksum"]
    path.write_text(json.dumps(content))
    assert store.read("a" * 40) == content
    assert store.unsealed() == 1


def test_a_rerun_that_fails_leaves_the_failure_and_the_old_record_aside(tmp_path):
    store = Store(tmp_path / "study")
    path = kept_record(store)
    failed = {"key": "a" * 40, "status": "failed", "reason": "no", "provenance": {"rerun": "x"}}
    assert store.fetch("a" * 40, lambda keep: keep(failed), rerun="x")["status"] == "failed"
    assert store.read("a" * 40) is None
    assert store.failure("a" * 40)["reason"] == "no"
    assert json.loads((path.parent / "old" / path.name.replace(".json", ".1.json")).read_text())["status"] == "done"
    again = store.fetch("a" * 40, lambda keep: pytest.fail("made twice in one rerun"), rerun="x")
    assert again["reason"] == "no"
