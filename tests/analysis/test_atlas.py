"""`harness atlas`: published tables give the answers that are known of them, and what cannot be read is told."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT
from matplotlib.backends.backend_agg import FigureCanvasAgg
from pictures import shown_in

from harness.analysis.atlas import Reading, readings, readings_frame
from harness.analysis.published_tables import Published, facts, merge_tables, read_embedded, read_given
from harness.commands.atlas import atlas_files, command, tables
from harness.errors import BadInput
from harness.report import atlas as report
from harness.report.figures.style import house

STEEL, SOLAR, SURFACE = (f"Landing AI, {name}" for name in ("steel", "solar", "surface"))
TIMM, CIFAR10, CIFAR100 = "timm ResNets, ImageNet", "Fast AutoAugment, CIFAR-10", "Fast AutoAugment, CIFAR-100"
HEAD = "table,model,data,score,metric,lower_is_better,source\n"
FILES = ["atlas.csv", "atlas.md", "atlas.pdf", "atlas.png", "atlas.svg"]


@pytest.fixture(scope="module")
def ours() -> dict[tuple[str, str], Reading]:
    return by_name(read_embedded())


@pytest.fixture(scope="module")
def whole(shared: Path) -> dict[tuple[str, str], Reading]:
    return by_name(read_given(shared / "literature"))


def by_name(tables: list[Published]) -> dict[tuple[str, str], Reading]:
    return {(reading.table.name, reading.extra): reading for reading in readings(tables)}


def made(*cells: tuple[str, str, float] | tuple[str, str, float, str], lower: bool = False) -> Published:
    """A table by hand; a cell may say its extra."""
    rows = pd.DataFrame([(*cell, "")[:4] for cell in cells], columns=["model", "data", "score", "extra"])
    return Published("made", "accuracy, %", lower, "nobody", "", rows)


def full(scores: list[list[float]]) -> Published:
    return made(*((f"m{i}", f"d{j}", score) for i, row in enumerate(scores) for j, score in enumerate(row)))


def one(table: Published) -> Reading:
    (found,) = readings([table])
    return found


# What is known of the literature


def check_shares(found: dict[tuple[str, str], Reading]) -> None:
    """The known answers, to the digits in which they are printed."""
    said = {key: reading.shares for key, reading in found.items() if reading.shares}
    assert (f"{said[TIMM, ''].data:.2f}", f"{said[TIMM, ''].model:.2f}") == ("0.78", "0.20")
    let_in = said[TIMM, "ResNet-18/34"]
    assert (f"{let_in.model:.3f}", f"{let_in.data:.3f}") == ("0.885", "0.095")
    assert (f"{said[CIFAR10, ''].model:.2f}", f"{said[CIFAR10, ''].data:.2f}") == ("0.68", "0.30")
    assert (f"{said[CIFAR100, ''].model:.2f}", f"{said[CIFAR100, ''].data:.2f}") == ("0.87", "0.10")
    sizes = {key: (len(found[key].models), len(found[key].data)) for key in said}
    assert sizes[TIMM, ""] == (4, 6)
    assert sizes[TIMM, "ResNet-18/34"] == (6, 5)
    assert (sizes[CIFAR10, ""], sizes[CIFAR100, ""]) == ((6, 4), (4, 4))


def test_the_facts_give_the_known_shares(ours: dict[tuple[str, str], Reading]) -> None:
    check_shares(ours)


def test_the_whole_files_give_the_known_shares(whole: dict[tuple[str, str], Reading]) -> None:
    check_shares(whole)


@pytest.mark.parametrize(
    ("table", "model", "data", "by", "claim"),
    [
        (STEEL, 0.0, 16.9, "data", "holds"),
        (SOLAR, 0.04, 3.06, "data", "tenths only"),
        (SURFACE, 0.0, 0.4, "data", "tenths only"),
        ("Revisiting ResNets", 83.4 - 82.2, 82.2 - 79.0, "data", "neither"),
        ("CleanML, median of 29 cells", 1.80, 0.20, "model", "neither"),
        ("DCLM, one 1B model", 12.5, 10.0, "model", "ten only"),
    ],
)
def test_tables_that_are_not_crossed_give_their_published_steps(
    ours: dict[tuple[str, str], Reading], table: str, model: float, data: float, by: str, claim: str
) -> None:
    found = ours[table, ""]
    assert found.model_swap.value == pytest.approx(model, abs=1e-9)
    assert found.data_swap.value == pytest.approx(data, abs=1e-9)
    assert (found.word, found.claim, found.shares) == (by, claim, None)


def test_the_answer_turns_when_the_shallow_networks_are_let_in(ours: dict[tuple[str, str], Reading]) -> None:
    core, more = ours[TIMM, ""], ours[TIMM, "ResNet-18/34"]
    assert (core.word, more.word) == ("data", "model")
    assert (core.turned_by, more.turned_by) == ((), ())
    assert more.left_out == ("tv2_in1k for want of cells with resnet18, resnet34",)
    # Best less worst by hand: 78.330 - 76.156 among networks under tv, 80.846 - 76.156 among recipes of resnet50.
    assert core.model_swap.low == pytest.approx(82.294 - 80.846)
    assert core.data_swap.high == pytest.approx(80.846 - 76.156)
    assert more.model_swap.high == pytest.approx(80.548 - 68.250)
    page = report.page(readings_frame(readings(read_embedded()))).decode()
    assert "| core and ResNet-18/34 | 0.885 | 0.095 | model by 6.9 | **yes** |" in page
    assert f"The answer depends on the included arms: {TIMM}." in page


def test_one_network_carries_the_answer_on_cifar10(ours: dict[tuple[str, str], Reading]) -> None:
    assert ours[CIFAR10, ""].word == "model"
    assert ours[CIFAR10, ""].turned_by == ("WRN-40-2",)
    assert "the answer changes without WRN-40-2" in ours[CIFAR10, ""].verdict
    assert ours[CIFAR100, ""].turned_by == ()


def test_the_facts_are_the_whole_files_cells(shared: Path) -> None:
    theirs = {table.name: table for table in read_given(shared)}
    same = [table for table in read_embedded() if table.name in (TIMM, CIFAR10, CIFAR100)]
    assert len(same) == 3
    for table in same:
        cells, other = (
            one.cells.sort_values(["model", "data"], ignore_index=True) for one in (table, theirs[table.name])
        )
        pd.testing.assert_frame_equal(cells, other, check_dtype=False)
        assert (table.metric, table.lower, table.source) == tuple(
            getattr(theirs[table.name], name) for name in ("metric", "lower", "source")
        )


def test_the_ranges_of_dclm_come_out_of_its_runs(whole: dict[tuple[str, str], Reading]) -> None:
    ladder, crossed = whole["DCLM, one 1B model", ""], whole["DCLM, sizes by data", ""]
    assert len(ladder.data) == 54
    assert f"{ladder.data_swap.value:.1f}" == "10.0"
    assert f"{ladder.model_swap.value:.1f}" == "12.5"
    assert "54 runs under 41 names of data" in ladder.table.note
    assert (len(crossed.models), len(crossed.data), crossed.word) == (2, 13, "model")


def test_cleaning_by_confident_learning_is_a_ladder_a_noise_rate(whole: dict[tuple[str, str], Reading]) -> None:
    found = whole["Confident learning, CIFAR-10, 40 % noise", ""]
    start = (60.2 + 60.8 + 59.6 + 57.3) / 4
    assert found.model_swap.value == pytest.approx((64.4 + 64.2 + 62.4 + 61.5) / 4 - start)
    assert found.data_swap.value == pytest.approx((87.1 + 86.9 + 86.7 + 87.2) / 4 - start)


def test_the_other_labels_of_imagenet_are_read_too(whole: dict[tuple[str, str], Reading]) -> None:
    for name in ("timm ResNets, ImageNet ReaL labels", "timm ResNets, ImageNetV2"):
        assert [whole[name, extra].word for extra in ("", "ResNet-18/34")] == ["data", "model"]


def test_every_fact_has_a_source() -> None:
    for path in (ROOT / "experiments" / "literature").glob("*.csv"):
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
        assert rows["source"].str.contains(r"[A-Z][\w .]+ \d{4}, \w").all(), path.name


# By hand


def test_swaps_shares_and_random_pairs_by_hand() -> None:
    # Ranges down the columns 2 and 6, along the rows 0 and 4; shares as in the test of attribution.
    found = one(full([[1.0, 1.0], [3.0, 7.0]]))
    assert (found.model_swap.value, found.model_swap.low, found.model_swap.high) == (4, 2, 6)
    assert (found.data_swap.value, found.data_swap.low, found.data_swap.high) == (2, 0, 4)
    assert found.random == (4, 2)
    assert found.shares is not None
    assert (found.shares.model, found.shares.data) == pytest.approx((16 / 24, 4 / 24))
    assert (found.word, found.by, found.turned_by) == ("model", -2, ())


def test_points_between_random_arms_by_hand() -> None:
    # Rows 0, 1, 5: pairs differ by 1, 5 and 4.
    found = one(full([[0.0, 1.0], [1.0, 2.0], [5.0, 6.0]]))
    assert found.random == pytest.approx((10 / 3, 1))
    assert found.model_swap.value == 5


def test_an_arm_that_carries_the_answer_is_named() -> None:
    found = one(full([[50.0, 52.0, 51.0], [50.5, 52.5, 51.5], [60.0, 62.0, 61.0]]))
    assert (found.word, found.turned_by) == ("model", ("m2",))


def test_swaps_and_shares_that_disagree_are_undecided() -> None:
    # Median swaps: 5 of the model, 6 of the data. Sums of squares: 75 of the model, 24 of the data.
    found = one(full([[0.0, 0.0, 0.0, 0.0, 0.0, 6.0], [11.0, 5.0, 5.0, 5.0, 5.0, 5.0]]))
    assert (found.model_swap.value, found.data_swap.value, found.word) == (5, 6, "undecided")
    assert found.verdict.startswith("undecided: the swaps differ by 1.0, and the shares of variance say the opposite")
    assert "neither in 1." in report.atlas_lines(readings_frame([found]))


def test_a_tie_is_neither() -> None:
    found = one(full([[0.1, 0.4], [0.4, 0.7]]))
    assert (found.word, found.verdict) == (
        "neither",
        "neither is ahead; tenths from the model, but not ten points from the data",
    )


def test_errors_count_downwards_in_a_ladder() -> None:
    found = one(made(("a", "x", 9.0), ("b", "x", 8.0), ("c", "x", 12.0), ("a", "y", 4.0), lower=True))
    assert (found.model_swap.value, found.data_swap.value) == (1, 5)
    assert found.left_out == ("b × y, c × y (not published)",)
    worse = one(made(("a", "x", 9.0), ("b", "x", 8.0), ("a", "y", 9.5)))
    assert (worse.model_swap.value, worse.data_swap.value, worse.word) == (-1, 0.5, "data")


@pytest.mark.parametrize(
    ("data", "model", "claim"),
    [
        (10.0, 0.9, "holds"),
        (9.96, 0.94, "holds"),
        (9.94, 0.9, "tenths only"),
        (10.0, 0.96, "ten only"),
        (9.0, 1.0, "neither"),
    ],
)
def test_what_is_printed_decides_the_claim(data: float, model: float, claim: str) -> None:
    found = one(made(("a", "x", 0.0), ("b", "x", model), ("a", "y", data)))
    assert found.claim == claim


def test_the_largest_crossed_part_is_read_and_the_rest_is_named() -> None:
    cells = [
        (m, d, float(i * j)) for i, m in enumerate("abc") for j, d in enumerate("xyz") if m + d not in ("az", "cx")
    ]
    found = one(made(*cells))
    assert (found.models, found.data) == (("a", "b"), ("x", "y"))
    assert found.left_out == ("c for want of cells with x", "z for want of cells with a")


# The command


def test_it_writes_the_same_bytes_each_time_and_the_docs_are_what_it_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HARNESS_SHARED", raising=False)
    monkeypatch.chdir(tmp_path)
    assert command(["atlas"]) == 0
    said = capsys.readouterr().out
    assert "Of 9 tables the claim holds in 1 (Landing AI, steel)." in said
    assert sorted(path.name for path in Path("atlas").iterdir()) == FILES
    for name, content in atlas_files(readings_frame(readings(read_embedded()))).items():
        assert (tmp_path / "atlas" / name).read_bytes() == content, name
    ours, made = (folder / "atlas.md" for folder in (ROOT / "docs", tmp_path / "atlas"))
    assert ours.read_bytes() == made.read_bytes(), "make docs/atlas.md anew"
    ours, made = (folder / "atlas.png" for folder in (ROOT / "docs", tmp_path / "atlas"))
    assert shown_in(ours.read_bytes()) == shown_in(made.read_bytes()), "make docs/atlas.png anew"


def test_its_csv_holds_every_number(ours: dict[tuple[str, str], Reading], tmp_path: Path) -> None:
    path = tmp_path / "atlas.csv"
    path.write_bytes(report.as_csv(readings_frame(list(ours.values()))))
    rows = pd.read_csv(path, keep_default_na=False).set_index(["table", "extra"])
    assert float(rows.loc[(TIMM, ""), "share_data"]) == pytest.approx(0.781727, abs=1e-6)
    assert rows.loc[(STEEL, ""), ["crossed", "share_model", "claim"]].tolist() == ["no", "", "holds"]
    assert rows.loc[(TIMM, "ResNet-18/34"), "data"] == "tv_in1k; gluon_in1k; a3_in1k; a2_in1k; a1_in1k"


def test_a_table_of_ones_own_stands_beside_ours_or_in_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.csv"
    rows = [
        f"{name},{m},{d},{s},F1,no,Me 2026"
        for name in ("mine", f'"{STEEL}"')
        for m, d, s in (("a", "x", 1), ("b", "x", 2), ("a", "y", 4))
    ]
    own.write_text(HEAD + "\n\n".join(rows) + "\n")
    assert command(["atlas", str(own), f"out={tmp_path / 'out'}"]) == 0
    assert "Of 10 tables the claim holds in 0." in capsys.readouterr().out
    page = (tmp_path / "out" / "atlas.md").read_text()
    assert "| mine | 2 + 2 | 1.00 | 3.00 |" in page
    assert f"| {STEEL} | 2 + 2 | 1.00 | 3.00 |" in page


def test_the_folder_that_the_environment_names_is_read(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, n in ((shared, 15), (tmp_path, 9)):
        monkeypatch.setenv("HARNESS_SHARED", str(folder))
        assert len(tables([])) == n
    assert len(tables([str(shared)])) == 15


HOSTILE = '<script>alert(1)</script> | `$\\alpha_1$` "日本" ' + "long_" * 40


def test_the_figure_holds_long_and_hostile_names_and_losses_within_its_columns() -> None:
    rows = [(HOSTILE, f"{HOSTILE} {i}", 50.0 + i) for i in range(12)]
    hostile = Published(HOSTILE, HOSTILE, False, HOSTILE, HOSTILE, made(*rows, ("b", f"{HOSTILE} 0", 12.0)).cells)
    found = readings_frame(
        [*readings([hostile]), *readings([made(("a", "x", 3.0), ("b", "x", 2.0), ("a", "y", 140.0))])]
    )
    with house():
        figure = report.draw_atlas(found)
        figure.set_dpi(300)
        FigureCanvasAgg(figure).draw()
        width, height = figure.get_size_inches() * figure.dpi
        ticks = [*figure.axes[0].get_xticklabels(), figure.axes[0].xaxis.label]
        boxes = [text.get_window_extent() for text in (*figure.texts, *ticks) if text.get_text()]
        plot = figure.axes[0].get_window_extent()
    assert not [box for box in boxes if overlap(box, plot) > 1.0]
    assert len(boxes) > 10
    assert all(box.x0 >= 0 and box.x1 <= width + 1 and box.y0 >= 0 and box.y1 <= height for box in boxes)
    assert not [(a, b) for a, b in combinations(boxes, 2) if overlap(a, b) > 3.0]
    page = report.page(found).decode()
    assert "<script>" not in page


def overlap(a, b) -> float:
    """The smaller side of what two boxes share, in pixels (300 an inch)."""
    return min(min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0))


# What is wrong is told


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "own.csv is empty"),
        (HEAD, "has no row below its head"),
        ("table,model,data,score,metric,source\n", "has no column 'lower_is_better'"),
        (HEAD.replace("metric", "score"), "has 2 columns named 'score': rename all but one"),
        (HEAD + "t,a,x,1,m,no,s\nt,b,x,many,m,no,s\n", "own.csv, line 3: the score 'many' is not a number"),
        (HEAD + "\nt,a,x,nan,m,no,s\n", "own.csv, line 3: the score 'nan' is not a number"),
        (HEAD + "t,a,x,1,m,no,s\nt,a,x,2,m,no,s\n", r"the cell 't', a × x occurs twice"),
        (HEAD + "t,a,x,1,m,no,s\nt,b,x,2,m,no\n", "line 3, has 6 fields, and the first line names 7"),
        (HEAD + "t,a,x,1,m,no,\n", "line 2: source is empty"),
        (HEAD + "t,a,x,1,m,maybe,s\n", "line 2: lower_is_better is 'maybe': write yes or no"),
        (HEAD + "t,a,x,1,m,no,s\nt,b,x,1,F1,no,s\n", "table 't' has two values of metric: m, F1"),
        (HEAD + "t,a,x,1,m,no,s\nt,a,y,2,m,no,s\n", r"table 't' has one model \(a\)"),
        (HEAD + "t,a,x,1,m,no,s\nt,b,x,2,m,no,s\n", r"table 't' has one data variant \(x\)"),
        (HEAD + "t,a,x,1,m,no,s\nt,b,y,2,m,no,s\n", "no cell that differs from its first one in the model alone"),
        (HEAD + "".join(f"t,{m},{d},1,m,no,s\n" for m in "ab" for d in "xy"), "table 't': all cells are equal"),
        (HEAD + 't,"a,x,1,m,no,s\n', "line 2: .*: a quotation mark is missing"),
    ],
)
def test_a_wrong_file_is_told_and_nothing_is_written(text: str, reason: str, tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_text(text)
    with pytest.raises(BadInput, match=reason) as told:
        command(["atlas", str(own), f"out={tmp_path / 'out'}"])
    assert len(str(told.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_what_is_not_there_and_wrong_words_are_told(tmp_path: Path) -> None:
    for words, reason in (
        ((str(tmp_path / "nothing"),), "there is no file or folder"),
        ((str(tmp_path),), "holds no published table"),
        (("a", "b"), "name one file or folder"),
        (("outt=x",), "did you mean 'out'"),
    ):
        with pytest.raises(BadInput, match=reason):
            command(["atlas", *words])


def test_two_tables_of_one_name_are_told(tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text(HEAD + "t,a,x,1,m,no,s\nt,b,x,2,m,no,s\nt,a,y,3,m,no,s\n")
    with pytest.raises(BadInput, match="two tables are called 't'"):
        merge_tables(read_embedded(), read_given(tmp_path))


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("results-imagenet.csv", "resnet152.", "resnet_152.", r"has no model 'resnet152\.tv_in1k' at 224 px"),
        ("results-imagenet.csv", "top1,", "top_1,", "has no column 'top1'"),
        ("fastaa_cifar_error.csv", "cutout", "cut", "has no column 'cutout'"),
        ("fastaa_cifar_error.csv", "WRN-40-2,5.3", "WRN-40-2,5.3 %", r"line 2: the score '5\.3 %' is not a number"),
        ("dclm_evals.csv", ",7b,", ",8b,", "lacks runs of DCLM's sizes"),
        ("confident_learning_table2.csv", "baseline", "base", "one of them must be baseline"),
    ],
)
def test_a_wrong_file_of_the_literature_is_told(
    name: str, old: str, new: str, reason: str, shared: Path, tmp_path: Path
) -> None:
    text = (shared / "literature" / name).read_text()
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new))
    with pytest.raises(BadInput, match=reason):
        read_given(tmp_path)


def test_a_cell_that_a_file_lacks_is_no_fault_but_named(shared: Path, tmp_path: Path) -> None:
    text = (shared / "literature" / "results-imagenet.csv").read_text()
    (tmp_path / "results-imagenet.csv").write_text(text.replace("resnet50.tv_in1k,224", "resnet50.tv_in1k,223"))
    found = by_name(read_given(tmp_path))[TIMM, ""]
    assert (len(found.models), len(found.data)) == (4, 5)
    assert found.left_out == ("tv_in1k for want of cells with resnet50",)


def test_facts_may_say_neither_extra_nor_note(tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_text("\ufeff" + HEAD + "t, a ,x,1,m,no,s\nt,b,x,2,m,no,s\n")
    (table,) = facts(own)
    assert table.cells.to_numpy().tolist() == [["a", "x", 1.0, ""], ["b", "x", 2.0, ""]]
    assert (table.note, table.lower) == ("", False)


def test_a_known_file_is_read_alone_too(shared: Path) -> None:
    found = read_given(shared / "literature" / "fastaa_cifar_error.csv")
    assert [table.name for table in found] == [CIFAR10, CIFAR100]
