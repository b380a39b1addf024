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

**The interval.** Between two arms it is that of `harness.effects` for a difference paired by seed: seeds and the test
examples that seeds share, each with its own t quantile. A best arm is chosen on validation, once in the data and once
more in every redraw of the means, by the rules and with the interval of `harness.ladder`: dull twins are not chosen,
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
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64
from omegaconf import OmegaConf
from yaml import YAMLError

from harness.config import conf_dir, nearest
from harness.effects import LEVEL
from harness.errors import BadInput
from harness.grid import BASELINE, Scores, scores
from harness.ladder import ENDS, Draws, axes, draw, picks
from harness.significance import half_width_at
from harness.store import Record, Store
from harness.streams import stream
from harness.terminal import HYDRA_ERRORS, say
from harness.words import parse

PICKS = ("best model", "best data", "best both")
RELATIONS = ("at least", "at most", "equal within")
KEYS = ("sentence", "study", "left", "right", "relation", "points")
PASSED = ("cache", "track", "device", "threads", "retry")
"""Options of a study's run that may be said beside `store` and `run`; so may any with a dot, as `task.path`."""
DRAWS = 20_000
"""As many that what is decided does not hang on them: the ends of an interval move by a hundredth of its width."""
_NARROW = 0.9
_UNREADABLE = (YAMLError, OSError, *HYDRA_ERRORS)
_NAME = re.compile(r"\w[\w.-]*")
Word = Literal["supported", "refuted", "undecided"]


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


@dataclass(frozen=True)
class Difference:
    """`left` less `right` in points, with a 95 % and a 90 % interval; the sides name the arms that were chosen."""

    left: str
    right: str
    value: float
    low: float
    high: float
    low_90: float
    high_90: float
    n_seeds: int
    n_test: int


@dataclass(frozen=True)
class Written:
    """How many of the `of` records that a claim rests on hold its hash, and how many another one of that name."""

    carry: int
    other: int
    of: int
    about: int

    @property
    def before(self) -> bool:
        """Whether the claim was there, as it is now, before any of the trials had run."""
        return self.carry == self.of > 0

    def __str__(self) -> str:
        """The same in words; `about` counts the claims about the study that the records know of."""
        if self.of == 0:
            return "no trial that it rests on has run"
        if self.before:
            among = f", one of {self.about} claims about the study" if self.about > 1 else ""
            return f"written before the run{among}: all {self.of} trials that it rests on carry its hash"
        verb = "changed" if self.other else "written"
        return f"{verb} after {self.of - self.carry} of {self.of} trials had run: exploratory"


@dataclass(frozen=True)
class Verdict:
    """What the records say of a claim; `found` is None where `reason` tells why there is no number."""

    claim: Claim
    word: Word
    reason: str
    found: Difference | None
    written: Written


def command(words: list[str]) -> int:
    """`harness claims [NAME …] [store=results] [run=no] [task.path=…]`: runs what is missing, judges, and writes."""
    from harness.report.claimed import line, write  # it draws, and this module is read by every trial

    own, passed = _split(words)
    names, options = parse(own, ("store", "run"))
    run = options.get("run", "yes")
    if run not in ("yes", "no"):
        raise BadInput(f"run is '{run}': {nearest(run, ('yes', 'no'))}")
    root = Path(options.get("store", "results")).expanduser()
    claims = [read(place) for place in _places(names)]
    studies = list(dict.fromkeys(_known_study(claim, root) for claim in claims))
    if passed and len(studies) > 1:
        raise BadInput(f"{passed[0]} is for one study, and these claims are about {len(studies)}: {', '.join(studies)}")
    for study in studies if run == "yes" else []:
        _run_missing(study, root, passed)
    for claim in claims:
        verdict = judge(claim, Store(root / claim.study))
        print(line(verdict), flush=True)
        if (root / claim.study).is_dir():
            write(verdict, root / claim.study / "claims")
    return 0


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words of the command itself, and those that are for the run of the study."""
    names = [word.removeprefix("--").partition("=")[0] for word in words]
    ours = [
        not ("=" in word and (name in PASSED or set(name) & set(".@"))) for word, name in zip(words, names, strict=True)
    ]
    passed = [word.removeprefix("--") for word, own in zip(words, ours, strict=True) if not own]
    return [word for word, own in zip(words, ours, strict=True) if own], passed


def folders() -> list[Path]:
    """Where claims are looked for: the user's own first, then those of this project, each folder once."""
    found = (Path.cwd() / "experiments" / "claims", conf_dir().parent / "experiments" / "claims")
    return list({path.resolve(): path for path in reversed(found)}.values())[::-1]


