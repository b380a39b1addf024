"""Imports beforehand what the functions of an arm import when they are called, so that no trial is charged for it.

Libraries that few options need are imported inside functions. Processor seconds of a process's first trial would
contain these imports (2 s for Snorkel), those of a later trial would not, and costs would depend on the order.
"""

from __future__ import annotations

import dis
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from inspect import unwrap
from types import CodeType, FunctionType, ModuleType
from typing import Any

from harness.run.options import layers
from harness.strategies.weak.snorkel import keep_global_generators


def import_ahead(nodes: Iterable[Mapping[str, Any]], made: Iterable[Any]) -> None:
    """Imports the packages that options declare (`extra`) and the modules that their functions import when called.

    `nodes` are the options' YAML nodes, `made` what was built from them. Global generators keep their state: some
    libraries draw when they are imported. A module that cannot be imported is left to the function that needs it, which
    says why.
    """
    declared = [module for node in nodes for layer in layers(node) for module in layer.get("extra") or {}]
    with keep_global_generators(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries' own imports
        for module in declared:
            _import(module, ())
        for code, package in _codes(list(made)):
            for module, names in _imports(code, package):
                _import(module, names)


def _import(module: str, names: Iterable[str]) -> None:
    """Imports a module and the names taken from it, which may be modules or be loaded only when asked for."""
    with suppress(Exception, SystemExit):  # whatever a library raises when it is imported
        found = import_module(module)
        for name in names:
            if name != "*" and not hasattr(found, name):
                import_module(f"{module}.{name}")


def _imports(code: CodeType, package: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields each module that the code imports, absolute, and the names that it takes from the module."""
    before: list[Any] = [0, ()]
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            level, names = before[-2:]
            yield _absolute(str(step.argval), int(level or 0), package), tuple(names or ())
        if step.opname.startswith("LOAD_"):
            before.append(step.argval)


def _absolute(module: str, level: int, package: str) -> str:
    """Returns the dotted path of a module that is imported from a package, `level` dots up."""
    if not level:
        return module
    base = ".".join(package.split(".")[: len(package.split(".")) - level + 1])
    return f"{base}.{module}" if module else base


def _codes(made: list[Any]) -> Iterator[tuple[CodeType, str]]:
    """Yields the code of the functions that these may call, with their package; each function once.

    Followed are names of functions and classes within the top-level package of the function that names them: a
    library's own functions are the library's affair.
    """
    waiting, seen = [one for value in made for one in _functions(value, None)], set()
    while waiting:
        function = waiting.pop()
        if function in seen:
            continue
        seen.add(function)
        home = _top(function)
        for code in _with_inner(function.__code__):
            yield code, str(function.__globals__.get("__package__") or "")
            waiting += [one for value in _named(code, function.__globals__, home) for one in _functions(value, home)]


def _named(code: CodeType, names: Mapping[str, Any], home: str) -> Iterator[Any]:
    """Yields the global values that the code names, and those that it names in modules of its own package."""
    for name in code.co_names:
        if name not in names:
            continue
        value = names[name]
        yield value
        if isinstance(value, ModuleType) and value.__name__.partition(".")[0] == home:
            yield from (getattr(value, inner) for inner in code.co_names if hasattr(value, inner))


def _functions(value: Any, home: str | None) -> Iterator[FunctionType]:
    """Yields the functions within a value that lie in the top-level package `home` (None: in any)."""
    if isinstance(value, partial):
        yield from _functions(value.func, home)
        value = value.keywords
    value = unwrap(value) if callable(value) else value
    if isinstance(value, FunctionType) and home in (None, _top(value)):
        yield value
    elif isinstance(value, type) and _top(value) == home:
        yield from (one for one in vars(value).values() if isinstance(one, FunctionType))
    elif isinstance(value, Mapping):
        yield from (one for inner in value.values() for one in _functions(inner, home))
    elif isinstance(value, list | tuple):
        yield from (one for inner in value for one in _functions(inner, home))


def _top(value: FunctionType | type) -> str:
    """Returns the top-level package in which a function or a class lies."""
    return str(value.__module__).partition(".")[0]


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    """Yields the code and that of the functions, classes and comprehensions within it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _with_inner(inner)
