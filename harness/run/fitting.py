"""Lists the reasons why an arm and a task do not fit together, one line each."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from harness.arm import DATA_FACTORS
from harness.data import Task
from harness.errors import BadInput
from harness.learners.adapt import LIMITS
from harness.learners.tuned import read_space
from harness.run.options import DECLARED, asks_of, build, current_target, lacks_of, layers, name_of, needs_of
from harness.storage.places import install_command
from harness.strategies.tuning import strategy_space
from harness.tables import is_raw

Node = Mapping[str, Any]


def misfits(arm: Mapping[str, Node], task: Task, probe: Node | None = None) -> list[str]:
    """Returns why the options of an arm do not fit the task, one another, or the machine.

    Covers the modality, properties that the task lacks, what the model cannot take, and missing packages. `probe` is
    checked if an option needs one.
    """
    lines = [line for where, node in arm.items() for line in alone(where, node, task)]
    lines += [line for where, node in arm.items() for line in _with_probe(where, node, probe, task)]
    return [*lines, *_with_budget(arm, task), *_with_model(arm, task)]


def alone(where: str, node: Node, task: Task) -> Iterator[str]:
    """Yields why an option, or a model within it, does not fit the task or the machine, whatever the other options."""
    for layer in layers(node):
        yield from _layer_alone(f"{where} ({name_of(layer)})", layer, task)
    yield from _tuned_within(where, node)


TUNED = ("harness.strategies.tuning.tuned_strategy", "harness.learners.tuned.tuned")
"""The functions that stand for a search: of a strategy, which is done around the whole trial, or of a model."""


def _tuned_within(where: str, node: Node) -> Iterator[str]:
    """Yields a line for an option that is tuned within another one, or as a probe.

    A strategy would keep the parameters that it has, unnoticed; a model would be searched once for each member, fold or
    configuration of what is around it, and so try more configurations than another arm may.
    """
    inner = [each for value in _outside(node) for each in _targets(value)]
    if where == "probe" and any(_is_search(each) for each in (node, *inner)):
        yield "the probe is a tuned model, and a probe has no validation rows to be tuned on: set model@probe=NAME"
    elif any(map(_is_search, inner)):
        add = "+" if where == "model" else ""
        yield (
            f"{where} ({name_of(node)}) has a tuned option within it, which is not searched as an arm's own is: put "
            f"the search outside, {where}=tuned {add}{where}@{where}.of=NAME, where NAME is the outer option"
        )


def _is_search(node: Node) -> bool:
    """Returns whether a node is tuned."""
    return current_target(str(node["_target_"])) in TUNED


def _outside(node: Node) -> Iterator[Any]:
    """Yields the parameters of an option without its declarations, which name what it wraps a second time."""
    return (value for name, value in node.items() if name not in DECLARED)


def _targets(value: Any) -> Iterator[Node]:
    """Yields all nodes in a value that name a target."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield value
        for inner in _outside(value):
            yield from _targets(inner)


NAMED: Mapping[str, str] = {
    "tuning": "validation rows", "valid": "validation rows", "cells": "raw cells", "pool": "rows without a label",
}  # fmt: skip
"""What some needs mean of a task, in words."""


def _layer_alone(who: str, node: Node, task: Task) -> Iterator[str]:
    fits = node.get("fits") or [task.modality]
    if task.modality not in fits:
        yield f"{who} is for {' or '.join(fits)}; task {task.name} is {task.modality}"
    has = {
        "votes": task.train.votes.shape[1] > 0, "gold": bool((task.gold >= 0).any()),
        "valid": len(task.valid) > 0, "tuning": len(task.valid) > 0,
        "cells": is_raw(task.train.x), "pool": not task.train.labelled.all(),
    }  # fmt: skip
    for need in sorted(node.get("needs") or []):
        if not has.get(need, True):
            what = NAMED.get(need, need)
            yield f"{who} needs {what}, which task {task.name} does not have"
    yield from _with_wrapped(who, node)
    yield from missing_packages(who, node)


def _with_wrapped(who: str, node: Node) -> Iterator[str]:
    """Yields why an effort does not fit the model or the strategy that it wraps."""
    inner = node.get("wraps") or {}
    for ask in node.get("asks") or []:
        if ask in lacks_of(inner):
            yield f"{name_of(inner)} cannot take {LIMITS[ask]}, which {who} asks of it"
    if "over" in node:
        try:
            _read_space(node)
        except BadInput as error:
            yield f"{who} with {name_of(inner)}: {error}"


