from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from pinned import check_pinned, of_task

from harness.data import Source
from harness.errors import BadInput

Make = Callable[..., Source]


def test_parts_are_disjoint_and_the_test_part_is_fixed(source: Make) -> None:
    digits = source("digits")
    one, two = digits.split(0), digits.split(1)
    check_pinned("task/digits", of_task(one))
    assert one.test.ids.tolist() == two.test.ids.tolist()
    assert one.train.ids.tolist() != two.train.ids.tolist()
    for task in (one, two):
        ids = [set(part.ids) for part in (task.train, task.valid, task.test)]
        assert [len(part) for part in ids] == [900, 150, 450]
        assert len(set.union(*ids)) == 1500
        assert np.abs(np.bincount(task.test.y, minlength=10) - 45).max() <= 2
    fresh = source("digits", split_seed=None)
    assert fresh.split(0).test.ids.tolist() == one.test.ids.tolist() != fresh.split(1).test.ids.tolist()


def test_images_are_scaled_bytes(source: Make) -> None:
    x = np.asarray(source("digits").split(0).train.x)
    assert (x.dtype, x.shape, x.min(), x.max()) == (np.uint8, (900, 8, 8, 1), 0, 255)


def test_a_quarter_of_the_given_labels_is_wrong(source: Make) -> None:
    digits = source("digits")
    wrong = np.array([digits.split(seed).facts["given_wrong"] for seed in range(12)])
    assert ((wrong > 0.22) & (wrong < 0.28)).all(), wrong
    assert abs(wrong.mean() - 0.25) < 0.01


def test_votes_abstain_where_unsure_and_the_first_vote_is_the_label(source: Make) -> None:
    task = source("digits").split(0)
    votes, given = task.train.votes, task.train.classes
    assert (votes == -1).sum(0).tolist() == [135] * 5
    cast = votes[:, 0] >= 0
    assert (votes[cast, 0] == given[cast]).all()
    mistakes = [(votes[:, j] != task.gold)[votes[:, j] >= 0].mean() for j in range(5)]
    assert mistakes[0] < (given != task.gold).mean(), "annotators abstain where they would err more"
    assert (task.train.w == 1).all()


def test_mistakes_depend_on_the_input(source: Make) -> None:
    """Uniform flips would spread evenly over the classes and would not repeat for the same picture."""
    digits = source("digits")
    tasks = [digits.split(seed) for seed in range(8)]
    wrong = {}
    for task in tasks:
        for name, bad in zip(task.train.ids, task.train.classes != task.gold, strict=True):
            wrong.setdefault(name, []).append(bad)
    shares = np.array([np.mean(bad) for bad in wrong.values() if len(bad) >= 5])
    assert (shares > 0.8).mean() > 0.05
    assert (shares == 0).mean() > 0.3


def test_the_noise_is_said_to_be_simulated(source: Make) -> None:
    facts = source("digits").split(0).facts
    assert facts["simulated"] is True
    assert facts["noise"].startswith("simulated: ")
    assert (facts["train"], facts["valid"], facts["test"], facts["labelled"], facts["overlap"]) == (
        900,
        150,
        450,
        900,
        0,
    )


def test_equal_seeds_give_equal_bits_and_leave_the_global_generator_alone(source: Make) -> None:
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    digits, again = source("digits"), source("digits")
    digits.split(4)
    assert digits.fingerprint == again.fingerprint
    assert digits.split(3).train.digest() == again.split(3).train.digest() != again.split(4).train.digest()
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_n_train_limits_the_rows(source: Make) -> None:
    whole, small = source("digits").split(0), source("digits", n_train=60).split(0)
    assert len(small.train) == len(small.gold) == 60
    assert set(small.train.ids) < set(whole.train.ids)
    assert small.test.ids.tolist() == whole.test.ids.tolist()
    assert set(small.train.classes) == set(range(10))


def test_a_split_is_fast(source: Make) -> None:
    digits = source("digits")
    begin = time.process_time()
    digits.split(0)
    assert time.process_time() - begin < 0.5


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"wrong": [0.25]}, "task.wrong has 1 entries: give one share of mistakes for each of 5"),
        ({"wrong": [0.25, 0.2, 0.2, 0.2, 2.0]}, "an entry of task.wrong is 2"),
        ({"abstain": 1.0}, "task.abstain is 1.0"),
        ({"n_train": 5}, "task.n_train is 5, but there are 10 classes"),
        ({"n_train": 901}, "task.n_train is 901, but there are only 900 rows"),
        ({"n_test": 1790}, "task.n_valid is 150, but there are only 7 rows"),
        ({"n_reserved": 20}, "task.n_reserved is 20: give at least 280"),
        ({"n_reserved": 1197}, "task.n_reserved is 1197"),
    ],
)
def test_bad_input(source: Make, changed: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput, match=said.replace("(", r"\(")) as told:
        source("digits", **changed).split(0)
    assert "\n" not in str(told.value)
