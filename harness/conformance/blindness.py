"""Checks that a trial sees no validation row, no test row, and no true class that it did not buy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.conformance.promises import require
from harness.data import EvalSet, Task
from harness.run.trial import Place, Trial, run_trial
from harness.storage.cache import Cache
from harness.storage.store import unpack
from harness.tables import cells_table, columns_of


def check_blind(trial: Trial, task: Task, folder: Path) -> None:
    """Nothing that an arm does may hang on validation rows, test rows, or true classes that it did not buy.

    The task is poisoned, once in what is only scored and once in every row too, and the trial is run again. With
    `protocol.selection=last` the validation rows play no part either. What the arm declares that it needs is left as
    it is: gold labels that it buys, validation rows that it pays for, test rows (never their labels) that it is told
    apart from.
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
    require(receipts[0] == receipts[1] == receipts[2], "a strategy saw validation, test or unbought true classes")
    curves = [[{**row, "valid": None} for row in record["history"]] for record in records]
    require(curves[0] == curves[1] == curves[2], "training saw validation, test or unbought true classes")
    predicted = [unpack(record["result"]["predictions"]) for record in records[:2]]
    require(np.array_equal(predicted[0], predicted[1]), "the model hangs on labels that it must not see")


def _with_parts(task: Task, gold: np.ndarray, parts: Mapping[str, EvalSet]) -> Task:
    """Returns the task with other true classes and other parts."""
    return replace(task, gold=gold, valid=parts.get("valid", task.valid), test=parts["test"])


def declared_needs(trial: Trial) -> set[str]:
    """What the options of the arm declare that they need."""
    return {need for node in trial.arm.values() for need in (node.get("needs") or [])}


def invert_rows(x: np.ndarray) -> np.ndarray:
    """Other rows of the same kind: a negative, and every text or cell backwards."""
    if x.dtype.names:
        return cells_table({name: invert_rows(cells) for name, cells in columns_of(x).items()})
    if x.dtype.kind == "U":
        return np.array([text[::-1] for text in x.tolist()])
    return 255 - x if x.dtype == np.uint8 else -x
