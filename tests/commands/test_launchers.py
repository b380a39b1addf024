"""Launchers for more machines than one, in their local form: the same records, also where a process dies."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from invoke import PLAIN, QUIET, SMALL, harness, lasting, records

from harness.errors import BadInput
from harness.run.batches import cut_batches, run_by_submitit

MINE = '''
"""A cleaning function that the system kills, as for lack of memory."""
import os
import signal


def killed(train, tools):
    os.kill(os.getpid(), signal.SIGKILL)
'''
STUDY = """# @package _global_
defaults:
  - override /hydra/sweeper: study
study: mine
seeds: [0, 1]
arms: [model=lenet, clean=killed]
"""


@pytest.mark.slow
@pytest.mark.parametrize(("launcher", "library"), [("submitit_local", "submitit"), ("ray", "ray")])
def test_a_study_gives_the_same_records_and_names_the_trials_that_kill_their_job(
    tmp_path: Path, launcher: str, library: str
) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed: pip install 'gains-harness[slurm,ray]'")
    (tmp_path / "mine.py").write_text(MINE)
    for place, text in {
        "conf/clean/killed.yaml": "# killed\n_target_: mine.killed\n_partial_: true\nfits: [image]\n",
        "experiments/mine.yaml": STUDY,
    }.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    words = ("-m", "experiments=mine", *SMALL)
    batches = (f"hydra/launcher={launcher}", "hydra.launcher.n_jobs=2", "hydra.launcher.trials_per_job=3")
    said = harness(*words, *PLAIN, *batches, folder=tmp_path)
    assert said.returncode == 1
    assert "Traceback" not in said.stderr
    found = records(tmp_path / "results" / "mine")
    failed = {record["seed"]: record["reason"] for record in found.values() if record["status"] == "failed"}
    assert set(failed) == {0, 1}
    assert all("ended without a result" in reason or "died" in reason for reason in failed.values())
    alone = harness(*words, *QUIET[1:], "store=other", "arms=['model=lenet']", folder=tmp_path)
    assert alone.returncode == 0
    done = {key: record for key, record in found.items() if record["status"] == "done"}
    assert lasting(done) == lasting(records(tmp_path / "other" / "mine"))


def test_jobs_are_cut_into_batches_in_order() -> None:
    jobs = [[f"seed={n}"] for n in range(7)]
    batches = cut_batches(jobs, 5, 3, None, None, None)
    assert [batch.first for batch in batches] == [5, 8, 11]
    assert [words for batch in batches for words in batch.overrides] == [tuple(words) for words in jobs]
    with pytest.raises(BadInput, match="trials_per_job"):
        cut_batches(jobs, 0, 0, None, None, None)


def test_a_parameter_that_submitit_does_not_know_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'gains-harness[slurm]'")
    with pytest.raises(BadInput, match="timeout_minutes"):
        run_by_submitit([], cluster="local", folder=str(tmp_path), n_jobs=1, parameters={"timeout_minutes": 3})
