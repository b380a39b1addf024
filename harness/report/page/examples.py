"""A study in, its training rows that a page names out, as texts or small pictures, where the data is at hand.

Records hold no data. A task that is embedded is at hand always; one that lies in a folder is where the folder is said.
What is shown is made from what the strategies saw, so the folder must hold the very content that the study ran on.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from hydra.utils import get_method
from PIL import Image

from harness.data import Source, Task, take
from harness.errors import BadInput
from harness.run.options import build

ShownRow = Mapping[str, str | bytes]
CELLS = 12
"""How many numbers of a table's row are shown."""


def rows(plan: Mapping[str, Any] | None, data: Collection[str], ids: Collection[str], path: str | None) -> ShownRow:
    """Texts or PNG bytes of the training rows of these ids; empty where the data is not at hand.

    `data` are the fingerprints of what the study's trials ran on, `path` is where its task lies, None where nobody
    said. BadInput where other content lies there.
    """
    source = _source(plan, path) if plan and ids else None
    if plan is None or source is None:
        return {}
    if set(data) != {source.fingerprint}:
        raise BadInput(f"task.path: {path} holds other data than the study '{plan['name']}' ran on")
    found: dict[str, str | bytes] = {}
    for seed in plan["seeds"]:
        found |= _named(source.split(seed), set(ids) - set(found))
    return found


def needs_path(plan: Mapping[str, Any] | None) -> bool:
    """Whether the study's task lies in a place that its user says."""
    if not plan or "_target_" not in plan.get("task", {}):
        return False
    return "path" in inspect.signature(get_method(plan["task"]["_target_"])).parameters


def _source(plan: Mapping[str, Any], path: str | None) -> Source | None:
    """The task's source; None where it needs a place that was not said, or is no function of this program."""
    if "_target_" not in plan.get("task", {}) or (needs_path(plan) and path is None):
        return None
    where = {"path": path} if needs_path(plan) else {}
    made: Source = build({**plan["task"], **where})
    return made


def _named(task: Task, ids: Collection[str]) -> dict[str, str | bytes]:
    """Those of the training rows of one split that are asked for."""
    places = [place for place, name in enumerate(task.train.ids.astype(str).tolist()) if name in ids]
    x = take(task.train.x, np.array(places, dtype=np.int64)) if places else []
    names = task.train.ids.astype(str)
    return {str(names[place]): show_row(row) for place, row in zip(places, x, strict=True)}


def show_row(row: Any) -> str | bytes:
    """A row as a person sees it: a picture as PNG, a text as it is, a table's row as its first numbers."""
    if isinstance(row, str):
        return str(row)
    if isinstance(row, np.ndarray) and row.ndim == 3:
        return _png(row)
    if getattr(row, "dtype", None) is not None and row.dtype.names:
        return ", ".join(f"{name}: {row[name]}" for name in row.dtype.names)
    cells = np.asarray(row).ravel()
    return ", ".join(f"{value:g}" for value in cells[:CELLS].tolist()) + (", …" if len(cells) > CELLS else "")


def _png(pixels: np.ndarray) -> bytes:
    """A picture (height, width, colours) of bytes as PNG, grey where it has one colour."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
