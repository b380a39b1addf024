"""A DataRobot server small enough to read: it speaks what one autopilot and its predictions need, and really fits.

It listens on the loopback interface only. `moods` are the ways in which the work can fail: see `Server`.
"""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import numpy as np
import pandas as pd
from datarobot._version import __expected_server_version__
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

TOKEN = "a-secret-that-nobody-may-print"
Mood = Literal["well", "error", "job_error", "predict_error", "slow", "no_models"]
Answer = tuple[int, Any, dict[str, str]]
"""Status, content, headers."""


@dataclass
class Project:
    """What the server knows of one project."""

    rows: pd.DataFrame
    aim: dict[str, Any] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)
    uploaded: dict[str, pd.DataFrame] = field(default_factory=dict)
    predicted: dict[str, dict[str, Any]] = field(default_factory=dict)
    polls: int = 0


@dataclass
class Server:
    """A server that runs in threads of this process.

    "error" answers 500 to whoever starts the autopilot, "job_error" says that this failed, "predict_error" that a
    prediction did, "slow" never gets done, "no_models" gets done with nothing. `deleted` lists the projects that
    were deleted, `asked` every request.
    """

    url: str = ""
    mood: Mood = "well"
    projects: dict[str, Project] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)


@contextmanager
def serving(mood: Mood = "well") -> Iterator[Server]:
    """A server on a free port of the loopback interface, stopped at the end."""
    server = Server(mood=mood)
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_port}/api/v2"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    """The request handler of one server."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path.split("?")[0].removeprefix("/api/v2/")
            with server.lock:
                server.asked.append(f"{self.command} {path}")
                code, content, headers = self.made(path, body)
            reply = b"" if content is None else json.dumps(content).encode()
            self.send_response(code)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def made(self, path: str, body: bytes) -> Answer:
            if self.headers.get("Authorization") not in (f"Token {TOKEN}", f"Bearer {TOKEN}"):
                return 401, {"message": "Invalid Authorization header. No credentials provided."}, {}
            for pattern, make in _ROUTES:
                if found := re.fullmatch(pattern, f"{self.command} {path}"):
                    return make(server, self.headers, body, *found.groups())
            return 404, {"message": f"no {self.command} {path}"}, {}

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def log_message(self, format: str, *args: Any) -> None:
            return

    return Handler


def _file(headers: Message, body: bytes) -> pd.DataFrame:
    """The table that a form uploads."""
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    for part in BytesParser().parsebytes(head + body).walk():
        if part.get_filename():
            return pd.read_csv(io.BytesIO(part.get_payload(decode=True)))
    raise AssertionError("no file was uploaded")


def _later(server: Server, path: str) -> Answer:
    """Accepted; what comes of it is asked for elsewhere."""
    return 202, None, {"Location": f"{server.url}/{path}"}


def _create(server: Server, headers: Message, body: bytes) -> Answer:
    name = f"p{len(server.projects)}"
    server.projects[name] = Project(_file(headers, body))
    return _later(server, f"status/created-{name}/")


def _status(server: Server, headers: Message, body: bytes, what: str, name: str, rest: str) -> Answer:
    if what == "aimed" and server.mood == "job_error":
        return 200, {"status": "ERROR", "message": "the target has one value only", "code": 0}, {}
    place = {"created": f"projects/{name}/", "aimed": f"projects/{name}/"}
    return 303, None, {"Location": f"{server.url}/{place.get(what, f'projects/{name}/predictionDatasets/{rest}/')}"}


def _project(server: Server, headers: Message, body: bytes, name: str) -> Answer:
    return (
        200,
        {"id": name, "projectName": "gains-harness", "fileName": "x.csv", "stage": "modeling", "autopilotMode": 3},
        {},
    )


def _aim(server: Server, headers: Message, body: bytes, name: str) -> Answer:
    if server.mood == "error":
        return 500, {"message": "an error on our side"}, {}
    project = server.projects[name]
    project.aim = json.loads(body)
    for number, (model, loss) in enumerate(_fitted(project).items() if server.mood != "no_models" else []):
        project.models[f"m{number}"] = (model, loss)
    return _later(server, f"status/aimed-{name}/")


def _fitted(project: Project) -> dict[Any, float]:
    """A constant and a linear model, with their weighted log loss where each row was held out."""
    aim, rows = project.aim, project.rows
    y, w, fold = rows[aim["target"]], rows[aim["weights"]], rows[aim["userPartitionCol"]]
    x = rows.drop(columns=[aim["target"], aim["weights"], aim["userPartitionCol"]])
    found = {}
    for estimator in (DummyClassifier(), LogisticRegression(max_iter=500)):
        losses = []
        for held in sorted(fold.unique()):
            fitted, out = _fit(estimator, x[fold != held], y[fold != held], w[fold != held]), fold == held
            given = fitted.predict_proba(x[out])[np.arange(out.sum()), np.searchsorted(fitted.classes_, y[out])]
            losses.append(np.average(-np.log(given), weights=w[out]))
        found[_fit(estimator, x, y, w)] = float(np.mean(losses))
    return found


def _fit(estimator: Any, x: pd.DataFrame, y: pd.Series, w: pd.Series) -> Any:
    text = "text" in x
    first = _Texts() if text else StandardScaler()
    name = type(estimator).__name__.lower()
    return make_pipeline(first, type(estimator)(**estimator.get_params())).fit(x, y, **{f"{name}__sample_weight": w})


