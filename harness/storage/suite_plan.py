"""Keeps which tasks a suite has, and why tasks or arms were left out of it: `suites/NAME/suite.json` in a store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.checks import choices
from harness.errors import BadInput
from harness.storage.content import NAMES, OBJECTS, TEXT, require_fields
from harness.storage.files import dump, read_object, write_atomic

SUITE_FOLDER, SUITE_FILE = "suites", "suite.json"
SUITE_VERSION = 1
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class SuiteEntry:
    """Holds one task of a suite: its name, the folder of its study in the store, its modality.

    `why` says why the task itself was left out of the last command, `left_out` why single arms were; "" and empty for
    what ran.
    """

    name: str
    folder: str
    modality: str
    why: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SuitePlan:
    """Holds the name of a suite and its tasks, in the order of its file."""

    name: str
    tasks: tuple[SuiteEntry, ...]


def suite_folder(store: Path, name: str) -> Path:
    """Returns the folder of a suite in a store, where its plan and its report lie."""
    return store / SUITE_FOLDER / name


def keep_suite_plan(store: Path, plan: SuitePlan) -> None:
    """Writes a suite's plan into the store."""
    content = {"version": SUITE_VERSION, **asdict(plan)}
    write_atomic(suite_folder(store, plan.name) / SUITE_FILE, dump(content))


def find_suite_plan(store: Path, name: str) -> SuitePlan | None:
    """Returns the plan of a suite, or None if the store has none; BadInput for a damaged one."""
    path = suite_folder(store, name) / SUITE_FILE
    if not path.is_file():
        return None
    try:
        return _plan_in(read_object(path))
    except BadInput as error:
        raise BadInput(f"{path}: {error}; run the suite again, which writes it anew") from None


def read_suite_plan(store: Path, name: str) -> SuitePlan:
    """Returns the plan of a suite; BadInput if the store has none, or a damaged one."""
    plan = find_suite_plan(store, name) if _FOLDER.fullmatch(name) else None
    if plan is None:
        known = [path.parent.name for path in (store / SUITE_FOLDER).glob(f"*/{SUITE_FILE}")]
        raise BadInput(f"no suite '{name}' has run in {store}{choices(name, known)}")
    return plan


def _plan_in(content: Mapping[str, Any]) -> SuitePlan:
    """Returns the plan that a file holds; BadInput unless each field is of its kind, and each folder in the store."""
    if content.get("version") != SUITE_VERSION:
        raise BadInput(f"its version is {content.get('version')!r}, and this program reads version {SUITE_VERSION}")
    require_fields("", content, {"name": TEXT, "tasks": OBJECTS})
    entries = []
    for task in content["tasks"]:
        require_fields(
            "tasks.", task, {**dict.fromkeys(("name", "folder", "modality", "why"), TEXT), "left_out": NAMES}
        )
        if not _FOLDER.fullmatch(task["folder"]):
            raise BadInput(f"'{task['folder']}' is not the name of a folder")
        entries.append(SuiteEntry(**{name: task[name] for name in SuiteEntry.__dataclass_fields__}))
    return SuitePlan(content["name"], tuple(entries))
