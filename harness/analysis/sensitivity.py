"""Recomputes a study's verdict with other sets of arms; pure functions on redraws of the arms' means.

Verdicts in the literature depend on which arms are included: add two small networks, and the model wins. So the verdict
is computed again, from the same draws and with the choice made again in every draw,

- **without each arm** that could be chosen, in turn; an arm whose absence changes the verdict's word decides it;
- **with the worst arm of each axis dropped** (the lowest validation mean of the axis, found again in every draw);
- **by matched steps**: the arms of an axis and the baseline are sorted by validation; the median of the test
  differences between neighbours is the gain of a typical swap on that axis, and data and model are compared by it;
- **at matched cost**: the more expensive of the two chosen arms is replaced by the best of its axis (or the baseline)
  that takes at most twice the CPU time per trial of the cheaper one, or of the baseline if that takes more: data
  strategies train the baseline's model, so they cannot cost less. Timings do not allow a finer match. Each draw
  matches its own pair; a draw in which an axis keeps the baseline has nothing to match.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from harness.analysis.ladder import Axes, Draws, Estimate, Winner, estimate_after_choice, gap, picks, winner_of

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
    valid, rows = draws.valid.copy(), np.arange(len(draws.valid))
    several = [np.asarray(axis) for axis in (where.model, where.data) if len(axis) > 1]
    for axis in several:
        valid[rows, axis[np.argmin(draws.valid[:, axis], axis=1)]] = -np.inf
    if not several:
        return None
    return _again("worst arm of each axis dropped", replace(draws, valid=valid), where, where.model, where.data)


def matched_steps(draws: Draws, where: Axes) -> Omitted:
    """Compares a typical swap of data with a typical swap of model; names the arms that those swaps lead to."""
    sides = [_typical(draws, [where.baseline, *axis]) for axis in (where.model, where.data)]
    difference = estimate_after_choice(sides[1][0] - sides[0][0], sides[1][1] - sides[0][1])
    names = (draws.scores.arms[sides[0][2]], draws.scores.arms[sides[1][2]])
    return Omitted("matched steps", winner_of(difference), difference, names)


def matched_cost(draws: Draws, where: Axes) -> Omitted:
    """Returns the verdict among arms that cost about as little as the cheaper of the two chosen arms."""
    spent, chosen = draws.scores.cpu_s, picks(draws, where, where.model, where.data)
    budget = SAME_COST * np.maximum(np.minimum(spent[chosen.model], spent[chosen.data]), spent[where.baseline])
    budget[(chosen.model == where.baseline) | (chosen.data == where.baseline)] = np.inf
    dear = spent > budget[:, None]
    cheap = replace(draws, valid=np.where(dear, -np.inf, draws.valid))
    return _again("matched cost", cheap, where, where.model, where.data)


def carriers(word: Winner, difference: Estimate, without: dict[str, Omitted]) -> list[str]:
    """Returns the arms whose absence changes the verdict's word, the largest change of the difference first."""
    moved = {arm: abs(one.difference.value - difference.value) for arm, one in without.items() if one.word != word}
    return sorted(moved, key=lambda arm: -moved[arm])


def _again(what: str, draws: Draws, where: Axes, model: Sequence[int], data: Sequence[int]) -> Omitted:
    chosen = picks(draws, where, model, data)
    difference = gap(draws, chosen)
    names = (draws.scores.arms[chosen.model[0]], draws.scores.arms[chosen.data[0]])
    return Omitted(what, winner_of(difference), difference, names)


def _typical(draws: Draws, arms: Sequence[int]) -> tuple[Float64[np.ndarray, " d"], Float64[np.ndarray, " d"], int]:
    """Returns the median swap between neighbours on validation, per row and as measured, and the arm it leads to."""
    order = np.asarray(arms)[np.argsort(draws.valid[:, arms], axis=1, kind="stable")]
    swaps = np.diff(np.take_along_axis(draws.test, order, axis=1), axis=1)
    seen, own = np.median(swaps, axis=1), np.median(np.diff(draws.test[0][order], axis=1), axis=1)
    return seen, own, int(order[0, 1 + np.argmin(np.abs(swaps[0] - seen[0]))])
