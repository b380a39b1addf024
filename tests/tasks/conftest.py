"""How the tests of tasks make one: from its YAML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra.utils
import pytest
import yaml

from harness.data import Source

TASKS = Path(__file__).parents[2] / "conf" / "task"


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Source]:
    """Makes the source of an option's YAML with some parameters changed; caches lie in the test's folder."""

    def make(option: str, **changed: Any) -> Source:
        node = yaml.safe_load((TASKS / f"{option}.yaml").read_text())
        unknown = set(changed) - set(node)
        assert not unknown, f"{option}.yaml has no {unknown}"
        place = {"cache": str(tmp_path / "cache")} if "cache" in node else {}
        values = node | place | {name: str(v) if isinstance(v, Path) else v for name, v in changed.items()}
        return hydra.utils.get_method(values.pop("_target_"))(**values)

    return make
