"""Every option of weak, clean and augment keeps the promises of a strategy, on every kind of row that it fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from omegaconf import OmegaConf
from pinned import check_pinned, of_batch, of_rows
from word_sources import write_lexicon, write_masked_lm, write_seq2seq, write_wordnet

from harness.arm import may_win
from harness.conformance.augmentations import check_augments, check_augments_by_its_stream, same
from harness.conformance.declarations import check_binds, check_declares, check_references
from harness.conformance.small_sets import KINDS, MODALITY, tied_tools, tools_of, weak_set
from harness.conformance.strategies import (
    check_added,
    check_draws,
    check_global_generators_kept,
    check_pure,
    check_reproducible,
    check_sound,
    check_ties,
    check_transformed,
)
from harness.conformance.strategy_suite import batch_of
from harness.data import TrainSet
from harness.learners import Run
from harness.receipts import receipt
from harness.run.options import bare, build
from harness.storage.places import conf_dir
from harness.strategies import Strategy
from harness.strategies.tuning import strategy_space
from harness.streams import stream


def node_of(option: str) -> dict[str, Any]:
    """What a YAML says, with the options that it takes in by default (`/weak@then: majority_vote`) in their places."""
    node = yaml.safe_load((conf_dir() / f"{option}.yaml").read_text())
    within = [item for item in node.pop("defaults", []) if item != "_self_"]
    places = {
        place.partition("@")[2]: f"{place[1:].partition('@')[0]}/{name}"
        for item in within
        for place, name in item.items()
    }
    whole = {**node, **{place: node_of(inner) for place, inner in places.items()}}
    return OmegaConf.to_container(OmegaConf.create(whole), resolve=True)  # type: ignore[return-value]


OPTIONS = sorted(
    f"{group}/{path.stem}" for group in ("weak", "clean", "augment") for path in (conf_dir() / group).glob("*.yaml")
)
RANDOM = (
    "augment/adasyn",
    "augment/borderline_smote",
    "augment/oversample",
    "augment/smote",
    "weak/active_random",
    "weak/random_labels",
    "weak/random_pool_labels",
    "weak/random_share",
    "weak/random_vote",
    "clean/balanced_subset",
    "clean/random_subset",
    "clean/random_drop_embedded_duplicates",
    "clean/random_drop_balanced_subset",
    "clean/random",
    "clean/random_drop",
    "clean/random_relabel",
    "clean/oracle_random",
    "clean/under_sample",
)


def kinds_of(option: str) -> list[str]:
    """The kinds of rows that an option fits: raw cells where it needs them, or changes what stands in a table."""
    node = node_of(option)
    if "cells" in node.get("needs", []):
        return ["raw"]
    raw = ["raw"] if "table" in node["fits"] and "features" in node.get("gives", []) else []
    return [kind for kind in KINDS if MODALITY[kind] in node["fits"]] + raw


CASES = [(option, kind) for option in OPTIONS for kind in kinds_of(option)]
CHANGES = [option for option in OPTIONS if "features" in node_of(option).get("gives", [])]
"""Options that change the features of tables."""
VOTES_BY_HAND = ("weak/crowd", "weak/rules")
"""Options whose file holds votes, or says how rows are voted on."""
BY_HAND = ("clean/edits", "clean/from_file")
"""Options whose file says for each training row what becomes of it."""
ADDS = [option for option in OPTIONS if "rows" in node_of(option).get("gives", [])]
"""Options that add rows, and leave no batch function."""
AUGMENTS = [
    (option, kind) for option, kind in CASES if option.startswith("augment/") and option not in ("augment/none", *ADDS)
]
DRAWN = [(option, kind) for option, kind in AUGMENTS if option != "augment/repeat"]
OLD_WORDS = tuple(f"augment/{name}" for name in ("hidden_mixup", "repeat", "swap", "word_dropout"))
"""Augmentations of texts that bring no word which the text did not have."""
NEW_VALUES = tuple(
    f"augment/{name}"
    for name in ("augmix", "auto_augment", "color_jitter", "jitter", "learned", "learned_table", "noise", "policy",
                 "rand_augment", "random_erasing", "random_policy", "random_policy_table", "trivial_augment")
)  # fmt: skip
"""Augmentations of images and tables that bring darker, brighter or larger values than the batch has."""


def kind_for(option: str) -> str:
    """A table where the option fits one, else the first kind that it fits."""
    kinds = kinds_of(option)
    return "table" if "table" in kinds else kinds[0]


each_case = pytest.mark.parametrize(("option", "kind"), CASES)


@pytest.fixture(scope="session")
def word_sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """By option, where the words lie that it needs; WordNet's folder under its own name."""
    folder = tmp_path_factory.mktemp("words")
    forward, backward = (str(write_seq2seq(folder / name, seed)) for seed, name in enumerate(("there", "back")))
    return {
        "augment/back_translation": {
            "forward": forward,
            "backward": backward,
            "copies": 2,
            "num_beams": 2,
            "max_length": 8,
        },
        "augment/masked_lm": {"path": str(write_masked_lm(folder / "bert")), "top_k": 3},
        "augment/synonyms_from_file": {"path": str(write_lexicon(folder / "lexicon.tsv"))},
        "wordnet": {"path": str(write_wordnet(folder / "nltk"))},
    }


