"""Reads a suite's file into its tasks, each with the overrides of its study; everything is checked before any data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.arm import FACTORS, factor_of
from harness.checks import choices, nearest
from harness.commands.study import PlannedArm
from harness.errors import BadInput
from harness.storage.places import PACKAGE, conf_dir, own_conf

FOLDER, TOGETHER = "suites", "both"
FAMILIES = (*FACTORS, TOGETHER)
"""What the arms of a family change: one factor, or several of them."""
_TOP, _MODALITY = ("seeds", "data", "modalities", "tasks"), ("baseline", "protocol", "arms")
_TASK = ("task", "modality", "path", "where", "with", "baseline", "protocol", "arms", "without")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]*")


@dataclass(frozen=True)
class SuiteTask:
    """Holds one task of a suite: what its study is made of, and where its data lies and comes from.

    `option` is the task's option, `parameters` are set in it; `path` is None for a task that needs no file of the
    user's, or whose path nobody has given. `where` says how to get the data; unless the file says it, the
    option does. `baseline` holds overrides as an arm does.
    """

    name: str
    option: str
    modality: str
    path: str | None
    where: str
    parameters: Mapping[str, Any]
    baseline: tuple[str, ...]
    protocol: Mapping[str, Any]
    arms: tuple[PlannedArm, ...]


@dataclass(frozen=True)
class Suite:
    """Holds a suite: its name, its seeds as the file says them, and its tasks in the order of the file."""

    name: str
    seeds: Any
    tasks: tuple[SuiteTask, ...]

    def study(self, task: SuiteTask) -> str:
        """Returns the name of a task's study, which is that of its folder in the store."""
        return study_name(self.name, task.name)


def study_name(suite: str, task: str) -> str:
    """Returns the name of the study of a suite's task; neither of the two names has a hyphen, so it is unique."""
    return f"{suite}-{task}"


def files_of_suites() -> list[Path]:
    """Returns the files of suites: the user's, then those that come with the program."""
    shipped = [conf_dir().parent / FOLDER, conf_dir() / FOLDER]
    folders = [Path(FOLDER), *(folder for folder in shipped if folder.resolve() != Path(FOLDER).resolve())]
    return [path for folder in folders for path in sorted(folder.glob("*.yaml"))]


def file_of_suite(name: str) -> Path:
    """Returns the file of a suite; the user's own has priority. BadInput if there is none."""
    files = {path.stem: path for path in reversed(files_of_suites())}
    if name not in files:
        raise BadInput(f"there is no suite '{name}'{choices(name, files)}; a suite is a file {FOLDER}/NAME.yaml")
    return files[name]


def read_suite(name: str, data: str | None = None, paths: Mapping[str, str] | None = None) -> Suite:
    """Returns the suite called `name`; the user's own file has priority over the program's.

    `data` replaces the file's folder of data, below which a relative path of a task lies; `paths` replaces the whole
    path of single tasks. BadInput lists all faults of the file, one per line.
    """
    file = file_of_suite(name)
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    faults = [f"{file}: {line}" for line in (*_top_faults(name, content), *_unknown_paths(content, paths or {}))]
    if faults:
        raise BadInput("\n".join(faults))
    folder = data if data is not None else str(content.get("data") or ".")
    tasks = [
        _task(one, node, content["modalities"][node["modality"]], folder, (paths or {}).get(one))
        for one, node in content["tasks"].items()
    ]
    return Suite(name, content["seeds"], tuple(tasks))


def _task(name: str, node: Mapping[str, Any], shared: Mapping[str, Any], folder: str, own: str | None) -> SuiteTask:
    """Returns a task with what its modality shares; what the task says itself comes after, or goes before."""
    without = {_as_arm(arm) for arm in node.get("without") or []}
    listed = [
        arm for part in (shared, node) for arms in (part.get("arms") or {}).values() for arm in map(_as_arm, arms)
    ]
    path = own if own is not None else _below(folder, node.get("path"))
    return SuiteTask(
        name, str(node["task"]), str(node["modality"]), path, str(node.get("where") or _said_by(str(node["task"]))),
        node.get("with") or {},
        tuple(node.get("baseline") or shared["baseline"]),
        {**(shared.get("protocol") or {}), **(node.get("protocol") or {})},
        tuple(arm for arm in dict.fromkeys(listed) if arm not in without),
    )  # fmt: skip


def _said_by(option: str) -> str:
    """Returns how to get the data of a task, as its option says it; "" where it does not."""
    for folder in (own_conf(), conf_dir()):
        path = folder / "task" / f"{option}.yaml" if folder else None
        if path and path.is_file():
            known = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("provenance") or {}
            return str(known.get("get") or "")
    return ""


