"""Claims about a study in, verdicts out: supported, refuted or undecided, with the interval that decides.

A claim is a YAML file in `experiments/claims`, of the working directory or of this project:

    sentence: Ten points come from the data, a few tenths from the model.
    study: quickstart
    left: best data         # best data | best model | best both | an arm's label | baseline
    right: best model
    relation: at least      # at least | at most | equal within
    points: 5               # what `left` less `right` is said to be, in points of the study's metric

**The verdict.** The sides' mean test scores differ by some points; what is claimed is a region of them: `points` or
more, `points` or less, or no more than `points` either way. A claim is *supported* when the 95 % interval of the
difference lies within the region, *refuted* when it lies outside of it, and *undecided* else. Equality is shown by two
one-sided tests at 5 % each (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15), which is the same as a 90 % interval
within the region; that no difference was found supports nothing.

**The interval.** Between two arms it is that of `effects` for a difference paired by seed: seeds and the test
examples that seeds share, each with its own t quantile. A best arm is chosen on validation, once in the data and once
more in every redraw of the means, by the rules and with the interval of `ladder`: references are not chosen,
the baseline may be, and best both is the best model with the best data, where the two were run together.

**Written before the run.** Each trial's record holds the hashes of the claims that stood in the folders when the trial
began. A claim is said to be written before the run only where every record that it rests on holds its hash as it is
now. Nobody can tell from a hash whether its author had seen other runs.
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
    """What is said of a study: that `left` less `right` stands in that relation to so many points."""

    name: str
    sentence: str
    study: str
    left: str
    right: str
    relation: str
    points: float

    @property
    def content(self) -> dict[str, Any]:
        """All that is claimed, in the words of its file; the name is not part of it."""
        return {name: getattr(self, name) for name in KEYS}

    @property
    def digest(self) -> str:
        """The SHA-256 of the content: neither comments nor the order or the wrapping of lines change it."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()

    @property
    def region(self) -> tuple[float, float]:
        """The differences, in points, of which the claim is true."""
        low = {"at least": self.points, "equal within": -self.points}.get(self.relation, -math.inf)
        return low, math.inf if self.relation == "at least" else self.points


def folders() -> list[Path]:
    """Where claims are looked for: the user's own first, then those of this project, each folder once."""
    found = (Path.cwd() / "experiments" / "claims", conf_dir().parent / "experiments" / "claims")
    return list({path.resolve(): path for path in reversed(found)}.values())[::-1]


def claim_files() -> dict[str, Path]:
    """Every claim's file by its name; the user's own goes before one of this project."""
    return {path.stem: path for folder in reversed(folders()) for path in sorted(folder.glob("*.yaml"))}


def read_claim(path: Path) -> Claim:
    """The claim in a file; BadInput says all that is wrong with it, a line each."""
    where = f"claim '{path.stem}'"
    try:
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except _UNREADABLE as error:
        raise BadInput(f"{where}: {path} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{where}: {path} must hold {', '.join(KEYS)}, a line each")
    wrong = [f"{where}: {line}" for line in (_name_fault(path.stem), *_faults(content)) if line]
    if wrong:
        raise BadInput("\n".join(wrong))
    text = {name: " ".join(content[name].split()) for name in KEYS if name != "points"}
    return Claim(name=path.stem, points=float(content["points"]), **text)


def _name_fault(name: str) -> str | None:
    return None if _NAME.fullmatch(name) else "its file is called after it, in letters, digits, '.', '-' and '_'"


def _faults(content: Mapping[Any, Any]) -> Iterator[str]:
    """What is wrong with the content of a claim's file."""
    yield from (f"there is no key '{name}'{choices(str(name), KEYS)}" for name in content if name not in KEYS)
    yield from (f"it lacks '{name}'" for name in KEYS if content.get(name) is None)
    said = {name: content[name] for name in KEYS if content.get(name) is not None}
    texts = {name: value for name, value in said.items() if name != "points"}
    yield from (f"{name} is {value!r}: it must be a text" for name, value in texts.items() if not _is_text(value))
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
    """What is wrong with a margin."""
    if type(points) not in (int, float) or not math.isfinite(points):
        yield f"points is {points!r}: it must be a number"
    elif points < 0:
        yield f"points is {points:g}: it must be 0 or more; swap left and right to claim a difference the other way"
    elif points == 0 and relation == "equal within":
        yield "points is 0: no data can show that two things are equal to the last digit"


def hashes(study: str) -> dict[str, str]:
    """The claims about a study by name, each as the hash of its content; what is no claim is passed over."""
    found = {}
    for name, path in sorted(claim_files().items()):
        with suppress(BadInput):
            claim = read_claim(path)
            if claim.study == study:
                found[name] = claim.digest
    return found


def check_claims(study: str) -> dict[str, str]:
    """The same before a study runs: BadInput for a faulty claim about it, which would be amended when it is too late.

    A file of which one cannot tell the study is taken to be about this one.
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
    """The study that a faulty file names, None where it names none."""
    with suppress(*_UNREADABLE):
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
        name = content.get("study") if isinstance(content, dict) else None
        return name.strip() if isinstance(name, str) else None
    return None


def study_file(study: str) -> Path | None:
    """The study's file, the user's own before one of this project."""
    places = [folder.parent / f"{study}.yaml" for folder in folders()]
    return next((path for path in places if path.is_file()), None)
