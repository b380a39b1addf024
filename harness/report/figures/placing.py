"""Places the labels of points so that none hides anything; equal input gives equal places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

Box = tuple[float, float, float, float]
"""Left, low, right, high."""
_NEAR, _CRUMB, _PIECES = 0.05, 0.004, 12
_STEPS = (0.0, 0.08, 0.16, 0.26)
_SIDES = ((1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1))


@dataclass(frozen=True)
class Spot:
    """Holds a label's position: the middle of its left edge, and the end of a line to its point if one is needed."""

    x: float
    y: float
    lead: tuple[float, float] | None


def overlaps(one: Box, other: Box) -> bool:
    """Returns whether two boxes share an area."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def spots(
    points: Sequence[tuple[float, float]], sizes: Sequence[tuple[float, float]], bounds: Box,
    hard: Sequence[Box], soft: Sequence[Box], must: int,
) -> list[Spot | None]:  # fmt: skip
    """Returns a place for each label, most important first; None if there is no room.

    Eight sides of the point are tried, from near to far. A label stays within `bounds` and does not overlap the boxes
    of marks (`hard`) and of lines (`soft`), earlier labels, or their lines; its own line crosses no label. The first
    `must` labels may overlap soft boxes if nothing else is free. All lengths have the same unit, here inches.
    """
    labels, leads = list[Box](), list[Box]()
    found: list[Spot | None] = []
    for number, (point, size) in enumerate(zip(points, sizes, strict=True)):
        spot = _free(point, size, bounds, [*hard, *soft, *labels, *leads], labels)
        if spot is None and number < must:
            spot = _free(point, size, bounds, [*hard, *labels, *leads], labels)
        if spot:
            labels.append((spot.x, spot.y - size[1] / 2, spot.x + size[0], spot.y + size[1] / 2))
            leads += _crumbs(point, spot.lead) if spot.lead else []
        found.append(spot)
    return found


def _free(
    point: tuple[float, float], size: tuple[float, float], bounds: Box, used: Sequence[Box], labels: Sequence[Box]
) -> Spot | None:
    """Returns the first place that is free."""
    for step, side in product(_STEPS, _SIDES):
        box = _beside(point, size, step, side)
        end = (min(max(point[0], box[0]), box[2]), min(max(point[1], box[1]), box[3]))
        crossed = any(_any(crumb, labels) for crumb in _crumbs(point, end)) if step else False
        if _inside(box, bounds) and not _any(box, used) and not crossed:
            return Spot(box[0], (box[1] + box[3]) / 2, end if step else None)
    return None


def _beside(point: tuple[float, float], size: tuple[float, float], step: float, side: tuple[int, int]) -> Box:
    """Returns the box of a label on a side of a point, at a distance."""
    (x, y), (width, height), (across, up) = point, size, side
    left = x + across * (_NEAR + step) - (0.0 if across > 0 else width if across < 0 else width / 2)
    middle = y + up * (step + (_NEAR + height / 2) * (0.6 if across else 1.0))
    return left, middle - height / 2, left + width, middle + height / 2


def _crumbs(start: tuple[float, float], end: tuple[float, float]) -> list[Box]:
    """Covers a line by small boxes."""
    shares = [(number + 1) / _PIECES for number in range(_PIECES)]
    places = [(start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])) for share in shares]
    return [(x - _CRUMB, y - _CRUMB, x + _CRUMB, y + _CRUMB) for x, y in places]


def _any(box: Box, others: Sequence[Box]) -> bool:
    return any(overlaps(box, other) for other in others)


def _inside(box: Box, bounds: Box) -> bool:
    return box[0] >= bounds[0] and box[1] >= bounds[1] and box[2] <= bounds[2] and box[3] <= bounds[3]
