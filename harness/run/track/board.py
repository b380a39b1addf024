"""Turns a study's leaderboard, figures and records into the content of its run."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.run.track.content import content_digest
from harness.run.track.names import LONGEST, group_name, leaderboard_id, legal_name, tags_of, without_places
from harness.storage.store import Store, sealed

_RECORDS = ("study.json", "asked/*.json", "trials/*.json", "tests/*.json", "table.parquet")
"""The files of a study's folder from which everything else in it is made, and the table of all trials."""


@dataclass(frozen=True, eq=False)
class BoardRun:
    """Holds all that W&B gets of one leaderboard: table, figures (PNG), and the records by the names of their files.

    `digest` is that of everything in it. `origin` is what the leaderboard was made from (`lineage`); it and `records`
    are empty if the records are not at hand.
    """

    opening: Mapping[str, Any]
    table: pd.DataFrame
    figures: list[Path]
    records: Mapping[str, bytes]
    origin: Mapping[str, Any]
    digest: str


def board_of(study: str, table: pd.DataFrame, figures: list[Path], folder: Path | None) -> BoardRun:
    """Returns the run of a study's leaderboard; OSError if its `folder` lacks the table of all trials."""
    records = dict(_records(folder)) if folder else {}
    origin = lineage(records["table.parquet"]) if records else {}
    table = table.assign(**{name: [without_places(cell) for cell in table[name]] for name in _texts(table)})
    opening = {
        "id": leaderboard_id(study),
        "group": group_name(study),
        "job_type": "leaderboard",
        "name": f"{study} leaderboard"[:LONGEST],
        "tags": tags_of([study]),
        "config": {"study": study, "rows": len(table), **origin},
    }
    drawn = {path.name: _sha(path.read_bytes()) for path in figures}
    sums = {name: _sha(content) for name, content in records.items()}
    return BoardRun(
        opening, table, figures, records, origin, content_digest([opening, table.to_csv(index=False), drawn, sums])
    )


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _records(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yields the name and content of each intact file of the records; OSError if there is no table of all trials."""
    damaged = Store(folder).damaged()
    for pattern in _RECORDS:
        for path in sorted(folder.glob(pattern)) if "*" in pattern else [folder / pattern]:
            if any(line.startswith(f"{path}: ") for line in damaged):
                continue
            if path.exists() or pattern == "table.parquet":
                yield path.relative_to(folder).as_posix(), _portable(path)


def _portable(path: Path) -> bytes:
    """Returns a file's bytes, without the machine's paths that an error message or an override may name.

    A record that named one gets a new checksum, since it is no longer the file that this program wrote. Test sets are
    sent as they are: what they hold is the ids of rows.
    """
    content = path.read_bytes()
    if path.suffix == ".parquet":
        return _portable_table(content)
    if path.parent.name == "tests":
        return content
    whole = json.loads(content)
    clean = without_places(whole)
    if clean == whole:
        return content
    return sealed(clean) if "checksum" in clean else json.dumps(clean, sort_keys=True, indent=1).encode()


def _portable_table(content: bytes) -> bytes:
    """Returns a parquet file without the machine's paths in its texts; the same bytes if there are none."""
    table = pd.read_parquet(io.BytesIO(content))
    clean = table.assign(**{name: [_cell(cell) for cell in table[name]] for name in _texts(table)})
    if all(list(map(str, clean[name])) == list(map(str, table[name])) for name in _texts(table)):
        return content
    buffer = io.BytesIO()
    clean.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _cell(cell: Any) -> Any:
    return without_places(cell) if isinstance(cell, str) else cell


def _texts(table: pd.DataFrame) -> list[str]:
    """Returns the columns that may hold texts."""
    plain = set(table.select_dtypes(include=["number", "bool"]).columns)
    return [str(name) for name in table.columns if name not in plain]


def lineage(table: bytes) -> dict[str, Any]:
    """Returns what a study's leaderboard was made from: the fingerprints of its data, and the counts of its trials.

    They are read from the table of all trials, a parquet file.
    """
    trials = pd.read_parquet(io.BytesIO(table), columns=["data", "status"])
    return {
        "data": sorted(set(trials["data"])),
        "trials": len(trials),
        "failed": int((trials["status"] == "failed").sum()),
    }


def data_artifact(fingerprint: str) -> Any:
    """Returns the data as a W&B artifact that holds their fingerprint only: studies of the same data share it."""
    import wandb

    artifact = wandb.Artifact(f"data-{fingerprint[:16]}", type="data", metadata={"fingerprint": fingerprint})
    with artifact.new_file("fingerprint.txt") as file:
        file.write(f"{fingerprint}\n")
    return artifact


def records_artifact(study: str, board: BoardRun) -> Any:
    """Returns a study's records as a W&B artifact: its plan, test sets, one file per trial, and the table of all."""
    import wandb

    name = legal_name(f"{study}-records")
    artifact = wandb.Artifact(name, type="records", metadata={"study": study, **board.origin})
    for place, content in board.records.items():
        with artifact.new_file(place, mode="wb") as file:
            file.write(content)
    return artifact


def media(table: pd.DataFrame, figures: list[Path]) -> dict[str, Any]:
    """Returns the leaderboard and its figures as W&B's own types."""
    import wandb

    images = {f"figure/{figure.stem}": wandb.Image(str(figure)) for figure in figures}
    return {"leaderboard": wandb.Table(dataframe=_typed(table)), **images, **_panels(table)}


def _panels(table: pd.DataFrame) -> dict[str, Any]:
    """Returns a chart of the arms' effects per axis, which a new workspace shows; empty if no arm has an effect."""
    import wandb

    if not {"axis", "arm", "effect"} <= set(table.columns):
        return {}
    arms = table.loc[table["effect"].notna(), ["arm", "axis", "effect"]]
    return {
        f"effects/{axis}": wandb.plot.bar(
            wandb.Table(dataframe=_typed(rows[["arm", "effect"]])), "arm", "effect", title=f"{axis}: effects in points"
        )
        for axis, rows in arms.groupby("axis", sort=True)
    }


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the table with one type per column: values but numbers and booleans become text, missing ones None."""
    plain = set(table.select_dtypes(include=["number", "bool"]).columns)
    return pd.DataFrame({name: _cells(table[name], name in plain) for name in table.columns}, dtype=object)


def _cells(column: pd.Series, plain: bool) -> list[Any]:
    """Returns a column's cells as Python types; as text unless `plain`."""
    pairs = zip(column.tolist(), column.isna(), strict=True)
    return [None if gap else value if plain else str(value) for value, gap in pairs]
