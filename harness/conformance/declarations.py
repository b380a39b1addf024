"""Checks what an option's YAML says: that it describes itself, binds to its function, and brings no budget."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from hydra.utils import get_object

from harness.arm import REFERENCES
from harness.conformance.promises import require
from harness.learners import Protocol
from harness.run.options import DECLARED

PASSED = (["train", "tools"], ["train", "valid", "run"], ["rows", "k"], ["logits", "y", "w", "epoch"])
"""What the harness passes to strategies, learners, networks and losses by position."""


NEEDS = ("votes", "gold", "probe", "dynamics", "valid", "test", "tuning", "cells")
"""What an option may need."""


def check_declares(text: str, node: Mapping[str, Any]) -> None:
    """A first line says what the option does; it is partial, and says what it fits and needs."""
    require(text.startswith("# "), "the first line must say what the option does")
    require(node.get("_partial_") is True, "_partial_ must be true")
    require(node.get("fits"), "fits must name at least one modality")
    require(set(node["fits"]) <= {"image", "text", "table"}, f"fits {node['fits']} names no modality")
    require(set(node.get("needs", [])) <= set(NEEDS), f"needs {node.get('needs')} names nothing known")
    require(
        node.get("reference_kind") in (None, *REFERENCES),
        f"reference must be one of {', '.join(REFERENCES)}, or absent",
    )


def check_binds(node: Mapping[str, Any]) -> None:
    """Every hyper-parameter is keyword-only and in the YAML, and nothing else is; the same for nodes within."""
    for inner in nodes_of(node):
        target = inner["_target_"]
        parameters = inspect.signature(get_object(target)).parameters.values()
        given = {name for name in inner if name not in (*DECLARED, "_target_", "_partial_")}
        wild = [p.name for p in parameters if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        require(not wild, f"{target} takes *{''.join(wild[:1])}: a misspelt parameter would be ignored")
        hyper = {p.name for p in parameters if p.kind == p.KEYWORD_ONLY}
        loose = [p.name for p in parameters if p.kind != p.KEYWORD_ONLY]
        require(loose in PASSED, f"{target} takes {loose} by place, none of {PASSED}: the rest must be keyword-only")
        require(given <= hyper, f"{target} has no parameter {sorted(given - hyper)}")
        require(given >= hyper, f"{target}: {sorted(hyper - given)} must stand in the YAML")


def check_no_private_budget(node: Mapping[str, Any]) -> None:
    """A model brings nothing of its own that the protocol gives to all arms alike."""
    shared = {field.name for field in fields(Protocol)}
    for inner in nodes_of(node):
        own = sorted(shared & set(inner))
        require(not own, f"{inner['_target_']} has {own} of its own; the protocol gives them to all arms")


def nodes_of(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The node and those within it that name a target."""
    if "_target_" in node:
        yield node
    for value in node.values():
        if isinstance(value, Mapping):
            yield from nodes_of(value)
