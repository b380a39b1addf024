"""Says which arms of a study are held against which references, as their options declare; pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.analysis.effects import Effect
from harness.analysis.significance import share_letter
from harness.arm import ARM_ROOTS, EVERY_OPTION, canonical, kind_in_words, may_win
from harness.storage.store import Record


@dataclass(frozen=True)
class Comparison:
    """Holds a reference, its kind, and the arms that differ from it in the factor for which it is declared."""

    reference: str
    kind: str
    arms: tuple[str, ...]


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
        found += [Comparison(name, str(one["reference"]), arms)] if arms else []
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


def reference_notes(found: Sequence[Comparison], effects: Sequence[Effect]) -> Iterator[str]:
    """Yields a sentence for each reference: by how many points each of its arms gains more."""
    by_arm: Mapping[str, Any] = {effect.arm: effect for effect in effects if effect.interval}
    for one in found:
        mine = by_arm.get(one.reference)
        said = [_gain(by_arm[arm], mine) for arm in one.arms if arm in by_arm] if mine else []
        if said:
            yield f"Beside the {kind_in_words(one.kind)} {one.reference}: {'; '.join(said)}."


def _gain(effect: Effect, reference: Effect) -> str:
    """Returns an arm with its gain beyond its reference, and whether the two differ significantly, if known."""
    more = effect.interval.effect - reference.interval.effect if effect.interval and reference.interval else 0.0
    told = f"{effect.arm} {more:+.2f} points".replace("-", "\N{MINUS SIGN}")
    if not effect.letters or not reference.letters:
        return told
    return told + (" (not significant)" if share_letter(effect.letters, reference.letters) else " (significant)")
