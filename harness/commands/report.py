"""Runs `harness report`: rebuilds the tables, figures and page of a study from its records."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from harness.analysis.measures import measure
from harness.analysis.study import gather
from harness.checks import choices, one_of
from harness.commands.arguments import parse, trusted_functions
from harness.commands.joins import cells_of_task, check_same_data
from harness.commands.terminal import say, tell_damaged
from harness.errors import BadInput
from harness.notices import notice
from harness.report.figure_files import FORMATS
from harness.report.page.examples import hidden_rows
from harness.report.verification import Cells, ReadCells, no_cells, read_verified, sheet_of
from harness.report.write import PAGE, closing_lines, rebuild_if_changed, write_index
from harness.storage.store import Store


def command(words: list[str]) -> int:
    """Runs `harness report NAME [-v] [metric=roc_auc] [gold=FILE] [store=results] [task.path=FOLDER] [--paper DIR]`.

    `harness report suite=NAME [store=results]` writes the report over the tasks of a suite, from their records.

    No code that the folder names is run: `trust=mine.task` allows a task that is a function of the user's own.

    Writes tables, figures and page from the records only; by a `metric` that is not the study's own, into a folder
    `metrics/METRIC` of the study's, without training anything. `gold=verify_these.csv` scores by the test labels that
    people verified in that file, where there are any, and writes to `verified`. With the task's folder the page shows
    rows; `adjust` is holm or benjamini_yekutieli; figures are PNGs and what `formats` names; `--paper` fills a folder
    for a paper, with PDFs. Prints the answer that the study ended with, and the path of the page; with `-v` the whole
    leaderboard, and the path of each file.
    """
    verbose = "-v" in words
    names, said = parse(
        [word for word in words if word != "-v"],
        ("store", "paper", "task.path", "adjust", "formats", "trust", "metric", "gold", "suite"),
    )
    store = Path(said.get("store", "results")).expanduser()
    if "suite" in said:
        return _suite(names, said, store)
    folder = _folder_of(names, store)
    adjust, trust = said.get("adjust", "holm"), trusted_functions(said)
    metric = said.get("metric")
    if metric is not None:
        measure(metric)  # raises for an unknown name before anything is computed
    files = Store(folder)
    tell_damaged(files)
    gold = sheet_of(said["gold"], folder) if "gold" in said else None
    hidden = hidden_rows(files.plan(), trust, said.get("task.path"))
    with notice(f"computing and drawing the report of {names[0]}"):
        cells = _cells(files, said.get("task.path"))
        made = rebuild_if_changed(
            folder, said.get("task.path"), adjust, formats_of(said), trust, say, metric, gold, cells
        )
        paths = [*made, write_index(store)]
        if "paper" in said:
            from harness.report.paper import write_paper  # most reports do not need it

            study = gather(files, adjust, metric, _labels(gold, files))
            paths += write_paper(study, Path(said["paper"]).expanduser(), paths)
    if hidden:
        say(hidden)
    print("\n".join(_told(made, paths, verbose)))
    return 0


def _folder_of(names: Sequence[str], store: Path) -> Path:
    """Returns the folder of the one study that is named; BadInput if none or several are, or if it has no folder."""
    if len(names) != 1:
        raise BadInput(
            "name a study: harness report NAME [-v] [metric=roc_auc] [gold=FILE] [store=FOLDER] [task.path=FOLDER] "
            "[formats=pdf,svg] [--paper DIR]"
        )
    folder = store / names[0]
    if not folder.is_dir():
        known = [path.name for path in store.glob("*/") if (path / "trials").is_dir()]
        raise BadInput(f"no records of a study '{names[0]}' in {store}{choices(names[0], known)}")
    return folder


def _labels(gold: Path | None, files: Store) -> Mapping[str, int]:
    return read_verified(gold, files).labels if gold else {}


def _cells(files: Store, path: str | None) -> ReadCells:
    """Returns what reads the rows that a file for verification shows, from the task's own files if they are there."""
    plan = files.plan() or {}
    if path is None or "_target_" not in plan.get("task", {}):
        return no_cells

    def cells(ids: Collection[str]) -> Cells:
        ran_on = {one["trial"]["data"] for one in files.records()}
        check_same_data(plan["task"], {"path": path}, ran_on.pop())
        return cells_of_task({**plan["task"], "path": path}, ids)

    return cells


def _told(made: Sequence[Path], paths: Sequence[Path], verbose: bool) -> list[str]:
    """Returns what the command prints: the answer and the page, and whatever was written for a paper; or all of it."""
    if verbose:
        board = next(path for path in made if path.name == "leaderboard.md")
        return [board.read_text(encoding="utf-8"), *map(str, paths)]
    page = next(path for path in made if path.name == PAGE)
    return [*closing_lines(page.parent), *map(str, paths[len(made) + 1 :])]


def _suite(names: Sequence[str], said: Mapping[str, str], store: Path) -> int:
    """Writes the report over the tasks of a suite; BadInput for a word that concerns single studies alone."""
    odd = [*names, *(name for name in said if name not in ("suite", "store"))]
    if odd:
        raise BadInput(f"'{odd[0]}' concerns a single study: a suite is reported as harness report suite=NAME")
    from harness.commands.suite import report_suite  # most reports do not need it

    print("\n".join(map(str, report_suite(store, said["suite"]))))
    return 0


def formats_of(said: Mapping[str, str]) -> set[str]:
    """Returns the formats of figures that the words ask for beside PNG; BadInput for one that is not of `FORMATS`."""
    named = [name for name in said.get("formats", "").split(",") if name]
    for name in named:
        one_of("formats", name, FORMATS)
    return {*named, *(["pdf"] if "paper" in said else [])}
