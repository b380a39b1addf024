"""A study's report by another metric: from its records, without training, and what is said of the verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from sklearn.metrics import log_loss, roc_auc_score
from studies import keep, made_test_set, record, shown, with_probabilities

from harness.analysis.study import gather
from harness.commands.cli import main
from harness.report.answers import collect_answers
from harness.report.figure_files import draw_figure
from harness.storage.packing import unpack
from harness.storage.store import Record, Store

TEST = made_test_set(200, 2)
ARMS = {"baseline": (0.7, 0.6), "model=a": (0.93, 0.99999), "clean=x": (0.85, 0.6)}
"""Accuracy, and how sure each arm is: the model is right more often, and very sure where it is wrong."""


def study(folder: Path, seeds: int = 4) -> tuple[Store, list[Record]]:
    store = Store(folder / "made")
    made = []
    for arm, (accuracy, sure) in ARMS.items():
        axis, factors = ("none", ()) if arm == "baseline" else (("model",) * 2 if "model" in arm else ("data", "clean"))
        for seed in range(seeds):
            predicted = shown(TEST, accuracy, arm, str(seed))
            one = record(store, arm, seed, predicted, TEST, axis=axis, factors=(factors,) if factors else ())
            made.append(with_probabilities(store, one, TEST, sure, accuracy))
    return store, keep(store, made)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[Record]]:
    return study(tmp_path_factory.mktemp("rescored"))


def test_scores_of_another_metric_are_those_of_the_kept_probabilities(made: tuple[Store, list[Record]]) -> None:
    store, records = made
    for name, sign, of in (("roc_auc", 1, roc_auc_score), ("log_loss", -1, log_loss)):
        found = gather(store, metric=name).table.set_index("key")
        for one in records:
            chances = unpack(one["result"]["probabilities"]).astype(float)
            chances = np.maximum(chances / chances.sum(1, keepdims=True), 2.0**-24)
            chances /= chances.sum(1, keepdims=True)
            wanted = sign * of(TEST.y, chances[:, 1] if name == "roc_auc" else chances)
            assert found.loc[one["key"], "test"] == pytest.approx(100 * wanted, abs=1e-4), (name, one["arm"])
            assert found.loc[one["key"], "metric"] == name


def test_a_verdict_that_the_metric_turns_round_says_so(made: tuple[Store, list[Record]]) -> None:
    store, _ = made
    by_accuracy, by_loss = gather(store), gather(store, metric="log_loss")
    other = by_loss.attribution.verdict.word
    assert by_accuracy.attribution.verdict.word == "model" != other
    assert by_accuracy.by_metric["log_loss"].word == other
    said = next(note for note in by_accuracy.notes if note.startswith("The verdict by other metrics: "))
    assert "the same (model) under balanced_accuracy, macro_f1" in said
    assert f"under neg_log_loss: {other} (data minus model +" in said
    assert said in by_accuracy.attribution.verdict.sentence
    assert by_accuracy.by_metric["log_loss"].by.value == pytest.approx(by_loss.attribution.verdict.by.value)
    assert by_accuracy.by_metric["log_loss"].by.low == pytest.approx(by_loss.attribution.verdict.by.low)
    assert collect_answers(by_accuracy)["by_metric"]["log_loss"]["word"] == other
    effect = {one.arm: one.interval.effect for one in by_loss.effects if one.interval}
    assert effect["model=a"] < 0, "sure and wrong: the log loss is worse, so the gain is negative"


def test_a_report_by_another_metric_lies_beside_the_studys_own(
    made: tuple[Store, list[Record]], capsys: pytest.CaptureFixture[str]
) -> None:
    store, _ = made
    place = f"store={store.folder.parent}"
    (store.folder / "leaderboard.md").write_text("the study's own")
    assert main(["report", "made", place, "metric=log_loss"]) == 0
    assert [path.read_text() for path in store.folder.glob("leaderboard.*")] == ["the study's own"]
    board = (store.folder / "metrics" / "log_loss" / "leaderboard.md").read_text()
    assert "neg_log_loss ± sd" in board
    assert "Effects are in points" in board
    assert "minus 100 times the log loss, so a positive effect is an improvement" in board
    assert "what trials chose inside (early stopping, tuning) was chosen by accuracy" in board
    page = (store.folder / "metrics" / "log_loss" / "index.html").read_text()
    assert 'href="../../../index.html"' in page
    assert 'href="../../trials/"' in page
    capsys.readouterr()
    assert main(["report", "made", place, "metric=log_los"]) == 2
    assert "unknown metric 'log_los'; did you mean 'log_loss'" in capsys.readouterr().err


def test_slices_are_scored_by_a_metric_that_a_single_class_has(
    made: tuple[Store, list[Record]], capsys: pytest.CaptureFixture[str]
) -> None:
    store, records = made
    place = f"store={store.folder.parent}"
    assert main(["slices", "made", place, "metric=log_loss", "arm=model=a"]) == 0
    assert "points of neg_log_loss by class" in capsys.readouterr().out
    table = pd.read_csv(store.folder / "metrics" / "log_loss" / "slices.csv").set_index("slice")
    assert not (store.folder / "slices.csv").exists()
    for c, name in enumerate(TEST.classes):
        own, of = (
            [
                100 * np.log(np.maximum(chances / chances.sum(1, keepdims=True), 2.0**-24))[TEST.y == c, c].mean()
                for one in records
                if one["arm"] == arm
                for chances in [unpack(one["result"]["probabilities"]).astype(float)]
            ]
            for arm in ("model=a", "baseline")
        )
        assert table.loc[name, "control"] == pytest.approx(np.mean(of), abs=1e-3)
        assert table.loc[name, "delta"] == pytest.approx(np.mean(own) - np.mean(of), abs=1e-3)
        assert table.loc[name, "low"] < table.loc[name, "delta"] < table.loc[name, "high"]
    assert main(["slices", "made", place, "metric=roc_auc"]) == 2
    assert (
        "a slice that lacks a class has no such score (choose from: accuracy, log_loss, brier)"
        in capsys.readouterr().err
    )


def test_training_curves_say_that_they_stay_on_the_studys_own_metric(made: tuple[Store, list[Record]]) -> None:
    store, _ = made
    curve = [{"step": step, "valid": 0.5 + step / 100, "loss": 1.0} for step in (1, 10, 20)]
    for metric, words in (("log_loss", "they cannot be scored by neg_log_loss"), ("accuracy", "")):
        found = gather(store, metric=metric)
        found = replace(found, records=[{**one, "history": curve} for one in found.records])
        texts = " ".join(" ".join(text.get_text().split()) for text in draw_figure(found, "curves").findobj(Text))
        assert words in texts
        assert ("no predictions were kept" in texts) == bool(words)


def test_what_records_do_not_keep_is_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, records = study(tmp_path, seeds=2)
    whole = dict(records[0]["result"])
    for name in ("probabilities", "valid_set", "valid_predictions", "valid_probabilities"):
        records[0]["result"].pop(name)
    keep(store, records)
    assert main(["report", "made", f"store={tmp_path}", "metric=roc_auc"]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert "metric=roc_auc needs probabilities of the scored rows, and 1 of 6 records do not hold them" in told[0]
    assert (
        "the first is baseline, seed 0): run these trials again, with harness -m experiments=made rerun=true" in told[0]
    )
    notes = gather(store).notes
    assert any(note.startswith("Not judged by balanced_accuracy, macro_f1, log_loss, roc_auc: ") for note in notes)
    records[0]["result"] = {**whole, "probabilities": None, "valid_probabilities": None}
    keep(store, records)
    assert main(["report", "made", f"store={tmp_path}", "metric=log_loss"]) == 2
    assert "the model of baseline returns none: choose a metric on classes" in capsys.readouterr().err
    assert main(["report", "made", f"store={tmp_path}", "metric=worst_group"]) == 2
    assert "metric=worst_group needs groups of test rows, and this task has none" in capsys.readouterr().err
