"""Computes deltas on parts of a study's test set, and the rows that flipped between right and wrong.

A slice is a set of test examples: those of one class, or those with one value in a column. Its delta is in accuracy
unless another metric is named, whatever the study's (for a class that is recall), in points: every example counts the
same, and the score is defined even if a slice lacks a class. Another metric is one of `PER_EXAMPLE`, for the same
reasons. Intervals are the two-level ones of `effects`, on the examples of the slice.
Each interval is for its slice alone; adjusted p-values are Holm's over the slices of an arm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Integer

from harness.analysis.effects import EXAMPLE_DRAWS, Interval, TrialPair, deltas, measured_interval, trials
from harness.analysis.measures import measure
from harness.analysis.records import join
from harness.analysis.rescoring import scored_rows
from harness.analysis.significance import holm
from harness.checks import choices
from harness.errors import BadInput
from harness.storage.packing import unpack
from harness.storage.store import Record, Store, TestSet
from harness.streams import stream

FEWEST_EXAMPLES = 10
"""Fewer test examples than this get no interval: resamples of so few do not represent new examples."""
PER_EXAMPLE = ("accuracy", "log_loss", "brier")
"""The metrics that are means over examples, so that each slice has a score."""
BINS, PLAIN, MOST = 4, 8, 30
"""Number of bins for numbers with more than `PLAIN` different values; most slices for other values."""
MISSING, OTHER = "(missing)", "(other)"
SLICE_COLUMNS = (
    "arm",
    "axis",
    "reference",
    "slice",
    "n",
    "n_seeds",
    "control",
    "delta",
    "low",
    "high",
    "p",
    "p_adjusted",
    "why",
)


@dataclass(frozen=True)
class Slice:
    """Holds one slice: `n` distinct test examples on `n_seeds` seeds, and what its arm gains on them.

    `control`, the controls' score there (accuracy or another metric), and `delta` are in points; nan if the slice is
    empty. If `interval` is None, `why` says why.
    """

    name: str
    n: int
    n_seeds: int
    control: float
    delta: float
    interval: Interval | None
    why: str = ""
    p_adjusted: float | None = None


@dataclass(frozen=True)
class Flips:
    """Holds the ids that an arm gets right and its control wrong (`gained`) or vice versa (`lost`), of `n` examples."""

    seed: int
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    n: int

    @property
    def net(self) -> int:
        """Returns how many more examples the arm gets right than its control."""
        return len(self.gained) - len(self.lost)


@dataclass(frozen=True)
class ArmTrials:
    """Holds an arm's finished trials, each with its control."""

    name: str
    axis: str
    reference: str
    paired: tuple[tuple[Record, Record], ...]


@dataclass(frozen=True, eq=False)
class Partition:
    """Holds the slice number of each test id, and the slices' names in order."""

    place: Mapping[str, int]
    names: tuple[str, ...]


def by_class(pairs: Sequence[TrialPair], classes: Sequence[str], arm: str, metric: str = "accuracy") -> list[Slice]:
    """Returns the delta of each class's recall, or of another metric on its examples; the draws depend on the names of
    the arm and of the class alone.
    """
    return slices_of(pairs, [pair.y for pair in pairs], classes, arm, metric)


def by_column(pairs: Sequence[TrialPair], cut: Partition, arm: str, metric: str = "accuracy") -> list[Slice]:
    """Returns the delta in each slice of a column; `cut`, from `cut_column`, must hold every id of the pairs."""
    places = [np.array([cut.place[name] for name in pair.ids.tolist()], dtype=np.int64) for pair in pairs]
    return slices_of(pairs, places, cut.names, arm, metric)


def check_sliced(metric: str) -> None:
    """Raises BadInput for a metric that a slice does not have, with the reason."""
    measure(metric)  # raises for an unknown name
    if metric not in PER_EXAMPLE:
        raise BadInput(
            f"metric={metric} compares classes or examples with each other, so a slice that lacks a class has no such "
            f"score (choose from: {', '.join(PER_EXAMPLE)})"
        )


def slices_of(
    pairs: Sequence[TrialPair], places: Sequence[Integer[np.ndarray, " n"]], names: Sequence[str], arm: str,
    metric: str = "accuracy",
) -> list[Slice]:  # fmt: skip
    """Returns one slice per name: the examples of each pair whose place is the name's number."""
    of = _right_or_wrong if metric == "accuracy" else _chosen_rows
    found = [
        _slice(name, [of(pair, at == number) for pair, at in zip(pairs, places, strict=True)], arm, metric)
        for number, name in enumerate(names)
    ]
    p = holm(np.array([one.interval.p if one.interval else np.nan for one in found], dtype=np.float64))
    return [replace(one, p_adjusted=float(each) if one.interval else None) for one, each in zip(found, p, strict=True)]


