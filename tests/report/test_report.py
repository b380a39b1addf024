"""Reports of made-up studies: numbers by hand, bytes, failures, hostile names, and the smallest studies there are."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint
from studies import keep, large, made_test_set, record, shown, write

from harness.analysis.records import join
from harness.analysis.study import Study, gather
from harness.commands.cli import main
from harness.errors import BadInput
from harness.report import figure_files, figures, leaderboard
from harness.report.figure_files import FIGURES
from harness.report.write import read_table, rebuild
from harness.storage.files import dump, write_atomic
from harness.storage.store import Store

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    "leaderboard.csv", "leaderboard.md", "answer.txt", "leaderboard.tex", "table.parquet", "answers.json", "effects.png", "cost.png",
    "index.html",
]  # fmt: skip
TEST = made_test_set(20, 2)


def wrong(n: int) -> np.ndarray:
    return np.where(np.arange(20) < n, 1 - TEST.y, TEST.y)


def small_study(folder: Path) -> Store:
    """One clever arm that gains 10 points, its reference that gains nothing, one that fails on a seed."""
    store = Store(folder)
    base = [record(store, "baseline", s, wrong(4 - s), TEST, axis="none", factors=()) for s in (0, 1)]
    clever = [record(store, "clean=oracle", s, wrong(2 - s), TEST) for s in (0, 1)]
    reference = [
        record(store, "clean=random_drop", s, wrong(4 - s), TEST, reference="negative_control") for s in (0, 1)
    ]
    half = [record(store, "clean=odd", 0, wrong(5), TEST), record(store, "clean=odd", 1, None, TEST, reason="diverged")]
    keep(store, [*base, *half, *reference, *clever])
    return store


@pytest.fixture
def small(tmp_path: Path) -> Store:
    """A small study that a test may change."""
    return small_study(tmp_path / "study")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small study and its report, to be read only."""
    store = small_study(tmp_path_factory.mktemp("built") / "study")
    assert [path.name for path in rebuild(store.folder)] == FILES
    return store.folder


def test_figures_are_written_in_the_formats_asked_for_and_in_those_that_lie_there(small: Store) -> None:
    """A PDF of an earlier report is drawn again with the records that there are now."""
    names = [path.name for path in rebuild(small.folder, formats={"pdf"})]
    assert [name for name in names if name.endswith((".pdf", ".svg"))] == ["effects.pdf", "cost.pdf"]
    (small.folder / "effects.pdf").write_bytes(b"older")
    (small.folder / "budget.pdf").write_bytes(b"of a study that had budgets")
    assert [path.name for path in rebuild(small.folder)] == names
    assert (small.folder / "effects.pdf").read_bytes().startswith(b"%PDF")
    assert not (small.folder / "budget.pdf").exists()


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


def test_numbers_by_hand(built: Path) -> None:
    table = read_table(built).set_index("arm")
    assert list(table.index) == ["baseline", "clean=oracle", "clean=odd", "clean=random_drop"]
    assert table["score"].tolist() == [82.5, 92.5, 75.0, 82.5]
    assert table["effect"].tolist()[1:] == [10, -5, 0]
    assert table["rank"].tolist()[1:3] == [1, 2]
    assert np.isnan(table["rank"]["clean=random_drop"])
    assert table["n_failed"].tolist() == [0, 0, 1, 0]
    assert table["labels_bought"].tolist() == [0, 20, 0, 0]
    assert table["cpu_ratio"].tolist()[1:] == [2.5, 2.5, 2.5]
    none_of_20 = 100 * proportion_confint(0, 20, method="wilson")[1]  # it agrees with its control on all 20 rows
    assert table.loc["clean=random_drop", ["low", "high"]].tolist() == pytest.approx(
        [-none_of_20, none_of_20], abs=1e-4
    )
    assert table["low"]["clean=oracle"] < 10 < table["high"]["clean=oracle"]


