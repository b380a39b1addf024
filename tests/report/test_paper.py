"""What a paper includes: every number as a macro, names that LaTeX takes, and a document that compiles."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from studies import keep, large, made_test_set, record, shown

from harness.analysis.attribution import Attribution, Estimate, Ladder, Step, Verdict
from harness.analysis.study import Study, gather
from harness.errors import BadInput
from harness.report import paper
from harness.storage.store import Store

HOSTILE = (
    r"clean=\input{/etc/passwd} % {{ $x_1^2$ & ~#", "clean=été 名前 ∂ “q” – ×", "model=resnet8", "model=resnet_8", "model=resnet 8",
)  # fmt: skip
TEXTS = ("leaderboard.tex", "attribution.tex", "numbers.tex", "example.tex")
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
    """A study whose name and arms are all that LaTeX dislikes."""
    store, test = Store(folder), made_test_set(40, 2)
    arms = [("baseline", 0.8), *((arm, 0.9) for arm in HOSTILE)]
    made = [
        record(store, arm, seed, shown(test, right, arm, str(seed)), test, axis="none" if arm == "baseline" else "data",
               factors=() if arm == "baseline" else ("clean",))
        for arm, right in arms for seed in (0, 1)
    ]  # fmt: skip
    keep(store, made)
    return with_attribution(gather(store), FOUND)


def report(folder: Path) -> list[Path]:
    """The files of a report: a leaderboard and a figure."""
    folder.mkdir(parents=True, exist_ok=True)
    board, figure = folder / "leaderboard.tex", folder / "effects.pdf"
    board.write_text("\\begin{tabular}{lr}\n\\toprule\nrésumé & 5 × 40 \\\\\n\\bottomrule\n\\end{tabular}\n")
    figure.write_bytes(smallest_pdf())
    return [folder / "leaderboard.md", board, figure, folder / "effects.png"]


def smallest_pdf() -> bytes:
    from harness.report.figures.style import as_files, blank

    return as_files(blank)("nothing", "There is nothing here.", "")["pdf"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files for a paper about a hostile study, by name."""
    folder = tmp_path_factory.mktemp("paper")
    made = paper.write_paper(hostile(folder / "2nd_study-v1.5"), folder / "paper", report(folder / "report"))
    return {path.name: path for path in made}


def macros(path: Path) -> dict[str, str]:
    found = MACRO.findall(path.read_text())
    assert len(found) == len(path.read_text().splitlines()), "a macro a line"
    assert len(dict(found)) == len(found), "each once"
    return dict(found)


def test_all_files_are_there(written: dict[str, Path]) -> None:
    assert sorted(written) == sorted([*TEXTS, "effects.pdf"])
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
        "quickstartModelArm": r"\texttt{model=resnet8}", "quickstartDataLabels": "20",
        "quickstartDataCpuSeconds": r"\ensuremath{-}0.25", "quickstartInteraction": r"\ensuremath{-}1.25",
        "quickstartDifference": "+8.27", "quickstartVerdict": "data", "quickstartShapleyModel": "0.00",
        "quickstartEtaDataLow": "0.50", "quickstartCarriedBy": r"\texttt{weak=label\_model}",
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
    included += re.findall(r"\\includegraphics\[[^]]*\]\{([^}]+)\}", body)
    assert sorted(included) == ["attribution.tex", "effects.pdf", "leaderboard.tex", "numbers.tex"]
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
    assert r"best model & \texttt{model=resnet8} & +3.78 & [+0.81, +6.74] \\" in text
    assert r"data minus model &  & +8.27 & [+4.88, +12.26] \\" in text
    assert r"$\eta^2$, data &  & 0.75 & [0.50, 0.90] \\" in text
    assert r"References: a\_b." in text


def test_a_study_without_attribution_says_so(tmp_path: Path) -> None:
    study = with_attribution(hostile(tmp_path / "study"), None)
    told = {path.name: path.read_text() for path in paper.write_paper(study, tmp_path, report(tmp_path / "r"))[:4]}
    assert "This study has no attribution." in told["attribution.tex"]
    assert "ModelGain" not in told["numbers.tex"]


def test_equal_reports_give_equal_bytes(written: dict[str, Path], tmp_path: Path) -> None:
    again = paper.write_paper(hostile(tmp_path / "2nd_study-v1.5"), tmp_path / "paper", report(tmp_path / "report"))
    assert {path.name: path.read_bytes() for path in again} == {n: path.read_bytes() for n, path in written.items()}


def test_a_report_without_a_leaderboard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no leaderboard\.tex"):
        paper.write_paper(hostile(tmp_path / "study"), tmp_path / "paper", [])
    assert not (tmp_path / "paper").exists()


def test_the_document_compiles(written: dict[str, Path], tmp_path: Path) -> None:
    engine = shutil.which("pdflatex")
    if engine is None:
        pytest.skip("there is no pdflatex on this machine (Debian: texlive-latex-recommended)")
    for path in written.values():
        shutil.copy(path, tmp_path)
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "example.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=900)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "example.pdf").stat().st_size > 5000
    log = (tmp_path / "example.log").read_text(errors="replace")
    assert not re.search(r"Missing character|undefined|LaTeX Warning: .*(?:not found|unknown)", log), log[-2000:]
