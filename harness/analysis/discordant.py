"""Bounds a difference of two arms from the few test examples on which they differ; pure functions.

Two arms that agree on all `n` test examples need not be equally good: examples on which they differ may be rare. If a
share of `3 / n` of all examples told them apart, a test set of `n` would hold none of them in 5 % of cases. A variance
that is estimated from few discordant examples does not know that, and is 0 if there are none.

With `b` of `n` examples right for the first arm alone and `c` for the second alone, the difference is `(b - c) / n`.
Each share gets its score interval (Wilson 1927, JASA 22), and the distances from share to limit add in squares
(Newcombe 1998, Stat. Med. 17; Zou & Donner 2008, Stat. Med. 27):

    (b - c) / n - sqrt((b / n - low_b)^2 + (high_c - c / n)^2),   and likewise above

Over several seeds an example counts with its mean, so `b` and `c` need not be whole numbers. For a metric other than
accuracy, differences are multiplied by what one example can change at most (1 / n for accuracy). It matters below
`FEW` discordant examples; with more, the variance over examples is known well enough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

FEW = 10.0
"""Discordant examples, over both directions, from which on the variance over examples is trusted."""
_MOST = 40.0


@dataclass(frozen=True)
class Discordant:
    """Holds on how many of `n` examples only the first arm is right (`b`), and only the second (`c`).

    `step` is the most, in points, that one example can change.
    """

    b: float
    c: float
    n: int
    step: float

    @property
    def few(self) -> bool:
        """Returns whether so few examples differ that an interval must account for their number."""
        return self.b + self.c < FEW

    def distances(self, level: float) -> tuple[float, float]:
        """Returns how far an interval of that level reaches below and above the difference, in points."""
        return self._distances(float(ndtri((1 + level) / 2)))

    def _distances(self, z: float) -> tuple[float, float]:
        scale = self.step * self.n
        below_b, above_b = _wilson(self.b, self.n, z)
        below_c, above_c = _wilson(self.c, self.n, z)
        return scale * math.hypot(below_b, above_c), scale * math.hypot(above_b, below_c)

    def p_value(self, effect: float) -> float:
        """Returns 1 minus the level at which the interval around an effect, in points, reaches 0."""
        side = 0 if effect > 0 else 1
        if effect == 0 or self._distances(_MOST)[side] < abs(effect):
            return 1.0 if effect == 0 else 0.0
        z = brentq(lambda z: self._distances(z)[side] - abs(effect), 0.0, _MOST)
        return 2 * float(ndtr(-z))


def count_discordant(differences: Float64[np.ndarray, " n"], step: float) -> Discordant:
    """Counts discordant examples; `differences` holds the first arm's being right minus the second's, -1 to 1."""
    up, down = np.clip(differences, 0, None).sum(), np.clip(-differences, 0, None).sum()
    return Discordant(float(up), float(down), len(differences), step)


def _wilson(count: float, n: int, z: float) -> tuple[float, float]:
    """Returns how far the score interval of a share reaches below and above it."""
    share = count / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, share - (centre - half)), max(0.0, centre + half - share)
