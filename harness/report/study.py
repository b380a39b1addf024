"""A study's folder of records in; its leaderboard, table and figure beside them out, the same bytes each time.

Numbers come from `harness.effects`; what stands in here only gathers, words and writes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.effects import DRAWS, Effect, covers, deltas, effects, trials
from harness.errors import BadInput
from harness.files import write_atomic
from harness.report import figures, leaderboard
from harness.store import Record, Store


@dataclass(frozen=True, eq=False)
class Study:
    """What a report shows: a study's effects in the order of its plan, a row a trial, and what must be said below."""

    name: str
    task: str
    metric: str
    effects: list[Effect]
    table: pd.DataFrame
    notes: list[str]


def rebuild(folder: Path) -> list[Path]:
    """Writes leaderboard, table and figure of the study in `folder` from its records alone; returns their paths.

    Each file is whole or not there, and is written after all of them could be made. BadInput where there is no record.
    """
    study = gather(Store(folder))
    files = {
        "leaderboard.csv": leaderboard.as_csv(study.effects),
        "leaderboard.md": leaderboard.as_markdown(study.effects, study.name, study.task, study.metric, study.notes),
        "leaderboard.tex": leaderboard.as_latex(study.effects, study.name, study.task, study.metric, study.notes),
        "table.parquet": _parquet(study.table),
        **{f"effects.{kind}": content for kind, content in _drawn(study).items()},
    }
    for name, content in files.items():
        write_atomic(folder / name, content)
    return [folder / name for name in files]


def read_table(folder: Path) -> pd.DataFrame:
    """The leaderboard that `rebuild` wrote, a row an arm, as numbers."""
    return pd.read_csv(folder / "leaderboard.csv")


def gather(store: Store) -> Study:
    """The study in a store. Records of trials that its plan no longer holds are left out, and counted in the notes.

    A record remembers the arm and the control of the study that first ran it; the plan says what they are now.
    """
    records, plan = store.records(), store.plan()
    planned: Sequence[Mapping[str, Any]] = plan["trials"] if plan else records
    now = {row["key"]: row for row in planned}
    kept = [{**record, **now[record["key"]]} for record in records if record["key"] in now]
    if not kept:
        raise BadInput(f"{store.folder} holds no record of a trial: run the study first")
    table = trials(kept)
    compared = deltas(table)
    found = effects(kept, store.test_set, planned)
    notes = [*_notes(found, table, compared), *_stale(len(records) - len(kept))]
    table = table.merge(compared[["key", "delta", "delta_valid", "why"]], how="left", on="key", validate="one_to_one")
    return Study(plan["name"] if plan else kept[0]["study"], _task(kept[0]), _metric(kept[0]), found, table, notes)


def _notes(found: Sequence[Effect], table: pd.DataFrame, compared: pd.DataFrame) -> list[str]:
    """The sentences below the table: what intervals cover, what is simulated, what is missing and why."""
    return [
        *_covered(found),
        "Each interval is for its arm alone and not corrected for the number of arms. It is a two-level bootstrap over "
        f"seeds (in closed form) and test examples ({DRAWS} draws), paired with the control of the same seed.",
        *_facts(table),
        *_failures(table, compared),
        *_missing(found),
    ]


def _covered(found: Sequence[Effect]) -> list[str]:
    """What the intervals cover; where arms differ in their n, the sentence of most arms and then the exceptions."""
    said: dict[str, list[str]] = {}
    for effect in found:
        if effect.interval:
            said.setdefault(effect.covers, []).append(effect.arm)
    first, *others = sorted(said, key=lambda sentence: -len(said[sentence])) or [covers(None)]
    return [first, *(f"But for {', '.join(said[sentence])}: {sentence}" for sentence in others)]


def _facts(table: pd.DataFrame) -> list[str]:
    """What was counted in the task's data and must be known to read the table."""
    notes = []
    if "fact_noise" in table:
        noise = table.loc[table["fact_noise"].notna(), ["seed", "fact_noise"]].sort_values("seed")
        texts = noise["fact_noise"].drop_duplicates().tolist()
        more = f" (seed {noise['seed'].iloc[0]}; it differs a little by seed)" if len(texts) > 1 else ""
        notes += [f"Labels: {texts[0]}{more}."] if texts else []
    if "fact_overlap" in table and table["fact_overlap"].notna().any():
        low, high = int(table["fact_overlap"].min()), int(table["fact_overlap"].max())
        notes.append(f"Test rows that are also among the training rows: {low if low == high else f'{low} to {high}'}.")
    return [*notes, *_adapted(table)]


def _adapted(table: pd.DataFrame) -> list[str]:
    """What was changed for models that cannot take what a strategy gave them; the number of one seed stands for all."""
    if "fact_adapted" not in table:
        return []
    first = table[table["fact_adapted"].notna()].sort_values("seed").drop_duplicates("arm")
    return [
        f"Adapted: {arm}, seed {seed}: {told}."
        for arm, seed, told in zip(first["arm"], first["seed"], first["fact_adapted"], strict=True)
    ]


def _failures(table: pd.DataFrame, compared: pd.DataFrame) -> list[str]:
    """Each arm's failed trials by their reason, and each delta that is missing because of its control."""
    failed = table[table["status"] == "failed"]
    lost = compared[compared["why"].str.startswith("control")]
    return [
        *(f"Failed: {arm}, {_seeds(rows)}: {why}" for (arm, why), rows in failed.groupby(["arm", "reason"])["seed"]),
        *(f"No delta: {arm}, {_seeds(rows)}: {why}" for (arm, why), rows in lost.groupby(["arm", "why"])["seed"]),
    ]


def _seeds(seeds: pd.Series) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, sorted(seeds)))}"


def _missing(found: Sequence[Effect]) -> list[str]:
    return [f"Not run yet: {e.n_missing} of {e.n_trials} trials of {e.arm}." for e in found if e.n_missing]


def _stale(n: int) -> list[str]:
    return [f"Left out: {n} records of trials that the study's plan does not hold."] if n else []


def _task(record: Record) -> str:
    """What the task is called: its name, or its function's."""
    task = record["trial"]["task"]
    return str(task.get("name") or task.get("_target_", "").rpartition(".")[2])


def _metric(record: Record) -> str:
    return str(record["trial"]["protocol"]["metric"])


def _parquet(table: pd.DataFrame) -> bytes:
    """The table as parquet; equal tables give equal bytes."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), buffer)
    return buffer.getvalue()


def _drawn(study: Study) -> dict[str, bytes]:
    """The effects figure in each format."""
    without = study.table[study.table["why"].fillna("") != ""].drop_duplicates("arm")
    simulated = "fact_simulated" in study.table and study.table["fact_simulated"].eq(True).any()
    shaded = " Shaded and hollow: dull twins." if any(effect.dull for effect in study.effects) else ""
    note = _covered(study.effects)[0] + shaded + (" Label noise is simulated." if simulated else "")
    return figures.forest(
        study.effects, title=f"{study.name}, task {study.task}", metric=study.metric, note=note,
        reasons=dict(zip(without["arm"], without["why"], strict=True)),
    )  # fmt: skip
