"""Caches costly intermediate arrays by content, with the cost of computing them."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import BadInput
from harness.storage.cost import Cost, time_block
from harness.storage.files import read_object, remove_partial_files, write_atomic
from harness.storage.locks import lock, remove_lock_files

Sound = Callable[[np.ndarray], bool]
"""Whether an array is one that its computation can give."""


def is_finite(values: np.ndarray) -> bool:
    """Returns whether all numbers are finite; texts and whole numbers always are."""
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def are_distributions(values: np.ndarray) -> bool:
    """Returns whether the last axis of an array holds probabilities that sum to 1, up to rounding."""
    fits = values.ndim > 0 and values.dtype.kind == "f" and is_finite(values) and bool((values >= -_TOLERANCE).all())
    return fits and bool(np.allclose(values.sum(-1, dtype=np.float64), 1, rtol=0, atol=_TOLERANCE))


_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Cache:
    """Holds a folder of arrays shared by trials and processes.

    An arm that finds an array made by another arm is charged its cost: `charged` collects those costs, so that the cost
    of an arm does not depend on the order in which arms run. Time spent computing in this process is measured by the
    trial itself and is not added again, nor is the cost of an array that this trial has asked for before (`known`).
    """

    folder: Path
    charged: list[Cost] = field(default_factory=list)
    known: set[Path] = field(default_factory=set)

    def array(self, what: str, parts: Any, compute: Callable[[], np.ndarray], sound: Sound = is_finite) -> np.ndarray:
        """Returns the array that `parts` (anything JSON can hold) identifies, computed at most once; read-only.

        `what` names the kind of array (it becomes a folder). An entry that is damaged, unreadable or not `sound` is
        computed again, and that is printed; a computed array that is not sound is returned and not kept.
        """
        key = hashlib.sha256(json.dumps([what, parts], sort_keys=True).encode()).hexdigest()[:32]
        path = self.folder / what / f"{key}.npy"
        asked, first = time.perf_counter(), path not in self.known
        self.known.add(path)
        with _locked(path, what) as usable:
            found = _read(path, sound) if usable else None
            if found is None:
                return _made(path, compute, sound if usable else None)
        # Waiting for another process is not work: the trial measured that time, so it is subtracted.
        self.charged.extend([*([_cost(path)] if first else []), Cost(wall_s=asked - time.perf_counter())])
        return found

    def remove_leftovers(self) -> int:
        """Removes partial files and locks that dead processes of this machine have left; counts them."""
        locks = remove_lock_files(self.folder.glob("*/*.npy.lock"))
        return remove_partial_files(self.folder.glob("*/.*.part")) + locks


@contextmanager
def _locked(path: Path, what: str) -> Iterator[bool]:
    """Locks an entry during the block; gives False where the folder cannot be written, which costs time alone."""
    with ExitStack() as held:
        usable = True
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock(Path(f"{path}.lock"), f"computes the same {what.replace('_', ' ')}"))
        except OSError as error:
            _say(f"the cache cannot be used ({error.strerror or error}): {path.parent}")
            usable = False
        yield usable


@functools.cache
def _say(line: str) -> None:
    """Prints a line on standard error, once a process."""
    print(line, file=sys.stderr, flush=True)


def _made(path: Path, compute: Callable[[], np.ndarray], sound: Sound | None) -> np.ndarray:
    """Computes the array and keeps it if it is sound (None: it cannot be kept).

    Its cost is written first, so that no array is without one.
    """
    with time_block() as bill:
        value = np.asarray(compute())
    content = io.BytesIO()
    np.save(content, value, allow_pickle=False)
    value.flags.writeable = False
    if sound is None:
        return value
    if not sound(value):
        _say(f"an array is not kept in the cache, since its values are not what they should be: {path}")
        return value
    told = {"sha256": _digest(content.getvalue()), "dtype": value.dtype.str, "shape": list(value.shape)}
    try:
        write_atomic(_bill(path), json.dumps({**asdict(bill.cost), **told}).encode())
        write_atomic(path, content.getvalue())
    except OSError as error:
        _say(f"the cache cannot be written ({error.strerror or error}): {path.parent}")
    return value


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _bill(path: Path) -> Path:
    return path.with_suffix(".json")


def _cost(path: Path) -> Cost:
    """Returns what an array cost; BadInput if its file does not say it."""
    said = read_object(_bill(path))
    found: list[Any] = [said.get(one.name) for one in fields(Cost)]
    if any(type(value) not in (int, float) or not 0 <= value < np.inf for value in found):
        raise BadInput("its cost is not a number")
    return Cost(*found)


def _read(path: Path, sound: Sound) -> np.ndarray | None:
    """Returns the stored array, read-only; None if it is absent, and if it is not what was written or not sound."""
    if not path.exists() and not _bill(path).exists():
        return None
    try:
        _cost(path)
        return _checked(path, read_object(_bill(path)), sound)
    except FileNotFoundError:
        why = "one of its two files is missing"
    except (BadInput, OSError, ValueError, EOFError) as error:
        why = " ".join(str(error).split())[:200]
    _say(f"a damaged entry of the cache is made anew: {path}: {why}")
    return None


def _checked(path: Path, said: Mapping[str, Any], sound: Sound) -> np.ndarray:
    """Returns the array in a file; BadInput unless it is what was written (`said`) and sound.

    Entries of earlier versions do not say their type and shape.
    """
    if said.get("sha256") != _digest(path.read_bytes()):
        raise BadInput("its checksum does not fit")
    found: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    wanted = (said.get("dtype", found.dtype.str), said.get("shape", list(found.shape)))
    if wanted != (found.dtype.str, list(found.shape)):
        raise BadInput(f"it is {found.dtype.str} of the shape {list(found.shape)}, but was {wanted[0]} of {wanted[1]}")
    if not sound(found):
        raise BadInput("its values are not finite, or are probabilities that do not sum to 1")
    return found
