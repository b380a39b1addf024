"""Vote models by hand, on the published vote matrices, and beside the caller's own random generators."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import train_set
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from harness.conformance.generators import global_state
from harness.conformance.small_sets import tools_of, tools_with, weak_set
from harness.data import TrainSet
from harness.errors import BadInput, TrialFailed
from harness.learners import Run
from harness.storage.places import install_command
from harness.strategies import Tools
from harness.strategies.weak import label_model, majority_vote, random_vote, uniform_labels
from harness.strategies.weak.snorkel import _fitted, _posterior
from harness.strategies.weak.votes import settle_labels
from harness.streams import stream


def tools(seed: int = 0) -> Tools:
    return tools_with(stream(seed, "weak"))


@pytest.fixture
def five() -> TrainSet:
    """A majority, a tie, a single vote, a row where all abstain, and a labelled row where all abstain."""
    votes = np.array([[0, 0, 1], [2, 1, -1], [-1, -1, 2], [-1, -1, -1], [-1, -1, -1]])
    return train_set(np.zeros((5, 1), dtype=np.float32), [-1, 0, -1, -1, 1], 3, votes)


def test_majority_by_hand(five: TrainSet) -> None:
    third = [1 / 3] * 3
    soft = majority_vote(five, tools(), labels="soft", ties="soft")
    hard = majority_vote(five, tools(), labels="hard", ties="soft")
    first = majority_vote(five, tools(), labels="hard", ties="first")
    assert np.allclose(soft.y, [[2 / 3, 1 / 3, 0], [0, 0.5, 0.5], [0, 0, 1], third, [0, 1, 0]])
    assert np.allclose(hard.y, [[1, 0, 0], [0, 0.5, 0.5], [0, 0, 1], third, [0, 1, 0]])
    assert np.allclose(first.y, [[1, 0, 0], [0, 1, 0], [0, 0, 1], third, [0, 1, 0]])
    assert [list(out.w) for out in (soft, hard, first)] == [[1, 1, 1, 0, 1]] * 3


def test_random_ties_fall_on_the_tied_classes_alone_and_on_each(five: TrainSet) -> None:
    drawn = [majority_vote(five, tools(seed), labels="hard", ties="random").classes[1] for seed in range(40)]
    assert set(drawn) == {1, 2}
    assert 10 < drawn.count(1) < 30


def test_a_weight_that_a_row_has_is_kept(five: TrainSet) -> None:
    heavy = TrainSet(five.ids, five.x, five.y, np.array([0, 3, 0, 0, 2], np.float32), five.votes)
    assert list(majority_vote(heavy, tools(), labels="soft", ties="soft").w) == [1, 3, 1, 0, 2]


def test_random_vote_takes_each_vote_with_the_same_chance(five: TrainSet) -> None:
    drawn = np.array([random_vote(five, tools(seed)).classes for seed in range(300)])
    assert abs((drawn[:, 0] == 0).mean() - 2 / 3) < 0.1
    assert set(drawn[:, 1]) == {1, 2}
    assert set(drawn[:, 2]) == {2}


@given(st.integers(0, 2**20), st.sampled_from(["soft", "random", "first"]))
def test_every_rule_gives_a_top_class(seed: int, ties: str) -> None:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(4), size=6).round(1) + 0.01
    probs /= probs.sum(1, keepdims=True)
    y = settle_labels(probs, rng, labels="hard", ties=ties)
    assert np.allclose(y.sum(1), 1)
    assert np.allclose(np.where(y > 0, probs, np.inf).min(1), probs.max(1))


def test_a_tie_rule_without_effect_is_refused(five: TrainSet) -> None:
    with pytest.raises(BadInput, match="ties=random has no effect with labels=soft"):
        majority_vote(five, tools(), labels="soft", ties="random")
    with pytest.raises(BadInput, match="did you mean 'first'"):
        majority_vote(five, tools(), labels="hard", ties="frist")


def test_votes_that_are_absent_or_no_class_are_refused(five: TrainSet) -> None:
    none = train_set(np.zeros((2, 1), dtype=np.float32), [0, 1], 3)
    with pytest.raises(BadInput, match="needs votes"):
        random_vote(none, tools())
    high = train_set(np.zeros((1, 1), dtype=np.float32), [0], 3, np.array([[0, 3]]))
    with pytest.raises(BadInput, match=r"votes must lie in 0\.\.2, or be -1 to abstain; found 3"):
        random_vote(high, tools())


def crowd(n: int, accuracies: list[float], k: int, seed: int) -> tuple[TrainSet, np.ndarray]:
    """Independent voters of known accuracies on `n` rows without a label."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(k, size=n)
    wrong = (gold[:, None] + rng.integers(1, k, size=(n, len(accuracies)))) % k
    votes = np.where(rng.random(wrong.shape) < accuracies, gold[:, None], wrong)
    votes[rng.random(votes.shape) < 0.2] = -1
    return train_set(np.zeros((n, 1), dtype=np.float32), [-1] * n, k, votes), gold


