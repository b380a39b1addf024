"""Resolves the paths that a user writes, and finds the folders of options."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path

from harness.errors import BadInput

PACKAGE = "package:"
"""Prefix of a path into an installed package: `package:NAME` or `package:NAME/inside/it`."""


def expand_home(path: str | Path, name: str) -> Path:
    """Returns a path with `~` as the user's home; BadInput, which says to set `name`, where there is no home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise BadInput(f"there is no home folder, which {name}={path} needs: set HOME, or {name}=FOLDER") from None


def locate(path: str) -> Path:
    """Returns the resolved path, whether or not it exists; BadInput if its package is not installed.

    The package is looked up and never imported.
    """
    if not path.startswith(PACKAGE):
        return Path(path).expanduser()
    name, _, inside = path.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise BadInput(
            f"'{path}' names the package '{name}', which is not installed: {install_command('pretrained')} "
            "installs the weights that the options name"
        )
    return Path(spec.submodule_search_locations[0]) / inside


def is_there(path: str) -> bool:
    """Returns whether the path exists."""
    try:
        return locate(path).exists()
    except BadInput:
        return False


def conf_dir() -> Path:
    """Returns the folder of options: inside the package if installed from a wheel, else beside it in the checkout."""
    packaged = Path(__file__).parents[1] / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "conf"


def install_command(extra: str) -> str:
    """Returns the pip command that installs an extra: of the checkout that runs, or of the installed package."""
    checkout = conf_dir().parent
    if not (checkout / "pyproject.toml").is_file():
        return f"pip install 'gains-harness[{extra}]'"
    place = "." if checkout.resolve() == Path.cwd().resolve() else checkout.resolve()
    return f"pip install -e '{place}[{extra}]'"


def own_conf() -> Path | None:
    """Returns the user's own folder of options, `conf/` in the working directory, or None if it is ours or absent."""
    folder = Path.cwd() / "conf"
    return folder if folder.is_dir() and folder.resolve() != conf_dir().resolve() else None


def is_own(group: str, name: str) -> bool:
    """Returns whether an option comes from the user's own `conf/`, which has priority over ours of the same name."""
    folder = own_conf()
    return folder is not None and (folder / group / f"{name}.yaml").is_file()


def shadowed_options() -> list[str]:
    """Returns the user's own options that replace ours of the same name, as `group=name`."""
    folder = own_conf()
    own = sorted(folder.glob("*/*.yaml")) if folder else []
    return [f"{path.parent.name}={path.stem}" for path in own if (conf_dir() / path.parent.name / path.name).is_file()]


def content_of(path: str) -> str:
    """Returns the identity of a path's content: the hash of its files, or the path itself if absent (a hub's name).

    `package:NAME/inside/it` is identified by the package's files there, without compiled Python files.
    """
    if not is_there(path):
        return path
    place = locate(path)
    inside = (file for file in place.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    files = sorted(inside) if place.is_dir() else [place]
    seen = tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    return f"sha256:{_digest(place, seen)}"


@lru_cache(maxsize=64)
def _digest(place: Path, seen: tuple[tuple[str, int, int], ...]) -> str:
    """Hashes the files `seen`; cached, because weights are large and a trial's key is computed often."""
    total = hashlib.sha256()
    for name, _, _ in seen:
        inside = str(Path(name).relative_to(place)).encode()
        total.update(inside + hashlib.sha256(Path(name).read_bytes()).digest())
    return total.hexdigest()
