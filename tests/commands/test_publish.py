"""`harness publish` sends what W&B lacks of a study, from its records alone, and a second time nothing.

Two small studies are run once, as a user runs them: they share a trial and a project, and differ in the baseline. One
is tracked while it runs, the other is not.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import invoke
import pytest
from test_track import entries, inspect, sync
from wandb_server import Received, Server, serving

from harness.run.track.names import leaderboard_id, trial_id
from harness.storage.store import sealed

LINEAR, FOREST = "model@baseline.model=logistic_regression", "model@baseline.model=random_forest"
STUDY = ("-m", "hydra/sweeper=study", "arms=['model=mlp']", "seeds=[0,1]", "task.n_train=60", "protocol.steps=5",
         "cache=cache", "hydra.launcher.n_jobs=1")  # fmt: skip
RUNS = 5
"""Two controls, two trials of the arm, and the leaderboard."""


@pytest.fixture(autouse=True)
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No login and no setting of whoever runs the tests."""
    for name in ("PROJECT", "ENTITY", "MODE", "DIR", "BASE_URL", "API_KEY", "CONFIG_DIR", "IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB__FILE_STREAM_TRANSMIT_INTERVAL", "1")


def login(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Server]]:
    """A folder with the records of both studies, and the server that `one` was tracked to."""
    folder = tmp_path_factory.mktemp("ran")
    with serving() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder / "home"))
        patch.setenv("WANDB__FILE_STREAM_TRANSMIT_INTERVAL", "1")
        login(server, patch)
        slow = ("track.init_timeout=300.0", "track.finish_timeout=300.0", "track.patience_s=3000.0")
        done = invoke.harness(*STUDY, "study=one", LINEAR, *slow, folder=folder)
        assert (done.returncode, "W&B" in done.stderr) == (0, False), done.stderr
        done = invoke.harness(*STUDY, "study=two", FOREST, "track=none", folder=folder)
        assert done.returncode == 0, done.stderr
        yield folder, server


@pytest.fixture
def here(ran: tuple[Path, Server], tmp_path: Path) -> Path:
    """A folder to which the records alone were moved, without W&B's files and all that a report makes."""
    for study in ("one", "two"):
        for part in ("trials", "tests"):
            shutil.copytree(ran[0] / "results" / study / part, tmp_path / "results" / study / part)
        shutil.copy(ran[0] / "results" / study / "study.json", tmp_path / "results" / study)
    return tmp_path


def publish(*words: str, folder: Path) -> tuple[int, str, str]:
    """Publishes with the patience of a busy machine."""
    slow = ("track.init_timeout=300.0", "track.finish_timeout=300.0")
    done = invoke.harness("publish", *words, *slow, folder=folder)
    return done.returncode, done.stdout, done.stderr


def counts(text: str) -> tuple[int, int, int, int]:
    """How many runs were sent, written to disk, there already, and failed."""
    found = re.search(r"(\d+) runs sent, (?:(\d+) written to disk, )?(\d+) were there already, (\d+) failed", text)
    assert found, text
    sent, disk, there, failed = (int(number or 0) for number in found.groups())
    return sent, disk, there, failed


def state(server: Server) -> Any:
    """All that a reader of the server sees."""
    runs = {
        name: (run.config, run.rows, run.results, run.exit_code, run.opened, sorted(run.files), run.used)
        for name, run in server.runs.items()
    }
    return copy.deepcopy((runs, server.versions))


def score(record: dict[str, Any]) -> float:
    return float(record["result"]["test"])