def _read_space(node: Node) -> None:
    """Raises BadInput for a space that is not one of the model or the strategy that the option tunes."""
    if "strategy" in node:
        strategy_space(node["over"], build(node["strategy"]))
    else:
        read_space(node["over"], build(node["learner"]))


def missing_packages(who: str, node: Node) -> Iterator[str]:
    """Yields the packages and programs that an option needs and this machine lacks, with how to install them."""
    for module, extra in (node.get("extra") or {}).items():
        if importlib.util.find_spec(module) is None:
            yield f"{who} needs {module}, which is not installed: {install_command(extra)}"
    for program in node.get("programs") or []:
        if shutil.which(program) is None:
            yield f"{who} needs the program '{program}', which is not on the PATH: install it first"


def absences(arm: Mapping[str, Node]) -> list[str]:
    """Returns the packages and programs that the options of an arm need and this machine lacks, one line each."""
    within = ((f"{where} ({name_of(layer)})", layer) for where, node in arm.items() for layer in layers(node))
    return [line for who, layer in within for line in missing_packages(who, layer)]


def _with_probe(where: str, node: Node, probe: Node | None, task: Task) -> Iterator[str]:
    """Yields why the probe cannot provide what an option needs."""
    lacks, needs = lacks_of(probe or {}), needs_of(node)
    if not needs & {"probe", "dynamics"} or probe is None:
        return
    yield from alone("probe", probe, task)
    if "probe" in needs and "probabilities" in lacks:
        yield f"{where} ({name_of(node)}) needs a probe that gives probabilities; {name_of(probe)} gives none"
    if "dynamics" in needs and "dynamics" in lacks:
        yield f"{where} ({name_of(node)}) needs a probe that trains in steps, and {name_of(probe)} does not"
    if "missing_values" in lacks and task.facts.get("missing") and "complete" not in (node.get("gives") or []):
        there = f"task {task.name} has {task.facts['missing']}"
        yield f"probe ({name_of(probe)}) cannot take missing values, and {there}: choose another probe"


def _with_budget(arm: Mapping[str, Node], task: Task) -> Iterator[str]:
    """Yields a line if an option asks for more labels than there are rows."""
    node, weak = arm.get("clean") or {}, arm.get("weak")
    pool, wanted = int((~task.train.labelled).sum()), (weak or {}).get("k")
    if "pool" in needs_of(weak or {}) and isinstance(wanted, int) and wanted > pool > 0:
        who = f"weak ({name_of(weak or {})})"
        yield f"{who} asks for k={wanted} labels, but task {task.name} has {pool} rows without a label"
    k, lends = node.get("k"), weak is not None and name_of(weak) != "none"
    most = len(task.train) if lends else int(task.train.labelled.sum())
    if "gold" in needs_of(node) and isinstance(k, int) and k > most:
        what = "rows" if lends else "labelled rows"
        yield f"clean ({name_of(node)}) asks for k={k} labels, but task {task.name} has {most} {what} to train on"


def _with_model(arm: Mapping[str, Node], task: Task) -> Iterator[str]:
    """Yields what the arm's strategies and the task require of the model that it cannot take."""
    if "model" not in arm:
        return
    model = arm["model"]
    lacks, who = lacks_of(model), f"model ({name_of(model)})"
    for where in DATA_FACTORS:
        node = arm.get(where) or {}
        asked = [*asks_of(node), *(["augmentation"] if _augments(where, node) else [])]
        for what in asked:
            if what in lacks:
                yield f"{who} cannot take {LIMITS[what]}, which {where} ({name_of(node)}) asks of it"
    filled = any("complete" in (arm[where].get("gives") or []) for where in DATA_FACTORS if where in arm)
    if "missing_values" in lacks and task.facts.get("missing") and not filled:
        there = f"task {task.name} has {task.facts['missing']}"
        yield f"{who} cannot take missing values, and {there}: use clean=impute or another model"


def _augments(where: str, node: Node) -> bool:
    """Returns whether an option sets a batch function; one that adds rows does not, nor does a reference."""
    return (
        where == "augment" and bool(node) and not node.get("reference_kind") and "rows" not in (node.get("gives") or [])
    )
