r"""Writes a study's report for a paper: tables, figures, and a macro for every number.

The folder that `write_paper` fills holds

    table.tex         the arms that matter most, as wide as a column: a table for \input
    leaderboard.tex   all arms, as a longtable: for an appendix of one column
    attribution.tex   model, data and both, their difference, shares: a table for \input
    *.pdf             the study's figures, for \includegraphics; effects.pdf has the arms of table.tex
    numbers.tex       one \newcommand per number: \quickstartModelGain is the best model's gain in points
    example.tex       a document that uses them all, and lists each macro with its value, in one column; in two with
                      pdflatex "\def\columns{twocolumn}\input{example}"

A macro's name is the study's name and the number's, in letters only: digits are spelled out, other characters separate
words. A difference has a sign, and a true minus in text and in formulas. Equal reports give equal bytes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.analysis.attribution import Attribution, Estimate, Ladder, Step
from harness.analysis.effects import Effect
from harness.analysis.references import comparisons
from harness.analysis.study import Study
from harness.arm import may_win
from harness.errors import BadInput
from harness.report.figure_files import draw_forest
from harness.report.figures.style import WIDE, WIDTH
from harness.report.latex_tables import code_latex, compact_table, estimate_width, text_latex
from harness.report.leaderboard import is_baseline, number_ranks
from harness.storage.files import write_atomic

TOP, REFERENCES = 16, 4
"""The most arms of a paper's table and forest, and how many of them may be there as references alone."""
Macros = dict[str, str]
"""The LaTeX value of each macro, by its name without the backslash."""
_DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
_SIGNS = {
    "\N{EN DASH}": "--", "\N{MULTIPLICATION SIGN}": r"$\times$", "\N{SUPERSCRIPT TWO}": r"\textsuperscript{2}",
}  # fmt: skip
_MINUS, _NONE = r"\ensuremath{-}", "--"


def write_paper(study: Study, folder: Path, made: Sequence[Path]) -> list[Path]:
    """Fills `folder` and returns its files; `made` are the files of the study's report, as `rebuild` returns them.

    BadInput if the leaderboard is not among them.
    """
    boards = [path for path in made if path.name == "leaderboard.tex"]
    if not boards:
        raise BadInput(f"the report of '{study.name}' holds no leaderboard.tex to put into a paper")
    figures = {path.name: path.read_bytes() for path in made if path.suffix == ".pdf"}
    arms = top_arms(study)
    if len(arms) + 1 < len(study.effects):
        figures["effects.pdf"] = draw_forest(study, arms)["pdf"]
    macros = study_macros(study)
    warnings = [note for note in study.notes if note.startswith("Warning: ")]
    texts = {
        "table.tex": plain_latex(compact_table(
            study.effects, arms, study.briefs, study=study.name, task=study.task, metric=study.metric,
            warnings=warnings,
        )),
        "leaderboard.tex": plain_latex(boards[0].read_text(encoding="utf-8")),
        "attribution.tex": attribution_table(study),
        "numbers.tex": "".join(
            f"\\newcommand{{\\{name}}}{{{said}}}\n" for name, said in {**macros}.items()
        ),
        "example.tex": example(study.name, macros, widths_of(figures)),
    }  # fmt: skip
    files = {**{name: text.encode() for name, text in texts.items()}, **dict(sorted(figures.items()))}
    for name, content in files.items():
        write_atomic(folder / name, content)
    return [folder / name for name in files]


def top_arms(study: Study) -> list[str]:
    """Returns the arms of a paper's table and forest: those of the verdict, the largest gains, and their references.

    All arms if they are few.
    """
    arms = [one for one in study.effects if not is_baseline(one)]
    if len(arms) <= TOP:
        return [one.arm for one in arms]
    rungs = study.attribution.ladder if study.attribution else None
    steps = [] if rungs is None else [step.arm for step in (rungs.model, rungs.data, rungs.both) if step is not None]
    ranked = [one.arm for _, one in number_ranks(arms) if may_win(one.reference)]
    chosen = list(dict.fromkeys([*steps, *ranked]))[: TOP - REFERENCES]
    beside = [one.reference for one in comparisons(study.records) if set(one.arms) & set(chosen)]
    held = [name for name in dict.fromkeys(beside) if name not in chosen][:REFERENCES]
    every = list(dict.fromkeys([*chosen, *held, *ranked]))[:TOP]
    return [one.arm for one in arms if one.arm in every]


