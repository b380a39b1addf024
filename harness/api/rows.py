"""Writes rows that lie in memory into files of the cache, so that a study of them can be computed again.

A file's folder is named after its content: equal rows have one file, and other rows never replace it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.checks import join_names, one_of
from harness.errors import BadInput
from harness.storage.files import write_atomic
from harness.tasks.files import NAMES, no_bars

LABEL = "label"
TASKS = ("table", "folder", "raw_table")
"""Options of the task that read a file."""
Defaults = dict[str, Any]


@dataclass(frozen=True)
class RowsFile:
    """Holds where rows were written, the task option and parameters that their kind suggests, and a line about them."""

    path: Path
    option: str
    parameters: Defaults
    line: str


def write_rows(data: Any, option: str | None, cache: Path) -> RowsFile:
    """Writes rows into the cache as parquet, or as CSV for `raw_table`, and returns how a task reads them.

    `data` is a data frame, a `datasets.Dataset`, a pair (X, y) of arrays, or a mapping of parts (train, valid, test) to
    one of these. X is a table (n, columns), images (n, height, width[, colours]) of uint8, or texts (n,). BadInput for
    anything else, and for what a file cannot hold.
    """
    one_of("task.option", option or TASKS[0], TASKS)
    parts = _parts(data)
    made = {part: _table(part, rows) for part, rows in parts.items()}
    suggested, parameters = _suggested(next(iter(parts.values())), option)
    kind = "csv" if suggested == "raw_table" else "parquet"
    files = {f"{part}.{kind}": _bytes(part, table, kind) for part, table in made.items()}
    folder = cache / "rows" / _digest(files)
    for name, content in files.items():
        if not (folder / name).is_file():
            write_atomic(folder / name, content)
    path = folder / next(iter(files)) if len(files) == 1 else folder
    counts = ", ".join(f"{part}: {table.num_rows} rows" for part, table in made.items())
    line = f"rows from memory ({counts}) are read as task={suggested} from {path}"
    return RowsFile(path, suggested, parameters, line + _left_out(parts))


def _parts(data: Any) -> dict[str, Any]:
    """Returns the rows of each part, the training part first; rows without parts are all for training."""
    if not isinstance(data, Mapping):
        return {"train": data}
    called = {name: part for part, names in NAMES.items() for name in names}
    parts = {called[name]: rows for name, rows in data.items() if name in called}
    if len(parts) < len(data) or "train" not in parts:
        raise BadInput(f"task.data has the parts {join_names(data)}: it may have train, valid, test, and needs train")
    if isinstance(parts["train"], np.ndarray | list):
        raise BadInput("task.data: make a data frame of the columns, as in pandas.DataFrame(data)")
    return {part: parts[part] for part in NAMES if part in parts}


def _table(part: str, rows: Any) -> pa.Table:
    """Returns the rows of a part as a table."""
    if isinstance(rows, tuple) and len(rows) == 2:
        return _of_arrays(part, np.asarray(rows[0]), np.asarray(rows[1]))
    if isinstance(rows, pd.DataFrame):
        return _of_frame(part, rows)
    if _is_dataset(rows):
        return _of_dataset(rows)
    raise BadInput(
        f"task.data: {part} is a {type(rows).__name__}: give a frame, a datasets.Dataset or a pair of arrays (X, y)"
    )


def _of_frame(part: str, frame: pd.DataFrame) -> pa.Table:
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not len(frame):
        told = f"names the columns {join_names(twice)} twice" if twice else "has no rows"
        raise BadInput(f"task.data: {part} {told}")
    try:
        table = pa.Table.from_pandas(frame.set_axis(names, axis=1), preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        said = " ".join(str(one) for one in error.args)
        raise BadInput(f"task.data: {part} cannot be written to a file: {said}: give each column one type") from None
    plainly = [_plain_type(field.type) for field in table.schema]
    return table.cast(pa.schema(list(zip(names, plainly, strict=True)))).replace_schema_metadata(None)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """Returns the type of the values of a categorical column; other types stay."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _of_arrays(part: str, x: np.ndarray, y: np.ndarray) -> pa.Table:
    """Returns inputs and labels as a table; images as PNG files, which lose nothing."""
    if y.ndim != 1 or len(y) != len(x):
        raise BadInput(f"task.data: {part} has X of shape {x.shape} and y of shape {y.shape}: y has one label a row")
    if x.ndim == 1:
        return _of_frame(part, pd.DataFrame({"text": x, LABEL: y}))
    if x.ndim == 2:
        return _of_frame(part, pd.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])]).assign(**{LABEL: y}))
    x = x[..., 0] if x.ndim == 4 and x.shape[-1] == 1 else x
    if x.dtype != np.uint8 or not (x.ndim == 3 or (x.ndim == 4 and x.shape[-1] == 3)):
        raise BadInput(
            f"task.data: {part} has X of shape {x.shape} and type {x.dtype}: images are (n, height, width) or "
            "(n, height, width, 3) of uint8"
        )
    import datasets

    features = datasets.Features({"image": datasets.Image(), LABEL: datasets.Value("string")})
    rows = {"image": [{"path": None, "bytes": _png(image)} for image in x], LABEL: y.astype(str).tolist()}
    return _of_dataset(datasets.Dataset.from_dict(rows, features=features))


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="png")
    return buffer.getvalue()


def _of_dataset(rows: Any) -> pa.Table:
    """Returns a data set as a table, files of images included, with the types that `datasets` knows again."""
    buffer = io.BytesIO()
    with no_bars():
        rows.to_parquet(buffer)
    return pq.read_table(io.BytesIO(buffer.getvalue()))


def _is_dataset(rows: Any) -> bool:
    return hasattr(rows, "features") and hasattr(rows, "to_parquet")


def _suggested(rows: Any, option: str | None) -> tuple[str, Defaults]:
    """Returns the task option and the parameters that the kind of rows suggests; arrays have a column of labels."""
    if isinstance(rows, tuple):
        shape = np.asarray(rows[0]).shape
        if len(shape) == 1:
            return option or "folder", {"modality": "text", "input": "text", "label": LABEL}
        if len(shape) > 2:
            color = "rgb" if len(shape) == 4 and shape[-1] == 3 else "grey"
            picture = {"modality": "image", "image_size": max(shape[1:3]), "color": color}
            return option or "folder", {**picture, "input": "image", "label": LABEL}
        return option or "table", {"label": LABEL}
    columns = list(rows.features) if _is_dataset(rows) else list(map(str, rows.columns))
    pictures = _is_dataset(rows) and any(type(one).__name__ == "Image" for one in rows.features.values())
    return option or ("folder" if pictures else "table"), {"label": LABEL} if LABEL in columns else {}


def _bytes(part: str, table: pa.Table, kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "csv":
        cells = table.to_pandas()
        cells.to_csv(buffer, index=False)
    else:
        pq.write_table(table, buffer)
    return buffer.getvalue()


def _left_out(parts: Mapping[str, Any]) -> str:
    """Returns what is not written: an index of a data frame that is more than row numbers."""
    frames = [rows for rows in parts.values() if isinstance(rows, pd.DataFrame)]
    if all(isinstance(frame.index, pd.RangeIndex) for frame in frames):
        return ""
    return "; left out: the index of the data frame (reset_index() makes it a column, which id can name)"


def _digest(files: Mapping[str, bytes]) -> str:
    total = hashlib.sha256()
    for name, content in sorted(files.items()):
        total.update(name.encode() + hashlib.sha256(content).digest())
    return total.hexdigest()[:32]
