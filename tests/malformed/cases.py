"""What a malformed case is, what a command did with it, and what that counts as."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OUTCOMES = ("clear line", "right", "unclear", "wrongly refused", "traceback", "hang", "silently wrong")
"""The first two are good; the last three are the faults that must never be."""
BAD = OUTCOMES[2:]
_NOISE = re.compile(
    r"Traceback \(most recent|object at 0x|^\s+File \"|Warning: |Error: |Error\(|Error in call|^Usage:|^usage:", re.M
)
_OURS = ("harness: ", "  ", "study ", "conf/", "damaged record", "no leaderboard")
_LONGEST = 1200
ALONE = "alone"
"""The slot of a fault that hides what other faults should lead to."""


@dataclass
class Ran:
    """What a run left: its exit code, both outputs, its folder, and the task that a direct reading made."""

    code: int
    out: str
    err: str
    folder: Path
    task: Any = None
    """The task that a direct reading made."""
    fingerprint: str = ""
    """Of a direct reading's data, or of the data in the record of a command."""
    crashed: bool = False
    """Whether an exception passed the command."""


Check = Callable[[Ran], str]
"""Returns what is wrong with a run that ended well, or ""."""


@dataclass(frozen=True)
class Case:
    """A malformed input.

    `write` makes its files in a folder. `words` is the command, or the parameters of a direct reading. `refused` are
    texts of which the refusal names one; none: the command must go well and pass `right`. With `may`, both will do:
    nobody can say what damaged bytes mean, but the command must not die of them.
    """

    kind: str
    seed: int
    faults: tuple[str, ...]
    write: Callable[[Path], None]
    words: tuple[str, ...]
    refused: tuple[str, ...] = ()
    right: Check = lambda ran: ""
    may: bool = False
    lines: int = 1
    read: Callable[[], tuple[Any, Any]] | None = None
    """Reads the case without a command, in its folder: returns the task and its source."""

    @property
    def name(self) -> str:
        """The case in words, for people and for `--only`."""
        return f"{self.kind}:{self.seed} {'+'.join(self.faults)}"


BEFORE = ".before"
"""A file of the names of what lies in a case's folder before its command runs."""


@dataclass(frozen=True)
class Verdict:
    """A case's outcome, one of `OUTCOMES`, and why."""

    name: str
    outcome: str
    why: str = ""
    kind: str = field(default="")


def judge(case: Case, ran: Ran) -> tuple[str, str]:
    """Returns the outcome of a run that ended, and why."""
    said = ran.out + ran.err
    if ran.crashed or "Traceback (most recent call last)" in said or "Error in call to target" in said:
        return "traceback", said[-1500:]
    told = [line for line in ran.err.splitlines() if line.startswith("harness: ")]
    if ran.code == 0:
        return _judge_done(case, ran)
    if not case.refused and not case.may:
        return "wrongly refused", "\n".join(told) or said[-800:]
    return _judge_refusal(case, ran, told)


def _judge_done(case: Case, ran: Ran) -> tuple[str, str]:
    if case.refused and not case.may:
        return "silently wrong", f"not refused ({', '.join(case.refused)}): {(ran.out + ran.err)[-800:]}"
    if noise_in(ran.err):
        return "unclear", f"noise: {ran.err[-800:]}"
    wrong = case.right(ran)
    return ("silently wrong", f"{wrong}\n{ran.err[-800:]}") if wrong else ("right", "")


def _judge_refusal(case: Case, ran: Ran, told: Sequence[str]) -> tuple[str, str]:
    """Returns whether a refusal is one clear line that names what is wrong, with nothing half-written."""
    text = "\n".join(told)
    left = half_written(ran.folder)
    if case.may and ran.code == 1 and told:  # a trial that failed has a record, which says why
        return "clear line", text
    if left:
        return "silently wrong", f"half-written: {left} after {text}"
    if not told or len(told) > case.lines:
        return "unclear", f"{len(told)} lines: {ran.err[-800:]}"
    if noise_in(ran.err) or max(map(len, told)) > _LONGEST:
        return "unclear", ran.err[-800:]
    if case.refused and not case.may and not any(name.lower() in text.lower() for name in case.refused):
        return "unclear", f"names none of {case.refused}: {text}"
    return "clear line", text


def noise_in(err: str) -> bool:
    """Returns whether an error output holds what is no sentence of the harness."""
    return bool(_NOISE.search(err)) or any(not line.startswith(_OURS) for line in err.splitlines() if line.strip())


def half_written(folder: Path) -> list[str]:
    """Returns what a refused command left of records, tables and unfinished files, beside what had been there."""
    kinds = ("results/*/trials/*.json", "results/*/leaderboard*", "results/**/*.part", "results/*/study.json")
    note = folder / BEFORE
    before = set(note.read_text().splitlines()) if note.is_file() else set()
    there = {str(path.relative_to(folder)) for kind in kinds for path in folder.glob(kind)}
    return sorted(there - before)


def chosen(rng: random.Random, faults: Sequence[Any], most: int) -> list[Any]:
    """Returns one to `most` faults, no two of one slot, in the order of the list; one whose slot is "alone", alone."""
    count = rng.choice([1, *range(1, most + 1)])
    first = rng.choice(faults)
    if first.slot == ALONE:
        return [first]
    faults = [fault for fault in faults if fault.slot != ALONE]
    picked: dict[str, Any] = {}
    for fault in rng.sample(list(faults), len(faults)):
        if len(picked) < count and fault.slot not in picked:
            picked[fault.slot] = fault
    return sorted(picked.values(), key=list(faults).index)
