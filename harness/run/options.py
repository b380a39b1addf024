"""An option's YAML node in, the function that it stands for and what it declares out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import hydra.utils

from harness.checks import one_of
from harness.errors import BadInput

DECLARED = (
    "fits", "needs", "reference_kind", "lacks", "asks", "gives", "extra", "programs", "space", "paper", "library",
    "cost", "wraps", "of", "family",
)  # fmt: skip
"""What an option's YAML says of itself; never passed to its function and no part of a trial's identity.

`fits`: modalities. `needs`: what the harness must lend it (votes, gold, probe, dynamics, valid, test, tuning), or the
task must have: `cells`, those of a raw table. `reference_kind`: what kind of reference the option is, if it is one
(`harness.arm.REFERENCES`). `lacks`: what a model cannot take (see learners/adapt.py). `asks`: which of those things a
strategy asks of the model, or a mapping to them from what its parameter `handle` may be. `gives`: `rows` where a
strategy adds some, `complete` where it fills missing values in, `features` where it changes what stands in a table's
rows (and leaves the same transform for those that are predicted). `extra`: by module, the extra of this project that
installs it; `programs`: what must be on the PATH. `space`: what may be tuned, by dotted name. `paper`, `library`,
`cost`: for the table of arms. `wraps`: the model that an effort is spent on, the baseline's unless `of` names another;
what that one declares holds for the effort too. `family`: the options among which it is listed, one of `FAMILIES`.
"""
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "model": ("linear models", "trees", "networks", "pretrained", "automl", "efforts"),
    "weak": ("votes", "annotator models", "label models", "row selection", "own votes", "true labels", "reference"),
    "clean": (
        "label errors",
        "bought labels",
        "duplicates",
        "leaks",
        "outliers",
        "class balance",
        "table cells",
        "versions by hand",
        "reference",
    ),
    "augment": ("images", "image policies", "texts", "table rows", "class balance", "mixing", "reference"),
}
"""The families of each factor's options, in the order in which they are listed."""
OTHER_FAMILY = "other"
"""The family of an option that declares none: of a user's own."""
_PLACES = ("path", "cache", "forward", "backward", "encoder")
"""Parameters that say where something lies: the content stands for them in a trial's identity."""


MOVED: Mapping[str, str] = {
    "harness.track.wandb": "harness.run.track.wandb",
    "harness.track.nothing": "harness.run.track.nothing",
}
"""Targets that moved: the path under which records know a function, and the path at which it lies now.

A trial's identity holds the first path, whichever of the two a YAML names, so a move orphans no record; the second one
is imported, so an old YAML goes on working. A function that moves twice keeps its first entry, with the newest path.
"""


def hashed_target(target: str, moved: Mapping[str, str] = MOVED) -> str:
    """Returns the path under which a trial's identity holds a target: that of its oldest records."""
    now = moved.get(target, target)
    return next((old for old, new in moved.items() if new == now), target)


def current_target(target: str, moved: Mapping[str, str] = MOVED) -> str:
    """Returns the path at which a target lies now."""
    return moved.get(target, target)


def moved_targets(node: Any) -> list[str]:
    """Returns a line for each target in a config that moved, with the path to write instead."""
    if isinstance(node, Mapping):
        old = node.get("_target_")
        own = [f"{old} is now {MOVED[old]}: please name the new path"] if isinstance(old, str) and old in MOVED else []
        return [*own, *(line for value in node.values() for line in moved_targets(value))]
    return [line for value in node for line in moved_targets(value)] if isinstance(node, list) else []


def build(node: Mapping[str, Any]) -> Any:
    """Instantiates an option: a partial function for a strategy or a learner, a `Source` for a task."""
    try:
        return _unchecked(hydra.utils.instantiate(bare(node), _convert_="all"))
    except hydra.errors.InstantiationException as error:
        if isinstance(error.__cause__, BadInput):
            raise error.__cause__ from None
        raise


def _unchecked(made: Any) -> Any:
    """The same function without the checks that Hydra makes at every call: a loss is called at every step."""
    if not isinstance(made, partial):
        return made
    return partial(made.func, *made.args, **{name: _unchecked(value) for name, value in made.keywords.items()})


def bare(node: Any) -> Any:
    """The node without what it and those within it declare of themselves."""
    if not isinstance(node, Mapping):
        return node
    kept = {name: bare(value) for name, value in node.items() if name not in DECLARED}
    return {**kept, "_target_": current_target(kept["_target_"])} if "_target_" in kept else kept


def layers(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """An option, the model that it wraps, the one that this wraps, and so on."""
    inner: Mapping[str, Any] | None = node
    while inner:
        yield inner
        inner = inner.get("wraps")


def needs_of(node: Mapping[str, Any]) -> set[str]:
    """What an option, or a model within it, says that the harness must lend it."""
    return {need for layer in layers(node) for need in layer.get("needs") or []}


def lacks_of(node: Mapping[str, Any]) -> set[str]:
    """What a model, or one within it, says that it cannot take."""
    return {lack for layer in layers(node) for lack in layer.get("lacks") or []}


def identity(node: Any, place: Callable[[str], str | None] = lambda path: path) -> Any:
    """What of a node is semantic: no declarations, and for each place what lies there instead of where."""
    if isinstance(node, Mapping):
        kept = {name: value for name, value in node.items() if name not in DECLARED}
        if "_target_" in kept:
            kept["_target_"] = hashed_target(str(kept["_target_"]))
        return {
            name: place(str(value)) if name in _PLACES and value is not None else identity(value, place)
            for name, value in sorted(kept.items())
        }
    if isinstance(node, list):
        return [identity(item, place) for item in node]
    return int(node) if isinstance(node, float) and node.is_integer() else node  # lr=1 and lr=1.0 are one trial


def asks_of(node: Mapping[str, Any]) -> list[str]:
    """What an option asks of the model, with the `handle` that is chosen where that makes a difference."""
    said = node.get("asks") or []
    return list(said.get(node.get("handle")) or []) if isinstance(said, Mapping) else list(said)


def family_of(group: str, node: Mapping[str, Any]) -> str:
    """Returns the family that an option of that factor declares; BadInput where the factor has no such family."""
    family = str(node.get("family", OTHER_FAMILY))
    one_of(f"{group}.family", family, (*FAMILIES[group], OTHER_FAMILY))
    return family


def name_of(node: Mapping[str, Any]) -> str:
    """The short name of what an option runs: its network where it trains one, else its loss or its function."""
    part = node.get("loss") if "wraps" in node else node.get("network")
    return str((part or node)["_target_"]).rpartition(".")[2]
