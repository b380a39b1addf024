"""What W&B is told equals the records; no server, and no lack of one, costs a trial."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import studies
import yaml
from PIL import Image
from wandb_server import Received, Server, serving

from harness.run import track
from harness.run.track import board
from harness.run.track.client import has_key
from harness.run.track.content import flatten, outcome_of, run_of
from harness.run.track.names import leaderboard_id, trial_id
from harness.run.track.sending import WandB
from harness.storage.index import INDEX
from harness.storage.store import Store

ROOT = Path(__file__).resolve().parents[2]
WARNINGS = ["-W", "error", "-W", "ignore::ResourceWarning"]  # W&B leaves a temporary folder to the garbage collector
WANDB = [sys.executable, "-m", "wandb"]
COLUMNS = ["arm", "axis", "effect", "n", "reference", "reason"]
ROWS = [
    ["baseline", "none", None, 5, False, None],
    ["clean=confident", "data", 1.25, 5, False, None],
    ["clean=oracle", "data", 2.5, 5, False, None],
    ["model=mlp", "model", -0.5, 4, True, "the loss diverged"],
    ["model=lenet", "model", None, 0, False, "the loss diverged"],
]
TABLE = pd.DataFrame(ROWS, columns=COLUMNS)

DRIVER = """
import json, logging, sys, time
from pathlib import Path
import pandas as pd
from harness.run.track import wandb

__import__("wandb")  # an import is no waiting for a server
logging.basicConfig(format="%(message)s")
job = json.loads(sys.argv[1])
tracker = wandb(Path(job["folder"]), project="harness-test", entity=None, dir=None, **job["options"])
if job["begin"]:
    tracker.begin()

def wait(word):
    print(word, flush=True)
    assert sys.stdin.readline()

for record, delta in job["records"]:
    start = time.monotonic()
    head = {name: record[name] for name in "key control study arm axis factors reference seed trial".split()}
    with tracker.trial(head) as log:
        for row in record["history"]:
            log(row)
        if job["pause"]:
            wait("logged")
        log.finish(record, delta)
    Path(job["folder"], record["key"] + ".json").write_text(json.dumps(record))
    print(f"trial {time.monotonic() - start:.2f}", flush=True)
if job["table"]:
    figures = [Path(job["figure"]), Path(job["other"])]
    tracker.leaderboard("study", pd.read_json(job["table"]), figures, Path(job["study"]) if job["study"] else None)
print("end", flush=True)
"""


def record(key: str, status: str = "done", **changes: Any) -> dict[str, Any]:
    """A trial's record, with a value in every place that the tracker reads."""
    done = status == "done"
    test = {"metric": "accuracy", "test": 0.913, "valid": 0.905, "test_set": "d" * 64, "predictions": {"zlib": "eJw="}}
    receipt = {"n_before": 900, "n_after": 800, "n_dropped": 100, "dropped": {"ids": ["a"], "why": "suspect"}}
    return {
        "key": key * 40, "control": "0" * 40, "study": "study", "arm": "clean=confident", "axis": "data",
        "factors": ["clean"], "reference": "", "seed": 3, "status": status,
        "trial": {
            "task": {"_target_": "harness.tasks.digits.digits", "n_train": None}, "model": {"width": [64, 32]},
            "clean": {"fraction": 0.1}, "seed": 3, "salt": "", "data": "f" * 64,
        },
        "reason": None if done else "the loss diverged at step 10",
        "result": test if done else None,
        "receipts": {"weak": {"n_before": 900}, "clean": receipt} if done else {},
        "ledger": {"given": 900, "gold": 0, "votes": 4500},
        "cost": {"wall_s": 1.2, "cpu_s": 1.1, "peak_mb": 410.0, "parameters": 61706},
        "facts": {"noise": "simulated", "simulated": True, "given_wrong": 0.25},
        "history": [{"step": 10, "loss": 1.5, "valid": 0.5}, {"step": 10, "loss": 0.75}, {"step": 5, "valid": 0.9}],
    } | changes  # fmt: skip


