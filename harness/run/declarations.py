"""Checks the declarations in an option's YAML against the words that are allowed."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, get_args

from harness.arm import DATA_FACTORS, EVERY_OPTION, FACTORS, REFERENCES, kind_in_words
from harness.checks import choices
from harness.data import Modality
from harness.learners.adapt import LIMITS
from harness.run.targets import NoTarget, find_target

NEEDS = ("votes", "gold", "probe", "dynamics", "valid", "test", "tuning", "cells", "pool")
"""What an option may need: tools that the harness lends, or properties of the task."""
GIVES = ("rows", "complete", "features")
WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"fits": get_args(Modality), "needs": NEEDS, "lacks": tuple(LIMITS), "asks": tuple(LIMITS), "gives": GIVES}
)
"""The words that each declaration may list."""


def declaration_faults(where: str, node: Mapping[str, Any]) -> Iterator[str]:
    """Yields a line for each declaration in a node that is not a list of known words, and for `_partial_`.

    `asks` may also map the values of the parameter `handle` to such lists.
    """
    for name, known in WORDS.items():
        value = node.get(name)
        if value is None:
            continue
        lists = value.values() if name == "asks" and isinstance(value, Mapping) else [value]
        for words in lists:
            yield from _word_faults(f"{where}.{name}", words, known)
    if node.get("fits") == []:
        yield f"{where}.fits is empty: it must list what the option is for, as in [{WORDS['fits'][0]}]"
    for name, wanted in (("extra", Mapping), ("programs", list), ("space", Mapping)):
        if node.get(name) is not None and not isinstance(node[name], wanted):
            shape = "a list, as in [java]" if wanted is list else "a mapping, as in {NAME: VALUE}"
            yield f"{where}.{name} is {node[name]!r}: it must be {shape}"
    yield from _reads_faults(where, node)
    yield from _reference_faults(where, node.get("reference_kind"), node.get("reference_for"))
    yield from _partial_faults(where, node)


def _reference_faults(where: str, kind: Any, options: Any) -> Iterator[str]:
    """Yields what is wrong with the kind of a reference and the list of options beside which it is one."""
    if kind is not None and kind not in REFERENCES:
        yield f"{where}.reference_kind is {kind!r}{choices(str(kind), REFERENCES)}"
    listed = isinstance(options, list) and options and all(isinstance(word, str) for word in options)
    if kind is not None and not listed:
        yield (
            f"{where}.reference_for is {options!r}: list the options or families beside which it is a "
            f"{kind_in_words(str(kind))}, as in [confident], or [{EVERY_OPTION}]"
        )
    if kind is None and options is not None:
        yield f"{where}.reference_for has no effect without reference_kind: one of {', '.join(REFERENCES)}"


def _reads_faults(where: str, node: Mapping[str, Any]) -> Iterator[str]:
    """Yields what is wrong with the function that is to read the option's files."""
    target = node.get("reads")
    if target is None:
        return
    try:
        parameters = inspect.signature(find_target(str(target))).parameters.values()
    except (NoTarget, TypeError, ValueError) as error:
        yield f"{where}.reads: {target} is not a function: {error}"
        return
    asked = {each.name for each in parameters if each.kind == each.KEYWORD_ONLY} - {"exact"}
    yield from (f"{where}.reads: {target} asks for '{name}'{choices(name, node)}" for name in asked if name not in node)


def _word_faults(where: str, words: Any, known: tuple[str, ...]) -> Iterator[str]:
    """Yields what is wrong with one list of words."""
    if not isinstance(words, list):
        yield f"{where} is {words!r}: it must be a list, as in [{known[0]}]"
        return
    yield from (
        f"{where} has the unknown word {word!r}{choices(str(word), known)}" for word in words if word not in known
    )


def _partial_faults(where: str, node: Mapping[str, Any]) -> Iterator[str]:
    """Yields a line if `_partial_` is missing for a function that is called later, or set for one that is not."""
    factor = where.rpartition(".")[2]
    called_later = factor in FACTORS or factor == "probe"
    what = "strategy" if factor in DATA_FACTORS else "model"
    if called_later and node.get("_partial_") is not True:
        yield (
            f"{where} ({node['_target_']}) lacks '_partial_: true': a {what}'s function is called with the data later, "
            "and its YAML sets the parameters only"
        )
    if factor in ("task", "protocol") and node.get("_partial_"):
        yield f"{where} ({node['_target_']}) has '_partial_: true', but a {factor} is made at once: remove that line"
