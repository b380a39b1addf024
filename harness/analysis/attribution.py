"""Says whether a study's accuracy came from the model or from the data; pure functions.

There are three answers, each with an interval that accounts for the choice of arms: the ladder (`ladder`: best model,
best data, both), the parts of the best combination's gain, and the shares of variance (both in `shares`). The verdict
is whether the best model or the best data gains more (`choice`). `sensitivity` shows what the verdict depends on.
Formulas and sources are in those modules; what a study cannot answer gets a sentence in `notes`, never a number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from harness.analysis.choice import Estimate
from harness.analysis.ladder import (
    Axes,
    Draws,
    Ladder,
    Picks,
    Step,
    Winner,
    axes,
    build_ladder,
    cell_of,
    choose,
    combine_levels,
    draw_means,
    label_of_levels,
    picks,
    why_no_choice,
    why_not_comparable,
    winner_of,
)
from harness.analysis.scores import Scores
from harness.analysis.sensitivity import Omitted, carriers, matched_cost, median_arms, without_each, worst_dropped
from harness.analysis.shares import (
    Shares,
    axes_of,
    crossed_table,
    divisible_arms,
    lacking,
    places_of,
    shapley_parts,
    variance,
)
from harness.arm import BASELINE, FACTORS
from harness.errors import BadInput

__all__ = [
    "Attribution", "Estimate", "Ladder", "Omitted", "Shares", "Step", "Verdict", "attribute",
]  # fmt: skip

FEWEST_DRAWS = 100
ENOUGH = 0.5
"""Least share of draws whose chosen pair was run together for an interval of the interaction."""


@dataclass(frozen=True)
class Verdict:
    """Holds which axis gains more, by how many points (data minus model), and a sentence that says so with costs."""

    word: Winner
    by: Estimate
    sentence: str


@dataclass(frozen=True)
class Attribution:
    """Holds all answers about a study; an answer that the study cannot give is None or empty, and `notes` say why.

    `shapley` has the keys model and data, and weak, clean, augment if two or more of them vary and their parts were
    run; the points sum to the gain of the combination that the notes name. `eta2` and `omega2` have the keys model,
    data and interaction. `carried_by` is the arm that changes the verdict's word when left out; of several, the one
    that moves the difference most.
    """

    ladder: Ladder | None
    shapley: Mapping[str, Estimate]
    eta2: Mapping[str, Estimate]
    omega2: Mapping[str, Estimate]
    verdict: Verdict | None
    sensitivity: tuple[Omitted, ...]
    carried_by: str | None
    notes: tuple[str, ...]


def attribute(scores: Scores, *, draws: int, rng: np.random.Generator) -> Attribution:
    """Returns how much of a study's accuracy comes from its models and how much from its data.

    Unsuitable scores raise nothing: a study that cannot be attributed gets an empty answer with the reason. BadInput
    with fewer than 100 draws, or if more than 20,000 sets of data variants were run with several models.
    """
    if draws < FEWEST_DRAWS:
        raise BadInput(f"{draws} draws give no 95 % interval: take {FEWEST_DRAWS} or more, 2000 are usual")
    reason = why_not_comparable(scores)
    if reason:
        return Attribution(None, {}, {}, {}, None, (), None, (*scores.left_out, reason))
    where, drawn = axes(scores), draw_means(scores, draws, rng)
    eta2, omega2, told = _variance(drawn, where, rng)
    standing = (*scores.left_out, *_set_aside(scores, where))
    reason = why_no_choice(scores, where)
    if reason:
        return Attribution(None, {}, eta2, omega2, None, (), None, (*standing, reason, *told))
    chosen = picks(drawn, where, where.model, where.data)
    rungs, interplay = _rungs(drawn, where, chosen)
    parts, shared = _shapley(drawn, where)
    found = replace(_judged(drawn, where, rungs), shapley=parts, eta2=eta2, omega2=omega2)
    notes = (
        *_about_choice(drawn, where, chosen), *_two_questions(rungs), *interplay, *shared, *told, *found.notes,
        *_covers(scores),
    )  # fmt: skip
    return replace(found, notes=(*standing, *notes))


def _set_aside(scores: Scores, where: Axes) -> Iterator[str]:
    """Yields sentences on the complete arms that are not candidates for best."""
    if where.references:
        references = _listed(scores.arms[arm] for arm in where.references)
        yield f"Negative controls and upper bounds are never chosen as best: {references}."
    informed = sorted((*where.informed_model, *where.informed_data))
    if informed:
        yield (
            f"Not chosen on validation, whose rows they have used: {_listed(scores.arms[arm] for arm in informed)}. "
            "They are among the best arms, and a winner must be ahead of them."
        )
    if where.repeats:
        yield f"Repeats of other arms are left out: {_listed(scores.arms[arm] for arm in where.repeats)}."


def _listed(names: Iterator[str] | Sequence[str]) -> str:
    return ", ".join(names)


def _about_choice(drawn: Draws, where: Axes, chosen: Picks) -> Iterator[str]:
    """Yields sentences on how certain the choice is, on ties, and on controls that would have been chosen."""
    arms, valid = drawn.scores.arms, drawn.valid
    for name, pick, axis in (("model", chosen.model, where.model), ("data", chosen.data, where.data)):
        best, among = int(pick[0]), [where.baseline, *axis]
        share = round(100 * float(np.mean(pick[1:] == best)))
        count = f"{len(axis)} arm{'s' if len(axis) > 1 else ''} and the baseline"
        yield f"Best {name} on validation: {arms[best]}, chosen among {count}; {share} % of redraws choose it too."
        tied = [arms[arm] for arm in among if arm != best and valid[0, arm] == valid[0, best]]
        if tied:
            yield (
                f"{arms[best]} tied on validation with {_listed(tied)}: "
                "the baseline is preferred, then the arm that the study lists first."
            )
        better = [
            arm for arm in where.references if _kind(drawn.scores, arm) == name and valid[0, arm] > valid[0, best]
        ]
        if better:
            names = _listed(arms[arm] for arm in better)
            yield f"Negative controls and upper bounds better on validation than {arms[best]}: {names}."


def _kind(scores: Scores, arm: int) -> str:
    """Returns the axis of an arm: model, data or both."""
    return "both" if scores.model(arm) and scores.data(arm) else "model" if scores.model(arm) else "data"


def _pair(scores: Scores, model: int, data: int) -> str:
    """Returns the label of the arm with the model of one arm and the data of another."""
    return label_of_levels(combine_levels(cell_of(scores, model), cell_of(scores, data)))


def _rungs(drawn: Draws, where: Axes, chosen: Picks) -> tuple[Ladder, list[str]]:
    """Returns the ladder, and notes on pairs that were not run together; no rung `both` if most draws choose such."""
    rungs, run = build_ladder(drawn, where, chosen), chosen.both[1:] >= 0
    pairs = Counter(zip(chosen.model[1:][~run].tolist(), chosen.data[1:][~run].tolist(), strict=True))
    named: Counter[str] = Counter()
    for (model, data), count in pairs.items():
        named[_pair(drawn.scores, model, data)] += count
    often = max(sorted(named), key=lambda name: named[name], default="")
    if rungs.both is None:
        pair = _pair(drawn.scores, int(chosen.model[0]), int(chosen.data[0]))
        return rungs, [
            f"The best model and the best data strategy were not run together: run {pair} to learn what both gain."
        ]
    if run.all():
        return rungs, []
    share = f"{100 * float(np.mean(~run)):.1f} % of redraws choose a pair that was not run together, most often {often}"
    if run.mean() < ENOUGH:
        return replace(rungs, both=None, interaction=None), [
            f"The gain of both together is not reported: {share}; run it."
        ]
    return rungs, [f"The intervals of both and of the interaction leave out pairs that were not run: {share}."]


def _shapley(drawn: Draws, where: Axes) -> tuple[dict[str, Estimate], list[str]]:
    """Returns the parts of the best combination's gain, and notes on the parts that cannot be computed."""
    scores, among = drawn.scores, divisible_arms(drawn.scores, where)
    told = [
        f"{scores.arms[arm]} cannot be divided between model and data: run {_listed(missing)}."
        for arm in where.crossed
        if (missing := lacking(scores, where, arm, axes_of(cell_of(scores, arm))))
    ]
    if not set(among) & set(where.crossed):
        return {}, [*told, "No Shapley parts: no model was run together with a data strategy and each of them alone."]
    pick = choose(drawn.valid, among)
    fine = _fine(scores, among)
    gaps = {arm: lacking(scores, where, int(arm), places_of(cell_of(scores, int(arm)))) for arm in np.unique(pick)}
    missing = list(dict.fromkeys(chain.from_iterable(gaps.values())))
    if fine and missing:
        fine = ()
        told.append(f"Data's part is not divided among its strategies: run {_listed(missing)}.")
    parts = shapley_parts(drawn, where, among, fine)
    gain = drawn.test[0, pick[0]] - drawn.test[0, where.baseline]
    best = scores.arms[pick[0]]
    told.append(
        f"The Shapley parts sum to the {signed_points(gain)} points of {best}, the best combination on validation."
    )
    return parts, told


