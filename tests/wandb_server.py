"""A W&B server small enough to read: it speaks what `wandb` needs to log, sync and list runs, and keeps what it was told.

It listens on the loopback interface only. `moods` are the ways in which a server can fail: see `Server`. As W&B's own
server does, it puts a run that is opened again without `resume` in the place of the old one, and gives an artifact a new
version only if its content is new.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

ENTITY = "tester"
Mood = Literal["well", "error", "silent", "dead"]


@dataclass
class Received:
    """All that the server was told about one run."""

    bucket: dict[str, Any] = field(default_factory=dict)
    history: dict[int, dict[str, Any]] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    artifacts: dict[str, dict[str, bytes]] = field(default_factory=dict)
    described: dict[str, dict[str, Any]] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)
    exit_code: int | None = None
    opened: int = 0

    @property
    def config(self) -> dict[str, Any]:
        """The configuration without the client's own entries."""
        told = json.loads(self.bucket.get("config") or "{}")
        return {name: entry["value"] for name, entry in told.items() if name != "_wandb"}

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The history rows in their order, without the client's own columns."""
        return [_own(self.history[line]) for line in sorted(self.history)]

    @property
    def results(self) -> dict[str, Any]:
        """The summary without the client's own entries."""
        return _own(self.summary)


@dataclass
class Server:
    """A server that runs in a thread of this process.

    `mood` may be changed while it runs: "well" answers, "error" answers 500, "silent" accepts and never answers,
    "dead" closes each connection at once. `delay` is what it waits before each answer, in seconds. `asked` lists the
    operations in the order in which they came, `bodies` all that it received, and `versions` the digests of each
    artifact's versions, by the artifact's name.
    """

    url: str = ""
    mood: Mood = "well"
    delay: float = 0.0
    bodies: list[bytes] = field(default_factory=list)
    versions: dict[str, list[str]] = field(default_factory=dict)
    runs: dict[str, Received] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    closed: threading.Event = field(default_factory=threading.Event)

    def run(self, name: str) -> Received:
        """The run of that id, made when it is first named."""
        return self.runs.setdefault(name, Received())

    def await_row(self, name: str, seconds: float = 300.0) -> None:
        """Returns when a history row of that run has come; AssertionError when none comes in time."""
        end = time.monotonic() + seconds
        while not self.run(name).history:
            assert time.monotonic() < end, f"no history row of {name} within {seconds} s; asked: {self.asked}"
            time.sleep(0.02)


@contextmanager
def serving(mood: Mood = "well") -> Iterator[Server]:
    """A server on a free port of the loopback interface, stopped with all its connections at the end."""
    server = Server(mood=mood)
    http = _Quiet(("127.0.0.1", 0), _handler(server))
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.closed.set()
        http.shutdown()
        thread.join()
        http.server_close()


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle of a request is no news; anything else is."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    """The request handler of one server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.answer(_posted)

        def do_PUT(self) -> None:
            self.answer(_put)

        def do_GET(self) -> None:
            self.answer(lambda server, path, body: {})

        def answer(self, made: Callable[[Server, str, bytes], Any]) -> None:
            if server.mood == "silent":
                server.closed.wait()
            if server.mood in ("silent", "dead"):
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            server.closed.wait(server.delay)
            with server.lock:
                server.bodies.append(self.path.encode() + b"\n" + body)
                code, content = (500, {}) if server.mood == "error" else (200, made(server, self.path, body))
            reply = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *args: Any) -> None:
            return

    return Handler


def _posted(server: Server, path: str, body: bytes) -> dict[str, Any]:
    if path.endswith("/file_stream"):
        server.asked.append("file_stream")
        return _streamed(server.run(path.split("/")[-2]), json.loads(body))
    if path != "/graphql":
        return {}
    asked = json.loads(body)
    found = re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])
    name = found.group(1) if found else "?"
    server.asked.append(name)
    answer = _ANSWERS.get(name)
    if answer is None:
        return {"errors": [{"message": f"unknown operation {name}"}]}
    return {"data": answer(server, asked.get("variables") or {})}


def _streamed(run: Received, told: dict[str, Any]) -> dict[str, Any]:
    files = told.get("files") or {}
    for place, line in _lines(files, "wandb-history.jsonl"):
        run.history[place] = line
    for _, line in _lines(files, "wandb-summary.json"):
        run.summary = line
    if told.get("complete"):
        run.exit_code = told.get("exitcode")
    return {}


def _lines(files: dict[str, Any], name: str) -> list[tuple[int, dict[str, Any]]]:
    """The numbered lines of a streamed file."""
    part = files.get(name) or {"offset": 0, "content": []}
    return [(part["offset"] + place, json.loads(line)) for place, line in enumerate(part["content"])]


def _put(server: Server, path: str, body: bytes) -> dict[str, Any]:
    """Keeps an uploaded file; its address says whose it is."""
    _, kind, run, *rest = path.split("/")
    name = base64.urlsafe_b64decode(rest[-1]).decode()
    if kind == "file":
        server.run(run).files[name] = body
    else:
        server.run(run).artifacts.setdefault(rest[0], {})[name] = body
    return {}


def _own(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith("_")}


def _upsert(server: Server, given: dict[str, Any]) -> dict[str, Any]:
    run = server.run(given["name"])
    inserted = not run.bucket
    if run.exit_code is not None or inserted:  # the client asks twice while it opens a run
        run.opened, run.exit_code = run.opened + 1, None
        run.history.clear()
        run.summary = {}
    run.bucket |= {name: value for name, value in given.items() if value is not None}
    project = {"id": "p", "name": given["project"], "entity": {"id": "e", "name": ENTITY}}
    bucket = {
        "id": f"id-{given['name']}", "name": given["name"], "displayName": run.bucket.get("displayName", ""),
        "description": "", "config": "{}", "sweepName": None, "project": project, "historyLineCount": 0,
    }  # fmt: skip
    return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}


