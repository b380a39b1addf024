"""Recomputes a study's verdict with other sets of arms; pure functions.

Verdicts in the literature depend on which arms are included: add two small networks, and the model wins. So the verdict
is computed again, as in `choice`,

- **without each arm** that could be chosen, in turn; an arm whose absence changes the verdict's word decides it;
- **with the worst arm of each axis dropped** (the lowest validation mean of the axis);
- **by the median arm of each axis**: the middle gain on test of all arms of an axis that could be chosen, and data and
  model are compared by it, with an interval from redraws of the means. It is what a typical idea gains, chosen by
  nobody, and depends on no single arm; more arms of the same quality do not move it;
- **at matched cost**: the more expensive of the two chosen arms is replaced by the best of its axis (or the baseline)
  that takes at most twice the CPU time per trial of the cheaper one, or of the baseline if that takes more: data
  strategies train the baseline's model, so they cannot cost less. Timings do not allow a finer match. If an axis keeps
  the baseline there is nothing to match.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from harness.analysis.choice import Estimate
from harness.analysis.ladder import Axes, Draws, Winner, decide_axes, estimate_after_choice, winner_of

SAME_COST = 2.0
"""Arms within this factor of each other count as equally expensive."""


@dataclass(frozen=True)
class Omitted:
    """Holds the verdict after a change of the included arms: data minus model in points, and the model and data
    compared. `omits` is the label of the one arm that was left out, "" after any other change.
    """

    what: str
    word: Winner
    difference: Estimate
    arms: tuple[str, str]
    omits: str = ""


def without_each(draws: Draws, where: Axes) -> dict[str, Omitted]:
    """Returns the verdict without each arm, by the arm's label; the only arm of an axis is not left out."""
    found = {}
    for axis in (where.model, where.data):
        for arm in axis if len(axis) > 1 else ():
            model, data = ([one for one in arms if one != arm] for arms in (where.model, where.data))
            name = draws.scores.arms[arm]
            found[name] = replace(_again(f"without {name}", draws, where, model, data), omits=name)
    return found


def worst_dropped(draws: Draws, where: Axes) -> Omitted | None:
    """Returns the verdict without the worst arm of each axis with more than one arm; None if neither has."""
    if max(len(where.model), len(where.data)) < 2:
        return None
    model, data = (_without_worst(draws, axis) for axis in (where.model, where.data))
    return _again("worst arm of each axis dropped", draws, where, model, data)


def _without_worst(draws: Draws, axis: Sequence[int]) -> list[int]:
    """Returns the arms without the one of the lowest validation mean, if there are several."""
    worst = min(axis, key=lambda arm: draws.valid[0, arm]) if len(axis) > 1 else None
    return [arm for arm in axis if arm != worst]


def median_arms(draws: Draws, where: Axes) -> Omitted:
    """Compares the median gain of the data arms with that of the model arms; names the arms nearest to the medians."""
    sides = [_median_gain(draws, where.baseline, axis) for axis in (where.model, where.data)]
    gain = sides[1][0] - sides[0][0]
    difference = estimate_after_choice(gain, np.full_like(gain, gain[0]))  # nothing is chosen, so nothing flatters
    names = (draws.scores.arms[sides[0][1]], draws.scores.arms[sides[1][1]])
    return Omitted("median arm of each axis", winner_of(difference), difference, names)


def matched_cost(draws: Draws, where: Axes) -> Omitted:
    """Returns the verdict among arms that cost about as little as the cheaper of the two chosen arms."""
    spent, chosen = draws.scores.cpu_s, decide_axes(draws.scores, where, where.model, where.data)
    budget = np.inf
    if where.baseline not in (chosen.left, chosen.right):
        budget = SAME_COST * max(min(spent[chosen.left], spent[chosen.right]), spent[where.baseline])
    model, data = ([arm for arm in axis if spent[arm] <= budget] for axis in (where.model, where.data))
    return _again("matched cost", draws, where, model, data)


def carriers(word: Winner, difference: Estimate, without: dict[str, Omitted]) -> list[str]:
    """Returns the arms whose absence changes the verdict's word, the largest change of the difference first."""
    moved = {arm: abs(one.difference.value - difference.value) for arm, one in without.items() if one.word != word}
    return sorted(moved, key=lambda arm: -moved[arm])


def _again(what: str, draws: Draws, where: Axes, model: Sequence[int], data: Sequence[int]) -> Omitted:
    found = decide_axes(draws.scores, where, model, data)
    names = (draws.scores.arms[found.left], draws.scores.arms[found.right])
    return Omitted(what, winner_of(found.verdict), found.verdict, names)


def _median_gain(draws: Draws, baseline: int, arms: Sequence[int]) -> tuple[Float64[np.ndarray, " d"], int]:
    """Returns the median gain over the baseline of these arms in each row, and the arm nearest to it."""
    gains = draws.test[:, list(arms)] - draws.test[:, [baseline]]
    middle = np.median(gains, axis=1)
    return middle, arms[int(np.argmin(np.abs(gains[0] - middle[0])))]
