"""Answers `--help`, `--version` and the shell's questions of completion without importing what trials need.

The help of a command is the docstring of its function, read from its file: the imports of a command take seconds.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import inspect
import os
import platform
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from harness import __version__
from harness.arm import FACTORS
from harness.checks import choices
from harness.errors import BadInput
from harness.storage.places import conf_dir, own_conf

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "ask": "a verdict on your own file or folder: looks at it, plans a study, runs it, answers",
        "init": "the study that ask would run, written as a file and not run",
        "report": "tables, figures and page of a study, from its records alone",
        "plan": "seeds, test rows and time that an effect needs",
        "curve": "learning curves over the number of training rows, of finished studies",
        "slices": "gains by class or column, and the rows that flipped",
        "claims": "sentences written down before a run: supported, refuted or undecided",
        "enter": "an arm of your own in a suite, beside the records of its rivals",
        "verify-entry": "a folder that somebody submits: its code checked, a sample of its trials run again",
        "publish": "sends to W&B what it lacks of a study, from its records alone",
        "arms": "every option, with the reason if it does not fit a task",
        "tasks": "every task, where its data comes from, and whether what you have is that data",
        "votes": "what voters say of a task: coverage, conflicts, accuracy",
        "check": "whether an option of your own keeps the promises of its kind",
        "atlas": "published tables, attributed as our own studies are",
        "verify": "published numbers, computed again",
    }
)
"""What each command is for; its function is `command` in its module (`module_of`) of `harness.commands`."""
GROUPS = ("task", *FACTORS, "protocol", "track")
_EXAMPLES = """\
harness: does accuracy come from the model or from the data?

  harness ask reviews.csv label=stars       your own data: looks, plans, runs, and prints the verdict
  harness -m experiments=quickstart         a study: trials, answer, tables, figures and a page
  harness model=resnet8 clean=confident     one trial, its control and the difference
  harness report quickstart                 tables and figures again, from the records alone
  harness -m suite=open                     the studies of several tasks, and the answer over them
"""
_SHELLS = MappingProxyType(
    {
        "bash": "complete -o nospace -o default -C 'harness --complete' harness",
        "zsh": "autoload -U +X bashcompinit && bashcompinit\n"
        "complete -o nospace -o default -C 'harness --complete' harness",
    }
)


def answer(words: Sequence[str]) -> str | None:
    """Returns what the words ask to be told: help, version or completion; None if they ask for work.

    BadInput for a shell that is not known.
    """
    asks = bool({"--help", "-h"} & set(words))
    if asks and words[0] in COMMANDS:
        return help_of(words[0])
    if asks or not words:
        return overview()
    if words[0] == "--version":
        return version()
    if words[0] == "--completion":
        return _script(words[1:])
    if words[0] == "--complete":
        return "\n".join(completions(os.environ.get("COMP_LINE", ""), words[2] if len(words) > 2 else None))
    return None


def overview() -> str:
    """Returns the help of the program: examples, commands, and all options by group, the user's own included."""
    commands = [f"  {name:<13}{what}" for name, what in COMMANDS.items()]
    studies = [f"experiments: {', '.join(_names(_study_files()))}", f"suite: {', '.join(_names(_suite_files()))}"]
    return "\n".join(
        [
            _EXAMPLES, "Commands (harness COMMAND --help says more):", *commands, "",
            "Options, chosen as group=NAME; a parameter is group.name=VALUE, and docs/arms.md says what each does:",
            *map(_wrapped, [*(f"{group}: {', '.join(options_of(group))}" for group in GROUPS), *studies]), "",
            "  harness … --cfg job                 the complete configuration of a trial",
            "  harness --completion bash|zsh       what the shell must run to complete these words",
            "  --debug                             complete tracebacks",
        ]
    )  # fmt: skip


def help_of(command: str) -> str:
    """Returns the usage of a command and what it does, from its docstring."""
    place = importlib.util.find_spec(f"harness.commands.{module_of(command)}")
    assert place is not None
    assert place.origin is not None
    tree = ast.parse(Path(place.origin).read_text(encoding="utf-8"))
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "command")
    first, _, rest = inspect.cleandoc(ast.get_docstring(function) or "").partition("\n\n")
    _, usage, what = first.split("`", 2)
    said = what.lstrip(".:, ").strip()
    return "\n\n".join(filter(None, [f"usage: {usage}", said[:1].upper() + said[1:], rest]))


def module_of(command: str) -> str:
    """Returns the module of a command: its name, as Python writes it."""
    return command.replace("-", "_")


def version() -> str:
    """Returns the versions of the program, of Python and of the packages that numbers depend on most."""
    others = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "scikit-learn", "hydra-core"))
    return f"harness {__version__} (Python {platform.python_version()}, {others})"


def options_of(group: str) -> list[str]:
    """Returns the names of a group's options, the user's own included."""
    own = own_conf()
    return _names(path for folder in (conf_dir(), own) if folder for path in (folder / group).glob("*.yaml"))


def completions(line: str, asked: str | None = None) -> list[str]:
    """Returns what may stand for the unfinished word at the end of a line, of which the shell asks for `asked`.

    Some shells (bash) take `=` for the end of a word, and ask for the name of an option alone.
    """
    before, _, last = line.rpartition(" ")
    word = last if asked is None else asked.removeprefix("=")
    group, sign, _ = last.partition("=")
    if sign:
        files = {"experiments": _study_files, "suite": _suite_files}
        names = _names(files[group]()) if group in files else options_of(group)
        there = [f"{group}={name}" if "=" in word else name for name in names]
    else:
        first = [*COMMANDS, "-m"] if len(before.split()) == 1 else []
        there = [*first, *(f"{name}=" for name in (*GROUPS, "experiments", "suite"))]
    return [one for one in there if one.startswith(word)]


def _study_files() -> list[Path]:
    """Returns the files of studies: the user's, and those that come with the program."""
    return _files_in("experiments")


def _suite_files() -> list[Path]:
    """Returns the files of suites: the user's, and those that come with the program."""
    return _files_in("suites")


def _files_in(name: str) -> list[Path]:
    shipped = [conf_dir().parent / name, conf_dir() / name]
    return [path for folder in (Path(name), *shipped) for path in folder.glob("*.yaml")]


def _names(paths: Iterable[Path]) -> list[str]:
    return sorted({path.stem for path in paths})


def _wrapped(line: str) -> str:
    return textwrap.fill(line, 100, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False)


def _script(words: Sequence[str]) -> str:
    shell = words[0] if words else "bash"
    if shell not in _SHELLS:
        raise BadInput(f"no completion for the shell '{shell}'{choices(shell, _SHELLS)}")
    return _SHELLS[shell]
