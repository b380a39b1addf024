"""Names are legal, stable and a study's own; nothing that is sent names a place of the machine."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import studies
import wandb
from hypothesis import given
from hypothesis import strategies as st
from studies import keep, made_test_set, shown
from test_track import (
    ALL,
    CONTROL,
    DONE,
    ROOT,
    TABLE,
    log_of,
    record,
    start,
)
from test_track import media as media
from wandb_server import serving

from harness.run.track.board import board_of, records_artifact
from harness.run.track.content import run_of
from harness.run.track.names import group_name, leaderboard_id, legal_name, run_id, tags_of, trial_id, without_places
from harness.storage.packing import pack
from harness.storage.store import Store

SECRET = "/scratch/groups/someone"


@given(st.text(min_size=1, max_size=300), st.text(max_size=50))
def test_ids_and_names_are_legal(study: str, key: str) -> None:
    found = run_id(study, key)
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", found)
    assert wandb.Settings(run_id=found).run_id == found
    assert found == run_id(study, key)
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", legal_name(f"{study}-records"))
    assert 0 < len(group_name(study)) <= 128


def test_ids_of_two_studies_differ() -> None:
    """Also of studies that look alike after what W&B does not allow has been replaced."""
    studies = ["one", "two", "a b", "a_b", "a-b", "x" * 200, "x" * 201, "ü", "é"]
    heads = [DONE | {"study": study} for study in studies]
    assert len({*map(trial_id, heads), *map(leaderboard_id, studies)}) == 2 * len(studies)
    assert len({legal_name(f"{study}-records") for study in studies}) == len(studies)
    assert trial_id(DONE) != trial_id(CONTROL)
    assert trial_id(DONE) != trial_id(DONE | {"control": "9" * 40}), "one trial may be compared with two controls"


def test_ids_are_pinned() -> None:
    """An id that changes would make a second run of every trial."""
    assert trial_id(DONE) == "study-a3510786ef7c10a8"
    assert leaderboard_id("study") == "study-6c89e28d4178aa53"


def test_a_packed_array_is_no_place() -> None:
    """Long base64 often holds a slash and what looks like a path after it."""
    array = pack(np.random.default_rng(0).random((400, 10)).astype(np.float16))
    packed = array | {"zlib": f"+/home/eve/x+{array['zlib']}"}
    assert without_places({"result": {"probabilities": packed}}) == {"result": {"probabilities": packed}}
    assert without_places({"zlib": " /home/eve/x"}) == {"zlib": " …/x"}


def test_tags_are_legal() -> None:
    assert tags_of(["digits", "", "digits", "t" * 99]) == ["digits", "t" * 64]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("/home/me/x.txt", "…/x.txt"),
        ("[Errno 2] No such file: '/scratch/my dir/a b.csv'", "[Errno 2] No such file: '…/a b.csv'"),
        ("weak=crowd weak.path=/home/me/rules.tsv", "weak=crowd weak.path=…/rules.tsv"),
        (r"C:\Users\me\f.csv is bad", "…/f.csv is bad"),
        ("read ~/data/photos, and more", "read …/photos, and more"),
        ("and/or 5/6 https://a.b/c/d n / a", "and/or 5/6 https://a.b/c/d n / a"),
        ("package:x/y/z harness.tasks.digits", "package:x/y/z harness.tasks.digits"),
        ("…/photos/cats", "…/photos/cats"),
    ],
)
def test_paths_by_hand(text: str, clean: str) -> None:
    assert without_places(text) == clean
    assert without_places(without_places(text)) == clean
    assert without_places({"a": [text, 1, None], text: True}) == {"a": [clean, 1, None], clean: True}


def test_own_places_are_known_whatever_their_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "a home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    assert without_places(f"in {home}/x y") == "in …/x y"
    assert str(tmp_path) not in without_places(f"at {tmp_path}, {tmp_path}/b and {tmp_path}/c:3")


def leaky(key: str, **changes: Any) -> dict[str, Any]:
    """A record whose every text names a place, as errors, options and what was read do."""
    made = record(key, **changes)
    made["trial"] = {**made["trial"], "weak": {"_target_": "mine.f", "lexicon": f"{SECRET}/words.txt"}}
    made["facts"] = {**made["facts"], "read": f"{SECRET}/photos: 900 rows, of {Path.home()}/photos"}
    return made | {"arm": f"weak=mine weak.lexicon={SECRET}/words.txt"}


def test_records_are_sent_without_paths_and_stay_whole(tmp_path: Path) -> None:
    """A record that named a path is another file, with a checksum of its own; the others are sent to the byte.

    What a trial's key stands for holds no path, so a shortened record still is that of its key.
    """
    store, test = Store(tmp_path), made_test_set(20, 2)
    done = studies.record(store, "baseline", 0, shown(test, 0.8, "a"), test)
    bad = studies.record(store, "weak=mine", 0, None, test, reason=f"no file '{SECRET}/a b.csv'")
    bad["facts"] = {"read": f"{SECRET}/photos: 900 rows, of {Path.home()}/photos"}
    keep(store, [done, bad])
    rows = [{"data": "f" * 64, "status": one["status"], "why": one["reason"], "arm": one["arm"]} for one in (done, bad)]
    TABLE.from_records(rows).to_parquet(tmp_path / "table.parquet")
    board = board_of("study", TABLE, [], tmp_path)
    sent = dict(board.records)
    assert sent[f"trials/{done['key']}.json"] == (tmp_path / "trials" / f"{done['key']}.json").read_bytes()
    assert not [name for name, content in sent.items() if SECRET.encode() in content]
    other = tmp_path / "other"
    for name, content in sent.items():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_bytes(content)
    assert Store(other).damaged() == []
    failure = Store(other).failure(bad["key"])
    assert failure is not None
    assert failure["reason"] == "no file '…/a b.csv'"
    artifact = records_artifact("study", board)
    assert set(artifact.manifest.entries) == set(sent)


@pytest.mark.usefixtures("media")
def test_nothing_of_the_machine_is_sent_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Read back from what a server received, and from W&B's own log on disk; both with artifacts and pictures."""
    monkeypatch.chdir(tmp_path)
    board = request.getfixturevalue("media")
    records: list[Any] = [
        [leaky("a"), 1.25],
        [
            leaky("b", status="failed", history=[], reason=f"FileNotFoundError: '{tmp_path}/x y.csv' in {ROOT}/x.py"),
            None,
        ],
    ]
    with serving() as server:
        start(tmp_path / "wandb", records, server=server.url, **board).ended()
        received = list(server.bodies)
        assert len(server.runs) == 3
        assert {run.results.get("reason") for run in server.runs.values()} == {
            None,
            "FileNotFoundError: '…/x y.csv' in …/x.py",
        }
    assert_anonymous([*received], tmp_path)
    job = start(tmp_path / "disk", records, **board)
    job.ended()
    for run in job.runs():
        logged = log_of(run)
        assert len(logged) > 4
        assert_anonymous([json.dumps(line).encode() for line in logged], tmp_path)
        assert not (run / "files" / "wandb-metadata.json").exists()
        assert not list((run / "files").rglob("*.py"))


