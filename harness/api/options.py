"""Turns a function of the user's own into an option: its YAML node, and the overrides that set its parameters.

A trial's key holds the source of such a function, and workers import it. So it must be importable from a file: one that
is defined in a notebook, in `__main__` or inside another function is refused.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from harness.arm import FACTORS
from harness.checks import choices, join_names, one_of
from harness.errors import BadInput
from harness.run.targets import NoTarget, find_target
from harness.storage.places import conf_dir, is_own

MODALITIES = ("image", "text", "table")
NETWORK = "harness.learners.torch.fit_network"
_TAKES = {"model": {2: "network", 3: "learner"}, "weak": {2: ""}, "clean": {2: ""}, "augment": {2: ""}}
_SHAPES = {
    "model": "a learner (train, valid, run, *, …) or a network (rows, k, *, …)",
    **dict.fromkeys(("weak", "clean", "augment"), "a strategy (train, tools, *, …)"),
}


@dataclass(frozen=True)
class Option:
    """Describes a strategy or a model that is a function of the user's own, for an arm or a baseline of `harness.run`.

    `parameters` are its keyword-only parameters; `name` is its name in labels, by default the function's. `fits`,
    `needs` and `reference_kind` are what an option's YAML declares: the modalities it takes, what the harness must lend
    it (such as "probe"), and the kind of reference that it is, if it is one. A function alone, or a
    `functools.partial` of one with its parameters, is an option that declares nothing.

    >>> harness.Option(least_sure, {"share": 0.1}, needs=["probe"]).label
    'least_sure'
    """

    function: Callable[..., Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    fits: Sequence[str] = MODALITIES
    needs: Sequence[str] = ()
    reference_kind: str | None = None

    @property
    def label(self) -> str:
        """Returns the name of the option in labels and in its file."""
        return self.name or self.function.__name__


def as_option(choice: Any) -> Option | None:
    """Returns the option that a function, a partial of one, or an `Option` describes; None for anything else."""
    if isinstance(choice, Option):
        return choice
    if isinstance(choice, partial):
        if choice.args:
            raise BadInput(f"{_named(choice.func)}: give its parameters by name, as in functools.partial(f, share=0.1)")
        return Option(choice.func, choice.keywords)
    return Option(choice) if callable(choice) else None


def node_of(group: str, option: Option) -> dict[str, Any]:
    """Returns the YAML node of an option of a factor; BadInput if the function cannot be imported or has another shape.

    Parameters without a default in the function must be set by each arm: they are `???` in the node.
    """
    target, shape = import_path(option.function), _shape(group, option.function)
    _check_name(group, option.label)
    for modality in option.fits:
        one_of(f"fits of {option.label}", modality, MODALITIES)
    declared: dict[str, Any] = {"fits": list(option.fits), "needs": list(option.needs)}
    declared |= {"reference_kind": option.reference_kind} if option.reference_kind else {}
    own = {"_target_": target, "_partial_": True}
    body = {"_target_": NETWORK, "_partial_": True, "network": own | _defaults(option)} if shape == "network" else own
    return body | declared | ({} if shape == "network" else _defaults(option))


def parameter_overrides(place: str, option: Option) -> dict[str, Any]:
    """Returns what sets an option's parameters, by dotted key; `place` is a factor, or one of the baseline's."""
    inner = f"{place}.network" if _shape(place.rpartition(".")[2], option.function) == "network" else place
    known = _parameters(option.function)
    for name in option.parameters:
        if name not in known:
            raise BadInput(f"{option.label} has no parameter '{name}'{choices(name, known)}")
    return {f"{inner}.{name}": value for name, value in option.parameters.items()}


def import_path(function: Callable[..., Any]) -> str:
    """Returns the dotted path by which a function is imported; BadInput if it cannot be imported from a file."""
    module, name = getattr(function, "__module__", "") or "", getattr(function, "__qualname__", "")
    advice = f"put it into a file, such as mine.py, and write: from mine import {_named(function)}"
    why = "workers import it, and its source is part of each trial's key"
    if not name.isidentifier():
        raise BadInput(f"{_named(function)} is no function at the top of a module ({why}): {advice}")
    source = getattr(sys.modules.get(module), "__file__", None)
    if module in ("", "__main__", "__mp_main__") or source is None or not Path(source).is_file():
        raise BadInput(f"{name} is defined in a notebook or in a script that is being run ({why}): {advice}")
    try:
        there = find_target(f"{module}.{name}")
    except NoTarget as fault:
        raise BadInput(f"{name} cannot be imported: {fault} ({why})") from None
    if there is not function:
        raise BadInput(f"{module}.{name} is another function than the one given ({why}): {advice}")
    return f"{module}.{name}"


def root_of(function: Callable[..., Any]) -> Path:
    """Returns the folder from which an importable function's module is imported."""
    module = sys.modules[function.__module__]
    file = Path(str(module.__file__)).resolve()
    return file.parents[module.__name__.count(".") + (file.name == "__init__.py")]


def _named(function: Any) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return name if name.isidentifier() else "strategy"


def _shape(group: str, function: Callable[..., Any]) -> str:
    """Returns what a function is, from the number of its positional parameters; BadInput if it is none of them."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    count = sum(one.kind in kinds for one in inspect.signature(function).parameters.values())
    if count not in _TAKES[group]:
        raise BadInput(f"{group}: {_named(function)} takes {count} positional parameters; write {_SHAPES[group]}")
    return _TAKES[group][count]


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    found = inspect.signature(function).parameters
    return {name: one for name, one in found.items() if one.kind is inspect.Parameter.KEYWORD_ONLY}


def _defaults(option: Option) -> dict[str, Any]:
    """Returns the value of each parameter in the option's file: its default, or `???` if an arm must set it."""
    empty = inspect.Parameter.empty
    found = {name: one.default for name, one in _parameters(option.function).items()}
    return {name: "???" if value is empty else plain_value(name, value) for name, value in found.items()}


def _check_name(group: str, name: str) -> None:
    """Requires a name that no other option of the factor has: the other one would run instead."""
    one_of("factor", group, FACTORS)
    if not name.isidentifier():
        raise BadInput(f"{group}: '{name}' cannot name an option: write a name of letters, digits and '_'")
    if is_own(group, name) or (conf_dir() / group / f"{name}.yaml").is_file():
        raise BadInput(f"{group}={name} is an option already: write harness.Option(function, name='my_{name}')")


def plain_value(name: str, value: Any) -> Any:
    """Returns a value as YAML can hold it, numbers of NumPy as numbers; BadInput for anything else."""
    value = value.item() if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () else value
    if isinstance(value, Mapping):
        return {str(key): plain_value(f"{name}.{key}", one) for key, one in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain_value(name, one) for one in value]
    if isinstance(value, Path):
        return str(value)
    if value is not None and not isinstance(value, str | int | float | bool):
        kinds = join_names(("text", "a number", "true or false", "None", "a list of these"))
        raise BadInput(f"{name} is a {type(value).__name__}: write {kinds}")
    return value
