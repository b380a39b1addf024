"""Collects a study's scores by arm and seed, and redraws the arms' means; pure functions.

Attribution compares picks (the best model, the best data) and shares, which are not means of paired deltas. So a redraw
here is the whole vector of the arms' means, test and validation together, and the choice is repeated in every draw.

**One draw.** With `x_s` the scores of all arms on seed `s` of `r` (test and validation side by side), `m` their mean
and `e_s = x_s - m`,

    m* = m + sqrt((r - 1) / u) sum_s z_s e_s / sqrt(r (r - 1)) + g,    z_s ~ N(0, 1),   u ~ chi2(r - 1),
    g = (g_test, g_valid),    g_test ~ N(0, C_test),    g_valid ~ N(0, C_valid)

The seeds' part is multivariate t: anything linear in the means gets the classical t interval over seeds, even at 3
seeds, where resampling seeds with replacement gives intervals that are far too narrow. It is the posterior of a normal
mean under the usual prior (Box & Tiao 1973, ch. 8). `C` is the variance that seeds do not show, the sampling noise of
test examples that all seeds share: the mean covariance, over pairs of different seeds, of the arms' scores over
resamples of test examples. It is the last term of `effects`' variance, for all arms at once, and affects test scores
alone. Validation examples that seeds share are not resampled: no record keeps predictions for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64
from scipy.stats import rankdata

from harness.analysis.effects import example_weights, in_points, labels_bought
from harness.analysis.measures import PlacedSums, measure
from harness.analysis.rescoring import scored_rows
from harness.arm import BASELINE, DATA_FACTORS, Level, combine, levels_of, may_win
from harness.errors import BadInput
from harness.storage.store import Record, TestSet
from harness.streams import stream

COVARIANCE_DRAWS = 500
"""Resamples of test examples that estimate a covariance."""
PARTS = 5
"""Parts of the test examples, of which the others choose an arm for each."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Holds the scores of a study's finished trials, in points: `a` arms by `r` seeds, every arm on every seed.

    `levels` holds, for each arm, the levels of the factors and of the salt (see `harness.arm.Level`). `valid` is nan if
    the task has no validation part. `cpu_s` (seconds) and `labels` (bought) are means per trial. `spread` is the
    covariance of the arms' mean test scores over the test examples that seeds share, in points squared; `examples` is
    that over all test examples, their interaction with each seed's training included (None if not measured). `left_out`
    says in sentences which arms are excluded and why. `parts` are the test scores on `PARTS` random parts of the test
    examples (None if not measured, or if a part lacks what the metric needs). `right` is the share of seeds on which an
    arm answers an example rightly (None for a metric on probabilities, under which examples differ by degrees), and
    `step` the most that one example can change a score, in points. `informed` says which arms have used the labels of
    validation rows beyond what the baseline does. `valid_spread` is what `spread` is, of the mean validation scores
    over the validation examples that seeds share; None if a record keeps no predictions of them.
    """

    arms: tuple[str, ...]
    levels: tuple[Mapping[str, Level], ...]
    reference: tuple[str, ...]
    seeds: tuple[int, ...]
    test: Float64[np.ndarray, "a r"]
    valid: Float64[np.ndarray, "a r"]
    cpu_s: Float64[np.ndarray, " a"]
    labels: Float64[np.ndarray, " a"]
    spread: Float64[np.ndarray, "a a"]
    n_test: int
    left_out: tuple[str, ...] = ()
    examples: Float64[np.ndarray, "a a"] | None = None
    parts: Float64[np.ndarray, "a r f"] | None = None
    right: Float32[np.ndarray, "a n"] | None = None
    step: float = 0.0
    informed: tuple[bool, ...] = ()
    valid_spread: Float64[np.ndarray, "a a"] | None = None

    def model(self, arm: int) -> Level:
        """Returns the arm's model; `SAME` is the baseline's."""
        return self.levels[arm]["model"]

    def data(self, arm: int) -> Level:
        """Returns the arm's data strategies as one level; `SAME` is the baseline's."""
        return combine([self.levels[arm][name] for name in DATA_FACTORS])

    def only(self, keep: Sequence[int]) -> Scores:
        """Returns the scores of those arms alone."""
        rows = np.asarray(keep, dtype=np.int64)

        def chosen(values: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(values[row] for row in rows)

        return replace(
            self, arms=chosen(self.arms), levels=chosen(self.levels), reference=chosen(self.reference),
            test=self.test[rows],
            valid=self.valid[rows], cpu_s=self.cpu_s[rows], labels=self.labels[rows],
            spread=self.spread[np.ix_(rows, rows)],
            examples=None if self.examples is None else self.examples[np.ix_(rows, rows)],
            parts=None if self.parts is None else self.parts[rows],
            right=None if self.right is None else self.right[rows],
            informed=chosen(self.informed) if self.informed else (),
            valid_spread=None if self.valid_spread is None else self.valid_spread[np.ix_(rows, rows)],
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Redraws:
    """Holds draws of the arms' true mean scores, in points, test and validation drawn together."""

    test: Float64[np.ndarray, "draws a"]
    valid: Float64[np.ndarray, "draws a"]