def claim_files() -> dict[str, Path]:
    """Every claim's file by its name; the user's own goes before one of this project."""
    return {path.stem: path for folder in reversed(folders()) for path in sorted(folder.glob("*.yaml"))}


def _places(names: Sequence[str]) -> list[Path]:
    """The files of the claims that are named, or of all; BadInput for a name that no claim has."""
    known = claim_files()
    for name in names:
        if name not in known:
            raise BadInput(f"there is no claim '{name}': {nearest(name, known)}")
    if not known:
        raise BadInput(f"there is no claim: write one to {folders()[0]}/NAME.yaml")
    return [known[name] for name in dict.fromkeys(names or sorted(known))]


def read(path: Path) -> Claim:
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
    yield from (f"there is no key '{name}': {nearest(str(name), KEYS)}" for name in content if name not in KEYS)
    yield from (f"it lacks '{name}'" for name in KEYS if content.get(name) is None)
    said = {name: content[name] for name in KEYS if content.get(name) is not None}
    texts = {name: value for name, value in said.items() if name != "points"}
    yield from (f"{name} is {value!r}: it must be a text" for name, value in texts.items() if not _is_text(value))
    if _is_text(said.get("relation")) and " ".join(said["relation"].split()) not in RELATIONS:
        yield f"relation is '{said['relation']}': {nearest(said['relation'], RELATIONS)}"
    for side in ("left", "right"):
        if _is_text(said.get(side)) and said[side].startswith("best") and said[side] not in PICKS:
            yield f"{side} is '{said[side]}': {nearest(said[side], PICKS)}"
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
            claim = read(path)
            if claim.study == study:
                found[name] = claim.digest
    return found


def checked(study: str) -> dict[str, str]:
    """The same before a study runs: BadInput for a faulty claim about it, which would be amended when it is too late.

    A file of which one cannot tell the study is taken to be about this one.
    """
    wrong = []
    for path in claim_files().values():
        try:
            read(path)
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


def judge(claim: Claim, store: Store) -> Verdict:
    """What the records in the store say of the claim; BadInput for an arm that the study does not have.

    Where a trial that the claim rests on failed or was not run, or there is one seed, the verdict is undecided and has
    a reason instead of a number.
    """
    plan = store.plan()
    if plan is None:
        reason = f"the study '{claim.study}' has not run"
        return Verdict(claim, "undecided", reason, None, Written(0, 0, 0, 0))
    rows = plan["trials"]
    rests = _rests_on(claim, rows)
    keys = {row["key"]: row for row in rows}
    records = [{**one, **keys[one["key"]]} for one in store.records() if one["key"] in keys]
    written = _written(claim, [one for one in records if one["arm"] in rests])
    try:
        _complete(rests, rows, records)
        shared = _shared_seeds(rests, rows)
        rows, records = ([one for one in these if one["seed"] in shared] for these in (rows, records))
        found = difference(scores(records, store.test_set, rows), claim.left, claim.right)
    except BadInput as lack:
        return Verdict(claim, "undecided", str(lack), None, written)
    return Verdict(claim, word_of(claim, found), "", found, written)


def word_of(claim: Claim, found: Difference) -> Word:
    """The verdict on a difference."""
    low, high = claim.region
    inner = (found.low_90, found.high_90) if claim.relation == "equal within" else (found.low, found.high)
    if low <= inner[0] and inner[1] <= high:
        return "supported"
    return "refuted" if found.high < low or found.low > high else "undecided"


