"""Names runs and artifacts within W&B's limits, and removes the machine's paths from what is sent."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.storage.packing import is_packed

LONGEST = 128
"""The most characters of a group's, a run's displayed, and an artifact's name."""
LONGEST_TAG = 64
_SLUG, _DIGEST = 32, 16
_ILLEGAL = re.compile(r"[^A-Za-z0-9_.-]+")
_QUOTED = re.compile(r"""(?P<mark>['"`])(?P<path>(?:/|~/|[A-Za-z]:[\\/])[^'"`\n]*)(?P=mark)""")
_PART = r"""[^\s/'"`,;:()\[\]{}<>=|]"""
_BARE = re.compile(rf"(?<![\w.:/\\~…-])(?:~?(?:/{_PART}+){{2,}}/?|[A-Za-z]:\\(?:{_PART}|/)+)")


def run_id(study: str, *parts: str) -> str:
    """Returns the id of a run: the study's name for people, and a hash of the study and the parts.

    Two studies of one project never share an id, nor does a trial that two controls are compared with. An id has at
    most 49 characters of those that W&B allows (it allows 64), and depends on nothing else.
    """
    slug = _ILLEGAL.sub("-", study)[:_SLUG].strip("-.") or "study"
    whole = "\n".join([study, *parts])
    return f"{slug}-{_hash(whole)}"


def trial_id(head: Mapping[str, Any]) -> str:
    """Returns the id of a trial's run, from its record's head: its study, its key, and its control's key."""
    return run_id(str(head["study"]), str(head["key"]), str(head["control"]))


def leaderboard_id(study: str) -> str:
    """Returns the id of a study's leaderboard: a later one replaces it."""
    return run_id(study, "leaderboard")


def legal_name(name: str, longest: int = LONGEST) -> str:
    """Returns a name for an artifact: as it is if W&B allows it, else shortened, with a hash of the whole name."""
    legal = _ILLEGAL.sub("_", name)
    return name if legal == name and len(name) <= longest else f"{legal[: longest - _DIGEST - 1]}-{_hash(name)}"


def group_name(study: str) -> str:
    """Returns the name of a study's group of runs: its own, shortened with a hash if W&B does not allow its length."""
    return study if len(study) <= LONGEST else legal_name(study)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]


def without_places(value: Any) -> Any:
    """Returns a value, of whatever JSON type, whose texts name no place of a machine.

    A folder's or a file's absolute path becomes `…/` and its last part. Paths of another machine, on which the record
    was made, are recognised by their form: they begin with `/`, `~/` or a drive and have two parts or more. The home
    folder, the working folder and the temporary folder of this machine are recognised whatever they are called. Packed
    arrays stay as they are: their base64 may look like a path.
    """
    if isinstance(value, str):
        return _without_paths(value)
    if isinstance(value, Mapping) and is_packed(value):
        return value
    if isinstance(value, Mapping):
        return {_without_paths(str(name)): without_places(part) for name, part in value.items()}
    return [without_places(part) for part in value] if isinstance(value, list | tuple) else value


def _without_paths(text: str) -> str:
    text = _QUOTED.sub(lambda found: f"{found['mark']}{_last(found['path'])}{found['mark']}", text)
    for place in _own_places():
        text = re.sub(rf"{re.escape(place)}(?![\w.-])(?:[^\s'\"`,;:]*)", lambda found: _last(found[0]), text)
    return _BARE.sub(lambda found: _last(found[0]), text)


def _last(path: str) -> str:
    """Returns the last part of a path, marked as such."""
    parts = [part for part in re.split(r"[\\/]", path) if part]
    return f"…/{parts[-1]}" if parts else "…"


def _own_places() -> Iterator[str]:
    """Yields the folders of this machine that say who works where, the longest first."""
    places = {Path.home(), Path.cwd(), Path(tempfile.gettempdir())}
    places |= {place.resolve() for place in places}
    yield from sorted({str(place) for place in places if len(place.parts) > 1}, key=len, reverse=True)


def tags_of(names: Sequence[str]) -> list[str]:
    """Returns tags as W&B allows them: no empty one, none twice, and 64 characters at most."""
    return list(dict.fromkeys(name[:LONGEST_TAG] for name in names if name))
