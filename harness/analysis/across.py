"""Summarises deltas or scores over several tasks, with intervals; pure functions.

Mappings go from a task's name to the runs of one arm on it, one value per seed, in points; `t` tasks, `r` seeds. Tasks
have equal weight. The intervals cover different things, and each summary's `covers` says which:

- `mean` treats **tasks** (and with them their seeds) as the sample: what to expect on another such task.
- `median` treats tasks as the sample as well, and assumes nothing of how their effects are distributed.
- `mean_of_these` keeps the tasks, and accounts for retraining and for the sampling of test examples within each.
- `interquartile_mean`, `improvement` and `profile` keep the tasks and resample **seeds** within each (Agarwal et al.
  2021, "Deep RL at the edge of the statistical precipice", NeurIPS): what to expect on these tasks. Their percentile
  intervals are too narrow by about sqrt((r - 1) / r), 0.82 at three seeds, and shrink to a point if all runs of every
  task agree.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median as middle_of

import numpy as np
import pandas as pd
from jaxtyping import Float64
from scipy.stats import binom, rankdata

from harness.analysis.choice import Estimate
from harness.analysis.effects import example_weights
from harness.analysis.ladder import Ladder, Winner, winner_of
from harness.analysis.significance import LEVEL, ZERO, half_width_at, p_value
from harness.errors import BadInput

Runs = Mapping[str, Float64[np.ndarray, " _"]]


@dataclass(frozen=True)
class Summary:
    """Holds one number over tasks with its interval; `p` is for the number being 0, None if the method has none."""

    value: float
    low: float
    high: float
    n_tasks: int
    n_runs: int
    covers: str
    p: float | None = None


@dataclass(frozen=True)
class Tally:
    """Counts the tasks on which an arm's interval is above 0, includes it, or is below it."""

    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class TasksVerdict:
    """Holds which axis gains more over tasks, and by how many points (data minus model).

    `difference` has the mean of the tasks' differences by choice on validation, and the hull of three t intervals over
    tasks, so that it excludes 0 if and only if a side wins. `by_validation` and `at_best` answer the two questions of
    `choice`, each with its own t interval.
    """

    word: Winner
    difference: Estimate
    by_validation: Summary
    at_best: Summary


@dataclass(frozen=True, eq=False)
class Profile:
    """Holds, for each threshold, the share of runs above it, in [0, 1], and its pointwise band."""

    taus: Float64[np.ndarray, " k"]
    share: Float64[np.ndarray, " k"]
    low: Float64[np.ndarray, " k"]
    high: Float64[np.ndarray, " k"]
    n_tasks: int
    n_runs: int
    covers: str


def of_arm(compared: Mapping[str, pd.DataFrame], arm: str) -> dict[str, Float64[np.ndarray, " _"]]:
    """Returns an arm's deltas by study, from the frames of `effects.deltas`. BadInput if a study has none."""
    found = {}
    for study, frame in compared.items():
        mine = frame[(frame["arm"] == arm) & frame["delta"].notna()].sort_values("seed")
        if mine.empty:
            raise BadInput(f"arm '{arm}' has no delta in study '{study}': run it there, or leave the study out")
        found[study] = mine["delta"].to_numpy(dtype=np.float64)
    return found


def mean(deltas: Runs) -> Summary:
    """Returns the mean over tasks of a task's mean delta, with the t interval over tasks.

    Seeds need no model of their own: the spread of the tasks' means already contains the noise of seeds and test
    examples.
    BadInput for fewer than two tasks, and if all tasks have the same mean.
    """
    _checked(deltas)
    effects = np.array([float(runs.mean()) for runs in deltas.values()])
    t, value, variance = len(effects), float(effects.mean()), float(effects.var(ddof=1))
    if math.sqrt(variance) < ZERO:
        raise BadInput(f"all {t} tasks have the effect {value:.2f}: there is no spread for an interval")
    parts = [(variance / t, t - 1)]
    half = half_width_at(1 - LEVEL, parts)
    said = (
        f"{_level()}: covers other tasks, as far as these {t} are a random sample of them, and all noise within a task."
    )
    return Summary(value, value - half, value + half, t, _n_runs(deltas), said, p_value(value, parts))


