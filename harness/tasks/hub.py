"""Makes a task from any data set that `datasets` can load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import datasets
from datasets.exceptions import DatasetGenerationError

from harness.checks import join_names, nearest
from harness.data import Source
from harness.errors import BadInput
from harness.tasks import files
from harness.tasks.folder import source
from harness.tasks.parameters import RowsInParts, by_fields


@dataclass(frozen=True, kw_only=True)
class HubRows(RowsInParts):
    """Holds rows of a data set that `datasets` loads: `train`, `valid` and `test` name its splits.

    A part that is None is split off from `train`.
    """

    config: str | None
    revision: str | None
    train: str
    valid: str | None
    test: str | None


@by_fields(HubRows)
def hub(rows: HubRows) -> Source:
    """Makes a task from `path`: a name on the hub, a folder that `datasets` can load, or one that it saved to disk."""
    plan = rows.plan()
    data = _parts(rows, _loaded(rows.path, rows.config, rows.revision, files.arrow_folder(rows.cache)))
    pictures = rows.pictures(Path(rows.path).expanduser())
    return source(rows.name, rows.modality, data, rows.columns(rows.input), rows.classes, pictures, plan)


def _parts(rows: HubRows, whole: dict[str, datasets.Dataset]) -> dict[str, datasets.Dataset]:
    """Returns the split that was named for each part; BadInput if there is no such split."""
    asked = {"train": rows.train, "valid": rows.valid, "test": rows.test}
    chosen = {part: split for part, split in asked.items() if split is not None}
    for part, split in chosen.items():
        if split not in whole:
            raise BadInput(
                f"task.{part}: data set '{rows.path}' has no split '{split}'{nearest(split, whole)} "
                f"(it has: {join_names(whole)})"
            )
    return {part: whole[split] for part, split in chosen.items()}


def _loaded(path: str, config: str | None, revision: str | None, cache_dir: str | None) -> dict[str, datasets.Dataset]:
    """Returns all splits by name; a single saved data set is the split `train`."""
    local = Path(path).expanduser()
    try:
        if (local / "dataset_dict.json").is_file():
            return dict(datasets.load_from_disk(str(local)))
        if (local / "state.json").is_file():
            return {"train": datasets.load_from_disk(str(local))}
        where = str(local) if local.exists() else path
        with files.no_bars():
            return dict(datasets.load_dataset(where, config, revision=revision, cache_dir=cache_dir))
    except (DatasetGenerationError, OSError, ValueError, RuntimeError) as fault:
        reason = " ".join(str(fault.__cause__ or fault).split())[:300]
        raise BadInput(
            f"data set '{path}' cannot be loaded: {reason}. Check its name, config and revision and the connection, "
            "or download it once and give the folder as task.path"
        ) from fault
