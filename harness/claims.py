"""Reads claims about a study, which are judged as supported, refuted or undecided.

A claim is a YAML file in `experiments/claims`, in the working directory or in this project:

    sentence: Ten points come from the data, a few tenths from the model.
    study: quickstart
    left: best data         # best data | best model | best both | an arm's label | baseline
    right: best model
    relation: at least      # at least | at most | equal within
    points: 5               # the claimed value of `left` minus `right`, in points of the study's metric

**The verdict.** The claim is that the difference between the two mean test scores lies in a region: `points` or
more, `points` or less, or at most `points` either way. A claim is *supported* if the 95 % interval of the difference
lies within the region, *refuted* if it lies outside, and *undecided* otherwise. Equality is shown by two one-sided
tests at 5 % each (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15), which is the same as a 90 % interval within the
region. The absence of a significant difference supports nothing.

**The interval.** Between two arms it is the interval of `effects` for a difference paired by seed: it covers seeds
and the test examples that seeds share, each with its own t quantile. A best arm is chosen on validation, once in the
data and again in every resample of the means, by the rules and with the interval of `ladder`: references are never
chosen, the baseline may be, and best both is the best model with the best data if the two were run together.

**Written before the run.** Each trial's record holds the hashes of the claims that were in the folders when the trial
began. A claim counts as written before the run only if every record that it uses holds its current hash. A hash does
not show whether the author had seen other runs.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from harness.checks import choices
from harness.errors import BadInput
from harness.storage.places import conf_dir

PICKS = ("best model", "best data", "best both")
RELATIONS = ("at least", "at most", "equal within")
KEYS = ("sentence", "study", "left", "right", "relation", "points")
_UNREADABLE = (YAMLError, OSError, OmegaConfBaseException)
_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Claim:
    """States that `left` minus `right` of a study is in `relation` to a number of points."""

    name: str
    sentence: str
    study: str
    left: str
    right: str
    relation: str
    points: float

    @property
    def content(self) -> dict[str, Any]:
        """Returns everything that is claimed, as in the file; the name is not part of it."""
        return {name: getattr(self, name) for name in KEYS}

    @property
    def digest(self) -> str:
        """Returns the SHA-256 of the content; comments and the order or wrapping of lines do not change it."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()

    @property
    def region(self) -> tuple[float, float]:
        """Returns the range of differences, in points, for which the claim is true."""
        low = {"at least": self.points, "equal within": -self.points}.get(self.relation, -math.inf)
        return low, math.inf if self.relation == "at least" else self.points


def folders() -> list[Path]:
    """Returns the folders of claims: the user's first, then this project's, each once."""
    found = (Path.cwd() / "experiments" / "claims", conf_dir().parent / "experiments" / "claims")
    return list({path.resolve(): path for path in reversed(found)}.values())[::-1]


def claim_files() -> dict[str, Path]:
    """Returns every claim's file by name; a user's claim replaces this project's of the same name."""
    return {path.stem: path for folder in reversed(folders()) for path in sorted(folder.glob("*.yaml"))}


def read_claim(path: Path) -> Claim:
    """Reads the claim in a file; BadInput lists everything that is wrong with it, one line each."""
    where = f"claim '{path.stem}'"
    try:
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except _UNREADABLE as error:
        raise BadInput(f"{where}: {path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{where}: {path} must hold {', '.join(KEYS)}, one per line")
    wrong = [f"{where}: {line}" for line in (_name_fault(path.stem), *_faults(content)) if line]
    if wrong:
        raise BadInput("\n".join(wrong))
    text = {name: " ".join(content[name].split()) for name in KEYS if name != "points"}
    return Claim(name=path.stem, points=float(content["points"]), **text)


def _name_fault(name: str) -> str | None:
    return None if _NAME.fullmatch(name) else "a claim has the name of its file, in letters, digits, '.', '-' and '_'"


def _faults(content: Mapping[Any, Any]) -> Iterator[str]:
    """Yields what is wrong with the content of a claim's file."""
    yield from (f"unknown key '{name}'{choices(str(name), KEYS)}" for name in content if name not in KEYS)
    yield from (f"it lacks '{name}'" for name in KEYS if content.get(name) is None)
    said = {name: content[name] for name in KEYS if content.get(name) is not None}
    texts = {name: value for name, value in said.items() if name != "points"}
    yield from (f"{name} is {value!r}: it must be text" for name, value in texts.items() if not _is_text(value))
    if _is_text(said.get("relation")) and " ".join(said["relation"].split()) not in RELATIONS:
        yield f"relation is '{said['relation']}'{choices(said['relation'], RELATIONS)}"
    for side in ("left", "right"):
        if _is_text(said.get(side)) and said[side].startswith("best") and said[side] not in PICKS:
            yield f"{side} is '{said[side]}'{choices(said[side], PICKS)}"
    if _is_text(said.get("left")) and said.get("left") == said.get("right"):
        yield f"left and right are both '{said['left']}'"
    if "points" in said:
        yield from _points_faults(said["points"], str(said.get("relation")))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _points_faults(points: Any, relation: str) -> Iterator[str]:
    """Yields what is wrong with a margin."""
    if type(points) not in (int, float) or not math.isfinite(points):
        yield f"points is {points!r}: it must be a number"
    elif points < 0:
        yield f"points is {points:g}: it must be 0 or more; swap left and right to claim a difference the other way"
    elif points == 0 and relation == "equal within":
        yield "points is 0: no data can show that two things are equal to the last digit"


def hashes(study: str) -> dict[str, str]:
    """Returns the hash of each claim about a study, by name; files that are not valid claims are skipped."""
    found = {}
    for name, path in sorted(claim_files().items()):
        with suppress(BadInput):
            claim = read_claim(path)
            if claim.study == study:
                found[name] = claim.digest
    return found


def check_claims(study: str) -> dict[str, str]:
    """Does the same before a study runs, with BadInput for a faulty claim, since correcting it later would be too late.

    A file that names no study is taken to be about this one.
    """
    wrong = []
    for path in claim_files().values():
        try:
            read_claim(path)
        except BadInput as error:
            wrong += [str(error)] if _said_study(path) in (study, None) else []
    if wrong:
        raise BadInput("\n".join(wrong))
    return hashes(study)


def _said_study(path: Path) -> str | None:
    """Returns the study that a faulty file names, or None."""
    with suppress(*_UNREADABLE):
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
        name = content.get("study") if isinstance(content, dict) else None
        return name.strip() if isinstance(name, str) else None
    return None


def study_file(study: str) -> Path | None:
    """Returns the study's file: the user's own, else this project's."""
    places = [folder.parent / f"{study}.yaml" for folder in folders()]
    return next((path for path in places if path.is_file()), None)
