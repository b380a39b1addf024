"""Intervals for a new training set: by hand, against models whose truth is known, and where they do not apply."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from scipy.stats import t as student
from studies import keep, made_test_set, record, shown

from harness.analysis.effects import Effect, Variances, estimate_effects
from harness.analysis.new_training_sets import MOST_SHARED, NewSets, find_shared, new_set_notes, widened, with_new_sets
from harness.analysis.significance import nadeau_bengio
from harness.errors import BadInput
from harness.storage.store import Record, Store
from harness.streams import stream

SPLIT_STUDIES = 300
"""Studies for each line of the table in the docs."""
WIDTHS = ("the splits alone", "n_test / n_train", "shared training rows")


@dataclass(frozen=True)
class Pool:
    """How many rows a pool has, and on how many of them each seed trains."""

    rows: int
    train: int

    @property
    def name(self) -> str:
        return f"{self.train} of {self.rows} rows"

    @property
    def shared(self) -> float:
        """The share of its training rows that a seed shares with another, on average."""
        return self.train / self.rows


POOLS = (Pool(200, 160), Pool(200, 100), Pool(400, 100))
FEATURES, POPULATION = 10, 4000


def drawn(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two classes with correlated features, (n, FEATURES), and their classes."""
    mixing = stream(0, "new training sets", "mixing").standard_normal((FEATURES, FEATURES)) / 3 + np.eye(FEATURES) / 2
    y = rng.integers(2, size=n)
    return rng.standard_normal((n, FEATURES)) @ mixing + 0.6 * y[:, None] * (np.arange(FEATURES) < 3), y


def accuracy(x: np.ndarray, y: np.ndarray, ridge: float, test: tuple[np.ndarray, np.ndarray]) -> float:
    """Of a linear discriminant; a large ridge makes it a nearest centroid."""
    low, high = x[y == 0].mean(0), x[y == 1].mean(0)
    rest = np.concatenate([x[y == 0] - low, x[y == 1] - high])
    slope = np.linalg.solve(rest.T @ rest / len(rest) + ridge * np.eye(FEATURES), high - low)
    return 100 * float(np.mean(((test[0] - (low + high) / 2) @ slope > 0) == test[1]))


def delta(x: np.ndarray, y: np.ndarray, test: tuple[np.ndarray, np.ndarray]) -> float:
    """The discriminant's accuracy minus the centroid's, in points."""
    return accuracy(x, y, 0.01, test) - accuracy(x, y, 1e3, test)


def pools(pool: Pool, seeds: int, studies: int) -> Iterator[np.ndarray]:
    """The errors of the mean delta over seeds, and half the widths of three intervals; test rows are very many."""
    rng = stream(0, "new training sets", pool.name, str(seeds))
    test = drawn(POPULATION, rng)
    truth = np.mean([delta(*drawn(pool.train, rng), test) for _ in range(1000)])
    for _ in range(studies):
        x, y = drawn(pool.rows, rng)
        some = [rng.choice(pool.rows, pool.train, replace=False) for _ in range(seeds)]
        deltas = np.array([delta(x[rows], y[rows], test) for rows in some])
        textbook = (pool.rows - pool.train) / pool.rows  # all rows that a seed does not train on are for testing
        variance, t = deltas.var(ddof=1) / seeds, student.ppf(0.975, seeds - 1)
        halves = [t * np.sqrt(nadeau_bengio(variance, seeds, rho)) for rho in (0.0, textbook, pool.shared)]
        yield np.array([abs(deltas.mean() - truth), *halves])


def held(pool: Pool, seeds: int, studies: int) -> dict[str, float]:
    """How often each interval holds the effect of a new training set, in percent."""
    found = np.array(list(pools(pool, seeds, studies)))
    return {name: 100 * float(np.mean(found[:, 0] <= found[:, at])) for at, name in enumerate(WIDTHS, 1)}


def test_shared_training_rows_widen_an_interval_to_one_for_a_new_set() -> None:
    found = held(POOLS[0], 5, 150)
    assert found["the splits alone"] <= 75
    assert found["n_test / n_train"] <= 92
    assert found["shared training rows"] >= 95 - 260 * np.sqrt(0.05 * 0.95 / 150)


