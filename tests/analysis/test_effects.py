"""Deltas and intervals by hand, against a bootstrap written out, and under every kind of damaged record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as student
from statsmodels.stats.multitest import multipletests
from studies import keep, key, large, made_test_set, record, shown

import harness.analysis.effects as module
from harness.analysis.effects import (
    LEVEL,
    Effect,
    Interval,
    TrialPair,
    covers,
    deltas,
    estimate_effects,
    half_width,
    interval,
    trials,
)
from harness.analysis.measures import of_confusion
from harness.analysis.records import join
from harness.analysis.significance import benjamini_yekutieli
from harness.errors import BadInput
from harness.metrics import METRICS, accuracy
from harness.storage.store import Record, Store
from harness.streams import stream

TEST = made_test_set(20, 2)


def predictions(wrong: int, start: int = 0) -> np.ndarray:
    """Predictions for TEST with that many errors in a row."""
    found = TEST.y.copy()
    found[start : start + wrong] = 1 - found[start : start + wrong]
    return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "study")


@pytest.fixture
def records(store: Store) -> list[Record]:
    """Two seeds; control 80 and 90 %, arm 95 and 95 %."""
    return [
        record(store, "baseline", 0, predictions(4), TEST, axis="none", factors=()),
        record(store, "baseline", 1, predictions(2), TEST, axis="none", factors=()),
        record(store, "clean=confident", 0, predictions(1), TEST),
        record(store, "clean=confident", 1, predictions(1), TEST),
    ]


def effect_of(arm: str, records: list[Record], store: Store) -> Effect:
    return next(effect for effect in estimate_effects(records, store.test_set, records, draws=200) if effect.arm == arm)


def test_deltas_by_hand(records: list[Record]) -> None:
    found = deltas(trials(records))
    assert found[["arm", "seed", "why"]].values.tolist() == [["clean=confident", 0, ""], ["clean=confident", 1, ""]]
    np.testing.assert_allclose(found["delta"], [15, 5])
    np.testing.assert_allclose(found["delta_valid"], [15, 5])


@given(st.permutations(range(4)))
def test_pairs_are_made_by_key_and_not_by_position(order: list[int]) -> None:
    table = pd.DataFrame(
        {"key": ["c0", "c1", "a0", "a1"], "control": ["c0", "c1", "c0", "c1"], "arm": ["b", "b", "x", "x"],
         "seed": [0, 1, 0, 1], "status": "done", "reason": None, "test": [80.0, 90.0, 95.0, 95.0],
         "valid": [np.nan] * 4, "data": "d", "protocol": "p", "test_set": "t"}
    )  # fmt: skip
    found = deltas(table.iloc[order]).set_index("key")["delta"]
    assert found.to_dict() == {"a0": 15.0, "a1": 5.0}


def test_failures_give_no_delta_and_are_counted(store: Store, records: list[Record]) -> None:
    records[3] = record(store, "clean=confident", 1, None, TEST, reason="diverged")
    found = deltas(trials(records))
    assert found["why"].tolist() == ["", "failed: diverged"]
    assert np.isnan(found["delta"][1])
    effect = effect_of("clean=confident", records, store)
    assert (effect.n_trials, effect.n_failed, effect.share_failed) == (2, 1, 0.5)
    assert effect.interval is not None
    assert (effect.interval.n_seeds, effect.interval.effect) == (1, pytest.approx(15))


def test_a_failed_or_missing_control_gives_no_delta(store: Store, records: list[Record]) -> None:
    records[0] = record(store, "baseline", 0, None, TEST, axis="none", factors=(), reason="no space left")
    found = deltas(trials([records[0], records[2], records[3]]))
    assert found["why"].tolist() == ["control failed: no space left", "control has no record"]
    assert found["delta"].isna().all()


def test_an_arm_that_never_ran_is_there(store: Store, records: list[Record]) -> None:
    planned = [*records, *(one | {"arm": "clean=relabel", "key": f"k{one['seed']}"} for one in records[2:])]
    found = estimate_effects(records, store.test_set, planned, draws=50)[-1]
    assert (found.arm, found.n_trials, found.n_missing, found.n_failed) == ("clean=relabel", 2, 2, 0)
    assert found.interval is None
    assert found.score is None
    assert "no interval" in found.covers


def test_doubled_keys_are_refused(records: list[Record]) -> None:
    with pytest.raises(BadInput, match="1 keys occur twice in the records"):
        deltas(trials([*records, records[2]]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 1}, "differ in the seed"),
        ({"trial": {"data": "other"}}, "differ in the task's data"),
        ({"trial": {"protocol": {"metric": "accuracy", "epochs": 9}}}, "differ in the protocol"),
        ({"result": {"test_set": "other"}}, "differ in the test set"),
    ],
)
def test_pairs_across_blocks_are_refused(records: list[Record], changes: dict, words: str) -> None:
    for name, value in changes.items():
        records[2][name] = records[2][name] | value if isinstance(value, dict) else value
    with pytest.raises(BadInput, match=f"arm 'clean=confident', seed ., and its control .* {words}"):
        deltas(trials(records))


def test_the_number_of_tuning_trials_is_in_the_records_of_arms_that_tune_alone(
    store: Store, records: list[Record]
) -> None:
    def tuned(one: Record, number: int) -> Record:
        protocol = {**one["trial"]["protocol"], "tuning_trials": number, "version": 1}
        return one | {"trial": one["trial"] | {"protocol": protocol}}

    plain = [
        one | {"trial": one["trial"] | {"protocol": {**one["trial"]["protocol"], "version": 1}}} for one in records
    ]
    same = [*plain[:2], *(tuned(one, 5) for one in plain[2:])]
    assert deltas(trials(same))["delta"].tolist() == deltas(trials(records))["delta"].tolist()
    estimate_effects(same, store.test_set, same)
    other = [*same[:3], tuned(plain[3], 9)]
    with pytest.raises(BadInput, match="the records differ in the protocol"):
        estimate_effects(other, store.test_set, other)


def test_several_tasks_or_arms_twice_on_a_seed_are_refused(store: Store, records: list[Record]) -> None:
    other = [one | {"key": one["key"][::-1], "control": one["control"][::-1]} for one in records]
    with pytest.raises(BadInput, match=r"arm 'baseline' has two trials on seed 0"):
        estimate_effects([*records, *other], store.test_set, records)
    for one in other:
        one["trial"] = one["trial"] | {"task": {"_target_": "another"}}
    with pytest.raises(BadInput, match=r"the records differ in the task.*study=NAME"):
        estimate_effects([*records, *other], store.test_set, records)


def test_a_score_that_its_predictions_do_not_give_is_refused(store: Store, records: list[Record]) -> None:
    records[2]["result"]["test"] = 0.99
    with pytest.raises(BadInput, match=r"says accuracy 0\.99, but its predictions give 0\.95"):
        estimate_effects(records, store.test_set, records)


def test_no_records_are_refused() -> None:
    with pytest.raises(BadInput, match="no records"):
        trials([])


def test_effect_by_hand(store: Store, records: list[Record]) -> None:
    effect = effect_of("clean=confident", records, store)
    assert effect.score == pytest.approx(95)
    assert effect.interval is not None
    assert effect.interval.effect == pytest.approx(10)
    assert effect.half_width == pytest.approx(10 - effect.interval.low)
    assert (effect.interval.n_seeds, effect.interval.n_test, effect.interval.n_scored) == (2, 20, 40)
    assert (effect.cpu_s, effect.cpu_ratio, effect.labels, effect.gold) == (2.5, 2.5, 0, 0)
    assert effect_of("baseline", records, store).interval is None


def test_an_effects_p_value_is_its_intervals(store: Store, records: list[Record]) -> None:
    effect = effect_of("clean=confident", records, store)
    assert effect.interval is not None
    assert effect.p == effect.interval.p
    assert effect.p is not None
    assert 0.05 < effect.p < 1
    assert effect.interval.low < 0
    assert (effect.p_adjusted, effect.letters) == (effect.p, "")
    baseline = effect_of("baseline", records, store)
    assert (baseline.p, baseline.p_adjusted) == (None, None)


def test_p_values_account_for_the_arms_that_have_one(tmp_path: Path) -> None:
    """Of the baseline and of an arm that failed throughout there is none, and they do not count."""
    store = large(tmp_path / "study", n=100, seeds=3)
    records = join(store).records
    found = estimate_effects(records, store.test_set, records, draws=50)
    known = [one for one in found if one.p is not None]
    assert [one.arm for one in found if one.p is None] == [one.arm for one in found if one.interval is None]
    assert 1 < len(known) < len(found)
    p = np.array([one.p for one in known])
    assert [one.p_adjusted for one in known] == pytest.approx(multipletests(p, method="holm")[1])
    assert [(one.p or 0) < 0.05 for one in known] == [excludes_0(one.interval) for one in known]
    other = estimate_effects(records, store.test_set, records, benjamini_yekutieli, draws=50)
    by_hand = multipletests(p, method="fdr_by")[1]
    assert [one.p_adjusted for one in other if one.p is not None] == pytest.approx(by_hand)


def excludes_0(interval: Interval | None) -> bool:
    assert interval is not None
    return interval.low > 0 or interval.high < 0


def test_half_width_by_hand() -> None:
    """Two seeds, deltas 15 and 5: V_s' = 50 / 2; covariances 4 and 1: C = 1, V_e = (4 + 4 + 2) / 4."""
    half, seed_share = half_width(np.array([15.0, 5.0]), np.array([[4.0, 1.0], [1.0, 4.0]]), 20)
    assert half == pytest.approx(np.sqrt(student.ppf(0.975, 1) ** 2 * 25 + student.ppf(0.975, 19) ** 2 * 1))
    assert seed_share == pytest.approx(25 / 26)


