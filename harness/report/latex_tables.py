r"""Writes effects as tables in LaTeX that fit their column: a compact one for a column, all arms as a longtable.

The first column takes the room that the others leave of `\linewidth`, and breaks the names of arms, so that a table is
as wide as its column whatever that is. Widths are estimated from the letters, in points of TeX at 8 pt.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from harness.analysis.effects import Effect
from harness.analysis.significance import LEVEL
from harness.arm import kind_in_words
from harness.report.leaderboard import (
    NONE,
    effect_in_words,
    is_baseline,
    latex,
    legend,
    number_ranks,
    probability,
    seeds_by_examples,
)

COLUMN, PAGE = 229.0, 345.0
"""The text widths of LaTeX's article, in points: of one of two columns, and of a page with one."""
LONGEST = 12
"""Letters of a name that are never broken, which need about 55 points."""
_SEP = 3.0
_WIDE, _THIN = "+-=<>%\N{MINUS SIGN}\N{PLUS-MINUS SIGN}×mwMW", " .,:;[]()|il'"
_WIDEST, _SLIM, _DIGIT, _USUAL = 7.2, 2.9, 4.4, 4.9
_COMPACT = ("arm", "score", f"effect [{100 * LEVEL:.0f} % interval]", "$p$")
_FAILED, _LABELS = "failed", "labels"
_FULL = ("arm", "score", f"effect [{100 * LEVEL:.0f} % interval]", "adj. $p$", _FAILED, "CPU s", _LABELS)


def estimate_width(text: str) -> float:
    """Returns the width of a cell's plain text at 8 pt, in points; rather too wide than too narrow."""
    return sum(
        _WIDEST if letter in _WIDE else _SLIM if letter in _THIN else _DIGIT if letter.isdigit() else _USUAL
        for letter in text
    )


def room_taken(rows: Sequence[Sequence[str]]) -> float:
    """Returns the points that all columns but the first take, with the space between columns."""
    return sum(max(map(estimate_width, column)) + 2 * _SEP for column in list(zip(*rows, strict=True))[1:])


def breakable(text: str) -> str:
    r"""Returns text escaped for LaTeX that may break after `=`, `_` and other signs, and within very long words."""
    made, since = "", 0
    for letter in text:
        made += latex(letter) if letter != " " else " "
        since = 0 if letter in " =_./:-+," else since + 1
        if (since == 0 and letter != " ") or since == LONGEST:
            made, since = rf"{made}\allowbreak{{}}", 0
    return made


def code_latex(text: str) -> str:
    """Returns an arm's name as LaTeX code that may break."""
    return rf"\texttt{{{breakable(text)}}}"


def text_latex(text: str) -> str:
    """Returns text for LaTeX; words that are too long for a narrow column may break."""
    words = latex(text).split(" ")
    plain = " ".join(text.split()).split(" ")
    if len(words) != len(plain):
        return latex(text)
    return " ".join(breakable(raw) if len(raw) > 2 * LONGEST else word for raw, word in zip(plain, words, strict=True))


def compact_table(
    effects: Sequence[Effect], arms: Collection[str], briefs: Mapping[str, str], *, study: str, task: str, metric: str,
    warnings: Sequence[str],
) -> str:  # fmt: skip
    """Returns a table for one column: arm, score, effect with interval and adjusted p of the baseline and of `arms`.

    One line below it says the n, what p is, how many arms are left out, and whatever warns of the study.
    """
    shown = [one for _, one in number_ranks(effects) if is_baseline(one) or one.arm in arms]
    rows = [_compact_row(one, briefs.get(one.arm, one.arm)) for one in shown]
    left = len(effects) - len(shown)
    note = _note(effects, left, warnings)
    return "\n".join([
        r"% needs \usepackage{booktabs}",
        r"\begin{table}[tbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{text_latex(study)}: {text_latex(metric.replace('_', ' '))} on {text_latex(task)}, and effects in "
        r"points.}",
        rf"\begin{{tabular}}{{{_columns(rows, _COMPACT)}}}",
        *_body(rows, _COMPACT, shown),
        r"\bottomrule",
        r"\end{tabular}",
        rf"\par\smallskip\parbox{{\linewidth}}{{\scriptsize\raggedright {text_latex(note)}}}",
        r"\end{table}",
        "",
    ])  # fmt: skip


