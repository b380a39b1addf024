"""Writes effects as a leaderboard in CSV, Markdown, LaTeX or HTML.

Arms are sorted by effect; each effect is printed with its sign, its interval, its adjusted p and its n, and beside it
the arm's gain over the reference of its own kind. In a short table the letters beside a rank are the arm's tie groups:
arms that share a letter do not differ significantly. In a long one, where nobody can read them, two columns say whether
an arm belongs to the best group, and whether it differs from the baseline and from its reference. `sd`, an argument of
many functions, holds by arm the standard deviation of its score over seeds (`deviations`); without it no ± is printed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.effects import Effect, Interval, ReferenceGain
from harness.analysis.measures import unit_of
from harness.analysis.significance import LEVEL
from harness.analysis.ties import best_group
from harness.arm import kind_in_words, may_win
from harness.report.glossary import GLOSSARY
from harness.storage.sheets import sheet_of_rows

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"
_LEGEND = (
    "Effects are in {points}: the mean over seeds of the score minus the control's. cpu s: CPU seconds per "
    "trial; × control: their ratio to the control's. Labels bought, per trial: from the oracle, from validation or as "
    "edits by people. "
    "Negative controls (random changes) and upper bounds (true labels) are not ranked and never chosen as best; simple "
    "baselines are: beside doing nothing, they are methods."
)
_P = "adj. p: p-value of the effect being 0, adjusted for the number of arms in the study."
_SD = "± sd: standard deviation of an arm's score over seeds."
_LETTERS = "Letters beside the rank: arms that share a letter do not differ significantly."
_BESIDE = (
    "over its reference: what the arm gains more than the random control or simple baseline of its own kind that buys "
    "as many labels (the best of several); this tells the strategy's merit from that of doing anything at all."
)
_GROUP = (
    "best group: arms that do not differ significantly from the best one (all pairs compared, Holm). differs from: "
    "p below 0.05, adjusted for the number of arms (baseline) and of such pairs (reference)."
)
SHORT, READABLE = 8, 3
"""A table has letters with at most so many arms, beside the baseline, of at most so many letters each."""
_ESTIMATES = (
    "effect", "low", "high", "new_set_low", "new_set_high", "half_width", "p", "p_adjusted", "seed_share",
    "beside_gain", "beside_low", "beside_high", "beside_p_adjusted",
)  # fmt: skip
_LABELS = ("labels_bought", "labels_gold")
_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", MINUS: "$-$", "±": r"$\pm$", "×": r"$\times$", NONE: "--",
}  # fmt: skip


def rank_effects(effects: Sequence[Effect]) -> list[Effect]:
    """Sorts the baseline first, then arms by decreasing effect, those without an effect, and what may not win."""

    def place(effect: Effect) -> tuple[int, float]:
        if is_baseline(effect):
            return 0, 0.0
        gain = effect.interval.effect if effect.interval else -np.inf
        return (1 if effect.interval else 2) if may_win(effect.reference) else 3, -gain

    return sorted(effects, key=place)


def is_baseline(effect: Effect) -> bool:
    """Returns whether this is the baseline, which all others are compared with."""
    return effect.arm == "baseline"


def signed_number(value: float, digits: int = 2) -> str:
    """Returns a difference with its sign and a true minus; one that rounds to 0 has no sign."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def effect_in_words(interval: Interval, digits: int = 2) -> str:
    """Returns an effect and its interval, in points."""
    low, high = signed_number(interval.low, digits), signed_number(interval.high, digits)
    return f"{signed_number(interval.effect, digits)} [{low}, {high}]"


def seeds_by_examples(interval: Interval) -> str:
    """Returns seeds × test examples per seed."""
    return f"{interval.n_seeds} × {interval.n_scored / interval.n_seeds:.0f}"


