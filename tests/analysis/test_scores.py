"""Scores by arm and seed, and redraws of their means: by hand, against the effects' own intervals, and by simulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student
from studies import keep, large, levels_in, made_test_set, record, shown

from harness.analysis.effects import estimate_effects
from harness.analysis.records import join
from harness.analysis.scores import Scores, collect_scores, redraw, root
from harness.commands.arguments import parse
from harness.errors import BadInput
from harness.storage.packing import pack
from harness.storage.store import Record, Store, TestSet
from harness.streams import stream

TEST = made_test_set(20, 2)


def by_hand(test: np.ndarray, spread: np.ndarray | None = None) -> Scores:
    """Scores with no words of their own."""
    a, r = test.shape
    arms = ("baseline", *(f"clean=c{i}" for i in range(1, a)))
    return Scores(
        arms, tuple(levels_in(arm) for arm in arms), ("",) * a, tuple(range(r)), test, test - 1.0, np.ones(a),
        np.zeros(a), np.zeros((a, a)) if spread is None else spread, 100,
    )  # fmt: skip


def wrong(n: int) -> np.ndarray:
    return np.where(np.arange(20) < n, 1 - TEST.y, TEST.y)


def test_scores_by_hand(tmp_path: Path) -> None:
    store = Store(tmp_path / "study")
    base = [record(store, "baseline", s, wrong(4 - s), TEST, axis="none", factors=()) for s in (0, 1)]
    clever = [record(store, "model=mlp clean=oracle", s, wrong(2), TEST) for s in (0, 1)]
    half = [record(store, "clean=odd", 0, wrong(5), TEST), record(store, "clean=odd", 1, None, TEST)]
    all_of_them = keep(store, [*base, *clever, *half])
    never = {"arm": "clean=never", "seed": 0, "reference": ""}
    found = collect_scores(all_of_them, store.test_set, [*all_of_them, never])
    assert found.arms == ("baseline", "model=mlp clean=oracle")
    assert np.allclose(found.test, [[80, 85], [90, 90]])
    assert np.allclose(found.valid, [[79, 84], [89, 89]])
    assert (str(found.model(1)), str(found.data(1))) == ("model=mlp", "clean=oracle")
    assert found.labels.tolist() == [0, 20]
    assert found.cpu_s.tolist() == [1.0, 2.5]
    assert found.left_out == (
        "clean=odd is left out of comparisons between arms: 1 of 2 trials failed.",
        "clean=never is left out of comparisons between arms: 2 of 2 were not run.",
    )
    assert found.only([1]).arms == ("model=mlp clean=oracle",)


def test_a_study_whose_baseline_failed_has_nothing_to_compare_with(tmp_path: Path) -> None:
    store = Store(tmp_path / "study")
    kept = keep(
        store, [record(store, "baseline", 0, None, TEST, axis="none"), record(store, "clean=a", 0, wrong(1), TEST)]
    )
    with pytest.raises(BadInput, match="the baseline has no finished trial"):
        collect_scores(kept, store.test_set, kept)


def test_the_shared_luck_of_test_examples_is_the_covariance_of_what_arms_get_right(tmp_path: Path) -> None:
    """Arms that predict the same at every seed: nothing is left but the examples, p (1 - p) / n and its kin."""
    store, test = Store(tmp_path / "study"), made_test_set(400, 2)
    rights = {arm: shown(test, accuracy, arm) for arm, accuracy in (("baseline", 0.8), ("clean=a", 0.6))}
    kept = keep(store, [record(store, arm, s, rights[arm], test) for arm in rights for s in range(3)])
    found = collect_scores(kept, store.test_set, kept)
    exact = np.cov([100.0 * (rights[arm] == test.y) for arm in rights]) / 400
    assert np.allclose(found.spread, exact, atol=0.15 * exact.max())


VALID = TestSet(np.array([f"v{i}" for i in range(300)]), np.arange(300) % 2, ("class 0", "class 1"))


def with_validation(store: Store, one: Record, right: np.ndarray, rows: TestSet = VALID) -> Record:
    """A record that keeps its predictions of the validation rows, of which it gets those right."""
    predicted = np.where(right, rows.y, 1 - rows.y).astype(np.uint8)
    kept = {"valid_set": store.keep_test_set(rows), "valid_predictions": pack(predicted), "valid": float(right.mean())}
    return one | {"result": {**one["result"], **kept}}


def validated(tmp_path: Path, rows: list[TestSet]) -> Scores:
    """Two arms that answer each validation row alike on all seeds; one set of rows a seed."""
    store, answers = Store(tmp_path / "study"), {"baseline": np.arange(300) % 5 > 0, "clean=a": np.arange(300) % 3 > 0}
    made = [
        with_validation(store, record(store, arm, s, wrong(2), TEST), answers[arm], rows[s])
        for arm in answers
        for s in range(len(rows))
    ]
    kept = keep(store, made)
    return collect_scores(kept, store.test_set, kept)


def test_the_shared_luck_of_validation_examples_is_their_covariance(tmp_path: Path) -> None:
    """Nothing varies but the examples: p (1 - p) / n, and independent between arms that err on independent rows."""
    found = validated(tmp_path, [VALID] * 3)
    exact = np.cov([100.0 * (np.arange(300) % 5 > 0), 100.0 * (np.arange(300) % 3 > 0)]) / 300
    assert found.valid_spread is not None
    assert np.allclose(found.valid_spread, exact, atol=0.15 * exact.max())
    drawn = redraw(found, 20_000, stream(0, "test"))
    assert np.allclose(np.cov(drawn.valid.T), found.valid_spread, atol=0.05 * exact.max())
    assert abs(np.cov(drawn.valid[:, 0], drawn.test[:, 0])[0, 1]) < 0.05 * exact.max()
    assert found.only([1]).valid_spread == pytest.approx(found.valid_spread[1:, 1:])


def test_seeds_with_validation_rows_of_their_own_share_no_luck(tmp_path: Path) -> None:
    sets = [TestSet(np.array([f"v{s} {i}" for i in range(300)]), VALID.y, VALID.classes) for s in range(3)]
    found = validated(tmp_path, sets)
    assert found.valid_spread is not None
    assert np.abs(found.valid_spread).max() < 1.0  # 5 to 8 points squared if all seeds shared them


def test_validation_rows_of_one_group_are_redrawn_together(tmp_path: Path) -> None:
    """Groups of 15 rows that an arm gets all right or all wrong: 20 units, not 300."""
    groups = TestSet(VALID.ids, VALID.y, VALID.classes, np.arange(300) // 15)
    right = np.isin(np.arange(300) // 15, np.arange(0, 20, 4), invert=True)
    store = Store(tmp_path / "study")
    kept = keep(
        store, [with_validation(store, record(store, "baseline", s, wrong(2), TEST), right, groups) for s in (0, 1)]
    )
    found = collect_scores(kept, store.test_set, kept).valid_spread
    assert found is not None
    assert found[0, 0] == pytest.approx(75 * 25 / 19, rel=0.15)


def test_records_without_validation_predictions_redraw_as_before(tmp_path: Path) -> None:
    store = Store(tmp_path / "study")
    one = [with_validation(store, record(store, "baseline", 0, wrong(2), TEST), np.arange(300) % 5 > 0)]
    kept = keep(store, [*one, record(store, "baseline", 1, wrong(3), TEST)])
    found = collect_scores(kept, store.test_set, kept)
    assert found.valid_spread is None
    assert np.isfinite(redraw(found, 100, stream(0, "test")).valid).all()


def test_redraws_give_the_intervals_of_the_effects(tmp_path: Path) -> None:
    store = large(tmp_path / "large")
    kept = join(store).records
    found = collect_scores(kept, store.test_set, kept)
    drawn = redraw(found, 20000, stream(0, "test")).test
    for effect in estimate_effects(kept, store.test_set, kept):
        if effect.interval is None or effect.arm not in found.arms or effect.n_failed:
            continue
        gain = drawn[:, found.arms.index(effect.arm)] - drawn[:, found.arms.index("baseline")]
        low, high = np.quantile(gain, [0.025, 0.975])
        assert high - low <= 1.08 * (effect.interval.high - effect.interval.low)  # the effects have a floor
        assert abs((low + high) / 2 - effect.interval.effect) < 0.35


def test_seeds_alone_give_the_t_interval() -> None:
    test = np.array([[70.0, 72.0, 71.0], [74.0, 73.0, 78.0]])
    drawn = redraw(by_hand(test), 200_000, stream(0, "test")).test
    gain = test[1] - test[0]
    half = student.ppf(0.975, 2) * gain.std(ddof=1) / np.sqrt(3)
    low, high = np.quantile(drawn[:, 1] - drawn[:, 0], [0.025, 0.975])
    assert np.isclose(low, gain.mean() - half, rtol=0.05)
    assert np.isclose(high, gain.mean() + half, rtol=0.05)


def test_validation_is_drawn_together_with_test() -> None:
    drawn = redraw(by_hand(np.array([[70.0, 72.0, 71.0], [74.0, 73.0, 78.0]])), 100, stream(0, "test"))
    assert np.allclose(drawn.valid, drawn.test - 1.0)


def test_one_seed_cannot_be_redrawn() -> None:
    with pytest.raises(BadInput, match="one seed does not show"):
        redraw(by_hand(np.array([[70.0], [74.0]])), 10, stream(0, "test"))


def test_a_root_squares_to_its_covariance_and_forgets_what_is_negative() -> None:
    covariance = np.array([[2.0, 1.0], [1.0, 3.0]])
    assert np.allclose(root(covariance) @ root(covariance).T, covariance)
    assert np.allclose(root(np.diag([1.0, -1e-3])) @ root(np.diag([1.0, -1e-3])).T, np.diag([1.0, 0.0]))


def test_the_joint_interval_holds_the_truth_at_the_stated_rate() -> None:
    """Five seeds, noise of seeds and of shared test examples equally large."""
    rng, held = stream(0, "grid coverage"), 0
    for _ in range(1000):
        shared = rng.normal(0, 1.0, size=(2, 1))
        test = np.array([[70.0], [72.0]]) + shared + rng.normal(0, 1.5, size=(2, 5))
        drawn = redraw(by_hand(test, np.eye(2)), 400, rng).test
        low, high = np.quantile(drawn[:, 1] - drawn[:, 0], [0.025, 0.975])
        held += low <= 2 <= high
    assert 930 <= held <= 975


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["plan", "x", "effekt=1"], "plan has no option 'effekt'; did you mean 'effect'? (choose from: effect, store)"),
        (["plan", "--effect"], "plan: effect needs a value, as in effect=…"),
        (["plan", "effect=1", "--effect", "2"], "plan: effect is given twice"),
    ],
)
def test_wrong_words_are_told(words: list[str], line: str) -> None:
    with pytest.raises(BadInput) as told:
        parse(words, ["effect", "store"])
    assert str(told.value) == line


def test_options_are_said_in_three_ways() -> None:
    for said in (["--effect", "0.5"], ["--effect=0.5"], ["effect=0.5"]):
        assert parse(["plan", "quickstart", *said], ["effect"]) == (["quickstart"], {"effect": "0.5"})
