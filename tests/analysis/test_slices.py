"""Slices and flips by hand, columns joined to test rows from every kind of source, and the command as a user runs it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from studies import keep, made_test_set, record, shown

import harness.analysis.slices as module
from harness.analysis.effects import TrialPair, estimate_effects, half_width
from harness.analysis.slices import (
    FEWEST_EXAMPLES,
    MISSING,
    OTHER,
    Flips,
    Partition,
    by_class,
    by_column,
    cut_column,
    flip_counts,
    flips,
    slices_frame,
    steady,
)
from harness.commands.cli import main
from harness.commands.joins import StudyRows, column_of_file, from_task
from harness.data import Source
from harness.errors import BadInput
from harness.run.options import build
from harness.storage.places import conf_dir
from harness.storage.store import Store, TestSet
from harness.streams import stream


def pair(y: list[int], arm: list[int], control: list[int], ids: list[str] | None = None) -> TrialPair:
    names = np.array(ids or [f"t{i}" for i in range(len(y))])
    return TrialPair(names, np.array(y), np.array(arm), np.array(control))


# --- by class ---


def test_recall_by_class_by_hand() -> None:
    """12 of class 0: the arm is right on 9 and 12, the control on 6 and 6: +25 and +50. 3 of class 1 are too few."""
    y = [0] * 12 + [1] * 3
    first = pair(y, [0] * 9 + [1] * 3 + [1, 1, 0], [0] * 6 + [1] * 6 + [1, 0, 0])
    second = pair(y, [0] * 12 + [1, 1, 1], [0] * 6 + [2] * 6 + [1, 1, 1])
    zero, one, two = by_class([first, second], ["a", "b", "c"], "arm")
    assert (zero.name, zero.n, zero.n_seeds, zero.control, zero.delta) == ("a", 12, 2, 50, 37.5)
    assert zero.interval is not None
    assert zero.interval.effect == pytest.approx(37.5)
    assert zero.interval.n_test == 12
    assert (one.n, one.interval, one.why) == (3, None, f"too few: 3 test examples, {FEWEST_EXAMPLES} needed")
    assert one.delta == pytest.approx(100 * (1 / 3 + 0) / 2)
    assert (two.n, two.why) == (0, "no test example")
    assert np.isnan(two.delta)


def test_the_interval_of_a_class_is_the_two_level_one_of_its_examples() -> None:
    """In closed form, which accuracy has: the covariance of the gains over the class's examples."""
    rng, y = stream(0, "slices"), np.arange(300) % 3
    pairs = [pair(y.tolist(), *(np.where(rng.random(300) < p, y, (y + 1) % 3).tolist() for p in (0.8, 0.6)))
             for _ in range(5)]  # fmt: skip
    for number, found in enumerate(by_class(pairs, ["a", "b", "c"], "arm")):
        gain = np.array([100.0 * ((p.arm == y).astype(int) - (p.control == y))[y == number] for p in pairs])
        half, _ = half_width(gain.mean(1), np.cov(gain) / 100, 100)
        assert found.interval is not None
        assert found.delta == pytest.approx(gain.mean())
        assert (found.interval.high - found.interval.low) / 2 == pytest.approx(half, rel=0.04)


def test_classes_add_up_to_the_effect_on_accuracy(tmp_path: Path) -> None:
    """Weighted by their examples the deltas are the leaderboard's effect."""
    store, test = Store(tmp_path / "made"), made_test_set(100, 3)
    records = keep(store, [
        record(store, arm, s, shown(test, p, arm, str(s)), test)
        for arm, p in (("baseline", 0.7), ("clean=x", 0.9)) for s in range(3)
    ])  # fmt: skip
    effect = next(one for one in estimate_effects(records, store.test_set, records) if one.arm == "clean=x")
    main(["slices", "made", f"store={tmp_path}"])
    table = pd.read_csv(tmp_path / "made" / "slices.csv")
    assert effect.interval is not None
    assert np.average(table["delta"], weights=table["n"]) == pytest.approx(effect.interval.effect, rel=1e-4)