def probability(p: float | None) -> str:
    """Returns a p-value to three digits, or that it is smaller."""
    return NONE if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def deviations(table: pd.DataFrame) -> dict[str, float]:
    """Returns the standard deviation of each arm's score over seeds, in points, if two or more trials succeeded.

    `table` holds one row per trial, as `effects.trials` makes it.
    """
    found = table.groupby("arm")["test"].std(ddof=1)
    return {str(arm): float(value) for arm, value in found.dropna().items()}


def legend(effects: Sequence[Effect], metric: str, sd: Mapping[str, float] | None = None) -> list[str]:
    """Returns notes on what the columns mean, without those that apply to no row."""
    points = "percentage points" if unit_of(metric) == "%" else "points"
    extras = extra_heads(effects)
    shown = (
        (_SD, sd), (_P, any(effect.p_adjusted is not None for effect in effects)), (_BESIDE, _OVER in extras),
        (_GROUP, _BEST in extras), (_LETTERS, any(effect.letters for effect in with_short_letters(effects))),
    )  # fmt: skip
    return [_LEGEND.format(points=points), *(note for note, there in shown if there)]


def with_short_letters(effects: Sequence[Effect]) -> list[Effect]:
    """Returns the effects without their letters if these are too many to be read."""
    arms = sum(not is_baseline(effect) for effect in effects)
    few = arms <= SHORT and max((len(effect.letters) for effect in effects), default=0) <= READABLE
    return list(effects) if few else [replace(effect, letters="") for effect in effects]


_OVER, _BEST, _DIFFERS = f"over its reference [{100 * LEVEL:.0f} % interval]", "best group", "differs from"
_PLACE = 5
"""The column before which the extra ones are put."""


def extra_heads(effects: Sequence[Effect]) -> list[str]:
    """Returns the names of the columns that this table has beyond `heads`: those that say something of some arm."""
    lettered = any(effect.letters for effect in effects)
    long = lettered and not any(effect.letters for effect in with_short_letters(effects))
    return [*([_OVER] if any(effect.beside for effect in effects) else []), *([_BEST, _DIFFERS] if long else [])]


def _extra_cells(effects: Sequence[Effect]) -> dict[str, dict[str, str]]:
    """Returns by arm the cells of the columns `extra_heads`, by column."""
    best = set(best_group(effects))
    return {
        effect.arm: {
            _OVER: beside_in_words(effect.beside) if effect.beside else NONE,
            _BEST: ("yes" if effect.arm in best else "no") if may_win(effect.reference) else NONE,
            _DIFFERS: NONE if is_baseline(effect) else ", ".join(differs_from(effect)) or "nothing",
        }
        for effect in effects
    }


def beside_in_words(gain: ReferenceGain) -> str:
    """Returns an arm's gain over its reference, its interval if it has one, and the reference."""
    return " ".join(part for part in (signed_number(gain.value), _inside(gain), gain.words) if part)


def _inside(gain: ReferenceGain) -> str:
    """Returns the interval of a gain over a reference; "" if it has none."""
    return "" if gain.low is None or gain.high is None else f"[{signed_number(gain.low)}, {signed_number(gain.high)}]"


def differs_from(effect: Effect) -> list[str]:
    """Returns which of the baseline and its reference an arm differs from significantly."""
    found = {"baseline": effect.p_adjusted, "reference": effect.beside.p_adjusted if effect.beside else None}
    return [name for name, p in found.items() if p is not None and p < 1 - LEVEL]


def _table(
    effects: Sequence[Effect], metric: str, sd: Mapping[str, float] | None, mark: Callable[[str], str]
) -> tuple[list[str], list[list[str]]]:
    """Returns the names of all columns, and each row as text; `mark` as for `_cells`, which no extra cell needs."""
    extras, more, names = extra_heads(effects), _extra_cells(effects), heads(metric, sd)
    rows = []
    for rank, effect in number_ranks(with_short_letters(effects)):
        cells = _cells(rank, effect, sd or {}, mark)
        rows.append([*cells[:_PLACE], *(more[effect.arm][name] for name in extras), *cells[_PLACE:]])
    return [*names[:_PLACE], *extras, *names[_PLACE:]], rows


