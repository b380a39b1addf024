"""Each finder by hand, the Shapley values against their definition, and what all finders promise with every handler."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations
from math import comb, log
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import train_set
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.conformance.small_sets import tied_tools, tools_of, tools_with, weak_set
from harness.conformance.strategies import check_pure, check_reproducible, check_sound, check_ties
from harness.data import EvalSet, TrainSet, take
from harness.errors import BadInput
from harness.learners import Run
from harness.run.options import build
from harness.storage.places import conf_dir
from harness.strategies import Tools
from harness.strategies.clean.confident_learning import confident_learning, scored
from harness.strategies.clean.finders import area_under_margin, forgetting, neighbours, shapley, small_loss, uncertainty
from harness.streams import stream

OPTIONS = [
    path.stem
    for path in sorted((conf_dir() / "clean").glob("*.yaml"))
    if yaml.safe_load(path.read_text())["_target_"] == "harness.strategies.clean.suspects"
]
HANDLES = {"drop": None, "relabel": None, "soften": 0.5, "reweight": 0.5}


def line(places: Sequence[float], classes: Sequence[int], k: int = 2) -> TrainSet:
    """Rows on a line."""
    return train_set(np.array(places, dtype=np.float32)[:, None], list(classes), k)


def watched(*looks: Sequence[float]) -> Tools:
    """Tools whose probe gives class 0 those probabilities, a list a look."""
    sure = np.array(looks)
    probs = np.stack([sure, 1 - sure], axis=2).astype(np.float32)
    return tools_with(stream(0, "finders"), dynamics=lambda _: probs)


def told(*sure: float) -> Tools:
    """Tools whose probe gives class 0 those probabilities."""
    probs = np.column_stack([sure, 1 - np.array(sure)]).astype(np.float32)
    return tools_with(stream(0, "finders"), pred_probs=lambda _: probs)


SIX = line(range(6), [0, 0, 0, 1, 1, -1])
"""Six rows, the last without a label."""
COURSE = (
    (0.5, 0.2, 0.6, 0.4, 0.9, 0.5),
    (0.8, 0.4, 0.3, 0.1, 0.8, 0.5),
    (0.9, 0.7, 0.6, 0.2, 0.7, 0.5),
    (0.9, 0.9, 0.2, 0.5, 0.6, 0.0),
)
"""Class 0's probability: r0 is learnt, r1 late, r2 twice forgotten, r3 once (a tie is not right), r4 never learnt."""


def test_the_area_under_the_margin_is_the_mean_difference_of_logits() -> None:
    found = area_under_margin(SIX, watched(*COURSE)).quality
    odds = [np.mean([log(p / (1 - p)) for p in course]) for course in list(zip(*COURSE, strict=True))[:5]]
    assert found[:5] == pytest.approx([*odds[:3], -odds[3], -odds[4]], abs=1e-5)
    assert found[5] == np.inf
    assert found.argmin() == 4


def test_the_margin_is_to_the_largest_other_class() -> None:
    """0.2 against 0.5 and 0.3; a probability of nothing at all stays finite."""
    train = train_set(np.zeros((2, 1), dtype=np.float32), [0, 2], 3)
    probs = np.array([[[0.2, 0.5, 0.3], [1, 0, 0]]], dtype=np.float32)
    found = area_under_margin(train, tools_with(stream(0, "finders"), dynamics=lambda _: probs)).quality
    assert found[0] == pytest.approx(log(0.2 / 0.5), abs=1e-6)
    assert -100 < found[1] < -80


@pytest.mark.parametrize(("until", "looks"), [(1.0, 4), (0.5, 2), (0.1, 1)])
def test_the_loss_is_the_mean_over_the_looks_so_far(until: float, looks: int) -> None:
    found = small_loss(SIX, watched(*COURSE), until=until).quality
    by_hand = [np.mean([log(p if row < 3 else 1 - p) for p in course[:looks]])
               for row, course in enumerate(list(zip(*COURSE, strict=True))[:5])]  # fmt: skip
    assert found[:5] == pytest.approx(by_hand, abs=1e-6)
    assert found[5] == np.inf


def test_forgetting_counts_falls_and_what_was_never_learnt_is_last() -> None:
    assert forgetting(SIX, watched(*COURSE)).quality.tolist() == [0, 0, -2, -1, -4, np.inf]


def test_uncertainty_is_the_entropy_whatever_the_label() -> None:
    found = uncertainty(SIX, told(0.5, 0.9, 0.1, 1.0, 0.6, 0.5)).quality
    nine = 0.9 * log(0.9) + 0.1 * log(0.1)
    assert found == pytest.approx([-log(2), nine, nine, 0, 0.6 * log(0.6) + 0.4 * log(0.4), np.inf], abs=1e-6)