def _fine(scores: Scores, among: Sequence[int]) -> tuple[str, ...]:
    """Returns the factors of data that some arm changes if there are two or more, otherwise none."""
    some = tuple(name for name in FACTORS[1:] if any(scores.levels[arm][name] for arm in among))
    return some if len(some) > 1 else ()


def _variance(
    drawn: Draws, where: Axes, rng: np.random.Generator
) -> tuple[dict[str, Estimate], dict[str, Estimate], list[str]]:
    """Returns the shares of variance of the largest crossed table, and a note on which table that is."""
    table = crossed_table(drawn.scores, where)
    if not table:
        return {}, {}, ["No shares of variance: no two models were both run with the same two data variants."]
    eta2, omega2 = variance(drawn, table, rng)
    if not eta2:
        return {}, {}, ["No shares of variance: all cells of the crossed table have the same mean."]
    scores, inside = drawn.scores, set(chain.from_iterable(table))
    models = [scores.model(row[0]).name or "the baseline's model" for row in table]
    variants = [scores.data(arm).name or "the baseline's data" for arm in table[0]]
    told = f"Shares of variance are of {len(models)} models ({_listed(models)}) x {len(variants)} data variants "
    told += f"({_listed(variants)}), all run together"
    outside = [arm for arm in (where.baseline, *where.model, *where.data, *where.crossed) if arm not in inside]
    told += f"; not in that table: {_listed(scores.arms[arm] for arm in outside)}." if outside else "."
    return eta2, omega2, [told]


