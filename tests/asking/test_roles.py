"""What columns are, by their names and values: odd tables in, roles or a refusal out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from harness.asking.roles import Column, Roles, Wishes, guess_roles
from harness.errors import BadInput

COMMAND = "harness ask data.csv"
N = 100
CLASSES = ["no", "yes"] * (N // 2)
NUMBERS = [f"{i * 37 % 91 / 7:.3f}" for i in range(N)]
SENTENCES = [f"this is comment number {i} about a film and its songs" for i in range(N)]
CITIES = ["rome", "oslo", "lima", "cairo"] * (N // 4)


def column(name: str, values: Sequence[Any], **more: Any) -> Column:
    """A column as the survey would make it from those values."""
    cells = np.array([None if value is None else str(value) for value in values], dtype=object)
    known = [cell for cell in cells if cell is not None]
    try:
        numbers = [float(cell) for cell in known]
    except ValueError:
        numbers = []
    kind = "number" if known and numbers else "words" if known else "empty"
    whole = kind == "number" and all(number % 1 == 0 for number in numbers)
    return Column(
        name, **{"kind": kind, "cells": cells, "whole": whole, "unique": len(set(cells)) == len(cells), **more}
    )


def roles(said: Wishes | None = None, **columns: Sequence[Any]) -> Roles:
    made = [one if isinstance(one, Column) else column(name, one) for name, one in columns.items()]
    return guess_roles(made, said or Wishes(), COMMAND)


@pytest.mark.parametrize("name", ["label", "Target", "class", "y", "sentiment", "is_fraud", "Churned", "spam_label"])
def test_a_column_called_like_a_label_is_the_label(name):
    found = roles(amount=NUMBERS, city=CITIES, **{name: CLASSES})
    assert (found.label, found.features) == (name, ("amount", "city"))


def test_the_only_column_of_few_values_is_the_label():
    assert roles(a=NUMBERS, b=NUMBERS, answer=CLASSES).label == "answer"


def test_several_labels_of_equal_right_are_refused_with_the_command():
    with pytest.raises(
        BadInput,
        match=r"several columns could be the label: city \(4 values\), answer \(no, yes\); say which: harness ask data.csv label=city",
    ):
        roles(a=NUMBERS, city=CITIES, answer=CLASSES)
    with pytest.raises(BadInput, match=r"label \(no, yes\), class \(no, yes\)"):
        roles(a=NUMBERS, **{"label": CLASSES, "class": CLASSES[::-1]})


@pytest.mark.parametrize("name", ["target", "price", "y"])
@pytest.mark.parametrize("said", [True, False])
def test_a_column_of_900_numbers_is_no_label(name, said):
    prices = [str(1000 + i % 900) for i in range(9000)]
    wishes = Wishes(label=name) if said else Wishes()
    with pytest.raises(BadInput, match=r"900 different numbers in 9000 rows|no column looks like a label"):
        guess_roles(
            [column("a", ["x", "z"] * 10 + ["w"] * 8980), column(name, prices)]
            if said
            else [column("a", prices[::-1]), column(name, prices)],
            wishes,
            COMMAND,
        )


def test_a_label_has_five_rows_of_each_class():
    assert roles(a=NUMBERS, label=[f"c{i % 20}" for i in range(N)]).label == "label"
    with pytest.raises(BadInput, match="25 different values in 100 rows: a class needs 5 rows or more"):
        roles(a=NUMBERS, label=[f"c{i % 25}" for i in range(N)])


def test_numbers_with_a_fraction_are_no_label_by_their_values():
    assert roles(dose=[0.5, 0.5, 1.5, 1.5] * 25, answer=CLASSES).label == "answer"


@pytest.mark.parametrize("name", ["customer", "PassengerId", "code", "uuid"])
def test_strings_that_differ_everywhere_are_an_identifier_and_no_feature(name):
    found = roles(**{name: [f"C{i:04d}" for i in range(N)]}, spend=NUMBERS, churned=CLASSES)
    assert (found.id, found.features) == (name, ("spend",))


def test_a_second_identifier_is_left_out_and_said():
    found = roles(id=range(7, N + 7), ticket=[f"T{i}" for i in range(N)], spend=NUMBERS, churned=CLASSES)
    assert (found.id, found.features) == ("id", ("spend",))
    assert "identifier" in found.unused["ticket"]
    assert any("'ticket'" in note for note in found.notes)


def test_whole_numbers_that_differ_everywhere_stay_a_feature_unless_they_are_called_an_identifier():
    assert roles(weight=range(500, 500 + N), churned=CLASSES).features == ("weight",)
    assert roles(order_id=range(500, 500 + N), spend=NUMBERS, churned=CLASSES).id == "order_id"


def test_a_column_that_counts_the_rows_is_no_feature():
    found = roles(**{"": range(N)}, spend=NUMBERS, churned=CLASSES)
    assert found.features == ("spend",)
    assert found.unused[""] == "left out: it counts the rows"


def test_names_of_people_do_not_make_a_table_a_text():
    people = [f"Smith, Mr. John {i}" for i in range(N)]
    found = roles(Name=people, Age=NUMBERS, Fare=NUMBERS, Sex=["f", "m", "m", "f"] * 25, Survived=["0", "1"] * 50)
    assert (found.modality, found.label, found.features) == ("table", "Survived", ("Age", "Fare", "Sex"))
    assert "100 different texts in 100 rows (text=Name" in found.unused["Name"]


def test_sentences_are_a_text_and_what_stands_beside_is_said():
    found = roles(review=SENTENCES, date=NUMBERS, sentiment=CLASSES)
    assert (found.modality, found.input, found.label, found.features) == ("text", "review", "sentiment", ())
    assert found.unused["date"].startswith("not read: the text in 'review'")


def test_short_texts_alone_beside_the_label_are_a_text():
    assert roles(t=[f"win a prize number {i}" for i in range(N)], answer=CLASSES).input == "t"


def test_the_user_may_ask_for_a_table_or_for_another_text():
    assert roles(Wishes(modality="table"), review=SENTENCES, spend=NUMBERS, label=CLASSES).features == ("spend",)
    two = {"review": SENTENCES, "title": [f"{one} at last" for one in SENTENCES], "label": CLASSES}
    assert roles(**two).input == "review"
    assert roles(Wishes(text="title"), **two).input == "title"


def test_true_labels_and_votes_are_told_from_features():
    voters = {f"annotator_{i}": (["no", "yes", "yes", None] * 25) for i in range(3)}
    found = roles(spend=NUMBERS, label=CLASSES, gold=CLASSES, **voters)
    assert (found.gold, found.votes) == ("gold", tuple(voters))
    assert found.features == ("spend",)


def test_gold_that_only_the_test_part_has_is_gold():
    found = roles(spend=NUMBERS, label=CLASSES, gold=column("gold", [None] * N, elsewhere=("no", "yes")))
    assert found.gold == "gold"
    found = roles(spend=NUMBERS, state=CLASSES, true_label=column("true_label", [None] * N, elsewhere=("no", "yes")))
    assert (found.label, found.gold) == ("state", "true_label")


def test_two_columns_of_true_labels_are_refused():
    with pytest.raises(BadInput, match="several columns may hold true labels: expert, consensus; say gold=NAME"):
        roles(spend=NUMBERS, label=CLASSES, expert=CLASSES, consensus=CLASSES)


def test_one_column_called_like_a_voter_is_no_crowd():
    mostly = [one if i % 5 else "no" for i, one in enumerate(CLASSES)]
    assert roles(spend=NUMBERS, rater=mostly, label=CLASSES).votes == ()
    assert roles(spend=NUMBERS, rater_1=mostly, rater_2=mostly, label=CLASSES).votes == ("rater_1", "rater_2")


def test_a_column_with_a_gap_names_no_rows():
    codes = [None, *(f"k{i}" for i in range(1, N))]
    assert roles(spend=NUMBERS, code=[f"k{i}" for i in range(N)], label=CLASSES).id == "code"
    assert roles(spend=NUMBERS, code=codes, label=CLASSES).id is None


def test_features_called_like_voters_stay_features_unless_they_name_classes():
    assert roles(rule_a=NUMBERS, rule_b=NUMBERS, label=CLASSES).features == ("rule_a", "rule_b")


def test_the_label_in_other_words_and_another_labelling_are_no_features():
    code = {"no": "0", "yes": "1"}
    found = roles(spend=NUMBERS, code=[code[one] for one in CLASSES], label=CLASSES)
    assert found.features == ("spend",)
    assert "'label' in other words" in found.unused["code"]
    kinds = ["a", "b", "c", "d"] * 25
    other = [*kinds[:80], *kinds[1:21]]
    found = roles(spend=NUMBERS, second=other, label=kinds)
    assert found.features == ("spend",)
    assert "agrees in 80 % of the rows" in found.unused["second"]


def test_two_features_with_the_labels_own_values_are_asked_about():
    mostly = [one if i % 5 else "no" for i, one in enumerate(CLASSES)]
    found = roles(spend=NUMBERS, w0=mostly, w1=mostly, label=CLASSES)
    assert found.features == ("spend", "w0", "w1")
    assert any("if they are votes, say votes=w0,w1" in note for note in found.notes)


def test_groups_are_found_by_name_only_where_they_repeat():
    assert roles(patient_id=[f"p{i // 4}" for i in range(N)], spend=NUMBERS, label=CLASSES).group == "patient_id"
    assert roles(patient_id=[f"p{i}" for i in range(N)], spend=NUMBERS, label=CLASSES).group is None
    assert roles(shop=[f"p{i // 4}" for i in range(N)], spend=NUMBERS, label=CLASSES).group is None
    assert roles(patient_id=[f"p{i // 12}" for i in range(N)], spend=NUMBERS, label=CLASSES).group is None


def test_what_the_user_says_wins_over_every_guess():
    said = Wishes(label="answer", id="label", ignore=("city",), group="none")
    found = roles(said, label=[f"r{i}" for i in range(N)], city=CITIES, spend=NUMBERS, answer=CLASSES)
    assert (found.label, found.id, found.features) == ("answer", "label", ("spend",))
    assert found.unused["city"] == "left out, as you said (ignore=city)"


def test_a_column_that_is_not_there_is_refused_with_the_nearest():
    with pytest.raises(BadInput, match="label=lable: there is no such column; did you mean 'label'"):
        roles(Wishes(label="lable"), a=NUMBERS, label=CLASSES)


def test_a_table_without_features_is_refused():
    with pytest.raises(BadInput, match="no column is left to learn from: 'empty' is left out: it is empty"):
        roles(empty=[None] * N, label=CLASSES)


def test_every_guess_is_said_with_its_correction():
    notes = "\n".join(roles(customer=[f"C{i}" for i in range(N)], spend=NUMBERS, churned=CLASSES).notes)
    for option in ("[label=]", "[ignore=]", "[gold=]", "[id=]", "[group=]"):
        assert option in notes
    assert "label: 'churned', by its name: 2 classes (no, yes)" in notes
