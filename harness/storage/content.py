"""Checks the content of a record, a plan and a test set, whoever wrote the file: every field that an answer uses.

Each check raises BadInput with what is wrong, in words that follow the name of the file. A file that passes can be read
by every report without a further check.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np

from harness.arm import FACTORS, REFERENCES
from harness.checks import join_names
from harness.errors import BadInput
from harness.metrics import METRICS, score
from harness.storage.packing import unpack

PLAN_VERSION = 1
"""The version of a plan's layout; a plan that names none is of the first."""
_AXES = ("model", "data", "both", "none")
_KEY = re.compile(r"\w{1,80}")
_DIGEST = re.compile(r"[0-9a-f]{40}")
_LEDGER, _COST = ("gold", "valid", "oracle"), ("wall_s", "cpu_s")
Kind = tuple[str, Callable[[Any], bool]]
"""What a value must be, in words and as a test."""


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _each(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(test, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_fact(value: Any) -> bool:
    return not isinstance(value, int | float) or (_is_number(float(value)) and abs(value) < 2**63)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


TEXT: Kind = ("a text", _is_text)
NAME: Kind = ("a key, of letters and digits", lambda value: _is_text(value) and bool(_KEY.fullmatch(value)))
DIGEST: Kind = ("a digest of 40 digits", lambda value: _is_text(value) and bool(_DIGEST.fullmatch(value)))
OBJECT: Kind = ("an object", lambda value: isinstance(value, dict))
MAYBE_OBJECT: Kind = ("an object or null", lambda value: value is None or isinstance(value, dict))
LIST: Kind = ("a list", lambda value: isinstance(value, list))
TEXTS: Kind = ("a list of texts", _each(_is_text))
OBJECTS: Kind = ("a list of objects", _each(lambda value: isinstance(value, dict)))
NAMES: Kind = ("an object of texts", lambda value: isinstance(value, dict) and all(map(_is_text, value.values())))
LISTS: Kind = (
    "an object of lists of texts",
    lambda value: isinstance(value, dict) and all(map(_each(_is_text), value.values())),
)
COUNT: Kind = ("a whole number, 0 or more", _is_count)
COUNTS: Kind = ("a list of whole numbers", _each(_is_count))
NUMBER: Kind = ("a number", _is_number)
AMOUNT: Kind = ("a number, 0 or more", lambda value: _is_number(value) and value >= 0)
MAYBE_DIGEST: Kind = ("a digest of 40 digits or null", lambda value: value is None or DIGEST[1](value))
SHARE: Kind = ("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
MAYBE_SHARE: Kind = ("a number from 0 to 1, or null", lambda value: value is None or SHARE[1](value))
FACT: Kind = ("a text, a number, true, false, null, a list or an object", _is_fact)
MAYBE_TEXT: Kind = ("a text or null", lambda value: value is None or _is_text(value))


def _one_of(allowed: Sequence[str]) -> Kind:
    return f"one of {', '.join(allowed)}", lambda value: _is_text(value) and value in allowed


Fields = Mapping[str, Kind]
_RECORD: Fields = MappingProxyType({
    "key": NAME, "status": _one_of(("done", "failed")), "reason": MAYBE_TEXT, "trial": OBJECT, "result": MAYBE_OBJECT,
    "receipts": OBJECT, "ledger": OBJECT, "cost": OBJECT, "facts": OBJECT, "history": OBJECTS, "provenance": OBJECT,
})  # fmt: skip
_TRIAL: Fields = MappingProxyType({"task": OBJECT, "protocol": OBJECT, "data": TEXT, "seed": COUNT})
_RESULT: Fields = MappingProxyType({
    "metric": _one_of(tuple(METRICS)), "test": SHARE, "valid": MAYBE_SHARE, "test_set": DIGEST, "predictions": OBJECT,
})  # fmt: skip
_RESULT_MORE: Fields = MappingProxyType({
    "probabilities": MAYBE_OBJECT, "valid_set": MAYBE_DIGEST, "valid_predictions": MAYBE_OBJECT,
    "valid_probabilities": MAYBE_OBJECT,
})  # fmt: skip
"""What records of earlier versions lack; null where a trial has no validation rows or its model no probabilities."""
_PARTS = MappingProxyType({"test": ("", "test set"), "valid": ("valid_", "validation set")})
"""For each scored part, how its fields begin, and what its rows are called."""
_SUM_OFF = 1e-2
"""By how much a row of probabilities in half precision may miss the sum of 1."""
_PROVENANCE: Fields = MappingProxyType(
    {"harness": MAYBE_TEXT, "commit": MAYBE_TEXT, "claims": NAMES, "versions": OBJECT, "rerun": MAYBE_TEXT}
)
_FACTS: Fields = MappingProxyType({
    "read": TEXT, "noise": TEXT, "overlap": COUNT, "adapted": TEXT, "ignored": TEXT, "reading": TEXT,
    "train_shared": SHARE, "train": COUNT, "budget": TEXT, "optimiser_steps": COUNT,
})  # fmt: skip
_CURVE: Fields = MappingProxyType({"step": NUMBER, "loss": NUMBER, "valid": NUMBER, "trial": NUMBER})
_ROW: Fields = MappingProxyType({
    "key": NAME, "control": NAME, "arm": TEXT, "seed": COUNT, "axis": _one_of(_AXES), "factors": TEXTS,
})  # fmt: skip
_ROW_MORE: Fields = MappingProxyType(
    {
        "names": NAMES,
        "overrides": TEXTS,
        "reference": _one_of(("", "reference", *REFERENCES)),
        "families": NAMES,
        "reference_for": LISTS,
    }
)
_PLAN: Fields = MappingProxyType({"name": TEXT, "trials": LIST})
_PLAN_MORE: Fields = MappingProxyType({
    "design": TEXT, "seeds": COUNTS, "arms": TEXTS, "task": OBJECT, "protocol": OBJECT, "baseline": OBJECT,
    "claims": NAMES, "precision": MAYBE_OBJECT, "cross": LIST, "let_go": TEXT, "left_out": TEXTS,
})  # fmt: skip
_PRECISION: Fields = MappingProxyType({"half_width": AMOUNT, "looks": COUNTS, "level": SHARE})


def check_record(record: Mapping[str, Any]) -> None:
    """Raises BadInput unless a record holds every field that a report reads, each of its kind."""
    require_fields("", record, _RECORD)
    require_fields("trial.", record["trial"], _TRIAL)
    require_fields("trial.protocol.", record["trial"]["protocol"], {"metric": TEXT})
    _may("trial.", record["trial"], {**dict.fromkeys((*FACTORS, "probe"), MAYBE_OBJECT), "salt": TEXT})
    _may("provenance.", record["provenance"], _PROVENANCE)
    done = record["status"] == "done"
    if done:
        require_fields("", record, {"result": OBJECT})
        require_fields("result.", record["result"], _RESULT)
        _may("result.", record["result"], _RESULT_MORE)
        _check_valid_fields(record["result"])
    else:
        require_fields("", record, {"reason": TEXT})
    require_fields("ledger.", record["ledger"], dict.fromkeys({*(_LEDGER if done else ()), *record["ledger"]}, COUNT))
    require_fields("cost.", record["cost"], dict.fromkeys({*(_COST if done else ()), *record["cost"]}, AMOUNT))
    require_fields("facts.", record["facts"], {name: _FACTS.get(name, FACT) for name in record["facts"]})
    for row in record["history"]:
        _may("history.", {name: value for name, value in row.items() if value is not None}, _CURVE)
    for name, receipt in record["receipts"].items():
        check_stage_receipt(f"receipts.{name}", receipt)


def check_stage_receipt(where: str, receipt: Any) -> None:
    """Raises BadInput unless a stage's receipt holds counts, and packed ids and labels of the rows that changed."""
    _fits(where, receipt, OBJECT)
    require_fields(f"{where}.", receipt, {"n_before": COUNT})
    _may(f"{where}.", receipt, {name: COUNT for name in receipt if name.startswith("n_")})
    for part in ("dropped", "added", "order"):
        if receipt.get(part) is not None:
            _unpacked(f"{where}.{part}", receipt[part])
    if receipt.get("changed"):
        _fits(f"{where}.changed", receipt["changed"], OBJECT)
        sizes = {name: len(_unpacked(f"{where}.changed.{name}", one)) for name, one in receipt["changed"].items()}
        require_fields(
            f"{where}.changed.", receipt["changed"], dict.fromkeys(("ids", "class_before", "label_after"), OBJECT)
        )
        if len(set(sizes.values())) > 1:
            raise BadInput(
                f"its {where}.changed has columns of {join_names(map(str, sorted(set(sizes.values()))))} rows"
            )


def check_whole(where: str, receipt: Mapping[str, Any]) -> None:
    """Raises BadInput unless a receipt holds all that replaying it takes, not only what a report shows."""
    require_fields(f"{where}.", receipt, {"changed": OBJECT, "dropped": OBJECT, "order": MAYBE_OBJECT})
    require_fields(f"{where}.changed.", receipt["changed"], {"weight_after": OBJECT})
    if _unpacked(f"{where}.changed.weight_after", receipt["changed"]["weight_after"]).dtype.kind != "f":
        raise BadInput(f"its {where}.changed.weight_after are not numbers")


def _check_valid_fields(result: Mapping[str, Any]) -> None:
    """Raises BadInput unless a result's fields on its validation rows are there together or all absent."""
    there = {name: result.get(name) is not None for name in ("valid_set", "valid_predictions", "valid_probabilities")}
    if there["valid_set"] != there["valid_predictions"] or there["valid_probabilities"] > there["valid_set"]:
        said = " and ".join(name for name, given in there.items() if given)
        raise BadInput(f"it has {said}, but of valid_set and valid_predictions one is missing")
    if there["valid_set"] and result["valid"] is None:
        raise BadInput("it has validation rows, but its result.valid is None")


def check_predictions(result: Mapping[str, Any], y: np.ndarray, k: int, part: str = "test") -> None:
    """Raises BadInput unless a result's predictions for a part are classes of its rows `y (n,)` and give its score.

    The part is `test` or `valid`. Probabilities, where they are kept, must be those of these predictions.
    """
    start, rows = _PARTS[part]
    where = f"result.{start}predictions"
    predicted = _unpacked(where, result[f"{start}predictions"])
    if predicted.ndim != 1 or predicted.dtype.kind not in "iu":
        raise BadInput(f"its {where} are {predicted.dtype} of the shape {list(predicted.shape)}, not classes")
    if len(predicted) != len(y):
        raise BadInput(f"it predicts {len(predicted)} examples, its {rows} has {len(y)}")
    found = score(result["metric"], y, predicted, k)
    if not math.isclose(found, result[part], rel_tol=0, abs_tol=1e-9):
        what = "" if part == "test" else "validation "
        raise BadInput(f"it says {what}{result['metric']} {result[part]}, but its predictions give {found}")
    if result.get(f"{start}probabilities") is not None:
        _check_probabilities(f"result.{start}probabilities", result[f"{start}probabilities"], predicted, k)


def _check_probabilities(where: str, packed: Any, predicted: np.ndarray, k: int) -> None:
    """Raises BadInput unless packed probabilities are distributions (n, k) whose largest value is the prediction's.

    Half precision may tie two classes, but it never puts another class before the predicted one.
    """
    found, n = _unpacked(where, packed), len(predicted)
    if found.dtype.kind != "f" or found.shape != (n, k):
        raise BadInput(f"its {where} are {found.dtype} of the shape {list(found.shape)}, not numbers of {[n, k]}")
    wide = found.astype(np.float32)
    if not (np.isfinite(wide).all() and (wide >= 0).all() and (abs(wide.sum(1) - 1) <= _SUM_OFF).all()):
        raise BadInput(f"its {where} are not probabilities: each row must sum to 1")
    if (wide[np.arange(n), predicted] < wide.max(1)).any():
        raise BadInput(f"its {where} and its predictions do not agree on the most probable class")


def check_row(row: Any, where: str = "") -> None:
    """Raises BadInput unless a row of a plan names a trial, its control, its arm and how they differ."""
    _fits(where or "content", row, OBJECT)
    said = f"{where}." if where else ""
    require_fields(said, row, _ROW)
    _may(said, row, _ROW_MORE)


def check_plan(plan: Mapping[str, Any]) -> None:
    """Raises BadInput unless a study's plan is complete, of a known version, and lists each trial once."""
    version = plan.get("version", PLAN_VERSION)
    if version != PLAN_VERSION or isinstance(version, bool):
        raise BadInput(f"is a plan of version {version!r:.40}; this program reads version {PLAN_VERSION}: update it")
    require_fields("", plan, _PLAN)
    _may("", plan, _PLAN_MORE)
    for place, row in enumerate(plan["trials"]):
        check_row(row, f"trials[{place}]")
    often = Counter((row["key"], row["control"]) for row in plan["trials"]).most_common(1)
    if often and often[0][1] > 1:
        raise BadInput(f"lists trial {often[0][0][0]} {often[0][1]} times; a plan lists each trial once")
    if plan.get("precision") is not None:
        require_fields("precision.", plan["precision"], _PRECISION)
        _check_looks(plan)


def _check_looks(plan: Mapping[str, Any]) -> None:
    """Raises BadInput unless a plan's looks grow up to the number of its seeds, at a level between 0 and 1."""
    looks, level = plan["precision"]["looks"], plan["precision"]["level"]
    if not looks or "seeds" not in plan:
        raise BadInput("has a precision without looks or without seeds")
    if not 0 < level < 1:
        raise BadInput(f"has precision.level {level}: a level lies between 0 and 1")
    if looks[0] < 1 or any(one >= other for one, other in pairwise(looks)):
        raise BadInput(f"has precision.looks {looks}: each look has more seeds than the one before")


def rows_of_test_set(
    content: Mapping[str, Any],
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], np.ndarray | None, np.ndarray | None]:
    """Returns ids (n,), true classes (n,), class names (k,), groups (n,) and given classes (n,) of a test set.

    The latter two are None if there are none. BadInput unless they fit together.
    """
    require_fields("", content, {"ids": TEXTS, "y": OBJECT, "classes": TEXTS})
    ids, y = np.array(content["ids"], dtype=str), _unpacked("y", content["y"])
    if y.ndim != 1 or y.dtype.kind not in "iu" or len(y) != len(ids):
        raise BadInput(f"has {len(ids)} ids, but y is {y.dtype} of the shape {list(y.shape)}")
    if len(set(content["ids"])) < len(ids):
        raise BadInput(f"names {len(ids) - len(set(content['ids']))} ids more than once")
    if len(y) and not 0 <= int(y.min()) <= int(y.max()) < len(content["classes"]):
        raise BadInput(f"has classes {y.min()} to {y.max()}, but names {len(content['classes'])} of them")
    groups = _unpacked("groups", content["groups"]) if "groups" in content else None
    if groups is not None and (groups.ndim != 1 or groups.dtype.kind not in "iu" or len(groups) != len(ids)):
        raise BadInput(f"has {len(ids)} ids, but groups are {groups.dtype} of the shape {list(groups.shape)}")
    given = _unpacked("given", content["given"]) if "given" in content else None
    if given is not None and (given.shape != y.shape or given.dtype.kind not in "iu"):
        raise BadInput(f"has {len(ids)} ids, but given are {given.dtype} of the shape {list(given.shape)}")
    if given is not None and len(given) and not -1 <= int(given.min()) <= int(given.max()) < len(content["classes"]):
        raise BadInput(f"has given classes {given.min()} to {given.max()}, but names {len(content['classes'])} of them")
    return ids, y, tuple(content["classes"]), groups, given


def _unpacked(where: str, packed: Any) -> np.ndarray:
    try:
        found = unpack(packed)
    except BadInput as error:
        raise BadInput(f"its {where} cannot be unpacked: {error}") from None
    if not found.ndim:
        raise BadInput(f"its {where} is a single value, not an array")
    return found


def require_fields(where: str, content: Mapping[str, Any], fields: Fields) -> None:
    """Raises BadInput unless the content has all of these fields."""
    for name, kind in fields.items():
        if name not in content:
            raise BadInput(f"lacks {where}{name}")
        _fits(f"{where}{name}", content[name], kind)


def _may(where: str, content: Mapping[str, Any], fields: Fields) -> None:
    """Raises BadInput if one of these fields is there and is not of its kind."""
    require_fields(where, content, {name: kind for name, kind in fields.items() if name in content})


def _fits(where: str, value: Any, kind: Kind) -> None:
    words, test = kind
    if not test(value):
        raise BadInput(f"its {where} is {value!r:.60}: it must be {words}")
