"""Study folders made by hand, in the records' own format, for the tests of effects and reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harness.analysis.records import ROW
from harness.arm import ARM_ROOTS, FACTORS, Level, levels_of
from harness.metrics import score
from harness.storage.files import dump, write_atomic
from harness.storage.keys import trial_key
from harness.storage.packing import pack, unpack
from harness.storage.store import Record, Store, TestSet
from harness.streams import stream

PROTOCOL = {"_target_": "harness.learners.Protocol", "version": 1, "metric": "accuracy"}


def made_test_set(n: int, k: int) -> TestSet:
    """`n` examples of `k` classes in turn."""
    return TestSet(np.array([f"t{i}" for i in range(n)]), np.arange(n) % k, tuple(f"class {c}" for c in range(k)))


def key(arm: str, seed: int) -> str:
    """The key of the arm's trial on that seed."""
    return trial_key(trial_of(arm, seed))


def trial_of(arm: str, seed: int) -> dict[str, Any]:
    """The identity of an arm's trial, which its label and the seed fix."""
    names = names_in(arm)
    return {
        "task": {"_target_": "harness.tasks.made.up"}, "protocol": PROTOCOL, "seed": seed, "data": "d" * 8, "made_for": arm,
        **{factor: {"_target_": names.get(factor, "of.the.baseline")} for factor in FACTORS},
        "salt": names.get("salt", "").removeprefix("salt="),
    }  # fmt: skip


def names_in(label: str) -> dict[str, str]:
    """The words of a label by the factor that they choose: these tests' own labels are as simple as that."""
    words = [] if label == "baseline" else label.split()
    about = [word.split("=")[0].split(".")[0] for word in words]
    return {
        part: " ".join(word for word, one in zip(words, about, strict=True) if one == part)
        for part in ARM_ROOTS if part in about
    }  # fmt: skip


def levels_in(label: str) -> dict[str, Level]:
    """The levels of a label's words, where words that differ are levels that differ."""
    names = names_in(label)
    salt = names.get("salt", "").removeprefix("salt=")
    chosen = {factor: names.get(factor) for factor in FACTORS} | {"salt": salt}
    return levels_of(chosen, dict.fromkeys(FACTORS) | {"salt": ""}, names)


def record(
    store: Store, arm: str, seed: int, predicted: np.ndarray | None, test: TestSet, *, axis: str = "data",
    factors: tuple[str, ...] = ("clean",), reference: str = "", reason: str | None = None, **changes: Any,
) -> Record:  # fmt: skip
    """A record of the arm, finished where there are predictions; `changes` replace its fields."""
    names = names_in(arm)
    made: Record = {
        "key": key(arm, seed), "control": key("baseline", seed), "study": store.folder.name, "arm": arm, "axis": axis,
        "names": names, "overrides": [] if arm == "baseline" else arm.split(), "factors": list(factors), "reference": reference, "seed": seed, "trial": trial_of(arm, seed), "status": "done", "reason": None,
        "result": None, "receipts": {}, "ledger": {}, "cost": {}, "facts": {}, "history": [], "provenance": {},
    }  # fmt: skip
    if predicted is None:
        return made | {"status": "failed", "reason": reason or "the loss is not finite at step 3"} | changes
    accuracy = score("accuracy", test.y, predicted, len(test.classes))
    return made | {
        "result": {"metric": "accuracy", "test": accuracy, "valid": accuracy - 0.01,
                   "test_set": store.keep_test_set(test), "predictions": pack(predicted.astype(np.uint8))},
        "receipts": {"clean": {"n_before": 90, "n_after": 80, "n_dropped": 10, "dropped": pack(np.array(["a"]))}},
        "ledger": {"given": 90, "gold": 0, "votes": 0, "valid": 0, "oracle": 20 if "oracle" in arm else 0},
        "cost": {"wall_s": 1.5, "cpu_s": 1.0 if arm == "baseline" else 2.5, "peak_mb": 100.0, "parameters": 10,
                 "examples": 900},
        "facts": {"noise": "simulated: 25.0 % wrong", "simulated": True, "overlap": 0, "given_wrong": 0.25,
                  "train": 90, "valid": 15, "test": len(test.ids)},
    } | changes  # fmt: skip


def keep(store: Store, records: list[Record], plan: bool = True) -> list[Record]:
    """Writes the records, and the plan or the rows that consist of them, where the store keeps them.

    Records whose trial a test has changed get the keys of what they are now.
    """
    now = {one["key"]: trial_key(one["trial"]) for one in records}
    records = [one | {"key": now[one["key"]], "control": now.get(one["control"], one["control"])} for one in records]
    for one in records:
        write(store, one)
    if plan:
        store.keep_plan({"name": store.folder.name, "trials": [row_of(one) for one in records]})
    for one in [] if plan else records:
        store.keep_row(row_of(one))
    return records


