"""Malformed votes: columns of a table, a crowd's answers in a file beside it, and folders in WRENCH format."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.data import Source, Task
from harness.storage.cache import Cache
from harness.strategies.weak.answers import crowd_votes

from .cases import ALONE, Case, Ran, chosen
from .tables import PLAIN, quoted, read_option

CLASSES = ("ash", "fir", "oak")
ROWS, VOTERS, HELD = 48, 3, 12
UNSURE = 10
"""The first rows, whose answers a crowd's file may lack."""


@dataclass
class Ballot:
    """Votes as they will be written, and those that should be read (n, m), -1 for none."""

    rng: random.Random
    door: str
    labels: list[str]
    votes: np.ndarray
    cells: list[list[Any]]
    """What is written for each vote; a text in CSV, any value in JSON."""
    refused: list[str] = field(default_factory=list)
    may: bool = False
    words: dict[str, Any] = field(default_factory=dict)
    columns: list[str] = field(default_factory=lambda: ["row", "worker", "label"])
    rows: list[Callable[[list[list[str]]], list[list[str]]]] = field(default_factory=list)
    """Changes of the lines of a crowd's file."""
    entries: list[Callable[[dict[str, Any]], Any]] = field(default_factory=list)
    """Changes of the training file of a WRENCH folder."""
    raw: list[Callable[[bytes], bytes]] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)

    def one(self) -> tuple[int, int]:
        """Returns the place of a vote that no other fault takes away."""
        return self.rng.randrange(UNSURE, ROWS), self.rng.randrange(VOTERS)

    def put(self, cell: Any, vote: int | None = None) -> tuple[int, int]:
        """Writes a cell of one vote, which counts as `vote` where it counts at all."""
        row, voter = self.one()
        self.cells[row][voter] = cell
        if vote is not None:
            self.votes[row, voter] = vote
        return row, voter


@dataclass(frozen=True)
class Fault:
    apply: Callable[[Ballot], None]
    slot: str
    doors: tuple[str, ...] = ("columns", "lists", "crowd", "wrench")

    @property
    def name(self) -> str:
        return self.apply.__name__


def out_of_range(ballot: Ballot) -> None:
    cell = ballot.rng.choice([3, 7, -2, 127, 128, 255, 300, 2**31, 2**63, 10**30])
    ballot.put(cell if ballot.door in ("lists", "wrench") else str(cell))
    ballot.refused += [str(cell), "vote", "whole numbers", "weak_labels"]


def unknown_class(ballot: Ballot) -> None:
    cell = ballot.rng.choice(["ahs", "Oak", "yew", "none", "NA", "abstain", "0x1", "ash fir", "1,5", "inf"])
    ballot.put(cell)
    ballot.refused += [f"'{cell}'", "weak_labels", "vote", "cannot be read"]


def half_a_vote(ballot: Ballot) -> None:
    cell = ballot.rng.choice([0.5, 1.5, 2.0001])
    ballot.put(cell if ballot.door in ("lists", "wrench") else str(cell))
    ballot.refused += [str(cell), "weak_labels"]


def whole_floats(ballot: Ballot) -> None:
    for row in range(ROWS):
        for voter in range(VOTERS):
            vote = int(ballot.votes[row, voter])
            ballot.cells[row][voter] = float(vote) if ballot.door in ("lists", "wrench") else f"{vote}.0"


def more_abstentions(ballot: Ballot) -> None:
    for _ in range(20):
        ballot.put({"columns": "", "lists": None, "crowd": "", "wrench": -1}[ballot.door], -1)


def voter_without_votes(ballot: Ballot) -> None:
    for row in range(ROWS):
        ballot.cells[row][1], ballot.votes[row, 1] = {"lists": -1, "wrench": -1}.get(ballot.door, "-1"), -1
    if ballot.door == "crowd":
        ballot.dropped.add("w1")


def nobody_votes(ballot: Ballot) -> None:
    ballot.votes[:] = -1
    ballot.cells = [[-1 if ballot.door in ("lists", "wrench") else ""] * VOTERS for _ in range(ROWS)]
    ballot.refused += ["no answer", "no votes", "votes"]
    ballot.may = True


def class_names(ballot: Ballot) -> None:
    ballot.cells = [[CLASSES[vote] if vote >= 0 else "" for vote in votes] for votes in ballot.votes.tolist()]


def names_and_numbers(ballot: Ballot) -> None:
    class_names(ballot)
    row, voter = next(
        (row, voter) for row in range(20, ROWS) for voter in range(VOTERS) if ballot.votes[row, voter] >= 0
    )
    ballot.cells[row][voter] = "1"
    ballot.refused += ["'1'"]


