"""Simulations in, `docs/statistics.md` with its numbers and figures out; `python tests/statistics_docs.py` writes them.

All simulations have streams of their own by name, so a number is the same each time and each can be made alone. The
numbers stand in `docs/statistics.csv`; page and figures are made from that file. It takes some minutes, most of them
for the 2,000 real trials of `tests/test_null.py`. `tests/statistics_code.json` holds a digest of the code behind the
numbers, so that a test can say whether they are still this code's numbers without simulating everything again.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import rates_figure

sys.path += [str(Path(__file__).parent / folder) for folder in ("analysis", "run")]  # as pytest's settings have them

import test_null
from answered_examples import DIFFERENT, EQUAL, Setting, outcomes
from known_truth import (
    ADDITIVE,
    ALIKE_STUDIES,
    HELD_FIXED,
    INTERACTION,
    REDRAWN,
    TRUTHS,
    Truth,
    rates,
    simulated,
    validated_alike,
    validated_rates,
)
from scipy.stats import binom, norm
from test_new_training_sets import POOLS, SPLIT_STUDIES, WIDTHS, Pool
from test_new_training_sets import held as held_by_split
from test_simulation import ARM, CONTROL, MIXED, REGIMES, SIMULATIONS, Regime, linear_errors
from test_simulation import SEEDS as SEEDS_VARY
from test_stopping import held, normal_studies
from test_variance import TRUTH, true_parts
from test_variance import simulated as components_simulated
from test_verdict_simulation import MANY

from harness.analysis.effects import effect_p_value, variances
from harness.analysis.power import level_of_looks, looks
from harness.analysis.significance import holm
from harness.report.figures.style import as_files
from harness.streams import stream

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = ["part", "kind", "setting", "seeds", "rate", "nominal", "simulations"]
SEEDS = (2, 3, 5, 10, 20)
FEWER = (3, 5, 10, 20)
N, STUDIES, FAMILIES, STOPPED, PARTS = 300, 300, 1000, 1000, 1000
HELD, FALSE = "coverage", "false positives"
GAINS = ("model", "data", "difference", "interaction", "shapley model", "shapley data")
"""What the figure of attribution shows; the table has all."""
Rows = list[tuple[str, str, str, int, float, float, int]]


def effects_rows(regimes: Sequence[Regime] = REGIMES, seeds: Sequence[int] = SEEDS) -> Rows:
    """Intervals of an effect: how often they hold it, and how often nothing is called."""
    found: Rows = []
    for regime in regimes:
        for r in seeds:
            for kind, accuracies in ((HELD, (ARM, CONTROL)), (FALSE, (CONTROL, CONTROL))):
                errors = np.array(list(linear_errors(regime, r, N, accuracies, SIMULATIONS)))
                inside = float(np.mean(np.abs(errors[:, 0]) <= errors[:, 1]))
                rate, nominal = (inside, 0.95) if kind == HELD else (1 - inside, 0.05)
                found.append(("effects", kind, regime.name, r, rate, nominal, SIMULATIONS))
    return found


def family_rows(regimes: Sequence[Regime] = (SEEDS_VARY, MIXED), seeds: Sequence[int] = FEWER) -> Rows:
    """Studies of ten arms of nothing against one control: how often anything is called, by p and by Holm's."""
    found: Rows = []
    for regime in regimes:
        for r in seeds:
            rng, calls = stream(0, "statistics", "families", regime.name, str(r)), np.zeros(2)
            for _ in range(FAMILIES):
                p = _family(regime, r, rng)
                calls += [(p < 0.05).any(), (holm(p) < 0.05).any()]
            for word, count in zip(("unadjusted", "Holm"), calls, strict=True):
                found.append(("ten arms", FALSE, f"{regime.name}, {word}", r, count / FAMILIES, 0.05, FAMILIES))
    return found


