"""Finds everything that is wrong with the options of a composed config, one line each."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from beartype import BeartypeConf
from beartype.door import is_bearable
from omegaconf import DictConfig, OmegaConf

from harness.arm import FACTORS
from harness.checks import choices, nearest
from harness.errors import BadInput
from harness.metrics import report_hint
from harness.run.config import plain
from harness.run.declarations import declaration_faults
from harness.run.options import DECLARED, bare, family_of
from harness.run.targets import NoTarget, find_target
from harness.storage.places import conf_dir

_HYDRA_KEYS = ("_target_", "_partial_", "_args_", "_convert_", "_recursive_")
_ODD_KEYS = ("_args_", "_convert_", "_recursive_")
_GROUPS = ("task", "protocol", "baseline", *FACTORS, "probe", "track", "experiments")
"""The groups of options at the top of a config."""
HEADERLESS = "the study's file must begin with the line '# @package _global_': without it nothing in it counts"
LARGEST = 2**63 - 1
"""Seeds and counts beyond it do not fit into a table."""
_TOWER = BeartypeConf(is_pep484_tower=True)  # an int is accepted as a float


def find_faults(cfg: DictConfig) -> list[str]:
    """Binds each option to its function's signature and returns every fault, one line each."""
    absent = [name for name in ("task", "protocol", "track", "baseline") if cfg.get(name) is None]
    if absent:
        return [f"{name} is null: choose one, as in {name}=NAME" for name in absent]
    nodes = {name: cfg[name] for name in ("task", *FACTORS, "probe", "protocol", "track") if cfg.get(name) is not None}
    nodes |= {f"baseline.{name}": cfg.baseline[name] for name in FACTORS}
    lines = [line for where, node in nodes.items() for line in _node_faults(where, node)]
    return list(dict.fromkeys([*lines, *_top_faults(cfg)]))  # an effort repeats the faults of its model


def _top_faults(cfg: DictConfig) -> Iterator[str]:
    """Yields the faults of settings outside the options."""
    for name, least in (("seed", 0), ("threads", 1)):
        value = cfg.get(name)
        if type(value) is not int or value < least:
            yield f"{name} is {value!r}: it must be a whole number, {least} or more"
        elif value > LARGEST:
            yield f"{name} is {value}: it must be at most {LARGEST}"
    for name in ("store", "cache"):
        if not cfg.get(name):
            yield f"{name} is {cfg.get(name)!r}: it names a folder, as in {name}=FOLDER"
    if OmegaConf.is_config(cfg.get("experiments")):
        yield HEADERLESS
    yield from _price_faults(cfg.get("price"))
    for name in ("retry", "rerun"):
        if type(cfg.get(name)) is not bool:
            yield f"{name} is {cfg.get(name)!r}: it must be true or false"
    yield from _unknown_keys(cfg)
    if not re.fullmatch(r"\w[\w.-]*", str(cfg.get("study"))) or cfg.get("study") is None:
        yield f"study is {cfg.get('study')!r}: it names a folder, in letters, digits, '.', '-' and '_'"


def _price_faults(price: Any) -> Iterator[str]:
    """Yields what is wrong with the prices that a report multiplies costs by."""
    known = ("label", "cpu_hour")
    if not OmegaConf.is_dict(price):
        yield f"price is {price!r}: it has label and cpu_hour, as in price.label=0.1"
        return
    for name, value in price.items():
        if name not in known:
            yield f"unknown key 'price.{name}'{choices(str(name), known)}"
        elif value is not None and (type(value) not in (int, float) or not 0 <= value < float("inf")):
            yield f"price.{name} is {value!r}: it must be a number, 0 or more"


def _unknown_keys(cfg: DictConfig) -> Iterator[str]:
    """Yields a line for each key that no code reads, such as a misspelt one added by `+`."""
    known = (*_settings(), *_GROUPS)
    for name in (str(name) for name in cfg if name not in (*known, "hydra")):
        if name in ("experiment", "study_file"):
            yield f"unknown key '{name}': a study is run as -m experiments={cfg[name]}"
        else:
            yield f"unknown key '{name}'{choices(name, known)}"
    for name in (str(name) for name in cfg.baseline if name not in FACTORS):
        yield f"unknown key 'baseline.{name}'{choices(name, FACTORS)}"


@cache
def _settings() -> tuple[str, ...]:
    """Returns the keys of the main config file except `defaults`."""
    keys = OmegaConf.load(conf_dir() / "config.yaml")
    return tuple(str(name) for name in keys if name not in ("defaults", "hydra"))


def _node_faults(where: str, node: Any) -> Iterator[str]:
    if not OmegaConf.is_config(node):
        yield f"{where} is '{node}', which is not an option: choose one, as in {_chosen(where)}"
        return
    try:
        plainly = plain(node)
    except BadInput as error:
        yield str(error)
        return
    if isinstance(plainly, dict) and not isinstance(plainly.get("_target_", ""), str):
        yield f"{where}._target_ is {plainly['_target_']!r}: it must be the path of a function, as in module.function"
        return
    missing = sorted(OmegaConf.missing_keys(node))  # in full, from the root of the config
    yield from (f"{name} is required: set {name}=…" for name in missing)
    yield from option_faults(where, plainly)


