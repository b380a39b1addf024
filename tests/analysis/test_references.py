"""Which arms are held against which references: by declaration, in one factor, all else equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import composed
from studies import keep, made_test_set, record, shown

from harness.analysis.records import join
from harness.analysis.references import comparisons
from harness.analysis.study import gather
from harness.errors import BadInput
from harness.run.faults import find_faults
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
    assert f"weak=label_model {more:+.2f} points (" in note


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
