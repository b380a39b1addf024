"""The command line as a user runs it: in a folder of its own, with a store and a cache of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import warm
from conftest import ROOT

SMALL = ("task.n_train=120", "protocol.steps=10", "model@baseline.model=mlp")
PLAIN = ("store=results", "cache=cache", "track=none")
QUIET = (*PLAIN, "hydra.launcher.n_jobs=1")
TWO_WORKERS = "hydra.launcher.n_jobs=2"
"""For tests in which workers matter: two of them import for 14 seconds what a study alone has imported already."""
PATIENCE_S = 600


def environment() -> dict[str, str]:
    """What a user's shell would give: the project importable, a home that is no one's, no thread settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MKL_", "PYTEST_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


def started(*words: str, folder: Path) -> warm.Command:
    """A command that is now running in `folder`, at the head of a process group of its own."""
    return warm.Command(words, folder, environment())


def harness(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command that has run in `folder`: its exit code and what it said."""
    process = started(*words, folder=folder)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode is not None
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def records(study: Path) -> dict[str, dict[str, Any]]:
    """Every record of a study by its key with the words of its row, read from the files themselves: a torn one raises."""
    plan = study / "study.json"
    rows = (
        _read(plan)["trials"] if plan.is_file() else [_read(path) for path in sorted((study / "asked").glob("*.json"))]
    )
    named = {row["key"]: row for row in rows}
    found = map(_read, sorted((study / "trials").glob("*.json")))
    return {content["key"]: {**content, **named.get(content["key"], {})} for content in found}


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def lasting(found: dict[str, dict[str, Any]], *without: str) -> dict[str, dict[str, Any]]:
    """Records without what time, memory and place vary, and without the fields named."""
    left = {"cost", "provenance", "checksum", *without}
    kept = {key: {name: value for name, value in record.items() if name not in left} for key, record in found.items()}
    counted = {
        key: {name: record["cost"].get(name) for name in ("parameters", "examples")} for key, record in found.items()
    }
    return {key: {**kept[key], "counted": counted[key]} for key in found}


def files_of(folder: Path) -> dict[str, int]:
    """Every file beneath a folder and when it was last written (ns)."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