def widths_of(figures: Mapping[str, bytes]) -> dict[str, float]:
    """Returns the width of each PDF in inches, by name; that of a column where the file does not say it."""
    found = {name: re.search(rb"/MediaBox\s*\[\s*0\s+0\s+([0-9.]+)", content) for name, content in figures.items()}
    return {name: float(box[1]) / 72 if box else WIDTH for name, box in sorted(found.items())}


def study_macros(study: Study) -> Macros:
    """Returns every number of the study as a macro with a unique name: the study's, its arms', its attribution's."""
    prefix = _lower(letters_only(study.name))
    told = [*_about(study), *_attributed(study.attribution), *_arms(study.effects)]
    return {f"{prefix}{name}": said for name, said in unique(told).items()}


def unique(told: Sequence[tuple[str, str]]) -> Macros:
    """Returns the values by unique names: a repeated name, which letters alone cannot always avoid, gets a number."""
    found: Macros = {}
    for name, said in told:
        count, free = 2, name
        while free in found:
            free, count = f"{name}{letters_only(str(count))}", count + 1
        found[free] = said
    return found


def letters_only(text: str) -> str:
    """Returns a text as capitalised words joined, in letters from A to Z only; "X" if there are none."""
    folded = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    spelled = re.sub(r"[0-9]", lambda digit: f" {_DIGITS[int(digit[0])]} ", folded)
    words = re.findall(r"[A-Za-z]+", spelled)
    return "".join(word[0].upper() + word[1:] for word in words) or "X"


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def plain_latex(text: str) -> str:
    """Returns LaTeX in ASCII: accents are removed, any other character becomes a question mark."""
    for sign, said in _SIGNS.items():
        text = text.replace(sign, said)
    kept = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return kept.encode("ascii", "replace").decode()


def difference_text(value: float | None) -> str:
    """Returns a difference in points with its sign, to two digits; a dash for None."""
    if value is None:
        return _NONE
    text = f"{value:+.2f}"
    return text[1:] if float(text) == 0 else text.replace("-", _MINUS)


def number_text(value: float | None, digits: int = 2) -> str:
    """Returns a number without a plus sign; a dash for None."""
    return _NONE if value is None else f"{value:.{digits}f}".replace("-", _MINUS)


def p_value_text(p: float | None) -> str:
    """Returns a p-value to three digits, as an inequality below 0.001; a dash for None."""
    if p is None:
        return _NONE
    return r"\ensuremath{<}0.001" if p < 0.001 else f"{p:.3f}"


def _text(text: str) -> str:
    return plain_latex(text_latex(text))


def _about(study: Study) -> Iterator[tuple[str, str]]:
    """Yields the study's name, task, metric, counts of trials, and the baseline's score."""
    base = next((one for one in study.effects if is_baseline(one)), None)
    yield "Study", _text(study.name)
    yield "Task", _text(study.task)
    yield "Metric", _text(study.metric.replace("_", " "))
    yield "Arms", str(sum(not is_baseline(one) for one in study.effects))
    yield "Trials", str(sum(one.n_trials for one in study.effects))
    yield "Failed", str(sum(one.n_failed for one in study.effects))
    yield "BaselineScore", number_text(base.score if base else None)


