"""A composed Hydra config in, checked options out: what may be chosen, what binds, what a trial's identity is."""

from __future__ import annotations

import difflib
import hashlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import hydra.utils
from beartype import BeartypeConf
from beartype.door import is_bearable
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, InterpolationResolutionError

from harness.errors import BadInput
from harness.places import is_there, located

FACTORS = ("model", "weak", "clean", "augment")
"""The groups that make an arm, in the order in which a trial reads them."""
DATA_FACTORS = ("weak", "clean", "augment")
DECLARED = (
    "fits", "needs", "dull", "lacks", "asks", "gives", "extra", "programs", "space", "paper", "library", "cost",
    "wraps", "of",
)  # fmt: skip
"""What an option's YAML says of itself; never passed to its function and no part of a trial's identity.

`fits`: modalities. `needs`: what the harness must lend it (votes, gold, probe, dynamics, valid, test, tuning), or the
task must have: `cells`, those of a raw table.
`dull`: a dull twin. `lacks`: what a model cannot take (see learners/adapt.py). `asks`: which of those things a
strategy asks of the model, or a mapping to them from what its parameter `handle` may be. `gives`: `rows` where a
strategy adds some, `complete` where it fills missing values in, `features` where it changes what stands in a table's
rows (and leaves the same transform for those that are predicted).
`extra`: by module, the extra of this project that installs it; `programs`: what must be on the PATH.
`space`: what may be tuned, by dotted name. `paper`, `library`, `cost`: for the table of arms. `wraps`: the model that
an effort is spent on, the baseline's unless `of` names another; what that one declares holds for the effort too.
"""
_HYDRA_KEYS = ("_target_", "_partial_", "_args_", "_convert_", "_recursive_")
_TOWER = BeartypeConf(is_pep484_tower=True)  # a whole number is a number
_PLACES = ("path", "cache", "forward", "backward", "encoder")
"""Parameters that say where something lies: the content stands for them in a trial's identity."""


def conf_dir() -> Path:
    """The folder of options: inside the package when it was installed from a wheel, else beside it in the checkout."""
    packaged = Path(__file__).parent / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "conf"


def plain(node: Any) -> dict[str, Any]:
    """A config node as resolved, plain containers; BadInput where it borrows from a model what is not there."""
    try:
        return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else dict(node)  # type: ignore[return-value]
    except InterpolationResolutionError as error:
        told = _unborrowed(error)
        if told is None:
            raise
        raise BadInput(told) from None


def _unborrowed(error: InterpolationResolutionError) -> str | None:
    """Why an effort has no model to be spent on, or not the part of it that it needs; None for any other error."""
    where, _, name = str(error.full_key).rpartition(".")
    another = f"say +model@{where}.of=NAME"
    if name == "wraps":
        return f"{where} is an effort on the baseline's model, and cannot be that model itself: {another}"
    if isinstance(error, InterpolationKeyError) and "'wraps." in str(error):
        return f"{where} needs a model with a {name} of its own, which that of the baseline is not: {another}"
    return None


def arm_of(cfg: DictConfig) -> dict[str, dict[str, Any]]:
    """The four factors of the arm: a factor that was not chosen is the baseline's, parameters and all."""
    return {name: plain(cfg.get(name) or cfg.baseline[name]) for name in FACTORS}


def baseline_of(cfg: DictConfig) -> dict[str, dict[str, Any]]:
    """The four factors of the control."""
    return {name: plain(cfg.baseline[name]) for name in FACTORS}


def differing(arm: Mapping[str, Any], baseline: Mapping[str, Any]) -> tuple[str, ...]:
    """The factors in which two arms differ, by what they are and not by what they declare of themselves."""
    return tuple(name for name in FACTORS if identity(arm[name]) != identity(baseline[name]))


