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
from studies import key, made_test_set, record

from harness.storage.files import dump, write_atomic
from harness.storage.packing import pack, unpack
from harness.storage.store import Record, Store, TestSet

TEST, K1 = made_test_set(20, 2), key("baseline", 0)
FAILED = record(Store(Path("study")), "baseline", 0, None, TEST, reason="diverged")


def done(store: Store, right: int = 10) -> Record:
    """A finished record of a trial that gets so many of 20 rows right; its test set is in the store."""
    return record(store, "baseline", 0, np.where(np.arange(20) < right, TEST.y, 1 - TEST.y), TEST)


@given(hnp.arrays(st.sampled_from([np.uint8, np.int64, np.float32, np.float16]), hnp.array_shapes(min_side=0)))
def test_pack_and_unpack_are_inverse(array):
    back = unpack(json.loads(json.dumps(pack(array))))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_fetch_computes_once(tmp_path):
    store, calls = Store(tmp_path), []
    made = done(store)
    for _ in range(2):
        assert store.fetch(K1, lambda keep: calls.append(1) or keep(made)) == made
    assert calls == [1]
    assert store.records() == [made]


def test_a_failure_stands_until_it_is_retried(tmp_path):
    store = Store(tmp_path)
    made = done(store)
    assert store.fetch(K1, lambda keep: keep(FAILED)) == FAILED
    assert store.fetch(K1, lambda keep: keep(made)) == FAILED
    assert store.records() == [FAILED]
    assert store.fetch(K1, lambda keep: keep(made), retry=True) == made
    assert store.failure(K1) is None
    assert store.records() == [made]
    assert [path.name for path in (tmp_path / "trials").iterdir()] == [f"{K1}.json"]


def test_a_torn_record_is_computed_again(tmp_path):
    store = Store(tmp_path)
    made = done(store)
    store.fetch(K1, lambda keep: keep(made))
    path = tmp_path / "trials" / f"{K1}.json"
    path.write_bytes(path.read_bytes()[:10])
    assert store.read(K1) is None
    assert store.fetch(K1, lambda keep: keep(made)) == made


def test_a_test_set_is_kept_once_and_read_back(tmp_path):
    store, test = Store(tmp_path), TestSet(np.array(["a", "b"]), np.array([0, 1]), ("no", "yes"))
    name = store.keep_test_set(test)
    assert store.keep_test_set(test) == name
    back = store.test_set(name)
    assert (back.ids.tolist(), back.y.tolist(), back.classes) == (["a", "b"], [0, 1], ("no", "yes"))
    assert len(list((tmp_path / "tests").iterdir())) == 1


def test_a_record_with_validation_rows_and_probabilities_is_read_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made, rows = done(store), TestSet(np.array(["a", "b"]), np.array([0, 1]), TEST.classes)
    chances = np.array([[0.75, 0.25], [0.5, 0.5]], dtype=np.float16)
    valid = {"valid": 0.5, "valid_set": store.keep_test_set(rows), "valid_predictions": pack(np.array([0, 0]))}
    made["result"] |= {**valid, "valid_probabilities": pack(chances)}
    store.fetch(K1, lambda keep: keep(made))
    back = store.read(K1)
    assert back == made
    assert store.damaged() == []
    assert store.valid_set(back["result"]["valid_set"]).ids.tolist() == ["a", "b"]
    (tmp_path / "tests" / f"{back['result']['valid_set']}.json").unlink()
    assert ["its validation set is missing" in line for line in store.damaged()] == [True]


def test_records_are_json_without_nan(tmp_path):
    with pytest.raises(ValueError, match="Out of range float"):
        Store(tmp_path).fetch(K1, lambda keep: keep({**FAILED, "loss": float("nan")}))
    assert Store(tmp_path).records() == []


SLOW_WRITER = """
import json, sys, time
from pathlib import Path
from harness.storage.store import Store
made = json.loads(sys.argv[4])
def work(keep):
    print("working", flush=True)
    time.sleep(float(sys.argv[2]))
    return keep({**made, "by": sys.argv[3]})
print(Store(Path(sys.argv[1])).fetch(made["key"], work)["by"], flush=True)
"""


