"""Label models by hand, against the libraries of the field, on simulated voters, and under every kind of prior."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import composed, train_set
from hypothesis import given, settings
from hypothesis import strategies as st
from test_weak import crowd, five, published, tools  # noqa: F401 - `five` is a fixture

from harness.conformance.small_sets import held_out, tools_with, weak_set
from harness.data import TrainSet
from harness.errors import BadInput
from harness.run.config import plain
from harness.run.options import build
from harness.strategies.weak import (
    dawid_skene,
    gold,
    label_model,
    label_model_prior,
    naive_bayes,
    triplets,
    validation_labels,
    weighted_vote,
)
from harness.strategies.weak.annotators import _glad_loss, fit_glad, fit_mace
from harness.strategies.weak.flyingsquid import accuracies, fit_triplets, joint, sides
from harness.strategies.weak.models import (
    VoteModel,
    by_bayes,
    class_prior,
    indicators,
    label_by_model,
    majority,
    shares_of_votes,
)
from harness.strategies.weak.voter_tables import fit_dawid_skene, fit_naive_bayes
from harness.strategies.weak.weighted_votes import agreement, fit_weighted_vote
from harness.streams import stream

EM = {"smoothing": 0.0, "tolerance": 1e-9, "iterations": 2000}
SOFT = {"labels": "soft", "ties": "soft"}
HALF = np.array([0.5, 0.5])
THIRDS = np.full(3, 1 / 3)


def votes(rows: list[list[int]]) -> np.ndarray:
    return np.array(rows, dtype=np.int8)


def answers(found: np.ndarray) -> pd.DataFrame:
    """Votes as crowd-kit takes them: numbered as they first occur, so that its orders agree."""
    row, voter = np.nonzero(found >= 0)
    return pd.DataFrame({"task": row, "worker": voter, "label": found[row, voter]})


# Priors


def test_a_prior_is_uniform_given_bought_or_a_list(five: TrainSet) -> None:  # noqa: F811
    asked = tools_with(stream(0, "weak"), valid=lambda: held_out(five, np.array([0, 0, 2, 1, 1])))
    assert class_prior("uniform", five, tools()) == pytest.approx(THIRDS)
    assert class_prior("given", five, tools()) == pytest.approx([2 / 5, 2 / 5, 1 / 5])
    assert class_prior("valid", five, asked) == pytest.approx([3 / 5, 1 / 5, 1 / 5])
    assert class_prior([0.2, 0.3, 0.5], five, tools()) == pytest.approx([0.2, 0.3, 0.5])


@pytest.mark.parametrize("prior", [[0.5, 0.5], [0.5, 0.5, 0.5], [1.0, 0.0, 0.0]])
def test_a_prior_that_is_none_is_refused(five: TrainSet, prior: list[float]) -> None:  # noqa: F811
    with pytest.raises(BadInput, match="must be 3 numbers above 0 that sum to 1"):
        class_prior(prior, five, tools())


def test_wrong_priors_are_told(five: TrainSet) -> None:  # noqa: F811
    with pytest.raises(BadInput, match="did you mean 'uniform'"):
        class_prior("uniforn", five, tools())
    with pytest.raises(BadInput, match="prior=given needs labelled rows"):
        class_prior("given", five.rows(np.array([0, 2])), tools())


def test_validation_labels_are_asked_for_only_where_the_prior_is_theirs(five: TrainSet) -> None:  # noqa: F811
    asked: list[str] = []
    lent = tools_with(stream(0, "weak"), valid=lambda: asked.append("valid") or held_out(five, np.zeros(5)))
    weighted_vote(five, lent, voters="equal", prior="uniform", **SOFT)
    assert not asked
    weighted_vote(five, lent, voters="equal", prior="valid", **SOFT)
    assert asked == ["valid"]


# Bayes


def test_bayes_by_hand_with_and_without_an_impossible_class() -> None:
    table = np.array([[[0.8, 0.1]], [[0.2, 0.0]], [[0.0, 0.0]]])
    found = by_bayes(indicators(votes([[0], [1], [2], [-1]]), range(3)), table, np.array([0.25, 0.75]))
    assert found == pytest.approx(np.array([[0.2 / 0.275, 0.075 / 0.275], [1, 0], [0.5, 0.5], [0.25, 0.75]]))


def test_a_class_that_the_prior_excludes_stays_excluded_in_silence() -> None:
    """EM may leave a class without any row; a warning would be an error here."""
    table = np.array([[[0.8, 0.1]], [[0.2, 0.9]]])
    assert by_bayes(indicators(votes([[0], [1], [-1]]), range(2)), table, np.array([1.0, 0.0])).tolist() == [[1, 0]] * 3


# Weighted votes


def test_weights_of_classes_by_hand() -> None:
    model = fit_weighted_vote(votes([[0, 1]]), np.array([0.2, 0.8]), voters="equal")
    found = model(votes([[0, 1], [0, 0], [-1, -1]]))
    assert found == pytest.approx(np.array([[0.2, 0.8], [1, 0], [0.5, 0.5]]))


def test_weights_of_voters_by_hand() -> None:
    """The third voter agrees with the majority in one of three votes, where a tie counts by half."""
    given = votes([[0, 0, 1], [1, 1, 1], [0, 0, 1], [0, -1, 1]])
    assert agreement(given, 2) == pytest.approx([3.5 / 4, 1, 1.5 / 4])
    found = fit_weighted_vote(given, HALF, voters="agreement")(votes([[0, 1, 1]]))
    assert found == pytest.approx(np.array([[0.875 / 2.25, 1.375 / 2.25]]))


def test_weights_of_voters_are_those_of_wawa() -> None:
    from crowdkit.aggregation import Wawa

    rows = stream(3, "wawa").integers(0, 2, size=(200, 5)).astype(np.int8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Wawa().fit(answers(rows)).skills_.sort_index().to_numpy()
    assert agreement(rows, 2) == pytest.approx(theirs)


# Dawid and Skene


def test_em_stops_at_once_where_nothing_is_to_learn() -> None:
    """Unanimous voters: every table is the identity, and the prior is the share of the classes."""
    given = votes([[0, 0], [0, 0], [1, 1]])
    model = fit_dawid_skene(given, HALF, coins="many", abstain="ignore", estimated=True, **EM)
    assert model(given) == pytest.approx(np.array([[1, 0], [1, 0], [0, 1]]))
    assert model(votes([[0, 1]])) == pytest.approx(np.array([[0.5, 0.5]])), "what no class allows tells nothing"
    assert model(votes([[-1, -1]])) == pytest.approx(np.array([[2 / 3, 1 / 3]]))


def test_one_step_of_em_by_hand() -> None:
    """From the shares (1, 0), (1/2, 1/2): voter 0 says 0 always; voter 1 says 0 with 2/3 where it is 0."""
    given = votes([[0, 0], [0, 1]])
    model = fit_dawid_skene(
        given, HALF, coins="many", abstain="ignore", smoothing=0.0, tolerance=0.0, iterations=1, estimated=False
    )
    assert model(given) == pytest.approx(np.array([[1, 0], [1 / 4, 3 / 4]]))


def test_dawid_skene_is_crowd_kits() -> None:
    from crowdkit.aggregation import DawidSkene

    train, _ = crowd(300, [0.9, 0.7, 0.6, 0.75], 3, seed=5)
    voted = train.votes[(train.votes >= 0).any(1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        fitted = DawidSkene(n_iter=15, tol=0).fit(answers(voted))
    theirs = fitted.probas_.sort_index()[[0, 1, 2]].to_numpy()
    em = {"smoothing": 0.0, "tolerance": 0.0, "iterations": len(fitted.loss_history_)}
    ours = fit_dawid_skene(voted, THIRDS, coins="many", abstain="ignore", estimated=True, **em)(voted)
    assert np.abs(ours - theirs).max() < 1e-6


def test_one_coin_is_crowd_kits() -> None:
    from crowdkit.aggregation import OneCoinDawidSkene

    train, _ = crowd(300, [0.9, 0.7, 0.6, 0.75], 3, seed=6)
    voted = train.votes[(train.votes >= 0).any(1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        fitted = OneCoinDawidSkene(n_iter=15, tol=0).fit(answers(voted))
    theirs = fitted.probas_.sort_index()[[0, 1, 2]].to_numpy()
    em = {"smoothing": 0.0, "tolerance": 0.0, "iterations": len(fitted.loss_history_)}
    ours = fit_dawid_skene(voted, THIRDS, coins="one", abstain="ignore", estimated=True, **em)(voted)
    assert np.abs(ours - theirs).max() < 1e-6


def test_an_abstention_tells_something_only_as_a_symbol() -> None:
    """The last voter speaks only where the class is 1, and always says 1: ignored, his silence tells nothing."""
    given = votes([[0, 0, -1]] * 6 + [[1, 1, 1]] * 4 + [[0, 1, -1]])
    found = {
        abstain: fit_dawid_skene(given, HALF, coins="many", abstain=abstain, estimated=False, **EM)(given)[-1]
        for abstain in ("symbol", "ignore")
    }
    assert found["symbol"][0] > 0.99
    assert found["ignore"][0] < 0.99 or found["ignore"][0] == pytest.approx(0.5)


def test_an_abstention_of_one_coin_is_refused() -> None:
    with pytest.raises(BadInput, match="set abstain=ignore"):
        fit_dawid_skene(votes([[0]]), HALF, coins="one", abstain="symbol", estimated=True, **EM)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**20))
def test_em_hangs_on_no_order_of_rows(seed: int) -> None:
    rows = np.random.default_rng(seed).integers(-1, 3, size=(40, 4)).astype(np.int8)
    fits = [
        fit_dawid_skene(part, THIRDS, coins="many", abstain="symbol", estimated=True, **EM)
        for part in (rows, rows[::-1])
    ]
    assert np.array_equal(fits[0](rows), fits[1](rows))


def test_every_model_finds_the_better_voters() -> None:
    """Of four voters one is good; each model that weighs voters beats the plain majority by far."""
    train, truth = crowd(3000, [0.95, 0.55, 0.55, 0.55], 3, seed=1)
    voted = (train.votes >= 0).any(1)
    rows, right = train.votes[voted], truth[voted]
    plain = (fit_weighted_vote(rows, THIRDS, voters="equal")(rows).argmax(1) == right).mean()
    em = {"smoothing": 0.01, "tolerance": 1e-5, "iterations": 500}
    models = {
        "many": fit_dawid_skene(rows, THIRDS, coins="many", abstain="ignore", estimated=True, **em),
        "one": fit_dawid_skene(rows, THIRDS, coins="one", abstain="ignore", estimated=False, **em),
        "naive bayes": fit_naive_bayes(
            rows, THIRDS, y=majority(shares_of_votes(rows, 3)), abstain="ignore", smoothing=1.0
        ),
        "mace": fit_mace(rows, THIRDS, rng=stream(0, "mace"), n_restarts=3, n_iter=50),
        "glad": fit_glad(rows, THIRDS, n_iter=50, tol=1e-5),
        "triplets": fit_triplets(rows, THIRDS, average="median", no_overlap="zero"),
    }
    gains = {name: (model(rows).argmax(1) == right).mean() - plain for name, model in models.items()}
    assert min(gains.values()) > 0.05, gains


@pytest.mark.shared
@pytest.mark.parametrize(("name", "right"), [("youtube", 0.817), ("sms", 0.904), ("trec", 0.472)])
def test_the_shipped_dawid_skene_on_three_pools(shared: Path, name: str, right: float) -> None:
    """On sms any smoothing, however small, lets EM end elsewhere: 84.4 % at 0.001 to 0.1."""
    train, truth = published(shared / "tasks/wrench" / name, "train")
    voted = np.flatnonzero((train.votes >= 0).any(1))
    made = build(plain(composed("weak=dawid_skene").weak))(train.rows(voted), tools())
    assert (made.classes == truth[voted]).mean() == pytest.approx(right, abs=0.0006)


# Naive Bayes


def test_naive_bayes_on_given_labels_by_hand() -> None:
    """Voter 0 under class 0: two of three right with one added to each; the row without a label is then judged."""
    rows = votes([[0], [0], [1], [1], [1]])
    train = train_set(np.zeros((5, 1), np.float32), [0, 0, 0, 1, -1], 2, rows)
    found = naive_bayes(train, tools(), teacher="given", abstain="ignore", smoothing=1.0, prior="uniform", **SOFT)
    assert found.y[4] == pytest.approx([(2 / 5) / (2 / 5 + 2 / 3), (2 / 3) / (2 / 5 + 2 / 3)])
    weighty = TrainSet(train.ids, train.x, train.y, np.array([1, 1, 0, 1, 0], np.float32), rows)
    found = naive_bayes(weighty, tools(), teacher="given", abstain="ignore", smoothing=1.0, prior="uniform", **SOFT)
    assert found.y[4] == pytest.approx([(1 / 4) / (1 / 4 + 2 / 3), (2 / 3) / (1 / 4 + 2 / 3)])


def test_naive_bayes_needs_votes_on_labelled_rows(five: TrainSet) -> None:  # noqa: F811
    rule = {"abstain": "symbol", "smoothing": 1.0, "prior": "uniform", **SOFT}
    with pytest.raises(BadInput, match="set teacher=majority"):
        naive_bayes(five.rows(np.array([0, 2, 4])), tools(), teacher="given", **rule)


# Triplets


def test_accuracies_by_hand() -> None:
    """Mean products of 1/2, 1/2 and 1/4; a voter who is silent makes three more triplets, and each counts as 0."""
    three = np.array([(1, 1 if i % 4 else -1, 1 if i // 4 else -1, 0) for i in range(16)], dtype=float)
    for average in ("mean", "median"):
        assert accuracies(three[:, :3], average, "zero") == pytest.approx([1, 0.5, 0.5])
    assert accuracies(three, "mean", "zero") == pytest.approx([1 / 3, 0.5 / 3, 0.5 / 3, 0])
    assert accuracies(three, "median", "zero") == pytest.approx([0, 0, 0, 0])
    assert accuracies(three, "mean", "skip") == pytest.approx([1, 0.5, 0.5, 0])


def test_accuracies_of_independent_voters_come_out() -> None:
    """A voter who abstains in a fifth of the rows is right in four fifths of what it would be else."""
    rng = stream(2, "triplets")
    side = rng.choice([-1.0, 1.0], size=40_000)
    true = np.array([0.8, 0.6, 0.4, 0.2])
    right = np.where(rng.random((len(side), 4)) < (1 + true) / 2, 1, -1)
    sided = right * side[:, None] * (rng.random((len(side), 4)) < 0.8)
    for average in ("mean", "median"):
        assert accuracies(sided, average, "zero") == pytest.approx(0.8 * true, abs=0.05)


def test_voters_of_one_class_each_differ_by_how_often_they_meet() -> None:
    """Each function votes one class and never errs where two meet: what is left is the overlap, by hand.

    Voters 0, 1, 2 vote for class 1 in 4, 3 and 2 of ten rows; together 0 and 1 vote in 3, 0 and 2 in 1, 1 and 2 in 1.
    """
    rows = votes([[1, 1, 1]] + [[1, 1, -1]] * 2 + [[1, -1, -1], [-1, -1, 1]] + [[-1, -1, -1]] * 5)
    a = accuracies(sides(rows, 1), "mean", "zero")
    assert a == pytest.approx([np.sqrt(0.3 * 0.1 / 0.1), np.sqrt(0.3 * 0.1 / 0.1), np.sqrt(0.1 * 0.1 / 0.3)])
    table = joint(sides(rows, 1), a, 0.5)
    assert table[0, 0] == pytest.approx(np.array([0.4, 0.3, 0.2]) / 2 + a / 4), "for the side, and it is"
    assert table[0].sum(0) == pytest.approx([0.4, 0.3, 0.2]), "how often each voter votes"
    found = fit_triplets(rows, HALF, average="mean", no_overlap="zero")(
        votes([[1, -1, -1], [-1, 1, -1], [-1, -1, 1], [-1, -1, -1]])
    )
    assert found[:, 1] == pytest.approx([*(table[0, 0] / table[0].sum(0)), 0.5])
    assert len(set(found[:3, 1].round(3).tolist())) == 3, "no two of them are equally trusted"


def test_two_classes_are_two_sides_of_one() -> None:
    """Where voters vote everywhere and for both classes alike, one vote is worth the voter's accuracy."""
    rows = votes([[0, 0, 0], [1, 1, 1], [0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]])
    rows = np.concatenate([rows, rows[:2], rows[:2]])
    found = fit_triplets(rows, HALF, average="mean", no_overlap="zero")
    a = accuracies(sides(rows, 1), "mean", "zero")
    assert found(votes([[1, -1, -1]]))[0, 1] == pytest.approx((1 + a[0]) / 2)
    assert found(votes([[0, -1, -1]]))[0, 0] == pytest.approx((1 + a[0]) / 2)
    assert found(votes([[-1, -1, -1]])) == pytest.approx(HALF[None])


