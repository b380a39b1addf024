"""Effects in, a leaderboard as CSV, Markdown or LaTeX out.

Arms are sorted by effect; each effect stands with its sign, its interval and its n.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from harness.effects import LEVEL, Effect, Interval

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"
_LEGEND = (
    "Points are 100 x the metric; an effect is the mean over seeds of a score minus its control's. cpu: processor "
    "seconds a trial, and how many times its control's. Labels bought, a trial: from the oracle, from validation, in "
    "edits by people. "
    "A dull twin is the reference that a clever arm of its family must beat."
)
_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", MINUS: "$-$", "×": r"$\times$", NONE: "--",
}  # fmt: skip


def ranked(effects: Sequence[Effect]) -> list[Effect]:
    """The baseline first, then arms from the largest effect to the smallest, then those that have none."""

    def place(effect: Effect) -> tuple[int, float]:
        if effect.interval is None:
            return (0 if is_baseline(effect) else 2, 0.0)
        return 1, -effect.interval.effect

    return sorted(effects, key=place)


def is_baseline(effect: Effect) -> bool:
    """Whether this is the reference that all others are compared with."""
    return effect.arm == "baseline"


def signed(value: float, digits: int = 2) -> str:
    """A difference with its sign and a true minus; a difference that rounds to nothing has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def worded(interval: Interval, digits: int = 2) -> str:
    """An effect and its interval, in points."""
    low, high = signed(interval.low, digits), signed(interval.high, digits)
    return f"{signed(interval.effect, digits)} [{low}, {high}]"


def counted(interval: Interval) -> str:
    """Seeds times test examples a seed."""
    return f"{interval.n_seeds} × {interval.n_scored / interval.n_seeds:.0f}"


def as_csv(effects: Sequence[Effect]) -> bytes:
    """A row an arm, plain numbers, empty where there is none."""
    rows = [_numbers(rank, effect) for rank, effect in _numbered(effects)]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_markdown(effects: Sequence[Effect], study: str, task: str, metric: str, notes: Sequence[str]) -> bytes:
    """A heading, the table in columns that line up as plain text too, and the notes as a list."""
    rows = [_cells(rank, effect, code) for rank, effect in _numbered(effects)]
    head = [*_head(metric)]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = [f"{'-' * (width - 1)}{'-' if name in _LEFT else ':'}" for name, width in zip(head, widths, strict=True)]
    lines = [_line(row, widths, head) for row in (head, rule, *rows)]
    below = [f"- {markdown(note)}" for note in (*notes, _LEGEND)]
    return "\n".join([f"# {markdown(study)}: effects on {markdown(task)}", "", *lines, "", *below, ""]).encode()


def as_latex(effects: Sequence[Effect], study: str, task: str, metric: str, notes: Sequence[str]) -> bytes:
    """A table for the booktabs package, notes below it."""
    rows = [_cells(rank, effect, typewriter) for rank, effect in _numbered(effects)]
    head = _head(metric)
    body = [" & ".join([latex(row[0]), row[1], *map(latex, row[2:])]) + r" \\" for row in rows]
    columns = "".join("l" if name in _LEFT else "r" for name in head)
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{latex(study)}: effects on {latex(task)}.}}",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        " & ".join(map(latex, head)) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\smallskip{{\footnotesize {latex(note)}\par}}" for note in (*notes, _LEGEND)),
        r"\end{table}",
    ]
    return ("\n".join(lines) + "\n").encode()


def code(text: str) -> str:
    """Text as Markdown code in a table's cell: nothing in it can end the code or the cell."""
    plain = _one_line(text).replace("|", r"\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", plain)), default=0))
    pad = " " if "`" in plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def markdown(text: str) -> str:
    """Text as Markdown text: what could start a mark-up is escaped."""
    return re.sub(r"([\\`*<>\[\]|~#&]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", _one_line(text))


def latex(text: str) -> str:
    """Text as LaTeX text: what could start a command is escaped."""
    return "".join(_TEX.get(letter, letter) for letter in _one_line(text))


def typewriter(text: str) -> str:
    """Text as LaTeX code."""
    return rf"\texttt{{{latex(text)}}}"


_LEFT = ("arm", "axis")


def _head(metric: str) -> list[str]:
    interval = f"effect [{100 * LEVEL:.0f} % interval]"
    return [
        "rank",
        "arm",
        "axis",
        metric,
        interval,
        "seeds × test",
        "failed",
        "cpu s",
        "× control",
        "labels bought",
        "gold",
    ]


def _cells(rank: int | None, effect: Effect, mark: Callable[[str], str]) -> list[str]:
    """A row as text; `mark` sets the arm's name in the format's own way, the rest is still to be escaped."""
    twin = " (dull twin)" if effect.dull else ""
    gap = "control" if is_baseline(effect) else "no delta"
    return [
        NONE if rank is None else str(rank),
        mark(effect.arm) + twin,
        effect.axis,
        _number(effect.score, 2),
        worded(effect.interval) if effect.interval else gap,
        counted(effect.interval) if effect.interval else NONE,
        f"{effect.n_failed}/{effect.n_trials}",
        _number(effect.cpu_s, 2),
        _number(effect.cpu_ratio, 2),
        _number(effect.labels, 0),
        _number(effect.gold, 0),
    ]


def _numbers(rank: int | None, effect: Effect) -> Mapping[str, Any]:
    """A row as numbers, rounded so that the last bits of a sum do not show."""
    found = effect.interval
    values = {
        "rank": rank, "arm": effect.arm, "axis": effect.axis, "factors": " ".join(effect.factors), "dull": effect.dull,
        "score": effect.score, "effect": found and found.effect, "low": found and found.low,
        "high": found and found.high, "half_width": effect.half_width, "seed_share": found and found.seed_share,
        "n_seeds": found.n_seeds if found else 0, "n_test": found.n_test if found else 0,
        "n_scored": found.n_scored if found else 0, "n_trials": effect.n_trials, "n_failed": effect.n_failed,
        "share_failed": effect.share_failed, "n_missing": effect.n_missing, "cpu_s": effect.cpu_s,
        "cpu_ratio": effect.cpu_ratio, "labels_bought": effect.labels, "labels_gold": effect.gold,
    }  # fmt: skip
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}


def _numbered(effects: Sequence[Effect]) -> Iterable[tuple[int | None, Effect]]:
    """Each arm with its rank; none for the baseline and for arms without an effect."""
    rank = 0
    for effect in ranked(effects):
        rank += effect.interval is not None
        yield (rank if effect.interval else None), effect


def _number(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def _line(row: Sequence[str], widths: Sequence[int], head: Sequence[str]) -> str:
    cells = [
        cell.ljust(width) if name in _LEFT else cell.rjust(width)
        for cell, width, name in zip(row, widths, head, strict=True)
    ]
    return f"| {' | '.join(cells)} |"


def _one_line(text: str) -> str:
    """Text without line breaks or other control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
