"""Finds the function that a `_target_` names, or says in one line why it cannot be found."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

from harness.checks import nearest


class NoTarget(Exception):
    """Says why a `_target_` cannot be used."""


def find_target(target: str) -> Any:
    """Returns the object that a dotted path names; NoTarget says which part of the path is wrong.

    Hydra's own look-up writes to the log before it raises, and does not say which part of the path is wrong.
    """
    parts = target.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise NoTarget(f"'{target}' is not a dotted path such as mine.least_sure")
    module, rest = _module_of(parts)
    found: Any = module
    for part in rest:
        if not hasattr(found, part):
            names = [name for name in dir(found) if not name.startswith("_")]
            where = getattr(found, "__name__", target)
            raise NoTarget(f"module {where} ({_place(module)}) has no '{part}'{nearest(part, names)}")
        found = getattr(found, part)
    return found


def _module_of(parts: list[str]) -> tuple[Any, list[str]]:
    """Imports the longest part of a dotted path that is a module; returns it and the rest of the path."""
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:end])
        try:
            return importlib.import_module(name), parts[end:]
        except ModuleNotFoundError as error:
            if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
                raise NoTarget(_broken(name, error)) from error
        except (Exception, SystemExit) as error:  # a script without a main guard ends itself
            raise NoTarget(_broken(name, error)) from error
    beside = sorted(path.stem for path in Path.cwd().glob("*.py"))
    raise NoTarget(
        f"there is no module '{parts[0]}'{nearest(parts[0], beside)} (looked in the working folder, "
        f"{Path.cwd().name}/, and among the installed packages)"
    )


def _broken(name: str, error: BaseException) -> str:
    """Says that a module cannot be imported, with the line of the user's file at which the import fails."""
    what = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
    if isinstance(error, SyntaxError) and error.filename:
        return f"module {name} cannot be imported: {Path(error.filename).name}, line {error.lineno}: {what}"
    frames = [one for one in traceback.extract_tb(error.__traceback__) if "importlib" not in one.filename]
    here = [one for one in frames if Path(one.filename).is_relative_to(Path.cwd())]
    own = [one for one in here if "site-packages" not in Path(one.filename).parts]
    at = "".join(f"{Path(one.filename).name}, line {one.lineno}: " for one in (own or frames)[-1:])
    return f"module {name} cannot be imported: {at}{what}"


def _place(module: Any) -> str:
    """Returns the file of a module, relative to the working folder if it lies there, else its name alone."""
    file = getattr(sys.modules.get(module.__name__), "__file__", None) or module.__name__
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name