def _rests_on(claim: Claim, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The arms whose trials decide: both sides, for a best arm all that it is chosen from, and always the baseline."""
    arms = {row["arm"]: row for row in rows}
    kinds = {"best model": ("model",), "best data": ("data",), "best both": ("model", "data", "both")}
    chosen = {BASELINE}
    for side in (claim.left, claim.right):
        if side not in PICKS and side not in arms:
            known = nearest(side, [*PICKS, *arms])
            raise BadInput(f"claim '{claim.name}': the study '{claim.study}' has no arm '{side}': {known}")
        among = {arm for arm, row in arms.items() if row["axis"] in kinds.get(side, ()) and not row["dull"]}
        chosen |= among if side in PICKS else {side}
    return [arm for arm in arms if arm in chosen]


def _complete(rests: Sequence[str], rows: Sequence[Mapping[str, Any]], records: Sequence[Record]) -> None:
    """BadInput where a trial of these arms failed or was not run."""
    status = {one["key"]: one["status"] for one in records}
    why = {one["arm"]: one["reason"] for one in records if one["status"] == "failed"}
    lacks = []
    for arm in rests:
        planned = [status.get(row["key"]) for row in rows if row["arm"] == arm]
        failed, missing = planned.count("failed"), planned.count(None)
        lacks += [f"{failed} of {len(planned)} trials of {arm} failed ({why[arm]})"] if failed else []
        lacks += [f"{missing} of {len(planned)} trials of {arm} were not run"] if missing else []
    if lacks:
        raise BadInput("; ".join(lacks))


def _shared_seeds(rests: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> set[int]:
    """The seeds that all of these arms have; a study may stop adding seeds to an arm before others."""
    return set.intersection(*({row["seed"] for row in rows if row["arm"] == arm} for arm in rests))


def _written(claim: Claim, records: Sequence[Record]) -> Written:
    """What the provenance of these records says of the claim."""
    held = [one["provenance"].get("claims", {}) for one in records]
    carry = sum(claim.digest in claims.values() for claims in held)
    other = sum(claim.digest not in claims.values() and claim.name in claims for claims in held)
    return Written(carry, other, len(held), len({digest for claims in held for digest in claims.values()}))


def difference(scores: Scores, left: str, right: str) -> Difference:
    """`left` less `right`, each a label or a best arm; BadInput with one seed, or with nothing to choose a best on."""
    if len(scores.seeds) < 2:
        raise BadInput("one seed cannot tell what training again would give: run two at least, five are better")
    for side in (left, right):
        if side not in (*PICKS, *scores.arms):
            raise BadInput(f"{side} has no complete row of scores")
    if left in PICKS or right in PICKS:
        return _between_picks(scores, left, right)
    contrast = np.array([(arm == left) - float(arm == right) for arm in scores.arms])
    deltas = contrast @ scores.test
    r, shared = len(deltas), max(float(contrast @ scores.spread @ contrast), 0.0)
    parts = [(float(deltas.var(ddof=1)) / r, r - 1), (shared, scores.n_test - 1)]
    mean = float(deltas.mean())
    wide, narrow = (half_width_at(1 - level, parts) for level in (LEVEL, _NARROW))
    return Difference(left, right, mean, mean - wide, mean + wide, mean - narrow, mean + narrow, r, scores.n_test)


def _between_picks(scores: Scores, left: str, right: str) -> Difference:
    """The difference where a side is chosen on validation, in the data and again in every redraw."""
    if not np.isfinite(scores.valid).all():
        raise BadInput("the task has no validation part to choose a best arm on")
    draws = draw(scores, DRAWS, stream(0, "attribution"))  # the draws of a report's attribution
    sides = [_chosen(draws, side) for side in (left, right)]
    if any(side[0] < 0 for side in sides):
        raise BadInput("the best model and the best data were not run together")
    run = (sides[0] >= 0) & (sides[1] >= 0)
    names = (
        f"{side} ({scores.arms[at[0]]})" if side in PICKS else side
        for side, at in zip((left, right), sides, strict=True)
    )
    rows = np.arange(len(run))
    seen = (draws.test[rows, sides[0]] - draws.test[rows, sides[1]])[run]
    own = (draws.test[0, sides[0]] - draws.test[0, sides[1]])[run]
    wide, narrow = (_interval(seen, own, level) for level in (LEVEL, _NARROW))
    r, n = len(scores.seeds), scores.n_test
    return Difference(next(names), next(names), float(seen[0]), *wide, *narrow, r, n)


def _chosen(draws: Draws, side: str) -> np.ndarray:
    """The arm that each row of the draws takes for that side; -1 where the chosen pair was not run together."""
    if side not in PICKS:
        return np.full(len(draws.test), draws.scores.arms.index(side))
    where = axes(draws.scores)
    for name, arms in (("model", where.model), ("data", where.data)):
        if not arms and side in (f"best {name}", "best both"):
            raise BadInput(f"no arm changes the {name} alone, dull twins aside: there is no best one")
    chosen = picks(draws, where, where.model, where.data)
    return {"best model": chosen.model, "best data": chosen.data, "best both": chosen.both}[side]


def _interval(seen: Float64[np.ndarray, " d"], own: Float64[np.ndarray, " d"], level: float) -> tuple[float, float]:
    """The interval of `harness.ladder` at a level of one's own: `seen` are the redraws below the value as measured.

    `own` is what was measured for the arms that each row chose; what a draw adds to it is the luck of being chosen.
    """
    tails = ((1 - level) / 2, (1 + level) / 2)
    luck = seen[1:] - own[1:]
    low, high = (float(end) for end in np.quantile(seen[1:], tails))
    flattery = 2 * float(np.clip(luck, *np.quantile(luck, ENDS)).mean())
    return min(low, low - flattery, float(seen[0])), max(high, high - flattery, float(seen[0]))


def study_file(study: str) -> Path | None:
    """The study's file, the user's own before one of this project."""
    places = [folder.parent / f"{study}.yaml" for folder in folders()]
    return next((path for path in places if path.is_file()), None)


def _known_study(claim: Claim, root: Path) -> str:
    """The claim's study; BadInput where there is neither a file nor a record of it."""
    if study_file(claim.study) is None and not (root / claim.study / "study.json").is_file():
        known = {path.stem for folder in folders() for path in folder.parent.glob("*.yaml")}
        known |= {path.parent.name for path in root.glob("*/study.json")}
        raise BadInput(f"claim '{claim.name}': there is no study '{claim.study}': {nearest(claim.study, known)}")
    return claim.study


def is_complete(store: Store, file: Path | None) -> bool:
    """Whether every planned trial has a record, failed ones too, and the plan has every arm and seed of the file."""
    plan = store.plan()
    if plan is None:
        return False
    kept = {one["key"] for one in store.records()}
    if any(row["key"] not in kept for row in plan["trials"]):
        return False
    arms, seeds = _asked(file) if file else (set(), set())
    return arms <= {row["arm"] for row in plan["trials"]} and seeds <= {row["seed"] for row in plan["trials"]}


def _asked(file: Path) -> tuple[set[str], set[int]]:
    """The arms that a study's file lists one by one or to be crossed, and its seeds."""
    said: Any = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    listed = [arm for arms in (said.get("arms") or [], *(said.get("cross") or [])) for arm in arms]
    seeds = said.get("seeds") or []
    return {arm if isinstance(arm, str) else " ".join(arm) for arm in listed}, set(
        range(seeds) if isinstance(seeds, int) else seeds
    )


def _run_missing(study: str, root: Path, passed: Sequence[str]) -> None:
    """Runs the study where something of it is missing, as a user would; its tables go to standard error.

    Failed trials are in the records, and the verdict tells of them. BadInput where the study could not be run.
    """
    file = study_file(study)
    if (is_complete(Store(root / study), file) and "retry=true" not in passed) or file is None:
        return
    words = ["-m", "harness", "-m", f"experiments={study}", f"store={root}", *passed]
    say(f"harness {' '.join(words[2:])}")
    code = subprocess.run([sys.executable, *words], stdout=sys.stderr, check=False).returncode
    if code in (130, -2):
        raise KeyboardInterrupt
    if code not in (0, 1):
        raise BadInput(f"the study '{study}' could not be run; run=no judges its claims by the records that are there")