def _attributed(found: Attribution | None) -> Iterator[tuple[str, str]]:
    """Yields the verdict, the ladder and the shares, as far as known."""
    if found is None:
        return
    if found.verdict is not None:
        yield "Verdict", found.verdict.word
        yield "VerdictSentence", _text(found.verdict.sentence)
    if found.carried_by is not None:
        yield "CarriedBy", typewriter_name(found.carried_by)
    if found.ladder is not None:
        yield from _rungs(found.ladder)
    for title, parts in (("Shapley", found.shapley), ("Eta", found.eta2), ("Omega", found.omega2)):
        for name, part in parts.items():
            yield from _estimate(f"{title}{letters_only(name)}", part, signed=title == "Shapley")


def _rungs(found: Ladder) -> Iterator[tuple[str, str]]:
    """Yields arm, gain and costs of the best model, the best data and both, then interaction and difference."""
    for name, step in (("Model", found.model), ("Data", found.data), ("Both", found.both)):
        if step is not None:
            yield f"{name}Arm", typewriter_name(step.arm)
            yield from _estimate(f"{name}Gain", step.effect)
            yield f"{name}CpuSeconds", difference_text(step.cpu_s)
            yield f"{name}Labels", number_text(step.labels, 0)
    yield from _estimate("Difference", found.difference)
    yield from _estimate("DifferenceByValidation", found.by_validation)
    yield from _estimate("DifferenceAtBest", found.at_best)
    if found.interaction is not None:
        yield from _estimate("Interaction", found.interaction)


def _estimate(name: str, found: Estimate, signed: bool = True) -> Iterator[tuple[str, str]]:
    """Yields a value and the bounds of its interval."""
    for end, value in (("", found.value), ("Low", found.low), ("High", found.high)):
        yield f"{name}{end}", difference_text(value) if signed else number_text(value)


def _arms(effects: Sequence[Effect]) -> Iterator[tuple[str, str]]:
    """Yields each arm's name, score, effect with interval and p-values, n, failures and costs."""
    for one in effects:
        if is_baseline(one):
            continue
        name, found = f"Arm{letters_only(one.arm)}", one.interval
        yield f"{name}Name", typewriter_name(one.arm)
        yield f"{name}Score", number_text(one.score)
        yield f"{name}Effect", difference_text(found.effect if found else None)
        yield f"{name}Low", difference_text(found.low if found else None)
        yield f"{name}High", difference_text(found.high if found else None)
        yield f"{name}P", p_value_text(one.p)
        yield f"{name}AdjustedP", p_value_text(one.p_adjusted)
        yield f"{name}Seeds", str(found.n_seeds if found else 0)
        yield f"{name}TestExamples", str(found.n_test if found else 0)
        yield f"{name}Failed", str(one.n_failed)
        yield f"{name}CpuRatio", number_text(one.cpu_ratio)
        yield f"{name}LabelsBought", number_text(one.labels, 0)


def typewriter_name(arm: str) -> str:
    """Returns an arm's name as LaTeX code."""
    return plain_latex(code_latex(arm))


def attribution_table(study: Study) -> str:
    """Returns the attribution as a table for the booktabs package; a comment and a sentence if there is none."""
    found = study.attribution
    rows = [] if found is None else [*_ladder_rows(found), *_share_rows(found)]
    notes = [] if found is None else [*([found.verdict.sentence] if found.verdict else []), *found.notes]
    if not rows:
        told = _text(" ".join(notes) or "This study has no attribution.")
        return f"% no attribution\n\\par {told}\\par\n"
    values = max(estimate_width(_plain_interval(row)) for row in rows if " & " in row)
    said = text_latex(f"{notes[0].partition('. ')[0].rstrip('.')}.") if notes else ""
    first = rf">{{\raggedright\arraybackslash\hangindent=0.7em\hangafter=1}}p{{\dimexpr\linewidth-{values + 6:.1f}pt\relax}}"
    return plain_latex("\n".join([
        r"% needs \usepackage{booktabs}",
        r"\begin{table}[tbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{text_latex(study.name)}: what of the gain comes from the model and what from the data.}}",
        rf"\begin{{tabular}}{{@{{}}{first}r@{{}}}}",
        r"\toprule",
        r"& value [95 \% interval] \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        rf"\par\smallskip\parbox{{\linewidth}}{{\scriptsize\raggedright {said}}}",
        r"\end{table}",
        "",
    ]))  # fmt: skip


