"""Checks that a trial sees no validation row, no test row, and no true class that it did not ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.conformance.promises import require
from harness.data import EvalSet, Task
from harness.run.options import needs_of
from harness.run.specification import Trial
from harness.run.trial import Place, run_trial
from harness.storage.cache import Cache
from harness.storage.packing import unpack
from harness.tables import cells_table, columns_of


def check_blind(trial: Trial, task: Task, folder: Path) -> None:
    """Checks that an arm does not depend on validation rows, test rows, or true classes that it did not ask for.

    The trial is run again with the labels of the scored parts and the unused true classes changed, and once more with
    their rows changed too. With `protocol.selection=last` the validation rows play no part either. What the arm
    declares under `needs` is left unchanged: gold labels, validation rows, and test rows (never their labels) to
    compare with.
    """
    k, lent = len(task.classes), declared_needs(trial)
    parts = {"test": task.test} if lent & {"valid", "tuning"} else {"valid": task.valid, "test": task.test}
    labels = {name: replace(part, y=(part.y + 1) % k) for name, part in parts.items()}
    gold = task.gold if "gold" in lent else (task.gold + 1) % k
    rows = {name: part if name in lent else replace(part, x=invert_rows(part.x)) for name, part in labels.items()}
    records = [
        run_trial(trial, found, Place(Cache(folder / str(number)), "cpu"))
        for number, found in enumerate((task, _with_parts(task, gold, labels), _with_parts(task, gold, rows)))
    ]
    receipts = [record["receipts"] for record in records]
    require(receipts[0] == receipts[1] == receipts[2], "a strategy saw validation rows, test rows or gold labels")
    curves = [[{**row, "valid": None} for row in record["history"]] for record in records]
    require(curves[0] == curves[1] == curves[2], "training saw validation rows, test rows or gold labels")
    predicted = [unpack(record["result"]["predictions"]) for record in records[:2]]
    require(np.array_equal(predicted[0], predicted[1]), "the model depends on labels that it must not see")


def _with_parts(task: Task, gold: np.ndarray, parts: Mapping[str, EvalSet]) -> Task:
    """Returns the task with other true classes and other parts."""
    return replace(task, gold=gold, valid=parts.get("valid", task.valid), test=parts["test"])


def declared_needs(trial: Trial) -> set[str]:
    """Returns all `needs` that the options of the arm declare, and what they wrap."""
    return {need for node in trial.arm.values() for need in needs_of(node)}


def invert_rows(x: np.ndarray) -> np.ndarray:
    """Returns other rows of the same kind: pixels inverted, numbers negated, every text or cell reversed."""
    if x.dtype.names:
        return cells_table({name: invert_rows(cells) for name, cells in columns_of(x).items()})
    if x.dtype.kind == "U":
        return np.array([text[::-1] for text in x.tolist()])
    return 255 - x if x.dtype == np.uint8 else -x