def test_seeds_that_agree_claim_no_more_than_the_test_set_can_know() -> None:
    half, _ = half_width(np.array([5.0, 5.0]), np.array([[4.0, 0.0], [0.0, 4.0]]), 20)
    assert half == pytest.approx(1.5 * np.sqrt(2))


def test_one_seed_covers_test_examples_alone() -> None:
    half, seed_share = half_width(np.array([5.0]), np.array([[4.0]]), 20)
    assert half == pytest.approx(2 * student.ppf(0.975, 19))
    assert seed_share is None


def drawn_pairs(r: int, n: int, k: int, shared: bool) -> list[TrialPair]:
    """Seeds with predictions of their own, on the same test examples or on some that overlap."""
    tests = [made_test_set(n, k) for _ in range(r)]
    ids = [np.array([f"t{i + (0 if shared else s * n // 2)}" for i in range(n)]) for s in range(r)]
    return [
        TrialPair(ids[s], test.y, shown(test, 0.85, "arm", str(s)), shown(test, 0.75, "control", str(s)))
        for s, test in enumerate(tests)
    ]


@pytest.mark.parametrize(("name", "shared"), [("accuracy", True), ("macro_f1", True), ("macro_f1", False)])
def test_the_variances_are_those_of_a_bootstrap_written_out(name: str, shared: bool) -> None:
    """V_b = V_s + V_e + V_i, each put right as the docstring says, from draws of seeds and examples one by one."""
    r, n, k, draws, rng = 3, 40, 2, 1500, stream(0, "brute")
    pairs, metric = drawn_pairs(r, n, k, shared), METRICS[name]
    ids = np.unique(np.concatenate([pair.ids for pair in pairs]))

    def delta(pair: TrialPair, weight: dict[str, int]) -> float:
        sides = []
        for predicted in (pair.arm, pair.control):
            matrix = np.zeros((k, k))
            np.add.at(matrix, (pair.y, predicted), [weight.get(one, 0) for one in pair.ids])
            sides.append(float(metric(matrix)))
        return 100 * (sides[0] - sides[1])

    whole = np.array([delta(pair, dict.fromkeys(ids, 1)) for pair in pairs])
    both, by_examples, by_seeds = [], [], []
    for _ in range(draws):
        chosen = dict(zip(*np.unique(rng.choice(ids, len(ids)), return_counts=True), strict=True))
        found, seeds = np.array([delta(pair, chosen) for pair in pairs]), rng.integers(r, size=r)
        both.append(found[seeds].mean())
        by_examples.append(found.mean())
        by_seeds.append(whole[seeds].mean())
    v_b, v_e, v_s = np.var(both), np.var(by_examples), np.var(by_seeds)

    sides = module._sides(pairs, of_confusion(metric), k)[0]
    spread = module._spread(sides, len(ids), draws, stream(0, "spread")) * (len(ids) - 1) / len(ids)
    assert v_e == pytest.approx(spread.sum() / r**2, rel=0.12)
    assert v_s == pytest.approx(whole.var() / r, rel=0.12)
    assert v_b == pytest.approx(v_s + v_e + (spread.trace() - spread.sum() / r) / r**2, rel=0.12)