DONE, FAILED = record("a"), record("b", "failed", history=[])
CONTROL = record("c", arm="baseline", axis="none", factors=[], reference="negative_control")
A, B, C = (trial_id(one) for one in (DONE, FAILED, CONTROL))
""" The ids of their runs."""
BOARD = leaderboard_id("study")
EXPECTED_CONFIG = {
    "task/_target_": "harness.tasks.digits.digits", "task/n_train": None, "model/width": [64, 32],
    "clean/fraction": 0.1, "seed": 3, "salt": "", "data": "f" * 64,
    "study": "study", "arm": "clean=confident", "axis": "data", "factors": ["clean"], "reference": "", "task": "digits",
    "key": "a" * 40, "control": "0" * 40,
}  # fmt: skip
EXPECTED_SUMMARY = {
    "status": "done", "delta": 1.25, "metric": "accuracy", "test": 0.913, "valid": 0.905, "test_set": "d" * 64,
    "cost/wall_s": 1.2, "cost/cpu_s": 1.1, "cost/peak_mb": 410.0, "cost/parameters": 61706, "ledger/given": 900,
    "ledger/gold": 0, "ledger/votes": 4500, "facts/noise": "simulated", "facts/simulated": True,
    "facts/given_wrong": 0.25, "receipts/weak/n_before": 900, "receipts/clean/n_before": 900,
    "receipts/clean/n_after": 800, "receipts/clean/n_dropped": 100, "digest": run_of(DONE, 1.25).digest,
}  # fmt: skip
EXPECTED_BOARD = {"study": "study", "rows": len(ROWS), "data": ["f" * 64], "trials": 3, "failed": 1}
PANELS = {"data": [["clean=confident", 1.25], ["clean=oracle", 2.5]], "model": [["model=mlp", -0.5]]}
"""The arms that have an effect, by axis: what the two charts of the leaderboard show."""
DATA = f"data-{'f' * 16}"
OUTCOME = {"delta": 1.25, "test": 0.913, "valid": 0.905, "cost/cpu_s": 1.1}
EXPECTED_CURVE = [{f"curve/{name}": value for name, value in row.items()} for row in DONE["history"]]
EXPECTED_ROWS = [*EXPECTED_CURVE, OUTCOME]


@dataclass
class Job:
    """A process that tracks, and where."""

    process: subprocess.Popen[str]
    folder: Path

    def ended(self, go: str = "") -> tuple[str, str]:
        """What it printed and complained of; it must end by itself, with 0, and leave no service behind."""
        out, err = self.process.communicate(go, timeout=600)
        assert self.process.returncode == 0, err
        assert not services(self.process.pid)
        return out, err

    def runs(self, kind: str = "*") -> list[Path]:
        """The run folders that it left."""
        return sorted(self.folder.glob(f"*/wandb/{kind}run-*"))


PATIENT = {"init_timeout": 300.0, "finish_timeout": 300.0, "patience_s": 3000.0}
"""Seconds for a server that answers: as long as a busy machine may take."""
AWAY = {"init_timeout": 2.0, "finish_timeout": 2.0, "patience_s": 60.0}
"""Seconds for a server that will not answer."""
LOST = PATIENT | {"finish_timeout": 2.0}
"""Seconds for a server that answers until it fails."""


def start(folder: Path, records: list[Any], *, server: str = "", begin: bool = True, **job: Any) -> Job:
    """A fresh process that tracks the records, as a user of an account where there is a server."""
    options = {"mode": "auto", **PATIENT} | job.pop("options", {})
    told = {"folder": str(folder), "options": options, "records": records, "begin": begin, "pause": False, "table": "",
            "study": ""}  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, *WARNINGS, "-c", DRIVER, json.dumps(told | job)],
        text=True, env=environment(folder, server),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    return Job(process, folder)


def environment(folder: Path, server: str) -> dict[str, str]:
    """This environment without anybody's login; with one for the server, if there is a server."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_") and name != "NETRC"}
    clean |= {"HOME": str(folder.parent / "home"), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    if not server:
        return clean
    # The interval between uploads is fifteen seconds by default: too long to wait here. One is the least.
    login = {"WANDB_BASE_URL": server, "WANDB_API_KEY": "0123456789" * 4}
    return clean | login | {"WANDB__FILE_STREAM_TRANSMIT_INTERVAL": "1"}


def services(pid: int) -> list[str]:
    """The W&B services that still work for a process, a moment after it has ended."""
    for _ in range(3000):
        found = [line for line in command_lines() if "wandb-core" in line and f"--pid {pid} " in f"{line} "]
        if not found:
            break
        time.sleep(0.1)
    return found


def command_lines() -> list[str]:
    """The command lines of all processes."""
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()


def inspect(run: Path) -> dict[str, Any]:
    """W&B's own summary of a run on disk."""
    told = subprocess.run([*WANDB, "leet", "inspect", "--summary", "--json", run], capture_output=True, check=True)
    return json.loads(told.stdout)