def as_csv(effects: Sequence[Effect], sd: Mapping[str, float] | None = None) -> bytes:
    """Returns one row per arm, as plain numbers; a missing one is empty. A name never reads as a formula."""
    return sheet_of_rows(_number_rows(effects, sd))


def as_frame(effects: Sequence[Effect], sd: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Returns the table that `as_csv` writes, one row per arm, with numbers as numbers; a missing one is nan."""
    rows = _number_rows(effects, sd)
    numbers = dict.fromkeys(("score", "score_sd", *_ESTIMATES, "cpu_s", "cpu_ratio", *_LABELS), "float64")
    return pd.DataFrame(rows).astype({"rank": "Int64", **numbers})


def as_words(effects: Sequence[Effect], metric: str, sd: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Returns the table as people read it: the cells of `as_markdown` as text, nothing in them escaped."""
    head, rows = _table(effects, metric, sd, str)
    return pd.DataFrame(rows, columns=head)


def as_markdown(
    effects: Sequence[Effect], study: str, task: str, metric: str, notes: Sequence[str],
    sd: Mapping[str, float] | None = None, more: Sequence[str] = (),
) -> bytes:  # fmt: skip
    """Returns a heading, the table, with columns aligned as plain text too, the lines `more`, the notes as a list."""
    head, rows = _table(effects, metric, sd, code)
    rows = [
        [escape_cell(cell) if name == _OVER else cell for name, cell in zip(head, row, strict=True)] for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = [f"{'-' * (width - 1)}{'-' if name in _LEFT else ':'}" for name, width in zip(head, widths, strict=True)]
    lines = [_line(row, widths, head) for row in (head, rule, *rows)]
    below = [f"- {escape_markdown(note)}" for note in (*notes, *legend(effects, metric, sd))]
    return "\n".join(
        [f"# {escape_markdown(study)}: effects on {escape_markdown(task)}", "", *lines, "", *more, *below, ""]
    ).encode()


def as_latex(
    effects: Sequence[Effect], study: str, task: str, metric: str, notes: Sequence[str],
    sd: Mapping[str, float] | None = None,
) -> bytes:  # fmt: skip
    """Returns a table for the booktabs package, notes below it."""
    rows = [_cells(rank, effect, sd or {}, typewriter) for rank, effect in number_ranks(with_short_letters(effects))]
    head = heads(metric, sd)
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
        *(rf"\par\smallskip{{\footnotesize {latex(note)}\par}}" for note in (*notes, *legend(effects, metric, sd))),
        r"\end{table}",
    ]
    return ("\n".join(lines) + "\n").encode()


def as_html(
    effects: Sequence[Effect], metric: str, sd: Mapping[str, float] | None = None,
    links: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """Returns a table element; everything in it that comes from data is escaped.

    A cell's `data-v` is its sort key, "" if it has none; a row has a `data-axis`, the number of `data-failed` trials
    and, for a reference, `data-reference`. `links` holds the link target of each arm's name.
    """
    (head, cells), scale = _table(effects, metric, sd, str), IntervalScale.of(effects)
    titles = "".join(_head(name) for name in head)
    rows = "\n".join(
        _row(rank, effect, head, shown, links or {}, scale)
        for (rank, effect), shown in zip(number_ranks(effects), cells, strict=True)
    )
    return f'<table class="board">\n<thead><tr>{titles}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>'


def code(text: str) -> str:
    """Returns text as Markdown code in a table cell; nothing in it can end the code or the cell."""
    plain = _one_line(text).replace("|", r"\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", plain)), default=0))
    pad = " " if "`" in plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def escape_cell(text: str) -> str:
    """Escapes text for a cell of a Markdown table, except for brackets and underscores, which do no harm there."""
    return re.sub(r"([\\`*<>|~#&])", r"\\\1", _one_line(text))


def escape_markdown(text: str) -> str:
    """Escapes text for Markdown."""
    return re.sub(r"([\\`*<>\[\]|~#&]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", _one_line(text))


