"""What a strategy did is told from outside, in full, and a saved receipt does it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import train_set
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.conformance.small_sets import tools_with
from harness.data import TrainSet, one_hot
from harness.errors import BadInput, TrialFailed
from harness.receipts import receipt, replay
from harness.storage.packing import unpack
from harness.streams import stream

TOOLS = tools_with(stream(0, "replay"))


def saved(folder: Path, detail: dict[str, Any], stage: str = "clean") -> str:
    path = folder / "record.json"
    path.write_text(json.dumps({"receipts": {stage: detail}}))
    return str(path)


@pytest.fixture
def four() -> TrainSet:
    return train_set(np.arange(4, dtype=np.float32)[:, None], [0, 1, 2, -1], 3)


def changed_by_hand(four: TrainSet) -> TrainSet:
    """r0 dropped, r1 relabelled, r2 re-weighted, r3 labelled for the first time."""
    y = four.y.copy()
    y[1], y[3] = [0.25, 0.25, 0.5], [0, 0, 1]
    return TrainSet(four.ids, four.x, y, np.array([1, 1, 0.5, 1], np.float32), four.votes).rows(np.arange(1, 4))


def test_a_receipt_by_hand(four: TrainSet) -> None:
    told = receipt(four, changed_by_hand(four))
    counts = {name: value for name, value in told.items() if name.startswith("n_")}
    assert counts == {"n_before": 4, "n_after": 3, "n_dropped": 1, "n_added": 0, "n_relabelled": 2, "n_reweighted": 2}
    assert unpack(told["dropped"]).tolist() == ["r0"]
    detail = {name: unpack(value).tolist() for name, value in told["changed"].items()}
    assert detail["ids"] == ["r1", "r2", "r3"]
    assert detail["class_before"] == [1, 2, -1]
    assert detail["label_after"] == [[0.25, 0.25, 0.5], [0, 0, 1], [0, 0, 1]]
    assert (detail["weight_before"], detail["weight_after"]) == ([1, 1, 0], [1, 0.5, 1])
    assert told["order"] is None
    assert json.loads(json.dumps(told)) == told


def test_hard_labels_are_kept_as_class_indices(four: TrainSet) -> None:
    after = TrainSet(four.ids, four.x, one_hot(np.array([2, 1, 0, 0]), 3), np.ones(4, np.float32), four.votes)
    assert unpack(receipt(four, after)["changed"]["label_after"]).tolist() == [2, 0, 0]


def test_nothing_done_is_a_receipt_of_nothing(four: TrainSet) -> None:
    told = receipt(four, four)
    assert [told[name] for name in ("n_dropped", "n_added", "n_relabelled", "n_reweighted")] == [0] * 4
    assert len(json.dumps(told)) < 1200


def test_rows_are_told_apart_by_id_and_not_by_place(four: TrainSet) -> None:
    told = receipt(four, four.rows(np.array([3, 1, 0, 2])))
    assert [told[name] for name in ("n_dropped", "n_added", "n_relabelled", "n_reweighted")] == [0] * 4
    assert unpack(told["order"]).tolist() == ["r3", "r1", "r0", "r2"]


def test_the_ids_of_numbers_are_strings(four: TrainSet, tmp_path: Path) -> None:
    numbered = TrainSet(np.arange(4), four.x, four.y, four.w, four.votes)
    path = saved(tmp_path, receipt(numbered, numbered.rows(np.array([1, 2]))))
    assert replay(four_with(four, ["0", "1", "2", "3"]), TOOLS, path=path, stage="clean").ids.tolist() == ["1", "2"]


def four_with(four: TrainSet, ids: list[str]) -> TrainSet:
    return TrainSet(np.array(ids), four.x, four.y, four.w, four.votes)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[TrainSet, TrainSet]:
    """A set, and the same after a strategy that drops, relabels, re-weights and reorders at random."""
    rng, k = np.random.default_rng(draw(st.integers(0, 2**32))), draw(st.integers(2, 4))
    n = draw(st.integers(1, 12))
    ids = np.array([f"é{i}" for i in rng.permutation(n)])
    w = rng.choice([0, 0.5, 1], size=n).astype(np.float32)
    y = one_hot(np.where(w > 0, rng.integers(k, size=n), -1), k)
    before = TrainSet(ids, np.arange(n, dtype=np.float32)[:, None], y, w, np.zeros((n, 0), dtype=np.int8))
    new_y, new_w, rows = y.copy(), w.copy(), np.arange(n)
    some = rng.random(n) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    soft = draw(st.booleans())
    new_y[some] = rng.dirichlet(np.ones(k), some.sum()) if soft else one_hot(rng.integers(k, size=some.sum()), k)
    new_w[rng.random(n) < draw(st.sampled_from([0.0, 0.5, 1.0]))] = rng.random()
    rows = rng.permutation(n) if draw(st.booleans()) else rows
    rows = rows[rng.random(n) < 0.7] if draw(st.booleans()) else rows
    return before, TrainSet(ids, before.x, new_y, new_w, before.votes).rows(rows)


@given(pairs())
@settings(max_examples=150, deadline=None)
def test_a_replay_gives_what_the_strategy_gave(tmp_path_factory: pytest.TempPathFactory, pair: Any) -> None:
    before, after = pair
    path = saved(tmp_path_factory.mktemp("record"), receipt(before, after))
    again = replay(before, TOOLS, path=path, stage="clean")
    assert again.digest() == after.digest()


def test_a_replay_finds_its_rows_in_a_larger_set(four: TrainSet, tmp_path: Path) -> None:
    """Rows in another order and one that is new: the receipt's rows change, the new one stays as it is."""
    path = saved(tmp_path, receipt(four, changed_by_hand(four)))
    larger = train_set(np.array([[3], [9], [1], [0], [2]], dtype=np.float32), [-1, 2, 1, 0, 2], 3)
    larger = TrainSet(np.array(["r3", "new", "r1", "r0", "r2"]), larger.x, larger.y, larger.w, larger.votes)
    again = replay(larger, TOOLS, path=path, stage="clean")
    assert again.ids.tolist() == ["r3", "new", "r1", "r2"]
    assert again.y.tolist() == [[0, 0, 1], [0, 0, 1], [0.25, 0.25, 0.5], [0, 0, 1]]
    assert again.w.tolist() == [1, 1, 1, 0.5]
    turned = saved(tmp_path, receipt(four, four.rows(np.array([2, 3, 0, 1]))))
    assert replay(larger, TOOLS, path=turned, stage="clean").ids.tolist() == ["r2", "r3", "r0", "r1", "new"]


