"""Writes a receipt of what a strategy changed between two training sets, and replays a saved one as a strategy.

Rows are matched by id, never by position, so the strategy itself need not report what it did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64, Shaped

from harness.data import Rows, TrainSet, View, one_hot
from harness.errors import BadInput, TrialFailed
from harness.storage import content
from harness.storage.files import read_object
from harness.storage.packing import pack, unpack
from harness.strategies import Tools

Ids = Shaped[np.ndarray, " i"]


def receipt(before: TrainSet, after: TrainSet) -> dict[str, Any]:
    """Returns what turned `before` into `after`, as plain JSON: counts, and packed detail that `replay` can apply.

    `changed` lists the rows whose label or weight differs in any bit: their ids, class before (-1 without a label),
    label after (class indices if all are hard, else distributions in float32) and weights. `n_edited` is present if the
    content of kept rows changed. A row that had no label and now has one counts as relabelled too. `order` holds ids
    only if the kept rows changed places. TrialFailed if an id occurs twice, because its rows could not be matched.
    """
    old, new = _places(before.ids), _places(after.ids)
    kept = [name for name in new if name in old]
    was, now = _rows(old, kept), _rows(new, kept)
    relabelled = (before.y[was] != after.y[now]).any(1)
    reweighted = before.w[was] != after.w[now]
    changed = relabelled | reweighted
    dropped, added = [name for name in old if name not in new], [name for name in new if name not in old]
    edited = _edited(before.x, after.x, was, now)
    return {
        "n_before": len(before),
        "n_after": len(after),
        "n_dropped": len(dropped),
        "n_added": len(added),
        "n_relabelled": int(relabelled.sum()),
        "n_reweighted": int(reweighted.sum()),
        "dropped": pack(_names(dropped)),
        "added": pack(_names(added)),
        "changed": _detail(before, after, was[changed], now[changed]),
        "order": None if (np.diff(was) > 0).all() else pack(_names(kept)),
        **({"n_edited": edited} if edited else {}),
    }


def _edited(before: Rows, after: Rows, was: Int64[np.ndarray, " r"], now: Int64[np.ndarray, " r"]) -> int:
    """Counts the rows whose content changed; all of them if cells became numbers."""
    if before is after or isinstance(after, View):  # rows on disk are never written
        return 0
    old, new = np.asarray(before)[was], np.asarray(after)[now]
    if old.dtype != new.dtype and (old.dtype.names or old.shape != new.shape):
        return len(was)
    same = old == new
    if old.dtype.kind == "f":
        same |= np.isnan(old) & np.isnan(new)
    return int((~same).any(axis=tuple(range(1, same.ndim))).sum())


def replay(train: TrainSet, tools: Tools, *, path: str, stage: str) -> TrainSet:
    """Applies the receipt of `stage` (`weak` or `clean`) in the record file `path` to the training set.

    Applied to the set that the receipt was made from, it gives the same ids, labels and weights, bit for bit. Rows that
    are not in the receipt stay as they are, at the end. BadInput if there is no such receipt, if it names rows or
    classes that the set lacks, or if rows were added or edited, since a receipt does not keep their content.
    """
    saved = _receipt(Path(path).expanduser(), stage)
    places, changed = _places(train.ids), saved["changed"]
    rows, gone = _found(places, changed["ids"], path), _found(places, saved["dropped"], path)
    y, w, keep = train.y.copy(), train.w.copy(), np.ones(len(train), dtype=bool)
    y[rows], w[rows] = _labels(changed, train.k, path), unpack(changed["weight_after"])
    keep[gone] = False
    return replace(train, y=y, w=w).rows(_order(places, keep, saved["order"], path))


def check_receipt(train: TrainSet, tools: Tools, *, path: str, stage: str, exact: bool) -> None:
    """Raises BadInput if `replay` could not apply the record's receipt; ids are compared if the set is `exact`."""
    saved = _receipt(Path(path).expanduser(), stage)
    _labels(saved["changed"], train.k, path)
    if exact:
        replay(train, tools, path=path, stage=stage)


