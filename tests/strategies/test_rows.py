"""Rows dropped or re-weighted by what they hold: repeats, leaks, outliers, classes of different sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import composed, train_set
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.conformance.small_sets import tools_with
from harness.data import EvalSet, Rows, Task, TrainSet, one_hot
from harness.errors import BadInput
from harness.run.config import plain
from harness.run.options import build
from harness.run.tools import compare_with_test
from harness.storage.places import conf_dir
from harness.strategies import Tools
from harness.strategies.clean import (
    balanced_weights,
    duplicate_keys,
    duplicates,
    forest_outliers,
    knn_outliers,
    leaked_keys,
    leaks,
    near_duplicate_images,
    near_duplicate_texts,
    near_leaked_images,
    near_leaked_texts,
    random_drop,
    under_sample,
)
from harness.strategies.clean.duplicate_rows import KEEP, keep_one
from harness.strategies.clean.fingerprints import ball, bands, close_pictures, link_groups, perceptual, shingles
from harness.streams import stream
from harness.tables import cells_table


def tools(seed: int = 0) -> Tools:
    """Tools that lend nothing but draws."""
    return tools_with(stream(seed, "rows"))


def beside(test: Rows, train: TrainSet) -> Tools:
    """Tools that know a test part."""
    valid = EvalSet(np.array([], dtype=str), train.x[:0], np.array([], dtype=np.int64))
    held = EvalSet(np.arange(len(test)), test, np.zeros(len(test), dtype=np.int64))
    gold = np.full(len(train), -1, dtype=np.int64)
    task = Task("beside", "text", tuple(map(str, range(train.k))), train, valid, held, gold)
    return tools_with(stream(0, "rows"), in_test=compare_with_test(task))


def texts(rows: Sequence[str], classes: list[int], k: int = 2) -> TrainSet:
    return train_set(np.array(rows, dtype=object), classes, k)


def picture(seed: int) -> np.ndarray:
    """A picture (32, 32, 1) of smooth shapes, unlike those of other seeds."""
    waves = stream(seed, "picture").normal(size=(5, 5, 1))
    grown = np.kron(waves, np.ones((7, 7, 1)))[:32, :32]
    return np.clip(128 + 60 * grown, 0, 255).astype(np.uint8)


# Repeats


def test_of_equal_rows_one_of_the_majority_is_kept() -> None:
    """Three a's, two of class 1: one of those two is kept. b stands alone; c repeats in one class; r6 has no label."""
    train = texts(["a", "a", "b", "a", "c", "c", "a"], [0, 1, 0, 1, 1, 1, -1])
    found = [duplicates(train, tools(seed=seed), keep="majority") for seed in range(20)]
    kinds = {tuple(after.ids.tolist()) for after in found}
    assert all({"r2", "r6"} <= set(ids) for ids in kinds)
    assert {ids[0] for ids in kinds} <= {"r1", "r2"}
    assert all(len(ids) == 4 and "r0" not in ids for ids in kinds)
    assert {len(set(ids) & {"r1", "r3"}) for ids in kinds} == {len(set(ids) & {"r4", "r5"}) for ids in kinds} == {1}
    assert len(kinds) > 1, "which one is drawn"


def test_what_becomes_of_repeats_whose_labels_differ() -> None:
    train = texts(["a", "a", "a", "b", "b"], [0, 1, 1, 0, 0])
    agreeing = duplicates(train, tools(), keep="agreeing").ids.tolist()
    undisputed = duplicates(train, tools(), keep="undisputed").ids.tolist()
    assert agreeing == ["r1", "r2", "r3", "r4"]
    assert undisputed in (["r3"], ["r4"])


def test_weights_count_and_not_rows() -> None:
    """One row of weight 1 outweighs two of weight 0.3."""
    train = texts(["a", "a", "a"], [0, 1, 1])
    train = replace(train, w=np.array([1, 0.3, 0.3], dtype=np.float32))
    assert duplicates(train, tools(), keep="majority").ids.tolist() == ["r0"]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=12), st.randoms())
def test_no_order_of_the_rows_changes_what_is_kept(rows: list[tuple[int, int]], luck: object) -> None:
    group, classes = (np.array(column) for column in zip(*rows, strict=True))
    train = train_set(np.zeros((len(rows), 1), dtype=np.float32), classes.tolist(), 3)
    order = list(range(len(rows)))
    luck.shuffle(order)  # type: ignore[attr-defined]
    for keep in KEEP:
        first = train.ids[keep_one(train, group, keep, 7)].tolist()
        turned = train.rows(np.array(order))
        assert set(turned.ids[keep_one(turned, group[order], keep, 7)].tolist()) == set(first)
        if keep == "majority":
            assert sorted(group[np.isin(train.ids, first)].tolist()) == sorted(set(group.tolist()))


