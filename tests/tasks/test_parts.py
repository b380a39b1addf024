from __future__ import annotations

import json

import numpy as np
import pytest

from harness.data import row_hashes
from harness.errors import BadInput
from harness.tasks.parts import Plan, damage, divide, given_wrong, part, shared_share, subsample, task

PLAN = Plan(n_train=None, valid_fraction=0.25, test_fraction=0.25, split_seed=0)


def _part(n: int = 40, what: str = "r", **columns: np.ndarray):
    x = np.arange(n, dtype=np.float32)[:, None]
    return part(np.array([f"{what}{i}" for i in range(n)]), x, given=np.arange(n) % 2, **columns)


def test_a_row_of_unknown_truth_leaves_with_its_group() -> None:
    """Every group holds one row with gold and one without: half of a held-out group has nothing to be scored on."""
    gold = np.where(np.arange(40) % 2, np.arange(40) // 2 % 2, -1)
    done, facts = divide({"train": _part(gold=gold, group=np.repeat(np.arange(20), 2))}, PLAN, seed=0)
    assert {name: len(rows) for name, rows in done.items()} == {"train": 22, "test": 5, "valid": 4}
    assert facts["left_out"] == 9
    groups = [set(rows.group) for rows in done.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 20


def test_the_test_part_does_not_move_with_the_seed_nor_the_valid_part_with_the_split_seed() -> None:
    parts = {"train": _part()}
    one, two = (divide(parts, PLAN, seed)[0] for seed in (0, 1))
    assert one["test"].ids.tolist() == two["test"].ids.tolist()
    assert one["valid"].ids.tolist() != two["valid"].ids.tolist()


@pytest.mark.parametrize(("split_seed", "n_train"), [(0, None), (None, None), (0, 40), (None, 40)])
def test_the_share_of_training_rows_that_seeds_have_in_common_is_that_of_their_ids(
    split_seed: int | None, n_train: int | None
) -> None:
    plan, parts = Plan(n_train, 0.25, 0.25, split_seed), {"train": _part(400)}
    rows, said = [], set()
    for seed in range(12):
        done, facts = divide(parts, plan, seed)
        drawn = subsample(done["train"], n_train, 2, seed)
        said.add((facts | shared_share(facts, done["train"], drawn))["train_shared"])
        rows.append(set(drawn.ids))
    (share,) = said
    common = [len(one & other) / len(one) for i, one in enumerate(rows) for other in rows[:i]]
    assert share == pytest.approx(np.mean(common), abs=0.02)


def test_seeds_that_split_nothing_train_on_the_same_rows() -> None:
    parts = {name: _part(what=name) for name in ("train", "valid", "test")}
    assert divide(parts, PLAN, 0)[1]["train_shared"] == 1


def test_damage_is_symmetric_and_keeps_what_was_before() -> None:
    clean = part(np.arange(3000).astype(str), np.zeros((3000, 1)), given=np.arange(3000) % 3)
    hurt = damage(clean, 0.3, 3, seed=0)
    assert given_wrong(hurt) == pytest.approx(0.3)
    assert (hurt.gold == clean.given).all()
    moves = np.bincount(clean.given * 3 + hurt.given, minlength=9).reshape(3, 3)
    wrong = moves[~np.eye(3, dtype=bool)]
    assert np.abs(wrong - 150).max() < 50
    assert given_wrong(clean) is None


def test_damage_spares_rows_without_a_label() -> None:
    half = part(np.arange(10).astype(str), np.zeros((10, 1)), given=np.array([-1, 0] * 5))
    hurt = damage(half, 0.6, 2, seed=0)
    assert (hurt.given[::2] == -1).all()
    assert (hurt.given[1::2] == 1).sum() == 3


def test_subsample_keeps_every_class() -> None:
    rare = part(np.arange(100).astype(str), np.zeros((100, 1)), given=np.array([1] + [0] * 99))
    assert sorted(subsample(rare, 2, 2, seed=0).given) == [0, 1]
    assert subsample(rare, None, 2, seed=0) is rare
    with pytest.raises(BadInput, match=r"task\.n_train is 101, but there are only 100 rows"):
        subsample(rare, 101, 2, seed=0)


def test_weight_zero_is_no_label() -> None:
    weight = np.array([0, 2] * 20)
    with pytest.raises(BadInput, match="the train part has a single class, 'b'"):
        task("t", "table", ("a", "b"), {"train": _part(weight=weight), "valid": _part(4), "test": _part(4)}, {})
    weight[0] = 1
    made = task("t", "table", ("a", "b"), {"train": _part(weight=weight), "valid": _part(4), "test": _part(4)}, {})
    assert made.train.w.tolist()[:4] == [1, 2, 0, 2]
    assert made.facts["labelled"] == 21
    assert (made.facts["overlap"], made.facts["duplicates"]) == (4, 0)


def test_groups_of_scored_rows_are_kept_where_rows_share_one() -> None:
    pairs = _part(40, group=np.arange(40) // 2)
    alone, shared = (
        task("t", "table", ("a", "b"), {"train": _part(), "valid": held, "test": held}, {}) for held in (_part(), pairs)
    )
    assert alone.valid_groups is alone.test_groups is None
    assert shared.valid_groups.tolist() == shared.test_groups.tolist() == (np.arange(40) // 2).tolist()


def test_equal_rows_have_equal_hashes() -> None:
    hashes = row_hashes(np.array(["a", "b", "a"], dtype=object))
    assert hashes[0] == hashes[2] != hashes[1]
    many = row_hashes(np.arange(10_000) // 2)
    assert len(np.unique(many)) == 5000
    assert len(row_hashes(np.zeros((0, 2)))) == 0


def test_facts_can_be_written_as_json() -> None:
    made = task("t", "table", ("a", "b"), {"train": _part(), "valid": _part(4), "test": _part(4)}, {"noise": "none"})
    assert json.loads(json.dumps(dict(made.facts)))["train"] == 40


@pytest.mark.parametrize("groups", [1, 2])
def test_fewer_groups_than_parts_are_refused_by_that_reason(groups: int) -> None:
    rows = _part(60, group=np.arange(60) % groups)
    with pytest.raises(BadInput, match=rf"60 rows with a label come in {groups} groups?, which 3 parts cannot share"):
        divide({"train": rows}, PLAN, seed=0)
