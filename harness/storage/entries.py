"""Keeps what somebody submits to a suite: a folder with the arm's records, its options, their code, and a card.

`entry.json` says what was entered; `records/STUDY/` is a store of the arm's and the baseline's trials on one task;
`conf/GROUP/NAME.yaml` and the Python files lie as they did beside the author's command; `CARD.md` is for readers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import BadInput
from harness.storage.content import NAMES, TEXT, TEXTS, require_fields
from harness.storage.files import dump, read_object, write_atomic

ENTRY_FILE, CARD_FILE, RECORDS = "entry.json", "CARD.md", "records"
ENTRY_VERSION = 1
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Entry:
    """Holds what was entered: the suite and the SHA-256 of its file, the arm's overrides, the program's version.

    `studies` maps each task that ran to the name of its study, `files` the author's options and code to their SHA-256.
    """

    suite: str
    suite_sha256: str
    arm: tuple[str, ...]
    harness: str
    studies: Mapping[str, str]
    files: Mapping[str, str]


def keep_entry(folder: Path, entry: Entry) -> None:
    """Writes the card that a program reads."""
    content: dict[str, Any] = {"version": ENTRY_VERSION, **asdict(entry), "arm": list(entry.arm)}
    write_atomic(folder / ENTRY_FILE, dump(content))


def read_entry(folder: Path) -> Entry:
    """Returns the entry in a folder; BadInput if there is none, or a damaged one."""
    path = folder / ENTRY_FILE
    if not path.is_file():
        raise BadInput(f"{folder} holds no {ENTRY_FILE}: it is not a folder that harness enter … submit=FOLDER made")
    try:
        content = read_object(path)
        if content.get("version") != ENTRY_VERSION:
            raise BadInput(f"its version is {content.get('version')!r}, and this program reads version {ENTRY_VERSION}")
        wanted = {"suite": TEXT, "suite_sha256": TEXT, "harness": TEXT, "arm": TEXTS, "studies": NAMES, "files": NAMES}
        require_fields("", content, wanted)
        _check_places(content)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    return Entry(**{**{name: content[name] for name in wanted}, "arm": tuple(content["arm"])})


def _check_places(content: Mapping[str, Any]) -> None:
    """Requires that an arm is entered, and that every study and file lies within the folder."""
    if not content["arm"] or not all("=" in item for item in content["arm"]):
        raise BadInput("arm must list the overrides of the arm")
    for study in content["studies"].values():
        if not _FOLDER.fullmatch(study):
            raise BadInput(f"'{study}' is not the name of a folder")
    for name in content["files"]:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise BadInput(f"'{name}' is no file within the folder")
