"""What a paper includes: every number as a macro, names that LaTeX takes, and a document that compiles."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from studies import keep, large, made_test_set, record, shown

from harness.analysis.attribution import Attribution, Estimate, Ladder, Step, Verdict
from harness.analysis.study import Study, gather
from harness.errors import BadInput
from harness.report import latex_tables, paper
from harness.report.figures import style
from harness.storage.store import Store

HOSTILE = (
    r"clean=\input{/etc/passwd} % {{ $x_1^2$ & ~#", "clean=été 名前 ∂ “q” – ×", "model=resnet8", "model=resnet_8", "model=resnet 8",
)  # fmt: skip
TEXTS = ("table.tex", "leaderboard.tex", "attribution.tex", "numbers.tex", "example.tex")
MANY = [f"model=network_{place} clean=a_strategy_with_a_long_name clean.k={place}" for place in range(40)]
MACRO = re.compile(r"\\newcommand\{\\([A-Za-z]+)\}\{(.*)\}")
FOUND = Attribution(
    ladder=Ladder(
        model=Step("model=resnet8", Estimate(3.777, 0.812, 6.744), 12.5, 0.0),
        data=Step("weak=label_model", Estimate(12.044, 8.998, 15.09), -0.25, 20.0),
        both=None, interaction=Estimate(-1.251, -4.0, 1.5), difference=Estimate(8.267, 4.88, 12.26),
        by_validation=Estimate(8.1, 4.8, 12.0), at_best=Estimate(8.4, 4.0, 13.0),
    ),
    shapley={"model": Estimate(-0.001, -2.0, 2.0)}, eta2={"data": Estimate(0.75, 0.5, 0.9)}, omega2={},
    verdict=Verdict("data", Estimate(8.267, 4.88, 12.26), "The data win by 8.3 points [4.9, 12.3] & 100 % of them."),
    sensitivity=(), carried_by="weak=label_model", notes=("References: a_b.",),
)  # fmt: skip


def with_attribution(study: Study, found: Attribution | None) -> Study:
    object.__setattr__(study, "attribution", found)
    return study


def hostile(folder: Path) -> Study:
    """A study whose name and arms are all that LaTeX dislikes, and many."""
    store, test = Store(folder), made_test_set(40, 2)
    arms = [("baseline", 0.8), *((arm, 0.9) for arm in HOSTILE), *((arm, 0.85) for arm in MANY)]
    made = [
        record(store, arm, seed, shown(test, right, arm, str(seed)), test, axis="none" if arm == "baseline" else "data",
               factors=() if arm == "baseline" else ("clean",))
        for arm, right in arms for seed in (0, 1)
    ]  # fmt: skip
    keep(store, made)
    return with_attribution(gather(store), FOUND)


def report(folder: Path, study: Study) -> list[Path]:
    """The files of a report: a leaderboard and two figures."""
    folder.mkdir(parents=True, exist_ok=True)
    board, figures = folder / "leaderboard.tex", [folder / "effects.pdf", folder / "cost.pdf"]
    board.write_bytes(latex_tables.as_latex(study.effects, study.name, study.task, study.metric, study.notes))
    for figure, width in zip(figures, (style.WIDTH, style.WIDE), strict=True):
        figure.write_bytes(smallest_pdf(width))
    return [folder / "leaderboard.md", board, *figures, folder / "effects.png"]


@cache
def smallest_pdf(width: float) -> bytes:
    return style.as_files(style.blank)("nothing", "There is nothing here.", "", width=width)["pdf"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files for a paper about a hostile study, by name."""
    folder = tmp_path_factory.mktemp("paper")
    study = hostile(folder / "2nd_study-v1.5")
    made = paper.write_paper(study, folder / "paper", report(folder / "report", study))
    return {path.name: path for path in made}


def macros(path: Path) -> dict[str, str]:
    found = MACRO.findall(path.read_text())
    assert len(found) == len(path.read_text().splitlines()), "a macro a line"
    assert len(dict(found)) == len(found), "each once"
    return dict(found)


def test_all_files_are_there(written: dict[str, Path]) -> None:
    assert sorted(written) == sorted([*TEXTS, "effects.pdf", "cost.pdf"])
    assert all(path.is_file() for path in written.values())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("quickstart", "Quickstart"),
        ("roman_numerals", "RomanNumerals"),
        ("model=resnet8 weak=label_model", "ModelResnetEightWeakLabelModel"),
        ("été", "Ete"),
        ("10", "OneZero"),
        ("名前", "X"),
        (r"\input{a}%", "InputA"),
    ],
)
def test_names_are_letters_alone(text: str, name: str) -> None:
    assert paper.letters_only(text) == name