def test_a_seed_without_an_example_of_a_slice_says_nothing_of_it() -> None:
    y = [0] * 12
    pairs = [
        pair(y, [0] * 12, [1] * 12, [f"a{i}" for i in range(12)]),
        pair(y, [1] * 12, [1] * 12, [f"b{i}" for i in range(12)]),
    ]
    places = {f"a{i}": 0 for i in range(12)} | {f"b{i}": 1 for i in range(12)}
    first, second = by_column(pairs, Partition(places, ("x", "y")), "arm")
    assert (first.n, first.n_seeds, first.delta) == (12, 1, 100)
    assert (second.n, second.n_seeds, second.delta) == (12, 1, 0)


def test_p_values_are_adjusted_for_the_slices_of_an_arm() -> None:
    rng, y = stream(0, "adjusted"), np.arange(400) % 4
    pairs = [pair(y.tolist(), *(np.where(rng.random(400) < p, y, (y + 1) % 4).tolist() for p in (0.75, 0.6)))
             for _ in range(4)]  # fmt: skip
    found = by_class(pairs, list("abcd"), "arm")
    p = sorted(one.interval.p for one in found if one.interval and one.interval.p is not None)
    assert min(one.p_adjusted for one in found if one.p_adjusted is not None) == pytest.approx(min(1, 4 * p[0]))


# --- by column ---


def test_numbers_are_cut_into_quartiles_named_by_what_they_hold() -> None:
    found = cut_column(pd.Series(np.arange(1.0, 13.0), index=[f"t{i}" for i in range(12)]))
    assert found.names == ("1 to 3", "4 to 6", "7 to 9", "10 to 12")
    assert [list(found.place.values()).count(place) for place in range(4)] == [3, 3, 3, 3]


def test_equal_numbers_are_never_parted() -> None:
    values = pd.Series([0.0] * 60 + list(range(1, 41)), index=[f"t{i}" for i in range(100)])
    found = cut_column(values)
    assert found.names == ("0 to 0", "1 to 15", "16 to 40")
    assert len({found.place[f"t{i}"] for i in range(60)}) == 1


@given(st.lists(st.integers(-5, 30), min_size=1, max_size=60))
def test_every_example_is_in_one_slice_and_bins_do_not_overlap(numbers: list[int]) -> None:
    found = cut_column(pd.Series([str(n) for n in numbers], index=[f"t{i}" for i in range(len(numbers))]))
    assert set(found.place) == {f"t{i}" for i in range(len(numbers))}
    assert set(found.place.values()) == set(range(len(found.names)))
    by_place = [
        [n for i, n in enumerate(numbers) if found.place[f"t{i}"] == place] for place in range(len(found.names))
    ]
    assert all(max(one) < min(other) for one, other in pairwise(by_place))


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["b", "a", None, "a", " "], ("a", "b", MISSING)),
        ([3.0, 1.0, 2.0, 10.0, np.nan], ("1", "2", "3", "10", MISSING)),
        (["3", "10", "", "3", "x"], ("10", "3", "x", MISSING)),
        ([True, False, True, True, False], ("False", "True")),
        ([None, None, None, None, None], (MISSING,)),
    ],
)
def test_other_values_are_slices_as_they_are(values: list[Any], names: tuple[str, ...]) -> None:
    assert cut_column(pd.Series(values, index=list("abcde"))).names == names


def test_of_many_values_the_most_frequent_are_slices() -> None:
    values = [f"v{i % 40:02d}" for i in range(400)] + [f"v{i:02d}" for i in range(30)]
    found = cut_column(pd.Series(values, index=[f"t{i}" for i in range(430)]))
    assert found.names == (*(f"v{i:02d}" for i in range(30)), OTHER)
    assert list(found.place.values()).count(30) == 100


# --- flips ---


def test_flips_by_hand(tmp_path: Path) -> None:
    store, test = Store(tmp_path / "made"), TestSet(np.array(list("abcde")), np.array([0, 1, 0, 1, 0]), ("x", "y"))
    control = record(store, "baseline", 3, np.array([0, 0, 1, 1, 0]), test)  # right, wrong, wrong, right, right
    arm = record(store, "clean=x", 3, np.array([1, 1, 0, 1, 0]), test)  # wrong, right, right, right, right
    found = flips(arm, control, test)
    assert found == Flips(3, gained=("b", "c"), lost=("a",), n=5)
    assert found.net == 1