def test_the_prior_counts_once_in_rows_that_abstain() -> None:
    rows = votes([[0, 0, 0], [1, 1, 1], [0, 0, 1], [1, 1, 0], [2, 2, 2], [2, 1, 2]])
    prior = np.array([0.2, 0.3, 0.5])
    assert fit_triplets(rows, prior, average="mean", no_overlap="zero")(votes([[-1, -1, -1]]))[0] == pytest.approx(
        prior
    )


@pytest.mark.shared
@pytest.mark.parametrize("name", ["youtube", "sms", "trec"])
def test_triplets_on_functions_of_one_class_are_not_the_majority(shared: Path, name: str) -> None:
    train, _ = published(shared / "golden/wrench" / name, "train")
    voted = train.rows((train.votes >= 0).any(1))
    made = triplets(voted, tools(), average="mean", no_overlap="zero", prior="uniform", **SOFT)
    plain = majority(shares_of_votes(voted.votes, voted.k))
    differing = (made.classes != plain.argmax(1)).mean()
    assert 0.01 < differing < 0.2


def test_triplets_need_three_voters(five: TrainSet) -> None:  # noqa: F811
    two = TrainSet(five.ids, five.x, five.y, five.w, five.votes[:, :2])
    with pytest.raises(BadInput, match="needs three voters that vote; this task has 2"):
        triplets(two, tools(), average="mean", no_overlap="zero", prior="uniform", **SOFT)


