"""Labels rows by a user's labelling functions: a table of regular expressions, or a Python file."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Int8

from harness.checks import one_of
from harness.data import ABSTAIN, TrainSet, digest
from harness.errors import BadInput
from harness.storage import reader
from harness.storage.cache import Cache
from harness.storage.places import locate
from harness.strategies import Strategy, Tools
from harness.strategies.features import is_text
from harness.strategies.weak.label_names import check_number, class_indices, no_class
from harness.tasks.columns import open_reading

RULE_COLUMNS = ("lf", "label", "regex")
QUOTED = "cells may be quoted"
"""Names the rules by which a table is read, so that votes that were cached under other rules are not used."""
Rule = Callable[[Any], int]
"""Maps a row to a class index, or -1 to abstain."""


def rules(train: TrainSet, tools: Tools, *, path: str, rows: str, then: Strategy) -> TrainSet:
    """Labels rows by the vote model `then` on the votes of the user's rules; the set keeps its own votes.

    The rules vote on every row. `rows` says which may get a label: `unlabelled` keeps given labels, `all` does not.
    Each rule is entered in the ledger. BadInput if no rule votes on any row, or no row may be labelled.
    """
    one_of("rows", rows, ("unlabelled", "all"))
    names, votes = rule_votes(train, path, tools.classes, tools.cache)
    tools.count("rules", count_rules(path))
    file = _existing(path)
    reading = open_reading([line["label"] for _, line in _lines(file)] if file.suffix == ".tsv" else [], tools.classes)
    if reading:
        tools.note("reading", f"labels of {file.name}: {reading}")
    open_rows = ~train.labelled if rows == "unlabelled" else np.ones(len(train), dtype=bool)
    if not open_rows.any():
        raise BadInput("every row of the training set has a label already; set weak.rows=all to let rules replace them")
    if not (votes[open_rows] != ABSTAIN).any():
        raise BadInput(f"{path}: none of the {len(names)} rules votes on any of the {open_rows.sum()} rows to label")
    after = then(replace(train, votes=votes), tools)
    y = np.where(open_rows[:, np.newaxis], after.y, train.y)
    return replace(after, votes=train.votes, y=y, w=np.where(open_rows, after.w, train.w))


def rule_votes(
    train: TrainSet, path: str, classes: Sequence[str], cache: Cache
) -> tuple[list[str], Int8[np.ndarray, "n m"]]:
    """Returns the rules' names, in the file's order, and their votes on every row.

    Cached by the content of the rows and of the file; modules that a Python file imports do not count.
    """
    check_number(classes)
    file = _existing(path)
    found = _from_table(file, train, classes) if file.suffix == ".tsv" else _from_python(file, classes)
    parts = [digest(train.x), hashlib.sha256(file.read_bytes()).hexdigest(), file.suffix, list(classes), QUOTED]
    return list(found), cache.array("rules", parts, lambda: _applied(found, train, file))


def count_rules(path: str) -> int:
    """Counts the rules that somebody wrote: the lines of a table, or the functions of a Python file."""
    file = _existing(path)
    return len(_lines(file)) if file.suffix == ".tsv" else len(_functions(file))


def check_rules(train: TrainSet, tools: Tools, *, path: str) -> None:
    """Raises BadInput if `rules` could not use the file; each rule votes on the first row.

    So a rule that raises shows before the first trial; one that fails on other rows only is found when it runs.
    """
    file = _existing(path)
    check_number(tools.classes)
    table = file.suffix == ".tsv"
    found = _from_table(file, train, tools.classes) if table else _from_python(file, tools.classes)
    _applied(found, train.rows(np.arange(1)), file)


def _existing(path: str) -> Path:
    file = locate(path)
    if not file.is_file():
        raise BadInput(f"there is no file {path}: weak.path names a table of rules (.tsv) or a Python file (.py)")
    if file.suffix not in (".tsv", ".py"):
        raise BadInput(f"{path}: rules are a table of regexes (.tsv) or a Python file (.py), by the ending of the name")
    return file


def _applied(found: Mapping[str, Rule], train: TrainSet, file: Path) -> Int8[np.ndarray, "n m"]:
    """Returns each rule's vote on each row; BadInput, with the names of rule and row, if a rule raises."""
    votes = np.full((len(train), len(found)), ABSTAIN, dtype=np.int8)
    content = np.asarray(train.x)
    for j, (name, rule) in enumerate(found.items()):
        for i, row in enumerate(content):
            try:
                votes[i, j] = rule(row)
            except BadInput:
                raise
            except Exception as error:  # a user's function may break in any way
                what = f"{type(error).__name__}: {error}"
                raise BadInput(f"{file}: rule '{name}' failed on row '{train.ids[i]}': {what}") from error
    return votes


