"""What users' files hold is what the program reads, or it says in one line why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset
from PIL import Image

from harness.data import Source
from harness.errors import BadInput
from harness.storage import reader
from harness.tasks.columns import indices, numbering, open_reading

Make = Callable[..., Source]


def table(rows: int, **columns: object) -> pd.DataFrame:
    """Rows with a number f that is unlike an index, and whatever else is given."""
    return pd.DataFrame({"f": [(7 * row) % 11 for row in range(rows)], **columns})


def counts(made: Source) -> str:
    return made.read[0]


def test_a_class_is_called_what_the_user_wrote(source: Make, tmp_path: Path) -> None:
    for name in ("None", "NA", "null", "nan", "N/A", "NULL", "n/a"):
        table(60, label=[name, "a", "b"] * 20).to_csv(tmp_path / "t.csv", index=False)
        made = source("table", path=tmp_path / "t.csv", label="label")
        assert f"{name} 20" in counts(made)
        assert set(made.split(0).classes) == {name, "a", "b"}


def test_an_empty_cell_is_no_label_and_a_quoted_one_is_an_empty_name(source: Make, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("f,label\n" + 'a,x\n1,\n2,""\n' * 20)
    made = source("table", path=tmp_path / "t.csv", label="label")
    assert counts(made) == "train: 60 rows, given labels: '' 20, x 20; 20 without a label"


@pytest.mark.parametrize("rows", [10, 4000])
def test_zeros_in_front_stay_in_one_file_or_in_two(source: Make, tmp_path: Path, rows: int) -> None:
    frame = table(3 * rows + 4, label=["01", "02", "03"] * rows + ["x"] * 4)
    frame.to_csv(tmp_path / "one.csv", index=False)
    (tmp_path / "two").mkdir()
    frame[: rows + 3].to_csv(tmp_path / "two" / "a.csv", index=False)
    frame[rows + 3 :].to_csv(tmp_path / "two" / "b.csv", index=False)
    prints = set()
    for path in (tmp_path / "one.csv", tmp_path / "two"):
        made = source("table", path=path, label="label")
        assert made.split(0).classes == ("01", "02", "03", "x")
        prints.add(made.fingerprint)
    assert len(prints) == 1


def test_classes_of_digits_have_one_order(source: Make, tmp_path: Path) -> None:
    table(60, label=["01", "1", "10"] * 20).to_csv(tmp_path / "t.csv", index=False)
    assert source("table", path=tmp_path / "t.csv", label="label").split(0).classes == ("01", "1", "10")


def test_labels_that_differ_in_blanks_or_unicode_forms_are_one_class_and_that_is_said(
    source: Make, tmp_path: Path
) -> None:
    table(80, label=["caf\u00e9", "cafe\u0301", " tea", "tea"] * 20).to_csv(tmp_path / "t.csv", index=False)
    made = source("table", path=tmp_path / "t.csv", label="label")
    assert made.split(0).classes == ("caf\u00e9", "tea")
    said = "differ in blanks, in their Unicode form or in a whole number's point alone were merged: ' tea' is 'tea'"
    assert f"2 spellings of a class that {said}" in made.read


def test_one_and_one_point_nought_are_one_class_and_that_is_said(source: Make, tmp_path: Path) -> None:
    table(60, label=["1", "1.0", "2"] * 20).to_csv(tmp_path / "t.csv", index=False)
    made = source("table", path=tmp_path / "t.csv", label="label")
    assert made.split(0).classes == ("1", "2")
    assert any(line.endswith("were merged: '1.0' is '1'") for line in made.read)
    table(60, label=["1.0", "2.0", "3.0"] * 20).to_csv(tmp_path / "t.csv", index=False)
    assert not any("merged" in line for line in source("table", path=tmp_path / "t.csv", label="label").read)
    table(60, label=["1", "01", "2"] * 20).to_csv(tmp_path / "t.csv", index=False)
    assert source("table", path=tmp_path / "t.csv", label="label").split(0).classes == ("01", "1", "2")


def test_whole_labels_that_a_library_wrote_with_a_point_are_whole(source: Make, tmp_path: Path) -> None:
    table(60, label=["1.0", "2.0", ""] * 20).to_csv(tmp_path / "t.csv", index=False)
    assert source("table", path=tmp_path / "t.csv", label="label").split(0).classes == ("1", "2")


def test_amounts_are_no_classes(source: Make, tmp_path: Path) -> None:
    table(300, label=[round(1.37 * row, 2) for row in range(300)]).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(BadInput, match="300 different numbers in 300 rows, which looks like regression"):
        source("table", path=tmp_path / "t.csv", label="label")


# Names or indices of classes are decided once


def test_votes_are_names_or_indices_in_all_columns_together(source: Make, tmp_path: Path) -> None:
    gold = [1, 2] * 30
    frame = pd.DataFrame({
        "text": [f"t {row}" for row in range(60)], "label": gold,
        "lf_a": [0 if one == 1 else -1 for one in gold], "lf_b": [1 if one == 2 else -1 for one in gold],
    })  # fmt: skip
    frame.to_csv(tmp_path / "t.csv", index=False)
    train = source("folder", path=tmp_path / "t.csv", modality="text", votes=["lf_a", "lf_b"]).split(0).train
    assert {tuple(row) for row in train.votes.tolist()} == {(0, -1), (-1, 1)}
    assert (train.votes.max(axis=1) == train.classes).all()


def test_votes_that_name_a_class_and_number_another_are_names_and_that_is_said(source: Make, tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": [f"t {row}" for row in range(60)], "label": [1, 2] * 30, "lf": [1, -1] * 30})
    frame.to_csv(tmp_path / "t.csv", index=False)
    made = source("folder", path=tmp_path / "t.csv", modality="text", votes=["lf"])
    assert set(made.split(0).train.votes.ravel().tolist()) == {0, -1}
    assert any(line.startswith("votes: 1 is a class and the number of another one") for line in made.read)


@pytest.mark.parametrize(
    ("values", "classes", "settled"),
    [
        (["1"], ("1", "2"), False),
        ([" 1.0", "2.0", None], ("1", "2", "3"), False),
        (["1", "2"], ("1", "2"), True),
        (["0", "1"], ("1", "2"), True),
        (["1"], ("0", "1"), True),
        (["1"], ("a", "b"), True),
        (["", None], ("1", "2"), True),
    ],
)
def test_what_settles_whether_values_are_names_or_numbers(
    values: list[str | None], classes: tuple[str, ...], settled: bool
) -> None:
    assert (open_reading(values, classes) == "") == settled


@pytest.mark.parametrize(
    ("values", "classes", "found"),
    [
        (["1", "2"], ("1", "2"), [0, 1]),
        (["1"], ("1", "2"), [0]),
        (["0", "1"], ("1", "2"), [0, 1]),
        (["1.0", "2.0"], ("1", "2"), [0, 1]),
        (["-1", "1"], ("-1", "1"), [0, 1]),
        ([" b", "a"], ("a", "b"), [1, 0]),
        (["01", "1"], ("01", "1"), [0, 1]),
    ],
)
def test_numbering(values: list[str], classes: tuple[str, ...], found: list[int]) -> None:
    assert indices(np.array(values, dtype=object), classes, "label").tolist() == found
    assert [numbering(values, classes)[value] for value in values] == found


# Numbers


def test_large_numbers_keep_their_differences(source: Make, tmp_path: Path) -> None:
    t = 1_700_000_000 + 10 * np.arange(60)
    table(60, t=t, label=np.where(t % 20 == 0, "a", "b")).to_csv(tmp_path / "t.csv", index=False)
    made = source("table", path=tmp_path / "t.csv", label="label")
    x = made.split(0).train.x[:, 1]
    assert len(np.unique(x)) == len(x)
    assert "'t' is centred and scaled, since single precision cannot tell its values apart" in made.read


def test_kinds_of_numbers(source: Make, tmp_path: Path) -> None:
    """A column is numeric if every cell is, wherever it stands; what people write for nothing is missing there."""
    frame = table(
        60, late=["1"] * 59 + ["0.5"], gap=["1", "NA", "3"] * 20, day=["2026-01-01", "2026-01-02", ""] * 20,
        yes=["True", "false"] * 30, word=["NA", "EU", "US"] * 20, label=["a", "b"] * 30,
    )  # fmt: skip
    frame.to_csv(tmp_path / "t.csv", index=False)
    task = source("table", path=tmp_path / "t.csv", label="label").split(0)
    assert task.train.x.shape[1] == len(["day", "f", "gap", "late", "word=EU", "word=NA", "word=US", "yes"])
    assert task.facts["missing"] > 0


def test_types_of_parquet(source: Make, tmp_path: Path) -> None:
    frame = table(
        60, when=pd.date_range("2026-01-01", periods=60, freq="h"), took=pd.to_timedelta(np.arange(60) ** 2, unit="s"),
        yes=[True, False] * 30, label=["a", "b"] * 30,
    )  # fmt: skip
    frame.to_parquet(tmp_path / "t.parquet")
    assert source("table", path=tmp_path / "t.parquet", label="label").split(0).train.x.shape[1] == 4


def test_columns_of_one_value_or_none_are_left_out_and_that_is_said(source: Make, tmp_path: Path) -> None:
    table(60, same=["x"] * 60, nothing=[None] * 60, label=["a", "b"] * 30).to_csv(tmp_path / "t.csv", index=False)
    made = source("table", path=tmp_path / "t.csv", label="label")
    assert made.split(0).train.x.shape[1] == 1
    assert "left out, since all rows have one value there, or none: 'nothing', 'same'" in made.read


@pytest.mark.parametrize("named", [True, False])
def test_an_index_is_no_feature_unless_it_is_named_as_one(source: Make, tmp_path: Path, named: bool) -> None:
    table(60, label=["a"] * 30 + ["b"] * 30).to_csv(tmp_path / "t.csv")
    features = ["f", ""] if named else None
    made = source("table", path=tmp_path / "t.csv", label="label", features=features)
    assert made.split(0).train.x.shape[1] == 1 + named
    assert ("left out as an index of the rows: ''" in made.read) != named


def test_the_index_that_pandas_keeps_in_parquet_is_no_feature(source: Make, tmp_path: Path) -> None:
    frame = table(60, label=["a"] * 30 + ["b"] * 30).set_index(pd.Index(range(5, 65)))
    frame[frame.index != 3].to_parquet(tmp_path / "t.parquet")
    assert source("table", path=tmp_path / "t.parquet", label="label").split(0).train.x.shape[1] == 1


# Files


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,label\n1,x\n2\n", "t.csv, line 3, has 1 fields, and the first line names 2"),
        ("a,label\n1,x,3\n", "t.csv, line 2, has 3 fields, and the first line names 2"),
        ('a,label\n"one,x\n2,y\n3,"z\n', "a quotation mark is missing or stands alone"),
        ('a,label\n"one"two,x\n', "t.csv, line 2: "),
        ("label,label\n1,x\n", "t.csv has 2 columns named 'label'"),
        (b"a,label\n1,caf\xe9\n", "t.csv, line 2, is not UTF-8 (byte 0xe9): save it as UTF-8"),
        ("a,label\n1,x\n".encode("utf-16"), "t.csv is UTF-16: save it as UTF-8"),
        (b"a,label\n1,\0\n", "t.csv, line 2, holds a zero byte"),
        ("\n \n", "t.csv is empty"),
        ("a,label\n", "t.csv cannot be read, or hold no rows"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(
    source: Make, tmp_path: Path, content: str | bytes, said: str
) -> None:
    (tmp_path / "t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadInput) as told:
        source("table", path=tmp_path / "t.csv", label="label")
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_quoted_cells_marks_and_other_separators(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes('\ufefftext;label\r\n"two\r\nlines; ""quoted""";a\r\n5" pipe;\r\n'.encode())
    frame = reader.read_strings(tmp_path / "t.csv")
    assert frame.to_dict("list") == {"text": ['two\r\nlines; "quoted"', '5" pipe'], "label": ["a", ""]}
    assert reader.separator_note(tmp_path / "t.csv") == "t.csv is separated by semicolons"


