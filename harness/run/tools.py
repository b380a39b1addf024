"""Lends strategies the tools that they may use, and counts every label that they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harness.data import EvalSet, Task, TrainSet
from harness.errors import BadInput
from harness.learners import Learner, Run
from harness.learners.probe import FoldProbe, dynamics, fold_probes, out_of_sample
from harness.strategies import Signature, Tools
from harness.streams import stream
from harness.tables import numeric

COUNTED = ("votes", "rules", "edits")
"""What strategies may enter in the ledger themselves: work that people did before the trial."""


@dataclass
class Purchases:
    """Meters access to gold and validation labels: every label asked for is counted. `notes` are facts to record."""

    task: Task
    sold: set[Any] = field(default_factory=set)
    valid_labels: int = 0
    counted: dict[str, int] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def ask(self, ids: np.ndarray) -> np.ndarray:
        """Returns the true classes (len(ids),) of those rows; BadInput if a class or an id is unknown."""
        gold = dict(zip(self.task.train.ids.tolist(), self.task.gold.tolist(), strict=True))
        unknown = [name for name in ids.tolist() if gold.get(name, -1) < 0]
        if unknown:
            raise BadInput(f"the oracle knows no true class of {len(unknown)} rows, the first is '{unknown[0]}'")
        self.sold.update(ids.tolist())
        return np.array([gold[name] for name in ids.tolist()], dtype=np.int64)

    def valid(self) -> EvalSet:
        """Returns the validation rows and counts all their labels; BadInput if the task has none."""
        if not len(self.task.valid):
            raise BadInput(f"task {self.task.name} has no validation rows to learn from")
        self.valid_labels = len(self.task.valid)
        return self.task.valid

    def count(self, what: str, number: int) -> None:
        """Adds to the count of work that people did before the trial."""
        if what not in COUNTED:
            raise BadInput(f"the ledger has no line '{what}': a strategy may count {', '.join(COUNTED)}")
        self.counted[what] = self.counted.get(what, 0) + number

    def joined(self, others: Sequence[Purchases]) -> Purchases:
        """Returns what was bought for several attempts: each row once, and what people had done before once as well."""
        names = dict.fromkeys(name for one in others for name in one.counted)
        return Purchases(
            self.task,
            set().union(*(one.sold for one in others)),
            max(one.valid_labels for one in others),
            {name: max(one.counted.get(name, 0) for one in others) for name in names},
        )

    def in_test(self, train: TrainSet, signature: Signature) -> np.ndarray:
        """Returns True for each row of `train` that shares a signature with a test row."""
        test = self.task.test.x if train.prepare is None else train.prepare(self.task.test.x)
        here, there = (np.asarray(signature(x)) for x in (train.x, test))
        return np.asarray(np.isin(here.reshape(len(here), -1), there).any(1))


def lend(kind: str, needs: list[str], probe: Learner, identity: list[Any], run: Run, bought: Purchases) -> Tools:
    """Returns the tools of a strategy of that kind; those that its option does not declare under `needs` are refused.

    `probe` scores rows; `identity` is its identity as JSON, for the cache.
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
        in_test=unless_declared("test", bought.in_test),
        count=bought.count,
        note=bought.notes.__setitem__,
        classes=bought.task.classes,
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
