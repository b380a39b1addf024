"""The loop in JAX's world: it agrees with the loop in torch's, repeats itself, and leaves the process as it was."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.conformance.easy_sets import easy
from harness.data import EvalSet, Source, TrainSet
from harness.errors import BadInput, TrialFailed
from harness.learners import Run
from harness.learners.batches import BlendedBatch
from harness.learners.nets import mlp, standardise
from harness.learners.torch import Network, fit_network

pytest.importorskip("optax", reason="JAX's world is not installed: pip install 'gains-harness[jax]'")

from harness.learners.flax import FlaxNetwork, _standardised, fit_flax, flax_cnn, flax_mlp

MLP = partial(flax_mlp, width=16, depth=1, dropout=0.2)


def zeros_in_torch(rows: Any, k: int) -> Network:
    layer = nn.Linear(int(np.prod(rows.shape[1:])), k)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return Network(nn.Sequential(standardise(rows), nn.Flatten(), layer))


def zeros_in_flax(rows: Any, k: int) -> FlaxNetwork:
    from flax import linen

    class Zeros(linen.Module):
        @linen.compact
        def __call__(self, x: Any, train: bool) -> Any:
            return linen.Dense(k, kernel_init=linen.initializers.zeros)(x.reshape(len(x), -1))

    return _standardised(Zeros(), rows)


def hard(train: TrainSet) -> TrainSet:
    """Soft labels and unequal weights."""
    w = np.where(np.arange(len(train)) % 3, 0.5, 2).astype(np.float32)
    return replace(train, y=0.8 * train.y + 0.2 * np.roll(train.y, 1, axis=1), w=w)


def shifted(x: Any, y: torch.Tensor, rng: np.random.Generator) -> Any:
    return x + float(rng.normal(0, 0.1)), y


def half(x: Any, y: torch.Tensor, rng: np.random.Generator) -> Any:
    partner = torch.from_numpy(rng.permutation(len(y)))
    return BlendedBatch(x, partner, torch.full((len(y),), 0.25)), 0.25 * y + 0.75 * y[partner]


@pytest.mark.parametrize(
    ("modality", "optimiser", "augment"),
    [("table", "adamw", shifted), ("table", "sgd", half), ("image", "adamw", half), ("image", "sgd", None)],
)
def test_it_is_the_loop_in_torch_step_for_step(run: Run, modality: str, optimiser: str, augment: Any) -> None:
    """From the same weights, zeros: the same rates, decay, order, weights, soft labels, augmented and mixed batches."""
    train, valid = easy(modality)
    protocol = replace(run.protocol, optimiser=optimiser, weight_decay=0.1, lr=0.05)
    run, train = replace(run, protocol=protocol), replace(hard(train), augment=augment)
    one, other = (
        fit_network(train, valid, run, network=zeros_in_torch),
        fit_flax(train, valid, run, network=zeros_in_flax),
    )
    np.testing.assert_allclose(other.predict(valid.x), one.predict(valid.x), atol=2e-5)
    for first, second in zip(one.history, other.history, strict=True):
        assert first["step"] == second["step"]
        assert first["loss"] == pytest.approx(second["loss"], abs=1e-5)
        assert first["valid"] == second["valid"]
    assert (one.examples, one.parameters) == (other.examples, other.parameters)


@pytest.mark.slow
def test_its_mlp_is_as_good_as_the_one_in_torch(run: Run, source: Any) -> None:
    """Accuracy on breast cancer over four seeds: as far apart as two runs of one of them are."""
    made: Source = source("table")
    builders = {"torch": (fit_network, mlp), "flax": (fit_flax, flax_mlp)}
    found: dict[str, list[float]] = {name: [] for name in builders}
    for seed in range(4):
        task = made.split(seed)
        for name, (fit, builder) in builders.items():
            own = replace(run, seed=seed, steps=100, classes=task.classes)
            fitted = fit(task.train, task.valid, own, network=partial(builder, width=32, depth=1, dropout=0.1))
            found[name].append(float((fitted.predict(task.test.x).argmax(1) == task.test.y).mean()))
    means = {name: np.mean(scores) for name, scores in found.items()}
    assert min(means.values()) > 0.93
    assert abs(means["torch"] - means["flax"]) < 0.02, found


def test_the_best_weights_are_kept_and_their_labels_counted(run: Run) -> None:
    train, valid = easy("table")
    best = replace(run, protocol=replace(run.protocol, selection="best", lr=0.3))
    fit = fit_flax(train, valid, best, network=MLP)
    accuracy = (fit.predict(valid.x).argmax(1) == valid.y).mean()
    assert accuracy == pytest.approx(max(row["valid"] for row in fit.history))
    assert fit.valid_labels == len(valid)


def test_the_environment_stays_as_it_was(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPROC", "7")
    before = dict(os.environ)
    train, valid = easy("table")
    fit_flax(train, valid, run, network=MLP).predict(valid.x)
    assert dict(os.environ) == before


def test_a_row_is_predicted_alike_alone_and_among_others(run: Run) -> None:
    train, valid = easy("table")
    many = EvalSet(np.arange(300), np.resize(valid.x, (300, 5)), np.resize(valid.y, 300))
    fit = fit_flax(train, valid, run, network=MLP)
    np.testing.assert_allclose(fit.predict(many.x)[-1:], fit.predict(many.x[-1:]), atol=1e-6)


def test_a_diverging_loss_fails_the_trial_with_the_step(run: Run) -> None:
    train, valid = easy("table")
    wild = replace(run, protocol=replace(run.protocol, lr=1e30, optimiser="sgd"))
    with pytest.raises(TrialFailed, match=r"diverged: the loss became (nan|inf) at step \d+ of 20 \(lr 1e\+30\)"):
        fit_flax(train, valid, wild, network=MLP)


def test_no_labelled_row_fails_the_trial(run: Run) -> None:
    train, valid = easy("table")
    with pytest.raises(TrialFailed, match="no labelled row"):
        fit_flax(replace(train, w=np.zeros_like(train.w)), valid, run, network=MLP)


def test_an_image_too_small_for_the_stages_is_told() -> None:
    with pytest.raises(BadInput, match="4 stages halve an image to nothing below 16 pixels a side"):
        flax_cnn(easy("image")[0].x, 3, width=4, stages=4, dropout=0.0)
