"""Finds which files belong to which part, and opens them as data sets."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import datasets
import pyarrow.parquet as pq
from datasets.exceptions import DatasetGenerationError
from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from datasets.utils.logging import CRITICAL, get_verbosity, set_verbosity

from harness.checks import join_names, nearest
from harness.errors import BadInput
from harness.storage import reader
from harness.storage.places import expand_home
from harness.tasks.columns import Names, as_names

PARTS = ("train", "valid", "test")
NAMES = {
    "train": ("train", "training"), "valid": ("valid", "validation", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}  # fmt: skip
"""What people call a part's folder, or how they begin its files' names; in any case."""
TOOLS = ("__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "Thumbs.db", "desktop.ini")
"""Files and folders that tools leave beside data, as those whose names begin with a dot."""
BUILDERS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
} | dict.fromkeys((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"), "image")


def cache_folder(cache: str | None) -> Path:
    """Returns the folder for decoded images: the user's, else one under the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "gains-harness"
    return expand_home(default if cache is None else cache, "cache")


def require_path(path: str, what: str = "task.path") -> Path:
    """Returns the path with `~` expanded; it must exist."""
    found = expand_home(path, what)
    if not found.exists():
        beside = sorted(one.name for one in found.parent.iterdir()) if found.parent.is_dir() else []
        has = f" ({found.parent} has: {join_names(beside)})" if beside else ""
        raise BadInput(f"{what}: there is no file or folder {path}{nearest(found.name, beside)}{has}")
    if not found.is_file() and not found.is_dir():
        raise BadInput(f"{what}: {path} is neither a file nor a folder, but a pipe, a socket or a device")
    return found


def _require_known(file: Path) -> None:
    """Requires that a file's ending says how to read it."""
    if file.suffix.lower() not in BUILDERS:
        raise BadInput(f"task.path: {file.name} cannot be read, by its ending; read are {join_names(BUILDERS)}")


@dataclass(frozen=True)
class PartFiles:
    """Holds the files of each part, and what was left unread, in sentences.

    Relative names in cells start at `root`. Below each of `folders[part]` lies one folder of images a class.
    `guessed` are the parts that no pattern names.
    """

    root: Path
    files: Mapping[str, list[Path]]
    folders: Mapping[str, list[Path]]
    notes: tuple[str, ...]
    guessed: frozenset[str]


def find(path: str, patterns: Mapping[str, Names]) -> PartFiles:
    """Returns the files of each part, sorted by name.

    A pattern is a name or a glob, or several, relative to the folder; one that names a folder means all files beneath
    it. Without a pattern a part consists of the folder, or else of the files, whose names people use for it (`NAMES`);
    without a training part by such a name, it consists of all files that are left.
    """
    found, said = require_path(path), {part: as_names(patterns[part]) for part in PARTS}
    if found.is_file():
        _require_known(found)
        root, chosen = found.parent, said | {"train": [found.name]}
    else:
        root, chosen = found, _named(found, said)
    files = {part: _matching(root, globs, part) for part, globs in chosen.items() if globs}
    if "train" not in files:
        files["train"] = _rest(root, {file for those in files.values() for file in those})
    _check_apart(files)
    folders = {part: [_base(root, pattern) for pattern in chosen[part]] or [root] for part in files}
    looked = [found] if found.is_file() else [root]
    guessed = frozenset(part for part in files if not said[part] and part != "train")
    ordered = {part: files[part] for part in PARTS if part in files}
    return PartFiles(root, ordered, folders, tuple(_unread(looked, files)), guessed)


def _named(root: Path, chosen: dict[str, list[str]]) -> dict[str, list[str]]:
    """Adds, for parts without a pattern, the folders or else the files in `root` that are called so.

    Nothing is added unless something is called a training part: a folder `test` alone may hold the rows of a class.
    """
    entries = sorted(entry.name for entry in root.iterdir() if not is_hidden(entry.name))
    folders = [name for name in entries if (root / name).is_dir()]
    files = [name for name in entries if (root / name).suffix.lower() in BUILDERS and name not in folders]
    for kind, called in ((folders, str.lower), (files, _first_word)):
        found = {part: [name for name in kind if called(name) in NAMES[part]] for part in PARTS}
        if found["train"]:
            return {part: chosen[part] or found[part] for part in PARTS}
    return chosen