def _family(regime: Regime, r: int, rng: np.random.Generator) -> np.ndarray:
    """The p-values of ten arms that differ from their one control in noise alone, scored on shared test examples."""
    rest = np.sqrt(1 - regime.hard - regime.taste - regime.seed)
    score = np.sqrt(regime.hard) * rng.standard_normal((1, 1, N)) + rest * rng.standard_normal((11, r, N))
    score += np.sqrt(regime.taste) * rng.standard_normal((11, 1, N))
    score += np.sqrt(regime.seed) * rng.standard_normal((11, r, 1))
    right = 100.0 * (score < norm.ppf(CONTROL))
    gains = right[1:] - right[0]
    return np.array([effect_p_value(float(g.mean()), variances(g.mean(1), np.cov(g) / N, N)) for g in gains])


def attribution_rows(truths: Sequence[Truth] = TRUTHS, seeds: Sequence[int] = FEWER) -> Rows:
    """Attribution of crossed studies of known truth."""
    found: Rows = []
    for truth in truths:
        for r in seeds:
            for row in rates(truth, r, list(simulated(truth, r, STUDIES))).itertuples():
                for kind, rate, nominal in ((HELD, row.coverage, 0.95), (FALSE, row.false_positive, 0.05)):
                    if np.isfinite(rate):
                        setting = f"{truth.name}: {row.quantity}"
                        found.append(("attribution", kind, setting, r, rate / 100, nominal, STUDIES))
    return found


RIGHT, WINNERS = "right", "false winners"
INTERVALS = {"verdict": "the verdict", "pair": "the chosen pair alone", "redraws": "choice in redraws"}
ANSWERS = {"by validation": "chosen on other seeds", "at best": "best arms of both"}


def verdict_rows(
    settings: Sequence[Setting] = (*DIFFERENT, *EQUAL), seeds: Sequence[int] = (3, 5, 10), number: int = MANY
) -> Rows:
    """Verdicts of studies simulated example by example: how often they are right, or name a winner of equals."""
    found: Rows = []
    for setting in settings:
        for r in seeds:
            seen = outcomes(setting, r, number)
            word, rate, nominal = (RIGHT, seen.right, 1.0) if setting.difference else (WINNERS, seen.named, 0.05)
            found += [
                ("verdict", f"{word}, {name}", setting.name, r, rate(name) / 100, nominal, number) for name in INTERVALS
            ]
            found += [
                ("verdict", f"{HELD}, {name}", setting.name, r, seen.coverage(name) / 100, 0.95, number)
                for name in ANSWERS
            ]
    return found


SURE = "excludes 0"
WAYS = {
    f"{HELD}, {REDRAWN}": "held, redrawn", f"{HELD}, {HELD_FIXED}": "held, held fixed",
    f"{SURE}, {REDRAWN}": "excludes 0, redrawn", f"{SURE}, {HELD_FIXED}": "excludes 0, held fixed",
}  # fmt: skip


def validation_rows(
    truths: Sequence[Truth] = (ADDITIVE, INTERACTION), seeds: Sequence[int] = (3, 5, 10), number: int = ALIKE_STUDIES
) -> Rows:
    """Attribution of studies whose seeds all validate on the same rows, which are redrawn or held fixed."""
    found: Rows = []
    for truth in truths:
        for r in seeds:
            for row in validated_rates(truth, r, validated_alike(truth, r, number)).itertuples():
                setting = f"{truth.name}: {row.quantity}"
                found.append(("validation", f"{HELD}, {row.way}", setting, r, row.coverage / 100, 0.95, number))
                found.append(("validation", f"{SURE}, {row.way}", setting, r, row.excludes_0 / 100, 1.0, number))
    return found


def new_set_rows(some: Sequence[Pool] = POOLS, seeds: Sequence[int] = (3, 5, 10), number: int = SPLIT_STUDIES) -> Rows:
    """Intervals of seeds that split one pool: how often they hold the effect of a new training set."""
    return [
        ("new training sets", f"{HELD}, {name}", pool.name, r, rate / 100, 0.95, number)
        for pool in some
        for r in seeds
        for name, rate in held_by_split(pool, r, number).items()
    ]


