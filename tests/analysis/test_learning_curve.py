"""Learning curves from studies of several sizes: what was held fixed is said, and studies that differ are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from studies import keep, made_test_set, record, shown

from harness.analysis.learning_curve import collect_curve
from harness.analysis.study import Study, gather
from harness.commands.cli import main
from harness.errors import BadInput
from harness.learners import Protocol
from harness.report.learning_curve import curve_files
from harness.storage.store import Record, Store

TEST = made_test_set(60, 2)
Change = Callable[[Record], Record]


def unchanged(one: Record) -> Record:
    return one


def sized(
    folder: Path, n: int, *, rules: dict[str, Any], change: Change = unchanged, more: tuple[str, ...] = ()
) -> Study:
    """A study of two seeds that trains on `n` rows, under a protocol with those rules."""
    store = Store(folder / f"n{n}")
    made = []
    for arm in ("baseline", "clean=a", *more):
        for seed in (0, 1):
            one = record(store, arm, seed, shown(TEST, 0.6 + n / 1000, arm, str(n), str(seed)), TEST)
            trial = one["trial"] | {"task": one["trial"]["task"] | {"n_train": n}}
            trial |= {"protocol": trial["protocol"] | rules}
            facts = one["facts"] | {"train": n, "optimiser_steps": rules["steps"] or 10 * n}
            made.append(change(one | {"trial": trial, "facts": facts}))
    keep(store, made)
    return gather(store)


EPOCHS, STEPS = {"epochs": 5, "steps": None}, {"epochs": 5, "steps": 300}


def test_a_curve_with_epochs_fixed_says_how_steps_grow(tmp_path: Path) -> None:
    large, small = (sized(tmp_path, n, rules=EPOCHS) for n in (200, 50))
    curve = collect_curve([large, small])
    assert curve.held == "epochs"
    assert curve.rows["n_train"].tolist() == [50, 50, 200, 200]
    assert set(curve.rows["held_fixed"]) == {"epochs"}
    assert curve.rows["optimiser_steps"].tolist() == [500, 500, 2000, 2000]
    assert (
        "Epochs are held fixed for networks: 5, so more rows also mean more optimiser steps (500 at 50 rows, 2000"
        in curve.note
    )
    assert "Other models (linear, trees, AutoML) are bound by their own options." in curve.note
    effect = next(one for one in small.effects if one.arm == "clean=a")
    row = curve.rows.query("arm == 'clean=a' and n_train == 50").iloc[0]
    assert effect.interval is not None
    assert (row["score"], row["effect"], row["low"]) == (effect.score, effect.interval.effect, effect.interval.low)


def test_a_curve_with_steps_fixed_says_so_in_table_and_figure(tmp_path: Path) -> None:
    curve = collect_curve([sized(tmp_path, n, rules=STEPS) for n in (50, 100, 200)])
    files = curve_files(curve)
    text = files["learning_curve.md"].decode()
    assert text.startswith("# Learning curve, task up: optimiser steps held fixed")
    assert "Optimiser steps are held fixed for networks: 300 at each size, so fewer epochs of more rows." in text
    assert "| arm | 50 rows | 100 rows | 200 rows |" in text
    assert files["learning_curve.csv"].decode().splitlines()[1].startswith("n50,50,steps,300,baseline,")
    assert files["learning_curve.png"].startswith(b"\x89PNG")


def test_seeds_that_failed_or_are_missing_do_not_count(tmp_path: Path) -> None:
    large, small = (sized(tmp_path, n, rules=STEPS) for n in (200, 50))
    gaps = [replace(effect, n_trials=5, n_failed=1, n_missing=2) for effect in large.effects]
    assert collect_curve([replace(large, effects=gaps), small]).rows["n_seeds"].tolist() == [2, 2, 2, 2]
    gaps = [replace(effect, n_trials=6, n_failed=1, n_missing=2) for effect in large.effects]
    assert collect_curve([replace(large, effects=gaps), small]).rows["n_seeds"].tolist() == [2, 2, 3, 3]


def test_arms_that_a_size_lacks_are_named(tmp_path: Path) -> None:
    small, large = sized(tmp_path, 50, rules=STEPS), sized(tmp_path, 100, rules=STEPS, more=("clean=b",))
    curve = collect_curve([small, large])
    assert "Left out, since not all studies have them: clean=b." in curve.note
    assert set(curve.rows["arm"]) == {"baseline", "clean=a"}


def _other_data(one: Record) -> Record:
    return one | {"trial": one["trial"] | {"data": "e" * 8}}


def _other_task(one: Record) -> Record:
    return one | {"trial": one["trial"] | {"task": one["trial"]["task"] | {"n_valid": 7}}}


def _other_baseline(one: Record) -> Record:
    return one | {"trial": one["trial"] | {"model": {"_target_": "another.model"}}}


@pytest.mark.parametrize(
    ("n", "rules", "change", "why"),
    [
        (50, STEPS, unchanged, "both train on 50 rows"),
        (100, EPOCHS, unchanged, "holds steps fixed, study n100 epochs: set protocol.steps in both or in neither"),
        (100, STEPS | {"lr": 0.1}, unchanged, "differ in the protocol"),
        (100, STEPS, _other_data, "differ in the data"),
        (100, STEPS, _other_task, "differ in the task"),
        (100, STEPS, _other_baseline, "differ in the baseline"),
    ],
)
def test_studies_that_differ_in_more_than_their_size_are_refused(
    n: int, rules: dict[str, Any], change: Change, why: str, tmp_path: Path
) -> None:
    one, other = sized(tmp_path / "one", 50, rules=STEPS), sized(tmp_path / "other", n, rules=rules, change=change)
    with pytest.raises(BadInput, match=why):
        collect_curve([one, other])


def test_one_study_is_no_curve(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="needs two studies or more"):
        collect_curve([sized(tmp_path, 50, rules=STEPS)])


def test_the_command_writes_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for n in (50, 100):
        sized(tmp_path / "results", n, rules=STEPS)
    out = tmp_path / "out"
    assert main(["curve", "n50", "n100", f"store={tmp_path / 'results'}", f"out={out}"]) == 0
    assert (out / "learning_curve.md").read_text() in capsys.readouterr().out
    assert len(pd.read_csv(out / "learning_curve.csv")) == 4
    assert main(["curve", "n50", f"store={tmp_path / 'results'}"]) == 2
    assert "name two studies or more" in capsys.readouterr().err


def test_a_protocol_says_what_it_holds_fixed(protocol: Protocol) -> None:
    fixed = replace(protocol, steps=300, batch_size=32)
    assert fixed.describe_budget(900).startswith("networks: 300 optimiser steps of 32 rows held fixed; other models")
    grown = replace(protocol, steps=None, epochs=30, batch_size=32)
    assert "30 epochs held fixed: 870 optimiser steps of 32 rows for 900 rows" in grown.describe_budget(900)
