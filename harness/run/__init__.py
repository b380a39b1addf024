"""Runs trials: their identity, data, fitting, records and tracking. As `harness.run(study)`, runs a whole study.

An imported package is an attribute of the one around it, so `harness.run` is this package in any program that has
imported a part of it. That is why the package itself can be called.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    """Lets `harness.run` be called; see `harness.api.runs.run_from_python`."""

    def __call__(self, study: str | Path | Mapping[str, Any], *overrides: str) -> Any:
        # By name, when called: trials, which import this package, know nothing of the layers above them.
        return import_module("harness.api.runs").run_from_python(study, *overrides)


sys.modules[__name__].__class__ = _CallablePackage