def test_rows_that_flip_on_every_seed() -> None:
    one = TestSet(np.array(list("abcd")), np.array([0, 1, 0, 1]), ("x", "y"))
    other = TestSet(np.array(list("abce")), np.array([0, 1, 0, 1]), ("x", "y"))
    found = [Flips(0, ("a", "d"), ("c",), 4), Flips(1, ("a", "b"), ("c",), 4)]
    table = flip_counts(found, [one, other])
    assert table.to_dict("list") == {
        "id": ["a", "b", "d", "c"], "class": ["x", "y", "y", "x"], "seeds": [2, 2, 1, 2], "gained": [2, 1, 1, 0],
        "lost": [0, 0, 0, 2],
    }  # fmt: skip
    assert steady(table, "gained") == ["a"], "d was scored on one seed alone: that says nothing of others"
    assert steady(table, "lost") == ["c"]


# --- joining a column to test rows ---


def tabled(folder: Path, **changed: Any) -> tuple[Path, Source, dict[str, Any], pd.DataFrame]:
    """A CSV of 60 rows with a column that tells its row, its source, and the task's parameters as a record has them."""
    folder.mkdir(exist_ok=True)
    place = folder / "rows.csv"
    rows = pd.DataFrame({
        "name": [f"n{i:03d}" for i in range(60)], "a": [i % 7 for i in range(60)], "b": [float(i) for i in range(60)],
        "label": ["yes" if i % 2 else "no" for i in range(60)], "truth": ["yes" if i % 2 else "no" for i in range(60)],
        "row": range(60),
    })  # fmt: skip
    rows.to_csv(place, index=False)
    node = yaml.safe_load((conf_dir() / "task" / "table.yaml").read_text())
    node |= {"path": str(place), "label": "label", "gold": None, "features": ["a", "b"], "cache": str(folder / "cache")}
    node |= changed
    task = {**node, "path": None, "cache": None}  # what a record keeps of it
    return place, build(node), task, rows


def sought(source: Source, task: dict[str, Any], seed: int = 0) -> StudyRows:
    split = source.split(seed)
    return StudyRows(task, source.fingerprint, TestSet(split.test.ids, split.test.y, split.classes))


def test_a_task_of_a_table_is_read_again_and_gives_any_of_its_columns(tmp_path: Path) -> None:
    place, source, task, rows = tabled(tmp_path)
    wanted = sought(source, task)
    moved = {"path": str(place), "cache": str(tmp_path / "cache")}
    found = from_task("row", moved, wanted)
    numbers = [int(name.removeprefix("train-")) for name in wanted.test.ids]
    assert list(found.values.index) == wanted.test.ids.tolist()
    assert found.values.tolist() == numbers, "column 'row' is no feature, and still each value is its row's"
    assert from_task("b", moved, wanted).values.tolist() == [float(n) for n in numbers]
    named_task = tabled(tmp_path, id="name")
    again = sought(named_task[1], named_task[2])
    assert [f"n{n:03d}" for n in from_task("row", moved, again).values] == again.test.ids.tolist()
    with pytest.raises(BadInput, match=r"no column 'rov'; did you mean 'row'\?"):
        from_task("rov", moved, wanted)
    rows.assign(b=0.0).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(BadInput, match="does not hold the data that the study was run on"):
        from_task("row", {**moved, "path": str(tmp_path / "other.csv")}, wanted)
    with pytest.raises(BadInput, match="not in a file with columns"):
        from_task("row", {}, wanted)


def test_a_raw_table_is_read_again(tmp_path: Path) -> None:
    place, _, _, _ = tabled(tmp_path)
    node = yaml.safe_load((conf_dir() / "task" / "raw_table.yaml").read_text())
    node |= {"path": str(place), "label": "label", "gold": None, "id": None, "ignore": ["row", "truth"], "name": "t"}
    source = build(node)
    wanted = sought(source, {**node, "path": None})
    values = from_task("row", {"path": str(place)}, wanted).values
    assert [f"train-{value}" for value in values] == wanted.test.ids.tolist()