def redraw(scores: Scores, draws: int, rng: np.random.Generator) -> Redraws:
    """Returns draws of the arms' means, as in the module's docstring; BadInput with one seed, which has no spread."""
    r = len(scores.seeds)
    if r < 2:
        raise BadInput("one seed does not show how much retraining changes: run at least two, better five")
    both = np.concatenate([scores.test, scores.valid])
    residuals = both - both.mean(1, keepdims=True)
    z = rng.standard_normal((draws, r)) * np.sqrt((r - 1) / rng.chisquare(r - 1, size=(draws, 1)))
    drawn = both.mean(1) + z @ residuals.T / np.sqrt(r * (r - 1))
    shared = rng.standard_normal((draws, len(scores.arms))) @ root(scores.spread).T
    a = len(scores.arms)
    valid = drawn[:, a:]
    if scores.valid_spread is not None:
        valid = valid + rng.standard_normal((draws, a)) @ root(scores.valid_spread).T
    return Redraws(drawn[:, :a] + shared, valid)


def root(covariance: Float64[np.ndarray, "a a"]) -> Float64[np.ndarray, "a a"]:
    """Returns a matrix whose product with its transpose is the covariance, negative eigenvalues cut off at 0."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    # The root of an eigenvalue that is 0 up to rounding would be ten million times as large.
    return vectors * np.sqrt(np.where(values > 1e-12 * max(float(values.max()), 0.0), values, 0.0))


def collect_scores(
    records: Sequence[Record], test_set: Callable[[str], TestSet], planned: Sequence[Mapping[str, Any]]
) -> Scores:
    """Returns the scores of the arms that finished on every seed of the baseline, in the order of `planned`.

    An arm with a trial that failed or was not run is named in `left_out` instead, since a comparison of means over
    different seeds would compare seeds as well. BadInput if the baseline itself has no finished trial.
    """
    done = {(one["arm"], one["seed"]): one for one in records if one["status"] == "done"}
    arms = list(dict.fromkeys(str(row["arm"]) for row in planned))
    seeds = sorted({row["seed"] for row in planned if row["arm"] == BASELINE and (BASELINE, row["seed"]) in done})
    if not seeds:
        raise BadInput("the baseline has no finished trial, so no gain can be measured")
    whole = [arm for arm in arms if all((arm, seed) in done for seed in seeds)]
    kept = [[done[arm, seed] for seed in seeds] for arm in whole]
    sets = {one["result"]["test_set"]: test_set(one["result"]["test_set"]) for row in kept for one in row}
    seen = _examples(kept, sets)
    spread, examples = _spread(seen)
    by_class = measure(kept[0][0]["result"]["metric"]).by_class
    return Scores(
        arms=tuple(whole), levels=_levels(kept, done[BASELINE, seeds[0]]),
        reference=tuple(str(row[0]["reference"]) for row in kept),
        seeds=tuple(seeds), test=_points(kept, "test"), valid=_points(kept, "valid"),
        cpu_s=np.array([np.mean([one["cost"]["cpu_s"] for one in row]) for row in kept]),
        labels=np.array([np.mean([labels_bought(one["ledger"]) for one in row]) for row in kept]),
        spread=spread, n_test=seen.n, left_out=_left_out(arms, seeds, records, done), examples=examples,
        parts=_parts(seen), right=seen.right if by_class else None, step=_step(kept, sets),
        informed=_informed(kept, whole.index(BASELINE)), valid_spread=_valid_spread(kept, test_set),
    )  # fmt: skip


def _levels(kept: Sequence[Sequence[Record]], baseline: Record) -> tuple[dict[str, Level], ...]:
    return tuple(
        levels_of(row[0]["trial"], baseline["trial"], row[0].get("names") or {}, row[0].get("overrides") or ())
        for row in kept
    )


def _points(kept: Sequence[Sequence[Record]], part: str) -> Float64[np.ndarray, "a r"]:
    return np.array([[in_points(one["result"][part]) for one in row] for row in kept], dtype=np.float64)


def _left_out(
    arms: Sequence[str], seeds: Sequence[int], records: Sequence[Record], done: Mapping[tuple[str, int], Record]
) -> tuple[str, ...]:
    """Returns one sentence for each arm that is not complete."""
    failed = {(one["arm"], one["seed"]) for one in records if one["status"] == "failed"}
    told = []
    for arm in arms:
        missing = [seed for seed in seeds if (arm, seed) not in done]
        if missing:
            lost = sum((arm, seed) in failed for seed in missing)
            why = f"{lost} of {len(seeds)} trials failed" if lost else f"{len(missing)} of {len(seeds)} were not run"
            told.append(f"{arm} is left out of comparisons between arms: {why}.")
    return tuple(told)


@dataclass(frozen=True, eq=False)
class _Examples:
    """Scores all trials under weights of test examples, or of their groups.

    `sums` holds each trial's sums over the `n` examples or groups; `right (a, n)` is the share of the seeds that score
    one on which each arm answers it rightly.
    """

    sums: list[list[PlacedSums]]
    right: Float32[np.ndarray, "a n"]
    n: int
    draws: int

    def scores(self, weights: Float64[np.ndarray, "b n"]) -> Float64[np.ndarray, "a r b"]:
        """Returns the scores in points under each row of weights."""
        return np.array([[100 * one.scores(weights) for one in row] for row in self.sums])


def _examples(kept: Sequence[Sequence[Record]], sets: Mapping[str, TestSet]) -> _Examples:
    """Places the predictions of all trials on the distinct test examples of all seeds, or on their groups."""
    found = measure(kept[0][0]["result"]["metric"])
    ids = np.unique(np.concatenate([one.units for one in sets.values()]))
    place = {name: np.searchsorted(ids, one.units) for name, one in sets.items()}

    def placed(one: Record) -> PlacedSums:
        name = one["result"]["test_set"]
        return found.sums(scored_rows(one["result"], sets[name])).placed(place[name], len(ids))

    right = np.array([_right([one["result"] for one in row], sets, place, len(ids)) for row in kept])
    return _Examples(
        [[placed(one) for one in row] for row in kept], right, len(ids), min(COVARIANCE_DRAWS, found.draws)
    )


def _right(
    results: Sequence[Mapping[str, Any]], sets: Mapping[str, TestSet], place: Mapping[str, np.ndarray], n: int
) -> Float32[np.ndarray, " n"]:
    """Returns the share of an arm's seeds that score an example on which it answers it rightly."""
    hits, scored = np.zeros(n), np.zeros(n)
    for result in results:
        at, rows = place[result["test_set"]], scored_rows(result, sets[result["test_set"]])
        hits += np.bincount(at, rows.predicted == rows.y, n)
        scored += np.bincount(at, minlength=n)
    return (hits / scored).astype(np.float32)


