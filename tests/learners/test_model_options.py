"""Every option of conf/model, on a small set of every modality that it says it fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from easy_sets import MODEL_OPTIONS, learner, option, write_bert, write_vectors
from pinned import CLOSE_FIT, check_pinned, of_fit

from harness.conformance.declarations import check_binds, check_declares, check_no_private_budget
from harness.conformance.easy_sets import easy
from harness.conformance.learners import check_budget, check_equal_fits, check_luck, check_weights_count
from harness.data import take
from harness.errors import BadInput, TrialFailed
from harness.learners import Fit, Learner, Predict, Protocol, Run
from harness.learners.adapt import LIMITS, check_complete
from harness.learners.batches import BlendedBatch
from harness.run.fitting import missing_packages
from harness.run.options import DECLARED
from harness.storage.cache import Cache

NAMES = sorted(path.stem for path in MODEL_OPTIONS.glob("*.yaml"))
FINE_TUNED = tuple(f"efficientnet_lite{n}" for n in range(3))
ELSEWHERE = ("datarobot", *FINE_TUNED, "h2o", "ludwig", "timm")
"""What each fit of takes a server, or a machine of its own: their tests check the same promises once."""
SLOW = ("flaml", "flax_cnn", "flax_mlp")
"""What searches or compiles for seconds in each fit."""


def aside(name: str, modality: str) -> bool:
    """Whether the case is an effort on a second or third modality: what it is spent on has cases of its own."""
    return "wraps" in option(name) and modality != "table"


CASES = [
    pytest.param((name, modality), marks=[pytest.mark.slow] if name in SLOW or aside(name, modality) else [])
    for name in NAMES if name not in ELSEWHERE
    for modality in option(name)["fits"]
]  # fmt: skip
DETERMINED = ("hist_gradient_boosting", "lightgbm", "logistic_regression", "minilm_knn")
TREES = ("flaml", "hist_gradient_boosting", "lightgbm", "minilm_knn", "random_forest")
"""Learners of no trained scalars."""


FITS = {"ensemble": 2, "tuned": 2}
"""Efforts that take the budget more than once: two members below, and two trials in the tests' protocol."""
NETWORKS = {"co_teaching": 2}
"""Efforts that show a batch to more than one network."""
SELECTS = ("early_stopping", "tuned")
"""Efforts that pay for validation labels."""


def fits_once(name: str) -> bool:
    """Whether the option does not train in steps, by what it says of itself."""
    return "dynamics" in option(name).get("lacks", []) and name not in FITS


def times(name: str) -> int:
    """How often the option shows a network the examples of one budget."""
    return FITS.get(name, 1) * NETWORKS.get(name, 1)