def test_names_that_are_alike_are_counted() -> None:
    assert paper.unique([("A", "1"), ("A", "2"), ("A", "3"), ("ATwo", "4")]) == {
        "A": "1", "ATwo": "2", "AThree": "3", "ATwoTwo": "4",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.777, "+3.78"), (-1.251, r"\ensuremath{-}1.25"), (0.001, "0.00"), (-0.001, "0.00"), (None, "--")],
)
def test_differences_have_their_sign(value: float | None, text: str) -> None:
    assert paper.difference_text(value) == text


@pytest.mark.parametrize(
    ("p", "text"), [(0.0312, "0.031"), (0.0001, r"\ensuremath{<}0.001"), (1.0, "1.000"), (None, "--")]
)
def test_p_values_are_never_0(p: float | None, text: str) -> None:
    assert paper.p_value_text(p) == text


def test_the_attribution_in_numbers(tmp_path: Path) -> None:
    told = paper.study_macros(hostile(tmp_path / "quickstart"))
    expected = {
        "quickstartModelGain": "+3.78", "quickstartModelGainLow": "+0.81", "quickstartModelGainHigh": "+6.74",
        "quickstartModelArm": r"\texttt{model=\allowbreak{}resnet8}", "quickstartDataLabels": "20",
        "quickstartDataCpuSeconds": r"\ensuremath{-}0.25", "quickstartInteraction": r"\ensuremath{-}1.25",
        "quickstartDifference": "+8.27", "quickstartVerdict": "data", "quickstartShapleyModel": "0.00",
        "quickstartEtaDataLow": "0.50", "quickstartCarriedBy": r"\texttt{weak=\allowbreak{}label\_\allowbreak{}model}",
        "quickstartVerdictSentence": r"The data win by 8.3 points [4.9, 12.3] \& 100 \% of them.",
    }  # fmt: skip
    assert {name: told[name] for name in expected} == expected
    assert not any("Both" in name for name in told)


def test_every_arm_has_its_numbers(tmp_path: Path) -> None:
    study = with_attribution(gather(large(tmp_path / "study")), None)
    told = paper.study_macros(study)
    for effect in study.effects[1:]:
        name = f"studyArm{paper.letters_only(effect.arm)}"
        found = effect.interval
        assert told[f"{name}Effect"] == paper.difference_text(found.effect if found else None)
        assert told[f"{name}Seeds"] == str(found.n_seeds if found else 0)
        assert told[f"{name}Failed"] == str(effect.n_failed)
    assert told["studyArmAugmentCutoutEffect"] == "--"
    assert told["studyArms"] == str(len(study.effects) - 1)


def test_every_macro_is_defined_once_and_used(written: dict[str, Path]) -> None:
    told = macros(written["numbers.tex"])
    assert all(name.startswith("twoNdStudyVOneFive") for name in told)
    assert {"twoNdStudyVOneFiveArmModelResnetEightName", "twoNdStudyVOneFiveArmModelResnetEightNameTwo",
            "twoNdStudyVOneFiveArmModelResnetEightNameThree"} <= set(told)  # fmt: skip
    body = written["example.tex"].read_text()
    assert set(re.findall(r": \\([A-Za-z]+)\\par", body)) == set(told)


def test_everything_that_is_included_is_there(written: dict[str, Path]) -> None:
    body = written["example.tex"].read_text()
    included = [f"{name}.tex" for name in re.findall(r"\\input\{(\w+)\}", body)]
    included += re.findall(r"\\figurein\{[0-9.]+in\}\{([^}]+)\}", body)
    assert sorted(included) == [
        "attribution.tex",
        "cost.pdf",
        "effects.pdf",
        "leaderboard.tex",
        "numbers.tex",
        "table.tex",
    ]
    assert r"\begin{figure*}[tbp]\figurein{7.00in}{cost.pdf}\end{figure*}" in body
    assert set(included) < set(written)


@pytest.mark.parametrize("name", TEXTS)
def test_braces_are_balanced_and_letters_plain(name: str, written: dict[str, Path]) -> None:
    text = written[name].read_text()
    bare = re.sub(r"\\[\\{}%]", "", text)
    depth = 0
    for letter in re.sub("%.*", "", bare):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0
    assert text.isascii()
    assert r"\input{/etc" not in text


def test_the_table_says_what_the_attribution_says(written: dict[str, Path]) -> None:
    text = written["attribution.tex"].read_text()
    assert r"best model: \texttt{model=\allowbreak{}resnet8} & +3.78 [+0.81, +6.74] \\" in text
    assert r"data minus model & +8.27 [+4.88, +12.26] \\" in text
    assert r"$\eta^2$, data & 0.75 [0.50, 0.90] \\" in text
    assert r"The data win by 8.3 points [4.9, 12.3] \& 100 \% of them." in text


def test_a_study_without_attribution_says_so(tmp_path: Path) -> None:
    study = with_attribution(hostile(tmp_path / "study"), None)
    told = {
        path.name: path.read_text() for path in paper.write_paper(study, tmp_path, report(tmp_path / "r", study))[:5]
    }
    assert "This study has no attribution." in told["attribution.tex"]
    assert "ModelGain" not in told["numbers.tex"]