def axis_of(factors: tuple[str, ...]) -> str:
    """`model`, `data`, `both`, or `none` where nothing differs."""
    model, data = "model" in factors, any(name in DATA_FACTORS for name in factors)
    return {(True, True): "both", (True, False): "model", (False, True): "data"}.get((model, data), "none")


def build(node: Mapping[str, Any]) -> Any:
    """Instantiates an option: a partial function for a strategy or a learner, a `Source` for a task."""
    try:
        return _unchecked(hydra.utils.instantiate(_bare(node), _convert_="all"))
    except hydra.errors.InstantiationException as error:
        if isinstance(error.__cause__, BadInput):
            raise error.__cause__ from None
        raise


def _unchecked(made: Any) -> Any:
    """The same function without the checks that Hydra makes at every call: a loss is called at every step."""
    if not isinstance(made, partial):
        return made
    return partial(made.func, *made.args, **{name: _unchecked(value) for name, value in made.keywords.items()})


def _bare(node: Any) -> Any:
    """The node without what it and those within it declare of themselves."""
    if not isinstance(node, Mapping):
        return node
    return {name: _bare(value) for name, value in node.items() if name not in DECLARED}


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
        return {
            name: place(str(value)) if name in _PLACES and value is not None else identity(value, place)
            for name, value in sorted(kept.items())
        }
    if isinstance(node, list):
        return [identity(item, place) for item in node]
    return int(node) if isinstance(node, float) and node.is_integer() else node  # lr=1 and lr=1.0 are one trial


