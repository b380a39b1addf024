"""Says which arms of a study are held against which references, and what they gain more; pure functions.

Options declare their references. The gain is the paired interval of `choice` between the two arms; p-values are
adjusted by Holm over all pairs of an arm and a reference that the study has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.analysis.choice import paired_contrast
from harness.analysis.effects import Effect, ReferenceGain
from harness.analysis.scores import Scores
from harness.analysis.significance import LEVEL, holm
from harness.arm import ARM_ROOTS, EVERY_OPTION, canonical, kind_in_words, may_win
from harness.storage.store import Record


@dataclass(frozen=True)
class Comparison:
    """Holds a reference, its kind, and the arms that differ from it in the factor for which it is declared.

    `words` are, for each of the arms, the overrides of the reference that the arm does not share.
    """

    reference: str
    kind: str
    arms: tuple[str, ...]
    words: tuple[str, ...]


def comparisons(records: Sequence[Record]) -> list[Comparison]:
    """Returns the references of a study that have arms to be held against, in the order of the records' arms.

    A reference and its arms are equal in all that an arm may change except one factor. There the reference's option
    declares `reference_for`: the other option's name or family, or every option. Records of earlier versions, which
    do not hold the declarations, have none.
    """
    first: dict[str, Record] = {}
    for record in records:
        first.setdefault(str(record["arm"]), record)
    found = []
    for name, one in first.items():
        arms = tuple(other for other, two in first.items() if other != name and _is_for(one, two))
        words = tuple(_words(one, first[arm]) for arm in arms)
        found += [Comparison(name, str(one["reference"]), arms, words)] if arms else []
    return found


def _is_for(reference: Record, record: Record) -> bool:
    """Returns whether the reference is declared for what the other arm does; no control is held against another."""
    if not reference["reference"] or not may_win(str(record["reference"])):
        return False
    return any(
        _differ_in(reference, record) == [factor] and _names(words, factor, record)
        for factor, words in (reference.get("reference_for") or {}).items()
    )


def _differ_in(one: Record, two: Record) -> list[str]:
    """Returns the factors, or the salt, in which two arms differ."""
    return [name for name in ARM_ROOTS if canonical(one["trial"].get(name)) != canonical(two["trial"].get(name))]


def _names(words: Sequence[str], factor: str, record: Record) -> bool:
    """Returns whether the words name the option that the record's arm has chosen for the factor, or its family."""
    family = (record.get("families") or {}).get(factor)
    chosen = [item.lstrip("+").partition("=")[2] for item in record.get("overrides") or () if _chooses(item, factor)]
    return family is not None and bool({EVERY_OPTION, family, *chosen} & set(words))


def _chooses(override: str, factor: str) -> bool:
    """Returns whether an override chooses the factor's option, or the strategy that this option applies last."""
    return override.lstrip("+").partition("=")[0] in (factor, f"{factor}@{factor}.then")


def _words(reference: Record, record: Record) -> str:
    """Returns the overrides of a reference that an arm does not share; its label if the records keep none."""
    other = set(record.get("overrides") or ())
    return " ".join(word for word in reference.get("overrides") or () if word not in other) or str(reference["arm"])


def reference_gains(
    found: Sequence[Comparison], effects: Sequence[Effect], scores: Scores | None, level: float = LEVEL
) -> list[ReferenceGain]:
    """Returns the gain of each arm over each of its references, at the `level` of the study's intervals.

    Arms that lack a trial are not in the scores: their gains have no interval. Arms without an effect have no gain.
    """
    by_arm = {effect.arm: effect.interval.effect for effect in effects if effect.interval}
    gains = [
        _measured(
            ReferenceGain(arm, one.reference, one.kind, words, by_arm[arm] - by_arm[one.reference]), scores, level
        )
        for one in found
        for arm, words in zip(one.arms, one.words, strict=True)
        if arm in by_arm and one.reference in by_arm
    ]
    adjusted = holm(np.array([np.nan if gain.p is None else gain.p for gain in gains], dtype=np.float64))
    return [
        replace(gain, p_adjusted=None if gain.p is None else float(p)) for gain, p in zip(gains, adjusted, strict=True)
    ]


def _measured(gain: ReferenceGain, scores: Scores | None, level: float) -> ReferenceGain:
    """Returns the gain with the interval and p-value of the pair, if both arms ran on every seed."""
    if scores is None or not {gain.arm, gain.reference} <= set(scores.arms):
        return gain
    arm, reference = (np.full(len(scores.seeds), scores.arms.index(name)) for name in (gain.arm, gain.reference))
    pair = paired_contrast(scores, arm, reference)
    low, high = pair.ends(level)
    p = min(1.0, pair.p_value() * (1 - LEVEL) / (1 - level))
    return replace(gain, value=pair.mean, low=low, high=high, p=p)


def with_references(effects: Sequence[Effect], gains: Sequence[ReferenceGain]) -> list[Effect]:
    """Adds to each effect its gain over one reference, the hardest that is fair.

    That is, of the negative controls and simple baselines that are nearest to the arm in labels bought, the one with
    the largest effect: an oracle for 450 labels is held against 450 random labels, not against 50.
    """
    by_arm = {effect.arm: effect for effect in effects}

    def place(gain: ReferenceGain) -> tuple[float, float]:
        mine, other = by_arm[gain.arm], by_arm[gain.reference]
        return abs((mine.labels or 0.0) - (other.labels or 0.0)), -(other.interval.effect if other.interval else 0.0)

    mine: dict[str, list[ReferenceGain]] = {}
    for gain in gains:
        if gain.kind != "upper_bound":
            mine.setdefault(gain.arm, []).append(gain)
    return [replace(one, beside=min(mine[one.arm], key=place) if one.arm in mine else None) for one in effects]


def reference_notes(gains: Sequence[ReferenceGain]) -> Iterator[str]:
    """Yields a sentence for each reference: by how many points each of its arms gains more, with the interval."""
    by_reference: dict[tuple[str, str], list[ReferenceGain]] = {}
    for gain in gains:
        by_reference.setdefault((gain.kind, gain.reference), []).append(gain)
    for (kind, reference), mine in by_reference.items():
        yield f"Beside the {kind_in_words(kind)} {reference}: {'; '.join(map(_in_words, mine))}."


def _in_words(gain: ReferenceGain) -> str:
    """Returns an arm with its gain beyond its reference, and whether the two differ significantly, if known."""
    value, low, high = (
        "" if one is None else f"{one:+.2f}".replace("-", "\N{MINUS SIGN}") for one in (gain.value, gain.low, gain.high)
    )
    if gain.p_adjusted is None:
        return f"{gain.arm} {value} points (no interval: a trial is missing)"
    differs = "significant" if gain.p_adjusted < 1 - LEVEL else "not significant"
    return f"{gain.arm} {value} points [{low}, {high}] ({differs})"
