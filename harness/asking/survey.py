"""Opens a user's files by the tasks' own reader, and turns what is there into the settings of a task."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
from PIL import Image

from harness.asking.roles import CellKind, Column, Roles, Wishes, guess_roles
from harness.checks import join_names
from harness.errors import BadInput
from harness.tasks import columns as reading
from harness.tasks import files
from harness.tasks.features import as_numbers

_PICTURES = tuple(ending for ending, kind in files.BUILDERS.items() if kind == "image")
_FEWEST = 5
"""Rows of a class below which a split may leave a part without it."""
_SEEN = 50
"""Images that are opened to learn whether all are grey."""


@dataclass(frozen=True)
class Survey:
    """Holds what was found: the task's option and settings, its roles, and sentences on both.

    `counts` are the labelled training rows of each class, `missing` the empty cells in columns of numbers.
    """

    task: str
    settings: Mapping[str, Any]
    roles: Roles | None
    notes: tuple[str, ...]
    counts: Mapping[str, int]
    missing: int = 0


def look_at(path: str, said: Wishes, patterns: Mapping[str, str | None], name: str, command: str) -> Survey:
    """Returns what lies under `path`, a file or a folder; BadInput, with the `command` to write, if it cannot tell.

    `patterns` name the files of the parts train, valid and test, None for what people call so.
    """
    place = files.require_path(path, "DATA")
    if place.is_dir() and (place / "label.json").is_file() and (place / "train.json").is_file():
        words = [("modality", said.modality), *said.named(), *patterns.items()]
        return _wrench(path, name, [(option, value) for option, value in words if value])
    where, chosen, notes = _parts_beside(place, path, patterns)
    found = files.find(where, chosen)
    data, more = files.open_parts(found, None)
    train = data["train"]
    roles = guess_roles([_column(column, data, found.root) for column in train.column_names], said, command)
    data, dropped = _labelled_parts(data, roles, {part for part in ("valid", "test") if not patterns.get(part)})
    settings = _settings(name, where, chosen, found, data, roles, dropped)
    counts = _counts(train, roles)
    _check_counts(counts, "test" in data, command)
    return Survey(
        "folder", settings | _pictures(data, roles, found.root), roles,
        (*_about(found, data), *roles.notes, *notes, *more, *dropped.values()), counts, _missing(train, roles),
    )  # fmt: skip


def _parts_beside(
    place: Path, path: str, patterns: Mapping[str, str | None]
) -> tuple[str, dict[str, str | None], list[str]]:
    """Returns the path to read and the files of each part: a file called train brings what lies beside it."""
    said = dict(patterns)
    if place.is_dir():
        return path, said, []
    folder = str(Path(path).parent)
    kind = place.suffix.lower()
    if any(said.values()):
        return folder, {**said, "train": said.get("train") or place.name}, []
    if _part_of(place.name) != "train":
        return path, said, []
    beside = {
        part: sorted(
            one.name for one in place.parent.iterdir() if one.suffix.lower() == kind and _part_of(one.name) == part
        )
        for part in ("valid", "test")
    }
    many = [part for part, names in beside.items() if len(names) > 1]
    if many:
        part = many[0]
        raise BadInput(f"several files could be the {part} part: {join_names(beside[part])}; say {part}=FILE")
    found = {part: names[0] for part, names in beside.items() if names}
    if not found:
        return path, said, []
    told = [f"{part}: {name}, which lies beside {place.name} [{part}=]" for part, name in found.items()]
    return folder, {"train": place.name, "valid": found.get("valid"), "test": found.get("test")}, told


def _part_of(name: str) -> str:
    word = re.match(r"[a-z]*", name.lower())[0]  # type: ignore[index]
    return next((part for part, names in files.NAMES.items() if word in names), "")


def _column(name: str, data: Mapping[str, datasets.Dataset], root: Path) -> Column:
    """Returns a column of the training part with its cells as text."""
    train, others = data["train"], [what for what in data if what != "train" and name in data[what].column_names]
    feature = train.features[name]
    kind = _kind_of_feature(feature)
    if kind is not None:
        return Column(name, kind, np.full(len(train), "", dtype=object))
    cells = reading.texts(train, name)
    known = [cell for cell in cells if cell is not None and cell.strip()]
    texts = {what: reading.texts(data[what], name) for what in others}
    elsewhere = tuple({cell for rows in texts.values() for cell in rows if cell is not None and cell.strip()})
    if not known:
        return Column(name, "empty", cells, elsewhere=elsewhere)
    if all(cell.lower().endswith(_PICTURES) for cell in known) and (root / known[0]).is_file():
        return Column(name, "image", cells)
    raw = pd.Series(train.select_columns([name]).with_format("arrow")[:].column(name).to_pandas())
    numbers = None if isinstance(feature, datasets.ClassLabel) else as_numbers(raw)
    whole = numbers is not None and bool((numbers[np.isfinite(numbers)] % 1 == 0).all())
    unique = all(len(set(rows)) == len(rows) for rows in (cells, *texts.values()))
    if whole:
        cells = np.array([None if cell is None else re.sub(r"\.0+$", "", cell.strip()) for cell in cells], dtype=object)
        elsewhere = tuple({re.sub(r"\.0+$", "", cell.strip()) for cell in elsewhere})
    return Column(name, "words" if numbers is None else "number", cells, whole, elsewhere, unique)


def _kind_of_feature(feature: Any) -> CellKind | None:
    """Returns the kind of a column that holds more than one value a row; None for single values."""
    if isinstance(feature, datasets.Image):
        return "image"
    single = hasattr(feature, "dtype") and not hasattr(feature, "feature") and feature.dtype not in ("list", "dict")
    return None if single and "binary" not in feature.dtype else "lists"


def _labelled_parts(
    data: Mapping[str, datasets.Dataset], roles: Roles, guessed: set[str]
) -> tuple[dict[str, datasets.Dataset], dict[str, str]]:
    """Returns the parts that have labels, and a sentence on each guessed one that has none."""
    known = {roles.label, roles.gold} - {None}
    bare = [what for what in data if what != "train" and what in guessed and not known & set(data[what].column_names)]
    notes = {
        what: f"the {what} file has no column '{roles.label}': it is not used, and {what} rows are split off"
        for what in bare
    }
    return {what: rows for what, rows in data.items() if what not in bare}, notes


def _settings(
    name: str, where: str, chosen: Mapping[str, str | None], found: files.PartFiles,
    data: Mapping[str, datasets.Dataset], roles: Roles, dropped: Mapping[str, str],
) -> dict[str, Any]:  # fmt: skip
    """Returns the task's settings that differ from the option's own."""
    own = {"id": roles.id, "group": roles.group, "gold": roles.gold, "votes": list(roles.votes) or None}
    features = list(roles.features) if roles.unused and roles.modality == "table" else None
    parts = {part: pattern for part, pattern in chosen.items() if pattern and part not in dropped}
    if dropped and "train" not in parts:  # otherwise the task would find the part without labels by itself
        parts["train"] = [str(file.relative_to(found.root)) for file in found.files["train"]]  # type: ignore[assignment]
    everything = {"name": name, "path": where, **parts, "modality": roles.modality, "input": roles.input or features,
                  "label": roles.label, **own}  # fmt: skip
    return {key: value for key, value in everything.items() if value is not None}


def _pictures(data: Mapping[str, datasets.Dataset], roles: Roles, root: Path) -> dict[str, Any]:
    """Returns the settings of images: grey where the first ones are, and the size that fits them."""
    if roles.modality != "image" or roles.input is None:
        return {}
    train = data["train"]
    step = max(1, len(train) // _SEEN)
    seen = [_size_and_grey(train[row][roles.input], root) for row in range(0, len(train), step)][:_SEEN]
    grey = all(is_grey for _, is_grey in seen)
    side = float(np.median([size for size, _ in seen]))
    return {"color": "grey" if grey else "rgb", "image_size": 32 if side >= 32 else max(8, int(side))}


def _size_and_grey(cell: Any, root: Path) -> tuple[int, bool]:
    """Returns the longer side of an image in pixels, and whether it is grey."""
    if isinstance(cell, Image.Image):
        return max(cell.size), _is_grey(cell)
    try:
        with Image.open(root / str(cell)) as image:
            return max(image.size), _is_grey(image)
    except OSError as error:
        raise BadInput(f"{cell} cannot be opened as an image: {error}") from None


def _is_grey(image: Image.Image) -> bool:
    pixels = np.asarray(image.convert("RGB"))
    return bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())


def _counts(train: datasets.Dataset, roles: Roles) -> dict[str, int]:
    cells = [cell for cell in reading.texts(train, roles.label) if cell is not None and cell.strip()]
    names, counts = np.unique(cells, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _check_counts(counts: Mapping[str, int], tested: bool, command: str) -> None:
    """Requires enough rows of each class for every part to have some."""
    least = 3 if tested else _FEWEST
    rare = {name: count for name, count in counts.items() if count < least}
    if rare:
        told = join_names(f"'{name}' {count}" for name, count in rare.items())
        raise BadInput(f"classes with fewer than {least} rows cannot be split into parts: {told}; merge or drop them")


def _about(found: files.PartFiles, data: Mapping[str, datasets.Dataset]) -> list[str]:
    lines = []
    for what, rows in data.items():
        of = found.files[what]
        named = of[0].name if len(of) == 1 else f"{len(of)} files"
        lines.append(f"{what}: {len(rows):,} rows, {named} [{what}=]")
    absent = [part for part in ("valid", "test") if part not in data]
    return [*lines, *([f"{' and '.join(absent)}: split off from train"] if absent else [])]


def _missing(train: datasets.Dataset, roles: Roles) -> int:
    """Returns how many cells of the features that hold numbers have none."""
    total = 0
    for name in roles.features:
        cells = pd.Series(train.select_columns([name]).with_format("arrow")[:].column(name).to_pandas())
        numbers = as_numbers(cells)
        total += 0 if numbers is None else int(np.isnan(numbers).sum())
    return total


def _wrench(path: str, name: str, said: Sequence[tuple[str, str]]) -> Survey:
    """Returns a folder in WRENCH format, which leaves nothing to say."""
    if said:
        option, value = said[0]
        raise BadInput(f"{option}={value}: {path} is in WRENCH format, where files and columns have fixed names")
    told = "a folder in WRENCH format: a few true labels, and rows without a label that labelling functions vote on"
    return Survey("wrench", {"name": name, "path": path}, None, (told,), {})


def describe_balance(counts: Mapping[str, int]) -> list[str]:
    """Returns a sentence on how uneven the classes are; none if they are not."""
    if not counts or max(counts.values()) < 3 * min(counts.values()):
        return []
    most, least = max(counts, key=lambda one: counts[one]), min(counts, key=lambda one: counts[one])
    share = 100 * counts[most] / sum(counts.values())
    told = f"uneven classes: '{most}' {counts[most]} rows ({share:.0f} %), '{least}' {counts[least]}"
    return [f"{told}; accuracy hardly sees the small ones (protocol.metric=balanced_accuracy sees all alike)"]


def task_name(path: str) -> str:
    """Returns a name for the study from the path of the data, in letters, digits and underscores."""
    place = Path(path).expanduser()
    stem = place.stem if place.suffix else place.name
    if stem.lower() in {one for words in files.NAMES.values() for one in words} or not stem:
        stem = place.resolve().parent.name if place.suffix else place.resolve().name
    return re.sub(r"\W+", "_", stem, flags=re.ASCII).strip("_").lower() or "data"
