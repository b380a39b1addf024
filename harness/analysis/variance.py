"""Scores of one arm under other luck in; the variance of a score by what it comes from out. Pure functions.

A study whose arms are salts trains one and the same arm again on the same data: `salt=init:a` with other initial
weights alone, `salt=a` with all of the learner's luck drawn again (Bouthillier et al. 2021, "Accounting for variance in
machine learning benchmarks", MLSys 3). Let `y_sj` be the score on seed `s` of `r` under salt `j` of `m`, the one
without a salt among them. Where `salt=a` and its like are the `m`, that is the one-way layout with random effects

    y_sj = mu + b_s + e_sj,   b_s ~ (0, split),   e_sj ~ (0, training)

`b_s` is what a seed gives to all of them (split, noise, sub-sampling). With `MS_b` the mean square between seeds and
`MS_w` the one within, on r - 1 and r (m - 1) degrees of freedom (Searle, Casella & McCulloch 1992, Variance Components,
ch. 3):

    E MS_w = training,   E MS_b = m split + training,   split = (MS_b - MS_w) / m

A stream's own part is the mean square within seeds of the scores that differ in that stream alone, the one without a
salt among them. It is what drawing this stream again moves while all others stand, its share in interactions included
(Sobol's total effect). Where streams act by themselves their parts add up to `training`; what is left,

    rest = training - sum of the streams' parts,

is the part of streams that have no salt of their own, or, below 0, of interactions, which two streams count twice.

**Intervals.** A mean square has the exact chi-square interval where luck is normal and equal on all seeds. For sums
and differences of mean squares the distances from estimate to limit add in squares (Graybill & Wang 1980, JASA 75; for
differences Howe 1974, JASA 69; Zou & Donner 2008, Stat. Med. 27):

    low = q - sqrt(sum c+^2 (S - l)^2 + sum c-^2 (u - S)^2),   high with u and l in each other's place

where `c+` are the coefficients above 0 and `c-` those below, and `[l, u]` is the interval of the mean square `S`.
A variance is cut off at 0 and is never below; `rest` alone may be. `tests/test_variance.py` measures the coverage.

**Test examples** stand beside these: the variance of one trial's score when its test examples are drawn again, by the
infinitesimal jackknife (Efron 1982, ch. 6), which for accuracy is the binomial p (1 - p) / n. Where all seeds share one
test set no other part holds it; where each seed has its own, `split` holds it as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64
from scipy.stats import chi2, norm

from harness.analysis.scores import Scores
from harness.analysis.significance import LEVEL
from harness.arm import BASELINE, FACTORS, Level
from harness.errors import BadInput
from harness.metrics import Metric, confusion, confusion_cells, metric
from harness.storage.store import Record, TestSet, unpack
from harness.streams import STREAMS

ALL = "all of training"
SPLIT = "split and noise"
REST = "rest"
EXAMPLES = "test examples"
NAMES = {"init": "initial weights", "order": "order of rows", "augment": "augmentation"}
"""What streams are called in a figure; the others go by their own names."""
_STEP = 1e-6


@dataclass(frozen=True)
class Component:
    """One part of a score's variance, in points squared, with its 95 % interval; `freedom` is None where none applies.

    `low` and `high` are 0 or more, but for `REST`.
    """

    name: str
    variance: float
    low: float
    high: float
    freedom: int | None = None

    @property
    def sd(self) -> tuple[float, float, float]:
        """Standard deviation, low and high in points; a variance below 0 is none."""
        value, low, high = (float(np.sqrt(max(v, 0.0))) for v in (self.variance, self.low, self.high))
        return value, low, high


@dataclass(frozen=True)
class Square:
    """A mean square in points squared and its degrees of freedom."""

    value: float
    freedom: int

    @property
    def limits(self) -> tuple[float, float]:
        """The exact 95 % interval of its expectation, for normal luck that is equal on all seeds."""
        low, high = chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], self.freedom)
        return self.freedom * self.value / float(low), self.freedom * self.value / float(high)


def components(scores: Scores, of: str = BASELINE) -> list[Component]:
    """The parts of the variance of the arm `of`: split and noise, each salted stream, the rest, all of training.

    Split, rest and all of training need an arm with a plain salt. BadInput where no arm is `of` under another salt, or
    there is one seed only: a single one cannot tell luck from what the seed gives.
    """
    groups = rows_by_stream(scores, of)
    if not groups:
        raise BadInput(f"no arm is {of} under another salt: add arms such as salt=init:a, salt=order:a and salt=a")
    if len(scores.seeds) < 2:
        raise BadInput("one seed cannot tell what split and noise give: run two at least, ten are better")
    streams = {name: within_seeds(scores.test[rows]) for name, rows in groups.items() if name != ALL}
    parts = [_single(NAMES.get(name, name), square) for name, square in streams.items()]
    if ALL not in groups:
        return parts
    rows = groups[ALL]
    total = within_seeds(scores.test[rows])
    split = combine_squares(
        SPLIT, [(1 / len(rows), between_seeds(scores.test[rows])), (-1 / len(rows), total)], least=0.0
    )
    rest = combine_squares(REST, [(1.0, total), *((-1.0, square) for square in streams.values())], least=-np.inf)
    return [split, *parts, *([rest] if streams else []), _single(ALL, total)]


def rows_by_stream(scores: Scores, of: str) -> dict[str, list[int]]:
    """The rows of `of` and of its repeats, by the stream whose salt they have; `ALL` for plain salts.

    In the order of `STREAMS`, plain salts last; a stream without a salt has no entry.
    """
    rows: dict[str, list[int]] = {}
    arm = scores.levels[scores.arms.index(of)] if of in scores.arms else None
    for row, levels in enumerate(scores.levels):
        if arm and all(levels[name] == arm[name] for name in FACTORS):
            rows.setdefault(_stream(levels["salt"]), []).append(row)
    own = rows.pop("", [])
    return {name: [*own, *rows[name]] for name in (*STREAMS, ALL) if name in rows and len(own) + len(rows[name]) > 1}


def _stream(salt: Level) -> str:
    """The stream that a salt renames, `ALL` for a plain salt, "" without one."""
    name, colon, _ = str(json.loads(salt.value)).partition(":") if salt else ("", "", "")
    return name if colon else ALL if salt else ""


def within_seeds(scores: Float64[np.ndarray, "m r"]) -> Square:
    """The mean square within seeds of `m` scores a seed."""
    m, r = scores.shape
    return Square(float(((scores - scores.mean(0)) ** 2).sum()) / (r * (m - 1)), r * (m - 1))


def between_seeds(scores: Float64[np.ndarray, "m r"]) -> Square:
    """The mean square between seeds: `m` times the variance of the seeds' means."""
    m, r = scores.shape
    return Square(m * float(scores.mean(0).var(ddof=1)), r - 1)


