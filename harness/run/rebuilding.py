"""Builds the task that a results folder names, and runs no code that the folder chose.

A folder may come from anybody, and a `_target_` in it may name any function: of this package, which also has functions
that import and write, of another one, or of a file beside the folder. So a command that opens a folder builds a task
only if every target in it is a task of this package, as the files in `conf/task` name them, or one that the user has
named (`trust=mine.task`). Text is taken as it is written, so no value is looked up in the environment.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import yaml
from hydra.errors import InstantiationException
from omegaconf.errors import OmegaConfBaseException

from harness.data import Source
from harness.errors import BadInput
from harness.run.faults import option_faults
from harness.run.options import bare, build, current_target
from harness.run.targets import NoTarget, find_target
from harness.storage.places import conf_dir


def shipped_tasks() -> frozenset[str]:
    """Returns the targets that this package's own options of the group `task` name."""
    nodes = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((conf_dir() / "task").glob("*.yaml")))
    return frozenset(target for node in nodes for target in targets_in(node))


def targets_in(node: Any) -> Iterator[str]:
    """Yields every `_target_` of a node and of the nodes within, as text."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"])
        node = list(node.values())
    if isinstance(node, list | tuple):
        for one in node:
            yield from targets_in(one)


def strangers(node: Mapping[str, Any], trust: Collection[str] = ()) -> list[str]:
    """Returns the targets of a task that are neither tasks of this package nor in `trust`, each once."""
    known = {*shipped_tasks(), *trust}
    return [one for one in dict.fromkeys(targets_in(node)) if one not in known and current_target(one) not in known]


def refusal(
    node: Mapping[str, Any], trust: Collection[str] = (), places: Mapping[str, Any] | None = None
) -> str | None:
    """Returns why a folder's task is not built and what the user may do, or None if it may be built.

    With the `places` that the user gave (path, cache), its parameters are checked as well.
    """
    alien = strangers(node, trust)
    if alien:
        return (
            f"the study's task is built by {', '.join(map(repr, alien))}, which is not a task of this package, and a "
            f"results folder runs no code of its own; if you know that function, trust={','.join(alien)} allows it"
        )
    if "${" in str(node):
        return "the study's task refers to other values (${…}), which a results folder may not look up"
    wrong = [] if places is None else list(option_faults("task", {**node, **places}))
    more = f" (and {len(wrong) - 1} more)" if wrong[1:] else ""
    return f"the study's task does not fit this version of the program: {wrong[0]}{more}" if wrong else None


def takes_path(node: Mapping[str, Any], trust: Collection[str] = ()) -> bool:
    """Returns whether a folder's task takes a path; for a task that may not be built, whether it holds one."""
    if not isinstance(node.get("_target_"), str) or strangers(node, trust):
        return "path" in node
    try:
        return "path" in inspect.signature(find_target(current_target(node["_target_"]))).parameters
    except (NoTarget, TypeError, ValueError):  # building the task tells the user what is wrong
        return "path" in node


def rebuild_task(node: Mapping[str, Any], said: Mapping[str, Any], trust: Collection[str] = ()) -> Source:
    """Returns the source of a folder's task, its places replaced by those that the user `said` (path, cache).

    BadInput for a task that may not be built, and for one whose parameters do not fit its function.
    """
    places = {name: said.get(name) for name in ("path", "cache") if name in node or name in said}
    why = refusal(node, trust, places)
    if why:
        raise BadInput(why)
    try:
        source = build({**node, **places})
    except (InstantiationException, OmegaConfBaseException) as error:
        raise BadInput(f"the study's task cannot be built: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(source, Source):
        raise BadInput(f"the study's task {bare(node)['_target_']} makes no source of data")
    return source
