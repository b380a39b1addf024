"""Augmentations by hand: what each one does to a batch that can be read at a glance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from conftest import train_set
from hypothesis import given
from hypothesis import strategies as st

from harness.conformance.small_sets import tools_with
from harness.data import Augment, TrainSet
from harness.errors import BadInput
from harness.strategies.augment import cutout, flip, mixup, shift, swap, word_dropout
from harness.streams import stream


def batch_function(strategy: Any, **parameters: float) -> Augment:
    rows: TrainSet = train_set(np.zeros((2, 1), dtype=np.float32), [0, 1], 2)
    made = strategy(rows, tools_with(stream(0, "augment")), **parameters).augment
    assert made is not None
    return made


def labels(b: int) -> torch.Tensor:
    return torch.eye(2)[torch.arange(b) % 2]


def test_a_shift_moves_each_image_whole_and_repeats_its_border() -> None:
    """Each pixel of a 4 x 4 image shows its own row and column, so a crop tells where it was cut."""
    row, column = np.meshgrid(np.arange(4.0), np.arange(4.0), indexing="ij")
    x = torch.tensor(np.stack([row, column]), dtype=torch.float32).expand(64, 2, 4, 4) / 4
    new, _ = batch_function(shift, padding=0.25)(x, labels(64), stream(0, "a"))
    nine = {
        (dy, dx): torch.tensor(np.stack([np.clip(row + dy, 0, 3), np.clip(column + dx, 0, 3)]) / 4)
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
    }
    moves = [[move for move, crop in nine.items() if torch.equal(image.double(), crop)] for image in new]
    assert [len(found) for found in moves] == [1] * 64
    assert {found[0] for found in moves} == set(nine)


@pytest.mark.parametrize(("padding", "side", "reach"), [(0.125, 32, 4), (0.125, 8, 1), (0.01, 8, 1), (0.0, 8, 0)])
def test_padding_is_a_share_of_the_side(padding: float, side: int, reach: int) -> None:
    x = torch.arange(float(side)).expand(200, 1, 1, side)
    new, _ = batch_function(shift, padding=padding)(x, labels(200), stream(0, "a"))
    assert set((new[:, 0, 0, side // 2] - side // 2).int().tolist()) == set(range(-reach, reach + 1))


def test_a_flip_mirrors_about_p_of_the_images() -> None:
    x = torch.arange(12.0).view(1, 1, 3, 4).expand(400, 1, 3, 4)
    new, _ = batch_function(flip, p=0.25)(x, labels(400), stream(0, "a"))
    mirrored = (new == x.flip(3)).flatten(1).all(1)
    assert (mirrored | (new == x).flatten(1).all(1)).all()
    assert 0.18 < mirrored.float().mean() < 0.32


def test_a_cutout_hides_one_square_behind_the_mean_colour() -> None:
    x = torch.zeros(100, 2, 8, 8)
    x[:, 0, ::2], x[:, 1] = 1.0, 0.25
    x[:, 1, :, ::2] = 0.75
    new, _ = batch_function(cutout, size=0.5)(x, labels(100), stream(0, "a"))
    hidden = (new != x).any(1)
    assert torch.allclose(new[:, 0][hidden], torch.tensor(0.5))
    assert torch.allclose(new[:, 1][hidden], torch.tensor(0.5))
    tall, wide = hidden.any(2).sum(1), hidden.any(1).sum(1)
    assert torch.equal(hidden.flatten(1).sum(1), tall * wide)
    assert (tall.max(), wide.max()) == (4, 4)
    assert min(tall.min(), wide.min()) == 2


def test_mixup_blends_rows_and_labels_with_the_same_share() -> None:
    """Row i is (i, 10 i): what is left of its own share can be read from the row and must stand in the label."""
    x = torch.arange(8.0)[:, None] * torch.tensor([1.0, 10.0])
    y = torch.eye(8)
    new, mixed = batch_function(mixup, alpha=1.0)(x, y, stream(0, "a"))
    assert torch.allclose(new, mixed @ x, atol=1e-5)
    assert ((mixed > 0).sum(1) <= 2).all()
    assert len(set(mixed.max(1).values.tolist())) > 4


def test_mixup_of_soft_labels_is_a_distribution_between_them() -> None:
    y = torch.tensor([[0.7, 0.3], [0.2, 0.8]]).repeat(8, 1)
    _, mixed = batch_function(mixup, alpha=0.4)(torch.rand(16, 1, 4, 4), y, stream(0, "a"))
    assert torch.allclose(mixed.sum(1), torch.ones(16))
    assert mixed[:, 0].min() >= 0.2
    assert mixed[:, 0].max() <= 0.7


def test_mixup_keeps_the_precision_of_its_batch() -> None:
    x, y = batch_function(mixup, alpha=0.2)(torch.rand(4, 3).bfloat16(), labels(4), stream(0, "a"))
    assert (x.dtype, y.dtype) == (torch.bfloat16, torch.float32)


TEXTS = st.lists(st.text(alphabet="ab \n", max_size=20), min_size=1, max_size=5)


@given(TEXTS, st.floats(0, 1), st.integers(0, 99))
def test_word_dropout_keeps_an_ordered_part_with_at_least_one_word(texts: list[str], p: float, seed: int) -> None:
    new, _ = batch_function(word_dropout, p=p)(texts, labels(len(texts)), stream(seed, "a"))
    for text, old in zip(new, texts, strict=True):
        left = iter(old.split())
        assert all(word in left for word in text.split())
        assert bool(text.split()) == bool(old.split())


@given(TEXTS, st.floats(0, 1), st.integers(0, 99))
def test_a_swap_keeps_the_same_words(texts: list[str], alpha: float, seed: int) -> None:
    new, _ = batch_function(swap, alpha=alpha)(texts, labels(len(texts)), stream(seed, "a"))
    assert [sorted(text.split()) for text in new] == [sorted(text.split()) for text in texts]


def test_word_dropout_drops_about_p_of_the_words_and_a_swap_moves_two() -> None:
    text = " ".join(f"w{i}" for i in range(1000))
    thin, _ = batch_function(word_dropout, p=0.3)([text, "one", ""], labels(3), stream(0, "a"))
    assert 650 < len(thin[0].split()) < 750
    assert batch_function(word_dropout, p=1.0)(["a b c", "", "x"], labels(3), stream(0, "a"))[0][1:] == ["", "x"]
    swapped, _ = batch_function(swap, alpha=0.1)(["a b c d e", "one", ""], labels(3), stream(0, "a"))
    assert sum(new != old for new, old in zip(swapped[0].split(), ["a", "b", "c", "d", "e"], strict=True)) == 2
    assert swapped[1:] == ["one", ""]


@pytest.mark.parametrize(
    ("strategy", "parameters"),
    [(shift, {"padding": -0.1}), (flip, {"p": 1.5}), (cutout, {"size": 2.0}), (mixup, {"alpha": 0.0}),
     (word_dropout, {"p": -1.0}), (swap, {"alpha": 1.1})],
)  # fmt: skip
def test_a_parameter_out_of_range_is_told(strategy: Any, parameters: dict[str, float]) -> None:
    with pytest.raises(BadInput, match=f"{next(iter(parameters))}=.* is out of range"):
        batch_function(strategy, **parameters)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize(
    ("strategy", "parameters"),
    [(shift, {"padding": 0.1}), (flip, {"p": 0.5}), (cutout, {"size": 0.5}), (mixup, {"alpha": 0.5})],
)
def test_a_batch_is_augmented_alike_on_any_device(strategy: Any, parameters: dict[str, float]) -> None:
    augment, x, y = batch_function(strategy, **parameters), torch.rand(16, 3, 8, 8), labels(16)
    here, there = augment(x, y, stream(0, "a")), augment(x.cuda(), y.cuda(), stream(0, "a"))
    assert torch.allclose(here[0], there[0].cpu(), atol=1e-6)
    assert torch.allclose(here[1], there[1].cpu(), atol=1e-6)
