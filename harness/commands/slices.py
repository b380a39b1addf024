"""Runs `harness slices`: prints and writes the deltas by slice and the test rows that flipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.measures import measure
from harness.analysis.metric_verdicts import rerun_command
from harness.analysis.records import join
from harness.analysis.rescoring import rescoring_faults
from harness.analysis.significance import LEVEL
from harness.analysis.slices import (
    FEWEST_EXAMPLES,
    ArmTrials,
    Flips,
    Slice,
    _pair,
    by_class,
    by_column,
    check_sliced,
    cut_column,
    flip_counts,
    flips,
    gather_arms,
    slices_frame,
    steady,
)
from harness.checks import choices
from harness.commands.arguments import parse
from harness.commands.joins import StudyRows, column_of_file, from_task
from harness.commands.terminal import tell_damaged
from harness.errors import BadInput
from harness.notices import notice
from harness.report import figures
from harness.report.write import report_folder
from harness.storage.files import write_atomic
from harness.storage.sheets import sheet_of_table
from harness.storage.store import Record, Store, TestSet

_OPTIONS = ("arm", "by", "metric", "table", "id", "store", "task.path", "task.cache")
_USAGE = (
    "harness slices STUDY [arm=LABEL] [by=COLUMN] [metric=log_loss] [table=FILE] [id=COLUMN] [task.path=PLACE] "
    "[store=FOLDER]"
)
_ACROSS, _NAMED = 10, 20


def command(words: list[str]) -> int:
    """Runs `harness slices STUDY`: prints all arms' deltas by class; writes `slices.csv` and a figure of the study.

    `by=COLUMN` slices by a column instead, from `table=FILE` (with `id=COLUMN` if rows are matched by id) or from the
    task's own data (`task.path=PLACE`); `slices.csv` then holds the column's values as names of slices. `arm=LABEL`
    shows only that arm, with its intervals and the test rows that flipped, which are written to `flips.csv`.
    `metric=log_loss` or `metric=brier` scores the slices by that, from the probabilities in the records, and writes to
    the folder `metrics/METRIC` of the study.
    """
    names, said = parse(words, _OPTIONS)
    if len(names) != 1:
        raise BadInput(f"name a study: {_USAGE}")
    store = Store(Path(said.get("store", "results")).expanduser() / names[0])
    tell_damaged(store)
    how, table = slice_study(store, said)
    folder = report_folder(store.folder, "accuracy", said.get("metric"), by_verified=False)
    print("\n".join([f"{names[0]}: {how}", "", *slices_text(table, whole="arm" in said)]))
    written = {"slices.csv": table}
    if "arm" in said:
        each, written["flips.csv"] = count_flips(store, said["arm"])
        print("\n".join(["", *flips_text(each, written["flips.csv"])]))
    for name, content in written.items():
        write_atomic(folder / name, sheet_of_table(content))
    with notice("drawing the slices"):
        pictures = _pictures(table, store, f"{names[0]}, {how}", _title(said))
    for name, drawn in pictures.items():
        write_atomic(folder / name, drawn)
    print("\n".join(["", *(str(folder / name) for name in (*written, *pictures))]))
    return 0


def slice_study(store: Store, said: Mapping[str, str]) -> tuple[str, pd.DataFrame]:
    """Returns the unit and the column of a study's slices, in words, and one row per arm and slice (`SLICE_COLUMNS`).

    `said` are the options of the command; BadInput for an unknown arm, and for a column that cannot be read.
    """
    check_sliced(said.get("metric", "accuracy"))
    with notice(f"reading the records of {store.folder.name}"):
        arms = _chosen(gather_arms(store), said.get("arm"))
    if said.get("metric", "accuracy") != "accuracy":
        _check_kept(store, arms, said["metric"])
    with notice("reading the column and computing the intervals"):
        how, found = _found(arms, _test_sets(store, arms), said)
        return how, slices_frame(found)


def _check_kept(store: Store, arms: Sequence[ArmTrials], metric: str) -> None:
    """Raises BadInput where the records do not keep what a metric needs."""
    records = [one for arm in arms for one in _both(arm)]
    wrong = rescoring_faults(records, metric, store.test_set, rerun_command(join(store)))
    if wrong:
        raise BadInput("\n".join(wrong))


def _title(said: Mapping[str, str]) -> str:
    """Returns the name of what the slices are scored by."""
    metric = said.get("metric", "accuracy")
    return measure(metric).title if metric != "accuracy" else "accuracy" if "by" in said else "recall"


def count_flips(store: Store, arm: str) -> tuple[list[Flips], pd.DataFrame]:
    """Returns the test rows of an arm that flipped between right and wrong: by seed, and counted by row.

    BadInput for an unknown arm, and for one without a delta.
    """
    chosen = _chosen(gather_arms(store), arm)
    sets, paired = _test_sets(store, chosen), chosen[0].paired
    each = [flips(record, control, sets[record["result"]["test_set"]]) for record, control in paired]
    return each, flip_counts(each, [sets[one["result"]["test_set"]] for one, _ in paired])


def _test_sets(store: Store, arms: Sequence[ArmTrials]) -> dict[str, TestSet]:
    """Returns the test sets of those arms by digest."""
    return {one["result"]["test_set"]: store.test_set(one["result"]["test_set"]) for arm in arms for one in _both(arm)}


def _pictures(table: pd.DataFrame, store: Store, title: str, metric: str) -> dict[str, bytes]:
    """Draws the slices, arms by their short names: bytes by the name of the file."""
    named = table.assign(arm=table["arm"].map(join(store).briefs))
    drawn = figures.slices(
        named,
        title=title,
        metric=metric,
        note="Lines: 95 % intervals, not adjusted for their number. Hollow: references.",
    )
    return {f"slices.{kind}": content for kind, content in drawn.items()}


def _chosen(arms: list[ArmTrials], name: str | None) -> list[ArmTrials]:
    """Returns all arms, or the one of that name."""
    chosen = [arm for arm in arms if name in (None, arm.name)]
    if not chosen:
        raise BadInput(f"no arm '{name}' has a delta{choices(str(name), [arm.name for arm in arms])}")
    return chosen


def _both(arm: ArmTrials) -> list[Record]:
    return [one for pair in arm.paired for one in pair]


def _found(
    arms: Sequence[ArmTrials], sets: Mapping[str, TestSet], said: Mapping[str, str]
) -> tuple[str, list[tuple[ArmTrials, list[Slice]]]]:
    """Returns the unit and the column of the slices, in words, and the slices of each arm."""
    pairs = {arm.name: [_pair(*both, sets) for both in arm.paired] for arm in arms}
    metric, title = said.get("metric", "accuracy"), _title(said)
    if "by" not in said:
        alone = [name for name in ("table", "id", "task.path", "task.cache") if name in said]
        if alone:
            raise BadInput(f"{alone[0]} needs a column to slice by: set by=COLUMN")
        classes = next(iter(sets.values())).classes
        parts = [(arm, by_class(pairs[arm.name], classes, arm.name, metric)) for arm in arms]
        return f"points of {title} by class", parts
    sought = _sought(arms, sets)
    moved = {name.removeprefix("task."): said[name] for name in ("task.path", "task.cache") if name in said}
    if "table" in said:
        joined = column_of_file(said["table"], said["by"], said.get("id"), sought)
    elif "id" in said:
        raise BadInput("id names a column of a file: set table=FILE as well")
    else:
        joined = from_task(said["by"], moved, sought)
    where = cut_column(joined.values)
    how = f"points of {'the share of right answers' if metric == 'accuracy' else title} by {joined.how}"
    return how, [(arm, by_column(pairs[arm.name], where, arm.name, metric)) for arm in arms]


def _sought(arms: Sequence[ArmTrials], sets: Mapping[str, TestSet]) -> StudyRows:
    """Returns the rows of the study: all test examples of all seeds, each once."""
    trial = arms[0].paired[0][0]["trial"]
    ids = np.concatenate([one.ids for one in sets.values()])
    y = np.concatenate([one.y for one in sets.values()])
    first = np.unique(ids, return_index=True)[1]
    return StudyRows(trial["task"], trial["data"], TestSet(ids[first], y[first], next(iter(sets.values())).classes))


def slices_text(table: pd.DataFrame, *, whole: bool) -> list[str]:
    """Returns a table of arms by slices, or with `whole` of every number of every slice, and its notes."""
    told = [
        f"Against the control of the same seed. Intervals: 95 %, over seeds and the test examples of the slice; fewer "
        f"than {FEWEST_EXAMPLES} examples have none. * the interval leaves 0 out, ** also with p adjusted for the "
        "arm's slices (Holm).",
        *dict.fromkeys(f"{row['slice']}: {row['why']}." for row in table[table["why"] != ""].to_dict("records")),
    ]
    return [*(_long(table) if whole else _wide(table)), "", *told]


def _wide(table: pd.DataFrame) -> list[str]:
    """Returns one row per arm and one column per slice, split into blocks of columns."""
    names = list(dict.fromkeys(zip(table["slice"], table.groupby("slice")["n"].transform("max"), strict=True)))
    cells = {(row["arm"], row["slice"]): _delta(row) for row in table.to_dict("records")}
    lines: list[str] = []
    for start in range(0, len(names), _ACROSS):
        some = names[start : start + _ACROSS]
        head = ["arm", *(f"{name} ({n})" for name, n in some)]
        rows = [[arm, *(cells[arm, name] for name, _ in some)] for arm in dict.fromkeys(table["arm"])]
        lines += [*([""] if start else []), *_aligned([head, *rows])]
    return lines


def _long(table: pd.DataFrame) -> list[str]:
    """Returns one row per slice of one arm."""
    head = ["slice", "n", "control", "delta", "95 % interval", "adjusted p"]
    rows = []
    for row in table.to_dict("records"):
        there = row["why"] == ""
        span = f"[{row['low']:+.2f}, {row['high']:+.2f}]" if there else "-"
        last = f"{row['p_adjusted']:.3f}" if there else "-"
        rows.append([row["slice"], str(row["n"]), f"{row['control']:.2f}", _delta(row), span, last])
    return _aligned([head, *rows])


def _delta(row: Mapping[Any, Any]) -> str:
    """Returns a delta with its stars."""
    if not row["n"]:
        return "-"
    stars = "" if row["why"] else "*" * ((row["p"] < 1 - LEVEL) + (row["p_adjusted"] < 1 - LEVEL))
    return f"{round(row['delta'], 2) + 0.0:+.2f}{stars:<2}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns rows in columns of equal width, the first to the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    shaped = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    return [line.rstrip() for line in shaped]


def flips_text(found: Sequence[Flips], counted: pd.DataFrame) -> list[str]:
    """Returns the flips in words: how many on each seed, and which rows on all seeds."""
    rows = [["seed", "wrong to right", "right to wrong", "net", "of"]]
    rows += [[str(one.seed), str(len(one.gained)), str(len(one.lost)), f"{one.net:+d}", str(one.n)] for one in found]
    lines = ["Test rows that flipped, control to arm:", "", *_aligned(rows), ""]
    for side, words in (("gained", "wrong to right"), ("lost", "right to wrong")):
        names = steady(counted, side)
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        listed = f": {', '.join(names[:_NAMED])}{more}" if names else ""
        lines.append(f"On every seed, two at least, {words}: {len(names)}{listed}")
    return lines
