"""Components of variance: by hand, against other libraries, and how often their intervals hold a known truth."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from conftest import ROOT
from known_truth import made
from scipy.stats import chi2
from statsmodels.formula.api import ols
from studies import keep, made_test_set, record, shown
from test_trial import make, run

from harness.analysis.variance import (
    ALL,
    EXAMPLES,
    REST,
    SPLIT,
    Component,
    combine_squares,
    components,
    components_frame,
    describe_components,
    examples,
    influence,
    rows_by_stream,
    within_seeds,
)
from harness.errors import BadInput
from harness.learners import Run
from harness.metrics import METRICS, confusion
from harness.report import figures
from harness.storage.packing import unpack
from harness.storage.store import Store, TestSet
from harness.streams import STREAMS, salt_faults, salt_of, stream

# --- salts ---


@pytest.mark.parametrize(
    ("salt", "name", "expected"),
    [
        ("", "init", ""), ("a", "init", "a"), ("a", "order", "a"), ("init:a", "init", "a"), ("init:a", "order", ""),
        ("A/A", "order", "A/A"), ("init:a/member/1", "init", "a/member/1"), ("init:a/member/1", "order", "/member/1"),
        ("/member/1", "order", "/member/1"), ("a/b:c", "init", "a/b:c"), ("order:x", "order", "x"),
    ],
)  # fmt: skip
def test_what_of_a_salt_renames_a_stream(salt: str, name: str, expected: str) -> None:
    assert salt_of(salt, name) == expected


def test_a_salt_for_one_stream_renames_that_one_alone(run: Run) -> None:
    """A stream's draws under the salt a are those under init:a, and the others' are those under none."""
    for chosen in STREAMS:
        plain, own, all_ = (replace(run, salt=salt) for salt in ("", f"{chosen}:a", "a"))
        for name in STREAMS:
            as_of = all_ if name == chosen else plain
            assert own.stream(name).random() == as_of.stream(name).random()
            assert all_.stream(name).random() != plain.stream(name).random()


@pytest.mark.parametrize(
    ("salt", "words"),
    [
        ("intt:a", "salt=intt:a: unknown stream 'intt'; did you mean 'init'?"), (":a", "unknown stream ''"),
        ("augmentation:a", "did you mean 'augment'?"), ("init:", "as in init:a"), ("init:a/b", "without '/'"),
    ],
)  # fmt: skip
def test_a_salt_for_no_stream_is_refused_with_the_nearest(salt: str, words: str) -> None:
    assert words in salt_faults(salt)[0]
    with pytest.raises(BadInput, match=words.replace("?", r"\?")):
        make(f"salt='{salt}'")


def test_a_salt_for_no_stream_is_no_trial() -> None:
    for fine in ("", "a", "A/A", "a/b:c", "init:a", "dropout:7"):
        assert salt_faults(fine) == []


def test_every_stream_that_a_learner_asks_for_has_a_name_that_a_salt_may_use() -> None:
    asked = set()
    for path in Path(ROOT / "harness").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "stream":
                asked |= {word.value for word in node.args if isinstance(word, ast.Constant)}
    assert asked == set(STREAMS)


def test_a_salt_for_a_stream_that_nobody_draws_from_changes_nothing_and_others_do(tmp_path: Path) -> None:
    """The multilayer perceptron has initial weights, an order and dropout; without augmentation no such stream."""

    def predicted(*words: str) -> bytes:
        trial, task = make(*words)
        return unpack(run(trial, task, tmp_path)["result"]["predictions"]).tobytes()

    base = predicted()
    assert predicted("salt=augment:a") == base
    assert predicted("salt=folds:a") == base
    changed = [predicted(f"salt={name}:a") for name in ("init", "order", "dropout")]
    assert base not in changed
    assert len({*changed, predicted("salt=a")}) == 4
    assert predicted("augment=shift", "salt=augment:a") != predicted("augment=shift")


# --- components ---


def test_components_by_hand() -> None:
    """Two seeds. Baseline 80, 86; salt=a 82, 90; salt=init:a 81, 84.

    Plain: means 81 and 88, squares within 2 and 8, MS_w = 10 / 2 = 5, MS_b = 2 x 24.5 = 49, split = (49 - 5) / 2.
    Initial weights: squares within 0.5 and 2, mean square 2.5 / 2. Rest: 5 - 1.25.
    """
    test = np.array([[80.0, 86.0], [82.0, 90.0], [81.0, 84.0]])
    scores = made(["baseline", "salt=a", "salt=init:a"], test, test)
    found = {one.name: one for one in components(scores)}
    assert list(found) == [SPLIT, "initial weights", REST, ALL]
    assert found[SPLIT].variance == pytest.approx(22)
    assert found["initial weights"].variance == pytest.approx(1.25)
    assert found[REST].variance == pytest.approx(3.75)
    assert found[ALL].variance == pytest.approx(5)
    assert found[ALL].freedom == 2
    assert found[ALL].low == pytest.approx(10 / chi2.ppf(0.975, 2))
    assert found[ALL].high == pytest.approx(10 / chi2.ppf(0.025, 2))
    assert found[ALL].sd[0] == pytest.approx(np.sqrt(5))


def test_split_and_training_agree_with_statsmodels_analysis_of_variance() -> None:
    rng = stream(0, "anova")
    test = 80 + rng.normal(0, 2, size=(1, 7)) + rng.normal(0, 1, size=(4, 7))
    found = {one.name: one for one in components(made(["baseline", "salt=a", "salt=b", "salt=c"], test, test))}
    rows = pd.DataFrame({"y": test.ravel(), "seed": np.tile(np.arange(7), 4)})
    table = sm.stats.anova_lm(ols("y ~ C(seed)", rows).fit())
    assert found[ALL].variance == pytest.approx(table["mean_sq"]["Residual"])
    assert found[ALL].freedom == table["df"]["Residual"]
    expected = (table["mean_sq"]["C(seed)"] - table["mean_sq"]["Residual"]) / 4
    assert found[SPLIT].variance == pytest.approx(expected)


def test_a_difference_and_a_sum_of_mean_squares_by_hand() -> None:
    """Distances to the limits add in squares; of what is subtracted, the other end."""
    one, other = within_seeds(np.array([[1.0, 2.0], [3.0, 6.0]])), within_seeds(np.array([[0.0, 0.0], [2.0, 0.0]]))
    assert (one.value, other.value) == (5, 1)
    (low, high), (less, more) = one.limits, other.limits
    apart = combine_squares("x", [(0.5, one), (-0.5, other)], least=-np.inf)
    assert apart.variance == 2
    assert apart.low == pytest.approx(2 - 0.5 * np.hypot(5 - low, more - 1))
    assert apart.high == pytest.approx(2 + 0.5 * np.hypot(high - 5, 1 - less))
    joined = combine_squares("x", [(1.0, one), (1.0, other)], least=0.0)
    assert joined.low == pytest.approx(6 - np.hypot(5 - low, 1 - less))
    assert combine_squares("x", [(1.0, other), (-1.0, one)], least=0.0).variance == 0


def test_repeats_of_another_arm_and_arms_that_are_none() -> None:
    arms = ["baseline", "salt=init:a", "model=m", "model=m salt=init:a", "model=m salt=init:b", "salt=x", "clean=c"]
    scores = made(arms, np.zeros((7, 2)), np.zeros((7, 2)))
    assert rows_by_stream(scores, "baseline") == {"init": [0, 1], ALL: [0, 5]}
    assert rows_by_stream(scores, "model=m") == {"init": [2, 3, 4]}
    assert rows_by_stream(scores, "clean=c") == {}


def test_without_a_plain_salt_there_are_streams_alone() -> None:
    scores = made(["baseline", "salt=order:a"], np.array([[80.0, 81.0], [82.0, 81.0]]), np.zeros((2, 2)))
    assert [(one.name, one.variance) for one in components(scores)] == [("order of rows", 1.0)]


def test_a_stream_that_nobody_draws_from_has_no_part() -> None:
    test = np.array([[80.0, 81.0], [80.0, 81.0]])
    found = components(made(["baseline", "salt=augment:a"], test, test))[0]
    assert (found.variance, found.low, found.high) == (0, 0, 0)


def test_what_cannot_be_told_is_refused_in_words() -> None:
    with pytest.raises(BadInput, match="no arm is baseline under another salt"):
        components(made(["baseline", "model=m"], np.zeros((2, 3)), np.zeros((2, 3))))
    with pytest.raises(BadInput, match="one seed does not show"):
        components(made(["baseline", "salt=a"], np.zeros((2, 1)), np.zeros((2, 1))))


# --- known truth ---

TRUTH = {"split": 1.5, "init": 1.0, "order": 0.6, "augment": 0.4, "dropout": 0.3, "together": 0.0}
"""Standard deviations in points."""
SALTED = ("init", "order", "augment")


def study(truth: Mapping[str, float], r: int, m: int, rng: np.random.Generator):
    """Scores of `m` salts per stream and `m` plain ones; streams' noise adds, `together` is of two streams' pairs."""
    own = {name: rng.standard_normal((2 * m + 1, r)) for name in (*SALTED, "dropout")}
    pairs = rng.standard_normal((2 * m + 1, 2 * m + 1, r))
    seed = 80 + truth["split"] * rng.standard_normal(r)

    def score(which: Mapping[str, int]) -> np.ndarray:
        alone = sum(truth[name] * luck[which.get(name, 0)] for name, luck in own.items())
        return seed + alone + truth["together"] * pairs[which.get("init", 0), which.get("order", 0)]

    arms, rows = ["baseline"], [score({})]
    for name in SALTED:
        for salt in range(1, m + 1):
            arms.append(f"salt={name}:{salt}")
            rows.append(score({name: salt}))
    for salt in range(m + 1, 2 * m + 1):
        arms.append(f"salt={salt}")
        rows.append(score(dict.fromkeys(own, salt)))
    return made(arms, np.array(rows), np.array(rows))


def true_parts(truth: Mapping[str, float]) -> dict[str, float]:
    """The variances that the components estimate."""
    both = truth["together"] ** 2
    parts = {"initial weights": truth["init"] ** 2 + both, "order of rows": truth["order"] ** 2 + both}
    parts["augmentation"] = truth["augment"] ** 2
    rest = truth["dropout"] ** 2 - both
    return {SPLIT: truth["split"] ** 2, **parts, REST: rest, ALL: sum(parts.values()) + rest}


def simulated(truth: Mapping[str, float], r: int, m: int, studies: int) -> pd.DataFrame:
    """Mean estimate and coverage in percent of each component."""
    rng, true = stream(0, "components", str(sorted(truth.items())), str(r), str(m)), true_parts(truth)
    rows: list[tuple[str, float, bool]] = []
    for _ in range(studies):
        for one in components(study(truth, r, m, rng)):
            rows.append((one.name, one.variance, one.low <= true[one.name] <= one.high))
    table = pd.DataFrame(rows, columns=["name", "mean", "coverage"])
    return table.groupby("name").mean().assign(coverage=lambda t: 100 * t["coverage"], truth=pd.Series(true))


def test_estimates_are_right_on_average_and_intervals_hold_the_truth() -> None:
    """1,000 studies of 12 seeds: three standard errors of 95 % are 2.1. Split is cut off at 0, which is rare here."""
    found = simulated(TRUTH, r=12, m=2, studies=1000)
    print(f"\n{found.round(3)}")
    assert list(found.index) == sorted(true_parts(TRUTH))
    assert np.allclose(found["mean"], found["truth"], rtol=0.06, atol=0.02)
    assert (found["coverage"] >= 95 - 2.1).all()
    assert (found.loc[[ALL, "initial weights", "augmentation"], "coverage"] <= 95 + 2.1).all(), "those are exact"


def test_streams_that_act_together_are_told_by_a_rest_below_0() -> None:
    found = simulated(TRUTH | {"together": 0.8, "dropout": 0.0}, r=12, m=2, studies=300)
    assert found.loc[REST, "truth"] == pytest.approx(-0.64)
    assert found.loc[REST, "mean"] == pytest.approx(-0.64, abs=0.1)
    assert found.loc["initial weights", "mean"] == pytest.approx(1.64, rel=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("split", [0.0, 0.3, 3.0])
@pytest.mark.parametrize("r", [3, 6, 20])
def test_table_of_coverages(r: int, split: float) -> None:
    """Shown with `pytest -s`. The interval of a difference is wide where few seeds tell, never too narrow."""
    found = simulated(TRUTH | {"split": split}, r=r, m=2, studies=1000)
    print(f"\n{r} seeds, split {split}\n{found.round(3)}")
    assert (found["coverage"] >= 95 - 2.1).all()


# --- test examples ---


def wrong(n: int, share: float) -> tuple[TestSet, np.ndarray]:
    test = made_test_set(n, 3)
    return test, shown(test, 1 - share, "wrong", str(n))


def test_the_luck_of_test_examples_is_binomial_for_accuracy(tmp_path: Path) -> None:
    store, (test, predicted) = Store(tmp_path / "made"), wrong(300, 0.3)
    records = [record(store, arm, 0, predicted, test) for arm in ("baseline", "salt=a")]
    p = float((predicted == test.y).mean())
    found = examples(keep(store, records), store.test_set)
    assert found.name == EXAMPLES
    assert found.variance == pytest.approx(100**2 * p * (1 - p) / 300, rel=1e-5)
    slope = abs(1 - 2 * p) / (p * (1 - p)) * np.sqrt(p * (1 - p) / 300)  # of the logarithm of p (1 - p), delta method
    assert np.log(found.high / found.variance) == pytest.approx(1.959964 * slope, rel=1e-3)
    assert found.low * found.high == pytest.approx(found.variance**2)


@pytest.mark.parametrize("metric", ["macro_f1", "balanced_accuracy", "accuracy"])
def test_the_luck_of_test_examples_agrees_with_a_bootstrap(metric: str) -> None:
    test, predicted = wrong(240, 0.35)
    rng, measure = stream(0, "draws", metric), METRICS[metric]
    drawn = []
    for _ in range(3000):
        rows = rng.integers(240, size=240)
        drawn.append(100 * float(measure(confusion(test.y[rows], predicted[rows], 3))))
    moved = influence(test, predicted, measure)
    assert moved.sum() == pytest.approx(0, abs=1e-9)
    assert (moved**2).sum() == pytest.approx(np.var(drawn), rel=0.1)


def test_seeds_with_test_sets_of_their_own_are_averaged(tmp_path: Path) -> None:
    store = Store(tmp_path / "made")
    parts = [wrong(100, 0.2), wrong(200, 0.4)]
    records = [record(store, "baseline", s, predicted, test) for s, (test, predicted) in enumerate(parts)]
    each = [(influence(test, predicted, METRICS["accuracy"]) ** 2).sum() for test, predicted in parts]
    assert examples(records, store.test_set).variance == pytest.approx(np.mean(each))
    failed = [record(store, "baseline", 0, None, parts[0][0])]
    with pytest.raises(BadInput, match="no trial finished"):
        examples(failed, store.test_set)


# --- what is shown ---


def test_the_frame_is_what_the_figure_reads() -> None:
    found = [Component(SPLIT, 4.0, 1.0, 9.0), Component(REST, -1.0, -2.0, 0.25)]
    table = components_frame(found)
    assert table.to_dict("list") == {
        "name": [SPLIT, REST], "value": [2.0, 0.0], "low": [1.0, 0.0], "high": [3.0, 0.5],
    }  # fmt: skip
    drawn = figures.variance_components(table, title="t", unit="points", note="n")
    assert drawn["png"].startswith(b"\x89PNG")


def test_what_is_told_counts_the_scores_a_seed_and_says_what_acts_together() -> None:
    arms: Sequence[str] = ["baseline", "salt=init:a", "salt=init:b", "salt=x"]
    sentence = describe_components(made(arms, np.zeros((4, 5)), np.zeros((4, 5))))
    assert sentence.startswith("5 seeds; scores per seed that differ in that stream only: initial weights 3, all of")
    assert "all of training 2." in sentence
    assert "they interact" not in sentence
    test = np.array([[80.0, 80.0], [81.0, 83.0], [80.0, 80.0], [80.5, 80.5]])  # 2.5 / 2 more or less by hand: 0.125
    crowded = describe_components(made(["baseline", "salt=init:a", "salt=order:a", "salt=x"], test, test))
    assert "add up to 2.4 points squared more than all of training" in crowded, "(1 / 2 + 9 / 2) / 2 - 1 / 8"
