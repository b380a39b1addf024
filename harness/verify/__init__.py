"""Recomputes published numbers from published inputs and compares them, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """Holds a published number and ours: `section` groups cells in the printed table, `what` names this one.

    It passes if the two differ by at most `tolerance` or, if `theirs` is a lower bound, if ours is not below it.
    `source` says who published the number, or how the bound was set. If `theirs` is None there is nothing to compare
    with, which is shown and is no agreement; `source` then says why.
    """

    section: str
    what: str
    ours: float
    theirs: float | None
    tolerance: float
    source: str
    bound: bool = False

    @property
    def passed(self) -> bool:
        """Returns whether ours agrees; nan never does, nor does a cell that is compared with nothing."""
        if self.theirs is None:
            return False
        return self.ours >= self.theirs if self.bound else abs(self.ours - self.theirs) <= self.tolerance + 1e-9
