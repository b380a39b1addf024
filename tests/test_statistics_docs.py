"""The page on statistics: its numbers are those that the simulations give, its words those that the numbers give."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statistics_docs as docs
from conftest import ROOT
from known_truth import NULL
from pictures import shown_in
from test_simulation import SEEDS

from harness.analysis.effects import FLOOR

WRITTEN = ROOT / "docs"
ROUNDING = 1.5
"""By how many simulations of a cell another machine's rounding may decide otherwise."""
SOME = {
    "effects": lambda: docs.effects_rows([SEEDS], [3]), "stopping": lambda: docs.stopping_rows([0.0], [0.05]),
    "components": lambda: docs.component_rows([6]), "attribution": lambda: docs.attribution_rows([NULL], [5]),
}  # fmt: skip
"""One simulation of each part that is quick enough."""


@pytest.fixture(scope="module")
def written() -> pd.DataFrame:
    return docs.read(WRITTEN)


def differing(found: pd.DataFrame, written: pd.DataFrame) -> pd.DataFrame:
    """The rows of `found` that are not in the file, or not with that rate."""
    on = ["part", "kind", "setting", "seeds"]
    both = found.merge(written, how="left", on=on, suffixes=("", "_written"), validate="one_to_one")
    off = (both["rate"] - both["rate_written"]).abs() * both["simulations"]
    same = (off <= ROUNDING) & both["nominal"].eq(both["nominal_written"])
    return both[~(same & both["simulations"].eq(both["simulations_written"]))]


@pytest.mark.parametrize("part", SOME)
def test_some_numbers_of_each_part_are_what_the_simulation_gives(part: str, written: pd.DataFrame) -> None:
    found = docs.table(SOME[part]())
    assert set(found["part"]) == {part}
    assert differing(found, written).empty, "python tests/statistics_docs.py writes them anew"


def test_the_code_is_the_one_that_gave_the_numbers() -> None:
    """All of them again would take ten minutes: some are made above, and no code behind the others has changed."""
    then, now = json.loads(docs.CODE.read_text()), docs.code_digests()
    changed = [name for name in {*then, *now} if then.get(name) != now.get(name)]
    assert not changed, f"{', '.join(sorted(changed))} changed since the numbers were made: `make statistics`"


def test_a_change_of_code_is_seen_and_one_of_words_is_not() -> None:
    def digest(text: str) -> str:
        return ast.dump(docs._without_docstrings(ast.parse(text)))

    assert digest('"""a"""\ndef f():\n    """b"""\n    return 1') == digest(
        '"""c"""\ndef f():\n    """d"""\n    return 1'
    )
    assert digest("def f():\n    return 1") != digest("def f():\n    return 2")
    assert {"harness/analysis/effects.py", "harness/analysis/ladder.py", "harness/metrics.py", "harness/streams.py",
            "tests/known_truth.py", "tests/statistics_docs.py"} <= set(docs.code_digests())  # fmt: skip


def test_a_number_that_is_off_is_seen(written: pd.DataFrame) -> None:
    row = written[written["part"] == "effects"].iloc[[0]]
    assert differing(row, written).empty
    assert len(differing(row.assign(rate=row["rate"] - 2 / row["simulations"]), written)) == 1
    assert len(differing(row.assign(setting="another"), written)) == 1


def test_page_and_figures_are_made_from_the_numbers(written: pd.DataFrame) -> None:
    made = docs.rendered(written)
    assert sorted(made) == ["statistics.md", "statistics_attribution.png", "statistics_effects.png"]
    for name, content in made.items():
        written_as, asked = (WRITTEN / name).read_bytes(), f"{name}: python tests/statistics_docs.py page"
        assert content == written_as if name.endswith(".md") else shown_in(content) == shown_in(written_as), asked


def test_the_page_is_made_by_the_command_that_is_named(tmp_path: Path) -> None:
    """By a process of its own: it has not the paths that the tests are given."""
    around = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "tests" / "statistics_docs.py"), "page", str(tmp_path)]
    done = subprocess.run(command, env=around, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "statistics.md").read_bytes() == (WRITTEN / "statistics.md").read_bytes()


def test_the_page_has_every_number_and_no_place_left_over(written: pd.DataFrame) -> None:
    text = (WRITTEN / "statistics.md").read_text()
    assert not re.search(r"\{[A-Z_]+\}", text)
    for _, row in written[written["part"].isin(["effects", "components", "attribution", "ten arms"])].iterrows():
        lines = [one for one in text.splitlines() if one.startswith(f"| {row['setting']} |")]
        assert any(f" {100 * row['rate']:.1f} |" in one for one in lines), row["setting"]


def test_what_the_page_says_in_words_is_so(written: pd.DataFrame) -> None:
    """Sentences of the page that no table fills in."""
    held, false = (written[written["kind"] == kind] for kind in (docs.HELD, docs.FALSE))
    assert FLOOR == 1.5
    assert held.loc[held["part"] == "effects", "rate"].min() >= 0.94, "never too narrow by more than a point"
    naive = held[(held["part"] == "stopping") & held["setting"].str.contains("effect 0 sd.*95 %")]
    assert len(naive) == 2
    assert (naive["rate"] < 0.9).all(), "false calls in more than a tenth of all studies"
    null = held[(held["part"] == "attribution") & held["setting"].str.startswith("null")]
    assert (null["rate"] > 0.95).all(), "where nothing gains, intervals hold more than 95 %"
    named = false[(false["part"] == "attribution") & false["setting"].str.endswith("verdict")]
    assert (named["rate"] <= 0.05).all()
    few = held[(held["part"] == "effects") & held["seeds"].isin([2, 3]) & (held["setting"] != SEEDS.name)]
    assert (few["rate"] > 0.955).all(), "wider than they need be at 2 and 3 seeds"


def test_bands_by_hand() -> None:
    """Of 100 fair coins 95 % of counts lie from 40 to 60."""
    assert docs.band(pd.Series({"simulations": 100, "nominal": 0.5})) == "40.0 to 60.0"
    frame = docs.table([("p", "k", "a", 3, 0.5, 0.5, 100), ("p", "k", "a", 5, 0.25, 0.5, 100)])
    assert docs.crossed(frame).splitlines()[2] == "| a | 50.0 | 25.0 | 40.0 to 60.0 |"
    assert np.isfinite(frame["rate"]).all()