@pytest.fixture
def strategy_of(tmp_path: Path, run: Run, word_sources: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Builds an option; the replays get the record of a trial that swapped labels, dropped and re-weighted rows."""

    def made(option: str, kind: str) -> Strategy:
        node = node_of(option) | word_sources.get(option, {})
        if node.get("lexicon") == "wordnet":
            nltk = pytest.importorskip("nltk")
            monkeypatch.setattr(nltk.data, "path", [word_sources["wordnet"]["path"]])
        if option in VOTES_BY_HAND:
            node["path"] = str(votes_by_hand(option, kind, tmp_path))
        elif option in BY_HAND:
            node["path"] = str(by_hand(option, kind, tmp_path))
        elif option == "augment/policy":
            node["path"] = str(policy_by_hand(kind, tmp_path))
        elif node.get("path") == "???":
            before, _ = weak_set(kind)
            y = before.y[::-1].copy()
            after = TrainSet(before.ids, before.x, y, np.ones_like(before.w), before.votes).rows(np.arange(80))
            node["path"] = str(tmp_path / "record.json")
            record = {"receipts": dict.fromkeys(("weak", "clean"), receipt(before, after))}
            Path(node["path"]).write_text(json.dumps(record))
        return build(node)

    return made


def policy_by_hand(kind: str, folder: Path) -> Path:
    """Two sub-policies of operations that fit the rows."""
    one, other = {"text": ("swap", "word_dropout"), "table": ("jitter", "jitter")}.get(kind, ("rotate", "solarize"))
    (folder / "policy.json").write_text(json.dumps([[[one, 1.0, 0.5]], [[other, 0.5, 0.2], [one, 1.0, 0.1]]]))
    return folder / "policy.json"


def votes_by_hand(option: str, kind: str, folder: Path) -> Path:
    """The votes of the small set as a crowd's answers, or rules that nearly always tell its rows' classes."""
    train, _ = weak_set(kind)
    if option == "weak/crowd":
        rows, workers = np.nonzero(train.votes >= 0)
        answers = {"row": train.ids[rows], "worker": workers, "label": train.votes[rows, workers]}
        pd.DataFrame(answers).to_csv(folder / "answers.csv", index=False)
        return folder / "answers.csv"
    told = {
        "text": "next((i for i, word in enumerate(('alpha', 'beta', 'gamma')) if word in row), None)",
        "table": "row.argmax()",
    }.get(kind, "None if row.mean() < 75 else int(row.mean() // 165) + 1")
    (folder / "rules.py").write_text(f"def told(row):\n    return {told}\n")
    return folder / "rules.py"


def by_hand(option: str, kind: str, folder: Path) -> Path:
    """A file of edits, or a cleaned version, that drops r50, relabels r51 and of raw cells mends a colour."""
    train, _ = weak_set(kind)
    classes = np.array(["a", "b", "c"])
    given = np.where(train.labelled, classes[train.classes], "")
    right = given.copy()
    right[51] = classes[(train.classes[51] + 1) % 3]
    version = pd.DataFrame({"name": train.ids, "label": right})
    lines = [(train.ids[50], given[50], "", ""), (train.ids[51], given[51], right[51], "")]
    if kind == "raw":
        loud = train.x["colour"] == "ALPHA"
        version["colour"] = np.where(loud, "alpha", train.x["colour"])
        lines += [(name, "ALPHA", "alpha", "colour") for name in train.ids[loud]]
    edits = pd.DataFrame(lines, columns=["id", "before", "after", "column"])
    frame = edits if option == "clean/edits" else version.drop(50)
    frame.to_csv(folder / "by_hand.csv", index=False)
    return folder / "by_hand.csv"


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_says_what_it_is_and_binds_to_its_function(option: str) -> None:
    check_declares((conf_dir() / f"{option}.yaml").read_text(), node_of(option))
    check_binds(node_of(option))


@pytest.mark.parametrize("option", OPTIONS)
def test_a_reference_names_options_that_are_none_themselves_and_that_it_fits(option: str) -> None:
    """What is declared exists, may win or is at least another, and takes some of the same rows."""
    node, (group, name) = node_of(option), option.split("/")
    names = [other.partition("/")[2] for other in OPTIONS if other.startswith(group)]
    check_references(group, node, names)
    for word in set(node.get("reference_for") or []) & set(names):
        other = node_of(f"{group}/{word}")
        assert word != name
        assert may_win(other.get("reference_kind") or "")
        assert set(node["fits"]) & set(other["fits"])


FIXED = ("path", "id", "label", "kept", "dropped", "carry", "stage", "columns", "own", "rows", "first", "then", "like")
"""Parameters that say what the user has or wants; nobody tunes them."""
NOT_TUNED = {
    "clean/oracle": "k is a price", "clean/oracle_random": "k is a price", "clean/oracle_uncertain": "k is a price",
    **dict.fromkeys(("clean/active_uncertain", "clean/active_diverse"), "k is a price"),
    **dict.fromkeys(("weak/active_uncertain", "weak/active_diverse", "weak/active_random"), "k is a price"),
    "clean/leaked_keys": "a looser key only drops more", "clean/near_leaked_images": "a looser match only drops more",
    "clean/near_leaked_texts": "a looser match only drops more", "augment/oversample": "it reads none of its parameters",
    **dict.fromkeys(("weak/random_labels", "weak/uniform_labels"), "labels is what tells these two apart"),
}  # fmt: skip
"""Options with parameters and without a space, and why."""


@pytest.mark.parametrize("option", OPTIONS)
def test_what_may_be_tuned_is_there_and_contains_the_value_that_stands_there(option: str) -> None:
    node = node_of(option)
    own = [name for name in bare(node) if not name.startswith("_") and name not in FIXED]
    assert ("space" in node) == (bool(own) and option not in NOT_TUNED) or option.endswith("/tuned")
    for place, spec in node.get("space", {}).items():
        value: Any = node
        for part in place.split("."):
            assert part in value, f"{place} is no parameter"
            value = value[part]
        if "choices" in spec:
            assert value in spec["choices"]
        else:
            assert value is None or spec["low"] <= value <= spec["high"], place
            assert type(spec["low"]) is type(spec["high"]), place
            assert value is None or type(value) is type(spec["low"]), place
    if "space" in node:
        strategy_space(node["space"], build(node))


@each_case
def test_the_result_is_a_sound_training_set(option: str, kind: str, strategy_of: Any, run: Run) -> None:
    train, gold = weak_set(kind)
    after = strategy_of(option, kind)(train, tools_of(train, gold, run))
    check_pinned(f"{option} {kind}", of_rows(after))
    if option in ADDS:
        after = check_added(train, after)
    if option == "weak/validation_labels":  # which leaves its own rows out, as it says
        assert not len(after)
        return
    if option in CHANGES and MODALITY[kind] == "table":
        after = check_transformed(train, after, exact=option not in BY_HAND)
    check_sound(train, after)


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
    kind = kinds_of(option)[0]
    train, gold = weak_set(kind)
    strategy, tools = strategy_of(option, kind), tools_of(train, gold, run)
    check_global_generators_kept(lambda: strategy(train, tools))


@pytest.mark.parametrize("option", RANDOM)
def test_another_stream_gives_another_draw(option: str, strategy_of: Any, run: Run) -> None:
    train, gold = weak_set("table")
    check_draws(strategy_of(option, "table"), train, lambda luck: tools_of(train, gold, run, seed=luck))


@pytest.mark.parametrize("option", [name for name in OPTIONS if not name.startswith("augment/")])
def test_ties_are_not_broken_by_the_order_of_rows(option: str, strategy_of: Any) -> None:
    train, gold = weak_set(kind_for(option))
    check_ties(strategy_of(option, kind_for(option)), train, lambda luck: tied_tools(train, gold, seed=luck))


@pytest.mark.parametrize("option", [name for name in OPTIONS if name.startswith("clean/") and name != "clean/replay"])
def test_cleaning_passes_rows_without_a_label_untouched(option: str, strategy_of: Any, run: Run) -> None:
    train, gold = weak_set(kind_for(option))
    after = strategy_of(option, kind_for(option))(train, tools_of(train, gold, run))
    if option in CHANGES:
        after = check_transformed(train, after, exact=option not in BY_HAND)
    assert after.rows(~after.labelled).digest() == train.rows(~train.labelled).digest()


@pytest.mark.parametrize("option", [name for name in OPTIONS if "votes" in node_of(name).get("needs", [])])
def test_weak_supervision_leaves_rows_without_a_vote_as_they_are(option: str, strategy_of: Any, run: Run) -> None:
    train, gold = weak_set("table")
    silent = (train.votes < 0).all(1)
    after = strategy_of(option, "table")(train, tools_of(train, gold, run))
    assert silent.any()
    assert after.rows(silent).digest() == train.rows(silent).digest()
    selects = "first" in node_of(option)
    assert selects or after.labelled[~silent].all()
    right = (after.classes == gold)[after.labelled & ~train.labelled].mean()
    uninformed = node_of(option)["_target_"].endswith("uniform_labels")
    assert right == pytest.approx(1 / 3, abs=0.2) if uninformed else right > 0.6


@pytest.mark.parametrize(("option", "kind"), AUGMENTS)
def test_an_augmentation_keeps_shapes_labels_and_its_input(option: str, kind: str, strategy_of: Any, run: Run) -> None:
    train, gold = weak_set(kind)
    after = strategy_of(option, kind)(train, tools_of(train, gold, run))
    x, y = batch_of(kind)
    assert after.digest() == train.digest()
    check_augments(after.augment, x, y)
    check_pinned(f"{option} {kind} batch", of_batch(*after.augment(x, y, stream(0, "augment"))))
    if kind == "text":
        texts, _ = after.augment(x, y, stream(0, "augment"))
        texts = getattr(texts, "batch", texts)
        assert all(text.split() for text in texts)
        assert option not in OLD_WORDS or all(
            set(new.split()) <= set(old.split()) for new, old in zip(texts, x, strict=True)
        )
        return
    new, _ = after.augment(x, y, stream(0, "augment"))
    new = getattr(new, "batch", new)
    low, high = (0, 1) if MODALITY[kind] == "image" else (-np.inf, np.inf)
    low, high = (low, high) if option in NEW_VALUES else (x.min(), x.max())
    assert new.min() >= low - 1e-6
    assert new.max() <= high + 1e-6


@pytest.mark.parametrize(("option", "kind"), DRAWN)
def test_an_augmentation_draws_from_its_generator_alone(option: str, kind: str, strategy_of: Any, run: Run) -> None:
    train, gold = weak_set(kind)
    augment = strategy_of(option, kind)(train, tools_of(train, gold, run)).augment
    check_augments_by_its_stream(augment, *batch_of(kind))


@pytest.mark.parametrize(("option", "kind"), AUGMENTS)
def test_augmentations_follow_one_another(option: str, kind: str, strategy_of: Any, run: Run) -> None:
    train, gold = weak_set(kind)
    strategy = strategy_of(option, kind)

    def applied(rows: TrainSet) -> TrainSet:
        return strategy(rows, tools_of(train, gold, run))  # what is drawn before the first batch is drawn alike

    once, twice = applied(train).augment, applied(applied(train)).augment
    rng, (x, y) = stream(0, "augment"), batch_of(kind)
    by_hand = once(*once(x, y, rng), rng)
    composed = twice(x, y, stream(0, "augment"))
    assert same(by_hand[0], composed[0])
    assert torch.equal(by_hand[1], composed[1])