def _chosen_rows(pair: TrialPair, chosen: np.ndarray) -> TrialPair:
    """Returns the chosen examples with their probabilities."""
    arm, control = (None if one is None else one[chosen] for one in pair.probabilities)
    groups = None if pair.groups is None else pair.groups[chosen]
    return TrialPair(pair.ids[chosen], pair.y[chosen], pair.arm[chosen], pair.control[chosen], groups, (arm, control))


def _right_or_wrong(pair: TrialPair, chosen: np.ndarray) -> TrialPair:
    """Returns the chosen examples with two classes, right (0) and wrong (1)."""
    y = pair.y[chosen]
    arm, control = (np.asarray(side[chosen] != y, dtype=np.int64) for side in (pair.arm, pair.control))
    groups = None if pair.groups is None else pair.groups[chosen]
    return TrialPair(pair.ids[chosen], np.zeros(len(y), dtype=np.int64), arm, control, groups)


def _slice(name: str, parts: Sequence[TrialPair], arm: str, metric: str) -> Slice:
    """Returns the slice of those parts; seeds without an example in it are ignored."""
    parts = [part for part in parts if len(part.ids)]
    n, units = (len({one for part in parts for one in getattr(part, what).tolist()}) for what in ("ids", "units"))
    if not parts:
        return Slice(name, 0, 0, np.nan, np.nan, None, "no test example")
    found, k = measure(metric), 2 if metric == "accuracy" else _classes_of(parts)
    scores = np.array([[found.sums(side).once() for side in part.rows(k)] for part in parts])
    control, delta = 100 * float(scores[:, 1].mean()), 100 * float((scores[:, 0] - scores[:, 1]).mean())
    if units < FEWEST_EXAMPLES:
        counted = f"{n} test examples" if units == n else f"{n} test examples in {units} groups"
        needed = f"{FEWEST_EXAMPLES}{'' if units == n else ' groups'} needed"
        return Slice(name, n, len(parts), control, delta, None, f"too few: {counted}, {needed}")
    rng = stream(0, "slices", arm, name)
    return Slice(name, n, len(parts), control, delta, measured_interval(parts, found, k, draws=EXAMPLE_DRAWS, rng=rng))


def _classes_of(parts: Sequence[TrialPair]) -> int:
    """Returns the number of classes that the probabilities are of."""
    return next(one.shape[1] for part in parts for one in part.probabilities if one is not None)


def cut_column(values: pd.Series) -> Partition:
    """Returns the slices of a column's values by test id: numbers by quartiles of the test examples, others by value.

    Numbers with at most `PLAIN` different values are treated by value. A bin is named after the least and the greatest
    number in it; equal numbers stay together, so bins may be fewer or uneven. The `MOST` frequent values are slices,
    all others form one, and missing values form the last.
    """
    ids = values.index.astype(str)
    empty = values.isna().to_numpy() | (values.astype("string").fillna("").str.strip() == "").to_numpy(dtype=bool)
    known = values[~empty]
    numbers = _numbers(known)
    names = _binned(numbers) if numbers is not None and len(np.unique(numbers)) > PLAIN else _plain(known, numbers)
    labels = np.full(len(values), MISSING, dtype=object)
    labels[~empty] = names
    ordered = _ordered(names, numbers)
    order = (*ordered, *([OTHER] if OTHER in set(names) else []), *([MISSING] if empty.any() else []))
    number = {name: place for place, name in enumerate(order)}
    return Partition({name: number[label] for name, label in zip(ids, labels, strict=True)}, order)


