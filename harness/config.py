"""A composed Hydra config in, checked options out: what may be chosen, what binds, what a trial's identity is."""

from __future__ import annotations

import difflib
import hashlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import hydra.utils
from beartype import BeartypeConf
from beartype.door import is_bearable
from omegaconf import DictConfig, OmegaConf

from harness.data import Task
from harness.errors import BadInput

FACTORS = ("model", "weak", "clean", "augment")
"""The groups that make an arm, in the order in which a trial reads them."""
DATA_FACTORS = ("weak", "clean", "augment")
DECLARED = ("fits", "needs", "dull")
"""What an option's YAML says of itself; never passed to its function and no part of a trial's identity."""
_HYDRA_KEYS = ("_target_", "_partial_", "_args_", "_convert_", "_recursive_")
_TOWER = BeartypeConf(is_pep484_tower=True)  # a whole number is a number
_PLACES = ("path", "cache")
"""Parameters that say where something lies: the content stands for them in a trial's identity."""


def conf_dir() -> Path:
    """The folder of options: inside the package when it was installed from a wheel, else beside it in the checkout."""
    packaged = Path(__file__).parent / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "conf"


def plain(node: Any) -> dict[str, Any]:
    """A config node as resolved, plain containers."""
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else dict(node)  # type: ignore[return-value]


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
    bare = {name: value for name, value in node.items() if name not in DECLARED}
    try:
        return hydra.utils.instantiate(bare, _convert_="all")
    except hydra.errors.InstantiationException as error:
        if isinstance(error.__cause__, BadInput):
            raise error.__cause__ from None
        raise


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
    """What a strategy's or model's path stands for: the hash of the files there, or the name itself (a hub's)."""
    place = Path(path).expanduser()
    if not place.exists():
        return path
    files = sorted(file for file in place.rglob("*") if file.is_file()) if place.is_dir() else [place]
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
    return [*lines, *_top_faults(cfg)]


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
    missing = sorted(OmegaConf.missing_keys(node))  # in full, from the root of the config
    yield from (f"{name} is required: say {name}=…" for name in missing)
    bare = OmegaConf.to_container(node, resolve=False)
    if not isinstance(bare, dict) or "_target_" not in bare:
        yield f"{where} is no option: choose one, as in {_chosen(where)}"
    else:
        yield from _bind(where, {name: value for name, value in bare.items() if name not in DECLARED})


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


def misfits(options: Mapping[str, Mapping[str, Any]], task: Task) -> list[str]:
    """Why options do not fit a task, one line each: the modality, and what the task would have to have."""
    has = {"votes": task.train.votes.shape[1] > 0, "gold": bool((task.gold >= 0).any()), "probe": True}
    lines = []
    for where, node in options.items():
        fits = node.get("fits") or [task.modality]
        if task.modality not in fits:
            lines.append(f"{where} ({name_of(node)}) is for {' or '.join(fits)}; task {task.name} is {task.modality}")
        absent = [need for need in node.get("needs") or [] if not has.get(need, False)]
        lines += [f"{where} ({name_of(node)}) needs {need}, which task {task.name} does not have" for need in absent]
    return lines


def name_of(node: Mapping[str, Any]) -> str:
    """The short name of what an option runs: its network where it trains one, else its function."""
    return str((node.get("network") or node)["_target_"]).rpartition(".")[2]
