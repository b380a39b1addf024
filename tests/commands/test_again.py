"""How a trial that was run again differs from its record."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.commands.again import how_they_differ
from harness.storage.packing import pack


def made(predicted: list[int], score: float, **changes: Any) -> dict[str, Any]:
    """The measured part of a record."""
    result = {"predictions": pack(np.array(predicted, dtype=np.int16)), "test": score}
    return {"result": result, "ledger": {"oracle": 3}, "receipts": {"clean": "a"}, **changes}


@pytest.mark.parametrize(
    ("again", "said"),
    [
        (made([0, 1, 1, 0], 0.5), ""),
        (made([0, 1, 0, 1], 0.25), "2 of 4 predictions differ, −25.00 points"),
        (made([0, 1, 1], 0.5), "3 predictions instead of 4"),
        (made([0, 1, 1, 0], 0.5, ledger={"oracle": 4}), "another number of labels was paid for"),
        (
            made([0, 1, 1, 1], 0.75, receipts={"clean": "b"}),
            "1 of 4 predictions differ, +25.00 points; the receipts differ",
        ),
    ],
)
def test_every_difference_is_said(again: dict[str, Any], said: str) -> None:
    assert how_they_differ(made([0, 1, 1, 0], 0.5), again) == said