def test_table_of_new_training_sets() -> None:
    """What `make statistics` simulated, by this code."""
    table = pd.read_csv(ROOT / "docs" / "statistics.csv").query("part == 'new training sets'")
    wide = table.pivot_table(index=["setting", "seeds"], columns="kind", values="rate")
    assert (table["simulations"] == SPLIT_STUDIES).all()
    assert wide.shape == (9, 3)
    assert (wide["coverage, shared training rows"] >= 0.95 - 2.6 * np.sqrt(0.05 * 0.95 / SPLIT_STUDIES)).all()
    assert wide.loc[(POOLS[0].name, 10), "coverage, n_test / n_train"] < 0.8


def test_the_variance_by_hand() -> None:
    """s² / r of 0.5 with 4 seeds that share half: 2 (1 / 4 + 1)."""
    assert nadeau_bengio(0.5, 4, 0.5) == pytest.approx(2.5)
    assert nadeau_bengio(0.5, 4, 0.0) == 0.5
    with pytest.raises(BadInput, match="a correlation of 1"):
        nadeau_bengio(0.5, 4, 1.0)


def test_the_wider_interval_includes_the_other_one() -> None:
    """The interval for this pool may have a floor that the parts of the variance do not show."""
    assert widened(-1.0, 2.0, 0.5, Variances(0.0, 0.01, 0.01, 5, 400), 0.5, 0.95) == (-1.0, 2.0)
    low, high = widened(-1.0, 2.0, 0.5, Variances(1.0, 0.0, 0.01, 5, 400), 0.5, 0.95)
    half = student.ppf(0.975, 4) * np.sqrt(1 + 5)
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half))


def records(store: Store, seeds: int, shared: float | None) -> list[Record]:
    """A control and an arm that are scored on test rows of their own for each seed."""
    made = []
    for seed in range(seeds):
        test = made_test_set(400, 2)
        for arm, right in (("baseline", 0.7), ("clean=a", 0.8)):
            one = record(store, arm, seed, shown(test, right, arm, str(seed)), test)
            facts = one["facts"] | ({} if shared is None else {"train_shared": shared})
            made.append(one | {"facts": facts})
    return keep(store, made)


def effects_of(folder: Path, seeds: int, shared: float | None) -> tuple[list[Effect], NewSets]:
    store = Store(folder / "study")
    kept = records(store, seeds, shared)
    found = find_shared(kept)
    return with_new_sets(estimate_effects(kept, store.test_set, kept), found), found


def test_an_effect_has_both_intervals(tmp_path: Path) -> None:
    (_, arm), found = effects_of(tmp_path, 5, 0.6)
    assert found.shared == pytest.approx(0.6)
    assert found.reason == ""
    assert arm.interval is not None
    assert arm.interval.variances is not None
    assert arm.new_set is not None
    parts = arm.interval.variances
    half = np.hypot(
        student.ppf(0.975, 4) * np.sqrt(parts.seeds * (1 + 5 * 1.5)), student.ppf(0.975, 399) * np.sqrt(parts.shared)
    )
    assert arm.new_set == pytest.approx((arm.interval.effect - half, arm.interval.effect + half))
    (note,) = new_set_notes([arm], found)
    assert "about this pool of rows, its splits and seeds." in note
    assert "a new training set of this size are wider" in note
    assert "share 60 % of their training rows" in note
    clear, still = (not low <= 0 <= high for low, high in ((arm.interval.low, arm.interval.high), arm.new_set))
    assert (f"exclude 0 for {int(still)} of the {int(clear)} arms" in note) == clear


@pytest.mark.parametrize(
    ("seeds", "shared", "why"),
    [
        (1, 0.6, "with one seed there is one training set"),
        (3, None, "not all records say how many training rows two seeds share"),
        (3, 1.0, "all seeds train on the same rows"),
        (3, MOST_SHARED + 0.02, "seeds share 92 % of their training rows"),
    ],
)
def test_where_it_does_not_apply_the_reason_is_given(
    seeds: int, shared: float | None, why: str, tmp_path: Path
) -> None:
    found, sets = effects_of(tmp_path, seeds, shared)
    assert [one.new_set for one in found] == [None, None]
    (note,) = new_set_notes(found, sets)
    assert note.startswith("No interval for a new training set of this size (Nadeau and Bengio 2003): ")
    assert why in note
