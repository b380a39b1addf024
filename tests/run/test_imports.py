"""Modules that an option imports inside its functions are imported before a trial's clock starts."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from harness.run.imports import import_ahead

PACKAGE = {
    "__init__.py": "",
    "option.py": """
        from functools import partial
        from . import tools
        from .tools import METHODS, Model

        def strategy(train, *, how, model):
            from ahead_pkg.direct import one
            from . import beside
            return partial(chosen, how)

        def chosen(how):
            def inner():
                import ahead_pkg.within
            return METHODS[how], Model().fit(), tools.through_the_module()

        def network(width):
            import ahead_pkg.given

        def unused():
            import ahead_pkg.unused
    """,
    "tools.py": """
        class Model:
            def fit(self):
                import ahead_pkg.method

        def listed():
            import ahead_pkg.listed
            import ahead_pkg.absent
            import ahead_pkg.broken

        def through_the_module():
            import ahead_pkg.through

        METHODS = {"listed": listed}
    """,
    "broken.py": "raise RuntimeError('no operator')",
    "declared.py": "import numpy; numpy.random.seed(0)",
}
LATE = ("direct", "beside", "within", "given", "method", "listed", "through", "unused")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "ahead_pkg"
    folder.mkdir()
    for name, text in {**PACKAGE, **{f"{one}.py": "one = 1" for one in LATE}}.items():
        lines = text.splitlines()
        (folder / name).write_text("\n".join(line.removeprefix(" " * 8) for line in lines))
    monkeypatch.syspath_prepend(tmp_path)


def test_imports_are_found_wherever_the_function_may_call_them(package: None) -> None:
    """In helpers, inner functions, methods, tables of functions and options within options, and nowhere else."""
    import ahead_pkg.option as option  # type: ignore[import-not-found]

    made = partial(option.strategy, how="listed", model={"network": partial(option.network, width=3)})
    state = np.random.get_state()[1].tolist()  # noqa: NPY002 - compared, never drawn from
    import_ahead([{"extra": {"ahead_pkg.declared": "weak", "ahead_pkg.absent": "weak"}}], [made])
    loaded = {name.removeprefix("ahead_pkg.") for name in sys.modules if name.startswith("ahead_pkg.")}
    assert loaded == {*LATE, "option", "tools", "declared"} - {"unused"}
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002 - see above
