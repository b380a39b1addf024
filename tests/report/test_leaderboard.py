"""Leaderboards of effects made by hand: ranks, tie groups, p-values and signs, in each of the four formats."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.analysis.effects import Effect, Interval, ReferenceGain
from harness.report import leaderboard

HOSTILE = "<script>alert(\"x\")</script> clean=a_b</td><td onclick='x'>&amp;"


def interval(value: float, half: float = 1.0, n_seeds: int = 5) -> Interval:
    return Interval(value, value - half, value + half, n_seeds, 450, 450 * n_seeds, 0.5, 0.01)


def effect(arm: str, value: float | None = None, **changed: Any) -> Effect:
    made: dict[str, Any] = {
        "arm": arm, "axis": "data", "factors": ("clean",), "reference": "", "n_trials": 5, "n_failed": 0, "n_missing": 0,
        "score": 80.0, "interval": None if value is None else interval(value), "cpu_s": 2.0, "cpu_ratio": 1.5,
        "labels": 0.0, "gold": 0.0,
    }  # fmt: skip
    return Effect(**(made | changed))


BOARD = [
    effect("baseline", axis="none", factors=(), cpu_ratio=None, letters="bc"),
    effect("clean=low", -2.0, p=0.2, p_adjusted=0.4, letters="c"),
    effect("clean=random", 1.5, p=0.03, p_adjusted=0.09, letters="ab", reference="negative_control", labels=50.0),
    effect("model=best", 4.25, axis="model", p=0.0001, p_adjusted=0.0004, letters="a"),
    effect("clean=lost", n_failed=5, score=None, cpu_s=None, cpu_ratio=None, labels=None, gold=None),
]
SD = {"baseline": 1.25, "model=best": 0.5}


class Cells(HTMLParser):
    """The rows of a table as text; an element that is not closed, or closed too often, fails."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.rows, self.tags = list[str](), list[list[str]](), set[str]()
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"]
        if tag != "wbr":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


def markdown_rows(effects: list[Effect], **words: Any) -> list[list[str]]:
    text = leaderboard.as_markdown(effects, "study", "task", "accuracy", [], **words).decode()
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines() if line.startswith("|")]


def test_a_rank_stands_with_its_tie_group() -> None:
    rows = markdown_rows(BOARD)
    assert [row[0] for row in rows[2:]] == ["– bc", "1 a", "2 c", "–", "– ab"]
    assert [row[1] for row in rows[2:]] == [
        "`baseline`", "`model=best`", "`clean=low`", "`clean=lost`", "`clean=random` (negative control)",
    ]  # fmt: skip


def test_equal_effects_share_a_rank_and_the_next_is_behind_both() -> None:
    ranks = dict(leaderboard.number_ranks([effect("c", 1.0), effect("a", 3.0), effect("b", 3.0), effect("baseline")]))
    assert sorted(rank for rank in ranks if rank) == [1, 3]
    assert [rank for rank, _ in leaderboard.number_ranks([effect("a", 3.0), effect("b", 0.1 + 0.2), effect("c", 0.3)])] == [
        1, 2, 2,
    ]  # fmt: skip


def test_the_score_carries_its_deviation_where_there_is_one() -> None:
    rows = markdown_rows(BOARD, sd=SD)
    assert rows[0][3] == "accuracy ± sd"
    assert [row[3] for row in rows[2:]] == ["80.00 ± 1.25", "80.00 ± 0.50", "80.00", "–", "80.00"]
    assert markdown_rows(BOARD)[0][3] == "accuracy"


def test_deviations_are_over_trials_that_ended_well() -> None:
    table = pd.DataFrame({"arm": list("aaabbc"), "test": [80.0, 82.0, 87.0, 70.0, np.nan, np.nan]})
    assert leaderboard.deviations(table) == {"a": pytest.approx(13**0.5)}  # (9 + 1 + 16) / 2


