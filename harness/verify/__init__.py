"""Published inputs in, our numbers beside the published ones out, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One published number and ours: `section` groups cells in the printed table, `what` names this one.

    It passes where the two differ by `tolerance` at most, or, where `theirs` is a bound, where ours is not below it.
    `source` says who published the number, or how the bound was set.
    """

    section: str
    what: str
    ours: float
    theirs: float
    tolerance: float
    source: str
    bound: bool = False

    @property
    def passed(self) -> bool:
        """Whether ours agrees; a number that is nan agrees with nothing."""
        return self.ours >= self.theirs if self.bound else abs(self.ours - self.theirs) <= self.tolerance + 1e-9
