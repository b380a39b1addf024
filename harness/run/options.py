"""Builds the function of an option's YAML node, and reads what the node declares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import hydra.utils

from harness.checks import one_of
from harness.errors import BadInput

DECLARED = (
    "fits", "needs", "reference_kind", "reference_for", "lacks", "asks", "gives", "extra", "programs", "space", "paper",
    "library", "cost", "wraps", "of", "family", "reads", "provenance",
)  # fmt: skip
"""Declarations in an option's YAML; never passed to its function and not part of a trial's identity.

`fits`: modalities. `needs`: what the harness must lend (votes, gold, probe, dynamics, valid, test, tuning), or what the
task must have: `cells`, those of a raw table; `pool`, rows without a label. `reference_kind`: the kind of reference, if
the option is one (`harness.arm.REFERENCES`), and `reference_for`: the options beside which it is one, by name or by
family, or `all` of its factor. `lacks`: what a model cannot take (see learners/adapt.py). `asks`: which of those a
strategy requires of the model, or a mapping to them from the values of its parameter `handle`. `gives`: `rows` if a
strategy adds some, `complete` if it fills in missing values, `features` if it changes the cells of a table (and
transforms rows to predict likewise). `extra`: by module, the extra of this project that installs it. `programs`: what
must be on the PATH. `space`: what may be tuned, by dotted name. `paper`, `library`, `cost`: for the table of arms.
`wraps`: the model or the strategy that an effort is spent on, a model's being the baseline's unless `of` names another;
its declarations hold for the effort too. `family`: the heading under which the option is listed, one of `FAMILIES`.
`reads`: the function that reads the option's own files before the first trial (see `harness.run.side_files`).
`provenance`: of the data of a task: source, licence, how to get it (`get`), and the fingerprint of the content that the
records which come with the project were made on.
"""
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "model": ("linear models", "trees", "networks", "pretrained", "automl", "efforts"),
    "weak": (
        "votes",
        "annotator models",
        "label models",
        "row selection",
        "own votes",
        "rows without a label",
        "true labels",
        "efforts",
        "reference",
    ),
    "clean": (
        "label errors",
        "bought labels",
        "duplicates",
        "leaks",
        "outliers",
        "selection",
        "class balance",
        "table cells",
        "versions by hand",
        "efforts",
        "reference",
    ),
    "augment": ("images", "image policies", "texts", "table rows", "class balance", "mixing", "efforts", "reference"),
}
"""The families of each factor's options, in the order in which they are listed."""
OTHER_FAMILY = "other"
"""The family of an option that declares none, such as a user's own."""
_PLACES = ("path", "cache", "forward", "backward", "encoder")
"""Parameters that hold a path: a trial's identity holds the hash of the content instead."""


MOVED: Mapping[str, str] = {
    "harness.track.wandb": "harness.run.track.wandb",
    "harness.track.nothing": "harness.run.track.nothing",
}
"""Targets that moved: the dotted path of a function in records, and its present path.

A trial's identity holds the first path, whichever of the two a YAML names, so that old records stay valid. The second
one is imported, so that old YAMLs keep working. A function that moves twice keeps its first entry, with the newest
path.
"""


def hashed_target(target: str, moved: Mapping[str, str] = MOVED) -> str:
    """Returns the dotted path of a target in a trial's identity: that of its oldest records."""
    now = moved.get(target, target)
    return next((old for old, new in moved.items() if new == now), target)


def current_target(target: str, moved: Mapping[str, str] = MOVED) -> str:
    """Returns the present dotted path of a target."""
    return moved.get(target, target)


def moved_targets(node: Any) -> list[str]:
    """Returns a line for each target in a config that has moved, with the path to write instead."""
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
        if isinstance(error.__cause__, BadInput | OSError):
            raise error.__cause__ from None
        raise


def _unchecked(made: Any) -> Any:
    """Returns the function without Hydra's checks at every call, since a loss is called at every step."""
    if not isinstance(made, partial):
        return made
    return partial(made.func, *made.args, **{name: _unchecked(value) for name, value in made.keywords.items()})


def bare(node: Any) -> Any:
    """Returns the node without its declarations and those of inner nodes."""
    if not isinstance(node, Mapping):
        return node
    kept = {name: bare(value) for name, value in node.items() if name not in DECLARED}
    return {**kept, "_target_": current_target(kept["_target_"])} if "_target_" in kept else kept


def layers(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields an option, the model that it wraps, the one that this wraps, and so on."""
    inner: Mapping[str, Any] | None = node
    while inner:
        yield inner
        inner = inner.get("wraps")


def needs_of(node: Mapping[str, Any]) -> set[str]:
    """Returns the `needs` of an option and of the models within it."""
    return {need for layer in layers(node) for need in layer.get("needs") or []}


def lacks_of(node: Mapping[str, Any]) -> set[str]:
    """Returns the `lacks` of a model and of the models within it."""
    return {lack for layer in layers(node) for lack in layer.get("lacks") or []}


def identity(node: Any, place: Callable[[str], str | None] = lambda path: path) -> Any:
    """Returns what of a node identifies a trial: no declarations, and each path replaced by its content's hash."""
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
    """Returns the `asks` of an option, for the chosen `handle` if they depend on it."""
    said = node.get("asks") or []
    if not isinstance(said, Mapping):
        return list(said)
    return list(dict.fromkeys(word for handle in _handles(node) for word in said.get(handle) or []))


def _handles(node: Mapping[str, Any]) -> list[Any]:
    """Returns the value of `handle`, or all values among which a search may choose."""
    searched = (node.get("over") or {}).get("handle") or {}
    return list(searched.get("choices") or [node.get("handle", (node.get("wraps") or {}).get("handle"))])


def family_of(group: str, node: Mapping[str, Any]) -> str:
    """Returns the family that an option of that factor declares; BadInput if the factor has no such family."""
    family = str(node.get("family", OTHER_FAMILY))
    one_of(f"{group}.family", family, (*FAMILIES[group], OTHER_FAMILY))
    return family


def name_of(node: Mapping[str, Any]) -> str:
    """Returns the short name of what an option runs: its network where it trains one, else its loss or its function."""
    part = node.get("loss") if "wraps" in node else node.get("network")
    return str((part or node)["_target_"]).rpartition(".")[2]