def test_the_three_label_qualities_of_cleanlab() -> None:
    """Self-confidence p, the normalised margin (p - other + 1) / 2, and entropy in units of its greatest, over p."""
    sure, tools = (0.9, 0.5, 0.2, 0.4, 0.7, 0.5), told(0.9, 0.5, 0.2, 0.4, 0.7, 0.5)
    given_label = [p if row < 3 else 1 - p for row, p in enumerate(sure[:5])]
    assert scored(SIX, tools, method="self_confidence").quality[:5] == pytest.approx(given_label, abs=1e-6)
    assert scored(SIX, tools, method="normalized_margin").quality[:5] == pytest.approx(given_label, abs=1e-6)
    weighted = scored(SIX, tools, method="confidence_weighted_entropy").quality
    assert np.argsort(weighted[:5]).tolist() == [2, 4, 1, 3, 0]
    assert all(
        scored(SIX, tools, method=name).quality[5] == np.inf for name in ("self_confidence", "normalized_margin")
    )
    with pytest.raises(BadInput, match="did you mean 'self_confidence'"):
        scored(SIX, tools, method="self_confidance")


def test_confident_learning_puts_what_it_flags_before_all_others() -> None:
    """Thresholds 0.6 and 0.55: r2 and r4 pass the other class's, and r4 is the less sure of the two."""
    found = confident_learning(SIX, told(0.9, 0.7, 0.2, 0.1, 1.0, 0.5), filter_by="prune_by_noise_rate")
    assert found.flagged is not None
    assert np.flatnonzero(found.flagged).tolist() == [2, 4]
    assert np.argsort(found.quality).tolist() == [4, 2, 1, 0, 3, 5]


def test_the_confident_joint_keeps_what_cleanlab_spares() -> None:
    """r4 alone passes a threshold that is not its own, 0.35 of class 2; its most probable class is the given one."""
    sure = [[0.9, 0.1, 0], [0.9, 0, 0.1], [0, 0.9, 0.1], [0.1, 0.9, 0], [0.6, 0, 0.4], [0.35, 0.3, 0.35], [0.35, 0.3, 0.35]]  # fmt: skip
    train, probs = line(range(7), [0, 0, 1, 1, 0, 2, 2], 3), np.array(sure, dtype=np.float32)
    tools = tools_with(stream(0, "finders"), pred_probs=lambda _: probs)
    found = {rule: confident_learning(train, tools, filter_by=rule).flagged for rule in ("confident_joint", "confident_learning")}  # fmt: skip
    assert np.flatnonzero(found["confident_joint"]).tolist() == [4]
    assert not found["confident_learning"].any()


def test_neighbours_vote_and_all_that_are_as_near_count() -> None:
    """Places 0, 1, 2 | 4, 5, 6, 7: r3 at 4 has 2, 5 and 6 within the second distance; the row without a label none."""
    train = line([0, 1, 2, 4, 5, 6, 7, 5.1], [0, 0, 1, 0, 1, 1, 1, -1])
    found = neighbours(train, tools_with(stream(0, "finders")), k=2, encoder=None).quality
    assert found == pytest.approx([1 / 2, 1 / 2, 0, 0, 1 / 2, 1, 1, np.inf])


@pytest.mark.parametrize("k", [0, 5])
@pytest.mark.parametrize("find", [neighbours, partial(shapley, reference="train")])
def test_more_neighbours_than_rows_are_refused(find: Any, k: int) -> None:
    with pytest.raises(BadInput, match=f"k={k} neighbours are asked for: with 5 labelled rows, say 1 to 4"):
        find(SIX, tools_with(stream(0, "finders")), k=k, encoder=None)


def shapley_by_definition(
    places: Sequence[float], classes: Sequence[int], at: float, label: int, k: int
) -> list[float]:
    """Every row's mean gain over all orders of the rows; a set of rows is worth the right share of its k nearest."""

    def worth(rows: tuple[int, ...]) -> float:
        nearest = sorted(rows, key=lambda row: abs(places[row] - at))[:k]
        return sum(classes[row] == label for row in nearest) / k

    n, values = len(places), []
    for row in range(n):
        others = [other for other in range(n) if other != row]
        gains = [
            (worth((*some, row)) - worth(some)) / (n * comb(n - 1, size))
            for size in range(n)
            for some in combinations(others, size)
        ]
        values.append(sum(gains))
    return values


@settings(max_examples=25, deadline=None)
@given(
    places=st.lists(st.integers(0, 60), min_size=6, max_size=6, unique=True),
    classes=st.lists(st.integers(0, 1), min_size=6, max_size=6),
    label=st.integers(0, 1),
    k=st.integers(1, 5),
)
def test_shapley_values_are_those_of_the_definition(places: list[int], classes: list[int], label: int, k: int) -> None:
    """One validation row, a little beside the middle, so that no two rows are as near."""
    valid = EvalSet(np.array(["v"]), np.array([[30.1]], dtype=np.float32), np.array([label]))
    tools = tools_with(stream(0, "finders"), valid=lambda: valid)
    found = shapley(line(places, classes), tools, k=k, reference="valid", encoder=None).quality
    assert found == pytest.approx(shapley_by_definition(places, classes, 30.1, label, k), abs=1e-9)


