"""Out-of-sample probabilities: nobody judges a row that they were trained on, and nothing is computed twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import train_set

from harness.conformance.small_sets import logistic, weak_set
from harness.data import EvalSet, TrainSet, View
from harness.errors import BadInput, TrialFailed
from harness.learners import Fit, Learner, Run
from harness.learners.probe import out_of_sample

Seen = list[tuple[TrainSet, EvalSet, Run]]


def rows(classes: list[int]) -> TrainSet:
    """Each row holds its own number, so that a learner that remembers can be caught."""
    return train_set(np.arange(len(classes), dtype=np.float32)[:, None], classes, 3)


def remembering(seen: Seen, value: float = 0.0) -> Learner:
    """Says 1 for class 0 on a row that it was trained on, else `value`; notes what it was given."""

    def learner(train: TrainSet, valid: EvalSet, run: Run) -> Fit:
        seen.append((train, valid, run))
        known = set(train.x[:, 0].tolist())

        def predict(x: Any) -> np.ndarray:
            first = np.array([1.0 if number in known else value for number in x[:, 0]], dtype=np.float32)
            return np.column_stack([first, 1 - first, np.zeros_like(first)])

        return Fit(predict=predict, parameters=0, examples=0)

    return learner


def test_no_row_is_judged_by_a_probe_that_saw_it(run: Run) -> None:
    seen: Seen = []
    train = rows([0, 1, 2] * 4 + [-1, -1])
    probs = out_of_sample(train, learner=remembering(seen), run=run, identity="x")
    assert (probs.shape, probs.dtype) == ((14, 3), np.float32)
    assert (probs[:, 0] == 0).all()
    assert not probs.flags.writeable
    assert len(seen) == run.protocol.folds
    held_out = [set(range(12)) - set(fitted.x[:, 0].astype(int).tolist()) for fitted, _, _ in seen]
    assert sorted(number for fold in held_out for number in fold) == list(range(12))
    assert all(np.ptp(np.bincount(fitted.classes)) <= 1 for fitted, _, _ in seen)


def test_no_label_but_its_own_reaches_a_probe_whatever_it_selects(run: Run) -> None:
    seen: Seen = []
    best = replace(run, protocol=replace(run.protocol, selection="best"))
    out_of_sample(rows([0, 1, 2] * 4 + [-1]), learner=remembering(seen), run=best, identity="x")
    assert all(set(valid.ids.tolist()) <= set(fitted.ids.tolist()) for fitted, valid, _ in seen)
    assert all(fold.protocol.selection == "last" for _, _, fold in seen)


def test_each_fold_has_streams_of_its_own_and_its_share_of_the_steps(run: Run) -> None:
    seen: Seen = []
    told: list[Any] = []
    loud = replace(run, steps=30, log=told.append)
    out_of_sample(rows([0, 1, 2] * 4), learner=remembering(seen), run=loud, identity="x")
    draws = {fold.stream("init").random() for _, _, fold in seen} | {run.stream("init").random()}
    assert len(draws) == run.protocol.folds + 1
    assert [fold.steps for _, _, fold in seen] == [20] * 3
    seen[0][2].log({"step": 1})
    assert told == []


def test_rows_without_a_label_get_the_mean_of_all_probes(run: Run) -> None:
    """Each fold answers with another number: the labelled rows get one of them, the others the mean."""
    answers = iter([0.0, 0.3, 0.9])

    def learner(train: TrainSet, valid: EvalSet, fold: Run) -> Fit:
        return remembering([], next(answers))(train, valid, fold)

    probs = out_of_sample(rows([0, 1, 2] * 3 + [-1] * 2), learner=learner, run=run, identity="x")
    assert sorted(probs[:9, 0].round(1).tolist()) == pytest.approx([0.0] * 3 + [0.3] * 3 + [0.9] * 3)
    assert np.allclose(probs[9:], [0.4, 0.6, 0.0])


def test_fewer_folds_where_a_class_is_small(run: Run) -> None:
    seen: Seen = []
    out_of_sample(rows([0] * 6 + [2] * 2), learner=remembering(seen), run=run, identity="x")
    assert len(seen) == 2


def test_a_class_with_one_row_is_told_by_name(run: Run) -> None:
    with pytest.raises(TrialFailed, match="class 'b' has one labelled row and needs two"):
        out_of_sample(rows([0, 0, 0, 1, 2, 2]), learner=remembering([]), run=run, identity="x")
    with pytest.raises(TrialFailed, match="no labelled row"):
        out_of_sample(rows([-1, -1]), learner=remembering([]), run=run, identity="x")


def grouped(run: Run, train: TrainSet, *groups: list[int]) -> Run:
    ids = train.ids.astype(str).tolist()
    return replace(run, groups={ids[row]: number for number, rows_ in enumerate(groups) for row in rows_})


def test_no_row_is_judged_by_a_probe_that_saw_its_group(run: Run) -> None:
    seen: Seen = []
    train = rows([0, 1, 2] * 6)
    run = grouped(run, train, [0, 1, 2, 3, 4, 5], [6, 7, 8], [9, 10, 11])
    out_of_sample(train, learner=remembering(seen), run=run, identity="x")
    fitted = [set(own.x[:, 0].astype(int).tolist()) for own, _, _ in seen]
    for group in ({0, 1, 2, 3, 4, 5}, {6, 7, 8}, {9, 10, 11}):
        assert all(group <= own or not group & own for own in fitted)
    assert sum(len(own) for own in fitted) == 36, "each row is held out once"


def test_no_row_is_judged_by_a_probe_that_saw_its_twin(run: Run) -> None:
    seen: Seen = []
    train = rows([0, 1, 2] * 4)
    x = train.x.copy()
    x[[3, 6]] = x[0]
    probs = out_of_sample(replace(train, x=x), learner=remembering(seen), run=run, identity="x")
    assert (probs[:, 0] == 0).all()


def test_a_row_without_a_label_is_judged_by_the_probe_that_did_not_see_its_twin(run: Run) -> None:
    train = rows([0, 1, 2] * 4 + [-1, -1])
    x = train.x.copy()
    x[12] = x[0]
    probs = out_of_sample(replace(train, x=x), learner=remembering([]), run=run, identity="x")
    assert probs[12].tolist() == [0, 1, 0]
    assert probs[13].tolist() == [0, 1, 0]


def test_equal_sets_in_other_groups_are_probed_anew(run: Run) -> None:
    seen: Seen = []
    train = rows([0, 1, 2] * 4)
    for each in (run, grouped(run, train, [0, 1]), grouped(run, train, [0, 2]), grouped(run, train, [0, 1])):
        out_of_sample(train, learner=remembering(seen), run=each, identity="x")
    assert len(seen) == 3 * run.protocol.folds


def test_a_class_in_a_single_group_is_told_by_name(run: Run) -> None:
    train = rows([0, 0, 0, 1, 1, 2, 2])
    with pytest.raises(TrialFailed, match="the 2 labelled rows of class 'b' are of one group, or repeat one row"):
        out_of_sample(train, learner=remembering([]), run=grouped(run, train, [3, 4, 0]), identity="x")


def test_classes_that_no_division_spreads_are_told(run: Run) -> None:
    """Of three groups of two classes each, two must share a fold, and all of the class that they share lies there."""
    train = rows([0, 1, 0, 2, 1, 2])
    with pytest.raises(TrialFailed, match="in every division into folds a class lies in one fold only"):
        out_of_sample(train, learner=remembering([]), run=grouped(run, train, [0, 1], [2, 3], [4, 5]), identity="x")


def test_rare_classes_of_mixed_groups_are_spread(run: Run) -> None:
    seen: Seen = []
    train = rows([0, 0, 0, 0, 1, 2, 1, 2])
    out_of_sample(train, learner=remembering(seen), run=grouped(run, train, [4, 5], [6, 7]), identity="x")
    assert all(set(own.classes.tolist()) == {0, 1, 2} for own, _, _ in seen)


def test_one_fold_is_no_cross_validation(run: Run) -> None:
    with pytest.raises(BadInput, match=r"protocol\.folds is 1"):
        replace(run.protocol, folds=1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_probe_without_finite_probabilities_fails_the_trial(run: Run, value: float) -> None:
    with pytest.raises(TrialFailed, match="not finite"):
        out_of_sample(rows([0, 1, 2] * 3), learner=remembering([], value), run=run, identity="x")


def test_a_probe_is_fitted_once_for_equal_data_and_identity(run: Run) -> None:
    seen: Seen = []
    ask: Callable[..., np.ndarray] = lambda train, who: out_of_sample(  # noqa: E731
        train, learner=remembering(seen), run=run, identity=who
    )
    first = ask(rows([0, 1, 2] * 3), {"probe": 1})
    assert np.array_equal(ask(rows([0, 1, 2] * 3), {"probe": 1}), first)
    assert len(seen) == 3
    ask(rows([0, 1, 2] * 3), {"probe": 2})
    ask(rows([0, 1, 2, 0, 1, 2, 0, 2, 1]), {"probe": 1})
    assert len(seen) == 9


def test_an_augmented_set_is_never_taken_from_the_cache(run: Run) -> None:
    seen: Seen = []
    train = replace(rows([0, 1, 2] * 3), augment=lambda x, y, rng: (x, y))
    for _ in range(2):
        out_of_sample(train, learner=remembering(seen), run=run, identity="x")
    assert len(seen) == 6
    assert all(fitted.augment is train.augment for fitted, _, _ in seen)


def test_another_seed_makes_other_folds_and_a_salt_does_not(run: Run) -> None:
    def first_fold(changed: Run) -> list[str]:
        seen: Seen = []
        out_of_sample(
            rows([0, 1, 2] * 5), learner=remembering(seen), run=changed, identity=changed.seed + len(run.salt)
        )
        return seen[0][0].ids.tolist() if seen else []

    plain = first_fold(run)
    fresh = replace(run, cache=replace(run.cache, folder=run.cache.folder / "salted"))
    assert first_fold(replace(fresh, salt="a")) == plain
    assert first_fold(replace(run, seed=1)) != plain


@pytest.mark.parametrize("kind", ["grey", "text", "table"])
def test_a_real_probe_knows_the_classes(run: Run, kind: str) -> None:
    train, gold = weak_set(kind)
    probs = out_of_sample(train, learner=logistic, run=run, identity=kind)
    assert np.allclose(probs.sum(1), 1, atol=1e-5)
    assert (probs.argmax(1) == gold).mean() > 0.8


def test_rows_that_stay_in_their_file_give_the_same(run: Run) -> None:
    train, _ = weak_set("table")
    far = replace(train, x=View(train.x, np.arange(len(train))))
    near, there = (out_of_sample(rows, learner=logistic, run=run, identity=i) for i, rows in enumerate((train, far)))
    assert np.array_equal(near, there)
