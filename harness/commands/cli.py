"""Runs a command line; exit codes: 0 for success, 2 for wrong input, 1 for a failed trial, 130 when interrupted.

What a command needs is imported when it is called: a report needs no learner.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from importlib import import_module

import yaml

from harness.commands.help import COMMANDS, module_of
from harness.commands.terminal import DEBUG, HYDRA_ERRORS, is_debugging, one_line, say, unreadable
from harness.errors import BadInput, PastHydra, TrialFailed
from harness.run.signals import Stopped, stopped_by_signals


def main(argv: list[str] | None = None) -> int:
    """Runs one command; an error that a user can cause is printed as one line per fault on standard error."""
    words = sys.argv[1:] if argv is None else list(argv)
    os.environ[DEBUG] = "1" if {"--debug", "hydra.verbose=true", "hydra.verbose=True"} & set(words) else "0"
    words = [word for word in words if word != "--debug"]
    command = _elsewhere(words[0]) if words and words[0] in COMMANDS else _run_words
    try:
        with stopped_by_signals():
            return command(words)
    except BrokenPipeError:
        raise
    except PastHydra as carrier:
        return _report_error(carrier.args[0], words)
    except (BadInput, TrialFailed, OSError, *HYDRA_ERRORS) as error:
        return _report_error(error, words)
    except (yaml.YAMLError, UnicodeError) as error:
        return _report_error(BadInput(unreadable(error)), words)
    except RecursionError:
        said = "options refer to each other in a circle, by their `defaults` or by ${…}: cut it in your own files"
        return _report_error(BadInput(said), words)
    except KeyboardInterrupt as stop:
        say("harness: stopped; finished trials are kept, and the same command goes on from there")
        return stop.code if isinstance(stop, Stopped) else 130


def _report_error(error: BaseException, words: list[str]) -> int:
    """Prints an error, one line per fault, with --debug its traceback first, and returns the exit code."""
    if is_debugging():
        say("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, OSError) and not isinstance(error, HYDRA_ERRORS):  # a missing config is of both types
        where = error.filename or "a file"
        say(f"harness: cannot read or write {where}: {error.strerror or error}; finished trials are kept")
        return 1
    text = one_line(error, [word for word in words if "=" in word]) if isinstance(error, HYDRA_ERRORS) else str(error)
    for line in text.splitlines():
        say(f"harness: {line}")
    return 1 if isinstance(error, TrialFailed) else 2


def _elsewhere(name: str) -> Callable[[list[str]], int]:
    """Returns a command, whose module is imported only when the command is called."""
    return lambda words: import_module(f"harness.commands.{module_of(name)}").command(words)


def _run_words(words: list[str]) -> int:
    """Runs a trial, a sweep or a study, whose imports take seconds."""
    return int(import_module("harness.commands.trials").run_words(words))