def test_long_cells_and_where_rows_stand(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('text,label\n"' + "long " * 100_000 + '",a\n\n"two\nlines",b\nshort,c\n')
    assert reader.read_strings(tmp_path / "t.csv")["label"].tolist() == ["a", "b", "c"]
    assert reader.row_places(tmp_path / "t.csv", 3) == ["line 2", "line 4", "line 6"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"a": 1}\n{"a": \n', "line 2, is not JSON"),
        ('{"a": 1}\n[1]\n', "line 2, is not a JSON object"),
        ('{"a": 1, "a": 2}\n', "line 1, names 'a' more than once"),
        ('[{"a": 1},\n\n\n 7]\n', "row 2, is not a JSON object"),
        ('{"0": {"text": "a"}, "1": {"text": "b"}}', "2 entries are objects themselves, as in the WRENCH format"),
    ],
)
def test_malformed_json_is_refused_with_its_line(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "t.jsonl").write_text(content)
    with pytest.raises(BadInput, match=said):
        reader.read_tables([tmp_path / "t.jsonl"])


def test_json_of_mixed_types_is_text_and_lists_are_no_labels(source: Make, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('[{"label": 1}, {"label": "1"}, {"label": "b", "other": 2.5}, {}]')
    assert reader.read_frame(tmp_path / "t.json")["label"].fillna("").tolist() == ["1", "1", "b", ""]
    Dataset.from_dict({"text": ["a", "b"] * 20, "label": [["x"], ["x", "y"]] * 20}).to_parquet(tmp_path / "l.parquet")
    with pytest.raises(BadInput, match="column 'label' holds lists: it needs one value a row"):
        source("folder", path=tmp_path / "l.parquet", modality="text")


def picture(file: Path, shade: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), shade).save(file)


