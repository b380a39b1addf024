"""Every option of conf/model, on a small set of every modality that it says it fits."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from easy_sets import MODEL_OPTIONS, easy, learner, option, write_bert
from small_sets import global_state

from harness.cache import Cache
from harness.data import take
from harness.learners import Fit, Learner, Run

NAMES = sorted(path.stem for path in MODEL_OPTIONS.glob("*.yaml"))
CASES = [(name, modality) for name in NAMES for modality in option(name)["fits"]]
FITS_ONCE = ("hist_gradient_boosting", "logistic_regression", "random_forest")


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


def same(first: Fit, second: Fit, x: Any) -> bool:
    return np.array_equal(first.predict(x), second.predict(x)) and first.history == second.history


def test_learns_an_easy_set_reproducibly_and_leaves_everything_else_as_it_was(
    case: tuple[str, str, Learner], run: Run, tmp_path: Path
) -> None:
    name, modality, fit = case
    train, valid = easy(modality)
    content, state = train.digest(), global_state()
    seen: list[Any] = []
    first = fit(train, valid, replace(on(run, tmp_path / "1"), log=seen.append))
    second = fit(train, valid, on(run, tmp_path / "2"))
    probabilities = first.predict(valid.x)
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (len(valid), 3)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert (probabilities.argmax(1) == valid.y).mean() > 0.8, "the easy set was not learned"
    assert same(first, second, valid.x), "two equal runs differ"
    assert seen == first.history
    assert state == global_state()
    assert train.digest() == content
    assert first.valid_labels == 0
    assert first.examples == (len(train) if name in FITS_ONCE else 40 * 16)
    assert first.parameters > 0 or name in ("random_forest", "hist_gradient_boosting")


def test_a_row_of_weight_0_changes_nothing(case: tuple[str, str, Learner], run: Run, tmp_path: Path) -> None:
    _, modality, fit = case
    train, valid = easy(modality)
    w = train.w.copy()
    w[::5] = 0
    muted = replace(train, w=w)
    first = fit(muted, valid, replace(on(run, tmp_path), steps=4))
    second = fit(muted.rows(muted.labelled), valid, replace(on(run, tmp_path), steps=4))
    assert same(first, second, valid.x)


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
def test_binds_and_says_what_it_fits(name: str, bert: Path) -> None:
    text, made = (MODEL_OPTIONS / f"{name}.yaml").read_text(), learner(small(name, bert))
    assert text.startswith("# "), "the first line says what the option does"
    assert set(option(name)["fits"]) <= {"image", "text", "table"}
    inspect.signature(made.func).bind("train", "valid", "run", **made.keywords)
    for node in (made, *(value for value in made.keywords.values() if isinstance(value, partial))):
        given = {p.name for p in inspect.signature(node.func).parameters.values() if p.kind == p.KEYWORD_ONLY}
        assert given == set(node.keywords), "every hyper-parameter stands in the YAML, and no other"
