"""Bugs of the kinds that other harnesses had, planted one by one: the check that is meant for each must fail.

Each bad option below is written as its bug would be written. The checks are those that the suites call on every YAML.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import code_rules as rules
import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT, composed, options
from hypothesis import given, settings
from hypothesis import strategies as st
from studies import made_test_set, record, shown
from test_trial import make

from harness.analysis.effects import deltas, estimate_effects, trials
from harness.arm import FACTORS
from harness.conformance.augmentations import check_augments, check_augments_by_its_stream
from harness.conformance.blindness import check_blind
from harness.conformance.declarations import check_binds, check_declares, check_no_private_budget, check_references
from harness.conformance.learners import check_budget, check_equal_fits, check_luck, check_weights_count
from harness.conformance.promises import BrokenPromise
from harness.conformance.small_sets import logistic, tied_tools, tools_of, weak_set
from harness.conformance.strategies import (
    check_draws,
    check_global_generators_kept,
    check_pure,
    check_reproducible,
    check_sound,
    check_ties,
)
from harness.data import Augment, EvalSet, TrainSet, one_hot
from harness.learners import Fit, Run
from harness.run.faults import find_faults
from harness.run.options import build
from harness.storage.places import conf_dir
from harness.storage.store import Record, Store
from harness.strategies import Tools
from harness.streams import stream

OWN = stream(0, "made when the module was imported")
LEGACY = np.random  # An alias, as it stands in much code; the bad options below draw from it.


MLP = yaml.safe_load((conf_dir() / "model" / "mlp.yaml").read_text())


def fails(message: str) -> Any:
    """The check fails, and says so in these words."""
    return pytest.raises(BrokenPromise, match=message)


# Strategies


def relabelled(train: TrainSet, rows: Any) -> TrainSet:
    """The set with the next class on those rows."""
    y = train.y.copy()
    y[rows] = one_hot((train.classes[rows] + 1) % train.k, train.k)
    return replace(train, y=y)


def from_numpy(train: TrainSet, tools: Tools) -> TrainSet:
    return relabelled(train, LEGACY.permutation(len(train))[:5])


def from_python(train: TrainSet, tools: Tools) -> TrainSet:
    return relabelled(train, random.sample(range(len(train)), 5))


def from_torch(train: TrainSet, tools: Tools) -> TrainSet:
    return relabelled(train, torch.randperm(len(train))[:5].numpy())


def from_import(train: TrainSet, tools: Tools) -> TrainSet:
    return relabelled(train, OWN.permutation(len(train))[:5])


def from_a_seed(train: TrainSet, tools: Tools) -> TrainSet:
    return relabelled(train, stream(42, "mine").permutation(len(train))[:5])


def from_a_global_seed(train: TrainSet, tools: Tools) -> TrainSet:
    LEGACY.seed(0)
    return relabelled(train, LEGACY.permutation(len(train))[:5])


def writes(train: TrainSet, tools: Tools) -> TrainSet:
    train.y[0] = train.y[1]
    return train


def writes_below(train: TrainSet, tools: Tools) -> TrainSet:
    train.y.base[0] = train.y[1]
    return train


def unlocks(train: TrainSet, tools: Tools) -> TrainSet:
    train.w.flags.writeable = True
    train.w[:] = 1
    return train


def hangs_an_augmentation_on_its_input(train: TrainSet, tools: Tools) -> TrainSet:
    object.__setattr__(train, "augment", lambda x, y, rng: (x, y))
    return train


def renames(train: TrainSet, tools: Tools) -> TrainSet:
    return replace(train, ids=np.array([f"row {i}" for i in range(len(train))]))


def counts_anew(train: TrainSet, tools: Tools) -> TrainSet:
    """Drops rows and gives the old names in order to those that are left."""
    left = train.rows(np.arange(10, len(train)))
    return replace(left, ids=train.ids[: len(left)])


def reorders(train: TrainSet, tools: Tools) -> TrainSet:
    return train.rows(np.argsort(train.classes, kind="stable"))


def repeats(train: TrainSet, tools: Tools) -> TrainSet:
    return train.rows(np.concatenate([[0], np.arange(len(train))]))


def first_of_equals(train: TrainSet, tools: Tools) -> TrainSet:
    given = tools.pred_probs(train)[np.arange(len(train)), train.classes]
    return relabelled(train, np.argsort(given, kind="stable")[:15])


def of(train: TrainSet, gold: np.ndarray, run: Run) -> Callable[[int], Tools]:
    return lambda luck: tools_of(train, gold, run, seed=luck)


@pytest.mark.parametrize("strategy", [from_numpy, from_python, from_torch, from_import])
def test_draws_from_elsewhere_are_seen(strategy: Any, run: Run) -> None:
    train, gold = weak_set("table")
    with fails("two calls with the same seed differ: draw from the generator that is passed in"):
        check_reproducible(strategy, train, of(train, gold, run))


@pytest.mark.parametrize(
    ("strategy", "whose"), [(from_numpy, "numpy"), (from_torch, "torch"), (from_a_global_seed, "numpy")]
)
def test_moved_global_generators_are_seen(strategy: Any, whose: str, run: Run) -> None:
    train, gold = weak_set("table")
    with fails(f"the global generator of {whose} was used"):
        check_global_generators_kept(lambda: strategy(train, tools_of(train, gold, run)))


@pytest.mark.parametrize("strategy", [from_a_seed, from_a_global_seed])
def test_a_hidden_seed_is_seen(strategy: Any, run: Run) -> None:
    train, gold = weak_set("table")
    with fails("three streams gave 1 results"):
        check_draws(strategy, train, of(train, gold, run))


@pytest.mark.parametrize("strategy", [writes_below, unlocks])
def test_a_changed_input_is_seen(strategy: Any, run: Run) -> None:
    train, gold = weak_set("table")
    with fails("the input changed: copy an array before"):
        check_pure(strategy, train, of(train, gold, run))


def test_writing_to_the_input_is_refused_on_the_spot(run: Run) -> None:
    train, gold = weak_set("table")
    with pytest.raises(ValueError, match="read-only"):
        check_pure(writes, train, of(train, gold, run))


def test_an_augmentation_hung_on_the_input_is_seen(run: Run) -> None:
    train, gold = weak_set("table")
    with fails("the input's augment changed"):
        check_pure(hangs_an_augmentation_on_its_input, train, of(train, gold, run))


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (renames, "90 ids are not in the input, for example 'row 0'"),
        (counts_anew, "x changed, or its rows moved to other ids"),
        (reorders, "the rows changed their order"),
        (repeats, "an id occurs twice"),
    ],
)
def test_lost_ids_and_order_are_seen(strategy: Any, message: str, run: Run) -> None:
    train, gold = weak_set("table")
    with fails(message):
        check_sound(train, strategy(train, tools_of(train, gold, run)))


def test_a_tie_broken_by_the_order_of_rows_is_seen() -> None:
    train, gold = weak_set("table")
    with fails("rows that are equally likely are chosen by position"):
        check_ties(first_of_equals, train, lambda luck: tied_tools(train, gold, seed=luck))


# Augmentations


def in_place(x: torch.Tensor, y: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    return x.add_(torch.from_numpy(rng.normal(size=x.shape)).to(x.dtype)), y


def labels_in_place(x: torch.Tensor, y: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    return x, y.mul_(0.9).add_(0.1 / y.shape[1])


def by_torch(x: torch.Tensor, y: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    return x + torch.randn_like(x), y


def by_a_seed(x: torch.Tensor, y: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    return x + torch.randn(x.shape, generator=torch.Generator().manual_seed(0)), y


def grows(x: torch.Tensor, y: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.cat([x, x]), y


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand((8, 4), generator=torch.Generator().manual_seed(0)), torch.eye(4).repeat(2, 1)


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (in_place, "changed the batch that it was given"),
        (labels_in_place, "changed the labels that it was given"),
        (grows, "8 rows became 16"),
    ],
)
def test_an_augmentation_in_place_is_seen(augment: Augment, message: str) -> None:
    with fails(message):
        check_augments(augment, *batch())


@pytest.mark.parametrize(
    ("augment", "message"),
    [(by_torch, "global generator of torch was used"), (by_a_seed, "another seed gave the same batch")],
)
def test_an_augmentation_with_luck_of_its_own_is_seen(augment: Augment, message: str) -> None:
    with fails(message):
        check_augments_by_its_stream(augment, *batch())


# Learners


def sets() -> tuple[TrainSet, EvalSet]:
    """A table to train on, and one to predict."""
    train, gold = weak_set("table")
    return train.rows(train.labelled), EvalSet(train.ids, train.x, gold)


def noisy(draw: Callable[[Any], np.ndarray]) -> Any:
    """The small learner with noise on its probabilities, drawn by `draw` from the shape of the rows."""

    def fit(train: TrainSet, valid: EvalSet, run: Run) -> Fit:
        fitted, noise = logistic(train, valid, run), draw(train.x.shape[1:])

        def predict(x: Any) -> np.ndarray:
            odds = fitted.predict(x) * np.exp((x * noise).sum(1, keepdims=True) * np.arange(train.k))
            return (odds / odds.sum(1, keepdims=True)).astype(np.float32)

        return replace(fitted, predict=predict)

    return fit


def trains_longer(train: TrainSet, valid: EvalSet, run: Run) -> Fit:
    """As a model would that brought its own number of epochs, and reported those that were asked for."""
    fit = build(MLP)(train, valid, replace(run, steps=3 * run.steps))
    return replace(fit, examples=fit.examples // 3)


def trains_on_larger_batches(train: TrainSet, valid: EvalSet, run: Run) -> Fit:
    return build(MLP)(train, valid, replace(run, protocol=replace(run.protocol, batch_size=32)))


def forgets_weights(train: TrainSet, valid: EvalSet, run: Run) -> Fit:
    return logistic(replace(train, w=np.ones_like(train.w)), valid, run)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda shape: LEGACY.normal(size=shape), "the global generator of numpy was used"),
        (lambda shape: torch.randn(shape).numpy(), "the global generator of torch was used"),
        (lambda shape: OWN.normal(size=shape), "two runs with the same seed differ"),
        (lambda shape: np.array([random.random() for _ in range(*shape)]), "two runs with the same seed differ"),
    ],
)
def test_a_learner_with_luck_of_its_own_is_seen(draw: Any, message: str, run: Run) -> None:
    train, valid = sets()
    with fails(message):
        check_equal_fits(noisy(draw), train, valid, lambda: run)


def test_a_learner_with_a_hidden_seed_is_seen(run: Run) -> None:
    train, valid = sets()
    with fails("another salt gave the same model"):
        check_luck(noisy(lambda shape: stream(42, "mine").normal(size=shape)), train, valid, run)


@pytest.mark.parametrize(
    ("fit", "message"),
    [(trains_longer, "60 steps were taken, the run has 20"), (trains_on_larger_batches, "640 examples seen")],
)
def test_a_learner_with_a_budget_of_its_own_is_seen(fit: Any, message: str, run: Run) -> None:
    train, valid = sets()
    with fails(message):
        check_budget(fit, train, valid, run)


def test_a_learner_that_forgets_weights_is_seen(run: Run) -> None:
    train, valid = sets()
    with fails("rows of weight 0 were trained on"):
        check_weights_count(forgets_weights, train, valid, run)


# What must not be seen


def caller(name: str) -> Any:
    """A variable of that name in one of the functions that called."""
    frame = sys._getframe(1)
    while name not in frame.f_locals:
        assert frame.f_back is not None
        frame = frame.f_back
    return frame.f_locals[name]


def takes_gold(train: TrainSet, tools: Tools) -> TrainSet:
    """Reads the true classes where the oracle keeps them, and pays for none."""
    task = caller("task")
    gold = dict(zip(task.train.ids.tolist(), task.gold.tolist(), strict=True))
    return replace(train, y=one_hot(np.array([gold[name] for name in train.ids.tolist()]), train.k))


def takes_test(train: TrainSet, tools: Tools) -> TrainSet:
    """Relabels a few rows, which ones follows from the test rows."""
    return relabelled(train, [int(np.asarray(caller("task").test.x, dtype=np.int64).sum()) % len(train)])


def takes_test_labels(train: TrainSet, tools: Tools) -> TrainSet:
    return relabelled(train, [int((caller("task").test.y * np.arange(len(caller("task").test))).sum()) % len(train)])


def takes_valid(train: TrainSet, valid: EvalSet, run: Run) -> Fit:
    """Trains on the validation rows too."""
    more = TrainSet(
        np.concatenate([train.ids, valid.ids]), np.concatenate([train.x, valid.x]),
        np.concatenate([train.y, one_hot(valid.y, train.k)]), np.concatenate([train.w, np.ones(len(valid), np.float32)]),
        np.full((len(train) + len(valid), 0), -1, dtype=np.int8),
    )  # fmt: skip
    return build(MLP)(more, valid, run)


@pytest.mark.parametrize(
    ("factor", "bad", "message"),
    [
        ("clean", "takes_gold", "a strategy saw"),
        ("weak", "takes_test", "a strategy saw"),
        ("clean", "takes_test_labels", "a strategy saw"),
        ("model", "takes_valid", "training saw"),
    ],
)
def test_peeking_is_seen(factor: str, bad: str, message: str, tmp_path: Path) -> None:
    trial, task = make("clean=none", "protocol.steps=5")
    node = {"_target_": f"test_planted.{bad}", "_partial_": True}
    with fails(message):
        check_blind(replace(trial, arm={**trial.arm, factor: node}), task, tmp_path)


def runs_on_digits(group: str, name: str) -> bool:
    """Whether an option fits images, and needs no file of its own nor a library that is not here."""
    text = (conf_dir() / group / f"{name}.yaml").read_text()
    said = yaml.safe_load(text)
    inner = said["fits"] if isinstance(said["fits"], list) else ["image"]  # what a tuned option wraps fits images
    pool = "pool" in (said.get("needs") or [])  # digits have a label each
    return "image" in inner and not pool and "???" not in text and all(map(find_spec, said.get("extra") or {}))


LITTLE = {
    "model=h2o": ("model.max_models=1", "protocol.folds=2"),
    "model=flaml": ("model.max_iter=2",),
    "model=wrn28_10": ("model.network.depth=10", "model.network.width=1"),
    "model=wrn16_4": ("model.network.depth=10", "model.network.width=1"),
    "model=flax_cnn": ("model.network.width=8", "model.network.stages=2"),
    "model=efficientnet_lite_frozen": ("model.image_size=32",),
    **{f"model=efficientnet_lite{n}_frozen": ("model.image_size=32",) for n in (1, 2)},
    **{f"model=efficientnet_lite{n}": ("model.network.image_size=32",) for n in (0, 1, 2)},
    **{f"{kind}=tuned": ("protocol.tuning_trials=2", "protocol.folds=2") for kind in ("weak", "clean", "augment")},
}
"""The same code of large models, smaller: what one sees does not depend on its size."""


@pytest.mark.slow
@pytest.mark.parametrize("arm", [f"{g}={n}" for g in FACTORS for n in options(g) if runs_on_digits(g, n)])
def test_no_option_sees_what_it_must_not(arm: str, tmp_path: Path) -> None:
    check_blind(*make(arm, "protocol.steps=5", *LITTLE.get(arm, ())), tmp_path)


# YAMLs and signatures


def any_parameters(train: TrainSet, tools: Tools, **settings: Any) -> TrainSet:
    return train


def by_place(train: TrainSet, tools: Tools, share: float) -> TrainSet:
    return train


def with_default(train: TrainSet, tools: Tools, *, share: float = 0.1) -> TrainSet:
    return train


def a_node(name: str, **values: Any) -> dict[str, Any]:
    return {"_target_": f"test_planted.{name}", "_partial_": True, "fits": ["table"], **values}


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (a_node("any_parameters", shaer=0.5), r"takes \*settings: a misspelt parameter would be ignored"),
        (a_node("with_default", shaer=0.5), r"has no parameter \['shaer'\]"),
        (a_node("with_default"), r"\['share'\] must be in the YAML"),
        (a_node("by_place", share=0.5), "the rest must be keyword-only"),
        (a_node("with_default", share=a_node("any_parameters")), r"takes \*settings"),
    ],
)
def test_parameters_that_would_be_ignored_are_seen(node: dict[str, Any], message: str) -> None:
    with fails(message):
        check_binds(node)


def test_a_misspelt_parameter_is_told_even_where_a_function_takes_any() -> None:
    cfg = composed("clean=none", "clean._target_=test_planted.any_parameters", "+clean.shaer=0.5")
    assert [line for line in find_faults(cfg) if line.startswith("clean has no parameter 'shaer'")]


@pytest.mark.parametrize("name", ["epochs", "lr", "batch_size", "steps", "optimiser", "weight_decay", "warmup"])
def test_a_models_private_budget_is_seen(name: str) -> None:
    check_no_private_budget(MLP)
    for bad in ({**MLP, name: 1}, {**MLP, "network": {**MLP["network"], name: 1}}):
        with fails(rf"sets \['{name}'\] itself"):
            check_no_private_budget(bad)


def test_an_option_that_declares_nothing_is_seen() -> None:
    with fails("fits must name at least one modality"):
        check_declares("# says what it does", {**a_node("by_place"), "fits": []})
    with fails("the first line must say"):
        check_declares("_target_: x", a_node("by_place"))


def test_a_reference_for_nothing_and_for_what_is_not_there_is_seen() -> None:
    node = {**a_node("by_place"), "fits": ["table"]}
    with fails("reference_kind and reference_for go together"):
        check_declares("# says what it does", {**node, "reference_kind": "negative_control"})
    control = {**node, "reference_kind": "negative_control", "reference_for": ["confidnt", "duplicates"]}
    with fails("reference_for names 'confidnt', which is no option and no family of clean"):
        check_references("clean", control, ["confident"])
    check_references("clean", {**control, "reference_for": ["confident", "outliers", "all"]}, ["confident"])


# Code


PLANTED = {
    "def f(train, tools, **rest): return train": "f takes **rest",
    "def f(train, tools, *, k=3): return train.rows(k)": "f hides a default of 'k'",
    "def f(train, tools, seen=[]): return seen": "f has a mutable default",
    "def f(train, tools, *, k): return train": "f ignores its parameter 'k'",
    "def f(n): return np.random.default_rng(0).permutation(n)": "np.random.default_rng makes a generator",
    "def f(n): return np.random.permutation(n)": "np.random.permutation draws from numpy's global generator",
    "def f(n): return random.sample(range(n), 3)": "random.sample draws from Python's global generator",
    "def f(n): return torch.randperm(n)": "torch.randperm draws from torch's global generator",
    "def f(x, y): return Forest(random_state=0).fit(x, y)": "Forest has a seed of its own",
    "def f(n): torch.manual_seed(0)": "torch.manual_seed has a seed of its own",
    "luck = stream(0, 'mine')": "the module holds a random generator, luck",
    "REGISTRY = {}\ndef f(name, g): REGISTRY[name] = g": "REGISTRY is the module's, and is changed here",
    "SEEN = []\ndef f(x): SEEN.append(x)": "SEEN is the module's, and is changed here",
    "calls = 0\ndef f():\n    global calls\n    calls += 1": "global calls",
    "seen = set()": "the module holds seen, which calls can change",
    "@lru_cache(None)\ndef f(x): return x": "f is cached in the process",
}
SOURCES = {str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / "harness").rglob("*.py"))}
MAKES_GENERATORS = ("harness/streams.py", "harness/conformance/generators.py")
"""The one place where a generator is made, and the one that puts the global ones elsewhere to catch who uses them."""
OPTION_FOLDERS = ("harness/strategies/", "harness/learners/")
EVERYWHERE = (rules.mutable_defaults, rules.own_randomness, rules.module_state)
OF_OPTIONS = (*EVERYWHERE, rules.open_signatures, rules.hidden_defaults, rules.unread_parameters, rules.remembered)


@pytest.mark.parametrize("source", PLANTED, ids=list(PLANTED.values()))
def test_bad_code_is_seen(source: str) -> None:
    found = rules.faults_of(source, *OF_OPTIONS)
    assert any(PLANTED[source] in line for line in found), found


@pytest.mark.parametrize("where", [name for name in SOURCES if name not in MAKES_GENERATORS])
def test_the_code_keeps_the_rules(where: str) -> None:
    assert rules.faults_of(SOURCES[where], *(OF_OPTIONS if where.startswith(OPTION_FOLDERS) else EVERYWHERE)) == []


def test_a_near_copy_is_seen() -> None:
    first = "def gentle(train, tools):\n    keep = tools.pred_probs(train).max(1) > 0.5\n    return train.rows(keep)"
    copies = {
        "b.py": first.replace("0.5", "0.9").replace("gentle", "strict"),
        "c.py": first.replace("keep", "good").replace("train.", "rows.").replace("train", "rows"),
        "d.py": first.replace("gentle(train", "f(train: TrainSet").replace("    keep", "    'Says.'\n    keep"),
    }
    for where, source in copies.items():
        assert len(rules.near_copies({"a.py": first, where: source})) == 1
    assert rules.near_copies({"a.py": first, "b.py": first.replace(">", "<").replace("gentle", "f")}) == []


def test_no_option_is_a_near_copy_of_another() -> None:
    assert rules.near_copies({name: text for name, text in SOURCES.items() if name.startswith(OPTION_FOLDERS)}) == []


NAMES_OF_A_PROTOCOL = {
    "main": "the entry of a program",
    "command": "the entry of a command",
    "draw": "the entry of a figure",
    "cells": "the entry of a check of published numbers",
    "as_csv": "the module's table as CSV",
    "as_markdown": "the module's table as Markdown",
}
"""Names that several modules define on purpose, with what they are in each."""
IN_EVERY_KEY = {where for where in SOURCES if where.removesuffix(".py").replace("/", ".") in {
    target.rpartition(".")[0] for path in conf_dir().rglob("*.yaml")
    for target in re.findall(r"_target_: (harness\.\S+)", path.read_text())
}}  # fmt: skip
"""Modules that the YAMLs name. A target is part of every key, so the names of the module and its function stay."""


def test_a_name_that_says_nothing_is_seen() -> None:
    assert len(rules.participles({"a/told.py": "def kept(): ...\n\n\nclass Found: ...\n\n\ndef read(): ..."})) == 3
    assert len(rules.names_of_modules({"a/scores.py": "def scores(): ...", "a/rows.py": "def scores(): ..."})) == 1
    twice = {"a.py": "def draw(): ...\n\n\ndef _own(): ...", "b.py": "draw = 1\n_own = 2\nMOST = 3", "c.py": "MOST = 4"}
    assert rules.shared_names(twice) == ["draw is defined in a.py, b.py"]


def test_names_are_nouns_and_verbs() -> None:
    assert rules.participles({where: text for where, text in SOURCES.items() if where not in IN_EVERY_KEY}) == []


def test_no_function_is_called_like_its_module() -> None:
    assert rules.names_of_modules({where: text for where, text in SOURCES.items() if where not in IN_EVERY_KEY}) == []


def test_no_name_has_two_meanings() -> None:
    shared = [line for line in rules.shared_names(SOURCES) if line.split()[0] not in NAMES_OF_A_PROTOCOL]
    assert shared == []


# Pairs


def by_position(records: list[Record]) -> list[float]:
    """The deltas where the first trial of the arm is held against the first control, and so on."""
    sides = ([one["result"]["test"] for one in records if (one["arm"] == "baseline") is side] for side in (False, True))
    return [100 * (arm - control) for arm, control in zip(*sides, strict=False)]


def by_key(records: list[Record]) -> list[float]:
    """The deltas that the harness makes, in the order of the seeds."""
    return deltas(trials(records)).dropna(subset="delta").sort_values("seed")["delta"].tolist()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[Record]]:
    """Five seeds on which scores differ far more than the arm differs from its control."""
    store, test = Store(tmp_path_factory.mktemp("pairs") / "study"), made_test_set(600, 4)
    made = [
        record(store, arm, seed, shown(test, 0.3 + 0.12 * seed + gain, arm, str(seed)), test, factors=factors)
        for arm, gain, factors in (("baseline", 0.0, ()), ("clean=confident", 0.05, ("clean",)))
        for seed in range(5)
    ]
    return store, made


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(10)), lost=st.integers(0, 9))
def test_no_order_and_no_gap_moves_a_pair(study: Any, order: list[int], lost: int) -> None:
    store, made = study
    truth = {row.seed: row.delta for row in deltas(trials(made)).itertuples()}
    shuffled = [made[i] for i in order]
    assert {row.seed: row.delta for row in deltas(trials(shuffled)).itertuples()} == truth
    assert estimate_effects(shuffled, store.test_set, made, draws=2) == estimate_effects(
        made, store.test_set, made, draws=2
    )
    left = [made[i] for i in order if i != lost]
    found = {row.seed: (row.delta, row.why) for row in deltas(trials(left)).itertuples()}
    gone = lost % 5
    assert {seed: pair[0] for seed, pair in found.items() if seed != gone} == {
        seed: delta for seed, delta in truth.items() if seed != gone
    }
    if lost < 5:
        assert np.isnan(found[gone][0])
        assert found[gone][1] == "control has no record"
    else:
        assert gone not in found


@pytest.mark.parametrize("lost", [1, 2, 3, 6, 7, 8])
def test_pairs_by_position_would_be_seen_by_a_seed_missing_in_the_middle(study: Any, lost: int) -> None:
    _, made = study
    left = [one for place, one in enumerate(made) if place != lost]
    assert by_position(made) == pytest.approx(by_key(made))
    assert abs(np.mean(by_position(left)) - np.mean(by_key(left))) > 2


def test_pairs_by_position_would_be_seen_by_another_order(study: Any) -> None:
    """The mean of all deltas is the same however they are paired; their spread, and so the interval, is not."""
    _, made = study
    turned = made[:5] + made[:4:-1]
    assert by_key(turned) == by_key(made)
    assert np.std(by_position(turned)) > 5 * np.std(by_position(made))