def _single(name: str, square: Square) -> Component:
    return Component(name, square.value, *square.limits, square.freedom)


def combine_squares(name: str, terms: Sequence[tuple[float, Square]], *, least: float) -> Component:
    """The sum of coefficient times mean square with its interval (see the module's docstring), cut off at `least`."""
    value = sum(weight * square.value for weight, square in terms)
    down, up = 0.0, 0.0
    for weight, square in terms:
        low, high = square.limits
        below, above = weight * (square.value - low), weight * (high - square.value)
        down += (below if weight > 0 else above) ** 2
        up += (above if weight > 0 else below) ** 2
    low, high = value - np.sqrt(down), value + np.sqrt(up)
    return Component(name, max(value, least), max(float(low), least), max(float(high), least))


def examples(records: Sequence[Record], test_set: Callable[[str], TestSet]) -> Component:
    """The variance of one finished trial's score over test examples drawn again, the mean over trials.

    The interval is normal for its logarithm, from how much single examples differ in what they move. BadInput where no
    trial finished.
    """
    results = [record["result"] for record in records if record["status"] == "done"]
    if not results:
        raise BadInput("no trial finished: there is no score whose test examples could be drawn again")
    sets = {name: test_set(name) for name in sorted({result["test_set"] for result in results})}
    moved: dict[str, float] = {}
    for result in results:
        test = sets[result["test_set"]]
        squares = influence(test, unpack(result["predictions"]), metric(result["metric"])) ** 2
        for name, square in zip(test.ids.tolist(), squares.tolist(), strict=True):
            moved[name] = moved.get(name, 0.0) + square / len(results)
    each = np.array(list(moved.values()))
    value, error = float(each.sum()), float(np.sqrt(len(each)) * each.std())
    spread = np.exp(norm.ppf((1 + LEVEL) / 2) * error / value) if value else 1.0
    return Component(EXAMPLES, value, value / float(spread), value * float(spread))


def influence(test: TestSet, predicted: np.ndarray, measure: Metric) -> Float64[np.ndarray, " n"]:
    """By how many points each test example moves the score per unit of its weight; these sum to 0.

    Squared and summed they are the infinitesimal jackknife's variance. For accuracy: (right - p) / n.
    """
    k, step = len(test.classes), _STEP * len(test.y)
    whole, at = confusion(test.y, predicted, k), confusion_cells(test.y, predicted, k)
    slope = np.zeros(k * k)
    for cell in np.unique(at):
        lifted = whole.copy()
        lifted[cell // k, cell % k] += step
        slope[cell] = 100 * float(measure(lifted) - measure(whole)) / step
    return slope[at] - slope[at].mean()


def components_frame(found: Sequence[Component]) -> pd.DataFrame:
    """The figure's columns: `name`, `value`, `low`, `high`, standard deviations in points."""
    rows = [(one.name, *one.sd) for one in found]
    return pd.DataFrame(rows, columns=["name", "value", "low", "high"])


def describe_components(scores: Scores, of: str = BASELINE) -> str:
    """What stands behind the components and what their intervals suppose, to print beside them."""
    salts = ", ".join(f"{NAMES.get(name, name)} {len(rows)}" for name, rows in rows_by_stream(scores, of).items())
    rest = next((one.variance for one in components(scores, of) if one.name == REST), 0.0)
    more = (
        f" Here the streams' parts add up to {-rest:.2g} points squared more than all of training: they act together, "
        "and the rest is shown as 0."
    )
    return (
        f"{len(scores.seeds)} seeds; scores a seed that differ in that luck alone: {salts}. 95 % intervals, for normal "
        "luck that is equal on all seeds. A stream's part holds its share in interactions with others; the rest is "
        f"what streams without a salt give, less what streams give together.{more if rest < 0 else ''}"
    )