def _below(folder: str, path: Any) -> str | None:
    """Returns a task's path, in the folder of data unless it is absolute, of a home or of a package."""
    if path is None:
        return None
    text = str(path)
    return text if text.startswith((PACKAGE, "~", "/")) else str(Path(folder) / text)


def _as_arm(arm: Any) -> PlannedArm:
    return (arm,) if isinstance(arm, str) else tuple(arm)


# Faults of the file


def _top_faults(name: str, content: Any) -> Iterable[str]:
    """Yields what is wrong with a suite's file."""
    if not _NAME.fullmatch(name):
        yield f"'{name}' is not a suite's name: use letters, digits, dots and underscores"
    if not isinstance(content, dict):
        yield f"a suite has the keys {', '.join(_TOP)}"
        return
    yield from _unknown("the suite", content, _TOP)
    missing = [key for key in ("seeds", "modalities", "tasks") if not content.get(key)]
    if missing:
        yield f"{missing[0]} is missing or empty"
        return
    for key in ("modalities", "tasks"):
        if not isinstance(content[key], dict):
            yield f"{key} must be names with what belongs to each"
            return
    for modality, node in content["modalities"].items():
        yield from _part_faults(f"modality '{modality}'", node, _MODALITY, ("baseline",))
    for task, node in content["tasks"].items():
        yield from _task_faults(str(task), node, content["modalities"])


def _task_faults(name: str, node: Any, modalities: Mapping[str, Any]) -> Iterable[str]:
    """Yields what is wrong with one task."""
    who = f"task '{name}'"
    if not _NAME.fullmatch(name):
        yield f"{who}: a task's name consists of letters, digits, dots and underscores"
    yield from _part_faults(who, node, _TASK, ("task", "modality"))
    if isinstance(node, dict) and node.get("modality") and node["modality"] not in modalities:
        yield f"{who}: unknown modality '{node['modality']}'{choices(str(node['modality']), modalities)}"
    if isinstance(node, dict) and "path" in (node.get("with") or {}):
        yield f"{who}: write path beside with, not in it: then it begins in the folder of data"


def _part_faults(who: str, node: Any, known: Sequence[str], needed: Sequence[str]) -> Iterable[str]:
    """Yields what is wrong with the part of a suite that belongs to a modality or to a task."""
    if not isinstance(node, dict):
        yield f"{who} must have {', '.join(needed)}"
        return
    yield from _unknown(who, node, known)
    yield from (f"{who} has no {key}" for key in needed if not node.get(key))
    for key in ("with", "protocol"):
        if not isinstance(node.get(key) or {}, dict):
            yield f"{who}: {key} must be names with values"
    if not _is_override_list(node.get("baseline") or []):
        yield f"{who}: baseline must be a list of overrides, as in [model=mlp]"
    if not _is_arm_list(node.get("without") or []):
        yield f"{who}: without must be a list of arms"
    if not isinstance(node.get("arms") or {}, dict):
        yield f"{who}: arms must be lists by family ({', '.join(FAMILIES)})"
        return
    for family, arms in (node.get("arms") or {}).items():
        yield from _family_faults(who, str(family), arms)


def _family_faults(who: str, family: str, arms: Any) -> Iterable[str]:
    """Yields what is wrong with the arms of one family: each must change what the family is called after."""
    if family not in FAMILIES:
        yield f"{who}: unknown family of arms '{family}'{choices(family, FAMILIES)}"
        return
    if not _is_arm_list(arms):
        yield f"{who}: {family} must be a list of arms, each an override or a list of overrides"
        return
    for arm in map(_as_arm, arms):
        factors = {factor_of(item) for item in arm}
        if len(factors) < 2 if family == TOGETHER else factors != {family}:
            yield f"{who}: the arm {' '.join(arm)} changes {', '.join(sorted(factors))}, and stands under {family}"


def _unknown(who: str, node: Mapping[str, Any], known: Sequence[str]) -> Iterable[str]:
    for key in node:
        if key not in known:
            yield f"{who} has no key '{key}'{nearest(str(key), known)} (keys: {', '.join(known)})"


def _unknown_paths(content: Any, paths: Mapping[str, str]) -> Iterable[str]:
    tasks = content.get("tasks") if isinstance(content, dict) else None
    for name in paths:
        if isinstance(tasks, dict) and name not in tasks:
            yield f"there is no task '{name}'{choices(name, tasks)}"


def _is_override_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and "=" in item for item in value)


def _is_arm_list(value: Any) -> bool:
    return isinstance(value, list) and all(
        _is_override_list([item] if isinstance(item, str) else item) and item for item in value
    )
