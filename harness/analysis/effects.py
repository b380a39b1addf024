"""Computes paired deltas and effects with intervals from records; pure functions.

A delta is 100 x (a trial's metric - its control's), in points. The effect of an arm is its mean delta over seeds.

**What is random.** Let `d_s` be the delta on seed `s` of `r`, scored on a test set of that seed. Retraining
(another seed) changes it, and so does another sample of test examples:

    d_s = effect + a_s + e_s,    a_s independent over seeds,    S = cov(e_1, …, e_r) over test examples

`S` is not diagonal if seeds share test examples. The mean of the `d_s` has the variance

    V = var(a) / r + 1'S1 / r^2

**Two levels.** The pigeonhole bootstrap (Owen 2007, "The pigeonhole bootstrap", Ann. Appl. Stat. 1) resamples seeds and
test examples, each with replacement; an example that several seeds share gets one weight for all of them. The statistic
is a weighted mean over seeds, linear in the seeds' weights, so that level needs no resampling: given the examples'
weights its bootstrap variance is known in closed form. The examples' level is resampled, since a metric need not be
linear in examples; it gives `S`. From them come the variances of the three bootstraps (Davison & Hinkley 1997, ch. 3):

    seeds alone      V_s = sum (d_s - d)^2 / r^2
    examples alone   V_e = 1'S1 / r^2
    both             V_b = V_s + V_e + V_i,   V_i = (tr S - 1'S1 / r) / r^2

The plug-in estimates over seeds are corrected by `r / (r - 1)`: `V_s' = V_s r / (r - 1)`, `V_i' = V_i r / (r - 1)`.
Then `E V_s' = var(a) / r + V_i'`: seeds measured on a finite test set already contain the interaction of seed and
example once, and `V_e` contains it again. So the unbiased estimate of V subtracts it once:

    V = V_s' + V_e - V_i' = V_s' + (mean covariance of two seeds' deltas over test examples)

The last term is what resampling seeds cannot see: the sampling noise of a test set that all seeds share. It is 0 if no
two seeds share an example, and is cut off at 0, since V is never below `V_s'`. (V_b itself counts the interaction three
times; at r = 1 only V_e is left.)

**The interval.** Call the last term C. The two parts of V are estimated from very different sample sizes, so each gets
its own quantile and the half-widths add in squares (Graybill & Wang 1980, JASA 75; Zou & Donner 2008, Stat. Med. 27):

    effect ± sqrt(t(r - 1)^2 V_s' + t(n - 1)^2 C)

It is the classical t interval over seeds if nothing is shared, and the one over examples if seeds agree. One t quantile
for V on Satterthwaite's (1946) degrees of freedom is as good at 5 seeds or more, but at 2 and 3 seeds, where those are
estimated badly, it covered the truth in only 87 and 92 % where this one covers it in 95 % or more.

The half-width is never below 1.5 standard errors of the test examples, `sqrt(V_e)`: a few seeds that agree by chance,
or because counts are coarse, must not claim more than a test set can support. The price is paid if training noise is
independent from example to example and nothing else varies: then, with normal errors, coverage rises from 95 to 96.5 %
at 5 seeds, 97.5 % at 3 and 98.4 % at 2. A floor at the whole interval of `V_e` would cost more (97.9, 98.7 and 99.3 %);
without a floor, seeds that agree by chance would shrink an interval to nothing. Where arm and control differ on fewer
than `discordant.FEW` test examples, `V_e` itself is not known: the interval is then widened to the one of
`discordant`, so that even two arms that agree on every example get a width. `tests/analysis/test_simulation.py` and
`test_discordant.py` measure the coverage.

**The p-value** of an effect being 0 inverts this interval: it is 1 minus the level at which the interval reaches 0. The
floor grows with the level as t(n - 1) does, 1.5 standard errors at 95 %, so a p-value depends on the test set too.
p < 0.05 if and only if the 95 % interval excludes 0. `p_adjusted` accounts for the number of a study's arms, by Holm
unless asked otherwise; the intervals do not.

**Groups.** Test rows that belong together (of one person or page) are resampled as a whole: a unit of the two levels is
then a group, and `n` counts groups.

**What seeds are.** They count as independent trainings. If all of them draw their training rows from one pool, the
sets overlap, the deltas are correlated, and the interval is about this pool and its splits. `new_training_sets` gives
the interval for a new training set of the same size (Nadeau & Bengio 2003, Mach. Learn. 52).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64, Integer, Shaped

from harness.analysis import significance
from harness.analysis.discordant import Discordant, count_discordant
from harness.analysis.measures import Measure, PlacedSums, ScoredRows, measure, of_confusion
from harness.analysis.rescoring import scored_rows
from harness.analysis.significance import LEVEL, half_width_at, holm
from harness.errors import BadInput
from harness.metrics import Metric
from harness.storage.packing import unpack
from harness.storage.store import Record, TestSet
from harness.streams import stream

EXAMPLE_DRAWS = 2000
FLOOR = 1.5
_MEMORY = 200e6
TUNING = r'"tuning_trials": \d+, '
_BLOCK = {"data": "the task's data", "seed": "the seed", "protocol": "the protocol", "test_set": "the test set"}
_RECEIPT = ("n_before", "n_after", "n_dropped", "n_added", "n_relabelled", "n_reweighted")


@dataclass(frozen=True, eq=False)
class TrialPair:
    """Holds one seed's test examples, by id, and the classes that the arm and its control predict for them.

    `groups` names what is resampled as a whole, None for single examples. `probabilities (n, k)` are those of the arm
    and of the control, where they are kept.
    """

    ids: Shaped[np.ndarray, " n"]
    y: Integer[np.ndarray, " n"]
    arm: Integer[np.ndarray, " n"]
    control: Integer[np.ndarray, " n"]
    groups: Shaped[np.ndarray, " n"] | None = None
    probabilities: tuple[np.ndarray | None, np.ndarray | None] = (None, None)

    def rows(self, k: int) -> tuple[ScoredRows, ScoredRows]:
        """Returns what a metric sees of the arm and of the control, of `k` classes."""
        arm, control = (
            ScoredRows(self.y, predicted, k, chances, self.groups)
            for predicted, chances in zip((self.arm, self.control), self.probabilities, strict=True)
        )
        return arm, control

    @property
    def ahead(self) -> Float64[np.ndarray, " n"]:
        """Returns 1 where the arm alone is right, -1 where the control alone is, else 0."""
        return (self.arm == self.y).astype(float) - (self.control == self.y)

    def surer(self, k: int) -> Float64[np.ndarray, " n"]:
        """Returns 1 where the arm gives the true class a higher probability than the control, -1 where a lower one."""
        arm, control = self.rows(k)
        return np.sign(arm.of_truth - control.of_truth)

    @property
    def units(self) -> Shaped[np.ndarray, " n"]:
        """Returns what is resampled as a whole: groups, or single examples."""
        return self.ids if self.groups is None else self.groups


Adjust = Callable[[Float64[np.ndarray, " a"]], Float64[np.ndarray, " a"]]
"""Adjusts the p-values of arms for their number; nan stays nan."""


@dataclass(frozen=True)
class Variances:
    """Holds the parts of an effect's variance, in points squared, over `r` seeds and `n` test examples.

    `seeds` is V_s' and `shared` is C of the module's docstring, `examples` is V_e. With one seed all of it is `shared`.
    """

    seeds: float
    shared: float
    examples: float
    r: int
    n: int

    @property
    def parts(self) -> list[tuple[float, float | int]]:
        """Returns the two parts, each with its degrees of freedom."""
        return [(self.seeds, self.r - 1), (self.shared, self.n - 1)]

    @property
    def floor(self) -> list[tuple[float, float | int]]:
        """Returns the variance whose t interval over test examples is `FLOOR` standard errors wide on each side."""
        t = half_width_at(1 - LEVEL, [(1.0, self.n - 1)])
        return [((FLOOR / t) ** 2 * self.examples, self.n - 1)]


@dataclass(frozen=True)
class Interval:
    """Holds a mean delta and its interval, in points.

    `n_test` counts distinct test examples, or groups of them, `n_scored` all examples over all seeds. `seed_share` is
    the share of the variance that more seeds would reduce (the rest needs more test examples); None with one seed. `p`
    is below 1 - `LEVEL` if and only if the interval excludes 0. `level` is above `LEVEL` in a study that looks at its
    records repeatedly (`harness.analysis.power`). `variances` are the parts of its variance.
    """

    effect: float
    low: float
    high: float
    n_seeds: int
    n_test: int
    n_scored: int
    seed_share: float | None
    p: float | None = None
    level: float = LEVEL
    variances: Variances | None = None


@dataclass(frozen=True)
class ReferenceGain:
    """Holds what an arm gains more than one of its references, in points, paired on the seed.

    `words` are those of the reference's overrides that the arm does not share. `low` and `high` are the ends of the
    interval of this pair, `p` its p-value and `p_adjusted` that by Holm over all such pairs of the study; None if one
    of the two arms lacks a trial.
    """

    arm: str
    reference: str
    kind: str
    words: str
    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None


@dataclass(frozen=True)
class Effect:
    """Holds one arm's line of the leaderboard.

    `score` is its mean metric in points over the trials that ended well, `interval` is None for the baseline and where
    no trial has a delta. `n_trials` were planned, `n_failed` of them failed, `n_missing` were not run yet. `cpu_s` is
    the mean per trial; `cpu_ratio` divides it by that of the same trials' controls. Labels are counts per trial:
    `labels` bought from the oracle, from validation or as edits by people, `gold` those that came with the task. `p` is
    for the effect being 0, `p_adjusted` accounts for the number of arms in the study; both None without an interval.
    Arms that share one of their `letters` do not differ significantly (`harness.analysis.ties`); "" if not computed.
    `new_set` is the interval for a new training set of this size, in points (`harness.analysis.new_training_sets`),
    None where it is not computed or does not apply. `beside` is the arm's gain over the reference of its own kind that
    it must be held against (`harness.analysis.references`), None without one.
    """

    arm: str
    axis: str
    factors: tuple[str, ...]
    reference: str
    n_trials: int
    n_failed: int
    n_missing: int
    score: float | None
    interval: Interval | None
    cpu_s: float | None
    cpu_ratio: float | None
    labels: float | None
    gold: float | None
    p: float | None = None
    p_adjusted: float | None = None
    letters: str = ""
    new_set: tuple[float, float] | None = None
    beside: ReferenceGain | None = None

    @property
    def share_failed(self) -> float:
        """Returns the share of the planned trials that failed."""
        return self.n_failed / self.n_trials

    @property
    def half_width(self) -> float | None:
        """Returns half the width of the interval, in points."""
        return None if self.interval is None else (self.interval.high - self.interval.low) / 2

    @property
    def covers(self) -> str:
        """Returns a sentence on what the interval covers."""
        return covers(self.interval)


def trials(records: Sequence[Record]) -> pd.DataFrame:
    """Returns one flat row per record, sorted by arm and seed; `test` and `valid` in points, config nodes as JSON."""
    if not records:
        raise BadInput("there are no records")
    table = pd.DataFrame([_flat(record) for record in records])
    return table.sort_values(["arm", "seed", "key"], ignore_index=True)


def deltas(trials: pd.DataFrame) -> pd.DataFrame:
    """Returns one row per trial with a control: `delta` and `delta_valid` in points, nan if there is none.

    `why` says why there is none: the trial or its control failed, or the control has no record. Pairs are matched by
    the key in `control` and must agree in the task's data, the seed, the protocol and the test set. BadInput if a key
    occurs twice or a pair does not agree.
    """
    twice = trials.loc[trials.duplicated(["key", "control"]), "key"]
    if len(twice):
        raise BadInput(
            f"{len(twice)} keys occur twice in the records, the first is {twice.iloc[0]}: keep one record per key"
        )
    compared = trials[trials["control"] != trials["key"]]
    known = (
        trials[["key", "arm", "status", "reason", "test", "valid", *_BLOCK]]
        .drop_duplicates("key")
        .rename(columns={"key": "control"})
    )
    pairs = compared.merge(known, how="left", on="control", suffixes=("", "_control"), validate="many_to_one")
    _same_blocks(pairs)
    pairs["why"] = pd.Series([_why(row) for row in pairs.to_dict("records")], index=pairs.index, dtype="str")
    for name, column in (("delta", "test"), ("delta_valid", "valid")):
        pairs[name] = (pairs[column] - pairs[f"{column}_control"]).astype(float).where(pairs["why"] == "")
    return pairs[["key", "control", "arm", "seed", "delta", "delta_valid", "why"]]


def interval(
    pairs: Sequence[TrialPair], metric: Metric, k: int, level: float = LEVEL, *, draws: int, rng: np.random.Generator
) -> Interval:
    """Returns `measured_interval` for a metric that is a function of the confusion matrix."""
    return measured_interval(pairs, of_confusion(metric), k, level, draws=draws, rng=rng)


def measured_interval(
    pairs: Sequence[TrialPair], measure: Measure, k: int, level: float = LEVEL, *, draws: int, rng: np.random.Generator
) -> Interval:
    """Returns the mean over seeds of the arm's score minus the control's, in points, with its interval (see the
    module).

    At a level above `LEVEL` the p-value grows in the same proportion: it holds for all looks of a study together.
    BadInput without a pair, or with a single test example.
    """
    if not pairs:
        raise BadInput("an effect needs at least one pair of a trial and its control")
    sides, n = _sides(pairs, measure, k)
    if n < 2:
        raise BadInput("an interval needs at least two test examples")
    whole = _deltas(np.ones((1, n)), sides)[0]
    spread = _spread(sides, n, draws, rng)
    half, seed_share = half_width(whole, spread, n, level)
    mean, n_scored = float(whole.mean()), sum(len(p.ids) for p in pairs)
    few = _discordant(pairs, measure, k)
    below, above = few.distances(level) if few.few else (0.0, 0.0)
    p = max(effect_p_value(mean, variances(whole, spread, n)), few.p_value(mean) if few.few else 0.0)
    p = min(1.0, p * (1 - LEVEL) / (1 - level))
    low, high = mean - max(half, below), mean + max(half, above)
    return Interval(mean, low, high, len(pairs), n, n_scored, seed_share, p, level, variances(whole, spread, n))


def _discordant(pairs: Sequence[TrialPair], measure: Measure, k: int) -> Discordant:
    """Counts the distinct test examples on which the arm is ahead of the control, and the other way round."""
    ids, place = np.unique(np.concatenate([pair.units for pair in pairs]), return_inverse=True)
    ahead = np.concatenate([pair.ahead if measure.by_class else pair.surer(k) for pair in pairs])
    sums, times = (np.bincount(place, weights, len(ids)) for weights in (ahead, np.ones(len(place))))
    return count_discordant(sums / times, 100 * measure.step(pairs[0].rows(k)[0]))


def half_width(
    deltas: Float64[np.ndarray, " r"], spread: Float64[np.ndarray, "r r"], n: int, level: float = LEVEL
) -> tuple[float, float | None]:
    """Returns half the interval's width, and the share of the variance that more seeds would reduce (None with one
    seed).

    `spread` is the covariance of the seeds' deltas over `n` test examples.
    """
    found = variances(deltas, spread, n)
    half = max(half_width_at(1 - level, found.parts), half_width_at(1 - level, found.floor))
    known = found.r > 1 and found.seeds + found.shared > 0
    return half, found.seeds / (found.seeds + found.shared) if known else None


def variances(deltas: Float64[np.ndarray, " r"], spread: Float64[np.ndarray, "r r"], n: int) -> Variances:
    """Returns the parts of the variance of the mean delta; `spread` as for `half_width`."""
    r = len(deltas)
    examples = max(float(spread.sum()), 0.0) / r**2
    if r == 1:
        return Variances(0.0, examples, examples, r, n)
    shared = max(float(spread.sum() - spread.trace()), 0.0) / (r * (r - 1))
    return Variances(float(deltas.var(ddof=1)) / r, shared, examples, r, n)


def effect_p_value(effect: float, found: Variances) -> float:
    """Returns the p-value of an effect being 0: 1 - the level at which its interval, with the floor, reaches 0."""
    return max(significance.p_value(effect, parts) for parts in (found.parts, found.floor))


def estimate_effects(
    records: Sequence[Record],
    test_set: Callable[[str], TestSet],
    planned: Sequence[Mapping[str, Any]],
    adjust: Adjust = holm,
    level: float = LEVEL,
    *,
    draws: int = EXAMPLE_DRAWS,
) -> list[Effect]:
    """Returns the effect of every arm, in the order of `planned`.

    `planned` holds one row per planned trial (the rows of a study's plan, or the records themselves), so that trials
    that never ran are counted; `test_set` returns a test set by its digest; `adjust` (`significance.holm`,
    `benjamini_yekutieli`) adjusts p-values for the number of arms that have one; `level` is that of the intervals. The
    draws of an arm depend on its name alone: equal records give equal numbers. BadInput if records do not belong
    together, or if predictions do not give their score.
    """
    table = trials(records)
    _one_study(table)
    compared = deltas(table).query("why == ''")
    paired = set(zip(compared["key"], compared["control"], strict=True))
    sets = {name: test_set(name) for name in sorted(table["test_set"].dropna().unique())}
    _check_scores(records, sets)
    known = {record["key"]: record for record in records}
    arms: dict[str, list[Mapping[str, Any]]] = {}
    for row in planned:
        arms.setdefault(row["arm"], []).append(row)
    mine: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: (record["seed"], record["key"])):
        mine.setdefault(record["arm"], []).append(record)
    found = [_effect(rows, mine.get(arm, []), known, paired, sets, level, draws) for arm, rows in arms.items()]
    return adjust_p_values(found, adjust)


def adjust_p_values(effects: Sequence[Effect], adjust: Adjust) -> list[Effect]:
    """Returns the effects with `p_adjusted` for all arms with a p-value."""
    grown = adjust(np.array([np.nan if one.p is None else one.p for one in effects], dtype=np.float64))
    return [replace(one, p_adjusted=None if one.p is None else float(p)) for one, p in zip(effects, grown, strict=True)]


def covers(interval: Interval | None) -> str:
    """Words what an interval accounts for and what it does not, with its n, for the note under a table or figure."""
    if interval is None:
        return "There is no interval: no trial has a delta."
    level = level_in_words(interval)
    if interval.n_seeds == 1:
        return (
            f"{level}: accounts for the sampling of the {_examples(interval)} only (one seed); "
            "retraining, other tasks and other protocols are not covered."
        )
    return (
        f"{level}: accounts for retraining ({interval.n_seeds} seeds) and for the sampling of the "
        f"{_examples(interval)}; other tasks and protocols are not covered. Seeds that draw their training rows from "
        "one pool overlap, so the interval does not cover another pool (Nadeau and Bengio 2003)."
    )


def _examples(interval: Interval) -> str:
    """Words the number of test examples, and that of their groups or of the examples of one seed if it is another."""
    per_seed = round(interval.n_scored / interval.n_seeds)
    if interval.n_test < per_seed:
        return f"{per_seed} test examples in {interval.n_test} groups"
    return f"{interval.n_test} test examples" + (f" (about {per_seed} per seed)" if interval.n_test != per_seed else "")


def level_in_words(interval: Interval) -> str:
    """Words an interval's level; a level above `LEVEL` names the number of looks."""
    looks = round((1 - LEVEL) / (1 - interval.level))
    if looks == 1:
        return f"{100 * LEVEL:.0f} % interval"
    return f"{100 * interval.level:.1f} % interval ({100 * LEVEL:.0f} % over the {looks} looks that the study may take)"


def _flat(record: Record) -> dict[str, Any]:
    """Returns a record as one row of plain values."""
    result, trial = record["result"] or {}, record["trial"]
    row = {
        name: record[name]
        for name in ("key", "control", "study", "arm", "axis", "reference", "seed", "status", "reason")
    }
    row["factors"] = " ".join(record["factors"])
    row |= {name: json.dumps(trial[name], sort_keys=True) for name in ("task", "protocol")} | {"data": trial["data"]}
    row |= {name: result.get(name) for name in ("metric", "test_set")}
    row |= {name: in_points(result.get(name)) for name in ("test", "valid")}
    row |= {f"ledger_{name}": value for name, value in record["ledger"].items()}
    row |= {f"cost_{name}": value for name, value in record["cost"].items()}
    row |= {f"{kind}_{n}": counts[n] for kind, counts in record["receipts"].items() for n in _RECEIPT if n in counts}
    plain = {name: value for name, value in record["facts"].items() if isinstance(value, str | int | float)}
    return row | {f"fact_{name}": value for name, value in plain.items()}


def in_points(share: float | None) -> float:
    """Returns a share in points; nan if there is none."""
    return np.nan if share is None else 100 * share


def _same_blocks(pairs: pd.DataFrame) -> None:
    """Raises BadInput if a trial and its control are not from the same block; failures have no test set to compare."""
    for column, words in _BLOCK.items():
        mine, other = (_shared(pairs[name]) for name in (column, f"{column}_control"))
        differ = pairs[mine.notna() & other.notna() & (mine != other)]
        if len(differ):
            row = differ.iloc[0]
            raise BadInput(
                f"arm '{row['arm']}', seed {row['seed']}, and its control {row['control']} differ in {words}: "
                f"{row[column]} against {row[f'{column}_control']}; a delta is taken within one block"
            )


def _why(row: Mapping[Any, Any]) -> str:
    """Says why a trial has no delta; empty if it has one."""
    if row["status"] != "done":
        return f"failed: {row['reason']}"
    if row["status_control"] == "done":
        return ""
    return f"control failed: {row['reason_control']}" if row["status_control"] == "failed" else "control has no record"


Sides = Sequence[tuple[PlacedSums, PlacedSums]]
"""The sums of arm and control for each pair, over all distinct test examples or groups of them."""


def _sides(pairs: Sequence[TrialPair], measure: Measure, k: int) -> tuple[Sides, int]:
    """Returns, for each pair, the sums of arm and control over all distinct test examples, and their number."""
    ids, place = np.unique(np.concatenate([pair.units for pair in pairs]), return_inverse=True)
    places = np.split(place, np.cumsum([len(pair.ids) for pair in pairs])[:-1])

    def placed(at: np.ndarray, rows: ScoredRows) -> PlacedSums:
        return measure.sums(rows).placed(at, len(ids))

    both = [(at, pair.rows(k)) for at, pair in zip(places, pairs, strict=True)]
    return [(placed(at, arm), placed(at, control)) for at, (arm, control) in both], len(ids)


def _deltas(weights: Float64[np.ndarray, "b n"], sides: Sides) -> Float64[np.ndarray, "b r"]:
    """Returns the delta in points of each seed under each draw of example weights."""
    return 100 * np.stack([arm.scores(weights) - control.scores(weights) for arm, control in sides], axis=1)


def _spread(sides: Sides, n: int, draws: int, rng: np.random.Generator) -> Float64[np.ndarray, "r r"]:
    """Returns the covariance of the seeds' deltas over resamples of `n` examples, unbiased (times n / (n - 1)).

    Draws come in chunks that fit in memory. A draw without any example of a seed has no delta and is left out; that
    happens only if test sets differ by seed and hold a handful of rows.
    """
    sums = max(side.matrix.shape[0] for pair in sides for side in pair)
    size = max(1, int(_MEMORY / (8 * (4 * n + 8 * sums))))
    chunks = [min(size, draws - start) for start in range(0, draws, size)]
    drawn = np.concatenate([_deltas(example_weights(b, n, rng), sides) for b in chunks])
    return np.atleast_2d(np.cov(drawn[np.isfinite(drawn).all(1)], rowvar=False)) * n / (n - 1)


def example_weights(draws: int, n: int, rng: np.random.Generator) -> Float64[np.ndarray, "b n"]:
    """Returns how often each of `n` examples is drawn if `n` are drawn with replacement: multinomial counts."""
    drawn = rng.integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)