def test_the_label_model_trusts_the_better_voters() -> None:
    train, gold = crowd(3000, [0.95, 0.55, 0.55, 0.55], 3, seed=1)
    voted = (train.votes >= 0).any(1)
    plain = majority_vote(train, tools(), labels="hard", ties="random")
    clever = label_model(train, tools(), n_epochs=500, lr=0.01, l2=0.0, rows="voted", labels="soft", ties="soft")
    right = [(out.classes == gold)[voted].mean() for out in (plain, clever)]
    assert right[1] > right[0] + 0.05
    assert list(clever.w) == voted.astype(float).tolist()


def test_the_posterior_is_bayes_by_hand() -> None:
    """Two functions; the class is 0 with odds (0.8 * 0.3) : (0.1 * 0.6) where they vote 0 and 1."""
    table = np.array([[[0.8, 0.1], [0.1, 0.7]], [[0.5, 0.2], [0.3, 0.6]]])
    found = _posterior(np.array([[0, 1], [-1, 0]], dtype=np.int8), table, None)
    assert np.allclose(found, [[0.24 / 0.30, 0.06 / 0.30], [5 / 7, 2 / 7]])


def test_the_posterior_is_snorkels_and_does_not_underflow() -> None:
    from snorkel.labeling.model import LabelModel

    train, _ = crowd(200, [0.8, 0.7, 0.6, 0.7], 3, seed=2)
    model = LabelModel(cardinality=3, verbose=False)
    model.fit(train.votes.astype(int), class_balance=[1 / 3] * 3, progress_bar=False, n_epochs=50, seed=5)
    ours = _posterior(train.votes, _fitted(train.votes, [1 / 3] * 3, 5, n_epochs=50, lr=0.01, l2=0.0), None)
    assert np.allclose(ours, model.predict_proba(train.votes.astype(int)), atol=1e-6)
    many = np.full((1, 2000), 1, dtype=np.int8)
    assert np.allclose(_posterior(many, np.full((2000, 2, 2), 1e-3), None), softmax([[0.0, 0.0]], axis=1))


def test_a_function_that_never_votes_changes_nothing() -> None:
    train, _ = crowd(300, [0.9, 0.7, 0.7], 2, seed=3)
    silent = np.column_stack([train.votes, np.full(300, -1)]).astype(np.int8)
    more = TrainSet(train.ids, train.x, train.y, train.w, silent)
    rule = {"n_epochs": 100, "lr": 0.01, "l2": 0.0, "rows": "voted", "labels": "soft", "ties": "soft"}
    assert np.array_equal(label_model(train, tools(), **rule).y, label_model(more, tools(), **rule).y)


def test_the_label_model_needs_three_functions_that_vote(five: TrainSet) -> None:
    two = TrainSet(five.ids, five.x, five.y, five.w, five.votes[:, :2])
    with pytest.raises(BadInput, match="needs three labelling functions that vote; this task has 2"):
        label_model(two, tools(), n_epochs=1, lr=0.01, l2=0.0, rows="voted", labels="soft", ties="soft")


def test_a_diverged_label_model_is_a_failed_trial() -> None:
    train, _ = crowd(100, [0.9, 0.7, 0.7], 2, seed=3)
    with pytest.raises(TrialFailed, match="loss became NaN"):
        label_model(train, tools(), n_epochs=200, lr=1e6, l2=0.0, rows="voted", labels="soft", ties="soft")


def test_absent_snorkel_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    train, _ = crowd(50, [0.9, 0.7, 0.7], 2, seed=3)
    monkeypatch.setitem(sys.modules, "snorkel.labeling.model", None)
    with pytest.raises(BadInput, match=re.escape(install_command("weak"))):
        label_model(train, tools(), n_epochs=1, lr=0.01, l2=0.0, rows="voted", labels="soft", ties="soft")


