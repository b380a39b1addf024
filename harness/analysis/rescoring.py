"""Scores records by another metric than their study's, from what they keep: nothing is trained.

What a trial chose inside (early stopping, tuning) stays as the study's own metric chose it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from harness.analysis.measures import Measure, ScoredRows, measure
from harness.checks import join_names
from harness.errors import BadInput
from harness.metrics import METRICS, class_faults
from harness.storage.packing import unpack
from harness.storage.store import Record, TestSet

Find = Callable[[str], TestSet]
_STARTS = {"test": "", "valid": "valid_"}


def rows_of(result: Mapping[str, Any], rows: TestSet, part: str = "test") -> ScoredRows:
    """Returns what a metric sees of a result: its predictions for a part (`test`, `valid`), beside the truth."""
    start = _STARTS[part]
    chances = result.get(f"{start}probabilities")
    return ScoredRows(
        rows.y, unpack(result[f"{start}predictions"]), len(rows.classes),
        None if chances is None else unpack(chances), rows.groups,
    )  # fmt: skip


def own_metric(record: Record) -> str:
    """Returns the metric of the study, by which its trials chose what they chose inside."""
    return str(record["trial"]["protocol"]["metric"])


def rescoring_faults(records: Sequence[Record], name: str, test_set: Find, again: str) -> list[str]:
    """Returns why records cannot be scored by the metric `name`, one line each; `again` is how to make them anew.

    They do not keep what it needs, or the test rows lack a class or the groups that it needs. BadInput for an unknown
    metric.
    """
    found = measure(name)
    done = [one for one in records if one["status"] == "done"]
    if all(one["result"]["metric"] == name for one in done):
        return []
    sets = [test_set(digest) for digest in sorted({one["result"]["test_set"] for one in done})]
    lines = [line for test in sets for line in class_faults("metric", name, test.y, test.classes)]
    if "groups" in found.needs and any(test.groups is None for test in sets):
        lines.append(f"metric={name} needs groups of test rows, and this task has none: name them as task.group=")
    return list(dict.fromkeys([*lines, *_not_kept(done, name, found, again)]))


def rescore(records: Sequence[Record], name: str, test_set: Find, valid_set: Find, again: str) -> list[Record]:
    """Returns the records with the test and validation scores of the metric `name`, as shares.

    Records whose own metric it is are left as they are. BadInput for `rescoring_faults`.
    """
    wrong = rescoring_faults(records, name, test_set, again)
    if wrong:
        raise BadInput("\n".join(wrong))
    found = measure(name)
    return [_rescored(one, name, found, test_set, valid_set) if one["status"] == "done" else one for one in records]


def _rescored(record: Record, name: str, found: Measure, test_set: Find, valid_set: Find) -> Record:
    result = record["result"]
    if result["metric"] == name:
        return record
    test = found.sums(rows_of(result, test_set(result["test_set"]))).once()
    valid = None
    if result["valid"] is not None:
        valid = found.sums(rows_of(result, valid_set(result["valid_set"]), "valid")).once()
    return {**record, "result": {**result, "metric": name, "test": test, "valid": valid}}


def _not_kept(done: Sequence[Record], name: str, found: Measure, again: str) -> Iterator[str]:
    """Yields which records lack what a metric needs: those of earlier versions, or of a model without it."""
    soft = not found.by_class
    old = [one for one in done if _is_older(one["result"], soft)]
    if old:
        first = min(old, key=lambda one: (one["seed"], one["key"]))
        what = "probabilities of the scored rows" if soft else "predictions for the validation rows"
        yield (
            f"metric={name} needs {what}, and {len(old)} of {len(done)} records do not hold them (an earlier version "
            f"made them; the first is {first['arm']}, seed {first['seed']}): run these trials again, with {again}"
        )
    bare = [one for one in done if soft and one["result"].get("probabilities", "") is None]
    if bare:
        arms = join_names(dict.fromkeys(str(one["arm"]) for one in bare))
        yield (
            f"metric={name} needs probabilities, and the model of {arms} returns none: choose a metric on classes "
            f"({', '.join(METRICS)})"
        )


def _is_older(result: Mapping[str, Any], soft: bool) -> bool:
    """Returns whether a record is from before records kept what a metric on probabilities (`soft`) or classes needs."""
    return (soft and "probabilities" not in result) or (result["valid"] is not None and not result.get("valid_set"))