def entries(run: Path, kind: str) -> list[dict[str, Any]]:
    """The entries of that kind in a run's log."""
    return [line[kind] for line in log_of(run) if line["type"] == kind]


def log_of(run: Path) -> list[dict[str, Any]]:
    """All entries of a run's log."""
    told = subprocess.run([*WANDB, "leet", "inspect", "--json", run], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in told.stdout.splitlines()]


def own(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith("_")}


def sync(runs: list[Path], folder: Path, server: Server) -> None:
    """Uploads runs with W&B's own command."""
    command = [*WANDB, "sync", "--yes", "--include-online", *map(str, runs)]
    env = environment(folder, server.url) | {"WANDB_DIR": str(folder.parent)}  # the command leaves its own logs there
    done = subprocess.run(command, env=env, cwd=Path.cwd(), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


ALL: list[Any] = [[DONE, 1.25], [FAILED, None], [CONTROL, 0.0]]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A leaderboard, two figures, and a study's folder of records on disk."""
    folder = tmp_path_factory.mktemp("media")
    TABLE.to_json(folder / "table.json")
    Image.new("RGB", (12, 8), (200, 10, 10)).save(folder / "effects.png")
    Image.new("RGB", (9, 7), (10, 10, 200)).save(folder / "costs.png")
    study, test = folder / "study", studies.made_test_set(20, 2)
    store = Store(study)
    outcomes = {"baseline": studies.shown(test, 0.8, "a"), "clean=c": studies.shown(test, 0.9, "b"), "clean=d": None}
    studies.keep(store, [studies.record(store, arm, 0, predicted, test) for arm, predicted in outcomes.items()])
    rows = [{"key": one["key"], "data": one["trial"]["data"], "status": one["status"]} for one, _ in ALL]
    pd.DataFrame(rows).to_parquet(study / "table.parquet")
    return {
        "table": str(folder / "table.json"), "figure": str(folder / "effects.png"),
        "other": str(folder / "costs.png"), "study": str(study),
    }  # fmt: skip


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory, media: dict[str, str]) -> dict[str, Path]:
    """Three trials and a leaderboard tracked without an account: the run folders by run id."""
    job = start(tmp_path_factory.mktemp("offline") / "wandb", ALL, **media)
    out, err = job.ended()
    assert err == ""
    assert [line.split()[0] for line in out.splitlines()] == ["trial", "trial", "trial", "end"]
    assert len(job.runs()) == len(job.runs("offline-")) == 4
    return {run_id(run): run for run in job.runs()}


def run_id(run: Path) -> str:
    """The id of the run in a folder."""
    return re.sub(r"^(offline-)?run-\d+_\d+-", "", run.name)


def test_offline_trial_equals_record(offline: dict[str, Path]) -> None:
    run = offline[A]
    told = inspect(run)
    assert told["config"] == EXPECTED_CONFIG
    assert own(told["summary"]) == EXPECTED_SUMMARY
    assert [own(entry["item"]) for entry in entries(run, "history")] == EXPECTED_ROWS
    assert (told["name"], told["project"], told["run_id"]) == ("clean=confident seed=3", "harness-test", A)
    assert (told["tags"], told["state"], told["exit_code"]) == (["digits", "clean"], "finished", 0)
    opened = entries(run, "run")[0]
    assert (opened["run_group"], opened["job_type"]) == ("study", "data")


def test_offline_failure_and_control(offline: dict[str, Path]) -> None:
    failed, control = inspect(offline[B]), inspect(offline[C])
    assert failed["exit_code"] == 1
    assert failed["summary"]["status"] == "failed"
    assert failed["summary"]["reason"] == "the loss diverged at step 10"
    assert "test" not in failed["summary"]
    assert "delta" not in failed["summary"]
    assert control["summary"]["delta"] == 0
    assert control["tags"] == ["digits", "reference"]
    assert entries(offline[C], "run")[0]["job_type"] == "baseline"


