from __future__ import annotations

import io
import json
import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from datasets import Image as ImageFeature
from PIL import Image
from pinned import check_pinned, of_task

from harness.checks import one_of
from harness.data import Source, View
from harness.errors import BadInput
from harness.streams import stream
from harness.tasks import images

Make = Callable[..., Source]
N = 40


def _texts(n: int = N, part: str = "train") -> pd.DataFrame:
    return pd.DataFrame({
        "text": [f"{part} sentence {i}" for i in range(n)],
        "label": [["ham", "spam"][i % 2] for i in range(n)],
    })  # fmt: skip


def _write(frame: pd.DataFrame, path: Path) -> None:
    writers = {
        ".csv": lambda: frame.to_csv(path, index=False),
        ".tsv": lambda: frame.to_csv(path, index=False, sep="\t"),
        ".jsonl": lambda: frame.to_json(path, orient="records", lines=True),
        ".parquet": lambda: frame.to_parquet(path),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    writers[path.suffix]()


def _picture(seed: int, size: tuple[int, int] = (20, 12), mode: str = "RGB") -> Image.Image:
    noise = stream(seed, "picture").integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


def _bytes(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of images a class: ten cats and ten dogs."""
    for i in range(20):
        file = tmp_path / "photos" / ["cat", "dog"][i % 2] / f"{i:02d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        _picture(i).save(file)
    return tmp_path / "photos"


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_task(source: Make, tmp_path: Path, suffix: str) -> None:
    _write(_texts(), tmp_path / "data" / f"train{suffix}")
    _write(_texts(10, "test"), tmp_path / "data" / f"test{suffix}")
    task = source("folder", path=tmp_path / "data", test=f"test{suffix}", modality="text").split(0)
    assert task.classes == ("ham", "spam")
    assert [len(part) for part in (task.train, task.valid, task.test)] == [34, 6, 10]
    assert task.test.x.tolist() == [f"test sentence {i}" for i in range(10)]
    assert task.test.y.tolist() == [0, 1] * 5
    assert (task.gold == -1).all()
    facts = task.facts
    assert (facts["given_wrong"], facts["test_labels"], facts["train_labels"]) == (None, "given", "given")
    assert facts["noise"] == "as given in column 'label'"


def test_the_fingerprint_is_the_content_whatever_the_format_or_place(source: Make, tmp_path: Path) -> None:
    prints = set()
    for path in ("a/train.csv", "b/other.parquet"):
        _write(_texts(), tmp_path / path)
        prints.add(source("folder", path=tmp_path / path, modality="text").fingerprint)
    assert len(prints) == 1
    _write(_texts().assign(label=["ham"] * 20 + ["spam"] * 20), tmp_path / "a/train.csv")
    assert source("folder", path=tmp_path / "a/train.csv", modality="text").fingerprint not in prints


def test_parts_missing_are_split_off_and_the_test_part_stays(source: Make, tmp_path: Path) -> None:
    _write(_texts(100), tmp_path / "rows.csv")
    made = source("folder", path=tmp_path / "rows.csv", modality="text")
    one, two = made.split(0), made.split(1)
    assert [len(part) for part in (one.train, one.valid, one.test)] == [68, 12, 20]
    assert one.test.ids.tolist() == two.test.ids.tolist()
    assert np.bincount(one.test.y).tolist() == [10, 10]
    redrawn = source("folder", path=tmp_path / "rows.csv", modality="text", split_seed=None)
    assert redrawn.split(0).test.ids.tolist() != redrawn.split(1).test.ids.tolist()


def test_several_files_lists_and_subfolders(source: Make, tmp_path: Path) -> None:
    for name in ("train/b.csv", "train/a.csv", "valid/v.csv", "test/t.csv"):
        _write(_texts(20, name), tmp_path / "data" / name)
    task = source("folder", path=tmp_path / "data", modality="text").split(0)
    assert task.train.x[0] == "train/a.csv sentence 0"
    assert [len(part) for part in (task.train, task.valid, task.test)] == [40, 20, 20]
    listed = source(
        "folder", path=tmp_path / "data", modality="text", train=["train/a.csv"], valid="*/b.csv", test="test"
    )
    assert [len(part) for part in (listed.split(0).train, listed.split(0).valid)] == [20, 20]


def test_repeated_and_overlapping_rows_are_counted(source: Make, tmp_path: Path) -> None:
    train = pd.concat([_texts(), _texts().head(4)], ignore_index=True)
    test = pd.concat([_texts(10, "test"), _texts().head(3)], ignore_index=True)
    _write(train, tmp_path / "train.csv")
    _write(test, tmp_path / "test.csv")
    _write(_texts(10, "valid"), tmp_path / "valid.csv")
    facts = source("folder", path=tmp_path, modality="text", valid="valid.csv", test="test.csv").split(0).facts
    assert (facts["duplicates"], facts["overlap"]) == (4, 3)


def test_null_labels_have_no_weight_and_null_gold_leaves_the_test_part(source: Make, tmp_path: Path) -> None:
    train = _texts().assign(gold=_texts()["label"])
    train.loc[:9, "label"] = None
    test = _texts(10, "test").assign(gold=["ham", None] * 5)
    test.loc[4:5, "gold"] = "spam"
    _write(train, tmp_path / "train.csv")
    _write(test, tmp_path / "test.csv")
    made = source("folder", path=tmp_path, modality="text", gold="gold", test="test.csv")
    task = made.split(0)
    unlabelled = [int(name.split("-")[1]) < 10 for name in task.train.ids]
    assert (task.train.w == 0).tolist() == unlabelled
    assert (task.train.y[task.train.w == 0] == 0.5).all()
    assert (task.gold >= 0).all()
    assert task.test.x.tolist() == [f"test sentence {i}" for i in (0, 2, 4, 5, 6, 8)]
    assert task.test.y.tolist() == [0, 0, 1, 1, 0, 0]
    assert (task.facts["left_out"], task.facts["labelled"]) == (4, len(unlabelled) - sum(unlabelled))
    assert task.facts["test_labels"] == task.facts["valid_labels"] == "gold"


def test_null_labels_are_a_stratum_of_their_own(source: Make, tmp_path: Path) -> None:
    frame = _texts(100)
    frame.loc[:49, "label"] = None
    for name, rows in (("train", frame), ("valid", _texts(4, "v")), ("test", _texts(4, "t"))):
        _write(rows, tmp_path / f"{name}.csv")
    given = {"path": tmp_path, "modality": "text", "valid": "valid.csv", "test": "test.csv"}
    small = source("folder", n_train=20, **given).split(0)
    assert (len(small.train), small.facts["labelled"]) == (20, 10)
    assert np.bincount(small.train.classes[small.train.labelled]).tolist() == [5, 5]


def test_classes_come_from_the_user_or_the_files_or_the_values(source: Make, tmp_path: Path) -> None:
    named = Features({"text": Value("string"), "label": ClassLabel(names=["z", "a"])})
    rows = {"text": [f"t{i}" for i in range(N)], "label": [0, 1, 1, -1] * 10}
    Dataset.from_dict(rows, features=named).to_parquet(str(tmp_path / "declared.parquet"))
    task = source("folder", path=tmp_path / "declared.parquet", modality="text").split(0)
    assert task.classes == ("z", "a")
    assert task.train.labelled.mean() < 0.8, "a class number of -1 is no label"
    turned = source("folder", path=tmp_path / "declared.parquet", modality="text", classes=["a", "z"]).split(0)
    assert (turned.test.y == 1 - task.test.y).all()
    _write(_texts(30).assign(label=[10, 9, 2] * 10), tmp_path / "numbers.csv")
    numbers = source("folder", path=tmp_path / "numbers.csv", modality="text").split(0)
    assert numbers.classes == ("2", "9", "10")
    _write(_texts(30).assign(label=[0, 1, 2] * 10), tmp_path / "codes.csv")
    codes = source("folder", path=tmp_path / "codes.csv", modality="text", classes=["x", "y", "z"]).split(0)
    assert sorted(set(codes.test.y)) == [0, 1, 2]


def test_votes_in_a_list_or_in_columns(source: Make, tmp_path: Path) -> None:
    frame = _texts().assign(a=["ham", None] * 20, b=["spam"] * 40)
    frame["lists"] = [[0, 1] if i % 2 == 0 else [-1, 1] for i in range(N)]
    _write(frame, tmp_path / "train.parquet")
    one, two = (
        source("folder", path=tmp_path, modality="text", votes=votes).split(0).train for votes in ("lists", ["a", "b"])
    )
    assert one.votes.dtype == np.int8
    assert (one.votes == two.votes).all()
    assert {tuple(row) for row in one.votes} == {(0, 1), (-1, 1)}


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ([[0, 1]] * 39 + [[0]], "votes in column 'lists' have the wrong shape: row 39 has 1 votes, row 0 has 2"),
        ([[0, 1]] * 39 + [None], "row 39 has 0 votes"),
        ([[0, 1]] * 39 + [[0, 2]], "'2' in column 'lists', row 39, is not a class"),
    ],
)
def test_votes_of_the_wrong_shape_or_class(source: Make, tmp_path: Path, lists: list, said: str) -> None:
    _write(_texts().assign(lists=lists), tmp_path / "train.parquet")
    with pytest.raises(BadInput) as told:
        source("folder", path=tmp_path, modality="text", votes="lists")
    assert said in str(told.value)


def test_a_folder_of_images_a_class(source: Make, photos: Path) -> None:
    task = source("folder", path=photos, image_size=8, color="grey").split(0)
    assert task.classes == ("cat", "dog")
    assert (task.train.x.dtype, task.train.x.shape[1:]) == (np.uint8, (8, 8, 1))
    files = sorted(photos.rglob("*.png"))
    for name, pixels in zip(task.test.ids, task.test.x, strict=True):
        wanted = Image.open(files[int(name.split("-")[1])]).convert("L").resize((8, 8), Image.Resampling.BILINEAR)
        assert (pixels[..., 0] == np.asarray(wanted)).all()
    for name, label in zip(task.test.ids, task.test.y, strict=True):
        assert files[int(name.split("-")[1])].parent.name == task.classes[label]


def test_images_in_parts(source: Make, photos: Path, tmp_path: Path) -> None:
    for part in ("train", "test"):
        shutil.copytree(photos, tmp_path / "parted" / part)
    task = source("folder", path=tmp_path / "parted", image_size=8).split(0)
    assert [len(part) for part in (task.train, task.valid, task.test)] == [17, 3, 20]
    assert task.facts["overlap"] == 20 - 3
    assert task.train.x.shape[1:] == (8, 8, 3)


def test_images_inside_parquet_and_by_file_name(source: Make, photos: Path, tmp_path: Path) -> None:
    files = sorted(photos.rglob("*.png"))
    label = [file.parent.name for file in files]
    inside = {"image": [{"bytes": file.read_bytes(), "path": None} for file in files], "label": label}
    features = Features({"image": ImageFeature(), "label": Value("string")})
    Dataset.from_dict(inside, features=features).to_parquet(str(tmp_path / "inside.parquet"))
    named = pd.DataFrame({"image": [str(file.relative_to(photos)) for file in files], "label": label})
    _write(named, photos / "named.csv")
    tasks = [source("folder", path=path, image_size=8) for path in (tmp_path / "inside.parquet", photos / "named.csv")]
    assert tasks[0].fingerprint == tasks[1].fingerprint
    assert tasks[0].split(0).train.digest() == tasks[1].split(0).train.digest()


def test_a_large_set_stays_in_its_file(source: Make, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = source("folder", path=photos, image_size=8).split(0)
    monkeypatch.setattr(images, "IN_MEMORY", 0)
    view = source("folder", path=photos, image_size=8).split(0)
    assert isinstance(view.train.x, View)
    assert isinstance(view.train.x.base, np.memmap)
    assert view.train.digest() == whole.train.digest()
    assert view.facts == whole.facts


def test_images_are_decoded_once(source: Make, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = source("folder", path=photos, image_size=8).split(0).train.digest()
    cached = list((tmp_path / "cache" / "images").glob("*.npy"))
    assert len(cached) == 1
    monkeypatch.setattr(images, "pixels", lambda *_: pytest.fail("decoded again"))
    assert source("folder", path=photos, image_size=8).split(0).train.digest() == first
    monkeypatch.undo()
    cached[0].write_bytes(cached[0].read_bytes()[:100])
    assert source("folder", path=photos, image_size=8).split(0).train.digest() == first, "a torn entry is made anew"


def _digest(make: tuple[str, str]) -> str:
    photos, cache = make
    data = Dataset.from_dict({"image": sorted(map(str, Path(photos).rglob("*.png")))})
    found = images.decode_images(data, "image", Path(photos), 8, "rgb", "same", Path(cache))
    return str(np.asarray(found).sum())


@pytest.mark.slow
def test_processes_that_decode_at_once_agree(photos: Path, tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        sums = pool.map(_digest, [(str(photos), str(tmp_path / "many"))] * 3)
    assert len(set(sums)) == 1
    assert not list((tmp_path / "many").rglob("*.part"))


def test_resizing_is_antialiased() -> None:
    stripes = np.zeros((64, 64), dtype=np.uint8)
    stripes[:, ::2] = 255
    found = images.pixels(Image.fromarray(stripes), 8, "grey")
    assert np.abs(found[:, 1:-1].astype(int) - 127).max() <= 3, "without antialiasing stripes stay black or white"


def test_modes_of_images() -> None:
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert (images.pixels(clear, 4, "rgb") == 255).all(), "transparent is white"
    deep = Image.fromarray(np.full((4, 4), 0x8000, dtype=np.uint16))
    assert (images.pixels(deep, 4, "grey") == 0x80).all()
    turned = Image.new("L", (4, 2))
    turned.putpixel((0, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = 3
    buffer = io.BytesIO()
    turned.save(buffer, "PNG", exif=exif)
    assert images.pixels(Image.open(buffer), 2, "grey")[1, 1, 0] > 0, "turned by half a circle"
    assert images.pixels(Image.new("P", (4, 4)), 4, "rgb").shape == (4, 4, 3)


def test_broken_images_are_counted(source: Make, photos: Path) -> None:
    for name in ("cat/04.png", "dog/07.png"):
        (photos / name).write_bytes(b"no picture")
    half = photos / "dog" / "09.png"
    half.write_bytes(half.read_bytes()[:200])
    with pytest.raises(BadInput) as told:
        source("folder", path=photos, image_size=8)
    assert "3 of 20 images in column 'image' are missing or broken (2 of no known format, 1 cut off or damaged)" in str(
        told.value
    )
    assert "cat/04.png' (row 2)" in str(told.value)
    assert not list(photos.parent.rglob("*.part"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"test": "tset.csv"}, "task.test: nothing to read matches 'tset.csv'"),
        ({"test": "tset.csv"}, "did you mean 'test.csv'? (it has: notes.md, test.csv, train.csv)"),
        ({"train": "*.csv", "test": "test.csv"}, "test.csv belongs to both train and test"),
        ({"label": "lable"}, "the train part has no column 'lable'; did you mean 'label'? (it has: text, label)"),
        ({"gold": "truth"}, "the data has no column 'truth'"),
        ({"input": "txt"}, "the train part has no column 'txt'; did you mean 'text'?"),
        ({"modality": "image", "input": "size"}, "40 of 40 images in column 'size' are missing or broken"),
        ({"modality": "image", "input": "text", "image_size": 0}, "task.image_size is 0"),
        ({"modality": "image", "input": "text"}, "40 of 40 images in column 'text' are missing or broken"),
        ({"votes": ["vote"]}, "the train part has no column 'vote'"),
        ({"n_train": 100}, "task.n_train is 100, but there are only 34 rows"),
    ],
)
def test_bad_input(source: Make, tmp_path: Path, changed: dict, said: str) -> None:
    data = tmp_path / "data"
    size = {"size": range(N)} if changed.get("input") == "size" else {}
    _write(_texts().assign(**size), data / "train.csv")
    _write(_texts(10, "test").assign(**{name: range(10) for name in size}), data / "test.csv")
    (data / "notes.md").write_text("x")
    node = {"path": data, "modality": "text"} | changed
    with pytest.raises(BadInput) as told:
        source("folder", **node).split(0)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_misspelt_choices() -> None:
    with pytest.raises(
        BadInput, match=r"task\.color=gray is not known; did you mean 'grey'\? \(choose from: grey, rgb\)"
    ):
        one_of("task.color", "gray", ("grey", "rgb"))


def test_an_empty_folder_or_part(source: Make, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(BadInput, match=r"has no file to train on.*\(it has: nothing\)"):
        source("folder", path=tmp_path / "data", modality="text")
    _write(_texts(), tmp_path / "data" / "train.parquet")
    for name in ("test.parquet", "test.csv"):
        _write(_texts(0), tmp_path / "data" / name)
        with pytest.raises(BadInput, match=rf"{name} cannot be read, or hold no rows"):
            source("folder", path=tmp_path / "data", modality="text", test=name)
    _write(_texts(), tmp_path / "data" / "trainer.csv")
    with pytest.raises(BadInput, match="files of different kinds are mixed"):
        source("folder", path=tmp_path / "data", modality="text")


def test_a_torn_file(source: Make, tmp_path: Path) -> None:
    _write(_texts(), tmp_path / "train.parquet")
    whole = (tmp_path / "train.parquet").read_bytes()
    (tmp_path / "train.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=r"train\.parquet cannot be read, or hold no rows: "):
        source("folder", path=tmp_path, modality="text")
    (tmp_path / "train.jsonl").write_text(json.dumps({"text": "a", "label": "b"}) + "\n{")
    with pytest.raises(BadInput, match=r"train\.jsonl, line 2, is not JSON: "):
        source("folder", path=tmp_path / "train.jsonl", modality="text")


def test_roman_numerals(source: Make, shared: Path) -> None:
    made = source("roman_numerals", path=shared / "tasks" / "roman_numerals", n_train=300)
    task = made.split(0)
    assert task.classes == ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x")
    assert [len(part) for part in (task.train, task.valid, task.test)] == [300, 310, 709]
    assert np.asarray(task.train.x).shape == (300, 32, 32, 1)
    assert 0.04 < task.facts["given_wrong"] < 0.13
    assert task.facts["valid_labels"] == task.facts["test_labels"] == "gold"
    assert task.test.ids[0].endswith(".png")
    assert made.split(1).test.ids.tolist() == task.test.ids.tolist()
    check_pinned("task/roman_numerals", of_task(task))


@pytest.mark.slow
def test_cifar10n(source: Make, shared: Path) -> None:
    where = {"path": shared / "tasks" / "cifar10n", "train": "train-00-*", "test": "test-00-*"}
    task = source("cifar10n", **where, n_train=1000).split(0)
    assert task.train.x.shape == (1000, 32, 32, 3)
    assert task.train.votes.shape == (1000, 3)
    assert (task.train.votes[:, 0] == task.train.classes).all()
    assert 0.14 < task.facts["given_wrong"] < 0.20
    assert len(task.test) == 5000
    check_pinned("task/cifar10n", of_task(task))


def test_texts_of_every_kind(source: Make, shared: Path) -> None:
    tasks = shared / "tasks"
    sst2 = source("sst2", path=tasks / "sst2").split(0)
    assert [len(part) for part in (sst2.train, sst2.valid, sst2.test)] == [6920, 872, 1821]
    medical = source("medical_treat", path=tasks / "medical_treat", n_train=500).split(0)
    assert medical.facts["test_labels"] == "gold"
    assert medical.facts["valid_labels"] == "given", "no gold in its train part, so none in what is split off"
    assert medical.train.votes.shape == (500, 3)
    news = source("ag_news_weak", path=tasks / "ag_news_weak").split(0)
    assert news.facts["labelled"] / news.facts["train"] == pytest.approx(0.54, abs=0.01)
    assert news.facts["given_wrong"] == pytest.approx(0.16, abs=0.01)
    assert len(news.test) == 11994
    for task in (sst2, medical, news):
        check_pinned(f"task/{task.name}", of_task(task))