def _detail(
    before: TrainSet, after: TrainSet, was: Int64[np.ndarray, " r"], now: Int64[np.ndarray, " r"]
) -> dict[str, Any]:
    """Returns labels and weights of the rows `was` of `before` beside the same rows `now` of `after`."""
    classes, y = np.where(before.labelled, before.classes, -1)[was], after.y[now]
    hard = bool((((y == 1) | (y == 0)).all(1)).all())
    return {
        "ids": pack(_names(before.ids[was].tolist())),
        "class_before": pack(classes.astype(np.int32)),
        "label_after": pack(y.argmax(1).astype(np.int32) if hard else y),
        "weight_before": pack(before.w[was]),
        "weight_after": pack(after.w[now]),
    }


def _labels(changed: dict[str, Any], k: int, path: str) -> Shaped[np.ndarray, "r k"]:
    """Returns the labels after, as distributions; BadInput unless they are over `k` classes."""
    saved = unpack(changed["label_after"])
    width = saved.shape[1] if saved.ndim == 2 else max(k, saved.max(initial=-1) + 1)
    if width != k:
        raise BadInput(f"{path}: its labels are over {width} classes, but this task has {k}")
    return saved if saved.ndim == 2 else one_hot(saved, k)


def _order(
    places: dict[str, int], keep: Bool[np.ndarray, " n"], order: dict[str, Any] | None, path: str
) -> Int64[np.ndarray, " i"]:
    """Returns the kept rows in their present order, or in the receipt's, with rows that it lacks at the end."""
    if order is None:
        return np.flatnonzero(keep)
    first = _found(places, order, path)
    rest = keep.copy()
    rest[first] = False
    return np.concatenate([first, np.flatnonzero(rest)])


def _receipt(path: Path, stage: str) -> dict[str, Any]:
    """Returns the receipt of that stage in a record file; BadInput if there is none, or none that can be applied."""
    try:
        receipts = read_object(path).get("receipts", {})
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} is not a readable trial record; path must name a file <key>.json of a study") from error
    if not isinstance(receipts, dict) or stage not in receipts:
        raise BadInput(f"{path} keeps no receipt of stage {stage!r}; it keeps {', '.join(sorted(receipts)) or 'none'}")
    try:
        content.check_stage_receipt(f"receipts.{stage}", receipts[stage])
        _check_repeatable(stage, receipts[stage])
        content.check_whole(f"receipts.{stage}", receipts[stage])
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    saved: dict[str, Any] = receipts[stage]
    return saved


def _check_repeatable(stage: str, saved: Mapping[str, Any]) -> None:
    """Raises BadInput if the stage made rows that a receipt does not hold."""
    for what, done in (("n_added", "added"), ("n_edited", "edited")):
        if saved.get(what):
            raise BadInput(f"its {stage} stage {done} {saved[what]} rows, which a receipt cannot bring back")


def _found(places: dict[str, int], packed: dict[str, Any], path: str) -> Int64[np.ndarray, " i"]:
    """Returns the positions of the packed ids in the set; BadInput if it lacks some."""
    names = unpack(packed).tolist()
    lacking = [name for name in names if name not in places]
    if lacking:
        raise BadInput(f"{path} names {len(lacking)} rows that the training set lacks, the first is {lacking[0]!r}")
    return _rows(places, names)


def _places(ids: Ids) -> dict[str, int]:
    """Returns the position of each id, ids as strings; TrialFailed if an id occurs twice."""
    places = {str(name): place for place, name in enumerate(ids.tolist())}
    if len(places) < len(ids):
        raise TrialFailed(f"rows cannot be told apart: {len(ids) - len(places)} ids occur more than once")
    return places


def _rows(places: dict[str, int], names: list[str]) -> Int64[np.ndarray, " i"]:
    return np.array([places[name] for name in names], dtype=np.int64)


def _names(ids: list[Any]) -> Ids:
    return np.array([str(name) for name in ids], dtype=np.str_)
