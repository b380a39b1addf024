"""Says how a worker of a study died."""

from __future__ import annotations

import re

from joblib.externals.loky.process_executor import TerminatedWorkerError

__all__ = ["JobsDied", "TerminatedWorkerError", "cause_of_death"]


class JobsDied(TerminatedWorkerError):  # type: ignore[misc]
    """Says that jobs, here or on other machines, ended without a result; all others of their launch have ended too."""


def cause_of_death(error: TerminatedWorkerError) -> str:
    """Returns in words how a worker ended, from the exit codes that its pool reports or from what a cluster says."""
    if isinstance(error, JobsDied):
        return str(error)
    found = re.search(r"exit codes? of the workers (?:are|is) \{(.*)\}", str(error))
    codes = sorted(set(re.findall(r"\w+\(-?\d+\)", found[1]))) if found else []
    told = next((code for code in codes if code not in ("SIGTERM(-15)", "EXIT(0)")), "")
    if told.startswith("SIGKILL"):
        return "its process was killed (SIGKILL): out of memory?"
    if told.startswith("EXIT"):
        return f"its process ended by itself, with exit code {told[5:-1]}"
    return f"its process died{f' of {told.partition(chr(40))[0]}' if told else ''}"