def start(folder: Path, seconds: float, name: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", SLOW_WRITER, str(folder), str(seconds), name, json.dumps(FAILED)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def test_a_record_is_safe_once_it_is_kept(tmp_path):
    def stopped_later(keep):
        keep(FAILED)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path).fetch(K1, stopped_later)
    assert Store(tmp_path).records() == [FAILED]


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
    assert Store(tmp_path).fetch(K1, lambda keep: keep(FAILED)) == FAILED


KILLED_IN_WRITE = """
import os, signal, sys
from pathlib import Path
from harness.storage import files
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)  # dies when the content is written, not yet renamed
files.write_atomic(Path(sys.argv[1]), b"new" * 1000)
"""


def test_a_process_killed_in_the_middle_of_a_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "trials" / f"{K1}.failed.json"
    write_atomic(path, dump(FAILED))
    process = subprocess.run([sys.executable, "-c", KILLED_IN_WRITE, str(path)], check=False)
    assert process.returncode == -signal.SIGKILL
    assert Store(tmp_path).records() == [FAILED]
    assert Store(tmp_path).remove_leftovers() == 1
    assert [one.name for one in path.parent.iterdir()] == [path.name]


FULL_DISK = """
import json, resource, sys
from pathlib import Path
from harness.storage.store import Store
made = json.loads(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
Store(Path(sys.argv[1])).fetch(made["key"], lambda keep: keep({**made, "reason": "x" * 10**5}))
"""


def test_a_full_disk_keeps_what_is_there_and_leaves_nothing_half_written(tmp_path):
    Store(tmp_path).fetch(K1, lambda keep: keep(FAILED))
    other = record(Store(tmp_path), "clean=x", 0, None, TEST)
    process = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), json.dumps(other)], check=False, capture_output=True, text=True
    )
    assert process.returncode != 0
    assert "OSError" in process.stderr
    assert [path.name for path in (tmp_path / "trials").iterdir()] == [f"{K1}.failed.json"]
    assert Store(tmp_path).records() == [FAILED]


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


def kept_record(store: Store) -> Path:
    made = done(store)
    store.fetch(K1, lambda keep: keep(made))
    return store.folder / "trials" / f"{K1}.json"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda raw: raw.replace(b"0.5", b"0.9"), "its checksum does not fit"),
        (lambda raw: raw[: len(raw) // 2], "is not a whole JSON file"),
        (lambda raw: raw.replace(K1.encode(), b"b" * 40), "is not the record of the trial that its name says"),
        (lambda raw: b"[]", "holds a list, not an object"),
    ],
)
def test_a_changed_record_is_named_never_used_and_kept_aside(tmp_path, change, why):
    store = Store(tmp_path / "study")
    path = kept_record(store)
    assert store.damaged() == []
    path.write_bytes(change(path.read_bytes()))
    assert store.read(K1) is None
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
    assert store.read(K1) is not None
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert store.damaged() == []


def test_a_record_of_an_earlier_version_has_no_checksum_and_is_read(tmp_path):
    store = Store(tmp_path / "study")
    path = kept_record(store)
    content = json.loads(path.read_text())
    del content["checksum"]
    path.write_text(json.dumps(content))
    assert store.read(K1) == content
    assert store.inventory().unsealed == 1
    content["trial"]["seed"] = 7
    path.write_text(json.dumps(content))
    assert store.records() == []
    assert "does not hold the trial that its key stands for" in store.damaged()[0]


def test_a_rerun_that_fails_leaves_the_failure_and_the_old_record_aside(tmp_path):
    store = Store(tmp_path / "study")
    path = kept_record(store)
    failed = {**FAILED, "reason": "no", "provenance": {"rerun": "x"}}
    assert store.fetch(K1, lambda keep: keep(failed), rerun="x")["status"] == "failed"
    assert store.read(K1) is None
    assert store.failure(K1)["reason"] == "no"
    assert json.loads((path.parent / "old" / path.name.replace(".json", ".1.json")).read_text())["status"] == "done"
    again = store.fetch(K1, lambda keep: pytest.fail("made twice in one rerun"), rerun="x")
    assert again["reason"] == "no"