def _judged(drawn: Draws, where: Axes, rungs: Ladder) -> Attribution:
    """Returns the ladder, the verdict, and the arms that the verdict depends on."""
    word, without = winner_of(rungs.difference), without_each(drawn, where)
    others = (worst_dropped(drawn, where), median_arms(drawn, where), matched_cost(drawn, where))
    carrying = carriers(word, rungs.difference, without)
    notes = []
    for name, axis in (("model", where.model), ("data", where.data)):
        if len(axis) == 1:
            only = drawn.scores.arms[axis[0]]
            notes.append(f"{only} is the only {name} arm: how far the verdict depends on it cannot be tested.")
    if len(carrying) > 1:
        notes.append(f"The verdict changes without any one of these arms: {_listed(carrying)}.")
    sentence = f"{sentence_of(word, rungs)}{_hangs_on(carrying, without)}"
    return Attribution(
        ladder=rungs, shapley={}, eta2={}, omega2={}, verdict=Verdict(word, rungs.difference, sentence),
        sensitivity=(*without.values(), *(one for one in others if one)),
        carried_by=carrying[0] if carrying else None, notes=tuple(notes),
    )  # fmt: skip


def _hangs_on(carrying: Sequence[str], without: Mapping[str, Omitted]) -> str:
    """Returns a sentence about the arms that change the verdict when left out; empty if there are none."""
    if not carrying:
        return ""
    outcomes = {"undecided": "it is undecided", "data": "data wins", "model": "the model wins"}
    told = "; ".join(f"without {arm}, {outcomes[without[arm].word]}" for arm in carrying)
    return f" {'One arm decides this' if len(carrying) == 1 else 'Single arms decide this'}: {told}."


