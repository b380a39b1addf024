"""Turns a study that is a mapping into the files that the command reads: the study's own, and one per function.

They lie in the cache, in a folder named after their content, from which the study can be run by the command as well.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import Quote, QuotedString

from harness.api.options import Option, as_option, node_of, parameter_overrides, plain_value, root_of
from harness.api.rows import write_rows
from harness.arm import FACTORS
from harness.checks import choices
from harness.errors import BadInput
from harness.storage.files import write_atomic
from harness.tasks.files import NAMES

SETTINGS = (
    "seeds", "design", "precision", "budget", "protocol", "price", "store", "cache", "device", "threads", "retry",
    "rerun",
)  # fmt: skip
"""Keys that mean what they mean in a study's file."""
KEYS = ("study", "task", "baseline", "arms", "cross", "probe", "track", "workers", *SETTINGS)
_PARTS = {name for names in NAMES.values() for name in names}
_HEADER = "# @package _global_\n# Written by harness.run.\n"
_BARE = re.compile(r"[A-Za-z_][\w./-]*")
_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "inf", "nan")


@dataclass(frozen=True)
class StudyFiles:
    """Holds a study's name, the folder to add to Hydra's search path (None: none), and where its functions lie.

    `lines` say what was written; `overrides` are what only the command line can set.
    """

    name: str
    folder: Path | None = None
    roots: tuple[Path, ...] = ()
    lines: tuple[str, ...] = ()
    overrides: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True)
class _Task:
    """Holds the option of a task as a default, its parameters, and what to say of rows that were written."""

    chosen: dict[str, str]
    body: dict[str, Any]
    lines: tuple[str, ...]


def write_study_files(said: Mapping[str, Any], cache: Path) -> StudyFiles:
    """Writes the files of a study that is a mapping, below `cache`; BadInput for an unknown key and for a bad value."""
    for key in said:
        if key not in KEYS:
            raise BadInput(f"a study has no '{key}'{choices(str(key), KEYS)}")
    name = str(said.get("study", ""))
    if not re.fullmatch(r"[A-Za-z_][\w-]*", name):
        raise BadInput(f"study is {name!r}: name the study, which names its folder, as in 'study': 'mine'")
    if said.get("task") is None:
        raise BadInput("task is missing: name an option, as in 'task': 'digits', or give rows, as {'data': frame}")
    arms, groups = _listed("arms", said.get("arms", [])), _groups(said)
    options = _options([*arms, *(arm for group in groups for arm in group), said.get("baseline", {})])
    nodes = {f"{group}/{name}.yaml": node_of(group, option) for (group, name), option in options.items()}
    task = _task(said["task"], cache)
    baseline, parameters = _baseline(said.get("baseline", {}))
    chosen = {"override /hydra/sweeper": "study", **task.chosen, **baseline, **_choices(said)}
    body = {
        "defaults": [{place: option} for place, option in chosen.items()], "study": name, **task.body, **parameters,
        **{key: plain_value(key, said[key]) for key in SETTINGS if key in said},
        "arms": [arm_words(arm) for arm in arms], "cross": [[arm_words(arm) for arm in group] for group in groups],
    }  # fmt: skip
    files = {f"experiments/{name}.yaml": _HEADER + _yaml(body), **{place: _yaml(nodes[place]) for place in nodes}}
    folder = write_files(files, cache)
    workers = (f"hydra.launcher.n_jobs={plain_value('workers', said['workers'])}",) if "workers" in said else ()
    roots = tuple(dict.fromkeys(root_of(one.function) for one in options.values()))
    said_of = f"the study's file is {folder / 'experiments' / name}.yaml"
    return StudyFiles(name, folder, roots, (*task.lines, said_of), workers)


def _yaml(node: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(node), sort_keys=False, allow_unicode=True)


def write_files(files: Mapping[str, str], cache: Path) -> Path:
    """Writes texts by their place in a folder of the cache that is named after them, and returns the folder."""
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:32]
    for place, text in files.items():
        write_atomic(cache / "studies" / digest / place, text.encode())
    return cache / "studies" / digest


def _task(task: Any, cache: Path) -> _Task:
    """Returns what a task adds to the study's file: an option's name, parameters beside `option`, or rows."""
    said = {"option": task} if isinstance(task, str) else task
    if not isinstance(said, Mapping) or hasattr(said, "column_names") or set(said) <= _PARTS:
        said = {"data": said}
    given = {str(key): value for key, value in said.items() if key not in ("option", "data")}
    option, lines = said.get("option"), tuple[str, ...]()
    if "data" in said:
        written = write_rows(said["data"], option, cache)
        option, given = written.option, {**written.parameters, **given, "path": str(written.path)}
        lines = (written.line,)
        if not given.get("label"):
            raise BadInput("task.label is missing: name the column of labels, as in {'data': frame, 'label': 'sick'}")
    if not isinstance(option, str):
        raise BadInput("task needs an option, such as {'option': 'folder', 'path': 'photos'}, or rows under 'data'")
    return _Task({"override /task": option}, {"task": plain_value("task", given)} if given else {}, lines)