def test_offline_leaderboard(offline: dict[str, Path]) -> None:
    run = offline[BOARD]
    assert entries(run, "run")[0]["job_type"] == "leaderboard"
    assert inspect(run)["config"] == EXPECTED_BOARD
    row = own(entries(run, "history")[0]["item"])
    table = json.loads((run / "files" / row["leaderboard.path"]).read_text())
    assert_table(table)
    for name, size in (("effects", (12, 8)), ("costs", (9, 7))):
        with Image.open(run / "files" / row[f"figure/{name}.path"]) as image:
            assert image.size == size
    panels = {name: json.loads((run / "files" / row[f"effects/{name}_table.path"]).read_text()) for name in PANELS}
    assert {name: told["data"] for name, told in panels.items()} == PANELS


def test_offline_runs_carry_their_lineage(offline: dict[str, Path]) -> None:
    told = {run_id: entries(run, "artifact") for run_id, run in offline.items()}
    data = [[(one["type"], one["use_after_commit"]) for one in told[name]] for name in (A, B, C)]
    assert data == [[("data", True)]] * 3
    [used, made] = [one for one in told[BOARD] if one["type"] in ("data", "records")]
    assert json.loads(used["metadata"]) == {"fingerprint": "f" * 64}
    assert json.loads(made["metadata"]) == {"study": "study", "data": ["f" * 64], "trials": 3, "failed": 1}
    assert (used["use_after_commit"], made.get("use_after_commit", False)) == (True, False)


def test_a_fresh_workspace_is_told_what_to_draw(offline: dict[str, Path]) -> None:
    """Panels are drawn of what is in the history; each outcome is there once, and its summary is the last value."""
    run = offline[A]
    defined = {one.get("name") or one.get("glob_name"): one for one in entries(run, "metric")}
    assert set(OUTCOME) <= set(defined)
    assert all(defined[name]["summary"]["last"] for name in OUTCOME)
    assert defined["curve/*"]["step_metric"] == "curve/step"
    rows = [own(entry["item"]) for entry in entries(run, "history")]
    assert [row for row in rows if "delta" in row] == [OUTCOME]
    opened = [entries(offline[name], "run")[0] for name in (A, B, C)]
    assert [(one["run_group"], one["job_type"]) for one in opened] == [
        ("study", "data"),
        ("study", "data"),
        ("study", "baseline"),
    ]


def assert_table(told: dict[str, Any]) -> None:
    assert told["columns"] == COLUMNS
    assert told["data"] == ROWS


def test_table_cells_by_hand() -> None:
    table = pd.DataFrame(
        {"n": [1.5, None], "who": ["a", None], "factors": [["model"], ["weak", "clean"]], "ok": [True, False]}
    )
    typed = board._typed(table)
    assert typed.columns.tolist() == ["n", "who", "factors", "ok"]
    assert typed.to_numpy().tolist() == [[1.5, "a", "['model']", True], [None, None, "['weak', 'clean']", False]]


def assert_received(run: Received) -> None:
    """What a server was told about the trial that is done."""
    assert run.config == EXPECTED_CONFIG
    assert run.rows == EXPECTED_ROWS
    assert run.results == EXPECTED_SUMMARY
    assert run.exit_code == 0
    told = (run.bucket["groupName"], run.bucket["jobType"], run.bucket["displayName"], run.bucket["tags"])
    assert told == ("study", "data", "clean=confident seed=3", ["digits", "clean"])
    assert run.bucket["project"] == "harness-test"


def assert_all_received(server: Server, media: dict[str, str]) -> None:
    """What a server was told about the three trials and the leaderboard."""
    assert len(server.runs) == 4
    assert_received(server.runs[A])
    failed = server.runs[B]
    assert (failed.exit_code, failed.results["reason"]) == (1, FAILED["reason"])
    assert server.runs[C].bucket["jobType"] == "baseline"
    board = next(run for run in server.runs.values() if run.bucket["jobType"] == "leaderboard")
    assert_table(json.loads(next(data for name, data in board.files.items() if "table/leaderboard" in name)))
    assert board.config == EXPECTED_BOARD
    assert_table(json.loads(artifact(board, "leaderboard")["leaderboard.table.json"]))
    for name, place in (("effects", media["figure"]), ("costs", media["other"])):
        image = next(data for file, data in board.files.items() if f"figure/{name}" in file)
        assert image == Path(place).read_bytes()
    assert {name.split("/")[-1].split("_table")[0] for name in board.files if "media/table/effects/" in name} == set(
        PANELS
    )
    assert_lineage(server, board, Path(media["study"]))