def stopping_rows(effects: Sequence[float] = (0.0, 0.8), luck: Sequence[float] = (0.0, 0.05)) -> Rows:
    """Studies that look at 3, 6, 12, 24 and 48 seeds and stop when an interval leaves 0 out, or never.

    `luck` are variances from test examples that all seeds share; that of a single seed is 1.
    """
    found: Rows = []
    sizes = looks(3, 48)
    for effect in effects:
        for shared in luck:
            studies = normal_studies(sizes, effect, shared, STOPPED)
            for words, level in (("95 %", 0.95), ("99 %", level_of_looks(len(sizes)))):
                rate = held(studies, effect, level=level, half_width=1e-9) / 100
                where = "seeds alone" if shared == 0 else "a shared test set"
                setting = f"effect {effect:g} sd, {where}, {words} a look"
                found.append(("stopping", HELD, setting, sizes[-1], rate, 0.95, STOPPED))
    return found


def component_rows(seeds: Sequence[int] = (3, 6, 20)) -> Rows:
    """Intervals of the components of a variance."""
    found: Rows = []
    for r in seeds:
        table = components_simulated(TRUTH, r=r, m=2, studies=PARTS)
        for name in true_parts(TRUTH):
            rate = float(table.loc[name, "coverage"]) / 100
            found.append(("components", HELD, name, r, rate, 0.95, PARTS))
    return found


def trial_rows(folder: Path) -> Rows:
    """Real trials against themselves with other random streams."""
    found = test_null.comparisons(folder)
    return [*test_null.outcome(found), *test_null.outcome(found[: test_null.SAMPLE], test_null.OF_SAMPLE)]


SIMULATED: dict[str, Callable[[], Rows]] = {
    "effects": effects_rows, "ten arms": family_rows, "attribution": attribution_rows, "stopping": stopping_rows,
    "components": component_rows, "verdict": verdict_rows, "validation": validation_rows,
    "new training sets": new_set_rows,
}  # fmt: skip
"""What needs no trial; equal on every machine but for the rounding of its libraries."""


CODE = Path(__file__).with_name("statistics_code.json")
_BEHIND = ("harness/analysis", "harness/arm.py", "harness/metrics.py", "harness/streams.py", "tests")
"""Where the code lies that a simulated number depends on."""
_APART = ("conftest", "invoke", "rates_figure", "test_null", "test_power", "test_trial")
"""What the simulations do not run: real trials, figures, what other tests in the same modules use."""


def code_digests() -> dict[str, str]:
    """Returns a digest of each module behind the simulations, by its path; docstrings and comments do not count."""
    seen: dict[str, str] = {}
    todo = [Path(__file__)]
    while todo:
        path = todo.pop()
        name = str(path.relative_to(ROOT))
        if name not in seen and name.startswith(_BEHIND) and path.stem not in _APART:
            tree = ast.parse(path.read_text())
            seen[name] = hashlib.sha256(ast.dump(_without_docstrings(tree)).encode()).hexdigest()[:16]
            todo += [found for module in _imported(tree) if (found := _file_of(module))]
    return dict(sorted(seen.items()))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        for statement in getattr(node, "body", []) if not isinstance(node, ast.Lambda | ast.IfExp) else []:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                statement.value.value = ""
    return tree


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file_of(module: str) -> Path | None:
    """Returns the file of a module of the product or of its tests, None for anything else."""
    inside = Path(*module.split(".")).with_suffix(".py")
    places = [ROOT / inside, *(ROOT / "tests" / folder / inside for folder in ("", "analysis", "run"))]
    return next((place for place in places if place.is_file()), None)


