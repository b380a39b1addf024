"""Tables by hand: noise by column, rows added between neighbours; and mixing inside a network."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from conftest import train_set
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from harness.conformance.small_sets import tools_with
from harness.data import EvalSet, TrainSet
from harness.errors import BadInput, TrialFailed
from harness.learners import Run
from harness.learners.batches import BlendedBatch, blend
from harness.learners.growth import grow
from harness.learners.nets import kim_cnn, lenet, mlp
from harness.learners.torch import TrainedNetwork, fit_network
from harness.strategies.augment import flip, hidden_mixup, jitter, mixup, oversample, repeat
from harness.streams import stream

METHODS = ("smote", "borderline", "adasyn", "random")


def tools() -> Any:
    return tools_with(stream(0, "augment"))


def uneven(small: int = 8, large: int = 40, seed: int = 0) -> TrainSet:
    """Two classes of a table of three columns on wildly different scales, close enough to meet; two rows unlabelled."""
    rng = stream(seed, "uneven")
    classes = [0] * large + [1] * small + [-1, -1]
    x = rng.normal(size=(len(classes), 3)) + np.array(classes)[:, None] * 0.8
    rows = train_set((x * [1, 1000, 0] + [0, 5, 7]).astype(np.float32), classes, 2, np.zeros((len(classes), 2)))
    w = rows.w.copy()
    w[:10] = 0.5
    return replace(rows, w=w)


# Noise and repetition


def test_jitter_is_a_share_of_each_columns_deviation_over_the_labelled_rows() -> None:
    x = np.array([[0, 0, 7, 1], [2, 200, 7, np.nan], [1e6, 1e6, 1e6, 1e6]], dtype=np.float32)
    augment = jitter(train_set(x, [0, 1, -1], 2), tools(), sigma=0.5).augment
    rows = torch.tensor([[1.0, 1.0, 7.0, float("nan")]]).expand(4000, 4)
    new, _ = augment(rows, torch.zeros(4000, 2), stream(0, "a"))
    assert new[:, :2].std(0).tolist() == pytest.approx([0.5, 50], rel=0.05)
    assert torch.equal(new[:, 2], rows[:, 2]), "a constant column stays"
    assert new[:, 3].isnan().all()


def test_repetition_grows_the_rows_of_a_learner_that_fits_once_and_changes_nothing_else(run: Run) -> None:
    rows = uneven()
    more = grow(repeat(rows, tools()), run)
    assert len(more) == 48 * (1 + run.protocol.augment_draws)
    assert {tuple(row) for row in more.x.tolist()} == {tuple(row) for row in rows.x[:48].tolist()}
    assert more.w.sum() == pytest.approx(rows.w.sum())


# Rows added


@pytest.mark.parametrize("method", METHODS)
def test_the_smaller_class_becomes_as_large_as_the_largest(method: str) -> None:
    rows = uneven()
    after = oversample(rows, tools(), method=method, k_neighbors=5)
    added = after.rows(np.arange(len(rows), len(after)))
    assert len(added) == 32 or (method == "adasyn" and 26 <= len(added) <= 38)
    assert (added.classes == 1).all()
    assert added.ids.tolist() == [f"{method}/{number}" for number in range(len(added))]
    assert after.rows(np.arange(len(rows))).digest() == replace(rows, ids=rows.ids).digest()
    assert np.allclose(added.w, rows.w[:48].mean())
    assert (added.votes == -1).all()


@pytest.mark.parametrize("method", ["smote", "borderline", "adasyn"])
def test_new_points_lie_between_two_rows_of_their_class(method: str) -> None:
    rows = uneven()
    after = oversample(rows, tools(), method=method, k_neighbors=3)
    own = np.asarray(rows.x[rows.labelled & (rows.classes == 1)][:, :2], dtype=np.float64) / [1, 1000]
    for point in np.asarray(after.x[len(rows) :, :2], dtype=np.float64) / [1, 1000]:
        assert min(from_segment(point, a, b) for a in own for b in own) < 1e-4
    assert (after.x[:, 2] == 7).all()


def from_segment(point: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """How far a point lies from the line between two others."""
    along = b - a
    share = np.clip(np.dot(point - a, along) / max(np.dot(along, along), 1e-12), 0, 1)
    return float(np.linalg.norm(a + share * along - point))


def test_neighbours_are_counted_in_units_of_each_columns_deviation() -> None:
    """By raw distance a's nearest of its class is b, far off in the small column; standardised it is c."""
    a, b, c = [0.0, 0.0], [1.0, 0.0], [0.0, 100.0]
    other = [[1.0, 1000.0], [-1.0, -1000.0], [-1.0, 1000.0], [1.0, -1000.0]]
    x = np.array([*other, a, b, c], dtype=np.float32)
    after = oversample(train_set(x, [0, 0, 0, 0, 1, 1, 1], 2), tools(), method="smote", k_neighbors=1)
    assert len(after) == 8
    drawn = [
        oversample(train_set(x, [0, 0, 0, 0, 1, 1, 1], 2), tools_with(stream(s, "b")), method="smote", k_neighbors=1).x[
            7
        ]
        for s in range(30)
    ]
    from_a_or_c = [point for point in drawn if abs(point[0]) < 1e-3]
    assert 10 <= len(from_a_or_c) <= 28, "two in three start at a or c, and go to the other"