class _Texts(TfidfVectorizer):
    """TF-IDF of the column of texts."""

    def fit_transform(self, x: pd.DataFrame, y: Any = None) -> Any:
        return super().fit_transform(x["text"], y)

    def transform(self, x: pd.DataFrame) -> Any:
        return super().transform(x["text"])


def _progress(server: Server, headers: Message, body: bytes, name: str) -> Answer:
    project = server.projects[name]
    project.polls += 1
    done = server.mood != "slow" and project.polls > 1
    return 200, {"autopilotDone": done, "stage": "modeling", "stageDescription": "Ready for modeling"}, {}


def _models(server: Server, headers: Message, body: bytes, name: str) -> Answer:
    """The leaderboard, and above it a model that was trained on the rows that it is scored on."""
    every = server.projects[name].models.items()
    found = [_model(name, key, {"validation": loss, "crossValidation": loss}) for key, (_, loss) in every]
    spoiled = _model(name, "spoiled", {"validation": 0.0, "crossValidation": 0.0}) | {"isTrainedIntoValidation": True}
    lines = [spoiled, *found] if found else []
    return 200, {"data": lines, "count": len(lines), "next": None, "previous": None}, {}


def _model(project: str, key: str, scores: dict[str, float]) -> dict[str, Any]:
    return {
        "id": key, "projectId": project, "modelType": "a model", "modelCategory": "model", "modelNumber": 1,
        "modelFamily": "a family", "blueprintId": "b", "metrics": {"LogLoss": scores}, "isFrozen": False,
        "isStarred": False, "isTrainedIntoValidation": False, "isTrainedIntoHoldout": False, "processes": [],
    }  # fmt: skip


def _upload(server: Server, headers: Message, body: bytes, name: str) -> Answer:
    project = server.projects[name]
    key = f"d{len(project.uploaded)}"
    project.uploaded[key] = _file(headers, body)
    return _later(server, f"status/uploaded-{name}-{key}/")


def _dataset(server: Server, headers: Message, body: bytes, name: str, key: str) -> Answer:
    rows = server.projects[name].uploaded[key]
    return 200, {"id": key, "projectId": name, "name": "rows", "created": "2024-01-01T00:00:00Z",
                 "numRows": len(rows), "numColumns": rows.shape[1]}, {}  # fmt: skip


def _predict(server: Server, headers: Message, body: bytes, name: str) -> Answer:
    project, asked = server.projects[name], json.loads(body)
    model, rows = project.models[asked["modelId"]][0], project.uploaded[asked["datasetId"]]
    key = f"{len(project.predicted) + 1}"
    found = model.predict_proba(rows)
    lines = [
        {"rowId": row, "prediction": model.classes_[line.argmax()],
         "predictionValues": [{"label": c, "value": float(p)} for c, p in zip(model.classes_, line, strict=True)]}
        for row, line in enumerate(found)
    ]  # fmt: skip
    project.predicted[key] = {"task": "Multiclass", "predictions": lines[::-1]}
    return _later(server, f"projects/{name}/predictJobs/{key}/")


def _job(server: Server, headers: Message, body: bytes, name: str, kind: str, key: str) -> Answer:
    job = {"id": int(key), "projectId": name, "status": "error", "jobType": "predict", "isBlocked": False,
           "url": f"{server.url}/projects/{name}/jobs/{key}/", "modelId": "m0", "message": "it broke"}  # fmt: skip
    if server.mood == "predict_error":
        return 200, job, {}
    return 303, {**job, "status": "COMPLETED"}, {"Location": f"{server.url}/projects/{name}/predictions/{key}/"}


def _predictions(server: Server, headers: Message, body: bytes, name: str, key: str) -> Answer:
    return 200, server.projects[name].predicted[key], {}


def _delete(server: Server, headers: Message, body: bytes, name: str) -> Answer:
    server.deleted.append(name)
    return 204, None, {}


def _version(server: Server, headers: Message, body: bytes) -> Answer:
    major, minor = (int(part) for part in __expected_server_version__.split(".")[:2])
    return 200, {"major": major, "minor": minor, "versionString": f"{major}.{minor}.0"}, {}


_ROUTES: list[tuple[str, Callable[..., Answer]]] = [
    (r"GET version/", _version),
    (r"POST projects/", _create),
    (r"GET status/(\w+)-(p\d+)-?(\w*)/", _status),
    (r"GET projects/(p\d+)/", _project),
    (r"DELETE projects/(p\d+)/", _delete),
    (r"PATCH projects/(p\d+)/aim/", _aim),
    (r"GET projects/(p\d+)/status/", _progress),
    (r"GET projects/(p\d+)/modelRecords/", _models),
    (r"POST projects/(p\d+)/predictionDatasets/fileUploads/", _upload),
    (r"GET projects/(p\d+)/predictionDatasets/(d\d+)/", _dataset),
    (r"POST projects/(p\d+)/predictions/", _predict),
    (r"GET projects/(p\d+)/(jobs|predictJobs)/(\d+)/", _job),
    (r"GET projects/(p\d+)/predictions/(\d+)/", _predictions),
]