def _address(server: Server, *parts: str) -> str:
    """Where a file is uploaded; its name is encoded because it may hold slashes."""
    *front, name = parts
    return "/".join([server.url, *front, base64.urlsafe_b64encode(name.encode()).decode()])


def _run_files(server: Server, given: dict[str, Any]) -> dict[str, Any]:
    files = [{"name": name, "uploadUrl": _address(server, "file", given["run"], name)} for name in given["files"]]
    return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}


def _viewer(server: Server, given: dict[str, Any]) -> dict[str, Any]:
    teams: dict[str, Any] = {"edges": []}
    return {"viewer": {"id": "v", "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}", "teams": teams}}


def _listed(server: Server, given: dict[str, Any]) -> dict[str, Any]:
    """The runs of a project that fit the filters, as one page; no project if nobody has logged to it."""
    wanted = json.loads(given.get("filters") or "{}")
    runs = [run for run in server.runs.values() if run.bucket.get("project") == given["project"]]
    nodes = [_node(run) for run in runs if wanted.get("group") in (None, run.bucket.get("groupName"))]
    edges = [{"node": node, "cursor": str(place)} for place, node in enumerate(nodes)]
    page = {"edges": edges, "pageInfo": {"endCursor": None, "hasNextPage": False}}
    project = {"internalId": "1", "runCount": len(nodes), "readOnly": False, "runs": page}
    return {"project": project if runs else None}


def _node(run: Received) -> dict[str, Any]:
    """A run as the public interface lists it."""
    state = {None: "running", 0: "finished"}.get(run.exit_code, "failed")
    return {
        "projectId": "1", "id": f"id-{run.bucket['name']}", "name": run.bucket["name"], "state": state,
        "displayName": run.bucket.get("displayName"), "group": run.bucket.get("groupName"), "config": "{}",
        "summaryMetrics": json.dumps(run.summary), "systemMetrics": "{}", "historyLineCount": len(run.history),
        "tags": [], "user": {"name": ENTITY, "username": ENTITY}, "historyKeys": {}, "sweepName": None,
    }  # fmt: skip


def _artifact(server: Server, given: dict[str, Any]) -> dict[str, Any]:
    """An artifact; its id says whose it is, so that what is uploaded for it finds its run.

    One whose digest is that of the latest version is that version, and nothing is uploaded.
    """
    asked = given["input"]
    versions = server.versions.setdefault(asked["artifactCollectionName"], [])
    state = "COMMITTED" if versions[-1:] == [asked["digest"]] else "PENDING"
    if state == "PENDING":
        versions.append(asked["digest"])
    told = {"type": asked["artifactTypeName"], "metadata": json.loads(asked.get("metadata") or "{}")}
    server.run(asked["runName"]).described[asked["artifactCollectionName"]] = told
    made = {"id": f"{asked['runName']}:{asked['artifactCollectionName']}", "state": state}
    return {"createArtifact": {"artifact": made | {"artifactSequence": {"latestArtifact": None}}}}


def _used(server: Server, given: dict[str, Any]) -> dict[str, Any]:
    """Keeps that a run uses an artifact, by the artifact's name."""
    asked = given["input"]
    server.run(asked["runName"]).used.append(asked["artifactID"].partition(":")[2])
    return {"useArtifact": {"artifact": {"id": asked["artifactID"]}}}


def _artifact_files(server: Server, given: dict[str, Any]) -> dict[str, Any]:
    edges = [{"node": _artifact_file(server, asked)} for asked in given["input"]["artifactFiles"]]
    return {"createArtifactFiles": {"files": {"edges": edges}}}


def _artifact_file(server: Server, asked: dict[str, Any]) -> dict[str, Any]:
    address = _address(server, "artifact", *asked["artifactID"].split(":"), asked["name"])
    return {
        "storagePath": None, "uploadUrl": address, "uploadHeaders": [], "uploadMultipartUrls": None,
        "artifact": {"id": asked["artifactID"]},
    }  # fmt: skip


def _manifest(server: Server, given: dict[str, Any]) -> dict[str, Any]:
    owner = given.get("artifactID") or given["artifactManifestID"]
    file = {"id": "f", "uploadUrl": _address(server, "artifact", *owner.split(":"), "manifest"), "uploadHeaders": []}
    return {"artifactManifest": {"id": owner, "file": file}}


_ANSWERS: dict[str, Callable[[Server, dict[str, Any]], dict[str, Any]]] = {
    "UpsertBucket": _upsert,
    "CreateRunFiles": _run_files,
    "MarkRunFilesUploaded": lambda server, given: {"markRunFilesUploaded": {"success": True}},
    "Viewer": _viewer,
    "ServerFeaturesQuery": lambda server, given: {"serverInfo": {"features": []}},
    "GetDefaultEntity": _viewer,
    "Runs": _listed,
    "ArtifactType": lambda server, given: {"project": {"artifact": None}},
    "CreateArtifact": _artifact,
    "UseArtifact": _used,
    "CreateArtifactFiles": _artifact_files,
    "CreateArtifactManifest": lambda server, given: {"createArtifactManifest": _manifest(server, given)},
    "UpdateArtifactManifest": lambda server, given: {"updateArtifactManifest": _manifest(server, given)},
    "CommitArtifact": lambda server, given: {
        "commitArtifact": {"artifact": {"id": given["artifactID"], "digest": "d"}}
    },
}