def artifact(run: Received, name: str) -> dict[str, bytes]:
    """The files of the one artifact of a run whose name ends so."""
    [found] = [files for told, files in run.artifacts.items() if told.endswith(name)]
    return found


def assert_lineage(server: Server, board: Received, folder: Path) -> None:
    """Every run uses the data by their fingerprint; the leaderboard's gives all records, to the byte."""
    assert all(run.used == [DATA] for run in server.runs.values())
    [sent] = [run.artifacts[DATA] for run in server.runs.values() if DATA in run.artifacts]
    assert sent["fingerprint.txt"] == b"f" * 64 + b"\n", "sent by the first run, and the same for the others"
    assert {len(versions) for versions in server.versions.values()} == {1}
    assert board.described[DATA] == {"type": "data", "metadata": {"fingerprint": "f" * 64}}
    told = {"study": "study", "data": ["f" * 64], "trials": 3, "failed": 1}
    assert board.described["study-records"] == {"type": "records", "metadata": told}
    sent = {name: content for name, content in artifact(board, "study-records").items() if name != "manifest"}
    there = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert sent == {name: content for name, content in there.items() if name != INDEX}
    assert sum(name.startswith("trials/") for name in sent) == 3
    keys = {row["key"] for row, _ in ALL}
    assert keys == {run.config.get("key") for run in server.runs.values()} - {None}, "a run names its record"


def test_online_equals_records(tmp_path: Path, media: dict[str, str]) -> None:
    with serving() as server:
        job = start(tmp_path / "wandb", ALL, server=server.url, **media)
        _, err = job.ended()
        assert err == ""
        assert_all_received(server, media)
    assert not job.runs("offline-")


def test_sync_uploads_offline_runs(offline: dict[str, Path], tmp_path: Path, media: dict[str, str]) -> None:
    with serving() as server:
        sync(list(offline.values()), tmp_path / "wandb", server)
        assert_all_received(server, media)


@pytest.mark.slow
def test_rows_arrive_while_the_trial_runs(tmp_path: Path) -> None:
    with serving() as server:
        job = start(tmp_path / "wandb", [[DONE, 1.25]], server=server.url, pause=True)
        server.await_row(A)
        assert server.runs[A].exit_code is None
        job.ended("go\n")
        assert_received(server.runs[A])


@pytest.mark.slow
def test_again_takes_the_place(tmp_path: Path, media: dict[str, str]) -> None:
    with serving() as server:
        for _ in range(2):
            start(tmp_path / "wandb", [[DONE, 1.25]], server=server.url, **media).ended()
        assert len(server.runs) == 2
        assert_received(server.runs[A])


