"""Makes a task from any data set that `datasets` can load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import datasets
from datasets.exceptions import DatasetGenerationError

from harness.checks import join_names, nearest
from harness.data import Modality, Source
from harness.errors import BadInput
from harness.tasks import columns as reading
from harness.tasks import files
from harness.tasks.folder import source
from harness.tasks.images import Color
from harness.tasks.parts import Plan


def hub(
    *,
    name: str,
    path: str,
    config: str | None,
    revision: str | None,
    train: str,
    valid: str | None,
    test: str | None,
    modality: Modality,
    input: reading.Names,
    label: str | None,
    gold: str | None,
    votes: reading.Names,
    weight: str | None,
    group: str | None,
    id: str | None,
    classes: Sequence[str] | None,
    image_size: int,
    color: Color,
    n_train: int | None,
    valid_fraction: float,
    test_fraction: float,
    split_seed: int | None,
    cache: str | None,
) -> Source:
    """Makes a task from `path`: a name on the hub, a folder that `datasets` can load, or one that it saved to disk.

    `train`, `valid` and `test` name its splits; None for a part that is to be split off from `train`. Everything
    else is as in `harness.tasks.folder.folder`.
    """
    plan = Plan(n_train, valid_fraction, test_fraction, split_seed)
    whole = _loaded(path, config, revision, files.arrow_folder(cache))
    chosen = {part: split for part, split in (("train", train), ("valid", valid), ("test", test)) if split is not None}
    for part, split in chosen.items():
        if split not in whole:
            raise BadInput(
                f"task.{part}: data set '{path}' has no split '{split}'{nearest(split, whole)} "
                f"(it has: {join_names(whole)})"
            )
    named = reading.Columns(input, label, gold, votes, weight, group, id)
    pictures = reading.Pictures(image_size, color, Path(path).expanduser(), files.cache_folder(cache))
    return source(
        name, modality, {part: whole[split] for part, split in chosen.items()}, named, classes, pictures, plan
    )


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