def _numbers(known: pd.Series) -> np.ndarray | None:
    """Returns the values as numbers; None if one is not a number, or if they are truth values."""
    if not len(known) or pd.api.types.is_bool_dtype(known):
        return None
    found = pd.to_numeric(known, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return found if np.isfinite(found).all() else None


def _binned(numbers: np.ndarray) -> list[str]:
    """Returns the name of each number's bin; bins hold equally many numbers as far as ties allow."""
    edges = np.unique(np.quantile(numbers, np.arange(1, BINS) / BINS))
    at = np.searchsorted(edges, numbers, side="left")
    ends = {place: (numbers[at == place].min(), numbers[at == place].max()) for place in np.unique(at)}
    return [f"{ends[place][0]:.6g} to {ends[place][1]:.6g}" for place in at]


def _plain(known: pd.Series, numbers: np.ndarray | None) -> list[str]:
    """Returns the values as text, whole numbers without a point; all but the most frequent become `OTHER`."""
    texts = [f"{value:.6g}" for value in numbers] if numbers is not None else known.astype(str).tolist()
    counted = pd.Series(texts, dtype=object).value_counts()
    frequent = sorted(counted.index, key=lambda text: (-counted[text], text))[:MOST]
    kept = set(frequent)
    return [text if text in kept else OTHER for text in texts]


def _ordered(names: Sequence[str], numbers: np.ndarray | None) -> list[str]:
    """Returns the different names without `OTHER`, sorted by their numbers if they have any, otherwise as text."""
    if numbers is None:
        return sorted(set(names) - {OTHER})
    least = pd.Series(numbers).groupby(np.asarray(names, dtype=object)).min()
    return [str(name) for name in least.sort_values().index if name != OTHER]


def flips(record: Record, control: Record, test: TestSet) -> Flips:
    """Returns the test examples that one of the arm and its control gets right and the other wrong."""
    mine, theirs = (unpack(one["result"]["predictions"]) == test.y for one in (record, control))
    gained, lost = (tuple(test.ids[where].tolist()) for where in (mine & ~theirs, theirs & ~mine))
    return Flips(int(record["seed"]), gained, lost, len(test.y))


def flip_counts(found: Sequence[Flips], sets: Sequence[TestSet]) -> pd.DataFrame:
    """Returns one row per id that flipped on any seed: its `class`, and the numbers of seeds scored, gained and lost.

    Ids that gained most come first. `sets` are the test sets of the seeds.
    """
    counts: dict[str, dict[str, Any]] = {}
    for test in sets:
        for name, y in zip(test.ids.tolist(), test.y.tolist(), strict=True):
            row = counts.setdefault(name, {"id": name, "class": test.classes[y], "seeds": 0, "gained": 0, "lost": 0})
            row["seeds"] += 1
    for one in found:
        for side in ("gained", "lost"):
            for name in getattr(one, side):
                counts[name][side] += 1
    rows = [row for row in counts.values() if row["gained"] + row["lost"]]
    rows.sort(key=lambda row: (row["lost"] - row["gained"], row["id"]))
    return pd.DataFrame(rows, columns=["id", "class", "seeds", "gained", "lost"])


def steady(counted: pd.DataFrame, side: str) -> list[str]:
    """Returns the ids that flipped that way (`gained`, `lost`) on every seed that scored them, at least two."""
    return list(counted.loc[(counted[side] == counted["seeds"]) & (counted["seeds"] >= 2), "id"])


# The command


def gather_arms(store: Store) -> list[ArmTrials]:
    """Returns the arms of a study that have a delta, in the order of its plan; records outside the plan are ignored."""
    joined = join(store)
    if not joined.records and not joined.stale:
        root = store.folder.parent
        others = [path.parent.name for path in root.glob("*/trials")]
        raise BadInput(f"no record of a study '{store.folder.name}' in {root}{choices(store.folder.name, others)}")
    known = {(one["key"], one["control"]): one for one in joined.records}
    controls = {one["key"]: one for one in joined.records}
    if not known:
        raise BadInput(f"no record of '{store.folder.name}' belongs to its plan: run the study first")
    compared = deltas(trials(joined.records)).query("why == ''")
    mine = {
        str(arm): [known[pair] for pair in zip(rows["key"], rows["control"], strict=True)]
        for arm, rows in compared.groupby("arm")
    }
    arms = [mine[name] for name in joined.arms if name in mine]
    if not arms:
        raise BadInput(f"'{store.folder.name}': no arm has a finished trial with a finished control")
    return [
        ArmTrials(
            row[0]["arm"],
            row[0]["axis"],
            str(row[0]["reference"]),
            tuple((one, controls[one["control"]]) for one in row),
        )
        for row in arms
    ]


def _pair(record: Record, control: Record, sets: Mapping[str, TestSet]) -> TrialPair:
    test = sets[record["result"]["test_set"]]
    mine, theirs = (unpack(one["result"]["predictions"]) for one in (record, control))
    chances = (scored_rows(one["result"], test).probabilities for one in (record, control))
    groups = None if test.groups is None else test.units
    return TrialPair(test.ids, test.y, mine, theirs, groups, (next(chances), next(chances)))


def slices_frame(found: Sequence[tuple[ArmTrials, Sequence[Slice]]]) -> pd.DataFrame:
    """Returns one row per arm and slice, with the columns `SLICE_COLUMNS`; the figure of slices reads it."""
    rows = []
    for arm, parts in found:
        for one in parts:
            inside = (one.interval.low, one.interval.high, one.interval.p) if one.interval else (None,) * 3
            head = (arm.name, arm.axis, arm.reference, one.name, one.n, one.n_seeds, one.control, one.delta)
            rows.append((*head, *inside, one.p_adjusted, one.why))
    return pd.DataFrame(rows, columns=list(SLICE_COLUMNS))