def test_accuracy_meets_its_closed_form() -> None:
    pairs = drawn_pairs(5, 300, 3, shared=True)
    gain = np.array([100.0 * ((p.arm == p.y).astype(int) - (p.control == p.y)) for p in pairs])
    half, _ = half_width(gain.mean(1), np.cov(gain) / gain.shape[1], gain.shape[1])
    found = interval(pairs, accuracy, 3, draws=20000, rng=stream(0, "x"))
    assert found.effect == pytest.approx(gain.mean())
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.02)


def test_an_arm_that_changes_nothing_is_bounded_by_the_number_of_test_examples() -> None:
    pairs = [TrialPair(p.ids, p.y, p.control, p.control) for p in drawn_pairs(3, 30, 3, shared=True)]
    found = interval(pairs, METRICS["macro_f1"], 3, draws=100, rng=stream(0, "x"))
    assert (found.effect, found.seed_share, found.p) == (0, None, 1)
    assert found.low == -found.high < -300 / 30 / 3  # three of 30 examples, if macro F1 were accuracy over classes


def test_chunks_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = drawn_pairs(3, 31, 3, shared=True)
    whole = interval(pairs, accuracy, 3, draws=101, rng=stream(0, "x"))
    monkeypatch.setattr(module, "_MEMORY", 40_000)
    assert interval(pairs, accuracy, 3, draws=101, rng=stream(0, "x")) == whole


