"""Returns the training rows of a study that a page names, as texts or small pictures, if the data are available.

Records hold no data. An embedded task is always available; a task in a folder only if the path is given. The rows are
shown as the strategies saw them, so the folder must hold the same content as when the study ran.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from PIL import Image

from harness.data import Source, Task, take
from harness.errors import BadInput
from harness.run.options import build, current_target
from harness.run.targets import NoTarget, find_target

ShownRow = Mapping[str, str | bytes]
CELLS = 12
"""How many numbers of a table row are shown."""


def rows(plan: Mapping[str, Any] | None, data: Collection[str], ids: Collection[str], path: str | None) -> ShownRow:
    """Returns texts or PNG bytes of the training rows of these ids; empty if the data are not available.

    `data` are the fingerprints of the data of the study's trials; `path` is the path of its task, None if unknown.
    BadInput if the content there is different.
    """
    source = _source(plan, path) if plan and ids else None
    if plan is None or source is None:
        return {}
    if set(data) != {source.fingerprint}:
        raise BadInput(f"task.path: {path} does not hold the data that the study '{plan['name']}' ran on")
    found: dict[str, str | bytes] = {}
    for seed in plan["seeds"]:
        found |= _named(source.split(seed), set(ids) - set(found))
    return found


def needs_path(plan: Mapping[str, Any] | None) -> bool:
    """Returns whether the study's task needs a path from the user; false if it is not a function of this program."""
    if not plan or "_target_" not in plan.get("task", {}) or not _is_ours(plan["task"]):
        return False
    return "path" in inspect.signature(find_target(current_target(plan["task"]["_target_"]))).parameters


def _is_ours(node: Any) -> bool:
    """Returns whether each function that a node names is defined in this program.

    A folder of records from elsewhere may name any function, and building the node would call it. The function itself
    is looked at, since a path through one of our modules can lead to another library's function.
    """
    if isinstance(node, list):
        return all(map(_is_ours, node))
    if not isinstance(node, Mapping):
        return True
    target = node.get("_target_")
    return (target is None or _is_defined_here(str(target))) and all(map(_is_ours, node.values()))


def _is_defined_here(target: str) -> bool:
    if not current_target(target).startswith("harness."):
        return False
    try:
        return str(getattr(find_target(current_target(target)), "__module__", "")).startswith("harness.")
    except NoTarget:
        return False


def _source(plan: Mapping[str, Any], path: str | None) -> Source | None:
    """Returns the task's source; None if it needs a path that is not given, or is not a function of this program."""
    if "_target_" not in plan.get("task", {}) or not _is_ours(plan["task"]) or (needs_path(plan) and path is None):
        return None
    where = {"path": path} if needs_path(plan) else {}
    made: Source = build({**plan["task"], **where})
    return made


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
