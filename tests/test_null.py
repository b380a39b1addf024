"""A/A on real trials: the baseline against itself with other streams. The truth is 0, and intervals should hold it.

Arm and control differ in the salt alone, which renames the learner's streams (initial weights, order of rows, dropout,
augmentation). Whatever the data are, the two sides of a pair then have the same distribution, so every delta is 0 in
expectation, exactly, and an interval without 0 is a false alarm.

Each comparison has five seeds of its own, and draws its own test part: no two comparisons share a trial, a control, a
stream, a training set or a test set. They share the pool of 1,797 digits from which all of these are drawn, and the
random numbers of the bootstrap, which follow an arm's name. So the intervals that hold 0 are as good as independent,
and their number is binomial.

A p-value below 0.05 is an interval without 0; without an effect there are 5 % of them by construction, more or fewer by
chance. A leaderboard counts adjusted p-values below 0.05 as significant: ten comparisons at a time are treated as a
study of ten arms without effect, and at most 5 % of such studies, and of all comparisons, may be significant then.

This cannot test an interval's allowance for the sampling noise of the test set: equal arms show none, since neither
side is better on any example. `tests/analysis/test_simulation.py` tests that part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, composed
from scipy.stats import binom
from scipy.stats import t as student

from harness.analysis.effects import Effect, Interval, adjust_p_values, estimate_effects
from harness.analysis.significance import LEVEL, holm
from harness.run.execute import Job, make_job
from harness.run.options import build
from harness.run.provenance import one_thread
from harness.run.trial import Place, run_trial
from harness.storage.cache import Cache
from harness.storage.packing import unpack
from harness.storage.store import Record, Store, TestSet

COMPARISONS, SAMPLE, SEEDS, ARMS = 200, 100, 5, 10
"""The page on statistics tells of 200 comparisons; the tests make the first 100 of them again, two seconds each."""
SMALL = (
    "model@baseline.model=mlp", "augment@baseline.augment=shift", "task.n_test=200", "task.n_valid=20",
    "task.n_reserved=1200", "task.n_train=100", "protocol.steps=30", "protocol.batch_size=16", "track=none",
)  # fmt: skip


OF_SAMPLE = f" in the first {SAMPLE}"


@dataclass(frozen=True)
class Found:
    """One comparison: its effect, and the half-width that looks at test examples alone."""

    effect: Effect
    blind: float

    @property
    def interval(self) -> Interval:
        assert self.effect.interval is not None
        return self.effect.interval

    @property
    def holds(self) -> bool:
        """Whether the interval holds 0."""
        return self.interval.low <= 0 <= self.interval.high

    @property
    def called(self) -> bool:
        """Whether nothing is called an effect."""
        assert self.effect.p is not None
        return self.effect.p < 1 - LEVEL


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """The first comparisons."""
    return comparisons(tmp_path_factory.mktemp("null"), SAMPLE)


def comparisons(folder: Path, number: int = COMPARISONS) -> list[Found]:
    """So many comparisons, by trials that are run here and now."""
    job = make_job(composed(*SMALL, "salt=a"), ["salt=a"])
    with one_thread(1):
        return [compared(job, place, folder) for place in range(number)]


def compared(job: Job, number: int, folder: Path) -> Found:
    """The salted arm against the baseline, on test examples and seeds that are this comparison's own."""
    store, task = Store(folder / str(number)), {**job.trial.task, "split_seed": number}
    mine = replace(job, source=build(task), trial=replace(job.trial, task=task))
    seeds = range(SEEDS * number, SEEDS * (number + 1))
    records = [record for seed in seeds for record in both(mine, seed, store, Cache(folder / "cache"))]
    effect = next(one for one in estimate_effects(records, store.test_set, records) if one.arm == "salt=a")
    one = Found(effect, blind_half_width(records, store))
    assert (effect.axis, one.interval.n_seeds, one.interval.n_test) == ("none", SEEDS, 200)
    return one


def both(job: Job, seed: int, store: Store, cache: Cache) -> Iterator[Record]:
    """The records of the control and of the salted trial on one seed, as the harness makes them."""
    seeded = replace(job, trial=replace(job.trial, seed=seed))
    task = seeded.source.split(seed)
    for one in (seeded.control(), seeded):
        measured = run_trial(one.trial, task, Place(cache, "cpu"))
        measured["result"]["test_set"] = store.keep_test_set(TestSet(task.test.ids, task.test.y, task.classes))
        yield {**one.head(), "status": "done", "reason": None, **measured}


def blind_half_width(records: list[Record], store: Store) -> float:
    """Half the t interval over test examples, as if training could only have come out as it did."""
    gains = np.array([gain_of(*pair, store) for pair in zip(records[::2], records[1::2], strict=True)]).mean(0)
    return float(student.ppf((1 + LEVEL) / 2, len(gains) - 1) * gains.std(ddof=1) / np.sqrt(len(gains)))


