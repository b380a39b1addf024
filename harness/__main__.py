"""Runs the command line: Hydra's trials and studies, and the other commands."""

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

from harness.commands.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