@pytest.mark.parametrize("method", METHODS)
def test_other_draws_give_other_rows_and_equal_ones_the_same(method: str) -> None:
    rows = uneven()
    found = [
        oversample(rows, tools_with(stream(seed, "a")), method=method, k_neighbors=5).digest() for seed in (0, 0, 1)
    ]
    assert found[0] == found[1] != found[2]


def test_random_oversampling_repeats_rows_of_the_class() -> None:
    rows = uneven()
    after = oversample(rows, tools(), method="random", k_neighbors=5)
    own = rows.x[40:48].astype(np.float64)
    gaps = np.abs(after.x[len(rows) :, None].astype(np.float64) - own[None]).max(2).min(1)
    assert gaps.max() < 1e-3


def test_classes_of_one_size_get_nothing() -> None:
    rows = uneven(small=20, large=20)
    assert oversample(rows, tools(), method="smote", k_neighbors=5) is rows


def test_a_class_smaller_than_its_neighbours_and_missing_values_are_told() -> None:
    with pytest.raises(TrialFailed, match="more than k_neighbors=5 labelled rows per class; class 1 has 4: lower"):
        oversample(uneven(small=4), tools(), method="smote", k_neighbors=5)
    assert len(oversample(uneven(small=4), tools(), method="random", k_neighbors=5)) == 82
    rows = uneven()
    x = rows.x.copy()
    x[0, 0] = np.nan
    with pytest.raises(TrialFailed, match=r"beside missing values: fill them in first \(clean=impute\)"):
        oversample(replace(rows, x=x), tools(), method="adasyn", k_neighbors=5)
    with pytest.raises(BadInput, match=r"method=smot is not known.*did you mean 'smote'"):
        oversample(rows, tools(), method="smot", k_neighbors=5)
    far = uneven()
    apart = np.where((np.arange(50) >= 40)[:, None], far.x + 1e5, far.x).astype(np.float32)
    with pytest.raises(TrialFailed, match="adasyn cannot add rows: "):
        oversample(replace(far, x=apart), tools(), method="adasyn", k_neighbors=5)


# Mixing inside a network


