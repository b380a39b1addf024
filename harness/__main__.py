"""Runs the command line. What only asks for help is answered before the imports that trials need."""

from __future__ import annotations

import io
import os
import sys

# One thread per worker unless the user sets another number. Numeric libraries read these when first imported.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# A sign that the terminal's encoding lacks is replaced there: it must not end a study whose work is done.
for _stream in (sys.stdout, sys.stderr):
    if isinstance(_stream, io.TextIOWrapper):
        _stream.reconfigure(errors="replace")

from harness.commands.help import answer  # noqa: E402
from harness.errors import BadInput  # noqa: E402

_PIPE_CLOSED = 141
"""What a shell reports of a program whose reader has left: 128 plus the number of SIGPIPE."""


def start() -> int:
    """Runs the program's arguments as a command and returns its exit code; quiet if the output's reader has left."""
    try:
        code = _answer_or_run(sys.argv[1:])
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return _PIPE_CLOSED


main = start
"""The name under which scripts import a program's entry."""


def _answer_or_run(words: list[str]) -> int:
    try:
        said = answer(words)
    except BadInput as error:
        print(f"harness: {error}", file=sys.stderr)
        return 2
    if said is None:
        from harness.commands import cli

        return cli.main(words)
    print(said)
    return 0


if __name__ == "__main__":
    sys.exit(start())