def write(store: Store, one: Record) -> None:
    """Writes a record as a trial does: without what is relative to a study."""
    suffix = ".failed.json" if one["status"] == "failed" else ".json"
    bare = {name: value for name, value in one.items() if name in ("key", "seed") or name not in (*ROW, "study")}
    write_atomic(store.folder / "trials" / f"{one['key']}{suffix}", dump(bare))


def row_of(one: Record) -> dict[str, Any]:
    """The row of a record that `record` made."""
    return {name: one[name] for name in ROW}


def shown(test: TestSet, accuracy: float, *scope: str) -> np.ndarray:
    """Predictions of about that accuracy."""
    rng = stream(0, "shown", *scope)
    k = len(test.classes)
    hit = rng.random(len(test.y)) < accuracy
    return np.where(hit, test.y, (test.y + rng.integers(1, k, size=len(test.y))) % k)


ARMS: tuple[tuple[str, str, tuple[str, ...], str, float], ...] = (
    ("model=logistic_regression", "model", ("model",), "negative_control", 0.78),
    ("model=random_forest", "model", ("model",), "", 0.84),
    ("model=hist_gradient_boosting", "model", ("model",), "", 0.83),
    ("model=mlp", "model", ("model",), "", 0.81),
    ("model=resnet8 model.width=64", "model", ("model",), "", 0.86),
    ("weak=random_vote", "data", ("weak",), "negative_control", 0.70),
    ("weak=majority_vote", "data", ("weak",), "", 0.87),
    ("weak=label_model", "data", ("weak",), "", 0.88),
    ("clean=random_drop", "data", ("clean",), "negative_control", 0.80),
    ("clean=confident", "data", ("clean",), "", 0.85),
    ("clean=relabel", "data", ("clean",), "", 0.86),
    ("clean=oracle", "data", ("clean",), "", 0.89),
    ("augment=flip", "data", ("augment",), "", 0.76),
    ("augment=shift", "data", ("augment",), "", 0.84),
    ("augment=cutout", "data", ("augment",), "", 0.825),
    ("augment=mixup augment.alpha=0.4", "data", ("augment",), "", 0.83),
    ("weak=label_model clean=confident", "data", ("weak", "clean"), "", 0.89),
    ("model=resnet8 weak=label_model augment=a_strategy_with_quite_a_long_name", "both",
     ("model", "weak", "augment"), "", 0.92),
    ("salt=a", "none", (), "", 0.82),
)  # fmt: skip


def large(folder: Path, n: int = 450, seeds: int = 5) -> Store:
    """A study of many arms: long names, references, one arm that failed throughout, one that failed in part."""
    store, test = Store(folder), made_test_set(n, 10)
    records = [
        record(store, "baseline", s, shown(test, 0.82, "baseline", str(s)), test, axis="none", factors=())
        for s in range(seeds)
    ]
    for arm, axis, factors, reference, accuracy in ARMS:
        for s in range(seeds):
            failed = arm == "augment=cutout" or (arm == "clean=relabel" and s < seeds - 2)
            found = None if failed else shown(test, accuracy, arm, str(s))
            reason = "RuntimeError: mat1 and mat2 shapes cannot be multiplied (16x784 and 1024x128), and yet more words"
            records.append(
                record(store, arm, s, found, test, axis=axis, factors=factors, reference=reference, reason=reason)
            )
    keep(store, records)
    return store


def with_probabilities(store: Store, one: Record, test: TestSet, sure: float, accuracy: float) -> Record:
    """The record with what later versions keep: probabilities of at least `sure` for what it predicts, and 90
    validation rows, of which it gets about that share right.
    """
    k, rng = len(test.classes), stream(0, "probabilities", one["key"])
    valid = TestSet(np.array([f"v{i}" for i in range(90)]), np.arange(90) % k, test.classes)
    said = shown(valid, accuracy, "valid", one["key"])

    def chances(predicted: np.ndarray) -> dict[str, Any]:
        rest = (1 - sure) * rng.dirichlet(np.ones(k), size=len(predicted))
        return pack((rest + sure * np.eye(k)[predicted]).astype(np.float16))

    more = {
        "probabilities": chances(unpack(one["result"]["predictions"])), "valid_set": store.keep_test_set(valid),
        "valid_predictions": pack(said.astype(np.uint8)), "valid_probabilities": chances(said),
        "valid": score("accuracy", valid.y, said, k),
    }  # fmt: skip
    return {**one, "result": {**one["result"], **more}}
