"""Caches costly intermediate arrays by content, with the cost of computing them."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from harness.storage.cost import Cost, time_block
from harness.storage.files import write_atomic


@dataclass(frozen=True)
class Cache:
    """Holds a folder of arrays shared by trials and processes.

    An arm that finds an array made by another arm is charged its cost: `charged` collects those costs, so that the cost
    of an arm does not depend on the order in which arms run. Time spent computing in this process is measured by the
    trial itself and is not added again, nor is the cost of an array that this trial has asked for before (`known`).
    """

    folder: Path
    charged: list[Cost] = field(default_factory=list)
    known: set[Path] = field(default_factory=set)

    def array(self, what: str, parts: Any, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """Returns the array that `parts` (anything JSON can hold) identifies, computed at most once; read-only.

        `what` names the kind of array (it becomes a folder). A damaged or unreadable entry is computed again.
        """
        key = hashlib.sha256(json.dumps([what, parts], sort_keys=True).encode()).hexdigest()[:32]
        path = self.folder / what / f"{key}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        asked, first = time.perf_counter(), path not in self.known
        self.known.add(path)
        with FileLock(f"{path}.lock"):
            found = _read(path)
            if found is None:
                return _made(path, compute)
        # Waiting for another process is not work: the trial measured that time, so it is subtracted.
        self.charged.extend([*([_cost(path)] if first else []), Cost(wall_s=asked - time.perf_counter())])
        return found


def _made(path: Path, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Computes and keeps the array; its cost is written first, so that no array is without one."""
    with time_block() as bill:
        value = np.asarray(compute())
    write_atomic(_bill(path), json.dumps(asdict(bill.cost)).encode())
    content = io.BytesIO()
    np.save(content, value, allow_pickle=False)
    write_atomic(path, content.getvalue())
    value.flags.writeable = False
    return value


def _bill(path: Path) -> Path:
    return path.with_suffix(".json")


def _cost(path: Path) -> Cost:
    return Cost(**json.loads(_bill(path).read_text(encoding="utf-8")))


def _read(path: Path) -> np.ndarray | None:
    """Returns the stored array, read-only; None if it is absent or damaged."""
    try:
        _cost(path)
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, TypeError):
        return None
