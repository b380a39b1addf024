"""Maps values to inches along an axis, and chooses ticks whose labels have room."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from harness.report.figures.style import SMALL, inches

_LETTER = 0.13


@dataclass(frozen=True)
class Scale:
    """Holds an axis: its length in inches, the transformed values at its ends, and candidate ticks."""

    bend: Callable[[float], float]
    low: float
    high: float
    length: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Returns the inches from the start of the axis; 0 for a value below it."""
        return max(0.0, (self.bend(value) - self.low) / (self.high - self.low) * self.length)

    def mark(self, axis: Any, words: Callable[[float], str]) -> None:
        """Sets a matplotlib axis to inches, with as many ticks as have room, always including the first."""
        kept: list[float] = []
        free = -np.inf
        for tick in self.ticks:
            half = inches(words(tick), SMALL + 0.5) / 2 + 0.03 if axis.axis_name == "x" else _LETTER / 2
            if self.place(tick) - half >= free:
                kept.append(tick)
                free = self.place(tick) + half
        axis.set_ticks([self.place(tick) for tick in kept], [words(tick) for tick in kept])
        axis.axes.set(**{f"{axis.axis_name}lim": (0.0, self.length)})


def linear_scale(values: Iterable[float], length: float, room: float) -> Scale:
    """Returns a linear scale; `room` inches stay free at both ends."""
    return _scale(values, length, room, float, _even)


def logarithmic(values: Iterable[float], length: float, room: float) -> Scale:
    """Returns a logarithmic scale; a value that is not positive is placed at the start."""
    found = [value for value in values if value > 0] or [1.0]
    least = min(found) / 1e3
    return _scale(found, length, room, lambda value: float(np.log10(max(value, least))), _decades)


def from_zero(values: Iterable[float], length: float, room: float) -> Scale:
    """Returns a scale from 0: linear, or logarithmic beyond the smallest value if the largest is 20 times as large."""
    found = [0.0, *values]
    least = min((value for value in found if value > 0), default=1.0)
    if max(found) <= 20 * least:
        return _scale(found, length, room, float, _even)
    return _scale(found, length, room, lambda value: float(np.arcsinh(2 * value / least)), _decades)


def from_least(values: Iterable[float], length: float, room: float) -> Scale:
    """Returns a scale of positive values, with ticks among them: linear, or logarithmic if they differ by 20 times."""
    found = sorted(values)
    scale = (linear_scale if found[-1] <= 20 * found[0] else logarithmic)(found, length, room)
    within = tuple(tick for tick in scale.ticks if found[0] <= tick <= found[-1])
    return replace(scale, ticks=within if len(within) > 1 else tuple(sorted({found[0], found[-1]})))


def _scale(
    values: Iterable[float], length: float, room: float, bend: Callable[[float], float],
    steps: Callable[[float, float], Sequence[float]],
) -> Scale:  # fmt: skip
    """Returns the scale over the values' range, its ticks within that range."""
    found = sorted(values)
    first, last = bend(found[0]), bend(found[-1])
    if last - first < 1e-9 * max(1.0, abs(last)):
        first, last = first - 0.5, last + 0.5
    free = room / (length - 2 * room) * (last - first)
    low, high = first - free, last + free
    ticks = [tick for tick in steps(found[0], found[-1]) if low <= bend(tick) <= high]
    return Scale(bend, low, high, length, tuple(ticks if len(ticks) > 1 else sorted({found[0], found[-1]})))


def _even(low: float, high: float) -> list[float]:
    """Returns round numbers at equal steps, also slightly beyond the range, if they have room."""
    if high == low:
        return [low]
    found = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [round(float(tick), 12) for tick in found]


def _decades(low: float, high: float) -> list[float]:
    """Returns 0, and 1, 2, 5 times every power of ten; equal steps if the range is short."""
    if high <= 4 * low:
        return _even(low, high)
    powers = range(int(np.floor(np.log10(low or high / 1e4))), int(np.ceil(np.log10(high))) + 1)
    return [0.0, *(digit * 10.0**power for power in powers for digit in (1, 2, 5))]