def blanks_around(ballot: Ballot) -> None:
    row, voter = ballot.one()
    ballot.cells[row][voter] = f" {ballot.cells[row][voter]} "


def column_twice(ballot: Ballot) -> None:
    ballot.words["votes"] = ["v0", "v1", "v0"]
    ballot.refused += ["v0"]


def column_missing(ballot: Ballot) -> None:
    ballot.words["votes"] = ["v0", "v9"]
    ballot.refused += ["v9"]


def text_of_lists(ballot: Ballot) -> None:
    """A list written into one cell of a CSV file is a text."""
    ballot.words["votes"] = "height"
    ballot.refused += ["height"]


def uneven(ballot: Ballot) -> None:
    row, _ = ballot.one()
    ballot.cells[row] = ballot.rng.choice([ballot.cells[row][:-1], [*ballot.cells[row], 0], []])
    ballot.refused += ["shape", "votes"]


def no_list(ballot: Ballot) -> None:
    row, _ = ballot.one()
    ballot.cells[row] = ballot.rng.choice([None, 1, "0,1,2", {"a": 1}, [[0, 1, 2]]])  # type: ignore[call-overload]
    ballot.refused += ["votes", "weak_labels"]


def unknown_rows(ballot: Ballot) -> None:
    """Answers on rows of other parts are left out; they are written as the others are, by name or by number."""

    def change(lines: list[list[str]]) -> list[list[str]]:
        said = CLASSES if any(label in CLASSES for _, _, label in lines) else ("0", "1", "2")
        return [*lines, ["test0", "w0", said[1]], ["nobody", "w1", said[2]], ["valid1", "w2", said[0]]]

    ballot.rows.append(change)


def no_known_row(ballot: Ballot) -> None:
    ballot.rows.append(lambda lines: [[f"x{name}", worker, label] for name, worker, label in lines])
    ballot.refused += ["no answer"]


def permuted(ballot: Ballot) -> None:
    ballot.rows.append(lambda lines: ballot.rng.sample(lines, len(lines)))


def answered_twice(ballot: Ballot) -> None:
    ballot.rows.append(lambda lines: [*lines, *lines[:7]])


def contradicted(ballot: Ballot) -> None:
    other = {"0": "1", "1": "2", "2": "0", "ash": "fir", "fir": "oak", "oak": "ash"}
    ballot.rows.append(
        lambda lines: [*lines, *[[row, worker, other[said]] for row, worker, said in lines if said in other][:1]]
    )
    ballot.refused += ["two different labels", "line"]


def columns_wrong(ballot: Ballot) -> None:
    ballot.columns = ballot.rng.choice([["row", "worker", "answer"], ["id", "worker", "label"], ["Row", "Worker", "Label"], ["row", "worker", "row"], ["row", "row", "label"]])  # fmt: skip
    ballot.refused += ["row", "worker", "label"]


def columns_in_another_order(ballot: Ballot) -> None:
    ballot.columns = ["label", "row", "worker"]
    ballot.rows.append(lambda lines: [[label, row, worker] for row, worker, label in lines])


def fewer_answers(ballot: Ballot) -> None:
    def change(lines: list[list[str]]) -> list[list[str]]:
        return [line for line in lines if int(line[0].removeprefix("train")) >= UNSURE]

    ballot.votes[:UNSURE] = -1
    ballot.rows.append(change)


def answers_file_damaged(ballot: Ballot) -> None:
    change = ballot.rng.choice([lambda raw: b"", lambda raw: raw.partition(b"\n")[0], lambda raw: raw.decode().encode("utf-16"), lambda raw: raw + b"train1,w0\n", lambda raw: raw + b'"train1,w0,1\n', lambda raw: raw.replace(b",", b"~")])  # fmt: skip
    ballot.raw.append(change)
    ballot.refused += ["answers", "line", "'row'"]


def answers_with_other_line_ends(ballot: Ballot) -> None:
    ballot.raw.append(ballot.rng.choice([lambda raw: raw.replace(b"\n", b"\r\n"), lambda raw: b"\xef\xbb\xbf" + raw, lambda raw: raw.replace(b",", b";"), lambda raw: raw + b"\n\n"]))  # fmt: skip


def no_answers_file(ballot: Ballot) -> None:
    ballot.words["weak.path"] = ballot.rng.choice(["nowhere.csv", "data", "answers"])
    ballot.refused += ["weak.path", "there is no file"]


def entry_lacks(ballot: Ballot) -> None:
    name = ballot.rng.choice(["label", "data", "weak_labels"])
    ballot.entries.append(
        lambda rows: {row: {k: v for k, v in entry.items() if (row, k) != ("5", name)} for row, entry in rows.items()}
    )
    ballot.refused += ["'5'"]