def test_the_markdown_says_all_that_must_be_said(built: Path) -> None:
    text = (built / "leaderboard.md").read_text()
    assert "| `clean=oracle`" in text
    assert "+10.00 [" in text
    assert "\N{MINUS SIGN}5.00 [" in text
    assert "`clean=random_drop` (negative control)" in text
    assert "| control |" in " ".join(text.split())
    assert "2 × 20" in text
    assert "| 1/2 |" in " ".join(text.split())
    assert "Failed: clean=odd, seed 1: diverged" in text
    assert "accounts for retraining (2 seeds" in text
    assert "For clean=odd: 95 % interval: accounts for the sampling of the" in text
    assert "simulated: 25.0 % wrong" in text
    assert "also among the training rows: 0" in text
    assert "2000 draws" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1, "columns line up as plain text"


def test_the_table_has_a_row_a_trial(built: Path) -> None:
    table = pd.read_parquet(built / "table.parquet")
    assert len(table) == 8
    rows = table.set_index(["arm", "seed"])
    assert rows.loc[("clean=oracle", 1), "delta"] == pytest.approx(10)
    assert rows.loc[("clean=odd", 1), "why"] == "failed: diverged"
    assert rows.loc[("clean=odd", 1), ["status", "reason"]].tolist() == ["failed", "diverged"]
    assert {"key", "control", "axis", "ledger_oracle", "cost_cpu_s", "clean_n_dropped", "fact_noise"} <= set(table)
    assert rows.loc[("baseline", 0), "delta"] != rows.loc[("baseline", 0), "delta"]


@pytest.mark.slow
def test_bytes_are_the_same_again_in_another_process_and_under_another_style(small: Store) -> None:
    rebuild(small.folder)
    first = digests(small.folder)
    with mpl.rc_context({"font.size": 20, "lines.linewidth": 9, "savefig.dpi": 30, "axes.facecolor": "red"}):
        rebuild(small.folder)
    assert digests(small.folder) == first
    code = "import sys, pathlib; from harness.report.write import rebuild; rebuild(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(small.folder)], check=True, cwd=ROOT)
    assert digests(small.folder) == first


def test_drawing_leaves_the_callers_style_alone(small: Store) -> None:
    before = dict(mpl.rcParams)
    rebuild(small.folder)
    assert dict(mpl.rcParams) == before


