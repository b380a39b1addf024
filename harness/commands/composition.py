"""Composes the configs of a study's arms from those that change one factor each, since each composition takes long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from harness.arm import FACTORS, factor_of
from harness.commands.terminal import HYDRA_ERRORS

Arm = tuple[str, ...]
"""The overrides that define an arm; empty for the baseline."""


def compose_by_factor(arm: Arm, whole: Callable[[Arm], DictConfig]) -> DictConfig:
    """Returns the config that `whole` composes of an arm, without the node `hydra` if it is put together from parts.

    Of an arm that changes several factors, each is taken from the config that changes this factor alone; `whole` should
    remember what it has composed. The arm is composed as a whole where a part has a fault, which is then told of the
    arm, or changes anything beside its factor.
    """
    parts: dict[str, Arm] = {}
    for item in arm:
        parts[factor_of(item)] = (*parts.get(factor_of(item), ()), item)
    if len(parts) < 2 or not parts.keys() <= set(FACTORS):
        return whole(arm)
    try:
        found = {factor: whole(part) for factor, part in parts.items()}
        bare = whole(())
    except HYDRA_ERRORS:
        return whole(arm)
    rest = _without(bare, "")
    alone = (_without(cfg, factor) == {**rest, factor: None} for factor, cfg in found.items())
    if not all(alone) or any(OmegaConf.is_interpolation(cfg, factor) for factor, cfg in found.items()):
        return whole(arm)
    cfg = OmegaConf.masked_copy(bare, [str(key) for key in bare if key != "hydra"])
    with open_dict(cfg):
        for factor, part in found.items():
            cfg[factor] = part[factor]
    OmegaConf.copy_cache(bare, cfg)
    return cfg


def _without(cfg: DictConfig, factor: str) -> dict[Any, Any]:
    """Returns a config as it is written, with null for a factor, without seed and the node `hydra`."""
    keys = [str(key) for key in cfg if key not in ("hydra", factor, "seed")]
    content: Any = OmegaConf.to_container(OmegaConf.masked_copy(cfg, keys), resolve=False)
    return {**content, **({factor: None} if factor else {})}
