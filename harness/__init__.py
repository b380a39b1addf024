"""Measures whether accuracy comes from the model or from the data, by paired trials with intervals and costs.

The command `harness` does all of it. From Python, `harness.ask` asks about a file or rows in memory, `harness.load`
opens a study, `harness.run` runs one, and `harness.Option` describes a strategy or model that is a function of your
own; they are imported when first used, so `import harness` stays light.

>>> import harness
>>> harness.load("results/youtube").verdict.word
'undecided'
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# A worker imports for seconds before its first job. It must not outlive a command that dies meanwhile.
if os.environ.get("HARNESS_PARENT") not in (None, str(os.getpid())):
    from harness.orphans import end_with_parent

    end_with_parent()

if TYPE_CHECKING:
    from harness.api.ask import ask_from_python as ask
    from harness.api.options import Option
    from harness.api.results import SeedPlan
    from harness.api.results import StudyResults as Study
    from harness.api.results import load_study as load
    from harness.api.runs import run_from_python as run
    from harness.errors import BadInput, TrialFailed

__all__ = ["BadInput", "Option", "SeedPlan", "Study", "TrialFailed", "__version__", "ask", "load", "run"]

_HOMES = {
    "BadInput": "harness.errors:BadInput",
    "Option": "harness.api.options:Option",
    "SeedPlan": "harness.api.results:SeedPlan",
    "Study": "harness.api.results:StudyResults",
    "TrialFailed": "harness.errors:TrialFailed",
    "ask": "harness.api.ask:ask_from_python",
    "load": "harness.api.results:load_study",
    "run": "harness.run:",  # the package of that name, which can be called
}


def __getattr__(name: str) -> Any:
    """Imports what users of Python call when they first name it (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'harness' has no attribute '{name}'")
    module, _, inside = _HOMES[name].partition(":")
    home = import_module(module)
    return getattr(home, inside) if inside else home


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
