"""Runs cases, each in a folder of its own, in processes forked from one that has imported what commands need.

A case whose process dies or does not end in time is a hang or a crash of its own, and the next cases go on in a new
process. The command is `harness.commands.cli.main`, with outputs and working folder of the process's own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.commands import check, cli, plan, report, slices, study, votes  # noqa: F401 - imported before the forks
from harness.commands.terminal import HYDRA_ERRORS
from harness.errors import BadInput
from harness.learners import sklearn  # noqa: F401
from harness.report import figure_files  # noqa: F401
from harness.strategies import clean, weak  # noqa: F401

from .cases import Case, Ran, Verdict, judge

PATIENCE_S = 40
BATCH = 25
"""Direct readings that share a process; a command has one of its own."""


def run(cases: Sequence[Case], commands: bool) -> Iterator[Verdict]:
    """Yields the verdicts of cases: by the real command, or by a direct reading where a case has one."""
    left = list(cases)
    while left:
        alone = commands or left[0].read is None
        batch = left[:1] if alone else [case for case in left[:BATCH] if case.read is not None]
        batch = left[: len(batch)]
        if not alone and any(case.read is None for case in batch):
            batch = batch[: next(place for place, case in enumerate(batch) if case.read is None)]
        found = list(_in_a_process(batch, commands))
        yield from found
        left = left[len(found) :]


def _in_a_process(batch: Sequence[Case], commands: bool) -> list[Verdict]:
    """Returns the verdicts of a batch up to the first that ends its process, at least one."""
    here, there = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process == 0:
        os.close(here)
        _child(batch, commands, there)
    os.close(there)
    with os.fdopen(here) as pipe:
        lines = pipe.read().splitlines()
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    found = [Verdict(**json.loads(line)) for line in lines]
    if len(found) < len(batch):
        case = batch[len(found)]
        late = code == -signal.SIGALRM
        found.append(Verdict(case.name, "hang" if late else "traceback", f"the process ended with {code}", case.kind))
    return found


def _child(batch: Sequence[Case], commands: bool, pipe: int) -> None:
    """Runs cases and writes each verdict as soon as it is there; never returns."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    os.setsid()
    sys.modules.pop("mine", None)  # another test's module of that name, which this process has inherited
    try:
        for case in batch:
            signal.alarm(PATIENCE_S)
            outcome, why = execute(case, commands or case.read is None)
            told = {"name": case.name, "outcome": outcome, "why": why, "kind": case.kind}
            os.write(pipe, (json.dumps(told) + "\n").encode())
    except BaseException:  # noqa: BLE001 - a fault of the generator itself must be seen
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(0)


def execute(case: Case, command: bool) -> tuple[str, str]:
    """Returns a case's outcome and why; in this process, whose working folder and outputs it borrows."""
    before = os.getcwd()
    folder = Path(tempfile.mkdtemp(prefix="malformed-"))
    try:
        case.write(folder)
        os.chdir(folder)
        ran = _command(case, folder) if command else _reading(case, folder)
        return judge(case, ran)
    finally:
        os.chdir(before)
        shutil.rmtree(folder, ignore_errors=True)


def _command(case: Case, folder: Path) -> Ran:
    code, crashed = 1, False
    sys.path.insert(0, str(folder))
    with captured() as said:
        try:
            code = cli.main(list(case.words))
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:  # noqa: BLE001 - any exception that passes the command is what is sought
            crashed = True
            traceback.print_exc()
    return Ran(code, said[0], said[1], folder, None, fingerprint_in(folder), crashed)


@contextmanager
def captured() -> Iterator[list[str]]:
    """Yields a list that holds both outputs after the block, also what libraries wrote past Python's own streams."""
    said: list[str] = []
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        before, own = [os.dup(1), os.dup(2)], (sys.stdout, sys.stderr)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdout, sys.stderr = (os.fdopen(os.dup(number), "w", errors="replace") for number in (1, 2))
        try:
            yield said
        finally:
            sys.stdout.close()
            sys.stderr.close()
            sys.stdout, sys.stderr = own
            for number, place in enumerate(before, 1):
                os.dup2(place, number)
                os.close(place)
            for file in (out, err):
                file.seek(0)
                said.append(file.read().decode(errors="replace"))


def fingerprint_in(folder: Path) -> str:
    """Returns the fingerprint of the data in the first record beneath a folder; "" without one."""
    for path in sorted(folder.glob("results/*/trials/*.json")):
        try:
            return str(json.loads(path.read_text())["trial"]["data"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
    return ""


def _reading(case: Case, folder: Path) -> Ran:
    """Reads the case as a command does, and says its errors as `main` says them."""
    assert case.read is not None
    code, crashed, task, fingerprint = 0, False, None, ""
    with captured() as said:
        try:
            task, source = case.read()
            fingerprint = source.fingerprint
            sys.stderr.write("".join(f"  {line}\n" for line in source.read))
        except (BadInput, OSError, *HYDRA_ERRORS) as error:
            code = cli._report_error(error, [])
        except BaseException:  # noqa: BLE001 - any other exception that reading raises is what is sought
            crashed = True
            traceback.print_exc()
    return Ran(code, said[0], said[1], folder, task, fingerprint, crashed)
