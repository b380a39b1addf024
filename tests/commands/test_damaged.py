"""Damaged records, plans and test sets: one line that names the file, no number from it, and never a traceback."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from studies import keep, key, made_test_set, record

from harness.analysis.study import gather
from harness.commands.cli import main
from harness.report.answers import collect_answers
from harness.storage.files import dump
from harness.storage.packing import pack
from harness.storage.store import Store, TestSet, sealed
from harness.storage.store import test_digest as digest_of

TEST = made_test_set(20, 2)
CLAIM = "sentence: Oracles help.\nstudy: made\nleft: clean=oracle\nright: baseline\nrelation: at least\npoints: 1\n"
Content = dict[str, Any]


def wrong(n: int) -> np.ndarray:
    return np.where(np.arange(20) < n, 1 - TEST.y, TEST.y)


def raw(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Changes the bytes of a file."""
    return lambda path: (path.write_bytes(change(path.read_bytes())), None)[1]


def unsealed(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Changes the bytes of a record without a checksum, as an earlier version of the program wrote it."""
    return raw(lambda old: change(re.sub(rb' "checksum": .*\n', b"", old)))


def resealed(change: Callable[[Content], Any]) -> Callable[[Path], None]:
    """Changes a record's content and gives it a checksum that fits: only its meaning is wrong."""

    def write(path: Path) -> None:
        content = json.loads(path.read_text())
        change(content)
        path.write_bytes(sealed(content))

    return write


def replaced(*place: str, value: Any) -> Callable[[Content], None]:
    """Sets a field of a content."""

    def change(content: Content) -> None:
        for name in place[:-1]:
            content = content[name]
        content[place[-1]] = value

    return change


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def in_a_circle(path: Path) -> None:
    """Unreadable for everybody, root included, for whom no file is forbidden."""
    path.unlink()
    path.symlink_to(path.name)


FILE_SHAPES: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "empty": (raw(lambda old: b""), "is empty"),
    "cut_off": (raw(lambda old: old[: len(old) // 2]), "is not a whole JSON file"),
    "no_utf8": (raw(lambda old: b"\xff\xfe" + old), "is not UTF-8 text"),
    "half_a_letter": (raw(lambda old: old.replace(b"{", b'{"x": "\\ud800",', 1)), "holds half a letter"),
    "list": (raw(lambda old: b"[1]"), "holds a list, not an object"),
    "null": (raw(lambda old: b"null"), "holds null, not an object"),
    "nan": (raw(lambda old: old.replace(b"{", b'{"x": NaN,', 1)), "holds NaN, which is not a number"),
    "deep": (raw(lambda old: b"[" * 10**5), "is not a whole JSON file"),
    "folder": (as_folder, "is a folder where a file should be"),
    "unreadable": (in_a_circle, "cannot be read"),
}
"""Damages of any file, and what is said of it."""


def with_result(**fields: Any) -> Callable[[Path], None]:
    """Puts fields into a record's result."""
    return resealed(lambda content: content["result"].update(fields))


def with_valid(name: str, predicted: np.ndarray, score: float | None, **fields: Any) -> Callable[[Path], None]:
    """Gives a record validation rows and predictions for them; the study keeps the sets `VALID` and `OTHER`."""
    return with_result(valid_set=name, valid_predictions=pack(predicted), valid=score, **fields)


def chances(n: int) -> np.ndarray:
    """Probabilities of 20 rows by which the first `n` are of the wrong class."""
    return np.eye(2)[wrong(n)]


KEPT_SETS = (TEST, TestSet(TEST.ids, TEST.y, ("x", "y")))
VALID, OTHER = (digest_of(one) for one in KEPT_SETS)
GARBAGE = base64.b64encode(b"no zlib").decode()
RECORD_SHAPES: Mapping[str, tuple[Callable[[Path], None], str]] = {
    **FILE_SHAPES,
    "edited": (raw(lambda old: old.replace(b'"gold": 0', b'"gold": 7')), "its checksum does not fit"),
    "no_result": (resealed(lambda one: one.pop("result")), "lacks result"),
    "no_score": (resealed(lambda one: one["result"].pop("test")), "lacks result.test"),
    "no_ledger": (resealed(lambda one: one["ledger"].pop("oracle")), "lacks ledger.oracle"),
    "score_text": (resealed(replaced("result", "test", value="0.9")), "its result.test is '0.9'"),
    "score_nested": (resealed(replaced("result", "valid", value=[[0.9]])), "its result.valid is [[0.9]]"),
    "score_huge": (unsealed(lambda old: re.sub(rb'"test": [0-9.]+', b'"test": 1e999', old)), "its result.test is inf"),
    "cost_text": (resealed(replaced("cost", "cpu_s", value="long")), "its cost.cpu_s is 'long'"),
    "status": (resealed(replaced("status", value="fine")), "its status is 'fine'"),
    "curve": (resealed(replaced("history", value=[{"step": "first"}])), "its history.step is 'first'"),
    "claims": (resealed(replaced("provenance", value={"claims": [1]})), "its provenance.claims is [1]"),
    "base64": (resealed(replaced("result", "predictions", "zlib", value="%")), "is not base64"),
    "zlib": (resealed(replaced("result", "predictions", "zlib", value=GARBAGE)), "is not zlib"),
    "dtype": (resealed(replaced("result", "predictions", "dtype", value="|O")), "is of the type '|O'"),
    "floats": (resealed(replaced("result", "predictions", value=pack(np.zeros(20)))), "predictions are float64"),
    "shape": (resealed(replaced("result", "predictions", "shape", value=[10**12])), "more than its content can hold"),
    "square": (resealed(replaced("result", "predictions", value=pack(np.zeros((20, 1), np.uint8)))), "not classes"),
    "fewer": (resealed(replaced("result", "predictions", value=pack(np.zeros(9, np.uint8)))), "it predicts 9 examples"),
    "classes": (resealed(replaced("result", "predictions", value=pack(np.full(20, 7, np.uint8)))), "predicted classes"),
    "other_score": (resealed(replaced("result", "test", value=0.99)), "but its predictions give"),
    "receipt": (resealed(replaced("receipts", "clean", "dropped", value=3)), "its receipts.clean.dropped cannot be unp"),
    "other_trial": (resealed(replaced("trial", "seed", value=9)), "does not hold the trial that its key stands for"),
    "other_set": (resealed(replaced("result", "test_set", value="../study")), "its result.test_set is '../study'"),
    "no_set": (resealed(replaced("result", "test_set", value="0" * 40)), "its test set is missing"),
    "chances": (with_result(probabilities=pack(np.full((20, 2), 0.7))), "each row must sum to 1"),
    "nan_chances": (with_result(probabilities=pack(np.full((20, 2), np.nan))), "each row must sum to 1"),
    "negative": (with_result(probabilities=pack(np.tile([1.5, -0.5], (20, 1)))), "each row must sum to 1"),
    "three_chances": (with_result(probabilities=pack(np.full((20, 3), 1 / 3))), "not numbers of [20, 2]"),
    "whole_chances": (with_result(probabilities=pack(chances(0).astype(int))), "are int64 of the shape"),
    "other_class": (with_result(probabilities=pack(chances(20))), "do not agree on the most probable class"),
    "chances_text": (with_result(probabilities="much"), "its result.probabilities is 'much'"),
    "valid_alone": (with_result(valid_set="0" * 40), "of valid_set and valid_predictions one is missing"),
    "unset_valid": (with_result(valid_predictions=pack(np.zeros(3, np.uint8))), "of valid_set and valid_predictions"),
    "no_valid_set": (with_valid("0" * 40, wrong(0), 1.0), "its validation set is missing"),
    "valid_score": (with_valid(VALID, wrong(5), 0.9), "it says validation accuracy 0.9, but its predictions give 0.75"),
    "valid_fewer": (with_valid(VALID, wrong(0)[:9], 1.0), "predicts 9 examples, its validation set has 20"),
    "valid_none": (with_valid(VALID, wrong(0), None), "it has validation rows, but its result.valid is None"),
    "valid_classes": (with_valid(OTHER, wrong(0), 1.0), "its validation set has other classes than its test set"),
    "valid_chances": (
        with_valid(VALID, wrong(0), 1.0, valid_probabilities=pack(chances(20))), "its result.valid_probabilities and its",
    ),
    "other_name": (lambda path: (path.rename(path.with_name(f"{'b' * 40}.json")), None)[1], "is not the record of the"),
    "copy": (lambda path: (path.rename(path.with_name(f"{path.stem} (1).json")), None)[1], "a copy of a record?"),
    "failed": (lambda path: (path.rename(path.with_suffix(".failed.json")), None)[1], "is not the record of the trial"),
}  # fmt: skip


def study(folder: Path, arms: tuple[str, ...]) -> Store:
    """A study of two seeds with an oracle that gains 10 points and one arm for each shape."""
    store = Store(folder / "results" / "made")
    for one in KEPT_SETS if arms else ():
        store.keep_test_set(one)
    found = [
        record(store, arm, seed, wrong(4 - seed if arm == "baseline" else 2 - seed), TEST,
               axis="none" if arm == "baseline" else "data", factors=() if arm == "baseline" else ("clean",))
        for arm in ("baseline", "clean=oracle", *arms) for seed in (0, 1)
    ]  # fmt: skip
    for one in keep(store, found):
        path = path_of(store, one["arm"], one["seed"])
        path.write_bytes(sealed(json.loads(path.read_text())))
    plan = store.plan() or {}
    store.keep_plan({**plan, "seeds": [0, 1], "task": {"_target_": "harness.tasks.digits.digits"}})
    (folder / "experiments" / "claims").mkdir(parents=True)
    (folder / "experiments" / "claims" / "mine.yaml").write_text(CLAIM)
    return store


def path_of(store: Store, arm: str, seed: int = 1) -> Path:
    return store.folder / "trials" / f"{key(arm, seed)}.json"


def place_of(store: Store, shape: str) -> Path:
    """The record that gets that shape: an arm for each two of them."""
    at = list(RECORD_SHAPES).index(shape)
    return path_of(store, f"clean=x{at // 2}", at % 2)


COMMANDS = (
    ["report", "made"], ["slices", "made"], ["plan", "made", "--effect", "1"], ["claims", "mine", "run=no"],
    ["slices", "made", "by=x", "table=rows.csv", "id=id"],
)  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"id": TEST.ids, "x": TEST.y}).to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path


def test_every_damaged_record_is_named_and_none_is_used(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All shapes in one study: its answers are those of the study without these records."""
    store = study(here, tuple(f"clean=x{number}" for number in range((len(RECORD_SHAPES) + 1) // 2)))
    without = Store(here / "without" / "made")
    shutil.copytree(store.folder, without.folder)
    for name, (damage, _) in RECORD_SHAPES.items():
        place_of(without, name).unlink()
        damage(place_of(store, name))
    lines = store.damaged()
    assert len(lines) == len(RECORD_SHAPES)
    for name, (_, why) in RECORD_SHAPES.items():
        places = [place_of(store, name).stem[:40], "b" * 40] if name == "other_name" else [place_of(store, name).stem]
        told = [line for line in lines if any(place in line for place in places)]
        assert len(told) == 1, name
        assert any(part in told[0] for part in why.split("|")), (name, told[0])
    for words in COMMANDS:
        assert main(words) == 0
        told = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
        assert told == [f"damaged record, left out: results/{line.partition('results/')[2]}" for line in lines], words
    found, wanted = (collect_answers(gather(one)) for one in (store, without))
    notes = [note for note in found.pop("notes") if not note.startswith("Damaged and left out")]
    assert notes == wanted.pop("notes")
    assert found == wanted
    board = (store.folder / "leaderboard.md").read_text()
    assert board.count("Damaged and left out: ") == len(RECORD_SHAPES)


@pytest.mark.parametrize("shape", RECORD_SHAPES)
def test_a_run_makes_the_trial_of_a_damaged_record_anew(shape: str, tmp_path: Path) -> None:
    store = study(tmp_path, ("clean=x",))
    path = path_of(store, "clean=x")
    RECORD_SHAPES[shape][0](path)
    assert store.unfinished([path.stem]) == {path.stem}
    anew = record(store, "clean=x", 1, wrong(3), TEST)
    assert store.fetch(path.stem, lambda keep: keep(anew)) == anew
    assert store.read(path.stem) == anew
    left = [line for line in store.damaged() if path.stem in line]
    assert bool(left) == (shape in ("copy",)), "a copy under another name stays where somebody put it"


TEST_SHAPES: Mapping[str, tuple[Callable[[Path], None], str]] = {
    **FILE_SHAPES,
    "edited": (raw(lambda old: old.replace(b'"t3"', b'"t99"')), "its content is not that of its name"),
    "no_ids": (raw(lambda old: dump({k: v for k, v in json.loads(old).items() if k != "ids"})), "lacks ids"),
    "fewer": (raw(lambda old: dump(json.loads(old) | {"ids": ["t1"]})), "has 1 ids, but y is int64"),
    "numbers": (raw(lambda old: dump(json.loads(old) | {"ids": [1] * 20})), "it must be a list of texts"),
    "twice": (raw(lambda old: dump(json.loads(old) | {"ids": ["t1"] * 20})), "names 19 ids more than once"),
    "no_class": (raw(lambda old: dump(json.loads(old) | {"classes": []})), "has classes 0 to 1, but names 0 of them"),
    "objects": (raw(lambda old: dump(json.loads(old) | {"y": {"dtype": "O", "shape": [20], "zlib": ""}})), "type 'O'"),
    "missing": (lambda path: path.unlink(), "its test set is missing"),
}


@pytest.mark.parametrize("shape", TEST_SHAPES)
def test_a_damaged_test_set_is_named_and_no_record_on_it_used(
    shape: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = study(here, ())
    path = next((store.folder / "tests").glob("*.json"))
    TEST_SHAPES[shape][0](path)
    for words in COMMANDS:
        code, told = main(words), capsys.readouterr().err
        assert code == (0 if words[0] == "claims" else 2), told
        assert told.count(f"tests/{path.name}") >= 4
        assert TEST_SHAPES[shape][1] in told
        assert "Traceback" not in told
    assert not (store.folder / "leaderboard.md").exists()
    store.keep_test_set(TEST)
    assert store.damaged() == []


def rows_changed(change: Callable[[Content], Any]) -> Callable[[Path], None]:
    """Changes the first row of a plan."""

    def write(path: Path) -> None:
        content = json.loads(path.read_text())
        change(content["trials"][0])
        path.write_bytes(dump(content))

    return write


def plan_changed(**changes: Any) -> Callable[[Path], None]:
    return raw(lambda old: dump(json.loads(old) | changes))


PLAN_SHAPES: Mapping[str, tuple[Callable[[Path], None], str]] = {
    **FILE_SHAPES,
    "later": (plan_changed(version=2), "is a plan of version 2; this program reads version 1"),
    "version": (plan_changed(version="new"), "is a plan of version 'new'"),
    "no_trials": (raw(lambda old: dump({"name": "made"})), "lacks trials"),
    "trials": (plan_changed(trials={}), "its trials is {}: it must be a list"),
    "text_row": (plan_changed(trials=["row"]), "its trials[0] is 'row': it must be an object"),
    "name": (plan_changed(name=None), "its name is None"),
    "seeds": (plan_changed(seeds=["0"]), "its seeds is ['0']"),
    "task": (plan_changed(task=[]), "its task is []"),
    "looks": (plan_changed(precision={"half_width": 1, "looks": [], "level": 0.99}), "a precision without looks"),
    "no_key": (rows_changed(lambda row: row.pop("key")), "lacks trials[0].key"),
    "path": (rows_changed(replaced("key", value="../../x")), "its trials[0].key is '../../x'"),
    "seed": (rows_changed(replaced("seed", value=True)), "its trials[0].seed is True"),
    "axis": (rows_changed(replaced("axis", value="other")), "its trials[0].axis is 'other'"),
    "names": (rows_changed(replaced("names", value={"clean": 1})), "its trials[0].names is"),
    "other_seed": (rows_changed(replaced("seed", value=8)), "was changed after it was written"),
    "other_axis": (rows_changed(replaced("axis", value="model")), "was changed after it was written"),
    "other_reference": (
        rows_changed(replaced("reference", value="negative_control")),
        "was changed after it was written",
    ),
    "families": (rows_changed(replaced("families", value=5)), "its trials[0].families is 5"),
    "reference_for": (rows_changed(replaced("reference_for", value="votes")), "its trials[0].reference_for is 'votes'"),
    "certain_level": (
        raw(
            lambda old: dump(json.loads(old) | {"seeds": [0], "precision": {"half_width": 1, "looks": [1], "level": 0}})
        ),
        "has precision.level 0",
    ),
    "looks_backwards": (
        raw(
            lambda old: dump(
                json.loads(old) | {"seeds": [0], "precision": {"half_width": 1, "looks": [3, 2], "level": 0.9}}
            )
        ),
        "has precision.looks [3, 2]",
    ),
    "twice": (raw(lambda old: dump(json.loads(old) | {"trials": 2 * json.loads(old)["trials"]})), "2 times"),
}


@pytest.mark.parametrize("shape", PLAN_SHAPES)
def test_a_damaged_plan_is_refused_in_a_line(shape: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = study(here, ())
    PLAN_SHAPES[shape][0](store.folder / "study.json")
    for words in COMMANDS:
        assert main(words) == 2
        told = capsys.readouterr().err.splitlines()
        assert len(told) == 1, told
        assert "results/made" in told[0]
        assert PLAN_SHAPES[shape][1] in told[0]
    assert not (store.folder / "leaderboard.md").exists()


@pytest.mark.parametrize("shape", [*FILE_SHAPES, "no_arm"])
def test_a_damaged_row_of_a_single_trial_is_refused_in_a_line(
    shape: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = study(here, ())
    rows = (store.plan() or {})["trials"]
    (store.folder / "study.json").unlink()
    for row in rows:
        store.keep_row(row)
    path = next((store.folder / "asked").glob("*.json"))
    damage = FILE_SHAPES.get(shape, (raw(lambda old: dump({"key": "a"})), "lacks control"))
    damage[0](path)
    assert main(["report", "made"]) == 2
    told = capsys.readouterr().err
    assert f"asked/{path.name}: " in told
    assert damage[1] in told


def test_a_page_of_another_study_that_is_damaged_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study(here, ())
    other = here / "results" / "other" / "index.html"
    other.parent.mkdir()
    for summary in ("{", "[]", '{"name": 3}', '{"strange": "x"}'):
        other.write_text(f'<script type="application/json" id="summary">{summary}</script>')
        assert main(["report", "made"]) == 2
        assert "other/index.html is not the page of a study" in capsys.readouterr().err
