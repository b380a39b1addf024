"""What a report says of how much each arm has tried."""

from __future__ import annotations

from typing import Any

from harness.analysis.effort import attempts, effort_notes


def record(arm: str, tried: int, valid: int = 150, status: str = "done") -> dict[str, Any]:
    curve = [{"trial": float(number), "valid": 0.5} for number in range(tried)]
    return {"arm": arm, "status": status, "ledger": {"valid": valid}, "history": [*curve, {"step": 1.0}]}


def test_a_trial_that_tunes_nothing_has_tried_nothing() -> None:
    assert attempts(record("clean=confident", 0)) == 0
    assert effort_notes([record("baseline", 0), record("clean=confident", 0)]) == []


def test_equal_effort_is_said_in_one_sentence() -> None:
    found = [record("baseline", 0, 0), *(record(arm, 8) for arm in ("model=tuned", "weak=tuned", "model=tuned"))]
    assert effort_notes(found) == [
        "Equal effort: model=tuned, weak=tuned each tried 8 configurations on 150 validation labels."
    ]


def test_one_side_that_tried_more_is_named() -> None:
    (note,) = effort_notes(
        [record("model=tuned", 20), record("clean=tuned", 8), record("augment=tuned", 3, status="failed")]
    )
    assert note == (
        "Unequal effort, so a gain may come from trying more: clean=tuned tried 8 configurations on 150 validation labels; "
        "model=tuned tried 20 configurations on 150 validation labels."
    )
    assert effort_notes([record("model=tuned", 8, 150), record("weak=tuned", 8, 40)])[0].startswith("Unequal effort")