def _plain_interval(row: str) -> str:
    """Returns the numbers of a row as they are printed."""
    return row.partition(" & ")[2].replace(_MINUS, "-").removesuffix(r" \\")


def _ladder_rows(found: Attribution) -> Iterator[str]:
    """Yields the steps of the ladder in points."""
    if found.ladder is None:
        return
    rungs: Mapping[str, Step | None] = {
        "best model": found.ladder.model, "best data": found.ladder.data, "both": found.ladder.both,
    }  # fmt: skip
    yield from (_row(name, typewriter_name(step.arm), step.effect) for name, step in rungs.items() if step is not None)
    if found.ladder.interaction is not None:
        yield _row("interaction", "", found.ladder.interaction)
    yield _row("data minus model", "", found.ladder.difference)
    yield _row("the same, chosen on other seeds", "", found.ladder.by_validation)
    yield _row("the same, best arms of both", "", found.ladder.at_best)


def _share_rows(found: Attribution) -> Iterator[str]:
    """Yields Shapley shares in points, then shares of variance."""
    if found.shapley:
        yield r"\midrule"
        yield from (_row(f"Shapley, {name}", "", part) for name, part in found.shapley.items())
    for title, parts in ((r"$\eta^2$", found.eta2), (r"$\omega^2$", found.omega2)):
        if parts:
            yield r"\midrule"
            yield from (_row(f"{title}, {name}", "", part, signed=False) for name, part in parts.items())


def _row(name: str, arm: str, found: Estimate, signed: bool = True) -> str:
    value, low, high = (
        (difference_text if signed else number_text)(one) for one in (found.value, found.low, found.high)
    )
    return rf"{name}{f': {arm}' if arm else ''} & {value} [{low}, {high}] \\"


def example(name: str, macros: Macros, figures: Mapping[str, float]) -> str:
    """Returns a document that includes every table and figure and prints every macro, in one column or two.

    `figures` holds the width of each figure in inches; a wide one spans both columns. Macros and the full table are in
    an appendix of one column, where a longtable is allowed.
    """
    says = [rf"\texttt{{\textbackslash {_in_parts(macro)}}}: \{macro}\par" for macro in macros]
    return "\n".join([
        r"\providecommand{\columns}{onecolumn}",
        r"\documentclass[\columns]{article}",
        r"\usepackage[T1]{fontenc}",
        r"\usepackage{textcomp,array,booktabs,longtable,graphicx}",
        r"\setlength{\parindent}{0pt}\sloppy\emergencystretch=3em",
        r"\newlength{\room}",
        r"\newcommand{\figurein}[2]{\setlength{\room}{#1}\ifdim\room>\linewidth\setlength{\room}{\linewidth}\fi%",
        r"\centering\includegraphics[width=\room,height=0.95\textheight,keepaspectratio]{#2}}",
        r"\input{numbers}",
        r"\begin{document}",
        rf"\section*{{{_text(name)}}}",
        r"\input{table}",
        r"\input{attribution}",
        *(_figure(figure, width) for figure, width in figures.items()),
        r"\clearpage\onecolumn\raggedright",
        r"\input{leaderboard}",
        *says,
        r"\end{document}",
        "",
    ])  # fmt: skip


def _figure(name: str, width: float) -> str:
    """Returns a float with the figure; one wider than a column spans both."""
    float_ = "figure*" if width > (WIDTH + WIDE) / 2 else "figure"
    return rf"\begin{{{float_}}}[tbp]\figurein{{{width:.2f}in}}{{{name}}}\end{{{float_}}}"


def _in_parts(macro: str) -> str:
    """Returns a macro's name that may break before its words."""
    return re.sub(r"(?<=.)(?=[A-Z])", r"\\allowbreak{}", macro)