def assert_complete(server: Server, study: Path) -> None:
    """Each trial has its run under its study, with the record's curve, its score and its delta; the board has all."""
    records = invoke.records(study)
    for key, record in records.items():
        run = server.runs[trial_id(record | {"study": study.name})]
        assert (run.bucket["groupName"], run.config["study"], run.config["key"]) == (study.name, study.name, key)
        assert run.results["test"] == score(record)
        curve = [{f"curve/{name}": value for name, value in row.items()} for row in record["history"]]
        assert [row for row in run.rows if "test" not in row] == curve
        assert len(run.rows) == len(curve) + 1
        delta = 100 * (score(record) - score(records[record["control"]])) if record["control"] != key else None
        assert run.results.get("delta") == (pytest.approx(delta) if delta is not None else None)
        assert run.exit_code == 0
    assert_board(server.runs[leaderboard_id(study.name)], study)


def assert_board(board: Received, study: Path) -> None:
    assert (board.bucket["jobType"], board.bucket["groupName"], board.exit_code) == ("leaderboard", study.name, 0)
    assert any("figure/effects" in name for name in board.files)
    sent = board.artifacts[f"{study.name}-records"]
    for path in (study / "trials").glob("*.json"):
        assert sent[f"trials/{path.name}"] == path.read_bytes()