def test_draws_that_leave_a_seed_without_examples_are_left_out() -> None:
    test = made_test_set(2, 2)
    pairs = [TrialPair(np.array([f"{s}a", f"{s}b"]), test.y, test.y, np.array([s % 2, 1])) for s in range(4)]
    assert np.isfinite(interval(pairs, accuracy, 2, draws=500, rng=stream(0, "x")).low)


def test_intervals_of_nothing_are_refused() -> None:
    one = TrialPair(np.array(["a"]), np.array([0]), np.array([0]), np.array([1]))
    with pytest.raises(BadInput, match="at least two test examples"):
        interval([one], accuracy, 2, draws=10, rng=stream(0, "x"))
    with pytest.raises(BadInput, match="at least one pair"):
        interval([], accuracy, 2, draws=10, rng=stream(0, "x"))


def test_equal_records_in_any_order_give_equal_effects(tmp_path: Path) -> None:
    store = large(tmp_path / "study", n=60, seeds=3)
    records = join(store).records
    found = estimate_effects(records, store.test_set, records, draws=50)
    again = {one.arm: one for one in estimate_effects(records[::-1], store.test_set, records[::-1], draws=50)}
    assert {one.arm: one for one in found} == again


def test_what_an_interval_covers_is_said_with_its_n(store: Store, records: list[Record]) -> None:
    several = covers(effect_of("clean=confident", records, store).interval)
    assert "retraining (2 seeds" in several
    assert "the sampling of the 20 test examples;" in several
    assert "other tasks and protocols are not covered" in several
    assert "Seeds that draw their training rows from one pool overlap" in several
    assert "Nadeau and Bengio 2003" in several
    one = covers(effect_of("clean=confident", [records[0], records[2]], store).interval)
    assert "the sampling of the 20 test examples only (one seed)" in one
    assert "independent" not in one
    apart = interval(drawn_pairs(2, 30, 3, shared=False), accuracy, 3, draws=20, rng=stream(0, "x"))
    assert "45 test examples (about 30 per seed)" in covers(apart)


