"""Every option of conf/model, on a small set of every modality that it says it fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance import (
    check_binds,
    check_budget,
    check_declares,
    check_fit,
    check_luck,
    check_no_private_budget,
    check_weights,
)
from easy_sets import MODEL_OPTIONS, easy, learner, option, write_bert

from harness.cache import Cache
from harness.data import take
from harness.learners import Learner, Run

NAMES = sorted(path.stem for path in MODEL_OPTIONS.glob("*.yaml"))
CASES = [(name, modality) for name in NAMES for modality in option(name)["fits"]]
FITS_ONCE = ("hist_gradient_boosting", "logistic_regression", "random_forest")
DETERMINED = ("hist_gradient_boosting", "logistic_regression")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("bert"))


def small(name: str, bert: Path) -> dict[str, Any]:
    """The option with a model to load and, where a small set needs it, smaller leaves and fewer trees."""
    changes = {
        "hist_gradient_boosting": {"max_iter": 5, "min_samples_leaf": 2},
        "random_forest": {"n_estimators": 20},
        "frozen_encoder": {"path": str(bert)},
    }
    node = {**option(name), **changes.get(name, {})}
    if name == "transformer":
        node["network"] = {**node["network"], "path": str(bert)}
    return node


@pytest.fixture(params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest, bert: Path) -> tuple[str, str, Learner]:
    name, modality = request.param
    return name, modality, learner(small(name, bert))


def on(run: Run, folder: Path) -> Run:
    """The run with a cache of its own, and a rate at which even a pretrained network learns within it."""
    return replace(run, steps=40, cache=Cache(folder), protocol=replace(run.protocol, lr_pretrained=1e-2))


def test_learns_an_easy_set_reproducibly_and_leaves_everything_else_as_it_was(
    case: tuple[str, str, Learner], run: Run, tmp_path: Path
) -> None:
    name, modality, fit = case
    train, valid = easy(modality)
    seen: list[Any] = []
    folders = (tmp_path / str(number) for number in range(2))
    first = check_fit(fit, train, valid, lambda: replace(on(run, next(folders)), log=seen.append))
    assert (first.predict(valid.x).argmax(1) == valid.y).mean() > 0.8, "the easy set was not learned"
    assert seen == 2 * first.history
    assert first.valid_labels == 0
    assert first.examples == (len(train) if name in FITS_ONCE else 40 * 16)
    assert first.parameters > 0 or name in ("random_forest", "hist_gradient_boosting")


def test_a_row_of_weight_0_changes_nothing(case: tuple[str, str, Learner], run: Run, tmp_path: Path) -> None:
    _, modality, fit = case
    check_weights(fit, *easy(modality), replace(on(run, tmp_path), steps=4))


def test_takes_the_steps_of_the_run(case: tuple[str, str, Learner], run: Run, tmp_path: Path) -> None:
    name, modality, fit = case
    if name in (*FITS_ONCE, "frozen_encoder"):
        pytest.skip("grows its rows by a number of draws instead of augmenting batches")
    check_budget(fit, *easy(modality), replace(on(run, tmp_path), steps=7))


def test_another_salt_gives_another_model(case: tuple[str, str, Learner], run: Run, tmp_path: Path) -> None:
    name, modality, fit = case
    if name in DETERMINED:
        pytest.skip("draws nothing")
    train, valid = easy(modality)
    confused = replace(train, y=np.roll(train.y, 7, axis=0))  # So hard that every draw leaves its mark.
    check_luck(fit, confused, valid, replace(on(run, tmp_path), steps=4))


def test_augmentation_is_called_with_float_batches_or_strings(
    case: tuple[str, str, Learner], run: Run, tmp_path: Path
) -> None:
    name, modality, fit = case
    train, valid = easy(modality)
    seen: list[tuple[Any, Any]] = []

    def augment(x: Any, y: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        assert isinstance(rng, np.random.Generator)
        seen.append((x, y))
        return x, y

    short = replace(on(run, tmp_path), steps=4)
    result = fit(replace(train, augment=augment), valid, short)
    grown = name in (*FITS_ONCE, "frozen_encoder")
    assert len(seen) == (2 * 3 if grown else 4), "two draws of three batches, or one call a step"
    for x, y in seen:
        assert y.shape == (16, 3)
        if modality == "text":
            assert all(type(text) is str for text in x)
            assert len(x) == 16
        else:
            assert tuple(x.shape) == {"image": (16, 1, 8, 8), "table": (16, 5)}[modality]
            assert x.is_floating_point()
            assert modality == "table" or (x.min() >= 0 and 0.5 < x.max() <= 1)
    assert result.examples == (len(train) * 3 if name in FITS_ONCE else 4 * 16)


def test_one_row_and_no_validation_rows_can_be_predicted(
    case: tuple[str, str, Learner], run: Run, tmp_path: Path
) -> None:
    _, modality, fit = case
    train, valid = easy(modality)
    nothing = replace(valid, ids=valid.ids[:0], x=take(valid.x, np.arange(0)), y=valid.y[:0])
    result = fit(train, nothing, replace(on(run, tmp_path), steps=2))
    assert result.predict(valid.x[:1]).shape == (1, 3)


@pytest.mark.parametrize("name", NAMES)
def test_binds_and_says_what_it_fits(name: str) -> None:
    check_declares((MODEL_OPTIONS / f"{name}.yaml").read_text(), option(name))
    check_binds(option(name))


@pytest.mark.parametrize("name", NAMES)
def test_brings_no_budget_of_its_own(name: str) -> None:
    check_no_private_budget(option(name))