def test_rows_that_the_set_lacks_are_told(four: TrainSet, tmp_path: Path) -> None:
    path = saved(tmp_path, receipt(four, changed_by_hand(four)))
    for rows in ([0, 1, 2], [1, 2, 3]):
        with pytest.raises(BadInput, match="names 1 rows that the training set lacks, the first is 'r"):
            replay(four.rows(np.array(rows)), TOOLS, path=path, stage="clean")


def test_labels_over_other_classes_are_told(four: TrainSet, tmp_path: Path) -> None:
    two = train_set(four.x, [0, 1, 1, -1], 2)
    hard = TrainSet(four.ids, four.x, one_hot(np.array([2, 1, 0, 0]), 3), four.w, four.votes)
    for after in (changed_by_hand(four), hard):
        with pytest.raises(BadInput, match="over 3 classes, but this task has 2"):
            replay(two, TOOLS, path=saved(tmp_path, receipt(four, after)), stage="clean")


def test_added_rows_cannot_be_replayed_and_that_is_told(four: TrainSet, tmp_path: Path) -> None:
    told = receipt(four.rows(np.arange(3)), four)
    assert (told["n_added"], unpack(told["added"]).tolist()) == (1, ["r3"])
    with pytest.raises(BadInput, match="added 1 rows"):
        replay(four, TOOLS, path=saved(tmp_path, told), stage="clean")


def test_a_record_that_is_absent_torn_or_without_the_stage_is_told(four: TrainSet, tmp_path: Path) -> None:
    path = saved(tmp_path, receipt(four, four), stage="weak")
    with pytest.raises(BadInput, match="keeps no receipt of stage 'clean'; it keeps weak"):
        replay(four, TOOLS, path=path, stage="clean")
    with pytest.raises(BadInput, match="is not a readable trial record"):
        replay(four, TOOLS, path=str(tmp_path / "absent.json"), stage="clean")
    (tmp_path / "torn.json").write_text('{"rec')
    with pytest.raises(BadInput, match="is not a readable trial record"):
        replay(four, TOOLS, path=str(tmp_path / "torn.json"), stage="clean")


def test_two_rows_of_one_id_cannot_be_told_apart(four: TrainSet) -> None:
    with pytest.raises(TrialFailed, match="1 ids occur more than once"):
        receipt(four, four.rows(np.array([0, 0, 1])))


def test_a_large_receipt_stays_small() -> None:
    """20,000 rows labelled by voting: ids at about three bytes each, labels at far less than four times k."""
    n, k = 20_000, 10
    rng = np.random.default_rng(0)
    before = train_set(np.zeros((n, 1), dtype=np.float32), [-1] * n, k)
    shares = np.eye(k)[rng.integers(k, size=(n, 3))].mean(1).astype(np.float32)
    after = TrainSet(before.ids, before.x, shares, np.ones(n, np.float32), before.votes)
    assert len(json.dumps(receipt(before, after))) < 12 * n