# Annotators


def by_crowd_kit(name: str, rows: np.ndarray, **said: object) -> np.ndarray:
    import crowdkit.aggregation

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = getattr(crowdkit.aggregation, name)(**said).fit(answers(rows))
    return fitted.probas_.sort_index()[sorted(fitted.probas_.columns)].to_numpy()


@pytest.mark.slow
def test_mace_is_crowd_kits() -> None:
    """Both find the same mode; crowd-kit is given rows whose first votes are in order, else it confuses its tables."""
    train, _ = crowd(60, [0.9, 0.8, 0.6], 2, seed=4)
    rows = np.concatenate([[[0, 0, 0], [1, 1, 1]], train.votes[(train.votes >= 0).all(1)]]).astype(np.int8)
    theirs = by_crowd_kit("MACE", rows, n_restarts=1, n_iter=200)
    ours = fit_mace(rows, HALF, rng=stream(0, "mace"), n_restarts=4, n_iter=200)(rows)
    assert np.array_equal(ours.argmax(1), theirs.argmax(1))
    assert np.abs(ours - theirs).max() < 0.05


@pytest.mark.slow
def test_glad_is_crowd_kits() -> None:
    train, _ = crowd(60, [0.9, 0.8, 0.6], 2, seed=4)
    rows = np.concatenate([[[0, 0, 0], [1, 1, 1]], train.votes[(train.votes >= 0).all(1)]]).astype(np.int8)
    theirs = by_crowd_kit("GLAD", rows, n_iter=30, tol=1e-9)
    ours = fit_glad(rows, HALF, n_iter=30, tol=1e-9)(rows)
    assert np.array_equal(ours.argmax(1), theirs.argmax(1))
    assert np.abs(ours - theirs).max() < 0.05


