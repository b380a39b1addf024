"""The same trial in two fresh processes: the same record, bit for bit, but for its cost and where it came from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

VARIES = ("cost", "provenance", "checksum")
SMALL = ("task.n_train=120", "protocol.steps=20", "model@baseline.model=mlp", "track=none", "seed=3", "study=twice")
ARMS = {
    "strategies that draw": ("weak=majority_vote", "weak.ties=random", "clean=random_drop", "augment=shift"),
    "Snorkel, which seeds global generators": ("weak=label_model", "weak.n_epochs=50", "augment=mixup"),
    "cleanlab, and another network": ("clean=confident", "model=lenet", "protocol.selection=best"),
    "a forest on grown rows": ("clean=oracle", "model=random_forest", "augment=cutout"),
}


def records(folder: Path, hash_seed: str, arm: tuple[str, ...]) -> dict[str, Any]:
    """The records of the arm and its control by name, made by the command in a process of its own."""
    said = [*SMALL, *arm, f"store={folder / 'results'}", f"cache={folder / 'cache'}"]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "harness", *said], cwd=folder, env=environment, check=True, text=True)
    paths = sorted((folder / "results" / "twice" / "trials").glob("*.json"))
    return {path.name: json.loads(path.read_text()) for path in paths}


@pytest.mark.slow
@pytest.mark.parametrize("arm", ARMS.values(), ids=list(ARMS))
def test_two_processes_make_the_same_records(arm: tuple[str, ...], tmp_path: Path) -> None:
    first, second = (records(tmp_path / seed, seed, arm) for seed in ("1", "2"))
    assert len(first) == 2, "a trial and its control"
    assert first.keys() == second.keys()
    for name, record in first.items():
        assert record["status"] == "done", record["reason"]
        assert record.keys() >= set(VARIES)
        kept = [json.dumps({k: v for k, v in one.items() if k not in VARIES}) for one in (record, second[name])]
        assert kept[0] == kept[1]