def table(rows: Rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


def as_csv(rates: pd.DataFrame) -> bytes:
    """The numbers as the file keeps them."""
    return rates.to_csv(index=False, float_format="%.6f").encode()


def rendered(rates: pd.DataFrame) -> dict[str, bytes]:
    """Page and figures from the numbers of the file."""
    return {"statistics.md": page(rates).encode(), **drawn(rates)}


def drawn(rates: pd.DataFrame) -> dict[str, bytes]:
    """The two figures."""
    effects = rates[rates["part"] == "effects"]
    gains = rates[(rates["part"] == "attribution") & (rates["kind"] == HELD)]
    split = gains["setting"].str.split(": ", n=1, expand=True)
    gains = gains.assign(kind=split[0], setting=split[1])
    made = {
        "statistics_effects.png": as_files(rates_figure.draw)(
            effects, title="Intervals of an effect, simulated", note=f"{SIMULATIONS:,} simulations a point, {N} test "
            "examples. Lines: where the variance comes from; the last two draw a test set of its own for each seed.",
        ),
        "statistics_attribution.png": as_files(rates_figure.draw)(
            gains[gains["setting"].isin(GAINS)], title="Intervals of an attribution, simulated: coverage by truth",
            note=f"{STUDIES} studies a point: four models and four strategies, crossed. What is chosen is part of each "
            "interval: coverage is of what is truly best.",
        ),
    }  # fmt: skip
    return {name: kinds["png"] for name, kinds in made.items()}


def page(rates: pd.DataFrame) -> str:
    """The page, its tables filled from the numbers."""

    def of(part: str, kind: str) -> pd.DataFrame:
        return rates[(rates["part"] == part) & (rates["kind"] == kind)]

    blocks = {
        "EFFECTS_HELD": crossed(of("effects", HELD)), "EFFECTS_FALSE": crossed(of("effects", FALSE)),
        "FAMILIES": crossed(of("ten arms", FALSE)), "ATTRIBUTION_HELD": crossed(of("attribution", HELD)),
        "ATTRIBUTION_FALSE": crossed(of("attribution", FALSE)), "STOPPING": listed(of("stopping", HELD)),
        "COMPONENTS": crossed(of("components", HELD)), "TRIALS": trials_text(of("real trials", FALSE)),
        "LOW_EFFECTS": lowest(of("effects", HELD)), "LOW_ATTRIBUTION": lowest(of("attribution", HELD)),
        "VERDICT_RIGHT": beside(rates, RIGHT, INTERVALS), "VERDICT_FALSE": beside(rates, WINNERS, INTERVALS),
        "VERDICT_HELD": beside(rates, HELD, ANSWERS), "VALIDATION": in_columns(rates, "validation", WAYS),
        "NEW_SETS": in_columns(rates, "new training sets", {f"{HELD}, {name}": name for name in WIDTHS}),
        "HIGH_EFFECTS": f"{100 * of('effects', FALSE)['rate'].max():.1f}",
        "HIGH_ATTRIBUTION": f"{100 * of('attribution', FALSE)['rate'].max():.1f}",
    }  # fmt: skip
    text = (ROOT / "tests" / "statistics_page.md").read_text()
    for name, block in blocks.items():
        text = text.replace(f"{{{name}}}", block)
    return text


def lowest(rates: pd.DataFrame) -> str:
    """The least of the rates and where it stands."""
    row = rates.loc[rates["rate"].idxmin()]
    return f"{100 * row['rate']:.1f} % ({row['setting']}, {row['seeds']} seeds)"


def crossed(rates: pd.DataFrame) -> str:
    """Settings by seeds, in percent; the band of the simulation's own sampling noise in the last column."""
    seeds = sorted(rates["seeds"].unique())
    lines = [_row("simulated", *(f"{r} seeds" for r in seeds), "band"), _row(":--", *["--:"] * (len(seeds) + 1))]
    for setting, rows in rates.groupby("setting", sort=False):
        by = dict(zip(rows["seeds"], rows["rate"], strict=True))
        cells = (f"{100 * by[r]:.1f}" if r in by else "" for r in seeds)
        lines.append(_row(setting, *cells, band(rows.iloc[0])))
    return "\n".join(lines)


def beside(rates: pd.DataFrame, kind: str, columns: Mapping[str, str]) -> str:
    """Verdicts: one row a setting and number of seeds, one column an interval, in percent."""
    return in_columns(rates, "verdict", {f"{kind}, {name}": words for name, words in columns.items()})


def in_columns(rates: pd.DataFrame, part: str, columns: Mapping[str, str]) -> str:
    """One row a setting and number of seeds of a part, one column a kind, in percent."""
    mine = rates[(rates["part"] == part) & rates["kind"].isin(list(columns))]
    wide = mine.pivot_table(index=["setting", "seeds"], columns="kind", values="rate", sort=False)
    lines = [_row("simulated", "seeds", *columns.values()), _row(":--", "--:", *["--:"] * len(columns))]
    for (setting, seeds), row in wide.iterrows():  # type: ignore[misc]
        lines.append(_row(setting, seeds, *(f"{100 * row[name]:.1f}" for name in columns)))
    return "\n".join(lines)


def listed(rates: pd.DataFrame) -> str:
    """A setting a row, in percent."""
    head = [_row("simulated", "coverage", "band"), _row(":--", "--:", "--:")]
    rows = (rates.loc[place] for place in rates.index)
    return "\n".join([*head, *(_row(row["setting"], f"{100 * row['rate']:.1f}", band(row)) for row in rows)])


def band(row: pd.Series) -> str:
    """Where 95 % of simulated rates fall if the true one is the nominal one."""
    low, high = (100 * binom.ppf(q, row["simulations"], row["nominal"]) / row["simulations"] for q in (0.025, 0.975))
    return f"{low:.1f} to {high:.1f}"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def trials_text(rates: pd.DataFrame) -> str:
    """What the A/A study on real trials found, in sentences."""
    told = {
        row["setting"]: (round(row["rate"] * row["simulations"]), row["simulations"]) for _, row in rates.iterrows()
    }
    (called, n), (adjusted, _), (calling, studies), (blind, _) = list(told.values())[:4]
    low, high = test_null.region()
    return "\n".join([
        f"- **{called} of {n} comparisons of equals have p < 0.05** ({100 * called / n:.1f} %), that is an interval "
        f"without 0. At a true rate of 5 % there are {n // 20} on average, and {n - high} to {n - low} in 99.9 % of "
        "such studies.",
        f"- A leaderboard adjusts p-values: treated as {studies} studies of {test_null.ARMS} arms, **{adjusted} "
        f"of {n} comparisons and {calling} of {studies} studies have an adjusted p < 0.05**.",
        f"- Intervals over test examples alone, which ignore retraining, would exclude 0 in {blind} of the same {n} "
        f"({100 * blind / n:.1f} %): this study does detect intervals that are too narrow.",
    ])  # fmt: skip


def write(folder: Path) -> Iterator[Path]:
    """Runs everything and writes the numbers, the page and the figures."""
    with tempfile.TemporaryDirectory() as place:
        rows = [row for make in SIMULATED.values() for row in make()] + trial_rows(Path(place))
    content = as_csv(table(rows))
    (folder / "statistics.csv").write_bytes(content)
    CODE.write_text(json.dumps(code_digests(), indent=1) + "\n")
    for name, made in rendered(read(folder)).items():
        (folder / name).write_bytes(made)
        yield folder / name


def read(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "statistics.csv")


if __name__ == "__main__":
    if sys.argv[1:2] == [
        "page"
    ]:  # only what is made from the numbers that are there, in another folder if one is named
        for name, made in rendered(read(ROOT / "docs")).items():
            (Path(sys.argv[2] if sys.argv[2:] else ROOT / "docs") / name).write_bytes(made)
    else:
        for path in write(ROOT / "docs"):
            print(path)
