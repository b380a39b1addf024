"""Writes files atomically, reads those that may be damaged, and removes what dead processes have left."""

from __future__ import annotations

import json
import os
import re
import socket
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from harness.errors import BadInput

_PART = re.compile(r"\.(?P<host>.+)\+(?P<number>\d+)\+[^+]*\.part")
_ESCAPED = re.compile(rb"\\u[dD][89a-fA-F]")


def dump(content: Any) -> bytes:
    """Returns JSON that is readable in a diff: sorted keys, an indent, numbers as Python prints them, no NaN."""
    return (json.dumps(content, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


def write_atomic(path: Path, content: bytes) -> None:
    """Writes the whole file or leaves the old one; no partial file stays behind, even on a full disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial_file(path) as part:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(part, 0o666 & ~_umask())


@contextmanager
def partial_file(path: Path) -> Iterator[Path]:
    """Gives an empty file beside `path`, which gets its name when the block has filled it, and is removed otherwise.

    Its name says whose it is (`remove_partial_files`).
    """
    owner = f".{socket.gethostname()}+{os.getpid()}+"
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=owner, suffix=".part")
    os.close(handle)
    try:
        yield Path(name)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remove_partial_files(paths: Iterable[Path]) -> int:
    """Removes those of the files that are partial and whose processes were of this machine and are dead; counts them.

    Those of living processes stay, and those of other machines, of which nothing is known here.
    """
    count = 0
    for path in paths:
        owner = _PART.fullmatch(path.name)
        if owner and is_dead(owner["host"], int(owner["number"])):
            path.unlink(missing_ok=True)
            count += 1
    return count


def is_dead(host: str, number: int) -> bool:
    """Returns whether a process was one of this machine and lives no more."""
    if host != socket.gethostname():
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def read_object(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file; FileNotFoundError if there is none, BadInput with what is wrong with it."""
    return parse_object(read_whole(path))


def read_whole(path: Path) -> bytes:
    """Returns a file's bytes; FileNotFoundError if there is none, BadInput if it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except IsADirectoryError:
        raise BadInput("is a folder where a file should be") from None
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror or error}") from None


def parse_object(raw: bytes) -> dict[str, Any]:
    """Returns the object that JSON holds; BadInput, in words that follow a file's name, for anything else."""
    if not raw.strip():
        raise BadInput("is empty")
    try:
        content = json.loads(raw.decode("utf-8"), parse_constant=_refuse)
        if _ESCAPED.search(raw):
            json.dumps(content, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        raise BadInput("is not UTF-8 text") from None
    except UnicodeEncodeError:
        raise BadInput("holds half a letter (a lone surrogate), which no text has") from None
    except (json.JSONDecodeError, RecursionError):
        raise BadInput("is not a whole JSON file: cut off, or changed by another program") from None
    if not isinstance(content, dict):
        raise BadInput(f"holds {'null' if content is None else f'a {type(content).__name__}'}, not an object")
    return content


def _refuse(constant: str) -> NoReturn:
    raise BadInput(f"holds {constant}, which is not a number")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