def content_of(path: str) -> str:
    """What a strategy's or model's path stands for: the hash of the files there, or the name itself (a hub's).

    `package:NAME/inside/it` stands for what the package holds there, without what Python compiled.
    """
    if not is_there(path):
        return path
    place = located(path)
    inside = (file for file in place.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    files = sorted(inside) if place.is_dir() else [place]
    seen = tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    return f"sha256:{_digest(place, seen)}"


@lru_cache(maxsize=64)
def _digest(place: Path, seen: tuple[tuple[str, int, int], ...]) -> str:
    """The hash of the files that were `seen`; weights are large and a key is asked for often."""
    total = hashlib.sha256()
    for name, _, _ in seen:
        inside = str(Path(name).relative_to(place)).encode()
        total.update(inside + hashlib.sha256(Path(name).read_bytes()).digest())
    return total.hexdigest()


def asks_of(node: Mapping[str, Any]) -> list[str]:
    """What an option asks of the model, with the `handle` that is chosen where that makes a difference."""
    said = node.get("asks") or []
    return list(said.get(node.get("handle")) or []) if isinstance(said, Mapping) else list(said)


def nearest(name: str, among: Any) -> str:
    """The end of an error's sentence: the nearest right name if there is one, and all of them."""
    names = sorted(map(str, among))
    close = difflib.get_close_matches(name, names, n=1)
    return (f"did you mean '{close[0]}'? " if close else "") + f"there is: {', '.join(names) or 'nothing'}"


def faults(cfg: DictConfig) -> list[str]:
    """Every fault that binding each option to its function's signature shows, one line each; empty when all is well."""
    nodes = {name: cfg[name] for name in ("task", *FACTORS, "probe", "protocol", "track") if cfg.get(name) is not None}
    nodes |= {f"baseline.{name}": cfg.baseline[name] for name in FACTORS}
    lines = [line for where, node in nodes.items() for line in _node_faults(where, node)]
    return list(dict.fromkeys([*lines, *_top_faults(cfg)]))  # an effort has the faults of its model, told once


def _top_faults(cfg: DictConfig) -> Iterator[str]:
    """The faults of what stands beside the options."""
    for name, least in (("seed", 0), ("threads", 1)):
        value = cfg.get(name)
        if type(value) is not int or value < least:
            yield f"{name} is {value!r}: it must be a whole number, {least} or more"
    if type(cfg.get("retry")) is not bool:
        yield f"retry is {cfg.get('retry')!r}: it must be true or false"
    if not re.fullmatch(r"\w[\w.-]*", str(cfg.get("study"))):
        yield f"study is {cfg.get('study')!r}: it names a folder, in letters, digits, '.', '-' and '_'"


def _node_faults(where: str, node: Any) -> Iterator[str]:
    if not OmegaConf.is_config(node):
        yield f"{where} is '{node}', which is no option: choose one, as in {_chosen(where)}"
        return
    try:
        bare = plain(node)
    except BadInput as error:
        yield str(error)
        return
    missing = sorted(OmegaConf.missing_keys(node))  # in full, from the root of the config
    yield from (f"{name} is required: say {name}=…" for name in missing)
    if not isinstance(bare, dict) or "_target_" not in bare:
        yield f"{where} is no option: choose one, as in {_chosen(where)}"
    else:
        yield from _bind(where, _bare(bare))


def _chosen(where: str) -> str:
    """How an option is chosen for that place of the config."""
    place = (
        f"model@{where}" if where == "probe" else where.replace("baseline.", f"{where.rpartition('.')[2]}@baseline.")
    )
    return f"{place}=NAME"


def _bind(where: str, node: Mapping[Any, Any]) -> Iterator[str]:
    """The faults of one node and of every node within it that names a target."""
    if "_target_" in node:
        yield from _signature_faults(where, node)
    for name, value in node.items():
        if isinstance(value, Mapping):
            yield from _bind(f"{where}.{name}", value)


def _signature_faults(where: str, node: Mapping[Any, Any]) -> Iterator[str]:
    target = node["_target_"]
    try:
        function = hydra.utils.get_object(target)
        parameters = inspect.signature(function).parameters
    except (ImportError, AttributeError, ValueError, TypeError, hydra.errors.HydraException) as error:
        yield f"{where}: cannot find {target} ({str(error).splitlines()[-1].strip()})"
        return
    named = [p.name for p in parameters.values() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    given = {name: value for name, value in node.items() if name not in _HYDRA_KEYS}
    offered = [p.name for p in parameters.values() if p.kind == p.KEYWORD_ONLY] or named
    # Nor does a target that takes **anything: what it does not name it may ignore.
    yield from (f"{where} has no parameter '{name}': {nearest(name, offered)}" for name in given if name not in named)
    needed = [p.name for p in parameters.values() if p.kind == p.KEYWORD_ONLY and p.default is p.empty]
    yield from (f"{where} lacks the parameter '{name}' of {target}" for name in needed if name not in given)
    yield from _type_faults(where, function, given)


def _type_faults(where: str, function: Any, given: Mapping[Any, Any]) -> Iterator[str]:
    """The parameters whose values are not of the annotated type; what cannot be judged from a YAML is let through."""
    try:
        hints = get_type_hints(function.__init__ if inspect.isclass(function) else function)
    except (NameError, TypeError, AttributeError):
        return
    for name, value in given.items():
        if (
            name not in hints
            or isinstance(value, Mapping)
            or value == "???"
            or is_bearable(value, hints[name], conf=_TOWER)
        ):
            continue
        choices = [choice for choice in get_args(hints[name]) if isinstance(choice, str)]
        right = nearest(str(value), choices) if choices else f"it must be {_in_words(hints[name])}"
        yield f"{where}.{name} is {value!r}: {right}"


def _in_words(hint: Any) -> str:
    """A type as a person says it."""
    names = {int: "a whole number", float: "a number", str: "a text", type(None): "null", bool: "true or false"}
    return (
        names.get(hint) or " or ".join(map(_in_words, get_args(hint))) or str(hint) if not _is_list(hint) else "a list"
    )


def _is_list(hint: Any) -> bool:
    return get_origin(hint) in (list, tuple, Sequence)


def name_of(node: Mapping[str, Any]) -> str:
    """The short name of what an option runs: its network where it trains one, else its loss or its function."""
    part = node.get("loss") if "wraps" in node else node.get("network")
    return str((part or node)["_target_"]).rpartition(".")[2]
