"""Writes tables, figures and a page beside a study's records, the same bytes each time.

No statistics are computed here: `study` gathers them, other modules draw and format them.
"""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.analysis.study import Study, gather
from harness.report import latex_tables, leaderboard
from harness.report.answers import collect_answers
from harness.report.closing import SUSPECTS, answer_as_markdown, as_lines, rows_to_check, suspects_as_csv
from harness.report.current import current_files, inputs_of, note_report
from harness.report.figure_files import FIGURES, FORMATS, draw_all
from harness.report.label_policies import policy_table
from harness.report.page import PageData, index, page_data, render
from harness.report.page.claims import ClaimLine, claim_lines
from harness.report.page.examples import needs_path, rows
from harness.report.verification import (
    BY_VERIFIED,
    GOLD,
    VERIFY,
    ReadCells,
    filled_in,
    given_labels,
    no_cells,
    read_verified,
    write_sheet,
)
from harness.storage.files import write_atomic
from harness.storage.sheets import read_sheet
from harness.storage.store import Store

__all__ = ["PAGE", "Study", "gather", "read_table", "rebuild", "rebuild_if_changed", "write_index", "write_tracked"]

BY_METRIC = "metrics"
"""The folder, within a study's, of the reports by other metrics."""
PAGE, LEADERBOARD, TABLE, ANSWER = "index.html", "leaderboard.csv", "table.parquet", "answer.txt"


def rebuild(
    folder: Path, path: str | None = None, adjust: str = "holm", formats: Collection[str] = (),
    trust: Collection[str] = (), tell: Callable[[str], None] = lambda line: None, metric: str | None = None,
    gold: Path | None = None, read_cells: ReadCells = no_cells,
) -> list[Path]:  # fmt: skip
    """Writes tables, figures and page of the study in `folder` from its records; returns their paths.

    `path` is the path of the task, for a page that shows the first rows that strategies changed; an embedded task needs
    none; `trust` names tasks of the user's own that may be built for it. `adjust` is how p-values account for the
    number of arms (`study.ADJUSTS`). Figures are written as PNG, as `formats` (of `FORMATS`), and in the formats that
    lie in the folder, so that none of them is older than the records. Files are written atomically, after all of them
    have been made; figures of an earlier report that this one lacks are deleted. The notes below the table name each
    figure that is left out, with the reason; `tell` hears of those that failed. By another `metric` than the study's
    own all of it goes to `metrics/METRIC`, beside the study's own report; scored by the verified labels in the file
    `gold`, to `verified`. Where nobody verified the test labels, the rows worth verifying go to `verify_these.csv`,
    with what `read_cells` says that they show. BadInput if there is no record.
    """
    store = Store(folder)
    verified = read_verified(gold, store) if gold else None
    for line in verified.lines if verified else ():
        tell(line)
    labels = verified.labels if verified else {}
    study = gather(store, adjust, metric, labels)
    folder = report_folder(folder, study.own_metric, metric, verified is not None)
    claims = claim_lines(store.folder, (study.plan or {}).get("claims") or ()) if folder == store.folder else ()
    earlier = {name for name in _figure_names() if (folder / name).exists()}
    files = make_files(
        study, path, {"png", *formats, *(name.rpartition(".")[2] for name in earlier)}, trust, tell, claims,
        "../" * len(folder.relative_to(store.folder).parts),
    )  # fmt: skip
    for name, content in files.items():
        write_atomic(folder / name, content)
    for name in earlier - set(files):
        (folder / name).unlink(missing_ok=True)
    if SUSPECTS not in files:
        (folder / SUSPECTS).unlink(missing_ok=True)
    return [*(folder / name for name in files), *_rows_to_verify(study, store, folder, labels, read_cells, tell)]


def report_folder(folder: Path, own_metric: str, metric: str | None, by_verified: bool) -> Path:
    """Returns where a report lies: in the study's folder, or below it if it scores otherwise than its trials did."""
    place = folder / BY_VERIFIED if by_verified else folder
    return place if metric in (None, own_metric) else place / BY_METRIC / metric


def _rows_to_verify(
    study: Study, store: Store, folder: Path, labels: Mapping[str, int], read_cells: ReadCells,
    tell: Callable[[str], None],
) -> list[Path]:  # fmt: skip
    """Writes the rows worth verifying, beside those that are verified, and returns the file, if there is one."""
    waiting = {} if labels else filled_in(folder / VERIFY)
    if waiting:
        tell(
            f"{folder / VERIFY} has {len(waiting)} verified labels: harness report {study.name} {GOLD}={VERIFY} scores "
            "by them, and trains nothing"
        )
    if not study.to_verify and not labels:
        return []
    names = {name: study.classes[label] for name, label in labels.items()}
    cells = read_cells([*names, *waiting, *(row.id for row in study.to_verify)])
    made = write_sheet(folder, study.to_verify, cells, names, given_labels(store))
    return [made] if made else []