@pytest.mark.parametrize(
    ("p", "text"), [(None, "–"), (0.00099, "<0.001"), (0.001, "0.001"), (0.0456, "0.046"), (1.0, "1.000")]
)
def test_p_values(p: float | None, text: str) -> None:
    assert leaderboard.probability(p) == text


def test_differences_are_signed_and_p_is_the_adjusted_one() -> None:
    rows = markdown_rows(BOARD)
    assert [row[4:6] for row in rows[2:]] == [
        ["control", "–"], ["+4.25 [+3.25, +5.25]", "<0.001"], ["−2.00 [−3.00, −1.00]", "0.400"], ["no delta", "–"],
        ["+1.50 [+0.50, +2.50]", "0.090"],
    ]  # fmt: skip


def test_the_csv_has_plain_numbers() -> None:
    rows = list(csv.DictReader(io.StringIO(leaderboard.as_csv(BOARD, SD).decode())))
    best, control, lost = rows[1], rows[4], rows[3]
    assert (best["rank"], best["letters"], best["p"], best["p_adjusted"]) == ("1", "a", "0.0001", "0.0004")
    assert (best["score_sd"], control["score_sd"]) == ("0.5", "")
    assert (control["p"], control["reference"], control["labels_bought"]) == ("0.03", "negative_control", "50.0")
    assert (lost["rank"], lost["effect"], lost["p"], lost["letters"], lost["n_failed"]) == ("", "", "", "", "5")
    tiny = leaderboard.as_csv([effect("a", 1.0, p=1.23456e-9, p_adjusted=1e-8)]).decode()
    assert ",1.235e-09,1e-08," in tiny


def test_notes_explain_what_is_there_and_nothing_else() -> None:
    text = leaderboard.as_markdown(BOARD, "s", "t", "accuracy", [], SD).decode()
    assert "arms that share a letter do not differ significantly" in text
    assert "adjusted for the number of arms" in text
    assert "standard deviation" in text
    bare = leaderboard.as_markdown([effect("baseline"), effect("a", 1.0)], "s", "t", "accuracy", []).decode()
    assert "share a letter" not in bare
    assert "adjusted" not in bare
    assert "standard deviation" not in bare


def test_latex_has_the_same_cells() -> None:
    tex = leaderboard.as_latex(BOARD, "s", "t", "accuracy", [], SD).decode()
    rows = [line.removesuffix(r" \\").split(" & ") for line in tex.splitlines() if line.endswith(r"\\")]
    assert {len(row) for row in rows} == {12}
    assert rows[2][:6] == [
        "1 a",
        r"\texttt{model=best}",
        "model",
        r"80.00 $\pm$ 0.50",
        "+4.25 [+3.25, +5.25]",
        r"\textless{}0.001",
    ]
    assert rows[3][4] == "$-$2.00 [$-$3.00, $-$1.00]"


def test_html_has_the_same_cells() -> None:
    found = Cells(leaderboard.as_html(BOARD, "accuracy", SD).replace("\xa0", " ")).rows
    assert found[0] == markdown_rows(BOARD, sd=SD)[0]
    plain = [
        [cell.replace("`", "").replace("(negative control)", "negative control") for cell in row]
        for row in markdown_rows(BOARD, sd=SD)[2:]
    ]
    assert found[1:] == plain


def test_html_says_what_rows_are_sorted_and_filtered_by() -> None:
    text = leaderboard.as_html(BOARD, "accuracy", links={"clean=low": '#"x'}).replace("\xa0", " ")
    rows = text.split("<tr")[2:]
    assert ['data-axis="model"' in row for row in rows] == [False, True, False, False, False]
    assert ["data-reference" in row for row in rows] == [False, False, False, False, True]
    assert [row.split('data-failed="')[1][0] for row in rows] == ["0", "0", "0", "5", "0"]
    effects = [row.split('data-label="effect [95 % interval]" data-v="')[1].split('"')[0] for row in rows]
    assert effects == ["0", "4.25", "-2", "", "1.5"]
    assert '<a class="arm" href="#&quot;x">clean=<wbr>low</a>' in text