def test_no_records_write_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no record"):
        rebuild(tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_if_something_cannot_be_made(small: Store) -> None:
    rebuild(small.folder)
    before = digests(small.folder)
    small.keep_plan(
        {"name": "study", "trials": [{**row, "arm": f"{row['arm']} renamed"} for row in (small.plan() or {})["trials"]]}
    )
    for version, path in enumerate(list((small.folder / "trials").glob("*.json"))[:2]):
        path.write_text(path.read_text().replace('"provenance": {}', f'"provenance": {{"harness": "{version}"}}'))
    with pytest.raises(BadInput, match="were made by versions 0, 1 of this program"):
        rebuild(small.folder)
    assert digests(small.folder) == before
    assert not list(small.folder.glob(".*.part"))


def test_records_that_the_plan_does_not_hold_are_left_out_and_counted(small: Store) -> None:
    keep(small, [record(small, "clean=old", 0, wrong(1), TEST)], plan=False)
    study = gather(small)
    assert "clean=old" not in [effect.arm for effect in study.effects]
    assert "Left out: 1 records of trials that the study's plan does not hold." in study.notes


def test_the_plan_says_what_is_compared_with_what(small: Store) -> None:
    """Records remember the baseline under which they first ran; a study that changes its baseline pairs them anew."""
    rebuild(small.folder)
    before = read_table(small.folder).set_index("arm").effect
    records = [item for item in join(small).records if item["arm"] in ("baseline", "clean=oracle")]
    names = {"baseline": "clean=none", "clean=oracle": "baseline"}
    control = {item["seed"]: item["key"] for item in records if item["arm"] == "clean=oracle"}
    rows = [
        {"key": item["key"], "control": control[item["seed"]], "arm": names[item["arm"]], "seed": item["seed"],
         "axis": "none" if names[item["arm"]] == "baseline" else "data", "factors": [], "reference": ""}
        for item in records
    ]  # fmt: skip
    small.keep_plan({"name": "turned", "trials": rows})
    rebuild(small.folder)
    after = read_table(small.folder).set_index("arm")
    assert after.effect["clean=none"] == pytest.approx(-before["clean=oracle"])
    assert after.axis["baseline"] == "none"


def test_trials_that_are_still_to_run_are_said(small: Store) -> None:
    plan = small.plan() or {}
    more = [{**row, "arm": "clean=next", "key": f"{row['key'][:-1]}x"} for row in plan["trials"][-2:]]
    small.keep_plan({**plan, "trials": [*plan["trials"], *more]})
    rebuild(small.folder)
    assert "Not run yet: 2 of 2 trials of clean=next." in (small.folder / "leaderboard.md").read_text()


def test_records_alone_are_enough(small: Store) -> None:
    """Trials that were run one by one have no plan."""
    records = join(small).records
    (small.folder / "study.json").unlink()
    keep(small, records, plan=False)
    rebuild(small.folder)
    assert read_table(small.folder)["arm"].tolist()[1] == "clean=oracle"


def test_records_of_earlier_versions_name_themselves(small: Store) -> None:
    """They held their arm and control; those are asked where no plan and no row speaks of them."""
    for one in join(small).records:
        write_atomic(next((small.folder / "trials").glob(f"{one['key']}*")), dump(one))
    (small.folder / "study.json").unlink()
    rebuild(small.folder)
    assert read_table(small.folder)["arm"].tolist()[1] == "clean=oracle"


def test_records_that_nothing_names_are_counted(small: Store) -> None:
    (small.folder / "study.json").unlink()
    assert (join(small).records, join(small).stale > 0) == ([], True)


HOSTILE = r"clean=a|b_*c* $x^2$ {\em} 100%&#~<b>`c`" + "\n漢字 ütf−8 \\input{x}"


def test_hostile_names_and_reasons_stay_text(tmp_path: Path) -> None:
    store = Store(tmp_path / "st_udy $1$")
    base = record(store, "baseline", 0, wrong(4), TEST, axis="none", factors=())
    bad = record(store, "clean=bad", 0, None, TEST, reason="ends | the _cell_ \\end{table} % $")
    keep(store, [base, record(store, HOSTILE, 0, wrong(2), TEST), bad])
    rebuild(store.folder)
    text, tex = (store.folder / "leaderboard.md").read_text(), (store.folder / "leaderboard.tex").read_text()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace(r"\|", "").count("|") for line in lines} == {13}
    assert r"ends \| the \_cell\_ \\end{table} % $" in text
    assert r"a\textbar{}b\_*c* \$x\textasciicircum{}2\$ \{\textbackslash{}em\} 100\%\&\#\textasciitilde{}" in tex
    assert r"\textbackslash{}input\{x\}" in tex
    assert r"\textbackslash{}end\{table\}" in tex
    assert tex.count(r"\end{table}") == 1
    with (store.folder / "leaderboard.csv").open(newline="") as file:
        assert HOSTILE in [row["arm"] for row in csv.DictReader(file)]


def test_latex_is_a_whole_booktabs_table(built: Path) -> None:
    tex = (built / "leaderboard.tex").read_text()
    places = [tex.index(word) for word in (r"\begin{table}", r"\toprule", r"\midrule", r"\bottomrule", r"\end{table}")]
    assert places == sorted(places)
    assert r"\texttt{clean=random\_drop} (negative control)" in tex
    assert "$-$5.00" in tex
    rows = [line for line in tex.splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in rows} == {11}


@pytest.mark.parametrize("case", ["one arm, one seed", "all failed", "baseline alone", "controls failed"])
def test_the_smallest_studies(tmp_path: Path, case: str) -> None:
    store = Store(tmp_path / "study")
    lost = None if case in ("all failed", "controls failed") else wrong(4)
    records = [record(store, "baseline", 0, lost, TEST, axis="none", factors=())]
    if case != "baseline alone":
        records.append(record(store, "clean=x", 0, None if case == "all failed" else wrong(2), TEST))
    keep(store, records)
    rebuild(store.folder)
    table, text = read_table(store.folder), (store.folder / "leaderboard.md").read_text()
    assert len(table) == len(records)
    assert ("accounts for the sampling of the 20 test examples only (one seed)" in text) == (
        case == "one arm, one seed"
    )
    assert ("Failed: clean=x, seed 0" in text) == (case == "all failed")
    assert ("No delta: clean=x, seed 0: control failed" in text) == (case == "controls failed")


