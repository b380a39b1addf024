"""Divides the variance of one arm's score among its sources, from trials that repeat the arm; pure functions.

A study whose arms are salts repeats one arm on the same data: `salt=init:a` with other initial weights only, `salt=a`
with all random streams of the learner replaced (Bouthillier et al. 2021, "Accounting for variance in machine learning
benchmarks", MLSys 3). Let `y_sj` be the score on seed `s` of `r` under salt `j` of `m`, the trial without a salt
included. For plain salts such as `salt=a`, this is the one-way layout with random effects

    y_sj = mu + b_s + e_sj,   b_s ~ (0, split),   e_sj ~ (0, training)

`b_s` is common to all trials of a seed (split, noise, sub-sampling). With `MS_b` the mean square between seeds and
`MS_w` the one within, on r - 1 and r (m - 1) degrees of freedom (Searle, Casella & McCulloch 1992, Variance Components,
ch. 3):

    E MS_w = training,   E MS_b = m split + training,   split = (MS_b - MS_w) / m

A stream's own part is the mean square within seeds of the scores that differ in that stream only, the trial without a
salt included. It is the variance from redrawing this stream with all others fixed, its share in interactions included
(Sobol's total effect). If streams do not interact, their parts add up to `training`; what is left,

    rest = training - sum of the streams' parts,

is the part of streams that have no salt of their own or, if negative, of interactions, which two streams count twice.

**Intervals.** A mean square has the exact chi-square interval if the noise is normal with equal variance on all seeds.
For sums and differences of mean squares the distances from estimate to limit add in squares (Graybill & Wang 1980, JASA
75; for differences Howe 1974, JASA 69; Zou & Donner 2008, Stat. Med. 27):

    low = q - sqrt(sum c+^2 (S - l)^2 + sum c-^2 (u - S)^2),   high with u and l exchanged

where `c+` are the positive coefficients and `c-` the negative ones, and `[l, u]` is the interval of the mean square
`S`. Variances are cut off at 0, except `rest`. `tests/analysis/test_variance.py` measures the coverage.

**Test examples** are a part of their own: the variance of one trial's score over resamples of its test examples, by the
infinitesimal jackknife (Efron 1982, ch. 6), which for accuracy is the binomial p (1 - p) / n. If all seeds share one
test set, no other part includes it; if each seed has its own, `split` includes it as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64
from scipy.stats import chi2, norm

from harness.analysis.measures import measure
from harness.analysis.rescoring import rows_of
from harness.analysis.scores import Scores
from harness.analysis.significance import LEVEL
from harness.arm import BASELINE, FACTORS, Level
from harness.errors import BadInput
from harness.metrics import METRICS, Metric, confusion, confusion_cells
from harness.storage.packing import unpack
from harness.storage.store import Record, TestSet
from harness.streams import STREAMS

ALL = "all of training"
SPLIT = "split and noise"
REST = "rest"
EXAMPLES = "test examples"
NAMES = {"init": "initial weights", "order": "order of rows", "augment": "augmentation"}
"""Names of streams in a figure; a stream that is not listed keeps its own name."""
_STEP = 1e-6


@dataclass(frozen=True)
class Component:
    """Holds one part of a score's variance, in points squared, with its 95 % interval.

    `low` and `high` are 0 or more, except for `REST`; `freedom` is None if the part is not a single mean square.
    """

    name: str
    variance: float
    low: float
    high: float
    freedom: int | None = None

    @property
    def sd(self) -> tuple[float, float, float]:
        """Returns the standard deviation and its interval (value, low, high) in points; 0 for a negative variance."""
        value, low, high = (float(np.sqrt(max(v, 0.0))) for v in (self.variance, self.low, self.high))
        return value, low, high


@dataclass(frozen=True)
class Square:
    """Holds a mean square in points squared and its degrees of freedom."""

    value: float
    freedom: int

    @property
    def limits(self) -> tuple[float, float]:
        """Returns the exact 95 % interval of its expectation, for normal noise with equal variance on all seeds."""
        low, high = chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], self.freedom)
        return self.freedom * self.value / float(low), self.freedom * self.value / float(high)


def components(scores: Scores, of: str = BASELINE) -> list[Component]:
    """Returns the parts of the variance of the arm `of`: split and noise, each salted stream, rest, all of training.

    Split, rest and all of training need an arm with a plain salt. BadInput if no arm is `of` under another salt, or
    with one seed only, which cannot separate the variance of the split from that of training.
    """
    groups = rows_by_stream(scores, of)
    if not groups:
        raise BadInput(f"no arm is {of} under another salt: add arms such as salt=init:a, salt=order:a and salt=a")
    if len(scores.seeds) < 2:
        raise BadInput("one seed does not show how much split and noise change: run at least two, better ten")
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
    """Returns the rows of `of` and of its repeats by the stream that their salt renames; `ALL` for plain salts.

    They are in the order of `STREAMS`, plain salts last; a stream without a salt has no entry.
    """
    rows: dict[str, list[int]] = {}
    arm = scores.levels[scores.arms.index(of)] if of in scores.arms else None
    for row, levels in enumerate(scores.levels):
        if arm and all(levels[name] == arm[name] for name in FACTORS):
            rows.setdefault(_stream(levels["salt"]), []).append(row)
    own = rows.pop("", [])
    return {name: [*own, *rows[name]] for name in (*STREAMS, ALL) if name in rows and len(own) + len(rows[name]) > 1}


def _stream(salt: Level) -> str:
    """Returns the stream that a salt renames, `ALL` for a plain salt, "" without a salt."""
    name, colon, _ = str(json.loads(salt.value)).partition(":") if salt else ("", "", "")
    return name if colon else ALL if salt else ""


def within_seeds(scores: Float64[np.ndarray, "m r"]) -> Square:
    """Returns the mean square within seeds of `m` scores per seed."""
    m, r = scores.shape
    return Square(float(((scores - scores.mean(0)) ** 2).sum()) / (r * (m - 1)), r * (m - 1))


def between_seeds(scores: Float64[np.ndarray, "m r"]) -> Square:
    """Returns the mean square between seeds: `m` times the variance of the seeds' means."""
    m, r = scores.shape
    return Square(m * float(scores.mean(0).var(ddof=1)), r - 1)


