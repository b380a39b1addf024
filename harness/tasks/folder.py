"""Makes a task from the user's own files: parquet, CSV, JSONL, or one folder of images per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from harness.checks import one_of
from harness.data import Modality, Source, Task
from harness.tasks import columns as reading
from harness.tasks import files
from harness.tasks.images import Color
from harness.tasks.parameters import RowsInParts, by_fields
from harness.tasks.parts import Part, Plan, damage, describe, divide, given_wrong, shared_share, subsample, task


@by_fields(RowsInParts)
def folder(rows: RowsInParts) -> Source:
    """Makes a task from the files under `path`; `harness.tasks.files.find` decides which file belongs to which part."""
    plan = rows.plan()
    found = files.find(rows.path, {"train": rows.train, "valid": rows.valid, "test": rows.test})
    data, notes = files.open_parts(found, rows.cache, (rows.label, rows.gold))
    pictures = rows.pictures(found.root)
    return source(rows.name, rows.modality, data, rows.columns(rows.input), rows.classes, pictures, plan, notes)


def source(
    name: str,
    modality: Modality,
    data: reading.DataParts,
    columns: reading.Columns,
    classes: Sequence[str] | None,
    pictures: reading.Pictures,
    plan: Plan,
    notes: Sequence[str] = (),
) -> Source:
    """Reads data sets once, and returns how a seed divides them."""
    one_of("task.modality", modality, get_args(Modality))
    one_of("task.color", pictures.color, get_args(Color))
    told = list(notes)
    fingerprint, names, parts = reading.read_parts(data, columns, modality, classes, pictures, told)

    def split(seed: int) -> Task:
        done, facts = divide(parts, plan, seed)
        whole, done["train"] = done["train"], subsample(done["train"], plan.n_train, len(names), seed)
        facts |= shared_share(facts, whole, done["train"])
        if plan.noise:
            done["train"] = damage(done["train"], plan.noise, len(names), seed)
        return task(name, modality, names, done, facts | label_facts(done["train"], columns, plan.noise))

    return Source(fingerprint=fingerprint, split=split, read=(*describe(parts, names), *told))


def label_facts(train: Part, columns: reading.Columns, noise: float) -> dict[str, Any]:
    """Returns what the source knows about the training labels."""
    wrong, own = given_wrong(train), columns.label == columns.gold
    as_given = f"as given in column '{columns.label}'"
    known = "" if wrong is None or own else f", {100 * wrong:.1f} % differ from '{columns.gold}'"
    flipped = f"simulated: {100 * noise:g} % of the labels in column '{columns.label}' flipped at random"
    return {
        "simulated": noise > 0,
        "noise": flipped if noise > 0 else as_given + known,
        "train_labels": "gold" if own and not noise else "given",
    }
