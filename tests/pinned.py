"""The numbers that shipped options compute on small sets, pinned under the protocol's version.

A trial's key holds the protocol's version, not the product's code. So whoever changes what an option computes must
raise the version, or old records would vouch for numbers that nobody can compute any more. Tests hand what they
computed to `check_pinned`; `make pins` writes the numbers anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from harness.data import EvalSet, Task, TrainSet
from harness.learners import Fit
from harness.storage.files import dump, write_atomic
from harness.storage.places import conf_dir
from harness.tables import is_raw

PINS = Path(__file__).with_name("pinned.json")
WRITE = "HARNESS_WRITE_PINS"
"""The variable under which numbers are written instead of compared; one process at a time."""
CLOSE = 1e-3
"""The relative difference that other processors and versions of libraries may make to rows."""
CLOSE_FIT = 5e-3
"""The same for a fit, whose steps carry rounding on. Kernels for a processor of 2008 stay within it in all options, and
in all but two within 1e-3; another order of batches, or a warm-up or decay of another shape, makes more.
"""


def check_pinned(name: str, numbers: Mapping[str, float], close: float = CLOSE) -> None:
    """Fails where an option no longer computes the numbers that were pinned under this version of the protocol."""
    pins = json.loads(PINS.read_text()) if PINS.is_file() else {"version": None, "numbers": {}}
    if os.environ.get(WRITE):
        pins["version"], pins["numbers"][name] = protocol_version(), _short(numbers)
        write_atomic(PINS, dump(pins))
        return
    assert pins["version"] == protocol_version(), "the protocol has a new version: write its numbers with `make pins`"
    pinned = pins["numbers"].get(name)
    assert pinned is not None, f"nothing is pinned for {name}: write its numbers with `make pins`"
    assert _short(numbers) == pytest.approx(pinned, rel=close, abs=close / 5), (
        f"{name} no longer computes what protocol version {pins['version']} stands for: undo the change, or raise "
        "`version` in conf/protocol/default.yaml and write the numbers with `make pins`"
    )


def protocol_version() -> int:
    """The version of the protocol that every trial's key holds."""
    return int(yaml.safe_load((conf_dir() / "protocol" / "default.yaml").read_text())["version"])


def of_fit(fit: Fit, valid: EvalSet) -> dict[str, float]:
    """Probabilities on held-out rows and on rows between two of them, where no fit is sure, and what a fit counts."""
    probs = [fit.predict(x).astype(np.float64) for x in (valid.x, _between(valid.x))]
    right = probs[0][np.arange(len(valid)), valid.y]
    return {
        "right": float(right.mean()), "between": float(probs[1].max(1).mean()), "second": float(probs[1][:, 1].mean()),
        "parameters": float(fit.parameters), "examples": float(fit.examples),
    }  # fmt: skip


def _between(x: Any) -> Any:
    """Each row halfway to the next one: the mean of two pictures or rows of numbers, two texts one after the other."""
    x = np.asarray(x)
    if x.dtype.kind == "U":
        return np.array([f"{one} {other}" for one, other in zip(x, np.roll(x, 1), strict=True)])
    return ((x.astype(np.float64) + np.roll(x, 1, axis=0)) / 2).astype(x.dtype)


def of_rows(rows: TrainSet) -> dict[str, float]:
    """Sums over a training set that move with any row, label, weight or feature that changes."""
    place = np.arange(1, len(rows) + 1) / max(len(rows), 1)
    return {
        "rows": float(len(rows)), "weights": float(rows.w @ place), "x": _of_inputs(rows.x, place),
        "labels": float((rows.y @ np.arange(1, rows.k + 1)) @ (place * rows.w)),
    }  # fmt: skip


def of_batch(x: Any, y: torch.Tensor) -> dict[str, float]:
    """Sums over an augmented batch; of a blended one over its partners and shares too."""
    place = np.arange(1, len(y) + 1) / len(y)
    blend = {} if not hasattr(x, "share") else {"blend": float(np.asarray(x.share, dtype=np.float64).sum())}
    x = getattr(x, "batch", x)
    content = np.array(x) if isinstance(x, list) else x.numpy()
    return {"x": _of_inputs(content, place), "labels": float(y.numpy() @ np.arange(1, y.shape[1] + 1) @ place), **blend}


def of_task(task: Task) -> dict[str, float]:
    """Sums over the parts of a task."""
    held = {"valid": task.valid, "test": task.test}
    found = {f"train_{name}": number for name, number in of_rows(task.train).items()}
    for part, rows in held.items():
        place = np.arange(1, len(rows) + 1) / max(len(rows), 1)
        found |= {f"{part}_x": _of_inputs(rows.x, place), f"{part}_y": float((rows.y + 1) @ place)}
    return found


def _of_inputs(x: Any, place: np.ndarray) -> float:
    """A sum over inputs, each row with the weight of its place; texts and cells by their characters."""
    x = np.asarray(x)
    if is_raw(x):
        x = np.array(["|".join(map(str, row)) for row in x.tolist()])
    if x.dtype.kind in "UO":
        return float(np.array([sum(map(ord, str(text))) for text in x], dtype=np.float64) @ place)
    rows = np.nan_to_num(x.reshape(len(x), -1).astype(np.float64), nan=-1.0)
    return float(place @ rows @ np.linspace(1, 2, rows.shape[1])) if len(x) else 0.0


def _short(numbers: Mapping[str, float]) -> dict[str, float]:
    """Numbers to six digits: what is written stays readable."""
    return {name: float(f"{number:.6g}") for name, number in numbers.items()}