def test_every_arm_of_a_large_study_is_drawn_within_the_figure(tmp_path: Path) -> None:
    store = large(tmp_path / "study", n=60, seeds=3)
    study = gather(store)
    reasons = {"augment=cutout": "failed: RuntimeError: " + "words " * 40}
    with mpl.style.context(["default", figures._STYLE], after_reset=True):
        figure = figures._draw(study.effects, "a title of many words " * 5, "accuracy", "note " * 60, reasons, {})
        figure.set_dpi(300)
        figure.canvas.draw()
        inside = figure.bbox.padded(1)
        boxes = {text.get_text(): text.get_window_extent() for text in figure.axes[0].texts}
    corners = {text: (inside.contains(box.x0, box.y0), inside.contains(box.x1, box.y1)) for text, box in boxes.items()}
    assert [text for text, within in corners.items() if not all(within)] == []
    pairs = itertools.combinations(boxes.items(), 2)
    assert [(a, b) for (a, one), (b, two) in pairs if one.shrunk(0.8, 0.8).overlaps(two.shrunk(0.8, 0.8))] == []
    words = " ".join(boxes)
    assert "failed 3 of 3" in words
    assert "RuntimeError" in words
    assert "confident" in words


def test_a_very_wide_interval_does_not_hide_the_others(tmp_path: Path) -> None:
    """It is cut and ends in arrows; its numbers stand beside it."""
    store, test = Store(tmp_path / "study"), made_test_set(200, 2)
    records = [record(store, "baseline", s, shown(test, 0.8, str(s)), test, axis="none", factors=()) for s in range(4)]
    for arm in ("a", "b", "c", "d"):
        seeds = (0, 1) if arm == "d" else range(4)
        found = {s: shown(test, 0.5 if (arm, s) == ("d", 1) else 0.85, arm, str(s)) for s in seeds}
        records += [record(store, f"clean={arm}", s, found[s], test) for s in seeds]
    keep(store, records)
    study = gather(store)
    with mpl.style.context(["default", figures._STYLE], after_reset=True):
        ax = figures._draw(study.effects, "t", "accuracy", "n", {}, {}).axes[0]
    wide = max(effect.half_width or 0 for effect in study.effects)
    assert ax.get_xlim()[1] < wide
    assert {"<", ">"} <= {str(line.get_marker()) for line in ax.lines}


@pytest.mark.parametrize(
    ("value", "text"), [(1.234, "+1.23"), (-0.4, "\N{MINUS SIGN}0.40"), (0.0, "0.00"), (-0.001, "0.00")]
)
def test_differences_carry_their_sign(value: float, text: str) -> None:
    assert leaderboard.signed_number(value) == text


def with_history(folder: Path, history: list[dict]) -> Store:
    """A study of a control and an arm with that training curve."""
    store = Store(folder)
    base = [record(store, "baseline", s, wrong(4 - s), TEST, axis="none", factors=()) for s in (0, 1)]
    searched = [
        record(store, "model=tuned", s, wrong(2), TEST, axis="model", factors=("model",), history=history)
        for s in (0, 1)
    ]
    keep(store, [*base, *searched])
    return store


def test_a_search_whose_rows_have_no_steps_is_reported(tmp_path: Path) -> None:
    curve = [{"trial": 0, "valid": 0.7, "network.width": 8.0}, {"trial": 1, "valid": 0.8, "network.width": 16.0}]
    steps = [{"step": 10, "loss": 0.5, "valid": 0.8}, {"step": 20, "loss": 0.4, "valid": 0.9}]
    names = {path.name for path in rebuild(with_history(tmp_path / "study", [*curve, *steps]).folder)}
    assert {"leaderboard.md", "index.html", "curves.png"} <= names


def broken(*args: Any, **names: Any) -> Any:
    raise TypeError("a figure that cannot be drawn")


def test_a_figure_that_fails_is_left_out_with_its_reason_and_the_rest_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = with_history(tmp_path / "study", [{"step": 1, "valid": 0.5}])
    monkeypatch.setattr(figures, "training_curves", broken)
    names = {path.name for path in rebuild(store.folder)}
    assert {"leaderboard.md", "answers.json", "index.html", "effects.png", "cost.png"} <= names
    assert "curves.png" not in names
    assert "The figure curves could not be drawn: TypeError:" in (store.folder / "leaderboard.md").read_text()
    assert "The figure curves could not be drawn" in (store.folder / "index.html").read_text()


