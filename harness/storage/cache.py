"""Costly intermediates by content: a key and a computation in, the array and what it cost out."""

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
    """A folder of arrays shared by trials and processes.

    An arm that finds an intermediate made by another arm is charged what it cost to make: `charged` adds up those
    costs, so that the order in which arms run changes no arm's bill. Time spent computing in this process is on the
    trial's own clock already and is not added again, nor is what this trial has asked for before (`known`).
    """

    folder: Path
    charged: list[Cost] = field(default_factory=list)
    known: set[Path] = field(default_factory=set)

    def array(self, what: str, parts: Any, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """The array that `parts` (anything JSON can hold) identifies, computed at most once; read-only.

        `what` names the kind of thing (it becomes a folder). A torn or unreadable entry is computed anew.
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
        # Waiting for another process is nobody's work: the trial's own clock ran meanwhile, so it is taken off.
        self.charged.extend([*([_cost(path)] if first else []), Cost(wall_s=asked - time.perf_counter())])
        return found


def _made(path: Path, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Computes and keeps the array; its cost is written first, so that an array is never there without it."""
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
    return Cost(**json.loads(_bill(path).read_text()))


def _read(path: Path) -> np.ndarray | None:
    """The stored array, read-only; None where it is absent or torn."""
    try:
        _cost(path)
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, TypeError):
        return None
