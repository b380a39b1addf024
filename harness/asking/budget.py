"""Chooses seeds, arms and training rows so that a study fits a budget, in a stated order of what is let go; pure.

Seconds are wall-clock seconds of one worker. What is let go, in this order, until the study fits: arms that alone take
half of the budget, while their side has another; combinations of a model with a data strategy (all but those of the
strongest model, later those too); seeds, from 5 down to 3; arms, the last proposed first, each with its reference, down
to one of each side; training rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.analysis.power import ALPHA, POWER, Pilot, mde
from harness.asking.proposals import Proposal, ProposalSide, combinations_of
from harness.errors import BadInput

SEEDS, FEWEST_SEEDS = 5, 3
ORDER = (
    "arms that alone take half the budget; combinations of model and data; seeds (5 to 3); arms from the end of the "
    "list with their references; training rows"
)
"""What is let go, in words."""
START_S, REPORT_S, PER_TRIAL_S, SLACK = 15.0, 15.0, 0.5, 1.2
"""Seconds to start the workers, to draw the report, and that a trial takes beside its work; a factor for the rest."""
_UNITS = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Seconds:
    """Holds what a trial takes: `fixed` seconds, `per_row` that is read, and `trained` for each training row beside.

    Rows that are read are those of all parts, counted so that without a limit they are as many as training rows.
    """

    fixed: float
    per_row: float
    trained: float = 0.0

    def at(self, rows: int, read: float) -> float:
        """Returns the seconds with that many training rows, and rows that are read."""
        return self.fixed + self.per_row * read + self.trained * rows


@dataclass(frozen=True)
class Design:
    """Holds a study that may run: its proposals, seeds, models to be combined with data strategies, training rows.

    `rows` are all training rows (`whole`) unless `n_train` limits them; `held_out` are those of the other parts.
    `slowness` is how many seconds a second of processor time takes beside what else the machine does; it lengthens what
    was not timed.
    """

    proposals: tuple[Proposal, ...]
    seeds: int
    combined: tuple[Proposal, ...]
    rows: int
    n_train: int | None = None
    prices: Mapping[tuple[str, ...], Seconds] = field(default_factory=dict)
    slowness: float = 1.0
    held_out: int = 0
    whole: int = 0

    def of(self, side: ProposalSide) -> list[Proposal]:
        """Returns the proposals of one side, the most telling first."""
        return [one for one in self.proposals if one.side == side]

    @property
    def arms(self) -> list[tuple[str, ...]]:
        """Returns every arm but the baseline and the combinations, references before what is held against them."""
        return list(dict.fromkeys(arm for one in self.proposals for arm in one.arms))

    @property
    def combinations(self) -> list[tuple[str, ...]]:
        """Returns the arms that combine a model with a data strategy."""
        return combinations_of(list(self.combined), self.of("data"))

    @property
    def trials(self) -> int:
        """Returns the number of trials, controls included."""
        return self.seeds * (1 + len(self.arms) + len(self.combinations))

    def seconds(self, workers: int) -> float:
        """Returns the estimated wall-clock seconds of the whole study."""
        arms = 1 + len(self.arms) + len(self.combinations)
        work = self.seeds * (self._price([()]) + self.work() + self.slowness * PER_TRIAL_S * arms)
        return self.slowness * (START_S + REPORT_S + 0.2 * arms) + SLACK * work / workers

    def work(self) -> float:
        """Returns the seconds of one seed of all arms, without the baseline."""
        data = [one.arm for one in self.of("data") if one.crosses]
        return self._price([*self.arms, *(arm for model in self.combined for one in data for arm in (model.arm, one))])

    def _price(self, arms: Sequence[tuple[str, ...]]) -> float:
        whole = self.whole or self.rows
        read = whole * (self.rows + self.held_out) / (whole + self.held_out)
        return sum(self.prices[arm].at(self.rows, read) for arm in arms)


def seconds_of(word: str) -> float:
    """Returns a budget such as `10min`, `90s` or `2h` in seconds, a bare number being minutes; BadInput otherwise."""
    digits = word.strip().lower()
    number = digits.rstrip("abcdefghijklmnopqrstuvwxyz").strip()
    unit = digits[len(number) :].strip() or "min"
    try:
        value = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        raise BadInput(f"budget is '{word}': write a time, as in budget=10min, budget=90s or budget=2h") from None
    if not 0 < value < math.inf:
        raise BadInput(f"budget is '{word}': it must be above 0")
    return value


def fit_budget(whole: Design, budget_s: float, workers: int, fewest_rows: int, spent_s: float = 0.0) -> Design:
    """Returns the largest design that fits what is left of the budget; BadInput if none fits, with what would."""
    for design in _smaller(_without_dear(whole, (budget_s - spent_s) / 2, workers), fewest_rows):
        if spent_s + design.seconds(workers) <= budget_s:
            return design
        least = design
    needs = math.ceil((spent_s + least.seconds(workers)) / 60)
    raise BadInput(
        f"the smallest study ({least.trials} trials of {least.rows} rows) takes about {needs} min: write "
        f"budget={needs}min or more"
    )


def _without_dear(whole: Design, limit_s: float, workers: int) -> Design:
    """Returns the design without the proposals that alone take more than the limit, the last of a side aside."""
    kept = list(whole.proposals)
    alone = {one.arm: replace(whole, proposals=(one,), combined=(), seeds=FEWEST_SEEDS) for one in kept}
    cost = {arm: SLACK * FEWEST_SEEDS / workers * design.work() for arm, design in alone.items()}
    place = {one.arm: number for number, one in enumerate(whole.proposals)}
    for one in sorted(whole.proposals, key=lambda one: (cost[one.arm], place[one.arm]), reverse=True):
        beside = sum(other.side == one.side for other in kept)
        if cost[one.arm] > limit_s and beside > 1:
            kept.remove(one)
    return replace(whole, proposals=tuple(kept), combined=tuple(one for one in whole.combined if one in kept))


def _smaller(whole: Design, fewest_rows: int) -> Iterator[Design]:
    """Yields the design and ever smaller ones, in the order in which things are let go."""
    yield whole
    design = whole
    if len(whole.combined) > 1:
        design = replace(whole, combined=whole.combined[:1])
        yield design
    for seeds in range(whole.seeds - 1, min(FEWEST_SEEDS, whole.seeds) - 1, -1):
        design = replace(design, seeds=seeds)
        yield design
    if design.combined:
        design = replace(design, combined=())
        yield design
    while (last := _last_to_go(design)) is not None:
        design = replace(design, proposals=tuple(one for one in design.proposals if one is not last))
        yield design
    rows = whole.rows
    while rows // 2 >= fewest_rows:
        rows //= 2
        design = replace(design, rows=rows, n_train=rows)
        yield design


def let_go(whole: Design, design: Design) -> list[str]:
    """Returns what a design lacks of the whole one, in words and in the order in which it was let go."""
    lines = []
    if design.combinations != whole.combinations:
        kind = "weaker models" if design.combined else "models"
        lines.append(f"combinations of {kind} with data")
    if design.seeds < whole.seeds:
        lines.append(f"{whole.seeds - design.seeds} of {whole.seeds} seeds")
    lines += [" ".join(one.arm) for one in whole.proposals if one not in design.proposals]
    return [*lines, *([f"{whole.rows - design.rows:,} of {whole.rows:,} training rows"] if design.n_train else [])]


def _last_to_go(design: Design) -> Proposal | None:
    """Returns the last proposal of the side that has more of them; None if each side has one."""
    longer = max((design.of("data"), design.of("model")), key=len)
    return longer[-1] if len(longer) > 1 else None


def detectable(error: float, test_rows: int, seeds: int, arms: int = 1) -> float:
    """Returns the least difference, in points, that a study shows with power 0.8, before anything has run.

    Assumes that two arms disagree on as many test rows as the baseline gets wrong (`error`, a share), and that
    retraining adds as much variance as the sampling of test rows. `arms` divides the level, as a table adjusts it.
    """
    shared = 1e4 * max(error, 1 / test_rows) / test_rows
    return mde(Pilot(shared, shared, seeds, test_rows), seeds, power=POWER, alpha=ALPHA / arms)
