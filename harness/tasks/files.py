"""Finds which files belong to which part, and opens them as data sets."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import datasets
from datasets.exceptions import DatasetGenerationError
from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from harness.checks import join_names, nearest
from harness.errors import BadInput
from harness.tasks.columns import Names, as_names

PARTS = ("train", "valid", "test")
BUILDERS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
} | dict.fromkeys((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"), "imagefolder")


def cache_folder(cache: str | None) -> Path:
    """Returns the folder for decoded images: the user's, else one under the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "gains-harness"
    return (default if cache is None else Path(cache)).expanduser()


def require_path(path: str, what: str = "task.path") -> Path:
    """Returns the path with `~` expanded; it must exist."""
    found = Path(path).expanduser()
    if not found.exists():
        beside = sorted(one.name for one in found.parent.iterdir()) if found.parent.is_dir() else []
        has = f" ({found.parent} has: {join_names(beside)})" if beside else ""
        raise BadInput(f"{what}: there is no file or folder {path}{nearest(found.name, beside)}{has}")
    return found


def find(path: str, patterns: Mapping[str, Names]) -> tuple[Path, dict[str, list[Path]]]:
    """Returns the folder from which relative names start, and the files of each part, sorted by name.

    A pattern is a glob, or several, relative to the folder; one that names a folder means all files beneath it.
    Without a pattern: if the folder has a subfolder `train`, each part is the subfolder of its name; otherwise valid
    and test are absent, and train consists of the files whose names begin with `train`, or of all that are left.
    """
    found = require_path(path)
    root = found.parent if found.is_file() else found
    chosen = {part: as_names(patterns[part]) for part in PARTS}
    if found.is_file():
        chosen["train"] = [found.name]
    elif (root / "train").is_dir():
        chosen |= {part: [part] for part in PARTS if not chosen[part] and (root / part).is_dir()}
    files = {part: _matching(root, globs, part) for part, globs in chosen.items() if globs}
    if "train" not in files:
        files["train"] = _rest(root, {file for those in files.values() for file in those})
    _check_apart(files)
    return root, {part: files[part] for part in PARTS if part in files}


def _matching(root: Path, globs: Iterable[str], part: str) -> list[Path]:
    files = []
    for pattern in globs:
        hits = glob.glob(os.path.join(glob.escape(str(root)), os.path.expanduser(pattern)), recursive=True)
        new = [file for hit in hits for file in _data_files(Path(hit))]
        if not new:
            names = sorted(entry.name for entry in root.iterdir())
            raise BadInput(
                f"task.{part}: nothing to read matches '{pattern}' in {root}{nearest(pattern, names)} "
                f"(it has: {join_names(names) or 'nothing'})"
            )
        files += new
    return sorted(set(files))


def _data_files(path: Path) -> list[Path]:
    """Returns the file, or the files of known kinds beneath the folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [file for file in files if file.suffix.lower() in BUILDERS and not file.name.startswith((".", "_"))]


def _rest(root: Path, taken: set[Path]) -> list[Path]:
    files = [file for file in _data_files(root) if file not in taken]
    named = [file for file in files if file.parent == root and file.name.startswith("train")]
    if not files:
        names = sorted(entry.name for entry in root.iterdir())
        raise BadInput(
            f"task.path: {root} has no file to train on; read are {join_names(BUILDERS)} "
            f"(it has: {join_names(names) or 'nothing'})"
        )
    return named or files


def _check_apart(files: Mapping[str, list[Path]]) -> None:
    owners: dict[Path, str] = {}
    for part, those in files.items():
        for file in those:
            if owners.setdefault(file, part) != part:
                raise BadInput(f"{file.name} belongs to both {owners[file]} and {part}: narrow task.{part}")


def arrow_folder(cache: str | None) -> str | None:
    """Returns where `datasets` keeps its Arrow copies: beneath the user's folder, else its own default."""
    return None if cache is None else str(cache_folder(cache) / "datasets")


@contextmanager
def no_bars() -> Iterator[None]:
    """Silences progress bars of `datasets` within a block, since standard error is reserved for messages."""
    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            enable_progress_bars()


def open_part(files: list[Path], cache: str | None) -> datasets.Dataset:
    """Opens the files of one part as one memory-mapped data set; `cache` as in `arrow_folder`."""
    kinds = {BUILDERS[file.suffix.lower()] for file in files}
    if len(kinds) > 1:
        raise BadInput(f"files of different kinds are mixed ({join_names(sorted(kinds))}): name them with task.train")
    tabs = {"sep": "\t"} if files[0].suffix.lower() == ".tsv" else {}
    labels = {"drop_labels": False} if kinds == {"imagefolder"} else {}
    names = [glob.escape(str(file.absolute())) for file in files]
    try:
        with no_bars():
            return datasets.load_dataset(
                kinds.pop(), data_files={"train": names}, split="train", cache_dir=arrow_folder(cache), **tabs, **labels
            )
    except (DatasetGenerationError, OSError, ValueError) as fault:
        reason = " ".join(str(fault.__cause__ or fault).split())[:300]
        raise BadInput(
            f"{join_names(file.name for file in files)} cannot be read, or hold no rows: {reason}"
        ) from fault
