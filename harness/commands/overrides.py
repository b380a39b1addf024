"""Loads the config that a command's overrides choose, from the harness's and the user's options."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, QuotedString, Transformer
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from harness.commands.option_files import check_option_files
from harness.errors import BadInput
from harness.run.faults import find_faults
from harness.storage.places import conf_dir


def option_loader() -> ConfigLoaderImpl:
    """Returns a loader that finds the harness's options and those in the user's own `conf/` and `experiments/`.

    `hydra.compose` cannot be used here: within a study Hydra is initialised already and refuses a second time.
    """
    return ConfigLoaderImpl(create_config_search_path(str(conf_dir())))


def swept_studies(words: Sequence[str]) -> list[str] | None:
    """Returns the studies that a list or a pattern of names chooses (maybe none); None without a list or pattern."""
    said = [word for word in words if word.startswith("experiments=")]
    if not said:
        return None
    override = OverridesParser.create().parse_override(said[-1])
    if not override.is_sweep_override():
        return None
    value = override.value()
    if isinstance(value, Glob):
        return list(value.filter(option_loader().get_group_options("experiments")))
    return list(override.sweep_string_iterator())


def refuse_odd_choices(words: Sequence[str]) -> None:
    """Requires a name in each choice of an option: Hydra answers others with a traceback, or passes over them."""
    loader = option_loader()
    of_hydra = [f"hydra/{group}" for group in loader.list_groups("hydra")]
    groups = {*loader.list_groups(""), "experiments", *of_hydra}
    for word in words:
        place, sign, value = word.lstrip("+").partition("=")
        if sign and not place:
            raise BadInput(f"'{word}' says nothing before its '=': write group=NAME, or group.parameter=VALUE")
        if sign and place.replace(".", "/") in of_hydra and "." in place:
            raise BadInput(f"{word} would replace all settings of it: write {place.replace('.', '/')}=NAME")
        if sign and place.partition("@")[0] in groups and (value in ("null", "") or _is_no_name(word)):
            raise BadInput(f"{word} chooses no option: leave it out, or choose one, as in {place}=NAME")


def _is_no_name(word: str) -> bool:
    """Returns whether an override has a number, a truth value or a mapping where a name or names belong."""
    override = OverridesParser.create().parse_override(word)
    if isinstance(override.value(), Glob):
        return False
    sweep = override.is_sweep_override()
    values = list(override.sweep_iterator(Transformer.identity)) if sweep else [override.value()]
    named = [one for value in values for one in (value if isinstance(value, list) else [value])]
    return any(not isinstance(one, str | QuotedString) for one in named)


def load_config(overrides: Sequence[str], loader: ConfigLoaderImpl) -> DictConfig:
    """Returns the config of those overrides, unchecked and without Hydra's own part.

    Raises Hydra's and OmegaConf's errors where an override cannot be applied.
    """
    cfg = loader.load_configuration("config", list(overrides), RunMode.RUN)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg


def load_checked_config(overrides: Sequence[str], loader: ConfigLoaderImpl) -> DictConfig:
    """Returns the config of those overrides; BadInput lists every fault of its options, one per line.

    Adds the working folder to the module path first, for the functions that the user's own options name.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    check_option_files(overrides)
    cfg = load_config(overrides, loader)
    wrong = find_faults(cfg)
    if wrong:
        raise BadInput("\n".join(wrong))
    return cfg
