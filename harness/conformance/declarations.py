"""Checks an option's YAML: its description, its parameters, and that it sets no budget of its own."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from hydra.utils import get_object

from harness.arm import EVERY_OPTION, REFERENCES
from harness.conformance.promises import require
from harness.learners import Protocol
from harness.run.options import DECLARED, FAMILIES

PASSED = (
    ["train", "tools"], ["train", "valid", "run"], ["rows", "k"], ["logits", "y", "w", "epoch"],
    ["train", "tools", "eligible", "count"],
)  # fmt: skip
"""What the harness passes to strategies, learners, networks, losses and queries by position."""


NEEDS = ("votes", "gold", "probe", "dynamics", "valid", "test", "tuning", "cells", "pool")
"""What an option may need."""


def check_declares(text: str, node: Mapping[str, Any]) -> None:
    """Checks that the first line describes the option, and that it is partial and declares what it fits and needs."""
    require(text.startswith("# "), "the first line must say what the option does")
    require(node.get("_partial_") is True, "_partial_ must be true")
    require(node.get("fits"), "fits must name at least one modality")
    require(set(node["fits"]) <= {"image", "text", "table"}, f"fits {node['fits']} names an unknown modality")
    require(set(node.get("needs", [])) <= set(NEEDS), f"needs {node.get('needs')} names an unknown need")
    require(
        node.get("reference_kind") in (None, *REFERENCES),
        f"reference_kind must be one of {', '.join(REFERENCES)}, or absent",
    )
    require(
        bool(node.get("reference_kind")) == bool(node.get("reference_for")),
        "reference_kind and reference_for go together: the kind of reference, and the options beside which it is one",
    )


def check_references(group: str, node: Mapping[str, Any], names: Sequence[str]) -> None:
    """Checks that `reference_for` lists options of the group (`names` are all of them), families, or `all`."""
    known = [EVERY_OPTION, *FAMILIES[group], *names]
    wrong = [word for word in node.get("reference_for") or [] if word not in known]
    require(
        not wrong, f"reference_for names {', '.join(map(repr, wrong))}, which is no option and no family of {group}"
    )


def check_binds(node: Mapping[str, Any]) -> None:
    """Checks that exactly the hyper-parameters are keyword-only and in the YAML, also in inner nodes."""
    for inner in nodes_of(node):
        target = inner["_target_"]
        parameters = inspect.signature(get_object(target)).parameters.values()
        given = {name for name in inner if name not in (*DECLARED, "_target_", "_partial_")}
        wild = [p.name for p in parameters if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        require(not wild, f"{target} takes *{''.join(wild[:1])}: a misspelt parameter would be ignored")
        hyper = {p.name for p in parameters if p.kind == p.KEYWORD_ONLY}
        loose = [p.name for p in parameters if p.kind != p.KEYWORD_ONLY]
        require(loose in PASSED, f"{target} takes {loose} by position, not {PASSED}: the rest must be keyword-only")
        require(given <= hyper, f"{target} has no parameter {sorted(given - hyper)}")
        require(given >= hyper, f"{target}: {sorted(hyper - given)} must be in the YAML")


def check_no_private_budget(node: Mapping[str, Any]) -> None:
    """Checks that a model does not set what the protocol sets for all arms."""
    shared = {field.name for field in fields(Protocol)}
    for inner in nodes_of(node):
        own = sorted(shared & set(inner))
        require(not own, f"{inner['_target_']} sets {own} itself; the protocol sets them for all arms")


def nodes_of(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields the node and its inner nodes that name a target."""
    if "_target_" in node:
        yield node
    for value in node.values():
        if isinstance(value, Mapping):
            yield from nodes_of(value)