def test_the_gradient_of_glad_is_that_of_its_loss() -> None:
    rng = stream(1, "glad")
    rows = rng.integers(-1, 3, size=(6, 4)).astype(np.int8)
    cast, y, counts = indicators(rows, range(3)), rng.dirichlet(np.ones(3), size=6), np.arange(1, 7)
    at = rng.normal(1, 0.5, size=10)
    steps = 1e-6 * np.eye(10)
    numeric = [(_glad_loss(at + h, cast, y, counts)[0] - _glad_loss(at - h, cast, y, counts)[0]) / 2e-6 for h in steps]
    assert _glad_loss(at, cast, y, counts)[1] == pytest.approx(np.array(numeric), rel=1e-5, abs=1e-5)


def test_glad_knows_hard_rows_and_usual_ones() -> None:
    rows = votes([[0, 0, 0]] * 5 + [[1, 1, 1]] * 5 + [[0, 1, 1]])
    model = fit_glad(rows, HALF, n_iter=20, tol=1e-6)
    assert model(rows)[0, 0] > model(rows)[-1, 1] > 0.5
    assert model(votes([[1, 0, -1]]))[0].sum() == pytest.approx(1)


# The rows that a model is fitted on


def test_rows_on_which_all_abstain_are_seen_by_a_model_of_the_pool_alone() -> None:
    """Rows 1 and 4 have no vote; row 4 is labelled, so the voters may never have seen it."""
    train = train_set(
        np.zeros((5, 1), dtype=np.float32), [-1, -1, 0, -1, 1], 2, votes([[0, 0], [-1, -1], [1, 0], [-1, 1], [-1, -1]])
    )
    seen: dict[str, list[list[int]]] = {}

    def fit_of(name: str) -> Callable[[np.ndarray, np.ndarray], VoteModel]:
        def fit(given: np.ndarray, prior: np.ndarray) -> VoteModel:
            seen[name] = given.tolist()
            return lambda new: np.tile(prior, (len(new), 1))

        return fit

    for name in ("voted", "pool"):
        made = label_by_model(train, tools(), fit_of(name), prior=[0.25, 0.75], rows=name, **SOFT)
        assert made.y.tolist() == [[0.25, 0.75], *train.y[1:2].tolist(), [0.25, 0.75], [0.25, 0.75], [0, 1]]
    assert seen == {"voted": [[0, 0], [1, 0], [-1, 1]], "pool": [[0, 0], [-1, -1], [1, 0], [-1, 1]]}
    with pytest.raises(BadInput, match="rows=al is not known"):
        label_by_model(train, tools(), fit_of("no"), prior="uniform", rows="al", **SOFT)