def test_keys_of_numbers_are_rounded_and_of_cells_plain() -> None:
    numbers = train_set(np.array([[1.001, 5], [1.004, 6], [-0.001, 5], [0.0, 5]], dtype=np.float32), [0] * 4, 2)
    assert len(duplicate_keys(numbers, tools(), columns=None, decimals=2, keep="majority")) == 3
    assert len(duplicate_keys(numbers, tools(), columns=[0], decimals=2, keep="majority")) == 2
    cells = {"name": ["Pale  Ale", "pale ale ", "IPA"], "size": ["12", "12.0", "12"]}
    raw = train_set(cells_table({name: np.array(column) for name, column in cells.items()}), [0] * 3, 2)
    assert len(duplicate_keys(raw, tools(), columns=None, decimals=2, keep="majority")) == 2
    assert len(duplicate_keys(raw, tools(), columns=["size"], decimals=2, keep="majority")) == 1
    with pytest.raises(BadInput, match=r"clean\.columns=nam is not known.*did you mean 'name'"):
        duplicate_keys(raw, tools(), columns=["nam"], decimals=2, keep="majority")
    with pytest.raises(BadInput, match=r"clean\.keep=most is not known"):
        duplicates(raw, tools(), keep="most")


def test_pictures_with_a_few_other_pixels_are_one() -> None:
    """Noise of a few grey values changes few of the 64 bits; other pictures differ in about half of them."""
    same = picture(0).astype(int) + stream(0, "noise").integers(-6, 7, size=(32, 32, 1))
    x = np.stack([picture(0), picture(1), np.clip(same, 0, 255).astype(np.uint8), picture(2)])
    train = train_set(x, [0, 1, 0, 1], 2)
    after = near_duplicate_images(train, tools(), distance=6, keep="majority")
    assert {"r1", "r3"} < set(after.ids.tolist())
    assert len(after) == 3
    assert len(near_duplicate_images(train_set(x[[0, 1, 3]], [0, 1, 0], 2), tools(), distance=6, keep="majority")) == 3


def test_links_are_those_within_the_distance_and_balls_meet_there() -> None:
    """Against the definition, bit by bit, for pictures at many distances of each other."""
    noise = stream(1, "noise").integers(-25, 26, size=(24, 32, 32, 3))
    x = np.clip(np.stack([picture(i % 4) for i in range(24)]) + noise, 0, 255).astype(np.uint8)
    bits = perceptual(x)
    far = (bits[:, None] != bits[None]).sum(-1)
    for distance in (0, 2, 4, 9):
        near = far <= distance
        found = np.zeros_like(near)
        for first, second in close_pictures(x, distance):
            found[first, second] = True
        assert np.array_equal(found, near)
        if distance in (0, 2, 4):
            numbers = ball(x, distance)
            meet = np.array([[bool(set(one) & set(two)) for two in numbers.tolist()] for one in numbers.tolist()])
            assert np.array_equal(meet, near)
    assert len(set(far[far > 0].tolist())) > 5
    with pytest.raises(BadInput, match=r"clean\.distance=3 is not known \(choose from: 0, 2, 4"):
        ball(x, 3)


def test_texts_that_share_most_of_their_runs_are_one() -> None:
    """By hand: of 'abcdef' and 'abcdeg' the runs of 3 are 4 each, 3 of 5 in common: a similarity of 0.6."""
    assert shingles("ABC  d", 3) == {"abc", "bc ", "c d"}
    assert shingles("ab", 3) == {"ab"}
    rows = ["abcdef", "abcdeg", "ABCDEF ", "something else"]
    near = partial(near_duplicate_texts, shingle=3, keep="majority")
    assert len(near(texts(rows, [0] * 4), tools(), threshold=0.6)) == 2
    assert len(near(texts(rows, [0] * 4), tools(), threshold=0.61)) == 3
    assert len(near(texts(["", " ", "a"], [0, 0, 1]), tools(), threshold=0.8)) == 2


def test_a_chain_of_links_joins_one_group() -> None:
    links = iter([(np.array([0, 1]), np.array([1, 2])), (np.array([4]), np.array([4]))])
    group = link_groups(5, links)
    assert group[0] == group[1] == group[2]
    assert len(set(group.tolist())) == 3
    assert link_groups(2, iter([])).tolist() == [0, 1]


