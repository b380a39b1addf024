"""Turns an exception into the text that a failure record keeps, without a path of the machine."""

from __future__ import annotations

import traceback
from pathlib import Path

import harness

MOST = 20_000
"""Characters of a traceback that are kept, from its end."""
_OURS = Path(harness.__file__).resolve().parents[1]


def traceback_of(error: BaseException) -> str:
    """Returns the traceback as text: files of the working folder by their relative path, others from the package on."""
    summary = traceback.TracebackException.from_exception(error)
    pending: list[traceback.TracebackException | None] = [summary]
    while pending:
        one = pending.pop()
        if one is not None:
            for frame in one.stack:
                frame.filename = _short(frame.filename)
            pending += [one.__cause__, one.__context__]
    return "".join(summary.format())[-MOST:]


def last_frames(text: str, most: int = 2) -> list[str]:
    """Returns the last frames of a traceback's text, each with its line of code, and the error itself."""
    lines = text.rstrip().splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith('  File "')]
    return lines[starts[-most] if len(starts) >= most else 0 :] if starts else lines[-1:]


def _short(filename: str) -> str:
    """Returns a file's path relative to the working folder, to this project, or to the packages' folder."""
    path = Path(filename)
    if path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    if path.is_relative_to(_OURS):
        return str(path.relative_to(_OURS))
    parts = path.parts
    if "site-packages" in parts:
        return "/".join(parts[parts.index("site-packages") + 1 :])
    return "/".join(parts[-2:]) if path.is_absolute() else filename