def test_a_tracked_study_lacks_nothing(ran: tuple[Path, Server], here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The study and the command send the same bytes, though the command has the records alone, in another folder."""
    _, server = ran
    before = state(server)
    assert_complete(server, here / "results" / "one")
    login(server, monkeypatch)
    code, out, err = publish("one", folder=here)
    assert (code, counts(out), err) == (0, (0, 0, RUNS, 0), "")
    assert state(server) == before


def test_what_was_not_tracked_is_sent_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server:
        login(server, monkeypatch)
        monkeypatch.setenv("WANDB_PROJECT", "theirs")
        code, out, err = publish("two", folder=here)
        assert (code, counts(out), err) == (0, (RUNS, 0, 0, 0), "")
        assert "(project theirs)" in out
        assert_complete(server, here / "results" / "two")
        assert {run.bucket["project"] for run in server.runs.values()} == {"theirs"}
        before = state(server)
        code, out, _ = publish("two", folder=here)
        assert (code, counts(out)) == (0, (0, 0, RUNS, 0))
        assert state(server) == before
        assert not list((here / "results" / "two").glob("*.png")), "the study's folder is only read"


def test_two_studies_of_one_project_keep_their_own_runs(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They share the trials of the arm, by their keys, and hold them against other baselines."""
    one, two = (invoke.records(here / "results" / name) for name in ("one", "two"))
    assert len(set(one) & set(two)) == 2
    with serving() as server:
        login(server, monkeypatch)
        for study in ("one", "two"):
            code, out, _ = publish(study, folder=here)
            assert (code, counts(out)) == (0, (RUNS, 0, 0, 0))
        assert len(server.runs) == 2 * RUNS
        for study in ("one", "two"):
            assert_complete(server, here / "results" / study)
        deltas = {
            name: {
                key: server.runs[trial_id(records[key] | {"study": name})].results["delta"]
                for key in set(one) & set(two)
            }
            for name, records in (("one", one), ("two", two))
        }
        assert all(deltas["one"][key] != deltas["two"][key] for key in deltas["one"])
        assert {"one-records", "two-records"} <= set(server.versions)
        assert {len(versions) for versions in server.versions.values()} == {1}


def test_a_run_that_was_cut_off_or_is_another_is_replaced(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between its record and its end: half a curve and no summary. And one whose record was made anew."""
    records = invoke.records(here / "results" / "one")
    arm = [trial_id(record | {"study": "one"}) for record in records.values() if record["arm"] != "baseline"]
    with serving() as server:
        login(server, monkeypatch)
        publish("one", folder=here)
        cut, other = (server.runs[name] for name in arm)
        cut.exit_code, cut.summary = None, {}
        cut.history = {0: cut.history[0]}
        other.summary["digest"] = "of another record"
        code, out, _ = publish("one", folder=here)
        assert (code, counts(out)) == (0, (2, 0, RUNS - 2, 0))
        assert_complete(server, here / "results" / "one")
        assert {len(versions) for versions in server.versions.values()} == {1}


def test_without_a_key_runs_are_written_for_sync(here: Path) -> None:
    code, out, err = publish("one", folder=here)
    assert (code, counts(out), err) == (0, (0, RUNS, 0, 0), "")
    assert "offline; to upload what is on disk: wandb sync --include-online results/one/wandb/*/wandb/*run-*" in out
    runs = sorted((here / "results" / "one" / "wandb").glob("*/wandb/offline-run-*"))
    assert len(runs) == RUNS
    assert {inspect(run)["exit_code"] for run in runs} == {0}
    assert counts(publish("one", folder=here)[1]) == (0, 0, RUNS, 0)
    with serving() as server, pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        sync(runs, here / "wandb", server)
        assert_complete(server, here / "results" / "one")


def test_a_server_that_fails_leaves_all_on_disk_and_says_so(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving("error") as server:
        login(server, monkeypatch)
        done = invoke.harness("publish", "one", "track.init_timeout=2.0", "track.finish_timeout=2.0", folder=here)
    assert (done.returncode, counts(done.stdout)) == (1, (0, RUNS, 0, 0))
    assert done.stderr.count("Tracked on disk from now on") == 1


def test_nothing_that_a_plan_names_is_built(here: Path) -> None:
    """A folder from elsewhere may name any function as its task; its records are sent, and it is not called."""
    plan = here / "results" / "one" / "study.json"
    content = json.loads(plan.read_text())
    content["task"] = {"_target_": "trap.spring"}
    content["baseline"]["model"]["_target_"] = "trap.spring"
    plan.write_bytes(sealed(content))
    (here / "trap.py").write_text("open('sprung', 'w').close()\ndef spring(**names): ...\n")
    assert counts(publish("one", "track.mode=offline", folder=here)[1]) == (0, RUNS, 0, 0)
    for target in ("trap.spring", "harness.storage.files.os.mkdir"):
        plan.write_bytes(sealed(content | {"task": {"_target_": target, "path": "sprung"}}))
        assert invoke.harness("report", "one", folder=here).returncode == 0
    assert not (here / "sprung").exists()


def test_what_is_missing_or_damaged_is_said(here: Path) -> None:
    """A study that was stopped in the middle, with one record cut off."""
    first, second, *rest = sorted((here / "results" / "two" / "trials").glob("*.json"))
    first.unlink()
    second.write_text(second.read_text()[:100])
    code, out, err = publish("two", "track.mode=offline", folder=here)
    assert code == 0, err
    assert (code, counts(out)) == (0, (0, RUNS - 2, 0, 0))
    assert "2 of 4 trials have no record yet and are not sent" in err
    assert f"damaged and not sent: results/two/trials/{second.name}" in err
    [board] = (here / "results" / "two" / "wandb").glob(f"{leaderboard_id('two')}-*/wandb/offline-run-*")
    [records] = [one for one in entries(board, "artifact") if one["type"] == "records"]
    trials = {item["path"] for item in records["manifest"]["contents"] if item["path"].startswith("trials/")}
    assert trials == {f"trials/{path.name}" for path in rest}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "harness: name a study: harness publish NAME [store=FOLDER]"),
        (("one", "two"), "harness: name a study: harness publish NAME [store=FOLDER]"),
        (("on",), "harness: no records of a study 'on' in results"),
        (("one", "track=none"), "harness: nothing is sent with track=none"),
        (("one", "track.mode=disabled"), "harness: nothing is sent with track=none, nor if track.mode or WANDB_MODE"),
        (("one", "sore=x"), "harness: publish has no option 'sore'"),
        (("one", "track.mode=of"), "harness: track.mode"),
        (("one", "track.projet=x"), "harness: "),
    ],
)
def test_wrong_words_are_refused_before_anything_is_sent(words: tuple[str, ...], line: str, here: Path) -> None:
    done = invoke.harness("publish", *words, folder=here)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(line)
    assert not (here / "results" / "one" / "wandb").exists()
