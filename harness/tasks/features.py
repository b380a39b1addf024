"""Encodes tables of mixed columns as float32 features: numbers as they are, categories one-hot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal

import numpy as np
import pandas as pd
from jaxtyping import Float32, Float64

from harness.checks import join_names
from harness.errors import BadInput
from harness.tables import MOST_LEVELS
from harness.tasks import checks

MISSING = "(missing)"
_FEW, _MANY = 10, 20
"""Rows below which categories that differ in most rows are no sign of anything; categories that are always told."""
NO_NUMBER = (
    "", "NA", "N/A", "n/a", "na", "NaN", "nan", "NAN", "null", "NULL", "Null", "None", "none", "#N/A", "<NA>",
    "-", "?", ".",
)  # fmt: skip
"""What people write in a column of numbers where there is none; in any other column it is what it says."""
_COMMAS = re.compile(r"[+-]?(\d+|\d{1,3}([. ]\d{3})+)(,\d+)?|[+-]?\d{1,3}(,\d{3})+(\.\d+)?|[+-]?\d+\.\d+")
"""Numbers with a decimal comma, with commas between thousands, or with neither."""


def encode(frames: Mapping[str, pd.DataFrame], notes: list[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Returns each part's features (n, d) float32, and the d names.

    Columns are taken in the order of their names. A column of numbers, truth values, dates or durations (in seconds)
    gives one feature, any other one a feature per level, in sorted order over all parts; a missing category is a level
    of its own, a missing number is nan, and an infinite one is refused. A column with one value in all rows is left
    out, which `notes` then say.
    """
    whole = pd.concat(frames.values(), ignore_index=True)
    blocks, names, constant = [], [], []
    for column in sorted(whole.columns, key=str):
        values, labels = _block(whole[column], str(column), notes)
        if len(values) > 1 and (values == values[0]).all() | np.isnan(values).all():
            constant.append(repr(column))
            continue
        blocks.append(values)
        names += labels
    if constant:
        notes.append(f"left out, since all rows have one value there, or none: {join_names(constant)}")
    if not blocks:
        why = f", since all rows have one value, or none, in {join_names(constant)}" if constant else ""
        raise BadInput(f"the table has no feature columns beside the labels{why}: name some with task.features")
    x = np.concatenate(blocks, axis=1)
    ends = np.cumsum([len(frame) for frame in frames.values()])
    parts = dict(zip(frames, np.split(x, ends[:-1]), strict=True))
    for rows in parts.values():
        checks.check_finite(rows, names)
    return parts, names


def _block(column: pd.Series, name: str, notes: list[str]) -> tuple[np.ndarray, list[str]]:
    """Returns one column's features (n, levels or 1) and their names."""
    numbers = as_numbers(column)
    if numbers is not None:
        return _single(numbers, name, notes)[:, None], [name]
    _refuse_commas(column, name)
    text = column.astype("string").fillna(MISSING).to_numpy(dtype=object)
    levels, codes = np.unique(text, return_inverse=True)
    if len(levels) > MOST_LEVELS:
        raise BadInput(
            f"column '{name}' is not numeric{_first_word(column)} and has {len(levels)} different values, more than "
            f"{MOST_LEVELS}: leave it out (task.features names the columns to use)"
        )
    few = _first_word(column)
    if few or len(levels) > _MANY or 2 * len(levels) > len(column) >= _FEW:
        notes.append(f"'{name}' is read as categories, {len(levels)} in {len(column)} rows{few}")
    return np.eye(len(levels), dtype=np.float32)[codes], [f"{name}={level}" for level in levels]


def _refuse_commas(column: pd.Series, name: str) -> None:
    """Requires that a column's numbers have no commas: as categories, each amount would be a class of its own."""
    cells = [cell for cell in column.dropna().astype(str).str.strip() if cell not in NO_NUMBER]
    first = next((cell for cell in cells if "," in cell), None)
    if first is not None and all(map(_COMMAS.fullmatch, cells)):
        raise BadInput(
            f"column '{name}' has numbers with commas, such as '{first}': write them with a decimal point and without "
            "commas, or, if they are names, with another sign"
        )