def median(effects: Mapping[str, float]) -> Summary:
    """Returns the median over tasks of a task's effect, with an interval between two of the effects.

    The interval is exact for any distribution of effects. With fewer than six tasks no two effects enclose the median
    in 95 % of samples: its ends are infinite. `p` is that of the sign test; an effect of 0 counts on neither side.
    BadInput for fewer than two tasks.
    """
    _checked({task: np.array([effect]) for task, effect in effects.items()})
    ordered, t = sorted(effects.values()), len(effects)
    cut = int(binom.ppf((1 - LEVEL) / 2, t, 0.5))
    ends = (ordered[cut - 1], ordered[t - cut]) if cut > 0 else (-math.inf, math.inf)
    signs = Counter(int(np.sign(effect)) for effect in ordered if abs(effect) > ZERO)
    few = min(signs[1], signs[-1])
    p = min(1.0, 2 * float(binom.cdf(few, signs.total(), 0.5))) if signs else 1.0
    said = f"{_level()}: covers other tasks, as far as these {t} are a random sample of them; exact."
    short = f"No {_level()}: the median over {t} tasks has none, six or more are needed."
    return Summary(float(middle_of(ordered)), *ends, t, t, said if cut > 0 else short, p)


def mean_of_these(effects: Mapping[str, Estimate]) -> Summary:
    """Returns the mean of the tasks' effects, with an interval that keeps the tasks.

    The distances from the effects to the ends of their intervals add in squares (Zou & Donner 2008, Stat. Med. 27),
    since tasks share neither trainings nor test examples. BadInput for fewer than two tasks.
    """
    _checked({task: np.array([one.value, one.low, one.high]) for task, one in effects.items()})
    t, values = len(effects), [one.value for one in effects.values()]
    below = math.hypot(*(one.value - one.low for one in effects.values())) / t
    above = math.hypot(*(one.high - one.value for one in effects.values())) / t
    value = float(np.mean(values))
    said = f"{_level()}: accounts for retraining and for test examples on these {t} tasks; not for other tasks."
    return Summary(value, value - below, value + above, t, t, said)


def count_tasks(effects: Mapping[str, Estimate]) -> Tally:
    """Returns on how many tasks an arm gains, neither gains nor loses, and loses, as the interval of each says."""
    signs = Counter(winner_of(one) for one in effects.values())
    return Tally(signs["data"], signs["undecided"], signs["model"])