def assert_anonymous(texts: list[bytes], folder: Path) -> None:
    """No text names a folder of this machine, its host, its user's program or interpreter."""
    places = [SECRET, str(Path.home()), str(ROOT), str(Path.cwd()), str(folder), "/tmp/", "site-packages", "bin/python"]
    for text in texts:
        assert not [place for place in places if place.encode() in text], text
        host = rb"(?<![A-Za-z0-9])" + re.escape(socket.gethostname().encode()) + rb"(?![A-Za-z0-9])"
        assert not re.search(host, text), text


def test_the_run_of_a_record_is_the_same_when_it_is_read_again(tmp_path: Path) -> None:
    """A running study and `harness publish` send the same digest, whatever JSON does to tuples and numbers."""
    fresh = DONE | {"factors": ("clean",)}
    again = json.loads(json.dumps(fresh))
    assert run_of(again, 1.25) == run_of(DONE, 1.25)
    assert run_of(fresh, 1.25).digest == run_of(again, 1.25).digest
    others = [(DONE, None), (DONE, 1.5), (DONE | {"arm": "x"}, 1.25), (DONE | {"history": []}, 1.25)]
    assert len({run_of(one, delta).digest for one, delta in [(DONE, 1.25), *others]}) == 5


def test_all_have_a_run() -> None:
    assert len({run_of(one, delta).opening["id"] for one, delta in ALL}) == len(ALL)
