"""Fits the leader of H2O's AutoML; each fit and each prediction starts a Java server of its own."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32

from harness.data import EvalSet, Rows, TrainSet
from harness.errors import BadInput, TrialFailed
from harness.learners import Fit, Run
from harness.learners.automl import folds, restore_python_generator, table_of
from harness.learners.growth import grow
from harness.learners.sklearn import expand
from harness.streams import child_seed

LABEL, WEIGHT, FOLD = "label", "weight", "fold"
START_S, STOP_S = 120, 5
"""Seconds that a server may take to start, and to stop before it is killed."""
_UP = re.compile(r"Open H2O Flow in your web browser: (http://127\.0\.0\.1:\d+)")
_WRONG = re.compile(r"(?i)invalid|error|exception|too small")


def h2o(
    train: TrainSet, valid: EvalSet, run: Run, *, max_models: int, exclude_algos: Sequence[str], memory_mb: int
) -> Fit:
    """Fits the leader by log loss of `max_models` models and their stacked ensembles (LeDell and Poirier, H2O AutoML,
    2020).

    The budget is a number of models, not seconds, and deep learning is excluded: neither could be repeated exactly.
    Models are compared by a cross-validation inside the training rows (`protocol.folds`), so that no validation label
    is used. Soft labels and weights as in sklearn.py; H2O handles missing values itself. One thread,
    `memory_mb` MiB of heap. No server outlives a call: the leader is kept as bytes, and predicting starts another
    server.
    """
    rows = grow(train, run)
    cases = expand(rows.y, rows.w)
    frame = table_of(rows.x).iloc[cases.row].copy()
    frame[LABEL], frame[WEIGHT], frame[FOLD] = [f"c{i}" for i in cases.y], cases.w, folds(train, rows, cases, run)
    with _server(memory_mb) as (client, folder):
        model, curve = _search(client, folder, frame, max_models, exclude_algos, child_seed(run.stream("init")))
    run.log(curve)
    return Fit(partial(_predict, model, memory_mb, train.k), parameters=0, examples=len(rows), history=[curve])


def _search(
    client: Any, folder: Path, frame: pd.DataFrame, models: int, excluded: Sequence[str], seed: int
) -> tuple[bytes, dict[str, float]]:
    """Returns the leader as H2O saves it, and its cross-validated log loss."""
    uploaded = _upload(client, folder, frame)
    search = client.automl.H2OAutoML(
        max_models=models, seed=seed, exclude_algos=list(excluded), sort_metric="logloss", max_runtime_secs=0,
        project_name="search", verbosity=None,
    )  # fmt: skip
    columns = [name for name in frame if name not in (LABEL, WEIGHT, FOLD)]
    search.train(x=columns, y=LABEL, training_frame=uploaded, weights_column=WEIGHT, fold_column=FOLD)
    if search.leader is None:
        raise TrialFailed("H2O AutoML found no model")
    loss = float(search.leader.model_performance(xval=True).logloss())
    saved = Path(client.save_model(search.leader, path=str(folder), filename="leader", force=True))
    return saved.read_bytes(), {"step": float(search.leaderboard.nrow), "loss": loss}


def _predict(model: bytes, memory_mb: int, k: int, x: Rows) -> Float32[np.ndarray, "n k"]:
    """Returns the saved model's probabilities, from a server that runs only for this call."""
    with _server(memory_mb) as (client, folder):
        (folder / "leader").write_bytes(model)
        uploaded = _upload(client, folder, table_of(x).assign(**{WEIGHT: 1.0}))  # H2O warns if it is missing.
        client.download_csv(client.load_model(str(folder / "leader")).predict(uploaded), str(folder / "found.csv"))
        table = pd.read_csv(folder / "found.csv")
    found = np.zeros((len(x), k), dtype=np.float32)
    for name in table.columns.drop("predict"):
        found[:, int(str(name)[1:])] = table[name]
    return found / found.sum(1, keepdims=True)


def _upload(client: Any, folder: Path, frame: pd.DataFrame) -> Any:
    """Uploads the frame: all columns are numbers except the label."""
    path = folder / "rows.csv"
    frame.to_csv(path, index=False)
    kinds = {name: "enum" if name == LABEL else "numeric" for name in frame.columns}
    return client.upload_file(str(path), header=1, sep=",", col_types=kinds)


@contextmanager
def _server(memory_mb: int) -> Iterator[tuple[Any, Path]]:
    """Lends H2O's client, connected to a fresh private server, and a folder; removes both afterwards.

    The client knows one server at a time; its former server is restored afterwards.
    """
    import h2o as client

    before = client.h2o.h2oconn
    with (
        tempfile.TemporaryDirectory(prefix="harness-h2o-") as name,
        restore_python_generator(),
        _java(Path(name), memory_mb) as url,
    ):
        with redirect_stdout(io.StringIO()):  # It would report its age and a newer version.
            client.connect(url=url, verbose=False, telemetry=False)
        client.no_progress()
        try:
            yield client, Path(name)
        finally:
            client.connection().close()
            client.h2o.h2oconn = before


@contextmanager
def _java(folder: Path, memory_mb: int) -> Iterator[str]:
    """Starts a server, yields its address, and stops the process however the block ends.

    The server takes the first pair of ports that it can bind, so two that start together do not collide, and writes
    the port to its log. On Linux the system also stops it when this process is killed.
    """
    java = shutil.which("java")
    if java is None:
        raise BadInput("model=h2o needs Java, and no program 'java' is on the PATH: install a Java runtime first")
    log = folder / "server.log"
    tied = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*tied, java, *_options(folder, memory_mb)], cwd=folder, stdin=subprocess.DEVNULL, stdout=out,
            stderr=subprocess.STDOUT, start_new_session=True, env={**os.environ, "DO_NOT_TRACK": "1"},
        )  # fmt: skip
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _options(folder: Path, memory_mb: int) -> list[str]:
    """Returns the options of the JVM and the server: local, alone, one thread, all files in `folder`."""
    import h2o as client

    jar = Path(client.__file__).parent / "backend" / "bin" / "h2o.jar"
    machine = [f"-Xmx{memory_mb}m", "-XX:+UseSerialGC", f"-Djava.io.tmpdir={folder}", "-XX:-UsePerfData"]
    quiet = "-Dsys.ai.h2o.telemetry.disabled=true"
    place = ["-ip", "127.0.0.1", "-web_ip", "127.0.0.1", "-baseport", "54321", "-name", f"harness-{uuid.uuid4().hex}"]
    files = ["-ice_root", str(folder), "-log_dir", str(folder / "logs")]
    return [*machine, quiet, "-jar", str(jar), *place, *files, "-nthreads", "1", "-allow_unsupported_java"]


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Returns the address at which the server listens; TrialFailed if it ends early or takes too long."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        said = log.read_text(errors="replace")
        if up := _UP.search(said):
            return up[1]
        if process.poll() is not None:
            lines = said.strip().splitlines() or ["it said nothing"]
            why = next((line for line in lines if _WRONG.search(line)), lines[-1])
            raise TrialFailed(f"H2O's Java server ended with code {process.returncode}: {why[:300]}")
        time.sleep(0.1)
    raise TrialFailed(f"H2O's Java server was not up after {START_S} s")
