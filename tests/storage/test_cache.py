"""Shared intermediates: made once, charged to everybody, whole or absent."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from harness.storage.cache import Cache, are_distributions, is_finite


def busy(seconds: float) -> np.ndarray:
    start = time.process_time()
    while time.process_time() - start < seconds:
        pass
    return np.arange(3.0)


def test_it_is_made_once_and_charged_to_those_who_find_it(tmp_path):
    first, second = Cache(tmp_path), Cache(tmp_path)
    assert first.array("probs", {"a": 1}, lambda: busy(0.2)).tolist() == [0, 1, 2]
    assert first.charged == []  # the maker's own clock ran
    assert second.array("probs", {"a": 1}, lambda: pytest.fail("made twice")).tolist() == [0, 1, 2]
    assert sum(cost.cpu_s for cost in second.charged) == pytest.approx(0.2, abs=0.1)


def test_other_parts_are_another_entry(tmp_path):
    cache = Cache(tmp_path)
    assert cache.array("x", {"a": 1}, lambda: np.zeros(2)).tolist() == [0, 0]
    assert cache.array("x", {"a": 2}, lambda: np.ones(2)).tolist() == [1, 1]
    assert cache.array("y", {"a": 1}, lambda: np.full(2, 5.0)).tolist() == [5, 5]


def test_entries_cannot_be_written(tmp_path):
    for _ in range(2):
        with pytest.raises(ValueError, match="read-only"):
            Cache(tmp_path).array("x", 1, lambda: np.zeros(2))[0] = 1


@pytest.mark.parametrize("suffix", [".npy", ".json"])
def test_a_torn_entry_is_made_again(tmp_path, suffix):
    Cache(tmp_path).array("x", 1, lambda: np.zeros(50))
    path = next((tmp_path / "x").glob(f"*{suffix}"))
    path.write_bytes(path.read_bytes()[:7])
    assert Cache(tmp_path).array("x", 1, lambda: np.ones(50)).tolist() == [1] * 50


def test_what_a_trial_asks_for_again_is_charged_once(tmp_path):
    """A finder and a handler both ask for the probe's probabilities; whoever made them, they are paid for once."""
    first, second = Cache(tmp_path), Cache(tmp_path)
    for cache in (first, first, second, second):
        cache.array("things", ["x"], lambda: sum(range(300_000)) * np.ones(3))
    assert sum(cost.cpu_s > 0 for cost in first.charged) == 0
    assert sum(cost.cpu_s > 0 for cost in second.charged) == 1


def entry(folder: Path) -> tuple[Path, Path]:
    """The array of the only entry, and what is said of it."""
    return next((folder / "x").glob("*.npy")), next((folder / "x").glob("*.json"))


def with_bill(folder: Path, **changes: object) -> None:
    bill = entry(folder)[1]
    bill.write_text(json.dumps(json.loads(bill.read_text()) | changes))


def saved(path: Path, values: np.ndarray) -> None:
    """Other content under a checksum that fits it, as no accident makes but a program can."""
    np.save(path, values)
    with_bill(path.parents[1], sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda folder: entry(folder)[0].write_bytes(b""), "its checksum does not fit"),
        (lambda folder: saved(entry(folder)[0], np.zeros(3, np.float64)), "but was <f8 of [2, 2]"),
        (lambda folder: saved(entry(folder)[0], np.full((2, 2), np.nan)), "are not finite"),
        (lambda folder: saved(entry(folder)[0], np.full((2, 2), 0.9)), "do not sum to 1"),
        (lambda folder: saved(entry(folder)[0], np.array([[1.5, -0.5]] * 2)), "do not sum to 1"),
        (lambda folder: entry(folder)[0].unlink(), "one of its two files is missing"),
        (lambda folder: entry(folder)[1].unlink(), "one of its two files is missing"),
        (lambda folder: entry(folder)[1].write_text("[]"), "holds a list, not an object"),
        (lambda folder: entry(folder)[1].write_bytes(b"\xff"), "is not UTF-8"),
        (lambda folder: with_bill(folder, cpu_s="much"), "its cost is not a number"),
        (lambda folder: with_bill(folder, cpu_s=None), "its cost is not a number"),
        (lambda folder: with_bill(folder, sha256=None), "its checksum does not fit"),
        (lambda folder: with_bill(folder, dtype="<f4"), "it is <f8 of the shape [2, 2], but was <f4"),
    ],
)
def test_a_damaged_entry_is_named_and_made_anew(tmp_path, capsys, damage, why):
    fresh = np.array([[0.25, 0.75], [1.0, 0.0]])
    Cache(tmp_path).array("x", 1, fresh.copy, are_distributions)
    damage(tmp_path)
    for _ in range(2):
        assert Cache(tmp_path).array("x", 1, fresh.copy, are_distributions).tolist() == fresh.tolist()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("a damaged entry of the cache is made anew: ")
    assert why in said[0]


def test_an_unsound_array_is_given_back_and_never_kept(tmp_path, capsys):
    for _ in range(2):
        assert np.isnan(Cache(tmp_path).array("x", 1, lambda: np.full(3, np.nan))).all()
    assert "is not kept in the cache" in capsys.readouterr().err
    assert list(tmp_path.glob("x/*")) == []


def test_what_is_sound():
    assert is_finite(np.array(["any", "text"]))
    assert is_finite(np.array([1, 2]))
    assert not is_finite(np.array([1.0, np.inf]))
    assert are_distributions(np.full((3, 2, 4), 0.25, np.float32))
    assert not are_distributions(np.array([[1, 0]]))


def test_entries_leave_no_lock(tmp_path):
    for number in range(5):
        Cache(tmp_path).array("x", number, lambda: np.zeros(2))
    assert sorted({path.suffix for path in (tmp_path / "x").iterdir()}) == [".json", ".npy"]


def test_leftovers_of_the_dead_are_swept_and_those_of_others_stay(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    here, folder = socket.gethostname(), tmp_path / "x"
    folder.mkdir()
    names = [f".{here}+{gone.pid}+a.part", f".{here}+{os.getpid()}+b.part", f".elsewhere+{gone.pid}+c.part", ".d.part"]
    for name in names:
        (folder / name).touch()
    (folder / "e.npy.lock").touch()
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "of_a_library.lock").touch()
    assert Cache(tmp_path).remove_leftovers() == 2
    assert sorted(path.name for path in folder.iterdir()) == sorted(names[1:])
    assert (tmp_path / "datasets" / "of_a_library.lock").exists()