def _compact_row(effect: Effect, name: str) -> list[str]:
    found = effect.interval
    gain = effect_in_words(found, 1) if found else "baseline" if is_baseline(effect) else "no delta"
    return [name, NONE if effect.score is None else f"{effect.score:.1f}", gain, probability(effect.p_adjusted)]


def _note(effects: Sequence[Effect], left: int, warnings: Sequence[str]) -> str:
    """Returns the one line below the compact table."""
    counts = [seeds_by_examples(one.interval) for one in effects if one.interval]
    n = f"n = {max(set(counts), key=counts.count)} (seeds × test rows); " if counts else ""
    more = f" {left} more arms are in the full table." if left else ""
    return " ".join([f"{n}p: adjusted for the number of arms.{more}", *warnings])


def as_latex(
    effects: Sequence[Effect], study: str, task: str, metric: str, notes: Sequence[str]
) -> bytes:  # fmt: skip
    """Returns all arms as a longtable of a page's width, for the booktabs and longtable packages, notes below it.

    A longtable needs one column: in a document of two, it goes after `onecolumn`. Failed trials and labels have a
    column if there are any.
    """
    ranked = [one for _, one in number_ranks(effects)]
    idle = {_FAILED} - {_FAILED for one in effects if one.n_failed} | {_LABELS} - {
        _LABELS for one in effects if one.labels
    }
    places = [place for place, name in enumerate(_FULL) if name not in idle]
    names = [_FULL[place] for place in places]
    rows = [[_full_row(one)[place] for place in places] for one in ranked]
    head, rule, *body = _body(rows, names, ranked)[1:]
    below = [*notes, *legend(effects, metric)]
    return "\n".join([
        r"% needs \usepackage{booktabs,longtable}, and one column",
        r"\begingroup\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\begin{{longtable}}{{{_columns(rows, names)}}}",
        rf"\caption{{{text_latex(study)}: {text_latex(metric.replace('_', ' '))} on {text_latex(task)}, all arms.}}\\",
        r"\toprule", head, rule, r"\endfirsthead",
        r"\toprule", head, rule, r"\endhead",
        r"\bottomrule", r"\endfoot",
        *body,
        r"\end{longtable}",
        *(rf"\par\smallskip{{\scriptsize\raggedright {text_latex(note)}\par}}" for note in below),
        r"\endgroup",
        "",
    ]).encode()  # fmt: skip


def _full_row(effect: Effect) -> list[str]:
    gain = effect_in_words(effect.interval, 1) if effect.interval else "baseline" if is_baseline(effect) else "no delta"
    return [
        effect.arm,
        NONE if effect.score is None else f"{effect.score:.1f}",
        gain,
        probability(effect.p_adjusted),
        f"{effect.n_failed}/{effect.n_trials}",
        NONE if effect.cpu_s is None else f"{effect.cpu_s:.3g}",
        NONE if effect.labels is None else f"{effect.labels:.0f}",
    ]


def _columns(rows: Sequence[Sequence[str]], head: Sequence[str]) -> str:
    """Returns the column types: the first takes what the others leave."""
    taken = room_taken([[name.replace("$", "") for name in head], *rows])
    first = rf">{{\raggedright\arraybackslash\hangindent=0.7em\hangafter=1}}p{{\dimexpr\linewidth-{taken:.1f}pt\relax}}"
    return f"@{{}}{first}{'r' * (len(head) - 1)}@{{}}"


def _body(rows: Sequence[Sequence[str]], head: Sequence[str], effects: Sequence[Effect]) -> list[str]:
    """Returns the rules, the head and the rows of a table."""
    lines = [rf"{_named(row[0], effect)} & {' & '.join(map(latex, row[1:]))} \\"
             for row, effect in zip(rows, effects, strict=True)]  # fmt: skip
    return [r"\toprule", rf"{' & '.join(name.replace('%', chr(92) + '%') for name in head)} \\", r"\midrule", *lines]


def _named(name: str, effect: Effect) -> str:
    kind = f" ({kind_in_words(effect.reference)})" if effect.reference else ""
    return rf"{code_latex(' '.join(name.split()))}{kind}"