def entry_odd(ballot: Ballot) -> None:
    odd = ballot.rng.choice([None, [], 3, "text", {"data": None, "label": 0, "weak_labels": [0, 0, 0]}, {"data": {"text": None}, "label": 0, "weak_labels": [0, 0, 0]}, {"data": {"text": "a"}, "label": "oak", "weak_labels": [0, 0, 0]}, {"data": {"text": "a"}, "label": True, "weak_labels": [0, 0, 0]}, {"data": "text", "label": 0, "weak_labels": [0, 0, 0]}])  # fmt: skip
    ballot.entries.append(lambda rows: {**rows, "5": odd})
    ballot.refused += ["'5'"]


def no_entries(ballot: Ballot) -> None:
    odd = ballot.rng.choice([{}, [], "x", None, 3, [[1, 2]]])
    ballot.entries.append(lambda rows: odd)
    ballot.refused += ["train"]


def wrench_damaged(ballot: Ballot) -> None:
    ballot.raw.append(ballot.rng.choice([lambda raw: raw[: len(raw) // 2], lambda raw: b"", lambda raw: raw.decode().encode("utf-16"), lambda raw: b"\xff" + raw, lambda raw: b"{" * 100_000, lambda raw: b"[" * 200_000, lambda raw: raw.replace(b'"label": 0', b'"label": NaN')]))  # fmt: skip
    ballot.refused += ["train"]


TABLE = ("columns",)
FAULTS = (
    Fault(class_names, "cells", ("columns", "crowd")), Fault(whole_floats, "cells"), Fault(nobody_votes, ALONE), Fault(voter_without_votes, "voter"),
    Fault(more_abstentions, "abstain"), Fault(names_and_numbers, "cells", ("columns", "crowd")),
    Fault(blanks_around, "blanks", ("columns", "crowd")), Fault(out_of_range, "range"), Fault(unknown_class, "class"),
    Fault(half_a_vote, "half"), Fault(column_twice, "words", TABLE), Fault(column_missing, "words", TABLE), Fault(text_of_lists, "words", TABLE),
    Fault(uneven, "shape", ("lists", "wrench")), Fault(no_list, "shape", ("lists", "wrench")), Fault(fewer_answers, "fewer", ("crowd",)), Fault(unknown_rows, "rows", ("crowd",)),
    Fault(contradicted, "twice", ("crowd",)), Fault(no_known_row, "ids", ("crowd",)), Fault(permuted, "order", ("crowd",)), Fault(answered_twice, "twice", ("crowd",)),
    Fault(columns_wrong, "columns", ("crowd",)), Fault(columns_in_another_order, "columns", ("crowd",)),
    Fault(answers_file_damaged, "raw", ("crowd",)), Fault(answers_with_other_line_ends, "raw", ("crowd",)), Fault(no_answers_file, "file", ("crowd",)),
    Fault(entry_lacks, "entry", ("wrench",)), Fault(entry_odd, "entry", ("wrench",)), Fault(no_entries, "entry", ("wrench",)), Fault(wrench_damaged, "raw", ("wrench",)),
)  # fmt: skip


def base(rng: random.Random, door: str) -> Ballot:
    labels = [CLASSES[row % 3] for row in range(ROWS)]
    rng.shuffle(labels)
    votes = np.array([[CLASSES.index(label) if rng.random() < 0.7 else rng.choice([-1, 0, 1, 2]) for _ in range(VOTERS)] for label in labels])  # fmt: skip
    votes[:3] = [[0, 1, 2], [1, 2, 0], [2, 0, 1]]
    as_text = door in ("columns", "crowd")
    return Ballot(
        rng, door, labels, votes, [[str(vote) if as_text else vote for vote in row] for row in votes.tolist()]
    )


def case(seed: int) -> Case:
    """Returns the malformed votes of a seed."""
    rng = random.Random(f"vote {seed}")
    door = rng.choice(["columns", "columns", "lists", "crowd", "crowd", "wrench"])
    ballot = base(rng, door)
    faults = chosen(rng, [fault for fault in FAULTS if door in fault.doors], 3)
    for fault in faults:
        fault.apply(ballot)
    files = files_of(ballot)

    def write(folder: Path) -> None:
        (folder / "data").mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)

    words = words_of(ballot)
    return Case(
        "vote", seed, (door, *(fault.name for fault in faults)), write,
        ("votes", f"task={'wrench' if door == 'wrench' else 'table'}", *(f"{name}={quoted(value) if name != 'weak' else value}" for name, value in words.items()), *PLAIN),
        tuple(ballot.refused), lambda ran: wrong(ran, ballot), ballot.may, read=lambda: read(door, words),
    )  # fmt: skip


def words_of(ballot: Ballot) -> dict[str, Any]:
    own = {(name if "." in name else f"task.{name}"): value for name, value in ballot.words.items()}
    if ballot.door == "wrench":
        return {"task.path": "data", "task.n_gold": 6} | own
    named: dict[str, Any] = {"task.path": "data", "task.label": "label", "task.id": "name", "task.features": ["height"]}
    named |= {"columns": {"task.votes": [f"v{voter}" for voter in range(VOTERS)]}, "lists": {"task.votes": "votes"},
              "crowd": {"weak": "crowd", "weak.path": "answers.csv"}}[ballot.door]  # fmt: skip
    return named | own


def files_of(ballot: Ballot) -> dict[str, bytes]:
    if ballot.door == "wrench":
        return wrench_files(ballot)
    suffix = "jsonl" if ballot.door == "lists" else "csv"
    held = {part: rows_of([CLASSES[row % 3] for row in range(HELD)], part) for part in ("valid", "test")}
    train = rows_of(ballot.labels, "train")
    if ballot.door == "columns":
        train = [
            {**row, **{f"v{voter}": cell for voter, cell in enumerate(cells)}}
            for row, cells in zip(train, ballot.cells, strict=True)
        ]
    if ballot.door == "lists":
        train = [{**row, "votes": cells} for row, cells in zip(train, ballot.cells, strict=True)]
    write = as_lines if suffix == "jsonl" else as_cells
    files = {f"data/{part}.{suffix}": write(rows) for part, rows in (held | {"train": train}).items()}
    return files | ({"answers.csv": answers_of(ballot)} if ballot.door == "crowd" else {})


def rows_of(labels: list[str], part: str) -> list[dict[str, Any]]:
    return [{"name": f"{part}{row}", "height": row % 7 + 0.5, "label": label} for row, label in enumerate(labels)]


def as_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_cells(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()


def answers_of(ballot: Ballot) -> bytes:
    lines = [[f"train{row}", f"w{voter}", str(cell)] for row, cells in enumerate(ballot.cells) for voter, cell in enumerate(cells) if str(cell) != "-1"]  # fmt: skip
    for change in ballot.rows:
        lines = change(lines)
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([ballot.columns, *lines])
    raw = buffer.getvalue().encode()
    for edit in ballot.raw:
        raw = edit(raw)
    return raw


def wrench_files(ballot: Ballot) -> dict[str, bytes]:
    def entries(labels: list[str], votes: list[list[Any]]) -> dict[str, Any]:
        return {
            str(row): {"data": {"text": f"tree {row} {label}"}, "label": CLASSES.index(label), "weak_labels": cells}
            for row, (label, cells) in enumerate(zip(labels, votes, strict=True))
        }

    train: Any = entries(ballot.labels, ballot.cells)
    for change in ballot.entries:
        train = change(train)
    raw = json.dumps(train).encode()
    for edit in ballot.raw:
        raw = edit(raw)
    held = entries([CLASSES[row % 3] for row in range(HELD)], [[-1] * VOTERS] * HELD)
    return {"data/train.json": raw, "data/valid.json": json.dumps(held).encode(), "data/test.json": json.dumps(held).encode(),
            "data/label.json": json.dumps(dict(enumerate(CLASSES))).encode()}  # fmt: skip


def read(door: str, words: dict[str, Any]) -> tuple[Task, Source]:
    """Reads the task, and the answers beside it."""
    own = {name.removeprefix("task."): value for name, value in words.items() if name.startswith("task.")}
    task, source = read_option("wrench" if door == "wrench" else "table", own)
    if door == "crowd":
        _, votes = crowd_votes(task.train, str(words["weak.path"]), task.classes, Cache(Path("cache")))
        task = replace(task, train=replace(task.train, votes=votes))
    return task, source


def wrong(ran: Ran, ballot: Ballot) -> str:
    """Returns what votes were read otherwise than they were cast."""
    votes = ballot.votes
    if ran.task is None:
        cast = int((votes >= 0).sum())
        return "" if f"votes: {cast}" in ran.out else f"expected votes: {cast}, got {ran.out[-300:]}"
    found = np.asarray(ran.task.train.votes)
    where = np.array([str(name) for name in ran.task.train.ids])
    prefix = "train-" if ballot.door == "wrench" else "train"
    pool = {name: row for row, name in enumerate(where) if name.startswith(prefix)}
    own = found[[pool[f"{prefix}{row}"] for row in range(ROWS)]]
    expected = np.delete(votes, [1] if "w1" in ballot.dropped and own.shape[1] < VOTERS else [], axis=1)
    return (
        ""
        if own.shape == expected.shape and (own == expected).all()
        else f"other votes: {own.tolist()} for {expected.tolist()}"
    )
