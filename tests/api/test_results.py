"""A study read from Python gives what the commands give, and `import harness` costs nothing."""

from __future__ import annotations

import doctest
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT

import harness
from harness.api import results
from harness.commands import plan, slices
from harness.errors import BadInput
from harness.report.figure_files import draw_all
from harness.report.leaderboard import as_csv, deviations
from harness.storage.sheets import read_sheet

HEAVY = ("torch", "sklearn", "pandas", "matplotlib", "numpy", "wandb", "hydra", "omegaconf")


@pytest.fixture(scope="module")
def study() -> harness.Study:
    return harness.load(ROOT / "results" / "youtube")


def test_its_examples_are_true(study: harness.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for module in (harness, results):
        found = doctest.testmod(module, extraglobs={"harness": harness, "study": study})
        assert found.attempted >= 2
        assert not found.failed


def test_the_verdict_is_that_of_the_report(study: harness.Study) -> None:
    told = json.loads((ROOT / "results" / "youtube" / "answers.json").read_text())["attribution"]["verdict"]
    assert (study.verdict.word, study.verdict.sentence) == (told["word"], told["sentence"])
    assert study.verdict.by.low == pytest.approx(told["by"]["low"], abs=1e-4)


def test_effects_are_the_leaderboards(study: harness.Study, tmp_path: Path) -> None:
    (tmp_path / "leaderboard.csv").write_bytes(as_csv(study.gathered.effects, deviations(study.trials)))
    written = read_sheet(tmp_path / "leaderboard.csv")
    for column in ("effect", "low", "high", "p_adjusted", "score", "rank", "n_seeds"):
        pd.testing.assert_series_equal(study.effects[column].astype(float), written[column].astype(float))
    assert study.effects["arm"].tolist() == written["arm"].tolist()


def test_a_changed_frame_changes_no_answer(study: harness.Study) -> None:
    changed = study.trials
    changed["test"] = 0.0
    assert study.trials["test"].max() > 50


def test_plan_and_slices_are_those_of_the_commands(
    study: harness.Study, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "results").mkdir()
    for name in ("study.json", "trials", "tests"):  # `slices` writes beside the records
        target = tmp_path / "results" / "youtube" / name
        target.parent.mkdir(exist_ok=True)
        os.symlink(ROOT / "results" / "youtube" / name, target)
    monkeypatch.chdir(tmp_path)
    here = harness.load("youtube")
    assert plan.command(["plan", "youtube", "effect=2", "cores=2"]) == 0
    assert capsys.readouterr().out == f"{here.plan(effect=2, cores=2)}\n"
    arm = "model=random_forest"
    assert slices.command(["slices", "youtube", f"arm={arm}"]) == 0
    written = read_sheet(here.folder / "slices.csv")
    pd.testing.assert_series_equal(here.slices(arm)["delta"], written["delta"], rtol=1e-5)
    assert here.flips(arm)["id"].tolist() == read_sheet(here.folder / "flips.csv")["id"].tolist()


def test_the_plan_gives_reasons_for_missing_numbers(study: harness.Study) -> None:
    table = study.plan(effect=2).table
    assert table["arm"].tolist() == [one.arm for one in study.gathered.effects[1:]]
    assert (table["why"] != "").equals(table["needed"].isna())
    assert (table.loc[table["needed"].notna(), "more"] > 0).all()


def test_a_figure_is_that_of_the_report_and_shows_itself_in_a_notebook(study: harness.Study) -> None:
    figure = study.figure("effects")
    assert figure._repr_png_() == draw_all(study.gathered).drawn["effects"]["png"]  # type: ignore[attr-defined]


def test_a_notebook_shows_verdict_table_and_notes_without_markup_from_data(study: harness.Study) -> None:
    shown = study._repr_html_()
    assert study.verdict.sentence in shown
    assert shown.count("<tr") == 1 + len(study.effects)
    assert all(arm in shown for arm in study.effects["arm"])
    assert study.notes[0] in shown
    one = study.gathered.effects[1]
    bad = replace(study.gathered, effects=[replace(one, arm="<script>x</script>")])
    assert "<script" not in results.StudyResults(study.folder, bad)._repr_html_()


def test_a_wrong_name_is_told_with_the_nearest(study: harness.Study) -> None:
    with pytest.raises(BadInput, match=r"no study 'youtub'.*did you mean 'youtube'"):
        harness.load("youtub", store=ROOT / "results")
    with pytest.raises(BadInput, match=r"'youtube' has no figure 'budget': \w"):
        study.figure("budget")
    with pytest.raises(BadInput, match="did you mean 'effects'"):
        study.figure("efects")
    with pytest.raises(BadInput, match="no arm 'model=mlp' has a delta"):
        study.slices("model=mlp")
    with pytest.raises(BadInput, match="effect is 0"):
        study.plan(effect=0)


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no record of a trial"):
        harness.load(tmp_path)


def test_importing_it_imports_nothing_heavy() -> None:
    program = f"import sys, harness; dir(harness); print([name for name in {HEAVY} if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    assert done.stdout == "[]\n"


def test_every_public_name_is_there_and_no_other() -> None:
    assert {"load", "run", "Study", "Option"} <= set(harness.__all__) <= set(dir(harness))
    assert all(getattr(harness, name) is not None for name in harness.__all__)
    assert callable(harness.run)
    assert (ROOT / "harness" / "py.typed").is_file()
    with pytest.raises(AttributeError, match="module 'harness' has no attribute 'laod'"):
        harness.laod  # noqa: B018
