"""Reads the files that options name (answers, rules, edits, cleaned versions, lexicons) before the first trial runs.

An option declares `reads: package.module.function` in its YAML. That function is called as `(train, tools, *, …)` with
those of the option's parameters that it names; it raises BadInput for a file that is absent, malformed, or about other
rows. `train` is the training set of the study's first seed, and `tools` lend classes and cache. If it has a parameter
`exact`, that says whether the strategy will get this very set: a strategy before it may change labels and cells.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from harness.arm import DATA_FACTORS
from harness.data import Task
from harness.errors import BadInput
from harness.run.fitting import Node
from harness.run.options import name_of
from harness.run.targets import find_target
from harness.storage.cache import Cache
from harness.strategies import Tools
from harness.streams import stream


def side_file_faults(arms: Iterable[Mapping[str, Node]], task: Task, cache: Cache) -> list[str]:
    """Returns what is wrong with the files of all these arms, one line each; no file is read twice for one purpose."""
    tools, lines = _reading_tools(task, cache), dict[str, str | None]()
    for arm in arms:
        for where, node, exact in _readers(arm):
            read = find_target(str(node["reads"]))
            given = {**node, "exact": exact}
            named = {name: given[name] for name in inspect.signature(read).parameters if name in given}
            call = json.dumps([where, node["reads"], named], sort_keys=True)
            if call not in lines:
                lines[call] = _fault(read, task, tools, named, f"{where} ({name_of(node)})")
    return list(dict.fromkeys(line for line in lines.values() if line))


def _fault(read: Any, task: Task, tools: Tools, named: Mapping[str, Any], who: str) -> str | None:
    try:
        read(task.train, tools, **named)
    except BadInput as error:
        return f"{who}: {error}"
    except OSError as error:
        return f"{who}: {error.filename} cannot be read: {error.strerror or error}"
    return None


def _readers(arm: Mapping[str, Node]) -> Iterator[tuple[str, Node, bool]]:
    """Yields the factor and the node of each option that reads files, nested ones too, and whether its set is known."""
    untouched = True
    for where in DATA_FACTORS:
        node = arm.get(where) or {}
        for inner in _nested(node):
            if inner.get("reads"):
                yield where, inner, untouched and inner is node
        untouched &= name_of(node) == "none" if node else True


def _nested(node: Any) -> Iterator[Node]:
    """Yields a node and all nodes within it that name a target."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield node
        for value in node.values():
            yield from _nested(value)


def _reading_tools(task: Task, cache: Cache) -> Tools:
    def refused(*_: Any) -> Any:
        raise BadInput("a function that reads an option's files gets no label, no probe and no other part of the task")

    return Tools(
        rng=stream(0, "side files"), pred_probs=refused, dynamics=refused, fold_probes=refused, ask=refused,
        valid=refused, in_test=refused, count=lambda what, number: None, note=lambda what, words: None,
        classes=task.classes, cache=cache, device="cpu",
    )  # fmt: skip
