"""Returns the training rows of a study that a page names, as texts or small pictures, if the data are available.

Records hold no data. An embedded task is always available; a task in a folder only if the path is given. The rows are
shown as the strategies saw them, so the folder must hold the same content as when the study ran.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from PIL import Image

from harness.data import Source, Task, take
from harness.errors import BadInput
from harness.run.rebuilding import rebuild_task, refusal, takes_path

ShownRow = Mapping[str, str | bytes]
CELLS = 12
"""How many numbers of a table row are shown."""


def rows(
    plan: Mapping[str, Any] | None, data: Collection[str], ids: Collection[str], path: str | None,
    trust: Collection[str] = (),
) -> ShownRow:  # fmt: skip
    """Returns texts or PNG bytes of the training rows of these ids; empty if the data are not available.

    `data` are the fingerprints of the data of the study's trials; `path` is the path of its task, None if unknown.
    A task is built only if it is one of this package or in `trust` (see `hidden_rows`). BadInput if the content there
    is different.
    """
    source = _source(plan, path, trust) if plan and ids else None
    if plan is None or source is None:
        return {}
    if set(data) != {source.fingerprint}:
        raise BadInput(f"task.path: {path} does not hold the data that the study '{plan['name']}' ran on")
    found: dict[str, str | bytes] = {}
    for seed in plan.get("seeds", []):
        found |= _named(source.split(seed), set(ids) - set(found))
    return found


def hidden_rows(plan: Mapping[str, Any] | None, trust: Collection[str] = (), path: str | None = None) -> str | None:
    """Returns in a sentence why a page shows no training rows of a task that cannot be built; None if it can be.

    A task that needs a `path` is checked whole only if there is one.
    """
    task = (plan or {}).get("task", {})
    asks = needs_path(plan, trust)
    places = None if asks and path is None else {name: path for name in ["path"] if asks}
    why = refusal(task, trust, places) if "_target_" in task else None
    return f"the page shows no training rows: {why}" if why else None


def needs_path(plan: Mapping[str, Any] | None, trust: Collection[str] = ()) -> bool:
    """Returns whether the study's task needs a path from the user."""
    return bool(plan) and "_target_" in (plan or {}).get("task", {}) and takes_path((plan or {})["task"], trust)


def _source(plan: Mapping[str, Any], path: str | None, trust: Collection[str]) -> Source | None:
    """Returns the task's source; None if it needs a path that is not given, or may not be built."""
    without = needs_path(plan, trust) and path is None
    if "_target_" not in plan.get("task", {}) or without or hidden_rows(plan, trust, path):
        return None
    return rebuild_task(plan["task"], {"path": path} if needs_path(plan, trust) else {}, trust)


def _named(task: Task, ids: Collection[str]) -> dict[str, str | bytes]:
    """Returns the training rows of one split that have one of the ids."""
    places = [place for place, name in enumerate(task.train.ids.astype(str).tolist()) if name in ids]
    x = take(task.train.x, np.array(places, dtype=np.int64)) if places else []
    names = task.train.ids.astype(str)
    return {str(names[place]): show_row(row) for place, row in zip(places, x, strict=True)}


def show_row(row: Any) -> str | bytes:
    """Returns a row for display: an image as PNG, a text as it is, a table row as its first numbers."""
    if isinstance(row, str):
        return str(row)
    if isinstance(row, np.ndarray) and row.ndim == 3:
        return _png(row)
    if getattr(row, "dtype", None) is not None and row.dtype.names:
        return ", ".join(f"{name}: {row[name]}" for name in row.dtype.names)
    cells = np.asarray(row).ravel()
    return ", ".join(f"{value:g}" for value in cells[:CELLS].tolist()) + (", …" if len(cells) > CELLS else "")


def _png(pixels: np.ndarray) -> bytes:
    """Returns an image (height, width, channels) of uint8 as PNG, grey if it has one channel."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
