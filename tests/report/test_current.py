"""A report that would change nothing is left as it is; any change of what it follows from makes it anew."""

from __future__ import annotations

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
    (store.folder / "trials" / f"{store.records()[0]['key']}.json").unlink()
    rebuild_if_changed(store.folder)
    assert board.read_bytes() != first[board][1]