IMAGES = stream(0, "images").integers(0, 256, (12, 8, 8, 1)).astype(np.uint8)
WORDS = np.array([f"word{i % 5} other{i % 3} thing" for i in range(12)])
NETWORKS: dict[str, Any] = {
    "lenet": (lenet, IMAGES, torch.from_numpy(IMAGES).permute(0, 3, 1, 2) / 255),
    "mlp": (partial(mlp, width=8, depth=2, dropout=0.0), IMAGES, torch.from_numpy(IMAGES).permute(0, 3, 1, 2) / 255),
    "kim_cnn": (
        partial(kim_cnn, dim=8, widths=[2], filters=4, dropout=0.0, max_words=50, min_count=1, max_length=8),
        WORDS, WORDS.tolist(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_mixed_batch_is_mixed_before_the_last_layer(name: str) -> None:
    """By hand: a hook blends what the last linear layer reads."""
    build, rows, x = NETWORKS[name]
    network = build(rows, 3)
    model = TrainedNetwork(network, torch.device("cpu"), False)
    share = torch.linspace(0, 1, 12, dtype=torch.float64)
    partner = torch.arange(12).roll(5)
    mixed = model.logits(BlendedBatch(x, partner, share))
    last = [layer for layer in network.module.modules() if isinstance(layer, nn.Linear)][-1]
    with last.register_forward_pre_hook(lambda _, inputs: (blend(inputs[0], partner, share),)):
        by_hand = model.logits(x)
    assert torch.allclose(mixed, by_hand, atol=1e-5)
    assert not torch.allclose(mixed, model.logits(x), atol=1e-3)


def test_hidden_mixup_mixes_labels_as_it_mixes_rows_and_leaves_the_batch() -> None:
    x, y = torch.rand(8, 3), torch.eye(8)
    rows = train_set(np.zeros((2, 3), dtype=np.float32), [0, 1], 2)
    new, labels = hidden_mixup(rows, tools(), alpha=1.0).augment(x, y, stream(0, "a"))
    assert new.batch is x
    by_hand = new.share[:, None] * y + (1 - new.share[:, None]) * y[new.partner]
    assert torch.allclose(labels.double(), by_hand, atol=1e-6)


def test_hidden_mixup_draws_what_mixup_draws_and_comes_after_other_augmentations() -> None:
    x, y = torch.rand(8, 1, 4, 4), torch.eye(8)
    rows = train_set(np.zeros((2, 4, 4, 1), dtype=np.uint8), [0, 1], 2)
    _, plain = mixup(rows, tools(), alpha=0.4).augment(x, y, stream(0, "a"))
    _, hidden = hidden_mixup(rows, tools(), alpha=0.4).augment(x, y, stream(0, "a"))
    assert torch.equal(plain, hidden)
    both = hidden_mixup(flip(rows, tools(), p=1.0), tools(), alpha=0.4).augment(x, y, stream(0, "a"))[0]
    assert torch.equal(both.batch, x.flip(3))


def test_a_network_trains_on_mixed_batches(run: Run) -> None:
    rng = stream(0, "rows")
    classes = np.arange(60) % 3
    x = (4 * np.eye(3)[classes] + rng.normal(size=(60, 3))).astype(np.float32)
    rows = hidden_mixup(train_set(x, classes.tolist(), 3), tools(), alpha=0.4)
    build = partial(mlp, width=16, depth=1, dropout=0.0)
    fit = fit_network(rows, EvalSet(rows.ids, rows.x, classes), replace(run, steps=60), network=build)
    assert (fit.predict(rows.x).argmax(1) == classes).mean() > 0.9


@given(st.integers(1, 6), st.integers(0, 99))
def test_blended_rows_lie_between_the_two(b: int, seed: int) -> None:
    rng = stream(seed, "blend")
    values, partner = torch.from_numpy(rng.random((b, 2, 3))), torch.from_numpy(rng.permutation(b))
    share = torch.from_numpy(rng.random(b))
    new = blend(values, partner, share)
    assert (new >= torch.minimum(values, values[partner]) - 1e-12).all()
    assert (new <= torch.maximum(values, values[partner]) + 1e-12).all()
    assert torch.equal(blend(values, partner, torch.ones(b)), values)


@pytest.mark.parametrize("method", ["smote", "borderline", "adasyn"])
def test_categories_are_taken_whole(method: str) -> None:
    """A new row lies in one city, and noise leaves every row in its own."""
    rows = uneven()
    city = np.eye(3, dtype=np.float32)[np.arange(len(rows)) % 3]
    mixed = replace(rows, x=np.concatenate([rows.x, city], axis=1))
    grown = np.asarray(oversample(mixed, tools(), method=method, k_neighbors=3).x)[:, 3:]
    assert len(grown) > len(rows)
    assert set(np.unique(grown).tolist()) == {0.0, 1.0}
    assert (grown.sum(axis=1) == 1).all()
    shaken, _ = jitter(mixed, tools(), sigma=0.5).augment(
        torch.from_numpy(mixed.x.copy()), torch.zeros(1), stream(0, "noise")
    )
    assert np.array_equal(np.asarray(shaken)[:, 3:], city)
    assert not np.array_equal(np.asarray(shaken)[:, 0], mixed.x[:, 0])