@pytest.mark.shared
@pytest.mark.parametrize(("name", "repeats", "leaked"), [("youtube", 146, 8), ("sms", 303, 62)])
def test_repeats_and_leaks_of_real_texts(shared: Path, source: object, name: str, repeats: int, leaked: int) -> None:
    """The counts that the data's own description gives, found in the pool as if all its rows were labelled."""
    task: Task = source("wrench", path=shared / "tasks/wrench" / name).split(0)  # type: ignore[operator]
    pool = task.train.rows(~task.train.labelled)
    pool = replace(pool, y=one_hot(task.gold[~task.train.labelled], pool.k), w=np.ones(len(pool), dtype=np.float32))
    assert len(pool) - len(duplicates(pool, tools(), keep="majority")) == repeats
    again = len(pool) - len(near_duplicate_texts(pool, tools(), shingle=5, threshold=0.8, keep="majority"))
    assert repeats < again < 1.3 * repeats
    assert np.isin(task.test.x, pool.x).sum() == leaked
    clean = leaks(pool, beside(task.test.x, pool))
    assert not np.isin(task.test.x, clean.x).any()
    assert len(near_leaked_texts(pool, beside(task.test.x, pool), shingle=5, threshold=0.8)) < len(clean)


# Leaks


def test_rows_of_the_test_part_go() -> None:
    train = texts(["a b c", "d", "a b c", "e f g h"], [0, 1, -1, 1])
    test = np.array(["a b c", "E F G  H"], dtype=object)
    assert leaks(train, beside(test, train)).ids.tolist() == ["r1", "r2", "r3"], (
        "only labelled ones, and exactly the same"
    )
    assert near_leaked_texts(train, beside(test, train), shingle=3, threshold=0.8).ids.tolist() == ["r1", "r2"]
    numbers = train_set(np.array([[1.001], [2.0]], dtype=np.float32), [0, 1], 2)
    held = np.array([[1.0], [3.0]], dtype=np.float32)
    assert leaked_keys(numbers, beside(held, numbers), columns=None, decimals=2).ids.tolist() == ["r1"]
    assert len(leaks(numbers, beside(held, numbers))) == 2


def test_pictures_of_the_test_part_go() -> None:
    train = train_set(np.stack([picture(0), picture(1)]), [0, 1], 2)
    brighter = np.clip(picture(0).astype(int) + 3, 0, 255).astype(np.uint8)[None]
    assert near_leaked_images(train, beside(brighter, train), distance=2).ids.tolist() == ["r1"]
    assert len(leaks(train, beside(brighter, train))) == 2


def test_bands_are_a_matter_of_the_text_alone() -> None:
    x = np.array(["one text", "another text", "one text"], dtype=object)
    whole, alone = bands(x, 4, 0.7), bands(x[1:2], 4, 0.7)
    assert np.array_equal(whole[1:2], alone)
    assert np.array_equal(whole[0], whole[2])
    assert not set(whole[0].tolist()) & set(whole[1].tolist())


@pytest.mark.shared
def test_leaked_numerals_are_those_that_the_data_name(shared: Path, source: object) -> None:
    """Every training picture whose `duplicate_group` stands in the test file is found; few others are."""
    import pandas as pd

    folder = shared / "tasks/roman_numerals"
    task: Task = source("roman_numerals", path=folder, test="test.parquet").split(0)  # type: ignore[operator]
    groups = pd.read_parquet(folder / "train.parquet", columns=["name", "duplicate_group"]).dropna()
    named = set(groups["name"]) & set(task.train.ids.tolist())
    for strategy, most in ((leaks, 0), (partial(near_leaked_images, distance=2), 12)):
        gone = set(task.train.ids.tolist()) - set(strategy(task.train, beside(task.test.x, task.train)).ids.tolist())
        assert named <= gone
        assert len(gone - named) <= most


# Outliers


@pytest.mark.parametrize("strategy", [partial(knn_outliers, k=3), partial(forest_outliers, n_estimators=100)])
def test_the_rows_that_lie_apart_go(strategy: object) -> None:
    """Two of 40 rows lie far from all others; 0.05 of the 40 labelled rows are two. r40 is farther, and unlabelled."""
    x = stream(0, "blob").normal(size=(41, 3)).astype(np.float32)
    x[[7, 30]] += np.array([[40, 0, 0], [0, -50, 10]], dtype=np.float32)
    x[40] = 500
    train = train_set(x, [0, 1] * 20 + [-1], 2)
    after = strategy(train, tools(), share=0.05, encoder=None)  # type: ignore[operator]
    assert set(train.ids.tolist()) - set(after.ids.tolist()) == {"r7", "r30"}
    assert len(strategy(train, tools(), share=0.0, encoder=None)) == 41  # type: ignore[operator]


