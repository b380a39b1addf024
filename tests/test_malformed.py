"""Malformed inputs of every kind: refused in one clear line, or read right; never a traceback, a hang, or a wrong number.

`python -m tests.malformed --number 1000` tries as many as one likes.
"""

from __future__ import annotations

import pytest
from malformed.cases import BAD
from malformed.kinds import KINDS
from malformed.runner import run

pytestmark = pytest.mark.slow

NUMBER = 100
"""Cases of each kind."""


@pytest.mark.parametrize("kind", KINDS)
def test_malformed_inputs_are_refused_clearly_or_read_right(kind: str) -> None:
    found = list(run([KINDS[kind](seed) for seed in range(NUMBER)], commands=False))
    assert len(found) == NUMBER
    assert [verdict for verdict in found if verdict.outcome in BAD] == []
    assert {verdict.outcome for verdict in found} == {"clear line", "right"}


@pytest.mark.parametrize("kind", ["table", "picture", "vote"])
def test_the_real_command_answers_as_a_reading_does(kind: str) -> None:
    found = list(run([KINDS[kind](seed) for seed in range(1000, 1005)], commands=True))
    assert [verdict for verdict in found if verdict.outcome in BAD] == []
