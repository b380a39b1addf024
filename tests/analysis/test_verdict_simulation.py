"""How often a verdict is right, and how often it names a winner where both sides are equal, on studies of known truth.

Every example is simulated (`answered_examples`), so that the scores, their covariances and the choice are those of real
records. Beside the verdict stand the paired interval of the two chosen arms, which ignores that they were chosen, and
the interval in which every redraw chooses anew.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from answered_examples import DIFFERENT, EQUAL, Setting, outcomes, studies
from conftest import ROOT

from harness.analysis.choice import best_of, decide, paired_contrast
from harness.analysis.ladder import axes

STUDIES = 60
FALSE = 5 + 100 * 2.6 * np.sqrt(0.05 * 0.95 / STUDIES)
HELD = 95 - 100 * 2.6 * np.sqrt(0.05 * 0.95 / STUDIES)
MANY = 400
"""Studies for each line of the table in the docs."""


@pytest.mark.parametrize("setting", DIFFERENT, ids=lambda setting: setting.name)
def test_the_better_side_is_named_nearly_as_often_as_by_the_pair_alone(setting: Setting) -> None:
    found = outcomes(setting, 5, STUDIES)
    assert found.right("verdict") >= 0.9 * found.right("pair") - 5
    assert found.right("verdict") > found.right("redraws")
    assert found.coverage("by validation") >= HELD
    assert found.coverage("at best") >= HELD


@pytest.mark.parametrize("setting", EQUAL, ids=lambda setting: setting.name)
def test_no_winner_is_named_where_both_sides_are_equal(setting: Setting) -> None:
    found = outcomes(setting, 5, STUDIES)
    assert found.named("verdict") <= FALSE
    assert found.coverage("by validation") >= HELD
    assert found.coverage("at best") >= HELD


def test_an_interval_excludes_zero_only_if_all_three_comparisons_do() -> None:
    for scores in studies(EQUAL[1], 5, 40):
        where = axes(scores)
        sides = [best_of([where.baseline, *arms]) for arms in (where.model, where.data)]
        found = decide(scores, *sides)
        assert found is not None
        pair = paired_contrast(scores, np.full(5, found.right), np.full(5, found.left))
        low, high = pair.ends(0.95)
        assert found.verdict.low <= low <= found.verdict.value <= high <= found.verdict.high
        assert found.by_validation.low >= found.verdict.low
        assert found.by_validation.high <= found.verdict.high


def test_sides_swapped_give_the_opposite() -> None:
    for scores in studies(DIFFERENT[0], 3, 10):
        where = axes(scores)
        left, right = (best_of([where.baseline, *arms]) for arms in (where.model, where.data))
        one, other = decide(scores, left, right), decide(scores, right, left)
        assert one is not None
        assert other is not None
        assert (one.verdict.low, one.verdict.high) == pytest.approx((-other.verdict.high, -other.verdict.low))


def test_what_make_statistics_simulated() -> None:
    """At most 5 % of false winners, to sampling error, but for the two hardest settings at ten seeds (see the page)."""
    table = pd.read_csv(ROOT / "docs" / "statistics.csv").query("part == 'verdict'")
    assert (table["simulations"] == MANY).all()
    false = table[table["kind"] == "false winners, verdict"]
    assert len(false) == 3 * len(EQUAL)
    hard = false["setting"].isin([one.name for one in EQUAL if one.n_valid < 150])
    error = 2.6 * np.sqrt(0.05 * 0.95 / MANY)
    assert (false.loc[~hard, "rate"] <= 0.05 + error).all()
    assert (false.loc[hard, "rate"] <= 0.1).all()
    assert (false.loc[hard & (false["seeds"] < 10), "rate"] <= 0.05 + error).all()
    right = table[table["kind"].isin(["right, verdict", "right, pair"])].pivot_table(
        index=["setting", "seeds"], columns="kind", values="rate"
    )
    share = right["right, verdict"] / right["right, pair"]
    assert (share >= 0.7).all()
    assert (share[share.index.get_level_values("seeds") >= 5] >= 0.85).all()
    held = table[table["kind"].str.startswith("coverage")]
    assert (held["rate"] >= 0.95 - error).all()
