"""Finds controls that predict one class on nearly every row, with which a comparison says little; pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.arm import BASELINE, kind_in_words
from harness.storage.packing import unpack
from harness.storage.store import Record, TestSet

NEARLY_ALL = 0.95
"""Least share of the predictions in one class for a control to be degenerate, if that class is rarer in truth."""
TRULY = 0.90
"""From this share of the test rows on, a class may be predicted for nearly all of them by a sound model."""


@dataclass(frozen=True)
class Degenerate:
    """Holds a control that nearly always predicts one class: its arm and kind, that class, and shares in [0, 1].

    `predicted` is the mean share of the predictions over the `n_flagged` of `n_seeds` seeds for which it is so, `true`
    the class's mean share of their test rows.
    """

    arm: str
    kind: str
    label: str
    predicted: float
    true: float
    n_flagged: int
    n_seeds: int


def find_degenerate(records: Sequence[Record], test_set: Callable[[str], TestSet]) -> list[Degenerate]:
    """Returns the baseline and the references that are degenerate on at least one seed, the baseline first.

    Shares come from the predictions in the records. A class that holds `TRULY` of the test rows flags nobody.
    """
    by_arm: dict[str, list[tuple[int, float, float]]] = {}
    kinds: dict[str, str] = {}
    classes: dict[str, tuple[str, ...]] = {}
    for record in records:
        arm = str(record["arm"])
        if record["status"] != "done" or not (arm == BASELINE or record["reference"]):
            continue
        test = test_set(record["result"]["test_set"])
        kinds[arm], classes[arm] = str(record["reference"]), test.classes
        by_arm.setdefault(arm, []).append(_largest(record, test))
    found = [_summary(arm, kinds[arm], classes[arm], shares) for arm, shares in by_arm.items()]
    return sorted((one for one in found if one.n_flagged), key=lambda one: (one.arm != BASELINE, one.arm))


def _largest(record: Record, test: TestSet) -> tuple[int, float, float]:
    """Returns the class predicted most often, its share of the predictions, and its share of the test rows."""
    predicted = unpack(record["result"]["predictions"])
    largest = int(np.bincount(predicted, minlength=len(test.classes)).argmax())
    return largest, float((predicted == largest).mean()), float((test.y == largest).mean())


def _summary(arm: str, kind: str, classes: Sequence[str], shares: list[tuple[int, float, float]]) -> Degenerate:
    flagged = [one for one in shares if one[1] >= NEARLY_ALL and one[2] < TRULY]
    if not flagged:
        return Degenerate(arm, kind, "", 0.0, 0.0, 0, len(shares))
    names = list(dict.fromkeys(classes[one[0]] for one in flagged))
    predicted, true = (float(np.mean([one[place] for one in flagged])) for place in (1, 2))
    return Degenerate(arm, kind, " or ".join(names), predicted, true, len(flagged), len(shares))


def degenerate_notes(found: Sequence[Degenerate]) -> Iterator[str]:
    """Yields a warning for each degenerate control."""
    for one in found:
        seeds = "on every seed" if one.n_flagged == one.n_seeds else f"on {one.n_flagged} of {one.n_seeds} seeds"
        who = "the baseline" if one.arm == BASELINE else f"the {kind_in_words(one.kind)} {one.arm}"
        yield (
            f"Warning: {who} predicts {one.label} for {_percent(one.predicted)} of the test rows, of which only "
            f"{_percent(one.true)} are {one.label} ({seeds}): it is no control, and a gain over it says little."
        )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