# A table of regexes


def _from_table(file: Path, train: TrainSet, classes: Sequence[str]) -> dict[str, Rule]:
    """Returns the rules of a table by name; lines with the same name form one rule, whose first match decides."""
    if not is_text(train.x):
        raise BadInput(
            f"{file}: regexes are for texts, but this task's rows are not texts; write the rules in Python (.py)"
        )
    lines = _lines(file)
    places = [place for place, _ in lines]
    labels = class_indices([line["label"] for _, line in lines], classes, places)
    grouped: dict[str, list[tuple[re.Pattern[str], int]]] = {}
    for (place, line), label in zip(lines, labels.tolist(), strict=True):
        grouped.setdefault(line["lf"], []).append((_compiled(line["regex"], place), label))
    return {name: _first_match(pairs) for name, pairs in grouped.items()}


def _lines(file: Path) -> list[tuple[str, dict[str, str]]]:
    """Returns the place of each rule of a table, in words, and its cells by column.

    A cell in quotation marks is what stands between them, as in every CSV: see `harness.storage.reader`.
    """
    table = reader.read_strings(file)
    lacking = [name for name in RULE_COLUMNS if name not in table.columns]
    if lacking:
        raise BadInput(
            f"{file}: the first line must name the columns {', '.join(RULE_COLUMNS)}; {lacking[0]} is missing"
        )
    if not len(table):
        raise BadInput(f"{file} holds no rule below its first line")
    places = [f"{file}, {place}" for place in reader.row_places(file, len(table))]
    lines = list(zip(places, table[list(RULE_COLUMNS)].to_dict("records"), strict=True))
    for place, line in lines:
        empty = next((name for name in RULE_COLUMNS if not line[name]), None)
        if empty:
            raise BadInput(f"{place}: the cell '{empty}' is empty; a rule has a name, a class and a regular expression")
    return [(place, {str(name): str(cell) for name, cell in line.items()}) for place, line in lines]


def _compiled(regex: str, place: str) -> re.Pattern[str]:
    try:
        return re.compile(regex, re.IGNORECASE)
    except re.error as error:
        raise BadInput(f"{place}: {regex!r} is not a regular expression: {error}") from error


def _first_match(pairs: Sequence[tuple[re.Pattern[str], int]]) -> Rule:
    return lambda row: next((label for pattern, label in pairs if pattern.search(row)), ABSTAIN)


# A Python file


def _from_python(file: Path, classes: Sequence[str]) -> dict[str, Rule]:
    """Returns the rules of a Python file by name."""
    known = {name: index for index, name in enumerate(classes)}
    return {name: _class_of(rule, name, file, known) for name, rule in _functions(file).items()}


def _functions(file: Path) -> dict[str, Callable[[Any], Any]]:
    """Returns the public functions that a Python file defines, in its order; each must take one row."""
    module = _run(file)
    found: dict[str, Callable[[Any], Any]] = {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }
    if not found:
        raise BadInput(f"{file} defines no public function: each function that takes one row is a rule")
    for name, rule in found.items():
        try:
            inspect.signature(rule).bind("row")
        except TypeError as error:
            raise BadInput(f"{file}: '{name}' does not take one row; a helper's name begins with '_'") from error
    return found


def _run(file: Path) -> ModuleType:
    """Runs a file as a module under a unique name, without keeping it in `sys.modules`."""
    spec = importlib.util.spec_from_file_location(f"rules of {file.stem}", file)
    if spec is None or spec.loader is None:
        raise BadInput(f"{file} cannot be run as Python")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a user's file may break in any way
        raise BadInput(f"{file} does not run: {type(error).__name__}: {error}") from error
    return module


def _class_of(rule: Callable[[Any], Any], name: str, file: Path, known: Mapping[str, int]) -> Rule:
    """Wraps a rule to answer with an index; BadInput if its answer is not a class."""

    def vote(row: Any) -> int:
        said = rule(row.item() if isinstance(row, np.str_) else row)
        if said is None:
            return ABSTAIN
        index = known.get(said, len(known)) if isinstance(said, str) else said
        if isinstance(index, bool) or not isinstance(index, int | np.integer) or not ABSTAIN <= index < len(known):
            raise BadInput(f"{file}: rule '{name}' said {no_class(said, list(known))}, or None to abstain")
        return int(index)

    return vote
