"""The command line: Hydra's entry for trials and studies, and the commands beside it."""

from __future__ import annotations

import os
import sys

# One thread a worker unless the user says otherwise; numeric libraries read these when they are first imported.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from harness.commands.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
