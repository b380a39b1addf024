"""Defines what an arm may change, its levels and its label.

A level is read from a trial's identity. A label and the names of levels are made from the user's overrides and are
only printed: no code parses them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

FACTORS = ("model", "weak", "clean", "augment")
"""The groups that make an arm, in the order in which a trial reads them."""
DATA_FACTORS = ("weak", "clean", "augment")
ARM_ROOTS = (*FACTORS, "salt")
"""What an arm may change; everything else belongs to the block and is shared with the control."""
BASELINE = "baseline"
T = TypeVar("T", bound=Hashable)


REFERENCES = ("negative_control", "simple_baseline", "upper_bound")
"""Kinds of references: arms that others are compared with.

A negative control makes as many changes at random, a simple baseline is the obvious method, and an upper bound gets
every true label, which no method has. An option declares beside which others it is one (`reference_for`).
"""
EVERY_OPTION = "all"
"""In `reference_for`: every other option of the factor."""


def reference_of(kinds: Sequence[str | None]) -> str:
    """Returns the kind of an arm from the kinds of the options that it changes; "" if it is no reference.

    One random part makes it a negative control, else one true label for every row an upper bound. It is a simple
    baseline only if all of its options are.
    """
    for kind in ("negative_control", "upper_bound"):
        if kind in kinds:
            return kind
    return "simple_baseline" if kinds and all(kinds) else ""


def may_win(reference: str) -> bool:
    """Returns whether an arm of that kind may be chosen as best: no negative control and no upper bound may.

    A simple baseline may: beside using no votes, a majority vote is a method like any other.
    """
    return reference in ("", "simple_baseline")


def kind_in_words(reference: str) -> str:
    """Returns the printed form of a kind of reference."""
    return reference.replace("_", " ")


@dataclass(frozen=True)
class Level:
    """Holds an arm's choice for one factor. Levels are equal if their `value` is, whatever `name` is printed.

    `value` is canonical JSON of the factor's part of the trial's identity, or "" for the baseline's. `brief` is a
    shorter name for figures.
    """

    value: str = ""
    name: str = field(default="", compare=False)
    brief: str = field(default="", compare=False)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __str__(self) -> str:
        return self.name


SAME = Level()
"""The baseline's level."""


def axis_of(factors: tuple[str, ...]) -> str:
    """Returns `model`, `data`, `both`, or `none` if nothing differs."""
    model, data = "model" in factors, any(name in DATA_FACTORS for name in factors)
    return {(True, True): "both", (True, False): "model", (False, True): "data"}.get((model, data), "none")


def factors_of(trial: Mapping[str, Any], control: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the factors in which two trials' identities differ."""
    return tuple(name for name in FACTORS if trial[name] != control[name])


def levels_of(
    trial: Mapping[str, Any], control: Mapping[str, Any], names: Mapping[str, str], overrides: Sequence[str] = ()
) -> dict[str, Level]:
    """Returns the level of each factor, and of the salt, from the identities of a trial and of its control.

    `names` holds the printed names of levels; a level without one is named by its function. Short names are written
    from `overrides`, those of the arm.
    """
    return {
        part: _level(part, trial[part], names.get(part), [item for item in overrides if factor_of(item) == part])
        if trial.get(part) != control.get(part)
        else SAME
        for part in ARM_ROOTS
    }


def _level(part: str, node: Any, name: str | None, overrides: Sequence[str]) -> Level:
    name = name or _name(part, node)
    return Level(canonical(node), name, brief_of(overrides) if overrides else name)


def canonical(node: Any) -> str:
    """Returns canonical JSON, the same for equal nodes."""
    return json.dumps(node, sort_keys=True, ensure_ascii=False)


def combine(levels: Sequence[Level]) -> Level:
    """Combines the levels of several factors into one."""
    if not any(levels):
        return SAME
    changed = [level for level in levels if level]
    return Level(
        canonical([level.value for level in levels]),
        " ".join(level.name for level in changed),
        " + ".join(level.brief for level in changed),
    )


def _name(part: str, node: Any) -> str:
    function = node.get("_target_", "") if isinstance(node, Mapping) else str(node)
    return f"{part}={function.rpartition('.')[2]}"


def arm_overrides(overrides: Iterable[str]) -> tuple[str, ...]:
    """Returns the user's overrides that define the arm."""
    return tuple(item for item in overrides if factor_of(item) in ARM_ROOTS)


def label_of(overrides: Sequence[str]) -> str:
    """Writes an arm's label: its overrides as the user wrote them, values with spaces in quotes."""
    return " ".join(map(_shown, overrides)) or BASELINE


def names_of(overrides: Sequence[str]) -> dict[str, str]:
    """Writes the name of each level that the overrides of an arm choose."""
    parts = dict.fromkeys(factor_of(item) for item in overrides)
    return {part: " ".join(_shown(item) for item in overrides if factor_of(item) == part) for part in parts}


def brief_of(overrides: Sequence[str]) -> str:
    """Writes an arm's short name, for figures: `resnet8 width=64 + label_model`, options without their groups."""
    parts: dict[str, str] = {}
    for item in overrides:
        group, shown = factor_of(item), _shown(item)
        key, _, value = shown.partition("=")
        if key == group and group in FACTORS and value != "none":
            shown = value
        parts[group] = f"{parts[group]} {shown.removeprefix(f'{group}.')}" if group in parts else shown
    return " + ".join(parts.values()) or BASELINE


def distinct(briefs: Mapping[T, str], names: Mapping[T, str]) -> dict[T, str]:
    """Returns a name for each thing: the short one, the whole one if others share the short one, else with a number."""
    often, used = Counter(briefs.values()), Counter[str]()
    called: dict[T, str] = {}
    for one, brief in briefs.items():
        name = names[one] if often[brief] > 1 else brief
        used[name] += 1
        called[one] = name if used[name] == 1 else f"{name} ({used[name]})"
    return called


@cache
def _shown(override: str) -> str:
    """Returns the override without its `+`; a value with spaces gets quotes, so that the label can be pasted.

    What no parser reads (a record may come from anywhere) is shown as it is.
    """
    plain = override.lstrip("+")
    try:
        value = OverridesParser.create().parse_override(override).value()
    except HydraException:
        return plain
    key, _, text = plain.partition("=")
    if not isinstance(value, str) or not any(map(str.isspace, value)) or text.lstrip()[:1] in ("'", '"'):
        return plain
    return f"{key}={QuotedString(value, Quote.single).with_quotes()}"


def factor_of(override: str) -> str:
    """Returns what an override sets: `clean` for `clean=oracle`, `baseline` for `model@baseline.model=mlp`."""
    group, _, place = override.lstrip("+~").split("=")[0].partition("@")
    return (place or group).split(".")[0]