def test_neighbours_cannot_be_more_than_the_rows() -> None:
    train = train_set(np.zeros((5, 1), dtype=np.float32), [0, 1, 0, 1, -1], 2)
    with pytest.raises(BadInput, match=r"clean\.k=4 neighbours cannot be had of 4 labelled rows: give 1 to 3"):
        knn_outliers(train, tools(), share=0.1, k=4, encoder=None)


def test_equally_far_rows_are_drawn_from() -> None:
    """Rows in two places, ten each: all are as far from their neighbours, and two of them go."""
    train = train_set(np.repeat(np.eye(2, dtype=np.float32), 10, axis=0), [0, 1] * 10, 2)
    gone = [
        frozenset(train.ids.tolist())
        - frozenset(knn_outliers(train, tools(seed=seed), share=0.1, k=3, encoder=None).ids.tolist())
        for seed in range(8)
    ]
    assert {len(names) for names in gone} == {2}
    assert len(set(gone)) > 5


# Classes of different sizes


@settings(max_examples=30)
@given(st.lists(st.integers(-1, 2), min_size=3, max_size=20).filter(lambda c: max(c) >= 0), st.floats(0, 1))
def test_balanced_weights_keep_their_sum(classes: list[int], power: float) -> None:
    train = train_set(np.zeros((len(classes), 1), dtype=np.float32), classes, 3)
    after = balanced_weights(train, tools(), power=power)
    assert after.w.sum() == pytest.approx(train.w.sum(), rel=1e-5)
    assert np.array_equal(after.labelled, train.labelled)
    mass = np.array([after.w[train.labelled & (train.classes == c)].sum() for c in range(3)])
    counts = np.bincount(train.classes[train.labelled], minlength=3)
    expected = np.where(counts > 0, counts ** (1 - power), 0)
    assert mass / mass.sum() == pytest.approx(expected / expected.sum(), abs=1e-5)


def test_a_soft_label_weighs_as_a_mixture() -> None:
    """Class masses 3 and 1: rows of class 0 weigh 2/3, of class 1 2; half of each, 4/3."""
    train = train_set(np.zeros((4, 1), dtype=np.float32), [0, 0, 0, 0], 2)
    y = np.array([[1, 0], [1, 0], [0.5, 0.5], [0.5, 0.5]], dtype=np.float32)
    after = balanced_weights(replace(train, y=y), tools(), power=1.0)
    assert after.w.tolist() == pytest.approx([2 / 3, 2 / 3, 4 / 3, 4 / 3])


def test_larger_classes_are_drawn_down() -> None:
    train = train_set(np.zeros((20, 1), dtype=np.float32), [0] * 12 + [1] * 3 + [2] * 4 + [-1], 3)
    counts = lambda after: np.bincount(after.classes[after.labelled], minlength=3).tolist()  # noqa: E731
    assert counts(under_sample(train, tools(), ratio=1.0)) == [3, 3, 3]
    assert counts(under_sample(train, tools(), ratio=1.5)) == [4, 3, 4]
    assert "r19" in under_sample(train, tools(), ratio=1.0).ids
    with pytest.raises(BadInput, match=r"clean\.ratio=0.5 is out of range"):
        under_sample(train, tools(), ratio=0.5)


# References


@pytest.mark.parametrize("name", sorted(path.stem for path in (conf_dir() / "clean").glob("random_*.yaml")))
def test_a_random_reference_takes_its_originals_parameters_by_reference(name: str) -> None:
    """What is inside a reference is the option that it is held against, parameter by parameter, and cannot drift."""
    node = plain(composed(f"clean={name}").clean)
    if "like" not in node:
        pytest.skip(f"{name} copies no other option")
    defaults = yaml.safe_load((conf_dir() / "clean" / f"{name}.yaml").read_text())["defaults"]
    original = plain(composed(f"clean={defaults[0]['/clean@like']}").clean)
    assert node["like"] == original
    assert node["reference_kind"] == "negative_control"
    assert set(node["fits"]) >= set(original["fits"])
    assert node.get("needs") == original.get("needs")
    assert build(node)


def test_a_references_original_can_be_set_within_it() -> None:
    node = plain(composed("clean=random_drop", "clean.like.share=0.3").clean)
    assert node["like"]["share"] == 0.3


def test_the_reference_of_repeats_drops_as_many_at_random() -> None:
    train = texts([str(i // 2) for i in range(40)], [0, 1] * 20)
    clever = duplicates(train, tools(), keep="majority")
    blind = random_drop(train, tools(), like=partial(duplicates, keep="majority"))
    assert len(clever) == len(blind) == 20
    assert len(set(blind.x.tolist())) < 20