def _shared(column: pd.Series) -> pd.Series:
    """Returns a column of a block without the number of tuning trials, which only tuning arms have."""
    return column.replace(TUNING, "", regex=True)


def _one_study(table: pd.DataFrame) -> None:
    """Raises BadInput if records are from several tasks or protocols, or an arm has two trials with one seed."""
    budgets = set(table["protocol"].astype(str).str.extract(f"({TUNING})", expand=False).dropna())
    for column in ("task", "data", "protocol"):
        if len(set(_shared(table[column]))) > 1 or (column == "protocol" and len(budgets) > 1):
            words = _BLOCK.get(column, "the task")
            raise BadInput(
                f"the records differ in {words}: a leaderboard holds one task and one protocol; "
                "give each its own study name (study=NAME)"
            )
    twice = table[table.duplicated(["arm", "seed"])]
    if len(twice):
        row = twice.iloc[0]
        raise BadInput(f"arm '{row['arm']}' has two trials on seed {row['seed']}: give the other study its own name")


def _check_scores(records: Sequence[Record], sets: Mapping[str, TestSet]) -> None:
    """Raises BadInput if a record's predictions do not give its score."""
    for record in records:
        if record["status"] != "done":
            continue
        result = record["result"]
        test, n = sets[result["test_set"]], len(unpack(result["predictions"]))
        if n != len(test.y):
            raise BadInput(f"record {record['key']} predicts {n} examples, its test set has {len(test.y)}")
        found = measure(result["metric"]).sums(scored_rows(result, test)).once()
        if not np.isclose(found, result["test"], atol=1e-9):
            raise BadInput(
                f"record {record['key']} says {result['metric']} {result['test']}, but its predictions give {found}"
            )