# Snorkel under a prior


def test_snorkel_under_a_prior_is_snorkels() -> None:
    from snorkel.labeling.model import LabelModel

    train, _ = crowd(200, [0.8, 0.7, 0.6, 0.7], 2, seed=2)
    voted = train.rows((train.votes >= 0).any(1))
    shares = [0.3, 0.7]
    found = label_model_prior(voted, tools(), n_epochs=50, lr=0.01, l2=0.0, rows="voted", prior=shares, **SOFT)
    model = LabelModel(cardinality=2, verbose=False)
    seed = int(tools().rng.integers(2**31 - 1))
    model.fit(
        voted.votes.astype(int), class_balance=shares, progress_bar=False, n_epochs=50, lr=0.01, l2=0.0, seed=seed
    )
    assert found.y == pytest.approx(model.predict_proba(voted.votes.astype(int)), abs=1e-5)
    even = label_model_prior(voted, tools(), n_epochs=50, lr=0.01, l2=0.0, rows="voted", prior="uniform", **SOFT)
    assert np.array_equal(even.y, label_model(voted, tools(), n_epochs=50, lr=0.01, l2=0.0, rows="voted", **SOFT).y)


# Labels instead of votes


def test_gold_asks_for_every_row_and_pays_for_it() -> None:
    train, truth = weak_set("table")
    asked: list[str] = []
    known = dict(zip(train.ids.tolist(), truth.tolist(), strict=True))

    def ask(ids: np.ndarray) -> np.ndarray:
        asked.extend(ids.tolist())
        return np.array([known[name] for name in ids.tolist()])

    after = gold(train, tools_with(stream(0, "weak"), ask=ask))
    assert asked == train.ids.tolist()
    assert np.array_equal(after.classes, truth)
    assert after.labelled.all()
    assert np.array_equal(after.w[train.labelled], train.w[train.labelled])