def _spread(seen: _Examples) -> tuple[Float64[np.ndarray, "a a"], Float64[np.ndarray, "a a"]]:
    """Returns the covariance of the arms' mean scores over examples that two seeds share, and over all examples.

    With `D_as` the draws of arm `a` on seed `s`, cov(sum_s D) minus the covariances within a seed leaves the pairs of
    different seeds. The first covariance is 0 with one seed, which has no such pair.
    """
    a, r, n = len(seen.sums), len(seen.sums[0]), seen.n
    if n < 2:
        return np.zeros((a, a)), np.zeros((a, a))
    draws = seen.scores(example_weights(seen.draws, n, stream(0, "grid", "examples")))
    draws = draws[..., np.isfinite(draws).all((0, 1))]
    within = sum(np.atleast_2d(np.cov(draws[:, s])) for s in range(r))
    total = np.atleast_2d(np.cov(draws.sum(1))) * n / (n - 1)
    between = total - within * n / (n - 1)
    return between / max(r * (r - 1), 1), total / r**2


def _valid_spread(
    kept: Sequence[Sequence[Record]], row_set: Callable[[str], TestSet]
) -> Float64[np.ndarray, "a a"] | None:
    """Returns the covariance of the arms' mean validation scores over examples that two seeds share.

    None if a record keeps no predictions of its validation rows, or if they are too few for the metric.
    """
    seen = [[_on_validation(one) for one in row] for row in kept]
    names = {one["result"]["test_set"] for row in seen for one in row}
    if None in names:
        return None
    examples = _examples(seen, {name: row_set(name) for name in names})
    spread = _spread(examples)[0] if examples.n > 1 else np.full((len(kept),) * 2, np.nan)
    return spread if np.isfinite(spread).all() else None


