"""Makes a task from a folder in WRENCH format: a small gold set, and a pool without labels but with votes.

Format: Zhang et al., "WRENCH: A Comprehensive Benchmark for Weak Supervision", NeurIPS 2021.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.checks import join_names, nearest
from harness.data import Source, Task
from harness.errors import BadInput
from harness.storage import reader
from harness.streams import stream
from harness.tasks import checks, files
from harness.tasks.parts import Part, describe, part, task
from harness.tasks.split import draw_stratified
from harness.vote_triples import vote_type


def wrench(*, name: str, path: str, n_gold: int, n_train: int | None) -> Source:
    """Makes a task of texts, trained on `n_gold` labelled rows of the validation file and the pool with its votes.

    The gold rows are drawn by seed, stratified; they have weight 1 and no votes, the pool has weight 0. The other
    validation rows are the validation part. `n_train` limits the training rows (gold rows and pool together).
    """
    root = files.require_path(path)
    names = _class_names(root)
    parts = {what: _part(root, what, names) for what in files.PARTS}
    checks.check_limit(n_gold, len(parts["valid"]), len(names), "task.n_gold")
    if n_gold == len(parts["valid"]):
        raise BadInput(f"task.n_gold is {n_gold}, which is every row of valid.json: leave some to validate on")
    most = n_gold + len(parts["train"])
    if n_train is not None and not n_gold < n_train <= most:
        raise BadInput(f"task.n_train is {n_train}: {n_gold} gold rows and the pool allow {n_gold + 1} to {most}")

    def split(seed: int) -> Task:
        chosen = draw_stratified(parts["valid"].gold, n_gold, stream(seed, "task", "split"), cover=True)
        pool, gold = parts["train"], parts["valid"].rows(chosen)
        if n_train is not None:
            pool = pool.rows(draw_stratified(pool.gold, n_train - n_gold, stream(seed, "task", "subsample")))
        valid = parts["valid"].rows(np.setdiff1d(np.arange(len(parts["valid"])), chosen))
        done = {"train": _joined(gold, pool), "valid": valid, "test": parts["test"]}
        shared = len(gold) ** 2 / len(parts["valid"]) + len(pool) ** 2 / len(parts["train"])
        facts = _facts(len(gold), pool) | {"train_shared": shared / (len(gold) + len(pool))}
        return task(name, "text", names, done, facts)

    return Source(fingerprint=_fingerprint(root), split=split, read=tuple(describe(parts, names)))


def _joined(gold: Part, pool: Part) -> Part:
    """Returns the gold rows, labelled and without votes, followed by the pool, without labels."""
    return part(
        ids=np.concatenate([gold.ids, pool.ids]),
        x=np.concatenate([gold.x, pool.x]),
        given=np.concatenate([gold.gold, np.full(len(pool), -1)]),
        gold=np.concatenate([gold.gold, pool.gold]),
        votes=np.concatenate([np.full((len(gold), pool.votes.shape[1]), -1, dtype=pool.votes.dtype), pool.votes]),
    )


def _facts(n_gold: int, pool: Part) -> dict[str, Any]:
    functions, covered = pool.votes.shape[1], 100 * float((pool.votes >= 0).any(axis=1).mean())
    return {
        "simulated": False,
        "noise": f"none in the {n_gold} labels, which are gold; {functions} labelling functions vote on "
        f"{covered:.1f} % of the {len(pool)} rows without a label",
        "train_labels": "gold",
        "valid_labels": "gold",
        "test_labels": "gold",
        "left_out": 0,
    }


def _content(root: Path, name: str) -> dict[str, Any]:
    """Returns what a JSON file of the folder holds."""
    names = sorted(entry.name for entry in root.iterdir()) if root.is_dir() else []
    if name not in names:
        raise BadInput(
            f"task.path: {root} has no file {name}{nearest(name, names)}; the WRENCH format needs "
            f"train.json, valid.json, test.json and label.json (it has: {join_names(names) or 'nothing'})"
        )
    found = reader.read_json(root / name)
    if not isinstance(found, dict):
        raise BadInput(f"{root / name} is not a JSON object, but a {type(found).__name__}")
    return found


def _class_names(root: Path) -> tuple[str, ...]:
    """Returns the names by their numbers."""
    named = _content(root, "label.json")
    if set(named) != {str(i) for i in range(len(named))}:
        raise BadInput(
            f"{root / 'label.json'} must map 0 to {len(named) - 1} to class names, it has: {join_names(named)}"
        )
    classes = tuple(str(named[str(i)]) for i in range(len(named)))
    checks.check_classes(classes)
    return classes


def _part(root: Path, what: str, classes: Sequence[str]) -> Part:
    """Returns one file's rows with gold and votes, without given labels."""
    file, rows = f"{what}.json", _content(root, f"{what}.json")
    checks.check_part(len(rows), what)
    for row, entry in rows.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("data", {}), dict):
            raise BadInput(
                f"{file}, row '{row}' is {str(entry)[:80]}: a row is an object of data, label and weak_labels"
            )
        if "label" not in entry or "text" not in entry.get("data", {}) or "weak_labels" not in entry:
            raise BadInput(f"{file}, row '{row}' needs data.text, label and weak_labels (it has: {join_names(entry)})")
        if not isinstance(entry["data"]["text"], str):
            raise BadInput(f"{file}, row '{row}' has the text {entry['data']['text']!r}: a text is a string")
    gold = np.array([_class(entry["label"], row, file, len(classes)) for row, entry in rows.items()], dtype=np.int64)
    texts = np.array([entry["data"]["text"] for entry in rows.values()], dtype=object)
    ids = np.array([f"{what}-{row}" for row in rows])
    return part(ids, texts, given=np.full(len(rows), -1), gold=gold, votes=_votes(rows, file, len(classes)))


def _class(label: Any, row: str, file: str, k: int) -> int:
    """Returns a label as the index of a class; whole numbers may have a point, as some libraries write them."""
    if isinstance(label, int | float) and not isinstance(label, bool) and label in range(k):
        return int(label)
    raise BadInput(f"{file}, row '{row}' has label {label!r}: a label is 0 to {k - 1}")


def _votes(rows: dict[str, Any], file: str, k: int) -> np.ndarray:
    odd_ones = [row for row, entry in rows.items() if not isinstance(entry["weak_labels"], list)]
    if odd_ones:
        raise BadInput(f"{file}, row '{odd_ones[0]}': weak_labels must be a list, one vote per labelling function")
    lengths = {row: len(entry["weak_labels"]) for row, entry in rows.items()}
    first, m = next(iter(lengths.items()))
    odd = next((row for row, length in lengths.items() if length != m), None)
    if odd is not None:
        raise BadInput(f"{file}: votes have the wrong shape, row '{odd}' has {lengths[odd]}, row '{first}' has {m}")
    cells = [cell for entry in rows.values() for cell in entry["weak_labels"]]
    if m == 0 or not all(isinstance(cell, int | float) and float(cell).is_integer() for cell in cells):
        raise BadInput(f"{file}: weak_labels must be whole numbers, one per labelling function, -1 to abstain")
    votes = np.array(cells, dtype=np.int64).reshape(len(rows), m)
    checks.check_votes(votes, k, f"weak_labels of {file}")
    return votes.astype(vote_type(k))


def _fingerprint(root: Path) -> str:
    """Returns the SHA-256 of the four files."""
    contents = [(root / name).read_bytes() for name in ("label.json", *(f"{part}.json" for part in files.PARTS))]
    return hashlib.sha256(b"".join(hashlib.sha256(raw).digest() for raw in contents)).hexdigest()
