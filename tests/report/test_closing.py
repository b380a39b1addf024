"""The answer in words: who wins, why, at what cost and what next, all from the study's own numbers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from studies import keep, large, made_test_set, record

from harness.analysis.choice import Estimate
from harness.analysis.effects import ReferenceGain
from harness.analysis.study import Study, gather
from harness.analysis.variance import ALL, Component
from harness.report.closing import (
    BOARD,
    SUSPECTS,
    WIDTH,
    answer_as_markdown,
    answer_paragraphs,
    as_lines,
    is_unverified,
    rows_to_check,
)
from harness.report.write import rebuild
from harness.storage.packing import pack
from harness.storage.store import Store

N = 500
TEST = made_test_set(N, 2)
SEEDS = range(5)


@pytest.fixture(autouse=True)
def few_redraws(monkeypatch):
    """Verdicts do not rest on redraws, so that few of them do here."""
    monkeypatch.setattr("harness.analysis.study.REDRAWS", 200)


def study(folder: Path, **shares: float) -> Store:
    """A study whose arms have those accuracies; every arm misses the rows that a better one misses, and some more."""
    store = Store(folder / "study")
    arms = {"baseline": ("none", ()), "model": ("model", ("model",)), "clean": ("data", ("clean",))}
    labels = {"baseline": "baseline", "model": "model=mlp", "clean": "clean=confident"}
    made = []
    for name, share in shares.items():
        axis, factors = arms[name]
        for seed in SEEDS:
            wrong = (np.arange(N) + 31 * seed) % N >= N * share
            predicted = np.where(wrong, 1 - TEST.y, TEST.y)
            made.append(record(store, labels[name], seed, predicted, TEST, axis=axis, factors=factors))
    keep(store, made)
    return store


def told(found: Study) -> dict[str, str]:
    return dict(answer_paragraphs(found))


def test_data_wins_and_the_rows_to_look_at_are_a_file(tmp_path):
    store = study(tmp_path, baseline=0.70, model=0.71, clean=0.80)
    found = gather(store)
    said = told(found)
    assert said["Verdict"].startswith("Better data is worth 9.00 points of accuracy more than a better model on ")
    assert "Best model: model=mlp, +1.00 [" in said["Why"]
    assert "Best data strategy: clean=confident, +10.00 [" in said["Why"]
    assert "The two were not run together." in said["Why"]
    assert said["Cost"].startswith("model=mlp: 1.5 CPU-seconds more per training, no labels bought.")
    assert said["Next"].startswith("Adopt clean=confident. Look at the rows in rows_to_check.csv")
    rebuild(store.folder)
    assert (store.folder / SUSPECTS).read_text() == "id,what,given,suggested,seeds\na,dropped,,,5 of 5\n"


def test_the_model_wins_and_no_rows_are_named(tmp_path):
    found = gather(study(tmp_path, baseline=0.70, model=0.80, clean=0.69))
    said = told(found)
    assert said["Verdict"].startswith(
        "A better model is worth 10.00 points of accuracy more than leaving the data as they are on "
    )
    inside = re.search(r"95 % interval \+([\d.]+) to \+([\d.]+)", said["Verdict"])
    assert inside is not None
    assert 0 < float(inside[1]) < 10 < float(inside[2])
    assert "No data strategy beats the baseline on validation." in said["Why"]
    assert said["Next"].startswith("Adopt model=mlp.")
    assert rows_to_check(found) == []


def test_undecided_says_who_is_ahead_that_both_gain_and_what_decides_it(tmp_path):
    said = told(gather(study(tmp_path, baseline=0.60, model=0.80, clean=0.802)))
    assert said["Verdict"].startswith("Undecided on ")
    assert "better data is ahead of a better model by 0.20 points of accuracy, but the 95 % interval" in said["Verdict"]
    assert said["Verdict"].endswith("includes zero. Both gain over the baseline.")
    assert "If the true difference is the measured 0.20 points, " in said["Next"]
    assert "5 seeds should decide it, and do not: " in said["Next"]


def test_a_gain_whose_interval_includes_zero_is_not_certain(tmp_path):
    found = gather(study(tmp_path, baseline=0.60, model=0.80, clean=0.802))
    assert found.attribution is not None
    rungs = found.attribution.ladder
    assert rungs is not None
    assert rows_to_check(found)
    unsure = replace(rungs, data=replace(rungs.data, effect=Estimate(20.0, -1.0, 41.0)))
    changed = replace(found, attribution=replace(found.attribution, ladder=unsure))
    assert told(changed)["Verdict"].endswith("Only the model side certainly gains over the baseline.")
    assert rows_to_check(changed) == []


def test_seeds_that_decide_come_with_their_time_and_the_command(tmp_path):
    found = gather(study(tmp_path, baseline=0.60, model=0.80, clean=0.802))
    assert not isinstance(found.pilot, str)
    noisy = replace(
        found, pilot=replace(found.pilot, difference=1.0, pilot=replace(found.pilot.pilot, v=2.0, shared=1e-6))
    )
    assert "seeds decide it (" in told(noisy)["Next"]
    assert "of processor time)" in told(noisy)["Next"]
    planned = replace(noisy, plan={**(noisy.plan or {}), "seeds": [0]})
    assert "of processor time): harness -m experiments=study seeds=" in told(planned)["Next"]
    hopeless = replace(noisy, pilot=replace(noisy.pilot, pilot=replace(noisy.pilot.pilot, shared=4.0)))
    assert "no number of seeds decides it on these 500 test rows: it takes more than" in told(hopeless)["Next"]


def test_relabelled_rows_carry_both_labels(tmp_path):
    store = Store(tmp_path / "study")
    changed = {"ids": pack(np.array(["b", "c", "d"])), "class_before": pack(np.array([0, -1, 1])),
               "label_after": pack(np.array([1, 1, 1])), "weight_before": pack(np.ones(3)), "weight_after": pack(np.ones(3))}  # fmt: skip
    receipt = {"clean": {"n_before": 90, "n_after": 90, "n_relabelled": 2, "changed": changed}}
    made = []
    for arm, share, axis, factors in (
        ("baseline", 0.6, "none", ()),
        ("model=mlp", 0.59, "model", ("model",)),
        ("clean=relabel", 0.8, "data", ("clean",)),
    ):
        for seed in SEEDS:
            predicted = np.where(np.arange(N) >= N * share, 1 - TEST.y, TEST.y)
            more = {"receipts": receipt} if arm == "clean=relabel" and seed else {}
            made.append(record(store, arm, seed, predicted, TEST, axis=axis, factors=factors, **more))
    keep(store, made)
    rows = rows_to_check(gather(store))
    assert {"id": "b", "what": "relabelled", "given": "class 0", "suggested": "class 1", "seeds": "4 of 5"} in rows
    assert {"id": "c", "what": "relabelled", "given": None, "suggested": "class 1", "seeds": "4 of 5"} in rows
    assert "d" not in [row["id"] for row in rows]
    assert rows[-1] == {"id": "a", "what": "dropped", "given": None, "suggested": None, "seeds": "1 of 5"}


def test_prices_give_money_per_point(tmp_path):
    found = gather(study(tmp_path, baseline=0.70, model=0.71, clean=0.80))
    priced = replace(found, plan={**(found.plan or {}), "price": {"cpu_hour": 3600.0, "label": 2.0}})
    assert (
        "clean=confident: 1.5 CPU-seconds more per training, no labels bought; at your prices 1.5, 0.15 per point."
        in told(priced)["Cost"]
    )


@pytest.mark.parametrize(
    ("facts", "unverified"), [({"test_labels": "given"}, True), ({"test_labels": "gold"}, False), ({}, False)]
)
def test_labels_that_nobody_verified_are_said_first(tmp_path, facts, unverified):
    found = gather(study(tmp_path, baseline=0.70, model=0.71, clean=0.80))
    found = replace(found, records=[{**one, "facts": {**one["facts"], **facts}} for one in found.records])
    assert is_unverified(found) is unverified
    assert (answer_paragraphs(found)[0][0] == "Caution") is unverified
    assert answer_as_markdown(found).startswith(b"**Caution.** Nobody" if unverified else b"**Verdict.**")


def test_a_study_of_one_side_has_no_verdict_and_says_why(tmp_path):
    said = told(gather(study(tmp_path, baseline=0.70, clean=0.80)))
    assert list(said) == ["Answer", "Verdict"]
    assert said["Answer"].startswith("The only effect is that of clean=confident: +10.00 [")
    assert said["Verdict"].startswith("None: ")
    assert "no complete arm changes the model alone" in said["Verdict"]


def test_the_answer_of_a_large_study_fits_a_terminal(tmp_path):
    lines = as_lines(gather(large(tmp_path / "large")))
    assert max(map(len, lines)) <= WIDTH
    board = lines[lines.index("") + 1 :]
    assert len(board) == BOARD
    assert "and 11 more in leaderboard.md" in board[0]
    assert board[1].split()[:2] == ["–", "baseline"]
    assert sum("(control)" in line for line in board) == 2


def test_two_questions_get_two_answers_and_too_few_validation_rows_are_said(tmp_path):
    found = gather(study(tmp_path, baseline=0.70, model=0.71, clean=0.80))
    said = told(found)["Choice"]
    assert said.startswith("Choosing on your 15 validation rows, you get model +1.00 [")
    assert "The best arm of each side can gain model +1.00 [" in said
    assert "too few" not in said
    assert found.attribution is not None
    ladder = found.attribution.ladder
    assert ladder is not None
    assert ladder.model.chosen_again is not None
    unsure = replace(
        ladder, model=replace(ladder.model, arm="model=other", chosen_again=0.2, effect=Estimate(0.5, 0, 1))
    )
    said = told(replace(found, attribution=replace(found.attribution, ladder=unsure)))["Choice"]
    assert (
        "15 validation rows are too few to choose the best model: only 20 % of redraws choose model=other again; on the "
        "test rows model=mlp gained most, +1.00 [" in said
    )


def test_the_best_data_strategy_stands_beside_its_reference(tmp_path):
    found = gather(study(tmp_path, baseline=0.70, model=0.71, clean=0.80))
    gain = ReferenceGain("clean=confident", "clean=random_drop", "negative_control", "clean=random_drop", 3.5, 1.0, 6.0)
    beside = [replace(one, beside=gain if one.arm == gain.arm else None) for one in found.effects]
    said = told(replace(found, effects=beside))["Why"]
    assert "] (+3.50 [+1.00, +6.00] over its reference clean=random_drop)." in said


def test_a_study_of_what_moves_a_score_gives_that_answer(tmp_path):
    found = gather(study(tmp_path, baseline=0.70, clean=0.80))
    parts = [Component(ALL, 4.0, 1.0, 9.0), Component("init", 2.25, 1.0, 4.0), Component("order", 1.0, 0.25, 4.0)]
    said = told(replace(found, components=parts))
    assert list(said) == ["Answer", "Also"]
    assert said["Answer"].startswith("With another training, the score of the same arm on ")
    assert said["Answer"].endswith(" moves by 2.00 points [1.00, 3.00] (standard deviation).")
    assert said["Also"] == "Of what is random in training, the init moves it most: by 1.50 points [1.00, 2.00]."
