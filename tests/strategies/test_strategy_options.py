"""Every option of weak, clean and augment keeps the promises of a strategy, on every kind of row that it fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conformance import (
    check_augments,
    check_augments_by_its_stream,
    check_binds,
    check_declares,
    check_draws,
    check_global_generators_kept,
    check_pure,
    check_reproducible,
    check_sound,
    check_ties,
    same,
)
from small_sets import KINDS, MODALITY, tied_tools, tools_of, weak_set

from harness.config import build, conf_dir
from harness.data import TrainSet
from harness.learners import Run
from harness.receipts import receipt
from harness.strategies import Strategy
from harness.streams import stream


def node_of(option: str) -> dict[str, Any]:
    return yaml.safe_load((conf_dir() / f"{option}.yaml").read_text())


OPTIONS = sorted(
    f"{group}/{path.stem}" for group in ("weak", "clean", "augment") for path in (conf_dir() / group).glob("*.yaml")
)
RANDOM = ("weak/random_vote", "clean/random_drop", "clean/random_relabel", "clean/oracle_random")


CASES = [(option, kind) for option in OPTIONS for kind in KINDS if MODALITY[kind] in node_of(option)["fits"]]
AUGMENTS = [(option, kind) for option, kind in CASES if option.startswith("augment/") and option != "augment/none"]
each_case = pytest.mark.parametrize(("option", "kind"), CASES)


@pytest.fixture
def strategy_of(tmp_path: Path, run: Run) -> Any:
    """Builds an option; the replays get the record of a trial that swapped labels, dropped and re-weighted rows."""

    def made(option: str, kind: str) -> Strategy:
        node = node_of(option)
        if node.get("path") == "???":
            before, _ = weak_set(kind)
            y = before.y[::-1].copy()
            after = TrainSet(before.ids, before.x, y, np.ones_like(before.w), before.votes).rows(np.arange(80))
            node["path"] = str(tmp_path / "record.json")
            record = {"receipts": dict.fromkeys(("weak", "clean"), receipt(before, after))}
            Path(node["path"]).write_text(json.dumps(record))
        return build(node)

    return made


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_says_what_it_is_and_binds_to_its_function(option: str) -> None:
    check_declares((conf_dir() / f"{option}.yaml").read_text(), node_of(option))
    check_binds(node_of(option))


@each_case
def test_the_result_is_a_sound_training_set(option: str, kind: str, strategy_of: Any, run: Run) -> None:
    train, gold = weak_set(kind)
    check_sound(train, strategy_of(option, kind)(train, tools_of(train, gold, run)))


@each_case
def test_the_input_is_left_alone(option: str, kind: str, strategy_of: Any, run: Run) -> None:
    train, gold = weak_set(kind)
    check_pure(strategy_of(option, kind), train, lambda luck: tools_of(train, gold, run, seed=luck))


@each_case
def test_the_same_draws_give_the_same_result_bit_for_bit(option: str, kind: str, strategy_of: Any, run: Run) -> None:
    train, gold = weak_set(kind)
    strategy = strategy_of(option, kind)
    check_reproducible(strategy, train, lambda luck: tools_of(train, gold, run, seed=luck))


@pytest.mark.parametrize("option", OPTIONS)
def test_global_generators_are_left_as_they_were(option: str, strategy_of: Any, run: Run) -> None:
    kind = next(kind for kind in KINDS if (option, kind) in CASES)
    train, gold = weak_set(kind)
    strategy, tools = strategy_of(option, kind), tools_of(train, gold, run)
    check_global_generators_kept(lambda: strategy(train, tools))


@pytest.mark.parametrize("option", RANDOM)
def test_another_stream_gives_another_draw(option: str, strategy_of: Any, run: Run) -> None:
    train, gold = weak_set("table")
    check_draws(strategy_of(option, "table"), train, lambda luck: tools_of(train, gold, run, seed=luck))


@pytest.mark.parametrize("option", [name for name in OPTIONS if not name.startswith("augment/")])
def test_ties_are_not_broken_by_the_order_of_rows(option: str, strategy_of: Any) -> None:
    train, gold = weak_set("table")
    check_ties(strategy_of(option, "table"), train, lambda luck: tied_tools(train, gold, seed=luck))


@pytest.mark.parametrize("option", [name for name in OPTIONS if name.startswith("clean/") and name != "clean/replay"])
def test_cleaning_passes_rows_without_a_label_untouched(option: str, strategy_of: Any, run: Run) -> None:
    train, gold = weak_set("table")
    after = strategy_of(option, "table")(train, tools_of(train, gold, run))
    assert after.rows(~after.labelled).digest() == train.rows(~train.labelled).digest()


@pytest.mark.parametrize("option", [name for name in OPTIONS if "votes" in node_of(name).get("needs", [])])
def test_weak_supervision_leaves_rows_without_a_vote_as_they_are(option: str, strategy_of: Any, run: Run) -> None:
    train, gold = weak_set("table")
    silent = (train.votes < 0).all(1)
    after = strategy_of(option, "table")(train, tools_of(train, gold, run))
    assert silent.any()
    assert after.rows(silent).digest() == train.rows(silent).digest()
    assert after.labelled[~silent].all()
    assert (after.classes == gold)[~silent & ~train.labelled].mean() > 0.6


def batch_of(kind: str) -> tuple[Any, torch.Tensor]:
    """A batch as a learner hands it over: float tensors in [0, 1], a list of str for text."""
    train, _ = weak_set(kind)
    y = torch.from_numpy(train.y[:40].copy())
    if kind == "text":
        return train.x[:40].tolist(), y
    x = torch.from_numpy(train.x[:40].astype(np.float32))
    return (x.permute(0, 3, 1, 2) / 255 if kind in ("grey", "colour") else x), y


@pytest.mark.parametrize(("option", "kind"), AUGMENTS)
def test_an_augmentation_keeps_shapes_labels_and_its_input(option: str, kind: str, strategy_of: Any, run: Run) -> None:
    train, gold = weak_set(kind)
    after = strategy_of(option, kind)(train, tools_of(train, gold, run))
    x, y = batch_of(kind)
    assert after.digest() == train.digest()
    check_augments(after.augment, x, y)
    new, _ = after.augment(x, y, stream(0, "augment"))
    if kind == "text":
        assert all(text.split() for text in new)
        assert all(set(text.split()) <= set(old.split()) for text, old in zip(new, x, strict=True))
        return
    assert new.min() >= x.min() - 1e-6
    assert new.max() <= x.max() + 1e-6


@pytest.mark.parametrize(("option", "kind"), AUGMENTS)
def test_an_augmentation_draws_from_its_generator_alone(option: str, kind: str, strategy_of: Any, run: Run) -> None:
    train, gold = weak_set(kind)
    augment = strategy_of(option, kind)(train, tools_of(train, gold, run)).augment
    check_augments_by_its_stream(augment, *batch_of(kind))


@pytest.mark.parametrize(("option", "kind"), AUGMENTS)
def test_augmentations_follow_one_another(option: str, kind: str, strategy_of: Any, run: Run) -> None:
    train, gold = weak_set(kind)
    strategy, tools = strategy_of(option, kind), tools_of(train, gold, run)
    once, twice = strategy(train, tools).augment, strategy(strategy(train, tools), tools).augment
    rng, (x, y) = stream(0, "augment"), batch_of(kind)
    by_hand = once(*once(x, y, rng), rng)
    composed = twice(x, y, stream(0, "augment"))
    assert same(by_hand[0], composed[0])
    assert torch.equal(by_hand[1], composed[1])