def test_a_table_is_flat_and_in_points(store: Store, records: list[Record]) -> None:
    keep(store, records)
    table = trials(join(store).records).set_index("key")
    row = table.loc[key("clean=confident", 0)]
    assert (row["test"], row["clean_n_dropped"], row["cost_cpu_s"], row["ledger_given"]) == (
        pytest.approx(95),
        10,
        2.5,
        90,
    )
    assert "clean_dropped" not in table


def test_a_study_that_looks_repeatedly_has_wider_intervals_and_larger_p_values() -> None:
    """Three looks: each interval at 1 - .05 / 3, each p three times as large, so that they still agree."""
    rng = stream(0, "looks")
    y = np.arange(200) % 2
    ids = np.array([f"t{i}" for i in range(200)])
    hit = lambda share: np.where(rng.random(200) < share, y, 1 - y)  # noqa: E731
    pairs = [TrialPair(ids, y, hit(0.85), hit(0.8)) for _ in range(4)]
    one, three = (
        interval(pairs, METRICS["accuracy"], 2, level, draws=200, rng=stream(0, "same"))
        for level in (LEVEL, 1 - (1 - LEVEL) / 3)
    )
    assert one.p is not None
    assert three.p == pytest.approx(min(1.0, 3 * one.p))
    assert three.high - three.low > one.high - one.low
    assert (three.low <= 0 <= three.high) == (three.p >= 0.05)
    assert covers(three).startswith(
        "98.3 % interval (95 % over the 3 looks that the study may take): accounts for retraining"
    )


def test_groups_are_resampled_whole() -> None:
    """Clones of five: an interval over single rows is far too narrow, one over their groups holds."""
    rng, held = stream(0, "test", "clones"), {False: 0, True: 0}
    studies, groups, clones, r = 300, 60, 5, 5
    y = np.zeros(groups * clones, dtype=np.int64)
    names = np.repeat(np.arange(groups), clones)
    for _ in range(studies):
        hard = rng.standard_normal((2, groups))
        for grouped in held:
            pairs = []
            for _ in range(r):
                arm, control = (
                    np.repeat(rng.standard_normal(groups) * 0.3 + hard[side] > bar, clones).astype(np.int64)
                    for side, bar in ((0, 0.9), (1, 0.7))
                )
                pairs.append(TrialPair(np.arange(len(y)), y, arm, control, names if grouped else None))
            found = interval(pairs, accuracy, 2, draws=200, rng=rng)
            true = 100 * (norm.cdf(0.9 / np.hypot(1, 0.3)) - norm.cdf(0.7 / np.hypot(1, 0.3)))
            held[grouped] += found.low <= true <= found.high
    assert held[False] / studies < 0.85
    assert held[True] / studies > 0.92


def test_a_group_counts_as_one_example_in_words() -> None:
    one = drawn_pairs(3, 30, 3, shared=True)
    pairs = [replace(pair, groups=np.repeat(np.arange(10), 3)) for pair in one]
    found = interval(pairs, accuracy, 3, draws=100, rng=stream(0, "x"))
    assert (found.n_test, found.n_scored) == (10, 90)
    assert "the sampling of the 30 test examples in 10 groups" in covers(found)
