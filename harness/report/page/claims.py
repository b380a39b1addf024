"""Reads the verdicts on a study's claims that `harness claims` wrote, as lines of the study's page."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import BadInput
from harness.report.leaderboard import signed_number
from harness.storage.files import parse_object

FOLDER = "claims"
_WORDS = ("supported", "refuted", "undecided")


@dataclass(frozen=True)
class ClaimLine:
    """Holds a claim on the page: its name, its sentence, the verdict, the numbers behind it, and the file that has all.

    `word` is "" and `href` too if it has not been judged yet.
    """

    name: str
    sentence: str
    word: str
    numbers: str
    href: str


def claim_lines(folder: Path, planned: Collection[str] = ()) -> list[ClaimLine]:
    """Returns the claims judged in a study's `folder`, by name, then those of the plan that nobody has judged yet.

    A file that is not such a verdict is shown with that word, since it may come from anyone.
    """
    judged = [_line(path) for path in sorted((folder / FOLDER).glob("*.json"))]
    known = {one.name for one in judged}
    waiting = [ClaimLine(name, "", "", "not judged yet", "") for name in sorted(set(planned) - known)]
    return [*judged, *waiting]


def _line(path: Path) -> ClaimLine:
    """Returns the line of one verdict's file."""
    with suppress(BadInput, OSError, KeyError, TypeError, ValueError):
        return _read(path.stem, parse_object(path.read_bytes()))
    return ClaimLine(path.stem, "", "", f"{FOLDER}/{path.name} is not a verdict: write it anew with harness claims", "")


def _read(name: str, held: dict[str, Any]) -> ClaimLine:
    claim, found, word = held["claim"], held["difference"], str(held["verdict"])
    if word not in _WORDS:
        raise BadInput(f"'{word}' is not a verdict on a claim")
    relation = f"claimed: {claim['left']} less {claim['right']} {claim['relation']} {float(claim['points']):g} points"
    numbers = str(held["reason"] or "")
    if found is not None:
        low, value, high = (signed_number(float(found[part])) for part in ("low", "value", "high"))
        numbers = f"measured: {value} [{low}, {high}]"
    return ClaimLine(name, str(claim["sentence"]), word, f"{relation}; {numbers}", f"{FOLDER}/{name}.md")