def _single(numbers: Float64[np.ndarray, " n"], name: str, notes: list[str]) -> Float32[np.ndarray, " n"]:
    """Returns numbers in single precision; where that would make different ones equal, around their median.

    Unix times, long ids and amounts of money are larger than single precision can tell apart.
    """
    with np.errstate(over="ignore"):
        single = numbers.astype(np.float32)
    finite = np.isfinite(numbers)
    distinct = len(np.unique(numbers[finite]))
    if len(np.unique(single[finite])) == distinct or not np.isfinite(single[finite]).all():
        return single
    spread = numbers[finite] - np.median(numbers[finite])
    scaled = np.full(len(numbers), np.nan)
    scaled[finite] = spread / (np.abs(spread).max() or 1)
    scaled = np.where(finite, scaled, numbers)
    notes.append(f"'{name}' is centred and scaled, since single precision cannot tell its values apart")
    return scaled.astype(np.float32)


def as_numbers(column: pd.Series) -> Float64[np.ndarray, " n"] | None:
    """Returns a column as numbers, nan where there is none; None if it holds something else.

    Texts are numbers, truth values or ISO dates if all of them are, but for blank ones and those in `NO_NUMBER`. Dates
    and durations are in seconds, dates since 1970.
    """
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    if pd.api.types.is_datetime64_any_dtype(column):
        return _seconds(column.dt.tz_localize(None) if column.dt.tz is None else column.dt.tz_convert(None))
    if pd.api.types.is_timedelta64_dtype(column):
        return np.asarray(column.dt.total_seconds().to_numpy(dtype=np.float64))
    there = column[column.notna()]
    kinds = set(map(type, there))
    if kinds and kinds <= {bool, int, float, Decimal}:
        return np.array([np.nan if value is None else float(value) for value in column.where(column.notna(), None)])
    if kinds and kinds <= {date, datetime}:
        return _seconds(pd.to_datetime(column))
    if kinds and kinds <= {time}:
        return np.array([_since_midnight(value) if isinstance(value, time) else np.nan for value in column])
    return None if kinds - {str} else _from_texts(column)


def _from_texts(column: pd.Series) -> Float64[np.ndarray, " n"] | None:
    text = column.fillna("").astype(str).str.strip()
    filled = ~text.isin(NO_NUMBER)
    if not filled.any():
        return np.full(len(text), np.nan) if text.isin(["", *NO_NUMBER]).all() and not text.ne("").any() else None
    lower = text[filled].str.lower()
    found = pd.to_numeric(text[filled], errors="coerce")
    if found.isna().any() and lower.isin(["true", "false"]).all():
        found = lower.eq("true").astype(float)
    if found.isna().any():
        try:
            found = pd.Series(_seconds(pd.to_datetime(text[filled], format="ISO8601", utc=True)), index=found.index)
        except (ValueError, OverflowError):
            return None
    numbers = np.full(len(text), np.nan)
    numbers[filled.to_numpy()] = found.to_numpy(dtype=np.float64)
    return numbers


def _seconds(times: pd.Series) -> Float64[np.ndarray, " n"]:
    start = pd.Timestamp(0, tz=times.dt.tz)
    return np.asarray((times - start).dt.total_seconds().to_numpy(dtype=np.float64))


def _since_midnight(value: time) -> float:
    return 3600.0 * value.hour + 60.0 * value.minute + value.second + value.microsecond / 1e6


def _first_word(column: pd.Series) -> str:
    """Returns, for an error, how few cells of a column are not numbers, and the first of them; "" if most are none."""
    text = column.dropna().astype(str).str.strip()
    odd = text[pd.to_numeric(text, errors="coerce").isna() & ~text.isin(NO_NUMBER)]
    few = 0 < len(odd) < len(text) / 2
    return f" ({len(odd)} cells are not numbers, the first is '{odd.iloc[0]}' in row {odd.index[0]})" if few else ""
