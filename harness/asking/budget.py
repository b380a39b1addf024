"""Chooses seeds, arms and training rows so that a study fits a budget, in a stated order of what is let go; pure.

Seconds are wall-clock seconds of one worker. What is let go, in this order, until the study fits: combinations of a
model with a data strategy (all but those of the strongest model, later those too); seeds, from 5 down to 3; arms, the
last proposed first, each with its reference, down to one of each side; training rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from harness.analysis.power import ALPHA, POWER, Pilot, mde
from harness.asking.proposals import Proposal, ProposalSide, combinations_of
from harness.errors import BadInput

SEEDS, FEWEST_SEEDS = 5, 3
ORDER = (
    "combinations of model and data, seeds (5 to 3), arms from the end of the list with their references, training rows"
)
START_S, REPORT_S, PER_TRIAL_S, SLACK = 15.0, 15.0, 0.5, 1.2
"""Seconds to start the workers, to draw the report, and that a trial takes beside its work; a factor for the rest."""
_UNITS = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Seconds:
    """Holds what a trial takes: `fixed` seconds, and `per_row` for each training row."""

    fixed: float
    per_row: float

    def at(self, rows: int) -> float:
        """Returns the seconds with that many training rows."""
        return self.fixed + self.per_row * rows


@dataclass(frozen=True)
class Design:
    """Holds a study that may run: its proposals, seeds, models to be combined with data strategies, training rows.

    `rows` are all rows unless `n_train` limits them.
    """

    proposals: tuple[Proposal, ...]
    seeds: int
    combined: tuple[Proposal, ...]
    rows: int
    n_train: int | None = None
    prices: Mapping[tuple[str, ...], Seconds] = field(default_factory=dict)

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
        parts = [self.prices[arm].at(self.rows) for arm in [(), *self.arms]]
        for model in self.combined:
            for one in self.of("data"):
                if one.crosses:
                    parts.append(self.prices[model.arm].at(self.rows) + self.prices[one.arm].at(self.rows))
        work = self.seeds * (sum(parts) + PER_TRIAL_S * len(parts))
        return START_S + REPORT_S + 0.2 * len(parts) + SLACK * work / workers


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
    for design in _smaller(whole, fewest_rows):
        if spent_s + design.seconds(workers) <= budget_s:
            return design
        least = design
    needs = math.ceil((spent_s + least.seconds(workers)) / 60)
    raise BadInput(
        f"the smallest study ({least.trials} trials of {least.rows} rows) takes about {needs} min: write "
        f"budget={needs}min or more"
    )


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