def rebuild_if_changed(
    folder: Path, path: str | None = None, adjust: str = "holm", formats: Collection[str] = (),
    trust: Collection[str] = (), tell: Callable[[str], None] = lambda line: None, metric: str | None = None,
    gold: Path | None = None, read_cells: ReadCells = no_cells,
) -> list[Path]:  # fmt: skip
    """Does what `rebuild` does, unless each file is there that it would write; returns their paths in either case.

    A report whose page shows rows of a user's own files, or that reads labels from one, is always made anew, and so is
    one that had something to tell.
    """
    foreign = path is not None or gold is not None
    if foreign or any(not name.startswith("harness.") for name in trust):
        return rebuild(folder, path, adjust, formats, trust, tell, metric, gold, read_cells)
    settings = [adjust, metric or "", "with cells" if read_cells is not no_cells else "", *sorted(formats)]
    inputs, said = inputs_of(folder, settings), list[str]()
    files = current_files(folder, inputs)
    if not files:
        files = rebuild(folder, None, adjust, formats, trust, said.append, metric, None, read_cells)
        if not said:
            note_report(folder, inputs, settings, files)
    for line in said:
        tell(line)
    return files


def write_tracked(store: Store, folder: Path) -> list[Path]:
    """Writes into `folder` what a tracker gets of a study, from its records alone; returns the figures' paths.

    These are copies of the records, the leaderboard, the table of all trials and the figures (PNG), with the bytes that
    `rebuild` gives them. Nothing in the study's own folder changes, and no option that a plan names is built. BadInput
    if there is no record.
    """
    study = gather(store)
    for pattern in ("study.json", "asked/*.json", "trials/*.json", "tests/*.json"):
        for path in store.folder.glob(pattern):
            write_atomic(folder / path.relative_to(store.folder), path.read_bytes())
    write_atomic(folder / LEADERBOARD, leaderboard.as_csv(study.effects, leaderboard.deviations(study.table)))
    write_atomic(folder / TABLE, _parquet(study.table))
    pictures = draw_all(study).drawn
    for name, drawn in pictures.items():
        write_atomic(folder / f"{name}.png", drawn["png"])
    return [folder / f"{name}.png" for name in pictures]


def _figure_names() -> Iterator[str]:
    """Yields the names of the files that figures may have."""
    return (f"{name}.{kind}" for name in FIGURES for kind in FORMATS)


def make_files(
    study: Study, path: str | None, formats: Collection[str] = ("png",), trust: Collection[str] = (),
    tell: Callable[[str], None] = lambda line: None, claims: Sequence[ClaimLine] = (), root: str = "",
) -> dict[str, bytes]:  # fmt: skip
    """Returns the files of a study's report by name; `tell` hears which figures could not be drawn, and why.

    `claims` are the judged claims that the page shows, `root` leads from it to the study's folder.
    """
    sd = leaderboard.deviations(study.table)
    made = draw_all(study)
    pictures = made.drawn
    for line in made.failed:
        tell(line)
    study = replace(study, notes=[*study.notes, *made.notes])
    told = (study.effects, study.name, study.task, study.metric, study.notes, sd)
    figures = {f"{name}.{kind}": drawn[kind] for name, drawn in pictures.items() for kind in FORMATS if kind in formats}
    shown = {name: drawn["png"] for name, drawn in pictures.items()}
    return {
        LEADERBOARD: leaderboard.as_csv(study.effects, sd),
        "leaderboard.md": answer_as_markdown(study) + leaderboard.as_markdown(*told, policy_table(study.policies)),
        ANSWER: ("\n".join(as_lines(study)) + "\n").encode(),
        "leaderboard.tex": latex_tables.as_latex(*told[:-1]),
        TABLE: _parquet(study.table),
        "answers.json": json.dumps(collect_answers(study), indent=1, ensure_ascii=False, allow_nan=False).encode()
        + b"\n",
        **({SUSPECTS: suspects_as_csv(checked)} if (checked := rows_to_check(study)) else {}),
        **figures,
        PAGE: render(replace(_page(study, shown, path, trust), claims=claims, root=root)),
    }


def _page(study: Study, figures: Mapping[str, bytes], path: str | None, trust: Collection[str]) -> PageData:
    """Returns the content of the page, with the training rows that it names if the data are available."""
    data = page_data(study, figures, None, study_command(study), study.classes)
    stages = chain.from_iterable(arm.stages for arm in data.arms.values())
    named = {one.id for stage in stages for one in chain.from_iterable(stage.rows.values())}
    ran_on = {record["trial"]["data"] for record in study.records}
    return replace(data, rows=rows(study.plan, ran_on, named, path, trust))


def write_index(store: Path) -> Path:
    """Writes the page that links to the pages of all studies in a store; returns its path."""
    write_atomic(store / PAGE, index(store, PAGE))
    return store / PAGE


def read_table(folder: Path) -> pd.DataFrame:
    """Reads the leaderboard that `rebuild` wrote, one row per arm, as numbers."""
    return read_sheet(folder / LEADERBOARD)


def study_command(study: Study) -> str:
    """Returns the command that runs the study; "" for trials that were run one by one."""
    if study.plan is None:
        return ""
    words = shlex.join(["harness", "-m", f"experiments={study.name}"])
    return f"{words}{' task.path=FOLDER' if needs_path(study.plan) else ''}"


def _parquet(table: pd.DataFrame) -> bytes:
    """Returns the table as parquet; equal tables give equal bytes."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), buffer)
    return buffer.getvalue()


def closing_lines(folder: Path) -> list[str]:
    """Returns what is printed of the report in that folder: the answer, a short table, and the path of the page."""
    return [(folder / ANSWER).read_text(encoding="utf-8"), str(folder / PAGE)]
