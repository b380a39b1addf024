"""What a report says of the load under which costs were measured."""

from __future__ import annotations

import pandas as pd
import pytest

from harness.analysis.load import load_notes


def table(arms: dict[str, list[float | None]], **columns: list[float | None]) -> pd.DataFrame:
    """Finished trials of arms by the load of each seed; the baseline's are the controls."""
    rows = [
        {
            "key": f"{arm} {seed}",
            "control": f"baseline {seed}",
            "arm": arm,
            "seed": seed,
            "status": "done",
            "cost_load": load,
        }
        for arm, loads in arms.items()
        for seed, load in enumerate(loads)
    ]
    return pd.DataFrame(rows).assign(**columns)


def test_an_even_load_is_not_worth_a_word():
    assert load_notes(table({"baseline": [0.8, 0.9], "a": [0.85, 0.9]})) == []
    assert load_notes(table({"baseline": [None, None], "a": [None, None]})) == []
    assert load_notes(table({"baseline": [0.5, 0.5], "a": [0.5, 0.0]})) == []  # the last trial runs alone


def test_records_of_earlier_versions_have_no_load():
    assert load_notes(table({"baseline": [0.8], "a": [0.0]}).drop(columns="cost_load")) == []


def test_a_load_that_hit_one_arm_alone_names_it():
    (note,) = load_notes(table({"baseline": [0.1] * 3, "a": [0.1] * 3, "b": [0.9] * 3}))
    assert note.startswith(
        "Costs measured on a busy machine: during 3 of 9 trials other work kept 90 % of the processor cores busy, during "
        "the median trial 10 %."
    )
    assert note.endswith("on a quieter or busier machine: b.")
    (note,) = load_notes(table({"baseline": [0.9] * 2, "a": [0.1] * 2, "b": [0.1] * 2}))
    assert note.endswith("on a quieter or busier machine: a, b.")


def test_a_load_that_hit_controls_as_well_leaves_their_ratio():
    (note,) = load_notes(table({"baseline": [0.1, 0.1, 0.9], "a": [0.1, 0.1, 0.9]}))
    assert "during 2 of 6 trials" in note
    assert note.endswith("the ratios to the control hold.")


def test_failed_trials_cost_nothing_that_counts():
    rows = table({"baseline": [0.1] * 3, "b": [0.9]})
    assert load_notes(rows.assign(status=["done"] * 3 + ["failed"])) == []


@pytest.mark.parametrize(
    ("column", "words"), [("cost_children_s", "child processes"), ("cost_threads_s", "further threads")]
)
def test_work_of_other_processes_and_threads_is_said(column, words):
    rows = table({"baseline": [0.1] * 2, "model=h2o": [0.1] * 2}, **{column: [None, None, 4.0, 5.0]})
    assert load_notes(rows) == [f"CPU seconds include those of {words}, per trial: model=h2o 4.50."]
