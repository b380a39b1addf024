"""Every shipped option has its numbers pinned, and a number that moves is seen."""

from __future__ import annotations

import json
from pathlib import Path

import pinned
import pytest
from conftest import options

FROM_FILES = ("task/folder", "task/hub", "task/raw_table", "task/wrench")
"""Tasks of a user's own files: tests compare what they read with what was written."""
ELSEWHERE = (
    "model/datarobot",
    "model/h2o",
    "model/ludwig",
    "model/timm",
    "model/efficientnet_lite1",
    "model/efficientnet_lite2",
)
"""Learners of a server, or of packages that this environment has not; their versions are not ours to pin."""


def test_every_option_has_its_numbers() -> None:
    known = {name.split()[0] for name in json.loads(pinned.PINS.read_text())["numbers"]}
    every = {f"{group}/{name}" for group in ("model", "weak", "clean", "augment", "task") for name in options(group)}
    assert every - known == {*FROM_FILES, *ELSEWHERE}
    assert known <= every


def test_a_number_that_moves_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinned, "PINS", tmp_path / "pinned.json")
    monkeypatch.setenv(pinned.WRITE, "1")
    pinned.check_pinned("clean/mine table", {"rows": 90.0, "x": 2.0})
    monkeypatch.delenv(pinned.WRITE)
    pinned.check_pinned("clean/mine table", {"rows": 90.0, "x": 2.001})
    with pytest.raises(AssertionError, match="clean/mine table no longer computes what protocol version 1 stands for"):
        pinned.check_pinned("clean/mine table", {"rows": 90.0, "x": 2.1})
    with pytest.raises(AssertionError, match="nothing is pinned for clean/other table"):
        pinned.check_pinned("clean/other table", {"rows": 90.0})
    monkeypatch.setattr(pinned, "protocol_version", lambda: 2)
    with pytest.raises(AssertionError, match="the protocol has a new version"):
        pinned.check_pinned("clean/mine table", {"rows": 90.0, "x": 2.0})
