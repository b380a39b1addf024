"""The training loop: exactly its steps, its schedule by hand, its randomness, what it keeps, how it fails."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from conftest import train_set
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from harness.conformance.easy_sets import easy
from harness.data import View, one_hot
from harness.errors import BadInput, TrialFailed
from harness.learners import Fit, Run
from harness.learners.batches import chunks, modality, moments, reader, shuffle_batches
from harness.learners.losses import soft_cross_entropy
from harness.learners.nets import kim_cnn, lenet, linear, mlp, resnet, standardise
from harness.learners.text import encoder, vocabulary, words
from harness.learners.torch import Builder, Network, computes_in_bf16, fit_network, rate
from harness.streams import stream

CPU = torch.device("cpu")
MLP: Builder = partial(mlp, width=16, depth=1, dropout=0.2)


class Counting(nn.Linear):
    """A linear layer that counts the batches that it sees in training."""

    seen = 0

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        self.seen += self.training
        return super().forward(input)


def counting(rows: Any, k: int) -> Network:
    return Network(Counting(rows.shape[1], k), lambda batch: batch)


def weights(fit: Fit) -> dict[str, torch.Tensor]:
    """The weights of the trained network behind `predict`."""
    return fit.predict.args[0].network.module.state_dict()  # type: ignore[attr-defined]


@pytest.mark.parametrize("steps", [1, 7, 20])
def test_takes_exactly_the_steps_of_the_run_and_counts_the_examples(run: Run, steps: int) -> None:
    train, valid = easy("table")
    fit = fit_network(train, valid, replace(run, steps=steps), network=counting)
    assert fit.predict.args[0].network.module.seen == steps  # type: ignore[attr-defined]
    assert fit.examples == steps * 16
    assert fit.parameters == 5 * 3 + 3
    assert fit.history[-1]["step"] == steps


def test_a_set_smaller_than_a_batch_is_the_batch(run: Run) -> None:
    train, valid = easy("table")
    assert fit_network(train.rows(np.arange(5)), valid, run, network=MLP).examples == 20 * 5


def test_the_curve_has_a_row_an_epoch_and_at_most_about_fifty(run: Run) -> None:
    train, valid = easy("table")
    steps = [row["step"] for row in fit_network(train, valid, run, network=MLP).history]
    assert steps == [3, 6, 9, 12, 15, 18, 20]
    assert len(fit_network(train.rows(np.arange(16)), valid, replace(run, steps=130), network=MLP).history) <= 51


@given(st.integers(1, 400), st.floats(0, 1))
def test_the_rate_rises_to_its_peak_and_falls_towards_0(steps: int, warmup: float) -> None:
    shares = [rate(step, steps, warmup) for step in range(steps)]
    assert all(0 < share <= 1 for share in shares)
    assert max(shares) == 1
    peak = shares.index(1)
    assert shares[: peak + 1] == sorted(shares[: peak + 1])
    assert shares[peak:] == sorted(shares[peak:], reverse=True)


def test_the_rate_by_hand() -> None:
    assert [rate(step, 10, 0.2) for step in (0, 1, 2)] == [0.5, 1, 1]
    assert rate(6, 10, 0.2) == pytest.approx(0.5)
    assert rate(9, 10, 0.2) == pytest.approx(0.5 * (1 + math.cos(math.pi * 7 / 8)))
    assert rate(0, 10, 0.0) == 1


@given(st.integers(1, 40), st.integers(1, 50))
def test_every_row_comes_equally_often_and_every_batch_is_full(n: int, size: int) -> None:
    batches = list(islice(shuffle_batches(n, size, stream(0, "order")), 2 * n))
    assert {len(batch) for batch in batches} == {min(n, size)}
    counts = np.bincount(np.concatenate(batches), minlength=n)
    assert counts.max() - counts.min() <= 1


def test_soft_cross_entropy_by_hand() -> None:
    logits, y = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]), torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    loss = soft_cross_entropy(logits, y, torch.tensor([1.0, 3.0]), 0.0)
    assert float(loss) == pytest.approx((math.log(2) + 3 * -math.log(0.75)) / 2)


def test_one_step_of_sgd_by_hand(run: Run) -> None:
    """Weights (1, 3) become (0.5, 1.5); the gradient of a bias at equal logits is the mean of w * (1/2 - y)."""

    def zeros(rows: Any, k: int) -> Network:
        layer = nn.Linear(1, k)
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
        return Network(layer, lambda batch: batch)

    rows = train_set(np.zeros((2, 1), dtype=np.float32), [0, 1], 2)
    rows = replace(rows, w=np.array([1, 3], dtype=np.float32), y=np.array([[1, 0], [0.25, 0.75]], dtype=np.float32))
    protocol = replace(run.protocol, optimiser="sgd", lr=1.0, weight_decay=0.0, warmup=0.0)
    _, valid = easy("table")
    nobody = replace(valid, ids=valid.ids[:0], x=valid.x[:0], y=valid.y[:0])
    fit = fit_network(rows, nobody, replace(run, steps=1, protocol=protocol), network=zeros)
    gradient = (0.5 * (0.5 - 1) + 1.5 * (0.5 - 0.25)) / 2
    step = 1.9 * gradient  # Nesterov's first step is lr * (1 + momentum) * gradient.
    np.testing.assert_allclose(weights(fit)["bias"].numpy(), [-step, step], rtol=1e-6)


def test_pretrained_networks_get_their_own_rate(run: Run) -> None:
    train, valid = easy("table")
    frozen = replace(run, protocol=replace(run.protocol, lr_pretrained=0.0, optimiser="sgd"))

    def pretrained(rows: Any, k: int) -> Network:
        return replace(counting(rows, k), pretrained=True)

    first = weights(fit_network(train, valid, frozen, network=pretrained))
    more = weights(fit_network(train, valid, replace(frozen, steps=1), network=pretrained))
    moved = weights(fit_network(train, valid, frozen, network=counting))
    assert torch.equal(first["weight"], more["weight"])
    assert not torch.equal(first["weight"], moved["weight"])


@pytest.mark.parametrize("what", ["salt", "seed"])
def test_salt_and_seed_change_the_result(run: Run, what: str) -> None:
    train, valid = easy("image")
    other = replace(run, salt="A/A") if what == "salt" else replace(run, seed=1)
    fits = [fit_network(train, valid, each, network=lenet) for each in (run, other)]
    assert not np.array_equal(fits[0].predict(valid.x), fits[1].predict(valid.x))


def test_augmentation_draws_from_its_own_stream_and_shifts_no_other(run: Run) -> None:
    """An augmentation that draws but changes nothing gives the very same network, dropout and order included."""
    train, valid = easy("table")

    def draws(x: torch.Tensor, y: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        rng.random(100)
        return x, y

    fits = [fit_network(replace(train, augment=a), valid, run, network=MLP) for a in (None, draws)]
    assert np.array_equal(fits[0].predict(valid.x), fits[1].predict(valid.x))


def test_augmented_labels_are_what_is_trained_on(run: Run) -> None:
    train, valid = easy("table")
    rotated = replace(train, augment=lambda x, y, rng: (x, y.roll(1, 1)))
    predicted = fit_network(rotated, valid, replace(run, steps=60), network=MLP).predict(valid.x).argmax(1)
    assert (predicted == (valid.y + 1) % 3).mean() > 0.8


def test_weights_and_soft_labels_matter(run: Run) -> None:
    train, valid = easy("table")
    wrong = np.concatenate([train.classes, (train.classes + 1) % 3])
    both = train_set(np.concatenate([train.x, train.x]), wrong.tolist(), 3)
    trusted = replace(both, w=np.repeat([1.0, 0.05], len(train)).astype(np.float32))
    doubted = replace(both, y=0.05 * both.y + 0.95 * one_hot(np.tile(train.classes, 2), 3))
    run = replace(run, steps=60)
    for rows in (trusted, doubted):
        assert (fit_network(rows, valid, run, network=MLP).predict(valid.x).argmax(1) == valid.y).mean() > 0.8


def jumping(rows: Any, k: int) -> Network:
    """A network that is right until it has been trained for ten batches, and wrong from then on."""
    return Network(Jumping(k), lambda batch: batch)


class Jumping(nn.Module):
    def __init__(self, k: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.k = k
        self.register_buffer("batches", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.batches += self.training
        return self.scale * (x[:, : self.k] if self.batches < 10 else -x[:, : self.k])


def test_best_keeps_the_best_weights_the_earliest_at_a_tie_and_pays_for_them(run: Run) -> None:
    train, valid = easy("table")
    fits: dict[str, Fit] = {}
    for selection in ("last", "best"):
        chosen = replace(run, protocol=replace(run.protocol, selection=selection))
        fits[selection] = fit_network(train, valid, chosen, network=jumping)
    right = {name: (fit.predict(valid.x).argmax(1) == valid.y).mean() for name, fit in fits.items()}
    assert right["best"] > 0.8 > 0.2 > right["last"]
    assert weights(fits["best"])["batches"] == 3, "three looks tie at steps 3, 6 and 9: the first one is kept"
    assert (fits["last"].valid_labels, fits["best"].valid_labels) == (0, len(valid))
    assert fits["last"].history == fits["best"].history


def test_a_loss_that_is_no_number_fails_the_trial_with_step_and_rate(run: Run) -> None:
    train, valid = easy("table")

    def breaks(calls: list[int]) -> Callable[..., Any]:
        def augment(x: torch.Tensor, y: torch.Tensor, rng: np.random.Generator) -> Any:
            calls.append(1)
            return (x * math.nan if len(calls) == 5 else x), y

        return augment

    with pytest.raises(TrialFailed, match=r"^diverged: the loss became nan at step 5 of 20 \(lr 0\.01\)$"):
        fit_network(replace(train, augment=breaks([])), valid, run, network=MLP)
    hot = replace(run, protocol=replace(run.protocol, optimiser="sgd", lr=1e30))
    with pytest.raises(TrialFailed, match=r"diverged: the loss became (nan|inf) at step \d+ of 20 \(lr 1e\+30\)"):
        fit_network(train, valid, hot, network=MLP)


def test_no_labelled_row_fails_the_trial(run: Run) -> None:
    train, valid = easy("table")
    with pytest.raises(TrialFailed, match="no labelled row"):
        fit_network(replace(train, w=np.zeros_like(train.w)), valid, run, network=MLP)


@pytest.mark.parametrize("resident", [0, 2**31])
@pytest.mark.parametrize("kind", ["image", "table"])
def test_rows_that_do_not_fit_are_read_in_batches_with_the_same_result(
    run: Run, monkeypatch: pytest.MonkeyPatch, resident: int, kind: str, tmp_path: Any
) -> None:
    train, valid = easy(kind)
    expected = fit_network(train, valid, run, network=MLP).predict(valid.x)
    np.save(tmp_path / "x.npy", train.x)
    monkeypatch.setattr("harness.learners.batches.RESIDENT", resident)
    mapped = View(np.load(tmp_path / "x.npy", mmap_mode="r"), np.arange(len(train)))
    assert np.array_equal(fit_network(replace(train, x=mapped), valid, run, network=MLP).predict(valid.x), expected)


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (15, 16), (28, 28), (32, 32), (33, 47)])
@pytest.mark.parametrize("channels", [1, 3])
def test_convolutional_networks_take_any_size_from_8(size: tuple[int, int], channels: int) -> None:
    rows = np.zeros((4, *size, channels), dtype=np.uint8)
    for build in (lenet, partial(resnet, depth=8, width=16)):
        network = build(rows, 5)
        assert network.module(network.encode(reader(rows, CPU)(np.arange(4)))).shape == (4, 5)


def test_network_sizes_of_the_papers() -> None:
    grey, colour = np.zeros((1, 28, 28, 1), dtype=np.uint8), np.zeros((1, 32, 32, 3), dtype=np.uint8)

    def size(network: Network) -> int:
        return sum(p.numel() for p in network.module.parameters())

    assert size(lenet(grey, 10)) == 61_706
    assert size(resnet(colour, 10, depth=20, width=16)) == 269_722, "0.27 million in He et al., table 6"
    assert size(linear(np.zeros((2, 4), dtype=np.float32), 3)) == 15


@pytest.mark.parametrize("depth", [2, 9, 18])
def test_a_residual_network_of_another_depth_is_refused(depth: int) -> None:
    with pytest.raises(BadInput, match=r"6n \+ 2"):
        resnet(np.zeros((1, 8, 8, 1), dtype=np.uint8), 2, depth=depth, width=16)


def test_rows_that_a_network_cannot_take_are_refused() -> None:
    with pytest.raises(BadInput, match="8 pixels a side"):
        lenet(np.zeros((1, 7, 9, 1), dtype=np.uint8), 2)
    with pytest.raises(BadInput, match="8 pixels a side"):
        lenet(np.zeros((1, 64), dtype=np.float32), 2)
    with pytest.raises(BadInput, match=r"\(5, 4, 3\)"):
        modality(np.zeros((5, 4, 3)))


def test_images_become_floats_in_0_to_1_channels_first() -> None:
    x = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    batch = reader(x, CPU)(np.array([1]))
    np.testing.assert_allclose(batch.numpy(), x[[1]].transpose(0, 3, 1, 2) / np.float32(255), rtol=1e-6)
    assert batch.is_contiguous(memory_format=torch.channels_last)


def test_standardised_rows_have_mean_0_and_deviation_1_and_constant_columns_are_safe() -> None:
    table = easy("table")[0].x
    scaled = standardise(table)(torch.from_numpy(np.array(table))).numpy()
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(0), [1, 1, 1, 1, 0], atol=1e-5)
    images = easy("image")[0].x
    pixels = standardise(images)(reader(images, CPU)(np.arange(len(images))))
    assert float(pixels.mean()) == pytest.approx(0, abs=1e-5)
    assert float(pixels.std()) == pytest.approx(1, abs=1e-3)


def test_moments_of_large_means_and_of_many_parts() -> None:
    column = np.array([1e6, 1e6 + 1, 1e6 + 2] * 2000, dtype=np.float32)[:, None]
    mean, std = moments(column)
    assert mean[0] == pytest.approx(1e6 + 1, rel=1e-12)
    assert std[0] == pytest.approx(math.sqrt(2 / 3), rel=1e-9)


def test_words_and_vocabulary_by_hand() -> None:
    assert words("It's Élan, no?") == ["it", "'", "s", "élan", ",", "no", "?"]
    index = vocabulary(["b a", "a c b"], max_words=2, min_count=1)
    assert index == {"a": 2, "b": 3}, "the most frequent first, in alphabetical order at a tie"
    assert vocabulary(["b a", "a"], max_words=9, min_count=2) == {"a": 2}
    encode = encoder(index, max_length=3, min_length=2)
    assert encode(["a x b a", ""]).tolist() == [[2, 1, 3], [0, 0, 0]]
    assert encode([""]).tolist() == [[0, 0]]


def test_a_text_is_predicted_alike_however_far_its_batch_is_padded() -> None:
    texts = np.array(["a b", "a b c d e f g h i j", ""])
    network = kim_cnn(
        texts, 2, dim=8, widths=[3, 4, 5], filters=4, dropout=0.0, max_words=99, min_count=1, max_length=99
    )
    alone = torch.cat([network.module(network.encode([text])) for text in texts.tolist()])
    together = network.module(network.encode(texts.tolist()))
    torch.testing.assert_close(alone, together)


def test_bfloat16_is_used_where_asked_and_learns(run: Run) -> None:
    train, valid = easy("image")
    protocol = replace(run.protocol, precision="bf16")
    fit = fit_network(train, valid, replace(run, steps=60, protocol=protocol), network=lenet)
    probabilities = fit.predict(valid.x)
    assert probabilities.dtype == np.float32
    assert (probabilities.argmax(1) == valid.y).mean() > 0.8
    plain = fit_network(train, valid, replace(run, steps=60), network=lenet).predict(valid.x)
    assert not np.array_equal(plain, probabilities)


def test_auto_means_bfloat16_only_where_it_was_measured_to_help() -> None:
    small, large = np.zeros((1, 8, 8, 1), dtype=np.uint8), np.zeros((1, 32, 32, 3), dtype=np.uint8)
    build = partial(resnet, depth=8, width=16)
    assert not computes_in_bf16(build(small, 2), CPU, "auto")
    assert not computes_in_bf16(build(large, 2), CPU, "fp32")
    assert computes_in_bf16(build(small, 2), CPU, "bf16")
    assert build(large, 2).bf16
    assert not build(small, 2).bf16


def test_chunks_cover_all_rows_once() -> None:
    assert np.concatenate(list(chunks(10, 3))).tolist() == list(range(10))
    assert list(chunks(0, 3)) == []