def gain_of(control: Record, arm: Record, store: Store) -> np.ndarray:
    """On each test example 100 where only the arm is right, -100 where only the control is."""
    y = store.test_set(arm["result"]["test_set"]).y
    right = [unpack(one["result"]["predictions"]) == y for one in (control, arm)]
    return 100.0 * (right[1].astype(int) - right[0])


def calls(found: list[Found]) -> list[int]:
    """How many comparisons each study of `ARMS` of them calls, by p-values adjusted for their number."""
    studies = [found[start : start + ARMS] for start in range(0, len(found), ARMS)]
    each = [adjust_p_values([one.effect for one in study], holm) for study in studies]
    return [sum(one.p_adjusted is not None and one.p_adjusted < 1 - LEVEL for one in study) for study in each]


def outcome(found: list[Found], which: str = "") -> list[tuple[str, str, str, int, float, float, int]]:
    """What the page on statistics states, as rows of its numbers: shares of false calls; `which` ends their names."""
    n, called = len(found), calls(found)
    counts = {
        "p below 0.05": (sum(one.called for one in found), n),
        "adjusted p below 0.05": (sum(called), n),
        "studies of ten with an adjusted p below 0.05": (sum(number > 0 for number in called), len(called)),
        "blind to training": (sum(abs(one.interval.effect) > one.blind for one in found), n),
    }
    return [
        ("real trials", "false positives", f"{setting}{which}", SEEDS, count / of, 1 - LEVEL, of)
        for setting, (count, of) in counts.items()
    ]


def region(number: int = COMPARISONS) -> tuple[int, int]:
    """The fewest and the most of `number` intervals with 0 that agree with the level.

    They hold a binomial count at 95 % with probability 99.9 % (two-sided, at most 0.05 % on each
    side): one correct instrument in a thousand would fall outside. For 200 comparisons: 179 to 198, so 2 to 21 false
    calls.
    """
    low, high = binom.interval(0.999, number, LEVEL)
    return int(low), int(high)


@pytest.mark.slow
def test_intervals_of_nothing_hold_0_at_the_stated_rate(found: list[Found]) -> None:
    """The region is for the level as it is; intervals are a little wider where nothing but training noise varies."""
    held = sum(one.holds for one in found)
    low, high = region(len(found))
    print(f"\n{held} of {len(found)} intervals hold 0: {held / len(found):.1%}; {low} to {high} agree with {LEVEL:.0%}")
    assert low <= held <= high


@pytest.mark.slow
def test_p_values_say_what_intervals_say(found: list[Found]) -> None:
    assert [one.called for one in found] == [not one.holds for one in found]


@pytest.mark.slow
def test_at_most_5_percent_of_nothing_is_called_by_adjusted_p_values(found: list[Found]) -> None:
    """Of comparisons, and of studies of ten. That 20 studies cannot tell 5 % from 10 % is why there is a simulation
    too, in `tests/statistics_docs.py`.
    """
    called = calls(found)
    studies = sum(number > 0 for number in called)
    print(f"\nadjusted, {sum(called)} of {len(found)} comparisons, {studies} of {len(called)} studies are called")
    assert sum(called) <= (1 - LEVEL) * len(found)
    assert studies <= (1 - LEVEL) * len(called)


@pytest.mark.slow
def test_the_docs_state_what_was_found(found: list[Found]) -> None:
    """To the comparison; two more or fewer are left to the rounding of other machines."""
    written = pd.read_csv(ROOT / "docs" / "statistics.csv").query("part == 'real trials'")
    for row in outcome(found, OF_SAMPLE):
        (one,) = written[written["setting"] == row[2]].to_dict("records")
        assert one["simulations"] == row[6]
        assert abs(one["rate"] - row[4]) * row[6] <= 2, row[2]


@pytest.mark.slow
def test_salted_trials_are_no_better_than_others(found: list[Found]) -> None:
    """The mean over all comparisons is 0 within its own 99.9 % interval: the salt favours nobody."""
    effect = np.array([one.interval.effect for one in found])
    error = effect.std(ddof=1) / np.sqrt(len(effect))
    print(f"\nthe mean of {len(effect)} effects of nothing: {effect.mean():+.2f} points, standard error {error:.2f}")
    assert abs(effect.mean()) <= student.ppf(0.9995, len(effect) - 1) * error


@pytest.mark.slow
def test_intervals_that_are_blind_to_training_luck_would_fail(found: list[Found]) -> None:
    """On the same trials: the test can tell. An interval over test examples alone is far too short here."""
    held = sum(abs(one.interval.effect) <= one.blind for one in found)
    print(f"\n{held} of {len(found)} intervals over test examples alone hold 0: {held / len(found):.1%}")
    assert held < region(len(found))[0]