def sentence_of(word: Winner, rungs: Ladder) -> str:
    """Words the verdict: which axis wins, by how much, and what each side costs."""
    by = rungs.difference
    if word == "model":
        by = Estimate(-by.value, -by.high, -by.low)
    inside = _in_points(by)
    heads = {
        "data": f"Data wins: the best data strategy gains {inside} more than the best model",
        "model": f"Model wins: the best model gains {inside} more than the best data strategy",
        "undecided": _undecided(by),
    }
    sides = f"{_gains('data', rungs.data)}; {_gains('model', rungs.model)}."
    costs = " ".join(f"{step.arm}: {_rates(step)}." for step in (rungs.data, rungs.model) if step.arm != BASELINE)
    return f"{heads[word]}. {sides[0].upper()}{sides[1:]} {costs}".strip()


def _undecided(by: Estimate) -> str:
    """Words which side is ahead by how much, and why that decides nothing."""
    ahead, behind = ("data strategy", "model") if by.value > 0 else ("model", "data strategy")
    return (
        f"Undecided: the best {ahead} gains {abs(by.value):.2f} points more than the best {behind}, but the "
        f"95 % interval of data minus model ({signed_points(by.low)} to {signed_points(by.high)}) includes zero"
    )


def _gains(axis: str, step: Step) -> str:
    """Words what the best of an axis gains, or that the baseline was kept."""
    if step.arm == BASELINE:
        return f"no {axis} arm beats the baseline on validation, so the baseline is kept"
    value, low, high = map(signed_points, (step.effect.value, step.effect.low, step.effect.high))
    return f"the best {axis}, {step.arm}, gains {value} [{low}, {high}]"


def _rates(step: Step) -> str:
    """Words the points per extra CPU-second and per label bought, or that there is neither."""
    gain = step.effect.value
    if round(step.cpu_s, 2) > 0:
        time = f"{signed_points(gain / step.cpu_s)} points per extra CPU-second"
    else:
        saved = f", {-step.cpu_s:.2f} CPU-seconds less" if round(step.cpu_s, 2) < 0 else ""
        time = f"no extra CPU time{saved}"
    if step.labels > 0:
        return f"{time}, {signed_points(gain / step.labels, 4)} points per label bought"
    return f"{time}, no labels bought"


def signed_points(value: float, digits: int = 2) -> str:
    """Formats points with their sign; a number that rounds to 0 gets a plus."""
    return f"{round(float(value), digits) + 0.0:+.{digits}f}".replace("-", "−")


def _covers(scores: Scores) -> Iterator[str]:
    """Yields sentences on what the intervals cover and what they do not."""
    redrawn = scores.valid_spread is not None
    yield (
        f"95 % intervals account for retraining ({len(scores.seeds)} seeds), for the sampling of the {scores.n_test} "
        f"test examples{' and of the validation examples' if redrawn else ''}, and for the choice on validation. Other "
        "arms, tasks and protocols are not covered."
    )
    if not redrawn:
        yield (
            "Validation examples that seeds share are not redrawn: not all of these records keep their predictions on "
            "validation, so interaction, Shapley parts and shares are less certain than their intervals say if all "
            "seeds validate on the same few rows. Run the trials again (rerun=true) to include it."
        )
    yield "The gains of the best model and of the best data are those of the arms that this validation part chooses."
    yield (
        "The measured gain of a best arm is biased upwards, because it was chosen for a high score, which is partly "
        "noise; the bias grows with the number of arms. The intervals account for it."
    )


def _two_questions(rungs: Ladder) -> Iterator[str]:
    """Yields what choosing on validation gives, and what the best arm of each side can gain."""
    yield (
        f"By choosing on this validation part, data minus model is {_in_points(rungs.by_validation)}: for each seed "
        "the arms are chosen by the other seeds."
    )
    yield (
        f"Between the best arms of both sides, data minus model is {_in_points(rungs.at_best)}: the arms are chosen by "
        "other seeds and other test rows, and the interval also holds if validation chooses badly."
    )


def _in_points(one: Estimate) -> str:
    return f"{signed_points(one.value)} points [{signed_points(one.low)}, {signed_points(one.high)}]"