def test_a_folder_with_a_test_file_of_its_own_numbers_it_by_itself(tmp_path: Path) -> None:
    _, _, _, rows = tabled(tmp_path / "all")
    data = tmp_path / "data"
    data.mkdir()
    rows[:40].to_csv(data / "train.csv", index=False)
    rows[40:].assign(row=range(100, 120)).to_csv(data / "test.csv", index=False)
    node = yaml.safe_load((conf_dir() / "task" / "folder.yaml").read_text())
    node |= {"path": str(data), "test": "test.csv", "modality": "table", "input": ["a", "b"], "label": "label"}
    node |= {"cache": str(tmp_path / "cache")}
    wanted = sought(build(node), {**node, "path": None, "cache": None})
    assert wanted.test.ids.tolist() == [f"test-{i}" for i in range(20)]
    found = from_task("row", {"path": str(data), "cache": str(tmp_path / "cache")}, wanted)
    assert found.values.tolist() == list(range(100, 120))
    assert column_of_file(str(data / "test.csv"), "row", None, wanted).values.tolist() == [
        str(i) for i in range(100, 120)
    ]
    rows[40:].iloc[::-1].to_csv(data / "turned.csv", index=False)
    with pytest.raises(BadInput, match="is not in the order of the study's data"):
        column_of_file(str(data / "turned.csv"), "row", None, wanted)


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "jsonl"])
@pytest.mark.parametrize("key", ["name", None])
def test_a_file_is_joined_by_ids_or_by_row_numbers(tmp_path: Path, kind: str, key: str | None) -> None:
    _, source, task, rows = tabled(tmp_path, id=key)
    wanted, place = sought(source, task), tmp_path / f"more.{kind}"
    rows = rows.iloc[stream(0, "shuffled").permutation(60)] if key else rows
    write = {
        "csv": lambda: rows.to_csv(place, index=False), "tsv": lambda: rows.to_csv(place, sep="\t", index=False),
        "parquet": lambda: rows.to_parquet(place), "jsonl": lambda: rows.to_json(place, orient="records", lines=True),
    }  # fmt: skip
    write[kind]()
    found = column_of_file(str(place), "row", None, wanted)
    told = [f"n{int(value):03d}" if key else f"train-{value}" for value in found.values]
    assert told == wanted.test.ids.tolist()
    assert ("joined by 'name'" if key else "joined by row number, and its 'label' agrees") in found.how


def test_ids_that_are_numbers_match_however_a_file_writes_them(tmp_path: Path) -> None:
    ids = np.array(["7", "8", "12"])
    wanted = StudyRows({}, "", TestSet(ids, np.array([0, 1, 0]), ("x", "y")))
    (tmp_path / "zeros.csv").write_text("id,v\n007,a\n008,b\n012,c\n013,d\n")
    assert column_of_file(str(tmp_path / "zeros.csv"), "v", "id", wanted).values.tolist() == ["a", "b", "c"]
    pd.DataFrame({"id": [12.0, 8.0, 7.0, np.nan], "v": [1, 2, 3, 4]}).to_parquet(tmp_path / "floats.parquet")
    assert column_of_file(str(tmp_path / "floats.parquet"), "v", "id", wanted).values.tolist() == [3, 2, 1]


@pytest.mark.parametrize(
    ("content", "key", "words"),
    [
        ("id,v\nt0,1\nt1,2\n", "id", "1 of 3 test ids are not in column 'id'"),
        ("id,v\nt0,1\nt1,2\nt1,3\nt2,4\n", "id", "'t1' occurs more than once"),
        ("id,v\nt0,1\nt1,2\nt2,2\n", "idd", "no column 'idd'; did you mean 'id'"),
        ("id,v\nt0,1\nt1,2\nt2,2\n", None, "are not row numbers: set id=COLUMN"),
        ("id,w\nt0,1\nt1,2\nt2,2\n", "id", "no column 'v'"),
    ],
)
def test_what_does_not_match_is_told(tmp_path: Path, content: str, key: str | None, words: str) -> None:
    (tmp_path / "v.csv").write_text(content)
    wanted = StudyRows({}, "", TestSet(np.array(["t0", "t1", "t2"]), np.array([0, 1, 0]), ("x", "y")))
    with pytest.raises(BadInput, match=words):
        column_of_file(str(tmp_path / "v.csv"), "v", key, wanted)


