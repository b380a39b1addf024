"""Writes the verdict on a claim as a line for the terminal, JSON, Markdown and a one-column figure."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from harness.analysis.verdicts import ClaimVerdict, Difference
from harness.claims import Claim
from harness.report.figures.style import FAINT, INK, MARGIN, MARKS, SHADE, TEXT, WIDTH, as_files, blank, sheet, signs
from harness.report.leaderboard import escape_markdown, signed_number
from harness.storage.files import dump, write_atomic

_DIGITS = 4
_ROOM, _PLOT = 0.18, 0.36
_MARK = {"supported": MARKS["both"], "refuted": MARKS["data"], "undecided": MARKS["none"]}


def line(verdict: ClaimVerdict) -> str:
    """Returns the verdict in a line."""
    return " ".join(f"{verdict.claim.name}: {verdict.word}: {verdict_numbers(verdict)}; {verdict.written}".split())


def verdict_numbers(verdict: ClaimVerdict) -> str:
    """Returns the difference, the interval that decides and the claimed relation, or why there is no number."""
    found, claim = verdict.found, verdict.claim
    claimed = f"claimed {claim.relation} {claim.points:g}"
    if found is None:
        return f"{verdict.reason} ({claim.left} less {claim.right}, {claimed} points)"
    interval = f"95 % interval [{signed_number(found.low)}, {signed_number(found.high)}]"
    if claim.relation == "equal within":
        interval += f", 90 % interval [{signed_number(found.low_90)}, {signed_number(found.high_90)}]"
    return f"{found.left} less {found.right} is {signed_number(found.value)} points, {interval}, {claimed}"


def write_claim(verdict: ClaimVerdict, folder: Path) -> list[Path]:
    """Writes NAME.json, NAME.md and the figure as NAME.pdf, .png and .svg; equal verdicts give equal bytes."""
    name = verdict.claim.name
    files = {f"{name}.json": as_json(verdict), f"{name}.md": as_markdown(verdict)}
    files |= {f"{name}.{kind}": content for kind, content in as_files(draw_claim)(verdict).items()}
    for file, content in files.items():
        write_atomic(folder / file, content)
    return [folder / file for file in files]


def as_json(verdict: ClaimVerdict) -> bytes:
    """Returns the verdict as numbers, rounded so that rounding errors of sums do not show."""
    found, written = verdict.found, verdict.written
    content = {
        "name": verdict.claim.name,
        "claim": verdict.claim.content,
        "sha256": verdict.claim.digest,
        "verdict": verdict.word,
        "reason": verdict.reason or None,
        "difference": _rounded(found) if found else None,
        "written": {
            "before_the_run": written.before, "said": str(written), "trials": written.of,
            "carry_the_hash": written.carry, "carry_another": written.other, "claims_about_the_study": written.about,
        },
    }  # fmt: skip
    return dump(content)


def _rounded(found: Difference) -> dict[str, Any]:
    return {name: round(value, _DIGITS) if isinstance(value, float) else value for name, value in vars(found).items()}


def as_markdown(verdict: ClaimVerdict) -> bytes:
    """Returns the verdict as a heading, the claim's sentence, and the numbers that decide."""
    claim = verdict.claim
    lines = [
        f"# {escape_markdown(claim.name)}: {verdict.word}", "", f"> {escape_markdown(claim.sentence)}", "",
        f"{escape_markdown(_capital(verdict_numbers(verdict)))}.", "",
        f"- {escape_markdown(_capital(str(verdict.written)))}.",
        *([f"- {escape_markdown(_covers(verdict.found))}"] if verdict.found else []),
        f"- Study `{claim.study}`, SHA-256 of the claim `{claim.digest}`.", "",
    ]  # fmt: skip
    return "\n".join(lines).encode()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _covers(found: Difference) -> str:
    chosen = " and the choice of the best arm on validation" if "(" in found.left + found.right else ""
    return (
        f"The interval accounts for retraining ({found.n_seeds} seeds), for the sampling of the test examples "
        f"({found.n_test} distinct){chosen}; not other tasks, not other protocols."
    )


def draw_claim(verdict: ClaimVerdict) -> Figure:
    """Returns a figure of the difference with its interval and the claimed region; a sentence if there is no number."""
    claim, found = verdict.claim, verdict.found
    title = f"{claim.name}: {verdict.word}"
    said = f"“{claim.sentence}” {_capital(str(verdict.written))}."
    if found is None:
        return blank(title, _capital(verdict_numbers(verdict)) + ".", said)
    head = f"{found.left} less {found.right}, in points"
    note = f"Shaded: what is claimed, {claim.relation} {claim.points:g} points. Line: 95 % interval"
    note += "; bar: the 90 % interval that shows equality. " if claim.relation == "equal within" else ". "
    page = sheet(title, head, note + said, width=WIDTH, height=_ROOM + _PLOT + _ROOM + 0.06)
    ax = page.axes(MARGIN + 0.05, _ROOM, WIDTH - 2 * MARGIN - 0.1, _PLOT)
    low, high = _span(claim, found)
    ax.set(xlim=(low, high), ylim=(-1, 1), yticks=[])
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_formatter(signs)
    ax.locator_params(axis="x", nbins=7, steps=[1, 2, 5, 10])
    _region(ax, claim, low, high)
    if low < 0 < high:
        ax.axvline(0, linewidth=0.8, color=INK, zorder=1.5)
    _interval(ax, verdict, found)
    words = f"{signed_number(found.value)} [{signed_number(found.low)}, {signed_number(found.high)}]"
    page.text(MARGIN, _ROOM / 2, f"claimed: {claim.relation} {claim.points:g}", size=TEXT)
    page.text(WIDTH - MARGIN, _ROOM / 2, words, ha="right", size=TEXT)
    return page.figure


def _span(claim: Claim, found: Difference) -> tuple[float, float]:
    """Returns the range of the axis: the interval, 0 and the edges of the region, with margins."""
    edges = [edge for edge in claim.region if math.isfinite(edge)]
    shown = [found.low, found.high, 0.0, *edges]
    room = 0.12 * ((max(shown) - min(shown)) or 1.0)
    return min(shown) - room, max(shown) + room


def _region(ax: Any, claim: Claim, low: float, high: float) -> None:
    """Draws the claimed region, shaded, with its edges."""
    left, right = max(claim.region[0], low), min(claim.region[1], high)
    ax.add_patch(Rectangle((left, -1), right - left, 2, facecolor=SHADE, edgecolor="none", zorder=0))
    for edge in claim.region:
        if math.isfinite(edge):
            ax.axvline(edge, linewidth=0.8, linestyle=(0, (3, 1.5)), color=FAINT, zorder=1)


def _interval(ax: Any, verdict: ClaimVerdict, found: Difference) -> None:
    marker, colour = _MARK[verdict.word]
    ax.plot([found.low, found.high], [0, 0], color=colour, linewidth=1.3, solid_capstyle="butt", zorder=2)
    ax.plot([found.low, found.high], [0, 0], "|", color=colour, markersize=6, markeredgewidth=1, zorder=2)
    if verdict.claim.relation == "equal within":
        ends = [found.low_90, found.high_90]
        ax.plot(ends, [0, 0], color=colour, linewidth=3.2, solid_capstyle="butt", zorder=2)
    ax.plot([found.value], [0], marker, color=colour, markersize=4.5, markeredgecolor="white", zorder=3)
