"""timm by name: what is said where it is absent or broken, and what our side does with a package of its two calls.

timm itself is not run here: a stand-in takes its place, which holds to the documented signatures.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from easy_sets import option

from harness.conformance.easy_sets import easy
from harness.conformance.learners import check_equal_fits
from harness.errors import BadInput
from harness.learners import Run
from harness.learners.timm import ResizedNetwork, timm_network
from harness.learners.torch import fit_network
from harness.run.fitting import missing_packages
from harness.storage.places import install_command

STAND_IN = {
    "__init__.py": (
        "from torch import nn\n"
        "def create_model(model_name, pretrained=False, num_classes=1000, in_chans=3):\n"
        "    if model_name != 'small':\n"
        "        raise RuntimeError(f'Unknown model ({model_name})')\n"
        "    conv = nn.Conv2d(in_chans, 8, 3, stride=2)\n"
        "    return nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(280, num_classes))\n"
    ),
    "data.py": (
        "def resolve_model_data_config(model):\n"
        "    return {'input_size': (3, 12, 16), 'interpolation': 'bicubic', 'mean': (0.5, 0.4, 0.3),\n"
        "            'std': (0.2, 0.2, 0.2), 'crop_pct': 0.9}\n"
    ),
}
BROKEN = {"__init__.py": "raise RuntimeError('operator torchvision::nms does not exist')\n"}


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a package called timm where Python finds it first."""
    for name in [name for name in sys.modules if name.split(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)

    def plant(files: dict[str, str]) -> None:
        (tmp_path / "timm").mkdir()
        for name, text in files.items():
            (tmp_path / "timm" / name).write_text(text)
        monkeypatch.syspath_prepend(tmp_path)

    yield plant
    for name in [name for name in sys.modules if name.split(".")[0] == "timm"]:
        del sys.modules[name]


def test_a_torchvision_of_another_torch_is_told_in_one_line(planted: Any) -> None:
    planted(BROKEN)
    with pytest.raises(BadInput) as raised:
        timm_network(easy("image")[0].x, 3, name="resnet18", pretrained=False)
    assert str(raised.value) == (
        "model=timm cannot import timm (operator torchvision::nms does not exist): "
        f"{install_command('timm')}, with the torchvision that was built for this torch"
    )


def test_its_absence_is_told_before_anything_runs() -> None:
    lines = list(missing_packages("model (timm_network)", option("timm")))
    pip = f"which is not installed: {install_command('timm')}"
    assert all(line == f"model (timm_network) needs {line.split()[3].rstrip(',')}, {pip}" for line in lines)


def test_an_unknown_name_is_told(planted: Any) -> None:
    planted(STAND_IN)
    with pytest.raises(BadInput, match=r"timm cannot make 'resnet0': Unknown model \(resnet0\)"):
        timm_network(easy("image")[0].x, 3, name="resnet0", pretrained=False)


def test_a_table_is_refused() -> None:
    with pytest.raises(BadInput, match="are for images"):
        timm_network(easy("table")[0].x, 3, name="resnet18", pretrained=False)


def test_images_are_resized_and_standardised_as_the_network_was_made_for(planted: Any) -> None:
    planted(STAND_IN)
    colour = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    network = timm_network(colour, 3, name="small", pretrained=True)
    assert network.pretrained
    before = network.module[:2]  # type: ignore[index]
    seen = before(torch.full((2, 3, 8, 8), 0.5))
    assert seen.shape == (2, 3, 12, 16)
    torch.testing.assert_close(seen[0, :, 0, 0], torch.tensor([0.0, 0.5, 1.0]))
    grey = timm_network(colour[..., :1], 3, name="small", pretrained=False).module[:2]  # type: ignore[index]
    torch.testing.assert_close(grey(torch.full((1, 1, 8, 8), 0.5))[0, 0, 0, 0], torch.tensor(0.5))


def test_an_image_of_the_right_size_is_left_alone() -> None:
    x = torch.rand(2, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    assert ResizedNetwork((12, 16), "bicubic")(x) is x
    assert ResizedNetwork((24, 32), "nearest")(x).shape == (2, 3, 24, 32)


def test_it_trains_in_the_loop_that_all_networks_share(planted: Any, run: Run) -> None:
    planted(STAND_IN)
    train, valid = easy("image")
    fit = check_equal_fits(
        partial(fit_network, network=partial(timm_network, name="small", pretrained=False)), train, valid, lambda: run
    )
    assert (fit.predict(valid.x).argmax(1) == valid.y).mean() > 0.8