@pytest.mark.parametrize("kind", ["text", "grey", "table"])
def test_validation_labels_instead_of_or_beside_the_rows(kind: str) -> None:
    train, truth = weak_set(kind)
    valid = held_out(train, truth)
    lent = tools_with(stream(0, "weak"), valid=lambda: valid)
    instead, beside = (validation_labels(train, lent, own=own) for own in ("drop", "keep"))
    assert instead.ids.tolist() == [f"valid/{name}" for name in valid.ids.tolist()]
    assert np.array_equal(instead.classes, valid.y)
    assert (instead.w == 1).all()
    assert (instead.votes == -1).all()
    assert beside.rows(np.arange(len(train))).digest() == train.digest()
    assert beside.rows(np.arange(len(train), len(beside))).digest() == instead.digest()


def test_validation_rows_are_prepared_as_the_training_rows_were() -> None:
    train, truth = weak_set("table")
    doubled = train.transformed(lambda x: 2 * x)
    lent = tools_with(stream(0, "weak"), valid=lambda: held_out(train, truth))
    assert np.array_equal(validation_labels(doubled, lent, own="drop").x, 2 * train.x[:45])


# Published votes


@pytest.mark.shared
def test_label_models_take_less_than_a_second_on_five_thousand_rows(shared: Path) -> None:
    import time

    train, _ = published(shared / "golden/wrench/sms", "train")
    assert train.votes.shape == (4571, 73)
    began = time.process_time()
    for name in ("symbol", "ignore"):
        dawid_skene(
            train, tools(), coins="many", abstain=name, smoothing=0.01, tolerance=1e-5, iterations=1000,
            rows="pool", prior="estimated", **SOFT,
        )  # fmt: skip
    triplets(train, tools(), average="mean", no_overlap="zero", prior="uniform", **SOFT)
    assert time.process_time() - began < 3, "with the type checker on"


def test_a_set_without_any_vote_has_nothing_to_learn_from(five: TrainSet) -> None:  # noqa: F811
    with pytest.raises(BadInput, match="no row of the training set has a vote"):
        weighted_vote(five.rows(np.array([3, 4])), tools(), voters="equal", prior="uniform", **SOFT)
