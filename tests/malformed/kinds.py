"""The kinds of malformed inputs, each a function from a seed to a case."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import ballots, pictures, settings, studies, tables
from .cases import Case

KINDS: Mapping[str, Callable[[int], Case]] = {
    "table": tables.case,
    "picture": pictures.case,
    "vote": ballots.case,
    "config": settings.case,
    "study": studies.case,
    "record": studies.record_case,
}
