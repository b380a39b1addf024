"""Scores the same predictions on the test labels as they were given and on the cleaned (gold) ones; pure functions.

Cleaning the labels of the test part moves scores without any training. CleanML's mean gain of cleaning grows from
+0.03 to +1.60 points if the test part is cleaned as well. So the two are held apart: what training on cleaned labels
gains is read within one column, on the same test labels; what the other column adds is the test labels' doing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.analysis.effects import Interval, TrialPair, measured_interval
from harness.analysis.measures import ScoredRows, measure
from harness.analysis.rescoring import rows_of
from harness.arm import BASELINE
from harness.storage.store import Record, TestSet
from harness.streams import stream

_DRAWS = 1000


@dataclass(frozen=True)
class PolicyRow:
    """Holds an arm's mean scores in points on given and on gold test labels, and its gain over the baseline on each.

    The gains are None for the baseline. `n` is the mean number of test rows that have both labels, `n_differ` of them
    have two that differ. `reference` is the arm's kind of reference, if any.
    """

    arm: str
    reference: str
    given: float
    gold: float
    gain_given: Interval | None
    gain_gold: Interval | None
    n: int
    n_differ: int

    @property
    def moved(self) -> float:
        """Returns what cleaning the test labels alone adds to the score, in points."""
        return self.gold - self.given


def compare_policies(records: Sequence[Record], test_set: Callable[[str], TestSet]) -> list[PolicyRow]:
    """Returns a row for the baseline and for each arm that cleans and changes nothing else of the baseline.

    Over the seeds that the arm and the baseline share. Empty if no test row has a given label beside another gold one.
    """
    done: dict[str, dict[int, Record]] = {}
    for one in records:
        if one["status"] == "done" and (one["arm"] == BASELINE or list(one["factors"]) == ["clean"]):
            done.setdefault(str(one["arm"]), {})[int(one["seed"])] = one
    base = done.pop(BASELINE, {})
    sets = {one["result"]["test_set"]: test_set(one["result"]["test_set"]) for one in base.values()}
    if not any(test.given is not None and _differ(test).any() for test in sets.values()):
        return []
    rows = [_row(base, base, sets)]
    shared = {arm: {seed: one for seed, one in of.items() if seed in base} for arm, of in done.items()}
    return [*rows, *(_row(of, base, sets) for of in shared.values() if of)]


def _differ(test: TestSet) -> np.ndarray:
    """Returns which rows have a given label that is not the gold one (n,)."""
    assert test.given is not None
    return (test.given >= 0) & (test.given != test.y)


def _row(arm: Mapping[int, Record], base: Mapping[int, Record], sets: Mapping[str, TestSet]) -> PolicyRow:
    first = next(iter(arm.values()))
    is_base = first["arm"] == BASELINE
    scores: dict[str, float] = {}
    gains: dict[str, Interval | None] = {}
    for policy in ("given", "gold"):
        both = [(arm[seed]["result"], base[seed]["result"]) for seed in sorted(arm)]
        found, k = measure(first["result"]["metric"]), len(sets[both[0][1]["test_set"]].classes)
        each = [found.sums(_scored(result, sets[result["test_set"]], policy)).once() for result, _ in both]
        scores[policy] = 100 * float(np.mean(each))
        pairs = [_pair(result, control, sets[result["test_set"]], policy) for result, control in both]
        rng = stream(0, "policies", str(first["arm"]), policy)
        gains[policy] = None if is_base else measured_interval(
            pairs, found, k, draws=min(_DRAWS, found.draws), rng=rng
        )  # fmt: skip
    tests = [sets[one["result"]["test_set"]] for one in arm.values()]
    return PolicyRow(
        str(first["arm"]), str(first["reference"]), scores["given"], scores["gold"], gains["given"], gains["gold"],
        round(float(np.mean([_both(test).sum() for test in tests]))),
        round(float(np.mean([_differ(test).sum() for test in tests]))),
    )  # fmt: skip


def _both(test: TestSet) -> np.ndarray:
    """Returns which rows have both labels (n,)."""
    return np.zeros(len(test.y), dtype=bool) if test.given is None else test.given >= 0


def _scored(result: Mapping[str, Any], test: TestSet, policy: str) -> ScoredRows:
    """Returns the predictions for the rows that have both labels, with the labels of one policy as their truth."""
    rows, keep = rows_of(result, test), _both(test)
    truth = test.given if policy == "given" and test.given is not None else test.y
    return replace(
        rows, y=truth[keep], predicted=rows.predicted[keep],
        probabilities=None if rows.probabilities is None else rows.probabilities[keep],
        groups=None if rows.groups is None else rows.groups[keep],
    )  # fmt: skip


def _pair(result: Mapping[str, Any], control: Mapping[str, Any], test: TestSet, policy: str) -> TrialPair:
    arm, other = (_scored(one, test, policy) for one in (result, control))
    keep = _both(test)
    groups = None if test.groups is None else test.units[keep]
    return TrialPair(
        test.ids[keep], arm.y, arm.predicted, other.predicted, groups, (arm.probabilities, other.probabilities)
    )


def policy_notes(rows: Sequence[PolicyRow]) -> Iterator[str]:
    """Yields what cleaning the test labels alone does to the baseline, and which gains it would feign."""
    if not rows:
        return
    base, *others = rows
    yield (
        f"Test labels: {base.n_differ} of {base.n} test rows have a given label that is not the gold one. On gold "
        f"labels the baseline scores {base.moved:+.2f} points higher than on given ones, with the same training: no "
        "gain above contains that, since both sides are scored on the same labels."
    ).replace("-", "−")
    for one in others:
        mixed = one.gold - base.given
        if one.gain_gold and one.gain_gold.low <= 0 < mixed:
            yield (
                f"{one.arm}, cleaned in training and test against nothing cleaned, would seem to gain {mixed:+.2f} "
                f"points; {base.moved:+.2f} of them come from the test labels, and what training gains on gold labels "
                f"({one.gain_gold.effect:+.2f}) is not above zero."
            ).replace("-", "−")
