"""Which arms are held against which references: by declaration, in one factor, all else equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import composed
from studies import keep, made_test_set, record, shown

from harness.analysis.effects import Effect, Interval, ReferenceGain, TrialPair, interval
from harness.analysis.records import join
from harness.analysis.references import comparisons, with_references
from harness.analysis.study import gather
from harness.errors import BadInput
from harness.metrics import METRICS
from harness.run.faults import find_faults
from harness.storage.packing import unpack
from harness.storage.store import Record, Store

TEST = made_test_set(60, 2)
ARMS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "clean=random_drop": {
        "reference": "negative_control", "families": {"clean": "label errors"}, "reference_for": {"clean": ["confident"]},
    },
    "clean=confident": {"families": {"clean": "label errors"}},
    "clean=relabel": {"families": {"clean": "label errors"}},
    "weak=majority_vote": {
        "reference": "simple_baseline", "families": {"weak": "votes"}, "reference_for": {"weak": ["label models"]},
    },
    "weak=label_model": {"families": {"weak": "label models"}},
    "weak=gold": {
        "reference": "upper_bound", "families": {"weak": "true labels"}, "reference_for": {"weak": ["all"]},
    },
    "weak=label_model clean=confident": {"families": {"weak": "label models", "clean": "label errors"}},
    "weak=label_model clean=random_drop": {
        "reference": "negative_control", "families": {"weak": "label models", "clean": "label errors"},
        "reference_for": {"clean": ["confident"]},
    },
}  # fmt: skip


@pytest.fixture
def study(tmp_path: Path) -> Store:
    """Four seeds of each arm; the label model is right more often than the vote, the cleaning no more than chance."""
    store = Store(tmp_path / "study")
    records: list[Record] = []
    for arm, more in ARMS.items():
        right = 0.9 if "label_model" in arm or "gold" in arm else 0.7
        axis = "none" if arm == "baseline" else "data"
        records += [record(store, arm, s, shown(TEST, right, arm, str(s)), TEST, axis=axis, **more) for s in range(4)]
    keep(store, records)
    return store


def test_each_reference_has_the_arms_that_it_is_declared_for_all_else_equal(study: Store) -> None:
    found = {one.reference: (one.kind, set(one.arms)) for one in comparisons(join(study).records)}
    assert found == {
        "clean=random_drop": ("negative_control", {"clean=confident"}),
        "weak=majority_vote": ("simple_baseline", {"weak=label_model"}),
        "weak=gold": ("upper_bound", {"weak=majority_vote", "weak=label_model"}),
        "weak=label_model clean=random_drop": ("negative_control", {"weak=label_model clean=confident"}),
    }


def test_the_notes_say_by_how_much(study: Store) -> None:
    found = gather(study)
    gain = {one.arm: one.interval.effect for one in found.effects if one.interval}
    more = gain["weak=label_model"] - gain["weak=majority_vote"]
    (note,) = [note for note in found.notes if note.startswith("Beside the simple baseline weak=majority_vote")]
    assert f"weak=label_model {more:+.2f} points [" in note


def test_records_without_declarations_have_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "study")
    kinds = {"baseline": "", "clean=random_drop": "negative_control", "clean=confident": ""}
    keep(
        store, [record(store, arm, 0, shown(TEST, 0.7, arm, "0"), TEST, reference=kind) for arm, kind in kinds.items()]
    )
    assert comparisons(join(store).records) == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("~clean.reference_for", r"reference_for is None: list the options or families beside which it is a negative"),
        ("clean.reference_for=[]", r"reference_for is \[\]: list the options"),
        ("~clean.reference_kind", r"reference_for has no effect without reference_kind"),
    ],
)
def test_half_a_declaration_is_a_fault(said: str, told: str) -> None:
    lines = find_faults(composed("clean=random_drop", said))
    with pytest.raises(BadInput, match=told):
        raise BadInput("; ".join(lines))


def test_a_gain_over_a_reference_has_the_interval_of_the_two_arms_as_if_one_were_the_control(study: Store) -> None:
    records = join(study).records
    found = gather(study)
    (gain,) = [one for one in found.references if (one.arm, one.kind) == ("weak=label_model", "simple_baseline")]
    by_seed = {(one["arm"], one["seed"]): unpack(one["result"]["predictions"]) for one in records}
    pairs = [
        TrialPair(TEST.ids, TEST.y, by_seed[gain.arm, s].astype(int), by_seed[gain.reference, s].astype(int))
        for s in range(4)
    ]
    direct = interval(pairs, METRICS["accuracy"], 2, draws=4000, rng=np.random.default_rng(0))
    assert gain.value == pytest.approx(direct.effect)
    assert gain.low == pytest.approx(direct.low, abs=0.4)
    assert gain.high == pytest.approx(direct.high, abs=0.4)
    assert gain.p is not None
    assert gain.p_adjusted is not None
    assert (gain.p < 0.05) == (not gain.low <= 0 <= gain.high)  # type: ignore[operator]
    assert gain.p_adjusted >= gain.p
    assert gain.words == "weak=majority_vote"


def test_an_arm_is_held_against_the_hardest_of_the_references_that_buy_as_many_labels() -> None:
    def effect(arm: str, value: float, labels: float) -> Effect:
        found = Interval(value, value - 1, value + 1, 5, 100, 500, 0.5, 0.01)
        return Effect(arm, "data", ("clean",), "", 5, 0, 0, 80.0, found, 1.0, 1.0, labels, 0.0)

    effects = [
        effect("oracle", 9.0, 50), effect("random 50", 1.0, 50), effect("vote 50", 2.0, 50),
        effect("random 450", 8.0, 450), effect("gold", 20.0, 50), effect("alone", 3.0, 0),
    ]  # fmt: skip
    kinds = {"random 50": "negative_control", "vote 50": "simple_baseline", "random 450": "negative_control", "gold": "upper_bound"}  # fmt: skip
    gains = [ReferenceGain("oracle", name, kind, name, 0.0) for name, kind in kinds.items()]
    beside = {one.arm: one.beside.reference for one in with_references(effects, gains) if one.beside}
    assert beside == {"oracle": "vote 50"}


def test_an_arm_with_a_failed_trial_has_a_gain_without_an_interval(tmp_path: Path) -> None:
    store = Store(tmp_path / "study")
    arms = {arm: ARMS[arm] for arm in ("baseline", "clean=random_drop", "clean=confident")}
    keep(store, [
        record(store, arm, s, None if (arm, s) == ("clean=confident", 2) else shown(TEST, 0.7, arm, str(s)), TEST, **more)
        for arm, more in arms.items() for s in range(3)
    ])  # fmt: skip
    found = gather(store)
    (gain,) = found.references
    assert (gain.low, gain.high, gain.p_adjusted) == (None, None, None)
    assert any("(no interval: a trial is missing)" in note for note in found.notes)