def latex(text: str) -> str:
    """Escapes text for LaTeX."""
    return "".join(_TEX.get(letter, letter) for letter in _one_line(text))


def typewriter(text: str) -> str:
    """Returns text as LaTeX code."""
    return rf"\texttt{{{latex(text)}}}"


_LEFT = ("arm", "axis", _OVER, _DIFFERS)


def heads(metric: str, sd: Mapping[str, float] | None = None) -> list[str]:
    """Returns the names of the columns."""
    return [
        "rank",
        "arm",
        "axis",
        f"{metric} ± sd" if sd else metric,
        f"effect [{100 * LEVEL:.0f} % interval]",
        "adj. p",
        "seeds × test",
        "failed",
        "cpu s",
        "× control",
        "labels bought",
        "gold",
    ]


def _cells(rank: int | None, effect: Effect, sd: Mapping[str, float], mark: Callable[[str], str]) -> list[str]:
    """Returns a row as text; `mark` formats and escapes the arm's name, the other cells are not escaped yet."""
    kind = f" ({kind_in_words(effect.reference)})" if effect.reference else ""
    return [
        f"{NONE if rank is None else rank} {effect.letters}".strip(),
        mark(effect.arm) + kind,
        effect.axis,
        _scored(effect, sd),
        effect_in_words(effect.interval) if effect.interval else _gap(effect),
        probability(effect.p_adjusted),
        seeds_by_examples(effect.interval) if effect.interval else NONE,
        f"{effect.n_failed}/{effect.n_trials}",
        _number(effect.cpu_s, 2),
        _number(effect.cpu_ratio, 2),
        _number(effect.labels, 0),
        _number(effect.gold, 0),
    ]


def _scored(effect: Effect, sd: Mapping[str, float]) -> str:
    """Returns a score, with its standard deviation if known."""
    return _number(effect.score, 2) + (f" ± {sd[effect.arm]:.2f}" if effect.arm in sd else "")


def _gap(effect: Effect) -> str:
    """Returns the text for a missing effect."""
    return "control" if is_baseline(effect) else "no delta"


def _numbers(rank: int | None, effect: Effect, sd: Mapping[str, float]) -> Mapping[str, Any]:
    """Returns a row as numbers, rounded so that rounding errors of sums do not show."""
    found = effect.interval
    values = {
        "rank": rank, "letters": effect.letters, "arm": effect.arm, "axis": effect.axis,
        "factors": " ".join(effect.factors), "reference": effect.reference, "score": effect.score,
        "score_sd": sd.get(effect.arm), "effect": found and found.effect, "low": found and found.low,
        "high": found and found.high, "new_set_low": effect.new_set and effect.new_set[0],
        "new_set_high": effect.new_set and effect.new_set[1], "half_width": effect.half_width, "p": _digits(effect.p),
        "p_adjusted": _digits(effect.p_adjusted), "seed_share": found and found.seed_share,
        "n_seeds": found.n_seeds if found else 0, "n_test": found.n_test if found else 0,
        "n_scored": found.n_scored if found else 0, "n_trials": effect.n_trials, "n_failed": effect.n_failed,
        "share_failed": effect.share_failed, "n_missing": effect.n_missing, "cpu_s": effect.cpu_s,
        "cpu_ratio": effect.cpu_ratio, "labels_bought": effect.labels, "labels_gold": effect.gold,
    }  # fmt: skip
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}


def _number_rows(effects: Sequence[Effect], sd: Mapping[str, float] | None) -> list[dict[str, Any]]:
    """Returns the rows of the table as numbers, with what an arm is held against."""
    best = set(best_group(effects)) if any(effect.letters for effect in effects) else None
    return [{**_numbers(rank, one, sd or {}), **_beside_numbers(one, best)} for rank, one in number_ranks(effects)]


