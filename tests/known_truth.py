"""Studies of known truth: scores by arm and seed whose true means are given, and how often attribution holds them.

A study has four models, four cleaning strategies and all of their pairs. Its scores are true means plus noise: that of
a seed for all arms (split, label noise), that of an arm on a seed (training, with test and validation correlated), the
sampling noise of test examples that all seeds share, and, if all seeds validate on the same rows, that of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from studies import levels_in

from harness.analysis.attribution import Attribution, Estimate, attribute
from harness.analysis.scores import Scores
from harness.analysis.shares import squares
from harness.streams import stream

MODELS = ("model=m1", "model=m2", "model=m3", "model=m4")
STRATEGIES = ("clean=c1", "clean=c2", "clean=c3", "clean=c4")
COMMON, TRAINING, EXAMPLES, ALIKE = 2.0, 1.0, 0.2, 0.5
"""Standard deviations in points: a seed's, an arm's on a seed, shared test examples'; correlation of test and valid."""
SHARED_VALID = 1.5
"""Standard deviation in points of an arm's score on some 250 validation examples, if all seeds share them."""


@dataclass(frozen=True)
class Truth:
    """True gains of models and strategies over the baseline, and what a pair gains beyond the sum of its parts."""

    name: str
    models: tuple[float, ...]
    strategies: tuple[float, ...]
    together: float = 0.0

    @property
    def means(self) -> np.ndarray:
        """True test means, baseline first: models (rows) by strategies (columns)."""
        model, data = (np.array([0.0, *gains]) for gains in (self.models, self.strategies))
        pairs = np.multiply.outer(model / max(max(model), 1.0), data / max(max(data), 1.0))
        return 80 + model[:, None] + data + self.together * pairs

    def quantities(self) -> dict[str, float]:
        """What attribution estimates, from the true means; validation agrees with test in the truth."""
        means = self.means - 80
        model, data = int(means[:, 0].argmax()), int(means[0].argmax())
        one, other = np.unravel_index(means.argmax(), means.shape)
        alone, rest, whole = means[one, 0], means[0, other], means[one, other]
        true = {
            "model": means[model, 0], "data": means[0, data], "difference": means[0, data] - means[model, 0],
            "interaction": means[model, data] - means[model, 0] - means[0, data],
            "shapley model": (alone + whole - rest) / 2, "shapley data": (rest + whole - alone) / 2,
        }  # fmt: skip
        parts = squares(means)
        if parts.sum():
            cells = parts / means.size
            noise = COMMON**2 + TRAINING**2
            true |= {f"eta2 {name}": part for name, part in zip(TERMS, parts / parts.sum(), strict=True)}
            true |= {f"omega2 {name}": part for name, part in zip(TERMS, cells / (cells.sum() + noise), strict=True)}
        return {name: float(value) for name, value in true.items()}


TERMS = ("model", "data", "interaction")
NULL = Truth("null", (0.0,) * 4, (0.0,) * 4)
ADDITIVE = Truth("additive", (0.5, 1.0, 1.5, 3.0), (0.5, 1.0, 2.0, 5.0))
INTERACTION = Truth("interaction", (0.5, 1.0, 1.5, 3.0), (0.5, 1.0, 2.0, 5.0), together=-2.0)
TRUTHS = (NULL, ADDITIVE, INTERACTION)


def study(
    truth: Truth, seeds: int, rng: np.random.Generator, *, alike: float, crossed: bool, shared_valid: float = 0.0
) -> Scores:
    """One study of that truth, with all pairs of a model and a strategy or with none.

    `shared_valid` is the standard deviation of an arm's validation score over the examples that all seeds share; its
    covariance is known, as where records keep predictions on validation.
    """
    grid = [(model, data) for model in ("", *MODELS[: len(truth.models)]) for data in ("", *names(truth))]
    keep = [place for place, pair in enumerate(grid) if crossed or not all(pair)]
    arms = [" ".join(filter(None, grid[place])) or "baseline" for place in keep]
    means = truth.means.ravel()[keep][:, None]
    a = len(arms)
    luck, other = rng.standard_normal((2, a, seeds)) * TRAINING
    common = COMMON * rng.standard_normal(seeds)
    test = means + common + luck + EXAMPLES * rng.standard_normal((a, 1))
    valid = means - 1 + common + alike * luck + np.sqrt(1 - alike**2) * other
    found = made(arms, test, valid, spread=EXAMPLES**2 * np.eye(a))
    if not shared_valid:
        return found
    moved = valid + shared_valid * rng.standard_normal((a, 1))
    return replace(found, valid=moved, valid_spread=shared_valid**2 * np.eye(a))


def names(truth: Truth) -> tuple[str, ...]:
    """As many strategies as the truth has gains for."""
    return STRATEGIES if len(truth.strategies) == 4 else tuple(f"clean=c{i}" for i in range(len(truth.strategies)))


