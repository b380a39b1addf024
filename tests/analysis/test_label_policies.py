"""Cleaned in training, cleaned in test: what the test labels alone do is seen, and is no training gain."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies import keep, made_test_set, record, shown

from harness.analysis.label_policies import compare_policies
from harness.analysis.study import gather
from harness.data import Source
from harness.errors import BadInput
from harness.report.answers import collect_answers
from harness.report.label_policies import policy_table
from harness.report.page import page_data, render
from harness.report.write import make_files
from harness.storage.packing import pack
from harness.storage.store import Store, TestSet

GOLD = made_test_set(400, 2)
WRONG = np.arange(400) % 5 == 0
GIVEN = np.where(np.arange(400) < 10, -1, np.where(WRONG, 1 - GOLD.y, GOLD.y))
TEST = TestSet(GOLD.ids, GOLD.y, GOLD.classes, None, GIVEN)
"""A fifth of the given labels of the test rows is wrong, and ten rows have none."""


def study(folder: Path) -> Store:
    """Two cleaning arms: one changes hardly a prediction, the other is right more often."""
    store, made = Store(folder / "made"), []
    for seed in range(4):
        base = shown(TEST, 0.8, "base", str(seed))
        same = np.where(np.arange(400) == 20 + seed, 1 - base, base)
        better = shown(TEST, 0.95, "better")
        for arm, predicted in (("baseline", base), ("clean=same", same), ("clean=better", better)):
            more = {"axis": "none", "factors": ()} if arm == "baseline" else {}
            made.append(record(store, arm, seed, predicted, TEST, **more))
        model = shown(TEST, 0.9, "m", str(seed))
        made.append(record(store, "model=m", seed, model, TEST, axis="model", factors=("model",)))
    keep(store, made)
    return store


def test_the_matrix_is_that_of_the_predictions_on_both_labels(tmp_path: Path) -> None:
    store = study(tmp_path)
    kept = list(gather(store).records)
    both_sides = {"arm": "clean=same model=m", "factors": ["clean", "model"]}
    kept += [{**one, **both_sides} for one in kept if one["arm"] == "model=m"]
    rows = {one.arm: one for one in compare_policies(kept, store.test_set)}
    assert list(rows) == ["baseline", "clean=same", "clean=better"], "no arm that does not clean, or does more"
    both = GIVEN >= 0
    for arm, row in rows.items():
        every = [shown(TEST, 0.95, "better") if "better" in arm else shown(TEST, 0.8, "base", str(s)) for s in range(4)]
        if arm == "clean=same":
            every = [np.where(np.arange(400) == 20 + s, 1 - one, one) for s, one in enumerate(every)]
        for found, truth in ((row.given, GIVEN), (row.gold, GOLD.y)):
            assert found == pytest.approx(100 * np.mean([(one == truth)[both].mean() for one in every]))
    base, same, better = rows.values()
    assert (base.n, base.n_differ) == (390, (WRONG & both).sum())
    assert base.gain_gold is base.gain_given is None
    assert base.moved > 8
    assert better.gain_gold.effect == pytest.approx(better.gold - base.gold)
    assert better.gain_given.effect == pytest.approx(better.given - base.given)
    assert better.gain_gold.low > 0
    assert abs(same.gain_gold.effect) < 1
    assert same.gain_gold.low < 0 < same.gain_gold.high


def test_a_gain_of_the_test_labels_is_not_sold_as_one_of_training(tmp_path: Path) -> None:
    found = gather(study(tmp_path))
    said = " ".join(found.notes)
    base, same, _ = found.policies
    assert f"On gold labels the baseline scores {base.moved:+.2f} points higher than on given ones" in said
    seeming = f"{same.gold - base.given:+.2f}"
    assert f"clean=same, cleaned in training and test against nothing cleaned, would seem to gain {seeming}" in said
    assert "clean=better, cleaned in training and test" not in said, "its gain on gold labels is above zero"
    effect = next(one for one in found.effects if one.arm == "clean=same")
    assert abs(effect.interval.effect) < 1, "the table's gain is that of training"
    assert [row["arm"] for row in collect_answers(found)["test_policies"]] == ["baseline", "clean=same", "clean=better"]
    lines = policy_table(found.policies)
    assert lines[2] == "| trained on | given test labels | gain | gold test labels | gain | test labels alone |"
    assert lines[4].startswith(f"| given labels (baseline) | {base.given:.2f} | – | {base.gold:.2f} | – | +")
    assert lines[5].startswith("| `clean=same` | ")


def test_the_report_shows_the_matrix_only_where_both_labels_are_known(tmp_path: Path) -> None:
    store = study(tmp_path)
    made = make_files(gather(store), None)
    assert b"## Cleaned in training, cleaned in test" in made["leaderboard.md"]
    page, rows = made["index.html"].decode(), gather(store).policies
    table = page.partition('id="test-labels"')[2].partition("</section>")[0]
    assert "it is not a gain from training" in table
    assert table.count("<tr>") == 1 + len(rows)
    for row in rows:
        assert f">{row.given:.2f}</td>" in table
        assert f">{row.gold:.2f}</td>" in table
    assert '<th scope="row"><code>clean=better</code></th>' in table
    for path in (store.folder / "tests").glob("*.json"):
        path.unlink()
    store.keep_test_set(GOLD)
    bare = gather(store)
    assert bare.policies == []
    assert 'id="test-labels"' not in render(page_data(bare, {}, None, "")).decode()
    store.keep_test_set(TEST)
    assert len(gather(store).policies) == 3, "a file of an earlier version gets the given labels"


def test_given_test_labels_come_from_the_task_and_stand_in_the_test_set(
    source: Callable[..., Source], tmp_path: Path
) -> None:
    number = np.arange(200)
    truth = np.where(number % 10, number % 2, 1)
    frame = pd.DataFrame({"x": number % 7, "said": number % 2, "truth": truth})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    columns = {"path": tmp_path / "rows.csv", "label": "said", "features": ["x"]}
    task = source("table", gold="truth", **columns).split(0)
    at = np.array([int(name.rpartition("-")[2]) for name in task.test.ids.tolist()])
    assert task.test_given.tolist() == (at % 2).tolist()
    assert task.test.y.tolist() == truth[at].tolist()
    assert source("table", **columns).split(0).test_given is None
    store = Store(tmp_path / "made")
    name = store.keep_test_set(TestSet(task.test.ids, task.test.y, task.classes, None, task.test_given))
    assert store.test_set(name).given.tolist() == task.test_given.tolist()
    path = store.folder / "tests" / f"{name}.json"
    content = json.loads(path.read_text()) | {"given": pack(1 - task.test_given)}
    path.write_text(json.dumps(content))
    with pytest.raises(BadInput, match="its content is not that of its name"):
        store.test_set(name)
