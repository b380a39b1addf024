"""Turns an exception into the text of a failure record, without absolute paths."""

from __future__ import annotations

import traceback
from itertools import pairwise
from pathlib import Path

import harness

MOST = 20_000
"""How many characters of a traceback are kept, from its end."""
_OURS = Path(harness.__file__).resolve().parents[1]


def traceback_of(error: BaseException) -> str:
    """Returns the traceback as text, with the short paths of `_short`."""
    summary = traceback.TracebackException.from_exception(error)
    pending: list[traceback.TracebackException | None] = [summary]
    while pending:
        one = pending.pop()
        if one is not None:
            for frame in one.stack:
                frame.filename = _short(frame.filename)
            pending += [one.__cause__, one.__context__]
    return "".join(summary.format())[-MOST:]


def last_frames(text: str) -> list[str]:
    """Returns the user's last two frames, the very last frame, and the error, from a traceback's text."""
    lines = text.rstrip().splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith('  File "')]
    if not starts:
        return lines[-1:]
    frames = [lines[start:end] for start, end in pairwise([*starts, len(lines)])]
    own = [frame for frame in frames[:-1] if _is_own(frame[0].split('"')[1])][-2:]
    return [line for frame in [*own, frames[-1]] for line in frame]


def _is_own(filename: str) -> bool:
    """Returns whether a shortened path is a user's file: in the working folder and not ours."""
    return not filename.startswith("harness/") and Path(filename).is_file()


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
