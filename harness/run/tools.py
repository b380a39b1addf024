"""Lends strategies the tools that they may use, and counts every label that they ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import InitVar, dataclass, field, replace
from types import NoneType
from typing import Any

import numpy as np

from harness.data import EvalSet, Task, TrainSet, take
from harness.errors import BadInput
from harness.learners import Learner, Run
from harness.learners.probe import FoldProbe, dynamics, fold_probes, out_of_sample
from harness.strategies import Tools
from harness.strategies.clean.fingerprints import alike_rows
from harness.streams import stream
from harness.tables import numeric

COUNTED = ("votes", "rules", "edits")
"""What strategies may enter in the ledger themselves: work that people did before the trial."""
InTest = Callable[[np.ndarray, str, Mapping[str, Any]], np.ndarray]
"""Tells which training rows also occur in the test part (see `harness.strategies.Tools`)."""
_PLAIN = (str, int, float, bool, NoneType)


@dataclass
class Purchases:
    """Meters access to gold and validation labels: every label asked for is counted once. `notes` are facts to record.

    A label that the task gives as gold is paid for already: its row costs nothing. No test row is held here.
    """

    task: InitVar[Task]
    sold: set[Any] = field(default_factory=set)
    valid_labels: int = 0
    counted: dict[str, int] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self, task: Task) -> None:
        ids, train = task.train.ids.tolist(), task.train
        self._name, self._valid = task.name, task.valid
        given = train.labelled if task.facts.get("train_labels") == "gold" else np.zeros(len(train), dtype=bool)
        self._paid = {name for name, is_gold in zip(ids, given.tolist(), strict=True) if is_gold}
        known = np.where(given & (task.gold < 0), train.classes, task.gold)
        self._gold = dict(zip(ids, known.tolist(), strict=True))

    def ask(self, ids: np.ndarray) -> np.ndarray:
        """Returns the true classes (len(ids),) of those rows; BadInput if a class or an id is unknown."""
        unknown = [name for name in ids.tolist() if self._gold.get(name, -1) < 0]
        if unknown:
            raise BadInput(f"the oracle knows no true class of {len(unknown)} rows, the first is '{unknown[0]}'")
        self.sold.update(set(ids.tolist()) - self._paid)
        return np.array([self._gold[name] for name in ids.tolist()], dtype=np.int64)

    def valid(self) -> EvalSet:
        """Returns the validation rows and counts all their labels; BadInput if the task has none."""
        if not len(self._valid):
            raise BadInput(f"task {self._name} has no validation rows to learn from")
        self.valid_labels = len(self._valid)
        return self._valid

    def count(self, what: str, number: int) -> None:
        """Adds to the count of work that people did before the trial."""
        if what not in COUNTED:
            raise BadInput(f"the ledger has no line '{what}': a strategy may count {', '.join(COUNTED)}")
        self.counted[what] = self.counted.get(what, 0) + number

    def joined(self, others: Sequence[Purchases]) -> Purchases:
        """Returns what was bought for several attempts: each row once, and what people had done before once as well."""
        names = dict.fromkeys(name for one in others for name in one.counted)
        whole = copy(self)
        whole.sold = set().union(*(one.sold for one in others))
        whole.valid_labels = max(one.valid_labels for one in others)
        whole.counted = {name: max(one.counted.get(name, 0) for one in others) for name in names}
        return whole


def compare_with_test(task: Task) -> InTest:
    """Returns the tool that tells which training (or `valid/` plus validation) rows have their like in the test part.

    A strategy passes ids, the name of a way, and numbers or names as its parameters, never code or rows: both sides
    are the rows as the task holds them, and only what the harness computes from them is compared. So a strategy can
    neither see a test row nor try rows of its own making.
    """
    test = task.test.x
    parts = ((_places(task.train.ids, ""), task.train.x), (_places(task.valid.ids, "valid/"), task.valid.x))

    def in_test(ids: np.ndarray, way: str, parameters: Mapping[str, Any]) -> np.ndarray:
        names, plain = [str(name) for name in ids.tolist()], _plain_parameters(parameters)
        unknown = [name for name in names if not any(name in places for places, _ in parts)]
        if unknown:
            raise BadInput(
                f"'{unknown[0]}' is not a row of task {task.name}; only rows of the task can be compared with its "
                "test part"
            )
        found = np.zeros(len(names), dtype=bool)
        for places, x in parts:
            here = [row for row, name in enumerate(names) if name in places]
            if here:
                rows = np.array([places[names[row]] for row in here])
                found[here] = alike_rows(take(x, rows), test, str(way), plain)
        return found

    return in_test


def _places(ids: np.ndarray, prefix: str) -> dict[str, int]:
    return {f"{prefix}{name}": row for row, name in enumerate(ids.tolist())}


def _plain_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters; BadInput for one that is more than numbers and names, as code would see what it meets."""
    for name, value in parameters.items():
        members = value if type(value) in (list, tuple) else [value]
        if any(type(member) not in _PLAIN for member in members):
            raise BadInput(f"{name} is a {type(value).__name__}: rows are compared with the test by numbers and names")
    return dict(parameters)


def lend(
    kind: str, needs: list[str], probe: Learner, identity: list[Any], run: Run, bought: Purchases, in_test: InTest
) -> Tools:
    """Returns the tools of a strategy of that kind; those that its option does not declare under `needs` are refused.

    `probe` scores rows; `identity` is its identity as JSON, for the cache. What is refused is not held by the tools
    either.
    """
    quiet = replace(run, log=lambda row: None)

    def probed(train: TrainSet) -> np.ndarray:
        return out_of_sample(numeric(train), learner=probe, run=quiet, identity=identity)

    def watched(train: TrainSet) -> np.ndarray:
        return dynamics(numeric(train), learner=probe, run=quiet, identity=identity)

    def folded(train: TrainSet) -> list[FoldProbe]:
        return fold_probes(numeric(train), learner=probe, run=quiet)

    def unless_declared(need: str, tool: Any) -> Any:
        def refused(*_: Any) -> Any:
            raise BadInput(f"{kind} asks for {WHAT[need]}: its option must declare `needs: [{need}]`")

        return tool if need in needs else refused

    return Tools(
        rng=stream(run.seed, "strategy", kind),
        pred_probs=unless_declared("probe", probed),
        dynamics=unless_declared("dynamics", watched),
        fold_probes=unless_declared("probe", folded),
        ask=unless_declared("gold", bought.ask),
        valid=unless_declared("valid", bought.valid),
        in_test=unless_declared("test", in_test),
        count=bought.count,
        note=bought.notes.__setitem__,
        classes=run.classes,
        cache=run.cache,
        device=run.device,
    )


WHAT = {
    "probe": "the probe's probabilities",
    "dynamics": "the course of the probe's training",
    "gold": "true classes",
    "valid": "the validation labels",
    "test": "which rows stand in the test part",
}
"""What each need gives access to, in words."""