def mean_ranks(gains: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Returns the mean rank over tasks of each arm that all tasks have; 1 is best, ties get the mean of their ranks.

    `gains` maps a task to its arms' effects in points (Demšar 2006, JMLR 7). Empty without a task.
    """
    common = [arm for arm in next(iter(gains.values()), {}) if all(arm in arms for arms in gains.values())]
    ranks = [rankdata([-round(arms[arm], 9) for arm in common]) for arms in gains.values()]
    return dict(zip(common, np.mean(ranks, axis=0).tolist(), strict=True)) if common else {}


def verdict_over_tasks(ladders: Mapping[str, Ladder]) -> TasksVerdict:
    """Returns whether the best data or the best model gains more over tasks, with the tasks as the sample.

    Each task gives three differences of data and model, by the rule of a study's verdict (`choice`): that of the pair
    that validation chooses, that where each seed's pair is chosen by the other seeds, and that of the pair that other
    seeds and other test rows choose. A side wins if the t interval over tasks of each of the three leaves out 0 on its
    side. BadInput for fewer than two tasks, and if all tasks agree to the last digit.
    """
    pair = mean({task: np.array([one.difference.value]) for task, one in ladders.items()})
    by_validation = mean({task: np.array([one.by_validation.value]) for task, one in ladders.items()})
    at_best = mean({task: np.array([one.at_best.value]) for task, one in ladders.items()})
    every = (pair, by_validation, at_best)
    hull = Estimate(by_validation.value, min(one.low for one in every), max(one.high for one in every))
    return TasksVerdict(winner_of(hull), hull, by_validation, at_best)


def interquartile_mean(runs: Runs, *, draws: int, rng: np.random.Generator) -> Summary:
    """Returns the mean of the middle half of all runs of all tasks, with a percentile interval over seeds.

    A quarter of the runs, rounded down, is cut at each end, so a few outlying runs or tasks cannot move it. BadInput
    if tasks differ in their number of seeds (those with more would weigh more), with one seed, and if all runs are
    equal.
    """
    _checked(runs, least=2)
    if len({len(values) for values in runs.values()}) > 1:
        counts = ", ".join(f"{task} {len(values)}" for task, values in runs.items())
        raise BadInput(f"an interquartile mean pools runs, and needs as many seeds on each task: {counts}")
    whole = np.stack(list(runs.values()))
    if np.ptp(whole) < ZERO:
        raise BadInput(f"all {whole.size} runs are {whole.flat[0]:.2f}: ties everywhere, there is no interval")
    t, r = whole.shape
    drawn = np.take_along_axis(whole[None], rng.integers(r, size=(draws, t, r)), axis=2)
    low, high = _percentiles(_middle(drawn.reshape(draws, -1)))
    return Summary(float(_middle(whole.reshape(1, -1))[0]), low, high, t, whole.size, _seeds_only(t))


def improvement(arm: Runs, control: Runs, *, draws: int, rng: np.random.Generator) -> Summary:
    """Returns the probability that a run of the arm beats a run of the control on the same task (ties count half), as a
    mean over tasks.

    On a task it is the Mann-Whitney U divided by the number of pairs of runs; the pairing by seed is not used. 0.5
    favours neither. It measures how often, not by how much. BadInput if the two have different tasks, with one seed,
    and if no run differs from any other on its task.
    """
    _checked(arm, least=2)
    _checked(control, least=2)
    if set(arm) != set(control):
        raise BadInput(f"the arm and the control have different tasks: {sorted(set(arm) ^ set(control))}")
    wins = {task: _wins(runs, control[task]) for task, runs in arm.items()}
    if all((matrix == 0.5).all() for matrix in wins.values()):
        raise BadInput("the arm and the control score the same in all runs of every task: ties everywhere")
    drawn = np.zeros(draws)
    for matrix in wins.values():
        mine, theirs = (example_weights(draws, n, rng) / n for n in matrix.shape)
        drawn += np.einsum("bi,ij,bj->b", mine, matrix, theirs) / len(wins)
    value = float(np.mean([matrix.mean() for matrix in wins.values()]))
    return Summary(
        value, *_percentiles(drawn), len(wins), _n_runs(arm) + _n_runs(control), _seeds_only(len(wins))
    )  # fmt: skip


def profile(runs: Runs, taus: Float64[np.ndarray, " k"], *, draws: int, rng: np.random.Generator) -> Profile:
    """Returns the share of runs above each threshold, as a mean over tasks, with pointwise bands.

    It falls from 1 to 0; if the profile of one arm lies above another's everywhere, its runs are better in distribution
    (Dolan & Moré 2002, Math. Program. 91; Agarwal et al. 2021). BadInput with one seed.
    """
    _checked(runs, least=2)
    if not np.isfinite(taus).all() or not len(taus):
        raise BadInput("a profile needs thresholds that are numbers")
    share, drawn = np.zeros(len(taus)), np.zeros((draws, len(taus)))
    for values in runs.values():
        above = (values[:, None] > taus).astype(np.float64)
        share += above.mean(0) / len(runs)
        drawn += example_weights(draws, len(values), rng) @ above / (len(values) * len(runs))
    low, high = np.quantile(drawn, _tails(), axis=0)
    return Profile(taus, share, low, high, len(runs), _n_runs(runs), _seeds_only(len(runs)))


def _checked(runs: Runs, least: int = 1) -> None:
    """Raises BadInput for fewer than two tasks, or a task with too few runs or a run that is not a number."""
    if not runs:
        raise BadInput("there is no task to summarise")
    if len(runs) == 1:
        raise BadInput(f"'{next(iter(runs))}' is the only task: a summary over tasks needs two at least")
    for task, values in runs.items():
        if len(values) < least:
            raise BadInput(f"task '{task}' has {len(values)} runs, and this summary needs {least} or more on each")
        if not np.isfinite(values).all():
            raise BadInput(f"task '{task}' has a run without a number: leave out the trials that failed")


def _middle(runs: Float64[np.ndarray, "b n"]) -> Float64[np.ndarray, " b"]:
    """Returns the mean of each row without a quarter of its values at either end, rounded down."""
    cut = runs.shape[1] // 4
    return np.sort(runs, axis=1)[:, cut : runs.shape[1] - cut].mean(1)


def _wins(arm: Float64[np.ndarray, " n"], control: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, "n m"]:
    """Returns 1 if a run of the arm is above one of the control, 0.5 if they are equal, 0 if it is below."""
    gap = arm[:, None] - control
    return (1 + np.sign(np.where(np.abs(gap) < ZERO, 0.0, gap))) / 2


def _tails() -> tuple[float, float]:
    return (1 - LEVEL) / 2, (1 + LEVEL) / 2


def _percentiles(drawn: Float64[np.ndarray, " b"]) -> tuple[float, float]:
    low, high = np.quantile(drawn, _tails())
    return float(low), float(high)


def _n_runs(runs: Runs) -> int:
    return sum(len(values) for values in runs.values())


def _level() -> str:
    return f"{100 * LEVEL:.0f} % interval"


def _seeds_only(t: int) -> str:
    return f"{_level()}: accounts for retraining on these {t} tasks (narrow with few seeds); not for other tasks."