def test_the_class_is_the_first_folder_and_tools_leave_no_class(source: Make, tmp_path: Path) -> None:
    for number in range(10):
        for name in ("cat/front", "cat", "dog/side", "dog", "cat/.ipynb_checkpoints", "__MACOSX/cat"):
            picture(tmp_path / "p" / name / f"{number}.png", 10 * number + len(name))
    picture(tmp_path / "p" / "preview.png", 3)
    (tmp_path / "p" / "notes.txt").write_text("x")
    made = source("folder", path=tmp_path / "p", image_size=8)
    assert counts(made) == "train: 40 rows, given labels: cat 20, dog 20"
    assert "left out: 1 images that lie in no class folder, the first is preview.png" in made.read
    assert "not read: 1 other file (1 .txt)" in made.read


@pytest.mark.parametrize(("train", "valid", "test"), [("Training", "val", "eval"), ("train", "dev", "testing")])
def test_part_folders_by_the_names_people_use(source: Make, tmp_path: Path, train: str, valid: str, test: str) -> None:
    for part, n in ((train, 12), (valid, 3), (test, 4)):
        for number in range(n):
            for label in ("cat", "dog"):
                picture(tmp_path / part / label / f"{number}.png", 10 * number + len(label + part))
    made = source("folder", path=tmp_path, image_size=8).split(0)
    assert [len(part) for part in (made.train, made.valid, made.test)] == [24, 6, 8]
    assert made.classes == ("cat", "dog")


