"""Controls that predict one class on nearly every row are named in every output."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from studies import keep, record

from harness.analysis.degenerate import find_degenerate
from harness.analysis.records import join
from harness.analysis.study import gather
from harness.report.write import make_files
from harness.storage.store import Record, Store, TestSet


def rows(rare: int, n: int = 200) -> TestSet:
    """`n` test rows, the last `rare` of which are spam."""
    return TestSet(np.array([f"t{i}" for i in range(n)]), (np.arange(n) >= n - rare).astype(int), ("ham", "spam"))


def made(store: Store, test: TestSet, spam: dict[str, list[int]], **kinds: str) -> list[Record]:
    """Arms of several seeds, each of which calls its last so many rows spam; the baseline's axis is none."""
    found = []
    for arm, counts in spam.items():
        axis = "none" if arm == "baseline" else "model" if arm.startswith("model") else "data"
        for seed, count in enumerate(counts):
            predicted = (np.arange(len(test.y)) >= len(test.y) - count).astype(int)
            kind = kinds.get(arm.partition("=")[2], "")
            found.append(record(store, arm, seed, predicted, test, axis=axis, factors=(axis,), reference=kind))
    return found


@pytest.mark.parametrize(
    ("rare", "called", "flagged"),
    [
        (40, [0, 10], 2),  # 100 % and 95 % ham, of which 80 % are
        (40, [11, 0], 1),
        (40, [11, 40], 0),
        (20, [0, 0], 0),  # 90 % are ham: a sound model may say so
        (21, [0, 0], 2),
        (160, [200, 195], 2),  # the other class
    ],
)
def test_the_share_of_the_largest_predicted_class_is_held_against_the_truth(
    tmp_path: Path, rare: int, called: list[int], flagged: int
) -> None:
    store = Store(tmp_path / "study")
    keep(store, made(store, rows(rare), {"baseline": called, "model=mlp": [40, 40]}))
    found = find_degenerate(join(store).records, store.test_set)
    assert [(one.arm, one.n_flagged, one.n_seeds) for one in found] == ([("baseline", flagged, 2)] if flagged else [])


def test_references_are_named_too_and_other_arms_are_not(tmp_path: Path) -> None:
    store = Store(tmp_path / "study")
    spam = {"baseline": [40, 40], "weak=random_vote": [0, 0], "weak=label_model": [0, 0]}
    keep(store, made(store, rows(40), spam, random_vote="negative_control"))
    (one,) = find_degenerate(join(store).records, store.test_set)
    assert (one.arm, one.kind, one.label, one.predicted, one.true) == (
        "weak=random_vote", "negative_control", "ham", 1.0, 0.8
    )  # fmt: skip


def test_the_warning_is_in_every_output_and_in_the_verdict(tmp_path: Path) -> None:
    store = Store(tmp_path / "study")
    spam = {"baseline": [0, 3, 1], "model=mlp": [20, 24, 25], "weak=label_model": [38, 39, 36]}
    keep(store, made(store, rows(40), spam))
    study = gather(store)
    told = (
        "Warning: the baseline predicts ham for 99.3 % of the test rows, of which only 80.0 % are ham (on every seed): "
        "it is no control, and a gain over it says little."
    )
    assert study.notes[0] == told
    assert study.attribution is not None
    assert study.attribution.verdict is not None
    assert study.attribution.verdict.sentence.endswith(told)
    files = make_files(study, None)
    for name in ("leaderboard.md", "leaderboard.tex", "index.html"):
        assert "it is no control, and a gain over it says little" in files[name].decode(), name
    assert files["index.html"].decode().count("it is no control") >= 2, "beside the verdict and among the notes"
    assert json.loads(files["answers.json"])["notes"][0] == told
