"""The type that flows: shapes, read-only arrays, content digests, views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import train_set

from harness.data import TrainSet, View, digest, one_hot, take
from harness.errors import BadInput


@pytest.fixture
def train() -> TrainSet:
    return train_set(np.arange(8, dtype=np.float32).reshape(4, 2), [0, 1, -1, 2], 3)


def test_unknown_classes_are_uniform_and_weigh_nothing(train):
    assert train.y[2].tolist() == pytest.approx([1 / 3] * 3)
    assert train.labelled.tolist() == [True, True, False, True]
    assert train.classes[[0, 1, 3]].tolist() == [0, 1, 2]


def test_rows_by_mask_and_by_index_keep_columns_together(train):
    by_mask, by_index = train.rows(train.labelled), train.rows(np.array([0, 1, 3]))
    assert by_mask.ids.tolist() == by_index.ids.tolist() == ["r0", "r1", "r3"]
    assert by_mask.x.tolist() == [[0, 1], [2, 3], [6, 7]]


@pytest.mark.parametrize("name", ["ids", "x", "y", "w", "votes"])
def test_arrays_cannot_be_written(train, name):
    with pytest.raises(ValueError, match="read-only"):
        getattr(train, name)[...] = 0


def test_the_callers_array_stays_writable():
    x = np.zeros((2, 1), dtype=np.float32)
    train_set(x, [0, 1], 2)
    x[0] = 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w": np.ones(3, dtype=np.float32)}, "differ in length"),
        ({"y": np.full((4, 3), 0.5, dtype=np.float32)}, "sums to 1"),
        ({"w": np.array([1, -1, 1, 1], dtype=np.float32)}, "not negative"),
        ({"w": np.array([1, np.nan, 1, 1], dtype=np.float32)}, "finite"),
    ],
)
def test_what_is_no_training_set_is_refused(train, change, message):
    with pytest.raises((BadInput, TypeError), match=message if "w" not in change or len(change["w"]) == 4 else "."):
        replace(train, **change)


def test_a_view_reads_rows_where_they_lie():
    base = np.arange(20).reshape(10, 2)
    view = View(base, np.array([3, 1, 4]))
    assert take(view, np.array([2, 0])).rows.tolist() == [4, 3]
    assert np.asarray(view).tolist() == base[[3, 1, 4]].tolist()
    assert view[np.array([1])].tolist() == [[2, 3]]
    assert (view.shape, len(view)) == ((3, 2), 3)
    assert digest(view) == digest(base[[3, 1, 4]])


def test_digests_tell_content_apart(train):
    assert train.digest() == train.rows(np.arange(4)).digest()
    changed = [
        train.rows(np.array([0, 1, 2])),
        replace(train, y=one_hot(np.array([0, 1, 2, 2]), 3)),
        replace(train, w=train.w * 2),
        replace(train, ids=np.array(["a", "b", "c", "d"])),
    ]
    assert len({item.digest() for item in [train, *changed]}) == 5
    assert digest(np.zeros(2, np.float32)) != digest(np.zeros(2, np.float64))
    assert digest(np.array(["ab", "c"])) != digest(np.array(["a", "bc"]))