def test_the_terminal_says_which_figure_failed_and_the_command_succeeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_history(tmp_path / "study", [{"step": 1, "valid": 0.5}])
    monkeypatch.setattr(figures, "training_curves", broken)
    assert main(["report", "study", f"store={tmp_path}"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("The figure curves could not be drawn: TypeError:")
    assert said.out.endswith("study/index.html\n")
    monkeypatch.undo()
    with_history(tmp_path / "sound", [{"step": 1, "valid": 0.5}])
    assert main(["report", "sound", f"store={tmp_path}"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", FIGURES)
def test_a_report_does_without_any_one_of_its_figures(name: str, small: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(study: Study) -> None:
        raise KeyError("step")

    monkeypatch.setattr(figure_files, "_DRAWN", {**figure_files._DRAWN, name: fails})
    heard: list[str] = []
    assert "leaderboard.md" in {path.name for path in rebuild(small.folder, tell=heard.append)}
    assert heard == [f"The figure {name} could not be drawn: KeyError: 'step'."]
    assert heard[0].rstrip(".") in (small.folder / "leaderboard.md").read_text()


def one_seed_study(folder: Path) -> Store:
    """A control, a model and a data strategy, on one seed."""
    store, test = Store(folder), made_test_set(60, 2)
    arms = (
        ("baseline", "none", (), 0.7),
        ("model=mlp", "model", ("model",), 0.8),
        ("clean=a", "data", ("clean",), 0.9),
    )
    keep(store, [
        record(store, arm, 0, shown(test, right, arm), test, axis=axis, factors=factors) for arm, axis, factors, right in arms
    ])  # fmt: skip
    return store


def test_one_seed_is_not_said_to_have_a_level_of_seeds(tmp_path: Path) -> None:
    text = " ".join((rebuild(one_seed_study(tmp_path / "one").folder)[1]).read_text().split())
    assert "Intervals come from a bootstrap over test examples (2000 draws), paired with the control" in text
    assert "one seed has no level of seeds" in text
    assert "two-level" not in text
    assert "accounts for the sampling of the 60 test examples only (one seed)" in text
    assert "No interval for a new training set of this size (Nadeau and Bengio 2003): with one seed" in text


def test_each_figure_that_is_left_out_is_named_once_with_its_reason(tmp_path: Path) -> None:
    made = {path.name for path in rebuild(one_seed_study(tmp_path / "one").folder)}
    text = (tmp_path / "one" / "leaderboard.md").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("- Figures left out: ")]
    missing = [name for name in FIGURES if f"{name}.png" not in made]
    assert missing == ["attribution", "cells", "budget", "curves", "variance"]
    assert all(line.count(f"{name} (") == 1 for name in missing)
    assert "attribution (one seed does not show how much retraining changes; run at least two, better five)" in line
    assert "cells (no model was run together with a data strategy on every seed)" in line
    notes = json.loads((tmp_path / "one" / "answers.json").read_text())["notes"]
    assert sum(note.startswith("Figures left out: ") for note in notes) == 1


def test_both_claims_stand_in_table_and_answers(small: Store) -> None:
    for one in join(small).records:
        write(small, one | {"facts": one["facts"] | {"train_shared": 0.5}})
    rebuild(small.folder)
    table = read_table(small.folder).set_index("arm")
    answers = json.loads((small.folder / "answers.json").read_text())["intervals"]
    assert answers["about"]["new_set"] == "a new training set of this size"
    assert (answers["train_shared"], answers["no_new_set"]) == (0.5, None)
    arm = answers["arms"]["clean=oracle"]
    assert arm["new_set"] == pytest.approx(table.loc["clean=oracle", ["new_set_low", "new_set_high"]].tolist())
    assert arm["new_set"][0] <= arm["interval"][0] < arm["effect"] < arm["interval"][1] <= arm["new_set"][1]
    assert answers["arms"]["clean=odd"]["new_set"] is None, "one seed"
    assert "Two claims: the intervals of the table are about" in (small.folder / "leaderboard.md").read_text()