def _baseline(baseline: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """Returns the options that the baseline chooses, and their parameters as the study's file holds them."""
    chosen: dict[str, str] = {}
    body: dict[str, Any] = {}
    if not isinstance(baseline, Mapping):
        raise BadInput(f"baseline is {baseline!r}: it must be a mapping, as in {{'model': 'lenet'}}")
    for key, value in baseline.items():
        option = as_option(value)
        if key in FACTORS:
            chosen[f"override /{key}@baseline.{key}"] = option.label if option else str(value)
        elif str(key).partition(".")[0] not in FACTORS:
            raise BadInput(f"the baseline has no '{key}'{choices(str(key), FACTORS)}")
        found = parameter_overrides(key, option) if option else {} if key in FACTORS else {key: value}
        for dotted, one in found.items():
            _nest(body, dotted.split("."), plain_value(dotted, one))
    return chosen, {"baseline": body} if body else {}


def _nest(node: dict[str, Any], names: list[str], value: Any) -> None:
    for name in names[:-1]:
        node = node.setdefault(name, {})
    node[names[-1]] = value


def _choices(said: Mapping[str, Any]) -> dict[str, str]:
    """Returns the options of the probe and of the tracker."""
    places = {"probe": "model@probe", "track": "track"}
    for key in places:
        if not isinstance(said.get(key, ""), str):
            raise BadInput(f"{key} is {said[key]!r}: it must be the name of an option")
    return {f"override /{place}": said[key] for key, place in places.items() if key in said}


def _groups(said: Mapping[str, Any]) -> list[list[Any]]:
    return [_listed("a group of cross", group) for group in _listed("cross", said.get("cross") or [])]


def _options(arms: Sequence[Any]) -> dict[tuple[str, str], Option]:
    """Returns each function that the arms and the baseline choose, by factor and name; BadInput for two of one name."""
    found: dict[tuple[str, str], Option] = {}
    for key, value in (pair for arm in arms for pair in _pairs(arm)):
        option = as_option(value)
        if option is None:
            continue
        if key not in FACTORS:
            raise BadInput(f"'{key}' cannot be a function: an arm chooses one for {', '.join(FACTORS)}")
        alone = replace(option, parameters={})
        if found.setdefault((key, option.label), alone) != alone:
            raise BadInput(
                f"two options of {key} are called {option.label}, and their functions or declarations differ: write "
                "harness.Option(function, name=…) for one of them"
            )
    return found


def _pairs(arm: Any) -> list[tuple[str, Any]]:
    """Returns the keys and values of an arm; an override as text has its text for a key."""
    if isinstance(arm, str):
        return [(arm, None)]
    if isinstance(arm, Mapping):
        return [(str(key), value) for key, value in arm.items()]
    if isinstance(arm, list | tuple):
        return [pair for one in arm for pair in _pairs(one)]
    said = "a function alone" if callable(arm) else repr(arm)
    raise BadInput(f"{said} is not an arm: write {{'clean': {getattr(arm, '__name__', 'NAME')}}} or 'clean=NAME'")


def arm_words(arm: Any) -> list[str]:
    """Returns the overrides of an arm: text, a mapping of dotted keys to values or functions, or a list of these.

    >>> arm_words({"clean": "oracle", "clean.k": 150})
    ['clean=oracle', 'clean.k=150']
    """
    words: list[str] = []
    for key, value in _pairs(arm):
        option = as_option(value)
        found = {key: value} if option is None else {key: option.label, **parameter_overrides(key, option)}
        words += [key] if "=" in key else [f"{name}={spell(plain_value(name, one))}" for name, one in found.items()]
    return words


def spell(value: Any) -> str:
    """Returns a value in the grammar of Hydra's overrides.

    >>> spell(["a b", 1, None, True, 0.5])
    "['a b',1,null,true,0.5]"
    """
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(spell, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{spell(one)}' for key, one in value.items())}}}"
    if isinstance(value, str) and (not _BARE.fullmatch(value) or value.lower() in _WORDS):
        return QuotedString(value, Quote.single).with_quotes()
    return str(value)


def _listed(what: str, arms: Any) -> list[Any]:
    if not isinstance(arms, list | tuple):
        raise BadInput(f"{what} is {arms!r}: it must be a list, as in ['model=mlp', {{'clean': 'confident'}}]")
    return list(arms)