def _beside_numbers(effect: Effect, best: set[str] | None) -> dict[str, Any]:
    """Returns an arm's gain over its reference as numbers, and whether it is in the best group, if that is known."""
    gain = effect.beside
    values = {
        "best_group": None if best is None or not may_win(effect.reference) else str(effect.arm in best).lower(),
        "beside": gain and gain.reference, "beside_gain": gain and gain.value, "beside_low": gain and gain.low,
        "beside_high": gain and gain.high, "beside_p_adjusted": _digits(gain.p_adjusted) if gain else None,
    }  # fmt: skip
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}


def _digits(p: float | None) -> str | None:
    """Returns a p-value to four significant digits, however small."""
    return None if p is None else f"{p:.4g}"


def number_ranks(effects: Sequence[Effect]) -> Iterable[tuple[int | None, Effect]]:
    """Yields each arm with its rank, equal for equal effects; None for the baseline, no effect, and what cannot win."""
    place, rank, before = 0, 0, None
    for effect in rank_effects(effects):
        if effect.interval is None or not may_win(effect.reference):
            yield None, effect
            continue
        place, value = place + 1, round(effect.interval.effect, 9)
        rank, before = (rank if value == before else place), value
        yield rank, effect


def _number(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


@dataclass(frozen=True)
class IntervalScale:
    """Holds the range, in points, in which every row's interval is drawn; wider intervals are cut."""

    low: float
    high: float

    @classmethod
    def of(cls, effects: Sequence[Effect]) -> IntervalScale:
        """Covers all effects and 0, with a margin of the median half-width or a sixth."""
        found = [effect.interval for effect in effects if effect.interval]
        points = [0.0, *(one.effect for one in found)]
        halves = [(one.high - one.low) / 2 for one in found]
        room = max(float(np.median(halves)) if halves else 0.0, (max(points) - min(points)) / 6, 0.5)
        return cls(min(points) - room, max(points) + room)

    def at(self, value: float) -> str:
        """Returns the position of a number of points, from 0 to 100."""
        share = (value - self.low) / (self.high - self.low)
        return f"{100 * min(max(share, 0.0), 1.0):.1f}"


def _drawn(interval: Interval, scale: IntervalScale) -> str:
    """Returns an effect and its interval as a small SVG; the text beside it says the same."""
    zero, low, high, at = (scale.at(value) for value in (0.0, interval.low, interval.high, interval.effect))
    return (
        '<svg class="whisker" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="zero" d="M{zero} 0V8"/><path class="reach" d="M{low} 4H{high}"/>'
        f'<path class="point" d="M{at} 1.5V6.5"/></svg>'
    )


def _row(
    rank: int | None, effect: Effect, head: Sequence[str], cells: Sequence[str], links: Mapping[str, str],
    scale: IntervalScale,
) -> str:  # fmt: skip
    """Returns a row of the table element from its cells as text; what its style shows is also in its text."""
    name = re.sub(r"([=_])(?=\w)", r"\1<wbr>", escape(_one_line(effect.arm)))  # where a long name may break
    link = links.get(effect.arm)
    arm = f'<a class="arm" href="{escape(link)}">{name}</a>' if link else f'<span class="arm">{name}</span>'
    arm += f' <span class="reference">{kind_in_words(effect.reference)}</span>' if effect.reference else ""
    shown = [glue(escape(cell)) for cell in cells]
    shown[1], shown[2] = arm, f'<span class="axis {_known(effect.axis)}">{shown[2]}</span>'
    shown[4] = _effect_cell(effect, scale)
    if _OVER in head and effect.beside:
        shown[head.index(_OVER)] = _beside_cell(effect.beside)
    keys = _sorted_by(rank, effect)
    keys[_PLACE:_PLACE] = [_extra_key(name, effect, cells[head.index(name)]) for name in head if name in _EXTRAS]
    made = "".join(_cell(name, value, cell) for name, value, cell in zip(head, keys, shown, strict=True))
    kind = f' data-reference="{escape(effect.reference)}"' if effect.reference else ""
    return f'<tr data-axis="{escape(effect.axis)}" data-failed="{effect.n_failed}"{kind}>{made}</tr>'


_EXTRAS = (_OVER, _BEST, _DIFFERS)


def _head(name: str) -> str:
    """Returns the head of a column, with what its name means for those who point at it."""
    means = next((text for word, text in GLOSSARY.items() if name.startswith(word)), "")
    title = f' title="{escape(means)}"' if means else ""
    kind = "text" if name in _LEFT and name != _OVER else "number"
    return f'<th scope="col" class="{_class_of(name)}" data-kind="{kind}"{title}>{glue(escape(name))}</th>'


def _cell(name: str, value: str, cell: str) -> str:
    tag, scope = ("th", " scope=row") if name == "arm" else ("td", "")
    label, key = glue(escape(name)), escape(value)
    return f'<{tag}{scope} class="{_class_of(name)}" data-label="{label}" data-v="{key}">{cell}</{tag}>'


def _class_of(name: str) -> str:
    """Returns the class by which a column's cells are styled."""
    named = {"arm": "who", "rank": "rank", "axis": "kind", _OVER: "over", _DIFFERS: "differs", _BEST: "best"}
    return "gain" if name.startswith("effect") else named.get(name, "n")


def _extra_key(name: str, effect: Effect, text: str) -> str:
    """Returns the sort key of a cell of an extra column."""
    if name == _OVER:
        return f"{effect.beside.value:.6g}" if effect.beside else ""
    return "" if text == NONE else text


def _beside_cell(gain: ReferenceGain) -> str:
    """Returns the gain over the reference, its interval, and the reference below."""
    sure = " sure" if gain.low is not None and gain.high is not None and not gain.low <= 0 <= gain.high else ""
    who = re.sub(r"([=_])(?=\w)", r"\1<wbr>", escape(_one_line(gain.words)))
    return (
        f'<span class="value{sure}">{signed_number(gain.value)}</span> '
        f'<span class="interval">{glue(_inside(gain))}</span> <span class="than">{who}</span>'
    )


_INTERVAL = re.compile(r"\[[+\N{MINUS SIGN}]?\d[\d.]*, [^\[\]]{1,12}\]")


def glue(text: str) -> str:
    """Returns text whose percentages and intervals do not break over lines, by no-break spaces."""
    text = re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)
    return _INTERVAL.sub(lambda one: one[0].replace(" ", "\N{NO-BREAK SPACE}"), text)


