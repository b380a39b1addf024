"""Figures from made-up frames: numbers by hand, the same bytes, nothing cut or on top of another, and nothing at all."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import rates_figure
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from pictures import shown_in
from scipy.stats import binom
from studies import keep, large, levels_in, made_test_set, record, shown

from harness.analysis.attribution import Attribution, Estimate, Ladder, Omitted, Step, Verdict
from harness.analysis.effects import estimate_effects
from harness.analysis.records import join
from harness.analysis.scores import Redraws, Scores
from harness.analysis.study import gather
from harness.report import figures
from harness.report.figures import answer, budget, cells, classes, components, costs, style, training
from harness.report.figures.placing import overlaps, spots
from harness.report.figures.scales import from_zero, linear_scale, logarithmic
from harness.storage.store import Store
from harness.streams import stream

ROOT = Path(__file__).resolve().parents[2]
NOTE = "Means over 5 seeds × 450 test examples with 95 % intervals."
HOSTILE = r"model=a|b_*c* $x^2$ {\em} 100%&#~<b>`c`" + "\n漢字 ütf−8 \\input{x}"
LONG = "clean=a_strategy_with_a_name_that_goes_on_for_ever_and_a_day clean.probe=and_its_probe_as_well clean.k="
SIZES = ["one", "some", "forty", "hostile"]
TALL = [("heatmap", "forty"), ("variance_components", "forty")]
"""Not meant for a page: forty components, and twenty models on twenty data sets."""


def names(size: str) -> list[str]:
    """Arms of every kind, as many as the case asks for."""
    some = ["weak=label_model", "model=random_forest", "weak=random_vote", "model=resnet8 weak=label_model"]
    more = [f"model=network_{i}" if i % 2 else f"clean=oracle clean.k={i}" for i in range(36)]
    return {"one": some[:1], "some": some, "forty": [*some, *more], "hostile": [HOSTILE, LONG + "1", LONG + "2", "  "]}[
        size
    ]


def axis_of(arm: str) -> str:
    return "both" if "model=" in arm and "weak=" in arm else "model" if "model=" in arm else "data"


def heat_case(size: str) -> tuple[Callable[..., Figure], pd.DataFrame, dict[str, Any]]:
    rng = stream(0, "heat")
    models = ["", *[arm for arm in names(size) if axis_of(arm) == "model"]]
    datas = ["", *[arm for arm in names(size) if axis_of(arm) == "data"]]
    made = [(model, data, *rng.normal(size=2)) for model, data in itertools.product(models, datas)]
    rows = [
        {"model": m, "data": d, "score": 75 + 5 * a, "effect": 5 * a, "interaction": b if m and d else np.nan,
         "low": b - 1, "high": b + 1}
        for m, d, a, b in made if not (m and d and a < -0.5)
    ]  # fmt: skip
    return cells.draw, pd.DataFrame(rows), {"metric": "balanced_accuracy", "shown": "score"}


def answer_case(size: str) -> tuple[Callable[..., Figure], pd.DataFrame, dict[str, Any]]:
    frame = figures.attribution_frame(attributed(names(size)), {})
    return answer.draw, frame, {"about": f"Data wins by 8.2 points: {names(size)[0]}."}


def cost_case(size: str) -> tuple[Callable[..., Figure], pd.DataFrame, dict[str, Any]]:
    rng = stream(0, "cost")
    rows = [("baseline", "none", False, 0.0, 0.0, 0.0, 1.0, 0.0)]
    for place, arm in enumerate(names(size)):
        gain = rng.normal(4, 3)
        paid = 50.0 * place if "k=" in arm else 0.0
        rows.append((arm, axis_of(arm), "random" in arm, gain, gain - 1.5, gain + 1.5, 10 ** rng.normal(0, 0.6), paid))
    return costs.draw, pd.DataFrame(rows, columns=costs.COLUMNS), {"metric": "accuracy"}


def budget_case(size: str) -> tuple[Callable[..., Figure], pd.DataFrame, dict[str, Any]]:
    rows = [
        (arm, "random" in arm, k, 75 + gain, 74 + gain, 76 + gain)
        for place, arm in enumerate(names(size)[:12]) for k in (50, 100, 400) for gain in [(4 + place) * k / 200]
    ]  # fmt: skip
    return (
        budget.draw,
        pd.DataFrame(rows, columns=budget.COLUMNS),
        {"metric": "accuracy", "baseline": 75.0, "clean": 85.0},
    )


def training_case(size: str) -> tuple[Callable[..., Figure], pd.DataFrame, dict[str, Any]]:
    rng = stream(0, "training")
    rows = [
        (arm, style.heading(axis_of(arm), ("weak",)), "random" in arm, seed, step, 90 - 1000 / step + rng.normal())
        for arm in ["baseline", *names(size)] for seed in range(3) for step in range(20 + seed, 400, 60)
    ]  # fmt: skip
    lost = [("model=fitted_at_once", "model", False, 0, np.nan, np.nan)]
    return training.draw, pd.DataFrame([*rows, *lost], columns=training.COLUMNS), {"unit": "validation accuracy, %"}


def component_case(size: str) -> tuple[Callable[..., Figure], pd.DataFrame, dict[str, Any]]:
    rows = [(name, 1.0 + place, 0.5 + place / 2, 3.0 + 2 * place) for place, name in enumerate(names(size))]
    return components.draw, pd.DataFrame(rows, columns=["name", "value", "low", "high"]), {"unit": "points"}


def slice_case(size: str) -> tuple[Callable[..., Figure], pd.DataFrame, dict[str, Any]]:
    rng = stream(0, "slices")
    groups = [name.replace("=", " ") for name in names(size)] if size != "one" else ["class 0"]
    rows = [
        {"slice": group, "arm": arm, "axis": axis_of(arm), "reference": "random" in arm, "delta": (m := rng.normal(2, 4)),
         "low": m - 3, "high": m + 3, "n": 45}
        for arm in names(size) for group in groups
    ]  # fmt: skip
    return classes.draw, pd.DataFrame(rows), {"metric": "accuracy"}


def rate_case(size: str) -> tuple[Callable[..., Figure], pd.DataFrame, dict[str, Any]]:
    rng = stream(0, "rates")
    rows = [
        (kind, setting, seeds, rng.binomial(500, p) / 500, p, 500)
        for kind, p in (("coverage", 0.95), ("false positives", 0.05)) for setting in names(size)[:12]
        for seeds in (2, 3, 5, 10, 20)
    ]  # fmt: skip
    columns = ["kind", "setting", "seeds", "rate", "nominal", "simulations"]
    return rates_figure.draw, pd.DataFrame(rows, columns=columns), {}


CASES: dict[str, Callable[[str], tuple[Callable[..., Figure], pd.DataFrame, dict[str, Any]]]] = {
    "heatmap": heat_case, "attribution": answer_case, "gain_against_cost": cost_case, "budget_curve": budget_case,
    "training_curves": training_case, "variance_components": component_case, "slices": slice_case,
    "coverage": rate_case,
}  # fmt: skip


def attributed(arms: list[str]) -> Attribution:
    """An attribution with a number in every place; the first arm left out changes the verdict."""

    def about(value: float) -> Estimate:
        return Estimate(float(value), value - 1.5, value + 2.0)

    ladder = Ladder(
        Step(arms[-1], about(3.8), 1.0, 0.0), Step(arms[0], about(12), 1.0, 0.0), Step(arms[0], about(13.9), 1.0, 0.0),
        about(-1.9), about(8.2), about(8.0), about(8.4),
    )  # fmt: skip
    omitted = tuple(
        Omitted(f"without {arm}", "data" if place else "undecided", about(8 - place / 9), ("", ""), arm)
        for place, arm in enumerate(arms)
    )
    return Attribution(
        ladder, {"model": about(2.7), "data": about(11.2), "weak": about(8.2), "clean": about(3)},
        {"model": Estimate(0.1, 0.02, 0.2), "data": Estimate(0.8, 0.7, 0.9), "interaction": Estimate(0.1, 0.0, 0.2)},
        {"model": Estimate(0.08, 0.0, 0.2)}, Verdict("data", about(8.2), "Data wins."), omitted, arms[0], (),
    )  # fmt: skip


@cache
def drawn(case: str, size: str) -> Figure:
    """One of the figures, at the resolution at which it is saved, everything in its place; not to be changed."""
    draw, frame, words = CASES[case](size)
    with style.house():
        figure = draw(frame, title=f"{case}: {HOSTILE if size == 'hostile' else size}", note=NOTE, **words)
        figure.set_dpi(300)
        figure.draw_without_rendering()
    return figure


def texts(figure: Figure) -> Iterator[Text]:
    """Every text that the figure shows."""
    yield from figure.texts
    for ax in figure.axes:
        yield from ax.texts
        if ax.axison:
            yield from (ax.xaxis.label, ax.yaxis.label, ax.xaxis.get_offset_text(), ax.yaxis.get_offset_text())
            for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
                low, high = sorted(limits)
                for tick, label in zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True):
                    if low <= tick <= high:
                        yield label


def said(figure: Figure) -> str:
    return " ".join(text.get_text() for text in texts(figure))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_cut_or_lies_on_another_text(case: str, size: str) -> None:
    figure = drawn(case, size)
    shown_texts = [text for text in texts(figure) if text.get_text().strip()]
    assert len(shown_texts) > 4
    boxes = np.array([text.get_window_extent().extents for text in shown_texts])
    outside = (boxes[:, :2] < -1).any(1) | (boxes[:, 2:] > np.array(figure.bbox.max) + 1).any(1)
    assert [shown_texts[one].get_text() for one in np.flatnonzero(outside)] == []
    rim = (boxes[:, 2:] - boxes[:, :2]) * [0.05, 0.125]
    low, high = boxes[:, :2] + rim, boxes[:, 2:] - rim
    touching = np.triu(((low[:, None] < high) & (low < high[:, None])).all(2), k=1)
    assert [(shown_texts[a].get_text(), shown_texts[b].get_text()) for a, b in np.argwhere(touching)] == []
    assert min(text.get_fontsize() for text in texts(figure)) >= 5.5
    assert figure.get_figwidth() in (3.4, 7.0)
    assert figure.get_figheight() < 9.2 or (case, size) in TALL


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("nothing", [pd.DataFrame(), None], ids=["no rows", "no numbers"])
def test_where_there_is_nothing_the_figure_says_why(case: str, nothing: pd.DataFrame | None) -> None:
    draw, frame, words = CASES[case]("some")
    if nothing is None:
        numbers = frame.columns[[frame[name].dtype.kind == "f" for name in frame]]
        nothing = frame.assign(**dict.fromkeys(numbers, np.nan))
    with style.house():
        figure = draw(nothing, title="a title", note=NOTE, **words)
    assert figure.axes == []
    sentence = next(text.get_text() for text in figure.texts if text.get_color() == style.WARN)
    assert sentence.split()[0] in ("There", "No", "Nothing")
    assert "a title" in said(figure)


def svg(case: str) -> str:
    draw, frame, words = CASES[case]("some")
    with style.house():
        return digest(style.save_figure(draw(frame, title=case, note=NOTE, **words), "svg"))


@pytest.mark.parametrize("case", CASES)
def test_bytes_are_the_same_again_under_another_style(case: str) -> None:
    first = svg(case)
    with mpl.rc_context({"font.size": 20, "lines.linewidth": 9, "axes.facecolor": "red", "axes.grid": True}):
        assert svg(case) == first


def every_digest() -> dict[str, str]:
    """All figures in all formats, as they are written to files."""
    found = {}
    for case, make in CASES.items():
        draw, frame, words = make("some")
        made = style.as_files(draw)(frame, title=case, note=NOTE, **words)
        assert list(made) == ["pdf", "png", "svg"]
        found |= {f"{case}.{kind}": digest(content) for kind, content in made.items()}
    return found


@pytest.mark.slow
def test_bytes_are_the_same_in_another_process_with_another_matplotlibrc(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nlines.linewidth: 9\nsavefig.dpi: 30\naxes.facecolor: red\n")
    code = "import test_figures as t; print(t.every_digest())"
    where = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "report")))
    around = {**os.environ, "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"), "PYTHONPATH": where}
    other = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=around)
    assert other.stdout.strip() == str(every_digest())


@pytest.mark.parametrize("case", CASES)
def test_a_picture_says_which_data_it_shows(case: str) -> None:
    """The same for the same data in other pixels, another for a value that moves, or a word."""
    draw, frame, words = CASES[case]("some")
    with style.house():
        figure = draw(frame, title=case, note=NOTE, **words)
        seen = style.digest_of(figure)
        assert shown_in(style.save_figure(figure, "png")) == seen
        with mpl.rc_context({"lines.antialiased": False, "savefig.dpi": 40}):
            assert style.digest_of(draw(frame, title=case, note=NOTE, **words)) == seen
        numbers = [name for name in frame.select_dtypes("number") if name not in ("seed", "seeds", "simulations")]
        other = 1 + 0.05 * (np.arange(len(frame)) % 2)  # the same factor on all would move the scales along
        moved = frame.assign(**{name: frame[name] * other for name in numbers})
        assert style.digest_of(draw(moved, title=case, note=NOTE, **words)) != seen
        assert style.digest_of(draw(frame, title=case, note="Other words.", **words)) != seen


def test_rendering_leaves_the_callers_style_alone() -> None:
    before = dict(mpl.rcParams)
    figures.variance_components(pd.DataFrame(), title="t", note="n", unit="points")
    assert dict(mpl.rcParams) == before


def scored(test: list[list[float]], levels: list[tuple[str, str]]) -> Scores:
    """Scores by hand: a row of seeds an arm, each arm a model and a data level."""
    n = len(test)
    arms = tuple(" ".join(filter(None, pair)) or "baseline" for pair in levels)
    words = tuple(levels_in(arm) for arm in arms)
    values = np.array(test, dtype=np.float64)
    return Scores(
        arms, words, ("",) * n, tuple(range(values.shape[1])), values, values, np.ones(n), np.zeros(n),
        np.zeros((n, n)), 100, (),
    )  # fmt: skip


LEVELS = [("", ""), ("model=a", ""), ("", "weak=b"), ("model=a", "weak=b"), ("", "weak=c")]


def test_the_interaction_of_a_cell_by_hand() -> None:
    scores = scored([[70, 72], [73, 73], [80, 80], [85, 87], [60, 62]], LEVELS)
    draws = np.zeros((1001, 5))
    draws[:, 3] = np.arange(1001) / 100
    frame = figures.cells_frame(scores, Redraws(draws, draws)).set_index(["model", "data"])
    assert frame["score"].tolist() == [71, 73, 80, 86, 61]
    assert frame["effect"].tolist() == [0, 2, 9, 15, -10]
    assert frame.loc[("model=a", "weak=b"), ["interaction", "low", "high"]].tolist() == pytest.approx([4, 0.25, 9.75])
    assert frame["interaction"].notna().sum() == 1
    alone = figures.cells_frame(scores.only([0, 1, 3]), None)
    assert alone["interaction"].isna().all(), "without the data's own arm there is no interaction"


def patches(ax: Axes) -> list[Rectangle]:
    return [patch for patch in ax.patches if isinstance(patch, Rectangle)]


def test_the_heat_map_hatches_what_is_missing_and_stars_what_is_clear() -> None:
    test = [[70, 72], [73, 73], [80, 80], [85, 87], [60, 62], [66, 66]]
    frame = figures.cells_frame(scored(test, [*LEVELS, ("model=d", "weak=c")]), None)
    frame.loc[3, ["low", "high"]] = (0.5, 7.5)
    with style.house():
        figure = cells.draw(frame, title="t", metric="accuracy", note="n", shown="score")
        effect = cells.draw(frame, title="t", metric="accuracy", note="n", shown="effect")
    board, minus = figure.axes[0], "\N{MINUS SIGN}"
    assert sum(patch.get_hatch() is not None for patch in patches(board)) == 3
    numbers = {"71.0", "73.0", "80.0", "86.0", "61.0", "66.0", "+4.0*"}
    assert {text.get_text() for text in board.texts} == numbers
    gains = {"0.0", "+2.0", "+9.0", "+15.0", f"{minus}10.0", f"{minus}5.0", "+4.0*"}
    assert {text.get_text() for text in effect.axes[0].texts} == gains
    assert "Hatched: not run, or failed." in " ".join(said(figure).split())


def test_the_heat_map_leaves_out_what_was_not_crossed_and_says_so() -> None:
    scores = scored([[70, 72], [73, 73], [80, 80], [85, 87], [60, 62]], LEVELS)
    frame = figures.cells_frame(scores, None)

    def words(rows: pd.DataFrame) -> tuple[set[str], str]:
        with style.house():
            figure = cells.draw(rows, title="t", metric="accuracy", note="n", shown="score")
        return {text.get_text() for text in figure.axes[0].texts}, said(figure)

    numbers, told = words(frame)
    assert numbers == {"71.0", "73.0", "80.0", "86.0", "+4.0"}
    assert "not crossed: 1 data level." in told
    numbers, told = words(frame.drop(index=3))
    assert numbers == {"71.0", "73.0", "80.0", "61.0"}, "where nothing was crossed, all stand there"
    assert "not crossed" not in told


def luminance(colour: Any) -> float:
    linear_light = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(colour)]
    return float(np.dot(linear_light, (0.2126, 0.7152, 0.0722)))


def test_colours_keep_the_order_in_grey_and_numbers_stand_out() -> None:
    board = drawn("heatmap", "forty").axes[0]
    cells_of = {
        patch.get_xy(): patch.get_facecolor() for patch in patches(board) if patch.get_fill() and not patch.get_hatch()
    }
    found = []
    for text in board.texts:
        x, y = text.get_position()
        light, ink = luminance(cells_of[(int(x), int(y))]), luminance(text.get_color())
        assert (max(light, ink) + 0.05) / (min(light, ink) + 0.05) > 4.5
        if text.get_fontsize() == style.TEXT:
            found.append((float(text.get_text()), light))
    lights = [light for _, light in sorted(found)]
    assert len(lights) > 50
    assert lights == sorted(lights)


def test_an_attribution_becomes_a_frame_and_every_number_is_said() -> None:
    frame = figures.attribution_frame(attributed(names("some")), {"weak=label_model": "label_model"})
    assert frame["section"].value_counts().to_dict() == {
        "ladder": 7,
        "shapley": 4,
        "eta2": 3,
        "omega2": 1,
        "omitted": 4,
    }
    assert frame.query("section == 'omitted'")["changes"].tolist() == [True, False, False, False]
    words = said(drawn("attribution", "some"))
    minus = "\N{MINUS SIGN}"
    for number in (
        "+12.0 [+10.5, +14.0]",
        f"{minus}1.9 [{minus}3.4, +0.1]",
        "+8.2 [+6.7, +10.2]",
        "80 [70, 90] %",
        "each of 4",
    ):
        assert number in words
    assert "Bold ticks" in words
    assert "Bold ticks" not in said(drawn_answer(frame.assign(changes=False)))


def drawn_answer(frame: pd.DataFrame) -> Figure:
    with style.house():
        return answer.draw(frame, title="t", about="", note="n")


def test_what_is_left_out_stands_as_ticks_and_changes_are_bold() -> None:
    figure = drawn("attribution", "some")
    ticks = {
        line.get_color(): line.get_xdata()
        for line in figure.axes[0].lines
        if line.get_marker() == "|" and line.get_markersize() > 4.5
    }
    assert list(ticks[style.WARN]) == [8]
    assert list(ticks[style.FAINT]) == pytest.approx([8 - 1 / 9, 8 - 2 / 9, 8 - 3 / 9])


def test_the_front_is_what_nothing_beats() -> None:
    rng = stream(0, "front")
    cost, gain = rng.integers(0, 12, size=(2, 40)).astype(float).tolist()
    on_it = {(cost[one], gain[one]) for one in costs.front(cost, gain)}
    every = set(zip(cost, gain, strict=True))
    beaten = {(c, g) for c, g in every if any((a <= c and b >= g) and (a, b) != (c, g) for a, b in every)}
    assert on_it == every - beaten
    assert len(costs.front(cost, gain)) == len(on_it)
    assert costs.front([3.0, 1.0, 2.0], [5.0, 1.0, 1.0]) == [1, 0]


@pytest.mark.parametrize("size", ["some", "forty"])
def test_names_of_arms_hide_no_mark_and_the_front_is_named(size: str) -> None:
    figure = drawn("gain_against_cost", size)
    _, frame, _ = cost_case(size)
    best = style.name_line(frame.loc[frame["effect"].idxmax(), "arm"])
    for ax in figure.axes:
        assert best in [text.get_text().replace("\n", " ") for text in ax.texts]
        marks = [line for line in ax.lines if line.get_marker() in ("s", "o", "D", "x")]
        assert len(marks) == len(frame)
        for line in marks:
            place = ax.transData.transform((line.get_xdata()[0], line.get_ydata()[0]))
            assert [t.get_text() for t in ax.texts if t.get_window_extent().contains(*place)] == []
    if size == "forty":
        assert all(len(ax.texts) <= 12 for ax in figure.axes)


def test_labels_find_places_that_are_free() -> None:
    rng = stream(0, "places")
    points = [(float(x), float(y)) for x, y in rng.uniform(0.2, 2.8, size=(25, 2))]
    sizes = [(0.5, 0.09)] * 25
    marks = [(x - 0.03, y - 0.03, x + 0.03, y + 0.03) for x, y in points]
    lines = [(x - 0.01, y - 0.3, x + 0.01, y + 0.3) for x, y in points]
    found = spots(points, sizes, (0.0, 0.0, 3.0, 3.0), marks, lines, 3)
    boxes = [(s.x, s.y - 0.045, s.x + 0.5, s.y + 0.045) for s in found if s]
    assert len(boxes) >= 15
    assert all(found[:3])
    assert not any(overlaps(a, b) for a, b in itertools.combinations(boxes, 2))
    assert not any(overlaps(box, mark) for box in boxes for mark in marks)
    assert all(box[0] >= 0 and box[2] <= 3 and box[1] >= 0 and box[3] <= 3 for box in boxes)
    assert spots(points, sizes, (0.0, 0.0, 3.0, 3.0), marks, lines, 3) == found
    assert spots([(0.1, 0.1)], [(5.0, 0.09)], (0.0, 0.0, 3.0, 3.0), [], [], 1) == [None]


def test_the_effects_of_a_study_become_points_of_the_cost_figure(tmp_path: Path) -> None:
    study = gather(large(tmp_path / "study", n=60, seeds=3))
    frame = figures.gain_frame(study.effects).set_index("arm")
    assert frame.loc["baseline", ["effect", "cpu_s", "labels"]].tolist() == [0, 1, 0]
    assert frame.loc["clean=oracle", ["cpu_s", "labels"]].tolist() == [2.5, 20]
    found = next(effect.interval for effect in study.effects if effect.arm == "clean=oracle")
    assert found is not None
    assert frame.loc["clean=oracle", ["effect", "low", "high"]].tolist() == [found.effect, found.low, found.high]
    assert "augment=cutout" not in frame.index, "it failed throughout"


def test_nothing_bought_is_said_and_takes_no_panel() -> None:
    _, frame, _ = cost_case("some")
    with style.house():
        figure = costs.draw(frame.assign(labels=0.0), title="t", metric="accuracy", note="n")
    assert len(figure.axes) == 1
    assert "No arm bought labels." in said(figure)


def test_arms_without_labels_have_a_band_and_no_false_number_of_labels() -> None:
    """Side by side in a band of their own, in the order of their effect; all others at their own number of labels."""
    _, frame, _ = cost_case("some")
    frame = frame.assign(labels=[0.0, 0.0, 0.0, 100.0, 300.0], effect=[0.0, 2.0, 1.0, 4.0, 5.0])
    with style.house():
        figure = costs.draw(
            frame.assign(low=frame["effect"] - 1, high=frame["effect"] + 1), title="t", metric="accuracy", note="n"
        )
    ax = figure.axes[1]
    band = patches(ax)[0].get_width()
    marks = {line.get_ydata()[0]: line.get_xdata()[0] for line in ax.lines if line.get_marker() in ("s", "o", "D", "x")}
    free, none, paid = [marks[y] for y in sorted(marks)][:3], ax.get_xticks()[0], [marks[y] for y in sorted(marks)][3:]
    assert 0 < free[0] < free[1] < free[2] < band < paid[0] < paid[1]
    assert none == band / 2
    ticks = {text.get_text(): place for place, text in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)}
    assert (paid[0], paid[1]) == pytest.approx((ticks["100"], ticks["300"]))
    assert not any(name.startswith("\N{MINUS SIGN}") or name == "0" for name in ticks)


def test_a_combination_breaks_before_its_plus_signs() -> None:
    name = "random_forest + label_model + oracle + shift"
    assert style.name_lines(name, 1.15, 6.5, 4) == ["random_forest", "+ label_model + oracle", "+ shift"]
    assert style.name_lines(name, 5.0, 6.5, 4) == [name]
    assert "…" in style.name_lines(name, 0.8, 6.5, 2)[-1]


def test_where_a_budget_curve_comes_near_clean_labels() -> None:
    assert budget.labels_to_reach([0.0, 50.0, 100.0], [75.0, 80.0, 90.0], 85.0) == 75
    assert budget.labels_to_reach([0.0, 50.0, 100.0], [75.0, 90.0, 80.0], 84.0) == pytest.approx(30)
    assert budget.labels_to_reach([0.0, 50.0], [75.0, 80.0], 80.0) == 50
    assert budget.labels_to_reach([0.0, 50.0], [75.0, 80.0], 80.1) is None
    assert budget.labels_to_reach([20.0, 50.0], [85.0, 90.0], 80.0) == 20


def test_the_budget_figure_says_at_how_many_labels() -> None:
    frame = pd.DataFrame(
        [("clean=oracle", False, 100, 80, 79, 81), ("clean=oracle", False, 200, 90, 89, 91),
         ("clean=oracle_random", True, 200, 78, 77, 79)], columns=budget.COLUMNS,
    )  # fmt: skip

    def words(baseline: float | None, clean: float | None) -> str:
        with style.house():
            return said(budget.draw(frame, title="t", metric="accuracy", note="n", baseline=baseline, clean=clean))

    with style.house():
        figure = budget.draw(frame, title="t", metric="accuracy", note="n", baseline=70.0, clean=90.0)
    ends = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "_"]
    assert len(ends) == 6
    assert len(set(ends)) == 2, "intervals are at their own number of labels, also of two strategies"
    told = words(70.0, 90.0)  # 95 % of the way from 70 to 90 is 89, which lies 0.9 of the way from 100 to 200 labels
    assert "oracle: 95 % of the way at 190 labels" in told
    assert "oracle_random (reference): 95 % of the way not reached" in told
    assert "95 % of the way from baseline to clean: 89.0" in told
    assert "not known, no arm has clean labels alone" in words(70.0, None)
    assert "not known, clean labels gain nothing" in words(70.0, 70.0)
    assert "not known, the baseline has no score" in words(None, 90.0)


def test_arms_that_differ_in_their_budget_alone_are_one_strategy(tmp_path: Path) -> None:
    store, test = Store(tmp_path / "study"), made_test_set(40, 2)
    arms = ["clean=oracle clean.k=5", "clean=oracle clean.k=10", "clean=oracle clean.k=10 clean.by='the margin'"]
    overrides = [
        ["clean=oracle", *more] for more in (["clean.k=5"], ["clean.k=10"], ["clean.k=10", "clean.by=the margin"])
    ]
    nodes = [{"k": 5, "by": "x"}, {"k": 10, "by": "x"}, {"k": 10, "by": "the margin"}]
    records = [
        record(store, "baseline", s, shown(test, 0.8, "b", str(s)), test, axis="none", factors=()) for s in (0, 1)
    ]
    for (arm, words, node), s in itertools.product(zip(arms, overrides, nodes, strict=True), (0, 1)):
        bought = {"given": 90, "gold": 0, "votes": 0, "valid": 0, "oracle": node["k"]}
        one = record(store, arm, s, shown(test, 0.9, arm, str(s)), test, ledger=bought, overrides=words)
        records.append(one | {"trial": one["trial"] | {"clean": node}})
    keep(store, records)
    found = estimate_effects(records, store.test_set, records)
    frame = figures.budget_frame(found, join(store).strategies("clean.k"))
    assert frame["strategy"].tolist() == ["oracle", "oracle", "oracle by='the margin'"]
    assert frame["labels"].tolist() == [5, 10, 10]
    assert frame["score"].tolist() == pytest.approx([next(e.score for e in found if e.arm == arm) for arm in arms])
    assert ((frame["high"] - frame["low"]) / 2).tolist() == pytest.approx([e.half_width for e in found if e.interval])


def test_a_mean_curve_reads_seeds_between_their_steps() -> None:
    history = pd.DataFrame({"seed": [0, 0, 1, 1, 1], "step": [10, 30, 10, 20, 40], "value": [1.0, 3.0, 3.0, 4.0, 8.0]})
    curve = training.mean_curve(history)
    assert curve["step"].tolist() == [10, 20, 30]
    assert curve["mean"].tolist() == [2, 3, 4.5]
    assert (curve["high"] - curve["mean"]).tolist() == pytest.approx([2**0.5, 2**0.5, 4.5**0.5])
    alone = training.mean_curve(history[history["seed"] == 1])
    assert alone["mean"].tolist() == [3, 4, 8]
    assert alone["low"].isna().all()


def test_histories_of_records_become_a_frame(tmp_path: Path) -> None:
    store, test = Store(tmp_path / "study"), made_test_set(10, 2)
    steps = [{"step": 5.0, "loss": 2.0, "valid": 0.5}, {"step": 10.0, "loss": 1.0, "valid": 0.75}]
    records = [
        record(store, "baseline", 0, test.y, test, axis="none", factors=(), history=steps),
        record(store, "clean=oracle", 0, test.y, test, history=[{"step": 9.0, "converged": 1.0}]),
        record(store, "clean=odd", 0, None, test),
    ]
    frame = figures.history_frame(records, "valid")
    assert frame[["arm", "step", "value"]].iloc[:2].to_numpy().tolist() == [["baseline", 5, 50], ["baseline", 10, 75]]
    assert figures.history_frame(records, "loss")["value"].tolist()[:2] == [2, 1]
    assert frame["arm"].tolist()[2:] == ["clean=oracle"]
    assert frame["group"].tolist()[2:] == ["data: clean"]
    with style.house():
        words = said(training.draw(frame, title="t", unit="u", note="n"))
    assert "No curve: clean=oracle." in words
    assert "One seed: no band." in words


def test_a_panel_holds_few_arms_and_the_baseline_stands_in_each() -> None:
    figure = drawn("training_curves", "forty")
    heads = [text.get_text() for text in figure.texts if text.get_weight() == "bold"][1:]
    assert len(figure.axes) == len(heads)
    assert heads[0] == "model"
    assert "model, continued" in heads
    assert max(len(ax.lines) for ax in figure.axes) == 6
    assert all(ax.lines[-1].get_color() == style.FAINT for ax in figure.axes)


def test_components_keep_their_order_and_lengths() -> None:
    figure = drawn("variance_components", "some")
    bars = patches(figure.axes[0])
    assert [bar.get_width() for bar in bars] == [1, 2, 3, 4]
    assert "1.00 [0.50, 3.00]" in said(figure)


def test_slices_that_are_not_drawn_are_counted() -> None:
    figure = drawn("slices", "forty")
    assert len(figure.axes) == 12
    rows = len(figure.axes[0].get_yticks())
    assert f"Not drawn: 28 arms and {40 - rows} slices that move less." in said(figure)
    assert len({ax.get_xlim() for ax in figure.axes}) == 1, "all panels share a range"


def test_the_band_is_where_simulated_counts_fall() -> None:
    frame = pd.DataFrame({"simulations": [400, 100], "nominal": [0.95, 0.05]})
    for low, high, n, p in zip(*rates_figure._luck(frame), frame["simulations"], frame["nominal"], strict=True):
        counts = np.arange(n + 1)
        within = binom.pmf(counts, n, p)[(counts >= low * n - 1e-9) & (counts <= high * n + 1e-9)].sum()
        assert 0.95 <= within < 0.985
        assert binom.cdf(low * n - 0.5, n, p) < 0.025 <= binom.cdf(low * n + 0.5, n, p)
        assert binom.cdf(high * n - 0.5, n, p) < 0.975 <= binom.cdf(high * n + 0.5, n, p)


def test_scales_by_hand() -> None:
    even = linear_scale([0.0, 10.0], 2.0, 0.5)
    assert [even.place(value) for value in (0.0, 5.0, 10.0)] == pytest.approx([0.5, 1, 1.5])
    assert even.ticks == (0, 2, 4, 6, 8, 10)
    factors = logarithmic([1.0, 100.0, 0.0], 2.0, 0.0)
    assert [factors.place(value) for value in (1.0, 10.0, 100.0)] == pytest.approx([0, 1, 2])
    assert factors.place(0.0) == 0, "what has no logarithm stands at the beginning"
    assert factors.ticks == (1, 2, 5, 10, 20, 50, 100)
    assert from_zero([50.0, 400.0], 2.0, 0.0).place(200.0) == pytest.approx(1)
    bent = from_zero([10.0, 1000.0], 2.0, 0.0)
    assert bent.place(0.0) == 0
    assert bent.place(1000.0) - bent.place(500.0) == pytest.approx(bent.place(500.0) - bent.place(250.0), rel=1e-3)
    for same in (linear_scale([3.0], 2.0, 0.1), logarithmic([3.0], 2.0, 0.1), from_zero([], 2.0, 0.1)):
        assert 0 < same.place(same.ticks[0]) < 2


def test_words_that_are_cut_keep_their_ends_and_fit() -> None:
    long = LONG + "100"
    for room in (0.3, 0.8, 1.5):
        short = style.shorten(long, room, 5.5)
        assert style.inches(short, 5.5) <= room
        assert short[0] == "c"
        assert short.endswith("0")
        lines = style.fit_lines(long, room, 5.5, 2)
        assert len(lines) <= 2
        assert "…" in lines[-1]
        assert lines[-1].endswith("0")
        assert max(style.inches(line, 5.5) for line in lines) <= room
    assert style.shorten("mlp", 1.0, 5.5) == "mlp"
    huge = "x" * 3000 + "0"
    assert style.shorten(huge, 1.0, 5.5)[-1] == style.fit_lines(huge, 1.0, 5.5, 2)[-1][-1] == "0"
    assert style.fit_lines("", 1.0, 5.5, 2) == [""]
    assert style.fit_lines("two words", 0.3, 5.5, 2) == ["two", "words"]


def test_lines_differ_without_their_colour() -> None:
    drawn_as = style.strokes(66)
    assert len({(one.colour, str(one.dash), one.marker) for one in drawn_as}) == 66
    assert len({(str(one.dash), one.marker) for one in drawn_as[:6]}) == 6
    assert len({marker for marker, _ in style.MARKS.values()}) == 4