def _first_word(name: str) -> str:
    """Returns the letters with which a name begins, in lower case: `test-00000-of-00002.parquet` is `test`."""
    return re.match(r"[a-z]*", name.lower())[0]  # type: ignore[index]


def _base(root: Path, pattern: str) -> Path:
    """Returns the folder below which class folders lie: what a pattern names before its first wildcard."""
    place = root / os.path.expanduser(pattern)
    if place.is_dir():
        return place
    return Path(*itertools.takewhile(lambda name: not glob.has_magic(name), place.parts[:-1]))


def _matching(root: Path, globs: Iterable[str], part: str) -> list[Path]:
    files = []
    for pattern in globs:
        there = root / os.path.expanduser(pattern)  # a name may hold a bracket, and is not a pattern then
        hits = [there] if there.exists() else map(Path, _globbed(root, pattern))
        new = [file for hit in hits for file in _data_files(hit)]
        if not new:
            names = sorted(entry.name for entry in root.iterdir())
            raise BadInput(
                f"task.{part}: nothing to read matches '{pattern}' in {root}{nearest(pattern, names)} "
                f"(it has: {join_names(names) or 'nothing'})"
            )
        files += new
    return sorted(set(files))


def _globbed(root: Path, pattern: str) -> list[str]:
    return glob.glob(os.path.join(glob.escape(str(root)), os.path.expanduser(pattern)), recursive=True)


def is_hidden(name: str) -> bool:
    """Returns whether a file or folder is a tool's own and not the user's."""
    return name.startswith(".") or name in TOOLS


def all_files(folder: Path) -> Iterator[Path]:
    """Yields the files beneath a folder that are not hidden; linked folders are read as well, each place once."""
    seen: set[str] = set()
    for place, names, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        names[:] = [] if real in seen else [name for name in names if not is_hidden(name)]
        if real not in seen:
            yield from (Path(place) / name for name in files if not is_hidden(name))
        seen.add(real)


def _data_files(path: Path) -> list[Path]:
    """Returns the file, or the files of known kinds beneath the folder."""
    files = sorted(all_files(path)) if path.is_dir() else [path]
    known = [file for file in files if file.suffix.lower() in BUILDERS and not file.name.startswith((".", "_"))]
    for file in known:
        _check_readable(file)
    return known


def _check_readable(file: Path) -> None:
    """Requires a regular file whose name can be written down: a pipe would be waited for, for ever."""
    if not file.is_file():
        raise BadInput(f"{file} cannot be read: it is a pipe, a socket, or a link that leads nowhere; remove it")
    try:
        str(file).encode()
    except UnicodeEncodeError:
        raise BadInput(f"the name {os.fsencode(file)!r} is not UTF-8: rename the file or its folder") from None