def test_equal_reports_give_equal_bytes(written: dict[str, Path], tmp_path: Path) -> None:
    study = hostile(tmp_path / "2nd_study-v1.5")
    again = paper.write_paper(study, tmp_path / "paper", report(tmp_path / "report", study))
    assert {path.name: path.read_bytes() for path in again} == {n: path.read_bytes() for n, path in written.items()}


def test_a_report_without_a_leaderboard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no leaderboard\.tex"):
        paper.write_paper(hostile(tmp_path / "study"), tmp_path / "paper", [])
    assert not (tmp_path / "paper").exists()


def columns_of(text: str) -> tuple[float, list[list[str]]]:
    """The points that a table's columns take beside the first one, and its rows as cells."""
    taken = float(re.findall(r"linewidth-([0-9.]+)pt", text)[0])
    rows = [line.removesuffix(r" \\").split(" & ") for line in text.splitlines() if line.endswith(r"\\")]
    return taken, [row for row in rows if len(row) > 1]


def test_tables_fit_their_column(written: dict[str, Path]) -> None:
    """The room that is left for names holds the longest part of one that may not break, in a column and on a page."""
    for name, width in (("table.tex", latex_tables.COLUMN), ("attribution.tex", latex_tables.COLUMN),
                        ("leaderboard.tex", latex_tables.PAGE)):  # fmt: skip
        taken, rows = columns_of(written[name].read_text())
        plain = [[re.sub(r"\\[a-z]+|[{}$\\]", "", cell) for cell in row] for row in rows]
        assert taken >= sum(
            max(map(latex_tables.estimate_width, column)) for column in list(zip(*plain, strict=True))[1:]
        )
        assert width - taken >= 60, name
        for row in rows:
            parts = re.split(r"\\allowbreak\{\}| ", row[0])
            assert max(len(re.sub(r"\\[a-z]+|[{}\\]", "", part)) for part in parts) <= latex_tables.LONGEST, row[0]


def test_widths_are_never_less_than_those_of_the_font() -> None:
    """By the metrics of Computer Modern at 8 pt: digits 4.25, plus and minus 6.61, brackets 2.36, letters up to 7.08."""
    assert latex_tables.estimate_width("+13.8 [+10.9]") >= 6 * 4.25 + 2 * 6.61 + 2 * 2.36 + 2 * 2.36 + 2.83
    assert latex_tables.estimate_width("<0.001") >= 6.61 + 4 * 4.25 + 2.36


def test_the_compact_table_names_the_best_arms_and_counts_the_rest(written: dict[str, Path], tmp_path: Path) -> None:
    _, rows = columns_of(written["table.tex"].read_text())
    assert rows[0] == ["arm", "score", r"effect [95 \% interval]", "$p$"]
    assert 14 <= len(rows) - 2 <= paper.TOP
    study = hostile(tmp_path / "s")
    assert (
        f"{len(study.effects) - (len(rows) - 1)} more arms are in the full table." in written["table.tex"].read_text()
    )
    assert len(columns_of(written["leaderboard.tex"].read_text())[1]) == len(study.effects) + 2, "two heads: pages"
    assert {"model=resnet8"} <= set(paper.top_arms(study)), "the arm of the verdict"


def test_no_figure_is_wider_or_taller_than_a_page(written: dict[str, Path]) -> None:
    widths = paper.widths_of({name: path.read_bytes() for name, path in written.items() if name.endswith(".pdf")})
    assert widths == {"cost.pdf": 7.0, "effects.pdf": pytest.approx(3.4)}
    box = re.search(rb"/MediaBox\s*\[\s*0\s+0\s+[0-9.]+\s+([0-9.]+)", written["effects.pdf"].read_bytes())
    assert box is not None
    assert 2 < float(box[1]) / 72 < 7.6, "the forest of all arms would be twice as tall"


@pytest.mark.parametrize("columns", ["onecolumn", "twocolumn"])
def test_the_document_compiles_and_nothing_is_too_wide(
    columns: str, written: dict[str, Path], tmp_path: Path
) -> None:  # fmt: skip
    engine = shutil.which("pdflatex")
    if engine is None:
        pytest.skip("there is no pdflatex on this machine (Debian: texlive-latex-recommended)")
    for path in written.values():
        shutil.copy(path, tmp_path)
    said = rf"\def\columns{{{columns}}}\input{{example}}"
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "-jobname=example", said]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=900)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "example.pdf").stat().st_size > 5000
    log = (tmp_path / "example.log").read_text(errors="replace")
    assert not re.search(r"Missing character|undefined|LaTeX Warning: .*(?:not found|unknown)", log), log[-2000:]
    assert re.findall(r"Overfull.*|Float too large.*", log) == []