def test_html_marks_what_leaves_zero_out() -> None:
    sure = [effect("a", 3.0), effect("b", -3.0), effect("c", 0.5)]
    text = leaderboard.as_html(sure, "accuracy")
    assert [row.count('class="value sure"') for row in text.split("<tr")[2:]] == [1, 0, 1]


def test_hostile_names_stay_text_in_html() -> None:
    text = leaderboard.as_html([effect(HOSTILE, 1.0, axis='"><img src=x>')], '<b>"accuracy"')
    found = Cells(text)
    assert found.rows[1][1] == HOSTILE
    assert found.rows[1][2] == '"><img src=x>'
    assert found.rows[0][3] == '<b>"accuracy"'
    assert not {"script", "img", "b"} & found.tags


def test_intervals_are_drawn_on_one_scale_around_zero() -> None:
    scale = leaderboard.IntervalScale.of([effect("a", 8.0), effect("b", -2.0)])
    assert (scale.low, scale.high) == pytest.approx((-2 - 10 / 6, 8 + 10 / 6))
    assert scale.at(scale.low) == "0.0"
    assert scale.at(3.0) == "50.0"
    assert scale.at(1e9) == "100.0"
    nothing = leaderboard.IntervalScale.of([effect("baseline")])
    assert nothing.at(0.0) == "50.0"


def long_board() -> list[Effect]:
    """Ten arms with tie groups of five letters; one of them is held against a random control."""
    gain = ReferenceGain("clean=a", "clean=random", "negative_control", "clean=random", 0.75, -0.5, 2.0, 0.2, 0.4)
    arms = [effect(f"augment=a{i}", float(-i), letters="bcdef", p_adjusted=0.5) for i in range(8)]
    return [
        effect("baseline", axis="none", factors=(), letters="bcdef", score=70.0),
        effect("clean=a", 5.0, letters="abcde", p_adjusted=0.01, beside=gain, score=90.0),
        effect("clean=random", 4.0, letters="f", reference="negative_control", p_adjusted=0.04),
        *arms,
    ]


def test_a_long_table_says_in_words_what_its_letters_would_hide() -> None:
    text = leaderboard.as_markdown(long_board(), "s", "t", "accuracy", []).decode()
    assert "abcde" not in text
    rows = {row.split("|")[2].strip(): [cell.strip() for cell in row.split("|")[1:-1]] for row in text.splitlines() if row.startswith("|")}  # fmt: skip
    head = rows["arm"]
    over, best, differs = (
        head.index(name) for name in ("over its reference [95 % interval]", "best group", "differs from")
    )
    assert rows["`clean=a`"][over] == "+0.75 [−0.50, +2.00] clean=random"
    assert (rows["`clean=a`"][best], rows["`clean=a`"][differs]) == ("yes", "baseline")
    assert (rows["`baseline`"][best], rows["`augment=a1`"][differs]) == ("yes", "nothing")
    assert rows["`clean=random` (negative control)"][best] == "–"
    assert "best group: arms that do not differ" in text
    assert "Letters beside" not in text
    page = Cells(leaderboard.as_html(long_board(), "accuracy").replace("\xa0", " "))
    assert page.rows[2][over].split() == ["+0.75", "[−0.50,", "+2.00]", "clean=random"]


def test_the_numbers_of_a_long_table_hold_letters_group_and_reference() -> None:
    (row,) = [
        one for one in csv.DictReader(io.StringIO(leaderboard.as_csv(long_board()).decode())) if one["arm"] == "clean=a"
    ]
    assert (row["letters"], row["best_group"], row["beside"]) == ("abcde", "true", "clean=random")
    assert [row[f"beside_{name}"] for name in ("gain", "low", "high", "p_adjusted")] == ["0.75", "-0.5", "2.0", "0.4"]


def test_a_percentage_and_an_interval_do_not_break_over_lines() -> None:
    assert leaderboard.glue("a 95 % interval [+1.0, +2.0] of 5 rows") == "a 95\xa0% interval [+1.0,\xa0+2.0] of 5 rows"