def _on_validation(one: Record) -> Record:
    """Returns a record whose examples and predictions are those of validation; its set is None if it has none."""
    result = one["result"]
    scored = {
        "test_set": result.get("valid_set"), "predictions": result.get("valid_predictions"),
        "probabilities": result.get("valid_probabilities"),
    }  # fmt: skip
    return {"result": {"metric": result["metric"], **scored}}


def _parts(seen: _Examples) -> Float64[np.ndarray, "a r f"] | None:
    """Returns the scores on random parts of the test examples; None if a part lacks what the metric needs."""
    part = stream(0, "grid", "parts").permutation(seen.n) % PARTS
    found = seen.scores(np.equal.outer(np.arange(PARTS), part).astype(np.float64))
    return found if np.isfinite(found).all() else None


def _informed(kept: Sequence[Sequence[Record]], baseline: int) -> tuple[bool, ...]:
    """Returns which arms have a strategy or a model that used validation labels, as their records say.

    Records of an earlier version do not say it: there, an arm counts that has paid for more of them than the baseline.
    """
    paid = [max(one["ledger"]["valid"] for one in row) for row in kept]
    return tuple(
        bool(row[0]["facts"].get("valid_used")) or labels > paid[baseline]
        for row, labels in zip(kept, paid, strict=True)
    )


def _step(kept: Sequence[Sequence[Record]], sets: Mapping[str, TestSet]) -> float:
    result = kept[0][0]["result"]
    return 100 * measure(result["metric"]).step(scored_rows(result, sets[result["test_set"]]))


def order_kept(scores: Scores) -> float | None:
    """Returns how far validation ranks the arms as test does: Spearman's correlation of their means over seeds.

    Over the arms that may win; None for fewer than four of them, and where one of the two ranks none before another.
    """
    arms = [arm for arm, kind in enumerate(scores.reference) if may_win(kind)]
    valid, test = (np.round(rows[arms].mean(1), 9) for rows in (scores.valid, scores.test))
    if len(arms) < 4 or min(len(np.unique(valid)), len(np.unique(test))) < 2 or not np.isfinite(valid).all():
        return None
    return float(np.corrcoef(rankdata(valid), rankdata(test))[0, 1])
