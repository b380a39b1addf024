"""Runs `harness tasks`: lists the tasks, where the data of each comes from, and whether a folder holds that data."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import OmegaConf

from harness.checks import choices
from harness.commands.arms import first_comment
from harness.commands.overrides import load_config, option_loader
from harness.commands.terminal import HYDRA_ERRORS, one_line
from harness.errors import BadInput
from harness.notices import notice
from harness.run.config import plain
from harness.run.options import build
from harness.storage.places import is_there

_WIDTH = 110


def command(words: list[str]) -> int:
    """Runs `harness tasks`, or `harness tasks check PATH [NAME]`.

    Alone it lists every task: what it is, and for data that does not come with the program the source, the licence and
    where to get it. `check` reads what lies at PATH as the task NAME, or as each task that it may be, and says whether
    it is the data on which the records that come with the project were made. Exit code 1 if it is not.
    """
    loader = option_loader()
    if words[1:] and words[1] != "check":
        raise BadInput(f"tasks has no '{words[1]}': write harness tasks, or harness tasks check PATH [NAME]")
    if words[1:]:
        return _check(words[2:], loader)
    for name in sorted(loader.get_group_options("task")):
        print("\n".join(_described(name, loader)))
    return 0


def _described(name: str, loader: ConfigLoaderImpl) -> Iterator[str]:
    """Yields the lines of the list that tell of one task."""
    yield f"task={name}"
    yield from _indented(first_comment("task", name))
    node = _node(name, loader)
    known = node.get("provenance")
    if not known:
        yield from _indented("data: yours, at task.path" if "path" in node else "data: comes with the program")
        return
    yield from _indented(f"source: {known['source']}; licence: {known['licence']}")
    yield from _indented(f"get it: {known['get']}; then task={name} task.path=PATH")


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False)


def _node(name: str, loader: ConfigLoaderImpl) -> Mapping[str, Any]:
    """Returns a task's option as its YAML has it."""
    content = loader.repository.load_config(f"task/{name}")
    assert content is not None
    return dict(OmegaConf.to_container(content.config))  # type: ignore[arg-type]


# The check


def _check(words: list[str], loader: ConfigLoaderImpl) -> int:
    """Prints what a path holds; returns 0 if it is the data of one of the tasks, else 1."""
    path, names = _parse(words, loader)
    codes, unread = list[int](), dict[str, str]()
    for name in names:
        try:
            with notice(f"reading {path} as {name}"):
                fingerprint = _fingerprint(name, path, loader)
        except (BadInput, *HYDRA_ERRORS) as error:
            unread[name] = one_line(error, []).splitlines()[0]
            continue
        codes.append(_told(name, path, fingerprint, str(_node(name, loader)["provenance"]["fingerprint"])))
        if codes[-1] == 0:
            return 0
    if not codes:
        lines = [f"{path} cannot be read as {name}: {why}" for name, why in unread.items()]
        raise BadInput("\n".join(lines))
    return 1


def _parse(words: list[str], loader: ConfigLoaderImpl) -> tuple[str, list[str]]:
    """Returns the path, and the tasks as which it is read; BadInput for a path that is not there, or another task."""
    if not 1 <= len(words) <= 2:
        raise BadInput("name what to check: harness tasks check PATH [NAME]")
    names = sorted(name for name in loader.get_group_options("task") if _node(name, loader).get("provenance"))
    if words[1:] and words[1] not in names:
        raise BadInput(f"'{words[1]}' is no task whose data is known{choices(words[1], names)}")
    if not is_there(words[0]):
        raise BadInput(f"there is nothing at {words[0]}")
    return words[0], words[1:] or names


def _fingerprint(name: str, path: str, loader: ConfigLoaderImpl) -> str:
    """Returns the fingerprint of what lies at a path, read as a task with its parameters as they come."""
    cfg = load_config([f"task={name}", "track=none"], loader)
    cfg.task.path = path
    return str(build(plain(cfg.task)).fingerprint)


def _told(name: str, path: str, fingerprint: str, published: str) -> int:
    """Prints whether the content is the published one; returns 0 if it is, else 1."""
    if fingerprint == published:
        print(f"{path} is the data of task={name}: fingerprint {fingerprint[:16]}, as in the project's records")
        return 0
    print(
        f"{path} can be read as task={name}, and is other data: fingerprint {fingerprint[:16]}, and {published[:16]} "
        "in the project's records; scores on it are not to be compared with theirs"
    )
    return 1
