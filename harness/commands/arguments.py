"""Parses the arguments of a command."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.checks import choices
from harness.errors import BadInput


def parse(words: Sequence[str], known: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Returns the positional arguments of a command, without its own name, and its options.

    `name=value`, `--name=value` and `--name value` mean the same. BadInput for an option that is not `known`, is given
    twice, or has no value.
    """
    plain: list[str] = []
    options: dict[str, str] = {}
    rest = list(words[1:])
    while rest:
        word = rest.pop(0)
        name, sign, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") and not sign:
            plain.append(word)
            continue
        if name not in known:
            raise BadInput(f"{words[0]} has no option '{name}'{choices(name, known)}")
        if not sign and (not rest or rest[0].startswith("--")):
            raise BadInput(f"{words[0]}: {name} needs a value, as in {name}=…")
        if name in options:
            raise BadInput(f"{words[0]}: {name} is given twice")
        options[name] = value if sign else rest.pop(0)
    return plain, options


def trusted_functions(options: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the functions that `trust=mine.task,…` allows a results folder to name, and makes them importable."""
    names = tuple(name.strip() for name in options.get("trust", "").split(",") if name.strip())
    if names and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return names
