"""Writes a design as a commented study file, and knows such a file again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml

from harness.asking.budget import Design
from harness.errors import BadInput

_MARK = re.compile(r"^# made by: (.*) \(sum (\w{12})\)$", re.M)
State = Literal["absent", "same", "edited", "other", "foreign"]


def study_text(
    name: str, task: str, settings: Mapping[str, Any], baseline: Sequence[str], design: Design, more: Mapping[str, Any],
    said: Sequence[str], command: str,
) -> str:  # fmt: skip
    """Returns the YAML of a study, with what was understood and why each arm is there as comments.

    `settings` are the task's, `more` what else the user set (protocol, price), `said` the lines for the head, `command`
    what made it.
    """
    choices = [f"override /task: {task}", *(_default(word) for word in baseline), "override /hydra/sweeper: study"]
    body = [
        "defaults:", *(f"  - {choice}" for choice in choices), "", f"study: {name}",
        *_block("task", {**settings, **({"n_train": design.n_train} if design.n_train else {})}),
        *(line for key, value in more.items() for line in _block(key, value)),
        f"seeds: {list(range(design.seeds))}", "arms:", *_arm_lines(design), *_cross_lines(design),
    ]  # fmt: skip
    text = "\n".join(body) + "\n"
    head = [
        "# @package _global_",
        f"# made by: {command} (sum {_sum(text)})",
        f"# To run it: harness -m experiments={name}",
    ]
    return "\n".join([*head, "#", *(f"# {_comment(line)}" for line in said)]) + "\n" + text


def file_state(path: Path, command: str) -> State:
    """Returns what lies at `path`: nothing, what this command or another one wrote, that but edited, or a user's."""
    if not path.is_file():
        return "absent"
    text = path.read_text(encoding="utf-8")
    mark = _MARK.search(text)
    if mark is None:
        return "foreign"
    if mark[1] == command:
        return "same"
    body = text[text.find("\ndefaults:\n") + 1 :]
    return "other" if _sum(body) == mark[2] else "edited"


def check_free(path: Path, command: str, name: str) -> State:
    """Returns the state of the file; BadInput if it holds a user's own work, which this command must not replace."""
    state = file_state(path, command)
    if state in ("foreign", "edited"):
        why = "was edited since it was made" if state == "edited" else "is a study of your own"
        raise BadInput(f"{path} {why}: run it as harness -m experiments={name}, or choose another name with name=…")
    return state


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _default(override: str) -> str:
    """Returns an override of the baseline as an entry of the defaults list."""
    place, _, option = override.partition("=")
    group, _, package = place.partition("@")
    return f"override /{group}@{package}: {option}"


def _comment(line: str) -> str:
    return re.sub(r"[\s\x00-\x1f\x7f]+", " ", line).strip()


def _block(key: str, values: Any) -> list[str]:
    if not isinstance(values, Mapping):
        return [f"{key}: {_flow(values)}"]
    return [f"{key}:", *(f"  {name}: {_flow(value)}" for name, value in values.items())] if values else []


def _flow(value: Any) -> str:
    """Returns a value as YAML on one line: JSON, in which no text is taken for something else."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w./-]*", value) and yaml.safe_load(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False).replace("${", "\\\\${") if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return "[" + ", ".join(map(_flow, value)) + "]" if isinstance(value, list | tuple) else json.dumps(value)


def _arm_lines(design: Design) -> list[str]:
    """Returns the arms, each reference before what is held against it, with the reasons as comments."""
    lines: list[str] = []
    written: set[tuple[str, ...]] = set()
    for one in design.proposals:
        for arm in one.arms:
            if arm in written:
                continue
            written.add(arm)
            why = one.why if arm == one.arm else "reference: as much change, at random"
            lines.append(f"  - {_arm(arm)} # {why}")
    return lines


def _arm(arm: Sequence[str]) -> str:
    return arm[0] if len(arm) == 1 else f"[{', '.join(map(_flow, arm))}]"


def _cross_lines(design: Design) -> list[str]:
    """Returns the groups that are crossed, so that what both sides gain together is measured as well."""
    data = [one for one in design.of("data") if one.crosses]
    if not design.combined or not data:
        return []
    groups = [[_arm(one.arm) for one in side] for side in (design.combined, data)]
    head = "# Every combination of these is run as well: what do model and data gain together?"
    return [head, "cross:", *(f"  - [{', '.join(group)}]" for group in groups)]
