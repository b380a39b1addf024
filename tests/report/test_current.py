"""A report that would change nothing is left as it is; any change of what it follows from makes it anew."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest
from studies import keep, made_test_set, record, shown

from harness.report import current
from harness.report.write import rebuild_if_changed
from harness.storage.index import state_of
from harness.storage.store import Store

TEST = made_test_set(40, 2)


def test_a_report_is_made_anew_only_where_something_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current, "FRESH_NS", 0)
    store = Store(tmp_path / "study")
    arms = (("baseline", 0.6), ("clean=x", 0.8))
    keep(store, [record(store, arm, seed, shown(TEST, right, arm), TEST) for arm, right in arms for seed in (0, 1)])
    made = rebuild_if_changed(store.folder)
    first = {path: (state_of(path), path.read_bytes()) for path in made}
    assert rebuild_if_changed(store.folder) == made
    assert {path: (state_of(path), path.read_bytes()) for path in made} == first, "nothing was written"
    board = store.folder / "leaderboard.md"
    board.write_text("edited")
    assert rebuild_if_changed(store.folder) == made
    assert board.read_bytes() == first[board][1]
    page = store.folder / "index.html"
    (store.folder / "claims").mkdir()
    (store.folder / "claims" / "mine.json").write_text("{}")
    rebuild_if_changed(store.folder)
    assert "claims/mine.json is not a verdict" in page.read_text(), "a verdict on a claim stands on the page"
    (store.folder / "trials" / f"{store.records()[0]['key']}.json").unlink()
    rebuild_if_changed(store.folder)
    assert board.read_bytes() != first[board][1]


def test_what_rows_to_verify_show_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current, "FRESH_NS", 0)
    store = Store(tmp_path / "study")
    given = {"facts": {"test_labels": "given"}}
    arms = (("baseline", 0.6), ("clean=x", 0.8))
    keep(store, [record(store, arm, s, shown(TEST, right, arm), TEST, **given) for arm, right in arms for s in (0, 1)])
    asked: list[int] = []

    def cells(ids: Collection[str]) -> dict[str, dict[str, str]]:
        asked.append(len(ids))
        return {name: {"text": f"row {name}"} for name in ids}

    made = rebuild_if_changed(store.folder, read_cells=cells)
    assert rebuild_if_changed(store.folder, read_cells=cells) == made
    assert len(asked) == 1
    assert "row " in (store.folder / "verify_these.csv").read_text()