def _unread(looked: Iterable[Path], files: Mapping[str, list[Path]]) -> Iterator[str]:
    """Yields a sentence on the files that belong to no part: how many of which kind."""
    read = {file for those in files.values() for file in those}
    left = [file for place in looked if place.is_dir() for file in all_files(place) if file not in read]
    kinds = Counter(file.suffix.lower() or "no ending" for file in left)
    if left:
        told = join_names(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        yield f"not read: {len(left)} other {'file' if len(left) == 1 else 'files'} ({told})"


def _rest(root: Path, taken: set[Path]) -> list[Path]:
    files = [file for file in _data_files(root) if file not in taken]
    named = [file for file in files if file.parent == root and file.name.lower().startswith("train")]
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
    """Silences `datasets` within a block, its log of errors as well: they are raised, and told in one line."""
    shown, level = not are_progress_bars_disabled(), get_verbosity()
    disable_progress_bars()
    set_verbosity(CRITICAL)
    try:
        yield
    finally:
        set_verbosity(level)
        if shown:
            enable_progress_bars()


def open_parts(
    found: PartFiles, cache: str | None, labels: Collection[str | None] = ()
) -> tuple[dict[str, datasets.Dataset], list[str]]:
    """Opens the files of every part; also returns what is worth saying of them. `cache` as in `arrow_folder`.

    A part that only its name suggests, and that has none of the columns `labels`, is left out: a test part without
    labels, as competitions give it, tests nothing.
    """
    notes = list(found.notes)
    data = {part: open_part(files, cache, found.folders[part], notes) for part, files in found.files.items()}
    for part in sorted(found.guessed):
        if labels and not set(labels) & set(data[part].column_names):
            names = join_names(file.name for file in found.files[part])
            notes.append(f"left out: {names}, which would be the {part} part, has no column of labels")
            del data[part]
    return data, notes


def open_part(
    files: list[Path], cache: str | None, bases: Sequence[Path] = (), notes: list[str] | None = None
) -> datasets.Dataset:
    """Opens the files of one part as one data set: text and JSON by `reader`, parquet as a memory map, images by name.

    The class of an image is the name of the folder below one of `bases` that it lies in. What was guessed is added to
    `notes`.
    """
    kinds = {BUILDERS[file.suffix.lower()] for file in files}
    told = [] if notes is None else notes
    if len(kinds) > 1:
        raise BadInput(f"files of different kinds are mixed ({join_names(sorted(kinds))}): name them with task.train")
    if kinds == {"image"}:
        return _pictures(files, bases, told)
    if kinds == {"parquet"}:
        return _parquet(files, cache)
    told += [note for file in files if file.suffix.lower() in reader.TEXT and (note := reader.separator_note(file))]
    table = reader.read_tables(files)
    if not len(table):
        raise BadInput(f"{join_names(file.name for file in files)} cannot be read, or hold no rows")
    return datasets.Dataset(datasets.table.InMemoryTable(table))


def _parquet(files: list[Path], cache: str | None) -> datasets.Dataset:
    names = [glob.escape(str(file.absolute())) for file in files]
    try:
        for file in files:
            reader.check_names(file, pq.read_schema(file).names)
        if not sum(pq.read_metadata(file).num_rows for file in files):
            raise ValueError("there is no row")
        with no_bars():
            return datasets.load_dataset(
                "parquet", data_files={"train": names}, split="train", cache_dir=arrow_folder(cache)
            )
    except (DatasetGenerationError, OSError, ValueError) as fault:
        reason = " ".join(str(fault.__cause__ or fault).split())[:300]
        raise BadInput(
            f"{join_names(file.name for file in files)} cannot be read, or hold no rows: {reason}"
        ) from fault


def _below(file: Path, bases: Sequence[Path]) -> tuple[str, ...]:
    """Returns the folders and the name of a file below the innermost of `bases` that it lies in."""
    inside = [file.relative_to(base).parts for base in bases if file.is_relative_to(base)]
    return min(inside, key=len, default=(file.name,))


def _folders(base: Path) -> list[str]:
    return [entry.name for entry in base.iterdir() if entry.is_dir() and not is_hidden(entry.name)]


def _pictures(files: list[Path], bases: Sequence[Path], notes: list[str]) -> datasets.Dataset:
    """Returns the names of images and the classes that their folders name; images beside the folders are left out.

    `notes` say so, and which folders hold no image, since a class is missing then.
    """
    inside = [_below(file, bases) for file in files]
    if all(len(parts) == 1 for parts in inside):
        return datasets.Dataset.from_dict({"image": [str(file.absolute()) for file in files]})
    stray = [file for file, parts in zip(files, inside, strict=True) if len(parts) == 1]
    if stray:
        notes.append(f"left out: {len(stray)} images that lie in no class folder, the first is {stray[0].name}")
    labels = {parts[0] for parts in inside}
    empty = [name for base in bases for name in _folders(base) if name not in labels and not _data_files(base / name)]
    if empty:
        notes.append(f"folders without an image, which are not classes: {join_names(sorted(set(empty)))}")
    kept = [(file, parts[0]) for file, parts in zip(files, inside, strict=True) if len(parts) > 1]
    rows = {"image": [str(file.absolute()) for file, _ in kept], "label": [label for _, label in kept]}
    return datasets.Dataset.from_dict(rows)
