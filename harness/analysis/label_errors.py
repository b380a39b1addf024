"""Says how many wrong test labels would change a verdict, and which test rows are worth verifying; pure functions.

Two arms that predict the same class for a row both gain or both lose by its label, so only rows on which they differ
count for their difference. A label there moves it by at most two answers a seed. The fewest labels that turn a
difference are therefore found by changing first those that move it most; for accuracy, whose scores are sums over rows,
no smaller number does. For the interval, and for other metrics, the number is enough, and a smaller one may be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from harness.analysis.choice import Estimate
from harness.analysis.ladder import Ladder, axes, decide_axes, winner_of
from harness.analysis.measures import measure
from harness.analysis.metric_verdicts import comparable_scores
from harness.analysis.records import Records
from harness.analysis.rescoring import Find, scored_rows
from harness.arm import may_win
from harness.storage.packing import unpack
from harness.storage.store import Record, TestSet, test_digest

MOST, LEAST = 200, 20
"""Rows that are worth verifying: the most that are listed, and how many are listed even if the arms agree on them."""
Judge = Callable[[Mapping[str, int]], Estimate]
"""Returns data minus model if the test rows of these ids had these classes."""


@dataclass(frozen=True)
class LabelErrors:
    """Holds how many wrong labels, all in one direction, would change a verdict.

    Of `n` test rows, the two chosen arms differ on `differ`, `unverified` of which nobody has verified. `turn` wrong
    labels among these are enough to leave a decided verdict undecided, or to decide an undecided one for the side that
    is ahead; `sign` are enough to take its lead away. None if not even all of them are.
    """

    n: int
    differ: int
    unverified: int
    turn: int | None
    sign: int | None


@dataclass(frozen=True)
class RowToVerify:
    """Holds a test row that is worth verifying: its id, its given class, and what is known of it.

    `differ` says whether the two chosen arms predict differently for it; `against` is the share of all predictions that
    contradict the given label.
    """

    id: str
    given: str
    differ: bool
    against: float


def score_with(records: Sequence[Record], find: Find, labels: Mapping[str, int]) -> tuple[list[Record], Find]:
    """Returns the records scored with the test rows of these ids in these classes, and what finds their test sets.

    Nothing is trained. A changed test set has another digest, so its scores are never mixed with others.
    """
    old = sorted({one["result"]["test_set"] for one in records if one["status"] == "done"})
    changed = {name: _changed(find(name), labels) for name in old}
    names = {name: test_digest(test) for name, test in changed.items()}
    made = {names[name]: test for name, test in changed.items()}
    rescored = [_rescored(one, names, made) if one["status"] == "done" else one for one in records]
    return rescored, lambda name: made[name] if name in made else find(name)


def _changed(test: TestSet, labels: Mapping[str, int]) -> TestSet:
    """Returns the test set with those labels; the ones that they replace become its given labels."""
    y = np.array([labels.get(name, old) for name, old in zip(test.ids.tolist(), test.y.tolist(), strict=True)])
    if (y == test.y).all():
        return test
    return replace(test, y=y.astype(test.y.dtype), given=test.y if test.given is None else test.given)


def _rescored(record: Record, names: Mapping[str, str], made: Mapping[str, TestSet]) -> Record:
    result = {**record["result"], "test_set": names[record["result"]["test_set"]]}
    found = measure(result["metric"]).sums(scored_rows(result, made[result["test_set"]]))
    return {**record, "result": {**result, "test": found.once()}}


def score_by_verified(records: Sequence[Record], find: Find, labels: Mapping[str, int]) -> tuple[list[Record], Find]:
    """Returns the records scored on verified labels where there are any, and what finds their test sets.

    The facts then say how many test rows are verified (`test_verified`); if all are, their labels are gold.
    """
    rescored, found = score_with(records, find, labels)
    return [_told(one, found, labels) if one["status"] == "done" else one for one in rescored], found


def _told(record: Record, find: Find, labels: Mapping[str, int]) -> Record:
    ids = find(record["result"]["test_set"]).ids.tolist()
    count = sum(name in labels for name in ids)
    facts = {**record["facts"], "test_verified": count}
    return {**record, "facts": facts | ({"test_labels": "gold"} if count == len(ids) else {})}


@dataclass(frozen=True, eq=False)
class _Ballot:
    """Holds the test rows of all seeds: ids (n,), classes (n,), and by row and class how often each is predicted.

    `lead (n, k)` counts the seeds on which the data arm predicts a class less those on which the model arm does, and
    `all (n, k)` counts the predictions of all arms that may win.
    """

    ids: np.ndarray
    y: Int64[np.ndarray, " n"]
    lead: Float64[np.ndarray, "n k"]
    all: Float64[np.ndarray, "n k"]
    classes: tuple[str, ...]

    @property
    def differ(self) -> Bool[np.ndarray, " n"]:
        """Returns the rows on which the two arms predict differently on some seed."""
        return (self.lead != 0).any(1)

    def moves(self, up: bool) -> tuple[Float64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
        """Returns by how many answers each label could at most move the lead of data up or down, and to which class."""
        lead = self.lead if up else -self.lead
        best = lead.argmax(1)
        at = np.arange(len(self.ids))
        return lead[at, best] - lead[at, self.y], best


def _ballot(records: Sequence[Record], find: Find, model: str, data: str) -> _Ballot:
    done = [one for one in records if one["status"] == "done" and may_win(str(one["reference"]))]
    sets = {one["result"]["test_set"]: find(one["result"]["test_set"]) for one in done}
    ids = np.unique(np.concatenate([test.ids for test in sets.values()]))
    place = {name: np.searchsorted(ids, test.ids) for name, test in sets.items()}
    classes = next(iter(sets.values())).classes
    y = np.zeros(len(ids), dtype=np.int64)
    for name, test in sets.items():
        y[place[name]] = test.y
    whole, lead = np.zeros((2, len(ids), len(classes)))
    shared = {one["seed"] for one in done if one["arm"] == model} & {one["seed"] for one in done if one["arm"] == data}
    for one in done:
        at = place[one["result"]["test_set"]], unpack(one["result"]["predictions"]).astype(np.int64)
        np.add.at(whole, at, 1)
        if one["seed"] in shared and model != data:
            np.add.at(lead, at, float(one["arm"] == data) - float(one["arm"] == model))
    return _Ballot(ids, y, lead, whole, classes)


def count_label_errors(joined: Records, rungs: Ladder, labels: Mapping[str, int]) -> LabelErrors:
    """Returns how many wrong test labels would change the verdict on the two arms that validation chose.

    `labels` are the verified ones: they are taken to be right. The verdict is judged again, with all its conditions, on
    the changed labels.
    """
    ballot = _ballot(joined.records, joined.test_set, rungs.model.arm, rungs.data.arm)
    sure = np.isin(ballot.ids, list(labels))
    judge, difference = _judge(joined), rungs.difference
    word, ahead = winner_of(difference), difference.value > 0

    def enough(up: bool, holds: Callable[[Estimate], bool]) -> int | None:
        moves, best = ballot.moves(up)
        order = np.argsort(-np.where(sure, 0.0, moves), kind="stable")[: int(((moves > 0) & ~sure).sum())]
        changes = [(str(ballot.ids[row]), int(best[row])) for row in order]
        return _fewest(len(changes), lambda count: holds(judge(dict(changes[:count]))))

    up = ahead if word == "undecided" else not ahead
    turn = enough(up, lambda one: winner_of(one) != word)
    level = round(difference.value, 9) == 0
    sign = None if level else enough(not ahead, lambda one: round(one.value, 9) * (1 if ahead else -1) <= 0)
    differ = ballot.differ
    return LabelErrors(len(ballot.ids), int(differ.sum()), int((differ & ~sure).sum()), turn, sign)


def _fewest(most: int, holds: Callable[[int], bool]) -> int | None:
    """Returns the smallest count up to `most` for which `holds`, by halving; None if it does not for `most`."""
    if not most or not holds(most):
        return None
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _judge(joined: Records) -> Judge:
    """Returns what judges data minus model on changed labels, from the arms that the verdict depends on alone."""
    scores = comparable_scores(joined)
    assert scores is not None  # there is a verdict
    where = axes(scores)
    arms = (where.baseline, *where.model, *where.data, *where.informed_model, *where.informed_data)
    named = {scores.arms[arm] for arm in arms}
    rows = [row for row in joined.rows if row["arm"] in named]
    records = [one for one in joined.records if one["arm"] in named]

    def judge(labels: Mapping[str, int]) -> Estimate:
        rescored, find = score_with(records, joined.test_set, labels)
        found = comparable_scores(replace(joined, rows=rows, records=rescored, test_set=find))
        assert found is not None
        at = axes(found)
        return decide_axes(found, at, at.model, at.data).verdict

    return judge


def rows_to_verify(
    records: Sequence[Record], find: Find, rungs: Ladder | None, labels: Mapping[str, int]
) -> list[RowToVerify]:
    """Returns the test rows whose labels are worth verifying, those first of which few answers help most.

    First come rows on which the two chosen arms differ, by how much a label in the class that most predict would move
    the difference, times the share of predictions that contradict the given one. Then rows that most predictions
    contradict. Verified rows are left out.
    """
    model, data = (rungs.model.arm, rungs.data.arm) if rungs else ("", "")
    ballot = _ballot(records, find, model, data)
    at = np.arange(len(ballot.ids))
    others = ballot.all.copy()
    others[at, ballot.y] = -1
    suggested = others.argmax(1)
    against = 1 - ballot.all[at, ballot.y] / ballot.all.sum(1)
    moved = np.abs(ballot.lead[at, suggested] - ballot.lead[at, ballot.y])
    order = np.lexsort((ballot.ids, -against, -moved * against))
    wanted = [row for row in order if against[row] > 0 and ballot.ids[row] not in labels]
    telling = [row for row in wanted if ballot.differ[row]]
    doubtful = [row for row in wanted if not ballot.differ[row] and against[row] >= 1 / 2]
    chosen = [*telling, *doubtful[: max(0, LEAST - len(telling))]][:MOST]
    return [
        RowToVerify(str(ballot.ids[row]), ballot.classes[ballot.y[row]], bool(ballot.differ[row]), float(against[row]))
        for row in chosen
    ]