def _single(name: str, square: Square) -> Component:
    return Component(name, square.value, *square.limits, square.freedom)


def combine_squares(name: str, terms: Sequence[tuple[float, Square]], *, least: float) -> Component:
    """Returns the sum of coefficient times mean square with its interval (see the module), cut off at `least`."""
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
    """Returns the variance of one finished trial's score over resamples of test examples, the mean over trials.

    The interval is normal for the logarithm, from the spread of the single examples' influence. BadInput if no trial
    finished.
    """
    results = [record["result"] for record in records if record["status"] == "done"]
    if not results:
        raise BadInput("no trial finished: there is no score whose test examples could be resampled")
    sets = {name: test_set(name) for name in sorted({result["test_set"] for result in results})}
    moved: dict[str, float] = {}
    for result in results:
        test = sets[result["test_set"]]
        squares = _moves(result, test) ** 2
        for name, square in zip(test.ids.tolist(), squares.tolist(), strict=True):
            moved[name] = moved.get(name, 0.0) + square / len(results)
    each = np.array(list(moved.values()))
    value, error = float(each.sum()), float(np.sqrt(len(each)) * each.std())
    spread = np.exp(norm.ppf((1 + LEVEL) / 2) * error / value) if value else 1.0
    return Component(EXAMPLES, value, value / float(spread), value * float(spread))


def _moves(result: Mapping[str, Any], test: TestSet) -> Float64[np.ndarray, " n"]:
    """Returns the influence of each test example on a result's score, in points."""
    if result["metric"] in METRICS:
        return influence(test, unpack(result["predictions"]), METRICS[result["metric"]])
    n = len(test.y)
    sums, step = measure(result["metric"]).sums(rows_of(result, test)).placed(np.arange(n), n), _STEP * n
    slope = 100 * (sums.scores(1 + step * np.eye(n)) - sums.scores(np.ones((1, n)))) / step
    return slope - slope.mean()


def influence(test: TestSet, predicted: np.ndarray, measure: Metric) -> Float64[np.ndarray, " n"]:
    """Returns by how many points each test example moves the score per unit of its weight; these numbers sum to 0.

    Their squares sum to the infinitesimal jackknife's variance. For accuracy each is 100 (right - p) / n.
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
    """Returns the figure's columns: `name`, `value`, `low`, `high`, as standard deviations in points."""
    rows = [(one.name, *one.sd) for one in found]
    return pd.DataFrame(rows, columns=["name", "value", "low", "high"])


def describe_components(scores: Scores, of: str = BASELINE) -> str:
    """Words the numbers of scores behind the components and the assumptions of their intervals, for a note."""
    salts = ", ".join(f"{NAMES.get(name, name)} {len(rows)}" for name, rows in rows_by_stream(scores, of).items())
    rest = next((one.variance for one in components(scores, of) if one.name == REST), 0.0)
    more = (
        f" Here the streams' parts add up to {-rest:.2g} points squared more than all of training: they interact, "
        "and the rest is shown as 0."
    )
    return (
        f"{len(scores.seeds)} seeds; scores per seed that differ in that stream only: {salts}. 95 % intervals, for "
        "normal noise with equal variance on all seeds. A stream's part includes its share in interactions with "
        "others; the rest is the part of streams without a salt, minus interactions counted twice."
        f"{more if rest < 0 else ''}"
    )