def _effect(
    planned: Sequence[Mapping[str, Any]],
    records: Sequence[Record],
    known: Mapping[str, Record],
    paired: set[tuple[str, str]],
    sets: Mapping[str, TestSet],
    level: float,
    draws: int,
) -> Effect:
    """Returns one arm's line from its plan and records; those in `paired` have a delta to their control in `known`."""
    arm, done = planned[0]["arm"], [record for record in records if record["status"] == "done"]
    pairs = [(record, known[record["control"]]) for record in records if (record["key"], record["control"]) in paired]
    ledgers = [record["ledger"] for record in done]
    found = _interval(pairs, sets, level, draws, stream(0, "effects", arm)) if pairs else None
    return Effect(
        arm=arm, axis=planned[0]["axis"], factors=tuple(planned[0]["factors"]), reference=planned[0]["reference"],
        n_trials=len(planned), n_failed=len(records) - len(done), n_missing=len(planned) - len(records),
        score=_mean([100 * record["result"]["test"] for record in done]),
        interval=found, p=found.p if found else None,
        cpu_s=_mean([record["cost"]["cpu_s"] for record in done]), cpu_ratio=_cpu_ratio(pairs),
        labels=_mean([labels_bought(ledger) for ledger in ledgers]),
        gold=_mean([ledger["gold"] for ledger in ledgers]),
    )  # fmt: skip