def test_row_numbers_are_held_against_the_length_and_what_cannot_be_checked_is_said(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("v\n1\n2\n3\n")
    wanted = StudyRows({}, "", TestSet(np.array(["digit-0", "digit-2"]), np.array([0, 1]), ("x", "y")))
    found = column_of_file(str(tmp_path / "v.csv"), "v", None, wanted)
    assert found.values.to_dict() == {"digit-0": "1", "digit-2": "3"}
    assert "no label by which that could be checked" in found.how
    beyond = StudyRows({}, "", TestSet(np.array(["digit-0", "digit-3"]), np.array([0, 1]), ("x", "y")))
    with pytest.raises(BadInput, match="has 3 rows, but the study's test ids go up to 'digit-3'"):
        column_of_file(str(tmp_path / "v.csv"), "v", None, beyond)


# --- the command ---


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two arms beside a baseline on 3 seeds, one of which failed everywhere, over 120 test rows of 3 classes."""
    store, test = Store(tmp_path / "made"), made_test_set(120, 3)
    arms = {"baseline": 0.5, "clean=much": 0.97, "model=little": 0.52}
    records = [record(store, arm, s, shown(test, p, arm, str(s)), test) for arm, p in arms.items() for s in range(3)]
    keep(store, [*records, *(record(store, "clean=broken", s, None, test) for s in range(3))])
    rows = pd.DataFrame({"id": test.ids, "length": range(120), "site": ["north", "south"] * 60})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path


def test_all_arms_by_class(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["slices", "made", f"store={study}"]) == 0
    said, table = capsys.readouterr().out, pd.read_csv(study / "made" / "slices.csv")
    assert list(table.columns) == list(slices_frame([]).columns)
    assert table["arm"].unique().tolist() == ["clean=much", "model=little"]
    assert table["n"].unique().tolist() == [40]
    assert "made: points of recall by class" in said
    assert "class 0 (40)" in said
    row = next(line for line in said.splitlines() if line.startswith("clean=much"))
    stars = [(table["p"] < 0.05) * 1 + (table["p_adjusted"] < 0.05) * 1][0][:3]
    assert row.split()[1:] == [f"{d:+.2f}{'*' * n}" for d, n in zip(table["delta"][:3], stars, strict=True)]
    assert stars.max() == 2
    assert not (study / "made" / "flips.csv").exists()
    assert (study / "made" / "slices.png").read_bytes().startswith(b"\x89PNG")


def test_one_arm_by_a_column_with_its_flips(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "slices",
        "made",
        f"store={study}",
        "arm=clean=much",
        "by=length",
        f"table={study / 'rows.csv'}",
        "--id",
        "id",
    ]
    assert main(words) == 0
    said, table = capsys.readouterr().out, pd.read_csv(study / "made" / "slices.csv")
    assert table["slice"].tolist() == ["0 to 29", "30 to 59", "60 to 89", "90 to 119"]
    assert set(table["arm"]) == {"clean=much"}
    counted = pd.read_csv(study / "made" / "flips.csv")
    effect = 100 * (counted["gained"].sum() - counted["lost"].sum()) / (3 * 120)
    assert np.average(table["delta"], weights=table["n"]) == pytest.approx(effect, rel=1e-4)
    assert "Test rows that flipped" in said
    first = {name: (study / "made" / name).read_bytes() for name in ("slices.csv", "flips.csv")}
    assert main(words) == 0
    assert {name: (study / "made" / name).read_bytes() for name in first} == first


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["made", "arm=clean=mach"], "no arm 'clean=mach' has a delta; did you mean 'clean=much'?"),
        (["made", "arm=clean=broken"], "no arm 'clean=broken' has a delta"),
        (["maed"], "no record of a study 'maed'"),
        (["made", "by=site"], "not in a file with columns"),
        (["made", "table=rows.csv"], "set by=COLUMN"),
        (["made", "by=site", "id=id"], "set table=FILE as well"),
        (["made", "by=site", "table=gone.csv"], "there is no file or folder gone.csv"),
        (["made", "collumn=site"], "slices has no option 'collumn'"),
        ([], "name a study"),
    ],
)
def test_wrong_words_are_told_in_one_line(
    study: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["slices", *words, f"store={study}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (study / "made" / "slices.csv").exists()


def test_a_slice_counts_rows_and_the_limit_counts_groups() -> None:
    """Twelve rows in four groups are too few groups, and the reason says both numbers."""
    ids, y = np.array([f"t{i}" for i in range(12)]), np.zeros(12, dtype=np.int64)
    pair = TrialPair(ids, y, y, y, np.repeat(np.arange(4), 3))
    found = module._slice("all", [pair], "an arm", "accuracy")
    assert (found.n, found.interval) == (12, None)
    assert found.why == "too few: 12 test examples in 4 groups, 10 groups needed"