def test_shapley_values_of_every_row_for_all_others() -> None:
    """The mean over the rows that are left out one by one; 1.0 apart and then ever more, so that nothing is tied."""
    places, classes = [0, 1, 3, 7, 15, 31], [0, 0, 1, 1, 0, 1]
    train = line([*places, 4.4], [*classes, -1])
    found = shapley(train, tools_with(stream(0, "finders")), k=2, reference="train", encoder=None).quality
    by_hand = np.zeros(6)
    for out in range(6):
        rest = [row for row in range(6) if row != out]
        by_hand[rest] += shapley_by_definition([places[r] for r in rest], [classes[r] for r in rest], places[out], classes[out], 2)  # fmt: skip
    assert found[:6] == pytest.approx(by_hand / 6, abs=1e-9)
    assert found[6] == np.inf


def test_equally_near_rows_are_ranked_by_a_draw() -> None:
    """Equal rows with two labels: no draw favours a place, and the sum of their values is the same for every draw."""
    train = line([0, 0, 0, 0, 5, 5], [0, 1, 0, 1, 0, 1])
    found = np.stack([
        shapley(train, tools_with(stream(seed, "finders")), k=1, reference="train", encoder=None).quality
        for seed in range(40)
    ])  # fmt: skip
    assert len(np.unique(found.round(9), axis=0)) > 5
    assert found[:, :4].mean(0) == pytest.approx(found[:, :4].mean(), abs=0.05)


def option(name: str, **changed: Any) -> Any:
    node = yaml.safe_load((conf_dir() / "clean" / f"{name}.yaml").read_text())
    return build(node | changed)


@pytest.mark.parametrize("handle", HANDLES)
@pytest.mark.parametrize("name", OPTIONS)
def test_every_finder_goes_with_every_handler(name: str, handle: str, run: Run) -> None:
    """As many rows are changed as the share says, or the finder flags; and the promises of all strategies are kept."""
    train, gold = weak_set("table")
    strategy = option(name, handle=handle, strength=HANDLES[handle])
    after = strategy(train, tools_of(train, gold, run))
    check_sound(train, after)
    check_pure(strategy, train, lambda luck: tools_of(train, gold, run, seed=luck))
    check_reproducible(strategy, train, lambda luck: tools_of(train, gold, run, seed=luck))
    check_ties(strategy, train, lambda luck: tied_tools(train, gold, seed=luck))
    assert after.rows(~after.labelled).digest() == train.rows(~train.labelled).digest()
    count = changed(train, after)
    flags = build(yaml.safe_load((conf_dir() / "clean" / f"{name}.yaml").read_text())).keywords["share"] is None
    assert 5 <= count <= 15 if flags else (count == 6 or (handle in ("relabel", "soften") and count <= 6))


def changed(train: TrainSet, after: TrainSet) -> int:
    """How many rows are gone or differ."""
    left = np.isin(train.ids, after.ids)
    differs = (train.y[left] != after.y).any(1) | (train.w[left] != after.w)
    return int((~left).sum() + differs.sum())


@pytest.mark.parametrize("kind", ["grey", "table"])
@pytest.mark.parametrize("name", [name for name in OPTIONS if name not in ("random", "entropy")])
def test_every_finder_finds_planted_errors_better_than_a_draw(name: str, kind: str, run: Run) -> None:
    """10 of 60 labels are wrong: of the 6 or more rows that are dropped, a draw would find one in six."""
    train, gold = weak_set(kind)
    wrong = train.labelled & (train.classes != gold)
    gone = ~np.isin(train.ids, option(name, handle="drop")(train, tools_of(train, gold, run)).ids)
    assert (gone & wrong).sum() >= gone.sum() / 2


def test_features_of_rows_that_were_prepared_before_meet_valid_rows_prepared_alike() -> None:
    """The rows were doubled by an earlier strategy; validation rows are doubled before they are compared."""
    train = line([0, 1, 2, 10, 11, 12], [1, 1, 1, 0, 1, 0]).transformed(lambda x: 2 * x)
    valid = EvalSet(np.array(["v"]), np.array([[11.2]], dtype=np.float32), np.array([1]))
    found = shapley(train, tools_with(stream(0, "finders"), valid=lambda: valid), k=1, reference="valid", encoder=None)
    assert found.quality.argmax() == 4
    assert take(train.x, np.array([4]))[0, 0] == 22