def made(
    arms: Sequence[str], test: np.ndarray, valid: np.ndarray, *, spread: np.ndarray | None = None,
    reference: Sequence[str] = (), cpu_s: Sequence[float] = (), labels: Sequence[float] = (),
    left_out: tuple[str, ...] = (),
) -> Scores:  # fmt: skip
    """Scores by hand; costs are 1 second and no labels unless given."""
    a, r = test.shape
    return Scores(
        tuple(arms), tuple(levels_in(arm) for arm in arms), tuple("negative_control" * (arm in reference) for arm in arms), tuple(range(r)), test,
        valid, np.array(cpu_s or [1.0] * a), np.array(labels or [0.0] * a),
        np.zeros((a, a)) if spread is None else spread, 500, left_out,
    )  # fmt: skip


def answers(found: Attribution) -> dict[str, Estimate]:
    """The estimates of an attribution, under the names of the true quantities."""
    rungs = found.ladder
    assert rungs is not None
    told: dict[str, Estimate | None] = {
        "model": rungs.model.effect, "data": rungs.data.effect, "difference": rungs.difference,
        "interaction": rungs.interaction,
    }  # fmt: skip
    told |= {f"shapley {name}": found.shapley.get(name) for name in ("model", "data")}
    told |= {f"eta2 {name}": one for name, one in found.eta2.items()}
    told |= {f"omega2 {name}": one for name, one in found.omega2.items()}
    return {name: one for name, one in told.items() if one is not None}


def held(one: Estimate, true: float) -> bool:
    """Whether the interval holds the truth; to rounding, for intervals without a width."""
    return one.low - 1e-9 <= true <= one.high + 1e-9


def simulated(
    truth: Truth, seeds: int, studies: int, *, alike: float = ALIKE, crossed: bool = True, draws: int = 200
) -> Iterator[Attribution]:
    """Attributions of studies of that truth."""
    rng = stream(0, "known truth", truth.name, str(seeds), str(alike))
    for _ in range(studies):
        yield attribute(study(truth, seeds, rng, alike=alike, crossed=crossed), draws=draws, rng=rng)


REDRAWN, HELD_FIXED = "redrawn", "held fixed"
ALIKE_STUDIES = 200
"""Studies for each line of the table in the docs."""


def validated_alike(truth: Truth, seeds: int, studies: int, *, draws: int = 200) -> Mapping[str, list[Attribution]]:
    """Attributions of studies whose seeds all validate on the same rows: with these redrawn, and held fixed."""
    rng, found = stream(0, "validated alike", truth.name, str(seeds)), {REDRAWN: [], HELD_FIXED: []}
    for number in range(studies):
        one = study(truth, seeds, rng, alike=ALIKE, crossed=True, shared_valid=SHARED_VALID)
        for name, scores in ((REDRAWN, one), (HELD_FIXED, replace(one, valid_spread=None))):
            again = stream(0, "validated alike", "draws", str(number))
            found[name].append(attribute(scores, draws=draws, rng=again))
    return found


def validated_rates(truth: Truth, seeds: int, found: Mapping[str, Sequence[Attribution]]) -> pd.DataFrame:
    """One row a quantity and way: percent of studies whose interval holds the truth, and whose interval excludes 0.

    The difference is that of the best arms of both sides; gains of one side are of the arm that validation chose.
    """
    true, rows = truth.quantities(), []
    for way, many in found.items():
        for name in DEPENDING:
            some = [one for each in many if (one := _estimate(each, name)) is not None]
            covered = 100 * float(np.mean([held(one, true[name]) for one in some]))
            some_exclude = 100 * float(np.mean([one.low > 0 or one.high < 0 for one in some]))
            rows.append({"way": way, "quantity": name, "coverage": covered, "excludes_0": some_exclude})
    return pd.DataFrame(rows).assign(truth=truth.name, seeds=seeds)


DEPENDING = ("difference", "interaction", "shapley model", "shapley data")
"""What depends on which arm is truly the best."""


def _estimate(one: Attribution, name: str) -> Estimate | None:
    assert one.ladder is not None
    return one.ladder.at_best if name == "difference" else answers(one).get(name)


def rates(truth: Truth, seeds: int, found: Sequence[Attribution]) -> pd.DataFrame:
    """One row a quantity: `coverage` and `false_positive` in percent.

    `false_positive` is how often an interval leaves out 0 although 0 is true, nan where it is not; for the quantity
    `verdict` how often a winner is named where the true difference is 0.
    """
    true = truth.quantities()
    told = [answers(one) for one in found]
    rows = []
    for name, value in true.items():
        intervals = [one[name] for one in told if name in one]
        if not intervals:
            continue
        covered = 100 * float(np.mean([held(one, value) for one in intervals]))
        rows.append({"quantity": name, "coverage": covered, "false_positive": np.nan if value else 100 - covered})
    named = 100 * float(np.mean([one.verdict is not None and one.verdict.word != "undecided" for one in found]))
    rows.append({"quantity": "verdict", "coverage": np.nan, "false_positive": np.nan if true["difference"] else named})
    return pd.DataFrame(rows).assign(truth=truth.name, seeds=seeds)[COLUMNS]


COLUMNS = ["truth", "seeds", "quantity", "coverage", "false_positive"]


def words(found: Sequence[Attribution]) -> Mapping[str, float]:
    """How often each word is the verdict, in percent."""
    said = [one.verdict.word for one in found if one.verdict is not None]
    return {word: 100 * said.count(word) / len(said) for word in ("data", "model", "undecided")}