def grows(name: str) -> bool:
    """Whether the option cannot look inside its training, so that augmentation grows its rows."""
    return "hidden_mixup" in option(name).get("lacks", [])


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small weights: a BERT and word vectors."""
    folder = tmp_path_factory.mktemp("weights")
    write_vectors(folder)
    return write_bert(folder)


def small(name: str, weights: Path, modality: str = "table") -> dict[str, Any]:
    """The option with a small model to load or to train and, where a small set needs it, smaller leaves, fewer trees."""
    bert = {"path": str(weights), "layers": 1}
    changes: dict[str, dict[str, Any]] = {
        "hist_gradient_boosting": {"max_iter": 5, "min_samples_leaf": 2},
        "lightgbm": {"n_estimators": 5, "min_child_samples": 2},
        "random_forest": {"n_estimators": 20},
        "flaml": {"max_iter": 6, "estimators": ["rf", "extra_tree"]},
        "frozen_encoder": bert,
        "minilm_frozen": bert,
        "minilm_knn": bert,
        "glove": {"path": str(weights / "vectors.txt")},
        **{f"efficientnet_{size}_frozen": {"image_size": 32} for size in ("lite", "lite1")},
        "efficientnet_lite2_frozen": {"image_size": 96},
        "ensemble": {"members": 2},
        "co_teaching": {"tau": 0.1},
    }
    within = {
        "transformer": bert, "minilm": bert, "vit_lite": {"depth": 2, "dim": 64}, "vit_tiny": {"depth": 2},
        "flax_mlp": {"width": 16, "depth": 1}, "flax_cnn": {"width": 8, "stages": 2},
        "wrn16_4": {"depth": 10, "width": 2}, "wrn28_10": {"depth": 10, "width": 1},
    }  # fmt: skip
    node = {**option(name, modality), **changes.get(name, {})}
    return {**node, "network": {**node["network"], **within[name]}} if name in within else node


@pytest.fixture(params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest, weights: Path) -> tuple[str, str, Learner]:
    name, modality = request.param
    for line in missing_packages(name, option(name)):
        pytest.skip(line)
    return name, modality, learner(small(name, weights, modality))


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
    first = check_equal_fits(fit, train, valid, lambda: replace(on(run, next(folders)), log=seen.append))
    assert (first.predict(valid.x).argmax(1) == valid.y).mean() > 0.8, "the easy set was not learned"
    assert seen == 2 * first.history
    check_pinned(f"model/{name} {modality}", of_fit(first, valid), CLOSE_FIT)
    assert first.valid_labels == (len(valid) if name in SELECTS else 0)
    assert first.examples == (len(train) if fits_once(name) else times(name) * 40 * 16)
    assert first.parameters > 0 or name in TREES


def test_a_row_of_weight_0_changes_nothing(case: tuple[str, str, Learner], run: Run, tmp_path: Path) -> None:
    _, modality, fit = case
    check_weights_count(fit, *easy(modality), replace(on(run, tmp_path), steps=4))


def test_takes_the_steps_of_the_run(case: tuple[str, str, Learner], run: Run, tmp_path: Path) -> None:
    name, modality, fit = case
    if grows(name):
        pytest.skip("grows its rows by a number of draws instead of augmenting batches")
    short = replace(on(run, tmp_path), steps=7)
    check_budget(fit, *easy(modality), short, fits=FITS.get(name, 1), networks=NETWORKS.get(name, 1))


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
    assert len(seen) == (2 * 3 if grows(name) else 4 * FITS.get(name, 1)), (
        "two draws of three batches, or one call a step"
    )
    for x, y in seen:
        assert y.shape == (16, 3)
        if modality == "text":
            assert all(type(text) is str for text in x)
            assert len(x) == 16
        else:
            assert tuple(x.shape) == {"image": (16, 1, 8, 8), "table": (16, 5)}[modality]
            assert x.is_floating_point()
            assert modality == "table" or (x.min() >= 0 and 0.5 < x.max() <= 1)
    assert result.examples == (len(train) * 3 if fits_once(name) else times(name) * 4 * 16)


def test_one_row_and_no_validation_rows_can_be_predicted(
    case: tuple[str, str, Learner], run: Run, tmp_path: Path
) -> None:
    name, modality, fit = case
    train, valid = easy(modality)
    nothing = replace(valid, ids=valid.ids[:0], x=take(valid.x, np.arange(0)), y=valid.y[:0])
    if name == "tuned":
        with pytest.raises(BadInput, match="there are no validation rows to tune on"):
            fit(train, nothing, run)
        return
    result = fit(train, nothing, replace(on(run, tmp_path), steps=2))
    assert result.predict(valid.x[:1]).shape == (1, 3)


# What an option does not list under `lacks`, it can do


def able(case: tuple[str, str, Learner], what: str) -> Learner:
    """The learner, unless it says that it lacks this."""
    name, _, fit = case
    if what in option(name).get("lacks", []):
        pytest.skip(f"lacks {what}, and says so")
    return fit


def test_weights_and_soft_labels_matter(case: tuple[str, str, Learner], run: Run, tmp_path: Path) -> None:
    train, valid = easy(case[1])
    contrary = np.roll(train.y, 1, axis=1)
    w = np.where(np.arange(len(train)) % 2, 1.5, 0.5).astype(np.float32)
    half = np.arange(len(train)) % 2 == 0
    mixed = replace(train, y=np.where(half[:, None], contrary, train.y))
    changes = {"weights": replace(mixed, w=w), "soft_labels": replace(mixed, y=0.7 * mixed.y + 0.3 * contrary)}
    short = replace(on(run, tmp_path), steps=10)
    for what, changed in changes.items():
        if what not in option(case[0]).get("lacks", []):
            first, second = (case[2](rows, valid, short).predict(valid.x) for rows in (mixed, changed))
            assert not np.array_equal(first, second), f"{LIMITS[what]} change nothing"


def test_missing_values_are_taken_or_refused(case: tuple[str, str, Learner], run: Run, tmp_path: Path) -> None:
    name, modality, fit = case
    if modality != "table":
        pytest.skip("only tables have missing values")
    train, valid = easy(modality)
    holes = np.array(train.x)
    holes[::4, 0] = np.nan
    if "missing_values" in option(name).get("lacks", []):
        with pytest.raises(TrialFailed, match="12 values of the training rows are missing"):
            check_complete(holes, option(name)["lacks"], "training")
        return
    found = fit(replace(train, x=holes), valid, on(run, tmp_path)).predict(np.where(np.eye(48, 5), np.nan, valid.x))
    assert np.isfinite(found).all()
    assert (found.argmax(1) == valid.y).mean() > 0.8


def test_its_training_can_be_watched(case: tuple[str, str, Learner], run: Run, tmp_path: Path) -> None:
    fit = able(case, "dynamics")
    train, valid = easy(case[1])
    seen: list[np.ndarray] = []

    def watch(predict: Predict) -> None:
        seen.append(predict(train.x[:5]))

    result: Fit = fit(train, valid, replace(on(run, tmp_path), steps=7, watch=watch))
    assert len(seen) == 3, "48 rows in batches of 16: at steps 3, 6 and 7"
    kept = seen if case[0] in SELECTS else seen[-1:]
    assert any(np.allclose(look, result.predict(train.x[:5]), atol=1e-6) for look in kept)
    assert not np.array_equal(seen[0], seen[-1])


def test_hidden_representations_can_be_mixed(case: tuple[str, str, Learner], run: Run, tmp_path: Path) -> None:
    fit = able(case, "hidden_mixup")
    train, valid = easy(case[1])

    def half(x: Any, y: torch.Tensor, rng: np.random.Generator) -> tuple[BlendedBatch, torch.Tensor]:
        partner = torch.from_numpy(rng.permutation(len(y)))
        return BlendedBatch(x, partner, torch.full((len(y),), 0.5)), 0.5 * (y + y[partner])

    short = replace(on(run, tmp_path), steps=5)
    plain, mixed = (fit(replace(train, augment=augment), valid, short) for augment in (None, half))
    assert not np.array_equal(plain.predict(valid.x), mixed.predict(valid.x))


@pytest.mark.parametrize("name", NAMES)
def test_what_it_says_of_itself_is_known(name: str) -> None:
    node = option(name)
    assert set(node.get("lacks", [])) <= set(LIMITS)
    assert not set(node) & set(DECLARED) - {
        "fits",
        "lacks",
        "space",
        "extra",
        "programs",
        "paper",
        "library",
        "cost",
        "needs",
        "wraps",
        "asks",
        "family",
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_may_be_tuned_is_there_and_contains_the_value_that_stands_there(name: str, protocol: Protocol) -> None:
    node = option(name)
    for place, choice in node.get("space", {}).items():
        inner: Any = {**node, "protocol": vars(protocol)}
        for part in place.split("."):
            assert part in inner, f"{place} is no parameter"
            inner = inner[part]
        if "choices" in choice:
            assert list(choice) == ["choices"]
            assert place.startswith("protocol.") or inner in choice["choices"] or name == "wrn28_10"
        else:
            assert set(choice) == {"low", "high", "log"}
            assert choice["low"] < choice["high"]
            assert not choice["log"] or choice["low"] > 0
            assert type(choice["low"]) is type(choice["high"])


@pytest.mark.parametrize("name", NAMES)
def test_binds_and_says_what_it_fits(name: str) -> None:
    check_declares((MODEL_OPTIONS / f"{name}.yaml").read_text(), option(name))
    check_binds(option(name))


@pytest.mark.parametrize("name", NAMES)
def test_brings_no_budget_of_its_own(name: str) -> None:
    check_no_private_budget(option(name))
