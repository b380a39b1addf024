"""What a report gathers beside effects: attribution, mixed code, rows at hand, answers as plain data, stale figures."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import composed
from PIL import Image
from statsmodels.stats.multitest import multipletests
from studies import keep, large, made_test_set, record, shown

from harness.analysis.study import gather
from harness.errors import BadInput
from harness.report.answers import collect_answers
from harness.report.page.examples import needs_path, rows
from harness.report.page.examples import show_row as as_seen
from harness.report.write import make_files, rebuild, write_index
from harness.run.config import plain
from harness.run.options import build, identity
from harness.storage.store import Record, Store

TEST = made_test_set(60, 2)


def crossed(store: Store, seeds: int = 4, **changes: object) -> list[Record]:
    """A two by two study in which both gain, the data more than the model."""
    cells = {"baseline": 0.6, "model=mlp": 0.75, "clean=oracle": 0.9, "model=mlp clean=oracle": 0.97}
    axes = {"baseline": "none", "model=mlp": "model", "clean=oracle": "data", "model=mlp clean=oracle": "both"}
    return [
        record(store, arm, s, shown(TEST, accuracy, arm, str(s)), TEST, axis=axes[arm], **changes)
        for arm, accuracy in cells.items()
        for s in range(seeds)
    ]


def test_a_crossed_study_is_attributed_with_tie_groups_and_cells(tmp_path: Path) -> None:
    store = Store(tmp_path / "study")
    keep(store, crossed(store))
    study = gather(store)
    assert study.attribution is not None
    assert study.attribution.ladder is not None
    assert study.attribution.ladder.both is not None
    assert study.attribution.ladder.both.arm == "model=mlp clean=oracle"
    assert all(effect.letters for effect in study.effects)
    assert {"attribution.png", "cells.png", "index.html"} <= set(make_files(study, None))


def test_p_values_are_adjusted_as_asked(tmp_path: Path) -> None:
    """Benjamini-Yekutieli and Holm by statsmodels, which the report must have asked for by name."""
    store = Store(tmp_path / "study")
    keep(store, crossed(store))
    for adjust, name, words in (
        ("holm", "holm", "by Holm"),
        ("benjamini_yekutieli", "fdr_by", "by Benjamini-Yekutieli"),
    ):
        study = gather(store, adjust)
        known = [effect for effect in study.effects if effect.p is not None]
        assert [effect.p_adjusted for effect in known] == pytest.approx(
            multipletests([effect.p for effect in known], method=name)[1].tolist()
        )
        assert any(words in note for note in study.notes)
    with pytest.raises(
        BadInput, match=r"adjust=holmes is not known; did you mean 'holm'\? \(choose from: holm, benjamini_yekutieli"
    ):
        gather(store, "holmes")


def test_one_seed_has_no_verdict_and_says_why(tmp_path: Path) -> None:
    store = Store(tmp_path / "study")
    keep(store, crossed(store, seeds=1))
    study = gather(store)
    assert study.attribution is not None
    assert study.attribution.verdict is None
    assert any("one seed does not show" in note for note in study.attribution.notes)
    assert "one seed does not show" in make_files(study, None)["index.html"].decode()


def test_a_baseline_that_never_finished_leaves_nothing_to_attribute(tmp_path: Path) -> None:
    store = Store(tmp_path / "study")
    keep(store, [record(store, "baseline", 0, None, TEST), record(store, "clean=a", 0, shown(TEST, 0.8, "a"), TEST)])
    study = gather(store)
    assert (study.scores, study.attribution) == (None, None)
    assert collect_answers(study)["attribution"] is None


def test_two_versions_are_refused_and_two_commits_are_told(tmp_path: Path) -> None:
    store = Store(tmp_path / "study")
    records = crossed(store)
    for number, one in enumerate(records):
        one["provenance"] = {"harness": "0.1.0", "commit": "abcdef"[number % 2] * 40}
    keep(store, records)
    assert "Mixed: the trials were made by 2 commits of this program." in gather(store).notes
    records[0]["provenance"] = {"harness": "0.2.0", "commit": None}
    keep(store, records)
    with pytest.raises(BadInput, match=r"versions 0\.1\.0, 0\.2\.0 of this program"):
        gather(store)


def test_answers_are_plain_and_round(tmp_path: Path) -> None:
    store = Store(tmp_path / "study")
    keep(store, crossed(store))
    study = gather(store)
    said = json.loads(json.dumps(collect_answers(study)))
    assert study.attribution is not None
    assert study.attribution.ladder is not None
    gain = study.attribution.ladder.difference.value
    assert said["attribution"]["ladder"]["difference"]["value"] == pytest.approx(gain, abs=1e-4)
    assert (said["arms"], said["trials"], said["failed"]) == (4, 16, 0)
    best = max(study.effects, key=lambda effect: effect.score or 0)
    assert best.arm in said["first"]


def test_a_figure_that_no_longer_has_a_reason_goes(tmp_path: Path) -> None:
    store = large(tmp_path / "large", n=60, seeds=2)
    (store.folder / "budget.png").write_bytes(b"of an earlier report")
    assert "budget.png" not in {path.name for path in rebuild(store.folder)}
    assert not (store.folder / "budget.png").exists()
    assert "large/index.html" in write_index(tmp_path).read_text()


def digits() -> dict[str, object]:
    """A plan on the digits task, as the store keeps it."""
    return {"name": "mine", "seeds": [0, 1], "task": identity(plain(composed().task), lambda path: None)}


def test_rows_of_an_embedded_task_are_pictures_of_those_rows() -> None:
    plan, source = digits(), build(plain(composed().task))
    train = source.split(1).train
    found = rows(plan, [source.fingerprint], [str(train.ids[3])], None)
    assert list(found) == [str(train.ids[3])]
    picture = found[str(train.ids[3])]
    assert isinstance(picture, bytes)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture))), np.asarray(train.x)[3][..., 0])


def test_rows_that_are_not_at_hand_are_left_out_and_other_data_are_refused() -> None:
    plan = digits()
    wrench = {**plan, "task": {"_target_": "harness.tasks.wrench.wrench", "name": "youtube"}}
    assert needs_path(wrench)
    assert not needs_path(plan)
    assert rows(wrench, ["x"], ["a"], None) == {}
    assert rows(None, [], ["a"], None) == {}
    with pytest.raises(BadInput, match="does not hold the data that the study 'mine' ran on"):
        rows(plan, ["another"], ["a"], None)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("a text", "a text"),
        (np.array([1.5, 2.0]), "1.5, 2"),
        (np.arange(20.0), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …"),
        (np.array([("x", "3")], dtype=[("name", "U5"), ("size", "U5")])[0], "name: x, size: 3"),
    ],
)
def test_texts_and_tables_are_shown_in_words(row: object, text: str) -> None:
    assert as_seen(row) == text