def option_faults(where: str, plainly: Any) -> Iterator[str]:
    """Yields everything that is wrong with an option in plain containers: its declarations and its parameters."""
    if not isinstance(plainly, dict) or "_target_" not in plainly:
        yield f"{where} is not an option: choose one, as in {_chosen(where)}"
    else:
        yield from _family_faults(where, plainly)
        yield from declaration_faults(where, plainly)
        yield from _bind(where, bare(plainly))


def _family_faults(where: str, node: Mapping[str, Any]) -> Iterator[str]:
    """Yields the fault of an option that declares a family that its factor does not have."""
    factor = where.rpartition(".")[2]
    if factor in FACTORS:
        try:
            family_of(factor, node)
        except BadInput as error:
            yield str(error)


def _chosen(where: str) -> str:
    """Returns an example of how to choose an option for that part of the config."""
    place = (
        f"model@{where}" if where == "probe" else where.replace("baseline.", f"{where.rpartition('.')[2]}@baseline.")
    )
    return f"{place}=NAME"


def _bind(where: str, node: Mapping[Any, Any]) -> Iterator[str]:
    """Yields the faults of a node and of every inner node that names a target."""
    if "_target_" in node:
        yield from _signature_faults(where, node)
    for name, value in node.items():
        if isinstance(value, Mapping):
            yield from _bind(f"{where}.{name}", value)


def _signature_faults(where: str, node: Mapping[Any, Any]) -> Iterator[str]:
    target = node["_target_"]
    try:
        function = find_target(str(target))
        parameters = inspect.signature(function).parameters
    except NoTarget as error:
        yield f"{where}: cannot find {target}: {error}"
        return
    except (ValueError, TypeError):
        yield f"{where}: {target} is not a function: name one that takes the data and the parameters"
        return
    named = [p.name for p in parameters.values() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    given = {name: value for name, value in node.items() if name not in _HYDRA_KEYS}
    offered = [p.name for p in parameters.values() if p.kind == p.KEYWORD_ONLY] or named
    # A target with **kwargs offers no more than it names: it may ignore the rest.
    yield from (f"{where} has no parameter '{name}'{_right(name, offered)}" for name in given if name not in named)
    needed = [p.name for p in parameters.values() if p.kind == p.KEYWORD_ONLY and p.default is p.empty]
    yield from (f"{where} lacks the parameter '{name}' of {target}" for name in needed if name not in given)
    yield from _type_faults(where, function, given)
    yield from (f"{where} sets {name}, which no option needs: leave it out" for name in node if name in _ODD_KEYS)


def _right(name: str, offered: Sequence[str]) -> str:
    """Returns the parameter or declaration that was probably meant, and the known parameters."""
    return nearest(name, [*offered, *DECLARED]) + choices(name, offered).removeprefix(nearest(name, sorted(offered)))


def _type_faults(where: str, function: Any, given: Mapping[Any, Any]) -> Iterator[str]:
    """Yields the parameters whose values are not of the annotated type; types that a YAML cannot hold are accepted."""
    try:
        hints = get_type_hints(function.__init__ if inspect.isclass(function) else function)
    except (NameError, TypeError, AttributeError):
        return
    for name, value in given.items():
        if (
            name not in hints
            or (isinstance(value, Mapping) and "_target_" in value)
            or value == "???"
            or _is_of(value, hints[name])
        ):
            continue
        words = [choice for choice in get_args(hints[name]) if isinstance(choice, str)]
        right = choices(str(value), words) if words else f": it must be {_in_words(hints[name])}"
        hint = report_hint(str(value)) if f"{where}.{name}" == "protocol.metric" else ""
        yield f"{where}.{name} is {value!r}{right}{hint}"


def _is_of(value: Any, hint: Any) -> bool:
    """Returns whether a value is of the annotated type; true and false are no numbers, though Python takes them so."""
    truth = isinstance(value, bool) and hint not in (bool, Any) and bool not in get_args(hint)
    return is_bearable(value, hint, conf=_TOWER) and not (truth and is_bearable(7, hint, conf=_TOWER))


def _in_words(hint: Any) -> str:
    """Returns a type in words."""
    names = {int: "a whole number", float: "a number", str: "a text", type(None): "null", bool: "true or false"}
    return (
        names.get(hint) or " or ".join(map(_in_words, get_args(hint))) or str(hint)
        if not _is_list(hint)
        else "a list of texts, each in quotes"
        if get_args(hint)[:1] == (str,)
        else "a list"
    )


def _is_list(hint: Any) -> bool:
    return get_origin(hint) in (list, tuple, Sequence)