@pytest.fixture
def refusing() -> Iterator[str]:
    """An address at which nobody listens: the port is taken, and closed to callers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def assert_kept_on_disk(job: Job, out: str, err: str, trials: int) -> None:
    """Every trial has its record and a complete run on disk; the user was told once; nobody waited twice."""
    assert [line for line in err.splitlines() if line] == [line for line in err.splitlines() if "W&B: " in line]
    assert err.count("wandb sync --include-online") == 1
    waits = [float(line.split()[1]) for line in out.splitlines() if line.startswith("trial")]
    assert len(waits) == trials
    assert max(waits) < 8
    assert all(wait < 2.0 for wait in waits[1:])
    assert len(list(job.folder.glob("*.json"))) == len(job.runs()) == trials
    [first] = [run for run in job.runs() if run_id(run) == A]
    assert own(inspect(first)["summary"]) == EXPECTED_SUMMARY


TWO: list[Any] = [[DONE, 1.25], [CONTROL, 0.0]]


@pytest.mark.slow
@pytest.mark.parametrize("mood", ["error", "silent", "dead"])
def test_bad_server_costs_no_trial(mood: Any, tmp_path: Path) -> None:
    with serving(mood) as server:
        job = start(tmp_path / "wandb", TWO, server=server.url, options=AWAY)
        assert_kept_on_disk(job, *job.ended(), trials=2)
        assert len(job.runs("offline-")) == 2
        server.mood = "well"
        sync(job.runs(), job.folder, server)
        assert_received(server.runs[A])


@pytest.mark.slow
def test_refusing_server_costs_no_trial(refusing: str, tmp_path: Path) -> None:
    job = start(tmp_path / "wandb", TWO, server=refusing, options=AWAY)
    assert_kept_on_disk(job, *job.ended(), trials=2)


@pytest.mark.slow
@pytest.mark.parametrize("mood", ["error", "silent", "dead"])
def test_server_that_fails_in_the_middle(mood: Any, tmp_path: Path) -> None:
    with serving() as server:
        job = start(tmp_path / "wandb", TWO, server=server.url, pause=True, options=LOST)
        server.await_row(A)
        server.mood = mood
        assert_kept_on_disk(job, *job.ended("go\ngo\n"), trials=2)
        assert len(job.runs("offline-")) == 1
        server.mood = "well"
        server.runs.clear()
        sync(job.runs(), job.folder, server)
        assert_received(server.runs[A])


@pytest.mark.slow
def test_server_that_falls_silent_before_the_leaderboard(tmp_path: Path, media: dict[str, str]) -> None:
    with serving() as server:
        job = start(tmp_path / "wandb", [[DONE, 1.25]], server=server.url, pause=True, options=LOST, **media)
        server.await_row(A)
        server.mood = "silent"
        job.ended("go\n")
        server.mood = "well"
        sync(job.runs("offline-"), job.folder, server)
        board = next(run for run in server.runs.values() if run.bucket.get("jobType") == "leaderboard")
        assert_table(json.loads(next(data for name, data in board.files.items() if "table/leaderboard" in name)))


@pytest.mark.slow
def test_trouble_is_told_once_by_many_workers(refusing: str, tmp_path: Path) -> None:
    jobs = [start(tmp_path / "wandb", [[record(key), 1.0]], server=refusing, begin=False, options=AWAY) for key in "de"]
    told = [job.ended()[1] for job in jobs]
    assert "".join(told).count("wandb sync --include-online") == 1
    again = start(tmp_path / "wandb", [[record("f"), 1.0]], server=refusing, begin=False, options=AWAY)
    assert again.ended()[1] == ""
    assert len(again.runs("offline-")) == 3


@pytest.mark.slow
def test_begin_asks_the_server_again(tmp_path: Path) -> None:
    folder = tmp_path / "wandb"
    folder.mkdir()
    (folder / "offline.txt").write_text("the server was away yesterday\n")
    with serving() as server:
        start(folder, [[DONE, 1.25]], server=server.url, begin=False).ended()
        assert not server.runs
        start(folder, [[DONE, 1.25]], server=server.url, begin=True).ended()
        assert_received(server.runs[A])


@pytest.mark.slow
def test_one_trial_in_two_processes(tmp_path: Path) -> None:
    jobs = [start(tmp_path / "wandb", [[DONE, 1.25]]) for _ in range(2)]
    assert [job.ended()[1] for job in jobs] == ["", ""]
    runs = jobs[0].runs()
    assert len(runs) == 2
    assert [own(inspect(run)["summary"]) for run in runs] == [EXPECTED_SUMMARY] * 2


@pytest.mark.slow
def test_interrupted_trial_is_a_failed_run(tmp_path: Path) -> None:
    job = start(tmp_path / "wandb", [[DONE, 1.25]], pause=True)
    assert job.process.stdout is not None
    assert job.process.stdout.readline() == "logged\n"
    job.process.send_signal(signal.SIGINT)
    job.process.communicate(timeout=600)
    assert not services(job.process.pid)
    assert inspect(job.runs()[0])["exit_code"] == 1
    assert [own(entry["item"]) for entry in entries(job.runs()[0], "history")] == EXPECTED_CURVE


@pytest.mark.slow
def test_service_that_dies_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    job = start(tmp_path / "wandb", TWO, pause=True)
    assert job.process.stdout is not None
    assert job.process.stdout.readline() == "logged\n"
    [service] = children(job.process.pid)
    os.kill(service, signal.SIGKILL)
    _, err = job.ended("go\ngo\n")
    assert err.count("wandb sync") == len(err.splitlines()) == 1
    with serving() as server:
        sync(job.runs(), job.folder, server)
        assert_received(server.runs[A])
        assert server.runs[C].rows == [*EXPECTED_CURVE, OUTCOME | {"delta": 0}]


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    told = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=True)
    return [int(line) for line in told.stdout.split()]


@pytest.mark.slow
def test_killed_process_leaves_no_service(tmp_path: Path) -> None:
    job = start(tmp_path / "wandb", [[DONE, 1.25]], pause=True)
    assert job.process.stdout is not None
    assert job.process.stdout.readline() == "logged\n"
    job.process.kill()
    job.process.communicate(timeout=600)
    assert not services(job.process.pid)


def test_online_without_a_key_is_told_and_kept(tmp_path: Path) -> None:
    job = start(tmp_path / "wandb", [[DONE, 1.25]], options={"mode": "online"})
    _, err = job.ended()
    assert "there is no API key: set WANDB_API_KEY" in err
    assert len(err.splitlines()) == len(job.runs("offline-")) == 1


def test_folder_that_cannot_be_written_costs_no_trial(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    tracker = tracker_for(tmp_path / "file" / "wandb")
    with caplog.at_level(logging.WARNING), tracker.trial(DONE) as log:
        log(DONE["history"][0])
        log.finish(DONE, 1.25)
    assert [message for message in caplog.messages if "W&B: " in message] == caplog.messages
    assert caplog.messages


def tracker_for(folder: Path, mode: Any = "offline") -> WandB:
    made = track.wandb(
        folder, project="p", entity=None, mode=mode, dir=None, init_timeout=2.0, finish_timeout=2.0, patience_s=60.0
    )
    assert isinstance(made, WandB)
    return made


def test_nothing_is_left_behind_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    before, threads = dict(os.environ), set(threading.enumerate())
    with tracker_for(tmp_path / "wandb").trial(DONE) as log:
        log(DONE["history"][0])
        log.finish(DONE, 1.25)
    assert dict(os.environ) == before
    assert wandb.run is None
    wandb.teardown()
    assert set(threading.enumerate()) <= threads
    assert not services(os.getpid())
    [run] = (tmp_path / "wandb").glob("*/wandb/offline-run-*")
    assert [own(entry["item"]) for entry in entries(run, "history")] == EXPECTED_ROWS


def test_a_leaderboard_without_records_is_told_all_the_same(tmp_path: Path) -> None:
    tracker_for(tmp_path / "wandb").leaderboard("study", TABLE, [], tmp_path / "nowhere")
    [run] = (tmp_path / "wandb").glob("*/wandb/offline-run-*")
    told = inspect(run)
    assert (told["exit_code"], told["config"]) == (0, {"study": "study", "rows": len(TABLE)})
    assert not (tmp_path / "wandb" / "offline.txt").exists()


def test_a_client_that_cannot_link_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delattr(wandb.Run, "_log_artifact")
    with tracker_for(tmp_path / "wandb").trial(DONE) as log:
        log.finish(DONE, 1.25)
    [run] = (tmp_path / "wandb").glob("*/wandb/offline-run-*")
    assert own(inspect(run)["summary"]) == EXPECTED_SUMMARY
    assert not (tmp_path / "wandb" / "offline.txt").exists()


def test_none_imports_nothing(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
import pandas as pd
from harness.run.track import nothing
tracker = nothing(Path(sys.argv[1]))
tracker.begin()
with tracker.trial({}) as log:
    log({"step": 1, "loss": 2.0})
    log.finish({}, None)
tracker.leaderboard("study", pd.DataFrame(), [])
print(sorted(name for name in sys.modules if name.partition(".")[0] == "wandb"), list(Path(sys.argv[1]).iterdir()))
"""
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout == "[] []\n"


def test_options_bind_to_their_targets(tmp_path: Path) -> None:
    from hydra.utils import instantiate

    for name, made in (("none", track.Nothing), ("wandb", WandB)):
        option = yaml.safe_load((ROOT / "conf" / "track" / f"{name}.yaml").read_text())
        assert isinstance(instantiate(option)(tmp_path), made)


def test_has_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_IDENTITY_TOKEN_FILE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not has_key()
    (tmp_path / ".netrc").write_text("machine api.wandb.ai\n  login user\n  password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert has_key()
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:8080")
    assert not has_key()
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert has_key()


def test_flat_by_hand() -> None:
    assert flatten({"a": {"b": {"c": 1}, "d": [2]}, "e": None, "f": {}}) == {"a/b/c": 1, "a/d": [2], "e": None}


def test_summary_by_hand() -> None:
    assert {**outcome_of(DONE, 1.25), "digest": run_of(DONE, 1.25).digest} == EXPECTED_SUMMARY
    assert outcome_of(FAILED, None)["reason"] == "the loss diverged at step 10"