def labels_bought(ledger: Mapping[str, int]) -> int:
    """Returns the number of labels that a trial paid for beyond those that the task came with."""
    return ledger["oracle"] + ledger["valid"] + ledger.get("edits", 0)


def trial_interval(
    record: Record, control: Record, test_set: Callable[[str], TestSet], *, draws: int = EXAMPLE_DRAWS
) -> Interval:
    """Returns the delta of one finished trial to its control with the interval that its test examples give.

    It is that of the leaderboard of a study of this trial alone. BadInput with a single test example.
    """
    sets = {name: test_set(name) for name in {one["result"]["test_set"] for one in (record, control)}}
    return _interval([(record, control)], sets, LEVEL, draws, stream(0, "effects", record["arm"]))


def _interval(
    paired: Sequence[tuple[Record, Record]],
    sets: Mapping[str, TestSet],
    level: float,
    draws: int,
    rng: np.random.Generator,
) -> Interval:
    result = paired[0][0]["result"]
    k = len(sets[result["test_set"]].classes)
    pairs = [
        _pair(record["result"], control["result"], sets[record["result"]["test_set"]]) for record, control in paired
    ]
    found = measure(result["metric"])
    return measured_interval(pairs, found, k, level, draws=min(draws, found.draws), rng=rng)


def _pair(result: Mapping[str, Any], control: Mapping[str, Any], test: TestSet) -> TrialPair:
    groups = None if test.groups is None else test.units
    arm, other = (scored_rows(one, test) for one in (result, control))
    return TrialPair(test.ids, test.y, arm.predicted, other.predicted, groups, (arm.probabilities, other.probabilities))


def _mean(values: Sequence[int | float]) -> float | None:
    return float(np.mean(values)) if values else None


def _cpu_ratio(paired: Sequence[tuple[Record, Record]]) -> float | None:
    """Returns CPU seconds of the arm over those of its controls; None if they were too few to measure."""
    mine, theirs = (sum(pair[side]["cost"]["cpu_s"] for pair in paired) for side in (0, 1))
    return mine / theirs if theirs else None