def test_snorkel_leaves_the_callers_generators_alone(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    """Python's own generator is looked at in the next test: the type checker of the tests draws from it."""
    train, gold = weak_set("table")
    before = global_state()
    label_model(
        train, tools_of(train, gold, run), n_epochs=10, lr=0.01, l2=0.0, rows="voted", labels="soft", ties="soft"
    )
    assert before == global_state()
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_importing_snorkel_leaves_the_callers_generators_alone() -> None:
    code = (
        "import random, torch, numpy as np, harness.strategies.weak.snorkel as s\n"
        "state = lambda: (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())\n"
        "before = state()\n"
        "s._fitted(np.zeros((9, 3), dtype=np.int8), [0.5, 0.5], 0, n_epochs=1, lr=0.01, l2=0.0)\n"
        "assert before == state()\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=900)


def published(folder: Path, part: str) -> tuple[TrainSet, np.ndarray]:
    """The published votes of one part, as rows without a label, and their true classes."""
    rows = list(json.loads((folder / f"{part}.json").read_text()).values())
    votes = np.array([row["weak_labels"] for row in rows])
    k = len(json.loads((folder / "label.json").read_text()))
    x = np.zeros((len(rows), 1), dtype=np.float32)
    return train_set(x, [-1] * len(rows), k, votes), np.array([row["label"] for row in rows])


def test_labels_without_information_are_given_to_the_rows_with_votes_only(five: TrainSet) -> None:
    """Soft ones are uniform; hard ones are drawn, each class as often; weights are those of any use of the votes."""
    voted = (five.votes >= 0).any(1)
    soft = uniform_labels(five, tools(), labels="soft")
    assert np.allclose(soft.y[voted], 1 / five.k)
    counted = majority_vote(five, tools(), labels="hard", ties="soft")
    assert np.array_equal(soft.w, counted.w)
    assert np.array_equal(soft.y[~voted], five.y[~voted])
    train, truth = crowd(3000, [0.95, 0.9, 0.9], 3, seed=1)
    hard = uniform_labels(train, tools(), labels="hard")
    rows = (train.votes >= 0).any(1)
    assert np.bincount(hard.classes[rows], minlength=3) / rows.sum() == pytest.approx([1 / 3] * 3, abs=0.04)
    assert (hard.classes == truth)[rows].mean() == pytest.approx(1 / 3, abs=0.04)
    assert set(np.unique(hard.y[rows]).tolist()) == {0.0, 1.0}
    with pytest.raises(BadInput, match="labels=sotf is not known"):
        uniform_labels(five, tools(), labels="sotf")


@pytest.mark.shared
def test_majority_vote_on_published_votes(shared: Path) -> None:
    """Lowest index 77.6; equal shares score 81.6, which is what random ties score on average."""
    test, gold = published(shared / "golden/wrench/youtube", "test")
    first = majority_vote(test, tools(), labels="hard", ties="first")
    shares = majority_vote(test, tools(), labels="hard", ties="soft")
    drawn = [majority_vote(test, tools(seed), labels="hard", ties="random") for seed in range(40)]
    each = np.arange(len(gold))
    assert round((first.classes == gold).mean(), 3) == 0.776
    assert round(float(shares.y[each, gold].mean()), 3) == 0.816
    assert abs(np.mean([out.y[each, gold].mean() for out in drawn]) - 0.816) < 0.005


@pytest.mark.shared
@pytest.mark.parametrize(("name", "expected"), [("youtube", 0.8400), ("trec", 0.6080)])
def test_majority_vote_reaches_the_published_table(shared: Path, name: str, expected: float) -> None:
    """WRENCH's table 3, whose ties are broken by a hash of the row's number."""
    from snorkel.utils import probs_to_preds

    test, gold = published(shared / "golden/wrench" / name, "test")
    shares = majority_vote(test, tools(), labels="hard", ties="soft")
    assert (probs_to_preds(shares.y.astype(float)) == gold).mean() == pytest.approx(expected, abs=1e-9)


@pytest.mark.shared
def test_the_label_model_on_published_votes(shared: Path) -> None:
    """Fitted on the training votes and read on the test votes: 85.8 +- 0.3 over seeds with Snorkel alone."""
    train, _ = published(shared / "golden/wrench/youtube", "train")
    test, gold = published(shared / "golden/wrench/youtube", "test")
    voted = train.votes[(train.votes >= 0).any(1)]
    table = _fitted(voted, [0.5, 0.5], 0, n_epochs=500, lr=0.01, l2=0.0)
    y = settle_labels(_posterior(test.votes, table, None), tools().rng, labels="hard", ties="soft")
    assert abs(float(y[np.arange(len(gold)), gold].mean()) - 0.858) < 0.01
