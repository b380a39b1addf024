"""Tells whether a study's report is what its records give already, so that nothing has to be computed or drawn.

Beside a report lies `.report.json`: how each file that it was made from lay on disk, and each that it wrote, with the
code and the versions that made it. It may be deleted at any time; the next report is then made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import time
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import harness
from harness.errors import BadInput
from harness.storage.files import read_object, write_atomic
from harness.storage.index import FRESH_NS, state_of
from harness.storage.places import conf_dir

RECEIPT = ".report.json"
_INPUTS = ("study.json", "asked/*.json", "trials/*.json", "tests/*.json", "claims/*.json")
_DRAWN_BY = ("numpy", "pandas", "scipy", "matplotlib", "pyarrow", "pillow", "jinja2", "scikit-learn")


def inputs_of(folder: Path, settings: Sequence[str]) -> str:
    """Returns a digest of what a report with these settings follows from: files by their state, code, versions."""
    states = [[str(path.relative_to(folder)), state_of(path)] for path in _input_files(folder)]
    return hashlib.sha256(json.dumps([_code(), list(settings), states]).encode()).hexdigest()


def current_files(folder: Path, inputs: str) -> list[Path]:
    """Returns the files of a report that was made from these inputs, if all lie there as it left them; else none."""
    try:
        receipt = read_object(folder / RECEIPT)
        if receipt["inputs"] != inputs:
            return []
        outputs = {folder / name: tuple(state) for name, state in receipt["outputs"].items()}
    except (FileNotFoundError, BadInput, KeyError, TypeError, AttributeError):
        return []
    return list(outputs) if all(state_of(path) == state for path, state in outputs.items()) else []


def note_report(folder: Path, inputs: str, settings: Sequence[str], made: Iterable[Path]) -> None:
    """Notes that these files are the report from these inputs, unless an input changed meanwhile or a moment ago."""
    newest = max((state[2] for path in _input_files(folder) if (state := state_of(path)) is not None), default=0)
    if time.time_ns() - newest < FRESH_NS or inputs_of(folder, settings) != inputs:
        return
    outputs = {str(path.relative_to(folder)): state_of(path) for path in made}
    with contextlib.suppress(OSError):  # the report itself is there
        write_atomic(folder / RECEIPT, json.dumps({"inputs": inputs, "outputs": outputs}, indent=1).encode())


def _input_files(folder: Path) -> list[Path]:
    return sorted(chain.from_iterable(folder.glob(pattern) for pattern in _INPUTS))


@cache
def _code() -> str:
    """Returns a digest of this program, of its options, and of the versions of what computes and draws."""
    home = Path(harness.__file__).parent
    sources = (path for path in home.rglob("*") if path.suffix in (".py", ".css", ".js", ".html", ".csv", ".j2"))
    files = sorted({*sources, *conf_dir().rglob("*.yaml")})
    content = b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)
    versions = [platform.python_version(), *(f"{name} {version(name)}" for name in _DRAWN_BY)]
    return hashlib.sha256(content + "\n".join(versions).encode()).hexdigest()