def test_part_files_by_name_and_a_test_file_without_labels(source: Make, tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": [f"t{row}" for row in range(40)], "label": ["a", "b"] * 20})
    frame.to_csv(tmp_path / "train.csv", index=False)
    frame[:10].to_csv(tmp_path / "validation.csv", index=False)
    frame[["text"]].to_csv(tmp_path / "test.csv", index=False)
    made = source("folder", path=tmp_path, modality="text")
    assert "left out: test.csv, which would be the test part, has no column of labels" in made.read
    task = made.split(0)
    assert [len(part) for part in (task.train, task.valid, task.test)] == [32, 10, 8]


def test_a_name_with_a_bracket_is_a_name_and_linked_folders_are_read_once(source: Make, tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": [f"t{row}" for row in range(40)], "label": ["a", "b"] * 20})
    frame.to_csv(tmp_path / "data[1].csv", index=False)
    made = source("folder", path=tmp_path, modality="text", train="data[1].csv")
    assert len(made.split(0).test) == 8
    for number in range(10):
        picture(tmp_path / "far" / "cat" / f"{number}.png", number)
        picture(tmp_path / "near" / "dog" / f"{number}.png", 100 + number)
    (tmp_path / "near" / "cat").symlink_to(tmp_path / "far" / "cat")
    (tmp_path / "near" / "dog" / "again").symlink_to(tmp_path / "near")
    made = source("folder", path=tmp_path / "near", image_size=8)
    assert counts(made) == "train: 20 rows, given labels: cat 10, dog 10"


def test_a_group_has_one_part(source: Make, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"text": [f"t{row}" for row in range(40)], "label": ["a", "b"] * 20, "who": np.arange(40) // 4}
    )
    frame.to_csv(tmp_path / "train.csv", index=False)
    frame[20:28].assign(text=[f"u{row}" for row in range(8)]).to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(BadInput, match="2 groups of column 'who' have rows in both the train and the test part"):
        source("folder", path=tmp_path, modality="text", group="who")


def test_a_part_without_labels_says_so(source: Make, tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": [f"t{row}" for row in range(40)], "label": ["a", "b"] * 20})
    frame.to_csv(tmp_path / "train.csv", index=False)
    frame.assign(label="").to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(BadInput, match="none of the 40 rows of the test part has a label"):
        source("folder", path=tmp_path, modality="text").split(0)


def test_the_input_is_no_label(source: Make, tmp_path: Path) -> None:
    pd.DataFrame({"text": ["a", "b"] * 20}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(BadInput, match="column 'text' is named as the input and in another role"):
        source("folder", path=tmp_path / "t.csv", modality="text", label="text")


def test_a_label_of_blanks_is_no_label(source: Make, tmp_path: Path) -> None:
    table(60, label=["a", "b", "  "] * 20).to_csv(tmp_path / "t.csv", index=False)
    assert counts(source("table", path=tmp_path / "t.csv", label="label")).endswith("a 20, b 20; 20 without a label")


def test_several_folders_of_images_in_one_part(source: Make, tmp_path: Path) -> None:
    for number in range(8):
        picture(tmp_path / "old" / "cat" / f"{number}.png", number)
        picture(tmp_path / "new" / "dog" / "side" / f"{number}.png", 90 + number)
    for patterns in (["old", "new"], ["old/*", "new/*"], [str(tmp_path / "old"), str(tmp_path / "new")]):
        made = source("folder", path=tmp_path, image_size=8, train=patterns)
        assert counts(made) == "train: 16 rows, given labels: cat 8, dog 8"
