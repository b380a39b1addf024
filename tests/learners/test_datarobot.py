"""DataRobot: a project's whole life over HTTP, every way in which it can end, and a token that nobody sees."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from invoke import QUIET, harness, records

from harness.conformance.easy_sets import easy
from harness.conformance.learners import check_probabilities
from harness.conformance.strategies import check_global_generators_kept
from harness.errors import BadInput, TrialFailed
from harness.learners import Run

pytest.importorskip("datarobot", reason="datarobot is not installed: pip install 'gains-harness[datarobot]'")

from datarobot_server import TOKEN, Server, serving

from harness.learners.datarobot import datarobot

AUTOPILOT = partial(datarobot, mode="quick", timeout_s=20)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, named by the environment; nobody's own credentials are looked at."""
    with serving() as found:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("DATAROBOT_CONFIG_FILE", raising=False)
        monkeypatch.setenv("DATAROBOT_API_TOKEN", TOKEN)
        monkeypatch.setenv("DATAROBOT_ENDPOINT", found.url)
        yield found


@pytest.mark.parametrize("modality", ["table", "text"])
def test_the_best_model_predicts_and_the_project_goes_with_the_last_who_can(
    run: Run, server: Server, modality: str
) -> None:
    train, valid = easy(modality)
    content, seen = train.digest(), []
    run = replace(run, log=seen.append)
    fits: list[Any] = []
    check_global_generators_kept(lambda: fits.append(AUTOPILOT(train, valid, run)))
    found = fits[0].predict(valid.x)
    check_probabilities(found, len(valid), 3)
    assert (found.argmax(1) == valid.y).mean() > 0.9
    assert fits[0].history == seen == [{"step": 3.0, "loss": server.projects["p0"].models["m1"][1]}]
    assert (fits[0].examples, fits[0].valid_labels) == (len(train), 0)
    assert train.digest() == content
    assert not server.deleted
    fits.clear()
    assert server.deleted == ["p0"]


def test_soft_labels_weights_and_folds_reach_the_server_and_labels_to_be_predicted_do_not(
    run: Run, server: Server
) -> None:
    train, valid = easy("table")
    w = np.where(np.arange(48) % 2, 1.5, 0.5).astype(np.float32)
    soft = replace(train, y=0.75 * train.y + 0.25 * np.roll(train.y, 1, axis=1), w=w)
    AUTOPILOT(soft, valid, run).predict(valid.x)
    project = server.projects["p0"]
    assert {name: project.aim[name] for name in ("target", "weights", "userPartitionCol", "cvMethod", "metric", "mode")} == {
        "target": "label", "weights": "weight", "userPartitionCol": "fold", "cvMethod": "user", "metric": "LogLoss",
        "mode": "quick",
    }  # fmt: skip
    assert len(project.rows) == 96
    assert project.rows.weight.sum() == pytest.approx(48)
    assert project.rows.groupby([f"x{i}" for i in range(5)]).fold.nunique().max() == 1
    assert list(project.uploaded["d0"].columns) == ["x0", "x1", "x2", "x3", "x4"]


@pytest.mark.parametrize(
    ("mood", "timeout_s", "message"),
    [
        ("error", 20, "DataRobot answered with HTTP 500"),
        ("job_error", 20, "DataRobot: .*the target has one value only"),
        ("slow", 1, "DataRobot: AsyncTimeoutError: Autopilot did not finish within timeout"),
        ("no_models", 20, "DataRobot finished without a scored model"),
    ],
)
def test_work_that_fails_fails_the_trial_and_leaves_no_project(
    run: Run, server: Server, mood: Any, timeout_s: int, message: str
) -> None:
    server.mood = mood
    with pytest.raises(TrialFailed, match=message):
        datarobot(*easy("table"), run, mode="quick", timeout_s=timeout_s)
    assert server.deleted == ["p0"]


def test_a_prediction_that_fails_fails_the_trial(run: Run, server: Server) -> None:
    train, valid = easy("table")
    fit = AUTOPILOT(train, valid, run)
    server.mood = "predict_error"
    with pytest.raises(TrialFailed, match="DataRobot: "):
        fit.predict(valid.x)
    del fit
    assert server.deleted == ["p0"]


def test_a_refused_token_is_told_without_the_token(
    run: Run, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DATAROBOT_API_TOKEN", "another-secret")
    with caplog.at_level(logging.DEBUG), pytest.raises(BadInput) as raised:
        AUTOPILOT(*easy("table"), run)
    assert str(raised.value) == "DataRobot refuses the credentials (HTTP 401)"
    assert raised.value.__suppress_context__, "the client's own words hold the token"
    assert "another-secret" not in caplog.text


def test_without_credentials_it_is_told_where_to_put_them(
    run: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATAROBOT_API_TOKEN")
    with pytest.raises(BadInput, match="needs credentials: set DATAROBOT_API_TOKEN and DATAROBOT_ENDPOINT"):
        AUTOPILOT(*easy("table"), run)
    assert not server.asked


def test_a_server_that_is_away_fails_the_trial_and_a_project_that_stays_is_named(
    run: Run, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fit = AUTOPILOT(*easy("table"), run)
    monkeypatch.setenv("DATAROBOT_API_TOKEN", "expired")
    with pytest.raises(BadInput, match="refuses"):
        fit.predict(easy("table")[1].x)
    del fit
    assert "the DataRobot project p0 could not be deleted: DataRobot refuses the credentials (HTTP 401)" in caplog.text
    monkeypatch.setenv("DATAROBOT_API_TOKEN", TOKEN)
    monkeypatch.setenv("DATAROBOT_ENDPOINT", "http://127.0.0.1:9/api/v2")
    with pytest.raises(TrialFailed, match="DataRobot: ConnectionError"):
        AUTOPILOT(*easy("table"), run)


@pytest.mark.slow
def test_a_whole_trial_keeps_the_token_to_itself(server: Server, tmp_path: Path) -> None:
    words = ("task=table", "model@baseline.model=logistic_regression", "model=datarobot")
    done = harness(*words, *QUIET, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [record["status"] for record in records(tmp_path / "results" / "single").values()] == ["done", "done"]
    assert server.deleted == ["p0"]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert TOKEN.encode() not in written
    assert TOKEN not in done.stdout + done.stderr
