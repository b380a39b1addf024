"""Prints what an environment holds, as a line of `docs/install.csv`: Python, build of torch, packages, gigabytes.

Run it with the Python of an environment into which nothing but the core was installed:
`FOLDER/bin/python tests/install_size.py >> docs/install.csv`.
"""

from __future__ import annotations

import importlib.metadata
import platform
import sysconfig
from pathlib import Path

TOOLS = {"pip", "setuptools", "wheel"}
"""Packages that an environment has before anything is installed."""


def size_of(folder: Path) -> int:
    """Returns the bytes of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Prints the line."""
    names = {str(found.metadata["Name"]).lower() for found in importlib.metadata.distributions()} - TOOLS
    build = "CUDA" if any(name.startswith("nvidia-") for name in names) else "CPU"
    folder = Path(sysconfig.get_path("purelib"))
    torch = importlib.metadata.version("torch")
    print(f"{platform.python_version()},{torch} ({build}),{len(names)},{size_of(folder) / 1e9:.1f}")


if __name__ == "__main__":
    main()
