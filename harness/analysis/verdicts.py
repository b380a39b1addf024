"""Judges a claim by the scores of its study; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harness.analysis.choice import Side, best_of, decide, paired_contrast
from harness.analysis.ladder import Axes, axes, best_together
from harness.analysis.records import join
from harness.analysis.scores import Scores, collect_scores
from harness.analysis.significance import LEVEL
from harness.arm import BASELINE, may_win
from harness.checks import choices
from harness.claims import PICKS, Claim
from harness.errors import BadInput
from harness.storage.store import Record, Store

_NARROW = 0.9
ClaimWord = Literal["supported", "refuted", "undecided"]


@dataclass(frozen=True)
class Difference:
    """Holds `left` minus `right` in points, with a 95 % and a 90 % interval; a chosen side also names its arm."""

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
class Preregistration:
    """Holds how many of the `of` records that a claim rests on carry its hash, and how many carry an `other` version's.

    `about` counts the claims about the study that the records know of.
    """

    carry: int
    other: int
    of: int
    about: int

    @property
    def before(self) -> bool:
        """Returns whether the claim existed, in its present form, before any of the trials had run."""
        return self.carry == self.of > 0

    def __str__(self) -> str:
        """Returns the same in words."""
        if self.of == 0:
            return "no trial that it rests on has run"
        if self.before:
            among = f", one of {self.about} claims about the study" if self.about > 1 else ""
            return f"written before the run{among}: all {self.of} trials that it rests on carry its hash"
        verb = "changed" if self.other else "written"
        return f"{verb} after {self.of - self.carry} of {self.of} trials had run: exploratory"


@dataclass(frozen=True)
class ClaimVerdict:
    """Holds the verdict on a claim; if `found` is None, `reason` says why there is no number."""

    claim: Claim
    word: ClaimWord
    reason: str
    found: Difference | None
    written: Preregistration


def judge(claim: Claim, store: Store) -> ClaimVerdict:
    """Returns the verdict of the records in the store on the claim; BadInput for an arm that the study does not have.

    If a trial that the claim rests on failed or was not run, or if there is only one seed, the verdict is undecided and
    has a reason instead of a number.
    """
    joined = join(store)
    if joined.plan is None:
        reason = f"the study '{claim.study}' has not run"
        return ClaimVerdict(claim, "undecided", reason, None, Preregistration(0, 0, 0, 0))
    rows, records = joined.rows, joined.records
    rests = _rests_on(claim, rows)
    written = _written(claim, [one for one in records if one["arm"] in rests])
    try:
        _complete(rests, rows, records)
        shared = _shared_seeds(rests, rows)
        records = [one for one in records if one["seed"] in shared]
        rows = [one for one in rows if one["seed"] in shared]
        found = estimate_difference(collect_scores(records, store.test_set, rows), claim.left, claim.right)
    except BadInput as lack:
        return ClaimVerdict(claim, "undecided", str(lack), None, written)
    return ClaimVerdict(claim, claim_word(claim, found), "", found, written)


def claim_word(claim: Claim, found: Difference) -> ClaimWord:
    """Returns the verdict on a difference."""
    low, high = claim.region
    inner = (found.low_90, found.high_90) if claim.relation == "equal within" else (found.low, found.high)
    if low <= inner[0] and inner[1] <= high:
        return "supported"
    return "refuted" if found.high < low or found.low > high else "undecided"


def _rests_on(claim: Claim, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the arms whose trials decide: both sides, all candidates of a best arm, and always the baseline."""
    arms = {row["arm"]: row for row in rows}
    kinds = {"best model": ("model",), "best data": ("data",), "best both": ("model", "data", "both")}
    chosen = {BASELINE}
    for side in (claim.left, claim.right):
        if side not in PICKS and side not in arms:
            known = choices(side, [*PICKS, *arms])
            raise BadInput(f"claim '{claim.name}': the study '{claim.study}' has no arm '{side}'{known}")
        among = {arm for arm, row in arms.items() if row["axis"] in kinds.get(side, ()) and may_win(row["reference"])}
        chosen |= among if side in PICKS else {side}
    return [arm for arm in arms if arm in chosen]


def _complete(rests: Sequence[str], rows: Sequence[Mapping[str, Any]], records: Sequence[Record]) -> None:
    """Raises BadInput if a trial of these arms failed or was not run."""
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
    """Returns the seeds that all of these arms have; a study may stop adding seeds to one arm before others."""
    return set.intersection(*({row["seed"] for row in rows if row["arm"] == arm} for arm in rests))


def _written(claim: Claim, records: Sequence[Record]) -> Preregistration:
    """Returns what the provenance of these records says about the claim."""
    held = [one["provenance"].get("claims", {}) for one in records]
    carry = sum(claim.digest in claims.values() for claims in held)
    other = sum(claim.digest not in claims.values() and claim.name in claims for claims in held)
    return Preregistration(carry, other, len(held), len({digest for claims in held for digest in claims.values()}))


def estimate_difference(scores: Scores, left: str, right: str) -> Difference:
    """Returns `left` minus `right`, each a label or a best arm; BadInput with one seed, or if no best can be chosen."""
    if len(scores.seeds) < 2:
        raise BadInput("one seed does not show how much retraining changes: run at least two, better five")
    for side in (left, right):
        if side not in (*PICKS, *scores.arms):
            raise BadInput(f"{side} has no complete row of scores")
    if left in PICKS or right in PICKS:
        return _between_picks(scores, left, right)
    r = len(scores.seeds)
    found = paired_contrast(scores, *(np.full(r, scores.arms.index(side)) for side in (left, right)))
    return Difference(left, right, found.mean, *found.ends(LEVEL), *found.ends(_NARROW), r, scores.n_test)


def _between_picks(scores: Scores, left: str, right: str) -> Difference:
    """Returns the difference if a side is chosen on validation, with the interval of a study's verdict."""
    if not np.isfinite(scores.valid).all():
        raise BadInput("the task has no validation part to choose a best arm on")
    where = axes(scores)
    sides = [_side(scores, where, side) for side in (left, right)]
    wide, narrow = (decide(scores, sides[1], sides[0], level) for level in (LEVEL, _NARROW))
    if wide is None or narrow is None:
        raise BadInput("the best model and the best data were not run together")
    first, second = (
        f"{side} ({scores.arms[at]})" if side in PICKS else side
        for side, at in ((left, wide.right), (right, wide.left))
    )
    by, within = wide.verdict, narrow.verdict
    return Difference(
        first, second, by.value, by.low, by.high, within.low, within.high, len(scores.seeds), scores.n_test
    )


def _side(scores: Scores, where: Axes, side: str) -> Side:
    """Returns what that side chooses from: the arm of that label alone, or the candidates for a best arm."""
    if side not in PICKS:
        return best_of([scores.arms.index(side)])
    for name, arms in (("model", where.model), ("data", where.data)):
        if not arms and side in (f"best {name}", "best both"):
            raise BadInput(
                f"no arm changes the {name} alone, negative controls and upper bounds aside: there is no best one"
            )
    among = {"best model": where.model, "best data": where.data}.get(side)
    return best_together(scores, where) if among is None else best_of([where.baseline, *among])
