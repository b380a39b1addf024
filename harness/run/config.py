"""Reads the factors of an arm and of its control from a composed Hydra config."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, InterpolationResolutionError

from harness.arm import FACTORS
from harness.errors import BadInput


def plain(node: Any) -> dict[str, Any]:
    """Resolves a config node into plain containers; BadInput if it refers to a part that the wrapped model lacks."""
    try:
        return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else dict(node)  # type: ignore[return-value]
    except InterpolationResolutionError as error:
        told = _unborrowed(error)
        if told is None:
            raise
        raise BadInput(told) from None


def _unborrowed(error: InterpolationResolutionError) -> str | None:
    """Returns why an effort has no model to wrap, or lacks a part of it; None for any other error."""
    where, _, name = str(error.full_key).rpartition(".")
    another = f"choose one with +model@{where}.of=NAME"
    if name == "wraps":
        return f"{where} is an effort that trains the baseline's model, and cannot be that model itself: {another}"
    if isinstance(error, InterpolationKeyError) and "'wraps." in str(error):
        return f"{where} needs a model with a {name}, which the baseline's model lacks: {another}"
    return None


def arm_of(cfg: DictConfig) -> dict[str, dict[str, Any]]:
    """Returns the four factors of the arm; a factor that was not chosen is the baseline's, with its parameters."""
    return {name: plain(cfg.get(name) or cfg.baseline[name]) for name in FACTORS}


def baseline_of(cfg: DictConfig) -> dict[str, dict[str, Any]]:
    """Returns the four factors of the control."""
    return {name: plain(cfg.baseline[name]) for name in FACTORS}
