"""Hashes the files of a user's own code behind a config, so that a trial's key identifies the code of its record.

Hashed is the source of every module outside this package that a `_target_` names, and of the modules that it imports
from its folder, from a package there, or from the folder from which it was imported. Installed packages and the
standard library are not hashed; their versions are in a record's provenance. Our own code is not hashed either: the
protocol's version covers it. Files are read, not run, and hashed byte by byte, comments included.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sysconfig
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import harness

_OURS = Path(harness.__file__).resolve().parent
_INSTALLED = tuple(
    {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


def user_sources(*nodes: Any) -> dict[str, str]:
    """Returns the SHA-256 of each file of the user's own code behind those config nodes, by its name.

    Names are relative to the folder from which the code is imported, so that they hold no path of a machine. Empty if
    all targets are ours or installed.
    """
    found: dict[str, str] = {}
    for target in _targets(list(nodes)):
        found |= _sources_of(target.rpartition(".")[0])
    for path in _python_files(list(nodes)):
        found |= _beside(path)
    return dict(sorted(found.items()))


def _targets(node: Any) -> Iterator[str]:
    """Yields every `_target_` in a node."""
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _targets(item)


def _python_files(node: Any) -> Iterator[str]:
    """Yields every `path` in a node that names a Python file, such as a file of labelling functions."""
    if isinstance(node, Mapping):
        path = node.get("path")
        if isinstance(path, str) and path.endswith(".py") and Path(path).expanduser().is_file():
            yield path
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _python_files(item)


@cache
def _sources_of(module: str) -> dict[str, str]:
    """Hashes the files behind a module, once per process, since an imported module does not change."""
    name, file = _file_of(module)
    if file is None or not _is_users(file):
        return {}
    root = file.parents[name.count(".") + (file.name == "__init__.py")]
    return _hashed(root, [file, *_lying(file, root, name.split("."), root)])


@cache
def _beside(path: str) -> dict[str, str]:
    """Hashes the user's modules that a Python file imports; the file itself is in the identity already."""
    file = Path(path).expanduser().resolve()
    return {name: digest for name, digest in _hashed(file.parent, [file]).items() if name != file.name}


def _file_of(module: str) -> tuple[str, Path | None]:
    """Returns the name and source file (or None) of a module, or of the module of a class."""
    while module:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError, AttributeError):
            spec = None
        if spec is not None:
            return module, Path(spec.origin).resolve() if spec.origin and spec.origin.endswith(".py") else None
        module = module.rpartition(".")[0]
    return "", None


def _is_users(file: Path) -> bool:
    """Returns whether a source file belongs to the user: neither to this package nor to an installed one."""
    return not any(file.is_relative_to(place) for place in (_OURS, *_INSTALLED))


def _hashed(root: Path, first: list[Path]) -> dict[str, str]:
    """Hashes files and everything that they import from their folder or from `root`, directly or indirectly."""
    waiting, found = list(first), dict[str, str]()
    while waiting:
        file = waiting.pop()
        name = file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name
        if name in found:
            continue
        content = file.read_bytes()
        found[name] = f"sha256:{hashlib.sha256(content).hexdigest()}"
        waiting += [place for place in _imported(root, file, content) if _is_users(place)]
    return found


def _imported(root: Path, file: Path, content: bytes) -> Iterator[Path]:
    """Yields the files of the modules that a source imports from its folder or from `root`."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # the import will report it
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _lying(file, root, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            start = file.parents[node.level - 1] if node.level else None
            parts = node.module.split(".") if node.module else []
            for alias in node.names:
                yield from _lying(file, root, [*parts, alias.name], start)


def _lying(file: Path, root: Path, parts: list[str], start: Path | None = None) -> Iterator[Path]:
    """Yields the files that importing a dotted name runs: those of its packages, then of the module."""
    for folder in dict.fromkeys([start] if start else [file.parent, root]):
        place = folder
        for part in parts:
            if (place / f"{part}.py").is_file():
                yield (place / f"{part}.py").resolve()
                break
            place = place / part
            if not place.is_dir():
                break
            if (place / "__init__.py").is_file():
                yield (place / "__init__.py").resolve()