def _effect_cell(effect: Effect, scale: IntervalScale) -> str:
    """Returns the effect, its interval and their SVG, or the text for a missing effect."""
    if effect.interval is None:
        return f'<span class="gap">{_gap(effect)}</span>'
    value, _, interval = glue(effect_in_words(effect.interval)).partition(" ")
    sure = " sure" if not effect.interval.low <= 0 <= effect.interval.high else ""
    return (
        f'<span class="value{sure}">{value}</span> <span class="interval">{interval}</span>'
        f"{_drawn(effect.interval, scale)}"
    )


def _known(axis: str) -> str:
    return axis if axis in ("model", "data", "both") else "none"


def _sorted_by(rank: int | None, effect: Effect) -> list[str]:
    """Returns the sort key of each cell of a row; the baseline's effect is 0, since all others are relative to it."""
    found = effect.interval
    gain = found.effect if found else 0.0 if is_baseline(effect) else None
    numbers = [
        effect.score, gain, effect.p_adjusted, found.n_seeds if found else None, effect.n_failed, effect.cpu_s,
        effect.cpu_ratio, effect.labels, effect.gold,
    ]  # fmt: skip
    rest = ["" if value is None else f"{value:.6g}" for value in numbers]
    return ["" if rank is None else str(rank), _one_line(effect.arm), effect.axis, *rest]


def _line(row: Sequence[str], widths: Sequence[int], head: Sequence[str]) -> str:
    cells = [
        cell.ljust(width) if name in _LEFT else cell.rjust(width)
        for cell, width, name in zip(row, widths, head, strict=True)
    ]
    return f"| {' | '.join(cells)} |"


def _one_line(text: str) -> str:
    """Returns text without line breaks or other control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
