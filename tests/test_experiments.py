"""Every study of experiments/, small: all its arms run, its tables and figures appear, a second run trains nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from invoke import QUIET, TWO_WORKERS, files_of, harness, records
from omegaconf import OmegaConf

from harness.commands import study as sweeper

STUDIES = sorted((ROOT / "experiments").glob("*.yaml"))
SMOKE = ("protocol.steps=5", "protocol.folds=2", "protocol.augment_draws=1", "seeds=[0,1]", *QUIET)
PROBE = "model@probe=logistic_regression"
"""After five steps a network cannot judge labels: it flags so many rows that the negative control drops classes."""
SIZE = {
    "equal_effort": ("task.n_train=240", PROBE, "protocol.tuning_trials=2", TWO_WORKERS),
    "quickstart": ("task.n_train=480", PROBE, TWO_WORKERS),
    "roman_numerals": ("task.n_train=240", PROBE, "task.path={shared}/tasks/roman_numerals", "task.cache=cache"),
    "variance": ("task.n_train=120",),
    "youtube": ("task.n_train=200", "task.path={shared}/tasks/wrench/youtube"),
}
"""What makes each study small, and where its data lies."""
DERIVED = (
    "leaderboard.csv",
    "leaderboard.md",
    "answer.txt",
    "leaderboard.tex",
    "table.parquet",
    "effects.png",
    "index.html",
)


def arms_of(study: Path) -> list[str]:
    """The names of a study's arms, the baseline first, as its file lists and crosses them."""
    said = {"design": "one_factor", "cross": [], **yaml.safe_load(study.read_text())}
    return [" ".join(arm) or "baseline" for arm in sweeper.arms_of(OmegaConf.create(said))]


def test_every_study_has_a_small_form():
    assert [path.stem for path in STUDIES] == sorted(SIZE)


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_a_study_runs_and_a_second_time_trains_nothing(study, tmp_path, request):
    needs = any("{shared}" in word for word in SIZE[study.stem])
    shared = request.getfixturevalue("shared") if needs else ""
    words = ("-m", f"experiments={study.stem}", *SMOKE, *(word.format(shared=shared) for word in SIZE[study.stem]))
    first = harness(*words, folder=tmp_path)
    assert first.returncode == 0, first.stderr
    folder, arms = tmp_path / "results" / study.stem, arms_of(study)
    found = records(folder)
    assert {(record["arm"], record["seed"]) for record in found.values()} == {
        (arm, seed) for arm in arms for seed in (0, 1)
    }
    assert {record["status"] for record in found.values()} == {"done"}
    assert all((folder / name).stat().st_size > 100 for name in DERIVED)
    board = (folder / "leaderboard.md").read_text()
    assert all(f"`{arm}`" in board for arm in arms)
    assert first.stdout == (folder / "answer.txt").read_text() + f"\n{Path('results') / study.stem / 'index.html'}\n"
    assert board.startswith("**Answer.** " if study.stem == "variance" else ("**Verdict.** ", "**Caution.** "))
    assert_trains_nothing(words, tmp_path, folder, len(found))


@pytest.mark.slow
def test_every_tuned_arm_tries_as_much_on_the_same_labels(tmp_path):
    """The model's side and the data's, each factor by itself and all together."""
    words = ("task.n_train=240", PROBE, "protocol.tuning_trials=3", "cross=[]")
    done = harness("-m", "experiments=equal_effort", *SMOKE, "seeds=[0,1]", *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = records(tmp_path / "results" / "equal_effort")
    tuned = [record for record in found.values() if "=tuned" in record["arm"]]
    assert {record["arm"].split()[0] for record in tuned} == {
        "model=tuned",
        "weak=tuned",
        "clean=tuned",
        "augment=tuned",
    }
    assert {sum("trial" in row for row in record["history"]) for record in tuned} == {3}
    assert {record["ledger"]["valid"] for record in tuned} == {150}
    assert {record["ledger"]["valid"] for record in found.values() if "tuned" not in record["arm"]} <= {0, 150}
    board = (tmp_path / "results" / "equal_effort" / "leaderboard.md").read_text()
    note = next(line for line in board.splitlines() if "Equal effort:" in line)
    assert "each tried 3 configurations on 150 validation labels" in note


def assert_trains_nothing(words: tuple[str, ...], here: Path, folder: Path, n: int) -> None:
    """The same command again leaves every record as it was and writes the same bytes of everything derived."""
    kept, derived = files_of(folder / "trials"), {name: (folder / name).read_bytes() for name in DERIVED}
    second = harness(*words, folder=here)
    assert second.returncode == 0, second.stderr
    told, *read = second.stderr.splitlines()
    assert told == f"study {folder.name}: {n} trials, {n} are done already, 0 to run"
    assert all(line.startswith(("  train: ", "  valid: ", "  test: ", "  not read: ")) for line in read), read
    assert files_of(folder / "trials") == kept
    assert {name: (folder / name).read_bytes() for name in DERIVED} == derived
